/* SPDX-License-Identifier: Apache-2.0 */
/* test_run.c - run_once and run_until, for programs without a loop. */
#include "tests/futures/support.h"

typedef struct breeder {
    stator_dispatcher_t *dispatcher;
    int left;
} breeder_t;

static void then_breed(stator_future_t *future, void *arg)
{
    breeder_t *breeder = arg;

    if (breeder->left-- > 0)
        ck_assert_int_eq(stator_future_then(future, breeder->dispatcher,
                                            then_breed, breeder),
                         0);
}

static void then_close(stator_future_t *future, void *arg)
{
    stator_dispatcher_unref(arg);
    (void)future;
}

START_TEST(run_once_without_work)
{
    stator_dispatcher_t *d = dispatcher_new();
    int64_t start = now_ms();

    ck_assert_int_eq(stator_dispatcher_run_once(d, 0), 0);
    ck_assert_int_eq(stator_dispatcher_run_once(d, 50), 0);
    ck_assert_msg(now_ms() - start >= 49, "came back before its time");
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(run_once_runs_all_that_are_ready)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);
    probe_t probe = {0};

    attach(f, d, &probe, 20);
    ck_assert_int_eq(stator_dispatcher_run_once(d, _i == 0 ? 0 : -1), 20);
    ck_assert_int_eq(probe.ran, 20);
    ck_assert(!readable(stator_dispatcher_fd(d)));
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

typedef struct sleeper {
    stator_dispatcher_t *dispatcher;
    stator_future_t *future; /* NULL: run_once */
    atomic_int tid;
    int rc;
} sleeper_t;

static void *sleeper_main(void *arg)
{
    sleeper_t *sleeper = arg;

    tell_tid(&sleeper->tid);
    if (sleeper->future == NULL)
        sleeper->rc = stator_dispatcher_run_once(sleeper->dispatcher, -1);
    else
        sleeper->rc = stator_dispatcher_run_until(sleeper->dispatcher,
                                                  sleeper->future, -1);
    return NULL;
}

START_TEST(run_once_is_woken_by_settling)
{
    sleeper_t sleeper = {.dispatcher = dispatcher_new(), .rc = -1};
    pair_t p = pair_new();
    probe_t probe = {0};
    pthread_t thread;

    attach(p.future, sleeper.dispatcher, &probe, 1);
    thread = thread_start(sleeper_main, &sleeper);
    until_asleep(&sleeper.tid);
    ck_assert(pair_resolve(&p, 1));
    thread_join(thread);
    ck_assert_int_eq(sleeper.rc, 1);
    ck_assert_int_eq(probe.ran, 1);
    ck_assert(pthread_equal(probe.thread, thread));
    pair_free(&p);
    stator_dispatcher_unref(sleeper.dispatcher);
}
END_TEST

/* Nothing of this dispatcher's becomes ready: the settling itself must wake. */
START_TEST(run_until_is_woken_by_settling)
{
    sleeper_t sleeper = {.dispatcher = dispatcher_new(), .rc = -1};
    pair_t p = pair_new();
    pthread_t thread;

    sleeper.future = p.future;
    thread = thread_start(sleeper_main, &sleeper);
    until_asleep(&sleeper.tid);
    if (_i == 0)
        ck_assert(pair_resolve(&p, 1));
    else if (_i == 1)
        ck_assert(pair_fail(&p, 1));
    else
        ck_assert(stator_future_cancel(p.future));
    thread_join(thread);
    ck_assert_int_eq(sleeper.rc, 0);
    pair_free(&p);
    stator_dispatcher_unref(sleeper.dispatcher);
}
END_TEST

/* Who sleeps in there has the dispatcher: another thread that dispatched would
 * take the wake-up away from it. */
START_TEST(sleeping_in_run_is_dispatching)
{
    sleeper_t sleeper = {.dispatcher = dispatcher_new(), .rc = -1};
    stator_dispatcher_t *d = sleeper.dispatcher;
    pair_t p = pair_new(), other = pair_new();
    probe_t probe = {0};
    pthread_t thread;
    int rc[3];

    if (_i == 1)
        sleeper.future = p.future;
    attach(p.future, d, &probe, 1);
    thread = thread_start(sleeper_main, &sleeper);
    until_asleep(&sleeper.tid);
    rc[0] = stator_dispatcher_dispatch(d, 0);
    rc[1] = stator_dispatcher_run_once(d, 0);
    rc[2] = stator_dispatcher_run_until(d, other.future, 0);
    ck_assert(pair_resolve(&p, 1));
    thread_join(thread);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(rc[i], -EBUSY);
    ck_assert_int_eq(sleeper.rc, _i == 0);
    pair_free(&p);
    pair_free(&other);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(run_until_settled_returns_at_once)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_in(_i, 1);

    ck_assert_int_eq(stator_dispatcher_run_until(d, f, 0), 0);
    ck_assert_int_eq(stator_dispatcher_run_until(d, f, -1), 0);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(run_until_times_out)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    int64_t start = now_ms();
    probe_t probe = {0};

    ck_assert_int_eq(stator_dispatcher_run_until(d, p.future, 0), -ETIMEDOUT);
    ck_assert_int_eq(stator_dispatcher_run_until(d, p.future, 50),
                     -ETIMEDOUT);
    ck_assert_msg(now_ms() - start >= 49, "came back before its time");

    /* It leaves nothing behind: neither a pointer nor a wrong count. */
    attach(p.future, d, &probe, 1);
    ck_assert(pair_resolve(&p, 1));
    pair_free(&p);
    ck_assert_int_ge(dispatch_all(d), 1);
    ck_assert_int_eq(probe.ran, 1);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(run_until_after_a_time_out_leaves_no_pointer)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();

    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(stator_dispatcher_run_until(d, p.future, 0),
                         -ETIMEDOUT);
    stator_dispatcher_unref(d);
    ck_assert(pair_resolve(&p, 1));
    pair_free(&p);
}
END_TEST

START_TEST(run_until_runs_what_is_needed)
{
    breeder_t breeder = {dispatcher_new(), 50};
    stator_dispatcher_t *d = breeder.dispatcher;
    stator_future_t *f = future_done(7), *chain = stator_future_ref(f), *next;
    link_t links[20] = {{0}};

    ck_assert_int_eq(stator_future_then(f, d, then_breed, &breeder), 0);
    for (int i = 0; i < 20; i++) {
        next = stator_future_chain(chain, d, link_fn, &links[i]);
        stator_future_unref(chain);
        chain = next;
    }
    ck_assert_int_eq(stator_dispatcher_run_until(d, chain, PATIENCE_MS), 0);
    assert_done(chain, 7);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(links[i].ran, 1);
    stator_future_unref(chain);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

/* What it needs for itself is not among the continuations that are counted. */
START_TEST(run_until_adds_nothing_to_the_count)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_done(1), *f;
    link_t link = {0};
    probe_t probe = {0};

    f = stator_future_chain(source, d, link_fn, &link);
    ck_assert_int_eq(stator_dispatcher_run_until(d, f, PATIENCE_MS), 0);
    if (_i == 0) {
        ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 0);
    } else {
        int64_t start = now_ms();

        ck_assert_int_eq(stator_dispatcher_run_once(d, 50), 0);
        ck_assert_msg(now_ms() - start >= 49, "came back before its time");
    }
    attach(f, d, &probe, 3);
    ck_assert_int_eq(stator_dispatcher_run_once(d, PATIENCE_MS), 3);
    stator_future_unref(f);
    stator_future_unref(source);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(run_until_outlives_its_dispatcher)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_done(1), *f;
    pair_t p = pair_new();
    link_t link = {0};

    f = stator_future_chain(p.future, d, link_fn, &link);
    ck_assert_int_eq(stator_future_then(source, d, then_close, d), 0);
    /* Closing it settles the chain, and that was what was asked for. */
    ck_assert_int_eq(stator_dispatcher_run_until(d, f, PATIENCE_MS), 0);
    assert_stator_error(f, STATOR_ERROR_CLOSED);
    stator_future_unref(f);
    stator_future_unref(source);
    pair_free(&p);
}
END_TEST

START_TEST(run_until_does_not_wait_for_a_closed_one)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_done(1);
    pair_t p = pair_new();

    ck_assert_int_eq(stator_future_then(source, d, then_close, d), 0);
    ck_assert_int_lt(stator_dispatcher_run_until(d, p.future, -1), 0);
    assert_state(p.future, STATOR_FUTURE_PENDING);
    stator_future_unref(source);
    pair_free(&p);
}
END_TEST

SUITE(run)
{
    tcase_add_test(tc, run_once_without_work);
    tcase_add_loop_test(tc, run_once_runs_all_that_are_ready, 0, 2);
    tcase_add_test(tc, run_once_is_woken_by_settling);
    tcase_add_loop_test(tc, run_until_is_woken_by_settling, 0, 3);
    tcase_add_loop_test(tc, sleeping_in_run_is_dispatching, 0, 2);
    tcase_add_loop_test(tc, run_until_settled_returns_at_once,
                        STATOR_FUTURE_DONE, STATOR_FUTURE_CANCELLED + 1);
    tcase_add_test(tc, run_until_times_out);
    tcase_add_test(tc, run_until_after_a_time_out_leaves_no_pointer);
    tcase_add_test(tc, run_until_runs_what_is_needed);
    tcase_add_loop_test(tc, run_until_adds_nothing_to_the_count, 0, 2);
    tcase_add_test(tc, run_until_outlives_its_dispatcher);
    tcase_add_test(tc, run_until_does_not_wait_for_a_closed_one);
}
