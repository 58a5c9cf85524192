/* SPDX-License-Identifier: Apache-2.0 */
/* test_keeper.c - deadlines, kept whatever the workers do. */
#include "tests/core/support.h"

#include <pthread.h>

#include "core/client.h"
#include "tests/harness/stopwatch.h"

/* ---- all workers blocked ------------------------------------------------ */

static int64_t lateness_ms(void)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_future_t *f;
    int64_t due, late;

    hold_workers(s, 2);
    due = now_us() + 50000;
    f = ask_one(s, "{'timeoutMS': 50}");
    ck_expired(f);
    late = now_us() - due;
    ck_assert_int_ge(late, -1000); /* and never too early */
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    ck_assert_int_eq(stator_future_phase(f), STATOR_PHASE_QUEUED);
    ck_stat(s->client, "queued", 0);
    ck_assert_int_eq(wire_count(s->server, "find"), 2);
    scene_free(s);
    return late / 1000;
}

START_TEST(a_deadline_is_kept_with_all_workers_blocked)
{
    best_of_three("lateness of a deadline, all workers blocked", lateness_ms,
                  50, "ms");
}
END_TEST

START_TEST(what_expired_in_the_queue_is_never_sent)
{
    scene_t *s = scene_new("{'workers': 1}");
    stator_future_t *f[20];

    hold_worker(s);
    for (int i = 0; i < 20; i++)
        f[i] = lend(stator_collection_insert_one(s->things, J("{}"),
                                                 J("{'timeoutMS': 20}")));
    for (int i = 0; i < 20; i++)
        ck_expired(f[i]);
    ck_stat(s->client, "expired", 20);
    wire_gate_open(s->gate);
    close_with(s, NULL);
    ck_assert_int_eq(wire_count(s->server, "insert"), 0);
    scene_free(s);
}
END_TEST

START_TEST(a_deadline_while_running_abandons)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *f = NULL;

    for (chances_t c = {0}; chances_next(&c);) {
        f = lend(stator_collection_find_one(s->held, NULL,
                                            J("{'timeoutMS': 60}")));
        ck_expired(f);
        if (stator_future_phase(f) == STATOR_PHASE_SENT)
            break;
    }
    ck_assert_int_eq(stator_future_outcome(f), STATOR_MAYBE_SENT);
    ck_assert_int_eq(stator_future_phase(f), STATOR_PHASE_SENT);
    wire_gate_open(s->gate);
    ck_done(ask_one(s, NULL));
    scene_free(s);
}
END_TEST

/* ---- what reaches the server -------------------------------------------- */

static int64_t max_time_of(scene_t *s, const char *command, size_t i)
{
    wire_command_t c;
    bson_iter_t found;
    int64_t ms = -1;

    ck_assert_msg(wire_log_find(s->server, command, i, &c), "no %s", command);
    if (bson_iter_init_find(&found, c.document, "maxTimeMS"))
        ms = bson_iter_as_int64(&found);
    wire_command_clear(&c);
    return ms;
}

START_TEST(what_is_left_reaches_the_server)
{
    scene_t *s = scene_new(NULL);
    const bson_t *opts = J("{'timeoutMS': %d}", AMPLE_MS);
    int64_t ms;

    done(stator_collection_find_one(s->things, NULL, opts));
    done(stator_collection_count_documents(s->things, NULL, opts));
    done(stator_collection_find_one_and_delete(s->things, J("{}"), opts));
    done(stator_client_command(s->client, "core", J("{'ping': 1}"), opts));
    ms = max_time_of(s, "find", 0);
    ck_assert(ms > 0 && ms <= AMPLE_MS);
    ms = max_time_of(s, "aggregate", 0);
    ck_assert(ms > 0 && ms <= AMPLE_MS);
    ms = max_time_of(s, "findAndModify", 0);
    ck_assert(ms > 0 && ms <= AMPLE_MS);
    done(stator_collection_find_one(s->things, NULL, NULL));
    ck_assert_int_eq(max_time_of(s, "find", 1), -1);
    scene_free(s);
}
END_TEST

START_TEST(time_in_the_queue_counts)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *f;
    int64_t ms;

    hold_worker(s);
    f = lend(stator_collection_find_one(s->things, NULL,
                                        J("{'timeoutMS': %d}", AMPLE_MS)));
    ck_expired(ask_one(s, "{'timeoutMS': 300}"));
    wire_gate_open(s->gate);
    ck_done(f);
    ms = max_time_of(s, "find", 1);
    ck_assert_msg(ms > 0 && ms <= AMPLE_MS - 299, "%" PRId64, ms);
    scene_free(s);
}
END_TEST

START_TEST(a_max_time_of_the_users_stays)
{
    scene_t *s = scene_new(NULL);

    done(stator_collection_find_one(
        s->things, NULL,
        J("{'timeoutMS': %d, 'maxTimeMS': 7}", AMPLE_MS)));
    ck_assert_int_eq(max_time_of(s, "find", 0), 7);
    scene_free(s);
}
END_TEST

START_TEST(not_in_get_more)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;

    scene_fill(s, 10);
    c = open_cursor(s, "{'batchSize': 4, 'timeoutMS': 600000}");
    ck_assert_int_eq(read_all(c), 10);
    ck_assert_int_gt(max_time_of(s, "find", 0), 0);
    ck_assert_int_eq(max_time_of(s, "getMore", 0), -1);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

/* ---- the range ---------------------------------------------------------- */

START_TEST(zero_is_no_limit)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *f;

    hold_worker(s);
    f = ask_one(s, "{'timeoutMS': 0}");
    ck_expired(ask_one(s, "{'timeoutMS': 50}"));
    ck_pending(f);
    wire_gate_open(s->gate);
    ck_done(f);
    ck_assert_int_eq(max_time_of(s, "find", 1), -1);
    scene_free(s);
}
END_TEST

START_TEST(one_millisecond_settles)
{
    scene_t *s = scene_new("{'workers': 2}");

    for (int i = 0; i < 200; i++) {
        stator_future_t *f = ask_one(s, "{'timeoutMS': 1}");

        ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
        if (stator_future_poll(f) != STATOR_FUTURE_DONE)
            ck_expired(f);
    }
    ck_done(ask_one(s, NULL));
    scene_free(s);
}
END_TEST

START_TEST(a_huge_one_is_no_overflow)
{
    scene_t *s = scene_new(NULL);

    ck_done(ask_one(s, "{'timeoutMS': {'$numberLong': "
                       "'9223372036854775807'}}"));
    ck_done(ask_one(s, "{'timeoutMS': {'$numberLong': '9223372036854'}}"));
    ck_done(ask_one(s, "{'timeoutMS': 2147483647}"));
    ck_assert_int_ne(max_time_of(s, "find", 2), 0);
    scene_free(s);
}
END_TEST

START_TEST(ten_thousand_at_random_all_expire)
{
    enum { N = 10000 };
    scene_t *s = scene_new("{'workers': 1}");
    stator_future_t **f = calloc(N, sizeof *f);
    uint32_t seed = 12345;

    hold_worker(s);
    for (int i = 0; i < N; i++) {
        seed = seed * 1103515245 + 12345;
        f[i] = stator_collection_find_one(
            s->things, NULL,
            J("{'timeoutMS': %u}", 1 + (unsigned)(seed >> 16) % 400));
    }
    for (int i = 0; i < N; i++) {
        ck_expired(f[i]);
        stator_future_unref(f[i]);
    }
    free(f);
    ck_stat(s->client, "expired", N);
    ck_stat(s->client, "queued", 0);
    scene_free(s);
}
END_TEST

/* ---- cursors ------------------------------------------------------------ */

/* True: a document, and in time. */
static bool reads_one(stator_cursor_t *c)
{
    stator_future_t *f = lend(stator_cursor_next(c));

    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    if (stator_future_poll(f) != STATOR_FUTURE_DONE) {
        ck_expired(f);
        return false;
    }
    ck_assert_ptr_nonnull(stator_future_document(f));
    return true;
}

/* A cursor of which the first `n` were read, and whose next request, a
 * getMore, has expired at the gate. */
static stator_cursor_t *expire_at_the_gate(scene_t *s, const char *opts, int n)
{
    for (chances_t chances = {0}; chances_next(&chances);) {
        stator_cursor_t *c = open_cursor(s, opts);
        int got = 0;

        while (got < n && reads_one(c))
            got++;
        if (got == n) {
            stator_future_t *f = lend(stator_cursor_next(c));

            ck_expired(f);
            if (stator_future_outcome(f) == STATOR_MAYBE_SENT)
                return c;
        }
        stator_cursor_unref(c);
    }
    ck_abort_msg("the time was up before its getMore was sent");
    return NULL;
}

START_TEST(the_lifetime_counts_from_the_first_request)
{
    scene_t *s = scene_new(NULL);

    scene_fill(s, 10);
    wire_rule_add(s->server,
                  &(wire_rule_t){.command = "getMore", .gate = s->gate});
    stator_cursor_unref(
        expire_at_the_gate(s, "{'batchSize': 1, 'timeoutMS': 250}", 1));
    wire_gate_open(s->gate);
    scene_free(s);
}
END_TEST

static void outlive(scene_t *s, stator_cursor_t *c)
{
    ck_expired(lend(stator_collection_find_one(
        s->held, NULL, J("{'timeoutMS': 110}")))); /* time passes */
    for (int i = 0; i < 3; i++) {
        stator_future_t *f = lend(stator_cursor_next(c));

        ck_expired(f);
        ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    }
    ck_assert_int_eq(wire_count(s->server, "getMore"), 0);
}

START_TEST(after_its_lifetime_a_cursor_asks_the_server_no_more)
{
    scene_t *s = scene_new("{'workers': 2}");
    int n_outlived = 0;

    for (int i = 0; i < 20; i++) {
        stator_cursor_t *c;

        scene_fill(s, 10);
        wire_log_clear(s->server);
        c = open_cursor(s, "{'batchSize': 1, 'timeoutMS': 100}");
        if (reads_one(c)) {
            outlive(s, c);
            n_outlived++;
        }
        stator_cursor_unref(c);
        ck_assert(wire_gate_wait_empty(s->gate, WIRE_WAIT));
        await_stat(s->client, "leases", 0);
    }
    ck_assert_int_gt(n_outlived, 10); /* but for a machine that stood still */
    scene_free(s);
}
END_TEST

/* All five, with time between them that is more than one's. */
static bool reads_five(scene_t *s)
{
    stator_cursor_t *c = open_cursor(s, "{'batchSize': 1, 'timeoutMS': 200, "
                                        "'timeoutMode': 'iteration'}");
    bool ok = reads_one(c);

    for (int i = 1; i < 5 && ok; i++) {
        wire_gate_shut(s->gate);
        hold_worker(s);
        ck_expired(ask_one(s, "{'timeoutMS': 120}")); /* time passes */
        wire_gate_open(s->gate);
        ok = reads_one(c);
    }
    stator_cursor_unref(c);
    return ok;
}

START_TEST(each_iteration_anew)
{
    scene_t *s = scene_new(NULL);
    bool ok = false;

    scene_fill(s, 5);
    for (chances_t c = {0}; !ok && chances_next(&c);)
        ok = reads_five(s);
    ck_assert(ok);
    scene_free(s);
}
END_TEST

START_TEST(an_expired_iteration_loses_nothing_that_the_driver_brings)
{
    scene_t *s = scene_new("{'workers': 1, 'transport': 'driver'}");
    stator_cursor_t *c;

    scene_fill(s, 6);
    wire_rule_add(s->server, &(wire_rule_t){.command = "getMore", .times = 1,
                                            .gate = s->gate});
    c = expire_at_the_gate(s, "{'batchSize': 2, 'timeoutMS': 150, "
                              "'timeoutMode': 'iteration'}", 2);
    wire_gate_open(s->gate);
    await_stat(s->client, "busy", 0);
    ck_assert_int_eq(read_all(c), 4);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(an_iteration_cut_on_the_wire_ends_the_cursor)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;

    scene_fill(s, 6);
    wire_rule_add(s->server, &(wire_rule_t){.command = "getMore", .times = 1,
                                            .gate = s->gate});
    c = expire_at_the_gate(s, "{'batchSize': 2, 'timeoutMS': 150, "
                              "'timeoutMode': 'iteration'}", 2);
    fails(stator_cursor_next(c), STATOR_ERROR_DOMAIN, STATOR_ERROR_CANCELLED,
          "an earlier request was given up");
    ck_assert(wire_wait_count(s->server, "killCursors", 1, WIRE_WAIT));
    await_stat(s->client, "leases", 0);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

/* ---- races -------------------------------------------------------------- */

START_TEST(deadline_and_answer_race)
{
    scene_t *s = scene_new("{'workers': 3}");
    int64_t n = 0;

    for (int round = 0; round < 50; round++) {
        stator_future_t *f[40];

        for (int i = 0; i < 40; i++)
            f[i] = stator_collection_find_one(
                s->things, NULL, J("{'timeoutMS': %d}", 1 + i % 4));
        for (int i = 0; i < 40; i++) {
            ck_assert_int_eq(stator_future_wait(f[i], LIB_PATIENCE_MS), 0);
            n += stator_future_poll(f[i]) == STATOR_FUTURE_DONE;
            if (stator_future_poll(f[i]) != STATOR_FUTURE_DONE)
                ck_expired(f[i]);
            stator_future_unref(f[i]);
        }
        lib_forget();
    }
    ck_assert_int_eq(stat_of(s->client, "done"), n);
    ck_assert_int_eq(stat_of(s->client, "expired"), 2000 - n);
    scene_free(s);
}
END_TEST

/* What the keeper still watches. */
static const void *watched(scene_t *s)
{
    const void *first;

    pthread_mutex_lock(&s->client->keeper.lock);
    first = s->client->keeper.deadlines.first;
    pthread_mutex_unlock(&s->client->keeper.lock);
    return first;
}

START_TEST(what_is_settled_is_watched_no_more)
{
    scene_t *s = scene_new("{'workers': 2}");

    scene_fill(s, 20);
    for (int i = 0; i < 100; i++)
        done(stator_collection_find_one(s->things, NULL,
                                        J("{'timeoutMS': 3600000}")));
    ck_assert_ptr_null(watched(s));
    for (int i = 0; i < 100; i++) {
        stator_cursor_t *c =
            open_cursor(s, "{'batchSize': 1, 'timeoutMS': 3600000}");

        ck_assert_int_eq(read_all(c), 20);
        stator_cursor_unref(c);
    }
    ck_assert_ptr_null(watched(s));
    scene_free(s);
}
END_TEST

SUITE(core_keeper)
{
    tcase_add_test(tc, a_deadline_is_kept_with_all_workers_blocked);
    tcase_add_test(tc, what_expired_in_the_queue_is_never_sent);
    tcase_add_test(tc, a_deadline_while_running_abandons);
    tcase_add_test(tc, what_is_left_reaches_the_server);
    tcase_add_test(tc, time_in_the_queue_counts);
    tcase_add_test(tc, a_max_time_of_the_users_stays);
    tcase_add_test(tc, not_in_get_more);
    tcase_add_test(tc, zero_is_no_limit);
    tcase_add_test(tc, one_millisecond_settles);
    tcase_add_test(tc, a_huge_one_is_no_overflow);
    tcase_add_test(tc, ten_thousand_at_random_all_expire);
    tcase_add_test(tc, the_lifetime_counts_from_the_first_request);
    tcase_add_test(tc, after_its_lifetime_a_cursor_asks_the_server_no_more);
    tcase_add_test(tc, each_iteration_anew);
    tcase_add_test(tc,
                   an_expired_iteration_loses_nothing_that_the_driver_brings);
    tcase_add_test(tc, an_iteration_cut_on_the_wire_ends_the_cursor);
    tcase_add_test(tc, deadline_and_answer_race);
    tcase_add_test(tc, what_is_settled_is_watched_no_more);
}
