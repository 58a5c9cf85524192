/* SPDX-License-Identifier: Apache-2.0 */
/* test_transport_time.c - how fast a cut and a deadline free a worker, that
 * nobody else is disturbed, and that none comes too late.
 *
 * Bounds of time are the best of three tries, for others use the machine. */
#include "tests/core/cut.h"
#include "tests/harness/stopwatch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum {
    ROUNDS = 200,
    SETTLED_US = 1000,
    FREED_US = 5000,
    OVERTIME_US = 50000,
    OTHERS_US = 100000
};

/* ---- a cancel ----------------------------------------------------------- */

static cut_kind_t kind;
static int64_t settled_p99, settled_best, freed_p99;

/* Free is the worker when it has answered what was waiting behind. */
static void measure_cuts(void)
{
    scene_t *s = cut_scene("{'workers': 1}", NO_RETRIES);
    times_t settled = {0}, freed = {0};

    ck_done(ask_one(s, NULL));
    for (int i = 0; i < ROUNDS; i++) {
        cut_t *c = cut_hang(s, kind);
        stator_future_t *next = ask_one(s, NULL);
        int64_t since = now_us();

        ck_assert(stator_future_cancel(c->future));
        ck_assert_int_eq(stator_future_poll(c->future),
                         STATOR_FUTURE_CANCELLED);
        times_add(&settled, now_us() - since);
        times_add(&freed, us_until_settled(next, since));
        ck_assert_int_eq(stator_future_poll(next), STATOR_FUTURE_DONE);
        cut_free(c);
    }
    printf("%s\n", cut_commands[kind]);
    settled_p99 = times_tell(&settled, "cancel to settled");
    if (settled_p99 < settled_best)
        settled_best = settled_p99;
    freed_p99 = times_tell(&freed, "cancel to worker free");
    scene_free(s);
}

static int64_t measure_freed(void)
{
    measure_cuts();
    return freed_p99;
}

/* It is told by every round; only if none was good is there one more. */
static int64_t measure_settled(void)
{
    if (settled_best > SETTLED_US)
        measure_cuts();
    return settled_best;
}

START_TEST(a_cut_is_quick)
{
    if (UNDER_TSAN || UNDER_ASAN)
        SKIP("its time is no measure here");
    kind = (cut_kind_t)_i;
    settled_best = INT64_MAX;
    best_of_three("worker free after a cancel, p99", measure_freed, FREED_US,
                  "us");
    best_of_three("settled after a cancel, p99", measure_settled, SETTLED_US,
                  "us");
}
END_TEST

/* ---- a deadline --------------------------------------------------------- */

typedef struct peer {
    const char *name;
    wire_rule_t rule; /* for what hangs; */
    bool is_stopped;  /* or the whole server */
    const char *extra;
} peer_t;

static const peer_t peers[] = {
    {"no answer", {.action = WIRE_SILENCE}, false, NO_RETRIES},
    {"a byte each 20 ms", {.drip_ms = 20}, false, NO_RETRIES},
    {"20 bytes, then silence", {.action = WIRE_REWRITE}, false, NO_RETRIES},
    {"a stopped server", {0}, true, NO_RETRIES},
    {"no answer, retries", {.action = WIRE_SILENCE}, false, RETRIES},
    {"a byte each 20 ms, retries", {.drip_ms = 20}, false, RETRIES},
};

static const peer_t *peer;

/* Its length stays, so that more is waited for. */
static void first_20_bytes(const wire_command_t *command,
                           wire_buffer_t *reply, void *arg)
{
    (void)command;
    (void)arg;
    wire_buffer_resize(reply, 20);
}

static int64_t after_deadline(scene_t *s, cut_kind_t which)
{
    enum { LIMIT_MS = 60 };
    int64_t settled, freed;
    stator_future_t *f;
    cut_t *c;

    if (which == CUT_MORE)
        c = cut_start(s, which, "{'batchSize': 2, 'timeoutMS': 60, "
                                "'timeoutMode': 'iteration'}");
    else
        c = cut_start(s, which, "{'timeoutMS': 60}");
    f = c->future;
    settled = us_until_settled(f, c->since);
    freed = settled + await_idle(s->client);
    ck_expired(f);
    ck_assert_int_ge(settled, LIMIT_MS * 1000 - 5000);
    cut_free(c);
    return freed - LIMIT_MS * 1000;
}

static int64_t measure_overtime(void)
{
    scene_t *s = cut_scene("{'workers': 1}", peer->extra);
    int64_t worst = INT64_MIN;
    wire_rule_t rule = peer->rule;

    ck_done(ask_one(s, NULL));
    wire_gate_open(s->gate);
    wire_rule_remove_all(s->server);
    if (rule.action == WIRE_REWRITE)
        rule.rewrite = first_20_bytes;
    for (int i = 0; i < (peer->is_stopped ? 1 : 10); i++) {
        int64_t over;

        if (kind != CUT_MORE || !peer->is_stopped) {
            rule.command = cut_commands[kind];
            rule.collection = kind == CUT_MORE ? "paged" : "held";
            wire_rule_remove_all(s->server);
            ck_assert_int_gt(wire_rule_add(s->server, &rule), 0);
        }
        if (peer->is_stopped)
            wire_server_pause(s->server);
        over = after_deadline(s, kind);
        if (over > worst)
            worst = over;
        if (peer->is_stopped)
            wire_server_resume(s->server);
    }
    wire_rule_remove_all(s->server);
    scene_free(s);
    return worst;
}

START_TEST(a_deadline_is_kept)
{
    char what[128];

    if (UNDER_TSAN || UNDER_ASAN)
        SKIP("its time is no measure here");
    kind = (cut_kind_t)(_i % CUT_KINDS);
    peer = &peers[_i / CUT_KINDS];
    if (kind == CUT_MORE && peer->is_stopped)
        return; /* its cursor could not be opened */
    snprintf(what, sizeof what, "%s, %s: worker free after timeoutMS",
             cut_commands[kind], peer->name);
    best_of_three(what, measure_overtime, OVERTIME_US, "us");
}
END_TEST

/* With retries the driver greets a stopped server once more, and nobody waits
 * for that: it is bounded, and shown meanwhile. */
START_TEST(a_retry_on_a_stopped_server_is_bounded)
{
    scene_t *s = cut_scene("{'workers': 1}", RETRIES);
    stator_future_t *f;
    stopwatch_t watch;

    ck_done(ask_one(s, NULL));
    wire_server_pause(s->server);
    watch = stopwatch_start();
    f = ask_one(s, "{'timeoutMS': 60}");
    ck_expired(f);
    ck_stat(s->client, "running", 0);
    await_idle(s->client);
    printf("stopped server, retries: worker free after %" PRId64 " ms\n",
           (now_us() - watch.since) / 1000);
    ck_assert_int_lt(stopwatch_us(&watch), 4000000);
    wire_server_resume(s->server);
    scene_free(s);
}
END_TEST

/* ---- the others --------------------------------------------------------- */

typedef struct other {
    scene_t *scene;
    pthread_t thread;
    times_t times;
    int failed;
    int64_t n, worst;
} other_t;

enum { OTHERS = 2 };

static atomic_bool stop;
static pthread_barrier_t all_run;

/* One operation at a time, and how long the worst took. */
static void *go_on(void *arg)
{
    other_t *o = arg;

    pthread_barrier_wait(&all_run);

    do {
        int64_t since = now_us(), us;
        stator_future_t *f =
            stator_collection_find_one(o->scene->things, NULL, NULL);

        stator_future_wait(f, LIB_PATIENCE_MS);
        us = now_us() - since;
        o->failed += stator_future_poll(f) != STATOR_FUTURE_DONE;
        o->n++;
        if (us > o->worst)
            o->worst = us;
        if (o->times.n < TIMES_MAX)
            times_add(&o->times, us);
        stator_future_unref(f);
    } while (!atomic_load(&stop));
    return NULL;
}

static bool by_timeout;
static const char *retries;

static int64_t measure_others(void)
{
    scene_t *s = cut_scene("{'workers': 4}", retries);
    static other_t others[OTHERS];
    wire_stats_t before, after;
    int64_t worst = 0, most;

    hold_workers(s, 4); /* so that all four are connected */
    wire_gate_pass(s->gate, 4);
    await_idle(s->client);
    wire_gate_shut(s->gate);
    wire_stats(s->server, &before);
    atomic_store(&stop, false);
    pthread_barrier_init(&all_run, NULL, OTHERS + 1);
    for (int i = 0; i < OTHERS; i++) {
        memset(&others[i], 0, sizeof others[i]);
        others[i].scene = s;
        ck_assert_int_eq(pthread_create(&others[i].thread, NULL, go_on,
                                        &others[i]), 0);
    }
    pthread_barrier_wait(&all_run);
    for (int i = 0; i < ROUNDS; i++) {
        cut_t *c;

        if (by_timeout) {
            c = cut_start(s, kind, kind == CUT_MORE
                                       ? "{'batchSize': 2, 'timeoutMS': 20, "
                                         "'timeoutMode': 'iteration'}"
                                       : "{'timeoutMS': 20}");
            ck_assert_int_eq(stator_future_wait(c->future, LIB_PATIENCE_MS),
                             0);
        } else {
            c = cut_hang(s, kind);
            ck_assert(stator_future_cancel(c->future));
        }
        cut_free(c);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < OTHERS; i++) {
        pthread_join(others[i].thread, NULL);
        ck_assert_int_eq(others[i].failed, 0);
        ck_assert_int_gt(others[i].n, 0);
        if (others[i].worst > worst)
            worst = others[i].worst;
    }
    pthread_barrier_destroy(&all_run);
    await_idle(s->client);
    wire_stats(s->server, &after);
    /* What was cut connects again: with retries that connection goes too. */
    most = stat_of(s->client, "transport.cuts") *
           (strcmp(retries, RETRIES) == 0 ? 2 : 1);
    printf("%s, %d %s, %s: %" PRId64 " others, worst %" PRId64 " us; %" PRId64
           " connections for %" PRId64 " cuts\n",
           cut_commands[kind], ROUNDS, by_timeout ? "timeouts" : "cancels",
           retries, others[0].n + others[1].n, worst,
           after.connections_total - before.connections_total,
           stat_of(s->client, "transport.cuts"));
    ck_assert_int_ge(stat_of(s->client, "transport.cuts"), ROUNDS * 9 / 10);
    ck_assert_int_le(after.connections_total - before.connections_total,
                     most + 8); /* spare ones, and a cut before it counts */
    /* A monitor's heartbeat or two may come in between. */
    ck_assert_int_le(after.hellos - before.hellos, most + 8);
    scene_free(s);
    return worst;
}

START_TEST(nobody_else_is_disturbed)
{
    kind = (cut_kind_t)(_i % CUT_KINDS);
    by_timeout = _i / CUT_KINDS % 2 == 1;
    retries = _i / CUT_KINDS / 2 == 0 ? NO_RETRIES : RETRIES;
    if (UNDER_TSAN || UNDER_ASAN)
        measure_others();
    else
        best_of_three("another operation, worst", measure_others, OTHERS_US,
                      "us");
}
END_TEST

/* ---- too late ----------------------------------------------------------- */

static int64_t id_of(stator_future_t *f)
{
    const bson_t *document = stator_future_document(f);
    bson_iter_t i;

    ck_assert_ptr_nonnull(document);
    ck_assert(bson_iter_init_find(&i, document, "_id"));
    return bson_iter_as_int64(&i);
}

static struct {
    wire_gate_t *gate;
    pthread_barrier_t barrier;
    atomic_bool over;
} race;

static void *let_pass(void *arg)
{
    (void)arg;
    for (;;) {
        pthread_barrier_wait(&race.barrier);
        if (atomic_load(&race.over))
            return NULL;
        wire_gate_pass(race.gate, 1);
        pthread_barrier_wait(&race.barrier);
    }
}

static void spin(int64_t us)
{
    int64_t until = now_us() + us;

    while (now_us() < until)
        continue;
}

/* The answer and the cancel at the same time, as near as it can be had: the
 * delay follows whoever came first.  What comes next must be answered, and
 * with what it asked for. */
START_TEST(a_cancel_never_hits_the_next_operation)
{
    enum { RACES = 3000 };
    scene_t *s = cut_scene("{'workers': 1}", NO_RETRIES);
    int n_cancelled = 0, n_done = 0;
    int64_t delay = 50;
    pthread_t thread;

    scene_fill(s, 2 * RACES);
    wire_collection(s->server, "core.held", 2 * RACES, NULL, NULL);
    race.gate = s->gate;
    ck_assert_int_eq(pthread_barrier_init(&race.barrier, NULL, 2), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, let_pass, NULL), 0);
    for (int i = 0; i < RACES; i++) {
        bson_t *mine = BCON_NEW("_id", BCON_INT32(i));
        bson_t *next = BCON_NEW("_id", BCON_INT32(RACES + i));
        stator_future_t *f, *after;

        ck_assert(wire_gate_wait_empty(s->gate, WIRE_WAIT));
        f = stator_collection_find_one(s->held, mine, NULL);
        ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
        after = i % 2 == 0
                    ? stator_collection_find_one(s->things, next, NULL)
                    : NULL;
        pthread_barrier_wait(&race.barrier);
        spin(delay);
        if (stator_future_cancel(f)) {
            n_cancelled++;
            delay += delay < 2000;
        } else {
            n_done++;
            delay -= delay > 0;
        }
        pthread_barrier_wait(&race.barrier);
        wire_gate_shut(s->gate); /* it may have been passed by nobody */
        if (after == NULL)
            after = stator_collection_find_one(s->things, next, NULL);
        ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
        if (stator_future_poll(f) == STATOR_FUTURE_DONE)
            ck_assert_int_eq(id_of(f), i);
        else
            ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_CANCELLED);
        ck_done(lend(after));
        ck_assert_int_eq(id_of(after), RACES + i);
        stator_future_unref(f);
        bson_destroy(mine);
        bson_destroy(next);
    }
    atomic_store(&race.over, true);
    pthread_barrier_wait(&race.barrier);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&race.barrier);
    printf("%d cancelled, %d done; %" PRId64 " cut on the wire\n",
           n_cancelled, n_done, stat_of(s->client, "transport.cuts"));
    ck_assert_int_gt(n_cancelled, RACES / 10);
    ck_assert_int_gt(n_done, RACES / 10);
    scene_free(s);
}
END_TEST

SUITE(core_transport_time)
{
    tcase_add_loop_test(tc, a_cut_is_quick, 0, CUT_KINDS);
    tcase_add_loop_test(tc, a_deadline_is_kept, 0,
                        CUT_KINDS * (int)(sizeof peers / sizeof *peers));
    tcase_add_test(tc, a_retry_on_a_stopped_server_is_bounded);
    tcase_add_loop_test(tc, nobody_else_is_disturbed, 0, CUT_KINDS * 4);
    tcase_add_test(tc, a_cancel_never_hits_the_next_operation);
}
