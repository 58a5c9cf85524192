/* SPDX-License-Identifier: Apache-2.0 */
/* test_storm.c - a hundred thousand cancels, of what waits and of what runs.
 *
 *   loop thread   submits a window of finds, cancels some at once, continues
 *   other thread  cancels some whenever it comes to them, some when they are
 *                 on the wire, and some when their answer is about to come
 *
 * Each find asks for its own number.  A find that nobody cancels must bring
 * it: one that failed, was cancelled, or bears another number was hit by a
 * cancel that was meant for somebody else. */
#include "tests/core/support.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "tests/harness/suite.h"
#include "tests/proxy/random.h"

enum {
    SANITIZED = UNDER_ASAN || UNDER_TSAN,
    CANCELS = SANITIZED ? 10000 : 100000, /* that must have taken effect */
    FINDS_MAX = CANCELS * 4,              /* rather than go on for ever */
    RUNNING = CANCELS / 20, /* of these at least so many on the wire */
    WINDOW = 256,
    LOOK_EVERY = CANCELS / 50,
    WORKERS = 4,
    DELAY_MS = 1, /* of the server */
    GROWTH_KIB = 2048, /* of the heap, over the last three quarters */
};

/* Who cancels a find, and when. */
typedef enum { NOBODY, AT_ONCE, ANY_TIME, ON_THE_WIRE, AT_THE_END } plan_t;

typedef struct cell {
    stator_future_t *future; /* the other thread's reference */
    atomic_uchar asked, must_cancel, runs, frees, state;
    unsigned char plan, outcome;
    bool is_right; /* it is DONE with its own number */
} cell_t;

static struct {
    scene_t *scene;
    stator_dispatcher_t *dispatcher;
    cell_t *cells;
    atomic_int submitted, freed, finds; /* how many there will have been */
    atomic_int took, running;
    int fds_most;
    int64_t heap_early, heap_late;
} storm;

static int64_t heap_kib(void)
{
    return (int64_t)(mallinfo2().uordblks / 1024);
}

static void cancel(cell_t *cell, stator_future_t *future)
{
    atomic_store(&cell->asked, 1);
    if (!stator_future_cancel(future))
        return;
    atomic_store(&cell->must_cancel, 1);
    atomic_fetch_add(&storm.took, 1);
    if (stator_future_outcome(future) == STATOR_MAYBE_SENT)
        atomic_fetch_add(&storm.running, 1);
}

/* ---- the other thread --------------------------------------------------- */

static void await_the_wire(const stator_future_t *future)
{
    while (stator_future_poll(future) == STATOR_FUTURE_PENDING &&
           stator_future_phase(future) < STATOR_PHASE_SENT)
        sched_yield();
}

/* The server waits for DELAY_MS; then the answer is on its way. */
static void await_the_end(const stator_future_t *future, uint64_t *random)
{
    int64_t until = now_us() + DELAY_MS * (int64_t)1000 + random_range(random, 0, 300);

    while (stator_future_poll(future) == STATOR_FUTURE_PENDING &&
           now_us() < until)
        sched_yield();
}

static void *cancel_all(void *arg)
{
    uint64_t random = 2;

    (void)arg;
    for (int i = 0;; i++) {
        cell_t *cell = &storm.cells[i];

        while (atomic_load(&storm.submitted) <= i &&
               i < atomic_load(&storm.finds))
            sched_yield();
        if (i == atomic_load(&storm.finds))
            return NULL;
        if (cell->future == NULL)
            continue;
        if (cell->plan >= ON_THE_WIRE)
            await_the_wire(cell->future);
        if (cell->plan == AT_THE_END)
            await_the_end(cell->future, &random);
        cancel(cell, cell->future);
        stator_future_unref(cell->future);
    }
}

/* ---- the loop ----------------------------------------------------------- */

static bool bears(const bson_t *document, int32_t id)
{
    bson_iter_t iter;

    return document != NULL && bson_iter_init_find(&iter, document, "_id") &&
           BSON_ITER_HOLDS_INT32(&iter) && bson_iter_int32(&iter) == id;
}

static void settled(stator_future_t *future, void *arg)
{
    cell_t *cell = arg;

    atomic_fetch_add(&cell->runs, 1);
    atomic_store(&cell->state, (unsigned char)stator_future_poll(future));
    cell->outcome = (unsigned char)stator_future_outcome(future);
    cell->is_right = bears(stator_future_document(future),
                           (int32_t)(cell - storm.cells));
}

static void freed(void *arg)
{
    cell_t *cell = arg;

    atomic_fetch_add(&cell->frees, 1);
    atomic_fetch_add(&storm.freed, 1);
}

static plan_t plan_of(uint64_t *random)
{
    int64_t n = random_range(random, 0, 99);

    return n < 15   ? NOBODY
           : n < 45 ? AT_ONCE
           : n < 65 ? ANY_TIME
           : n < 85 ? ON_THE_WIRE
                    : AT_THE_END;
}

static void submit(int i, uint64_t *random)
{
    cell_t *cell = &storm.cells[i];
    bson_t filter = BSON_INITIALIZER;
    stator_future_t *future;

    BSON_APPEND_INT32(&filter, "_id", i);
    future = stator_collection_find_one(storm.scene->things, &filter, NULL);
    bson_destroy(&filter);
    cell->plan = (unsigned char)plan_of(random);
    if (cell->plan >= ANY_TIME)
        cell->future = stator_future_ref(future);
    ck_assert_int_eq(stator_future_then_full(future, storm.dispatcher,
                                             settled, cell, freed), 0);
    if (cell->plan == AT_ONCE)
        cancel(cell, future);
    stator_future_unref(future);
    atomic_fetch_add(&storm.submitted, 1);
}

static void look(int i)
{
    int fds;

    if (i % LOOK_EVERY != 0)
        return;
    fds = count_fds();
    storm.fds_most = fds > storm.fds_most ? fds : storm.fds_most;
    if (storm.heap_early == 0 && atomic_load(&storm.took) >= CANCELS / 4)
        storm.heap_early = heap_kib();
    storm.heap_late = heap_kib();
}

static void rage(void)
{
    int64_t until = now_us() + LIB_PATIENCE_MS * (int64_t)10000;
    uint64_t random = 1;
    int i;

    for (i = 0; i < FINDS_MAX && atomic_load(&storm.took) < CANCELS; i++) {
        submit(i, &random);
        look(i);
        while (i - atomic_load(&storm.freed) >= WINDOW && now_us() < until)
            stator_dispatcher_run_once(storm.dispatcher, 100);
    }
    atomic_store(&storm.finds, i);
    while (atomic_load(&storm.freed) < i && now_us() < until)
        stator_dispatcher_run_once(storm.dispatcher, 100);
    ck_assert_int_eq(atomic_load(&storm.freed), i);
}

/* ---- afterwards --------------------------------------------------------- */

static void check(int i)
{
    const cell_t *c = &storm.cells[i];
    int state = c->state;

    ck_assert_msg(c->runs == 1 && c->frees == 1,
                  "find %d: %d continuations, %d ends", i, c->runs, c->frees);
    if (c->must_cancel)
        ck_assert_msg(state == STATOR_FUTURE_CANCELLED,
                      "find %d: cancel answered true, and it is in state %d",
                      i, state);
    else
        ck_assert_msg(state == STATOR_FUTURE_DONE && c->is_right,
                      "find %d: plan %d, cancelled in vain %d, state %d, "
                      "outcome %d, right %d", i, c->plan, c->asked, state,
                      c->outcome, c->is_right);
}

static void print_figures(int64_t took_us)
{
    int took = atomic_load(&storm.took), running = atomic_load(&storm.running);
    bson_t stats;
    bson_iter_t iter, cuts;
    int64_t n_cuts = -1;

    stator_client_stats(storm.scene->client, &stats);
    if (bson_iter_init(&iter, &stats) &&
        bson_iter_find_descendant(&iter, "transport.cuts", &cuts))
        n_cuts = bson_iter_as_int64(&cuts);
    bson_destroy(&stats);
    printf("storm: %d cancels in %.1f s (%.0f a second): %d withdrawn, %d "
           "running (%" PRId64 " cut on the wire), %d came too late or not "
           "at all\n",
           took, (double)took_us / 1e6, took / ((double)took_us / 1e6),
           took - running, running, n_cuts, atomic_load(&storm.finds) - took);
    printf("storm: %d descriptors at most, heap %" PRId64 " KiB at a "
           "quarter, %" PRId64 " at the end\n",
           storm.fds_most, storm.heap_early, storm.heap_late);
    fflush(stdout);
}

START_TEST(only_what_was_cancelled_is)
{
    int fds, threads;
    pthread_t other;
    int64_t start;

    scene_free(scene_new(NULL)); /* what is made once, and stays */
    fds = count_fds();
    threads = threads_named("");
    storm.scene = scene_new("{'workers': 4}"); /* WORKERS */
    scene_fill(storm.scene, INT32_MAX);
    wire_rule_add(storm.scene->server,
                  &(wire_rule_t){.command = "find", .delay_ms = DELAY_MS});
    storm.dispatcher = stator_dispatcher_new(NULL);
    storm.cells = calloc(FINDS_MAX, sizeof *storm.cells);
    atomic_store(&storm.finds, FINDS_MAX);

    start = now_us();
    ck_assert_int_eq(pthread_create(&other, NULL, cancel_all, NULL), 0);
    rage();
    pthread_join(other, NULL);
    print_figures(now_us() - start);

    for (int i = 0; i < storm.finds; i++)
        check(i);
    ck_assert_int_ge(storm.took, CANCELS);
    ck_assert_int_ge(storm.running, RUNNING);
    /* Both ends of all connections are here, some of them half gone. */
    ck_assert_int_le(storm.fds_most, fds + 16 * WORKERS);
    if (!SANITIZED)
        ck_assert_int_le(storm.heap_late, storm.heap_early + GROWTH_KIB);
    stator_dispatcher_unref(storm.dispatcher);
    scene_free(storm.scene);
    free(storm.cells);
    if (threads_named("") > threads) /* one may have been ending before */
        await_threads("", threads);
    ck_assert_int_eq(count_fds(), fds);
}
END_TEST

SUITE(core_storm)
{
    tcase_set_timeout(tc, 400);
    tcase_add_test(tc, only_what_was_cancelled_is);
}
