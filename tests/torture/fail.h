/* SPDX-License-Identifier: Apache-2.0 */
/* fail.h - a scenario, run again and again, while the library's n-th fallible
 * call fails: see calls.h for which these are, and how.
 *
 *   torture_sweep(chain)
 *     once:    call 1 fails; call 2 fails; ..   until a run has no n-th call
 *     onward:  call 1 and all after it; 2 and all after it; ..
 *   torture_sweep_network(reads)
 *     the same for each failure of the network's calls, then for hiccups;
 *     with TORTURE_STRIDE=4 in the environment for every fourth call only
 *
 * Only calls of the library's own objects can fail, and those of adapters,
 * which are inline: the program links a copy of the library in which malloc is
 * called torture_malloc, and so on.  The driver ends the process when it has
 * no memory, by its own choice.
 *
 * After each run all blocks must be back and no descriptor be left.  A run
 * that hangs, or crashes, says which call it was that failed. */
#ifndef STATOR_TESTS_TORTURE_FAIL_H
#define STATOR_TESTS_TORTURE_FAIL_H

#include <stdbool.h>
#include <stddef.h>

#include <stator/dispatcher.h>

#include "tests/harness/suite.h"
#include "tests/torture/calls.h"

enum { TORTURE_PATIENCE_MS = 90000 }; /* for what must come anyway */

typedef void torture_fn(void);

void torture_sweep_named(const char *name, torture_fn *scenario);
void torture_sweep_network_named(const char *name, torture_fn *scenario);
#define torture_sweep(scenario) torture_sweep_named(#scenario, scenario)
#define torture_sweep_network(scenario) \
    torture_sweep_network_named(#scenario, scenario)

/* Has a call been made to fail in this run, so that something else may? */
bool torture_fired(void);
/* And none will fail from here on? */
bool torture_is_spent(void);
/* Has a connection been lost by it, as far as the futures know? */
bool torture_broke_a_connection(void);
/* "chain: call 3 failed: malloc, at +0x1f20". */
const char *torture_where(void);

#define OK(condition)                                                          \
    ck_assert_msg(condition, "%s is not so; %s", #condition, torture_where())

/* Wait until it settles; true: DONE.  Else it is FAILED for want of memory, or
 * with an error that shows what it was that failed, and some call was made to
 * fail. */
bool settles(stator_future_t *future);
/* The same, and the reference is given back. */
bool settles_take(stator_future_t *future);
/* The same, on a dispatcher that must run meanwhile. */
bool settles_on(stator_dispatcher_t *dispatcher, stator_future_t *future);
/* NULL with the right error, or a dispatcher. */
stator_dispatcher_t *dispatcher_or_null(void);

#endif /* STATOR_TESTS_TORTURE_FAIL_H */
