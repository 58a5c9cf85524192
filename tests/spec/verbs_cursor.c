/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_cursor.c - cursors that outlive an operation.
 *
 * Neither driver sends a find before somebody asks for a document, and the
 * format wants it sent when the cursor is made: it is asked for one, which is
 * kept for the first iteration (entity->value). */
#include <string.h>

#include "tests/spec/operation.h"
#include "tests/spec/value.h"

static bool raw_error(call_t *call, mongoc_cursor_t *cursor)
{
    const bson_t *reply;
    bson_error_t error;

    if (!mongoc_cursor_error_document(cursor, &error, &reply))
        return false;
    if (reply != NULL) {
        bson_destroy(&call->result->reply);
        bson_copy_to(reply, &call->result->reply);
    }
    return call_fail(call, &error);
}

static void prime(entity_t *cursor, const bson_t *document)
{
    cursor->has_value = document != NULL;
    if (document != NULL)
        bson_append_document(&cursor->value, "v", -1, document);
}

/* The kept document becomes the result; false: there is none. */
static bool take_primed(call_t *call)
{
    bson_iter_t at;

    if (!call->object->has_value)
        return false;
    call->object->has_value = false;
    value_find(&call->object->value, "v", &at);
    result_set(call->result, &at);
    return true;
}

/* ---- raw ------------------------------------------------------------- */

/* Takes `cursor`. */
static bool raw_open(call_t *call, mongoc_cursor_t *cursor)
{
    entity_t *entity = entity_new(ENTITY_CURSOR, call->object->client);
    const bson_t *document = NULL;

    entity->raw.cursor = cursor;
    call->result->made = entity;
    if (!mongoc_cursor_next(cursor, &document) && raw_error(call, cursor))
        return true;
    prime(entity, document);
    return true;
}

static bool raw_create_find(call_t *call)
{
    bson_t filter;

    call_view(call, "filter", &filter);
    return raw_open(call, mongoc_collection_find_with_opts(
                              call->object->raw.collection, &filter,
                              &call->opts, call->prefs));
}

/* What is said of later batches, not of the command. */
static void append_later(const call_t *call, bson_t *opts)
{
    const char *type = value_utf8(&call->arguments, "cursorType", "");
    bson_iter_t at;

    if (value_find(&call->arguments, "batchSize", &at))
        value_put(opts, "batchSize", &at);
    if (value_find(&call->arguments, "maxTimeMS", &at)) {
        value_put(opts, "maxAwaitTimeMS", &at);
        bson_append_bool(opts, "awaitData", -1, true);
    }
    if (value_find(&call->arguments, "comment", &at))
        value_put(opts, "comment", &at);
    if (strncmp(type, "tailable", 8) == 0 ||
        value_has(&call->arguments, "maxTimeMS"))
        bson_append_bool(opts, "tailable", -1, true);
}

static void reply_opts(const call_t *call, uint32_t server_id, bson_t *opts)
{
    bson_error_t error;

    bson_init(opts);
    bson_append_int64(opts, "serverId", -1, server_id);
    append_later(call, opts);
    if (call->session != NULL)
        mongoc_client_session_append(call->session->raw.session, opts,
                                     &error);
}

/* NULL: the command has failed. */
static mongoc_cursor_t *raw_command_cursor(call_t *call)
{
    mongoc_client_t *client = call->object->client->raw.client;
    mongoc_server_description_t *server;
    bson_t command, opts, reply;
    mongoc_cursor_t *cursor = NULL;
    bson_error_t error;
    uint32_t id;

    call_view(call, "command", &command);
    server = mongoc_client_select_server(client, false, call->prefs, &error);
    if (server == NULL) {
        call_fail(call, &error);
        return NULL;
    }
    id = mongoc_server_description_id(server);
    mongoc_server_description_destroy(server);
    bson_append_int64(&call->opts, "serverId", -1, id);
    if (mongoc_client_read_command_with_opts(
            client, call->object->name, &command, call->prefs, &call->opts,
            &reply, &error)) {
        reply_opts(call, id, &opts);
        cursor = mongoc_cursor_new_from_command_reply_with_opts(client, &reply,
                                                                &opts);
        bson_destroy(&opts);
        return cursor; /* has `reply` */
    }
    bson_destroy(&call->result->reply);
    bson_copy_to(&reply, &call->result->reply);
    bson_destroy(&reply);
    call_fail(call, &error);
    return NULL;
}

static bool raw_run_cursor(call_t *call)
{
    mongoc_cursor_t *cursor = raw_command_cursor(call);

    return cursor == NULL || call_drain_raw(call, cursor);
}

static bool raw_create_command(call_t *call)
{
    mongoc_cursor_t *cursor = raw_command_cursor(call);

    return cursor == NULL || raw_open(call, cursor);
}

static bool raw_once(call_t *call)
{
    mongoc_cursor_t *cursor = call->object->raw.cursor;
    const bson_t *document;

    if (cursor == NULL)
        return verdict_fail(call->run->verdict, "the cursor was closed");
    if (take_primed(call))
        return true;
    if (mongoc_cursor_next(cursor, &document))
        result_set_document(call->result, document);
    else
        raw_error(call, cursor);
    return true;
}

static bool raw_until(call_t *call)
{
    mongoc_cursor_t *cursor = call->object->raw.cursor;

    if (!raw_once(call))
        return false;
    while (bson_empty(&call->result->value) && !call->result->failed &&
           mongoc_cursor_more(cursor))
        raw_once(call);
    return true;
}

static bool raw_close(call_t *call)
{
    if (call->object->raw.cursor != NULL)
        mongoc_cursor_destroy(call->object->raw.cursor);
    call->object->raw.cursor = NULL;
    return true;
}

/* ---- Stator ---------------------------------------------------------- */

/* Takes `cursor`. */
static bool open_(call_t *call, stator_cursor_t *cursor)
{
    entity_t *entity = entity_new(ENTITY_CURSOR, call->object->client);
    stator_future_t *future;

    call->result->made = entity;
    entity->stator.cursor = cursor;
    future = stator_cursor_next(cursor);
    if (!call_settle(call, future))
        return false;
    prime(entity, stator_future_document(future));
    stator_future_unref(future);
    return true;
}

static bool create_find(call_t *call)
{
    bson_t filter;

    call_view(call, "filter", &filter);
    return open_(call, stator_collection_find(call->object->stator.collection,
                                              &filter, &call->opts));
}

static stator_cursor_t *command_cursor(call_t *call)
{
    bson_t command;

    call_view(call, "command", &command);
    append_later(call, &call->opts);
    return stator_database_run_cursor_command(call->object->stator.database,
                                              &command, &call->opts);
}

static bool run_cursor(call_t *call)
{
    return call_drain(call, command_cursor(call));
}

static bool create_command(call_t *call)
{
    return open_(call, command_cursor(call));
}

static bool once(call_t *call)
{
    const bson_t *document;
    stator_future_t *future;

    if (call->object->stator.cursor == NULL)
        return verdict_fail(call->run->verdict, "the cursor was closed");
    if (take_primed(call))
        return true;
    future = stator_cursor_next(call->object->stator.cursor);
    if (!call_settle(call, future))
        return false;
    document = stator_future_document(future);
    if (document != NULL)
        result_set_document(call->result, document);
    stator_future_unref(future);
    return true;
}

static bool close_(call_t *call)
{
    stator_cursor_t *cursor = call->object->stator.cursor;
    stator_future_t *future;

    if (cursor == NULL)
        return true;
    call->object->stator.cursor = NULL;
    future = stator_cursor_close(cursor);
    stator_cursor_unref(cursor);
    return call_settle_close(call, future);
}

#define COMMAND                                                                \
    "!command commandName batchSize comment cursorType maxTimeMS | "           \
    "readPreference session"
const verb_t cursor_verbs[] = {
    {"createFindCursor", ENTITY_COLLECTION,
     "!filter | allowDiskUse batchSize collation comment cursorType hint let "
     "limit max maxTimeMS min projection readPreference session skip sort",
     raw_create_find, create_find, NULL, MATCH_ROOT},
    {"runCursorCommand", ENTITY_DATABASE, COMMAND, raw_run_cursor, run_cursor, NULL,
     MATCH_ROOT_LIST},
    {"createCommandCursor", ENTITY_DATABASE, COMMAND, raw_create_command,
     create_command, NULL, MATCH_ROOT},
    {"iterateOnce", ENTITY_CURSOR, "", raw_once, once, NULL, MATCH_ROOT},
    {"iterateUntilDocumentOrError", ENTITY_CURSOR, "", raw_until, once, NULL,
     MATCH_ROOT},
    {"close", ENTITY_CURSOR, "", raw_close, close_, NULL, MATCH_ROOT},
    {.name = "close",
     .on = ENTITY_CLIENT,
     .lacks = "a client of libmongoc ends when it is destroyed"},
    {.name = "appendMetadata",
     .on = ENTITY_CLIENT,
     .lacks = "libmongoc 1.23 fixes its metadata at the start"},
    {0}};
