/* SPDX-License-Identifier: Apache-2.0 */
/* core/queue.h - operations on their way to a worker: bounded, three
 * priorities, and any of them can be taken back.
 *
 *   submit ──push──> intake ──splice──> listed[3] ──take──> worker
 *            (wait-free)      (lock)        |      (lock)
 *                                           +──withdraw──> gone
 *
 * Q1  `queued` counts from admit to take, withdraw or discharge: who is
 *     admitted has a place, wherever it waits (a cursor's requests wait on
 *     the cursor).  It is never above `limit`, but for what passes a full
 *     queue: closing a cursor, aborting a transaction, the further trips of a
 *     request, and the operations of a call of several.  `waiting` is the
 *     same for requests of the lane (watcher.h), which take no place from
 *     others.
 * Q2  `where` of an operation, the lists, `loose` and `taken` of the workers
 *     change under `lock` only.
 * Q3  While an operation is in here, the queue holds a reference on its
 *     future; take hands it to the worker, withdraw gives it back.
 * Q4  A worker sleeps only if there was nothing for it when it looked, under
 *     lock, after it had read the word and then raised `idle`; a push looks
 *     at `idle` after it has pushed.  So a push that finds nobody idle is
 *     found by that look, and one that finds somebody changes the word.
 * Q5  One worker is woken at a time, and wakes the next if more is left.
 * Q6  A retiring worker that still has cursors on its connection takes from
 *     its inbox only.  It sleeps apart, so that it never gets a wake-up that
 *     another one could have used.
 * Q7  A watcher takes from `urgent`, then from its inbox, and nothing else.
 *     It sleeps on a word of its own, which it has read before it looks.  It
 *     ends when `waiting` is 0, for what waits in a lease's line comes back to
 *     it. */
#ifndef STC_QUEUE_H
#define STC_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>

#include <urcu/list.h>

#include "core/core.h"
#include "futures/handover.h"

struct stc_op;
struct stc_worker;

enum stc_where {
    STC_OUTSIDE,   /* not here: parked on a cursor, in a worker's hands .. */
    STC_IN_INTAKE,
    STC_LISTED,
    STC_WITHDRAWN, /* taken back while still in the intake */
    STC_LOOSE      /* run's function has returned, its promise is still out */
};

struct stc_queue {
    struct stf_handover intake;
    struct stf_handover arriving; /* the consumer's side, under lock */
    atomic_llong queued;
    atomic_llong waiting; /* in the lane */
    int64_t limit;
    bool policy_block;
    atomic_bool closed; /* admits no more */

    pthread_mutex_t lock;
    struct cds_list_head listed[3]; /* by enum stc_priority */
    unsigned passed_over[3];
    struct cds_list_head workers;
    struct cds_list_head loose;
    struct cds_list_head withdrawn; /* while in the intake: to be dropped */
    bool stopped; /* workers end when nothing is left */

    atomic_uint idle;       /* workers asleep, or about to be */
    atomic_uint wake_word;  /* what they sleep on */
    atomic_bool waking;     /* one was woken and has not looked yet */
    atomic_uint inbox_word; /* what retiring ones sleep on: see Q6 */
    atomic_uint room_word;  /* what blocked submitters sleep on */
    atomic_uint blocked;
    pthread_mutex_t room_lock;
    struct cds_list_head waiting_for_room;
    atomic_uint n_waiting_for_room;

    void (*freed)(void *owner); /* a place was freed after shut */
    void *owner;                /* the client */
};

void stc_queue_init(struct stc_queue *q, int limit, bool policy_block);
void stc_queue_destroy(struct stc_queue *q);

enum stc_admission { STC_ADMITTED, STC_FULL, STC_SHUT, STC_TOO_LATE };

/* Ask for a place.  With the policy "block" it waits for one, until
 * `deadline`, unless the thread is in a dispatch or one of ours. */
enum stc_admission stc_queue_admit(struct stc_queue *q, int64_t deadline);
/* A place in any case: see Q1. */
void stc_queue_admit_always(struct stc_queue *q);
/* Give a place back unused. */
void stc_queue_discharge(struct stc_queue *q);
/* The same three in the lane, where nobody blocks. */
enum stc_admission stc_queue_admit_to_lane(struct stc_queue *q);
void stc_queue_admit_to_lane_always(struct stc_queue *q);
void stc_queue_discharge_from_lane(struct stc_queue *q);

/* `op` has been admitted.  Wait-free, but for waking a worker. */
void stc_queue_push(struct stc_queue *q, struct stc_op *op);
/* `op` has been admitted and is for one worker's connection. */
void stc_queue_push_to(struct stc_queue *q, struct stc_worker *worker,
                       struct stc_op *op);
/* Take `op` back.  True: no worker will see it; its place is still to be
 * discharged.  (That can settle others, so it waits until no lock is held.)
 */
bool stc_queue_withdraw(struct stc_queue *q, struct stc_op *op);
/* A user's that could be withdrawn, or sits loose, or is in a worker's hands
 * and is not settled: a new reference; NULL when there is none such. */
struct stc_op *stc_queue_any(struct stc_queue *q);

/* The next operation for `worker`, which has finished the one before (its
 * reference is dropped here).  Sleeps while there is none.  NULL: the worker
 * is to end. */
struct stc_op *stc_queue_take(struct stc_queue *q,
                              struct stc_worker *worker);
void stc_queue_wake_all(struct stc_queue *q);
/* How many wait in an inbox; counts up to `most`. */
size_t stc_queue_count_inbox(struct stc_queue *q, struct stc_worker *worker,
                             size_t most);
/* From the intake into the lists.  Under lock.  False: a push is half done. */
bool stc_queue_sort(struct stc_queue *q);

/* Keep track of an operation that is nowhere else until it settles. */
void stc_queue_keep_loose(struct stc_queue *q, struct stc_op *op);
void stc_queue_forget_loose(struct stc_queue *q, struct stc_op *op);

/* Settles when the queue is below half.  Never NULL. */
stator_future_t *stc_queue_room(struct stc_queue *q);

/* Admit no more; who waits for room is told. */
void stc_queue_shut(struct stc_queue *q);
/* Workers end as soon as nothing is left. */
void stc_queue_stop(struct stc_queue *q);

#endif /* STC_QUEUE_H */
