/* SPDX-License-Identifier: Apache-2.0 */
/* heartbeat.h - a 10 ms tick on a loop, and the longest it had to wait. */
#ifndef CLI_HEARTBEAT_H
#define CLI_HEARTBEAT_H

#include <stdbool.h>
#include <stdint.h>

enum { HEARTBEAT_MS = 10, HEARTBEAT_TRACE = 24 };

typedef struct heartbeat {
    int fd; /* a timerfd: readable when the next tick is due */
    int64_t last;    /* tick, microseconds */
    int64_t longest; /* between two ticks */
    int64_t ticks;
    char trace[HEARTBEAT_TRACE + 1]; /* the latest ticks, a character each */
} heartbeat_t;

/* false: errno. */
bool heartbeat_open(heartbeat_t *heartbeat);
void heartbeat_close(heartbeat_t *heartbeat);

/* Count from now on. */
void heartbeat_start(heartbeat_t *heartbeat);

/* The descriptor is readable: a tick.  false: it was not. */
bool heartbeat_tick(heartbeat_t *heartbeat);

/* No more ticks; the wait since the last one counts too. */
void heartbeat_stop(heartbeat_t *heartbeat);

#endif
