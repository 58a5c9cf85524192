/* SPDX-License-Identifier: Apache-2.0 */
/* heartbeat.c - measures a loop as the loop's own timer sees it. */
#include "heartbeat.h"

#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"

bool heartbeat_open(heartbeat_t *heartbeat)
{
    const struct timespec period = {.tv_nsec = HEARTBEAT_MS * 1000000L};
    const struct itimerspec timer = {period, period};

    memset(heartbeat, 0, sizeof *heartbeat);
    heartbeat->fd =
        timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (heartbeat->fd < 0)
        return false;
    return timerfd_settime(heartbeat->fd, 0, &timer, NULL) == 0;
}

void heartbeat_close(heartbeat_t *heartbeat)
{
    if (heartbeat->fd > 0)
        close(heartbeat->fd);
    heartbeat->fd = -1;
}

void heartbeat_start(heartbeat_t *heartbeat)
{
    uint64_t late;

    while (read(heartbeat->fd, &late, sizeof late) > 0)
        continue;
    heartbeat->last = clock_us();
    heartbeat->longest = 0;
    heartbeat->ticks = 0;
    memset(heartbeat->trace, ' ', HEARTBEAT_TRACE);
}

static char symbol(int64_t waited)
{
    const int64_t period = HEARTBEAT_MS * 1000L;

    if (waited <= 2 * period)
        return '.';
    if (waited <= 5 * period)
        return 'o';
    return waited <= 10 * period ? 'O' : '#';
}

static int64_t wait_until(heartbeat_t *heartbeat, int64_t now)
{
    int64_t waited = now - heartbeat->last;

    if (waited > heartbeat->longest)
        heartbeat->longest = waited;
    heartbeat->last = now;
    return waited;
}

bool heartbeat_tick(heartbeat_t *heartbeat)
{
    uint64_t due;

    if (read(heartbeat->fd, &due, sizeof due) < 0)
        return false;
    memmove(heartbeat->trace, heartbeat->trace + 1, HEARTBEAT_TRACE - 1);
    heartbeat->trace[HEARTBEAT_TRACE - 1] =
        symbol(wait_until(heartbeat, clock_us()));
    heartbeat->ticks++;
    return true;
}

void heartbeat_stop(heartbeat_t *heartbeat)
{
    wait_until(heartbeat, clock_us());
}
