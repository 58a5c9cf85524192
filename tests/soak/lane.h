/* SPDX-License-Identifier: Apache-2.0 */
/* lane.h - the threads of a soak.
 *
 *   loop 0, loop 1   an event loop and a dispatcher each: submit at every
 *                    tick, judge in continuations
 *   waiter           submits and waits
 *   canceller        cancels whatever it finds exposed
 *   director         (the main thread) faults, resizes, closes, new clients
 */
#ifndef STATOR_TESTS_LANE_H
#define STATOR_TESTS_LANE_H

#include <pthread.h>
#include <stdatomic.h>

#include <stator/stator.h>

#include "tests/soak/backend.h"
#include "tests/soak/ledger.h"

enum { SOAK_LOOPS = 2, SOAK_BACKENDS = 3, EXPOSED_MAX = 64, SOAK_KINDS = 20,
       GRAVES = 4096 };

typedef struct soak soak_t;

typedef struct lane {
    soak_t *soak;
    stator_dispatcher_t *dispatcher; /* NULL: the waiter */
    pthread_t thread;
    uint64_t random; /* this thread's */
    atomic_int in_flight;
    int64_t longest_gap_us;
    /* Composed operations that are over: a chain that was cancelled may yet
     * run its function, whose argument they are. */
    void *graves[GRAVES];
    unsigned n_buried;
} lane_t;

/* Futures that the canceller may take. */
typedef struct exposed {
    stator_future_t *future;
    int64_t number;
    int span;
} exposed_t;

struct soak {
    ledger_t *ledger;
    backend_t backends[SOAK_BACKENDS];
    int n_backends;
    lane_t loops[SOAK_LOOPS];
    lane_t waiter, canceller;
    atomic_bool is_ending;   /* nothing new is submitted */
    atomic_bool is_over;     /* the loops end */

    pthread_mutex_t lock;
    exposed_t exposed[EXPOSED_MAX];

    atomic_llong by_kind[SOAK_KINDS];
    atomic_llong cancels_asked, cancels_took;
    atomic_llong cancelled_queued, cancelled_running;
    atomic_llong deadlines, expired, latest_expiry_us;
    atomic_llong waits, documents, cursors, errors_network, errors_server;
    atomic_llong driver_warnings;
};

/* Start the four threads. */
bool lanes_start(soak_t *soak, uint64_t seed);
/* End them, once nothing is in flight any more. */
void lanes_end(soak_t *soak);
int lanes_in_flight(soak_t *soak);

/* Show `future` to the canceller. */
void lanes_expose(soak_t *soak, uint64_t *random, stator_future_t *future,
                  int64_t number, int span);
void lanes_hide_all(soak_t *soak);

void lane_max(atomic_llong *max, int64_t value);

#endif /* STATOR_TESTS_LANE_H */
