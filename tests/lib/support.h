/* SPDX-License-Identifier: Apache-2.0 */
/* support.h - what the tests of the verbs share.
 *
 * Everything that these make belongs to the stage, and goes with it: a test
 * reads as a list of calls and what they must give. */
#ifndef STATOR_TESTS_LIB_SUPPORT_H
#define STATOR_TESTS_LIB_SUPPORT_H

#include "tests/harness/suite.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stator/stator.h>

enum { LIB_PATIENCE_MS = 90000 }; /* for what must come anyway */

typedef struct stage {
    stator_client_t *client;
    stator_database_t *database;
    stator_collection_t *collection;
    char db[64];
    char name[32];
} stage_t;

/* The server of STATOR_TEST_URI, or NULL; a test without it is skipped. */
const char *lib_server(void);
#define NEED_SERVER()                                      \
    do {                                                   \
        if (lib_server() == NULL)                          \
            SKIP("STATOR_TEST_URI is not set");            \
    } while (0)

/* A client for `uri`, and an empty collection of its own, if `is_live`; a
 * server that is not there is fine for what fails before it is sent. */
stage_t *stage_new(const char *uri, const char *opts_json, bool is_live);
/* On the test server. */
stage_t *stage_live(void);
/* Nobody listens there: whatever comes back, no server was asked. */
stage_t *stage_nowhere(void);
/* Close, drop, and give back all that was made by the functions below. */
void stage_free(stage_t *stage);

/* Give back what was made without a stage. */
void lib_forget(void);

/* A document out of (relaxed extended) JSON in which ' stands for ". */
const bson_t *J(const char *json, ...) __attribute__((format(printf, 1, 2)));
/* A document that is `n` bytes and more: {_id: id, fill: "xx.."}. */
const bson_t *lib_big(int id, size_t n);
/* Bytes that claim to be BSON: {a: "x"} with a length that lies. */
const bson_t *lib_corrupt(void);

/* Wait; the future must be DONE, and stays lent. */
stator_future_t *done(stator_future_t *future);
/* The same, and the count must be `count`. */
stator_future_t *counts(stator_future_t *future, int64_t count);
/* Wait; it must have FAILED so, and `text` be part of why. */
stator_future_t *fails(stator_future_t *future, uint32_t domain,
                       uint32_t code, const char *text);
/* The same for STATOR_ERROR_ARGUMENT; nothing was sent. */
stator_future_t *faulty(stator_future_t *future, const char *text);
/* The same for the first future of a cursor, which it takes. */
void faulty_cursor(stator_cursor_t *cursor, const char *text);

/* The value at a dotted path as canonical text: "1", "'x'", "{..}"; "" when
 * it is not there. */
const char *at(const bson_t *document, const char *path);
#define ck_at(document, path, text) ck_assert_str_eq(at(document, path), text)

#endif /* STATOR_TESTS_LIB_SUPPORT_H */
