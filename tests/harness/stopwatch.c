/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/harness/stopwatch.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TICK_US = 5000, LATE_US = 10000, CHANCES = 3, ATTEMPTS = 30 };

/* What tests, in processes of their own, share with the one that ticks. */
static atomic_llong *stalled_us;
static pid_t ticker;

int64_t stopwatch_now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void tick_forever(pid_t parent)
{
    const struct timespec tick = {.tv_nsec = TICK_US * 1000L};
    int64_t last = stopwatch_now_us();

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN); /* the parent's to handle */
    while (getppid() == parent) {
        int64_t now, late;

        nanosleep(&tick, NULL);
        now = stopwatch_now_us();
        late = now - last - TICK_US;
        if (late >= LATE_US)
            atomic_fetch_add(stalled_us, late);
        last = now; /* so that nothing falls between two ticks */
    }
    _exit(0);
}

void stopwatch_begin(void)
{
    pid_t parent = getpid();
    void *page = mmap(NULL, sizeof *stalled_us, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED) {
        perror("mmap");
        exit(EXIT_FAILURE);
    }
    stalled_us = page;
    ticker = fork();
    if (ticker == 0)
        tick_forever(parent);
    if (ticker < 0) {
        perror("fork");
        exit(EXIT_FAILURE);
    }
}

void stopwatch_end(void)
{
    if (ticker <= 0)
        return;
    kill(ticker, SIGKILL);
    waitpid(ticker, NULL, 0);
    ticker = 0;
}

pid_t stopwatch_ticker(void)
{
    return ticker;
}

stopwatch_t stopwatch_start(void)
{
    return (stopwatch_t){
        .since = stopwatch_now_us(),
        .stalled = stalled_us == NULL ? 0 : atomic_load(stalled_us),
    };
}

/* One that has just woken from a stall may look before the ticker has. */
int64_t stopwatch_stalled_us(const stopwatch_t *watch)
{
    struct timespec turn = {.tv_nsec = 2 * TICK_US * 1000L};

    if (stalled_us == NULL)
        return 0;
    while (nanosleep(&turn, &turn) != 0) /* tests send signals */
        continue;
    return atomic_load(stalled_us) - watch->stalled;
}

int64_t stopwatch_us(const stopwatch_t *watch)
{
    int64_t took = stopwatch_now_us() - watch->since;
    int64_t awake = took - stopwatch_stalled_us(watch);

    return awake > 0 ? awake : 0;
}

bool chances_next(chances_t *chances)
{
    if (chances->taken + chances->lost > 0) {
        int64_t stalled = stopwatch_stalled_us(&chances->watch);

        if (stalled > 0) {
            printf("  the machine stood still for %lld ms: no chance\n",
                   (long long)(stalled / 1000));
            chances->lost++;
            chances->taken--;
        }
    }
    if (chances->taken == CHANCES || chances->taken + chances->lost == ATTEMPTS)
        return false;
    chances->taken++;
    chances->watch = stopwatch_start();
    return true;
}
