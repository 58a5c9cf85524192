/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_stream.c - what a stream into a file and one out of a file have in
 * common.  The picture and the invariants are in gridfs_stream.h; the two are
 * in gridfs_upload.c and gridfs_download.c. */
#include "lib/gridfs_stream.h"

/* ---- made, let go ------------------------------------------------------ */

stator_future_t *stl_stream_open_refusal(const char *subject,
                                         stator_gridfs_bucket_t *bucket,
                                         const char *fault,
                                         const bson_t *opts,
                                         enum stl_bucket_use use,
                                         struct stl_bucket_opts *out)
{
    stator_future_t *refusal = stl_bucket_refusal(bucket, subject);
    char problem[STL_PROBLEM_SIZE];

    if (refusal != NULL)
        return refusal;
    if (fault != NULL)
        return stl_bad_argument(subject, fault);
    if (!stl_bucket_opts_parse(opts, use, out, problem))
        return stl_bad_argument(subject, problem);
    return NULL;
}

void stl_stream_init(struct stl_stream *s, stator_gridfs_bucket_t *bucket,
                     const struct stl_bucket_opts *o)
{
    atomic_init(&s->refs, 1);
    atomic_init(&s->holds, 1);
    s->bucket = stator_gridfs_bucket_ref(bucket);
    s->opts = bson_copy(o->of_operations);
    s->timeout_ms = o->timeout_ms;
    stf_line_init(&s->line);
}

void stl_stream_init_failed(struct stl_stream *s, stator_future_t *fault)
{
    atomic_init(&s->refs, 1);
    atomic_init(&s->holds, 1);
    s->fault = fault;
}

void stl_stream_ref(struct stl_stream *s)
{
    if (!s->is_immortal)
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

bool stl_stream_unref(struct stl_stream *s)
{
    return !s->is_immortal &&
           atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1;
}

bool stl_stream_unhold(struct stl_stream *s)
{
    return atomic_fetch_sub(&s->holds, 1) == 1;
}

void stl_stream_destroy(struct stl_stream *s)
{
    stator_future_unref(s->fault);
    if (s->bucket == NULL)
        return;
    stf_line_destroy(&s->line);
    bson_destroy(s->opts);
    stator_gridfs_bucket_unref(s->bucket);
}

/* ---- calls ------------------------------------------------------------- */

static stator_future_t *refusal_of(const struct stl_stream *s,
                                   const char *subject)
{
    if (s == NULL)
        return stl_null_handle(subject, "stream");
    if (s->fault != NULL)
        return stator_future_ref(s->fault);
    if (s->bucket == NULL)
        return stf_future_no_memory();
    return stl_bucket_refusal(s->bucket, subject);
}

struct stl_call *stl_stream_call_new(const struct stf_kind *kind,
                                     const char *subject, size_t size,
                                     stf_step_fn *step, struct stl_stream *s,
                                     const void *site,
                                     stator_future_t **refusal)
{
    struct stl_call *c;

    *refusal = refusal_of(s, subject);
    if (*refusal != NULL)
        return NULL;
    c = stl_call_new(kind, subject, size, step, s->bucket, s->opts,
                     s->timeout_ms, site);
    if (c == NULL) {
        *refusal = stf_future_no_memory();
        return NULL;
    }
    atomic_fetch_add(&s->holds, 1);
    c->passes = true; /* G2 in gridfs_call.h */
    return c;
}
