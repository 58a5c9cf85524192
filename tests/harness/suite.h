/* SPDX-License-Identifier: Apache-2.0 */
/* suite.h - how a test file registers itself with its test program.
 *
 *     #include "tests/harness/suite.h"
 *
 *     START_TEST(settles_once)
 *     {
 *         if (getenv("STATOR_TEST_URI") == NULL)
 *             SKIP("STATOR_TEST_URI is not set");
 *         ...
 *     }
 *     END_TEST
 *
 *     SUITE(future)
 *     {
 *         tcase_add_test(tc, settles_once);
 *         tcase_set_timeout(tc, 400);             (the default is 240 s)
 *
 *         TCase *slow = suite_case("future_slow"); (more cases, if needed)
 *         tcase_add_checked_fixture(slow, setup, teardown);
 *         tcase_add_test(slow, ...);
 *     }
 *
 * One file, one suite, named after the file's subject.  What lies below
 * tests/futures/ runs in check_futures, without the driver; all else runs in
 * check_stator.  No list has to be edited.
 */
#ifndef STATOR_TESTS_SUITE_H
#define STATOR_TESTS_SUITE_H

#include <check.h>

/* Seconds that a test may take unless its case says otherwise.  Check itself
 * multiplies it by CK_TIMEOUT_MULTIPLIER, which slow builds set. */
#define SUITE_TIMEOUT 240

typedef void suite_build_fn(TCase *tc);

typedef struct suite {
    const char *name;
    suite_build_fn *build;
    struct suite *next;
} suite_t;

#define SUITE(subject)                                                         \
    static void suite_build_##subject(TCase *tc);                              \
    __attribute__((constructor)) static void suite_register_##subject(void)    \
    {                                                                          \
        static suite_t suite = {#subject, suite_build_##subject, NULL};        \
        suite_register(&suite);                                                \
    }                                                                          \
    static void suite_build_##subject(TCase *tc)

/* Leave a test that cannot run here; the reason, in printf form, is shown
 * before the summary.  Only in the test function itself: it returns. */
#define SKIP(...)                                                              \
    do {                                                                       \
        suite_skip(__func__, __VA_ARGS__);                                     \
        return;                                                                \
    } while (0)

void suite_register(suite_t *suite);

/* One more case in the suite that is being built, with the usual timeout. */
TCase *suite_case(const char *name);

void suite_skip(const char *function, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
