/* SPDX-License-Identifier: Apache-2.0 */
/* futures/documents.c - views on the documents of one batch. */
#include "futures/documents.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

static size_t count(bson_iter_t array)
{
    bson_iter_t i;
    size_t n = 0;

    if (!bson_iter_recurse(&array, &i))
        return SIZE_MAX;
    while (bson_iter_next(&i)) {
        if (!BSON_ITER_HOLDS_DOCUMENT(&i))
            return SIZE_MAX;
        n++;
    }
    return i.err_off == 0 ? n : SIZE_MAX;
}

struct stf_documents *stf_documents_new(bson_t *owner,
                                        const bson_iter_t *array)
{
    const size_t align = _Alignof(struct stf_documents);
    size_t n = count(*array);
    size_t size = sizeof(struct stf_documents) + n * sizeof(bson_t);
    const uint8_t *old_bytes = bson_get_data(owner);
    const uint8_t *bytes;
    struct stf_documents *d;
    bson_iter_t i;

    if (n == SIZE_MAX) {
        errno = EINVAL;
        return NULL;
    }
    d = aligned_alloc(align, (size + align - 1) / align * align);
    if (d == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    d->n = n;
    atomic_init(&d->refs, 1);

    /* A small reply lies inside its bson_t and moves with it, so the views
     * are made by distance from its beginning. */
    n = 0;
    bson_iter_recurse(array, &i);
    while (bson_iter_next(&i)) {
        const uint8_t *data;
        uint32_t length;

        bson_iter_document(&i, &length, &data);
        if (!bson_init_static(&d->at[n++], data, length)) {
            free(d); /* it lacks its terminator */
            errno = EINVAL;
            return NULL;
        }
    }
    bson_steal(&d->owner, owner);
    bson_init(owner); /* so that it may be destroyed, as if untouched */
    bytes = bson_get_data(&d->owner);
    if (bytes != old_bytes)
        for (n = 0; n < d->n; n++) {
            const uint8_t *data = bson_get_data(&d->at[n]);

            bson_init_static(&d->at[n], bytes + (data - old_bytes),
                             d->at[n].len);
        }
    return d;
}

struct stf_documents *stf_documents_ref(struct stf_documents *documents)
{
    atomic_fetch_add_explicit(&documents->refs, 1, memory_order_relaxed);
    return documents;
}

void stf_documents_unref(struct stf_documents *documents)
{
    if (atomic_fetch_sub_explicit(&documents->refs, 1,
                                  memory_order_acq_rel) != 1)
        return;
    bson_destroy(&documents->owner);
    free(documents);
}
