/* SPDX-License-Identifier: Apache-2.0 */
/* core/verb_command.c - commands of the user's own, and the cursors that they
 * open. */
#include <string.h>

#include "core/verb_support.h"

typedef bool database_fn(mongoc_database_t *database, const bson_t *command,
                         const mongoc_read_prefs_t *prefs, const bson_t *opts,
                         bson_t *reply, bson_error_t *error);
typedef bool collection_fn(mongoc_collection_t *collection,
                           const bson_t *command,
                           const mongoc_read_prefs_t *prefs,
                           const bson_t *opts, bson_t *reply,
                           bson_error_t *error);

/* A getMore takes maxTimeMS for something else. */
static bool takes_max_time(const bson_t *command)
{
    bson_iter_t i;

    return bson_iter_init(&i, command) && bson_iter_next(&i) &&
           strcmp(bson_iter_key(&i), "getMore") != 0 &&
           !bson_iter_init_find(&i, command, "maxTimeMS");
}

/* By the function of what it is run on. */
static bool command_by(struct stc_call *call, database_fn *on_database,
                       collection_fn *on_collection,
                       const mongoc_read_prefs_t *prefs)
{
    const bson_t *what = &call->arguments[0], *opts = &call->opts;
    bson_error_t *error = &call->result->error;
    bson_t room = BSON_INITIALIZER, reply;
    bool ok;

    if (takes_max_time(what))
        opts = stc_timed_opts(call, &room);
    if (call->collection != NULL)
        ok = on_collection(call->collection, what, prefs, opts, &reply,
                           error);
    else
        ok = on_database(call->database, what, prefs, opts, &reply, error);
    bson_destroy(&room);
    return stc_verb_end(call, ok, &reply);
}

static bool command(struct stc_call *call)
{
    bool ok = command_by(call, mongoc_database_command_with_opts,
                         mongoc_collection_command_with_opts,
                         call->own_read_prefs);

    call->unacknowledged = ok && stc_is_unacknowledged(call, false);
    return ok;
}

static bool read_command(struct stc_call *call)
{
    return command_by(call, mongoc_database_read_command_with_opts,
                      mongoc_collection_read_command_with_opts,
                      call->read_prefs);
}

static bool write_on_database(mongoc_database_t *database,
                              const bson_t *command,
                              const mongoc_read_prefs_t *prefs,
                              const bson_t *opts, bson_t *reply,
                              bson_error_t *error)
{
    (void)prefs;
    return mongoc_database_write_command_with_opts(database, command, opts,
                                                   reply, error);
}

static bool write_on_collection(mongoc_collection_t *collection,
                                const bson_t *command,
                                const mongoc_read_prefs_t *prefs,
                                const bson_t *opts, bson_t *reply,
                                bson_error_t *error)
{
    (void)prefs;
    return mongoc_collection_write_command_with_opts(collection, command,
                                                     opts, reply, error);
}

static bool write_command(struct stc_call *call)
{
    bool ok = command_by(call, write_on_database, write_on_collection, NULL);

    call->unacknowledged = ok && stc_is_unacknowledged(call, true);
    return ok;
}

/* The driver takes a preference here, and does not use it. */
static bool read_write_command(struct stc_call *call)
{
    bool ok = command_by(call, mongoc_database_read_write_command_with_opts,
                         mongoc_collection_read_write_command_with_opts,
                         NULL);

    call->unacknowledged = ok && stc_is_unacknowledged(call, true);
    return ok;
}

/* ---- with a cursor in the reply ---------------------------------- */

/* What no server will see, and so none refuse. */
static bool is_count(struct stc_call *call, const char *key)
{
    bson_iter_t i;

    return !bson_iter_init_find(&i, &call->opts, key) ||
           (BSON_ITER_HOLDS_NUMBER(&i) && bson_iter_as_int64(&i) >= 0) ||
           stc_verb_fault(call, "opts: %s must be a number of 0 or more",
                          key);
}

/* The command is the user's; what opts say of the batches to come is not
 * sent with it. */
static bool run_cursor_command_open(struct stc_call *call, bson_t *command,
                                    bson_t *opts)
{
    if (!is_count(call, "batchSize") || !is_count(call, "maxAwaitTimeMS"))
        return false;
    bson_copy_to_excluding_noinit(&call->opts, opts, "batchSize", "comment",
                                  "tailable", "awaitData", "maxAwaitTimeMS",
                                  NULL);
    return bson_concat(command, &call->arguments[0]);
}

/* ---- what they are called ---------------------------------------- */

#define VERB(verb)                           \
    const struct stc_verb stc_verb_##verb = { \
        .name = #verb, .run = (verb)}

VERB(command);
VERB(read_command);
VERB(write_command);
VERB(read_write_command);

const struct stc_verb stc_verb_run_cursor_command = {
    .name = "run_cursor_command",
    .open = run_cursor_command_open,
};
