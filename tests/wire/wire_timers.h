/* SPDX-License-Identifier: Apache-2.0 */
/* wire_timers.h - who is to be woken when: a binary heap behind one timerfd,
 * exact to some microseconds (epoll's own time-out knows milliseconds only). */
#ifndef WIRE_TIMERS_H
#define WIRE_TIMERS_H

#include <stddef.h>
#include <stdint.h>

/* Lives in what waits; zeroed is "not waiting". */
typedef struct {
    int64_t due_us; /* CLOCK_MONOTONIC */
    size_t place;   /* in the heap, from 1; 0: not waiting */
} wire_timer_t;

typedef struct {
    wire_timer_t **heap; /* heap[0] is the next one due */
    size_t size;
    size_t room;
    int fd;
    int64_t armed_us; /* what the fd is set to; INT64_MAX: nothing */
} wire_timers_t;

int64_t wire_now_us(void);

/* -1 with errno when there is no timerfd. */
int wire_timers_init(wire_timers_t *timers);
void wire_timers_clear(wire_timers_t *timers);

/* Wake `timer` in `us` from now.  It must not be waiting. */
void wire_timers_add(wire_timers_t *timers, wire_timer_t *timer, int64_t us);

/* Fine also when it is not waiting. */
void wire_timers_remove(wire_timers_t *timers, wire_timer_t *timer);

/* Take out the next one that is due; NULL when none is, and then the fd is set
 * to the one that will be. */
wire_timer_t *wire_timers_due(wire_timers_t *timers);

#endif /* WIRE_TIMERS_H */
