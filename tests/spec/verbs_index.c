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

#define SEARCH(n)                                                              \
    {.name = n, .on = ENTITY_COLLECTION,                                       \
     .lacks = "libmongoc 1.23 has no search indexes"}

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
    SEARCH("createSearchIndex"),
    SEARCH("createSearchIndexes"),
    SEARCH("dropSearchIndex"),
    SEARCH("listSearchIndexes"),
    SEARCH("updateSearchIndex"),
    {0}};
