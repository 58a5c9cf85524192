/* SPDX-License-Identifier: Apache-2.0 */
/* futures/dispatcher.h - the dispatcher's side towards continuations. */
#ifndef STF_DISPATCHER_H
#define STF_DISPATCHER_H

#include <pthread.h>
#include <stdatomic.h>

#include <stator/dispatcher.h>

#include "futures/base.h"
#include "futures/continuation.h"
#include "futures/handover.h"

struct stator_dispatcher {
    struct stf_handover ready;
    struct stf_handover backlog;
    atomic_bool dispatching;
    atomic_bool closed;
    atomic_uint refs;
    atomic_uint holds;
    uint32_t generation;
    int fd;
    pthread_rwlock_t fd_lock;
    pthread_mutex_t lock;
    struct cds_list_head registered;
    struct cds_list_head awaiting; /* of run_until, under lock */
    void *adapter;
    void (*free_adapter)(void *);
};

/* Enter `c` in the register.  False: closed, or inherited by a fork. */
bool stf_dispatcher_register(stator_dispatcher_t *d,
                             struct stf_continuation *c);

/* Queue `c`, which is registered and READY.  Any thread; wait-free but for
 * the write that wakes the loop. */
void stf_dispatcher_push(stator_dispatcher_t *d, struct stf_continuation *c);

/* Settle `f`, which `d` will never run for: why, is its error. */
void stf_dispatcher_refuse(const stator_dispatcher_t *d, stator_future_t *f);

/* The memory, apart from the handle: see C3 in continuation.h. */
void stf_dispatcher_hold(stator_dispatcher_t *d);
void stf_dispatcher_release(stator_dispatcher_t *d);

/* ---- for run.c --------------------------------------------------- */

bool stf_dispatcher_is_closed(stator_dispatcher_t *d);
/* Become the one who dispatches; 0 or why not. */
int stf_dispatcher_enter(stator_dispatcher_t *d,
                         struct stf_dispatching *here);
void stf_dispatcher_leave(stator_dispatcher_t *d,
                          const struct stf_dispatching *here);
/* What dispatch does, having entered. */
int stf_dispatcher_run(stator_dispatcher_t *d, int max);

#endif /* STF_DISPATCHER_H */
