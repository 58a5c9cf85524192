/* SPDX-License-Identifier: Apache-2.0 */
/* tenant.h - the life of one client on a backend.
 *
 *   lanes -> tenant -> proxy, with faults -> server
 *
 * A tenant is taken over by the next one every few seconds: a new client is
 * there first, then the old one is closed in one of four ways, with whatever
 * it was doing.  Operations keep their tenant, to know whether it was closed.
 */
#ifndef STATOR_TESTS_TENANT_H
#define STATOR_TESTS_TENANT_H

#include "tests/harness/stopwatch.h"
#include "tests/soak/backend.h"

enum { TENANT_LEFT_MAX = 32 };

struct tenant {
    backend_t *backend;
    atomic_int refs;
    atomic_int in_flight;   /* operations */
    atomic_bool is_closing; /* from before its close on */
    pthread_mutex_t lock;   /* the handles; NULL: given back */
    stator_client_t *client;
    stator_collection_t *things; /* {_id: 0}, {_id: 1}, ..: never changed */
    stator_collection_t *writes; /* what is inserted */
    stator_collection_t *gone;   /* what is deleted from */
    stator_cursor_t *left[TENANT_LEFT_MAX]; /* open for the client's life */
    int n_left;
    stator_future_t *close;
    stopwatch_t close_watch; /* since it was asked for */
    int64_t close_limit_us;  /* of that: when it must be over */
};

/* What is added up of each client that has gone. */
extern const char *const tenant_stats[STATS_N];

/* What the director does every few milliseconds: faults, resizes, closes, new
 * clients.  `is_calm`: none of it any more, only end what has begun. */
void tenants_tick(backend_t *backend, int64_t now_us, bool is_calm);

/* Close the last client in the friendly way; then, after some ticks, all are
 * gone. */
void tenants_close(backend_t *backend);
bool tenants_are_gone(const backend_t *backend);

/* The present tenant, locked, and a reference on it; NULL between two, and
 * when it has enough to do: what has no timeoutMS is to end in some time even
 * if one worker has to bring it all through a slow spell. */
tenant_t *tenant_enter(backend_t *backend);
void tenant_leave(tenant_t *tenant); /* unlock */
tenant_t *tenant_ref(tenant_t *tenant);
void tenant_unref(tenant_t *tenant);

/* Keep an open cursor for the client's life; takes the reference. */
void tenant_keep(tenant_t *tenant, stator_cursor_t *cursor);

#endif /* STATOR_TESTS_TENANT_H */
