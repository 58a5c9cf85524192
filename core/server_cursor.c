/* SPDX-License-Identifier: Apache-2.0 */
/* core/server_cursor.c - the command that opens a cursor, getMore and
 * killCursors. */
#include "core/server_cursor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/session.h"
#include "core/verb_support.h"

static bool fail(struct stf_result *result, uint32_t code, const char *why)
{
    bson_set_error(&result->error, MONGOC_ERROR_CURSOR, code, "%s", why);
    return false;
}

static bool fail_for_memory(struct stf_result *result, const char *what)
{
    bson_set_error(&result->error, STATOR_ERROR_DOMAIN, STATOR_ERROR_MEMORY,
                   "cursor: no memory for %s", what);
    return false;
}

/* ---- what is sent ------------------------------------------------ */

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

/* Since 5.0 (wire version 13) a secondary takes $out and $merge, and the
 * driver sends them where the reads go; before, to the primary. */
static bool takes_writes(const mongoc_server_description_t *server)
{
    const bson_t *hello = mongoc_server_description_hello_response(server);
    bson_iter_t i;

    return bson_iter_init_find(&i, hello, "maxWireVersion") &&
           bson_iter_as_int64(&i) >= 13;
}

static bool server_takes_writes(mongoc_client_t *client, uint32_t id)
{
    mongoc_server_description_t *server =
        mongoc_client_get_server_description(client, id);
    bool takes = server != NULL && takes_writes(server);

    mongoc_server_description_destroy(server);
    return takes;
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
        if (server == NULL || takes_writes(server)) {
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
            server_takes_writes(call->client, s->server_id))
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

/* A change stream's errors are judged by it, and what a getMore may bear. */
static void note_wire_version(struct stc_server_cursor *s,
                              mongoc_client_t *client)
{
    mongoc_server_description_t *server =
        mongoc_client_get_server_description(client, s->server_id);
    bson_iter_t i;

    s->wire_version = 0;
    if (server == NULL)
        return;
    if (bson_iter_init_find(
            &i, mongoc_server_description_hello_response(server),
            "maxWireVersion"))
        s->wire_version = (int)bson_iter_as_int64(&i);
    mongoc_server_description_destroy(server);
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
            return fail_for_memory(result, "its comment");
    }
    return true;
}

/* ---- what is answered -------------------------------------------- */

/* {cursor: {id, ns, firstBatch or nextBatch}}; or, of listDatabases,
 * {databases: [..]}, which is all there is.  Takes the reply's contents when
 * it works. */
static bool read_reply(struct stc_server_cursor *s, bson_t *reply,
                       struct stf_result *result,
                       struct stf_documents **documents)
{
    bson_iter_t i, cursor, batch;
    const char *ns = NULL;
    bool has_batch = false;

    s->id = 0;
    if (bson_iter_init_find(&i, reply, "cursor") &&
        BSON_ITER_HOLDS_DOCUMENT(&i) && bson_iter_recurse(&i, &cursor)) {
        while (bson_iter_next(&cursor)) {
            const char *key = bson_iter_key(&cursor);

            if (strcmp(key, "id") == 0)
                s->id = bson_iter_as_int64(&cursor);
            else if (strcmp(key, "ns") == 0 && BSON_ITER_HOLDS_UTF8(&cursor))
                ns = bson_iter_utf8(&cursor, NULL);
            else if ((strcmp(key, "firstBatch") == 0 ||
                      strcmp(key, "nextBatch") == 0) &&
                     BSON_ITER_HOLDS_ARRAY(&cursor)) {
                batch = cursor;
                has_batch = true;
            }
        }
    } else if (bson_iter_init_find(&batch, reply, "databases")) {
        has_batch = BSON_ITER_HOLDS_ARRAY(&batch);
    }
    if (s->ns[0] == '\0' && ns != NULL && strlen(ns) < sizeof s->ns)
        memcpy(s->ns, ns, strlen(ns) + 1);
    if (!has_batch || (s->id != 0 && s->ns[0] == '\0'))
        return fail(result, MONGOC_ERROR_CURSOR_INVALID_CURSOR,
                    "the server's reply has no valid cursor");
    *documents = stf_documents_new(reply, &batch);
    if (*documents != NULL)
        return true;
    if (errno == ENOMEM)
        return fail_for_memory(result, "a batch");
    return fail(result, MONGOC_ERROR_CURSOR_INVALID_CURSOR,
                "the batch holds something that is no document");
}

static bool take_reply(struct stc_server_cursor *s, bson_t *reply,
                       struct stf_result *result,
                       struct stf_documents **documents)
{
    bool ok = read_reply(s, reply, result, documents);

    s->has_answered = true;
    s->is_orphan = !ok && s->id != 0;
    return ok;
}

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
    if (ok && (verb == &stc_verb_watch || s->comment != NULL))
        note_wire_version(s, call->client);
    if (ok) {
        bson_destroy(&reply);
        ok = run_first(call, manner, db, &command, &opts, &reply);
        if (!ok && has_no_indexes(call, verb)) {
            make_empty(&reply);
            ok = true;
        }
        if (ok)
            ok = take_reply(s, &reply, call->result, documents);
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

/* db and collection out of "db.collection". */
static const char *split(const struct stc_server_cursor *s, char *db,
                         size_t size)
{
    const char *dot = strchr(s->ns, '.');
    size_t n = dot == NULL ? strlen(s->ns) : (size_t)(dot - s->ns);

    if (n >= size)
        n = size - 1;
    memcpy(db, s->ns, n);
    db[n] = '\0';
    return dot == NULL ? "" : dot + 1;
}

/* On the find's server, in its session. */
static bool run(struct stc_server_cursor *s, mongoc_client_t *client,
                const char *db, const bson_t *command,
                const mongoc_read_prefs_t *prefs, bson_t *reply,
                bson_error_t *error)
{
    bson_t opts = BSON_INITIALIZER;
    bool ok = true;

    BSON_APPEND_INT32(&opts, "serverId", (int32_t)s->server_id);
    if (s->session != NULL)
        ok = mongoc_client_session_append(s->session, &opts, error);
    if (ok)
        ok = mongoc_client_command_with_opts(client, db, command, prefs,
                                             &opts, reply, error);
    else
        bson_init(reply);
    bson_destroy(&opts);
    return ok;
}

bool stc_server_cursor_more(struct stc_server_cursor *s,
                            mongoc_client_t *client, int64_t turn_ms,
                            struct stf_result *result,
                            struct stf_documents **documents)
{
    bson_t command = BSON_INITIALIZER, reply;
    char db[256];
    const char *name = split(s, db, sizeof db);
    enum { WIRE_VERSION_4_4 = 9 }; /* before, a comment is an error there */
    bool ok;

    s->has_answered = false;
    BSON_APPEND_INT64(&command, "getMore", s->id);
    BSON_APPEND_UTF8(&command, "collection", name);
    if (s->batch_size > 0)
        BSON_APPEND_INT64(&command, "batchSize", s->batch_size);
    if (turn_ms == 0)
        turn_ms = s->max_await_time_ms;
    if (turn_ms > 0)
        BSON_APPEND_INT64(&command, "maxTimeMS", turn_ms);
    if (s->comment != NULL && s->wire_version >= WIRE_VERSION_4_4) {
        uint32_t length;
        bson_t comment;

        memcpy(&length, s->comment, sizeof length);
        bson_init_static(&comment, s->comment, BSON_UINT32_FROM_LE(length));
        bson_concat(&command, &comment);
    }
    ok = run(s, client, db, &command, s->prefs, &reply, &result->error);
    if (ok)
        ok = take_reply(s, &reply, result, documents);
    else
        stf_result_take_reply(result, &reply);
    bson_destroy(&command);
    bson_destroy(&reply);
    return ok;
}

void stc_server_cursor_kill(struct stc_server_cursor *s,
                            mongoc_client_t *client)
{
    bson_t command = BSON_INITIALIZER, ids, reply;
    bson_error_t error;
    char db[256];
    const char *name;

    if (s->id == 0 || s->ns[0] == '\0')
        return;
    name = split(s, db, sizeof db);
    BSON_APPEND_UTF8(&command, "killCursors", name);
    BSON_APPEND_ARRAY_BEGIN(&command, "cursors", &ids);
    BSON_APPEND_INT64(&ids, "0", s->id);
    bson_append_array_end(&command, &ids);
    run(s, client, db, &command, NULL, &reply, &error);
    bson_destroy(&reply);
    bson_destroy(&command);
}

void stc_server_cursor_lose(struct stc_server_cursor *s,
                            mongoc_client_t *client, bool kills)
{
    if (kills)
        stc_server_cursor_kill(s, client);
    mongoc_read_prefs_destroy(s->prefs);
    s->prefs = NULL;
    free(s->comment);
    s->comment = NULL;
    s->ns[0] = '\0';
    s->id = 0;
    s->is_lost = true;
}

void stc_server_cursor_end(struct stc_server_cursor *s)
{
    if (s->session != NULL && !s->is_users)
        mongoc_client_session_destroy(s->session);
    s->session = NULL;
    mongoc_read_prefs_destroy(s->prefs);
    s->prefs = NULL;
    free(s->comment);
    s->ns[0] = '\0';
    s->comment = NULL;
    s->id = 0;
    s->is_lost = false;
}
