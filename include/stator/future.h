/* SPDX-License-Identifier: Apache-2.0 */
/* future.h - the result of one operation: pending, then settled, for good.
 *
 *   PENDING --+--> DONE        it worked; a result can be read
 *             +--> FAILED      it did not; an error can be read
 *             +--> CANCELLED   it was given up; an error can be read
 *
 * There are three ways to meet a result: poll it, wait for it, or attach a
 * continuation, which runs on the dispatcher that you name (dispatcher.h).
 * Whatever goes wrong, a bad argument and a full queue included, arrives
 * through the future: a submitting call never returns NULL.
 *
 * A future is a counted handle.  What a getter lends stays valid until the
 * future's last reference is given back; inside a continuation the future is
 * always alive.  In a child process after fork, an inherited future that was
 * pending reads as FAILED (STATOR_ERROR_FORKED); a settled one keeps its
 * result.
 *
 * Unless its Thread line says otherwise, a call may be made by any thread
 * that holds a reference. */
#ifndef STATOR_FUTURE_H
#define STATOR_FUTURE_H

#include <bson/bson.h>

#include <stator/error.h>
#include <stator/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stator_future stator_future_t;
typedef struct stator_dispatcher stator_dispatcher_t;

typedef enum {
    STATOR_FUTURE_PENDING,
    STATOR_FUTURE_DONE,
    STATOR_FUTURE_FAILED,
    STATOR_FUTURE_CANCELLED
} stator_future_state_t;

/* A continuation.  Runs once, inside stator_dispatcher_dispatch, with no
 * lock held; never on a worker, never from within the call that attached it.
 * Freeing any handle in here, submitting more, or dropping the dispatcher's
 * last reference is legal. */
typedef void stator_then_fn(stator_future_t *future, void *arg);

/* A continuation that goes on with another operation.  The reference that it
 * returns becomes Stator's; NULL: settle as `future` did.  Runs as
 * stator_then_fn does. */
typedef stator_future_t *stator_chain_fn(stator_future_t *future, void *arg);

/* ---- the state ------------------------------------------------------- */

/* The state now.  PENDING may be stale by the time you look at it, any other
 * answer is final.  Atomic loads; never blocks.
 *
 * Thread: any.  Owns: nothing.  Errors: none; NULL reads as FAILED. */
STATOR_API stator_future_state_t
stator_future_poll(const stator_future_t *future);

/* Sleep until `future` settles or `timeout_ms` has passed.  The result says
 * how the *waiting* went; how the operation went is stator_future_poll's and
 * stator_future_error's business.  Waiting does not run continuations
 * (stator_dispatcher_run_until does).  A wait that gives up leaves the
 * operation as it is.
 *
 * Thread: any.  On a thread of Stator's own, and inside dispatch for a
 *   future that needs this dispatch to go on (through chains, combinators
 *   and each too), it answers EDEADLK instead of hanging, unless the future
 *   is settled already.  A plain operation may be waited for in a
 *   continuation.  Cycles over several threads or over a promise of your own
 *   are not detected.
 * Owns: nothing.
 * Units: timeout_ms, milliseconds; 0 polls, -1 (any negative) no limit.
 * Errors: 0 settled; ETIMEDOUT still pending; EDEADLK; EINVAL future is
 *   NULL. */
STATOR_API int stator_future_wait(stator_future_t *future,
                                  int64_t timeout_ms);

/* Run `fn(future, arg)` on `dispatcher` once `future` has settled, or at the
 * next dispatch if it already has.  Exactly once, also after a cancel and
 * also when you give your reference back before.  Any number may be attached
 * to one future; they become ready in the order in which they were attached.
 * A continuation does not keep its dispatcher alive: when that one's last
 * reference goes, what has not run never runs.
 *
 * Thread: any.
 * Owns: keeps `future` until `fn` has returned; `arg` stays yours.
 * Errors: 0; EINVAL an argument but `arg` is NULL; ENOMEM; ESHUTDOWN the
 *   dispatcher is closed or from before a fork.  After an error `fn` never
 *   runs. */
STATOR_API int stator_future_then(stator_future_t *future,
                                  stator_dispatcher_t *dispatcher,
                                  stator_then_fn *fn, void *arg);

/* As stator_future_then, and `free_arg(arg)` is called exactly once: after
 * `fn` has returned, or when `fn` can never run any more (the dispatcher has
 * gone, or this call fails).
 *
 * Thread: any.  `free_arg` runs on the dispatching thread, or on the thread
 *   that gives back the dispatcher's last reference, or in this call.
 * Owns: keeps `future` until `fn` has returned; takes `arg`, errors
 *   included.  `free_arg` may be NULL.
 * Errors: as stator_future_then. */
STATOR_API int stator_future_then_full(stator_future_t *future,
                                       stator_dispatcher_t *dispatcher,
                                       stator_then_fn *fn, void *arg,
                                       void (*free_arg)(void *));

/* ---- composition ------------------------------------------------------
 * A composed future takes state, error and reply of the one that decided it.
 * CANCELLED counts as a failure.  Cancelling a composed future cancels what
 * it waits for; giving its reference back cancels nothing. */

/* When `future` is DONE, run `fn` on `dispatcher` and settle as the future
 * that `fn` returns; otherwise pass state and error of `future` on and never
 * run `fn`.
 *
 * Thread: any.
 * Owns: takes a reference of its own on `future`; returns a new reference,
 *   never NULL.  The future that `fn` returns becomes Stator's.
 * Errors: through the future: ARGUMENT a NULL argument, MEMORY, CLOSED the
 *   dispatcher went before `fn` could run. */
STATOR_API stator_future_t *
stator_future_chain(stator_future_t *future, stator_dispatcher_t *dispatcher,
                    stator_chain_fn *fn, void *arg);

/* As stator_future_chain, but `fn` runs only when `future` is FAILED or
 * CANCELLED; a DONE one is passed on.
 *
 * Thread: any.  Owns: as stator_future_chain.  Errors: likewise. */
STATOR_API stator_future_t *
stator_future_recover(stator_future_t *future,
                      stator_dispatcher_t *dispatcher, stator_chain_fn *fn,
                      void *arg);

/* As stator_future_chain, but `fn` always runs; the future that it returns
 * is awaited, then this one settles as `future` did, or as the returned one
 * if that failed and `future` was DONE.  `fn` runs also when this future has
 * been cancelled, and what it returned is not cancelled with it.
 *
 * Thread: any.  Owns: as stator_future_chain.  Errors: likewise. */
STATOR_API stator_future_t *
stator_future_finally(stator_future_t *future,
                      stator_dispatcher_t *dispatcher, stator_chain_fn *fn,
                      void *arg);

/* DONE when all of `futures` are DONE; else FAILED or CANCELLED as the first
 * that is not, and the rest go on.  n = 0: DONE.
 *
 * Thread: any.
 * Owns: borrows the array for the call, takes references of its own on its
 *   members; returns a new reference, never NULL.
 * Units: n, number of futures.
 * Errors: through the future: ARGUMENT the array or a member is NULL,
 *   MEMORY. */
STATOR_API stator_future_t *stator_future_all(stator_future_t **futures,
                                              size_t n);

/* DONE with the first of `futures` that is DONE; when none is, FAILED or
 * CANCELLED as the last one.  n = 0: FAILED (ARGUMENT).
 *
 * Thread: any.  Owns: as stator_future_all.  Units: n, number of futures.
 * Errors: as stator_future_all. */
STATOR_API stator_future_t *stator_future_any(stator_future_t **futures,
                                              size_t n);

/* Settles as the first of `futures` that settles; the others are cancelled.
 * n = 0: FAILED (ARGUMENT).
 *
 * Thread: any.  Owns: as stator_future_all.  Units: n, number of futures.
 * Errors: as stator_future_all. */
STATOR_API stator_future_t *stator_future_race(stator_future_t **futures,
                                               size_t n);

/* DONE when all of `futures` have settled, however.  n = 0: DONE.
 *
 * Thread: any.  Owns: as stator_future_all.  Units: n, number of futures.
 * Errors: as stator_future_all. */
STATOR_API stator_future_t *stator_future_settled(stator_future_t **futures,
                                                  size_t n);

/* Give up.  A queued operation is withdrawn: the server never sees it.  A
 * running one is abandoned: the future settles at once, and what the worker
 * brings back is thrown away.  stator_future_outcome tells which it was.
 *
 * Thread: any.  Never blocks.
 * Owns: nothing.
 * Errors: true: `future` settles as CANCELLED (it may have been cancelled
 *   before).  false: it is settled otherwise, or NULL. */
STATOR_API bool stator_future_cancel(stator_future_t *future);

/* ---- the result ------------------------------------------------------ */

/* Why `future` is FAILED or CANCELLED.
 *
 * Thread: any.
 * Owns: copies into `error`, which may be NULL.
 * Errors: true and `error` filled when FAILED or CANCELLED; else false and
 *   `error` untouched. */
STATOR_API bool stator_future_error(const stator_future_t *future,
                                    bson_error_t *error);

/* Does the error reply bear this label, "TransientTransactionError" say?
 *
 * Thread: any.  Owns: borrows `label`.  Errors: false when there is none.
 * Source: mongoc_error_has_label. */
STATOR_API bool stator_future_has_error_label(const stator_future_t *future,
                                              const char *label);

/* Who found the failure.
 *
 * Thread: any.  Owns: nothing.  Errors: STATOR_ORIGIN_NONE unless FAILED or
 *   CANCELLED. */
STATOR_API stator_origin_t
stator_future_origin(const stator_future_t *future);

/* How far the operation came; of a settled one, where it ended.
 *
 * Thread: any.  Owns: nothing.  Errors: none.  A future that is no operation
 *   of a client's is QUEUED until it is DONE. */
STATOR_API stator_phase_t stator_future_phase(const stator_future_t *future);

/* What is known of the operation's effect on the server.  A future that is
 * no operation of a client's is NOT_SENT until it is DONE, or FAILED with a
 * reply.
 *
 * Thread: any.  Owns: nothing.  Errors: none. */
STATOR_API stator_outcome_t
stator_future_outcome(const stator_future_t *future);

/* The server's reply, of a failed operation too.
 *
 * Thread: any.  Owns: lent.  Errors: NULL while pending, or if there is
 *   none. */
STATOR_API const bson_t *stator_future_reply(const stator_future_t *future);

/* The document of a find_one, a find_one_and_* or a cursor's next.
 *
 * Thread: any.  Owns: lent.  Errors: NULL while pending, or if there is
 *   none: find_one on a miss is DONE with NULL here. */
STATOR_API const bson_t *
stator_future_document(const stator_future_t *future);

/* A number: of count_documents and estimated_document_count the count; of a
 * write the documents inserted, matched or deleted (in a bulk: the sum of
 * inserted, matched, deleted and upserted); of a batch or a list its length;
 * of each and each_async the documents handed over; of a document 1, or 0
 * when there is none.
 *
 * Thread: any.
 * Owns: nothing.
 * Units: documents, 0 or more.
 * Errors: 0 while pending, or if there is none. */
STATOR_API int64_t stator_future_count(const stator_future_t *future);

/* The i-th document of a batch or a list.  document_at (f, 0) of a single
 * document is that document.
 *
 * Thread: any.
 * Owns: lent.
 * Units: i, 0 to stator_future_count - 1.
 * Errors: NULL past the end, while pending, or if there is none. */
STATOR_API const bson_t *
stator_future_document_at(const stator_future_t *future, size_t i);

/* One more reference.
 *
 * Thread: any.  Owns: caller gains one; returns `future`.  Errors: none;
 *   NULL gives NULL. */
STATOR_API stator_future_t *stator_future_ref(stator_future_t *future);

/* Give a reference back.  Never blocks, never does I/O.  The last one of a
 * pending future detaches it: the work goes on, an attached continuation
 * still runs, the result is dropped after it.
 *
 * Thread: any, continuations included.  Owns: takes one reference; NULL is
 *   fine.  Errors: none. */
STATOR_API void stator_future_unref(stator_future_t *future);

#ifdef __cplusplus
}
#endif

#endif /* STATOR_FUTURE_H */
