/* SPDX-License-Identifier: Apache-2.0 */
/* exclusions.h - tests that are known to fail, and why.
 *
 * A line of the list:  who | file | test | reason
 *
 *   who   driver    libmongoc 1.23 can not; so Stator can not either
 *         server    the embedded server does not do as a mongod does: other
 *                   servers are held to it
 *         stator    Stator can not yet what the raw driver can
 *         crash     as server; and it takes the server or the process down:
 *                   the test is not run
 *   file  the end of its path: "crud/aggregate.json"
 *   test  its description; * stands for all of the file
 *
 * Excluded tests are run all the same.  One that passes, or an entry whose
 * file has been run and has no such test, is a failure: the list is never
 * longer than it must be. */
#ifndef TESTS_SPEC_EXCLUSIONS_H
#define TESTS_SPEC_EXCLUSIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/spec/server.h"
#include "tests/spec/setup.h"

typedef struct exclusion {
    char *who, *file, *test, *reason;
    bool met; /* a test of this name was run or left out */
} exclusion_t;

typedef struct exclusions {
    exclusion_t *list;
    size_t n;
} exclusions_t;

/* False: the file can not be read, or a line of it is none; said on stderr. */
bool exclusions_read(exclusions_t *exclusions, const char *path);
void exclusions_clear(exclusions_t *exclusions);

/* The entry of a test, if it holds here; NULL: there is none. */
exclusion_t *exclusions_find(exclusions_t *exclusions, const setup_t *setup,
                             const server_t *server, const char *file,
                             const char *test);

/* Is it about this file, and would it hold here? */
bool exclusions_concern(const exclusion_t *exclusion, const setup_t *setup,
                        const server_t *server, const char *file);

#endif
