/* SPDX-License-Identifier: Apache-2.0 */
/* stopwatch.h - bounds of time on a machine that now and then stands still.
 *
 * Beside the tests runs a process that does nothing but wake every 5 ms.  When
 * it wakes late, nobody's code can be blamed for being late as well: a
 * stopwatch leaves that time out, and an attempt at a bound that fell into it
 * is made again.
 *
 *     int64_t figure;
 *
 *     for (chances_t c = {0}; chances_next(&c);)
 *         if ((figure = measure()) <= bound)
 *             return;
 *     ck_abort_msg("%d, three times above the bound", figure);
 */
#ifndef STATOR_TESTS_STOPWATCH_H
#define STATOR_TESTS_STOPWATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Of the test program's main, before the first test and after the last.
 * Without them the machine is taken to be always awake. */
void stopwatch_begin(void);
void stopwatch_end(void);
/* That process; 0: there is none. */
pid_t stopwatch_ticker(void);

/* Microseconds of CLOCK_MONOTONIC. */
int64_t stopwatch_now_us(void);

typedef struct stopwatch {
    int64_t since, stalled; /* since: stopwatch_now_us */
} stopwatch_t;

stopwatch_t stopwatch_start(void);
/* Microseconds since then in which the machine was awake. */
int64_t stopwatch_us(const stopwatch_t *watch);
/* Microseconds since then in which it stood still; below 10 ms at a time they
 * are not seen. */
int64_t stopwatch_stalled_us(const stopwatch_t *watch);

/* Three chances to keep a bound; one in which the machine stood still is none,
 * but for the thirtieth. */
typedef struct chances {
    int taken, lost;
    stopwatch_t watch;
} chances_t;

bool chances_next(chances_t *chances);

#endif /* STATOR_TESTS_STOPWATCH_H */
