/* SPDX-License-Identifier: Apache-2.0 */
/* test_wait.c - sleeping until a future settles; test_deadlock.c has where it
 * must not. */
#include "tests/futures/support.h"

#include <signal.h>

START_TEST(wait_for_settled_is_immediate)
{
    stator_future_t *f = future_in(_i, 1);

    ck_assert_int_eq(stator_future_wait(f, 0), 0);
    ck_assert_int_eq(stator_future_wait(f, 10), 0);
    ck_assert_int_eq(stator_future_wait(f, -1), 0);
    ck_assert_int_eq(stator_future_wait(f, INT64_MAX), 0);
    stator_future_unref(f);
}
END_TEST

START_TEST(wait_times_out)
{
    pair_t p = pair_new();
    int64_t start;

    ck_assert_int_eq(stator_future_wait(p.future, 0), ETIMEDOUT);
    start = now_ms();
    ck_assert_int_eq(stator_future_wait(p.future, 50), ETIMEDOUT);
    ck_assert_msg(now_ms() - start >= 49, "woke before its time");
    assert_state(p.future, STATOR_FUTURE_PENDING);

    ck_assert(pair_resolve(&p, 3));
    assert_done(p.future, 3);
    pair_free(&p);
}
END_TEST

typedef struct waiter {
    stator_future_t *future;
    int64_t timeout_ms;
    atomic_int tid;
    int rc;
    int value;
} waiter_t;

static void *waiter_main(void *arg)
{
    waiter_t *waiter = arg;

    tell_tid(&waiter->tid);
    waiter->rc = stator_future_wait(waiter->future, waiter->timeout_ms);
    waiter->value = document_value(waiter->future);
    return NULL;
}

static const int64_t patient[] = {-1, INT64_MIN, PATIENCE_MS, INT64_MAX,
                                  INT64_MAX / 1000, INT64_MAX / 1000000 + 1};

START_TEST(wait_is_woken_by_settling)
{
    pair_t p = pair_new();
    waiter_t w = {.future = p.future, .timeout_ms = patient[_i], .rc = -1};
    pthread_t thread = thread_start(waiter_main, &w);

    until_asleep(&w.tid);
    ck_assert(pair_resolve(&p, 11));
    thread_join(thread);
    ck_assert_int_eq(w.rc, 0);
    ck_assert_int_eq(w.value, 11);
    pair_free(&p);
}
END_TEST

START_TEST(wait_is_woken_by_fail_cancel_and_drop)
{
    pair_t p = pair_new();
    waiter_t w = {.future = p.future, .timeout_ms = -1, .rc = -1};
    pthread_t thread = thread_start(waiter_main, &w);

    until_asleep(&w.tid);
    if (_i == 0)
        ck_assert(pair_fail(&p, 1));
    else if (_i == 1)
        ck_assert(stator_future_cancel(p.future));
    else
        stator_promise_unref(p.promise);
    thread_join(thread);
    ck_assert_int_eq(w.rc, 0);
    ck_assert_int_ne((int)stator_future_poll(p.future),
                     (int)STATOR_FUTURE_PENDING);
    if (_i == 2)
        p.promise = NULL;
    pair_free(&p);
}
END_TEST

START_TEST(wait_wakes_all_who_wait)
{
    enum { WAITERS = 8 };
    pair_t p = pair_new();
    waiter_t w[WAITERS] = {{0}};
    pthread_t threads[WAITERS];

    for (int i = 0; i < WAITERS; i++) {
        w[i].future = p.future;
        w[i].timeout_ms = -1;
        w[i].rc = -1;
        threads[i] = thread_start(waiter_main, &w[i]);
    }
    for (int i = 0; i < WAITERS; i++)
        until_asleep(&w[i].tid);
    ck_assert(pair_resolve(&p, 4));
    for (int i = 0; i < WAITERS; i++) {
        thread_join(threads[i]);
        ck_assert_int_eq(w[i].rc, 0);
        ck_assert_int_eq(w[i].value, 4);
    }
    pair_free(&p);
}
END_TEST

START_TEST(wait_does_not_run_continuations)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_then(f, d, probe_then, &probe), 0);
    ck_assert_int_eq(stator_future_wait(f, -1), 0);
    ck_assert_int_eq(probe.ran, 0);
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_int_eq(probe.ran, 1);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

static void on_signal(int number)
{
    (void)number;
}

static void install_handler(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    /* No SA_RESTART: what sleeps in the kernel is told EINTR. */
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

START_TEST(wait_outlasts_signals)
{
    pair_t p = pair_new();
    waiter_t w = {.future = p.future, .timeout_ms = -1, .rc = -1};
    pthread_t thread;

    install_handler();
    thread = thread_start(waiter_main, &w);
    for (int i = 0; i < 50; i++) {
        until_asleep(&w.tid);
        ck_assert_int_eq(pthread_kill(thread, SIGUSR1), 0);
    }
    assert_state(p.future, STATOR_FUTURE_PENDING);
    ck_assert(pair_resolve(&p, 6));
    thread_join(thread);
    ck_assert_int_eq(w.rc, 0);
    ck_assert_int_eq(w.value, 6);
    pair_free(&p);
}
END_TEST

START_TEST(wait_keeps_its_time_through_signals)
{
    pair_t p = pair_new();
    waiter_t w = {.future = p.future, .timeout_ms = 100, .rc = -1};
    int64_t start = now_ms();
    pthread_t thread;

    install_handler();
    thread = thread_start(waiter_main, &w);
    until_asleep(&w.tid);
    ck_assert_int_eq(pthread_kill(thread, SIGUSR1), 0);
    thread_join(thread);
    ck_assert_int_eq(w.rc, ETIMEDOUT);
    ck_assert_msg(now_ms() - start >= 99, "a signal cut the wait short");
    pair_free(&p);
}
END_TEST

SUITE(wait)
{
    tcase_add_loop_test(tc, wait_for_settled_is_immediate,
                        STATOR_FUTURE_DONE, STATOR_FUTURE_CANCELLED + 1);
    tcase_add_test(tc, wait_times_out);
    tcase_add_loop_test(tc, wait_is_woken_by_settling, 0,
                        (int)(sizeof patient / sizeof patient[0]));
    tcase_add_loop_test(tc, wait_is_woken_by_fail_cancel_and_drop, 0, 3);
    tcase_add_test(tc, wait_wakes_all_who_wait);
    tcase_add_test(tc, wait_does_not_run_continuations);
    tcase_add_test(tc, wait_outlasts_signals);
    tcase_add_test(tc, wait_keeps_its_time_through_signals);
}
