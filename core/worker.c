/* SPDX-License-Identifier: Apache-2.0 */
/* core/worker.c - one thread that blocks in the driver.
 *
 *   take -> connection -> views -> SENT -> verb (blocks) -> settle -> take
 *
 * W1  It owns its connection from the first operation to its end, but may
 *     lend it to a cursor and go on with a spare one.
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
        snprintf(number, sizeof number, "%u", w->number);
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

static void run_verb(struct stc_worker *w, struct stc_op *op,
                     struct stf_result *result, int64_t taken)
{
    struct stc_stats *stats = &w->client->stats;
    struct stc_transport *transport = &w->connection->transport;
    stator_outcome_t outcome = STATOR_NOT_SENT;
    struct stc_views views;
    int64_t sent;
    bool ok = false, was_cut;

    if (!stc_views_open(&views, w->connection, op->target, op->bytes,
                        op->n_documents, op->deadline.at, result)) {
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
            stc_note_expiry(&views.call);
            stc_pool_explain(&w->client->pool, w->connection,
                             &result->error);
        }
        stc_histogram_add(&stats->sent, stf_now_ns() - sent);
    } else {
        stf_enter_phase(stc_op_future(op), STATOR_PHASE_CHECKOUT);
    }
    was_cut = stc_transport_end(transport, op);
    stc_views_close(&views);
    settle(op, ok, outcome, result);
    if (was_cut && !stc_close_is_quick(w->client))
        stc_pool_stop_server(&w->client->pool, w->connection);
}

/* stator_client_run: the promise is the operation itself. */
static void run_users(struct stc_worker *w, struct stc_op *op)
{
    stator_promise_t *promise = stf_promise_of(stc_op_future(op));

    stf_enter_phase(stc_op_future(op), STATOR_PHASE_SENT);
    if (stc_op_is_settled(op))
        return;
    stc_transport_begin(&w->connection->transport, op);
    /* The promise's references hold one on the future. */
    stc_op_ref(op);
    STF_STORE(&promise->future.producers, 1u, relaxed);
    op->fn(w->connection->client, promise, op->arg);
    if (stc_client_is_inherited(w->client)) /* W4 */
        return;
    stc_transport_end(&w->connection->transport, op);
    /* Kept by the user beyond this call: a close must find it. */
    if (!stc_op_is_settled(op))
        stc_queue_keep_loose(&w->client->queue, op);
    stator_promise_unref(promise);
    if (stc_op_is_settled(op))
        stc_queue_forget_loose(&w->client->queue, op);
}

static void run(struct stc_worker *w, struct stc_op *op)
{
    int64_t taken = stf_now_ns();
    struct stf_result *result;

    stc_histogram_add(&w->client->stats.queued, taken - op->submitted);
    stf_enter_phase(stc_op_future(op), STATOR_PHASE_CHECKOUT);
    if (op->deadline.at <= taken) /* the keeper is only slower */
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
    if (stc_worker_connection(w, &result->error) == NULL) {
        settle(op, false, STATOR_NOT_SENT, result);
    } else if (op->verb->run == NULL) {
        stf_result_free(result);
        run_users(w, op);
    } else {
        run_verb(w, op, result, taken);
    }
}

/* ---- the thread -------------------------------------------------- */

static void end(struct stc_worker *w)
{
    stator_client_t *client = w->client;
    bool is_last, stopped;

    if (w->connection != NULL)
        stc_pool_give_back(&client->pool, w->connection, false);
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
        if (op->is_request) {
            stc_cursor_run(w, op); /* it may be in other hands by now */
        } else {
            run(w, op);
            if (stc_client_is_inherited(w->client)) /* W4 */
                return NULL;
            stc_op_drop_bytes(op);
            STF_STORE(&op->returned, 1u, release);
        }
        if (atomic_load(&w->client->closing))
            stc_keeper_wake(&w->client->keeper);
    }
    end(w);
    return NULL;
}

int stc_worker_start(stator_client_t *client)
{
    struct stc_worker *w = calloc(1, sizeof *w);
    char name[16];
    int failed;

    if (w == NULL)
        return ENOMEM;
    w->client = client;
    CDS_INIT_LIST_HEAD(&w->inbox);
    pthread_mutex_lock(&client->queue.lock);
    cds_list_add_tail(&w->node, &client->queue.workers);
    pthread_mutex_unlock(&client->queue.lock);
    atomic_fetch_add(&client->n_running, 1);
    client->n_threads++;
    w->number = client->n_started++;
    snprintf(name, sizeof name, "%.8s/%u", client->config.name, w->number);
    failed = stc_thread_start(&w->thread, worker_main, w, name);
    if (failed != 0) {
        pthread_mutex_lock(&client->queue.lock);
        cds_list_del(&w->node);
        pthread_mutex_unlock(&client->queue.lock);
        atomic_fetch_sub(&client->n_running, 1);
        client->n_threads--;
        client->n_started--;
        free(w);
    }
    return failed;
}
