/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_read.c - find, aggregate, count, distinct. */
#include "tests/spec/operation.h"
#include "tests/spec/value.h"

#define FIND_OPTIONS                                                           \
    "| allowDiskUse allowPartialResults batchSize collation comment hint "     \
    "let limit max maxTimeMS min noCursorTimeout oplogReplay projection "      \
    "rawData readConcern readPreference returnKey session showRecordId skip "  \
    "snapshot sort"

#define AGGREGATE_OPTIONS                                                      \
    "| allowDiskUse batchSize bypassDocumentValidation collation comment "     \
    "hint let maxTimeMS rawData readConcern readPreference session "           \
    "writeConcern"

/* ---- find ------------------------------------------------------------ */

static mongoc_cursor_t *find_raw(call_t *call)
{
    bson_t filter;

    call_view(call, "filter", &filter);
    return mongoc_collection_find_with_opts(call->object->raw.collection,
                                            &filter, &call->opts,
                                            call->prefs);
}

static bool raw_find(call_t *call)
{
    return call_drain_raw(call, find_raw(call));
}

static bool find(call_t *call)
{
    bson_t filter;

    call_view(call, "filter", &filter);
    return call_drain(call,
                      stator_collection_find(call->object->stator.collection,
                                             &filter, &call->opts));
}

static bool raw_find_one(call_t *call)
{
    bson_t first;
    bson_t all = BSON_INITIALIZER;
    bson_iter_t at;

    bson_append_int32(&call->opts, "limit", -1, 1);
    bson_append_bool(&call->opts, "singleBatch", -1, true);
    call_drain_raw(call, find_raw(call));
    value_view(&call->result->value, "v", &first);
    bson_copy_to(&first, &all);
    if (!call->result->failed) {
        if (value_find(&all, "0", &at))
            result_set(call->result, &at);
        else
            result_set_document(call->result, NULL);
    }
    bson_destroy(&all);
    return true;
}

static bool find_one(call_t *call)
{
    stator_future_t *future;
    bson_t filter;

    call_view(call, "filter", &filter);
    future = stator_collection_find_one(call->object->stator.collection,
                                        &filter, &call->opts);
    if (!call_settle(call, future))
        return false;
    result_set_document(call->result, stator_future_document(future));
    stator_future_unref(future);
    return true;
}

/* ---- aggregate ------------------------------------------------------- */

static bool raw_aggregate(call_t *call)
{
    bson_t pipeline;

    call_view(call, "pipeline", &pipeline);
    return call_drain_raw(
        call, mongoc_collection_aggregate(call->object->raw.collection,
                                          MONGOC_QUERY_NONE, &pipeline,
                                          &call->opts, call->prefs));
}

/* libbson knows an array from a document only by where it stands. */
static void wrap(const bson_t *pipeline, bson_t *wrapped)
{
    bson_init(wrapped);
    bson_append_array(wrapped, "pipeline", -1, pipeline);
}

static bool aggregate(call_t *call)
{
    bson_t pipeline, wrapped;
    stator_cursor_t *cursor;

    call_view(call, "pipeline", &pipeline);
    wrap(&pipeline, &wrapped);
    cursor = stator_collection_aggregate(call->object->stator.collection,
                                         &wrapped, &call->opts);
    bson_destroy(&wrapped);
    return call_drain(call, cursor);
}

static bool raw_aggregate_database(call_t *call)
{
    bson_t pipeline;

    call_view(call, "pipeline", &pipeline);
    return call_drain_raw(
        call, mongoc_database_aggregate(call->object->raw.database, &pipeline,
                                        &call->opts, call->prefs));
}

static bool aggregate_database(call_t *call)
{
    bson_t pipeline, wrapped;
    stator_cursor_t *cursor;

    call_view(call, "pipeline", &pipeline);
    wrap(&pipeline, &wrapped);
    cursor = stator_database_aggregate(call->object->stator.database,
                                       &wrapped, &call->opts);
    bson_destroy(&wrapped);
    return call_drain(call, cursor);
}

/* ---- counts ---------------------------------------------------------- */

static bool take_count(call_t *call, int64_t count, const bson_error_t *error)
{
    if (count < 0)
        return call_fail(call, error);
    result_set_int(call->result, count);
    return true;
}

static bool raw_count_documents(call_t *call)
{
    bson_error_t error;
    bson_t filter;
    int64_t count;

    call_view(call, "filter", &filter);
    bson_destroy(&call->result->reply);
    count = mongoc_collection_count_documents(
        call->object->raw.collection, &filter, &call->opts, call->prefs,
        &call->result->reply, &error);
    return take_count(call, count, &error);
}

static bool raw_estimated_count(call_t *call)
{
    bson_error_t error;
    int64_t count;

    bson_destroy(&call->result->reply);
    count = mongoc_collection_estimated_document_count(
        call->object->raw.collection, &call->opts, call->prefs,
        &call->result->reply, &error);
    return take_count(call, count, &error);
}

static bool settle_count(call_t *call, stator_future_t *future)
{
    if (!call_settle(call, future))
        return false;
    if (!call->result->failed)
        result_set_int(call->result, stator_future_count(future));
    stator_future_unref(future);
    return true;
}

static bool count_documents(call_t *call)
{
    bson_t filter;

    call_view(call, "filter", &filter);
    return settle_count(call, stator_collection_count_documents(
                                  call->object->stator.collection, &filter,
                                  &call->opts));
}

static bool estimated_count(call_t *call)
{
    return settle_count(call, stator_collection_estimated_document_count(
                                  call->object->stator.collection,
                                  &call->opts));
}

/* ---- distinct -------------------------------------------------------- */

static bool take_values(call_t *call)
{
    bson_iter_t at;

    if (!call->result->failed &&
        value_find(&call->result->reply, "values", &at))
        result_set(call->result, &at);
    return true;
}

static bool raw_distinct(call_t *call)
{
    entity_t *collection = call->object;
    bson_t command = BSON_INITIALIZER, filter;
    bson_error_t error;

    bson_append_utf8(&command, "distinct", -1, collection->name, -1);
    bson_append_utf8(&command, "key", -1,
                     value_utf8(&call->arguments, "fieldName", ""), -1);
    call_view(call, "filter", &filter);
    bson_append_document(&command, "query", -1, &filter);
    bson_destroy(&call->result->reply);
    if (!mongoc_collection_read_command_with_opts(
            collection->raw.collection, &command, call->prefs, &call->opts,
            &call->result->reply, &error))
        call_fail(call, &error);
    bson_destroy(&command);
    return take_values(call);
}

static bool distinct(call_t *call)
{
    stator_future_t *future;
    bson_t filter;

    call_view(call, "filter", &filter);
    future = stator_collection_distinct(
        call->object->stator.collection,
        value_utf8(&call->arguments, "fieldName", ""), &filter, &call->opts);
    if (!call_settle(call, future))
        return false;
    stator_future_unref(future);
    return take_values(call);
}

/* ---- helpers that other drivers have: their commands here ------------ */

/* {verb: collection, ..} */
static void begin_command(const call_t *call, bson_t *command)
{
    bson_init(command);
    bson_append_utf8(command, call->verb->name, -1, call->object->name, -1);
}

static void make_count(const call_t *call, bson_t *command)
{
    bson_t filter;

    begin_command(call, command);
    call_view(call, "filter", &filter);
    bson_append_document(command, "query", -1, &filter);
}

static bool take_n(call_t *call)
{
    bson_iter_t at;

    if (!call->result->failed && value_find(&call->result->reply, "n", &at))
        result_set(call->result, &at);
    return true;
}

static bool raw_count(call_t *call)
{
    bson_error_t error;
    bson_t command;

    make_count(call, &command);
    bson_destroy(&call->result->reply);
    if (!mongoc_collection_read_command_with_opts(
            call->object->raw.collection, &command, call->prefs, &call->opts,
            &call->result->reply, &error))
        call_fail(call, &error);
    bson_destroy(&command);
    return take_n(call);
}

static bool count(call_t *call)
{
    stator_future_t *future;
    bson_t command;

    make_count(call, &command);
    future = stator_collection_read_command(call->object->stator.collection,
                                            &command, &call->opts);
    bson_destroy(&command);
    if (!call_settle(call, future))
        return false;
    stator_future_unref(future);
    return take_n(call);
}

static void make_map_reduce(const call_t *call, bson_t *command)
{
    static const char *const keys[] = {"map", "reduce", "out"};
    bson_iter_t at;
    size_t i;

    begin_command(call, command);
    for (i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (value_find(&call->arguments, keys[i], &at))
            value_put(command, keys[i], &at);
}

static bool take_results(call_t *call)
{
    bson_iter_t at;

    if (!call->result->failed &&
        value_find(&call->result->reply, "results", &at))
        result_set(call->result, &at);
    return true;
}

static bool raw_map_reduce(call_t *call)
{
    bson_error_t error;
    bson_t command;

    make_map_reduce(call, &command);
    bson_destroy(&call->result->reply);
    if (!mongoc_collection_command_with_opts(
            call->object->raw.collection, &command, call->prefs, &call->opts,
            &call->result->reply, &error))
        call_fail(call, &error);
    bson_destroy(&command);
    return take_results(call);
}

static bool map_reduce(call_t *call)
{
    stator_future_t *future;
    bson_t command;

    make_map_reduce(call, &command);
    future = stator_collection_command(call->object->stator.collection,
                                       &command, &call->opts);
    bson_destroy(&command);
    if (!call_settle(call, future))
        return false;
    stator_future_unref(future);
    return take_results(call);
}

const verb_t read_verbs[] = {
    {"find", ENTITY_COLLECTION, "!filter " FIND_OPTIONS, raw_find, find, NULL,
     MATCH_ROOT_LIST},
    {"findOne", ENTITY_COLLECTION, "!filter " FIND_OPTIONS, raw_find_one,
     find_one, NULL, MATCH_ROOT},
    {"aggregate", ENTITY_COLLECTION, "!pipeline " AGGREGATE_OPTIONS,
     raw_aggregate, aggregate, NULL, MATCH_ROOT_LIST},
    {"aggregate", ENTITY_DATABASE, "!pipeline " AGGREGATE_OPTIONS,
     raw_aggregate_database, aggregate_database, NULL, MATCH_ROOT_LIST},
    {"countDocuments", ENTITY_COLLECTION,
     "!filter | collation comment hint limit maxTimeMS rawData readConcern "
     "readPreference session skip",
     raw_count_documents, count_documents, NULL, MATCH_ROOT},
    {"estimatedDocumentCount", ENTITY_COLLECTION,
     "| comment maxTimeMS rawData readConcern readPreference session",
     raw_estimated_count, estimated_count, NULL, MATCH_ROOT},
    {"distinct", ENTITY_COLLECTION,
     "!fieldName !filter | collation comment hint maxTimeMS rawData "
     "readConcern readPreference session",
     raw_distinct, distinct, NULL, MATCH_ROOT},
    {"count", ENTITY_COLLECTION,
     "!filter | collation comment hint limit maxTimeMS rawData readConcern "
     "readPreference session skip",
     raw_count, count, NULL, MATCH_ROOT},
    {"mapReduce", ENTITY_COLLECTION,
     "!map !reduce !out | collation comment limit maxTimeMS query "
     "readPreference session sort writeConcern",
     raw_map_reduce, map_reduce, NULL, MATCH_ROOT_LIST},
    {0}};
