/* SPDX-License-Identifier: Apache-2.0 */
/* wire_observe.c - counts and gauges, and waiting for them. */
#include "tests/wire/wire_server.h"

#include <stdio.h>

typedef struct {
    wire_server_t *server;
    const char *name; /* of a command, or NULL */
    int64_t wanted;
    int64_t (*look)(const wire_stats_t *stats);
    wire_until_fn *until;
    void *arg;
} observation_t;

/* The lock is held. */
static int64_t counted(const observation_t *observation)
{
    wire_server_t *server = observation->server;

    if (observation->name == NULL)
        return server->stats.commands;
    return wire_log_counted(&server->log, observation->name);
}

static int64_t cursors(const wire_stats_t *stats)
{
    return stats->cursors_open;
}

static int64_t connections(const wire_stats_t *stats)
{
    return stats->connections_open;
}

static int64_t clients(const wire_stats_t *stats)
{
    return stats->clients_open;
}

static bool has_counted(void *arg)
{
    observation_t *observation = arg;

    return counted(observation) >= observation->wanted;
}

static bool has_value(void *arg)
{
    observation_t *observation = arg;

    return observation->look(&observation->server->stats) ==
           observation->wanted;
}

static bool has_happened(void *arg)
{
    observation_t *observation = arg;

    return observation->until(&observation->server->stats, observation->arg);
}

static bool wait_value(wire_server_t *server,
                       int64_t (*look)(const wire_stats_t *stats),
                       const char *what, int64_t n, int64_t timeout_ms)
{
    observation_t wait = {.server = server, .wanted = n, .look = look};
    int64_t seen;
    bool ok;

    pthread_mutex_lock(&server->lock);
    ok = wire_server_wait(server, has_value, &wait, timeout_ms);
    seen = look(&server->stats);
    pthread_mutex_unlock(&server->lock);
    if (!ok && timeout_ms < 0)
        fprintf(stderr, "wire: waited for %lld open %s, saw %lld\n",
                (long long)n, what, (long long)seen);
    return ok;
}

void wire_stats(wire_server_t *server, wire_stats_t *out)
{
    pthread_mutex_lock(&server->lock);
    *out = server->stats;
    pthread_mutex_unlock(&server->lock);
}

int64_t wire_count(wire_server_t *server, const char *name)
{
    observation_t look = {
        .server = server,
        .name = name ? wire_canonical_name(name) : NULL,
    };
    int64_t n;

    pthread_mutex_lock(&server->lock);
    n = counted(&look);
    pthread_mutex_unlock(&server->lock);
    return n;
}

bool wire_wait_count(wire_server_t *server, const char *name, int64_t n,
                     int64_t timeout_ms)
{
    observation_t wait = {
        .server = server,
        .name = name ? wire_canonical_name(name) : NULL,
        .wanted = n,
    };
    int64_t seen;
    bool ok;

    pthread_mutex_lock(&server->lock);
    ok = wire_server_wait(server, has_counted, &wait, timeout_ms);
    seen = counted(&wait);
    pthread_mutex_unlock(&server->lock);
    if (!ok && timeout_ms < 0)
        fprintf(stderr, "wire: waited for %lld x %s, saw %lld\n", (long long)n,
                name ? name : "any command", (long long)seen);
    return ok;
}

bool wire_wait_cursors(wire_server_t *server, int64_t n, int64_t timeout_ms)
{
    return wait_value(server, cursors, "cursors", n, timeout_ms);
}

bool wire_wait_connections(wire_server_t *server, int64_t n,
                           int64_t timeout_ms)
{
    return wait_value(server, connections, "connections", n, timeout_ms);
}

bool wire_wait_clients(wire_server_t *server, int64_t n, int64_t timeout_ms)
{
    return wait_value(server, clients, "clients", n, timeout_ms);
}

bool wire_wait_until(wire_server_t *server, wire_until_fn *until, void *arg,
                     int64_t timeout_ms)
{
    observation_t wait = {.server = server, .until = until, .arg = arg};
    bool ok;

    pthread_mutex_lock(&server->lock);
    ok = wire_server_wait(server, has_happened, &wait, timeout_ms);
    pthread_mutex_unlock(&server->lock);
    if (!ok && timeout_ms < 0)
        fprintf(stderr, "wire: what was waited for did not happen\n");
    return ok;
}
