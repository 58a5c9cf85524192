/* SPDX-License-Identifier: Apache-2.0 */
/* file.h - a test file: read, checked, and all its tests run. */
#ifndef TESTS_SPEC_FILE_H
#define TESTS_SPEC_FILE_H

#include "tests/spec/exclusions.h"
#include "tests/spec/server.h"
#include "tests/spec/setup.h"
#include "tests/spec/verdict.h"

/* What is to be said of one test. */
typedef struct told {
    struct told *next;
    char *test; /* its description; NULL: of the whole file */
    verdict_t verdict;
} told_t;

typedef struct file {
    char *path;
    bool was_found; /* below a folder of any files, not named */
    bool must_fail; /* it is there to see whether the runner is strict */
    /* Filled by file_run. */
    told_t *told, **end;
    int passed, failed, skipped;
} file_t;

/* Run every test.  With `suffix`, its databases bear it at the end of their
 * names, so that files at work at the same time do not meet. */
void file_run(file_t *file, const setup_t *setup, const server_t *server,
              mongoc_client_t *internal, exclusions_t *exclusions,
              const char *suffix);

/* Does it break connections or the like, for everybody? */
bool file_is_selfish(const file_t *file);

void file_clear(file_t *file);

#endif
