/* SPDX-License-Identifier: Apache-2.0 */
/* core/worker.c - one thread that blocks in the driver.
 *
 *   take -> connection -> views -> SENT -> verb (blocks) -> settle -> take
 *
 * W1  It owns its connection from the first operation to its end, but may
 *     lend it to a cursor and go on with a spare one.  What has a lease runs
 *     on that one's.
 * W2  The result's room is made before the driver is called.
 * W3  It looks at the operation's claim after it has entered SENT (O3).
 * W4  A function of stator_client_run may fork.  The child is this thread
 *     alone, and ends with it: queue and connection are the parent's. */
#include "core/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/call.h"
#include "core/client.h"
#include "core/cursor.h"
#include "core/op.h"
#include "core/session.h"

/* "client/0"; the driver's monitor threads inherit the name of the worker
 * that takes the first connection, and shall not be taken for workers. */
static void name_thread(const struct stc_worker *w, const char *role)
{
    char name[16];

    snprintf(name, sizeof name, "%.8s/%.6s", w->client->config.name, role);
    pthread_setname_np(pthread_self(), name);
}

struct stc_connection *stc_worker_connection(struct stc_worker *w,
                                             bson_error_t *error)
{
    char number[12];

    if (w->connection == NULL) {
        snprintf(number, sizeof number, "%s%u", w->is_watcher ? "w" : "",
                 w->number);
        name_thread(w, "driver");
        w->connection = stc_pool_take(&w->client->pool, error);
        name_thread(w, number);
    }
    return w->connection;
}

/* ---- one operation ----------------------------------------------- */

/* Settle with what the driver gave; takes `result`. */
static void settle(struct stc_op *op, bool ok, stator_outcome_t outcome,
                   struct stf_result *result)
{
    stator_future_t *f = stc_op_future(op);
    stator_future_state_t final =
        ok ? STATOR_FUTURE_DONE : STATOR_FUTURE_FAILED;

    if (!stf_claim(f, final)) { /* O4 */
        stf_result_free(result);
        return;
    }
    result->has_error = !ok;
    f->result = result;
    f->outcome = (uint8_t)outcome;
    if (!ok)
        stf_enter_phase(f, stc_phase(outcome));
    stf_finish(f, final);
}

/* waitQueueTimeoutMS bounds the wait for a connection, and no more. */
static int64_t deadline_of(const struct stc_op *op)
{
    return op->waits_by_uri && !op->acquires ? STF_NO_DEADLINE
                                             : op->deadline.at;
}

static void run_verb(struct stc_worker *w, struct stc_op *op,
                     struct stc_connection *connection,
                     struct stf_result *result, int64_t taken)
{
    struct stc_stats *stats = &w->client->stats;
    struct stc_transport *transport = &connection->transport;
    stator_outcome_t outcome = STATOR_NOT_SENT;
    struct stc_views views;
    int64_t sent;
    bool ok = false, was_cut;

    if (!stc_views_open(&views, connection, op->target, op->bytes,
                        op->n_documents, deadline_of(op), op->session,
                        result)) {
        settle(op, false, STATOR_NOT_SENT, result);
        stc_views_close(&views);
        return;
    }
    sent = stf_now_ns();
    stc_histogram_add(&stats->checkout, sent - taken);
    stc_transport_begin(transport, op);
    stf_enter_phase(stc_op_future(op), STATOR_PHASE_SENT);
    if (!stc_op_is_settled(op)) { /* W3 */
        ok = op->verb->run(&views.call);
        outcome = stc_outcome(&views.call, ok, transport);
        if (!ok) {
            /* A commit's limit is the user's maxCommitTimeMS. */
            if (op->verb != &stc_verb_commit_transaction)
                stc_note_expiry(&views.call);
            stc_pool_explain(&w->client->pool, connection, &result->error);
        }
        stc_histogram_add(&stats->sent, stf_now_ns() - sent);
    } else {
        stf_enter_phase(stc_op_future(op), STATOR_PHASE_CHECKOUT);
    }
    was_cut = stc_transport_end(transport, op);
    stc_views_close(&views);
    if (op->session != NULL)
        stc_session_after(op->session);
    settle(op, ok, outcome, result);
    if (was_cut && op->session == NULL && !stc_close_is_quick(w->client))
        stc_pool_stop_server(&w->client->pool, connection);
}

static void call_users(struct stc_op *op, mongoc_client_t *client,
                       stator_promise_t *promise)
{
    struct stc_session *s = op->session;

    if (op->fn_session == NULL) {
        op->fn(client, promise, op->arg);
        return;
    }
    stc_session_before(s);
    op->fn_session(client, s->driver, promise, op->arg);
    if (!stc_client_is_inherited(op->client)) /* W4 */
        stc_session_after(s);
}

/* stator_client_run: the promise is the operation itself. */
static void run_users(struct stc_worker *w, struct stc_op *op,
                      struct stc_connection *connection)
{
    stator_promise_t *promise = stf_promise_of(stc_op_future(op));

    stf_enter_phase(stc_op_future(op), STATOR_PHASE_SENT);
    if (stc_op_is_settled(op))
        return;
    stc_transport_begin(&connection->transport, op);
    /* The promise's references hold one on the future. */
    stc_op_ref(op);
    STF_STORE(&promise->future.producers, 1u, relaxed);
    call_users(op, connection->client, promise);
    if (stc_client_is_inherited(w->client)) /* W4 */
        return;
    stc_transport_end(&connection->transport, op);
    /* Kept by the user beyond this call: a close must find it. */
    if (!stc_op_is_settled(op))
        stc_queue_keep_loose(&w->client->queue, op);
    stator_promise_unref(promise);
    if (stc_op_is_settled(op))
        stc_queue_forget_loose(&w->client->queue, op);
}

/* Where it runs: on its lease, else on what the worker has. */
static struct stc_connection *connection_for(struct stc_worker *w,
                                             const struct stc_op *op,
                                             bson_error_t *error)
{
    if (op->lease == NULL || op->acquires)
        return stc_worker_connection(w, error);
    if (op->lease->connection == NULL ||
        (op->fn_session != NULL && op->session->driver == NULL)) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_CLOSED,
                       "%s: its lease or session has ended",
                       op->verb->name);
        return NULL;
    }
    return op->lease->connection;
}

static void run(struct stc_worker *w, struct stc_op *op)
{
    int64_t taken = stf_now_ns();
    struct stc_connection *connection;
    struct stf_result *result;

    stc_histogram_add(&w->client->stats.queued, taken - op->submitted);
    stf_enter_phase(stc_op_future(op), STATOR_PHASE_CHECKOUT);
    if (deadline_of(op) <= taken) /* the keeper is only slower */
        stc_op_give_up(op, STC_BY_DEADLINE);
    if (stc_op_is_settled(op))
        return;
    result = stf_result_new(); /* W2 */
    if (result == NULL) {
        stf_settle_code(stc_op_future(op), STATOR_FUTURE_FAILED,
                        STATOR_ERROR_MEMORY, "no memory for its result",
                        STATOR_NOT_SENT);
        return;
    }
    connection = connection_for(w, op, &result->error);
    if (connection == NULL) {
        settle(op, false, STATOR_NOT_SENT, result);
    } else if (op->acquires) {
        stf_result_free(result);
        stc_lease_request(op); /* it may be in other hands by now */
    } else if (op->verb->run == NULL) {
        stf_result_free(result);
        run_users(w, op, connection);
    } else {
        run_verb(w, op, connection, result, taken);
    }
}

/* Of an operation that is no cursor's.  False: in a child, see W4. */
static bool serve(struct stc_worker *w, struct stc_op *op)
{
    bool stays = !op->acquires;

    if (op->verb == &stc_verb_end_session)
        stc_session_end(op->session);
    else
        run(w, op);
    if (stc_client_is_inherited(w->client))
        return false;
    if (stays) {
        stc_op_drop_bytes(op);
        STF_STORE(&op->returned, 1u, release);
    }
    return true;
}

/* ---- the thread -------------------------------------------------- */

static void end(struct stc_worker *w)
{
    stator_client_t *client = w->client;
    bool is_last, stopped;

    if (w->connection != NULL) {
        stc_pool_give_back(&client->pool, w->connection, false);
        stc_lease_serve_parked(client);
    }
    pthread_mutex_lock(&client->queue.lock);
    cds_list_del(&w->node);
    is_last = atomic_fetch_sub(&client->n_running, 1) == 1;
    stopped = client->queue.stopped;
    pthread_mutex_unlock(&client->queue.lock);

    /* The last one may block for the pool's end, which the keeper may not. */
    if (is_last && stopped)
        stc_pool_close(&client->pool, stc_close_is_quick(client));

    pthread_mutex_lock(&client->lock);
    cds_list_add_tail(&w->node, &client->ended);
    pthread_mutex_unlock(&client->lock);
    stc_keeper_wake(&client->keeper);
}

static void *worker_main(void *arg)
{
    struct stc_worker *w = arg;
    struct stc_op *op;

    stf_thread()->is_ours = true;
    while ((op = stc_queue_take(&w->client->queue, w)) != NULL) {
        struct stc_lease *lease = op->acquires ? NULL : stc_op_lease(op);

        if (op->in_lane && lease != NULL && !stc_lease_begin(lease, op))
            continue;
        stf_thread()->context = stc_op_future(op)->context;
        if (op->is_request)
            stc_cursor_run(w, op); /* it may be in other hands by now */
        else if (!serve(w, op))
            return NULL;
        stf_thread()->context = NULL;
        if (lease != NULL) {
            stc_op_untie(op); /* first: see stc_lease_is_of_one */
            stc_lease_next(lease, op);
        }
        if (atomic_load(&w->client->closing))
            stc_keeper_wake(&w->client->keeper);
    }
    end(w);
    return NULL;
}

static int start(stator_client_t *client, struct stc_worker *w,
                 const char *role)
{
    char name[16];
    int failed;

    w->client = client;
    CDS_INIT_LIST_HEAD(&w->inbox);
    CDS_INIT_LIST_HEAD(&w->urgent);
    pthread_mutex_lock(&client->queue.lock);
    cds_list_add_tail(&w->node, &client->queue.workers);
    pthread_mutex_unlock(&client->queue.lock);
    atomic_fetch_add(&client->n_running, 1);
    client->n_threads++;
    snprintf(name, sizeof name, "%.8s/%s%u", client->config.name, role,
             w->number);
    failed = stc_thread_start(&w->thread, worker_main, w, name);
    if (failed != 0) {
        pthread_mutex_lock(&client->queue.lock);
        cds_list_del(&w->node);
        pthread_mutex_unlock(&client->queue.lock);
        atomic_fetch_sub(&client->n_running, 1);
        client->n_threads--;
        free(w);
    }
    return failed;
}

int stc_worker_start(stator_client_t *client)
{
    struct stc_worker *w = calloc(1, sizeof *w);
    int failed;

    if (w == NULL)
        return ENOMEM;
    w->number = client->n_started;
    failed = start(client, w, "");
    if (failed == 0)
        client->n_started++;
    return failed;
}

int stc_watcher_start(stator_client_t *client, struct stc_worker **watcher)
{
    struct stc_worker *w = calloc(1, sizeof *w);

    if (w == NULL)
        return ENOMEM;
    w->is_watcher = true;
    w->number = (unsigned)client->lane.n_watchers;
    *watcher = w;
    return start(client, w, "w");
}
