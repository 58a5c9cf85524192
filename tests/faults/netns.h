/* SPDX-License-Identifier: Apache-2.0 */
/* netns.h - a network of the test's own, whose packets can be dropped.
 *
 * It takes the right to make a namespace (root has it) and ip(8).  To be
 * entered before the test has threads; it ends with the test. */
#ifndef STATOR_TESTS_FAULTS_NETNS_H
#define STATOR_TESTS_FAULTS_NETNS_H

#include <stdbool.h>

/* True: this thread, and what it starts, is in a network with nothing but a
 * loopback. */
bool netns_enter(void);
/* From now on the peers of all TCP connections of clients in this process
 * hear nothing from them, nor they from their peers; new ones work.  There
 * must be two or more, to servers in this process.  How many there were, or
 * -1. */
int netns_lose_all(void);

/* True: names are looked up by a server in this network that never answers. */
bool netns_hang_lookups(void);

#endif /* STATOR_TESTS_FAULTS_NETNS_H */
