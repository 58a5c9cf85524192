/* SPDX-License-Identifier: Apache-2.0 */
/* stage.h - where a scene of the heartbeat test is played: a server, a
 * client, a dispatcher, and counts of what has come back. */
#ifndef STATOR_TESTS_STAGE_H
#define STATOR_TESTS_STAGE_H

#include <pthread.h>
#include <semaphore.h>

#include <stator/stator.h>

#include "tests/harness/stopwatch.h"
#include "tests/wire/wire.h"

enum { STAGE_WORKERS = 4 };

typedef struct scene scene_t;

typedef struct stage {
    const scene_t *scene;
    stator_dispatcher_t *dispatcher;
    wire_server_t *server;
    wire_gate_t *gate;
    char uri[WIRE_URI_SIZE];

    stator_client_t *client;
    stator_collection_t *collection;
    pthread_t threads[2];
    sem_t room;
    stopwatch_t watch; /* from the beginning */
    int arrived, done, dropped; /* continuations; of them DONE; freed only */
    bool closing, closed;
    int act;       /* which part of the scene */
    int act_ticks; /* ticks since it began */
} stage_t;

struct scene {
    const char *name;
    void (*prepare)(stage_t *stage); /* before the clock counts */
    void (*begin)(stage_t *stage);   /* on the loop */
    bool (*tick)(stage_t *stage);    /* on the loop; true: it is over */
};

/* ---- before the clock counts ------------------------------------------- */

/* `extra`: options of its URI, or NULL. */
void stage_start_server(stage_t *stage, const wire_options_t *options,
                        const char *extra);

/* A server that holds every find at a gate. */
void stage_gate_server(stage_t *stage);

/* ---- on the loop ------------------------------------------------------- */

void stage_open_client(stage_t *stage);
void stage_close_client(stage_t *stage, const char *mode, int timeout_ms);

/* Close unless that was done, and say whether it is over; then the handles
 * are given back. */
bool stage_is_closed(stage_t *stage, const char *mode, int timeout_ms);

/* Give the handles back. */
void stage_release(stage_t *stage);

/* `n` pings that must settle within half a second; `n` find_one's. */
void stage_ping(stage_t *stage, int n);
void stage_find(stage_t *stage, int n);

/* Takes the reference of `future`. */
void stage_attach(stage_t *stage, stator_future_t *future,
                  stator_then_fn *fn);

/* Count what `arg`, a stage, has got. */
void stage_on_settled(stator_future_t *future, void *arg);
void stage_on_dropped(void *arg);

#endif
