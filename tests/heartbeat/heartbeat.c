/* SPDX-License-Identifier: Apache-2.0 */
/* heartbeat.c - an epoll loop that ticks, and how regularly it does. */
#include "tests/heartbeat/heartbeat.h"

#include <stdio.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <stator/adapters/epoll.h>

enum { TICK_NS = 10000000, BEFORE = 5, AFTER = 5 };

int64_t heartbeat_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool set_up(int epfd, int timer, stator_dispatcher_t *dispatcher)
{
    const struct itimerspec every = {{0, TICK_NS}, {0, TICK_NS}};
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = NULL}};

    return timerfd_settime(timer, 0, &every, NULL) == 0 &&
           epoll_ctl(epfd, EPOLL_CTL_ADD, timer, &event) == 0 &&
           (errno = stator_epoll_attach(dispatcher, epfd)) == 0;
}

static bool ticked(int timer)
{
    uint64_t expired;

    return read(timer, &expired, sizeof expired) == sizeof expired;
}

int64_t heartbeat_run(stator_dispatcher_t *dispatcher,
                      void (*begin)(void *arg), bool (*tick)(void *arg),
                      void *arg)
{
    int epfd = epoll_create1(EPOLL_CLOEXEC);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int64_t largest = -1, last = heartbeat_now_us();
    int ticks = 0, end = 0;

    if (!set_up(epfd, timer, dispatcher)) {
        perror("heartbeat");
        end = -1;
    }
    while (end == 0 || ticks < end) {
        struct epoll_event event;
        int64_t now;

        if (epoll_wait(epfd, &event, 1, -1) != 1)
            continue;
        if (event.data.ptr == dispatcher) {
            stator_dispatcher_dispatch(dispatcher, STATOR_DISPATCH_BUDGET);
            continue;
        }
        if (!ticked(timer))
            continue;
        now = heartbeat_now_us();
        largest = now - last > largest ? now - last : largest;
        last = now;
        if (++ticks == BEFORE)
            begin(arg);
        else if (ticks > BEFORE && end == 0 && tick(arg))
            end = ticks + AFTER;
    }
    stator_epoll_detach(dispatcher);
    close(timer);
    close(epfd);
    return largest;
}
