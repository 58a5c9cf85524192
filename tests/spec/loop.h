/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - the program's event loop: one thread, one dispatcher.
 *
 * All continuations of all files that run at a time meet here, as in a
 * program with one loop. */
#ifndef TESTS_SPEC_LOOP_H
#define TESTS_SPEC_LOOP_H

#include <pthread.h>
#include <stator/dispatcher.h>
#include <stdbool.h>

typedef struct loop {
    pthread_t thread;
    stator_dispatcher_t *dispatcher;
    bool stop; /* the loop's own */
} loop_t;

/* False: `error` says why. */
bool loop_start(loop_t *loop, bson_error_t *error);
void loop_stop(loop_t *loop);

#endif
