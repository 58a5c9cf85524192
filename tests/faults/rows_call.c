/* SPDX-License-Identifier: Apache-2.0 */
/* rows_call.c - 14, 21, 22, 24, 26: what callers do. */
#include <errno.h>

#include "tests/faults/rows.h"

/* ---- 14 ----------------------------------------------------------------- */

static int64_t refuse(void *arg)
{
    scene_t *s = arg;
    int64_t start = now_us();
    stator_future_t *f = stator_collection_insert_one(s->things, J("{}"),
                                                      NULL);
    int64_t us;

    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_FAILED); /* now */
    us = now_us() - start;
    ck_fails(f, STATOR_ERROR_DOMAIN, STATOR_ERROR_REFUSED, "queue");
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    stator_future_unref(f);
    lib_forget();
    return us;
}

START_TEST(row_14_the_queue_is_full)
{
    enum { MANY = 20000 };
    scene_t *s = scene_new("{'workers': 2, 'queueLimit': 3}");
    stator_future_t *accepted[5];
    int64_t kib, refused;

    fault_begin(14, "both workers held, 3 of 3 places taken, %d more", MANY);
    for (int i = 0; i < 5; i++) {
        if (i < 2)
            accepted[i] = hold_worker(s);
        else
            accepted[i] = ask_one(s, NULL);
    }
    fault_within("refused after", refuse, s, 1000);
    kib = resident_kib();
    for (int i = 0; i < MANY; i++)
        refuse(s);
    kib = resident_kib() - kib;
    refused = stat_of(s->client, "refused");
    ck_assert_int_gt(refused, MANY);
    if (!memory_is_watched())
        ck_assert_int_lt(kib, 1024);
    wire_gate_open(s->gate);
    for (int i = 0; i < 5; i++)
        ck_done(accepted[i]);
    ck_assert_int_eq(wire_count(s->server, "insert"), 0);
    fault_saw("%" PRId64 " refused, memory grew by %" PRId64 " KiB; the 5 "
              "accepted are done", refused, kib);
    scene_free(s);
    fault_end();
}
END_TEST

/* ---- 21, 22 ------------------------------------------------------------- */

struct back_in {
    scene_t *scene;
    stator_dispatcher_t *dispatcher;
    stator_future_t *to_cancel, *last;
    int ran;
};

static void count_back(stator_future_t *f, void *arg)
{
    struct back_in *b = arg;

    (void)f;
    b->ran++;
}

static void call_back_in(stator_future_t *f, void *arg)
{
    struct back_in *b = arg;
    stator_client_t *client = b->scene->client;
    stator_collection_t *c;
    stator_future_t *g;
    bson_t stats;

    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_DONE);
    ck_assert(stator_future_cancel(b->to_cancel));
    ck_assert_int_eq(stator_future_then(f, b->dispatcher, count_back, b), 0);
    stator_client_stats(client, &stats);
    bson_destroy(&stats);
    ck_assert(stator_client_resize(client, 3, NULL));
    c = stator_client_get_collection(client, "core", "things");
    g = stator_collection_find_one(c, NULL, NULL);
    stator_collection_unref(c);
    /* A plain operation may be waited for, and no dispatch be nested. */
    ck_assert_int_eq(stator_future_wait(g, LIB_PATIENCE_MS), 0);
    ck_assert_int_eq(stator_dispatcher_dispatch(b->dispatcher, 0), -EBUSY);
    ck_assert_int_eq(stator_future_then(g, b->dispatcher, count_back, b), 0);
    stator_future_unref(g);
    b->last = stator_client_ping(client, NULL);
    ck_assert_int_eq(
        stator_future_then(b->last, b->dispatcher, count_back, b), 0);
    b->ran++;
}

START_TEST(row_21_a_continuation_calls_back_in)
{
    struct back_in b = {.scene = scene_new("{'workers': 2}")};
    stator_future_t *f;

    fault_begin(21, "in a continuation: cancel, attach, stats, resize, "
                "submit, wait, unref, dispatch");
    b.dispatcher = stator_dispatcher_new(NULL);
    b.to_cancel = hold_worker(b.scene);
    f = stator_client_ping(b.scene->client, NULL);
    ck_assert_int_eq(stator_future_then(f, b.dispatcher, call_back_in, &b),
                     0);
    while (b.ran < 4)
        ck_assert_int_gt(
            stator_dispatcher_run_once(b.dispatcher, LIB_PATIENCE_MS), 0);
    ck_assert_int_eq(stator_future_poll(b.last), STATOR_FUTURE_DONE);
    ck_cancelled(b.to_cancel, STATOR_MAYBE_SENT);
    fault_saw("all worked; 4 of 4 continuations; a nested dispatch: EBUSY");
    stator_future_unref(b.last);
    stator_future_unref(f);
    stator_dispatcher_unref(b.dispatcher);
    scene_free(b.scene);
    fault_end();
}
END_TEST

static void free_it(stator_future_t *f, void *arg)
{
    stator_future_unref(f); /* the test's own reference, the last */
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_DONE);
    ck_assert_ptr_nonnull(stator_future_document(f));
    ++*(int *)arg;
}

START_TEST(row_22_a_continuation_frees_its_future)
{
    enum { N = 1000 };
    scene_t *s = scene_new("{'workers': 2}");
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    int ran = 0;

    fault_begin(22, "stator_future_unref of the last reference, %d times", N);
    for (int i = 0; i < N; i++) {
        stator_future_t *f = stator_collection_find_one(s->things, NULL,
                                                        NULL);

        ck_assert_int_eq(stator_future_then(f, d, free_it, &ran), 0);
        while (ran <= i)
            stator_dispatcher_run_once(d, LIB_PATIENCE_MS);
    }
    fault_saw("%d of %d, the document still lent within", ran, N);
    stator_dispatcher_unref(d);
    scene_free(s);
    fault_end();
}
END_TEST

/* ---- 24 ----------------------------------------------------------------- */

static void count_one(stator_future_t *f, void *arg)
{
    (void)f;
    ++*(int *)arg;
}

START_TEST(row_24_cancelled_twice)
{
    scene_t *s = scene_new(NULL);
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    stator_future_t *running = hold_worker(s), *queued = ask_one(s, NULL);
    stator_future_t *ok;
    int ran = 0;

    fault_begin(24, "stator_future_cancel, twice: queued, running, settled");
    ck_assert_int_eq(stator_future_then(running, d, count_one, &ran), 0);
    ck_assert_int_eq(stator_future_then(queued, d, count_one, &ran), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert(stator_future_cancel(queued));
        ck_assert(stator_future_cancel(running));
        while (stator_dispatcher_dispatch(d, 0) > 0)
            continue;
        ck_assert_int_eq(ran, 2);
    }
    ck_cancelled(queued, STATOR_NOT_SENT);
    ck_cancelled(running, STATOR_MAYBE_SENT);
    us_to_idle(s->client, 0);
    wire_gate_open(s->gate);
    ok = ck_done(ask_one(s, NULL));
    for (int i = 0; i < 2; i++)
        ck_assert(!stator_future_cancel(ok));
    ck_assert_int_eq(stator_future_poll(ok), STATOR_FUTURE_DONE);
    ck_stat(s->client, "cancelled", 2);
    fault_saw("2 cancelled, 2 continuations; of one that is done: false, it "
              "stays so");
    stator_dispatcher_unref(d);
    scene_free(s);
    fault_end();
}
END_TEST

/* ---- 26 ----------------------------------------------------------------- */

struct waits {
    stator_future_t *never;
    stator_dispatcher_t *dispatcher;
    int worker, callback;
    int64_t us;
};

static void wait_on_worker(mongoc_client_t *client, stator_promise_t *promise,
                           void *arg)
{
    struct waits *w = arg;
    int64_t start = now_us();

    (void)client;
    w->worker = stator_future_wait(w->never, LIB_PATIENCE_MS);
    w->us = now_us() - start;
    stator_promise_resolve(promise, NULL, NULL);
}

static stator_future_t *pass(stator_future_t *f, void *arg)
{
    (void)f;
    (void)arg;
    return NULL;
}

static void wait_in_callback(stator_future_t *f, void *arg)
{
    struct waits *w = arg;
    stator_future_t *needs_us = stator_future_chain(f, w->dispatcher, pass,
                                                    NULL);
    int64_t start = now_us();

    w->callback = stator_future_wait(needs_us, LIB_PATIENCE_MS);
    w->us = now_us() - start;
    stator_future_unref(needs_us);
}

static int64_t wait_where_it_hangs(void *arg)
{
    scene_t *s = arg;
    struct waits w = {.never = hold_worker(s),
                      .dispatcher = stator_dispatcher_new(NULL)};
    stator_future_t *f;
    int64_t us;

    done(stator_client_run(s->client, wait_on_worker, &w, NULL));
    us = w.us;
    f = done(stator_client_ping(s->client, NULL));
    ck_assert_int_eq(
        stator_future_then(f, w.dispatcher, wait_in_callback, &w), 0);
    ck_assert_int_eq(
        stator_dispatcher_run_once(w.dispatcher, LIB_PATIENCE_MS), 1);
    ck_assert_int_eq(w.worker, EDEADLK);
    ck_assert_int_eq(w.callback, EDEADLK);
    stator_dispatcher_unref(w.dispatcher);
    ck_assert(stator_future_cancel(w.never));
    us_to_idle(s->client, 0);
    return us > w.us ? us : w.us;
}

START_TEST(row_26_wait_where_it_would_hang)
{
    scene_t *s = scene_new("{'workers': 2}");

    fault_begin(26, "stator_future_wait on a worker; in a continuation, for "
                "a chain on its own dispatcher");
    fault_within("EDEADLK, both, the later after", wait_where_it_hangs, s,
                 1000);
    scene_free(s);
    fault_end();
}
END_TEST

void add_call_faults(TCase *tc)
{
    tcase_add_test(tc, row_14_the_queue_is_full);
    tcase_add_test(tc, row_21_a_continuation_calls_back_in);
    tcase_add_test(tc, row_22_a_continuation_frees_its_future);
    tcase_add_test(tc, row_24_cancelled_twice);
    tcase_add_test(tc, row_26_wait_where_it_would_hang);
}
