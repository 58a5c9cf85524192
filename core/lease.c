/* SPDX-License-Identifier: Apache-2.0 */
/* core/lease.c - a connection kept for one user: its line, and its end.  How
 * it gets the connection is in grant.c. */
#include "core/lease.h"

#include <stdlib.h>

#include "core/client.h"
#include "core/cursor.h"
#include "core/op.h"
#include "core/session.h"
#include "core/target.h"
#include "core/verb.h"

/* ---- made, counted ----------------------------------------------- */

struct stc_lease *stc_lease_new(stator_client_t *client)
{
    struct stc_lease *lease = calloc(1, sizeof *lease);

    if (lease == NULL)
        return NULL;
    atomic_init(&lease->holds, 1);
    stc_client_hold(client);
    pthread_mutex_init(&lease->lock, NULL);
    CDS_INIT_LIST_HEAD(&lease->waiting);
    CDS_INIT_LIST_HEAD(&lease->sessions);
    stc_tie_enter(&lease->tie, STC_LEASE, client);
    return lease;
}

/* No lock is held: others are served with what is given back. */
static void give_back(stator_client_t *client,
                      struct stc_connection *connection)
{
    if (connection == NULL)
        return;
    stc_pool_give_back(&client->pool, connection, true);
    stc_lease_serve_parked(client);
    atomic_fetch_sub(&client->granted, 1); /* last: see nothing_left */
    if (atomic_load(&client->closing))
        stc_keeper_wake(&client->keeper);
}

void stc_lease_hold(struct stc_lease *lease)
{
    atomic_fetch_add_explicit(&lease->holds, 1, memory_order_relaxed);
}

void stc_lease_release(struct stc_lease *lease)
{
    stator_client_t *client = lease->tie.client;

    if (atomic_fetch_sub_explicit(&lease->holds, 1, memory_order_acq_rel) !=
            1 ||
        stc_client_is_inherited(client))
        return; /* there its lists can be half changed */
    pthread_mutex_destroy(&lease->lock);
    free(lease);
    stc_client_release(client);
}

void stc_lease_unref(struct stc_lease *lease)
{
    struct stc_connection *connection;
    stator_client_t *client;

    if (lease == NULL || !stc_tie_unref(&lease->tie))
        return;
    client = lease->tie.client;
    if (stc_client_is_inherited(client))
        return;
    stc_tie_leave(&lease->tie);
    pthread_mutex_lock(&lease->lock);
    connection = lease->connection;
    lease->connection = NULL;
    pthread_mutex_unlock(&lease->lock);
    give_back(client, connection);
    stc_lease_release(lease);
}

/* ---- the line ---------------------------------------------------- */

/* Under lock: the first session that has to end gets into the line. */
static bool enter_ender(struct stc_lease *lease)
{
    struct stc_session *session;

    if (cds_list_empty(&lease->sessions))
        return false;
    session = cds_list_first_entry(&lease->sessions, struct stc_session,
                                   on_lease);
    cds_list_del(&session->on_lease);
    session->ender->on_lease = true;
    session->ender->submitted = stf_now_ns();
    stc_queue_admit_always(&lease->tie.client->queue);
    cds_list_add_tail(&session->ender->listed, &lease->waiting);
    session->ender = NULL; /* its reference is the line's */
    return true;
}

/* Under lock.  What is to be given back when the lock has been dropped. */
static struct stc_connection *advance(struct stc_lease *lease)
{
    stator_client_t *client = lease->tie.client;
    struct stc_connection *over = NULL;
    struct stc_op *op;

    if (lease->current != NULL)
        return NULL;
    if (cds_list_empty(&lease->waiting)) {
        if (lease->n_users != 0 || lease->connection == NULL ||
            !atomic_load(&client->closing))
            return NULL;
        if (!enter_ender(lease)) { /* Y4 */
            over = lease->connection;
            lease->connection = NULL;
            return over;
        }
    }
    op = cds_list_first_entry(&lease->waiting, struct stc_op, listed);
    cds_list_del(&op->listed);
    op->on_lease = false;
    lease->current = op;
    op->queued_at = stf_now_ns();
    /* Within the lock, so that who withdraws it finds it there. */
    if (op->in_lane) {
        op->is_urgent = true; /* Y6 */
        stc_queue_push_to(&client->queue, op->cursor->home, op);
    } else {
        stc_queue_push(&client->queue, op);
    }
    return NULL;
}

/* Drops the lock. */
static void go_on(struct stc_lease *lease)
{
    stator_client_t *client = lease->tie.client;
    struct stc_connection *over = advance(lease);

    pthread_mutex_unlock(&lease->lock);
    give_back(client, over);
}

bool stc_lease_use(struct stc_lease *lease)
{
    bool is_open;

    pthread_mutex_lock(&lease->lock);
    is_open = !atomic_load(&lease->tie.client->closing);
    if (is_open)
        lease->n_users++;
    pthread_mutex_unlock(&lease->lock);
    return is_open;
}

void stc_lease_use_too(struct stc_lease *lease)
{
    pthread_mutex_lock(&lease->lock);
    lease->n_users++;
    pthread_mutex_unlock(&lease->lock);
}

void stc_lease_disuse(struct stc_lease *lease)
{
    pthread_mutex_lock(&lease->lock);
    lease->n_users--;
    go_on(lease);
}

void stc_lease_enter(struct stc_lease *lease, struct stc_op *op)
{
    pthread_mutex_lock(&lease->lock);
    op->priority = STC_NORMAL; /* the line has an order of its own */
    op->on_lease = true;
    cds_list_add_tail(&op->listed, &lease->waiting);
    go_on(lease);
}

bool stc_lease_begin(struct stc_lease *lease, struct stc_op *op)
{
    bool begins;

    pthread_mutex_lock(&lease->lock);
    if (lease->current == NULL && cds_list_empty(&lease->waiting))
        lease->current = op;
    begins = lease->current == op;
    pthread_mutex_unlock(&lease->lock);
    if (begins)
        return true;
    stc_op_take_place(op); /* again: the watcher has discharged it */
    stc_op_ref(op);        /* the line's */
    stc_lease_enter(lease, op);
    /* It can have been given up while it was nowhere. */
    if (stc_op_is_settled(op))
        stc_cursor_withdraw(op);
    return false;
}

static bool unpark(struct stc_op *op)
{
    bool was_parked = stc_pool_unpark(&op->client->pool, op);

    if (was_parked)
        stc_op_unref(op); /* the pool's */
    return was_parked;
}

bool stc_lease_withdraw(struct stc_lease *lease, struct stc_op *op)
{
    bool in_line, withdrawn;

    pthread_mutex_lock(&lease->lock);
    in_line = op->on_lease;
    if (in_line) {
        op->on_lease = false;
        cds_list_del(&op->listed);
        withdrawn = true;
    } else {
        withdrawn = stc_queue_withdraw(&op->client->queue, op);
        if (withdrawn && lease->current == op)
            lease->current = NULL;
    }
    go_on(lease);
    if (in_line)
        stc_op_unref(op); /* the line's */
    return withdrawn || unpark(op);
}

void stc_lease_next(struct stc_lease *lease, struct stc_op *op)
{
    pthread_mutex_lock(&lease->lock);
    if (lease->current == op)
        lease->current = NULL;
    go_on(lease);
}

void stc_lease_add_session(struct stc_lease *lease,
                           struct stc_session *session)
{
    pthread_mutex_lock(&lease->lock);
    cds_list_add_tail(&session->on_lease, &lease->sessions);
    pthread_mutex_unlock(&lease->lock);
}

void stc_lease_end_session(struct stc_lease *lease,
                           struct stc_session *session)
{
    struct stc_op *unneeded = NULL;

    pthread_mutex_lock(&lease->lock);
    if (session->ender != NULL) {
        cds_list_del(&session->on_lease);
        if (session->driver == NULL) { /* it was never started */
            unneeded = session->ender;
            session->ender = NULL;
        } else {
            cds_list_add(&session->on_lease, &lease->sessions);
            enter_ender(lease);
        }
    }
    go_on(lease);
    if (unneeded != NULL)
        stc_op_unref(unneeded);
}

bool stc_lease_is_of_one(struct stc_lease *lease)
{
    bool is_empty;

    pthread_mutex_lock(&lease->lock);
    is_empty = cds_list_empty(&lease->sessions) &&
               cds_list_empty(&lease->waiting) && lease->n_users == 0;
    pthread_mutex_unlock(&lease->lock);
    return is_empty && atomic_load(&lease->tie.refs) == 1;
}

/* ---- the client closes ------------------------------------------- */

static bool is_users_unsettled(const struct stc_op *op)
{
    return op != NULL && !op->internal && !stc_op_is_settled(op);
}

/* Does nobody wait for anything there?  What has settled may still be in a
 * worker's hands, and who came from there may have begun to end it. */
static bool is_idle(struct stc_lease *lease)
{
    struct stc_op *op;
    bool idle;

    pthread_mutex_lock(&lease->lock);
    idle = lease->n_users == 0 && !is_users_unsettled(lease->current);
    cds_list_for_each_entry(op, &lease->waiting, listed)
        idle = idle && !is_users_unsettled(op);
    pthread_mutex_unlock(&lease->lock);
    return idle;
}

void stc_leases_shut(stator_client_t *client)
{
    unsigned round = stc_ties_new_round(client);
    struct stc_tie *tie;

    while ((tie = stc_ties_next(client, STC_SESSION, round)) != NULL) {
        struct stc_session *session = stc_session_of(tie);

        if (is_idle(session->lease))
            stc_tie_name(tie, "client.start_session");
        stc_session_unref(session);
    }
    round = stc_ties_new_round(client);
    while ((tie = stc_ties_next(client, STC_LEASE, round)) != NULL) {
        struct stc_lease *lease = stc_lease_of(tie);

        if (is_idle(lease))
            stc_tie_name(tie, "client.lease");
        pthread_mutex_lock(&lease->lock);
        go_on(lease);
        stc_lease_unref(lease);
    }
}

static struct stc_op *first_waiting(struct stc_lease *lease)
{
    struct stc_op *op, *found = NULL;

    pthread_mutex_lock(&lease->lock);
    cds_list_for_each_entry(op, &lease->waiting, listed)
        if (is_users_unsettled(op)) {
            found = op;
            stc_op_ref(op);
            break;
        }
    pthread_mutex_unlock(&lease->lock);
    return found;
}

void stc_leases_give_up_waiting(stator_client_t *client)
{
    unsigned round = stc_ties_new_round(client);
    struct stc_tie *tie;
    struct stc_op *op;

    while ((tie = stc_ties_next(client, STC_LEASE, round)) != NULL) {
        while ((op = first_waiting(stc_lease_of(tie))) != NULL) {
            stc_op_give_up(op, STC_BY_CLOSE);
            stc_op_unref(op);
        }
        stc_lease_unref(stc_lease_of(tie));
    }
}

/* An ender that nobody runs any more; with its reference. */
static struct stc_op *take_ender(struct stc_lease *lease)
{
    struct stc_op *op = NULL;

    pthread_mutex_lock(&lease->lock);
    if (lease->current != NULL && lease->current->internal &&
        !lease->current->is_request) {
        op = lease->current;
        stc_op_ref(op);
        if (!stc_queue_withdraw(&lease->tie.client->queue, op)) {
            pthread_mutex_unlock(&lease->lock);
            stc_op_unref(op);
            return NULL;
        }
        lease->current = NULL;
    } else if (lease->current == NULL && lease->connection != NULL) {
        enter_ender(lease);
        if (!cds_list_empty(&lease->waiting)) {
            op = cds_list_first_entry(&lease->waiting, struct stc_op, listed);
            op->on_lease = false;
            cds_list_del(&op->listed);
        } else if (lease->n_users == 0) {
            lease->connection = NULL; /* it stays out: see stc_pool_close */
            atomic_fetch_sub(&lease->tie.client->granted, 1);
        }
    }
    pthread_mutex_unlock(&lease->lock);
    return op;
}

void stc_leases_abandon(stator_client_t *client)
{
    unsigned round = stc_ties_new_round(client);
    struct stc_tie *tie;
    struct stc_op *op;

    while ((tie = stc_ties_next(client, STC_LEASE, round)) != NULL) {
        while ((op = take_ender(stc_lease_of(tie))) != NULL) {
            stc_op_leave_place(op);
            stc_op_unref(op);
        }
        stc_lease_unref(stc_lease_of(tie));
    }
}

/* ---- for lib ----------------------------------------------------- */

void stc_lease_add_handle(struct stc_lease *lease)
{
    stc_tie_add_handle(&lease->tie);
}

void stc_lease_drop_handle(struct stc_lease *lease)
{
    if (stc_tie_drop_handle(&lease->tie))
        stc_lease_unref(lease);
}

stator_client_t *stc_lease_client(const struct stc_lease *lease)
{
    return lease->tie.client;
}

int64_t stc_lease_id(const struct stc_lease *lease)
{
    return lease->tie.id;
}
