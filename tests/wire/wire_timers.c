/* SPDX-License-Identifier: Apache-2.0 */
/* wire_timers.c - a binary heap behind one timerfd.
 *
 * T1  If the heap is not empty, the fd becomes readable when its first is due
 *     or earlier.  Earlier is harmless: removal leaves the fd as it was set. */
#include "tests/wire/wire_timers.h"

#include <bson/bson.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

int64_t wire_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int wire_timers_init(wire_timers_t *timers)
{
    timers->heap = NULL;
    timers->size = timers->room = 0;
    timers->armed_us = INT64_MAX;
    timers->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return timers->fd < 0 ? -1 : 0;
}

void wire_timers_clear(wire_timers_t *timers)
{
    bson_free(timers->heap);
    if (timers->fd >= 0)
        close(timers->fd);
}

static void arm(wire_timers_t *timers, int64_t due_us)
{
    struct itimerspec when = {
        .it_value = {.tv_sec = due_us / 1000000,
                     .tv_nsec = due_us % 1000000 * 1000},
    };

    timerfd_settime(timers->fd, TFD_TIMER_ABSTIME, &when, NULL);
    timers->armed_us = due_us;
}

static void put(wire_timers_t *timers, size_t place, wire_timer_t *timer)
{
    timers->heap[place] = timer;
    timer->place = place + 1;
}

static void sift_up(wire_timers_t *timers, size_t place, wire_timer_t *timer)
{
    while (place > 0) {
        size_t parent = (place - 1) / 2;

        if (timers->heap[parent]->due_us <= timer->due_us)
            break;
        put(timers, place, timers->heap[parent]);
        place = parent;
    }
    put(timers, place, timer);
}

static void sift_down(wire_timers_t *timers, size_t place, wire_timer_t *timer)
{
    for (;;) {
        size_t child = 2 * place + 1;

        if (child >= timers->size)
            break;
        if (child + 1 < timers->size &&
            timers->heap[child + 1]->due_us < timers->heap[child]->due_us)
            child++;
        if (timer->due_us <= timers->heap[child]->due_us)
            break;
        put(timers, place, timers->heap[child]);
        place = child;
    }
    put(timers, place, timer);
}

void wire_timers_add(wire_timers_t *timers, wire_timer_t *timer, int64_t us)
{
    if (timers->size == timers->room) {
        timers->room = timers->room ? 2 * timers->room : 64;
        timers->heap = bson_realloc(timers->heap,
                                    timers->room * sizeof *timers->heap);
    }
    timer->due_us = wire_now_us() + us;
    sift_up(timers, timers->size++, timer);
    if (timers->heap[0]->due_us < timers->armed_us)
        arm(timers, timers->heap[0]->due_us);
}

void wire_timers_remove(wire_timers_t *timers, wire_timer_t *timer)
{
    size_t place = timer->place;
    wire_timer_t *last;

    if (place == 0)
        return;
    timer->place = 0;
    last = timers->heap[--timers->size];
    if (last == timer)
        return;
    sift_down(timers, place - 1, last);
    sift_up(timers, last->place - 1, last);
}

wire_timer_t *wire_timers_due(wire_timers_t *timers)
{
    wire_timer_t *first = timers->size ? timers->heap[0] : NULL;
    int64_t now = wire_now_us();
    uint64_t expirations;

    if (first != NULL && first->due_us <= now) {
        wire_timers_remove(timers, first);
        return first;
    }
    if (timers->armed_us <= now) {
        /* It has fired: unread, it would stay readable for ever. */
        if (read(timers->fd, &expirations, sizeof expirations) < 0)
            expirations = 0;
        timers->armed_us = INT64_MAX;
    }
    if (first != NULL && first->due_us < timers->armed_us)
        arm(timers, first->due_us);
    return NULL;
}
