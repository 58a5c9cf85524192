/* SPDX-License-Identifier: Apache-2.0 */
/* core/op.c - an operation's life outside the worker: made, submitted,
 * given up, counted. */
#include "core/op.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/client.h"
#include "core/cursor.h"
#include "core/session.h"
#include "core/target.h"
#include "core/verb.h"

static void op_cancel(stator_future_t *f)
{
    stc_op_give_up(stc_op_of(f), STC_BY_USER);
}

static void op_settling(stator_future_t *f, stator_future_state_t final)
{
    struct stc_op *op = stc_op_of(f);
    stator_client_t *client = op->client;

    if (!op->internal)
        stc_stats_settled(&client->stats, f, final,
                          stf_now_ns() - op->submitted);
    if (op->deadline.at != STF_NO_DEADLINE)
        stc_keeper_unwatch(&client->keeper, op);
    if (stc_op_where(op) == STC_LOOSE) {
        stc_queue_forget_loose(&client->queue, op);
        if (atomic_load(&client->closing))
            stc_keeper_wake(&client->keeper);
    }
}

static void op_release(stator_future_t *f)
{
    struct stc_op *op = stc_op_of(f);

    stc_op_drop_bytes(op);
    if (op->is_request)
        stc_cursor_forget(op);
    else if (op->free_arg != NULL)
        op->free_arg(op->arg);
    stc_op_untie(op);
    if (op->session != NULL)
        stc_session_release(op->session);
    if (op->lease != NULL)
        stc_lease_release(op->lease);
    stc_target_unref(op->target);
    stc_client_release(op->client);
}

static const struct stf_kind op_kind = {
    .cancel = op_cancel,
    .settling = op_settling,
    .release = op_release,
};

struct stc_op *stc_op_new(stator_client_t *client,
                          const struct stc_verb *verb,
                          struct stc_target *target)
{
    stator_future_t *f =
        stf_future_new(&op_kind, verb->name, sizeof(struct stc_op));
    struct stc_op *op;

    if (f == NULL)
        return NULL;
    op = stc_op_of(f);
    op->client = client;
    stc_client_hold(client);
    op->verb = verb;
    op->target = stc_target_ref(target);
    op->priority = STC_NORMAL;
    op->deadline.at = STF_NO_DEADLINE;
    op->submitted = op->queued_at = stf_now_ns();
    STF_INIT(&op->where, (uint32_t)STC_OUTSIDE);
    return op;
}

void stc_op_drop_bytes(struct stc_op *op)
{
    free(op->bytes);
    op->bytes = NULL;
}

bool stc_op_admit(struct stc_op *op)
{
    stator_client_t *client = op->client;
    stator_future_t *f = stc_op_future(op);

    stc_stats_submitted(&client->stats);
    if (op->passes || op->verb == &stc_verb_abort_transaction) {
        stc_queue_admit_always(&client->queue);
        return true;
    }
    switch (op->in_lane
                ? stc_queue_admit_to_lane(&client->queue)
                : stc_queue_admit(&client->queue, op->deadline.at)) {
    case STC_ADMITTED:
        return true;
    case STC_FULL:
        stf_settle_code(f, STATOR_FUTURE_FAILED, STATOR_ERROR_REFUSED,
                        client->note_full, STATOR_NOT_SENT);
        break;
    case STC_SHUT:
        stf_settle_code(f, STATOR_FUTURE_FAILED, STATOR_ERROR_CLOSED,
                        client->note_closed, STATOR_NOT_SENT);
        break;
    case STC_TOO_LATE:
        stf_settle_code(f, STATOR_FUTURE_FAILED, STATOR_ERROR_EXPIRED,
                        "timeoutMS ran out while the queue was full",
                        STATOR_NOT_SENT);
        break;
    }
    return false;
}

void stc_op_take_place(struct stc_op *op)
{
    if (op->in_lane)
        stc_queue_admit_to_lane_always(&op->client->queue);
    else
        stc_queue_admit_always(&op->client->queue);
}

void stc_op_leave_place(struct stc_op *op)
{
    if (op->in_lane)
        stc_queue_discharge_from_lane(&op->client->queue);
    else
        stc_queue_discharge(&op->client->queue);
}

void stc_op_refuse(struct stc_op *op)
{
    stc_stats_submitted(&op->client->stats);
    stf_settle_code(stc_op_future(op), STATOR_FUTURE_FAILED,
                    STATOR_ERROR_CLOSED, op->client->note_closed,
                    STATOR_NOT_SENT);
}

void stc_op_watch(struct stc_op *op)
{
    if (op->deadline.at != STF_NO_DEADLINE)
        stc_keeper_watch(&op->client->keeper, op);
}

void stc_op_tie(struct stc_op *op, struct stc_lease *lease,
                struct stc_session *session)
{
    op->lease = lease;
    if (lease != NULL)
        stc_lease_hold(lease);
    op->session = session;
    if (session != NULL)
        stc_session_hold(session);
    STF_STORE(&op->tied, 1u, relaxed);
}

void stc_op_untie(struct stc_op *op)
{
    if (op->lease == NULL || STF_EXCHANGE(&op->tied, 0u, acq_rel) == 0)
        return;
    if (op->verb != &stc_verb_end_session) /* which ends it, and no more */
        stc_session_unref(op->session);
    stc_lease_unref(op->lease);
}

struct stc_lease *stc_op_lease(const struct stc_op *op)
{
    return op->is_request ? op->cursor->lease : op->lease;
}

bool stc_op_withdraw(struct stc_op *op)
{
    if (op->lease != NULL ? !stc_lease_withdraw(op->lease, op)
                          : !stc_queue_withdraw(&op->client->queue, op))
        return false;
    stc_op_drop_bytes(op);
    stc_op_untie(op);
    stc_queue_discharge(&op->client->queue);
    return true;
}

bool stc_op_cut(struct stc_op *op)
{
    struct stc_transport *t;
    bool is_users =
        !op->is_request && (op->fn != NULL || op->fn_session != NULL);

    if (stf_phase(stc_op_future(op)) < STATOR_PHASE_SENT)
        return true; /* O3 */
    if (is_users) /* a cut could hit the commands that clean up after it */
        return false;
    t = STF_LOAD(&op->transport, acquire);
    if (t != NULL)
        return !stc_transport_cut(t, op);
    return STF_LOAD(&op->unsent, relaxed) != 0; /* the driver has returned */
}

/* Z5: who waits in the lane gives up, the turn goes on. */
static bool is_cut_by(const struct stc_op *op, enum stc_reason why)
{
    return !op->in_lane || (why != STC_BY_USER && why != STC_BY_DEADLINE) ||
           stf_phase(&op->promise.future) < STATOR_PHASE_SENT;
}

/* By a worker that has gone on to the driver. */
static bool was_begun(struct stc_op *op)
{
    return STF_LOAD(&op->transport, acquire) != NULL;
}

/* Its time was up while the driver looked for a server: say what is known of
 * that, if there is memory for it. */
static struct stf_result *late_result(struct stc_op *op, const char *note)
{
    struct stf_result *result = stf_result_new();
    char what[128];

    if (result == NULL)
        return NULL;
    snprintf(what, sizeof what, "%s: %s", op->verb->name, note);
    result->has_error = stc_reach_why(&op->client->pool.reach, what,
                                      &result->error);
    if (result->has_error)
        return result;
    stf_result_free(result);
    return NULL;
}

bool stc_op_give_up(struct stc_op *op, enum stc_reason why)
{
    static const struct {
        stator_future_state_t final;
        stator_error_code_t code;
        const char *not_sent, *maybe_sent;
    } ends[] = {
        [STC_BY_USER] = {STATOR_FUTURE_CANCELLED, STATOR_ERROR_CANCELLED,
                         "cancelled before it was sent",
                         "cancelled while it was running"},
        [STC_BY_DEADLINE] = {STATOR_FUTURE_FAILED, STATOR_ERROR_EXPIRED,
                             "timeoutMS ran out before it was sent",
                             "timeoutMS ran out while it was running"},
        [STC_BY_CURSOR] = {STATOR_FUTURE_CANCELLED, STATOR_ERROR_CANCELLED,
                           "the cursor was closed before it was sent",
                           "the cursor was closed while it was running"},
        [STC_BY_STREAM] = {STATOR_FUTURE_CANCELLED, STATOR_ERROR_CANCELLED,
                           "the change stream was closed before it was sent",
                           "the change stream was closed while it waited"},
        [STC_BY_CLOSE] = {STATOR_FUTURE_CANCELLED, STATOR_ERROR_CANCELLED,
                          "the client was closed before it was sent",
                          "the client was closed while it was running"},
    };
    stator_future_t *f = stc_op_future(op);
    bool was_queued, not_sent;

    if (!stf_claim(f, ends[why].final))
        return false;
    was_queued = op->is_request ? stc_cursor_withdraw(op) : stc_op_withdraw(op);
    not_sent = was_queued || (is_cut_by(op, why) && stc_op_cut(op));
    f->code = (uint8_t)ends[why].code;
    f->note = not_sent ? ends[why].not_sent : ends[why].maybe_sent;
    f->outcome = not_sent ? STATOR_NOT_SENT : STATOR_MAYBE_SENT;
    if (why == STC_BY_DEADLINE && was_queued && op->waits_by_uri)
        f->note = "waitQueueTimeoutMS ran out before a connection was free";
    if (why == STC_BY_DEADLINE && not_sent && was_begun(op))
        f->result = late_result(op, f->note);
    stf_finish(f, ends[why].final);
    if (op->in_lane)
        stc_cursor_cut_turn(op->cursor);
    return true;
}

/* ---- where it is to run ------------------------------------------ */

bool stc_request_bind(stator_client_t *client, struct stc_request *request,
                      char *problem, size_t size)
{
    struct stc_tie *session = NULL, *lease = NULL;

    if (stc_client_is_inherited(client)) /* which is answered later */
        return true;
    if (request->session_id != 0) {
        session = stc_tie_find(client, STC_SESSION, request->session_id);
        if (session == NULL) {
            snprintf(problem, size, "sessionId %" PRId64 " is no session of "
                     "this client, or has ended", request->session_id);
            return false;
        }
        request->session = stc_session_of(session);
    }
    if (request->lease_id != 0) {
        lease = stc_tie_find(client, STC_LEASE, request->lease_id);
        if (lease == NULL)
            snprintf(problem, size, "leaseId %" PRId64 " is no lease of this "
                     "client, or has ended", request->lease_id);
        else if (session != NULL &&
                 request->session->lease != stc_lease_of(lease))
            snprintf(problem, size, "sessionId %" PRId64 " is not on the "
                     "lease of leaseId %" PRId64, request->session_id,
                     request->lease_id);
        else
            request->lease = stc_lease_of(lease);
        if (request->lease == NULL) {
            if (lease != NULL)
                stc_lease_unref(stc_lease_of(lease));
            stc_session_unref(request->session);
            request->session = NULL;
            return false;
        }
    } else if (session != NULL) {
        request->lease = request->session->lease;
        stc_tie_ref(&request->lease->tie);
    }
    return true;
}

void stc_request_drop(struct stc_request *request)
{
    if (request->free_arg != NULL)
        request->free_arg(request->arg);
    stc_session_unref(request->session);
    stc_lease_unref(request->lease);
    free(request->bytes);
}

/* What the request is bound to; what it asks for is made.  False: no
 * memory. */
static bool take_strand(struct stc_op *op, struct stc_request *request)
{
    bool starts = request->verb == &stc_verb_start_session;
    struct stc_lease *lease = request->lease;
    struct stc_session *session = request->session;

    if (request->verb == &stc_verb_lease || (starts && lease == NULL)) {
        op->acquires = true;
        lease = stc_lease_new(op->client);
        if (lease == NULL)
            return false;
        lease->tie.site = request->site;
    }
    if (starts) {
        session = stc_session_new(op->client, lease, op->target);
        if (session == NULL) {
            stc_lease_unref(lease);
            request->lease = NULL;
            return false;
        }
        session->tie.site = session->ender->site = request->site;
    }
    stc_op_tie(op, lease, session);
    return true;
}

stator_future_t *stc_submit(stator_client_t *client,
                            struct stc_request *request)
{
    struct stc_op *op;
    bool uses;

    if (stc_client_is_inherited(client)) {
        stc_request_drop(request);
        return stc_forked(request->verb->name);
    }
    op = stc_op_new(client, request->verb, request->target);
    if (op == NULL || !take_strand(op, request)) {
        if (op != NULL)
            stc_op_unref(op);
        stc_request_drop(request);
        return stf_future_no_memory();
    }
    op->site = request->site;
    stc_op_future(op)->context = request->context;
    op->bytes = request->bytes;
    op->n_documents = request->n_documents;
    op->priority = (uint8_t)request->priority;
    op->passes = request->passes;
    op->fn = request->fn;
    op->fn_session = request->fn_session;
    op->arg = request->arg;
    op->free_arg = request->free_arg;
    if (request->timeout_ms > 0) {
        op->deadline.at = stf_deadline_after_ms(request->timeout_ms);
    } else if (op->acquires && client->wait_queue_ms > 0) {
        op->waits_by_uri = true;
        op->deadline.at = stf_deadline_after_ms(client->wait_queue_ms);
    }
    uses = op->lease != NULL && stc_lease_use(op->lease); /* Y4 */
    if (op->lease != NULL && !uses) {
        stc_op_refuse(op);
        stc_op_untie(op);
    } else if (stc_op_admit(op)) {
        stc_op_ref(op); /* the queue's */
        stc_op_watch(op);
        if (op->lease != NULL && !op->acquires)
            stc_lease_enter(op->lease, op);
        else
            stc_queue_push(&client->queue, op);
        /* Its time can have run out before there was anything to withdraw. */
        if (stc_op_is_settled(op))
            stc_op_withdraw(op);
    } else {
        stc_op_untie(op);
    }
    if (uses)
        stc_lease_disuse(op->lease);
    return stc_op_future(op);
}
