/* SPDX-License-Identifier: Apache-2.0 */
/* core/server_cursor_open.c - the command that opens a server's cursor: where
 * it is sent, how, and what is kept of it for the getMores, which are in
 * server_cursor.c. */
#include "core/server_cursor.h"

#include <stdlib.h>
#include <string.h>

#include "core/session.h"
#include "core/verb_support.h"

/* ---- its manner and its server ----------------------------------- */

/* How the command that opens the cursor is run: a list knows no read concern
 * and asks the primary; a pipeline with $out or $merge is a write; a user's
 * own command goes as it is, by the preference that it came with. */
enum manner { READS, LISTS, WRITES, WRITES_AS_READS, COMMANDS };

static enum manner manner_of(const struct stc_call *call,
                             const struct stc_verb *verb)
{
    if (verb == &stc_verb_aggregate)
        return stc_pipeline_writes(&call->arguments[0]) ? WRITES : READS;
    if (verb == &stc_verb_run_cursor_command)
        return COMMANDS;
    return verb == &stc_verb_find || verb == &stc_verb_watch ? READS : LISTS;
}

static int wire_version_of(const mongoc_server_description_t *server)
{
    bson_iter_t i;

    if (!bson_iter_init_find(
            &i, mongoc_server_description_hello_response(server),
            "maxWireVersion"))
        return 0;
    return (int)bson_iter_as_int64(&i);
}

/* 0: nothing is known of it. */
static int wire_version_at(mongoc_client_t *client, uint32_t id)
{
    mongoc_server_description_t *server =
        mongoc_client_get_server_description(client, id);
    int version = server == NULL ? 0 : wire_version_of(server);

    mongoc_server_description_destroy(server);
    return version;
}

/* Since 5.0 a secondary takes $out and $merge, and the driver sends them where
 * the reads go; before, to the primary. */
static bool takes_writes(int wire_version)
{
    enum { WIRE_VERSION_5_0 = 13 };

    return wire_version >= WIRE_VERSION_5_0;
}

/* `*manner` becomes WRITES_AS_READS where the read preference holds. */
static mongoc_server_description_t *select_server(struct stc_call *call,
                                                  enum manner *manner)
{
    bson_error_t *error = &call->result->error;
    mongoc_server_description_t *server;

    if (*manner == WRITES && call->read_prefs != NULL) {
        server = mongoc_client_select_server(call->client, false,
                                             call->read_prefs, error);
        if (server == NULL || takes_writes(wire_version_of(server))) {
            *manner = WRITES_AS_READS;
            return server;
        }
        mongoc_server_description_destroy(server);
    }
    if (*manner == COMMANDS)
        return mongoc_client_select_server(call->client, false,
                                           call->own_read_prefs, error);
    return mongoc_client_select_server(
        call->client, *manner != READS,
        *manner == READS ? call->read_prefs : NULL, error);
}

/* The find's server has to be known to send the getMore there. */
static bool choose_server(struct stc_server_cursor *s, struct stc_call *call,
                          enum manner *manner, bson_t *opts)
{
    mongoc_server_description_t *server;
    bson_iter_t i;

    if (bson_iter_init_find(&i, opts, "serverId")) {
        s->server_id = (uint32_t)bson_iter_as_int64(&i);
        if (*manner == WRITES && call->read_prefs != NULL &&
            takes_writes(wire_version_at(call->client, s->server_id)))
            *manner = WRITES_AS_READS;
        return true;
    }
    if (call->in_transaction) /* on a sharded cluster it is bound to one */
        s->server_id =
            mongoc_client_session_get_server_id(call->session->driver);
    if (call->in_transaction && s->server_id != 0) {
        BSON_APPEND_INT32(opts, "serverId", (int32_t)s->server_id);
        return true;
    }
    server = select_server(call, manner);
    if (server == NULL)
        return false;
    s->server_id = mongoc_server_description_id(server);
    mongoc_server_description_destroy(server);
    BSON_APPEND_INT32(opts, "serverId", (int32_t)s->server_id);
    return true;
}

/* ---- its session, and what is kept ------------------------------- */

/* A session of its own, causal consistency off: what the driver would do
 * unasked, but kept.  None where the deployment knows no sessions, or the
 * user brought one. */
static void begin_session(struct stc_server_cursor *s, struct stc_call *call,
                          bson_t *opts)
{
    mongoc_session_opt_t *how;
    bson_error_t error;

    s->is_users = call->session != NULL;
    if (s->is_users) {
        s->session = call->session->driver;
        return;
    }
    if (s->session != NULL) { /* it is opened again */
        mongoc_client_session_append(s->session, opts, &error);
        return;
    }
    if (bson_has_field(opts, "sessionId"))
        return;
    how = mongoc_session_opts_new();
    mongoc_session_opts_set_causal_consistency(how, false);
    s->session = mongoc_client_start_session(call->client, how, &error);
    mongoc_session_opts_destroy(how);
    if (s->session != NULL)
        mongoc_client_session_append(s->session, opts, &error);
}

static bool keep_for_more(struct stc_server_cursor *s, const bson_t *opts,
                          struct stf_result *result)
{
    bson_iter_t i;

    s->tailable = bson_iter_init_find(&i, opts, "tailable") &&
                  bson_iter_as_bool(&i);
    if (bson_iter_init_find(&i, opts, "batchSize"))
        s->batch_size = bson_iter_as_int64(&i);
    if (bson_iter_init_find(&i, opts, "maxAwaitTimeMS"))
        s->max_await_time_ms = bson_iter_as_int64(&i);
    if (bson_iter_init_find(&i, opts, "comment")) {
        bson_t comment = BSON_INITIALIZER;

        bson_append_iter(&comment, "comment", -1, &i);
        s->comment = malloc(comment.len);
        if (s->comment != NULL)
            memcpy(s->comment, bson_get_data(&comment), comment.len);
        bson_destroy(&comment);
        if (s->comment == NULL)
            bson_set_error(&result->error, STATOR_ERROR_DOMAIN,
                           STATOR_ERROR_MEMORY,
                           "cursor: no memory for its comment");
        return s->comment != NULL;
    }
    return true;
}

/* ---- it is run --------------------------------------------------- */

static bool run_list(struct stc_call *call, const char *db,
                     const bson_t *command, const bson_t *opts,
                     bson_t *reply)
{
    mongoc_database_t *plain = mongoc_client_get_database(call->client, db);
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    mongoc_read_concern_t *none = mongoc_read_concern_new();
    bool ok;

    mongoc_database_set_read_concern(plain, none);
    ok = mongoc_database_read_command_with_opts(
        plain, command, primary, opts, reply, &call->result->error);
    mongoc_read_concern_destroy(none);
    mongoc_read_prefs_destroy(primary);
    mongoc_database_destroy(plain);
    return ok;
}

static bool run_first(struct stc_call *call, enum manner manner,
                      const char *db, const bson_t *command,
                      const bson_t *opts, bson_t *reply)
{
    bson_error_t *error = &call->result->error;

    if (manner == LISTS)
        return run_list(call, db, command, opts, reply);
    if (manner == WRITES)
        return mongoc_client_write_command_with_opts(call->client, db,
                                                     command, opts, reply,
                                                     error);
    if (manner == WRITES_AS_READS)
        return mongoc_client_command_with_opts(
            call->client, db, command, call->read_prefs, opts, reply, error);
    if (manner == COMMANDS)
        return mongoc_client_command_with_opts(call->client, db, command,
                                               call->own_read_prefs, opts,
                                               reply, error);
    if (call->collection != NULL)
        return mongoc_collection_read_command_with_opts(
            call->collection, command, call->read_prefs, opts, reply, error);
    return mongoc_client_read_command_with_opts(
        call->client, db, command, call->read_prefs, opts, reply, error);
}

/* A collection that is not there has no indexes: that is no error. */
static bool has_no_indexes(const struct stc_call *call,
                           const struct stc_verb *verb)
{
    const bson_error_t *error = &call->result->error;

    return verb == &stc_verb_list_indexes &&
           error->domain == MONGOC_ERROR_SERVER &&
           error->code == 26 /* NamespaceNotFound */;
}

/* {databases: []}, as read_reply understands it. */
static void make_empty(bson_t *reply)
{
    bson_t none;

    bson_reinit(reply);
    BSON_APPEND_ARRAY_BEGIN(reply, "databases", &none);
    bson_append_array_end(reply, &none);
}

/* The getMore bears the find's preference, as the driver's does; that of its
 * change streams bears none. */
static void keep_prefs(struct stc_server_cursor *s,
                       const struct stc_call *call, enum manner manner)
{
    const mongoc_read_prefs_t *prefs =
        manner == READS      ? call->read_prefs
        : manner == COMMANDS ? call->own_read_prefs
                             : NULL;

    if (s->id != 0 && prefs != NULL && call->stream == NULL &&
        mongoc_read_prefs_get_mode(prefs) != MONGOC_READ_PRIMARY)
        s->prefs = mongoc_read_prefs_copy(prefs);
}

/* The driver's own retry may have taken the command to another server than the
 * one that was chosen.  (With the driver's streams there is no telling.) */
static void follow(struct stc_server_cursor *s, const struct stc_call *call)
{
    mongoc_server_description_t *chosen;
    uint32_t id = 0;

    if (s->id == 0 || call->went_to[0] == '\0')
        return;
    chosen = mongoc_client_get_server_description(call->client, s->server_id);
    if (chosen == NULL ||
        strcmp(mongoc_server_description_host(chosen)->host_and_port,
               call->went_to) != 0)
        id = stc_server_at(call->client, call->went_to);
    mongoc_server_description_destroy(chosen);
    if (id != 0)
        s->server_id = id;
}

bool stc_server_cursor_open(struct stc_server_cursor *s,
                            struct stc_call *call,
                            const struct stc_verb *verb,
                            struct stf_documents **documents)
{
    bson_t command = BSON_INITIALIZER, opts = BSON_INITIALIZER;
    bson_t reply = BSON_INITIALIZER;
    const char *db = call->db[0] == '\0' ? "admin" : call->db;
    enum manner manner = manner_of(call, verb);
    bool ok = verb->open(call, &command, &opts);

    s->has_answered = false;
    if (ok && call->max_time_ms > 0 && !bson_has_field(&command, "maxTimeMS"))
        BSON_APPEND_INT32(&command, "maxTimeMS", call->max_time_ms);
    if (ok)
        ok = keep_for_more(s, &call->opts, call->result) &&
             choose_server(s, call, &manner, &opts);
    if (ok)
        begin_session(s, call, &opts);
    /* A stream's errors are judged by it, and what a getMore may bear. */
    if (ok && (verb == &stc_verb_watch || s->comment != NULL))
        s->wire_version = wire_version_at(call->client, s->server_id);
    if (ok) {
        bson_destroy(&reply);
        ok = run_first(call, manner, db, &command, &opts, &reply);
        if (!ok && has_no_indexes(call, verb)) {
            make_empty(&reply);
            ok = true;
        }
        if (ok)
            ok = stc_server_cursor_take_reply(s, &reply, call->result,
                                              documents);
        else
            stf_result_take_reply(call->result, &reply);
        if (ok)
            keep_prefs(s, call, manner);
    }
    follow(s, call);
    bson_destroy(&command);
    bson_destroy(&opts);
    bson_destroy(&reply);
    return ok;
}

