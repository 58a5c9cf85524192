/* SPDX-License-Identifier: Apache-2.0 */
/* test_queue.c - places, policies, priorities, and taking back. */
#include "tests/core/support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* ---- the limit ---------------------------------------------------------- */

START_TEST(a_full_queue_refuses_and_names_client_and_limit)
{
    scene_t *s = scene_new("{'workers': 1, 'queueLimit': 2, 'name': 'till'}");
    stator_future_t *first, *second, *third;

    hold_worker(s);
    first = ask_one(s, NULL);
    second = ask_one(s, NULL);
    third = fails(stator_future_ref(ask_one(s, NULL)), STATOR_ERROR_DOMAIN,
                  STATOR_ERROR_REFUSED, "\"till\"");
    fails(stator_future_ref(third), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_REFUSED, "2");
    ck_assert_int_eq(stator_future_outcome(third), STATOR_NOT_SENT);
    ck_assert_int_eq(stator_future_phase(third), STATOR_PHASE_QUEUED);
    ck_stat(s->client, "queued", 2);
    wire_gate_open(s->gate);
    ck_done(first);
    ck_done(second);
    scene_free(s);
}
END_TEST

START_TEST(a_refused_one_is_never_sent)
{
    scene_t *s = scene_new("{'workers': 1, 'queueLimit': 1}");
    stator_future_t *f;

    hold_worker(s);
    f = ask_one(s, NULL);
    for (int i = 0; i < 10; i++)
        fails(stator_collection_insert_one(s->things, J("{'x': 1}"), NULL),
              STATOR_ERROR_DOMAIN, STATOR_ERROR_REFUSED, "full");
    wire_gate_open(s->gate);
    ck_done(f);
    close_with(s, NULL);
    ck_assert_int_eq(wire_count(s->server, "insert"), 0);
    scene_free(s);
}
END_TEST

START_TEST(a_cancelled_ones_place_is_free_at_once)
{
    scene_t *s = scene_new("{'workers': 1, 'queueLimit': 1}");
    stator_future_t *f;

    hold_worker(s);
    for (int i = 0; i < 100; i++) {
        f = ask_one(s, NULL);
        ck_pending(f);
        ck_assert(stator_future_cancel(f));
        ck_cancelled(f, STATOR_NOT_SENT);
        ck_stat(s->client, "queued", 0);
    }
    scene_free(s);
}
END_TEST

START_TEST(a_cancelled_one_never_reaches_the_server)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_future_t *f[50];

    hold_workers(s, 2);
    for (int i = 0; i < 50; i++)
        f[i] = lend(stator_collection_insert_one(s->things,
                                                 J("{'n': %d}", i), NULL));
    for (int i = 0; i < 50; i += 2)
        ck_assert(stator_future_cancel(f[i]));
    wire_gate_open(s->gate);
    close_with(s, NULL);
    ck_assert_int_eq(wire_count(s->server, "insert"), 25);
    for (int i = 0; i < 25; i++) {
        wire_command_t c;
        bson_iter_t at_n, found;

        ck_assert(wire_log_find(s->server, "insert", (size_t)i, &c));
        ck_assert(bson_iter_init(&at_n, c.document) &&
                  bson_iter_find_descendant(&at_n, "documents.0.n", &found));
        ck_assert_int_eq(bson_iter_as_int64(&found) % 2, 1);
        wire_command_clear(&c);
    }
    for (int i = 0; i < 50; i++) {
        if (i % 2 == 0)
            ck_cancelled(f[i], STATOR_NOT_SENT);
        else
            ck_done(f[i]);
    }
    scene_free(s);
}
END_TEST

START_TEST(places_are_counted_right_after_everything)
{
    scene_t *s = scene_new("{'workers': 2, 'queueLimit': 64}");
    stator_cursor_t *c;

    scene_fill(s, 40);
    for (int i = 0; i < 20; i++)
        done(stator_collection_find_one(s->things, NULL, NULL));
    ck_stat(s->client, "queued", 0);
    c = open_cursor(s, "{'batchSize': 2}"); /* twenty trips */
    counts(stator_cursor_to_list(c, 0), 40);
    ck_stat(s->client, "queued", 0);
    stator_cursor_unref(c);
    c = open_cursor(s, "{'batchSize': 3, 'prefetch': 1}");
    ck_assert_int_eq(read_all(c), 40);
    stator_cursor_unref(c);
    await_stat(s->client, "queued", 0);
    scene_free(s);
}
END_TEST

/* ---- policy block ------------------------------------------------------- */

struct submitter {
    scene_t *scene;
    const char *opts;
    pthread_t thread;
    stator_future_t *future;
    int64_t cpu_us;
    atomic_bool is_over;
};

static void *submit(void *arg)
{
    struct submitter *b = arg;
    struct timespec t;
    bson_t *opts = b->opts == NULL
                       ? NULL
                       : bson_new_from_json((const uint8_t *)b->opts, -1,
                                            NULL);

    b->future = stator_collection_find_one(b->scene->things, NULL, opts);
    atomic_store(&b->is_over, true);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    b->cpu_us = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
    if (opts != NULL)
        bson_destroy(opts);
    return NULL;
}

static void begin_submit(struct submitter *b, scene_t *s, const char *opts)
{
    *b = (struct submitter){.scene = s, .opts = opts};
    ck_assert_int_eq(pthread_create(&b->thread, NULL, submit, b), 0);
}

static stator_future_t *end_submit(struct submitter *b)
{
    pthread_join(b->thread, NULL);
    return lend(b->future);
}

#define BLOCKING "{'workers': 1, 'queueLimit': 1, 'queuePolicy': 'block'}"

START_TEST(block_waits_for_a_place)
{
    scene_t *s = scene_new(BLOCKING);
    struct submitter b;
    stator_future_t *queued;

    hold_worker(s);
    queued = ask_one(s, NULL);
    begin_submit(&b, s, NULL);
    /* Only the blocked one is counted as submitted and stays unqueued. */
    await_stat(s->client, "submitted", 3);
    ck_assert(!atomic_load(&b.is_over));
    ck_assert(stator_future_cancel(queued)); /* here is one */
    ck_pending(end_submit(&b));
    wire_gate_open(s->gate);
    ck_done(b.future);
    scene_free(s);
}
END_TEST

START_TEST(block_is_bounded_by_timeout_ms)
{
    scene_t *s = scene_new(BLOCKING);
    struct submitter b;
    stator_future_t *f;

    hold_worker(s);
    ask_one(s, NULL);
    begin_submit(&b, s, "{\"timeoutMS\": 30}");
    f = end_submit(&b);
    ck_expired(f);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    ck_stat(s->client, "expired", 1);
    scene_free(s);
}
END_TEST

/* Processor time, so no matter how busy the machine is. */
static int64_t cpu_of_blocked(void)
{
    scene_t *s = scene_new(BLOCKING);
    struct submitter b;

    hold_worker(s);
    ask_one(s, NULL);
    begin_submit(&b, s, "{\"timeoutMS\": 400}");
    ck_expired(end_submit(&b));
    scene_free(s);
    return b.cpu_us;
}

START_TEST(block_sleeps)
{
    best_of_three("processor time of 400 ms blocked", cpu_of_blocked, 40000,
                  "us");
}
END_TEST

START_TEST(many_blocked_all_get_their_turn)
{
    scene_t *s = scene_new(BLOCKING);
    struct submitter b[8];

    hold_worker(s);
    ask_one(s, NULL);
    for (int i = 0; i < 8; i++)
        begin_submit(&b[i], s, NULL);
    await_stat(s->client, "submitted", 10);
    wire_gate_open(s->gate);
    for (int i = 0; i < 8; i++)
        ck_done(end_submit(&b[i]));
    scene_free(s);
}
END_TEST

static void ask_in_dispatch(stator_future_t *f, void *arg)
{
    scene_t *s = arg;

    (void)f;
    fails(stator_future_ref(ask_one(s, NULL)), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_REFUSED, "full");
}

START_TEST(block_refuses_in_dispatch)
{
    scene_t *s = scene_new(BLOCKING);
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    stator_future_t *first = ask_one(s, NULL);

    ck_done(first);
    hold_worker(s);
    ask_one(s, NULL);
    ck_assert_int_eq(stator_future_then(first, d, ask_in_dispatch, s), 0);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    stator_dispatcher_unref(d);
    scene_free(s);
}
END_TEST

static void ask_on_worker(mongoc_client_t *client, stator_promise_t *promise,
                          void *arg)
{
    scene_t *s = arg;
    stator_future_t *queued, *refused;
    bson_error_t error = {0};

    (void)client;
    queued = stator_collection_find_one(s->things, NULL, NULL);
    refused = stator_collection_find_one(s->things, NULL, NULL);
    if (stator_future_error(refused, &error) &&
        error.code == STATOR_ERROR_REFUSED)
        stator_promise_resolve(promise, NULL, NULL);
    stator_future_unref(queued);
    stator_future_unref(refused);
}

START_TEST(block_refuses_on_a_worker)
{
    scene_t *s = scene_new(BLOCKING);

    done(stator_client_run(s->client, ask_on_worker, s, NULL));
    scene_free(s);
}
END_TEST

START_TEST(close_wakes_the_blocked)
{
    scene_t *s = scene_new(BLOCKING);
    struct submitter b[3];
    stator_future_t *closed;

    hold_worker(s);
    ask_one(s, NULL);
    for (int i = 0; i < 3; i++)
        begin_submit(&b[i], s, NULL);
    await_stat(s->client, "submitted", 5);
    closed = lend(stator_client_close(s->client, NULL));
    for (int i = 0; i < 3; i++)
        ck_closed(end_submit(&b[i]));
    wire_gate_open(s->gate);
    ck_done(closed);
    scene_free(s);
}
END_TEST

/* ---- order -------------------------------------------------------------- */

/* The value of `n` in the filter of the i-th find but the held one. */
static int64_t filter_of_find(scene_t *s, size_t i)
{
    bson_iter_t at_n, found;
    wire_command_t c;
    int64_t n;

    ck_assert(wire_log_find(s->server, "find", i, &c));
    ck_assert(bson_iter_init(&at_n, c.document) &&
              bson_iter_find_descendant(&at_n, "filter.n", &found));
    n = bson_iter_as_int64(&found);
    wire_command_clear(&c);
    return n;
}

static stator_future_t *ask_numbered(scene_t *s, int n, const char *priority)
{
    return lend(stator_collection_find_one(
        s->things, J("{'n': %d}", n), J("{'priority': '%s'}", priority)));
}

START_TEST(within_a_priority_the_first_comes_first)
{
    scene_t *s = scene_new("{'workers': 1}");

    hold_worker(s);
    for (int i = 0; i < 200; i++)
        ask_numbered(s, i, "normal");
    wire_gate_open(s->gate);
    close_with(s, NULL);
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(filter_of_find(s, (size_t)i + 1), i);
    scene_free(s);
}
END_TEST

START_TEST(high_goes_before_normal_before_low)
{
    static const char *const priorities[] = {"low", "normal", "high"};
    scene_t *s = scene_new("{'workers': 1}");

    hold_worker(s);
    for (int i = 0; i < 30; i++)
        ask_numbered(s, i, priorities[i % 3]);
    wire_gate_open(s->gate);
    close_with(s, NULL);
    for (int i = 0; i < 30; i++)
        ck_assert_int_eq(filter_of_find(s, (size_t)i + 1) % 3, 2 - i / 10);
    scene_free(s);
}
END_TEST

START_TEST(of_65_taken_one_at_least_is_a_lower_one)
{
    scene_t *s = scene_new("{'workers': 1}");
    int since = 0, lower = 0;

    hold_worker(s);
    for (int i = 0; i < 4; i++) {
        ask_numbered(s, 1000, "normal");
        ask_numbered(s, 2000, "low");
    }
    for (int i = 0; i < 700; i++)
        ask_numbered(s, 1, "high");
    wire_gate_open(s->gate);
    close_with(s, NULL);
    for (size_t i = 1; lower < 8; i++) {
        bool is_high = filter_of_find(s, i) == 1;

        since = is_high ? since + 1 : 0;
        lower += !is_high;
        ck_assert_int_le(since, 64);
        if (i == 1)
            ck_assert(is_high);
    }
    scene_free(s);
}
END_TEST

/* ---- room --------------------------------------------------------------- */

START_TEST(room_is_there_at_once_in_an_empty_queue)
{
    scene_t *s = scene_new("{'queueLimit': 4}");

    done(stator_client_room(s->client));
    scene_free(s);
}
END_TEST

START_TEST(room_comes_below_half)
{
    scene_t *s = scene_new("{'workers': 1, 'queueLimit': 4}");
    stator_future_t *f[3], *room;

    hold_worker(s);
    for (int i = 0; i < 3; i++)
        f[i] = ask_one(s, NULL);
    room = lend(stator_client_room(s->client));
    ck_pending(room);
    stator_future_cancel(f[0]);
    ck_pending(room); /* two of four are not below half */
    stator_future_cancel(f[1]);
    ck_done(room);
    scene_free(s);
}
END_TEST

START_TEST(room_can_be_cancelled_and_closed)
{
    scene_t *s = scene_new("{'workers': 1, 'queueLimit': 1}");
    stator_future_t *one, *other;

    hold_worker(s);
    ask_one(s, NULL);
    one = lend(stator_client_room(s->client));
    other = lend(stator_client_room(s->client));
    ck_assert(stator_future_cancel(one));
    ck_cancelled(one, STATOR_NOT_SENT);
    ck_pending(other);
    close_with(s, "{'mode': 'cancel', 'timeoutMS': 100}");
    ck_assert_int_ne(stator_future_poll(other), STATOR_FUTURE_PENDING);
    ck_closed(lend(stator_client_room(s->client)));
    scene_free(s);
}
END_TEST

/* ---- memory ------------------------------------------------------------- */

START_TEST(a_million_cancelled_leave_nothing_behind)
{
    if (UNDER_ASAN)
        SKIP("AddressSanitizer keeps freed memory for a while");
    enum { ROUNDS = 1000000, WARM = 20000, BOUND_KIB = 32 * 1024 };
    scene_t *s = scene_new("{'workers': 2}");
    const bson_t *filter = J("{'_id': 1}");
    int64_t before = 0, grown;

    hold_workers(s, 2);
    for (int i = 0; i < ROUNDS; i++) {
        stator_future_t *f =
            stator_collection_find_one(s->things, filter, NULL);

        if (!stator_future_cancel(f))
            ck_abort_msg("number %d was not cancelled", i);
        stator_future_unref(f);
        if (i == WARM)
            before = resident_kib();
    }
    grown = resident_kib() - before;
    printf("10^6 submitted and cancelled: %" PRId64 " KiB more\n", grown);
    ck_assert_int_le(grown, BOUND_KIB);
    ck_stat(s->client, "queued", 0);
    ck_stat(s->client, "cancelled", ROUNDS);
    scene_free(s);
}
END_TEST

/* ---- threads ------------------------------------------------------------ */

enum { RACERS = 4, EACH = 3000 };

static void *race(void *arg)
{
    scene_t *s = arg;

    for (int i = 0; i < EACH; i++) {
        stator_future_t *f =
            stator_collection_find_one(s->things, NULL, NULL);

        if (i % 2 == 0)
            stator_future_cancel(f);
        if (i % 16 == 1 && stator_future_wait(f, LIB_PATIENCE_MS) != 0)
            abort();
        stator_future_unref(f);
    }
    return NULL;
}

START_TEST(submit_cancel_and_take_race)
{
    scene_t *s = scene_new("{'workers': 3}");
    pthread_t t[RACERS];
    int64_t settled;

    for (int i = 0; i < RACERS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, race, s), 0);
    for (int i = 0; i < RACERS; i++)
        pthread_join(t[i], NULL);
    close_with(s, NULL);
    ck_stat(s->client, "queued", 0);
    settled = stat_of(s->client, "done") + stat_of(s->client, "cancelled");
    ck_assert_int_eq(settled, RACERS * EACH);
    ck_stat(s->client, "submitted", RACERS * EACH);
    scene_free(s);
}
END_TEST

SUITE(core_queue)
{
    TCase *slow;

    tcase_add_test(tc, a_full_queue_refuses_and_names_client_and_limit);
    tcase_add_test(tc, a_refused_one_is_never_sent);
    tcase_add_test(tc, a_cancelled_ones_place_is_free_at_once);
    tcase_add_test(tc, a_cancelled_one_never_reaches_the_server);
    tcase_add_test(tc, places_are_counted_right_after_everything);
    tcase_add_test(tc, block_waits_for_a_place);
    tcase_add_test(tc, block_is_bounded_by_timeout_ms);
    tcase_add_test(tc, block_sleeps);
    tcase_add_test(tc, many_blocked_all_get_their_turn);
    tcase_add_test(tc, block_refuses_in_dispatch);
    tcase_add_test(tc, block_refuses_on_a_worker);
    tcase_add_test(tc, close_wakes_the_blocked);
    tcase_add_test(tc, within_a_priority_the_first_comes_first);
    tcase_add_test(tc, high_goes_before_normal_before_low);
    tcase_add_test(tc, of_65_taken_one_at_least_is_a_lower_one);
    tcase_add_test(tc, room_is_there_at_once_in_an_empty_queue);
    tcase_add_test(tc, room_comes_below_half);
    tcase_add_test(tc, room_can_be_cancelled_and_closed);
    slow = suite_case("core_queue_slow");
    tcase_add_test(slow, a_million_cancelled_leave_nothing_behind);
    tcase_add_test(slow, submit_cancel_and_take_race);
}
