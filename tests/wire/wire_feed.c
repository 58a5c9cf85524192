/* SPDX-License-Identifier: Apache-2.0 */
/* wire_feed.c - events, as change streams and tailable finds see them: one
 * feed for all of them, numbered from 0; a place in it is a number too. */
#include "tests/wire/wire_feed.h"
#include "tests/wire/wire_server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append_token(bson_t *out, const char *key, int64_t place)
{
    char data[24];
    bson_t token;

    snprintf(data, sizeof data, "%016" PRId64, place);
    BSON_APPEND_DOCUMENT_BEGIN(out, key, &token);
    BSON_APPEND_UTF8(&token, "_data", data);
    bson_append_document_end(out, &token);
}

/* A place is that of the next event. */
static void make_event(int64_t i, bson_t *out, void *arg)
{
    (void)arg;
    append_token(out, "_id", i + 1);
    BSON_APPEND_UTF8(out, "operationType", "insert");
    BSON_APPEND_INT64(out, "n", i);
}

static bool read_token(const bson_t *stage, const char *key, int64_t *place)
{
    bson_iter_t data;
    bson_t token;

    if (!wire_get_document(stage, key, &token) ||
        !bson_iter_init_find(&data, &token, "_data") ||
        !BSON_ITER_HOLDS_UTF8(&data))
        return false;
    *place = strtoll(bson_iter_utf8(&data, NULL), NULL, 10);
    return true;
}

static bool read_time(const bson_t *stage, int64_t *place)
{
    uint32_t seconds, increment;
    bson_iter_t i;

    if (!bson_iter_init_find(&i, stage, "startAtOperationTime") ||
        !BSON_ITER_HOLDS_TIMESTAMP(&i))
        return false;
    bson_iter_timestamp(&i, &seconds, &increment);
    *place = increment;
    return true;
}

void wire_feed_follow(const wire_server_t *server, wire_cursor_t *cursor)
{
    cursor->end = server->n_events;
    if (!cursor->picks)
        return;
    if (cursor->only < cursor->next || cursor->only >= cursor->end) {
        cursor->next = cursor->end;
        return;
    }
    cursor->next = cursor->only;
    cursor->end = cursor->only + 1;
}

/* {$match: {n: ..}} */
static void read_match(const bson_t *pipeline, wire_cursor_t *query)
{
    bson_t stage, match;

    query->picks = wire_get_document(pipeline, "1", &stage) &&
                   wire_get_document(&stage, "$match", &match) &&
                   bson_has_field(&match, "n");
    if (query->picks)
        query->only = wire_get_number(&match, "n", 0);
}

bool wire_feed_opens(const wire_request_t *request, wire_cursor_t *query)
{
    const bson_t *body = &request->message.body;
    wire_server_t *server = request->connection->server;
    bson_t pipeline, first, stage;

    if (wire_get_bool(body, "tailable")) {
        query->feed = WIRE_TAIL;
        query->next = 0;
        query->end = server->n_events;
        query->content.make = NULL;
        return true;
    }
    if (!wire_get_document(body, "pipeline", &pipeline) ||
        !wire_get_document(&pipeline, "0", &first) ||
        !wire_get_document(&first, "$changeStream", &stage))
        return false;
    query->feed = WIRE_STREAM;
    query->next = query->end = server->n_events;
    query->content.make = make_event;
    if (!read_token(&stage, "startAfter", &query->next) &&
        !read_token(&stage, "resumeAfter", &query->next))
        read_time(&stage, &query->next);
    read_match(&pipeline, query);
    wire_feed_follow(server, query);
    return true;
}

int64_t wire_feed_wait_us(const wire_request_t *request)
{
    wire_server_t *server = request->connection->server;
    const bson_t *body = &request->message.body;
    const wire_cursor_t *cursor;
    wire_cursor_t now;

    if (strcmp(request->name, "getMore") != 0)
        return 0;
    cursor = wire_cursors_find(&server->cursors,
                               wire_get_number(body, "getMore", 0));
    if (cursor == NULL || cursor->feed == WIRE_NO_FEED)
        return 0;
    now = *cursor;
    wire_feed_follow(server, &now);
    if (now.next < now.end)
        return 0;
    return wire_get_number(body, "maxTimeMS", 1000) * 1000;
}

void wire_feed_append_end(const wire_cursor_t *cursor, bson_t *out)
{
    if (cursor->feed == WIRE_STREAM)
        append_token(out, "postBatchResumeToken", cursor->next);
}

void wire_feed_append_time(const wire_request_t *request,
                           const wire_cursor_t *cursor, bson_t *reply)
{
    int64_t n = request->connection->server->n_events;

    if (cursor->feed == WIRE_STREAM)
        BSON_APPEND_TIMESTAMP(reply, "operationTime", 1, (uint32_t)n);
}

/* -------------------------------------------------- what the tests may call */

void wire_events(wire_server_t *server, int64_t n)
{
    wire_connection_t *each;

    pthread_mutex_lock(&server->lock);
    server->n_events += n;
    TAILQ_FOREACH(each, &server->connections, link)
    {
        if (each->state != CONNECTION_DELAYED || !each->awaits_events)
            continue;
        wire_timers_remove(&server->timers, &each->timer);
        each->state = CONNECTION_RELEASED; /* it will look again */
        TAILQ_INSERT_TAIL(&server->released, each, queue);
    }
    wire_server_unlock_changed(server);
}
