/* SPDX-License-Identifier: Apache-2.0 */
/* core/target.h - what a handle stands for; its interface is in core.h. */
#ifndef STC_TARGET_H
#define STC_TARGET_H

#include <stdatomic.h>

#include "core/core.h"

struct stc_target { /* one block of memory, never changed */
    atomic_uint refs;
    const char *fault;
    const char *db;
    const char *name; /* NULL: the database */
    const uint8_t *options;
    uint32_t options_length;
};

/* "verb on db.name", for messages. */
void stc_target_describe(const struct stc_target *target, const char *verb,
                         char *text, size_t size);
/* Do both stand for the same, with the same options? */
bool stc_target_is_same(const struct stc_target *a,
                        const struct stc_target *b);

#endif /* STC_TARGET_H */
