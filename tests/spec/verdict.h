/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.h - what is to be said of one test: passed, failed, or skipped. */
#ifndef TESTS_SPEC_VERDICT_H
#define TESTS_SPEC_VERDICT_H

#include <stdbool.h>

typedef struct verdict {
    enum { VERDICT_PASSED, VERDICT_FAILED, VERDICT_SKIPPED } kind;
    char text[1000]; /* why, if it has not passed */
} verdict_t;

/* Both always answer false, so that "return verdict_fail (..)" ends what can
 * not go on.  The first one counts: what follows it is mostly its echo. */
bool verdict_fail(verdict_t *verdict, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool verdict_skip(verdict_t *verdict, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
