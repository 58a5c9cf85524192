/* SPDX-License-Identifier: Apache-2.0 */
/* core/lease.c - a connection kept for one user. */
#include "core/lease.h"

#include <stdlib.h>

#include "core/client.h"
#include "core/op.h"
#include "core/session.h"

/* ---- made, counted ----------------------------------------------- */

struct stc_lease *stc_lease_new(stator_client_t *client)
{
    struct stc_lease *lease = calloc(1, sizeof *lease);

    if (lease == NULL)
        return NULL;
    atomic_init(&lease->refs, 1);
    lease->client = client;
    stc_client_hold(client);
    lease->made = stf_now_ns();
    pthread_mutex_init(&lease->lock, NULL);
    CDS_INIT_LIST_HEAD(&lease->waiting);
    stc_tie_enter(&lease->tie, client);
    return lease;
}

void stc_lease_ref(struct stc_lease *lease)
{
    atomic_fetch_add_explicit(&lease->refs, 1, memory_order_relaxed);
}

bool stc_lease_ref_if_alive(struct stc_lease *lease)
{
    unsigned refs = atomic_load(&lease->refs);

    while (refs != 0)
        if (atomic_compare_exchange_weak(&lease->refs, &refs, refs + 1))
            return true;
    return false;
}

void stc_lease_unref(struct stc_lease *lease)
{
    stator_client_t *client;

    if (lease == NULL ||
        atomic_fetch_sub_explicit(&lease->refs, 1, memory_order_acq_rel) != 1)
        return;
    client = lease->client;
    if (stc_client_is_inherited(client))
        return; /* its lists can be half changed */
    stc_tie_leave(&lease->tie, client);
    if (lease->connection != NULL)
        stc_pool_give_back(&client->pool, lease->connection, true);
    pthread_mutex_destroy(&lease->lock);
    free(lease);
    stc_client_release(client);
}

/* ---- granted ----------------------------------------------------- */

/* False: it was given up meanwhile, and `connection` is still the caller's. */
static bool grant(struct stc_op *op, struct stc_connection *connection)
{
    struct stc_lease *lease = op->lease;

    lease->connection = connection;
    if (op->verb != &stc_verb_lease) { /* it has more to do there */
        stc_queue_admit_always(&op->client->queue);
        stc_op_ref(op);
        stc_lease_enter(lease, op);
        return true;
    }
    if (!stf_claim(stc_op_future(op), STATOR_FUTURE_DONE)) {
        lease->connection = NULL;
        return false;
    }
    stc_op_give_handle(op);
    stf_finish(stc_op_future(op), STATOR_FUTURE_DONE);
    return true;
}

void stc_lease_request(struct stc_op *op)
{
    struct stc_connection *connection =
        stc_pool_take_spare_or_park(&op->client->pool, op);

    if (connection != NULL && !grant(op, connection))
        stc_pool_give_back(&op->client->pool, connection, true);
}

void stc_lease_pass_on(struct stc_pool *p)
{
    struct stc_connection *connection;
    struct stc_op *op;

    while ((op = stc_pool_unpark_first(p, &connection)) != NULL) {
        if (!grant(op, connection))
            stc_pool_return(p, connection);
        stc_op_unref(op); /* the park's */
    }
}

/* ---- the line ---------------------------------------------------- */

static struct stc_op *take_first(struct stc_lease *lease)
{
    struct stc_op *op = NULL;

    if (!cds_list_empty(&lease->waiting)) {
        op = cds_list_first_entry(&lease->waiting, struct stc_op, on_lease);
        cds_list_del(&op->on_lease);
    }
    lease->current = op;
    return op;
}
