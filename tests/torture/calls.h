/* SPDX-License-Identifier: Apache-2.0 */
/* calls.h - what the library calls in place of malloc, socket, recv and their
 * kin: each counts itself, and fails when it is its turn.
 *
 *   resources   memory, threads, descriptors, fork handlers: the call fails
 *               as its manual page says, write and read of an eventfd with
 *               EINTR, the one failure that asks for anything to be done
 *   network     socket, connect, fcntl, poll, .. sendmsg, recv, getaddrinfo:
 *               the same, two ways each
 *   hiccups     the same calls, interrupted, early, or short: no harm must
 *               come of these at all
 *
 * One kind at a time is counted, and not what the driver's monitors call on
 * our streams, which is as often as it takes; but only that, on request. */
#ifndef STATOR_TESTS_TORTURE_CALLS_H
#define STATOR_TESTS_TORTURE_CALLS_H

#include <stdbool.h>
#include <stddef.h>

enum calls_kind { CALLS_RESOURCES, CALLS_NETWORK, CALLS_HICCUPS };
enum { CALLS_WAYS = 3 }; /* of which the first kind has one, the next two */

/* From now on call `n` of `kind` fails, and if `onward` all that follow it;
 * 0: none.  `way`: which of its failures. */
void calls_begin(enum calls_kind kind, int way, long n, bool onward);
/* Let the monitors' calls be those that count. */
void calls_count_monitors(bool wanted);
/* Is this thread one of the driver's monitors, or began one of these it? */
bool calls_is_monitor(void);
/* Has a call failed since? */
bool calls_fired(void);
/* Which, and where: "recv, at +0x1f20", an offset for addr2line. */
const char *calls_what(void);
/* Does the message show what it was that failed? */
bool calls_explain(const char *message);
/* Blocks and lists of addresses that were made and not freed. */
long calls_live(void);

/* Let pthread_atfork fail, whatever else. */
void calls_refuse_atfork(void);
bool calls_saw_atfork(void);

/* For what is inline in headers. */
void *torture_malloc(size_t size);
void *torture_calloc(size_t n, size_t size);
void *torture_realloc(void *block, size_t size);
void *torture_aligned_alloc(size_t align, size_t size);
void torture_free(void *block);

#endif /* STATOR_TESTS_TORTURE_CALLS_H */
