/* SPDX-License-Identifier: Apache-2.0 */
/* futures/continuation.c - from a settled future to its dispatcher's queue;
 * and the plainest continuation, stator_future_then. */
#include "futures/continuation.h"

#include <errno.h>
#include <stdlib.h>

#include "futures/dispatcher.h"
#include "futures/future.h"

static void settled(struct stf_link *link)
{
    struct stf_continuation *c =
        stf_container_of(link, struct stf_continuation, link);
    stator_dispatcher_t *d = c->dispatcher;
    uint32_t expected = STF_ATTACHED;

    if (STF_CAS(&c->state, &expected, (uint32_t)STF_READY, acq_rel))
        stf_dispatcher_push(d, c); /* from here on it is not ours */
    else
        stf_continuation_give_up(c);
    stf_dispatcher_release(d);
}

void stf_continuation_give_up(struct stf_continuation *c)
{
    if (STF_SUB(&c->parties, 1u, acq_rel) == 1)
        c->release(c);
}

int stf_continuation_attach(struct stf_continuation *c,
                            stator_future_t *future,
                            stator_dispatcher_t *dispatcher)
{
    c->link.settled = settled;
    c->dispatcher = dispatcher;
    c->future = future;
    STF_INIT(&c->state, (uint32_t)STF_ATTACHED);
    STF_INIT(&c->parties, 2u);
    stator_future_ref(future);
    stf_dispatcher_hold(dispatcher);
    if (!stf_dispatcher_register(dispatcher, c)) {
        stf_dispatcher_release(dispatcher);
        stator_future_unref(future);
        return ESHUTDOWN;
    }
    stf_attach(future, &c->link);
    return 0;
}

int stf_continuation_again(struct stf_continuation *c)
{
    STF_STORE(&c->state, (uint32_t)STF_READY, relaxed);
    STF_STORE(&c->parties, 2u, relaxed);
    if (!stf_dispatcher_register(c->dispatcher, c))
        return ESHUTDOWN;
    stf_dispatcher_push(c->dispatcher, c);
    return 0;
}

/* ---- then -------------------------------------------------------- */

struct then { /* the second continuation of a future, and all later ones */
    struct stf_continuation continuation;
    stator_then_fn *fn;
    void *arg;
    void (*free_arg)(void *);
};

static void then_call(struct stf_continuation *c, stator_then_fn *fn,
                      void *arg, void (*free_arg)(void *))
{
    fn(c->future, arg);
    if (free_arg != NULL)
        free_arg(arg);
    c->release(c);
}

static void then_run(struct stf_continuation *c)
{
    struct then *t = stf_container_of(c, struct then, continuation);

    then_call(c, t->fn, t->arg, t->free_arg);
}

static void then_drop(struct stf_continuation *c)
{
    struct then *t = stf_container_of(c, struct then, continuation);

    if (t->free_arg != NULL)
        t->free_arg(t->arg);
}

static void then_release(struct stf_continuation *c)
{
    stator_future_unref(c->future);
    free(stf_container_of(c, struct then, continuation));
}

static void first_run(struct stf_continuation *c)
{
    stator_future_t *f = c->future;

    then_call(c, f->first_fn, f->first_arg, f->first_free);
}

static void first_drop(struct stf_continuation *c)
{
    stator_future_t *f = c->future;

    if (f->first_free != NULL)
        f->first_free(f->first_arg);
}

static void first_release(struct stf_continuation *c)
{
    stator_future_unref(c->future);
}

static int attach(stator_future_t *future, stator_dispatcher_t *dispatcher,
                  stator_then_fn *fn, void *arg, void (*free_arg)(void *))
{
    struct then *t;
    int failed;

    if (!future->immortal && STF_EXCHANGE(&future->first_taken, 1u,
                                          relaxed) == 0) {
        future->first.run = first_run;
        future->first.drop = first_drop;
        future->first.release = first_release;
        future->first_fn = fn;
        future->first_arg = arg;
        future->first_free = free_arg;
        return stf_continuation_attach(&future->first, future, dispatcher);
    }
    t = malloc(sizeof *t);
    if (t == NULL)
        return ENOMEM;
    t->continuation.run = then_run;
    t->continuation.drop = then_drop;
    t->continuation.release = then_release;
    t->continuation.is_silent = false;
    t->fn = fn;
    t->arg = arg;
    t->free_arg = free_arg;
    failed = stf_continuation_attach(&t->continuation, future, dispatcher);
    if (failed != 0)
        free(t);
    return failed;
}

int stator_future_then_full(stator_future_t *future,
                            stator_dispatcher_t *dispatcher,
                            stator_then_fn *fn, void *arg,
                            void (*free_arg)(void *))
{
    int failed = EINVAL;

    if (future != NULL && dispatcher != NULL && fn != NULL)
        failed = attach(future, dispatcher, fn, arg, free_arg);
    if (failed != 0 && free_arg != NULL)
        free_arg(arg);
    return failed;
}

int stator_future_then(stator_future_t *future,
                       stator_dispatcher_t *dispatcher, stator_then_fn *fn,
                       void *arg)
{
    return stator_future_then_full(future, dispatcher, fn, arg, NULL);
}
