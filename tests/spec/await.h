/* SPDX-License-Identifier: Apache-2.0 */
/* await.h - the three ways to meet a future. */
#ifndef TESTS_SPEC_AWAIT_H
#define TESTS_SPEC_AWAIT_H

#include <stator/future.h>
#include <stdbool.h>

#include "tests/spec/setup.h"
#include "tests/spec/verdict.h"

/* How the next operation is awaited: MODE_MIXED becomes one of the others, in
 * turn, as `*turn` goes up. */
wait_mode_t await_mode(wait_mode_t mode, unsigned *turn);

/* Until `future` has settled.  False: it did not in two minutes, or one of
 * the ways says that it has and another that it has not. */
bool await_future(stator_future_t *future, wait_mode_t mode,
                  stator_dispatcher_t *dispatcher, verdict_t *verdict);

#endif
