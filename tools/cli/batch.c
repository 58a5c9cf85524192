/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c - submits a batch, and accounts for every document of it. */
#include "batch.h"

#include <stdlib.h>

batch_t *batch_new(size_t room)
{
    batch_t *batch = calloc(1, sizeof *batch);

    if (batch == NULL)
        return NULL;
    batch->room = room;
    batch->documents = malloc(room * sizeof *batch->documents);
    batch->places = malloc(room * sizeof *batch->places);
    if (batch->documents != NULL && batch->places != NULL)
        return batch;
    batch_free(batch);
    return NULL;
}

void batch_free(batch_t *batch)
{
    if (batch == NULL)
        return;
    for (size_t i = 0; i < batch->count; i++)
        bson_destroy(batch->documents[i]);
    free(batch->documents);
    free(batch->places);
    free(batch);
}

void batch_add(batch_t *batch, bson_t *document, place_t place)
{
    batch->documents[batch->count] = document;
    batch->places[batch->count++] = place;
    batch->bytes += document->len;
}

bool batch_is_full(const batch_t *batch)
{
    return batch->count == batch->room || batch->bytes >= BATCH_BYTES;
}

/* {"replaceOne": {filter: {field: value}, replacement: .., upsert: true}} */
static bson_t *upsert_model(const bson_t *document, const char *field)
{
    bson_t *model = bson_new();
    bson_t replace, filter;
    bson_iter_t at;

    BSON_APPEND_DOCUMENT_BEGIN(model, "replaceOne", &replace);
    BSON_APPEND_DOCUMENT_BEGIN(&replace, "filter", &filter);
    if (bson_iter_init_find(&at, document, field))
        bson_append_iter(&filter, field, -1, &at);
    bson_append_document_end(&replace, &filter);
    BSON_APPEND_DOCUMENT(&replace, "replacement", document);
    BSON_APPEND_BOOL(&replace, "upsert", true);
    bson_append_document_end(model, &replace);
    return model;
}

static stator_future_t *upsert(const batch_t *batch,
                               stator_collection_t *collection,
                               const char *field, const bson_t *opts)
{
    bson_t **models = bson_malloc(batch->count * sizeof *models);
    stator_future_t *future;

    for (size_t i = 0; i < batch->count; i++)
        models[i] = upsert_model(batch->documents[i], field);
    future = stator_collection_bulk_write(
        collection, (const bson_t **)models, batch->count, opts);
    for (size_t i = 0; i < batch->count; i++)
        bson_destroy(models[i]);
    bson_free(models);
    return future;
}

stator_future_t *batch_submit(const batch_t *batch,
                              stator_collection_t *collection,
                              const char *upsert_field, bool ordered,
                              const bson_t *opts)
{
    bson_t *all = bson_copy(opts);
    stator_future_t *future;

    BSON_APPEND_BOOL(all, "ordered", ordered);
    if (upsert_field != NULL)
        future = upsert(batch, collection, upsert_field, all);
    else
        future = stator_collection_insert_many(
            collection, (const bson_t **)batch->documents, batch->count, all);
    bson_destroy(all);
    return future;
}

static int64_t number(const bson_t *document, const char *key)
{
    bson_iter_t at;

    return document != NULL && bson_iter_init_find(&at, document, key)
               ? bson_iter_as_int64(&at)
               : 0;
}

/* One element of "writeErrors". */
static bool report(const batch_t *batch, bson_iter_t *element,
                   batch_error_fn *fn, void *arg, uint64_t *last)
{
    const char *reason = "refused by the server";
    bson_iter_t at;
    bson_t error;
    const uint8_t *data;
    uint32_t length;
    int64_t index;

    if (!BSON_ITER_HOLDS_DOCUMENT(element))
        return false;
    bson_iter_document(element, &length, &data);
    if (!bson_init_static(&error, data, length))
        return false;
    index = number(&error, "index");
    if (index < 0 || (size_t)index >= batch->count)
        return false;
    if (bson_iter_init_find(&at, &error, "errmsg") &&
        BSON_ITER_HOLDS_UTF8(&at))
        reason = bson_iter_utf8(&at, NULL);
    fn(batch->places[index], reason, arg);
    if ((uint64_t)index > *last)
        *last = (uint64_t)index;
    return true;
}

batch_result_t batch_settle(const batch_t *batch,
                            const stator_future_t *future, bool ordered,
                            batch_error_fn *fn, void *arg)
{
    const bson_t *reply = stator_future_reply(future);
    batch_result_t result = {0};
    uint64_t last = 0, left;
    bson_iter_t errors, element;

    result.written = (uint64_t)stator_future_count(future);
    result.replaced = (uint64_t)number(reply, "nMatched");
    if (reply != NULL && bson_iter_init_find(&errors, reply, "writeErrors") &&
        BSON_ITER_HOLDS_ARRAY(&errors) &&
        bson_iter_recurse(&errors, &element)) {
        while (bson_iter_next(&element))
            result.refused += report(batch, &element, fn, arg, &last);
    }
    if (result.written > batch->count)
        result.written = batch->count;
    left = batch->count - result.written;
    if (result.refused > left)
        result.refused = left;
    left -= result.refused;

    /* What is left was behind an error, or nobody has heard of it. */
    if (stator_future_outcome(future) == STATOR_NOT_SENT ||
        (ordered && result.refused > 0) ||
        (result.written == 0 && result.refused == 0 &&
         stator_future_origin(future) == STATOR_ORIGIN_SERVER))
        result.not_sent = left;
    else
        result.unknown = left;
    return result;
}
