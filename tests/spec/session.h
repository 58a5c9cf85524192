/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - session entities. */
#ifndef TESTS_SPEC_SESSION_H
#define TESTS_SPEC_SESSION_H

#include "tests/spec/entities.h"

/* Start one on the entity's client, with the format's "sessionOptions". */
bool session_make(entity_t *entity, const setup_t *setup,
                  const bson_t *options, verdict_t *verdict);

/* Has it not been ended? */
bool session_is_open(const entity_t *entity);

/* Name it in the opts of an operation. */
bool session_append(const entity_t *entity, bson_t *opts, verdict_t *verdict);

/* End it; its lsid can still be asked for.  Stator's ends when a worker has
 * seen to it. */
void session_end(entity_t *entity);

/* The same, and when it returns, it has ended. */
bool session_end_and_wait(entity_t *entity, verdict_t *verdict);

/* The driver's options of a transaction; NULL: none are given.  `fine` turns
 * false when some can not be read. */
mongoc_transaction_opt_t *session_transaction(const bson_t *from, bool *fine,
                                              verdict_t *verdict);

#endif
