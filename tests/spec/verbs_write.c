/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_write.c - insert, update, replace, delete. */
#include "tests/spec/operation.h"
#include "tests/spec/value.h"

/* ---- insert ---------------------------------------------------------- */

/* {"insertedId": _id of `document`}, or nothing where it has none. */
static void take_inserted_id(call_t *call, const bson_t *document)
{
    bson_t value = BSON_INITIALIZER;
    bson_iter_t id;

    if (value_find(document, "_id", &id)) {
        value_put(&value, "insertedId", &id);
        result_set_document(call->result, &value);
    }
    bson_destroy(&value);
}

static bool raw_insert_one(call_t *call)
{
    bson_error_t error;
    bson_t document;

    call_view(call, "document", &document);
    bson_destroy(&call->result->reply);
    if (!mongoc_collection_insert_one(call->object->raw.collection, &document,
                                      &call->opts, &call->result->reply,
                                      &error))
        return call_fail(call, &error);
    take_inserted_id(call, &document);
    return true;
}

/* The reply of Stator's inserts is the result that the format wants. */
static void take_reply(call_t *call, const char *const *keys)
{
    bson_t value = BSON_INITIALIZER;
    bson_iter_t at;

    for (; *keys != NULL; keys++)
        if (value_find(&call->result->reply, *keys, &at))
            value_put(&value, *keys, &at);
    if (!bson_empty(&value))
        result_set_document(call->result, &value);
    bson_destroy(&value);
}

static bool insert_one(call_t *call)
{
    static const char *const keys[] = {"insertedId", NULL};
    stator_future_t *future;
    bson_t document;

    call_view(call, "document", &document);
    future = stator_collection_insert_one(call->object->stator.collection,
                                          &document, &call->opts);
    if (!call_settle(call, future))
        return false;
    if (!call->result->failed)
        take_reply(call, keys);
    stator_future_unref(future);
    return true;
}

typedef struct documents {
    bson_t *views;
    const bson_t **list;
    size_t n;
} documents_t;

static void documents_init(documents_t *documents, const bson_t *array)
{
    uint32_t n = bson_count_keys(array);
    bson_iter_t at;

    documents->views = value_alloc((n + 1) * sizeof documents->views[0]);
    documents->list = bson_malloc0((n + 1) * sizeof documents->list[0]);
    documents->n = 0;
    bson_iter_init(&at, array);
    while (bson_iter_next(&at)) {
        value_look(&at, &documents->views[documents->n]);
        documents->list[documents->n] = &documents->views[documents->n];
        documents->n++;
    }
}

static void documents_clear(documents_t *documents)
{
    bson_free(documents->views);
    bson_free(documents->list);
}

/* The format has a bulk's result in mind. */
static void take_inserts(call_t *call)
{
    static const char *const none[] = {"deletedCount", "matchedCount",
                                       "modifiedCount", "upsertedCount"};
    const bson_t *reply = &call->result->reply;
    bson_t value = BSON_INITIALIZER, ids = BSON_INITIALIZER;
    bson_iter_t at;
    size_t i;

    if (!value_find(reply, "insertedCount", &at))
        return;
    value_put(&value, "insertedCount", &at);
    for (i = 0; i < sizeof none / sizeof none[0]; i++)
        bson_append_int32(&value, none[i], -1, 0);
    bson_append_document(&value, "upsertedIds", -1, &ids);
    /* Of all that were sent, not of those that went in. */
    if (!call->result->failed && value_find(reply, "insertedIds", &at))
        value_put(&value, "insertedIds", &at);
    result_set_document(call->result, &value);
    bson_destroy(&value);
}

static bool raw_insert_many(call_t *call)
{
    documents_t documents;
    bson_error_t error;
    bson_t array;

    call_view(call, "documents", &array);
    documents_init(&documents, &array);
    bson_destroy(&call->result->reply);
    if (!mongoc_collection_insert_many(
            call->object->raw.collection, documents.list, documents.n,
            &call->opts, &call->result->reply, &error))
        call_fail(call, &error);
    documents_clear(&documents);
    take_inserts(call);
    return true;
}

static bool insert_many(call_t *call)
{
    documents_t documents;
    stator_future_t *future;
    bson_t array;

    call_view(call, "documents", &array);
    documents_init(&documents, &array);
    future = stator_collection_insert_many(call->object->stator.collection,
                                           documents.list, documents.n,
                                           &call->opts);
    documents_clear(&documents);
    if (!call_settle(call, future))
        return false;
    take_inserts(call);
    stator_future_unref(future);
    return true;
}

/* ---- update, replace, delete ----------------------------------------- */

/* {matchedCount, modifiedCount, upsertedCount, upsertedId}; nothing of a
 * write that was not acknowledged. */
static void take_update(call_t *call)
{
    bson_t value = BSON_INITIALIZER;
    const bson_t *reply = &call->result->reply;
    bson_iter_t id;
    bool upserted = value_find(reply, "upsertedId", &id);

    if (value_has(reply, "matchedCount")) {
        bson_append_int64(&value, "matchedCount", -1,
                          value_int(reply, "matchedCount", 0));
        bson_append_int64(&value, "modifiedCount", -1,
                          value_int(reply, "modifiedCount", 0));
        bson_append_int64(&value, "upsertedCount", -1, upserted);
        if (upserted)
            value_put(&value, "upsertedId", &id);
        result_set_document(call->result, &value);
    }
    bson_destroy(&value);
}

typedef bool raw_update_fn(mongoc_collection_t *, const bson_t *,
                           const bson_t *, const bson_t *, bson_t *,
                           bson_error_t *);
typedef stator_future_t *update_fn(stator_collection_t *, const bson_t *,
                                   const bson_t *, const bson_t *);

static bool raw_update(call_t *call, raw_update_fn *fn, const char *with)
{
    bson_t filter, update;
    bson_error_t error;

    call_view(call, "filter", &filter);
    call_view(call, with, &update);
    bson_destroy(&call->result->reply);
    if (!fn(call->object->raw.collection, &filter, &update, &call->opts,
            &call->result->reply, &error))
        return call_fail(call, &error);
    take_update(call);
    return true;
}

static bool update(call_t *call, update_fn *fn, const char *with)
{
    stator_future_t *future;
    bson_t filter, change;

    call_view(call, "filter", &filter);
    call_view(call, with, &change);
    future = fn(call->object->stator.collection, &filter, &change,
                &call->opts);
    if (!call_settle(call, future))
        return false;
    if (!call->result->failed)
        take_update(call);
    stator_future_unref(future);
    return true;
}

static bool raw_update_one(call_t *call)
{
    return raw_update(call, mongoc_collection_update_one, "update");
}

static bool raw_update_many(call_t *call)
{
    return raw_update(call, mongoc_collection_update_many, "update");
}

static bool raw_replace_one(call_t *call)
{
    return raw_update(call, mongoc_collection_replace_one, "replacement");
}

static bool update_one(call_t *call)
{
    return update(call, stator_collection_update_one, "update");
}

static bool update_many(call_t *call)
{
    return update(call, stator_collection_update_many, "update");
}

static bool replace_one(call_t *call)
{
    return update(call, stator_collection_replace_one, "replacement");
}

typedef bool raw_delete_fn(mongoc_collection_t *, const bson_t *,
                           const bson_t *, bson_t *, bson_error_t *);
typedef stator_future_t *delete_fn(stator_collection_t *, const bson_t *,
                                   const bson_t *);

static bool raw_delete(call_t *call, raw_delete_fn *fn)
{
    static const char *const keys[] = {"deletedCount", NULL};
    bson_error_t error;
    bson_t filter;

    call_view(call, "filter", &filter);
    bson_destroy(&call->result->reply);
    if (!fn(call->object->raw.collection, &filter, &call->opts,
            &call->result->reply, &error))
        return call_fail(call, &error);
    take_reply(call, keys);
    return true;
}

static bool delete_(call_t *call, delete_fn *fn)
{
    static const char *const keys[] = {"deletedCount", NULL};
    stator_future_t *future;
    bson_t filter;

    call_view(call, "filter", &filter);
    future = fn(call->object->stator.collection, &filter, &call->opts);
    if (!call_settle(call, future))
        return false;
    if (!call->result->failed)
        take_reply(call, keys);
    stator_future_unref(future);
    return true;
}

static bool raw_delete_one(call_t *call)
{
    return raw_delete(call, mongoc_collection_delete_one);
}

static bool raw_delete_many(call_t *call)
{
    return raw_delete(call, mongoc_collection_delete_many);
}

static bool delete_one(call_t *call)
{
    return delete_(call, stator_collection_delete_one);
}

static bool delete_many(call_t *call)
{
    return delete_(call, stator_collection_delete_many);
}

#define INSERT_OPTIONS                                                         \
    "| bypassDocumentValidation comment rawData session writeConcern"
#define UPDATE_OPTIONS                                                         \
    "| arrayFilters bypassDocumentValidation collation comment hint let "      \
    "rawData session sort upsert writeConcern"
#define DELETE_OPTIONS                                                         \
    "| collation comment hint let rawData session writeConcern"

const verb_t write_verbs[] = {
    {"insertOne", ENTITY_COLLECTION, "!document " INSERT_OPTIONS,
     raw_insert_one, insert_one, NULL, MATCH_ROOT},
    {"insertMany", ENTITY_COLLECTION, "!documents " INSERT_OPTIONS " ordered",
     raw_insert_many, insert_many, NULL, MATCH_ROOT},
    {"updateOne", ENTITY_COLLECTION, "!filter !update " UPDATE_OPTIONS,
     raw_update_one, update_one, NULL, MATCH_ROOT},
    {"updateMany", ENTITY_COLLECTION, "!filter !update " UPDATE_OPTIONS,
     raw_update_many, update_many, NULL, MATCH_ROOT},
    {"replaceOne", ENTITY_COLLECTION, "!filter !replacement " UPDATE_OPTIONS,
     raw_replace_one, replace_one, NULL, MATCH_ROOT},
    {"deleteOne", ENTITY_COLLECTION, "!filter " DELETE_OPTIONS,
     raw_delete_one, delete_one, NULL, MATCH_ROOT},
    {"deleteMany", ENTITY_COLLECTION, "!filter " DELETE_OPTIONS,
     raw_delete_many, delete_many, NULL, MATCH_ROOT},
    {0}};
