/* SPDX-License-Identifier: Apache-2.0 */
/* random.h - numbers that are the same for the same seed (splitmix64). */
#ifndef STATOR_TESTS_RANDOM_H
#define STATOR_TESTS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* From `least` to `most`, both included. */
static inline int64_t random_range(uint64_t *state, int64_t least,
                                   int64_t most)
{
    uint64_t span = most > least ? (uint64_t)(most - least) : 0;

    return least + (int64_t)(random_next(state) % (span + 1));
}

/* True `n` times out of 100. */
static inline bool random_percent(uint64_t *state, int n)
{
    return random_range(state, 0, 99) < n;
}

#endif /* STATOR_TESTS_RANDOM_H */
