/* SPDX-License-Identifier: Apache-2.0 */
/* test_soak.c - a short soak among the tests; `make soak` is the long one. */
#include "tests/soak/soak.h"

#include <stdlib.h>

#include "tests/core/support.h"

enum { SECONDS = UNDER_ASAN || UNDER_TSAN ? 20 : 60, AROUND_IT = 240 };

START_TEST(nothing_is_lost)
{
    soak_options_t options = {
        .seconds = soak_seconds(SECONDS),
        .seed = 20221122,
        .uri = getenv("STATOR_TEST_URI"),
    };

    ck_assert_int_eq(soak_run(&options, stdout), 0);
}
END_TEST

SUITE(soak)
{
    tcase_set_timeout(tc, soak_seconds(SECONDS) + AROUND_IT);
    tcase_add_test(tc, nothing_is_lost);
}
