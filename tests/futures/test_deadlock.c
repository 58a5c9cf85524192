/* SPDX-License-Identifier: Apache-2.0 */
/* test_deadlock.c - waiting inside dispatch: EDEADLK for what needs this very
 * dispatch, an ordinary wait for all else.  A defect here is a hang, so that
 * the time-out of the test is part of it. */
#include "tests/futures/support.h"

#include <stdio.h>
#include <string.h>

enum { CHAIN, RECOVER, FINALLY, KINDS };

static compose_fn *const kinds[KINDS] = {
    stator_future_chain, stator_future_recover, stator_future_finally};

enum { COMBINERS = 4 };

static combine_fn *const combiners[COMBINERS] = {
    stator_future_all, stator_future_any, stator_future_race,
    stator_future_settled};

/* Waits for `target` from within a continuation. */
typedef struct inside {
    stator_future_t *target;
    int64_t timeout_ms;
    int rc;
    int ran;
    int value;
} inside_t;

static void then_wait(stator_future_t *future, void *arg)
{
    inside_t *inside = arg;

    (void)future;
    inside->ran++;
    inside->rc = stator_future_wait(inside->target, inside->timeout_ms);
    inside->value = document_value(inside->target);
}

/* Wait for `target` inside a dispatch of `d`; what the waiting said. */
static int wait_so_long(stator_dispatcher_t *d, stator_future_t *target,
                        int64_t timeout_ms)
{
    stator_future_t *trigger = future_done(0);
    inside_t inside = {.target = target, .timeout_ms = timeout_ms, .rc = -1};

    ck_assert_int_eq(stator_future_then(trigger, d, then_wait, &inside), 0);
    stator_future_unref(trigger);
    while (inside.ran == 0)
        ck_assert_int_eq(stator_dispatcher_dispatch(d, 1), 1);
    return inside.rc;
}

static int wait_inside(stator_dispatcher_t *d, stator_future_t *target)
{
    return wait_so_long(d, target, -1);
}

static stator_future_t *wait_then_null(stator_future_t *future, void *arg)
{
    then_wait(future, arg);
    return NULL;
}

/* ---- what needs this dispatch ---------------------------------------- */

START_TEST(composed_on_this_dispatcher)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = kinds[_i](p.future, d, link_fn, &link);

    ck_assert_int_eq(wait_inside(d, f), EDEADLK);
    assert_state(f, STATOR_FUTURE_PENDING);

    /* The one who was told goes on, and so does the future. */
    if (_i == RECOVER)
        ck_assert(pair_fail(&p, 5));
    else
        ck_assert(pair_resolve(&p, 5));
    settle_on(d, f);
    ck_assert_int_eq(link.ran, 1);
    stator_future_unref(f);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(ready_behind_the_one_that_waits)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *trigger = future_done(1), *f;
    inside_t inside = {.timeout_ms = -1, .rc = -1};
    link_t link = {0};

    ck_assert_int_eq(stator_future_then(trigger, d, then_wait, &inside), 0);
    f = stator_future_finally(trigger, d, link_fn, &link);
    inside.target = f;
    ck_assert_int_ge(stator_dispatcher_dispatch(d, 0), 1);
    ck_assert_int_eq(inside.rc, EDEADLK);
    settle_on(d, f);
    ck_assert_int_eq(link.ran, 1);
    assert_done(f, 1);
    stator_future_unref(f);
    stator_future_unref(trigger);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(finite_time_is_no_way_out)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = stator_future_chain(p.future, d, link_fn, &link);
    stator_future_t *trigger = future_done(0);
    inside_t inside = {.target = f, .timeout_ms = PATIENCE_MS, .rc = -1};
    int64_t start = now_ms();

    ck_assert_int_eq(stator_future_then(trigger, d, then_wait, &inside), 0);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    ck_assert_int_eq(inside.rc, EDEADLK);
    ck_assert_msg(now_ms() - start < PATIENCE_MS, "it slept first");
    stator_future_unref(f);
    stator_future_unref(trigger);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(fn_waits_for_its_own_composed_future)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source =
        _i == RECOVER ? future_failed(1) : future_done(1);
    inside_t inside = {.timeout_ms = -1, .rc = -1};

    inside.target = kinds[_i](source, d, wait_then_null, &inside);
    settle_on(d, inside.target);
    ck_assert_int_eq(inside.ran, 1);
    ck_assert_int_eq(inside.rc, EDEADLK);
    stator_future_unref(inside.target);
    stator_future_unref(source);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(chain_behind_a_chain)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t links[10] = {{0}};
    stator_future_t *f[11];

    f[0] = stator_future_ref(p.future);
    for (int i = 0; i < 10; i++)
        f[i + 1] = kinds[i % KINDS](f[i], d, link_fn, &links[i]);
    for (int i = 1; i <= 10; i++)
        ck_assert_int_eq(wait_inside(d, f[i]), EDEADLK);
    ck_assert(pair_resolve(&p, 2));
    settle_on(d, f[10]);
    assert_done(f[10], 2);
    for (int i = 0; i <= 10; i++)
        stator_future_unref(f[i]);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(through_a_combinator)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t links[2] = {{0}};
    stator_future_t *members[2], *f;

    for (int i = 0; i < 2; i++)
        members[i] = stator_future_chain(p.future, d, link_fn, &links[i]);
    f = combiners[_i](members, 2);
    ck_assert_int_eq(wait_inside(d, f), EDEADLK);
    ck_assert(pair_resolve(&p, 3));
    settle_on(d, f);
    assert_state(f, STATOR_FUTURE_DONE);
    stator_future_unref(f);
    stator_future_unref(members[0]);
    stator_future_unref(members[1]);
    dispatch_all(d);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

/* all and settled need every member: one on this dispatcher is enough. */
START_TEST(one_member_of_all_or_settled_is_enough)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new(), plain = pair_new();
    link_t link = {0};
    stator_future_t *chain = stator_future_chain(p.future, d, link_fn, &link);
    stator_future_t *members[3] = {plain.future, plain.future, chain}, *f;

    f = (_i == 0 ? stator_future_all : stator_future_settled)(members, 3);
    ck_assert_int_eq(wait_inside(d, f), EDEADLK);
    ck_assert(pair_resolve(&plain, 1));
    ck_assert(pair_resolve(&p, 1));
    settle_on(d, f);
    assert_state(f, STATOR_FUTURE_DONE);
    stator_future_unref(f);
    stator_future_unref(chain);
    pair_free(&p);
    pair_free(&plain);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(through_combinators_of_combinators)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = stator_future_chain(p.future, d, link_fn, &link);

    for (int i = 0; i < 12; i++) {
        stator_future_t *next = combiners[i % COMBINERS](&f, 1);

        stator_future_unref(f);
        f = next;
    }
    ck_assert_int_eq(wait_inside(d, f), EDEADLK);
    ck_assert(pair_resolve(&p, 4));
    settle_on(d, f);
    stator_future_unref(f);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

/* The outer one is on d2, but its source is on d1, which cannot go on. */
START_TEST(over_two_dispatchers)
{
    stator_dispatcher_t *d1 = dispatcher_new(), *d2 = dispatcher_new();
    pair_t p = pair_new();
    link_t links[2] = {{0}};
    stator_future_t *inner = stator_future_chain(p.future, d1, link_fn,
                                                 &links[0]);
    stator_future_t *outer = stator_future_chain(inner, d2, link_fn,
                                                 &links[1]);

    ck_assert_int_eq(wait_inside(d1, outer), EDEADLK);
    ck_assert_int_eq(wait_inside(d2, outer), EDEADLK);
    ck_assert(pair_resolve(&p, 6));
    settle_on(d1, inner);
    settle_on(d2, outer);
    assert_done(outer, 6);
    stator_future_unref(inner);
    stator_future_unref(outer);
    pair_free(&p);
    stator_dispatcher_unref(d1);
    stator_dispatcher_unref(d2);
}
END_TEST

/* fn has run on d2; the future that it returned needs d1. */
START_TEST(through_the_inner_future)
{
    stator_dispatcher_t *d1 = dispatcher_new(), *d2 = dispatcher_new();
    stator_future_t *source = future_done(1);
    pair_t p = pair_new();
    link_t last = {0}, link = {0};
    stator_future_t *f;

    link.give = stator_future_chain(p.future, d1, link_fn, &last);
    f = stator_future_chain(source, d2, link_fn, &link);
    dispatch_all(d2);
    ck_assert_int_eq(link.ran, 1);
    ck_assert_int_eq(wait_inside(d1, f), EDEADLK);
    ck_assert(pair_resolve(&p, 8));
    settle_on(d1, f);
    assert_done(f, 8);
    stator_future_unref(f);
    stator_future_unref(source);
    pair_free(&p);
    stator_dispatcher_unref(d1);
    stator_dispatcher_unref(d2);
}
END_TEST

typedef struct nest {
    stator_dispatcher_t *inner;
    inside_t *inside;
} nest_t;

static void then_dispatch_inner(stator_future_t *future, void *arg)
{
    nest_t *nest = arg;

    ck_assert_int_eq(
        stator_future_then(future, nest->inner, then_wait, nest->inside), 0);
    ck_assert_int_eq(stator_dispatcher_dispatch(nest->inner, 0), 1);
}

/* d1 dispatches, in there d2 does: both of them stand still. */
START_TEST(dispatch_within_dispatch)
{
    stator_dispatcher_t *d1 = dispatcher_new(), *d2 = dispatcher_new();
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = stator_future_chain(p.future, d1, link_fn, &link);
    stator_future_t *trigger = future_done(0);
    inside_t inside = {.target = f, .timeout_ms = -1, .rc = -1};
    nest_t nest = {d2, &inside};

    ck_assert_int_eq(
        stator_future_then(trigger, d1, then_dispatch_inner, &nest), 0);
    ck_assert_int_eq(stator_dispatcher_dispatch(d1, 0), 1);
    ck_assert_int_eq(inside.ran, 1);
    ck_assert_int_eq(inside.rc, EDEADLK);

    /* The inner dispatch must not have lifted the outer one's mark. */
    ck_assert_int_eq(wait_inside(d1, f), EDEADLK);
    ck_assert_int_eq(stator_future_wait(f, 0), ETIMEDOUT);
    stator_future_unref(f);
    stator_future_unref(trigger);
    pair_free(&p);
    stator_dispatcher_unref(d1);
    stator_dispatcher_unref(d2);
}
END_TEST

static void then_dispatch_then_wait(stator_future_t *future, void *arg)
{
    nest_t *nest = arg;

    (void)stator_dispatcher_dispatch(nest->inner, 0);
    then_wait(future, nest->inside);
}

START_TEST(inner_dispatch_does_not_lift_the_outer_mark)
{
    stator_dispatcher_t *d1 = dispatcher_new(), *d2 = dispatcher_new();
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = stator_future_chain(p.future, d1, link_fn, &link);
    stator_future_t *trigger = future_done(0);
    inside_t inside = {.target = f, .timeout_ms = -1, .rc = -1};
    nest_t nest = {d2, &inside};

    ck_assert_int_eq(
        stator_future_then(trigger, d1, then_dispatch_then_wait, &nest), 0);
    ck_assert_int_eq(stator_dispatcher_dispatch(d1, 0), 1);
    ck_assert_int_eq(inside.rc, EDEADLK);
    stator_future_unref(f);
    stator_future_unref(trigger);
    pair_free(&p);
    stator_dispatcher_unref(d1);
    stator_dispatcher_unref(d2);
}
END_TEST

START_TEST(in_run_once_and_run_until_too)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *trigger = future_done(1);
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = stator_future_chain(p.future, d, link_fn, &link);
    inside_t inside = {.target = f, .timeout_ms = -1, .rc = -1};

    ck_assert_int_eq(stator_future_then(trigger, d, then_wait, &inside), 0);
    if (_i == 0)
        ck_assert_int_eq(stator_dispatcher_run_once(d, -1), 1);
    else
        ck_assert_int_eq(stator_dispatcher_run_until(d, f, 0), -ETIMEDOUT);
    ck_assert_int_eq(inside.ran, 1);
    ck_assert_int_eq(inside.rc, EDEADLK);
    stator_future_unref(f);
    stator_future_unref(trigger);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

/* ---- what does not --------------------------------------------------- */

typedef struct helper {
    pair_t *pair;
    stator_dispatcher_t *dispatcher;
    stator_future_t *future;
    sem_t *gate;
    int rc;
} helper_t;

static void *resolve_main(void *arg)
{
    helper_t *helper = arg;

    gate_wait(helper->gate);
    pair_resolve(helper->pair, 12);
    return NULL;
}

static void then_post_and_wait(stator_future_t *future, void *arg)
{
    void **both = arg;

    sem_post(both[0]);
    then_wait(future, both[1]);
}

/* Another thread settles it, and only once the waiting has begun or is about
 * to: the future is surely pending when the continuation is entered. */
static void wait_for_plain(stator_dispatcher_t *d, stator_future_t *target,
                           pair_t *pair, int value)
{
    stator_future_t *trigger = future_done(0);
    inside_t inside = {.target = target, .timeout_ms = -1, .rc = -1};
    sem_t gate;
    void *both[2] = {&gate, &inside};
    helper_t helper = {.pair = pair, .gate = &gate};
    pthread_t thread;

    sem_init(&gate, 0, 0);
    ck_assert_int_eq(
        stator_future_then(trigger, d, then_post_and_wait, both), 0);
    thread = thread_start(resolve_main, &helper);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    thread_join(thread);
    ck_assert_int_eq(inside.rc, 0);
    if (value >= 0)
        ck_assert_int_eq(inside.value, value);
    sem_destroy(&gate);
    stator_future_unref(trigger);
}

START_TEST(plain_promise_may_be_waited_for)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();

    wait_for_plain(d, p.future, &p, 12);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(plain_promise_with_a_continuation_here)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    probe_t probe = {0};
    link_t link = {0};
    stator_future_t *chain = stator_future_chain(p.future, d, link_fn, &link);

    /* What hangs on it needs this dispatch; the promise itself does not. */
    ck_assert_int_eq(stator_future_then(p.future, d, probe_then, &probe), 0);
    wait_for_plain(d, p.future, &p, 12);
    settle_on(d, chain);
    dispatch_all(d);
    ck_assert_int_eq(probe.ran, 1);
    stator_future_unref(chain);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(combination_of_plain_ones_may_be_waited_for)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    stator_future_t *members[2] = {p.future, p.future};
    stator_future_t *f = combiners[_i](members, 2);

    wait_for_plain(d, f, &p, -1);
    stator_future_unref(f);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

/* Of any and race, one member that needs no dispatch is enough. */
START_TEST(one_plain_member_of_any_or_race_is_enough)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new(), never = pair_new();
    link_t link = {0};
    stator_future_t *chain =
        stator_future_chain(never.future, d, link_fn, &link);
    stator_future_t *members[3] = {chain, p.future, chain}, *f;

    f = (_i == 0 ? stator_future_any : stator_future_race)(members, 3);
    wait_for_plain(d, f, &p, 12);
    stator_future_unref(f);
    stator_future_unref(chain);
    pair_free(&p);
    pair_free(&never);
    dispatch_all(d);
    stator_dispatcher_unref(d);
}
END_TEST

/* 2^60 ways lead to the promise: it has to be seen without taking them all. */
START_TEST(shared_children_are_not_walked_twice)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    stator_future_t *f = stator_future_ref(p.future), *twice[2];

    for (int i = 0; i < 60; i++) {
        twice[0] = twice[1] = f;
        f = combiners[_i](twice, 2);
        stator_future_unref(twice[0]);
    }
    /* Once with nobody who settles it and so cuts the search short. */
    ck_assert_int_eq(wait_so_long(d, f, 0), ETIMEDOUT);
    wait_for_plain(d, f, &p, -1);
    stator_future_unref(f);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(settled_composed_one_may_be_waited_for)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source =
        _i == RECOVER ? future_failed(1) : future_done(1);
    link_t link = {0};
    stator_future_t *f = kinds[_i](source, d, link_fn, &link);

    settle_on(d, f);
    ck_assert_int_eq(wait_inside(d, f), 0);
    stator_future_unref(f);
    stator_future_unref(source);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(cancelled_composed_one_may_be_waited_for)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = kinds[_i](p.future, d, link_fn, &link);

    ck_assert(stator_future_cancel(f));
    ck_assert_int_eq(wait_inside(d, f), 0);
    stator_future_unref(f);
    pair_free(&p);
    dispatch_all(d);
    stator_dispatcher_unref(d);
}
END_TEST

static void *run_until_main(void *arg)
{
    helper_t *helper = arg;

    gate_wait(helper->gate);
    helper->rc = stator_dispatcher_run_until(helper->dispatcher,
                                             helper->future, PATIENCE_MS);
    return NULL;
}

/* A chain on a dispatcher that another thread serves settles meanwhile. */
START_TEST(chain_of_another_threads_dispatcher)
{
    stator_dispatcher_t *d = dispatcher_new(), *other = dispatcher_new();
    stator_future_t *source = future_done(15), *trigger = future_done(0);
    link_t link = {0};
    stator_future_t *f = stator_future_chain(source, other, link_fn, &link);
    inside_t inside = {.target = f, .timeout_ms = -1, .rc = -1};
    sem_t gate;
    void *both[2] = {&gate, &inside};
    helper_t helper = {.dispatcher = other, .future = f, .gate = &gate};
    pthread_t thread;

    sem_init(&gate, 0, 0);
    ck_assert_int_eq(
        stator_future_then(trigger, d, then_post_and_wait, both), 0);
    thread = thread_start(run_until_main, &helper);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    thread_join(thread);
    ck_assert_int_eq(helper.rc, 0);
    ck_assert_int_eq(inside.rc, 0);
    ck_assert_int_eq(inside.value, 15);
    sem_destroy(&gate);
    stator_future_unref(f);
    stator_future_unref(source);
    stator_future_unref(trigger);
    stator_dispatcher_unref(d);
    stator_dispatcher_unref(other);
}
END_TEST

typedef struct waiter {
    stator_future_t *future;
    atomic_int tid;
    int rc;
} waiter_t;

static void *wait_main(void *arg)
{
    waiter_t *waiter = arg;

    tell_tid(&waiter->tid);
    waiter->rc = stator_future_wait(waiter->future, -1);
    return NULL;
}

START_TEST(thread_that_does_not_dispatch_may_wait)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_done(1);
    link_t link = {0};
    stator_future_t *f = stator_future_chain(source, d, link_fn, &link);
    waiter_t waiter = {.future = f, .rc = -1};
    pthread_t thread = thread_start(wait_main, &waiter);

    until_asleep(&waiter.tid);
    settle_on(d, f);
    thread_join(thread);
    ck_assert_int_eq(waiter.rc, 0);
    stator_future_unref(f);
    stator_future_unref(source);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(outside_of_dispatch_it_is_an_ordinary_wait)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = stator_future_chain(p.future, d, link_fn, &link);

    ck_assert_int_eq(stator_future_wait(f, 0), ETIMEDOUT);
    ck_assert_int_eq(wait_inside(d, f), EDEADLK);
    ck_assert_int_eq(stator_future_wait(f, 0), ETIMEDOUT);
    ck_assert_int_eq(stator_future_wait(f, 10), ETIMEDOUT);
    stator_future_unref(f);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

static void then_close_and_wait(stator_future_t *future, void *arg)
{
    nest_t *nest = arg;

    stator_dispatcher_unref(nest->inner); /* the one that dispatches */
    then_wait(future, nest->inside);
}

START_TEST(closing_settles_what_one_would_wait_for)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *trigger = future_done(1);
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = stator_future_chain(p.future, d, link_fn, &link);
    inside_t inside = {.target = f, .timeout_ms = -1, .rc = -1};
    nest_t nest = {d, &inside};

    ck_assert_int_eq(
        stator_future_then(trigger, d, then_close_and_wait, &nest), 0);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    ck_assert(inside.rc == 0 || inside.rc == EDEADLK);
    assert_state(f, STATOR_FUTURE_FAILED);
    assert_stator_error(f, STATOR_ERROR_CLOSED);
    stator_future_unref(f);
    stator_future_unref(trigger);
    pair_free(&p);
}
END_TEST

static stator_future_t *pass(stator_future_t *future, void *arg)
{
    (void)future;
    (void)arg;
    return NULL;
}

/* 2^60 ways lead to the chain, and 2,000 levels: what a search of limited
 * length misses is a wait that never ends, here one of two seconds. */
enum { NO_HANG_MS = 2000, LEVELS = 2000 };

START_TEST(seen_through_shared_children)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    stator_future_t *f = stator_future_chain(p.future, d, pass, NULL);
    stator_future_t *twice[2];

    for (int i = 0; i < 60; i++) {
        twice[0] = twice[1] = f;
        f = combiners[_i](twice, 2);
        stator_future_unref(twice[0]);
    }
    ck_assert_int_eq(wait_so_long(d, f, NO_HANG_MS), EDEADLK);
    stator_future_unref(f);
    pair_free(&p);
    dispatch_all(d);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(seen_through_deep_branches)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new(), plain = pair_new();
    stator_future_t *f = stator_future_chain(p.future, d, pass, NULL);

    for (int i = 0; i < LEVELS; i++) {
        stator_future_t *members[2] = {f, plain.future};
        stator_future_t *next = stator_future_all(members, 2);

        stator_future_unref(f);
        f = next;
    }
    ck_assert_int_eq(wait_so_long(d, f, NO_HANG_MS), EDEADLK);
    stator_future_unref(f);
    pair_free(&p);
    pair_free(&plain);
    dispatch_all(d);
    stator_dispatcher_unref(d);
}
END_TEST

/* With a combinator at every other level, or without any. */
static void *deep_main(void *arg)
{
    bool mixed = *(int *)arg != 0;
    stator_dispatcher_t *d = dispatcher_new(), *other = dispatcher_new();
    pair_t p = pair_new();
    stator_future_t *f =
        stator_future_chain(p.future, d, pass, NULL);

    for (int i = 0; i < DEEP; i++) {
        stator_future_t *next =
            mixed && i % 2 == 0 ? stator_future_all(&f, 1)
                                : stator_future_chain(f, other, pass, NULL);

        stator_future_unref(f);
        f = next;
    }
    ck_assert_int_eq(wait_inside(d, f), EDEADLK);
    ck_assert(stator_future_cancel(f));
    stator_future_unref(f);
    pair_free(&p);
    dispatch_all(d);
    dispatch_all(other);
    stator_dispatcher_unref(d);
    stator_dispatcher_unref(other);
    return NULL;
}

START_TEST(seen_through_a_deep_chain)
{
    run_on_small_stack(deep_main, &_i);
}
END_TEST

SUITE(deadlock)
{
    tcase_add_loop_test(tc, composed_on_this_dispatcher, 0, KINDS);
    tcase_add_test(tc, ready_behind_the_one_that_waits);
    tcase_add_test(tc, finite_time_is_no_way_out);
    tcase_add_loop_test(tc, fn_waits_for_its_own_composed_future, 0, KINDS);
    tcase_add_test(tc, chain_behind_a_chain);
    tcase_add_loop_test(tc, through_a_combinator, 0, COMBINERS);
    tcase_add_loop_test(tc, one_member_of_all_or_settled_is_enough, 0, 2);
    tcase_add_test(tc, through_combinators_of_combinators);
    tcase_add_test(tc, over_two_dispatchers);
    tcase_add_test(tc, through_the_inner_future);
    tcase_add_test(tc, dispatch_within_dispatch);
    tcase_add_test(tc, inner_dispatch_does_not_lift_the_outer_mark);
    tcase_add_loop_test(tc, in_run_once_and_run_until_too, 0, 2);
    tcase_add_loop_test(tc, seen_through_a_deep_chain, 0, 2);
    tcase_add_loop_test(tc, seen_through_shared_children, 0, COMBINERS);
    tcase_add_test(tc, seen_through_deep_branches);

    TCase *legal = suite_case("deadlock_none");
    tcase_add_test(legal, plain_promise_may_be_waited_for);
    tcase_add_test(legal, plain_promise_with_a_continuation_here);
    tcase_add_loop_test(legal, combination_of_plain_ones_may_be_waited_for, 0,
                        COMBINERS);
    tcase_add_loop_test(legal, one_plain_member_of_any_or_race_is_enough, 0,
                        2);
    tcase_add_loop_test(legal, shared_children_are_not_walked_twice, 0,
                        COMBINERS);
    tcase_add_loop_test(legal, settled_composed_one_may_be_waited_for, 0,
                        KINDS);
    tcase_add_loop_test(legal, cancelled_composed_one_may_be_waited_for, 0,
                        KINDS);
    tcase_add_test(legal, chain_of_another_threads_dispatcher);
    tcase_add_test(legal, thread_that_does_not_dispatch_may_wait);
    tcase_add_test(legal, outside_of_dispatch_it_is_an_ordinary_wait);
    tcase_add_test(legal, closing_settles_what_one_would_wait_for);
}
