/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_bulk.c - many writes in few messages. */
#include <stdio.h>
#include <string.h>

#include "tests/spec/operation.h"
#include "tests/spec/value.h"

/* ---- the result ------------------------------------------------------ */

static void append_count(bson_t *value, const char *key, const bson_t *reply,
                         const char *from)
{
    bson_append_int64(value, key, -1, value_int(reply, from, 0));
}

/* {"index": 2, "_id": 4} of the reply becomes "2": 4. */
static void append_upserted(bson_t *value, const bson_t *reply)
{
    bson_t list, one, ids;
    bson_iter_t at, id;
    char index[24];

    bson_append_int64(value, "upsertedCount", -1,
                      value_int(reply, "nUpserted", 0));
    value_view(reply, "upserted", &list);
    bson_append_document_begin(value, "upsertedIds", -1, &ids);
    bson_iter_init(&at, &list);
    while (bson_iter_next(&at))
        if (value_look(&at, &one) && value_find(&one, "_id", &id)) {
            snprintf(index, sizeof index, "%d",
                     (int)value_int(&one, "index", -1));
            value_put(&ids, index, &id);
        }
    bson_append_document_end(value, &ids);
}

static void take_bulk(call_t *call)
{
    const bson_t *reply = &call->result->reply;
    bson_t value = BSON_INITIALIZER;
    bson_iter_t ids;

    if (value_has(reply, "nInserted")) {
        append_count(&value, "insertedCount", reply, "nInserted");
        append_count(&value, "deletedCount", reply, "nRemoved");
        append_count(&value, "matchedCount", reply, "nMatched");
        append_count(&value, "modifiedCount", reply, "nModified");
        append_upserted(&value, reply);
        /* Of all that were sent, not of those that went in. */
        if (!call->result->failed && value_find(reply, "insertedIds", &ids))
            value_put(&value, "insertedIds", &ids);
        result_set_document(call->result, &value);
    }
    bson_destroy(&value);
}

/* ---- raw ------------------------------------------------------------- */

/* What a model says beside its documents are the driver's opts of it. */
static void model_opts(const bson_t *model, bson_t *opts)
{
    bson_init(opts);
    bson_copy_to_excluding_noinit(model, opts, "filter", "update",
                                  "replacement", "document", NULL);
}

static bool add_model(mongoc_bulk_operation_t *bulk, const char *kind,
                      const bson_t *model, const bson_t *opts,
                      bson_error_t *error)
{
    bson_t filter, with;

    value_view(model, "filter", &filter);
    if (strcmp(kind, "insertOne") == 0) {
        value_view(model, "document", &with);
        return mongoc_bulk_operation_insert_with_opts(bulk, &with, opts,
                                                      error);
    }
    if (strcmp(kind, "deleteOne") == 0)
        return mongoc_bulk_operation_remove_one_with_opts(bulk, &filter, opts,
                                                          error);
    if (strcmp(kind, "deleteMany") == 0)
        return mongoc_bulk_operation_remove_many_with_opts(bulk, &filter,
                                                           opts, error);
    if (strcmp(kind, "replaceOne") == 0) {
        value_view(model, "replacement", &with);
        return mongoc_bulk_operation_replace_one_with_opts(bulk, &filter,
                                                           &with, opts, error);
    }
    value_view(model, "update", &with);
    if (strcmp(kind, "updateOne") == 0)
        return mongoc_bulk_operation_update_one_with_opts(bulk, &filter,
                                                          &with, opts, error);
    if (strcmp(kind, "updateMany") == 0)
        return mongoc_bulk_operation_update_many_with_opts(bulk, &filter,
                                                           &with, opts, error);
    bson_set_error(error, 0, 0, "there is no model \"%s\"", kind);
    return false;
}

static bool add_models(mongoc_bulk_operation_t *bulk, const bson_t *requests,
                       bson_error_t *error)
{
    bson_iter_t at, inner;
    bson_t model, opts;
    bool fine = true;

    bson_iter_init(&at, requests);
    while (fine && bson_iter_next(&at)) {
        bson_iter_recurse(&at, &inner);
        bson_iter_next(&inner);
        value_look(&inner, &model);
        model_opts(&model, &opts);
        fine = add_model(bulk, bson_iter_key(&inner), &model, &opts, error);
        bson_destroy(&opts);
    }
    return fine;
}

/* These the driver takes by functions of their own. */
static void set_extras(mongoc_bulk_operation_t *bulk, const bson_t *arguments)
{
    bson_iter_t at;

    if (value_bool(arguments, "bypassDocumentValidation", false))
        mongoc_bulk_operation_set_bypass_document_validation(bulk, true);
    if (value_find(arguments, "bypassDocumentValidation", &at) &&
        !bson_iter_bool(&at))
        mongoc_bulk_operation_set_bypass_document_validation(bulk, false);
}

static bool raw_bulk_write(call_t *call)
{
    bson_t opts = BSON_INITIALIZER, requests;
    mongoc_bulk_operation_t *bulk;
    bson_error_t error;
    bool fine;

    call_view(call, "requests", &requests);
    bson_copy_to_excluding_noinit(&call->opts, &opts,
                                  "bypassDocumentValidation", NULL);
    bulk = mongoc_collection_create_bulk_operation_with_opts(
        call->object->raw.collection, &opts);
    set_extras(bulk, &call->arguments);
    fine = add_models(bulk, &requests, &error);
    if (fine) {
        bson_destroy(&call->result->reply);
        fine = mongoc_bulk_operation_execute(bulk, &call->result->reply,
                                             &error) != 0;
    }
    if (!fine)
        call_fail(call, &error);
    take_bulk(call);
    mongoc_bulk_operation_destroy(bulk);
    bson_destroy(&opts);
    return true;
}

/* ---- Stator ---------------------------------------------------------- */

static bool bulk_write(call_t *call)
{
    stator_future_t *future;
    const bson_t **models;
    bson_t *views, requests;
    bson_iter_t at;
    size_t n = 0;

    call_view(call, "requests", &requests);
    models = bson_malloc0((bson_count_keys(&requests) + 1) *
                          sizeof models[0]);
    views = value_alloc((bson_count_keys(&requests) + 1) * sizeof views[0]);
    bson_iter_init(&at, &requests);
    while (bson_iter_next(&at)) {
        value_look(&at, &views[n]);
        models[n] = &views[n];
        n++;
    }
    future = stator_collection_bulk_write(call->object->stator.collection,
                                          models, n, &call->opts);
    bson_free(models);
    bson_free(views);
    if (!call_settle(call, future))
        return false;
    take_bulk(call);
    stator_future_unref(future);
    return true;
}

const verb_t bulk_verbs[] = {
    {"bulkWrite", ENTITY_COLLECTION,
     "!requests | bypassDocumentValidation comment let ordered rawData "
     "session writeConcern",
     raw_bulk_write, bulk_write, NULL, MATCH_ROOT},
    {.name = "clientBulkWrite",
     .on = ENTITY_CLIENT,
     .lacks = "libmongoc 1.23 has no clientBulkWrite"},
    {0}};
