/* SPDX-License-Identifier: Apache-2.0 */
/* core/grant.c - a request for a lease: granted a connection at once, or
 * parked until one is given back.  The invariant is Y5 in lease.h. */
#include "core/client.h"
#include "core/lease.h"
#include "core/op.h"
#include "core/verb.h"

static void release_lease(void *lease)
{
    stc_lease_unref(lease);
}

static void grant_lease(struct stc_op *op)
{
    stator_future_t *f = stc_op_future(op);
    struct stf_result *result = stf_result_new();

    if (result == NULL) {
        stf_settle_code(f, STATOR_FUTURE_FAILED, STATOR_ERROR_MEMORY,
                        "no memory for its result", STATOR_NOT_SENT);
    } else {
        stc_tie_ref(&op->lease->tie);
        stf_result_take_handle(result, op->lease, release_lease);
        if (!stf_settle(f, STATOR_FUTURE_DONE, result, STATOR_ANSWERED))
            stf_result_free(result);
    }
}

/* `op` has a place in the queue and a reference, both of which go. */
static void grant(struct stc_op *op, struct stc_connection *connection)
{
    struct stc_lease *lease = op->lease;
    stator_client_t *client = op->client;

    atomic_fetch_add(&client->granted, 1);
    pthread_mutex_lock(&lease->lock);
    lease->connection = connection;
    op->acquires = false;
    pthread_mutex_unlock(&lease->lock);
    if (op->verb != &stc_verb_lease) { /* it has more to do there */
        stc_op_ref(op);
        stc_lease_enter(lease, op);
        if (stc_op_is_settled(op)) /* before there was a line */
            stc_op_withdraw(op);
    } else {
        grant_lease(op);
        stc_op_drop_bytes(op);
        stc_lease_look(lease); /* the client may have begun to close */
        stc_op_untie(op);
        stc_queue_discharge(&client->queue);
    }
    stc_op_unref(op);
}

void stc_lease_request(struct stc_op *op)
{
    stator_client_t *client = op->client;
    struct stc_connection *connection;
    bson_error_t error = {0};

    stc_op_ref(op);
    stc_op_ref(op); /* the pool's, or grant's */
    stc_queue_admit_always(&client->queue);
    connection = stc_pool_take_spare_or_park(&client->pool, op, &error);
    if (connection != NULL) {
        grant(op, connection);
    } else if (error.code != 0) {
        stf_settle_code(stc_op_future(op), STATOR_FUTURE_FAILED,
                        STATOR_ERROR_MEMORY, "no memory for a connection",
                        STATOR_NOT_SENT);
        stc_op_untie(op);
        stc_queue_discharge(&client->queue);
        stc_op_unref(op);
    } else if (stc_op_is_settled(op)) { /* before it was parked */
        stc_op_withdraw(op);
    } else if (atomic_load(&client->closing)) {
        stc_op_give_up(op, STC_BY_CLOSE);
    }
    stc_op_unref(op);
}

void stc_lease_serve_parked(stator_client_t *client)
{
    struct stc_connection *connection;
    struct stc_op *op;

    while ((op = stc_pool_unpark_first(&client->pool, &connection)) != NULL)
        grant(op, connection);
}

void stc_lease_give_up_parked(stator_client_t *client)
{
    struct stc_op *op;

    while ((op = stc_pool_first_parked(&client->pool)) != NULL) {
        if (!stc_op_give_up(op, STC_BY_CLOSE))
            stc_op_withdraw(op); /* by who claimed it, or now */
        stc_op_unref(op);
    }
}

struct stc_lease *stc_future_lease(const stator_future_t *f)
{
    struct stc_lease *lease = stf_future_handle(f, release_lease);

    if (lease != NULL)
        stc_tie_add_handle(&lease->tie);
    return lease;
}
