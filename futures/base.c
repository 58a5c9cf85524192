/* SPDX-License-Identifier: Apache-2.0 */
/* futures/base.c - clock, forks, the thread-local, futex. */
#include "futures/base.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_uint generation;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_watching; /* false: no memory for a handler of forks */
static _Thread_local struct stf_thread this_thread;

int64_t stf_deadline_after_ms(int64_t timeout_ms)
{
    int64_t now;

    if (timeout_ms < 0)
        return STF_NO_DEADLINE;
    now = stf_now_ns();
    if (timeout_ms > (INT64_MAX - now) / 1000000 - 1)
        return STF_NO_DEADLINE;
    return now + timeout_ms * 1000000;
}

int stf_poll_timeout(int64_t deadline_ns)
{
    int64_t left;

    if (deadline_ns == STF_NO_DEADLINE)
        return -1;
    left = deadline_ns - stf_now_ns();
    if (left <= 0)
        return 0;
    left = left / 1000000 + (left % 1000000 != 0);
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

static void in_child(void)
{
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
    /* A fork from within a dispatch: the child is in none. */
    this_thread = (struct stf_thread){0};
}

static void watch_forks(void)
{
    is_watching = pthread_atfork(NULL, NULL, in_child) == 0;
}

uint32_t stf_generation(void)
{
    pthread_once(&once, watch_forks);
    if (!is_watching) /* a child has another number too, if asked for it */
        return (uint32_t)getpid();
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

struct stf_thread *stf_thread(void)
{
    return &this_thread;
}

void stf_futex_wait(const void *word, uint32_t value, int64_t deadline_ns)
{
    struct timespec until;

    if (deadline_ns != STF_NO_DEADLINE) {
        until.tv_sec = deadline_ns / 1000000000;
        until.tv_nsec = deadline_ns % 1000000000;
    }
    /* FUTEX_WAIT_BITSET takes an instant of CLOCK_MONOTONIC, not a span. */
    (void)syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG,
                  value, deadline_ns == STF_NO_DEADLINE ? NULL : &until, NULL,
                  FUTEX_BITSET_MATCH_ANY);
}

void stf_futex_wake(const void *word, int count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count,
                  NULL, NULL, 0);
}
