/* SPDX-License-Identifier: Apache-2.0 */
/* wire_cursor.c - cursors as mongod keeps them.
 *
 * A batch that is exactly full leaves the cursor open, unless a limit says
 * that there is no more: like mongod, the server learns that it is at the end
 * only by looking further.  The next getMore is then answered with nothing. */
#include "tests/wire/wire_cursor.h"
#include "tests/wire/wire_feed.h"
#include "tests/wire/wire_server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    BAD_VALUE = 2,
    UNAUTHORIZED = 13,
    CURSOR_NOT_FOUND = 43,
    NOT_IN_SESSION = 50736,     /* made without a session, used in one */
    WITHOUT_SESSION = 50737,    /* made in one, used without */
    IN_OTHER_SESSION = 50738,
    UUID_TEXT = 37,
};

static void cursor_free(wire_cursor_t *cursor)
{
    bson_free(cursor->ns);
    bson_free(cursor);
}

static void remove_at(wire_cursors_t *cursors, size_t i)
{
    cursor_free(cursors->list[i]);
    cursors->list[i] = cursors->list[--cursors->size];
}

void wire_cursors_clear(wire_cursors_t *cursors)
{
    while (cursors->size > 0)
        remove_at(cursors, cursors->size - 1);
    bson_free(cursors->list);
    cursors->list = NULL;
    cursors->room = 0;
}

int64_t wire_cursors_kill_session(wire_cursors_t *cursors, const uint8_t *lsid)
{
    int64_t killed = 0;

    for (size_t i = cursors->size; i > 0; i--) {
        const wire_cursor_t *cursor = cursors->list[i - 1];

        if (cursor->has_lsid && memcmp(cursor->lsid, lsid, 16) == 0) {
            remove_at(cursors, i - 1);
            killed++;
        }
    }
    return killed;
}

/* Its place in the list, or the list's size. */
static size_t find(const wire_cursors_t *cursors, int64_t id)
{
    size_t i;

    for (i = 0; i < cursors->size && cursors->list[i]->id != id; i++)
        continue;
    return i;
}

const wire_cursor_t *wire_cursors_find(const wire_cursors_t *cursors,
                                       int64_t id)
{
    size_t at = find(cursors, id);

    return at == cursors->size ? NULL : cursors->list[at];
}

static wire_cursor_t *keep(wire_server_t *server, const wire_cursor_t *query)
{
    wire_cursors_t *cursors = &server->cursors;
    wire_cursor_t *cursor = bson_malloc0(sizeof *cursor);

    if (cursors->size == cursors->room) {
        cursors->room = cursors->room ? 2 * cursors->room : 16;
        cursors->list = bson_realloc(cursors->list, cursors->room *
                                                        sizeof *cursors->list);
    }
    *cursor = *query;
    cursor->ns = bson_strdup(query->ns);
    /* Never 0, never one that was there, no small number to guess. */
    cursor->id = (int64_t)(++cursors->seed * 0x9e3779b97f4a7c15ULL >> 1) | 1;
    cursors->list[cursors->size++] = cursor;
    server->stats.cursors_total++;
    server->stats.cursors_open++;
    return cursor;
}

/* Append documents from the cursor on as the array `name`; true when there may
 * be more. */
static bool append_batch(wire_cursor_t *cursor, const char *name,
                         int64_t batch, bson_t *out)
{
    int64_t n = 0;
    bson_t array;

    bson_append_array_begin(out, name, -1, &array);
    while (cursor->next < cursor->end && (batch < 0 || n < batch)) {
        char buffer[16];
        const char *key;
        size_t length = bson_uint32_to_string((uint32_t)n, &key, buffer,
                                              sizeof buffer);
        bson_t document;
        bool full;

        wire_content_make(&cursor->content, cursor->next, &document);
        full = n > 0 && array.len + document.len > WIRE_DOCUMENT_MAX;
        if (!full)
            bson_append_document(&array, key, (int)length, &document);
        bson_destroy(&document);
        if (full)
            break;
        cursor->next++;
        n++;
    }
    bson_append_array_end(out, &array);
    if (cursor->feed != WIRE_NO_FEED)
        wire_feed_append_end(cursor, out);
    if (cursor->next < cursor->end || cursor->feed == WIRE_STREAM)
        return true;
    if (cursor->feed == WIRE_TAIL) /* on nothing at all it is dead */
        return cursor->end > 0;
    return !cursor->bounded && batch >= 0 && n == batch;
}

static void append_tail(bson_t *reply, bson_t *cursor, int64_t id,
                        const char *ns)
{
    BSON_APPEND_INT64(cursor, "id", id);
    BSON_APPEND_UTF8(cursor, "ns", ns);
    bson_append_document_end(reply, cursor);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
}

void wire_cursor_reply_first(wire_request_t *request,
                             const wire_cursor_t *query, const char *db,
                             const char *name, int64_t batch, bson_t *reply)
{
    wire_server_t *server = request->connection->server;
    wire_cursor_t cursor = *query;
    char ns[512];
    int64_t id = 0;
    bson_t out;

    snprintf(ns, sizeof ns, "%s.%s", db, name);
    cursor.ns = ns;
    cursor.connection = request->connection->id;
    cursor.has_lsid = request->lsid != NULL;
    if (cursor.has_lsid)
        memcpy(cursor.lsid, request->lsid, sizeof cursor.lsid);
    BSON_APPEND_DOCUMENT_BEGIN(reply, "cursor", &out);
    if (append_batch(&cursor, "firstBatch", batch, &out) &&
        !wire_get_bool(&request->message.body, "singleBatch"))
        id = keep(server, &cursor)->id;
    append_tail(reply, &out, id, ns);
    wire_feed_append_time(request, &cursor, reply);
}

/* ---------------------------------------------------------------- commands */

static const char *uuid_text(const uint8_t *uuid, char *out)
{
    char *at = out;

    for (int i = 0; i < 16; i++)
        at += snprintf(at, 4, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x"
                                                                    : "%02x",
                       uuid[i]);
    return out;
}

/* A cursor serves the session that it was made in, and no other. */
static bool session_agrees(const wire_cursor_t *cursor,
                           const wire_request_t *request, bson_t *reply)
{
    char mine[UUID_TEXT], other[UUID_TEXT];

    if (!cursor->has_lsid && request->lsid == NULL)
        return true;
    if (!cursor->has_lsid) {
        wire_reply_error(reply, NOT_IN_SESSION,
                         "Cannot run getMore on cursor %" PRId64
                         ", which was not created in a session, in session %s",
                         cursor->id, uuid_text(request->lsid, other));
        return false;
    }
    if (request->lsid == NULL) {
        wire_reply_error(reply, WITHOUT_SESSION,
                         "Cannot run getMore on cursor %" PRId64
                         ", which was created in session %s, without an lsid",
                         cursor->id, uuid_text(cursor->lsid, mine));
        return false;
    }
    if (memcmp(cursor->lsid, request->lsid, 16) == 0)
        return true;
    wire_reply_error(reply, IN_OTHER_SESSION,
                     "Cannot run getMore on cursor %" PRId64
                     ", which was created in session %s, in session %s",
                     cursor->id, uuid_text(cursor->lsid, mine),
                     uuid_text(request->lsid, other));
    return false;
}

void wire_cursor_get_more(wire_request_t *request, bson_t *reply)
{
    wire_server_t *server = request->connection->server;
    wire_cursors_t *cursors = &server->cursors;
    const bson_t *body = &request->message.body;
    int64_t id = wire_get_number(body, "getMore", 0);
    int64_t batch = wire_get_number(body, "batchSize", 0);
    size_t at = find(cursors, id);
    wire_cursor_t *cursor;
    char ns[512];
    bson_t out;
    bool more;

    if (batch < 0) {
        wire_reply_error(reply, BAD_VALUE, "batchSize must not be negative");
        return;
    }
    if (at == cursors->size) {
        wire_reply_error(reply, CURSOR_NOT_FOUND,
                         "cursor id %" PRId64 " not found", id);
        return;
    }
    cursor = cursors->list[at];
    snprintf(ns, sizeof ns, "%s.%s", request->db, request->collection);
    if (strcmp(cursor->ns, ns) != 0) {
        wire_reply_error(reply, UNAUTHORIZED,
                         "Requested getMore on namespace '%s', but cursor "
                         "belongs to a different namespace %s",
                         ns, cursor->ns);
        return;
    }
    if (!session_agrees(cursor, request, reply))
        return;
    if (cursor->feed != WIRE_NO_FEED)
        wire_feed_follow(server, cursor);
    BSON_APPEND_DOCUMENT_BEGIN(reply, "cursor", &out);
    more = append_batch(cursor, "nextBatch", batch > 0 ? batch : -1, &out);
    if (!more) {
        remove_at(cursors, at);
        server->stats.cursors_open--;
    }
    append_tail(reply, &out, more ? id : 0, ns);
}

/* Append `id` to the array that has `n` elements already. */
static void append_id(bson_t *array, uint32_t n, int64_t id)
{
    char buffer[16];
    const char *key;
    size_t length = bson_uint32_to_string(n, &key, buffer, sizeof buffer);

    bson_append_int64(array, key, (int)length, id);
}

static void append_array(bson_t *reply, const char *key, bson_t *array)
{
    bson_append_array(reply, key, -1, array);
    bson_destroy(array);
}

void wire_cursor_kill(wire_request_t *request, bson_t *reply)
{
    wire_server_t *server = request->connection->server;
    wire_cursors_t *cursors = &server->cursors;
    bson_t killed = BSON_INITIALIZER;
    bson_t unknown = BSON_INITIALIZER;
    bson_t none = BSON_INITIALIZER;
    uint32_t n_killed = 0;
    uint32_t n_unknown = 0;
    bson_iter_t iter;
    bson_t ids;

    if (!wire_get_document(&request->message.body, "cursors", &ids)) {
        wire_reply_error(reply, BAD_VALUE, "killCursors without cursors");
        return;
    }
    if (bson_iter_init(&iter, &ids)) {
        while (bson_iter_next(&iter)) {
            int64_t id = bson_iter_as_int64(&iter);
            size_t at = find(cursors, id);

            if (at == cursors->size) {
                append_id(&unknown, n_unknown++, id);
                continue;
            }
            remove_at(cursors, at);
            server->stats.cursors_open--;
            append_id(&killed, n_killed++, id);
        }
    }
    append_array(reply, "cursorsKilled", &killed);
    append_array(reply, "cursorsNotFound", &unknown);
    bson_append_array(reply, "cursorsAlive", -1, &none);
    append_array(reply, "cursorsUnknown", &none);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
}
