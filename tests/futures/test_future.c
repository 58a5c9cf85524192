/* SPDX-License-Identifier: Apache-2.0 */
/* test_future.c - one future: its state, its result, waiting, continuations. */
#include "tests/futures/support.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { MANY = 1000 };

/* ---- state and getters ----------------------------------------------- */

static void assert_no_result(const stator_future_t *future)
{
    ck_assert_ptr_null(stator_future_document(future));
    ck_assert_ptr_null(stator_future_document_at(future, 0));
    ck_assert_int_eq(stator_future_count(future), 0);
}

START_TEST(pending_has_nothing_to_show)
{
    pair_t p = pair_new();
    bson_error_t error = {.domain = 7, .code = 8, .message = "mine"};

    assert_state(p.future, STATOR_FUTURE_PENDING);
    ck_assert(!stator_future_error(p.future, &error));
    ck_assert_uint_eq(error.domain, 7);
    ck_assert_uint_eq(error.code, 8);
    ck_assert_str_eq(error.message, "mine");
    ck_assert_ptr_null(stator_future_reply(p.future));
    assert_no_result(p.future);
    ck_assert(!stator_future_has_error_label(p.future, "x"));
    ck_assert_int_eq((int)stator_future_origin(p.future),
                     (int)STATOR_ORIGIN_NONE);
    ck_assert_int_eq((int)stator_future_phase(p.future),
                     (int)STATOR_PHASE_QUEUED);
    ck_assert_int_eq((int)stator_future_outcome(p.future),
                     (int)STATOR_NOT_SENT);
    pair_free(&p);
}
END_TEST

START_TEST(done_shows_document_and_reply)
{
    stator_future_t *f = future_done(42);
    bson_error_t error = {.domain = 7, .code = 8, .message = "mine"};

    assert_done(f, 42);
    ck_assert_int_eq(stator_future_count(f), 1);
    ck_assert_ptr_eq(stator_future_document_at(f, 0),
                     stator_future_document(f));
    ck_assert_ptr_null(stator_future_document_at(f, 1));
    ck_assert_ptr_null(stator_future_document_at(f, SIZE_MAX));
    ck_assert(!stator_future_error(f, &error));
    ck_assert_uint_eq(error.domain, 7);
    ck_assert_str_eq(error.message, "mine");
    ck_assert_int_eq((int)stator_future_origin(f), (int)STATOR_ORIGIN_NONE);
    ck_assert_int_eq((int)stator_future_phase(f), (int)STATOR_PHASE_DONE);
    ck_assert_int_eq((int)stator_future_outcome(f), (int)STATOR_ANSWERED);
    stator_future_unref(f);
}
END_TEST

START_TEST(done_may_have_no_document)
{
    pair_t p = pair_new();

    ck_assert(stator_promise_resolve(p.promise, NULL, NULL));
    assert_state(p.future, STATOR_FUTURE_DONE);
    assert_no_result(p.future);
    ck_assert_ptr_null(stator_future_reply(p.future));
    pair_free(&p);
}
END_TEST

START_TEST(empty_document_is_a_document)
{
    pair_t p = pair_new();
    bson_t empty = BSON_INITIALIZER;

    ck_assert(stator_promise_resolve(p.promise, &empty, NULL));
    ck_assert_ptr_nonnull(stator_future_document(p.future));
    ck_assert_uint_eq(stator_future_document(p.future)->len, 5);
    ck_assert_int_eq(stator_future_count(p.future), 1);
    bson_destroy(&empty);
    pair_free(&p);
}
END_TEST

START_TEST(failed_shows_error_and_reply)
{
    stator_future_t *f = future_failed(5);

    assert_user_error(f, 5);
    assert_no_result(f);
    ck_assert(stator_future_error(f, NULL));
    stator_future_unref(f);
}
END_TEST

START_TEST(failed_without_a_reply_was_not_sent)
{
    pair_t p = pair_new();
    bson_error_t error;

    bson_set_error(&error, 1000, 1, "no reply");
    ck_assert(stator_promise_fail(p.promise, &error, NULL));
    ck_assert_ptr_null(stator_future_reply(p.future));
    ck_assert_int_eq((int)stator_future_phase(p.future),
                     (int)STATOR_PHASE_QUEUED);
    ck_assert_int_eq((int)stator_future_outcome(p.future),
                     (int)STATOR_NOT_SENT);
    pair_free(&p);
}
END_TEST

START_TEST(cancelled_shows_an_error)
{
    stator_future_t *f = future_cancelled();

    assert_stator_error(f, STATOR_ERROR_CANCELLED);
    assert_no_result(f);
    ck_assert_ptr_null(stator_future_reply(f));
    ck_assert_int_eq((int)stator_future_outcome(f), (int)STATOR_NOT_SENT);
    stator_future_unref(f);
}
END_TEST

static const struct {
    uint32_t domain;
    stator_origin_t origin;
} origins[] = {
    {STATOR_ERROR_DOMAIN, STATOR_ORIGIN_STATOR},
    {1, STATOR_ORIGIN_DRIVER},
    {15, STATOR_ORIGIN_DRIVER},
    {16, STATOR_ORIGIN_SERVER},
    {17, STATOR_ORIGIN_SERVER},
    {18, STATOR_ORIGIN_DRIVER},
    {20, STATOR_ORIGIN_DRIVER},
    {21, STATOR_ORIGIN_USER},
    {0, STATOR_ORIGIN_USER},
    {UINT32_MAX, STATOR_ORIGIN_USER},
};

START_TEST(origin_follows_the_domain)
{
    pair_t p = pair_new();
    bson_error_t error;

    bson_set_error(&error, origins[_i].domain, 3, "of %u", origins[_i].domain);
    ck_assert(stator_promise_fail(p.promise, &error, NULL));
    ck_assert_int_eq((int)stator_future_origin(p.future),
                     (int)origins[_i].origin);
    memset(&error, 0, sizeof error);
    ck_assert(stator_future_error(p.future, &error));
    ck_assert_uint_eq(error.domain, origins[_i].domain);
    ck_assert_uint_eq(error.code, 3);
    pair_free(&p);
}
END_TEST

static stator_future_t *failed_with_reply(bson_t *reply)
{
    pair_t p = pair_new();
    bson_error_t error;

    bson_set_error(&error, 17, 11600, "labelled");
    ck_assert(stator_promise_fail(p.promise, &error, reply));
    bson_destroy(reply);
    stator_promise_unref(p.promise);
    return p.future;
}

START_TEST(labels_are_read_from_the_reply)
{
    stator_future_t *f = failed_with_reply(BCON_NEW(
        "ok", BCON_DOUBLE(0), "errorLabels", "[", "RetryableWriteError",
        BCON_INT32(5), "Transient", "]"));

    ck_assert(stator_future_has_error_label(f, "RetryableWriteError"));
    ck_assert(stator_future_has_error_label(f, "Transient"));
    ck_assert(!stator_future_has_error_label(f, "TransientTransactionError"));
    ck_assert(!stator_future_has_error_label(f, "Transien"));
    ck_assert(!stator_future_has_error_label(f, "transient"));
    ck_assert(!stator_future_has_error_label(f, ""));
    ck_assert(!stator_future_has_error_label(f, NULL));
    stator_future_unref(f);
}
END_TEST

START_TEST(labels_of_the_wrong_type_are_none)
{
    stator_future_t *f =
        failed_with_reply(BCON_NEW("errorLabels", BCON_UTF8("Transient")));

    ck_assert(!stator_future_has_error_label(f, "Transient"));
    stator_future_unref(f);

    f = failed_with_reply(BCON_NEW("errorLabels", BCON_NULL));
    ck_assert(!stator_future_has_error_label(f, "Transient"));
    stator_future_unref(f);

    f = failed_with_reply(BCON_NEW("ok", BCON_INT32(0)));
    ck_assert(!stator_future_has_error_label(f, "Transient"));
    stator_future_unref(f);
}
END_TEST

START_TEST(null_future_is_no_crash)
{
    ck_assert_int_eq((int)stator_future_poll(NULL),
                     (int)STATOR_FUTURE_FAILED);
    ck_assert_int_eq(stator_future_wait(NULL, -1), EINVAL);
    ck_assert(!stator_future_cancel(NULL));
    ck_assert(!stator_future_has_error_label(NULL, "x"));
    ck_assert_ptr_null(stator_future_reply(NULL));
    assert_no_result(NULL);
    ck_assert_ptr_null(stator_future_ref(NULL));
    stator_future_unref(NULL);
    (void)stator_future_error(NULL, NULL);
    (void)stator_future_origin(NULL);
    (void)stator_future_phase(NULL);
    ck_assert_int_ne((int)stator_future_outcome(NULL), (int)STATOR_ANSWERED);
}
END_TEST

START_TEST(result_lives_until_the_last_unref)
{
    stator_future_t *f = future_done(9);
    const bson_t *document = stator_future_document(f);
    const bson_t *reply = stator_future_reply(f);

    ck_assert_ptr_eq(stator_future_ref(f), f);
    stator_future_unref(f);
    ck_assert_ptr_eq(stator_future_document(f), document);
    ck_assert_ptr_eq(stator_future_reply(f), reply);
    assert_done(f, 9);
    stator_future_unref(f);
}
END_TEST

/* ---- cancel ---------------------------------------------------------- */

START_TEST(cancel_settles_at_once)
{
    pair_t p = pair_new();

    ck_assert(stator_future_cancel(p.future));
    assert_state(p.future, STATOR_FUTURE_CANCELLED);
    ck_assert_int_eq(stator_future_wait(p.future, -1), 0);
    ck_assert(stator_promise_cancelled(p.promise));
    pair_free(&p);
}
END_TEST

START_TEST(second_cancel_is_true_too)
{
    pair_t p = pair_new();

    ck_assert(stator_future_cancel(p.future));
    ck_assert(stator_future_cancel(p.future));
    assert_stator_error(p.future, STATOR_ERROR_CANCELLED);
    pair_free(&p);
}
END_TEST

START_TEST(cancel_after_settling_changes_nothing)
{
    stator_future_t *done = future_done(1);
    stator_future_t *failed = future_failed(2);

    ck_assert(!stator_future_cancel(done));
    assert_done(done, 1);
    ck_assert(!stator_future_cancel(failed));
    assert_user_error(failed, 2);
    stator_future_unref(done);
    stator_future_unref(failed);
}
END_TEST

START_TEST(cancel_runs_continuations_later)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_then(p.future, d, probe_then, &probe), 0);
    ck_assert(stator_future_cancel(p.future));
    ck_assert_int_eq(probe.ran, 0);
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_int_eq(probe.ran, 1);
    ck_assert_int_eq((int)probe.state, (int)STATOR_FUTURE_CANCELLED);
    pair_free(&p);
    ck_assert_int_eq(dispatch_all(d), 0);
    stator_dispatcher_unref(d);
}
END_TEST

/* ---- wait ------------------------------------------------------------ */

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

/* ---- then ------------------------------------------------------------ */

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

/* ---- then_full ------------------------------------------------------- */

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

/* ---- detached -------------------------------------------------------- */

START_TEST(dropped_future_can_still_be_settled)
{
    pair_t p = pair_new();

    stator_future_unref(p.future);
    ck_assert(pair_resolve(&p, 1));
    p.future = stator_promise_future(p.promise);
    assert_done(p.future, 1);
    pair_free(&p);
}
END_TEST

START_TEST(unref_cancels_nothing)
{
    pair_t p = pair_new();

    stator_future_unref(p.future);
    ck_assert(!stator_promise_cancelled(p.promise));
    p.future = stator_promise_future(p.promise);
    assert_state(p.future, STATOR_FUTURE_PENDING);
    pair_free(&p);
}
END_TEST

SUITE(future)
{
    tcase_add_test(tc, pending_has_nothing_to_show);
    tcase_add_test(tc, done_shows_document_and_reply);
    tcase_add_test(tc, done_may_have_no_document);
    tcase_add_test(tc, empty_document_is_a_document);
    tcase_add_test(tc, failed_shows_error_and_reply);
    tcase_add_test(tc, failed_without_a_reply_was_not_sent);
    tcase_add_test(tc, cancelled_shows_an_error);
    tcase_add_loop_test(tc, origin_follows_the_domain, 0,
                        (int)(sizeof origins / sizeof origins[0]));
    tcase_add_test(tc, labels_are_read_from_the_reply);
    tcase_add_test(tc, labels_of_the_wrong_type_are_none);
    tcase_add_test(tc, null_future_is_no_crash);
    tcase_add_test(tc, result_lives_until_the_last_unref);
    tcase_add_test(tc, cancel_settles_at_once);
    tcase_add_test(tc, second_cancel_is_true_too);
    tcase_add_test(tc, cancel_after_settling_changes_nothing);
    tcase_add_test(tc, cancel_runs_continuations_later);

    TCase *wait = suite_case("future_wait");
    tcase_add_loop_test(wait, wait_for_settled_is_immediate,
                        STATOR_FUTURE_DONE, STATOR_FUTURE_CANCELLED + 1);
    tcase_add_test(wait, wait_times_out);
    tcase_add_loop_test(wait, wait_is_woken_by_settling, 0,
                        (int)(sizeof patient / sizeof patient[0]));
    tcase_add_loop_test(wait, wait_is_woken_by_fail_cancel_and_drop, 0, 3);
    tcase_add_test(wait, wait_wakes_all_who_wait);
    tcase_add_test(wait, wait_does_not_run_continuations);
    tcase_add_test(wait, wait_outlasts_signals);
    tcase_add_test(wait, wait_keeps_its_time_through_signals);

    TCase *then = suite_case("future_then");
    tcase_add_test(then, then_runs_once_after_settling);
    tcase_add_loop_test(then, then_on_settled_is_never_inline,
                        STATOR_FUTURE_DONE, STATOR_FUTURE_CANCELLED + 1);
    tcase_add_test(then, many_continuations_keep_their_order);
    tcase_add_test(then, futures_become_ready_as_they_settle);
    tcase_add_test(then, same_continuation_twice_runs_twice);
    tcase_add_test(then, each_dispatcher_runs_its_own);
    tcase_add_test(then, then_outlives_every_handle);
    tcase_add_test(then, then_on_settled_outlives_every_handle);
    tcase_add_test(then, then_may_give_back_the_last_handles);
    tcase_add_test(then, then_may_take_a_reference);
    tcase_add_test(then, then_may_attach_to_its_own_future);
    tcase_add_test(then, then_refuses_null);
    tcase_add_test(then, then_accepts_a_null_arg);

    TCase *full = suite_case("future_then_full");
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

    TCase *detached = suite_case("future_detached");
    tcase_add_test(detached, dropped_future_can_still_be_settled);
    tcase_add_test(detached, unref_cancels_nothing);
}
