/* SPDX-License-Identifier: Apache-2.0 */
/* futures/chain.c - chain, recover and finally: one future after another.
 *
 *   parent --settles--> [dispatcher] --fn--> inner --settles--> chained
 *
 * The chained future goes through its dispatcher always, also when `fn` does
 * not apply.
 *
 * H1  `awaited` is what cancel has to cancel: the parent until fn has run,
 *     then inner.
 * H2  `parent` and `inner` are touched by who runs the continuation, then by
 *     who settles inner; the one comes before the other.
 * H3  The producer's reference on the chained future belongs to the
 *     continuation, and passes to the link on inner when there is one. */
#include "futures/awaited.h"
#include "futures/dispatcher.h"
#include "futures/future.h"

enum when { WHEN_DONE, WHEN_NOT_DONE, ALWAYS };

struct chain {
    struct stator_future future;
    enum when when;
    STF_ATOMIC(uint32_t) has_run;
    struct stf_awaited awaited;
    struct stf_continuation continuation;
    stator_chain_fn *fn;
    void *arg;
    stator_future_t *parent;
    stator_future_t *inner;
    struct stf_link on_inner;
};

static struct chain *chain_of(stator_future_t *f)
{
    return stf_container_of(f, struct chain, future);
}

/* fn has run or never will: await `next` (takes the reference) from now on.
 * `has_run` comes first, so whoever finds inner finds it set. */
static void await_instead(struct chain *h, stator_future_t *next)
{
    STF_STORE(&h->has_run, 1u, release);
    stator_future_unref(stf_awaited_swap(&h->awaited, next));
}

static void chain_cancelled(stator_future_t *f)
{
    struct chain *h = chain_of(f);
    stator_future_t *awaited = stf_awaited_swap(&h->awaited, NULL);

    /* A clean-up is not cut short. */
    if (h->when != ALWAYS || STF_LOAD(&h->has_run, acquire) == 0)
        stator_future_cancel(awaited);
    stator_future_unref(awaited);
}

static struct stf_waits chain_waits(stator_future_t *f)
{
    struct chain *h = chain_of(f);
    bool has_run = STF_LOAD(&h->has_run, acquire) != 0;

    return (struct stf_waits){
        .n = 1, .dispatcher = has_run ? NULL : h->continuation.dispatcher};
}

static stator_future_t *chain_waits_for(stator_future_t *f, size_t i)
{
    (void)i; /* there is one */
    return stf_awaited_ref(&chain_of(f)->awaited);
}

static void chain_release(stator_future_t *f)
{
    stf_awaited_destroy(&chain_of(f)->awaited);
}

static const struct stf_kind chain_kind = {
    .cancelled = chain_cancelled,
    .waits = chain_waits,
    .waits_for = chain_waits_for,
    .release = chain_release,
};

static void inner_settled(struct stf_link *link)
{
    struct chain *h = stf_container_of(link, struct chain, on_inner);
    stator_future_t *inner = h->inner, *parent = h->parent;
    stator_future_t *decides = inner;

    /* What finally's function gives counts only if it spoils a success. */
    if (h->when == ALWAYS &&
        (stator_future_poll(inner) == STATOR_FUTURE_DONE ||
         stator_future_poll(parent) != STATOR_FUTURE_DONE))
        decides = parent;
    stf_settle_as(&h->future, decides);
    await_instead(h, NULL);
    stator_future_unref(inner);
    stator_future_unref(parent);
    stator_future_unref(&h->future);
}

static bool applies(const struct chain *h, const stator_future_t *parent)
{
    bool is_done = stator_future_poll(parent) == STATOR_FUTURE_DONE;

    if (h->when == ALWAYS)
        return true;
    return stator_future_poll(&h->future) == STATOR_FUTURE_PENDING &&
           is_done == (h->when == WHEN_DONE);
}

static void await_inner(struct chain *h, stator_future_t *parent,
                        stator_future_t *inner)
{
    h->inner = inner;
    h->parent = stator_future_ref(parent);
    stator_future_ref(&h->future); /* H3 */
    await_instead(h, stator_future_ref(inner));
    /* Cancelled while fn ran: nobody waits for inner any more.  finally's
     * clean-up goes on all the same. */
    if (h->when != ALWAYS &&
        stator_future_poll(&h->future) != STATOR_FUTURE_PENDING)
        stator_future_cancel(inner);
    h->on_inner.settled = inner_settled;
    stf_attach(inner, &h->on_inner);
}

static void chain_run(struct stf_continuation *c)
{
    struct chain *h = stf_container_of(c, struct chain, continuation);
    stator_future_t *parent = c->future, *inner = NULL;

    if (applies(h, parent))
        inner = h->fn(parent, h->arg);
    if (stf_inherited(&h->future)) { /* fn has forked, this is the child */
        stator_future_unref(inner);
        c->release(c);
        return;
    }
    if (inner != NULL && stf_needs(inner, NULL, &h->future)) {
        stf_settle_code(&h->future, STATOR_FUTURE_FAILED,
                        STATOR_ERROR_DEADLOCK,
                        "its function returned a future that waits for it",
                        STATOR_NOT_SENT);
        await_instead(h, NULL);
        stator_future_unref(inner);
    } else if (inner != NULL) {
        await_inner(h, parent, inner);
    } else {
        await_instead(h, NULL);
        stf_settle_as(&h->future, parent);
    }
    c->release(c);
}

static void chain_drop(struct stf_continuation *c)
{
    struct chain *h = stf_container_of(c, struct chain, continuation);

    await_instead(h, NULL);
    stf_settle_code(&h->future, STATOR_FUTURE_FAILED, STATOR_ERROR_CLOSED,
                    "its dispatcher was closed", STATOR_NOT_SENT);
}

static void chain_done(struct stf_continuation *c)
{
    struct chain *h = stf_container_of(c, struct chain, continuation);

    stator_future_unref(c->future);
    stator_future_unref(&h->future);
}

static stator_future_t *make(const char *name, enum when when,
                             stator_future_t *future,
                             stator_dispatcher_t *dispatcher,
                             stator_chain_fn *fn, void *arg)
{
    stator_future_t *f;
    struct chain *h;

    if (future == NULL || dispatcher == NULL || fn == NULL)
        return stf_future_failed(STATOR_ERROR_ARGUMENT, name, "%s is NULL",
                                 future == NULL       ? "future"
                                 : dispatcher == NULL ? "dispatcher"
                                                      : "fn");
    f = stf_future_new(&chain_kind, name, sizeof *h);
    if (f == NULL)
        return stf_future_no_memory();
    h = chain_of(f);
    h->when = when;
    h->fn = fn;
    h->arg = arg;
    stf_awaited_init(&h->awaited, stator_future_ref(future));
    h->continuation.run = chain_run;
    h->continuation.drop = chain_drop;
    h->continuation.release = chain_done;
    stator_future_ref(f); /* H3 */
    if (stf_continuation_attach(&h->continuation, future, dispatcher) != 0) {
        stf_dispatcher_refuse(dispatcher, f);
        stator_future_unref(f);
    }
    return f;
}

stator_future_t *stator_future_chain(stator_future_t *future,
                                     stator_dispatcher_t *dispatcher,
                                     stator_chain_fn *fn, void *arg)
{
    return make("chain", WHEN_DONE, future, dispatcher, fn, arg);
}

stator_future_t *stator_future_recover(stator_future_t *future,
                                       stator_dispatcher_t *dispatcher,
                                       stator_chain_fn *fn, void *arg)
{
    return make("recover", WHEN_NOT_DONE, future, dispatcher, fn, arg);
}

stator_future_t *stator_future_finally(stator_future_t *future,
                                       stator_dispatcher_t *dispatcher,
                                       stator_chain_fn *fn, void *arg)
{
    return make("finally", ALWAYS, future, dispatcher, fn, arg);
}
