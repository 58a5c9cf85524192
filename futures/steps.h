/* SPDX-License-Identifier: Apache-2.0 */
/* futures/steps.h - a future that takes one step after another: each awaits a
 * future, and when that has settled the next one is taken, on the settling
 * thread.  No dispatcher is needed.  Those of one line take turns.
 *
 *   start ─> waiting in its line ─> step ─> awaits f ── f settles ──┐
 *                                    ^  │                           │
 *                                    └──┼───────────────────────────┘
 *                                       └─ NULL: `over`, the next in line
 *
 * T1  One thread at a time runs a future's steps, and of one line's futures
 *     one at a time is running.  So what only steps touch needs no lock.
 * T2  A step settles the future, or gives what it awaits.  It does not nest:
 *     what has settled already is taken in by a loop, and what settles inside
 *     of a step is told later (see stf_finish).
 * T3  `over` is called once, in its turn and before the next in line, however
 *     the future settled: also of one that was cancelled before its first
 *     step.  No step is taken once it has settled.
 * T4  A cancel cancels what is awaited at that moment, and no more; when
 *     there is nothing, the next to be awaited is cancelled by who awaits it.
 * T5  From start to `over` the machine holds one reference.  Nothing of it is
 *     touched after its link was attached, nor of its line after the last
 *     future that keeps the line has gone. */
#ifndef STF_STEPS_H
#define STF_STEPS_H

#include <urcu/list.h>

#include "futures/awaited.h"
#include "futures/future.h"

struct stf_steps;

/* `settled` is what was awaited, NULL the first time.  Answers what to await
 * (takes the reference), or NULL: the future has been settled. */
typedef stator_future_t *stf_step_fn(struct stf_steps *steps,
                                     stator_future_t *settled);

struct stf_line {
    pthread_mutex_t lock;
    struct cds_list_head waiting; /* oldest first */
    struct stf_steps *running;    /* or NULL */
};

struct stf_steps {
    struct stator_future future; /* first */
    struct stf_link link;
    struct stf_awaited awaited;
    struct stf_line *line; /* or NULL */
    struct cds_list_head waiting;
    stf_step_fn *step;
    void (*over)(struct stf_steps *steps); /* or NULL */
};

static inline struct stf_steps *stf_steps_of(stator_future_t *f)
{
    return stf_container_of(f, struct stf_steps, future);
}

/* `kind` has stf_steps_cancelled, and calls stf_steps_destroy in its release.
 * `size` as for stf_future_new.  NULL: no memory. */
struct stf_steps *stf_steps_new(const struct stf_kind *kind,
                                const char *subject, size_t size,
                                stf_step_fn *step,
                                void (*over)(struct stf_steps *steps));
void stf_steps_cancelled(stator_future_t *future);
void stf_steps_destroy(struct stf_steps *steps);

/* In its turn, or at once without a line.  The caller keeps a reference. */
void stf_steps_start(struct stf_steps *steps, struct stf_line *line);

void stf_line_init(struct stf_line *line);
void stf_line_destroy(struct stf_line *line);
/* Cancel all that is in it now, the last first. */
void stf_line_cancel(struct stf_line *line);

/* Settles as `f` does; a cancel of it leaves `f` alone.  A new reference: on
 * `f` itself, if there is no memory. */
stator_future_t *stf_shield(stator_future_t *f);

#endif /* STF_STEPS_H */
