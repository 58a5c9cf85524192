/* SPDX-License-Identifier: Apache-2.0 */
/* test_storm.c - everything at once: futures, chains and clean-ups on one
 * dispatcher, with cancels, waits and unrefs from other threads, and the last
 * handle given back in the continuation. */
#include "tests/futures/support.h"

#include <stdlib.h>
#include <string.h>

/* Producers make promises with a chain, a clean-up and a continuation that
 * gives back the last handle; settlers, cancellers and waiters work on the
 * same futures; one thread dispatches.  At the end every count is exact. */
enum { STORM = SANITIZED ? 2000 : 10000, STORMERS = 3 };

typedef struct storm {
    stator_dispatcher_t *dispatcher;
    atomic_int then_ran, then_freed, cleaned, chained, wrong;
    atomic_int settled, cancelled, left;
} storm_t;

typedef struct cell {
    storm_t *storm;
    stator_future_t *chain; /* given back in the continuation */
    stator_future_t *source;
    int number;
} cell_t;

static stator_future_t *storm_chain(stator_future_t *future, void *arg)
{
    storm_t *storm = arg;

    atomic_fetch_add(&storm->chained, 1);
    return stator_future_ref(future);
}

static stator_future_t *storm_clean(stator_future_t *future, void *arg)
{
    storm_t *storm = arg;

    (void)future;
    atomic_fetch_add(&storm->cleaned, 1);
    return NULL;
}

static void storm_then(stator_future_t *future, void *arg)
{
    cell_t *cell = arg;
    stator_future_state_t state = stator_future_poll(future);

    if (state == STATOR_FUTURE_PENDING ||
        (state == STATOR_FUTURE_DONE &&
         document_value(future) != cell->number))
        atomic_fetch_add(&cell->storm->wrong, 1);
    stator_future_cancel(cell->source);
    stator_future_unref(cell->chain);
    stator_future_unref(cell->source);
    atomic_fetch_add(&cell->storm->then_ran, 1);
}

static void cell_free(void *arg)
{
    cell_t *cell = arg;

    atomic_fetch_add(&cell->storm->then_freed, 1);
    free(cell);
}

typedef struct claim {
    pthread_mutex_t lock;
    pthread_cond_t more;
    stator_promise_t *promise;
    stator_future_t *future;
    int number;
    bool over;
} claim_t;

static claim_t claims[STORMERS];

/* Cancels or waits for what the producer of its number has just made. */
static void *storm_meddle(void *arg)
{
    claim_t *claim = arg;

    for (int i = 0;; i++) {
        stator_future_t *future;

        pthread_mutex_lock(&claim->lock);
        while (claim->future == NULL && !claim->over)
            pthread_cond_wait(&claim->more, &claim->lock);
        future = claim->future;
        claim->future = NULL;
        pthread_mutex_unlock(&claim->lock);
        if (future == NULL)
            return NULL;
        if (i % 3 == 0)
            stator_future_cancel(future);
        else if (i % 3 == 1)
            stator_future_wait(future, PATIENCE_MS);
        stator_future_unref(future);
    }
}

typedef struct producer {
    storm_t *storm;
    claim_t *claim;
} producer_t;

static void storm_one(producer_t *producer, int number)
{
    storm_t *storm = producer->storm;
    claim_t *claim = producer->claim;
    pair_t p = pair_new();
    cell_t *cell = malloc(sizeof *cell);
    stator_future_t *middle, *tail, *old;

    middle = stator_future_chain(p.future, storm->dispatcher, storm_chain,
                                 storm);
    tail = stator_future_finally(middle, storm->dispatcher, storm_clean,
                                 storm);
    *cell = (cell_t){storm, stator_future_ref(tail),
                     stator_future_ref(p.future), number};
    if (stator_future_then_full(tail, storm->dispatcher, storm_then, cell,
                                cell_free) != 0)
        atomic_fetch_add(&storm->wrong, 1);

    pthread_mutex_lock(&claim->lock);
    old = claim->future;
    claim->future = number % 2 == 0 ? tail : middle;
    pthread_cond_signal(&claim->more);
    pthread_mutex_unlock(&claim->lock);
    stator_future_unref(old);
    stator_future_unref(number % 2 == 0 ? middle : tail);

    if (number % 5 != 0 && !pair_resolve(&p, number) &&
        !stator_promise_cancelled(p.promise))
        atomic_fetch_add(&storm->wrong, 1);
    pair_free(&p);
}

static void *storm_produce(void *arg)
{
    producer_t *producer = arg;
    claim_t *claim = producer->claim;

    for (int i = 0; i < STORM; i++)
        storm_one(producer, i);
    pthread_mutex_lock(&claim->lock);
    claim->over = true;
    pthread_cond_signal(&claim->more);
    pthread_mutex_unlock(&claim->lock);
    atomic_fetch_sub(&producer->storm->left, 1);
    return NULL;
}

START_TEST(storm)
{
    storm_t s = {.dispatcher = dispatcher_new(), .left = STORMERS};
    producer_t producers[STORMERS];
    pthread_t makers[STORMERS], meddlers[STORMERS];
    int64_t limit = now_ms() + 2 * PATIENCE_MS;

    for (int i = 0; i < STORMERS; i++) {
        memset(&claims[i], 0, sizeof claims[i]);
        pthread_mutex_init(&claims[i].lock, NULL);
        pthread_cond_init(&claims[i].more, NULL);
        producers[i] = (producer_t){&s, &claims[i]};
        makers[i] = thread_start(storm_produce, &producers[i]);
        meddlers[i] = thread_start(storm_meddle, &claims[i]);
    }
    while (s.then_freed < STORM * STORMERS && now_ms() < limit)
        ck_assert_int_ge(stator_dispatcher_run_once(s.dispatcher, 100), 0);
    for (int i = 0; i < STORMERS; i++) {
        thread_join(makers[i]);
        thread_join(meddlers[i]);
        pthread_mutex_destroy(&claims[i].lock);
        pthread_cond_destroy(&claims[i].more);
    }
    dispatch_all(s.dispatcher);
    ck_assert_int_eq(s.wrong, 0);
    ck_assert_int_eq(s.then_ran, STORM * STORMERS);
    ck_assert_int_eq(s.then_freed, STORM * STORMERS);
    ck_assert_int_eq(s.cleaned, STORM * STORMERS);
    ck_assert_int_le(s.chained, STORM * STORMERS);
    ck_assert_int_gt(s.chained, 0);
    stator_dispatcher_unref(s.dispatcher);
}
END_TEST

SUITE(storm)
{
    tcase_add_test(tc, storm);
}
