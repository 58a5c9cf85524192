/* SPDX-License-Identifier: Apache-2.0 */
/* core/server_cursor.c - the server's answers of documents, getMore and
 * killCursors.  The command that opens is in server_cursor_open.c. */
#include "core/server_cursor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is answered -------------------------------------------- */

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

bool stc_server_cursor_take_reply(struct stc_server_cursor *s, bson_t *reply,
                                  struct stf_result *result,
                                  struct stf_documents **documents)
{
    bool ok = read_reply(s, reply, result, documents);

    s->has_answered = true;
    s->is_orphan = !ok && s->id != 0;
    return ok;
}

/* ---- getMore, killCursors, end ----------------------------------- */

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
        ok = stc_server_cursor_take_reply(s, &reply, result, documents);
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
