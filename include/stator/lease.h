/* SPDX-License-Identifier: Apache-2.0 */
/* lease.h - one connection, kept for you: what is given a lease runs on it, one
 * at a time, in the order of the calls.
 *
 *   stator_future_t *f = stator_client_lease(client, NULL);
 *   .. when it is DONE ..
 *   stator_lease_t *lease = stator_future_lease(f);
 *   bson_t opts = BSON_INITIALIZER;
 *   stator_lease_append(lease, &opts, &error);
 *   stator_collection_insert_one(things, document, &opts);
 *   stator_collection_find_one(things, filter, &opts);     after the insert
 *   stator_lease_unref(lease);
 *
 * A lease is a driver client of its own, and so one connection to each server;
 * no thread belongs to it, any worker serves it in its turn.  There are at most
 * maxConnections - workers - watchers of them, cursors that keep a connection
 * and sessions with a lease of their own included.  While none is free, a
 * request for one is parked: it takes no thread, and is served when another
 * one is given back.
 *
 * Of its operations `priority` is ignored.  A failure, a cancelled or an
 * expired one leaves the lease as it is, and the next one runs; after one that
 * was cut its connection is made anew.  A cursor whose opts name a lease lives
 * on it, and never waits for a connection of its own.
 *
 * When the client closes, a lease that nobody is at goes at once, a busy one
 * when its accepted operations have settled; those who wait for one are
 * cancelled.  What is still held is named in the reply of
 * stator_client_close: {kind: "lease", ageMS, site}. */
#ifndef STATOR_LEASE_H
#define STATOR_LEASE_H

#include <stator/client.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stator_lease stator_lease_t;

/* A connection for yourself: when DONE, stator_future_lease.  The future itself
 * holds the lease, too, until its last reference goes.
 *
 * `opts`: timeoutMS bounds the wait, else waitQueueTimeoutMS of the URI does,
 * if that is given; priority.
 *
 * Thread: any.  Never blocks.
 * Owns: a new reference, never NULL; copies `opts`.
 * Errors: through the future: EXPIRED, REFUSED, CLOSED, ARGUMENT, MEMORY,
 *   FORKED; the driver's, when its pool can not be made.
 * Source: mongoc_client_pool_try_pop. */
STATOR_API stator_future_t *stator_client_lease(stator_client_t *client,
                                                const bson_t *opts);

/* The lease that a future of stator_client_lease has brought, through chains
 * too.
 *
 * Thread: any.
 * Owns: caller gains one reference, which also keeps the client open.
 * Errors: NULL unless `future` is DONE and has a lease. */
STATOR_API STATOR_MUST_CHECK stator_lease_t *
stator_future_lease(const stator_future_t *future);

/* Let whatever is given `opts` run on the lease: puts a number there, under
 * the key leaseId.
 *
 * Thread: any, but `opts` is one thread's.
 * Owns: borrows both; `opts` grows.
 * Errors: false and `error` (may be NULL) filled: ARGUMENT an argument is NULL,
 *   or `opts` has the key already; FORKED. */
STATOR_API bool stator_lease_append(stator_lease_t *lease, bson_t *opts,
                                    bson_error_t *error);

/* Your own blocking code, on the lease, in its turn: as stator_client_run, with
 * the lease's driver client.
 *
 * Thread: any.
 * Owns: as stator_client_run.
 * Errors: likewise. */
STATOR_API stator_future_t *stator_lease_run(stator_lease_t *lease,
                                             stator_work_fn *fn, void *arg,
                                             const bson_t *opts);

/* One more reference.
 *
 * Thread: any.  Owns: caller gains one; returns `lease`.  Errors: none; NULL
 *   gives NULL. */
STATOR_API stator_lease_t *stator_lease_ref(stator_lease_t *lease);

/* Give a reference back.  With the last one, and when what runs on the lease
 * has settled, the connection is free for others.  Never blocks.
 *
 * Thread: any.  Owns: takes one reference; NULL is fine.  Errors: none. */
STATOR_API void stator_lease_unref(stator_lease_t *lease);

#ifdef __cplusplus
}
#endif

#endif /* STATOR_LEASE_H */
