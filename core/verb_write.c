/* SPDX-License-Identifier: Apache-2.0 */
/* core/verb_write.c - insert, update, replace, delete. */
#include <stdlib.h>

#include "core/verb_support.h"

/* The driver makes a reply with a count when the server has answered. */
static bool end(struct stc_call *call, bool ok, bson_t *reply,
                const char *count)
{
    call->unacknowledged = ok && stc_is_unacknowledged(call, true);
    if (!call->unacknowledged)
        call->result->count = stc_reply_number(reply, count);
    return stc_verb_end(call, ok, reply);
}

static bool is_sent(const struct stc_call *call, bool ok, const bson_t *reply)
{
    bson_iter_t i;

    return bson_iter_init_find(&i, reply, "insertedCount") ||
           (ok && stc_is_unacknowledged(call, true));
}

static bool insert_one(struct stc_call *call)
{
    const bson_t *opts;
    bson_t room, reply;
    bson_iter_t id;
    bool ok;

    opts = stc_timed_opts(call, &room);
    ok = mongoc_collection_insert_one(call->collection, &call->arguments[0],
                                      opts, &reply, &call->result->error);
    bson_destroy(&room);
    if (is_sent(call, ok, &reply) &&
        bson_iter_init_find(&id, &call->arguments[0], "_id"))
        bson_append_iter(&reply, "insertedId", -1, &id);
    return end(call, ok, &reply, "insertedCount");
}

static void append_ids(const struct stc_call *call, bson_t *reply)
{
    bson_iter_t id;
    bson_t ids;

    BSON_APPEND_DOCUMENT_BEGIN(reply, "insertedIds", &ids);
    for (size_t i = 0; i < call->n_arguments; i++) {
        const char *key;
        char room[16];

        bson_uint32_to_string((uint32_t)i, &key, room, sizeof room);
        if (bson_iter_init_find(&id, &call->arguments[i], "_id"))
            bson_append_iter(&ids, key, -1, &id);
    }
    bson_append_document_end(reply, &ids);
}

static bool insert_many(struct stc_call *call)
{
    const bson_t **documents, *opts;
    bson_t room, reply;
    bool ok;

    documents = malloc(call->n_arguments * sizeof *documents);
    if (documents == NULL) {
        bson_set_error(&call->result->error, STATOR_ERROR_DOMAIN,
                       STATOR_ERROR_MEMORY, "insert_many: no memory");
        return false;
    }
    for (size_t i = 0; i < call->n_arguments; i++)
        documents[i] = &call->arguments[i];
    opts = stc_timed_opts(call, &room);
    ok = mongoc_collection_insert_many(call->collection, documents,
                                       call->n_arguments, opts, &reply,
                                       &call->result->error);
    bson_destroy(&room);
    free(documents);
    if (is_sent(call, ok, &reply))
        append_ids(call, &reply);
    return end(call, ok, &reply, "insertedCount");
}

/* What is not the driver's own among the opts of an update or a delete goes
 * into the statement, where a server takes no maxTimeMS: so none is added. */

typedef bool update_fn(mongoc_collection_t *collection,
                       const bson_t *selector, const bson_t *update,
                       const bson_t *opts, bson_t *reply,
                       bson_error_t *error);
typedef bool delete_fn(mongoc_collection_t *collection,
                       const bson_t *selector, const bson_t *opts,
                       bson_t *reply, bson_error_t *error);

static bool update_by(struct stc_call *call, update_fn *fn)
{
    bson_t reply;
    bool ok = fn(call->collection, &call->arguments[0], &call->arguments[1],
                 &call->opts, &reply, &call->result->error);

    return end(call, ok, &reply, "matchedCount");
}

static bool delete_by(struct stc_call *call, delete_fn *fn)
{
    bson_t reply;
    bool ok = fn(call->collection, &call->arguments[0], &call->opts, &reply,
                 &call->result->error);

    return end(call, ok, &reply, "deletedCount");
}

static bool update_one(struct stc_call *call)
{
    return update_by(call, mongoc_collection_update_one);
}

static bool update_many(struct stc_call *call)
{
    return update_by(call, mongoc_collection_update_many);
}

static bool replace_one(struct stc_call *call)
{
    return update_by(call, mongoc_collection_replace_one);
}

static bool delete_one(struct stc_call *call)
{
    return delete_by(call, mongoc_collection_delete_one);
}

static bool delete_many(struct stc_call *call)
{
    return delete_by(call, mongoc_collection_delete_many);
}

#define WRITE(verb)                          \
    const struct stc_verb stc_verb_##verb = { \
        .name = #verb, .run = (verb)}

WRITE(insert_one);
WRITE(insert_many);
WRITE(update_one);
WRITE(update_many);
WRITE(replace_one);
WRITE(delete_one);
WRITE(delete_many);
