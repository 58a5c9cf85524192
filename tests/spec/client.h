/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - client entities: a URI, a pool, and one of the drivers on it. */
#ifndef TESTS_SPEC_CLIENT_H
#define TESTS_SPEC_CLIENT_H

#include "tests/spec/entities.h"

/* Fill `entity` as `from`, a "client" of the format, says. */
bool client_make(entity_t *entity, const entities_t *entities,
                 const bson_t *from, verdict_t *verdict);

/* Hand it over to be closed.  That takes half a second, until a monitor of
 * the driver's looks up: nobody waits for it here. */
void client_free(entity_t *entity);

/* Wait for all that were handed over.  How many did not close cleanly; why is
 * said on stderr. */
int client_wait_all(void);

#endif
