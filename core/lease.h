/* SPDX-License-Identifier: Apache-2.0 */
/* core/lease.h - a connection kept for one user: what runs on it runs one at
 * a time, in order, on any worker (a strand).
 *
 *   lease on a worker: a spare connection? ─yes─> granted
 *                                          ─no──> parked, without a thread,
 *                                                 until one is given back
 *   enter ─> waiting ─> `current`: in the queue ─> worker ─> next
 *
 *   last reference gone ──────────────────────────────> connection goes back
 *   client closing, nobody uses it ─> sessions' enders ─> connection goes back
 *
 * Y1  All below `lock` changes under it.  Order of locks: cursor, lease,
 *     queue or pool.  Nothing is settled, and no last reference dropped, with
 *     it held.
 * Y2  `current` is in the queue or in a worker's hands, and only its worker
 *     touches `connection` and the driver's sessions on it; the queue's lock
 *     lies between two of them.
 * Y3  References: the handles, the results of futures, each operation until
 *     it has left the strand, each cursor until it has no more to ask for,
 *     each session until it has ended.  So when the last one goes nothing is
 *     in the line nor can enter it, and the connection goes back by the
 *     thread that let go: no I/O.  Memory: `holds` is one for all references
 *     together and one for whoever may look at it later: operations, cursors
 *     and sessions, to their end.
 * Y4  When the client closes, the connection goes back as soon as the line is
 *     empty and `n_users` is 0: who is between asking for a place in the
 *     queue, or being granted the lease, and entering the line, and cursors
 *     that have a request or the server's cursor on it.  From then on nobody
 *     enters, for the queue is shut.
 * Y5  A parked request has a place in the queue (Q1) and a reference of the
 *     pool's; whoever takes it out of the pool's list has both.  One thread
 *     at a time serves: who is served can be over at once, and gives back
 *     while it is.  None is served on a client that closes.
 * Y6  What runs on a watcher (watcher.h) waits for that one first, and keeps
 *     nobody from the lease meanwhile.  Then it begins at once, or gets into
 *     the line; from there it goes before all else that the watcher has. */
#ifndef STC_LEASE_H
#define STC_LEASE_H

#include "core/tie.h"
#include "futures/base.h"

struct stc_op;
struct stc_connection;
struct stc_session;

struct stc_lease {
    struct stc_tie tie; /* first */
    atomic_uint holds;
    pthread_mutex_t lock;
    struct cds_list_head waiting; /* operations, oldest first */
    struct stc_op *current;
    unsigned n_users;
    struct cds_list_head sessions;     /* those that have not begun to end */
    struct stc_connection *connection; /* NULL: not yet, or given back */
};

static inline struct stc_lease *stc_lease_of(struct stc_tie *tie)
{
    return stf_container_of(tie, struct stc_lease, tie);
}

/* Without a connection yet, one reference.  NULL: no memory. */
struct stc_lease *stc_lease_new(stator_client_t *client);
void stc_lease_unref(struct stc_lease *lease); /* NULL is fine */
void stc_lease_hold(struct stc_lease *lease);
void stc_lease_release(struct stc_lease *lease);

/* ---- a connection for it (grant.c) ------------------------------- */

/* On a worker that has a connection itself: one for the lease of `op`, which
 * is a request for one, now or when one is given back.  Afterwards the worker
 * has nothing to do with `op`. */
void stc_lease_request(struct stc_op *op);
/* A connection was given back, or more may be out: serve who is parked.  No
 * lock is held. */
void stc_lease_serve_parked(stator_client_t *client);
/* The client closes: nobody will be served any more. */
void stc_lease_give_up_parked(stator_client_t *client);

/* ---- the line ---------------------------------------------------- */

/* Y4: keep the connection.  False: the client is closing, it may be gone. */
bool stc_lease_use(struct stc_lease *lease);
/* The same by who knows that it is used. */
void stc_lease_use_too(struct stc_lease *lease);
void stc_lease_disuse(struct stc_lease *lease);

/* `op` has been admitted and is to run on the lease, in its turn.  Takes a
 * reference of the caller's on it, for the line and then the queue. */
void stc_lease_enter(struct stc_lease *lease, struct stc_op *op);
/* A watcher has time for `op`.  True: it is the current one.  False: it waits
 * in the line. */
bool stc_lease_begin(struct stc_lease *lease, struct stc_op *op);
/* As stc_queue_withdraw, of an operation on `lease`, wherever it is. */
bool stc_lease_withdraw(struct stc_lease *lease, struct stc_op *op);
/* A worker has finished `op`, the current one. */
void stc_lease_next(struct stc_lease *lease, struct stc_op *op);

/* `session` is on it and has to end before the connection goes. */
void stc_lease_add_session(struct stc_lease *lease,
                           struct stc_session *session);
/* On the strand: is nobody left but who asks? */
bool stc_lease_is_of_one(struct stc_lease *lease);
/* The session's last reference has gone: let it end in its turn. */
void stc_lease_end_session(struct stc_lease *lease,
                           struct stc_session *session);

/* ---- the client closes ------------------------------------------- */

/* Name what is open, and end what nobody is at. */
void stc_leases_shut(stator_client_t *client);
/* Give up all that waits in a line. */
void stc_leases_give_up_waiting(stator_client_t *client);
/* All workers have ended: what is left stays as it is. */
void stc_leases_abandon(stator_client_t *client);

#endif /* STC_LEASE_H */
