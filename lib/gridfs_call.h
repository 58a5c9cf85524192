/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_call.h - a call of several operations on a bucket: its future,
 * the operations that its steps ask for, and how it ends.
 *
 *   new ─> start ─> step ─> begin, document, .., submit ─┐
 *                    ^                                   │
 *                    └────────────── settles ────────────┘
 *                    └─> fail, or done ─> over
 *
 * G1  From start to `over` the client knows of the call: one that drains
 *     waits for it, and its operations are let in until then.
 * G2  The first operation asks for a place in the queue, the others pass a
 *     full one, since they can run on a thread that must not wait; a stream's
 *     do from the beginning.
 * G3  Each operation gets what is left of the call's time as its timeoutMS.
 * G4  The call keeps the bucket, and so the client open.
 * G5  It is NOT_SENT only if no operation of its was: also when the last one
 *     failed before it was sent, but others were before. */
#ifndef STL_GRIDFS_CALL_H
#define STL_GRIDFS_CALL_H

#include "futures/steps.h"
#include "lib/gridfs_bucket.h"
#include "lib/request.h"

struct stl_call {
    struct stf_steps steps; /* first */
    stator_gridfs_bucket_t *bucket;
    bson_t *opts; /* of each operation */
    int64_t deadline;
    const void *site;
    bool passes; /* G2 */
    bool has_sent; /* G5: an operation before the one that is awaited */
    void (*over)(struct stl_call *call); /* or NULL */
};

static inline struct stl_call *stl_call_of_steps(struct stf_steps *s)
{
    return stf_container_of(s, struct stl_call, steps);
}

static inline stator_future_t *stl_call_future(struct stl_call *c)
{
    return &c->steps.future;
}

static inline bool stl_call_is_settled(const struct stl_call *c)
{
    return stator_future_poll(&c->steps.future) != STATOR_FUTURE_PENDING;
}

/* Copies `opts`.  What trails is zeroed.  NULL: no memory. */
struct stl_call *stl_call_new(const struct stf_kind *kind, const char *subject,
                              size_t size, stf_step_fn *step,
                              stator_gridfs_bucket_t *bucket,
                              const bson_t *opts, int64_t timeout_ms,
                              const void *site);
/* For the kind's cancel, cancelled and release. */
void stl_call_cancel(stator_future_t *future);
void stl_call_cancelled(stator_future_t *future);
void stl_call_destroy(struct stl_call *call);
/* Answers the caller's reference. */
stator_future_t *stl_call_start(struct stl_call *call, struct stf_line *line);

/* Why nothing of the bucket's can be asked: a failed future, or NULL. */
stator_future_t *stl_bucket_refusal(const stator_gridfs_bucket_t *bucket,
                                    const char *subject);
stator_future_t *stl_bad_argument(const char *subject, const char *problem);

/* ---- operations -------------------------------------------------------- */

/* `more`: opts of this one, or NULL. */
void stl_call_begin(struct stl_call *call, struct stl_request *r,
                    const struct stc_verb *verb, struct stl_handle *on,
                    const bson_t *more, enum stl_shape shape);
stator_future_t *stl_call_submit(struct stl_call *call,
                                 struct stl_request *r);
/* The first batch, which is all that is wanted of it. */
stator_future_t *stl_call_fetch(struct stl_call *call, struct stl_request *r);

/* {key: value} */
void stl_request_value(struct stl_request *r, const char *key,
                       const bson_value_t *value);
/* {key: {$in: array}} */
void stl_request_in(struct stl_request *r, const char *key,
                    const bson_t *array);

/* ---- the end of it ----------------------------------------------------- */

/* The error of a settled future, without what made it.  NULL: no memory. */
struct stf_result *stl_error_of(const stator_future_t *f);

/* Each answers NULL, what a step answers then. */
stator_future_t *stl_call_fail_as(struct stl_call *call,
                                  stator_future_t *other);
stator_future_t *stl_call_fail(struct stl_call *call, uint32_t domain,
                               uint32_t code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* MONGOC_ERROR_GRIDFS_BUCKET_FILE_NOT_FOUND */
stator_future_t *stl_call_not_found(struct stl_call *call, const char *key,
                                    const bson_value_t *value);
/* `document` is copied; NULL: none. */
stator_future_t *stl_call_done(struct stl_call *call, const bson_t *document,
                               int64_t count);

static inline bool stl_is_done(const stator_future_t *f)
{
    return stator_future_poll(f) == STATOR_FUTURE_DONE;
}

/* The code of a server's error, or 0. */
int stl_server_code(const stator_future_t *f);

#endif /* STL_GRIDFS_CALL_H */
