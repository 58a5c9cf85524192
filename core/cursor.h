/* SPDX-License-Identifier: Apache-2.0 */
/* core/cursor.h - a cursor: documents that are here, requests for them, and
 * one strand on which the server is asked for more.
 *
 *   ask -> waiting -> served from the buffer              (any thread)
 *             |
 *             +-- head -> queue -> worker: open / more -> buffer -> serve
 *                         (busy)
 *
 * R1  All below `lock` changes under it.  Requests are settled without it:
 *     they are claimed under it, finished after it, in order.
 * R2  `busy`: the head of `waiting` is in the queue or in a worker's hands.
 *     Only then, and only by that worker, is `server` touched; so one
 *     operation at a time uses its driver client (a strand).
 * R3  Documents leave the buffer only for a request whose claim was won; a
 *     request that was given up in the meantime takes none with it.
 * R4  `server.connection` is set while the server has more to give.  It is
 *     a lease, that any worker may use in its turn, or, when none was to be
 *     had, the connection of the worker `home`, which then runs whatever
 *     this cursor asks.  With a `lease` of the user's it is that one's, and
 *     requests go through that one's line instead of the queue.  In the lane
 *     (watcher.h) `home` is a watcher, from the first trip on.
 * R5  When the cursor ends with a connection still set (closed, left by its
 *     handle, client closing), it asks for its own close; that request
 *     passes a full queue.
 * R6  References: the handle, each request, each look by the keeper. */
#ifndef STC_CURSOR_H
#define STC_CURSOR_H

#include <stdatomic.h>

#include <urcu/list.h>

#include "core/core.h"
#include "core/server_cursor.h"
#include "futures/documents.h"

struct stc_change_stream;
struct stc_lease;
struct stc_op;
struct stc_session;
struct stc_worker;

struct stc_batch { /* what is left of one server batch */
    struct cds_list_head node;
    struct stf_slice slice;
    const uint8_t *token; /* of a change stream: where it ends, as BSON that
                           * is lent by the slice; or NULL */
};

struct stc_cursor {
    atomic_uint refs;
    stator_client_t *client;
    struct cds_list_head node; /* the client's cursors, under its lock */
    unsigned round;            /* likewise */
    struct stc_target *target;
    const struct stc_verb *verb;
    const void *site; /* where it was made, for the list of what leaked */
    void *context;    /* the user's: its requests' too */
    uint8_t *bytes;
    uint32_t n_documents;
    int64_t timeout_ms;
    enum stc_timeout_mode timeout_mode;
    enum stc_priority priority;
    /* The user's, to be opened on and in; or NULL.  Held to the end, with a
     * reference while tied. */
    struct stc_lease *lease;
    struct stc_session *session;
    bool prefetch;
    bool in_lane; /* change streams and awaiting cursors: see watcher.h */
    struct stc_change_stream *stream; /* or NULL */
    bool passes; /* its requests: see struct stc_request */
    int64_t max_bytes;
    int64_t made;     /* when, likewise */

    pthread_mutex_t lock;
    struct cds_list_head waiting; /* requests, oldest first */
    bool busy;
    bool uses_lease; /* Y4 in lease.h: a request, or the server's cursor */
    bool is_tied;
    bool was_asked;
    bool left;      /* the handle has gone */
    bool closed;    /* by close: the buffer is empty, requests fail */
    bool ended;     /* no more will come: the last batch, or `failure` */
    bool has_failed;
    bool is_dry;    /* tailable, and this trip brought nothing */
    bool is_open;   /* the server has answered the command that opens it */
    bool awaits_open; /* who asks for that may wait behind others */
    bool is_seated; /* in the lane */
    /* Of the lane: what all who wait are refused with, during one look. */
    stator_error_code_t refusal;
    const char *refusal_note;
    bool was_named; /* in the list of what leaked */
    struct cds_list_head batches;
    int64_t n_buffered; /* documents */
    int64_t n_bytes;    /* of these */
    int n_batches;
    int64_t deadline; /* of its lifetime */
    /* Made beforehand, for the first error, and for R5: */
    stator_future_t *failure;
    struct stf_result *failure_room;
    struct stc_op *closer;

    struct stc_server_cursor server; /* see R2 */
    struct stc_worker *home;         /* see R4 */
};

/* A request; NULL: no memory. */
struct stc_op *stc_cursor_request(struct stc_cursor *c, enum stc_want want);

void stc_cursor_ref(struct stc_cursor *c);
bool stc_cursor_ref_if_alive(struct stc_cursor *c);
void stc_cursor_unref(struct stc_cursor *c);
/* It needs the user's lease no more: `is_tied` was set. */
void stc_cursor_untie(struct stc_cursor *c);

/* On a worker: what the request at the head wants.  (strand.c) */
void stc_cursor_run(struct stc_worker *worker, struct stc_op *op);
/* A request was given up (and claimed).  True: no worker had it. */
bool stc_cursor_withdraw(struct stc_op *op);
/* A request's last reference has gone. */
void stc_cursor_forget(struct stc_op *op);

/* On the strand: has it a cursor there, or is one to be opened? */
static inline bool stc_cursor_is_at_server(const struct stc_cursor *c)
{
    return c->server.connection != NULL && !c->server.is_lost;
}

/* The client closes: an idle cursor closes now, another one when its
 * requests are settled. */
void stc_cursor_shut(struct stc_cursor *c);
/* Give up all that waits. */
void stc_cursor_give_up_waiting(struct stc_cursor *c);
/* If it is over and nobody waits for its turn any more: end that.  (Z5 in
 * watcher.h) */
void stc_cursor_cut_turn(struct stc_cursor *c);

#endif /* STC_CURSOR_H */
