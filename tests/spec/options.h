/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - concerns and preferences: from the format's words to the
 * driver's objects, and to the keys of `opts`. */
#ifndef TESTS_SPEC_OPTIONS_H
#define TESTS_SPEC_OPTIONS_H

#include <mongoc/mongoc.h>
#include <stdbool.h>

#include "tests/spec/verdict.h"

/* {"level": ..}; {"w": .., "journal": .., "wtimeoutMS": ..}.  Never NULL. */
mongoc_read_concern_t *options_read_concern(const bson_t *from);
mongoc_write_concern_t *options_write_concern(const bson_t *from);

/* {"mode": .., "tagSets": [..], "maxStalenessSeconds": ..}; NULL: `verdict`
 * says why not. */
mongoc_read_prefs_t *options_read_prefs(const bson_t *from,
                                        verdict_t *verdict);

/* One argument of an operation, or of a handle, as a key of `opts`: the
 * driver's names inside, where they are others. */
void options_append(bson_t *opts, const bson_iter_t *argument);

/* All of a document. */
void options_append_all(bson_t *opts, const bson_t *from);

#endif
