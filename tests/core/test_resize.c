/* SPDX-License-Identifier: Apache-2.0 */
/* test_resize.c - more and fewer workers, whatever they are at. */
#include "tests/core/support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/client.h"

static void resize(scene_t *s, int n)
{
    bson_error_t error = {0};

    ck_assert_msg(stator_client_resize(s->client, n, &error), "%s",
                  error.message);
    ck_stat(s->client, "workers", n);
}

/* Worker threads that have not ended.  (By name they can not be counted: the
 * driver's monitors inherit a worker's.) */
static int workers_of(scene_t *s)
{
    int n;

    pthread_mutex_lock(&s->client->lock);
    n = s->client->n_threads;
    pthread_mutex_unlock(&s->client->lock);
    return n;
}

static void await_workers(scene_t *s, int n)
{
    int64_t until = now_us() + LIB_PATIENCE_MS * (int64_t)1000;

    while (workers_of(s) != n && now_us() < until)
        sched_yield();
    ck_assert_int_eq(workers_of(s), n);
}

START_TEST(more_workers_run_more_at_once)
{
    scene_t *s = scene_new("{'workers': 1}");
    stator_future_t *queued;

    hold_worker(s);
    queued = ask_one(s, NULL);
    ck_pending(queued);
    resize(s, 3);
    ck_done(queued);
    hold_workers(s, 2);
    ck_stat(s->client, "running", 3);
    scene_free(s);
}
END_TEST

START_TEST(fewer_end_after_what_they_are_at)
{
    scene_t *s = scene_new("{'workers': 4}");
    stator_future_t *f[4];

    for (int i = 0; i < 4; i++)
        f[i] = hold_worker(s);
    resize(s, 1);
    ck_assert_int_eq(workers_of(s), 4);
    wire_gate_open(s->gate);
    for (int i = 0; i < 4; i++)
        ck_done(f[i]); /* nobody's operation was lost */
    await_workers(s, 1);
    ck_done(ask_one(s, NULL));
    ck_stat(s->client, "connections", 1);
    scene_free(s);
}
END_TEST

START_TEST(idle_ones_end_at_once)
{
    scene_t *s = scene_new("{'workers': 8, 'name': 'idle'}");

    await_threads("idle", 9); /* with the keeper */
    resize(s, 2);
    await_workers(s, 2);
    await_threads("idle", 3);
    resize(s, 5);
    await_threads("idle", 6);
    ck_done(ask_one(s, NULL));
    scene_free(s);
}
END_TEST

START_TEST(a_retiring_one_can_stay_after_all)
{
    scene_t *s = scene_new("{'workers': 3}");

    hold_workers(s, 3);
    resize(s, 1);
    resize(s, 3);
    ck_assert_int_eq(workers_of(s), 3); /* no new ones */
    wire_gate_open(s->gate);
    await_stat(s->client, "running", 0);
    wire_gate_shut(s->gate);
    hold_workers(s, 3);
    scene_free(s);
}
END_TEST

/* Both of two workers share their connection with cursors. */
static scene_t *sharing_scene(stator_cursor_t *c[5])
{
    scene_t *s = scene_new(
        "{'workers': 2, 'watchers': 0, 'maxConnections': 3}");

    scene_fill(s, 40);
    for (int i = 0; i < 5; i++) {
        wire_gate_shut(s->gate);
        if (i > 0)
            hold_worker(s); /* now one, now the other is free */
        c[i] = open_and_read(s, "{'batchSize': 1}");
        wire_gate_open(s->gate);
        await_stat(s->client, "running", 0);
    }
    wire_gate_shut(s->gate);
    ck_stat(s->client, "leases", 1);
    ck_stat(s->client, "sharing", 4);
    return s;
}

START_TEST(cursors_on_a_retiring_worker_are_read_to_the_end)
{
    stator_cursor_t *c[5];
    scene_t *s = sharing_scene(c);

    resize(s, 1);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(read_all(c[i]), 39);
        stator_cursor_unref(c[i]);
    }
    await_stat(s->client, "sharing", 0);
    await_stat(s->client, "connections", 1);
    scene_free(s);
}
END_TEST

START_TEST(a_retiring_worker_never_swallows_a_wake_up)
{
    stator_cursor_t *c[5];
    scene_t *s = sharing_scene(c);

    resize(s, 1);
    for (int i = 0; i < 500; i++) {
        done(stator_client_ping(s->client, NULL));
        if (i % 100 == 0)
            done(stator_cursor_next(c[i / 100]));
        if (i % 50 == 0)
            await_stat(s->client, "busy", 0);
    }
    for (int i = 0; i < 5; i++)
        stator_cursor_unref(c[i]);
    scene_free(s);
}
END_TEST

START_TEST(new_workers_find_a_connection)
{
    scene_t *s = scene_new(
        "{'workers': 1, 'watchers': 0, 'maxConnections': 5}");
    stator_cursor_t *c[4];
    bson_error_t error = {0};
    bool grown;

    scene_fill(s, 40);
    for (int i = 0; i < 4; i++)
        c[i] = open_and_read(s, "{'batchSize': 1}");
    ck_stat(s->client, "leases", 4);
    grown = stator_client_resize(s->client, 4, &error);
    if (!grown) { /* it may say no, if it says why */
        ck_assert_uint_eq(error.code, STATOR_ERROR_REFUSED);
        ck_assert_ptr_nonnull(strstr(error.message, "maxConnections"));
        ck_stat(s->client, "workers", 1);
    }
    hold_worker(s);
    if (grown)
        ck_done(ask_one(s, NULL));
    wire_gate_open(s->gate);
    for (int i = 0; i < 4; i++)
        ck_done(ask_one(s, NULL));
    for (int i = 0; i < 4; i++)
        stator_cursor_unref(c[i]);
    await_stat(s->client, "leases", 0);
    resize(s, 4); /* and now there is room */
    wire_gate_shut(s->gate);
    hold_workers(s, 4);
    scene_free(s);
}
END_TEST

static atomic_bool stop;

static void *load(void *arg)
{
    scene_t *s = arg;
    intptr_t n = 0;

    while (!atomic_load(&stop)) {
        stator_future_t *f[16];

        for (int i = 0; i < 16; i++)
            f[i] = stator_collection_find_one(s->things, NULL, NULL);
        for (int i = 0; i < 16; i++) {
            if (stator_future_wait(f[i], LIB_PATIENCE_MS) != 0 ||
                stator_future_poll(f[i]) != STATOR_FUTURE_DONE)
                abort();
            stator_future_unref(f[i]);
            n++;
        }
    }
    return (void *)n;
}

START_TEST(under_load_nothing_is_lost)
{
    scene_t *s = scene_new("{'workers': 2}");
    pthread_t t[3];
    int64_t all = 0;

    atomic_store(&stop, false);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, load, s), 0);
    for (int i = 0; i < 150; i++) {
        resize(s, 1 + (i * 7) % 9);
        ck_assert(wire_wait_count(s->server, "find", 10 * i, WIRE_WAIT));
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++) {
        void *n;

        pthread_join(t[i], &n);
        all += (intptr_t)n;
    }
    ck_stat(s->client, "done", all);
    ck_stat(s->client, "failed", 0);
    resize(s, 2);
    await_workers(s, 2);
    scene_free(s);
}
END_TEST

START_TEST(wrong_numbers_are_named_and_change_nothing)
{
    static const int wrong[] = {0, -1, 1025, 1000000};
    scene_t *s = scene_new("{'workers': 2, 'maxConnections': 8}");
    bson_error_t error;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert(!stator_client_resize(s->client, wrong[i], &error));
        ck_assert_uint_eq(error.domain, STATOR_ERROR_DOMAIN);
        ck_assert_uint_eq(error.code, STATOR_ERROR_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(error.message, "workers"));
        ck_assert(!stator_client_resize(s->client, wrong[i], NULL));
    }
    ck_assert(!stator_client_resize(s->client, 4, &error));
    ck_assert_uint_eq(error.code, STATOR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "maxConnections"));
    ck_stat(s->client, "workers", 2);
    hold_workers(s, 2);
    scene_free(s);
}
END_TEST

START_TEST(a_default_of_max_connections_follows)
{
    scene_t *s = scene_new("{'workers': 2}");
    bson_t config;

    resize(s, 120);
    ck_assert_int_ge(stat_of(s->client, "maxConnections"), 125);
    stator_client_config(s->client, &config);
    ck_at(&config, "workers.value", "120");
    ck_at(&config, "workers.source", "'resize'");
    bson_destroy(&config);
    resize(s, 2);
    ck_done(ask_one(s, NULL));
    scene_free(s);
}
END_TEST

SUITE(core_resize)
{
    tcase_add_test(tc, more_workers_run_more_at_once);
    tcase_add_test(tc, fewer_end_after_what_they_are_at);
    tcase_add_test(tc, idle_ones_end_at_once);
    tcase_add_test(tc, a_retiring_one_can_stay_after_all);
    tcase_add_test(tc, cursors_on_a_retiring_worker_are_read_to_the_end);
    tcase_add_test(tc, a_retiring_worker_never_swallows_a_wake_up);
    tcase_add_test(tc, new_workers_find_a_connection);
    tcase_add_test(tc, under_load_nothing_is_lost);
    tcase_add_test(tc, wrong_numbers_are_named_and_change_nothing);
    tcase_add_test(tc, a_default_of_max_connections_follows);
}
