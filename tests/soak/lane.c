/* SPDX-License-Identifier: Apache-2.0 */
/* lane.c - the threads of a soak. */
#include "tests/soak/lane.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "tests/heartbeat/heartbeat.h"
#include "tests/proxy/random.h"
#include "tests/soak/op.h"
#include "tests/wire/wire_server.h"
#include "tests/wire/wire_timers.h"

enum {
    PER_TICK = 12,        /* operations of a loop, every 10 ms */
    BURST = 200,          /* and sometimes so many at once */
    AT_ONCE = 8,          /* that the waiter waits for */
    SETTLE_MS = 60000,    /* so long, and it is taken for lost */
};

/* What there is to do, and how often: out of 100. */
static const struct {
    op_kind_t kind;
    int weight;
} mix[] = {
    {OP_FIND_ONE, 22}, {OP_CURSOR, 14},      {OP_INSERT_ONE, 12},
    {OP_UPSERT, 6},    {OP_FIND_AND_UPDATE, 5}, {OP_DELETE, 5},
    {OP_INSERT_MANY, 5}, {OP_BULK, 4},       {OP_AGGREGATE, 5},
    {OP_COUNT, 3},     {OP_COMMAND, 4},      {OP_RUN, 4},
    {OP_CHAIN, 3},     {OP_RECOVER, 2},      {OP_FINALLY, 2},
    {OP_ALL, 1},       {OP_ANY, 1},          {OP_RACE, 1},
    {OP_SETTLED, 1},
};

static op_kind_t pick_kind(uint64_t *random)
{
    int64_t left = random_range(random, 0, 99);
    size_t i = 0;

    while ((left -= mix[i].weight) >= 0)
        i++;
    return mix[i].kind;
}

static backend_t *pick_backend(soak_t *soak, uint64_t *random)
{
    int64_t all = 0, left;
    int i = 0;

    for (int k = 0; k < soak->n_backends; k++)
        all += soak->backends[k].share;
    left = random_range(random, 0, all - 1);
    while ((left -= soak->backends[i].share) >= 0)
        i++;
    return &soak->backends[i];
}

static void nap_us(int64_t us)
{
    struct timespec t = {.tv_sec = us / 1000000,
                         .tv_nsec = us % 1000000 * 1000};

    nanosleep(&t, NULL);
}

void lane_max(atomic_llong *max, int64_t value)
{
    long long seen = atomic_load(max);

    while (value > seen && !atomic_compare_exchange_weak(max, &seen, value))
        continue;
}

/* ------------------------------------------------------------- the loops */

/* One in four is submitted here and continued on the other loop. */
static void submit_one(lane_t *lane)
{
    soak_t *soak = lane->soak;
    uint64_t *random = &lane->random;
    tenant_t *tenant = tenant_enter(pick_backend(soak, random));
    lane_t *where = lane;

    if (tenant == NULL)
        return;
    if (random_percent(random, 25))
        where = &soak->loops[lane == &soak->loops[0]];
    op_submit(where, random, tenant, pick_kind(random));
    tenant_leave(tenant);
    tenant_unref(tenant);
}

static void submit_some(lane_t *lane)
{
    int n = PER_TICK;

    if (random_range(&lane->random, 0, 499) == 0)
        n = BURST;
    while (n-- > 0)
        submit_one(lane);
}

static void begin(void *arg)
{
    submit_some(arg);
}

static bool tick(void *arg)
{
    lane_t *lane = arg;

    if (!atomic_load(&lane->soak->is_ending))
        submit_some(lane);
    return atomic_load(&lane->soak->is_over);
}

static void *loop_main(void *arg)
{
    lane_t *lane = arg;

    lane->longest_gap_us = heartbeat_run(lane->dispatcher, begin, tick, lane);
    return NULL;
}

/* ------------------------------------------------------------ the waiter */

static int ask_some(lane_t *lane, op_t **ops, stator_future_t **futures)
{
    uint64_t *random = &lane->random;
    int n = 0;

    for (int i = 0; i < AT_ONCE; i++) {
        op_kind_t kind = (op_kind_t)random_range(random, 0, OP_BULK);
        tenant_t *tenant =
            tenant_enter(pick_backend(lane->soak, random));

        if (tenant == NULL)
            continue;
        ops[n] = op_new(lane, random, tenant, kind, op_span(kind, random));
        if (ops[n] != NULL) {
            futures[n] = op_ask(ops[n]);
            n++;
        }
        tenant_leave(tenant);
        tenant_unref(tenant);
    }
    return n;
}

static void blame_wait(const op_t *op, stator_future_t *future, int failed)
{
    ledger_blame(op->lane->soak->ledger,
                 "%s %" PRId64 " on %s: after %" PRId64 " ms the wait answers "
                 "%d; state %d, phase %d, timeoutMS %" PRId64 ", its client "
                 "is %s",
                 op_names[op->kind], op->number, op->tenant->backend->name,
                 (wire_now_us() - op->begun_us) / 1000, failed,
                 (int)stator_future_poll(future),
                 (int)stator_future_phase(future), op->timeout_ms,
                 atomic_load(&op->tenant->is_closing) ? "closed" : "open");
}

static void *waiter_main(void *arg)
{
    stator_future_t *futures[AT_ONCE];
    lane_t *lane = arg;
    soak_t *soak = lane->soak;
    op_t *ops[AT_ONCE];

    while (!atomic_load(&soak->is_ending)) {
        int n = ask_some(lane, ops, futures);

        for (int i = 0; i < n; i++) {
            int failed =
                stator_future_wait(futures[i], wire_patience_ms(SETTLE_MS));

            atomic_fetch_add(&soak->waits, 1);
            if (failed == 0)
                op_judge(ops[i], futures[i]);
            else
                blame_wait(ops[i], futures[i], failed);
            stator_future_unref(futures[i]);
            op_free(ops[i]);
        }
        nap_us(random_range(&lane->random, 0, 10000));
    }
    return NULL;
}

/* --------------------------------------------------------- the canceller */

void lanes_expose(soak_t *soak, uint64_t *random, stator_future_t *future,
                  int64_t number, int span)
{
    exposed_t *place = &soak->exposed[random_range(random, 0,
                                                   EXPOSED_MAX - 1)];
    exposed_t old;

    pthread_mutex_lock(&soak->lock);
    old = *place;
    *place = (exposed_t){stator_future_ref(future), number, span};
    pthread_mutex_unlock(&soak->lock);
    stator_future_unref(old.future);
}

static void take_exposed(soak_t *soak, int i, exposed_t *out)
{
    pthread_mutex_lock(&soak->lock);
    *out = soak->exposed[i];
    soak->exposed[i].future = NULL;
    pthread_mutex_unlock(&soak->lock);
}

void lanes_hide_all(soak_t *soak)
{
    exposed_t one;

    for (int i = 0; i < EXPOSED_MAX; i++) {
        take_exposed(soak, i, &one);
        stator_future_unref(one.future);
    }
}

static void *canceller_main(void *arg)
{
    lane_t *lane = arg;
    soak_t *soak = lane->soak;
    exposed_t one;

    while (!atomic_load(&soak->is_ending)) {
        take_exposed(soak,
                     (int)random_range(&lane->random, 0, EXPOSED_MAX - 1),
                     &one);
        if (one.future != NULL)
            op_cancel(soak, one.future, one.number, one.span);
        stator_future_unref(one.future);
        nap_us(random_range(&lane->random, 0, 3000));
    }
    return NULL;
}

/* ------------------------------------------------------------------ life */

static bool lane_start(soak_t *soak, lane_t *lane, uint64_t *seed,
                       void *(*run)(void *), bool has_dispatcher)
{
    bson_error_t error;

    lane->soak = soak;
    lane->random = random_next(seed);
    if (has_dispatcher)
        lane->dispatcher = stator_dispatcher_new(&error);
    if (has_dispatcher && lane->dispatcher == NULL) {
        fprintf(stderr, "soak: %s\n", error.message);
        return false;
    }
    if (run == NULL)
        return true;
    if (pthread_create(&lane->thread, NULL, run, lane) == 0)
        return true;
    perror("soak: pthread_create");
    return false;
}

bool lanes_start(soak_t *soak, uint64_t seed)
{
    /* Each loop attaches to the other's dispatcher: these come first. */
    for (int i = 0; i < SOAK_LOOPS; i++)
        if (!lane_start(soak, &soak->loops[i], &seed, NULL, true))
            return false;
    for (int i = 0; i < SOAK_LOOPS; i++)
        if (pthread_create(&soak->loops[i].thread, NULL, loop_main,
                           &soak->loops[i]) != 0)
            return false;
    return lane_start(soak, &soak->waiter, &seed, waiter_main, false) &&
           lane_start(soak, &soak->canceller, &seed, canceller_main, false);
}

int lanes_in_flight(soak_t *soak)
{
    int n = atomic_load(&soak->waiter.in_flight);

    for (int i = 0; i < SOAK_LOOPS; i++)
        n += atomic_load(&soak->loops[i].in_flight);
    return n;
}

void lanes_end(soak_t *soak)
{
    atomic_store(&soak->is_over, true);
    pthread_join(soak->waiter.thread, NULL);
    pthread_join(soak->canceller.thread, NULL);
    for (int i = 0; i < SOAK_LOOPS; i++)
        pthread_join(soak->loops[i].thread, NULL);
    for (int i = 0; i < SOAK_LOOPS; i++)
        stator_dispatcher_unref(soak->loops[i].dispatcher);
    for (int i = 0; i < SOAK_LOOPS; i++)
        for (int k = 0; k < GRAVES; k++)
            op_destroy(soak->loops[i].graves[k]);
    lanes_hide_all(soak);
}
