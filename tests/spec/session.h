/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - session entities. */
#ifndef TESTS_SPEC_SESSION_H
#define TESTS_SPEC_SESSION_H

#include "tests/spec/entities.h"

/* Start one on the entity's client, with the format's "sessionOptions". */
bool session_make(entity_t *entity, const setup_t *setup,
                  const bson_t *options, verdict_t *verdict);

/* End it; its lsid can still be asked for. */
void session_end(entity_t *entity);

/* The driver's options of a transaction; NULL: none are given.  `fine` turns
 * false when some can not be read. */
mongoc_transaction_opt_t *session_transaction(const bson_t *from, bool *fine,
                                              verdict_t *verdict);

#endif
