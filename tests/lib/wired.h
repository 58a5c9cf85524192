/* SPDX-License-Identifier: Apache-2.0 */
/* wired.h - a stage on a wire server of its own, and what came there. */
#ifndef STATOR_TESTS_LIB_WIRED_H
#define STATOR_TESTS_LIB_WIRED_H

#include "tests/lib/support.h"
#include "tests/wire/wire.h"

typedef struct wired {
    wire_server_t *server;
    stage_t *stage;
    wire_command_t command; /* the one that was looked at last */
} wired_t;

/* A server with ten documents; `extra`: more of the URI, or NULL. */
wired_t *wired_new(const char *extra, wire_role_t role);
void wired_free(wired_t *wired);

/* The last command of that name, as `server` got it; kept in `command`, which
 * is zeroed or has one already. */
const bson_t *sent_to(wire_server_t *server, const char *name,
                      wire_command_t *command);
/* The same of the one server. */
const bson_t *sent(wired_t *wired, const char *name);

#endif /* STATOR_TESTS_LIB_WIRED_H */
