/* SPDX-License-Identifier: Apache-2.0 */
/* backend.h - a server, the proxy before it, and the one client on it. */
#ifndef STATOR_TESTS_BACKEND_H
#define STATOR_TESTS_BACKEND_H

#include <pthread.h>
#include <stdatomic.h>

#include <stator/stator.h>

#include "tests/proxy/proxy.h"
#include "tests/soak/ledger.h"

enum { BACKEND_CLOSING_MAX = 16, STATS_N = 12, BACKEND_NAME_SIZE = 32 };

typedef struct tenant tenant_t;

typedef struct backend {
    const char *name;
    ledger_t *ledger;
    wire_server_t *server; /* NULL: somebody else's, at `real_uri` */
    const char *real_uri;
    proxy_t *proxy;
    char uri[WIRE_URI_SIZE];
    char db[BACKEND_NAME_SIZE]; /* of this process alone */
    int64_t documents; /* in things */
    int share;         /* of the load, in percent */
    int most;          /* operations in flight */
    pthread_mutex_t lock;
    tenant_t *current;

    /* the director's */
    uint64_t random;
    tenant_t *closing[BACKEND_CLOSING_MAX];
    int64_t change_us, fault_us, heal_us; /* next; heal_us 0: no fault now */
    int64_t clients, closes[4], resizes, leaks, close_late_us;
    int64_t slow_spells, sliced_spells, refused_spells, stops, holes;
    int64_t stats[STATS_N]; /* of clients that have gone: tenant_stats[] */
    int64_t zombies_max;

    /* the lanes' */
    atomic_llong submitted, done, failed, cancelled, expired, refused, closed;
    atomic_llong longest_us; /* of an operation without a deadline */
} backend_t;

/* The name of the database, of BACKEND_NAME_SIZE; answers `out`. */
char *backend_db(char *out);

/* Start it: `server` with a role, or the one at `real_uri`.  False with a line
 * on stderr when that cannot be. */
bool backend_start(backend_t *backend, wire_role_t role, const char *name,
                   int share);
bool backend_start_real(backend_t *backend, const char *uri, int share);
void backend_free(backend_t *backend);

/* Read what an other's server has got into the ledger, and drop it. */
bool backend_collect(backend_t *backend);

#endif /* STATOR_TESTS_BACKEND_H */
