/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_index.c - indexes. */
#include <string.h>

#include "tests/spec/operation.h"
#include "tests/spec/value.h"

static bool settle(call_t *call, stator_future_t *future)
{
    if (!call_settle(call, future))
        return false;
    stator_future_unref(future);
    return true;
}

static const char *name_of(const call_t *call)
{
    return value_utf8(&call->arguments, "name", "");
}

/* ---- indexes --------------------------------------------------------- */

/* What of the arguments is the command's, and not the index's. */
static void split_index(const call_t *call, bson_t *model, bson_t *opts)
{
    bson_t keys, rest = BSON_INITIALIZER;
    const char *name = value_utf8(&call->arguments, "name", NULL);
    char *made = NULL;

    call_view(call, "keys", &keys);
    bson_init(model);
    bson_init(opts);
    bson_append_document(model, "key", -1, &keys);
    if (name == NULL)
        name = made = mongoc_collection_keys_to_index_string(&keys);
    bson_append_utf8(model, "name", -1, name, -1);
    bson_copy_to_excluding_noinit(&call->opts, &rest, "commitQuorum",
                                  "maxTimeMS", "comment", "rawData",
                                  "sessionId", "writeConcern", NULL);
    bson_concat(model, &rest);
    bson_copy_to_excluding_noinit(&call->opts, opts, "unique", "sparse",
                                  "collation", "expireAfterSeconds",
                                  "partialFilterExpression", "hidden",
                                  "bucketSize", "wildcardProjection", NULL);
    bson_free(made);
    bson_destroy(&rest);
}

static bool raw_create_index(call_t *call)
{
    bson_t model, opts, command, list = BSON_INITIALIZER;
    bson_error_t error;
    uint32_t n = 0;

    split_index(call, &model, &opts);
    bson_init(&command);
    bson_append_utf8(&command, "createIndexes", -1, call->object->name, -1);
    value_push(&list, &n, &model);
    bson_append_array(&command, "indexes", -1, &list);
    bson_destroy(&call->result->reply);
    if (!mongoc_collection_write_command_with_opts(
            call->object->raw.collection, &command, &opts,
            &call->result->reply, &error))
        call_fail(call, &error);
    else
        result_set_utf8(call->result, value_utf8(&model, "name", ""));
    bson_destroy(&list);
    bson_destroy(&command);
    bson_destroy(&model);
    bson_destroy(&opts);
    return true;
}

static bool create_index(call_t *call)
{
    stator_future_t *future;
    bson_t model, opts, names;

    split_index(call, &model, &opts);
    future = stator_collection_create_index(call->object->stator.collection,
                                            &model, &opts);
    bson_destroy(&model);
    bson_destroy(&opts);
    if (!settle(call, future))
        return false;
    if (!call->result->failed) {
        value_view(&call->result->reply, "names", &names);
        result_set_utf8(call->result, value_utf8(&names, "0", ""));
    }
    return true;
}

static bool raw_drop_index(call_t *call)
{
    bson_error_t error;

    if (!mongoc_collection_drop_index_with_opts(call->object->raw.collection,
                                                name_of(call),
                                                &call->opts, &error))
        call_fail(call, &error);
    return true;
}

static bool drop_index(call_t *call)
{
    return settle(call, stator_collection_drop_index(
                            call->object->stator.collection,
                            name_of(call), &call->opts));
}

static bool raw_drop_indexes(call_t *call)
{
    bson_error_t error;

    if (!mongoc_collection_drop_index_with_opts(
            call->object->raw.collection, "*", &call->opts, &error))
        call_fail(call, &error);
    return true;
}

static bool drop_indexes(call_t *call)
{
    return settle(call,
                  stator_collection_drop_indexes(
                      call->object->stator.collection, &call->opts));
}

static bool raw_list_indexes(call_t *call)
{
    return call_drain_raw(call,
                          mongoc_collection_find_indexes_with_opts(
                              call->object->raw.collection, &call->opts));
}

static bool list_indexes(call_t *call)
{
    return call_drain(call, stator_collection_list_indexes(
                                call->object->stator.collection,
                                &call->opts));
}

/* The documents that came, as their names. */
static bool only_names(call_t *call)
{
    bson_t list, one, names = BSON_INITIALIZER;
    bson_iter_t at, name;

    value_view(&call->result->value, "v", &list);
    bson_iter_init(&at, &list);
    while (bson_iter_next(&at))
        if (value_look(&at, &one) && value_find(&one, "name", &name))
            value_put(&names, bson_iter_key(&at), &name);
    result_set_array(call->result, &names);
    bson_destroy(&names);
    return true;
}

static bool raw_list_index_names(call_t *call)
{
    return raw_list_indexes(call) && only_names(call);
}

static bool list_index_names(call_t *call)
{
    return list_indexes(call) && only_names(call);
}

/* ---- search indexes: the driver has but their commands --------------- */

/* Takes `command`. */
static bool raw_search(call_t *call, bson_t *command)
{
    bson_error_t error;

    bson_destroy(&call->result->reply);
    if (!mongoc_collection_command_with_opts(
            call->object->raw.collection, command, NULL, &call->opts,
            &call->result->reply, &error))
        call_fail(call, &error);
    bson_destroy(command);
    return true;
}

/* Its models: those of createSearchIndexes, or the one. */
static void search_models(const call_t *call, bson_t *list)
{
    bson_t model;
    uint32_t n = 0;

    if (call_view(call, "models", &model)) {
        bson_copy_to(&model, list);
        return;
    }
    bson_init(list);
    call_view(call, "model", &model);
    value_push(list, &n, &model);
}

/* [{id, name}, ..] or ["name", ..]: of the names, all or the only one. */
static void take_search_names(call_t *call, const char *path)
{
    bson_t names = BSON_INITIALIZER, list, one;
    bson_iter_t at, name;

    if (call->result->failed ||
        !value_view(&call->result->reply, path, &list) ||
        !bson_iter_init(&at, &list))
        return;
    while (bson_iter_next(&at))
        if (BSON_ITER_HOLDS_UTF8(&at))
            value_put(&names, bson_iter_key(&at), &at);
        else if (value_look(&at, &one) && value_find(&one, "name", &name))
            value_put(&names, bson_iter_key(&at), &name);
    if (strcmp(call->verb->name, "createSearchIndex") != 0)
        result_set_array(call->result, &names);
    else if (value_find(&names, "0", &at))
        result_set(call->result, &at);
    bson_destroy(&names);
}

static bool raw_create_search(call_t *call)
{
    bson_t command = BSON_INITIALIZER, list;

    search_models(call, &list);
    bson_append_utf8(&command, "createSearchIndexes", -1, call->object->name,
                     -1);
    bson_append_array(&command, "indexes", -1, &list);
    bson_destroy(&list);
    raw_search(call, &command);
    take_search_names(call, "indexesCreated");
    return true;
}

static bool create_search(call_t *call)
{
    enum { MOST = 16 };
    const bson_t *models[MOST];
    bson_t list, views[MOST];
    stator_future_t *future;
    bson_iter_t at;
    size_t n = 0;

    search_models(call, &list);
    bson_iter_init(&at, &list);
    for (; n < MOST && bson_iter_next(&at); n++) {
        value_look(&at, &views[n]);
        models[n] = &views[n];
    }
    future = stator_collection_create_search_indexes(
        call->object->stator.collection, models, n, &call->opts);
    bson_destroy(&list);
    if (!settle(call, future))
        return false;
    take_search_names(call, "names");
    return true;
}

static bool raw_update_search(call_t *call)
{
    bson_t command = BSON_INITIALIZER, definition;

    call_view(call, "definition", &definition);
    bson_append_utf8(&command, "updateSearchIndex", -1, call->object->name,
                     -1);
    bson_append_utf8(&command, "name", -1, name_of(call), -1);
    bson_append_document(&command, "definition", -1, &definition);
    return raw_search(call, &command);
}

static bool update_search(call_t *call)
{
    bson_t definition;

    call_view(call, "definition", &definition);
    return settle(call, stator_collection_update_search_index(
                            call->object->stator.collection, name_of(call),
                            &definition, &call->opts));
}

static bool raw_drop_search(call_t *call)
{
    bson_t command = BSON_INITIALIZER;

    bson_append_utf8(&command, "dropSearchIndex", -1, call->object->name, -1);
    bson_append_utf8(&command, "name", -1, name_of(call), -1);
    raw_search(call, &command);
    if (call->result->failed && call->result->error.code == 26)
        call->result->failed = false; /* no such collection: none to drop */
    return true;
}

static bool drop_search(call_t *call)
{
    return settle(call, stator_collection_drop_search_index(
                            call->object->stator.collection, name_of(call),
                            &call->opts));
}

/* {aggregationOptions: {..}} stands for the options. */
static void spread_options(call_t *call)
{
    bson_t options;

    if (value_view(&call->arguments, "aggregationOptions", &options))
        bson_concat(&call->opts, &options);
}

static bool raw_list_search(call_t *call)
{
    mongoc_collection_t *plain =
        mongoc_collection_copy(call->object->raw.collection);
    mongoc_read_concern_t *none = mongoc_read_concern_new();
    bson_t pipeline = BSON_INITIALIZER, stage, of;
    bool fine;

    mongoc_collection_set_read_concern(plain, none);
    spread_options(call);
    bson_append_document_begin(&pipeline, "0", 1, &stage);
    bson_append_document_begin(&stage, "$listSearchIndexes", -1, &of);
    if (value_has(&call->arguments, "name"))
        bson_append_utf8(&of, "name", -1, name_of(call), -1);
    bson_append_document_end(&stage, &of);
    bson_append_document_end(&pipeline, &stage);
    fine = call_drain_raw(call, mongoc_collection_aggregate(
                                    plain, MONGOC_QUERY_NONE, &pipeline,
                                    &call->opts, NULL));
    bson_destroy(&pipeline);
    mongoc_read_concern_destroy(none);
    mongoc_collection_destroy(plain);
    return fine;
}

static bool list_search(call_t *call)
{
    spread_options(call);
    return call_drain(call, stator_collection_list_search_indexes(
                                call->object->stator.collection,
                                value_utf8(&call->arguments, "name", NULL),
                                &call->opts));
}

/* ---- the runner's own look at them ----------------------------------- */

static bool index_exists(call_t *call, bool wanted)
{
    const char *name = value_utf8(&call->arguments, "indexName", "");
    mongoc_collection_t *collection = mongoc_client_get_collection(
        call->run->internal, value_utf8(&call->arguments, "databaseName", ""),
        value_utf8(&call->arguments, "collectionName", ""));
    mongoc_cursor_t *cursor =
        mongoc_collection_find_indexes_with_opts(collection, NULL);
    const bson_t *document;
    bool exists = false;

    while (mongoc_cursor_next(cursor, &document))
        exists |= strcmp(value_utf8(document, "name", ""), name) == 0;
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    return exists == wanted ||
           verdict_fail(call->run->verdict, "there is %s index %s",
                        wanted ? "no" : "an", name);
}

static bool assert_index(call_t *call)
{
    return index_exists(call, true);
}

static bool assert_no_index(call_t *call)
{
    return index_exists(call, false);
}

const verb_t index_verbs[] = {
    {"createIndex", ENTITY_COLLECTION,
     "!keys name | bucketSize collation comment commitQuorum "
     "expireAfterSeconds hidden maxTimeMS partialFilterExpression rawData "
     "session sparse unique wildcardProjection writeConcern",
     raw_create_index, create_index, NULL, MATCH_ROOT},
    {"dropIndex", ENTITY_COLLECTION,
     "!name | comment maxTimeMS rawData session writeConcern",
     raw_drop_index, drop_index, NULL, MATCH_ROOT},
    {"dropIndexes", ENTITY_COLLECTION,
     "| comment maxTimeMS rawData session writeConcern", raw_drop_indexes,
     drop_indexes, NULL, MATCH_ROOT},
    {"listIndexes", ENTITY_COLLECTION,
     "| batchSize comment maxTimeMS rawData session", raw_list_indexes,
     list_indexes, NULL, MATCH_ROOT_LIST},
    {"listIndexNames", ENTITY_COLLECTION,
     "| batchSize comment maxTimeMS session", raw_list_index_names,
     list_index_names, NULL, MATCH_ROOT},
    {"assertIndexExists", ENTITY_RUNNER,
     "!databaseName !collectionName !indexName", assert_index, assert_index,
     NULL, MATCH_ROOT},
    {"assertIndexNotExists", ENTITY_RUNNER,
     "!databaseName !collectionName !indexName", assert_no_index,
     assert_no_index, NULL, MATCH_ROOT},
    {"createSearchIndex", ENTITY_COLLECTION, "!model | rawData",
     raw_create_search, create_search, NULL, MATCH_ROOT},
    {"createSearchIndexes", ENTITY_COLLECTION, "!models | rawData",
     raw_create_search, create_search, NULL, MATCH_ROOT},
    {"updateSearchIndex", ENTITY_COLLECTION, "!name !definition | rawData",
     raw_update_search, update_search, NULL, MATCH_ROOT},
    {"dropSearchIndex", ENTITY_COLLECTION, "!name | rawData",
     raw_drop_search, drop_search, NULL, MATCH_ROOT},
    {"listSearchIndexes", ENTITY_COLLECTION,
     "name aggregationOptions | rawData", raw_list_search, list_search, NULL,
     MATCH_ROOT_LIST},
    {0}};
