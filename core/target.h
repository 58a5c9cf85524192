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

#endif /* STC_TARGET_H */
