/* SPDX-License-Identifier: Apache-2.0 */
/* monitor.h - the driver's events, as the format's documents. */
#ifndef TESTS_SPEC_MONITOR_H
#define TESTS_SPEC_MONITOR_H

#include "tests/spec/events.h"

/* Let all that the pool does be told to `events`.  Call it before a client of
 * the pool is out; `events` must live as long as the pool. */
void monitor_listen(events_t *events, mongoc_client_pool_t *pool);

#endif
