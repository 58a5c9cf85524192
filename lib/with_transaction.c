/* SPDX-License-Identifier: Apache-2.0 */
/* lib/with_transaction.c - stator_session_with_transaction: a loop that runs
 * on a dispatcher, a step at a time.
 *
 *      +---------------- transient failure, in time ----------------+
 *      v                                                            |
 *   START ──> fn's future (BODY) ──> COMMIT ──> settle as BODY's    |
 *                 |                   |  ^ |                        |
 *                 | failed            |  +-+ result unknown, in time|
 *                 v                   +-----------------------------+
 *               ABORT ──> transient, in time? as above: settle as BODY's
 *
 * X1  One continuation, attached to the step that is awaited; it runs in
 *     dispatch only, so all but `awaited` is the running thread's.
 * X2  `awaited` is what cancel has to cancel, and no more; when nothing was
 *     awaited at that moment, the next step is cancelled by who takes it.
 *     The abort comes when that has settled, in dispatch: fn, and the chain
 *     that it gave, must ask for nothing more behind it, for that would be
 *     outside the transaction.  What can not be kept from it is a step of the
 *     chain that runs elsewhere at that very moment.
 *     Who can not go on asks for an abort too, and leaves.
 * X3  The continuation holds one reference on this future; nothing of `t` is
 *     touched after an attach. */
#include <stator/session.h>

#include <string.h>

#include "futures/awaited.h"
#include "futures/base.h"
#include "futures/dispatcher.h"
#include "futures/future.h"
#include "lib/document.h"
#include "lib/opts.h"
#include "lib/request.h"
#include "lib/session_opts.h"

enum { LIMIT_MS = 120000 };

enum step { START, BODY, COMMIT, ABORT };

struct transaction {
    struct stator_future future;
    struct stf_continuation continuation;
    struct stf_awaited awaited;
    const stator_dispatcher_t *dispatcher; /* to be compared, not used */
    stator_session_t *session;
    stator_transaction_fn *fn;
    void *arg;
    bson_t *opts; /* of start_transaction, without timeoutMS */
    int64_t until;
    bool is_bounded; /* by timeoutMS: each step gets what is left */
    enum step step;
    stator_future_t *body; /* fn's, settled; NULL: it gave none */
};

static struct transaction *transaction_of(stator_future_t *f)
{
    return stf_container_of(f, struct transaction, future);
}

static bool is_open(stator_session_t *session)
{
    stator_transaction_state_t state =
        stator_session_transaction_state(session);

    return state == STATOR_TRANSACTION_STARTING ||
           state == STATOR_TRANSACTION_IN_PROGRESS;
}

/* Nobody waits for it. */
static void abort_behind(struct transaction *t)
{
    stator_future_unref(stator_session_abort_transaction(t->session, NULL));
}

static bool was_never_sent(const stator_future_t *step)
{
    return stator_future_poll(step) != STATOR_FUTURE_DONE &&
           stator_future_outcome(step) == STATOR_NOT_SENT;
}

/* It failed, for a reason of the driver's: there is none of ours.  One that
 * was given up may yet be begun. */
static bool has_not_begun(const stator_future_t *start)
{
    bson_error_t error = {0};

    return stator_future_poll(start) == STATOR_FUTURE_FAILED &&
           stator_future_error(start, &error) &&
           !(error.domain == STATOR_ERROR_DOMAIN &&
             error.code == STATOR_ERROR_EXPIRED);
}

static void abort_after(struct transaction *t, const stator_future_t *step)
{
    if (t->step != START || !has_not_begun(step))
        abort_behind(t);
}

static void transaction_cancelled(stator_future_t *f)
{
    stf_awaited_cancel(&transaction_of(f)->awaited); /* X2 */
}

static struct stf_waits transaction_waits(stator_future_t *f)
{
    return (struct stf_waits){.n = 1,
                              .dispatcher = transaction_of(f)->dispatcher};
}

static stator_future_t *transaction_waits_for(stator_future_t *f, size_t i)
{
    (void)i; /* there is one */
    return stf_awaited_ref(&transaction_of(f)->awaited);
}

static void transaction_release(stator_future_t *f)
{
    struct transaction *t = transaction_of(f);

    stf_awaited_destroy(&t->awaited);
    stator_future_unref(t->body);
    stator_session_unref(t->session);
    bson_destroy(t->opts);
}

static const struct stf_kind transaction_kind = {
    .cancelled = transaction_cancelled,
    .waits = transaction_waits,
    .waits_for = transaction_waits_for,
    .release = transaction_release,
};

static bool is_over(const struct transaction *t)
{
    return stator_future_poll(&t->future) != STATOR_FUTURE_PENDING;
}

/* ---- steps ------------------------------------------------------------- */

/* {timeoutMS: what is left}, behind `from`. */
static void step_opts(const struct transaction *t, const bson_t *from,
                      bson_t *out)
{
    int64_t left = (t->until - stf_now_ns() + 999999) / 1000000;

    bson_copy_to(from, out);
    if (t->is_bounded)
        BSON_APPEND_INT64(out, "timeoutMS", left < 1 ? 1 : left);
}

static stator_future_t *start(struct transaction *t)
{
    stator_future_t *f;
    bson_t opts;

    t->step = START;
    step_opts(t, t->opts, &opts);
    f = stator_session_start_transaction(t->session, &opts);
    bson_destroy(&opts);
    return f;
}

static stator_future_t *end(struct transaction *t, enum step step)
{
    bson_t kept = BSON_INITIALIZER, opts;
    stator_future_t *f;
    bson_iter_t i;

    t->step = step;
    if (bson_iter_init_find(&i, t->opts, "context"))
        bson_append_iter(&kept, NULL, -1, &i);
    step_opts(t, &kept, &opts);
    bson_destroy(&kept);
    f = step == COMMIT
            ? stator_session_commit_transaction(t->session, &opts)
            : stator_session_abort_transaction(t->session, &opts);
    bson_destroy(&opts);
    return f;
}

/* All that was to be done has been: settle as fn's future did. */
static stator_future_t *settle(struct transaction *t)
{
    if (t->body != NULL)
        stf_settle_as(&t->future, t->body);
    else
        stf_settle_code(&t->future, STATOR_FUTURE_DONE, 0, NULL,
                        STATOR_ANSWERED);
    return NULL;
}

static stator_future_t *fail_as(struct transaction *t, stator_future_t *other)
{
    stf_settle_as(&t->future, other);
    return NULL;
}

static void forget_body(struct transaction *t)
{
    stator_future_unref(t->body);
    t->body = NULL;
}

static bool is_transient(const struct transaction *t, stator_future_t *failed)
{
    return failed != NULL && !stf_is_late(t->until) &&
           stator_future_has_error_label(failed, "TransientTransactionError");
}

/* Of a commit: the limit that the user set has struck, so it is for the user
 * to say whether to go on. */
static bool is_max_time_expired(const stator_future_t *failed)
{
    enum { MAX_TIME_MS_EXPIRED = 50 };
    const bson_t *reply = stator_future_reply(failed);
    bson_iter_t i, code;

    if (reply == NULL)
        return false;
    if (bson_iter_init_find(&i, reply, "code") &&
        BSON_ITER_HOLDS_NUMBER(&i) &&
        bson_iter_as_int64(&i) == MAX_TIME_MS_EXPIRED)
        return true;
    return bson_iter_init(&i, reply) &&
           bson_iter_find_descendant(&i, "writeConcernError.code", &code) &&
           BSON_ITER_HOLDS_NUMBER(&code) &&
           bson_iter_as_int64(&code) == MAX_TIME_MS_EXPIRED;
}

static stator_future_t *after_body(struct transaction *t)
{
    bool failed =
        t->body != NULL && stator_future_poll(t->body) != STATOR_FUTURE_DONE;

    if (is_open(t->session))
        return end(t, failed ? ABORT : COMMIT);
    if (failed && is_transient(t, t->body)) {
        forget_body(t);
        return start(t);
    }
    return settle(t);
}

static stator_future_t *after_abort(struct transaction *t,
                                    const stator_future_t *abort)
{
    if (was_never_sent(abort)) /* the time was up: it may be open still */
        abort_behind(t);
    if (!is_transient(t, t->body))
        return settle(t);
    forget_body(t);
    return start(t);
}

static stator_future_t *after_commit(struct transaction *t,
                                     stator_future_t *commit)
{
    if (stator_future_poll(commit) == STATOR_FUTURE_DONE)
        return settle(t);
    if (!stf_is_late(t->until) && !is_max_time_expired(commit) &&
        stator_future_has_error_label(commit,
                                      "UnknownTransactionCommitResult"))
        return end(t, COMMIT);
    if (is_transient(t, commit)) {
        forget_body(t);
        return start(t);
    }
    if (was_never_sent(commit)) /* it may be open still */
        abort_behind(t);
    return fail_as(t, commit);
}

/* The transaction has begun. */
static stator_future_t *call_body(struct transaction *t)
{
    stator_future_t *given = t->fn(t->session, t->arg);

    if (stf_inherited(&t->future)) { /* fn has forked, this is the child */
        stator_future_unref(given);
        return NULL;
    }
    t->step = BODY;
    if (is_over(t)) { /* cancelled meanwhile */
        if (given != NULL)
            stator_future_cancel(given);
        stator_future_unref(given);
        abort_behind(t);
        return NULL;
    }
    if (given == NULL)
        return after_body(t);
    if (stf_needs(given, NULL, &t->future)) {
        stf_settle_code(&t->future, STATOR_FUTURE_FAILED,
                        STATOR_ERROR_DEADLOCK,
                        "its function returned a future that waits for it",
                        STATOR_NOT_SENT);
        stator_future_unref(given);
        abort_behind(t);
        return NULL;
    }
    return given;
}

/* What comes after `settled`; NULL: nothing, this future has settled. */
static stator_future_t *next_step(struct transaction *t,
                                  stator_future_t *settled)
{
    switch (t->step) {
    case START:
        if (stator_future_poll(settled) != STATOR_FUTURE_DONE) {
            abort_after(t, settled);
            return fail_as(t, settled);
        }
        return call_body(t);
    case BODY:
        t->body = stator_future_ref(settled);
        return after_body(t);
    case COMMIT:
        return after_commit(t, settled);
    default:
        return after_abort(t, settled);
    }
}

/* ---- the loop ---------------------------------------------------------- */

static void go_on_after(struct transaction *t, stator_future_t *next,
                        stator_dispatcher_t *dispatcher)
{
    stator_future_t *f = stator_future_ref(&t->future); /* X3 */

    stator_future_unref(
        stf_awaited_swap(&t->awaited, stator_future_ref(next)));
    if (is_over(t)) /* before there was this to be cancelled */
        stator_future_cancel(next);
    stator_future_ref(f); /* the continuation's */
    if (stf_continuation_attach(&t->continuation, next, dispatcher) != 0) {
        stator_future_unref(f);
        stf_dispatcher_refuse(dispatcher, f);
        abort_behind(t);
    }
    stator_future_unref(next);
    stator_future_unref(f);
}

static void transaction_run(struct stf_continuation *c)
{
    struct transaction *t =
        stf_container_of(c, struct transaction, continuation);
    stator_future_t *settled = c->future, *next = NULL;

    stator_future_unref(stf_awaited_swap(&t->awaited, NULL));
    if (is_over(t))
        abort_after(t, settled);
    else
        next = next_step(t, settled);
    if (next == NULL) {
        c->release(c);
        return;
    }
    go_on_after(t, next, c->dispatcher);
    stator_future_unref(settled); /* as release does */
    stator_future_unref(&t->future);
}

static void transaction_drop(struct stf_continuation *c)
{
    struct transaction *t =
        stf_container_of(c, struct transaction, continuation);

    stator_future_unref(stf_awaited_swap(&t->awaited, NULL));
    stf_settle_code(&t->future, STATOR_FUTURE_FAILED, STATOR_ERROR_CLOSED,
                    "its dispatcher was closed", STATOR_NOT_SENT);
    abort_after(t, c->future);
}

static void transaction_continuation_release(struct stf_continuation *c)
{
    struct transaction *t =
        stf_container_of(c, struct transaction, continuation);

    stator_future_unref(c->future);
    stator_future_unref(&t->future);
}

/* All keys but timeoutMS, which is ours.  False: `problem`. */
static bool take_opts(struct transaction *t, const bson_t *opts,
                      char *problem)
{
    struct stl_opts parsed;
    bson_iter_t i;

    t->until = stf_deadline_after_ms(LIMIT_MS);
    if (opts == NULL)
        return true;
    if (!stl_transaction_options_check(opts, true, problem) ||
        !stl_opts_parse(opts, false, &parsed, problem))
        return false;
    t->future.context = parsed.context;
    t->is_bounded = parsed.timeout_ms > 0;
    if (t->is_bounded)
        t->until = stf_deadline_after_ms(parsed.timeout_ms);
    if (bson_iter_init(&i, opts))
        while (bson_iter_next(&i))
            if (strcmp(bson_iter_key(&i), "timeoutMS") != 0)
                bson_append_iter(t->opts, NULL, -1, &i);
    return true;
}

stator_future_t *
stator_session_with_transaction(stator_session_t *session,
                                stator_dispatcher_t *dispatcher,
                                stator_transaction_fn *fn, void *arg,
                                const bson_t *opts)
{
    static const char subject[] = "session.with_transaction";
    char problem[STL_PROBLEM_SIZE];
    struct transaction *t;
    stator_future_t *f;
    size_t offset;

    if (session == NULL || dispatcher == NULL || fn == NULL)
        return stf_future_failed(STATOR_ERROR_ARGUMENT, subject, "%s is NULL",
                                 session == NULL      ? "session"
                                 : dispatcher == NULL ? "dispatcher"
                                                      : "fn");
    if (opts != NULL && stf_document_flaw(opts, &offset) != NULL)
        return stf_future_failed(STATOR_ERROR_ARGUMENT, subject,
                                 "opts %s at offset %zu",
                                 stf_document_flaw(opts, &offset), offset);
    f = stf_future_new(&transaction_kind, subject, sizeof *t);
    if (f == NULL)
        return stf_future_no_memory();
    t = transaction_of(f);
    stf_awaited_init(&t->awaited, NULL);
    t->opts = bson_new();
    t->session = stator_session_ref(session);
    t->dispatcher = dispatcher;
    t->fn = fn;
    t->arg = arg;
    t->continuation.run = transaction_run;
    t->continuation.drop = transaction_drop;
    t->continuation.release = transaction_continuation_release;
    if (!take_opts(t, opts, problem)) {
        stator_future_unref(f);
        return stf_future_failed(STATOR_ERROR_ARGUMENT, subject, "%s",
                                 problem);
    }
    go_on_after(t, start(t), dispatcher);
    return f;
}
