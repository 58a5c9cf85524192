/* SPDX-License-Identifier: Apache-2.0 */
/* futures/dispatcher.h - the dispatcher's side towards continuations. */
#ifndef STF_DISPATCHER_H
#define STF_DISPATCHER_H

#include <stator/dispatcher.h>

#include "futures/continuation.h"

/* Enter `c` in the register.  False: closed, or inherited by a fork. */
bool stf_dispatcher_register(stator_dispatcher_t *d,
                             struct stf_continuation *c);

/* Queue `c`, which is registered and READY.  Any thread; wait-free but for
 * the write that wakes the loop. */
void stf_dispatcher_push(stator_dispatcher_t *d, struct stf_continuation *c);

/* The memory, apart from the handle: see C3 in continuation.h. */
void stf_dispatcher_hold(stator_dispatcher_t *d);
void stf_dispatcher_release(stator_dispatcher_t *d);

#endif /* STF_DISPATCHER_H */
