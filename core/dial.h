/* SPDX-License-Identifier: Apache-2.0 */
/* core/dial.h - from a host's name to a connected socket, in bounded time.
 *
 * The name is looked up on a thread of its own, because getaddrinfo(3) has no
 * time limit: when the time is up that thread is left to itself, and frees
 * what it found.  `lookups` of the client counts them, and bounds those that
 * were left. */
#ifndef STC_DIAL_H
#define STC_DIAL_H

#include <mongoc/mongoc.h>

#include "core/core.h"

/* Connect to `host` until `deadline` (CLOCK_MONOTONIC, nanoseconds): each of
 * its addresses in turn, for an equal part of the time that is left.  The
 * descriptor of a blocking, close-on-exec socket; or -1 and `error`, in the
 * driver's own terms. */
int stc_dial(stator_client_t *client, const mongoc_host_list_t *host,
             int64_t deadline, bson_error_t *error);

#endif /* STC_DIAL_H */
