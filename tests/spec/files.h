/* SPDX-License-Identifier: Apache-2.0 */
/* files.h - the test files below some paths, in order of name. */
#ifndef TESTS_SPEC_FILES_H
#define TESTS_SPEC_FILES_H

#include "tests/spec/file.h"

typedef struct files {
    file_t *list;
    size_t n;
} files_t;

/* A file, or all *.json below a folder.  The format's own tests of strictness
 * (valid-fail, invalid) must fail: met on the way through a folder they are
 * judged so; named themselves, or by their own folder, they are run like any
 * other, and fail.  False: nothing is there; said on stderr. */
bool files_find(files_t *files, const char *path);
void files_clear(files_t *files);

#endif
