/* SPDX-License-Identifier: Apache-2.0 */
/* data.h - the collections before a test, and after it. */
#ifndef TESTS_SPEC_DATA_H
#define TESTS_SPEC_DATA_H

#include <mongoc/mongoc.h>
#include <stdbool.h>

#include "tests/spec/verdict.h"

/* initialData: each collection is made anew. */
bool data_prepare(mongoc_client_t *internal, const bson_t *list,
                  verdict_t *verdict);

/* For a file without initialData: no collection of its createEntities is
 * there.  What another file has left would meet it. */
bool data_clear(mongoc_client_t *internal, const bson_t *entities,
                verdict_t *verdict);

/* outcome: each holds these documents, and no others. */
bool data_check(mongoc_client_t *internal, const bson_t *list,
                verdict_t *verdict);

#endif
