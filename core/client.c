/* SPDX-License-Identifier: Apache-2.0 */
/* core/client.c - a client: counted, resized, freed.  How one is made is in
 * client_new.c, and how it ends in close.c. */
#include "core/client.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/lease.h"
#include "core/worker.h"
#include "futures/future.h"

/* What the last unref gives a client that nobody closed. */
enum { LAST_DRAIN_MS = 4000 };

const char *stc_client_default_db(const stator_client_t *client)
{
    return client->default_db;
}

bool stc_client_is_inherited(const stator_client_t *client)
{
    return client->generation != stf_generation();
}

stator_future_t *stc_forked(const char *subject)
{
    return stf_future_failed(STATOR_ERROR_FORKED, subject,
                             "the client is from before the fork");
}

/* ---- threads ----------------------------------------------------- */

int stc_thread_start(pthread_t *thread, void *(*fn)(void *), void *arg,
                     const char *name)
{
    sigset_t all, before;
    pthread_t own;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&own, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0)
        return failed;
    pthread_setname_np(own, name);
    if (thread != NULL)
        *thread = own;
    else
        pthread_detach(own);
    return 0;
}

int stc_client_start_workers(stator_client_t *client, int n)
{
    int failed = 0;

    while (failed == 0 && n-- > 0)
        failed = stc_worker_start(client);
    return failed;
}

/* ---- counted, freed ---------------------------------------------- */

stator_client_t *stc_client_ref(stator_client_t *client)
{
    atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
    return client;
}

bool stc_client_ref_if_open(stator_client_t *client)
{
    unsigned refs = atomic_load(&client->refs);

    while (refs != 0)
        if (atomic_compare_exchange_weak(&client->refs, &refs, refs + 1))
            return true;
    return false;
}

void stc_client_unref(stator_client_t *client)
{
    if (atomic_fetch_sub_explicit(&client->refs, 1, memory_order_acq_rel) !=
        1)
        return;
    if (stc_client_is_inherited(client))
        return; /* the threads that it is shared with are not here */
    if (!atomic_load(&client->closing))
        stc_close_begin(client, STC_DRAIN, LAST_DRAIN_MS);
    stc_client_release(client);
}

void stc_client_release(stator_client_t *client)
{
    if (atomic_fetch_sub_explicit(&client->holds, 1, memory_order_acq_rel) !=
        1)
        return;
    if (stc_client_is_inherited(client))
        return;
    if (!stc_pool_destroy(&client->pool))
        return;
    stc_lane_destroy(&client->lane);
    stc_queue_destroy(&client->queue);
    stc_keeper_destroy(&client->keeper);
    stc_events_release(client->events);
    pthread_mutex_destroy(&client->lock);
    bson_destroy(&client->leaked);
    bson_free(client->default_db);
    free(client);
}

/* ---- resized ----------------------------------------------------- */

/* Make `n` of the workers stay: the surplus retires, or, when there are too
 * few, retiring ones stay after all.  Answers how many are still missing. */
static int choose_workers(struct stc_queue *q, int n)
{
    struct stc_worker *w;

    pthread_mutex_lock(&q->lock);
    cds_list_for_each_entry(w, &q->workers, node)
    {
        if (w->ending || w->is_watcher)
            continue;
        w->retiring = n <= 0;
        n--;
    }
    pthread_mutex_unlock(&q->lock);
    stc_queue_wake_all(q);
    return n > 0 ? n : 0;
}

/* P1 in pool.h: new workers have to find a connection each. */
static bool leases_leave_room(stator_client_t *client, int workers,
                              bson_error_t *error)
{
    int leases = atomic_load(&client->pool.leases);
    int max = client->config.number[STC_MAX_CONNECTIONS];

    if (leases <= max - stc_client_reserved(&client->config, workers))
        return true;
    bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_REFUSED,
                   "client.resize: %d workers and %d watchers with the %d "
                   "connections that leases, sessions and open cursors keep "
                   "are more than maxConnections (%d)",
                   workers, client->config.number[STC_WATCHERS], leases, max);
    return false;
}

bool stc_client_resize(stator_client_t *client, int workers,
                       bson_error_t *error)
{
    bool ok = false;
    int failed = 0;

    if (stc_client_is_inherited(client)) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_FORKED,
                       "client.resize: the client is from before the fork");
        return false;
    }
    pthread_mutex_lock(&client->lock);
    if (atomic_load(&client->closing)) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_CLOSED,
                       "client.resize: %s", client->note_closed);
    } else if (stc_config_allow(&client->config, workers, error) &&
               leases_leave_room(client, workers, error)) {
        client->config.number[STC_WORKERS] = workers;
        client->config.source[STC_WORKERS] = "resize";
        stc_pool_resize(&client->pool,
                        client->config.number[STC_MAX_CONNECTIONS],
                        stc_client_reserved(&client->config, workers));
        failed = stc_client_start_workers(
            client, choose_workers(&client->queue, workers));
        ok = failed == 0;
    }
    pthread_mutex_unlock(&client->lock);
    if (ok) /* fewer workers leave more connections for leases */
        stc_lease_serve_parked(client);
    if (failed != 0)
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_REFUSED,
                       "client.resize: a thread can not be started: %s",
                       strerror(failed));
    return ok;
}
