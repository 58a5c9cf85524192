/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_stream.c - change streams. */
#include "tests/spec/await.h"
#include "tests/spec/operation.h"
#include "tests/spec/value.h"

enum { PATIENCE_S = 90 }; /* for an event that must come */

/* ---- raw ------------------------------------------------------------- */

/* Takes `stream`. */
static bool raw_open_stream(call_t *call, mongoc_change_stream_t *stream)
{
    entity_t *entity = entity_new(ENTITY_STREAM, call->object->client);
    const bson_t *reply;
    bson_error_t error;

    entity->raw.stream = stream;
    call->result->made = entity;
    if (mongoc_change_stream_error_document(stream, &error, &reply)) {
        bson_destroy(&call->result->reply);
        bson_copy_to(reply, &call->result->reply);
        call_fail(call, &error);
    }
    return true;
}

static bool raw_watch_client(call_t *call)
{
    bson_t pipeline;

    call_view(call, "pipeline", &pipeline);
    return raw_open_stream(call,
                           mongoc_client_watch(call->object->raw.client,
                                               &pipeline, &call->opts));
}

static bool raw_watch_database(call_t *call)
{
    bson_t pipeline;

    call_view(call, "pipeline", &pipeline);
    return raw_open_stream(call,
                           mongoc_database_watch(call->object->raw.database,
                                                 &pipeline, &call->opts));
}

static bool raw_watch_collection(call_t *call)
{
    bson_t pipeline;

    call_view(call, "pipeline", &pipeline);
    return raw_open_stream(
        call, mongoc_collection_watch(call->object->raw.collection, &pipeline,
                                      &call->opts));
}

static bool raw_stream_once(call_t *call)
{
    mongoc_change_stream_t *stream = call->object->raw.stream;
    const bson_t *document, *reply;
    bson_error_t error;

    if (stream == NULL)
        return verdict_fail(call->run->verdict, "the stream was closed");
    if (mongoc_change_stream_next(stream, &document)) {
        result_set_document(call->result, document);
    } else if (mongoc_change_stream_error_document(stream, &error, &reply)) {
        bson_destroy(&call->result->reply);
        bson_copy_to(reply, &call->result->reply);
        call_fail(call, &error);
    }
    return true;
}

/* A turn ends with nothing when the server has nothing new for a while. */
static bool raw_stream_until(call_t *call)
{
    int64_t end = bson_get_monotonic_time() + PATIENCE_S * 1000000LL;

    if (!raw_stream_once(call))
        return false;
    while (bson_empty(&call->result->value) && !call->result->failed) {
        if (bson_get_monotonic_time() > end)
            return verdict_fail(call->run->verdict, "no event in %d s",
                                PATIENCE_S);
        raw_stream_once(call);
    }
    return true;
}

static bool raw_stream_close(call_t *call)
{
    if (call->object->raw.stream != NULL)
        mongoc_change_stream_destroy(call->object->raw.stream);
    call->object->raw.stream = NULL;
    return true;
}

/* ---- Stator ---------------------------------------------------------- */

/* Takes `stream`. */
static bool open_(call_t *call, stator_change_stream_t *stream)
{
    entity_t *entity = entity_new(ENTITY_STREAM, call->object->client);
    stator_future_t *future;

    entity->stator.stream = stream;
    call->result->made = entity;
    future = stator_change_stream_open(stream);
    if (!call_settle(call, future))
        return false;
    stator_future_unref(future);
    return true;
}

static bool watch_client(call_t *call)
{
    bson_t pipeline;

    call_view(call, "pipeline", &pipeline);
    return open_(call, stator_client_watch(call->object->stator.client,
                                           &pipeline, &call->opts));
}

static bool watch_database(call_t *call)
{
    bson_t pipeline;

    call_view(call, "pipeline", &pipeline);
    return open_(call, stator_database_watch(call->object->stator.database,
                                             &pipeline, &call->opts));
}

static bool watch_collection(call_t *call)
{
    bson_t pipeline;

    call_view(call, "pipeline", &pipeline);
    return open_(call,
                 stator_collection_watch(call->object->stator.collection,
                                         &pipeline, &call->opts));
}

static bool is_open(const call_t *call)
{
    return call->object->stator.stream != NULL ||
           verdict_fail(call->run->verdict, "the stream was closed");
}

/* Takes `future`. */
static bool take_event(call_t *call, stator_future_t *future,
                       wait_mode_t mode)
{
    const bson_t *document;

    if (!call_settle_by(call, future, mode))
        return false;
    document = stator_future_document(future);
    if (document != NULL)
        result_set_document(call->result, document);
    stator_future_unref(future);
    return true;
}

static bool once(call_t *call)
{
    wait_mode_t mode = await_mode(call->run->setup->mode, &call->run->turn);
    stator_change_stream_t *stream = call->object->stator.stream;

    return is_open(call) &&
           take_event(call, stator_change_stream_try_next(stream), mode);
}

/* Turn by turn, until there is something. */
static bool until_by_turns(call_t *call, wait_mode_t mode)
{
    int64_t end = bson_get_monotonic_time() + PATIENCE_S * 1000000LL;

    do {
        if (bson_get_monotonic_time() > end)
            return verdict_fail(call->run->verdict, "no event in %d s",
                                PATIENCE_S);
        if (!take_event(
                call,
                stator_change_stream_try_next(call->object->stator.stream),
                mode))
            return false;
    } while (bson_empty(&call->result->value) && !call->result->failed);
    return true;
}

static bool take_one(const bson_t *document, void *arg)
{
    call_t *call = arg;

    result_set_document(call->result, document);
    return false;
}

/* Each way of waiting goes another way to the event. */
static bool until(call_t *call)
{
    wait_mode_t mode = await_mode(call->run->setup->mode, &call->run->turn);
    stator_change_stream_t *stream = call->object->stator.stream;
    stator_future_t *future;

    if (!is_open(call))
        return false;
    if (mode == MODE_POLL)
        return until_by_turns(call, mode);
    if (mode != MODE_THEN)
        return take_event(call, stator_change_stream_next(stream), mode);
    future = stator_change_stream_each(stream, call->run->setup->dispatcher,
                                       take_one, call);
    if (!call_settle_by(call, future, mode))
        return false;
    stator_future_unref(future);
    return true;
}

static bool close_(call_t *call)
{
    stator_change_stream_t *stream = call->object->stator.stream;
    stator_future_t *future;

    if (stream == NULL)
        return true;
    call->object->stator.stream = NULL;
    future = stator_change_stream_close(stream);
    stator_change_stream_unref(stream);
    return call_settle_close(call, future);
}

#define STREAM                                                                 \
    "!pipeline | batchSize collation comment fullDocument "                    \
    "fullDocumentBeforeChange maxAwaitTimeMS readPreference resumeAfter "      \
    "session showExpandedEvents startAfter startAtOperationTime"

const verb_t stream_verbs[] = {
    {"createChangeStream", ENTITY_CLIENT, STREAM, raw_watch_client,
     watch_client, NULL, MATCH_ROOT},
    {"createChangeStream", ENTITY_DATABASE, STREAM, raw_watch_database,
     watch_database, NULL, MATCH_ROOT},
    {"createChangeStream", ENTITY_COLLECTION, STREAM, raw_watch_collection,
     watch_collection, NULL, MATCH_ROOT},
    {"iterateOnce", ENTITY_STREAM, "", raw_stream_once, once, NULL,
     MATCH_ROOT},
    {"iterateUntilDocumentOrError", ENTITY_STREAM, "", raw_stream_until, until,
     NULL, MATCH_ROOT},
    {"close", ENTITY_STREAM, "", raw_stream_close, close_, NULL, MATCH_ROOT},
    {0}};
