/* SPDX-License-Identifier: Apache-2.0 */
/* futures/continuation.h - something to run on a dispatcher once a future
 * has settled.
 *
 *            future settles          dispatched
 *   ATTACHED ------------> READY ---------------> run, release
 *      |                     |
 *      | dispatcher closes   | dispatcher closes
 *      +------> DROPPED <----+                    drop, release
 *
 * C1  Exactly one of run and drop is called, once, with no lock held: run on
 *     the dispatching thread, drop on the thread that closes the dispatcher
 *     or, behind a continuation that does, on the dispatching one.
 * C2  Two parties can reach the node: the dispatcher's register, and the
 *     future's links or, after them, the ready queue.  dispatch takes it
 *     from both; else each gives it up when it is done with it.  release
 *     comes when both have.
 * C3  From attach to release it holds `future`; from attach until it lies in
 *     the ready queue it holds the dispatcher's memory (not the dispatcher).
 */
#ifndef STF_CONTINUATION_H
#define STF_CONTINUATION_H

#include <urcu/list.h>
#include <urcu/wfcqueue.h>

#include <stator/dispatcher.h>

#include "futures/state.h"

enum { STF_ATTACHED, STF_READY, STF_DROPPED };

struct stf_continuation {
    struct stf_link link;           /* among the future's links */
    struct cds_wfcq_node ready;     /* in the dispatcher's ready queue */
    struct cds_list_head attached;  /* in its register, under its lock */
    bool is_silent; /* nobody's: not in what dispatch counts */
    STF_ATOMIC(uint32_t) state;
    STF_ATOMIC(uint32_t) parties;   /* see C2 */
    stator_dispatcher_t *dispatcher;
    stator_future_t *future;
    void (*run)(struct stf_continuation *continuation);
    void (*drop)(struct stf_continuation *continuation);
    void (*release)(struct stf_continuation *continuation);
};

/* Have `c` run on `dispatcher` once `future` has settled.  The three
 * functions are set by the caller.  0, or ESHUTDOWN: nothing was kept. */
int stf_continuation_attach(struct stf_continuation *c,
                            stator_future_t *future,
                            stator_dispatcher_t *dispatcher);

/* Have `c`, whose `future` has settled or is NULL, run on `dispatcher` again.
 * In run; or, while it lies nowhere, by who holds the dispatcher's memory.  0
 * or ESHUTDOWN. */
int stf_continuation_again(struct stf_continuation *c);

/* One of the two parties is done with it. */
void stf_continuation_give_up(struct stf_continuation *c);

#endif /* STF_CONTINUATION_H */
