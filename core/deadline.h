/* SPDX-License-Identifier: Apache-2.0 */
/* core/deadline.h - instants in order: a pairing heap of nodes that lie in
 * what they belong to, so that entering one can not fail.
 *
 * Entering costs a comparison, taking out O(log n) amortised.  No locking:
 * the keeper's lock guards its heap. */
#ifndef STC_DEADLINE_H
#define STC_DEADLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stc_deadline {
    int64_t at; /* CLOCK_MONOTONIC, nanoseconds; STF_NO_DEADLINE: none */
    struct stc_deadline *child;
    struct stc_deadline *next;     /* sibling */
    struct stc_deadline *previous; /* sibling, or the parent of a first */
    bool entered;
};

struct stc_deadlines {
    struct stc_deadline *first; /* the earliest */
};

/* Answers whether it is the earliest now. */
bool stc_deadline_enter(struct stc_deadlines *all, struct stc_deadline *d);
/* Answers whether it was entered. */
bool stc_deadline_remove(struct stc_deadlines *all, struct stc_deadline *d);

#endif /* STC_DEADLINE_H */
