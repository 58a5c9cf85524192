/* SPDX-License-Identifier: Apache-2.0 */
/* test_deadline.c - the pairing heap against a plain array. */
#include "tests/harness/suite.h"

#include <stdlib.h>

#include "core/deadline.h"

enum { N_NODES = 500, N_STEPS = 100000 };

/* A small generator of our own: the same run everywhere. */
static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static int64_t earliest_of(const struct stc_deadline *nodes)
{
    int64_t earliest = INT64_MAX;

    for (int i = 0; i < N_NODES; i++)
        if (nodes[i].entered && nodes[i].at < earliest)
            earliest = nodes[i].at;
    return earliest;
}

static void ck_heap(const struct stc_deadlines *all,
                    const struct stc_deadline *nodes)
{
    int64_t earliest = earliest_of(nodes);

    if (earliest == INT64_MAX) {
        ck_assert_ptr_null(all->first);
        return;
    }
    ck_assert_ptr_nonnull(all->first);
    ck_assert(all->first->entered);
    ck_assert_int_eq(all->first->at, earliest);
}

/* `range` of instants: a small one makes many of them equal. */
static void random_walk(uint64_t seed, uint32_t range)
{
    static struct stc_deadline nodes[N_NODES];
    struct stc_deadlines all = {NULL};

    for (int i = 0; i < N_NODES; i++)
        nodes[i] = (struct stc_deadline){0};
    for (int step = 0; step < N_STEPS; step++) {
        struct stc_deadline *d = &nodes[next_random(&seed) % N_NODES];

        if (next_random(&seed) % 16 == 0 && all.first != NULL)
            d = all.first;
        if (d->entered) {
            ck_assert(stc_deadline_remove(&all, d));
            ck_assert(!d->entered);
        } else {
            d->at = (int64_t)(next_random(&seed) % range);
            ck_assert_int_eq(stc_deadline_enter(&all, d), all.first == d);
        }
        if (step % 16 == 0)
            ck_heap(&all, nodes);
    }
    while (all.first != NULL) {
        ck_heap(&all, nodes);
        stc_deadline_remove(&all, all.first);
    }
    ck_heap(&all, nodes);
}

START_TEST(a_random_walk_keeps_the_order)
{
    random_walk(1, UINT32_MAX);
}
END_TEST

START_TEST(equal_instants_are_no_matter)
{
    random_walk(2, 3);
}
END_TEST

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

START_TEST(a_hundred_thousand_come_out_sorted)
{
    struct stc_deadline *nodes = calloc(N_STEPS, sizeof *nodes);
    int64_t *sorted = calloc(N_STEPS, sizeof *sorted);
    struct stc_deadlines all = {NULL};
    uint64_t seed = 3;

    for (int i = 0; i < N_STEPS; i++) {
        sorted[i] = nodes[i].at = (int64_t)next_random(&seed);
        stc_deadline_enter(&all, &nodes[i]);
    }
    qsort(sorted, N_STEPS, sizeof *sorted, by_value);
    for (int i = 0; i < N_STEPS; i++) {
        ck_assert_int_eq(all.first->at, sorted[i]);
        stc_deadline_remove(&all, all.first);
    }
    ck_assert_ptr_null(all.first);
    free(sorted);
    free(nodes);
}
END_TEST

START_TEST(removing_what_is_not_in_changes_nothing)
{
    struct stc_deadlines all = {NULL};
    struct stc_deadline in = {.at = 5}, out = {.at = 1};

    ck_assert(stc_deadline_enter(&all, &in));
    ck_assert(!stc_deadline_remove(&all, &out));
    ck_assert_ptr_eq(all.first, &in);
    ck_assert(stc_deadline_remove(&all, &in));
    ck_assert(!stc_deadline_remove(&all, &in));
    ck_assert_ptr_null(all.first);
}
END_TEST

START_TEST(only_the_earliest_is_news)
{
    struct stc_deadlines all = {NULL};
    struct stc_deadline d[] = {{.at = 5}, {.at = 6}, {.at = 4}};

    ck_assert(stc_deadline_enter(&all, &d[0]));
    ck_assert(!stc_deadline_enter(&all, &d[1]));
    ck_assert(stc_deadline_enter(&all, &d[2]));
}
END_TEST

SUITE(core_deadline)
{
    tcase_add_test(tc, a_random_walk_keeps_the_order);
    tcase_add_test(tc, equal_instants_are_no_matter);
    tcase_add_test(tc, a_hundred_thousand_come_out_sorted);
    tcase_add_test(tc, removing_what_is_not_in_changes_nothing);
    tcase_add_test(tc, only_the_earliest_is_news);
}
