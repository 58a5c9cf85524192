/* SPDX-License-Identifier: Apache-2.0 */
/* core/lease.h - a connection kept for one user: what runs on it runs one at
 * a time, in order, on any worker (a strand).
 *
 *   lease on a worker: a spare connection? ─yes─> granted
 *                                          ─no──> parked, without a thread,
 *                                                 until one is given back
 *   enter ─> waiting ─> `current`: in the queue ─> worker ─> next
 *   last reference, or close of the client ─> end ─> the connection goes back
 *
 * Y1  All below `lock` changes under it.  Order: client, cursor, lease,
 *     queue; the pool is a leaf.
 * Y2  `current` is in the queue or in a worker's hands, and only its worker
 *     touches `connection` and the sessions; the queue's lock lies between
 *     two of them.
 * Y3  References: each handle, each session, each operation, each cursor on
 *     it.  With the last one gone nothing can enter any more, and the
 *     connection goes back by the thread that gave it up: no I/O.
 * Y4  After the client has begun to close, `connection` goes back as soon as
 *     the line is empty (is_over); who enters later is refused by the queue,
 *     which is shut. */
#ifndef STC_LEASE_H
#define STC_LEASE_H

#include <stdatomic.h>

#include <urcu/list.h>

#include "core/core.h"

struct stc_op;
struct stc_connection;

struct stc_lease {
    atomic_uint refs;
    stator_client_t *client;   /* its memory */
    struct cds_list_head node; /* the client's leases, under its lock */
    int64_t id;
    int64_t made; /* when: for the list of what leaked */
    pthread_mutex_t lock;
    struct cds_list_head waiting; /* operations, oldest first */
    struct stc_op *current;
    struct stc_connection *connection; /* NULL: given back */
};

/* Without a connection yet, one reference.  NULL: no memory. */
struct stc_lease *stc_lease_new(stator_client_t *client);
void stc_lease_ref(struct stc_lease *lease);

/* On a worker: a connection for `op`, a request for a lease, now or when one
 * is given back. */
void stc_lease_request(struct stc_op *op);
/* A parked request was given up.  True: it was parked. */
bool stc_lease_unpark(struct stc_op *op);

/* `op` has been admitted and is to run on the lease: in its turn.  Takes a
 * reference of the caller's on it, for the queue. */
void stc_lease_enter(struct stc_lease *lease, struct stc_op *op);
/* As stc_queue_withdraw. */
bool stc_lease_withdraw(struct stc_lease *lease, struct stc_op *op);
/* A worker has finished the current one. */
void stc_lease_next(struct stc_lease *lease);

#endif /* STC_LEASE_H */
