/* SPDX-License-Identifier: Apache-2.0 */
/* test_chain_deep.c - chains of 100,000 on a small stack: nothing recurses. */
#include "tests/futures/support.h"

static atomic_int deep_ran;

static stator_future_t *pass(stator_future_t *future, void *arg)
{
    (void)future;
    (void)arg;
    atomic_fetch_add(&deep_ran, 1);
    return NULL;
}

/* A tail with DEEP composed futures before it. */
static stator_future_t *deep(stator_future_t *root, stator_dispatcher_t *d,
                             compose_fn *compose)
{
    stator_future_t *f = stator_future_ref(root), *next;

    atomic_store(&deep_ran, 0);
    for (int i = 0; i < DEEP; i++) {
        next = compose(f, d, pass, NULL);
        stator_future_unref(f);
        f = next;
    }
    return f;
}

static void *deep_runs(void *arg)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    stator_future_t *f = deep(p.future, d, stator_future_chain);

    (void)arg;
    pair_resolve(&p, 81);
    pair_free(&p);
    settle_on(d, f);
    assert_done(f, 81);
    ck_assert_int_eq(deep_ran, DEEP);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
    return NULL;
}

START_TEST(deep_chain_runs)
{
    run_on_small_stack(deep_runs, NULL);
}
END_TEST

static void *deep_passes_on(void *arg)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    stator_future_t *f = deep(p.future, d, stator_future_chain);

    (void)arg;
    pair_fail(&p, 82);
    pair_free(&p);
    settle_on(d, f);
    assert_user_error(f, 82);
    ck_assert_int_eq(deep_ran, 0);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
    return NULL;
}

START_TEST(deep_failure_is_passed_on)
{
    run_on_small_stack(deep_passes_on, NULL);
}
END_TEST

static void *deep_cancels(void *arg)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    stator_future_t *f = deep(p.future, d, stator_future_chain);

    (void)arg;
    ck_assert(stator_future_cancel(f));
    assert_state(f, STATOR_FUTURE_CANCELLED);
    ck_assert(stator_promise_cancelled(p.promise));
    dispatch_all(d);
    ck_assert_int_eq(deep_ran, 0);
    stator_future_unref(f);
    pair_free(&p);
    stator_dispatcher_unref(d);
    return NULL;
}

START_TEST(deep_cancel_reaches_the_root)
{
    run_on_small_stack(deep_cancels, NULL);
}
END_TEST

static void *deep_finally_cancels(void *arg)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    stator_future_t *f = deep(p.future, d, stator_future_finally);

    (void)arg;
    ck_assert(stator_future_cancel(f));
    ck_assert(stator_promise_cancelled(p.promise));
    dispatch_all(d);
    ck_assert_int_eq(deep_ran, DEEP); /* each clean-up runs all the same */
    stator_future_unref(f);
    pair_free(&p);
    stator_dispatcher_unref(d);
    return NULL;
}

START_TEST(deep_finally_cleans_up_after_a_cancel)
{
    run_on_small_stack(deep_finally_cancels, NULL);
}
END_TEST

static void *deep_closes(void *arg)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    stator_future_t *f = deep(p.future, d, stator_future_chain);

    (void)arg;
    stator_dispatcher_unref(d);
    assert_stator_error(f, STATOR_ERROR_CLOSED);
    stator_future_unref(f);
    ck_assert(pair_resolve(&p, 1));
    pair_free(&p);
    return NULL;
}

START_TEST(deep_chain_is_closed)
{
    run_on_small_stack(deep_closes, NULL);
}
END_TEST

/* A loop in continuations: each step waits for the next one's composed
 * future, so that the first settles through DEEP inner ones. */
typedef struct looper {
    stator_dispatcher_t *dispatcher;
    stator_future_t *go;
    int left;
} looper_t;

static stator_future_t *loop_step(stator_future_t *future, void *arg)
{
    looper_t *looper = arg;

    if (--looper->left == 0)
        return stator_future_ref(looper->go);
    return stator_future_chain(future, looper->dispatcher, loop_step, looper);
}

static void *deep_loops(void *arg)
{
    int how = *(int *)arg;
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_done(1);
    pair_t go = pair_new();
    looper_t looper = {d, go.future, DEEP};
    stator_future_t *f = stator_future_chain(source, d, loop_step, &looper);

    dispatch_all(d);
    ck_assert_int_eq(looper.left, 0);
    assert_state(f, STATOR_FUTURE_PENDING);
    if (how == 0) {
        ck_assert(pair_resolve(&go, 83));
        settle_on(d, f);
        assert_done(f, 83);
    } else if (how == 1) {
        ck_assert(stator_future_cancel(f));
        ck_assert(stator_promise_cancelled(go.promise));
        dispatch_all(d);
    } else {
        stator_future_unref(stator_future_ref(f)); /* detached with the rest */
    }
    stator_future_unref(f);
    pair_free(&go);
    dispatch_all(d);
    stator_future_unref(source);
    stator_dispatcher_unref(d);
    return NULL;
}

START_TEST(deep_loop_of_continuations)
{
    run_on_small_stack(deep_loops, &_i);
}
END_TEST

SUITE(chain_deep)
{
    tcase_add_test(tc, deep_chain_runs);
    tcase_add_test(tc, deep_failure_is_passed_on);
    tcase_add_test(tc, deep_cancel_reaches_the_root);
    tcase_add_test(tc, deep_finally_cleans_up_after_a_cancel);
    tcase_add_test(tc, deep_chain_is_closed);
    tcase_add_loop_test(tc, deep_loop_of_continuations, 0, 3);
}
