/* SPDX-License-Identifier: Apache-2.0 */
/* futures/result.c - what a settled future can tell. */
#include "futures/result.h"

#include <stdlib.h>
#include <string.h>

#include "futures/document.h"

bool stf_bson_is_sound(const bson_t *b)
{
    size_t offset;

    return b == NULL || stf_document_flaw(b, &offset) == NULL;
}

struct stf_result *stf_result_new(void)
{
    const size_t align = _Alignof(struct stf_result);
    struct stf_result *r =
        aligned_alloc(align, (sizeof *r + align - 1) / align * align);

    if (r == NULL)
        return NULL;
    r->document = NULL;
    r->count = 0;
    r->slices = &r->slice;
    r->n_slices = 0;
    r->copies = NULL;
    r->handle = NULL;
    r->has_reply = false;
    r->has_error = false;
    r->error.domain = 0;
    r->error.code = 0;
    r->error.message[0] = '\0';
    return r;
}

void stf_result_free(struct stf_result *r)
{
    if (r == NULL)
        return;
    if (r->has_reply)
        bson_destroy(&r->reply);
    if (r->document == &r->own_document)
        bson_destroy(&r->own_document);
    for (size_t i = 0; i < r->n_slices; i++)
        stf_documents_unref(r->slices[i].documents);
    if (r->slices != &r->slice)
        free(r->slices);
    free(r->copies);
    if (r->handle != NULL)
        r->release_handle(r->handle);
    free(r);
}

void stf_result_take_reply(struct stf_result *r, bson_t *reply)
{
    if (r->has_reply)
        bson_destroy(&r->reply);
    bson_steal(&r->reply, reply);
    bson_init(reply); /* so that it may be destroyed, as if untouched */
    r->has_reply = true;
}

void stf_result_take_handle(struct stf_result *r, void *handle,
                            void (*release)(void *handle))
{
    r->handle = handle;
    r->release_handle = release;
}

bool stf_result_copy(struct stf_result *r, const bson_t *document,
                     const bson_t *reply)
{
    size_t n_document = document == NULL ? 0 : document->len;
    size_t n_reply = reply == NULL ? 0 : reply->len;

    if (n_document + n_reply == 0)
        return true;
    r->copies = malloc(n_document + n_reply);
    if (r->copies == NULL)
        return false;
    if (document != NULL) {
        memcpy(r->copies, bson_get_data(document), n_document);
        bson_init_static(&r->own_document, r->copies, n_document);
        r->document = &r->own_document;
        r->count = 1;
    }
    if (reply != NULL) {
        memcpy(r->copies + n_document, bson_get_data(reply), n_reply);
        bson_init_static(&r->reply, r->copies + n_document, n_reply);
        r->has_reply = true;
    }
    return true;
}

bool stf_result_reserve_slices(struct stf_result *r, size_t n)
{
    struct stf_slice *slices =
        n > 1 ? malloc(n * sizeof *slices) : &r->slice;

    if (slices != NULL)
        r->slices = slices;
    return slices != NULL;
}

void stf_result_take_slice(struct stf_result *r, struct stf_slice slice)
{
    slice.start = 0;
    r->slice = slice;
    r->n_slices = 1;
    r->count = (int64_t)slice.n;
}

const bson_t *stf_result_document_at(const struct stf_result *r, size_t i)
{
    size_t low = 0, high = r->n_slices;

    if (r->document != NULL && i == 0)
        return r->document;
    while (low < high) { /* the slice that i lies in */
        size_t middle = low + (high - low) / 2;
        const struct stf_slice *s = &r->slices[middle];

        if (i < s->start)
            high = middle;
        else if (i >= s->start + s->n)
            low = middle + 1;
        else
            return &s->documents->at[s->first + i - s->start];
    }
    return NULL;
}

bool stf_result_has_label(const struct stf_result *r, const char *label)
{
    bson_iter_t i, labels;

    if (!r->has_reply || !bson_iter_init_find(&i, &r->reply, "errorLabels") ||
        !bson_iter_recurse(&i, &labels))
        return false;
    while (bson_iter_next(&labels))
        if (BSON_ITER_HOLDS_UTF8(&labels) &&
            strcmp(bson_iter_utf8(&labels, NULL), label) == 0)
            return true;
    return false;
}
