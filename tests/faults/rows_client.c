/* SPDX-License-Identifier: Apache-2.0 */
/* rows_client.c - 23, 25, 27, 28: a client that goes, changes, is raced. */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/faults/rows.h"

static void count_one(stator_future_t *f, void *arg)
{
    (void)f;
    ++*(int *)arg;
}

/* ---- 23 ----------------------------------------------------------------- */

enum { RUNNING = 4, IN_FLIGHT = 24, CLOSE_MS = 300 };

/* Close a client that can not get on: how long after its time all has
 * settled, each continuation having run once. */
static int64_t close_in_flight(void *arg)
{
    static const char *const modes[] = {"drain", "cancel", "abort"};
    const int *mode = arg;
    scene_t *s = scene_new("{'workers': 4}");
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    stator_future_t *f[IN_FLIGHT], *closed;
    int ran[IN_FLIGHT] = {0};
    int64_t start;

    for (int i = 0; i < IN_FLIGHT; i++) {
        f[i] = i < RUNNING ? hold_worker(s) : ask_one(s, NULL);
        ck_assert_int_eq(stator_future_then(f[i], d, count_one, &ran[i]), 0);
    }
    start = now_us();
    closed = lend(stator_client_close(
        s->client, J("{'mode': '%s', 'timeoutMS': %d}", modes[*mode],
                     CLOSE_MS)));
    s->is_closed = true;
    ck_assert_int_eq(stator_future_wait(closed, LIB_PATIENCE_MS), 0);
    start = now_us() - start - CLOSE_MS * 1000;
    while (stator_dispatcher_dispatch(d, 0) > 0)
        continue;
    for (int i = 0; i < IN_FLIGHT; i++) {
        ck_assert_int_ne(stator_future_poll(f[i]), STATOR_FUTURE_PENDING);
        ck_assert_int_ne(stator_future_poll(f[i]), STATOR_FUTURE_DONE);
        ck_assert_int_eq(stator_future_outcome(f[i]),
                         i < RUNNING ? STATOR_MAYBE_SENT : STATOR_NOT_SENT);
        ck_assert_int_eq(ran[i], 1);
    }
    stator_dispatcher_unref(d);
    scene_free(s);
    return start;
}

/* The last reference goes; what was accepted is done all the same. */
static int64_t unref_in_flight(void *arg)
{
    scene_t *s = arg;
    stator_client_t *client = new_client(s->uri, "{'workers': 2}");
    stator_collection_t *held = stator_client_get_collection(client, "core",
                                                             "held");
    stator_future_t *f[6];
    int64_t start, us;

    wire_gate_shut(s->gate);
    for (int i = 0; i < 6; i++)
        f[i] = lend(stator_collection_find_one(held, NULL, NULL));
    ck_assert(wire_gate_wait_held(s->gate, 2, WIRE_WAIT));
    stator_collection_unref(held);
    start = now_us();
    stator_client_unref(client);
    us = now_us() - start;
    wire_gate_open(s->gate);
    for (int i = 0; i < 6; i++)
        ck_done(f[i]);
    return us;
}

START_TEST(row_23_the_client_goes)
{
    scene_t *s;
    int mode;

    fault_begin(23, "close, drain, cancel, abort, within %d ms, %d operations "
                "in a server that does not answer; the last unref",
                CLOSE_MS, IN_FLIGHT);
    for (mode = 0; mode < 3; mode++)
        fault_within(mode == 0   ? "all settled once, after timeoutMS + drain"
                     : mode == 1 ? "cancel"
                                 : "abort",
                     close_in_flight, &mode, 200000);
    s = scene_new(NULL);
    fault_within("unref", unref_in_flight, s, 1000);
    await_threads("stator", 2); /* of the scene's client alone */
    scene_free(s);
    fault_end();
}
END_TEST

/* ---- 25 ----------------------------------------------------------------- */

enum { RACES = UNDER_TSAN ? 500 : 3000 };

struct race {
    scene_t *scene;
    pthread_barrier_t start;
};

static void *let_pass(void *arg)
{
    struct race *r = arg;

    for (int i = 0; i < RACES; i++) {
        pthread_barrier_wait(&r->start);
        wire_gate_open(r->scene->gate);
        pthread_barrier_wait(&r->start);
    }
    return NULL;
}

START_TEST(row_25_cancel_races_completion)
{
    struct race r = {.scene = scene_new(NULL)};
    scene_t *s = r.scene;
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    int ran = 0, n_cancelled = 0;
    pthread_t thread;

    fault_begin(25, "%d times: the answer is let go as another thread "
                "cancels", RACES);
    scene_fill(s, 10);
    ck_assert_int_eq(pthread_barrier_init(&r.start, NULL, 2), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, let_pass, &r), 0);
    for (int i = 0; i < RACES; i++) {
        stator_future_t *f;
        bool cancelled;

        wire_gate_shut(s->gate);
        f = stator_collection_find_one(s->held, NULL, NULL);
        ck_assert_int_eq(stator_future_then(f, d, count_one, &ran), 0);
        ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
        pthread_barrier_wait(&r.start);
        for (int k = i % 64 * 4; k > 0; k--) /* now early, now late */
            atomic_thread_fence(memory_order_seq_cst);
        cancelled = stator_future_cancel(f);
        n_cancelled += cancelled;
        pthread_barrier_wait(&r.start);
        ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
        ck_assert_int_eq(stator_future_poll(f),
                         cancelled ? STATOR_FUTURE_CANCELLED
                                   : STATOR_FUTURE_DONE);
        ck_reads(s->things, i % 10); /* on the same, only worker */
        while (ran <= i)
            ck_assert_int_gt(
                stator_dispatcher_run_once(d, LIB_PATIENCE_MS), 0);
        ck_assert_int_eq(ran, i + 1);
        stator_future_unref(f);
        lib_forget();
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    pthread_barrier_destroy(&r.start);
    fault_saw("%d cancelled, %d done, %d continuations; %d of %d next ones "
              "got their own", n_cancelled, RACES - n_cancelled, ran, RACES,
              RACES);
    stator_dispatcher_unref(d);
    scene_free(s);
    fault_end();
}
END_TEST

/* ---- 27 ----------------------------------------------------------------- */

static int64_t submit_after_close(void *arg)
{
    scene_t *s = arg;
    stator_cursor_t *cursor;
    stator_future_t *f[5];
    int64_t start = now_us();

    f[0] = stator_client_ping(s->client, NULL);
    f[1] = stator_collection_insert_one(s->things, J("{}"), NULL);
    f[2] = stator_collection_find_one(s->things, NULL, NULL);
    f[3] = stator_client_room(s->client);
    cursor = stator_collection_find(s->things, NULL, NULL);
    f[4] = stator_cursor_next(cursor);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(stator_future_poll(f[i]), STATOR_FUTURE_FAILED);
    start = now_us() - start;
    for (int i = 0; i < 5; i++) {
        ck_closed(f[i]);
        stator_future_unref(f[i]);
    }
    stator_cursor_unref(cursor);
    lib_forget();
    return start;
}

START_TEST(row_27_submit_after_close)
{
    enum { MANY = 5000 };
    scene_t *s = scene_new("{'workers': 2}");
    wire_stats_t before, after;
    int64_t kib;

    fault_begin(27, "5 kinds of calls after close, %d times", MANY);
    ck_reads(s->things, 0);
    close_with(s, NULL);
    wire_stats(s->server, &before);
    fault_within("CLOSED, all 5, after", submit_after_close, s, 1000);
    kib = resident_kib();
    for (int i = 0; i < MANY; i++)
        submit_after_close(s);
    kib = resident_kib() - kib;
    if (!memory_is_watched())
        ck_assert_int_lt(kib, 1024);
    wire_stats(s->server, &after);
    ck_assert_int_eq(after.commands, before.commands);
    fault_saw("memory grew by %" PRId64 " KiB", kib);
    scene_free(s);
    fault_end();
}
END_TEST

/* ---- 28 ----------------------------------------------------------------- */

enum { LOADERS = 4, LOAD = 64, RESIZES = UNDER_TSAN ? 40 : 200 };

struct load {
    scene_t *scene;
    atomic_bool ends;
    atomic_int n_done, n_failed;
};

static void *load_it(void *arg)
{
    struct load *l = arg;
    stator_future_t *f[LOAD];

    while (!atomic_load(&l->ends)) {
        for (int i = 0; i < LOAD; i++)
            f[i] = stator_collection_find_one(l->scene->things, NULL, NULL);
        for (int i = 0; i < LOAD; i++) {
            stator_future_wait(f[i], LIB_PATIENCE_MS);
            if (stator_future_poll(f[i]) == STATOR_FUTURE_DONE)
                atomic_fetch_add(&l->n_done, 1);
            else
                atomic_fetch_add(&l->n_failed, 1);
            stator_future_unref(f[i]);
        }
    }
    return NULL;
}

START_TEST(row_28_resized_under_load)
{
    struct load l = {.scene = scene_new("{'workers': 4}")};
    pthread_t threads[LOADERS];
    unsigned random = 1;

    fault_begin(28, "%d resizes, 1 to 8 workers, under %d threads' load",
                RESIZES, LOADERS);
    for (int i = 0; i < LOADERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, load_it, &l), 0);
    for (int i = 0; i < RESIZES; i++) {
        int before = atomic_load(&l.n_done);
        bson_error_t error;

        random = random * 1103515245 + 12345;
        ck_assert_msg(stator_client_resize(l.scene->client,
                                           1 + (int)(random >> 16) % 8,
                                           &error), "%s", error.message);
        while (atomic_load(&l.n_done) == before &&
               atomic_load(&l.n_failed) == 0)
            sched_yield();
    }
    ck_assert(stator_client_resize(l.scene->client, 1, NULL));
    atomic_store(&l.ends, true);
    for (int i = 0; i < LOADERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_int_eq(atomic_load(&l.n_failed), 0);
    await_stat(l.scene->client, "connections", 1);
    ck_stat(l.scene->client, "workers", 1);
    fault_saw("%d done, 0 failed; 1 worker and 1 connection remain",
              atomic_load(&l.n_done));
    scene_free(l.scene);
    fault_end();
}
END_TEST

void add_client_faults(TCase *tc)
{
    tcase_add_test(tc, row_23_the_client_goes);
    tcase_add_test(tc, row_25_cancel_races_completion);
    tcase_add_test(tc, row_27_submit_after_close);
    tcase_add_test(tc, row_28_resized_under_load);
}
