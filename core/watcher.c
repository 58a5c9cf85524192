/* SPDX-License-Identifier: Apache-2.0 */
/* core/watcher.c - the lane of long waits: seats and turns.  The picture and
 * the invariants are in watcher.h; the thread is a worker's, the line of
 * requests a cursor's. */
#include "core/watcher.h"

#include <errno.h>
#include <stdlib.h>

#include "core/client.h"
#include "core/cursor.h"
#include "core/worker.h"

enum {
    ROUND_MS = 1000, /* all who wait on one watcher have had a turn */
    TURN_MIN_MS = 5,
    TURN_MAX_MS = 500,
    TURN_ON_LEASE_MS = 100 /* others may wait for the lease */
};

void stc_lane_init(struct stc_lane *lane)
{
    CDS_INIT_LIST_HEAD(&lane->watchers);
}

void stc_lane_destroy(struct stc_lane *lane)
{
    struct stc_worker *w, *next;

    cds_list_for_each_entry_safe(w, next, &lane->watchers, in_lane)
        free(w);
}

/* ---- seats ------------------------------------------------------- */

/* Under the client's lock; NULL: there is none yet. */
static struct stc_worker *least_taken(struct stc_lane *lane)
{
    struct stc_worker *w, *best = NULL;

    cds_list_for_each_entry(w, &lane->watchers, in_lane)
        if (best == NULL || w->n_streams < best->n_streams)
            best = w;
    return best;
}

/* Likewise: the one to sit at; NULL: an errno value says why not. */
static struct stc_worker *choose(stator_client_t *client, int *failed)
{
    struct stc_lane *lane = &client->lane;
    struct stc_worker *best = least_taken(lane), *new;

    if ((best != NULL && best->n_streams == 0) ||
        lane->n_watchers >= client->config.number[STC_WATCHERS])
        return best;
    *failed = stc_watcher_start(client, &new);
    if (*failed != 0)
        return best; /* which has one more to serve */
    cds_list_add_tail(&new->in_lane, &lane->watchers);
    lane->n_watchers++;
    return new;
}

bool stc_lane_join(struct stc_cursor *c, stator_error_code_t *code,
                   const char **note)
{
    stator_client_t *client = c->client;
    struct stc_worker *w = NULL;
    int failed = 0;

    *code = STATOR_ERROR_REFUSED;
    *note = "no thread can be started for a watcher";
    pthread_mutex_lock(&client->lock);
    if (atomic_load(&client->closing)) { /* no thread is begun any more */
        *code = STATOR_ERROR_CLOSED;
        *note = client->note_closed;
    } else if (client->config.number[STC_WATCHERS] == 0) {
        *note = "the client's option \"watchers\" is 0: nobody is there for "
                "change streams and awaiting cursors";
    } else {
        w = choose(client, &failed);
    }
    if (w == NULL && failed == ENOMEM) {
        *code = STATOR_ERROR_MEMORY;
        *note = "no memory for a watcher";
    }
    if (w != NULL) {
        w->n_streams++;
        atomic_fetch_add(&client->lane.streams, 1);
        pthread_mutex_lock(&c->lock);
        c->home = w;
        c->is_seated = true;
        pthread_mutex_unlock(&c->lock);
    }
    pthread_mutex_unlock(&client->lock);
    return w != NULL;
}

void stc_lane_leave(stator_client_t *client, struct stc_worker *watcher)
{
    pthread_mutex_lock(&client->lock);
    watcher->n_streams--;
    pthread_mutex_unlock(&client->lock);
    atomic_fetch_sub(&client->lane.streams, 1);
}

/* ---- turns ------------------------------------------------------- */

/* The driver's own limit of a read must not strike first. */
static int64_t within_socket_timeout(const struct stc_connection *connection,
                                     int64_t ms)
{
    int64_t limit = mongoc_uri_get_option_as_int32(
        mongoc_client_get_uri(connection->client),
        MONGOC_URI_SOCKETTIMEOUTMS, 0);

    if (limit <= 0 || ms <= limit / 2)
        return ms;
    return limit < 4 ? 1 : limit / 2;
}

int64_t stc_lane_turn_ms(struct stc_worker *watcher,
                         const struct stc_cursor *c)
{
    size_t n = 1 + stc_queue_count_inbox(&c->client->queue, watcher,
                                         ROUND_MS / TURN_MIN_MS);
    int64_t ms = ROUND_MS / (int64_t)n;

    atomic_fetch_add_explicit(&c->client->lane.turns, 1,
                              memory_order_relaxed);
    if (c->server.max_await_time_ms > 0)
        return c->server.max_await_time_ms;
    if (ms < TURN_MIN_MS)
        ms = TURN_MIN_MS;
    if (ms > TURN_MAX_MS)
        ms = TURN_MAX_MS;
    if (c->lease != NULL && ms > TURN_ON_LEASE_MS)
        ms = TURN_ON_LEASE_MS;
    return within_socket_timeout(c->server.connection, ms);
}
