/* SPDX-License-Identifier: Apache-2.0 */
/* futures/combine.c - all, any, race and settled: one future of many.
 *
 * M1  Each member's link holds a reference on the combined future until the
 *     member has settled, also when the combined one has long been decided.
 * M2  `members[i].future` is the combined future's own reference; it is
 *     given back when the member has settled.  Under `lock`, since cancel and
 *     a search for a deadlock look at it at any time.
 * M3  The member that brings `pending` to 0 decides what is still open. */
#include <pthread.h>
#include <stdlib.h>

#include "futures/base.h"
#include "futures/future.h"

enum rule { ALL, ANY, RACE, SETTLED };

struct combined;

struct member {
    struct stf_link link;
    struct combined *of;
    stator_future_t *future;
};

struct combined {
    struct stator_future future;
    enum rule rule;
    pthread_mutex_t lock;
    size_t n;
    STF_ATOMIC(size_t) pending;
    struct member members[];
};

static struct combined *combined_of(stator_future_t *f)
{
    return stf_container_of(f, struct combined, future);
}

/* A new reference on member i, NULL when it has settled. */
static stator_future_t *member_ref(struct combined *c, size_t i)
{
    stator_future_t *f;

    pthread_mutex_lock(&c->lock);
    f = stator_future_ref(c->members[i].future);
    pthread_mutex_unlock(&c->lock);
    return f;
}

static void cancel_members(struct combined *c)
{
    for (size_t i = 0; i < c->n; i++) {
        stator_future_t *f = member_ref(c, i);

        stator_future_cancel(f);
        stator_future_unref(f);
    }
}

static void combined_cancelled(stator_future_t *f)
{
    cancel_members(combined_of(f));
}

static struct stf_waits combined_waits(stator_future_t *f)
{
    struct combined *c = combined_of(f);

    return (struct stf_waits){.n = c->n,
                              .any = c->rule == ANY || c->rule == RACE};
}

static stator_future_t *combined_waits_for(stator_future_t *f, size_t i)
{
    return member_ref(combined_of(f), i);
}

static void combined_release(stator_future_t *f)
{
    pthread_mutex_destroy(&combined_of(f)->lock);
}

static const struct stf_kind combined_kind = {
    .cancelled = combined_cancelled,
    .waits = combined_waits,
    .waits_for = combined_waits_for,
    .release = combined_release,
};

static void settle_done(stator_future_t *f)
{
    stf_settle_code(f, STATOR_FUTURE_DONE, 0, NULL, STATOR_ANSWERED);
}

static void member_settled(struct stf_link *link)
{
    struct member *m = stf_container_of(link, struct member, link);
    struct combined *c = m->of;
    stator_future_t *f = m->future; /* ours until below */
    bool is_done = stator_future_poll(f) == STATOR_FUTURE_DONE;
    bool is_last;

    if (c->rule == ALL && !is_done)
        stf_settle_as(&c->future, f);
    if (c->rule == ANY && is_done)
        stf_settle_as(&c->future, f);
    if (c->rule == RACE && stf_settle_as(&c->future, f))
        cancel_members(c);

    is_last = STF_SUB(&c->pending, (size_t)1, acq_rel) == 1;
    if (is_last && c->rule == ANY)
        stf_settle_as(&c->future, f);
    else if (is_last)
        settle_done(&c->future);

    pthread_mutex_lock(&c->lock);
    m->future = NULL;
    pthread_mutex_unlock(&c->lock);
    stator_future_unref(f);
    stator_future_unref(&c->future);
}

static stator_future_t *combine(const char *name, enum rule rule,
                                stator_future_t **futures, size_t n)
{
    struct combined *c;
    stator_future_t *f;

    if (n == 0 && (rule == ANY || rule == RACE))
        return stf_future_failed(STATOR_ERROR_ARGUMENT, name, "of no futures");
    if (n > 0 && futures == NULL)
        return stf_future_failed(STATOR_ERROR_ARGUMENT, name,
                                 "futures is NULL");
    for (size_t i = 0; i < n; i++)
        if (futures[i] == NULL)
            return stf_future_failed(STATOR_ERROR_ARGUMENT, name,
                                     "futures[%zu] is NULL", i);
    if (n > (SIZE_MAX - sizeof *c) / sizeof c->members[0] ||
        n > UINT32_MAX / 2)
        return stf_future_no_memory();
    f = stf_future_new(&combined_kind, name,
                       sizeof *c + n * sizeof c->members[0]);
    if (f == NULL)
        return stf_future_no_memory();
    c = combined_of(f);
    c->rule = rule;
    c->n = n;
    pthread_mutex_init(&c->lock, NULL);
    STF_INIT(&c->pending, n);
    STF_ADD(&f->refs, (uint32_t)n, relaxed); /* M1 */
    for (size_t i = 0; i < n; i++) {
        c->members[i].link.settled = member_settled;
        c->members[i].of = c;
        c->members[i].future = stator_future_ref(futures[i]);
    }
    for (size_t i = 0; i < n; i++)
        stf_attach(futures[i], &c->members[i].link);
    if (n == 0)
        settle_done(f);
    return f;
}

stator_future_t *stator_future_all(stator_future_t **futures, size_t n)
{
    return combine("all", ALL, futures, n);
}

stator_future_t *stator_future_any(stator_future_t **futures, size_t n)
{
    return combine("any", ANY, futures, n);
}

stator_future_t *stator_future_race(stator_future_t **futures, size_t n)
{
    return combine("race", RACE, futures, n);
}

stator_future_t *stator_future_settled(stator_future_t **futures, size_t n)
{
    return combine("settled", SETTLED, futures, n);
}
