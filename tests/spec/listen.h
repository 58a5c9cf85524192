/* SPDX-License-Identifier: Apache-2.0 */
/* listen.h - a client's events as Stator tells them, as the format's documents.
 *
 *   worker, monitor ──> listener ──> dispatcher ──listen_collect──> events
 *
 * The dispatcher is the client's own, and is dispatched by who runs the test
 * when the events are looked at.  An event is with the listener before the
 * operation that caused it has settled; so all events of the operations that
 * were awaited are there after a listen_collect, in their order. */
#ifndef TESTS_SPEC_LISTEN_H
#define TESTS_SPEC_LISTEN_H

#include "tests/spec/events.h"

/* The value of the client's option "events"; NULL: none are wanted. */
const char *listen_option(const events_t *events);

/* Listen to all that is observed.  Before the client's first operation. */
bool listen_begin(events_t *events, stator_client_t *client,
                  verdict_t *verdict);

/* Have all that have happened added.  Nothing to do for the raw driver. */
void listen_collect(events_t *events);

/* No more.  Before the client goes, or after. */
void listen_end(events_t *events);

#endif
