/* SPDX-License-Identifier: Apache-2.0 */
/* futures/future.h - the producing side of a future: what lib and core, and
 * the rest of futures, may do with one.
 *
 * Owners: every handle, the producer (a promise, an operation, a composed
 * future's links) and every attached continuation hold one reference each.
 * What trails a future in memory (an operation, say) lives as long. */
#ifndef STF_FUTURE_H
#define STF_FUTURE_H

#include <stator/future.h>
#include <stator/promise.h>

#include "futures/base.h"
#include "futures/continuation.h"
#include "futures/result.h"
#include "futures/state.h"

/* What a pending future waits for, to be searched for deadlocks. */
struct stf_waits {
    size_t n;  /* futures, see waits_for below */
    bool any;  /* one of them is enough; else all are needed */
    const stator_dispatcher_t *dispatcher; /* has to run for it, or NULL */
};

/* What settles this kind of future.  Any member may be NULL. */
struct stf_kind {
    /* Give up: withdraw what can be withdrawn and settle as CANCELLED,
     * unless it is claimed.  No lock is held. */
    void (*cancel)(stator_future_t *future);
    /* What it waits for, and the i-th of the futures: a new reference, or
     * NULL when that one is not waited for any more. */
    struct stf_waits (*waits)(stator_future_t *future);
    stator_future_t *(*waits_for)(stator_future_t *future, size_t i);
    /* It is about to be seen settled, and how: called once, by who has the
     * claim, before anybody is woken.  Must not settle anything. */
    void (*settling)(stator_future_t *future, stator_future_state_t final);
    /* It was cancelled itself, not as another: cancel what it waits for.
     * Called in the turn of stf_finish, so not nested. */
    void (*cancelled)(stator_future_t *future);
    /* The last reference has gone. */
    void (*release)(stator_future_t *future);
};

struct stator_future {
    struct stf_state state;
    STF_ATOMIC(uint32_t) refs;
    STF_ATOMIC(uint32_t) producers; /* references on the promise */
    STF_ATOMIC(uint32_t) phase;     /* stator_phase_t */
    STF_ATOMIC(uint32_t) first_taken;
    uint32_t generation;
    bool immortal; /* static: references are not counted */
    /* From here to `alias`: written by who has the claim. */
    uint8_t code;    /* stator_error_code_t, when there is no result */
    uint8_t outcome; /* stator_outcome_t */
    const char *note; /* lent for the future's life: why, with `code` */
    struct stf_result *result;
    stator_future_t *alias; /* settled as this one: ask it */
    const struct stf_kind *kind;
    const char *subject; /* static: what it is, for messages */
    void *context;       /* the user's, of an operation */
    stator_future_t *next_settling;
    struct stf_continuation first; /* the room of the first continuation */
    stator_then_fn *first_fn;
    void *first_arg;
    void (*first_free)(void *);
};

struct stator_promise { /* the same, seen from the other side */
    struct stator_future future;
};

/* A pending future with `size` bytes behind it in all (at least
 * sizeof (struct stator_future); what trails is zeroed), one reference, no
 * promise.  NULL: no memory. */
stator_future_t *stf_future_new(const struct stf_kind *kind,
                                const char *subject, size_t size);

/* One that nothing but its maker settles, with no memory behind it. */
stator_future_t *stf_future_new_plain(const char *subject);

/* A future that has failed already; never NULL. */
stator_future_t *stf_future_failed(stator_error_code_t code,
                                   const char *subject, const char *format,
                                   ...) __attribute__((format(printf, 3, 4)));
/* What a settled future has made, lent; NULL: nothing that `release` would
 * give back. */
void *stf_future_handle(const stator_future_t *f,
                        void (*release)(void *handle));
/* The static one, FAILED for memory. */
stator_future_t *stf_future_no_memory(void);

static inline bool stf_settled(const stator_future_t *f)
{
    return stf_word_is_final(stf_state_word(&f->state));
}

static inline bool stf_inherited(const stator_future_t *f)
{
    return f->generation != stf_generation() && !f->immortal;
}

/* Settle.  False: somebody else has; then nothing of the arguments was
 * taken.  The caller holds a reference. */

/* With a result (taken).  FAILED: its error says why. */
bool stf_settle(stator_future_t *f, stator_future_state_t final,
                struct stf_result *result, stator_outcome_t outcome);
/* As FAILED or CANCELLED, with one of Stator's own codes, without
 * allocating.  `note` is lent for the future's life. */
bool stf_settle_code(stator_future_t *f, stator_future_state_t final,
                     stator_error_code_t code, const char *note,
                     stator_outcome_t outcome);
/* As the settled future `other` did. */
bool stf_settle_as(stator_future_t *f, stator_future_t *other);

/* The same in two steps, for who must know whether it has the claim before
 * it writes.  After a claim that answers true, finish must follow soon. */
bool stf_claim(stator_future_t *f, stator_future_state_t final);
void stf_finish(stator_future_t *f, stator_future_state_t final);

/* Be told once `f` has settled; at once, if it has. */
void stf_attach(stator_future_t *f, struct stf_link *link);

/* Raise the phase; the value is seen by a canceller that claims later, and
 * a claim made before is seen by who looks at the state after. */
static inline void stf_enter_phase(stator_future_t *f, stator_phase_t phase)
{
    STF_STORE(&f->phase, (uint32_t)phase, seq_cst);
}

static inline stator_phase_t stf_phase(const stator_future_t *f)
{
    return (stator_phase_t)STF_LOAD(&f->phase, seq_cst);
}

/* Can `f` only settle if `dispatcher` dispatches, or `future` settles?
 * Either may be NULL.  (deadlock.c) */
bool stf_needs(stator_future_t *f, const stator_dispatcher_t *dispatcher,
               const stator_future_t *future);
/* Would this thread, in the dispatches `within` (NULL: none), wait for ever
 * for `f`?  Certain at the time: what it overlooks is said in the public
 * header. */
bool stf_would_deadlock(stator_future_t *f,
                        const struct stf_dispatching *within);

static inline stator_promise_t *stf_promise_of(stator_future_t *f)
{
    return (stator_promise_t *)(void *)f;
}

#endif /* STF_FUTURE_H */
