/* SPDX-License-Identifier: Apache-2.0 */
/* tenant.c - the life of the clients of a soak. */
#include "tests/soak/tenant.h"

#include <stdlib.h>

#include "tests/proxy/random.h"
#include "tests/soak/faults.h"

enum { MS = 1000 };

const char *const tenant_stats[STATS_N] = {
    "submitted", "done",    "failed",      "cancelled", "expired",
    "refused",   "leases",  "connections", "sharing",
    "transport.dials", "transport.cuts", "transport.refusals",
};

tenant_t *tenant_ref(tenant_t *tenant)
{
    atomic_fetch_add(&tenant->refs, 1);
    return tenant;
}

/* Give the handles back; with a client that was not closed, the last one. */
static void let_go(tenant_t *tenant)
{
    pthread_mutex_lock(&tenant->lock);
    while (tenant->n_left > 0)
        stator_cursor_unref(tenant->left[--tenant->n_left]);
    stator_collection_unref(tenant->things);
    stator_collection_unref(tenant->writes);
    stator_collection_unref(tenant->gone);
    stator_client_unref(tenant->client);
    tenant->things = tenant->writes = tenant->gone = NULL;
    tenant->client = NULL;
    pthread_mutex_unlock(&tenant->lock);
}

void tenant_unref(tenant_t *tenant)
{
    if (atomic_fetch_sub(&tenant->refs, 1) > 1)
        return;
    let_go(tenant);
    pthread_mutex_destroy(&tenant->lock);
    free(tenant);
}

void tenant_leave(tenant_t *tenant)
{
    pthread_mutex_unlock(&tenant->lock);
}

tenant_t *tenant_enter(backend_t *backend)
{
    tenant_t *tenant;

    pthread_mutex_lock(&backend->lock);
    tenant = backend->current != NULL ? tenant_ref(backend->current) : NULL;
    pthread_mutex_unlock(&backend->lock);
    if (tenant == NULL)
        return NULL;
    pthread_mutex_lock(&tenant->lock);
    if (tenant->client != NULL &&
        atomic_load(&tenant->in_flight) < backend->most)
        return tenant;
    pthread_mutex_unlock(&tenant->lock);
    tenant_unref(tenant);
    return NULL;
}

void tenant_keep(tenant_t *tenant, stator_cursor_t *cursor)
{
    bool kept = false;

    pthread_mutex_lock(&tenant->lock);
    if (tenant->client != NULL && tenant->n_left < TENANT_LEFT_MAX) {
        tenant->left[tenant->n_left++] = cursor;
        kept = true;
    }
    pthread_mutex_unlock(&tenant->lock);
    if (!kept)
        stator_cursor_unref(cursor);
}

static tenant_t *tenant_new(backend_t *backend)
{
    tenant_t *tenant = calloc(1, sizeof *tenant);
    int workers = (int)random_range(&backend->random, 1, 6);
    int limit = random_percent(&backend->random, 30) ? 60 : 100000;
    bson_t *opts = BCON_NEW("workers", BCON_INT32(workers), "queueLimit",
                            BCON_INT32(limit), "maxConnections",
                            BCON_INT32(24), "name", "soak");
    bson_error_t error;

    tenant->client = stator_client_new(backend->uri, opts, &error);
    bson_destroy(opts);
    if (tenant->client == NULL) {
        ledger_blame(backend->ledger, "no client: %s", error.message);
        free(tenant);
        return NULL;
    }
    pthread_mutex_init(&tenant->lock, NULL);
    tenant->backend = backend;
    tenant->refs = 1;
    tenant->things =
        stator_client_get_collection(tenant->client, backend->db, "things");
    tenant->writes =
        stator_client_get_collection(tenant->client, backend->db, "writes");
    tenant->gone =
        stator_client_get_collection(tenant->client, backend->db, "gone");
    backend->clients++;
    return tenant;
}

/* ----------------------------------------------------- closing a tenant */

static int64_t number_in(const bson_t *document, const char *path)
{
    bson_iter_t iter, at;

    if (!bson_iter_init(&iter, document) ||
        !bson_iter_find_descendant(&iter, path, &at) ||
        !BSON_ITER_HOLDS_NUMBER(&at))
        return 0;
    return bson_iter_as_int64(&at);
}

static void take_stats(backend_t *backend, tenant_t *tenant)
{
    bson_t stats;

    stator_client_stats(tenant->client, &stats);
    for (int i = 0; i < STATS_N; i++)
        backend->stats[i] += number_in(&stats, tenant_stats[i]);
    bson_destroy(&stats);
}

static void note_leaks(backend_t *backend, const bson_t *reply)
{
    bson_iter_t iter, leaks;

    if (reply == NULL || !bson_iter_init_find(&iter, reply, "leaked") ||
        !bson_iter_recurse(&iter, &leaks))
        return;
    while (bson_iter_next(&leaks))
        backend->leaks++;
}

/* What the machine stood still is not the close's own; to ask takes a while,
 * so only when it matters. */
static void note_lateness(backend_t *backend, const tenant_t *tenant,
                          int64_t now)
{
    int64_t late = now - tenant->close_watch.since - tenant->close_limit_us;

    if (late > backend->close_late_us)
        late -= stopwatch_stalled_us(&tenant->close_watch);
    if (late > backend->close_late_us)
        backend->close_late_us = late;
}

/* Has the close of this one ended?  Then it is given back. */
static bool is_over(backend_t *backend, tenant_t *tenant, int64_t now)
{
    if (stator_future_poll(tenant->close) == STATOR_FUTURE_PENDING) {
        note_lateness(backend, tenant, now);
        return false;
    }
    if (stator_future_poll(tenant->close) != STATOR_FUTURE_DONE)
        ledger_blame(backend->ledger, "a close of %s has failed",
                     backend->name);
    note_leaks(backend, stator_future_reply(tenant->close));
    take_stats(backend, tenant);
    stator_future_unref(tenant->close);
    let_go(tenant);
    tenant_unref(tenant);
    return true;
}

static void end_tenant(backend_t *backend, tenant_t *tenant, int how,
                       int timeout_ms)
{
    static const char *const modes[] = {"drain", "cancel", "abort"};
    bson_t *opts;
    int place = 0;

    while (place < BACKEND_CLOSING_MAX && backend->closing[place] != NULL)
        place++;
    if (place == BACKEND_CLOSING_MAX)
        how = 3;
    backend->closes[how]++;
    atomic_store(&tenant->is_closing, true);
    if (how == 3) { /* the last handle goes, and nobody has closed */
        take_stats(backend, tenant);
        let_go(tenant);
        tenant_unref(tenant);
        return;
    }
    opts = BCON_NEW("mode", BCON_UTF8(modes[how]), "timeoutMS",
                    BCON_INT32(timeout_ms));
    tenant->close = stator_client_close(tenant->client, opts);
    tenant->close_watch = stopwatch_start();
    tenant->close_limit_us = timeout_ms * (int64_t)MS;
    bson_destroy(opts);
    backend->closing[place] = tenant;
}

static void replace(backend_t *backend, tenant_t *next, int how,
                    int timeout_ms)
{
    tenant_t *old;

    pthread_mutex_lock(&backend->lock);
    old = backend->current;
    backend->current = next;
    pthread_mutex_unlock(&backend->lock);
    if (old != NULL)
        end_tenant(backend, old, how, timeout_ms);
}

void tenants_close(backend_t *backend)
{
    replace(backend, NULL, 0, 10000);
}

bool tenants_are_gone(const backend_t *backend)
{
    for (int i = 0; i < BACKEND_CLOSING_MAX; i++)
        if (backend->closing[i] != NULL)
            return false;
    return backend->current == NULL;
}

/* ------------------------------------------------------------- the ticks */

static void note_zombies(backend_t *backend)
{
    int64_t zombies;
    bson_t stats;

    stator_client_stats(backend->current->client, &stats);
    zombies = number_in(&stats, "zombies");
    if (zombies > backend->zombies_max)
        backend->zombies_max = zombies;
    bson_destroy(&stats);
}

static void change(backend_t *backend, int64_t now)
{
    uint64_t *random = &backend->random;
    bson_error_t error;
    tenant_t *next;

    backend->change_us = now + random_range(random, 500, 2500) * MS;
    if (backend->current != NULL && random_percent(random, 60)) {
        backend->resizes++;
        /* Open cursors may keep too many connections: then it says so. */
        (void)stator_client_resize(backend->current->client,
                                   (int)random_range(random, 1, 8), &error);
        return;
    }
    next = tenant_new(backend);
    if (next != NULL)
        replace(backend, next, (int)random_range(random, 0, 3),
                (int)random_range(random, 200, 2500));
}

void tenants_tick(backend_t *backend, int64_t now, bool is_calm)
{
    for (int i = 0; i < BACKEND_CLOSING_MAX; i++)
        if (backend->closing[i] != NULL &&
            is_over(backend, backend->closing[i], now))
            backend->closing[i] = NULL;
    faults_tick(backend, now, is_calm);
    if (backend->current != NULL)
        note_zombies(backend);
    if (!is_calm && now >= backend->change_us)
        change(backend, now);
}
