/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h - is a document a test file of the unified format?
 *
 * The union of the versions that the runner speaks, 1.0 to 1.28: what a newer
 * one has added is accepted in a file of an older one too. */
#ifndef TESTS_SPEC_SCHEMA_H
#define TESTS_SPEC_SCHEMA_H

#include <bson/bson.h>
#include <stdbool.h>

#include "tests/spec/verdict.h"

/* The newest minor version of format 1 that is known. */
#define SCHEMA_MINOR 28

/* False: it is none, and `verdict` says where and why; or it is of a newer
 * version, and `verdict` says that it is skipped. */
bool schema_check(const bson_t *file, verdict_t *verdict);

#endif
