/* SPDX-License-Identifier: Apache-2.0 */
/* faults.h - what the proxies of a soak do, by a seeded schedule. */
#ifndef STATOR_TESTS_FAULTS_H
#define STATOR_TESTS_FAULTS_H

#include "tests/soak/backend.h"

/* Begin the next fault when its time has come, and end it when it is over;
 * `is_calm`: end it now, and begin none. */
void faults_tick(backend_t *backend, int64_t now_us, bool is_calm);

#endif /* STATOR_TESTS_FAULTS_H */
