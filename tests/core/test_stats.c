/* SPDX-License-Identifier: Apache-2.0 */
/* test_stats.c - every number of stator_client_stats, at moments that gates
 * hold still. */
#include "tests/core/support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/stats.h"

START_TEST(all_keys_are_there_and_of_their_type)
{
    static const char *const numbers[] = {
        "workers",   "watchers", "maxConnections", "queueLimit", "queued",
        "oldestMS",  "running",  "busy",           "zombies",    "leases",
        "sharing",   "connections", "submitted",   "done",       "failed",
        "cancelled", "expired",  "refused",
    };
    static const char *const phases[] = {"queued", "checkout", "sent",
                                         "total"};
    static const char *const figures[] = {"count", "meanUS", "p50US", "p99US",
                                          "maxUS"};
    scene_t *s = scene_new("{'workers': 3, 'name': 'numbers'}");
    bson_iter_t i, found;
    bson_t stats;

    stator_client_stats(s->client, &stats);
    for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
        ck_assert_msg(bson_iter_init_find(&i, &stats, numbers[n]), "%s",
                      numbers[n]);
        ck_assert(BSON_ITER_HOLDS_INT64(&i));
    }
    for (size_t p = 0; p < 4; p++)
        for (size_t n = 0; n < 5; n++) {
            char path[64];

            snprintf(path, sizeof path, "phases.%s.%s", phases[p],
                     figures[n]);
            ck_assert(bson_iter_init(&i, &stats) &&
                      bson_iter_find_descendant(&i, path, &found));
            ck_assert(BSON_ITER_HOLDS_INT64(&found));
            ck_assert_int_eq(bson_iter_int64(&found), 0);
        }
    ck_at(&stats, "name", "'numbers'");
    ck_at(&stats, "closing", "false");
    ck_at(&stats, "workers", "3");
    ck_at(&stats, "watchers", "4");
    ck_at(&stats, "maxConnections", "100");
    ck_at(&stats, "queueLimit", "100000");
    bson_destroy(&stats);
    scene_free(s);
}
END_TEST

START_TEST(queued_running_and_busy_at_a_gate)
{
    scene_t *s = scene_new("{'workers': 3}");

    ck_stat(s->client, "busy", 0);
    hold_workers(s, 2);
    ck_stat(s->client, "running", 2);
    ck_stat(s->client, "busy", 2);
    ck_stat(s->client, "queued", 0);
    ck_stat(s->client, "connections", 2);
    hold_worker(s);
    for (int i = 1; i <= 5; i++) {
        ask_one(s, NULL);
        ck_stat(s->client, "queued", i);
    }
    ck_stat(s->client, "running", 3);
    ck_stat(s->client, "submitted", 8);
    ck_stat(s->client, "done", 0);
    wire_gate_open(s->gate);
    await_stat(s->client, "done", 8);
    await_stat(s->client, "busy", 0);
    ck_stat(s->client, "running", 0);
    ck_stat(s->client, "queued", 0);
    ck_stat(s->client, "connections", 3);
    scene_free(s);
}
END_TEST

START_TEST(the_oldest_grows_and_goes)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *f;

    hold_worker(s);
    ck_stat(s->client, "oldestMS", 0);
    f = ask_one(s, NULL);
    ck_expired(ask_one(s, "{'timeoutMS': 60}")); /* time passes */
    ck_assert_int_ge(stat_of(s->client, "oldestMS"), 60);
    stator_future_cancel(f);
    ck_stat(s->client, "oldestMS", 0);
    scene_free(s);
}
END_TEST

START_TEST(zombies_are_abandoned_and_still_run)
{
    scene_t *s = scene_new("{'workers': 2, 'transport': 'driver'}");

    ck_assert(stator_future_cancel(hold_worker(s)));
    hold_worker(s);
    ck_stat(s->client, "zombies", 1);
    ck_stat(s->client, "running", 1);
    ck_stat(s->client, "busy", 2);
    ck_stat(s->client, "cancelled", 1);
    wire_gate_open(s->gate);
    await_stat(s->client, "zombies", 0);
    await_stat(s->client, "busy", 0);
    scene_free(s);
}
END_TEST

START_TEST(each_settles_into_one_counter)
{
    scene_t *s = scene_new("{'workers': 1, 'queueLimit': 2}");

    ck_done(ask_one(s, NULL)); /* done */
    wire_rule_add(s->server, &(wire_rule_t){.command = "insert",
                                            .action = WIRE_ERROR});
    fails(stator_collection_insert_one(s->things, J("{}"), NULL),
          MONGOC_ERROR_SERVER, 8000, ""); /* failed */
    hold_worker(s);
    ck_expired(ask_one(s, "{'timeoutMS': 20}")); /* expired */
    stator_future_cancel(ask_one(s, NULL));      /* cancelled */
    ask_one(s, NULL);
    ask_one(s, NULL);
    ask_one(s, NULL); /* refused */
    ck_stat(s->client, "submitted", 8);
    ck_stat(s->client, "done", 1);
    ck_stat(s->client, "failed", 1);
    ck_stat(s->client, "expired", 1);
    ck_stat(s->client, "cancelled", 1);
    ck_stat(s->client, "refused", 1);
    wire_gate_open(s->gate);
    close_with(s, NULL);
    ck_closed(ask_one(s, NULL)); /* refused, too */
    ck_stat(s->client, "done", 4);
    ck_stat(s->client, "refused", 2);
    ck_stat(s->client, "submitted", 9);
    ck_stat(s->client, "closing", 1);
    ck_stat(s->client, "connections", 0);
    scene_free(s);
}
END_TEST

START_TEST(cursors_requests_count_once)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;

    scene_fill(s, 10);
    c = open_cursor(s, "{'batchSize': 2, 'prefetch': 1}");
    ck_assert_int_eq(read_all(c), 10);
    ck_stat(s->client, "submitted", 11);
    ck_stat(s->client, "done", 11);
    stator_cursor_unref(c);
    c = open_cursor(s, "{'batchSize': 2}");
    counts(stator_cursor_to_list(c, 0), 10);
    ck_stat(s->client, "submitted", 12);
    ck_stat(s->client, "done", 12);
    done(stator_cursor_close(c));
    ck_stat(s->client, "submitted", 13);
    ck_stat(s->client, "done", 13);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(phases_measure_what_they_say)
{
    scene_t *s = scene_new(NULL);

    wire_rule_add(s->server,
                  &(wire_rule_t){.command = "find", .collection = "things",
                                 .delay_ms = 60});
    hold_worker(s);
    ask_one(s, NULL);
    ck_expired(ask_one(s, "{'timeoutMS': 40}")); /* time in the queue */
    wire_gate_open(s->gate);
    await_stat(s->client, "done", 2);
    ck_assert_int_ge(stat_of(s->client, "phases.queued.maxUS"), 40000);
    ck_assert_int_ge(stat_of(s->client, "phases.sent.maxUS"), 60000 - 1000);
    ck_assert_int_ge(stat_of(s->client, "phases.total.maxUS"), 100000 - 1000);
    ck_stat(s->client, "phases.sent.count", 2);
    ck_stat(s->client, "phases.total.count", 3);
    scene_free(s);
}
END_TEST

/* ---- the histogram itself ----------------------------------------------- */

static int64_t figure(const bson_t *stats, const char *name)
{
    char path[64];
    bson_iter_t i, found;

    snprintf(path, sizeof path, "phases.total.%s", name);
    ck_assert(bson_iter_init(&i, stats) &&
              bson_iter_find_descendant(&i, path, &found));
    return bson_iter_as_int64(&found);
}

START_TEST(percentiles_are_upper_bounds_of_narrow_classes)
{
    static const int64_t values_us[] = {0,   1,    3,     4,      5,
                                        7,   8,    100,   127,    128,
                                        999, 4097, 65536, 999999, 123456789};

    for (size_t i = 0; i < sizeof values_us / sizeof *values_us; i++) {
        struct stc_stats stats = {0};
        bson_t out = BSON_INITIALIZER;
        int64_t v = values_us[i];

        for (int n = 0; n < 100; n++)
            stc_histogram_add(&stats.total, v * 1000);
        stc_histogram_add(&stats.total, 3600 * INT64_C(1000000000));
        stc_stats_append(&stats, &out);
        ck_assert_int_eq(figure(&out, "count"), 101);
        ck_assert_int_ge(figure(&out, "p50US"), v);
        ck_assert_int_le(figure(&out, "p50US"), v + v / 4 + 1);
        ck_assert_int_ge(figure(&out, "p99US"), v);
        ck_assert_int_le(figure(&out, "p99US"), v + v / 4 + 1);
        ck_assert_int_eq(figure(&out, "maxUS"), 3600 * INT64_C(1000000));
        bson_destroy(&out);
    }
}
END_TEST

START_TEST(odd_values_break_no_histogram)
{
    struct stc_stats stats = {0};
    bson_t out = BSON_INITIALIZER;

    stc_histogram_add(&stats.total, -5);
    stc_histogram_add(&stats.total, INT64_MAX);
    stc_stats_append(&stats, &out);
    ck_assert_int_eq(figure(&out, "count"), 2);
    ck_assert_int_eq(figure(&out, "maxUS"), INT64_MAX / 1000);
    bson_destroy(&out);
}
END_TEST

static atomic_bool stop;

static void *look(void *arg)
{
    scene_t *s = arg;

    while (!atomic_load(&stop)) {
        bson_t stats, config;

        stator_client_stats(s->client, &stats);
        stator_client_config(s->client, &config);
        bson_destroy(&stats);
        bson_destroy(&config);
    }
    return NULL;
}

START_TEST(any_thread_may_look_at_any_time)
{
    scene_t *s = scene_new("{'workers': 2}");
    pthread_t t[2];

    scene_fill(s, 20);
    atomic_store(&stop, false);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, look, s), 0);
    for (int i = 0; i < 50; i++) {
        stator_cursor_t *c = open_cursor(s, "{'batchSize': 3}");

        ck_assert_int_eq(read_all(c), 20);
        stator_cursor_unref(c);
        if (i % 10 == 0)
            ck_assert(stator_client_resize(s->client, 1 + i / 10, NULL));
    }
    close_with(s, NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    scene_free(s);
}
END_TEST

SUITE(core_stats)
{
    tcase_add_test(tc, all_keys_are_there_and_of_their_type);
    tcase_add_test(tc, queued_running_and_busy_at_a_gate);
    tcase_add_test(tc, the_oldest_grows_and_goes);
    tcase_add_test(tc, zombies_are_abandoned_and_still_run);
    tcase_add_test(tc, each_settles_into_one_counter);
    tcase_add_test(tc, cursors_requests_count_once);
    tcase_add_test(tc, phases_measure_what_they_say);
    tcase_add_test(tc, percentiles_are_upper_bounds_of_narrow_classes);
    tcase_add_test(tc, odd_values_break_no_histogram);
    tcase_add_test(tc, any_thread_may_look_at_any_time);
}
