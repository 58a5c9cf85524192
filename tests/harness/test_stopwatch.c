/* SPDX-License-Identifier: Apache-2.0 */
/* test_stopwatch.c - a machine that stands still is played by stopping who
 * watches over it. */
#include "tests/harness/stopwatch.h"

#include <signal.h>
#include <time.h>

#include "tests/harness/suite.h"

enum { STALL_MS = 100 };

static void nap(int ms)
{
    const struct timespec t = {.tv_nsec = ms * 1000000L};

    nanosleep(&t, NULL);
}

static void stand_still(void)
{
    ck_assert_int_gt(stopwatch_ticker(), 0);
    ck_assert_int_eq(kill(stopwatch_ticker(), SIGSTOP), 0);
    nap(STALL_MS);
    ck_assert_int_eq(kill(stopwatch_ticker(), SIGCONT), 0);
}

START_TEST(a_stall_is_left_out)
{
    stopwatch_t watch = stopwatch_start();
    int64_t awake, took;

    stand_still();
    awake = stopwatch_us(&watch);
    took = stopwatch_now_us() - watch.since;
    ck_assert_int_ge(took - awake, (STALL_MS - 20) * 1000);
    ck_assert_int_ge(stopwatch_stalled_us(&watch), (STALL_MS - 20) * 1000);
}
END_TEST

START_TEST(what_is_slow_itself_is_not)
{
    for (chances_t c = {0}; chances_next(&c);) {
        stopwatch_t watch = stopwatch_start();

        nap(STALL_MS);
        if (stopwatch_us(&watch) >= STALL_MS * 1000)
            return;
    }
    ck_abort_msg("a nap is taken for a stall");
}
END_TEST

/* Of a bound that is never kept: how often it is tried when the machine
 * stands still in the first `n_stalls` attempts. */
static int attempts(int n_stalls)
{
    int n = 0;

    for (chances_t c = {0}; chances_next(&c);)
        if (n++ < n_stalls)
            stand_still();
    return n;
}

START_TEST(three_chances_and_those_that_were_none)
{
    /* More, when the machine does stand still meanwhile. */
    ck_assert_int_ge(attempts(0), 3);
    ck_assert_int_ge(attempts(2), 5);
    ck_assert_int_eq(attempts(100), 30);
}
END_TEST

SUITE(stopwatch)
{
    tcase_add_test(tc, a_stall_is_left_out);
    tcase_add_test(tc, what_is_slow_itself_is_not);
    tcase_add_test(tc, three_chances_and_those_that_were_none);
}
