/* SPDX-License-Identifier: Apache-2.0 */
/* test_then.c - continuations: once, later, in order, and their argument
 * freed exactly once whatever happens. */
#include "tests/futures/support.h"

enum { MANY = 1000 };

/* ---- then --------------------------------------------------------------- */

START_TEST(then_runs_once_after_settling)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_then(p.future, d, probe_then, &probe), 0);
    ck_assert_int_eq(dispatch_all(d), 0);
    ck_assert_int_eq(probe.ran, 0);

    ck_assert(pair_resolve(&p, 1));
    ck_assert_int_eq(probe.ran, 0);
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_int_eq(probe.ran, 1);
    ck_assert_ptr_eq(probe.future, p.future);
    ck_assert_int_eq((int)probe.state, (int)STATOR_FUTURE_DONE);
    ck_assert(pthread_equal(probe.thread, pthread_self()));

    ck_assert_int_eq(dispatch_all(d), 0);
    ck_assert_int_eq(probe.ran, 1);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(then_on_settled_is_never_inline)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_in(_i, 1);
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_then(f, d, probe_then, &probe), 0);
    ck_assert_int_eq(probe.ran, 0);
    ck_assert(readable(stator_dispatcher_fd(d)));
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    ck_assert_int_eq(probe.ran, 1);
    ck_assert_int_eq((int)probe.state, _i);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

static void attach_steps(stator_future_t *f, stator_dispatcher_t *d,
                         step_t *steps, trail_t *trail, int from, int to)
{
    for (int i = from; i < to; i++) {
        steps[i] = (step_t){trail, i};
        ck_assert_int_eq(stator_future_then(f, d, step_then, &steps[i]), 0);
    }
}

static void assert_in_order(const trail_t *trail, int n)
{
    ck_assert_int_eq(trail->n, n);
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(trail->at[i], i);
}

START_TEST(many_continuations_keep_their_order)
{
    static step_t steps[MANY];
    static trail_t trail;
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();

    attach_steps(p.future, d, steps, &trail, 0, MANY / 2);
    ck_assert(pair_resolve(&p, 1));
    attach_steps(p.future, d, steps, &trail, MANY / 2, MANY);
    ck_assert_int_eq(trail.n, 0);
    ck_assert_int_eq(dispatch_all(d), MANY);
    assert_in_order(&trail, MANY);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(futures_become_ready_as_they_settle)
{
    stator_dispatcher_t *d = dispatcher_new();
    static step_t steps[3];
    static trail_t trail;
    pair_t p[3] = {pair_new(), pair_new(), pair_new()};
    static const int settle[3] = {2, 0, 1};

    for (int i = 0; i < 3; i++) {
        /* numbered by when it will settle */
        steps[settle[i]] = (step_t){&trail, i};
        ck_assert_int_eq(stator_future_then(p[settle[i]].future, d, step_then,
                                            &steps[settle[i]]),
                         0);
    }
    for (int i = 0; i < 3; i++)
        ck_assert(pair_resolve(&p[settle[i]], i));
    ck_assert_int_eq(dispatch_all(d), 3);
    assert_in_order(&trail, 3);
    for (int i = 0; i < 3; i++)
        pair_free(&p[i]);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(same_continuation_twice_runs_twice)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_then(p.future, d, probe_then, &probe), 0);
    ck_assert_int_eq(stator_future_then(p.future, d, probe_then, &probe), 0);
    ck_assert(pair_resolve(&p, 1));
    ck_assert_int_eq(dispatch_all(d), 2);
    ck_assert_int_eq(probe.ran, 2);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(each_dispatcher_runs_its_own)
{
    stator_dispatcher_t *d[3] = {dispatcher_new(), dispatcher_new(),
                                 dispatcher_new()};
    pair_t p = pair_new();
    probe_t probe[3] = {{0}};

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(
            stator_future_then(p.future, d[i], probe_then, &probe[i]), 0);
    ck_assert(pair_resolve(&p, 1));
    for (int i = 2; i >= 0; i--) {
        ck_assert_int_eq(probe[i].ran, 0);
        ck_assert_int_eq(dispatch_all(d[i]), 1);
        ck_assert_int_eq(probe[i].ran, 1);
        stator_dispatcher_unref(d[i]);
    }
    pair_free(&p);
}
END_TEST

static void then_read(stator_future_t *future, void *arg)
{
    int *value = arg;

    assert_state(future, STATOR_FUTURE_DONE);
    *value = document_value(future);
}

START_TEST(then_outlives_every_handle)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    int value = 0;

    ck_assert_int_eq(stator_future_then(p.future, d, then_read, &value), 0);
    stator_future_unref(p.future);
    ck_assert(pair_resolve(&p, 77));
    stator_promise_unref(p.promise);
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_int_eq(value, 77);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(then_on_settled_outlives_every_handle)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(78);
    int value = 0;

    ck_assert_int_eq(stator_future_then(f, d, then_read, &value), 0);
    stator_future_unref(f);
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_int_eq(value, 78);
    stator_dispatcher_unref(d);
}
END_TEST

static void then_unref(stator_future_t *future, void *arg)
{
    pair_t *pair = arg;

    ck_assert_ptr_eq(pair->future, future);
    pair_free(pair);
    /* Still alive in here, handle or none. */
    ck_assert_int_eq(document_value(future), 5);
}

START_TEST(then_may_give_back_the_last_handles)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();

    ck_assert_int_eq(stator_future_then(p.future, d, then_unref, &p), 0);
    ck_assert(pair_resolve(&p, 5));
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_ptr_null(p.future);
    stator_dispatcher_unref(d);
}
END_TEST

static void then_keep(stator_future_t *future, void *arg)
{
    stator_future_t **kept = arg;

    *kept = stator_future_ref(future);
}

START_TEST(then_may_take_a_reference)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    stator_future_t *kept = NULL;

    ck_assert_int_eq(stator_future_then(p.future, d, then_keep, &kept), 0);
    ck_assert(pair_resolve(&p, 6));
    pair_free(&p);
    ck_assert_int_eq(dispatch_all(d), 1);
    stator_dispatcher_unref(d);
    assert_done(kept, 6);
    stator_future_unref(kept);
}
END_TEST

typedef struct again {
    stator_dispatcher_t *dispatcher;
    int left;
    int ran;
} again_t;

static void then_again(stator_future_t *future, void *arg)
{
    again_t *again = arg;

    again->ran++;
    if (--again->left > 0)
        ck_assert_int_eq(stator_future_then(future, again->dispatcher,
                                            then_again, again),
                         0);
}

START_TEST(then_may_attach_to_its_own_future)
{
    again_t again = {.dispatcher = dispatcher_new(), .left = 10};
    stator_future_t *f = future_done(1);

    ck_assert_int_eq(
        stator_future_then(f, again.dispatcher, then_again, &again), 0);
    stator_future_unref(f);
    for (int i = 1; i <= 10; i++) {
        ck_assert_int_eq(stator_dispatcher_dispatch(again.dispatcher, 0), 1);
        ck_assert_int_eq(again.ran, i);
    }
    ck_assert_int_eq(stator_dispatcher_dispatch(again.dispatcher, 0), 0);
    stator_dispatcher_unref(again.dispatcher);
}
END_TEST

START_TEST(then_refuses_null)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_then(NULL, d, probe_then, &probe), EINVAL);
    ck_assert_int_eq(stator_future_then(f, NULL, probe_then, &probe), EINVAL);
    ck_assert_int_eq(stator_future_then(f, d, NULL, &probe), EINVAL);
    ck_assert_int_eq(dispatch_all(d), 0);
    ck_assert_int_eq(probe.ran, 0);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

static void then_count(stator_future_t *future, void *arg)
{
    (void)future;
    ck_assert_ptr_null(arg);
}

START_TEST(then_accepts_a_null_arg)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);

    ck_assert_int_eq(stator_future_then(f, d, then_count, NULL), 0);
    ck_assert_int_eq(dispatch_all(d), 1);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

/* ---- then_full ---------------------------------------------------------- */

START_TEST(arg_is_freed_after_the_run)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_then_full(p.future, d, probe_then, &probe,
                                             probe_free),
                     0);
    ck_assert(pair_resolve(&p, 1));
    pair_free(&p);
    ck_assert_int_eq(probe.freed, 0);
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_int_eq(probe.ran, 1);
    ck_assert_int_eq(probe.freed, 1);
    ck_assert_int_eq(probe.ran_after_free, 0);
    stator_dispatcher_unref(d);
    ck_assert_int_eq(probe.freed, 1);
}
END_TEST

START_TEST(arg_is_freed_for_each_continuation)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);
    probe_t probe = {0};

    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(
            stator_future_then_full(f, d, probe_then, &probe, probe_free), 0);
    stator_future_unref(f);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 40), 40);
    ck_assert_int_eq(probe.freed, 40);
    stator_dispatcher_unref(d);
    ck_assert_int_eq(probe.ran, 40);
    ck_assert_int_eq(probe.freed, 100);
}
END_TEST

START_TEST(arg_needs_no_free)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);
    probe_t probe = {0};

    ck_assert_int_eq(
        stator_future_then_full(f, d, probe_then, &probe, NULL), 0);
    ck_assert_int_eq(
        stator_future_then_full(f, NULL, probe_then, &probe, NULL), EINVAL);
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_int_eq(
        stator_future_then_full(f, d, probe_then, &probe, NULL), 0);
    stator_dispatcher_unref(d);
    ck_assert_int_eq(probe.ran, 1);
    stator_future_unref(f);
}
END_TEST

static int null_freed;

static void free_null(void *arg)
{
    ck_assert_ptr_null(arg);
    null_freed++;
}

START_TEST(null_arg_is_freed_as_any_other)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);

    null_freed = 0;
    ck_assert_int_eq(
        stator_future_then_full(f, d, then_count, NULL, free_null), 0);
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_int_eq(null_freed, 1);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(arg_is_freed_when_refused)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_then_full(NULL, d, probe_then, &probe,
                                             probe_free),
                     EINVAL);
    ck_assert_int_eq(probe.freed, 1);
    ck_assert_int_eq(stator_future_then_full(f, NULL, probe_then, &probe,
                                             probe_free),
                     EINVAL);
    ck_assert_int_eq(probe.freed, 2);
    ck_assert_int_eq(stator_future_then_full(f, d, NULL, &probe, probe_free),
                     EINVAL);
    ck_assert_int_eq(probe.freed, 3);
    ck_assert_int_eq(stator_future_then_full(NULL, NULL, NULL, &probe,
                                             probe_free),
                     EINVAL);
    ck_assert_int_eq(probe.freed, 4);
    ck_assert_int_eq(dispatch_all(d), 0);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
    ck_assert_int_eq(probe.freed, 4);
    ck_assert_int_eq(probe.ran, 0);
}
END_TEST

START_TEST(arg_is_freed_with_the_dispatcher_while_pending)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    probe_t probe[3] = {{0}};

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(stator_future_then_full(p.future, d, probe_then,
                                                 &probe[i], probe_free),
                         0);
    stator_dispatcher_unref(d);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(probe[i].freed, 1);

    ck_assert(pair_resolve(&p, 1));
    pair_free(&p);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(probe[i].freed, 1);
        ck_assert_int_eq(probe[i].ran, 0);
    }
}
END_TEST

START_TEST(arg_is_freed_with_the_dispatcher_while_ready)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    probe_t probe[3] = {{0}};

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(stator_future_then_full(p.future, d, probe_then,
                                                 &probe[i], probe_free),
                         0);
    ck_assert(pair_resolve(&p, 1));
    pair_free(&p);
    stator_dispatcher_unref(d);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(probe[i].freed, 1);
        ck_assert_int_eq(probe[i].ran, 0);
    }
}
END_TEST

START_TEST(arg_is_freed_when_the_promise_is_dropped)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_then_full(p.future, d, probe_then, &probe,
                                             probe_free),
                     0);
    pair_free(&p);
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_int_eq((int)probe.state, (int)STATOR_FUTURE_FAILED);
    ck_assert_int_eq(probe.ran, 1);
    ck_assert_int_eq(probe.freed, 1);
    stator_dispatcher_unref(d);
}
END_TEST

typedef struct holder {
    stator_future_t *future;
    stator_dispatcher_t *dispatcher;
    int freed;
} holder_t;

static void holder_free(void *arg)
{
    holder_t *holder = arg;

    holder->freed++;
    stator_future_unref(holder->future);
    stator_dispatcher_unref(holder->dispatcher);
}

START_TEST(free_arg_may_give_back_the_future)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    holder_t holder = {.future = p.future};

    ck_assert_int_eq(stator_future_then(p.future, d, then_count, NULL), 0);
    ck_assert_int_eq(stator_future_then_full(p.future, d, then_count, &holder,
                                             holder_free),
                     0);
    stator_promise_unref(p.promise);
    stator_dispatcher_unref(d);
    ck_assert_int_eq(holder.freed, 1);
}
END_TEST

START_TEST(free_arg_may_close_another_dispatcher)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_dispatcher_t *other = dispatcher_new();
    stator_future_t *f = future_done(1);
    probe_t probe = {0};
    holder_t holder = {.dispatcher = other};

    ck_assert_int_eq(
        stator_future_then_full(f, other, probe_then, &probe, probe_free), 0);
    ck_assert_int_eq(
        stator_future_then_full(f, d, then_count, &holder, holder_free), 0);
    stator_dispatcher_unref(d);
    ck_assert_int_eq(holder.freed, 1);
    ck_assert_int_eq(probe.freed, 1);
    ck_assert_int_eq(probe.ran, 0);
    stator_future_unref(f);
}
END_TEST

SUITE(then)
{
    tcase_add_test(tc, then_runs_once_after_settling);
    tcase_add_loop_test(tc, then_on_settled_is_never_inline,
                        STATOR_FUTURE_DONE, STATOR_FUTURE_CANCELLED + 1);
    tcase_add_test(tc, many_continuations_keep_their_order);
    tcase_add_test(tc, futures_become_ready_as_they_settle);
    tcase_add_test(tc, same_continuation_twice_runs_twice);
    tcase_add_test(tc, each_dispatcher_runs_its_own);
    tcase_add_test(tc, then_outlives_every_handle);
    tcase_add_test(tc, then_on_settled_outlives_every_handle);
    tcase_add_test(tc, then_may_give_back_the_last_handles);
    tcase_add_test(tc, then_may_take_a_reference);
    tcase_add_test(tc, then_may_attach_to_its_own_future);
    tcase_add_test(tc, then_refuses_null);
    tcase_add_test(tc, then_accepts_a_null_arg);

    TCase *full = suite_case("then_full");
    tcase_add_test(full, arg_is_freed_after_the_run);
    tcase_add_test(full, arg_is_freed_for_each_continuation);
    tcase_add_test(full, arg_needs_no_free);
    tcase_add_test(full, null_arg_is_freed_as_any_other);
    tcase_add_test(full, arg_is_freed_when_refused);
    tcase_add_test(full, arg_is_freed_with_the_dispatcher_while_pending);
    tcase_add_test(full, arg_is_freed_with_the_dispatcher_while_ready);
    tcase_add_test(full, arg_is_freed_when_the_promise_is_dropped);
    tcase_add_test(full, free_arg_may_give_back_the_future);
    tcase_add_test(full, free_arg_may_close_another_dispatcher);
}
