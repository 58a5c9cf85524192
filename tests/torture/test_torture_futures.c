/* SPDX-License-Identifier: Apache-2.0 */
/* test_torture_futures.c - futures alone, while calls of theirs fail. */
#include <errno.h>
#include <pthread.h>
#include <stator/promise.h>

#include "tests/torture/fail.h"

static stator_future_t *resolved(int value)
{
    stator_promise_t *p = stator_promise_new();
    stator_future_t *f = stator_promise_future(p);
    bson_t document = BSON_INITIALIZER;

    BSON_APPEND_INT32(&document, "value", value);
    stator_promise_resolve(p, &document, &document);
    stator_promise_unref(p);
    bson_destroy(&document);
    return f;
}

static void promises(void)
{
    stator_promise_t *p = stator_promise_new();
    stator_future_t *f = stator_promise_future(p);
    bson_error_t error;

    stator_promise_unref(p); /* unsettled */
    OK(stator_future_error(f, &error));
    OK(error.code == STATOR_ERROR_CLOSED ||
       (error.code == STATOR_ERROR_MEMORY && torture_fired()));
    stator_future_unref(f);

    f = resolved(7);
    if (settles(f))
        OK(stator_future_document(f) != NULL &&
           stator_future_reply(f) != NULL && stator_future_count(f) == 1);
    stator_future_unref(f);

    p = stator_promise_new();
    f = stator_promise_future(p);
    bson_set_error(&error, 999, 5, "mine");
    (void)stator_promise_fail(p, &error, NULL);
    OK(stator_future_error(f, &error));
    OK((error.domain == 999 && error.code == 5) ||
       (error.code == STATOR_ERROR_MEMORY && torture_fired()));
    OK(!stator_promise_resolve(p, NULL, NULL));
    stator_promise_unref(p);
    stator_future_unref(f);
}

static int n_ran, n_freed;

static void count_run(stator_future_t *f, void *arg)
{
    OK(stator_future_poll(f) != STATOR_FUTURE_PENDING);
    (void)arg;
    n_ran++;
}

static void count_free(void *arg)
{
    (void)arg;
    n_freed++;
}

static void thens(void)
{
    stator_dispatcher_t *d = dispatcher_or_null();
    stator_promise_t *p;
    stator_future_t *f;
    int n_attached = 0;

    if (d == NULL)
        return;
    n_ran = n_freed = 0;
    p = stator_promise_new();
    f = stator_promise_future(p);
    for (int i = 0; i < 5; i++) {
        int failed = stator_future_then_full(f, d, count_run, NULL,
                                             count_free);

        OK(failed == 0 || (failed == ENOMEM && torture_fired()));
        n_attached += failed == 0;
    }
    OK(n_freed == 5 - n_attached);
    (void)stator_promise_resolve(p, NULL, NULL);
    stator_promise_unref(p);
    while (n_ran < n_attached)
        OK(stator_dispatcher_run_once(d, TORTURE_PATIENCE_MS) > 0);
    OK(n_ran == n_attached && n_freed == 5);
    settles_take(f);

    /* What never runs is freed too. */
    n_ran = n_freed = 0;
    p = stator_promise_new();
    f = stator_promise_future(p);
    for (int i = 0; i < 3; i++)
        (void)stator_future_then_full(f, d, count_run, NULL, count_free);
    stator_dispatcher_unref(d);
    OK(n_ran == 0 && n_freed == 3);
    (void)stator_promise_resolve(p, NULL, NULL);
    stator_promise_unref(p);
    settles_take(f);
}

static stator_future_t *one_more(stator_future_t *f, void *arg)
{
    (void)f;
    (void)arg;
    return resolved(1);
}

static stator_future_t *heal(stator_future_t *f, void *arg)
{
    OK(stator_future_poll(f) != STATOR_FUTURE_DONE);
    (void)arg;
    return resolved(2);
}

static stator_future_t *clean_up(stator_future_t *f, void *arg)
{
    (void)f;
    ++*(int *)arg;
    return resolved(3);
}

static void chains(void)
{
    stator_dispatcher_t *d = dispatcher_or_null();
    stator_promise_t *p;
    stator_future_t *f, *a, *b, *c;
    int n_cleaned = 0;

    if (d == NULL)
        return;
    p = stator_promise_new();
    f = stator_promise_future(p);
    a = stator_future_chain(f, d, one_more, NULL);
    b = stator_future_recover(a, d, heal, NULL);
    c = stator_future_finally(b, d, clean_up, &n_cleaned);
    stator_promise_unref(p); /* FAILED: CLOSED */
    settles_on(d, c);
    OK(n_cleaned == 1 || torture_fired());
    stator_future_unref(a);
    stator_future_unref(b);
    stator_future_unref(c);
    stator_future_unref(f);

    f = resolved(1);
    a = stator_future_chain(f, d, one_more, NULL);
    b = stator_future_chain(a, d, one_more, NULL);
    settles_on(d, b);
    c = stator_future_chain(b, d, one_more, NULL);
    stator_future_cancel(c);
    OK(stator_future_poll(c) != STATOR_FUTURE_PENDING);
    stator_future_unref(a);
    stator_future_unref(b);
    stator_future_unref(c);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}

static void combined(void)
{
    enum { N = 6 };
    stator_promise_t *p[N];
    stator_future_t *f[N + 4];

    for (int i = 0; i < N; i++) {
        p[i] = stator_promise_new();
        f[i] = stator_promise_future(p[i]);
    }
    f[N] = stator_future_all(f, N);
    f[N + 1] = stator_future_any(f, N);
    f[N + 2] = stator_future_settled(f, N + 1);
    f[N + 3] = stator_future_race(f, N + 3);
    for (int i = 0; i < N; i++) {
        (void)stator_promise_resolve(p[i], NULL, NULL);
        stator_promise_unref(p[i]);
    }
    for (int i = N; i < N + 4; i++) {
        OK(stator_future_wait(f[i], TORTURE_PATIENCE_MS) == 0);
        /* race cancels what has not settled: all, say. */
        if (stator_future_poll(f[i]) != STATOR_FUTURE_CANCELLED)
            settles(f[i]);
    }
    for (int i = 0; i < N + 4; i++)
        stator_future_unref(f[i]);
}

/* A graph that the search for deadlocks has to walk: its tables grow. */
enum { DEEP = 80 };

static int waited;

static void wait_for_deep(stator_future_t *f, void *arg)
{
    (void)f;
    waited = stator_future_wait(*(stator_future_t **)arg, 1);
}

static void deadlocks(void)
{
    stator_dispatcher_t *d = dispatcher_or_null();
    stator_future_t *deep, *start, *first = resolved(1);
    stator_promise_t *p = stator_promise_new();
    int failed;

    if (d == NULL) {
        stator_future_unref(first);
        stator_promise_unref(p);
        return;
    }
    start = stator_promise_future(p);
    deep = stator_future_chain(start, d, one_more, NULL);
    for (int i = 0; i < DEEP; i++) {
        stator_future_t *next = stator_future_all(&deep, 1);

        stator_future_unref(deep);
        deep = next;
    }
    waited = -1;
    failed = stator_future_then(first, d, wait_for_deep, &deep);
    OK(failed == 0 || (failed == ENOMEM && torture_fired()));
    if (failed == 0) {
        while (waited < 0)
            OK(stator_dispatcher_run_once(d, TORTURE_PATIENCE_MS) > 0);
        /* Without memory the search finds nothing: it waits, and gives up;
         * a graph that could not be made is settled. */
        OK(waited == EDEADLK || torture_fired());
        OK(waited == EDEADLK || waited == ETIMEDOUT || waited == 0);
    }
    (void)stator_promise_resolve(p, NULL, NULL);
    settles_on(d, deep);
    stator_promise_unref(p);
    stator_future_unref(start);
    stator_future_unref(first);
    stator_future_unref(deep);
    stator_dispatcher_unref(d);
}

static void *resolve(void *promise)
{
    (void)stator_promise_resolve(promise, NULL, NULL);
    stator_promise_unref(promise);
    return NULL;
}

/* The loop sleeps in run_until; the write that wakes it may fail. */
static void sleeps_and_wakes(void)
{
    stator_dispatcher_t *d = dispatcher_or_null();
    stator_promise_t *p = stator_promise_new();
    stator_future_t *f = stator_promise_future(p);
    pthread_t thread;

    OK(pthread_create(&thread, NULL, resolve, p) == 0);
    if (d != NULL)
        settles_on(d, f);
    OK(pthread_join(thread, NULL) == 0);
    settles_take(f);
    stator_dispatcher_unref(d);
}

#define SWEEP(scenario)                                                        \
    START_TEST(scenario##_under_torture)                                       \
    {                                                                          \
        torture_sweep(scenario);                                               \
    }                                                                          \
    END_TEST

SWEEP(promises)
SWEEP(thens)
SWEEP(chains)
SWEEP(combined)
SWEEP(deadlocks)
SWEEP(sleeps_and_wakes)

SUITE(torture_futures)
{
    tcase_add_test(tc, promises_under_torture);
    tcase_add_test(tc, thens_under_torture);
    tcase_add_test(tc, chains_under_torture);
    tcase_add_test(tc, combined_under_torture);
    tcase_add_test(tc, deadlocks_under_torture);
    tcase_add_test(tc, sleeps_and_wakes_under_torture);
}
