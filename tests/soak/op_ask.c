/* SPDX-License-Identifier: Apache-2.0 */
/* op_ask.c - what a plain operation of a soak asks for. */
#include "tests/soak/op.h"

static bson_t *find_command(int32_t id)
{
    return BCON_NEW("find", "things", "filter", "{", "_id", BCON_INT32(id),
                    "}", "limit", BCON_INT32(1), "singleBatch",
                    BCON_BOOL(true));
}

/* Blocking code of a user's, on a worker. */
static void run_find(mongoc_client_t *client, stator_promise_t *promise,
                     void *arg)
{
    bson_t *command = find_command((int32_t)(intptr_t)arg);
    char db[BACKEND_NAME_SIZE];
    bson_error_t error;
    bson_t reply;

    if (mongoc_client_command_simple(client, backend_db(db), command, NULL,
                                     &reply, &error))
        stator_promise_resolve(promise, NULL, &reply);
    else
        stator_promise_fail(promise, &error, NULL);
    bson_destroy(&reply);
    bson_destroy(command);
}

static stator_future_t *ask_writes(op_t *op, const bson_t *opts)
{
    stator_collection_t *writes = op->tenant->writes;
    bson_t *documents[OP_INSERTS_MAX];
    stator_future_t *future;
    unsigned flags = LEDGER_INSERT | LEDGER_WATCHED;
    int n = op->kind == OP_INSERT_ONE ? 1 : op->span;

    for (int i = 0; i < n; i++) {
        int32_t id = (int32_t)(op->number + i);

        documents[i] = BCON_NEW("_id", BCON_INT32(id));
        if (op->kind != OP_BULK)
            continue;
        bson_destroy(documents[i]);
        documents[i] =
            i == 1 ? BCON_NEW("updateOne", "{", "filter", "{", "_id",
                              BCON_INT32(id), "}", "update", "{", "$set", "{",
                              "n", BCON_INT32(id), "}", "}", "upsert",
                              BCON_BOOL(true), "}")
                   : BCON_NEW("insertOne", "{", "document", "{", "_id",
                              BCON_INT32(id), "}", "}");
    }
    ledger_mark(op->lane->soak->ledger, op->number, n, flags);
    if (op->kind == OP_INSERT_ONE)
        future = stator_collection_insert_one(writes, documents[0], opts);
    else if (op->kind == OP_INSERT_MANY)
        future = stator_collection_insert_many(
            writes, (const bson_t **)documents, (size_t)n, opts);
    else
        future = stator_collection_bulk_write(
            writes, (const bson_t **)documents, (size_t)n, opts);
    for (int i = 0; i < n; i++)
        bson_destroy(documents[i]);
    return future;
}

static stator_future_t *ask_aggregate(op_t *op, const bson_t *opts)
{
    bson_t *pipeline =
        BCON_NEW("pipeline", "[", "{", "$match", "{", "_id",
                 BCON_INT32((int32_t)op->key), "}", "}", "]");

    op->cursor =
        stator_collection_aggregate(op->tenant->things, pipeline, opts);
    bson_destroy(pipeline);
    return stator_cursor_to_list(op->cursor, 0);
}

static stator_future_t *ask_command(op_t *op, const bson_t *opts)
{
    bson_t *command = find_command((int32_t)op->key);
    stator_future_t *future = stator_client_command(
        op->tenant->client, op->tenant->backend->db, command, opts);

    bson_destroy(command);
    return future;
}

static stator_future_t *ask_count(op_t *op, bson_t *opts)
{
    bson_t *all = bson_new();
    stator_future_t *future;

    BSON_APPEND_INT64(opts, "limit", op->n);
    future = stator_collection_count_documents(op->tenant->things, all, opts);
    bson_destroy(all);
    return future;
}

static stator_future_t *ask_by_id(op_t *op, bson_t *opts)
{
    int32_t id =
        (int32_t)(op->kind == OP_UPSERT || op->kind == OP_DELETE
                      ? op->number
                      : op->key);
    bson_t *filter = BCON_NEW("_id", BCON_INT32(id));
    bson_t *update = BCON_NEW("$set", "{", "n", BCON_INT32(id), "}");
    tenant_t *tenant = op->tenant;
    stator_future_t *future;

    if (op->kind == OP_FIND_ONE) {
        future = stator_collection_find_one(tenant->things, filter, opts);
    } else if (op->kind == OP_FIND_AND_UPDATE) {
        future = stator_collection_find_one_and_update(tenant->things, filter,
                                                       update, opts);
    } else if (op->kind == OP_DELETE) {
        future = stator_collection_delete_one(tenant->gone, filter, opts);
    } else {
        BSON_APPEND_BOOL(opts, "upsert", true);
        if (tenant->backend->server != NULL)
            ledger_mark(op->lane->soak->ledger, op->number, 1,
                        LEDGER_WATCHED);
        future = stator_collection_update_one(tenant->writes, filter, update,
                                              opts);
    }
    bson_destroy(filter);
    bson_destroy(update);
    return future;
}

stator_future_t *op_ask(op_t *op)
{
    bson_t *opts = op_opts(op);
    stator_future_t *future;

    switch (op->kind) {
    case OP_COUNT:
        future = ask_count(op, opts);
        break;
    case OP_AGGREGATE:
        future = ask_aggregate(op, opts);
        break;
    case OP_COMMAND:
        future = ask_command(op, opts);
        break;
    case OP_RUN:
        future = stator_client_run(op->tenant->client, run_find,
                                   (void *)(intptr_t)op->key, opts);
        break;
    case OP_INSERT_ONE:
    case OP_INSERT_MANY:
    case OP_BULK:
        future = ask_writes(op, opts);
        break;
    default:
        future = ask_by_id(op, opts);
        break;
    }
    bson_destroy(opts);
    return future;
}
