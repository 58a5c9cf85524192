/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - sessions, causal consistency, transactions.
 *
 *   start_session ─> session ─append─> opts ─> any operation or cursor
 *        start_transaction ─> operations ─> commit or abort
 *
 * A session is the driver's, and with it goes a connection: it lives on a lease
 * (lease.h), its own, or the one that is named in its opts.  All that names
 * the session runs there, one at a time, in the order of the calls; so a chain
 * of start_transaction and writes need not be waited for step by step.  The
 * steps do not look at each other, though: one that was never sent does not
 * stop the commit, and without a transaction a write is an ordinary one.
 * Commit when the start and the writes are DONE, or use
 * stator_session_with_transaction.  Opts that name a session and a lease which
 * is not its own are an error (ARGUMENT).  Many sessions can share one lease.
 *
 * Of an operation in a transaction that is cancelled or runs out of time while
 * it is at the server, nothing is known (MAYBE_SENT): the transaction stays
 * open, and is best aborted.  The operations behind it still run.  A cancelled
 * commit may have happened: commit_transaction again finds out.  An operation
 * that was withdrawn before it was sent has no effect on the transaction: a
 * commit behind it commits the others.  With {"abandoned": "kill"} (client.h)
 * too: the session is yours, so only the connection is cut.
 *
 * The getters tell what was known after the session's last settled operation;
 * no I/O, and they may be asked by any thread. */
#ifndef STATOR_SESSION_H
#define STATOR_SESSION_H

#include <stator/client.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stator_session stator_session_t;

/* Their order is that of mongoc_transaction_state_t. */
typedef enum {
    STATOR_TRANSACTION_NONE,
    STATOR_TRANSACTION_STARTING, /* nothing was sent in it yet */
    STATOR_TRANSACTION_IN_PROGRESS,
    STATOR_TRANSACTION_COMMITTED,
    STATOR_TRANSACTION_ABORTED
} stator_transaction_state_t;

/* Your own blocking code, on a worker, with a session: as stator_work_fn.  Both
 * are for this call only; end neither. */
typedef void stator_session_work_fn(mongoc_client_t *client,
                                    mongoc_client_session_t *session,
                                    stator_promise_t *promise, void *arg);

/* What is to be done in a transaction, by operations in `session` that end
 * before the returned future settles.  Its reference becomes Stator's; NULL:
 * it is done.  Runs on the dispatching thread, and again when the transaction
 * has to be tried again. */
typedef stator_future_t *stator_transaction_fn(stator_session_t *session,
                                               void *arg);

/* ---- sessions -------------------------------------------------------- */

/* A session: when DONE, stator_future_session.  The future itself holds it,
 * too, until its last reference goes.
 *
 * `opts`: causalConsistency (bool), snapshot (bool), defaultTransactionOptions
 * {readConcern, writeConcern, readPreference, maxCommitTimeMS}, leaseId (see
 * stator_lease_append), timeoutMS, priority.  Without a lease it gets one of
 * its own, as by stator_client_lease, which ends with it.
 *
 * Thread: any.  Never blocks.
 * Owns: a new reference, never NULL; copies `opts`.
 * Errors: through the future: as stator_client_lease; the driver's, when the
 *   deployment has no sessions.
 * Source: mongoc_client_start_session. */
STATOR_API stator_future_t *
stator_client_start_session(stator_client_t *client, const bson_t *opts);

/* The session that a future of stator_client_start_session has brought,
 * through chains too.
 *
 * Thread: any.
 * Owns: caller gains one reference, which also keeps the client open.
 * Errors: NULL unless `future` is DONE and has a session. */
STATOR_API STATOR_MUST_CHECK stator_session_t *
stator_future_session(const stator_future_t *future);

/* Let whatever is given `opts` run in the session: puts a number there, under
 * the key sessionId.  (It is not the driver's number.)
 *
 * Thread: any, but `opts` is one thread's.
 * Owns: borrows both; `opts` grows.
 * Errors: false and `error` (may be NULL) filled: ARGUMENT an argument is NULL,
 *   or `opts` has the key already; FORKED.
 * Source: mongoc_client_session_append. */
STATOR_API bool stator_session_append(stator_session_t *session, bson_t *opts,
                                      bson_error_t *error);

/* Your own blocking code in the session, in its turn: as stator_client_run.
 *
 * Thread: any.
 * Owns: as stator_client_run.
 * Errors: likewise. */
STATOR_API stator_future_t *stator_session_run(stator_session_t *session,
                                               stator_session_work_fn *fn,
                                               void *arg, const bson_t *opts);

/* One more reference.
 *
 * Thread: any.  Owns: caller gains one; returns `session`.  Errors: none; NULL
 *   gives NULL. */
STATOR_API stator_session_t *stator_session_ref(stator_session_t *session);

/* Give a reference back.  With the last one, and when what runs in the session
 * has settled and its cursors are closed, the session ends; a transaction that
 * is not committed is aborted.  A worker sees to that; never blocks.
 *
 * Thread: any.  Owns: takes one reference; NULL is fine.  Errors: none.
 * Source: mongoc_client_session_destroy. */
STATOR_API void stator_session_unref(stator_session_t *session);

/* ---- transactions ---------------------------------------------------- */

/* Begin one.  Nothing is sent for it but what it takes to know a server.
 * `opts`: readConcern, writeConcern, readPreference, maxCommitTimeMS, over
 * defaultTransactionOptions; timeoutMS.
 *
 * Thread: any.  Owns: a new reference, never NULL; copies `opts`.
 * Errors: through the future: ARGUMENT; the driver's, if one is open, or the
 *   server has none.
 * Source: mongoc_client_session_start_transaction. */
STATOR_API stator_future_t *
stator_session_start_transaction(stator_session_t *session,
                                 const bson_t *opts);

/* Commit; again after a failure is fine.  The reply has the error labels:
 * stator_future_has_error_label.  `opts`: timeoutMS.
 *
 * Thread: any.  Owns: a new reference, never NULL; copies `opts`.
 * Errors: through the future.
 * Source: mongoc_client_session_commit_transaction. */
STATOR_API stator_future_t *
stator_session_commit_transaction(stator_session_t *session,
                                  const bson_t *opts);

/* Abort.  That the server could not be told is no error: it will find out.  A
 * full queue does not refuse it.  `opts`: timeoutMS.
 *
 * Thread: any.  Owns: a new reference, never NULL; copies `opts`.
 * Errors: through the future: the driver's, if none is open.
 * Source: mongoc_client_session_abort_transaction. */
STATOR_API stator_future_t *
stator_session_abort_transaction(stator_session_t *session,
                                 const bson_t *opts);

/* Begin, call `fn` on `dispatcher`, commit; and again from the beginning, or
 * from the commit, while the failure is one that calls for it
 * (TransientTransactionError, UnknownTransactionCommitResult) and the time is
 * not up.  When the future of `fn` fails, the transaction is aborted.  When
 * `fn` has ended the transaction itself, nothing more is done.  Settles as
 * the future of `fn` did, or as the commit that failed for good.
 *
 * `opts`: as stator_session_start_transaction.  After timeoutMS nothing is
 * tried again, and begin and commit get what is left of it as theirs; fn's
 * own operations need a timeoutMS of theirs.  Without it nothing is tried
 * again after 120 s.  Cancelling cancels what is under way, the future of `fn`
 * too; when `dispatcher` gets to see that, the transaction is aborted.  A
 * chain of continuations in `fn` must not go on after that: a step that runs on
 * another thread at that very moment can come behind the abort, as an ordinary
 * write.
 *
 * Thread: any; `fn` runs on the dispatching thread.
 * Owns: a new reference, never NULL; copies `opts`; keeps the session;
 *   `dispatcher` and `arg` stay yours.
 * Errors: through the future: as fn's, as commit's; ARGUMENT; CLOSED the
 *   dispatcher has gone; DEADLOCK `fn` returned a future that waits for this
 *   one.
 * Source: mongoc_client_session_with_transaction. */
STATOR_API stator_future_t *
stator_session_with_transaction(stator_session_t *session,
                                stator_dispatcher_t *dispatcher,
                                stator_transaction_fn *fn, void *arg,
                                const bson_t *opts);

/* ---- what is known --------------------------------------------------- */

/* The state of its transaction.
 *
 * Thread: any.  Owns: nothing.  Errors: NONE for NULL and in a child after
 *   fork.
 * Source: mongoc_client_session_get_transaction_state. */
STATOR_API stator_transaction_state_t
stator_session_transaction_state(stator_session_t *session);

/* The server's name of the session: {id: <UUID>}.
 *
 * Thread: any.
 * Owns: `out` is initialised here; bson_destroy it.
 * Errors: an empty document for NULL and in a child after fork.
 * Source: mongoc_client_session_get_lsid. */
STATOR_API void stator_session_lsid(stator_session_t *session, bson_t *out);

/* The latest cluster time that it has seen: {clusterTime: .., signature: ..}.
 *
 * Thread: any.
 * Owns: `out` is initialised here; bson_destroy it.
 * Errors: an empty document if there is none, for NULL and in a child after
 *   fork.
 * Source: mongoc_client_session_get_cluster_time. */
STATOR_API void stator_session_cluster_time(stator_session_t *session,
                                            bson_t *out);

/* The time of its last operation, which causally consistent reads come after.
 *
 * Thread: any.
 * Owns: fills `timestamp` and `increment`, of which either may be NULL.
 * Units: timestamp, seconds since 1970; increment, operations in that second;
 *   both 0 if there is none.
 * Errors: 0 for NULL and in a child after fork.
 * Source: mongoc_client_session_get_operation_time. */
STATOR_API void stator_session_operation_time(stator_session_t *session,
                                              uint32_t *timestamp,
                                              uint32_t *increment);

/* Let it know of another session's cluster time.  No I/O: it counts for all
 * that is asked from now on; an earlier one changes nothing.
 *
 * Thread: any.  Owns: copies `cluster_time`.
 * Errors: false and `error` (may be NULL) filled: ARGUMENT it is NULL or has
 *   no timestamp clusterTime; FORKED.
 * Source: mongoc_client_session_advance_cluster_time. */
STATOR_API bool
stator_session_advance_cluster_time(stator_session_t *session,
                                    const bson_t *cluster_time,
                                    bson_error_t *error);

/* Let its reads come after another session's operation.  As above.
 *
 * Thread: any.  Owns: nothing.
 * Units: timestamp, seconds since 1970; increment, operations in that second.
 * Errors: false and `error` (may be NULL) filled: ARGUMENT `session` is NULL;
 *   FORKED.
 * Source: mongoc_client_session_advance_operation_time. */
STATOR_API bool
stator_session_advance_operation_time(stator_session_t *session,
                                      uint32_t timestamp, uint32_t increment,
                                      bson_error_t *error);

#ifdef __cplusplus
}
#endif

#endif /* STATOR_SESSION_H */
