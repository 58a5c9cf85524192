/* SPDX-License-Identifier: Apache-2.0 */
/* core/session.h - a session of the driver's on a lease.
 *
 *   start_session on the strand ─> `driver` ─> operations in it, in order
 *   last reference gone, or the client closes ─> ender, on the strand ─>
 *     the driver's session destroyed: a transaction is aborted
 *
 * V1  `driver` is the strand's: only the worker that has the lease's current
 *     operation touches it.
 * V2  The ender is an operation made beforehand, so that to end a session can
 *     not fail; it passes a full queue.  Whoever takes it out of `ender`,
 *     under the lease's lock, puts it into the line.
 * V3  Memory: `holds` is one for all references together, and one for each
 *     operation, the ender too, and each cursor, to their end.
 * V4  What getters tell is a copy under `lock`, taken by the worker after
 *     each operation and before that settles.  Times that the user advances
 *     wait there until the strand's next operation. */
#ifndef STC_SESSION_H
#define STC_SESSION_H

#include <mongoc/mongoc.h>

#include "core/lease.h"

struct stc_time { /* a BSON timestamp */
    uint32_t seconds, increment;
};

struct stc_session {
    struct stc_tie tie; /* first */
    atomic_uint holds;
    struct stc_lease *lease;       /* held; a reference while alive */
    struct cds_list_head on_lease; /* its sessions, under its lock */
    struct stc_op *ender;          /* likewise; NULL: in line, or done */
    mongoc_client_session_t *driver; /* NULL: not yet, or no more */
    bool is_started; /* the strand's, too */

    pthread_mutex_t lock;
    stator_transaction_state_t state;
    bool is_dirty;
    bson_t lsid;         /* {} until it was started */
    bson_t cluster_time; /* {} when none is known */
    struct stc_time operation_time;
    bool was_advanced; /* by the user, and the driver does not know yet */
};

static inline struct stc_session *stc_session_of(struct stc_tie *tie)
{
    return stf_container_of(tie, struct stc_session, tie);
}

/* To be started on `lease`.  One reference.  NULL: no memory. */
struct stc_session *stc_session_new(stator_client_t *client,
                                    struct stc_lease *lease,
                                    struct stc_target *target);
void stc_session_unref(struct stc_session *session); /* NULL is fine */
void stc_session_hold(struct stc_session *session);
void stc_session_release(struct stc_session *session);

/* On the strand, before and after the driver is used with it. */
void stc_session_before(struct stc_session *session);
void stc_session_after(struct stc_session *session);
/* What the ender does. */
void stc_session_end(struct stc_session *session);

extern const struct stc_verb stc_verb_end_session;

#endif /* STC_SESSION_H */
