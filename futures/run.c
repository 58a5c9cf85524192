/* SPDX-License-Identifier: Apache-2.0 */
/* futures/run.c - dispatching in a program that has no loop of its own: sleep
 * on the descriptor, dispatch, until something has run or has settled. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "futures/dispatcher.h"
#include "futures/future.h"

/* Until the descriptor is readable or the time is up. */
static void sleep_on(const stator_dispatcher_t *d, int64_t deadline)
{
    struct pollfd p = {.fd = d->fd, .events = POLLIN};

    while (poll(&p, 1, stf_poll_timeout(deadline)) < 0 && errno == EINTR)
        continue;
}

static int begin(stator_dispatcher_t *d, struct stf_dispatching *here)
{
    return stf_thread()->is_ours ? -EDEADLK : stf_dispatcher_enter(d, here);
}

int stator_dispatcher_run_once(stator_dispatcher_t *d, int64_t timeout_ms)
{
    struct stf_dispatching here;
    int64_t deadline;
    int ran = begin(d, &here);

    if (ran != 0)
        return ran;
    deadline = stf_deadline_after_ms(timeout_ms);
    while ((ran = stf_dispatcher_run(d, 0)) == 0 &&
           !stf_dispatcher_is_closed(d) && !stf_is_late(deadline))
        sleep_on(d, deadline); /* its end may be about nothing: D2 */
    stf_dispatcher_leave(d, &here);
    return ran;
}

/* A continuation with nothing to do, that makes the descriptor readable when
 * the awaited future settles.  It stays attached when the time runs out; the
 * next call for the same future finds it. */
struct awaiting {
    struct stf_continuation continuation;
    struct cds_list_head node; /* the dispatcher's, under its lock */
};

static struct awaiting *awaiting_of(struct stf_continuation *c)
{
    return stf_container_of(c, struct awaiting, continuation);
}

static void awaited_over(struct stf_continuation *c)
{
    pthread_mutex_lock(&c->dispatcher->lock);
    cds_list_del(&awaiting_of(c)->node);
    pthread_mutex_unlock(&c->dispatcher->lock);
}

static void awaited_run(struct stf_continuation *c)
{
    awaited_over(c);
    c->release(c);
}

static void awaited_release(struct stf_continuation *c)
{
    stator_future_unref(c->future);
    free(awaiting_of(c));
}

static bool is_awaited(stator_dispatcher_t *d, const stator_future_t *f)
{
    struct awaiting *w;
    bool found = false;

    pthread_mutex_lock(&d->lock);
    cds_list_for_each_entry(w, &d->awaiting, node)
        found = found || w->continuation.future == f;
    pthread_mutex_unlock(&d->lock);
    return found;
}

static int await(stator_dispatcher_t *d, stator_future_t *f)
{
    struct awaiting *w;
    int failed;

    if (is_awaited(d, f))
        return 0;
    w = calloc(1, sizeof *w);
    if (w == NULL)
        return ENOMEM;
    w->continuation.is_silent = true;
    w->continuation.run = awaited_run;
    w->continuation.drop = awaited_over;
    w->continuation.release = awaited_release;
    w->continuation.future = f;
    w->continuation.dispatcher = d;
    pthread_mutex_lock(&d->lock);
    cds_list_add_tail(&w->node, &d->awaiting);
    pthread_mutex_unlock(&d->lock);
    failed = stf_continuation_attach(&w->continuation, f, d);
    if (failed != 0) {
        awaited_over(&w->continuation);
        free(w);
    }
    return failed;
}

/* Answers as run_until does, or 1: go on. */
static int run_towards(stator_dispatcher_t *d, stator_future_t *f,
                       int64_t deadline)
{
    int failed, ran;

    if (stator_future_poll(f) != STATOR_FUTURE_PENDING)
        return 0;
    failed = stf_dispatcher_is_closed(d) ? ESHUTDOWN : await(d, f);
    if (failed != 0)
        return -failed;
    ran = stf_dispatcher_run(d, 0);
    if (ran < 0)
        return ran;
    if (stf_dispatcher_is_closed(d) ||
        stator_future_poll(f) != STATOR_FUTURE_PENDING)
        return 1;
    if (stf_is_late(deadline))
        return -ETIMEDOUT;
    if (ran == 0)
        sleep_on(d, deadline);
    return 1;
}

int stator_dispatcher_run_until(stator_dispatcher_t *d, stator_future_t *f,
                                int64_t timeout_ms)
{
    struct stf_dispatching here;
    int64_t deadline;
    int answer;

    if (f == NULL)
        return -EINVAL;
    answer = begin(d, &here);
    if (answer != 0)
        return answer;
    deadline = stf_deadline_after_ms(timeout_ms);
    stator_future_ref(f); /* a continuation may give back the caller's */
    if (stator_future_poll(f) == STATOR_FUTURE_PENDING &&
        stf_would_deadlock(f, here.outer))
        answer = -EDEADLK;
    else
        while ((answer = run_towards(d, f, deadline)) == 1)
            continue;
    stator_future_unref(f);
    stf_dispatcher_leave(d, &here);
    return answer;
}
