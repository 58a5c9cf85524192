/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - one test, from its data to its outcome. */
#ifndef TESTS_SPEC_RUN_H
#define TESTS_SPEC_RUN_H

#include <mongoc/mongoc.h>
#include <stdbool.h>

#include "tests/spec/entities.h"
#include "tests/spec/server.h"
#include "tests/spec/setup.h"
#include "tests/spec/verdict.h"

typedef struct fail_point {
    struct fail_point *next;
    char *name;
    uint32_t server_id; /* 0: wherever the primary is */
} fail_point_t;

typedef struct run {
    const setup_t *setup;
    const server_t *server;
    mongoc_client_t *internal; /* the runner's own */
    verdict_t *verdict;
    entities_t entities;
    fail_point_t *fail_points;
    unsigned turn; /* of MODE_MIXED */
} run_t;

/* `file` and one of its tests.  What is to be said of it is in `verdict`. */
void run_test(const setup_t *setup, const server_t *server,
              mongoc_client_t *internal, const bson_t *file,
              const bson_t *test, verdict_t *verdict);

#endif
