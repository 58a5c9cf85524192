/* SPDX-License-Identifier: Apache-2.0 */
/* wire_gate.h - where commands wait for the test. */
#ifndef WIRE_GATE_H
#define WIRE_GATE_H

#include "tests/wire/wire.h"

#include <sys/queue.h>

struct wire_connection;
TAILQ_HEAD(wire_connection_list, wire_connection);
typedef struct wire_connection_list wire_connection_list_t;

struct wire_gate {
    TAILQ_ENTRY(wire_gate) link;
    wire_server_t *server;
    wire_connection_list_t held; /* longest first */
    int64_t n_held;
    int64_t passes; /* that may still go through while it is shut */
    bool open;
};

/* True when the connection's command may go on at once; else it is held. */
bool wire_gate_enter(wire_gate_t *gate, struct wire_connection *connection);

/* The connection, which is held, is held no longer. */
void wire_gate_leave(struct wire_connection *connection);

#endif /* WIRE_GATE_H */
