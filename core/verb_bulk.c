/* SPDX-License-Identifier: Apache-2.0 */
/* core/verb_bulk.c - bulk_write: models, checked by lib, into the driver's
 * bulk operation. */
#include <string.h>

#include "core/verb_support.h"

struct model {
    const char *kind;
    bson_t first;  /* document or filter */
    bson_t second; /* update or replacement */
    bson_t opts;   /* the rest */
};

static bool view_of(const bson_iter_t *i, bson_t *view)
{
    const uint8_t *data = NULL;
    uint32_t length = 0;

    if (BSON_ITER_HOLDS_DOCUMENT(i))
        bson_iter_document(i, &length, &data);
    else if (BSON_ITER_HOLDS_ARRAY(i))
        bson_iter_array(i, &length, &data);
    return data != NULL && bson_init_static(view, data, length);
}

/* False: no model at all, which lib does not let pass. */
static bool model_init(struct model *m, const bson_t *document)
{
    bson_iter_t body, i;
    bool sound = true;

    bson_init(&m->first);
    bson_init(&m->second);
    bson_init(&m->opts);
    if (!bson_iter_init(&body, document) || !bson_iter_next(&body) ||
        !bson_iter_recurse(&body, &i))
        return false;
    m->kind = bson_iter_key(&body);
    while (sound && bson_iter_next(&i)) {
        const char *key = bson_iter_key(&i);

        if (strcmp(key, "document") == 0 || strcmp(key, "filter") == 0)
            sound = view_of(&i, &m->first);
        else if (strcmp(key, "update") == 0 ||
                 strcmp(key, "replacement") == 0)
            sound = view_of(&i, &m->second);
        else
            sound = bson_append_iter(&m->opts, NULL, -1, &i);
    }
    return sound;
}

static bool model_add(mongoc_bulk_operation_t *bulk, const struct model *m,
                      bson_error_t *error)
{
    if (strcmp(m->kind, "insertOne") == 0)
        return mongoc_bulk_operation_insert_with_opts(bulk, &m->first, NULL,
                                                      error);
    if (strcmp(m->kind, "updateOne") == 0)
        return mongoc_bulk_operation_update_one_with_opts(
            bulk, &m->first, &m->second, &m->opts, error);
    if (strcmp(m->kind, "updateMany") == 0)
        return mongoc_bulk_operation_update_many_with_opts(
            bulk, &m->first, &m->second, &m->opts, error);
    if (strcmp(m->kind, "replaceOne") == 0)
        return mongoc_bulk_operation_replace_one_with_opts(
            bulk, &m->first, &m->second, &m->opts, error);
    if (strcmp(m->kind, "deleteOne") == 0)
        return mongoc_bulk_operation_remove_one_with_opts(bulk, &m->first,
                                                          &m->opts, error);
    return mongoc_bulk_operation_remove_many_with_opts(bulk, &m->first,
                                                       &m->opts, error);
}

/* {"0": id, ..} of the models that insert. */
static void append_ids(const struct stc_call *call, bson_t *reply)
{
    bson_iter_t i, id;
    bson_t ids;

    BSON_APPEND_DOCUMENT_BEGIN(reply, "insertedIds", &ids);
    for (size_t n = 0; n < call->n_arguments; n++) {
        const char *key;
        char room[16];

        bson_uint32_to_string((uint32_t)n, &key, room, sizeof room);
        if (bson_iter_init(&i, &call->arguments[n]) &&
            bson_iter_find_descendant(&i, "insertOne.document._id", &id))
            bson_append_iter(&ids, key, -1, &id);
    }
    bson_append_document_end(reply, &ids);
}

/* What the driver is not told by opts. */
struct apart {
    bool bypass;
    uint32_t server_id; /* 0: none */
};

/* False: it is of another type, or no such number. */
static bool take_apart(const bson_iter_t *i, struct apart *out)
{
    int64_t n;

    if (strcmp(bson_iter_key(i), "serverId") == 0) {
        n = BSON_ITER_HOLDS_INT(i) ? bson_iter_as_int64(i) : 0;
        out->server_id = n > 0 && n <= UINT32_MAX ? (uint32_t)n : 0;
        return out->server_id != 0;
    }
    out->bypass = BSON_ITER_HOLDS_BOOL(i) && bson_iter_bool(i);
    return BSON_ITER_HOLDS_BOOL(i);
}

static bool is_apart(const char *key)
{
    return strcmp(key, "bypassDocumentValidation") == 0 ||
           strcmp(key, "serverId") == 0;
}

/* A copy of the opts without those that the driver does not parse here. */
static bool split_opts(struct stc_call *call, bson_t *opts, struct apart *out)
{
    bson_iter_t i;

    *out = (struct apart){0};
    bson_init(opts);
    if (!bson_iter_init(&i, &call->opts))
        return true;
    while (bson_iter_next(&i)) {
        const char *key = bson_iter_key(&i);

        if (!is_apart(key)) {
            bson_append_iter(opts, NULL, -1, &i);
        } else if (!take_apart(&i, out)) {
            bson_destroy(opts);
            return stc_verb_fault(call, "opts: %s must be %s", key,
                                  key[0] == 's' ? "a server's number"
                                                : "a bool");
        }
    }
    return true;
}

/* What is wrong with the opts the driver says when the first model comes. */
static const char *of_opts(const char *message)
{
    static const char begins[] =
        "Bulk operation is invalid from prior error: ";

    return strncmp(message, begins, sizeof begins - 1) == 0
               ? message + sizeof begins - 1
               : NULL;
}

static bool add_all(struct stc_call *call, mongoc_bulk_operation_t *bulk)
{
    bson_error_t error = {0};

    for (size_t n = 0; n < call->n_arguments; n++) {
        struct model m;
        bool added = model_init(&m, &call->arguments[n]) &&
                     model_add(bulk, &m, &error);

        bson_destroy(&m.opts);
        if (added)
            continue;
        if (of_opts(error.message) != NULL)
            return stc_verb_fault(call, "opts: %s",
                                  of_opts(error.message));
        return stc_verb_fault(call, "models[%zu]: %s", n,
                              error.message);
    }
    return true;
}

static bool bulk_write(struct stc_call *call)
{
    struct stf_result *result = call->result;
    mongoc_bulk_operation_t *bulk;
    bson_t opts, reply;
    bson_iter_t i;
    struct apart apart;
    bool ok;

    if (!split_opts(call, &opts, &apart))
        return false;
    bulk = mongoc_collection_create_bulk_operation_with_opts(
        call->collection, &opts);
    bson_destroy(&opts);
    if (apart.bypass)
        mongoc_bulk_operation_set_bypass_document_validation(bulk, true);
    mongoc_bulk_operation_set_hint(bulk, apart.server_id);
    if (!add_all(call, bulk)) {
        mongoc_bulk_operation_destroy(bulk);
        return false;
    }
    ok = mongoc_bulk_operation_execute(bulk, &reply, &result->error) != 0;
    mongoc_bulk_operation_destroy(bulk);

    call->unacknowledged = ok && stc_is_unacknowledged(call, true);
    if (call->unacknowledged ||
        bson_iter_init_find(&i, &reply, "nInserted"))
        append_ids(call, &reply);
    if (!call->unacknowledged)
        result->count = stc_reply_number(&reply, "nInserted") +
                        stc_reply_number(&reply, "nMatched") +
                        stc_reply_number(&reply, "nRemoved") +
                        stc_reply_number(&reply, "nUpserted");
    return stc_verb_end(call, ok, &reply);
}

const struct stc_verb stc_verb_bulk_write = {
    .name = "bulk_write",
    .run = bulk_write,
};
