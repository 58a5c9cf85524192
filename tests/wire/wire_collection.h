/* SPDX-License-Identifier: Apache-2.0 */
/* wire_collection.h - what the test says there is to be found. */
#ifndef WIRE_COLLECTION_H
#define WIRE_COLLECTION_H

#include "tests/wire/wire.h"

typedef struct {
    int64_t n;
    wire_make_fn *make; /* NULL: {_id: i} */
    void *arg;
} wire_content_t;

typedef struct {
    char *ns;
    wire_content_t content;
} wire_collection_t;

typedef struct {
    wire_collection_t *list;
    size_t size;
    int64_t documents; /* in those that are not in the list */
} wire_collections_t;

void wire_collections_free(wire_collections_t *collections);

/* What is in `db`.`name`; false when the test has not described it. */
bool wire_collections_get(const wire_collections_t *collections,
                          const char *db, const char *name,
                          wire_content_t *out);

/* Forget `db`.`name`, or all of `db`; how many there were. */
int wire_collections_drop(wire_collections_t *collections, const char *db,
                          const char *name);

/* Document `i`: overwrites `out`, which is then to be destroyed. */
void wire_content_make(const wire_content_t *content, int64_t i, bson_t *out);

/* The documents that `filter` (may be NULL) selects: all, or with an _id that
 * is compared for equality, that one.  Sets [*first, *end). */
void wire_content_select(const wire_content_t *content, const bson_t *filter,
                         int64_t *first, int64_t *end);

/* True when the filter asks for one _id; `id` is then at its value. */
bool wire_filter_id(const bson_t *filter, bson_iter_t *id);

#endif /* WIRE_COLLECTION_H */
