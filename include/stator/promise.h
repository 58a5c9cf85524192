/* SPDX-License-Identifier: Apache-2.0 */
/* promise.h - the producing side of a future, for sources of your own.
 *
 * Whoever will have the result keeps the promise, whoever wants it gets
 * stator_promise_future.  A promise whose last reference goes unsettled
 * fails its future (STATOR_ERROR_CLOSED), so nobody waits for ever. */
#ifndef STATOR_PROMISE_H
#define STATOR_PROMISE_H

#include <stator/future.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stator_promise stator_promise_t;

/* A new, unsettled promise.
 *
 * Thread: any.
 * Owns: caller gains one reference; never NULL.
 * Errors: without memory, a static promise whose future is FAILED
 *   (STATOR_ERROR_MEMORY). */
STATOR_API stator_promise_t *stator_promise_new(void);

/* One more reference.
 *
 * Thread: any.  Owns: caller gains one; returns `promise`.  Errors: none;
 *   NULL gives NULL. */
STATOR_API stator_promise_t *stator_promise_ref(stator_promise_t *promise);

/* Give a reference back.  The last one, unsettled, settles the future as
 * FAILED (STATOR_ERROR_CLOSED).
 *
 * Thread: any.  Never blocks.  Owns: takes one reference; NULL is fine.
 * Errors: none. */
STATOR_API void stator_promise_unref(stator_promise_t *promise);

/* The future that this promise settles.
 *
 * Thread: any.  Owns: a new reference; never NULL.
 * Errors: NULL `promise`: a FAILED future (STATOR_ERROR_ARGUMENT). */
STATOR_API stator_future_t *stator_promise_future(stator_promise_t *promise);

/* Settle the future as DONE.
 *
 * Thread: any.  Continuations do not run in here, they become ready.
 * Owns: copies `document` and `reply`, either may be NULL.
 * Errors: true: settled by this call.  false: it was settled or cancelled
 *   before, or `promise` is NULL.  A corrupt document, or no memory for the
 *   copies, settles it as FAILED (ARGUMENT, MEMORY) and answers true. */
STATOR_API bool stator_promise_resolve(stator_promise_t *promise,
                                       const bson_t *document,
                                       const bson_t *reply);

/* Settle the future as FAILED with `error` (NULL: STATOR_ERROR_CLOSED).
 * Error labels are read from `reply`.
 *
 * Thread: any.  Owns: copies `error` and `reply`, either may be NULL.
 * Errors: as stator_promise_resolve. */
STATOR_API bool stator_promise_fail(stator_promise_t *promise,
                                    const bson_error_t *error,
                                    const bson_t *reply);

/* Has the other side given up, or has its time run out?  Worth asking in a long piece of work: the
 * result will be thrown away.
 *
 * Thread: any.  Owns: nothing.  Errors: none; NULL gives false. */
STATOR_API bool stator_promise_cancelled(const stator_promise_t *promise);

#ifdef __cplusplus
}
#endif

#endif /* STATOR_PROMISE_H */
