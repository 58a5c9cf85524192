/* SPDX-License-Identifier: Apache-2.0 */
/* wire_gate.c - where commands wait for the test.
 *
 *   command -> enter -> held ... opened, passed -> server's `released` -> loop
 *
 * G1  A connection is on a gate's list exactly while its state is HELD.
 * G2  The test's thread only moves it to `released`; the loop goes on with it,
 *     so that the scripts' callbacks run on one thread. */
#include "tests/wire/wire_gate.h"
#include "tests/wire/wire_server.h"

#include <stdio.h>

wire_gate_t *wire_gate_new(wire_server_t *server)
{
    wire_gate_t *gate = bson_malloc0(sizeof *gate);

    gate->server = server;
    TAILQ_INIT(&gate->held);
    pthread_mutex_lock(&server->lock);
    TAILQ_INSERT_TAIL(&server->gates, gate, link);
    pthread_mutex_unlock(&server->lock);
    return gate;
}

bool wire_gate_enter(wire_gate_t *gate, wire_connection_t *connection)
{
    if (gate->open)
        return true;
    if (gate->passes > 0) {
        gate->passes--;
        return true;
    }
    TAILQ_INSERT_TAIL(&gate->held, connection, queue);
    gate->n_held++;
    gate->server->stats.held++;
    connection->gate = gate;
    connection->state = CONNECTION_HELD;
    return false;
}

void wire_gate_leave(wire_connection_t *connection)
{
    wire_gate_t *gate = connection->gate;

    TAILQ_REMOVE(&gate->held, connection, queue);
    gate->n_held--;
    gate->server->stats.held--;
    connection->gate = NULL;
}

static void release_first(wire_gate_t *gate)
{
    wire_connection_t *connection = TAILQ_FIRST(&gate->held);

    wire_gate_leave(connection);
    connection->state = CONNECTION_RELEASED;
    TAILQ_INSERT_TAIL(&gate->server->released, connection, queue);
}

void wire_gate_open(wire_gate_t *gate)
{
    pthread_mutex_lock(&gate->server->lock);
    gate->open = true;
    gate->passes = 0;
    while (gate->n_held > 0)
        release_first(gate);
    wire_server_unlock_changed(gate->server);
}

void wire_gate_pass(wire_gate_t *gate, int64_t n)
{
    pthread_mutex_lock(&gate->server->lock);
    for (; n > 0 && gate->n_held > 0; n--)
        release_first(gate);
    if (n > 0 && !gate->open)
        gate->passes += n;
    wire_server_unlock_changed(gate->server);
}

void wire_gate_shut(wire_gate_t *gate)
{
    pthread_mutex_lock(&gate->server->lock);
    gate->open = false;
    gate->passes = 0;
    pthread_mutex_unlock(&gate->server->lock);
}

int64_t wire_gate_held(wire_gate_t *gate)
{
    int64_t held;

    pthread_mutex_lock(&gate->server->lock);
    held = gate->n_held;
    pthread_mutex_unlock(&gate->server->lock);
    return held;
}

typedef struct {
    wire_gate_t *gate;
    int64_t n;
} gate_wait_t;

static bool holds_enough(void *arg)
{
    gate_wait_t *wait = arg;

    return wait->gate->n_held >= wait->n;
}

static bool holds_none(void *arg)
{
    gate_wait_t *wait = arg;

    return wait->gate->n_held == 0;
}

bool wire_gate_wait_held(wire_gate_t *gate, int64_t n, int64_t timeout_ms)
{
    gate_wait_t wait = {gate, n};
    wire_server_t *server = gate->server;
    int64_t held;
    bool ok;

    pthread_mutex_lock(&server->lock);
    ok = wire_server_wait(server, holds_enough, &wait, timeout_ms);
    held = gate->n_held;
    pthread_mutex_unlock(&server->lock);
    if (!ok && timeout_ms < 0)
        fprintf(stderr, "wire: waited for %lld at a gate, saw %lld\n",
                (long long)n, (long long)held);
    return ok;
}

bool wire_gate_wait_empty(wire_gate_t *gate, int64_t timeout_ms)
{
    gate_wait_t wait = {gate, 0};
    wire_server_t *server = gate->server;
    int64_t held;
    bool ok;

    pthread_mutex_lock(&server->lock);
    ok = wire_server_wait(server, holds_none, &wait, timeout_ms);
    held = gate->n_held;
    pthread_mutex_unlock(&server->lock);
    if (!ok && timeout_ms < 0)
        fprintf(stderr, "wire: waited for an empty gate, it holds %lld\n",
                (long long)held);
    return ok;
}
