/* SPDX-License-Identifier: Apache-2.0 */
/* test_heartbeat.c - a loop that ticks every 10 ms keeps its pace, whatever
 * the library is at.
 *
 * A scene begins on the loop thread, between two ticks, and is asked at every
 * tick whether it is over; so whatever it calls that blocks is seen as a gap.
 * What happens in a scene is ordered by gates and counts, and must be right
 * every time.  Only the pace is a matter of the clock: machines stumble, so
 * it has to be missed three times in a row to fail. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/stopwatch.h"
#include "tests/harness/suite.h"
#include "tests/heartbeat/heartbeat.h"
#include "tests/heartbeat/stage.h"

enum { BOUND_MS = 50 };

/* In microseconds.  What makes the test program slow, a sanitizer say, gets
 * more time from Check, and as much more here. */
static int64_t bound_us(void)
{
    const char *slow = getenv("CK_TIMEOUT_MULTIPLIER");
    double factor = slow != NULL ? strtod(slow, NULL) : 1;

    return (int64_t)(BOUND_MS * 1000 * (factor > 1 ? factor : 1));
}

/* ---- the scenes -------------------------------------------------------- */

enum { FEW = 8, MANY = 40, PINGS = 5000, IN_FLIGHT = 64 };
enum { FLOOD = 100000, AHEAD = 1000 };

static void next_act(stage_t *stage)
{
    stage->act++;
    stage->act_ticks = 0;
}

/* Half a second of nothing at all: what the machine does by itself. */
static void nothing(stage_t *stage)
{
    (void)stage;
}

static bool tick_idle(stage_t *stage)
{
    return stage->act_ticks == 50;
}

static void prepare_black_hole(stage_t *stage)
{
    stage_start_server(stage, NULL,
                       "serverSelectionTimeoutMS=300&connectTimeoutMS=500");
    wire_rule_add(stage->server, &(wire_rule_t){
                                     .command = "*",
                                     .action = WIRE_SILENCE,
                                 });
}

static void prepare_no_host(stage_t *stage)
{
    snprintf(stage->uri, sizeof stage->uri,
             "mongodb://nobody.invalid/?serverSelectionTimeoutMS=300");
}

static void prepare_no_srv(stage_t *stage)
{
    snprintf(stage->uri, sizeof stage->uri,
             "mongodb+srv://nobody.example.invalid/"
             "?serverSelectionTimeoutMS=300");
}

static void begin_few(stage_t *stage)
{
    stage_open_client(stage);
    stage_ping(stage, FEW);
}

static bool tick_all_fail(stage_t *stage)
{
    if (stage->arrived < FEW)
        return false;
    ck_assert_int_eq(stage->arrived, FEW);
    ck_assert_int_eq(stage->done, 0);
    return stage_is_closed(stage, "abort", 200);
}

static void begin_finds(stage_t *stage)
{
    stage_open_client(stage);
    stage_find(stage, MANY);
}

/* Half a second with every worker held, then all at once. */
static bool tick_slow(stage_t *stage)
{
    switch (stage->act) {
    case 0:
        if (wire_gate_held(stage->gate) == STAGE_WORKERS)
            next_act(stage);
        return false;
    case 1:
        ck_assert_int_eq(stage->arrived, 0);
        if (stage->act_ticks == 50) {
            wire_gate_open(stage->gate);
            next_act(stage);
        }
        return false;
    default:
        if (stage->arrived < MANY)
            return false;
        ck_assert_int_eq(stage->done, MANY);
        return stage_is_closed(stage, "drain", 5000);
    }
}

/* The gate opens a while after the close: drain waits for it, and everything
 * is answered. */
static bool tick_drain(stage_t *stage)
{
    switch (stage->act) {
    case 0:
        if (wire_gate_held(stage->gate) == STAGE_WORKERS) {
            stage_close_client(stage, "drain", 600000);
            next_act(stage);
        }
        return false;
    case 1:
        if (stage->act_ticks == 20) {
            ck_assert(!stage->closed);
            wire_gate_open(stage->gate);
            next_act(stage);
        }
        return false;
    default:
        if (!stage_is_closed(stage, NULL, 0) || stage->arrived < MANY)
            return false;
        ck_assert_int_eq(stage->done, MANY);
        return true;
    }
}

/* The gate stays shut: what runs is given up, what waits withdrawn. */
static bool tick_cancel(stage_t *stage)
{
    if (stage->act == 0) {
        if (wire_gate_held(stage->gate) == STAGE_WORKERS) {
            stage_close_client(stage, "cancel", 300);
            next_act(stage);
        }
        return false;
    }
    if (!stage_is_closed(stage, NULL, 0) || stage->arrived < MANY)
        return false;
    ck_assert_int_eq(stage->done, 0);
    return true;
}

/* All handles go while operations are on their way, and with them goes a
 * dispatcher that some of these are attached to. */
static void unref_all(stage_t *stage)
{
    stator_dispatcher_t *doomed = stator_dispatcher_new(NULL);
    bson_t all = BSON_INITIALIZER;

    for (int i = 0; i < MANY; i++) {
        stator_future_t *future =
            stator_collection_find_one(stage->collection, &all, NULL);

        ck_assert_int_eq(stator_future_then_full(future, doomed,
                                                 stage_on_settled, stage,
                                                 stage_on_dropped), 0);
        stator_future_unref(future);
    }
    stage_release(stage);
    stator_dispatcher_unref(doomed);
    ck_assert_int_eq(stage->dropped, MANY);
}

static bool tick_unref(stage_t *stage)
{
    switch (stage->act) {
    case 0:
        if (wire_gate_held(stage->gate) == STAGE_WORKERS) {
            unref_all(stage);
            next_act(stage);
        }
        return false;
    case 1:
        if (stage->act_ticks == 20) {
            wire_gate_open(stage->gate);
            next_act(stage);
        }
        return false;
    default:
        if (stage->arrived < MANY)
            return false;
        ck_assert_int_eq(stage->arrived, MANY);
        /* It gives up after four seconds, of which a stall may be most. */
        if (stage->done != MANY)
            ck_assert_int_gt(stopwatch_stalled_us(&stage->watch), 1000000);
        return true;
    }
}

/* As with workers, there is a limit to how far the two threads run ahead. */
static void on_resolved(stator_future_t *future, void *arg)
{
    stage_t *stage = arg;

    stage_on_settled(future, arg);
    ck_assert_int_eq(sem_post(&stage->room), 0);
}

static void *resolve(void *arg)
{
    stage_t *stage = arg;

    for (int i = 0; i < FLOOD / 2; i++) {
        stator_promise_t *promise = stator_promise_new();

        while (sem_wait(&stage->room) != 0)
            continue;
        stage_attach(stage, stator_promise_future(promise), on_resolved);
        ck_assert(stator_promise_resolve(promise, NULL, NULL));
        stator_promise_unref(promise);
    }
    return NULL;
}

static void begin_promises(stage_t *stage)
{
    ck_assert_int_eq(sem_init(&stage->room, 0, AHEAD), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(
            pthread_create(&stage->threads[i], NULL, resolve, stage), 0);
}

static bool tick_promises(stage_t *stage)
{
    if (stage->arrived < FLOOD)
        return false;
    ck_assert_int_eq(stage->done, FLOOD);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_join(stage->threads[i], NULL), 0);
    sem_destroy(&stage->room);
    return true;
}

static void prepare_pings(stage_t *stage)
{
    stage_start_server(stage, NULL, NULL);
}

/* Every reply sends the next request. */
static void on_pong(stator_future_t *future, void *arg)
{
    stage_t *stage = arg;

    stage_on_settled(future, arg);
    if (stage->arrived <= PINGS - IN_FLIGHT)
        stage_attach(stage, stator_client_ping(stage->client, NULL), on_pong);
}

static void begin_pings(stage_t *stage)
{
    stage_open_client(stage);
    for (int i = 0; i < IN_FLIGHT; i++)
        stage_attach(stage, stator_client_ping(stage->client, NULL), on_pong);
}

static bool tick_pings(stage_t *stage)
{
    if (stage->arrived < PINGS)
        return false;
    ck_assert_int_eq(stage->done, PINGS);
    return stage_is_closed(stage, "drain", 5000);
}

/* ---- the performance ---------------------------------------------------- */

static void begin(void *arg)
{
    stage_t *stage = arg;

    stage->scene->begin(stage);
}

static bool tick(void *arg)
{
    stage_t *stage = arg;

    stage->act_ticks++;
    return stage->scene->tick(stage);
}

/* In microseconds, the largest gap of one performance. */
static int64_t perform(const scene_t *scene)
{
    stage_t stage = {.scene = scene};
    int64_t gap;

    stage.watch = stopwatch_start();
    stage.dispatcher = stator_dispatcher_new(NULL);
    ck_assert_ptr_nonnull(stage.dispatcher);
    scene->prepare(&stage);
    gap = heartbeat_run(stage.dispatcher, begin, tick, &stage);
    ck_assert_int_ge(gap, 0);

    stator_dispatcher_unref(stage.dispatcher);
    if (stage.gate != NULL)
        wire_gate_open(stage.gate);
    if (stage.server != NULL)
        ck_assert(wire_wait_connections(stage.server, 0, WIRE_WAIT));
    wire_server_free(stage.server);
    return gap;
}

static void keeps_pace(const scene_t *scene)
{
    int64_t gap = 0;

    for (chances_t c = {0}; chances_next(&c);) {
        gap = perform(scene);
        printf("heartbeat: %-28s largest gap %3" PRId64 ".%" PRId64
               " ms, attempt %d\n",
               scene->name, gap / 1000, gap / 100 % 10, c.taken);
        fflush(stdout);
        if (gap <= bound_us())
            return;
    }
    ck_abort_msg("%s: %" PRId64 " us between two ticks, and over %" PRId64
                 " in each of three attempts", scene->name, gap, bound_us());
}

static const scene_t scenes[] = {
    {"nothing at all", nothing, nothing, tick_idle},
    {"connect to a black hole", prepare_black_hole, begin_few, tick_all_fail},
    {"no such host", prepare_no_host, begin_few, tick_all_fail},
    {"no such SRV record", prepare_no_srv, begin_few, tick_all_fail},
    {"slow queries on all workers", stage_gate_server, begin_finds, tick_slow},
    {"close, drain, in flight", stage_gate_server, begin_finds, tick_drain},
    {"close, cancel, in flight", stage_gate_server, begin_finds, tick_cancel},
    {"unref, in flight", stage_gate_server, begin_finds, tick_unref},
    {"100000 promises", nothing, begin_promises, tick_promises},
    {"5000 pings", prepare_pings, begin_pings, tick_pings},
};

START_TEST(pace)
{
    keeps_pace(&scenes[_i]);
}
END_TEST

/* The instrument itself: a scene that blocks the loop is found out. */
static void begin_block(stage_t *stage)
{
    const int64_t until = heartbeat_now_us() + 2 * bound_us();

    (void)stage;
    while (heartbeat_now_us() < until)
        continue;
}

static bool tick_over(stage_t *stage)
{
    (void)stage;
    return true;
}

START_TEST(a_blocked_loop_shows)
{
    const scene_t scene = {"block", nothing, begin_block, tick_over};

    ck_assert_int_gt(perform(&scene), bound_us());
}
END_TEST

SUITE(heartbeat)
{
    tcase_add_test(tc, a_blocked_loop_shows);
    tcase_add_loop_test(tc, pace, 0,
                        (int)(sizeof scenes / sizeof scenes[0]));
}
