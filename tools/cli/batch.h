/* SPDX-License-Identifier: Apache-2.0 */
/* batch.h - documents that go to the server together, and where each of
 * them stood in the input. */
#ifndef CLI_BATCH_H
#define CLI_BATCH_H

#include <stator/stator.h>

#include "input.h"

/* Bytes of BSON that make a batch full, however few documents. */
enum { BATCH_BYTES = 8 * 1024 * 1024 };

typedef struct batch {
    bson_t **documents;
    place_t *places;
    size_t count, room;
    size_t bytes;
    void *owner; /* of who submits it */
} batch_t;

/* What became of a batch's documents; they add up to its count. */
typedef struct batch_result {
    uint64_t written;
    uint64_t replaced; /* of those written */
    uint64_t refused;  /* by the server, one by one: see batch_errors */
    uint64_t unknown;  /* sent, and no answer */
    uint64_t not_sent; /* or behind one that was refused */
} batch_result_t;

typedef void batch_error_fn(place_t place, const char *reason, void *arg);

/* NULL: no memory.  `room`: documents at the most. */
batch_t *batch_new(size_t room);
void batch_free(batch_t *batch);

/* Takes `document`. */
void batch_add(batch_t *batch, bson_t *document, place_t place);
bool batch_is_full(const batch_t *batch);

/* Insert, or with `upsert_field` replace the one with the same value of that
 * field.  Ordered: stops at the first error. */
stator_future_t *batch_submit(const batch_t *batch,
                              stator_collection_t *collection,
                              const char *upsert_field, bool ordered,
                              const bson_t *opts);

/* Read the settled `future`; `fn` is called for each document that the
 * server refused. */
batch_result_t batch_settle(const batch_t *batch,
                            const stator_future_t *future, bool ordered,
                            batch_error_fn *fn, void *arg);

#endif
