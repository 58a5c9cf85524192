/* SPDX-License-Identifier: Apache-2.0 */
/* futures/documents.h - the documents of one server batch: immutable, counted,
 * never copied.  A future, a cursor and a list may hold parts of the same. */
#ifndef STF_DOCUMENTS_H
#define STF_DOCUMENTS_H

#include <stdatomic.h>

#include <bson/bson.h>

struct stf_documents {
    bson_t owner; /* the reply whose bytes the views look at */
    size_t n;
    atomic_uint refs;
    bson_t at[];
};

/* The documents of the array that `array` stands on, which lies in `*owner`.
 * Takes the contents of `*owner` when it works.  NULL, `*owner` untouched
 * and errno set: ENOMEM, or EINVAL when the array holds something that is no
 * sound document. */
struct stf_documents *stf_documents_new(bson_t *owner,
                                        const bson_iter_t *array);
struct stf_documents *stf_documents_ref(struct stf_documents *documents);
void stf_documents_unref(struct stf_documents *documents);

/* A run of one batch.  A slice holds a reference. */
struct stf_slice {
    struct stf_documents *documents;
    size_t first;
    size_t n;
    size_t start; /* of this slice, in the list that it is part of */
};

#endif /* STF_DOCUMENTS_H */
