/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_stream.h - what a stream into a file and one out of a file have in
 * common: who keeps it, and how a call on it is made.
 *
 *   open ─┬─> sound: bucket, opts, a line ─> call ─> its steps
 *         └─> a fault, or no memory ───────> call ─> refused
 *
 * S1  `holds`: one for the handles together, one for each call.
 * S2  Only who holds it looks at it; who lets go last destroys it. */
#ifndef STL_GRIDFS_STREAM_H
#define STL_GRIDFS_STREAM_H

#include "lib/gridfs_call.h"

struct stl_stream {
    atomic_uint refs;  /* of users */
    atomic_uint holds; /* S1 */
    bool is_immortal;  /* a static one: no memory */
    stator_future_t *fault; /* every request is this; nothing else is set */
    stator_gridfs_bucket_t *bucket;
    bson_t *opts; /* of each operation */
    int64_t timeout_ms;
    struct stf_line line;
};

/* ---- made, let go ------------------------------------------------------ */

/* Why it can not be opened: a failed future, or NULL and `*out`, of which
 * `of_operations` is the caller's.  `fault`: what is known already, or NULL. */
stator_future_t *stl_stream_open_refusal(const char *subject,
                                         stator_gridfs_bucket_t *bucket,
                                         const char *fault,
                                         const bson_t *opts,
                                         enum stl_bucket_use use,
                                         struct stl_bucket_opts *out);

/* Of one that is zeroed, with one reference. */
void stl_stream_init(struct stl_stream *stream, stator_gridfs_bucket_t *bucket,
                     const struct stl_bucket_opts *o);
/* Takes `fault`. */
void stl_stream_init_failed(struct stl_stream *stream, stator_future_t *fault);

void stl_stream_ref(struct stl_stream *stream);
/* True: the last reference went; the hold of the handles has not yet. */
bool stl_stream_unref(struct stl_stream *stream);
/* True: the last hold went; what is around `stream` goes, then it does. */
bool stl_stream_unhold(struct stl_stream *stream);
void stl_stream_destroy(struct stl_stream *stream);

/* ---- calls ------------------------------------------------------------- */

/* A call, with a hold on `stream`; or NULL and `*refusal`.  `stream` may be
 * NULL. */
struct stl_call *stl_stream_call_new(const struct stf_kind *kind,
                                     const char *subject, size_t size,
                                     stf_step_fn *step,
                                     struct stl_stream *stream,
                                     const void *site,
                                     stator_future_t **refusal);

#endif /* STL_GRIDFS_STREAM_H */
