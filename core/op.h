/* SPDX-License-Identifier: Apache-2.0 */
/* core/op.h - an operation: a future, and what a worker needs to settle it.
 *
 *   submit -> QUEUED -> take -> CHECKOUT -> SENT -> settled
 *                |                 |          |
 *                +------ give_up: cancel, deadline, close
 *
 * O1  One block of memory of at most 512 bytes, future included, and the
 *     BSON of its arguments, which goes as soon as no worker can need it.
 * O2  References: the user's handles; the queue's, then the worker's (Q3);
 *     the deadline's while it is entered.
 * O3  Settled by the worker, or by give_up, whichever claims first.  give_up
 *     claims, then looks at the phase; the worker enters SENT, then looks at
 *     the claim.  So either give_up sees SENT and says MAYBE_SENT, or the
 *     worker sees the claim and sends nothing.
 *     When it is on the wire already, its transport is cut (transport.h), so
 *     that the worker is free; that knows whether a byte was sent.
 * O4  What a worker brings back for a settled operation is thrown away, but
 *     for a cursor's documents, which stay with the cursor. */
#ifndef STC_OP_H
#define STC_OP_H

#include "core/core.h"
#include "core/deadline.h"
#include "core/queue.h"
#include "core/transport.h"
#include "futures/base.h"
#include "futures/future.h"

struct stc_op {
    struct stator_promise promise; /* first: an operation is its future */
    stator_client_t *client;       /* its memory, not its openness */
    struct stc_target *target;
    const struct stc_verb *verb;
    const void *site; /* where the user called from */
    uint8_t *bytes; /* see struct stc_request; NULL for cursors */
    uint32_t n_documents;
    union {
        struct cds_wfcq_node intake;
        struct cds_list_head listed; /* in a list of the queue's, or loose */
    };
    STF_ATOMIC(uint32_t) where; /* enum stc_where */
    uint8_t priority;
    uint8_t want;               /* enum stc_want, of a cursor's request */
    bool internal;              /* no user's: not in the statistics */
    bool is_request;            /* of a cursor's: the first of the union */
    bool acquires;              /* a connection for `lease` comes first */
    bool is_parked;             /* waits for one, under the pool's lock */
    bool on_lease;              /* waits in its line, under its lock */
    bool waits_by_uri;          /* its deadline is waitQueueTimeoutMS */
    bool in_lane;               /* of a cursor that is: see watcher.h */
    bool is_urgent;             /* there: not a turn */
    bool passes;                /* see struct stc_request */
    /* Of a request, under its cursor's lock: */
    bool has_place;    /* admitted, and not yet taken */
    bool in_line;      /* in `waiting` */
    bool claimed_here; /* by the cursor, which has to finish it */
    STF_ATOMIC(uint32_t) returned; /* the driver has */
    /* Where it can be cut, from before SENT until the driver has returned. */
    STF_ATOMIC(struct stc_transport *) transport;
    STF_ATOMIC(uint32_t) unsent; /* then: not a byte has gone out */
    struct stc_deadline deadline;
    int64_t submitted; /* CLOCK_MONOTONIC, nanoseconds */
    int64_t queued_at; /* likewise: a cursor's request is queued more often */
    union {
        struct { /* a cursor's request */
            struct stc_cursor *cursor;
            struct cds_list_head waiting; /* on the cursor, under its lock */
            struct stf_result *room;      /* for its result */
            int64_t max;
        };
        struct { /* stator_client_run, stator_session_run */
            stator_work_fn *fn;
            stator_session_work_fn *fn_session;
            void *arg;
            void (*free_arg)(void *arg);
        };
    };
    /* The strand, or NULL: held to the end, with a reference while tied. */
    struct stc_lease *lease;
    struct stc_session *session;
    STF_ATOMIC(uint32_t) tied;
};

_Static_assert(sizeof(struct stc_op) <= 512, "O1");

static inline struct stc_op *stc_op_of(stator_future_t *f)
{
    return stf_container_of(f, struct stc_op, promise.future);
}

static inline stator_future_t *stc_op_future(struct stc_op *op)
{
    return &op->promise.future;
}

static inline void stc_op_ref(struct stc_op *op)
{
    stator_future_ref(stc_op_future(op));
}

static inline void stc_op_unref(struct stc_op *op)
{
    stator_future_unref(stc_op_future(op));
}

/* Changes under the queue's lock, but for the push, before which nobody else
 * changes it. */
static inline void stc_op_move(struct stc_op *op, enum stc_where where)
{
    STF_STORE(&op->where, (uint32_t)where, relaxed);
}

static inline enum stc_where stc_op_where(const struct stc_op *op)
{
    return (enum stc_where)STF_LOAD(&op->where, seq_cst);
}

static inline bool stc_op_is_settled(const struct stc_op *op)
{
    return stf_state_word_ordered(&op->promise.future.state) != STF_PENDING;
}

/* An operation with one reference; NULL: no memory. */
struct stc_op *stc_op_new(stator_client_t *client,
                          const struct stc_verb *verb,
                          struct stc_target *target);

/* Ask for a place in the queue; counts it as submitted.  False: settled as
 * refused. */
bool stc_op_admit(struct stc_op *op);
/* The client closes: settled as refused for that. */
void stc_op_refuse(struct stc_op *op);
/* Enter its deadline, if it has one. */
void stc_op_watch(struct stc_op *op);

enum stc_reason {
    STC_BY_USER,
    STC_BY_DEADLINE,
    STC_BY_CURSOR, /* it is closed */
    STC_BY_STREAM, /* likewise, and it is a change stream */
    STC_BY_CLOSE   /* the client is */
};

/* A place for a further trip, and one given back: in the queue or the lane. */
void stc_op_take_place(struct stc_op *op);
void stc_op_leave_place(struct stc_op *op);

/* Of one that is claimed: cut what it is at, if it is at the server.  True:
 * that can not have seen it. */
bool stc_op_cut(struct stc_op *op);
/* Withdraw or abandon, and settle.  Answers whether it did. */
bool stc_op_give_up(struct stc_op *op, enum stc_reason why);

/* Of one that is claimed and no cursor's: take it back.  True: no worker had
 * it, nor will. */
bool stc_op_withdraw(struct stc_op *op);

/* It is to run there; takes the references. */
void stc_op_tie(struct stc_op *op, struct stc_lease *lease,
                struct stc_session *session);
/* It has left the strand, or never came there. */
void stc_op_untie(struct stc_op *op);
/* The strand that it runs on, or NULL. */
struct stc_lease *stc_op_lease(const struct stc_op *op);

/* No worker will need the arguments any more. */
void stc_op_drop_bytes(struct stc_op *op);

#endif /* STC_OP_H */
