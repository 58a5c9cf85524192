/* SPDX-License-Identifier: Apache-2.0 */
/* forked.h - tests that fork: a child that is watched, and what it may say.
 *
 * Nothing is asserted in a child, for Check would have the parent's test end
 * there too: MUST writes a line on stderr and leaves with 1.  An alarm ends
 * a child that hangs. */
#ifndef STATOR_TESTS_CORE_FORKED_H
#define STATOR_TESTS_CORE_FORKED_H

#include <sys/types.h>

#include "tests/core/support.h"

enum { CHILD_SECONDS = 120 };

#define MUST(condition)                                      \
    do {                                                     \
        if (!(condition))                                    \
            child_failed(__FILE__, __LINE__, #condition);    \
    } while (0)

void child_failed(const char *file, int line, const char *condition)
    __attribute__((noreturn));

/* What a new child does first, wherever it was forked. */
void child_begin(void);
/* Wait for the end of `pid`, which must leave with 0. */
void child_must_end_well(pid_t pid);

typedef void child_fn(void *arg);
/* Run `fn` in a child, which leaves by _exit(0) if fn returns. */
void in_child(child_fn *fn, void *arg);

/* FAILED, with STATOR_ERROR_FORKED and a text.  Lent, and given back. */
bool reads_as_forked(const stator_future_t *future);
bool is_forked(stator_future_t *future);
/* Every future of it fails so; gives it back. */
bool is_forked_cursor(stator_cursor_t *cursor);

/* A client of the child's own on `uri`, end to end: ping, insert `n`
 * documents, read a cursor, close. */
void child_starts_anew(const char *uri, int n);

#endif /* STATOR_TESTS_CORE_FORKED_H */
