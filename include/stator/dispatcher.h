/* SPDX-License-Identifier: Apache-2.0 */
/* dispatcher.h - one file descriptor that brings results into any loop.
 *
 *   stator_dispatcher_fd        watch it for reading in your loop; then
 *   stator_dispatcher_dispatch  call this: it runs the continuations
 *
 * That is the whole contract; include/stator/adapters has it ready-made for
 * some loops.  A program with no loop calls stator_dispatcher_run_once or
 * _run_until instead.
 *
 * One dispatcher serves any number of clients, one client any number of
 * dispatchers. */
#ifndef STATOR_DISPATCHER_H
#define STATOR_DISPATCHER_H

#include <stator/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A new dispatcher with an eventfd of its own.
 *
 * Thread: any.
 * Owns: caller gains one reference.
 * Errors: NULL and `error` (may be NULL) filled: STATOR_ERROR_MEMORY, or
 *   STATOR_ERROR_REFUSED with the system's reason when no descriptor is to
 *   be had.
 * Source: eventfd(2). */
STATOR_API STATOR_MUST_CHECK stator_dispatcher_t *
stator_dispatcher_new(bson_error_t *error);

/* The descriptor to watch: readable while continuations wait.  Do not read,
 * write or close it.
 *
 * Thread: any.  Owns: lent, closed with the dispatcher's last reference.
 * Units: a file descriptor, 0 or more; -1 in a child after fork.
 * Errors: -1; NULL gives -1. */
STATOR_API int stator_dispatcher_fd(const stator_dispatcher_t *dispatcher);

/* Run the continuations that are ready.  Never blocks.  What becomes ready
 * meanwhile waits for the next call, so a call always ends; the descriptor
 * stays readable while anything waits.
 *
 * Thread: one at a time, and not nested in a continuation of the same
 *   dispatcher.  The continuations run on the calling thread.
 * Owns: nothing.  The dispatcher may be given back in a continuation.
 * Units: max, continuations to run at the most; 0 (or negative): all that
 *   are ready now.  Result: how many ran.
 * Errors: -EBUSY somebody is dispatching it; -ECHILD it is from before a
 *   fork; -EINVAL NULL. */
STATOR_API int stator_dispatcher_dispatch(stator_dispatcher_t *dispatcher,
                                          int max);

/* Wait until a continuation is ready, then dispatch all that are.
 *
 * Thread: as stator_dispatcher_dispatch; -EDEADLK on a thread of Stator's
 *   own.
 * Owns: nothing.
 * Units: timeout_ms, milliseconds; 0 does not wait, negative no limit.
 *   Result: how many ran, 0 when the time ran out.
 * Errors: as stator_dispatcher_dispatch. */
STATOR_API int stator_dispatcher_run_once(stator_dispatcher_t *dispatcher,
                                          int64_t timeout_ms);

/* Dispatch until `future` has settled.  Its own continuations may not have
 * run yet when this returns.
 *
 * Thread: as stator_dispatcher_run_once.
 * Owns: nothing.
 * Units: timeout_ms, milliseconds; 0 does not wait, negative no limit.
 * Errors: 0 settled; -ETIMEDOUT; -EDEADLK also when `future` needs another
 *   dispatch that this thread is in; -ESHUTDOWN the dispatcher was closed
 *   meanwhile; -ENOMEM; else as stator_dispatcher_dispatch. */
STATOR_API int stator_dispatcher_run_until(stator_dispatcher_t *dispatcher,
                                           stator_future_t *future,
                                           int64_t timeout_ms);

/* Keep an adapter's state with the dispatcher.  The adapters of
 * include/stator/adapters use it; one adapter at a time.  `adapter` NULL
 * takes the present one away without calling its `free_adapter`.
 *
 * Thread: that of the loop.
 * Owns: takes `adapter`: `free_adapter` (may be NULL) is called with it when
 *   the dispatcher's last reference goes, before its descriptor is closed.
 * Errors: 0; EBUSY one is attached; ESHUTDOWN closed or from before a fork;
 *   EINVAL NULL dispatcher. */
STATOR_API int
stator_dispatcher_set_adapter(stator_dispatcher_t *dispatcher, void *adapter,
                              void (*free_adapter)(void *));

/* The adapter's state, as set.
 *
 * Thread: that of the loop.  Owns: lent.  Errors: NULL when there is none. */
STATOR_API void *
stator_dispatcher_get_adapter(const stator_dispatcher_t *dispatcher);

/* One more reference.
 *
 * Thread: any.  Owns: caller gains one; returns `dispatcher`.  Errors: none;
 *   NULL gives NULL. */
STATOR_API stator_dispatcher_t *
stator_dispatcher_ref(stator_dispatcher_t *dispatcher);

/* Give a reference back.  With the last one the dispatcher closes: what has
 * not run never runs, its `free_arg`s are called, chains on it settle as
 * FAILED (STATOR_ERROR_CLOSED), the descriptor is closed and never touched
 * again.  Workers may go on completing into it meanwhile.
 *
 * Thread: any, its own continuations included.  Owns: takes one reference;
 *   NULL is fine.  Errors: none. */
STATOR_API void stator_dispatcher_unref(stator_dispatcher_t *dispatcher);

#ifdef __cplusplus
}
#endif

#endif /* STATOR_DISPATCHER_H */
