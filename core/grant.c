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
    lease->n_users++; /* Y4: until it is in the line, or has its result */
    op->acquires = false;
    pthread_mutex_unlock(&lease->lock);
    if (op->waits_by_uri) /* it has waited */
        stc_keeper_unwatch(&client->keeper, op);
    if (op->verb != &stc_verb_lease) { /* it has more to do there */
        stc_op_ref(op);
        stc_lease_enter(lease, op);
        if (stc_op_is_settled(op)) /* before there was a line */
            stc_op_withdraw(op);
        stc_lease_disuse(lease);
    } else {
        grant_lease(op);
        stc_op_drop_bytes(op);
        stc_lease_disuse(lease); /* the client may have begun to close */
        stc_op_untie(op);
        stc_queue_discharge(&client->queue);
    }
    stc_op_unref(op);
}

/* As grant. */
static void fail_for_memory(struct stc_op *op)
{
    stf_settle_code(stc_op_future(op), STATOR_FUTURE_FAILED,
                    STATOR_ERROR_MEMORY, "no memory for a connection",
                    STATOR_NOT_SENT);
    stc_op_drop_bytes(op);
    stc_op_untie(op);
    stc_queue_discharge(&op->client->queue);
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
        fail_for_memory(op);
    } else if (stc_op_is_settled(op)) { /* before it was parked */
        stc_op_withdraw(op);
    } else if (atomic_load(&client->closing)) {
        stc_op_give_up(op, STC_BY_CLOSE);
    } else { /* there may be one, but others were before it */
        stc_lease_serve_parked(client);
    }
    stc_op_unref(op);
}

/* The first to be served now; false: nobody is. */
static bool serve_first(stator_client_t *client)
{
    struct stc_connection *connection;
    bson_error_t error = {0};
    struct stc_op *op;

    if (atomic_load(&client->closing))
        return false;
    op = stc_pool_unpark_first(&client->pool, &connection, &error);
    if (op == NULL)
        return false;
    if (connection != NULL)
        grant(op, connection);
    else
        fail_for_memory(op);
    return true;
}

/* Y5: whoever comes while somebody serves leaves it to that one, which looks
 * again then. */
void stc_lease_serve_parked(stator_client_t *client)
{
    unsigned seen;

    if (atomic_fetch_add(&client->parked_looks, 1) != 0)
        return;
    do {
        seen = atomic_load(&client->parked_looks);
        while (serve_first(client))
            continue;
    } while (atomic_fetch_sub(&client->parked_looks, seen) != seen);
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
