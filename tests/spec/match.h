/* SPDX-License-Identifier: Apache-2.0 */
/* match.h - does a value that came fit the one that a test expects? */
#ifndef TESTS_SPEC_MATCH_H
#define TESTS_SPEC_MATCH_H

#include <bson/bson.h>
#include <stdbool.h>

#include "tests/spec/verdict.h"

typedef struct entities entities_t;

typedef enum {
    MATCH_NESTED,    /* no field more than expected */
    MATCH_ROOT,      /* a document may have more of them */
    MATCH_ROOT_LIST  /* an array whose documents may */
} match_rule_t;

/* Where and in what a match failed goes to `verdict`.  `actual` NULL: there
 * is no value.  `what` names what is compared. */
bool match_value(const char *what, const bson_iter_t *expected,
                 const bson_iter_t *actual, match_rule_t rule,
                 entities_t *entities, verdict_t *verdict);

/* Two documents, the first of them a root. */
bool match_document(const char *what, const bson_t *expected,
                    const bson_t *actual, entities_t *entities,
                    verdict_t *verdict);

/* The same values, in any order of keys; operators mean nothing here. */
bool match_same(const bson_t *a, const bson_t *b);

#endif
