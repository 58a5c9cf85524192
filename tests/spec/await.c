/* SPDX-License-Identifier: Apache-2.0 */
/* await.c - the three ways to meet a future.
 *
 * What has not settled after two minutes never will: it is cancelled, which
 * settles it at once, so that nothing of it runs on below a test that has
 * ended. */
#include "tests/spec/await.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

enum { PATIENCE_S = 120 };

wait_mode_t await_mode(wait_mode_t mode, unsigned *turn)
{
    static const wait_mode_t modes[] = {MODE_POLL, MODE_WAIT, MODE_THEN};

    unsigned now = (*turn)++;

    return mode == MODE_MIXED ? modes[now % 3] : mode;
}

static bool settled(const stator_future_t *future)
{
    return stator_future_poll(future) != STATOR_FUTURE_PENDING;
}

static bool by_poll(stator_future_t *future)
{
    const struct timespec nap = {.tv_nsec = 50 * 1000};
    time_t end = time(NULL) + PATIENCE_S;

    while (!settled(future)) {
        if (time(NULL) > end)
            return false;
        nanosleep(&nap, NULL);
    }
    return true;
}

static bool by_wait(stator_future_t *future)
{
    return stator_future_wait(future, PATIENCE_S * 1000) == 0;
}

static void wake(stator_future_t *future, void *arg)
{
    (void)future;
    sem_post(arg);
}

static bool sem_wait_until(sem_t *woken, time_t seconds)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += seconds;
    while (sem_timedwait(woken, &end) != 0)
        if (errno != EINTR)
            return false;
    return true;
}

static bool by_then(stator_future_t *future, stator_dispatcher_t *dispatcher)
{
    sem_t woken;
    bool came;

    sem_init(&woken, 0, 0);
    if (stator_future_then(future, dispatcher, wake, &woken) != 0)
        return false;
    came = sem_wait_until(&woken, PATIENCE_S);
    if (!came) {
        stator_future_cancel(future);
        if (!sem_wait_until(&woken, PATIENCE_S))
            abort(); /* it would post to a frame that has gone */
    }
    sem_destroy(&woken);
    return came;
}

bool await_future(stator_future_t *future, wait_mode_t mode,
                  stator_dispatcher_t *dispatcher, verdict_t *verdict)
{
    bool came = false;

    switch (mode) {
    case MODE_POLL:
        came = by_poll(future);
        break;
    case MODE_THEN:
        came = by_then(future, dispatcher);
        break;
    case MODE_WAIT:
    case MODE_MIXED:
        came = by_wait(future);
        break;
    }
    if (came && settled(future))
        return true;
    if (came)
        return verdict_fail(verdict, "a future that was awaited is pending");
    stator_future_cancel(future);
    return verdict_fail(verdict, "a future did not settle in %d s",
                        PATIENCE_S);
}
