/* SPDX-License-Identifier: Apache-2.0 */
/* futures/awaited.h - the one future that another waits for at present: set
 * by who runs it, looked at by who cancels it or searches for a deadlock. */
#ifndef STF_AWAITED_H
#define STF_AWAITED_H

#include <pthread.h>

#include <stator/future.h>

struct stf_awaited {
    pthread_mutex_t lock;
    stator_future_t *future; /* a reference, or NULL */
};

/* Takes the reference. */
void stf_awaited_init(struct stf_awaited *a, stator_future_t *future);
void stf_awaited_destroy(struct stf_awaited *a);

/* Await `next` (takes the reference; NULL: nothing) from now on.  Answers
 * what was awaited, with its reference. */
stator_future_t *stf_awaited_swap(struct stf_awaited *a,
                                  stator_future_t *next);
/* A new reference, or NULL. */
stator_future_t *stf_awaited_ref(struct stf_awaited *a);
/* Cancel it, and await nothing. */
void stf_awaited_cancel(struct stf_awaited *a);

#endif /* STF_AWAITED_H */
