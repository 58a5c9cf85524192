/* SPDX-License-Identifier: Apache-2.0 */
/* result.h - what an operation came to: a value or an error. */
#ifndef TESTS_SPEC_RESULT_H
#define TESTS_SPEC_RESULT_H

#include <mongoc/mongoc.h>
#include <stdbool.h>

#include "tests/spec/entities.h"

typedef struct result {
    bool failed;
    bool by_client;  /* failed: found by the driver, not by the server */
    bson_error_t error;
    bson_t reply;    /* the server's, of an error too */
    bson_t value;    /* {"v": value}; empty: there is none */
    entity_t *made;  /* a cursor or stream; NULL: none.  The caller's */
} result_t;

void result_init(result_t *result);
void result_clear(result_t *result, const setup_t *setup);

/* The value; a NULL document is null. */
void result_set(result_t *result, const bson_iter_t *value);
void result_set_document(result_t *result, const bson_t *document);
void result_set_array(result_t *result, const bson_t *array);
void result_set_int(result_t *result, int64_t value);
void result_set_utf8(result_t *result, const char *value);

/* Failed, as the driver's error (API version 2) says. */
void result_fail(result_t *result, const bson_error_t *error);

/* What a test says of an operation: expectError, expectResult, or nothing,
 * which means that it must not fail. */
bool result_check(const result_t *result, const bson_t *operation,
                  match_rule_t rule, entities_t *entities,
                  verdict_t *verdict);

#endif
