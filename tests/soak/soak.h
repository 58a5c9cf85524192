/* SPDX-License-Identifier: Apache-2.0 */
/* soak.h - a mixed load for minutes through proxies that break connections,
 * and a look at whether anything was lost.
 *
 *   two loops, a waiter -> clients that come and go -> proxies -> servers
 *        ^ canceller            ^ director                ^ faults
 *
 * What must hold, whatever happens on the way:
 *
 *   each operation's continuation runs exactly once, and each accepted future
 *   settles; what is DONE bears its own number, and nobody else's; CANCELLED
 *   is only what somebody cancelled or closed, EXPIRED only what had a
 *   timeoutMS, and what cancel answered true for is CANCELLED; an insert that
 *   is DONE is there exactly once, one that is NOT_SENT is not there; cursors
 *   miss no document and give none twice, also when a request is cancelled;
 *   descriptors, threads and memory are back at the end. */
#ifndef STATOR_TESTS_SOAK_H
#define STATOR_TESTS_SOAK_H

#include <stdint.h>
#include <stdio.h>

typedef struct {
    int seconds;
    uint64_t seed;   /* of the load and of the faults */
    const char *uri; /* of one more server, on 127.0.0.1; NULL: none */
} soak_options_t;

/* How many rules were broken; each of the first is told on stderr, and a
 * summary is printed on `out`.  -1: it could not begin. */
int64_t soak_run(const soak_options_t *options, FILE *out);

/* SOAK_SECONDS of the environment, or `otherwise`. */
int soak_seconds(int otherwise);

#endif /* STATOR_TESTS_SOAK_H */
