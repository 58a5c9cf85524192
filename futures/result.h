/* SPDX-License-Identifier: Apache-2.0 */
/* futures/result.h - what a settled future can tell.
 *
 * Made before the work is begun, filled by the worker, then given to the
 * future with stf_settle: from the driver's return on nothing has to be
 * allocated. */
#ifndef STF_RESULT_H
#define STF_RESULT_H

#include <bson/bson.h>

#include "futures/documents.h"

struct stf_result {
    bson_t reply;           /* with has_reply */
    bson_t own_document;    /* with document pointing here */
    const bson_t *document; /* NULL: none */
    int64_t count;
    struct stf_slice *slices; /* &slice, or on the heap; in order of start */
    size_t n_slices;
    struct stf_slice slice;
    uint8_t *copies; /* the bytes of what was copied, or NULL */
    bson_error_t error;
    bool has_reply;
    bool has_error;
    void *handle; /* a reference on what was made, or NULL */
    void (*release_handle)(void *handle);
};

/* Can it be copied and read?  NULL is sound. */
bool stf_bson_is_sound(const bson_t *b);

/* NULL: no memory. */
struct stf_result *stf_result_new(void);
void stf_result_free(struct stf_result *result);

/* Take over the contents of `*reply`. */
void stf_result_take_reply(struct stf_result *result, bson_t *reply);
/* Takes a reference on something else that the work has made. */
void stf_result_take_handle(struct stf_result *result, void *handle,
                            void (*release)(void *handle));
/* Copy both (NULL: none).  False: no memory. */
bool stf_result_copy(struct stf_result *result, const bson_t *document,
                     const bson_t *reply);
/* Room for `n` runs of documents.  False: no memory. */
bool stf_result_reserve_slices(struct stf_result *result, size_t n);
/* One run of documents; takes no reference, the caller gives its own. */
void stf_result_take_slice(struct stf_result *result,
                           struct stf_slice slice);

const bson_t *stf_result_document_at(const struct stf_result *result,
                                     size_t i);
bool stf_result_has_label(const struct stf_result *result,
                          const char *label);

#endif /* STF_RESULT_H */
