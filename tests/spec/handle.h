/* SPDX-License-Identifier: Apache-2.0 */
/* handle.h - an entity and the driver's handle in it, as the format says. */
#ifndef TESTS_SPEC_HANDLE_H
#define TESTS_SPEC_HANDLE_H

#include "tests/spec/entities.h"

/* Make what one element of createEntities describes. */
bool handle_make(entities_t *entities, const bson_iter_t *at,
                 verdict_t *verdict);

#endif
