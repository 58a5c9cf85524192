/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard_fuzz.c - a million replies, each changed a little. */
#include "tests/harness/suite.h"

#include <stdio.h>

#include "tests/fuzz/replies.h"

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    HAS_FEATURE(address_sanitizer) || HAS_FEATURE(thread_sanitizer)
enum { N_REPLIES = 100000 };
#else
enum { N_REPLIES = 1000000 };
#endif

START_TEST(seeds_are_right)
{
    static struct bytes b;
    unsigned n = 0;

    for (unsigned i = 0; replies_seed(i, &b); i++) {
        struct outcome outcome = replies_try(b.data, b.n);

        ck_assert_msg(outcome.flaw == NULL, "seed %u: %s", i, outcome.flaw);
        ck_assert(outcome.n_taken > 0 || b.data[0] == A_REQUEST);
        n += outcome.n_taken;
    }
    ck_assert_uint_eq(n, 17);
}
END_TEST

/* replies_try ends the process when a promise is broken. */
START_TEST(a_million_changed_replies)
{
    static struct bytes seeds[32], b;
    unsigned n_seeds = 0;
    uint64_t random = 1;
    unsigned n_taken = 0, n_refused = 0, n_others = 0;

    while (replies_seed(n_seeds, &seeds[n_seeds]))
        n_seeds++;
    for (unsigned i = 0; n_refused + n_taken < N_REPLIES; i++) {
        struct outcome outcome;

        b = seeds[i % n_seeds];
        for (unsigned n = 1 + i / n_seeds % 4; n > 0; n--)
            replies_change(&b, &random);
        outcome = replies_try(b.data, b.n);
        if (outcome.flaw != NULL)
            n_refused++;
        else if (outcome.n_taken > 0)
            n_taken++;
        else /* not whole, or a request */
            n_others++;
    }
    fprintf(stderr,
            "guard: %u replies changed: %u refused, %u taken; %u others\n",
            n_refused + n_taken, n_refused, n_taken, n_others);
    ck_assert_uint_gt(n_refused, N_REPLIES / 3);
    ck_assert_uint_gt(n_taken, N_REPLIES / 20);
}
END_TEST

SUITE(guard_fuzz)
{
    tcase_add_test(tc, seeds_are_right);
    tcase_add_test(tc, a_million_changed_replies);
}
