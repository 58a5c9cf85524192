/* SPDX-License-Identifier: Apache-2.0 */
/* heartbeat.h - an epoll loop that ticks, and how regularly it does.
 *
 *   epoll set --+-- timerfd, 10 ms --> a tick: how long since the last one?
 *               +-- dispatcher ------> continuations
 */
#ifndef STATOR_TESTS_HEARTBEAT_H
#define STATOR_TESTS_HEARTBEAT_H

#include <stdbool.h>
#include <stdint.h>

#include <stator/dispatcher.h>

/* Run a loop on this thread: after a few ticks call `begin`, from then on
 * `tick` at every tick until it answers true, and end a few ticks later.  The
 * largest gap between two ticks, in microseconds; -1 with a line on stderr
 * when the loop can not be set up. */
int64_t heartbeat_run(stator_dispatcher_t *dispatcher,
                      void (*begin)(void *arg), bool (*tick)(void *arg),
                      void *arg);

/* The clock that it reads. */
int64_t heartbeat_now_us(void);

#endif
