/* SPDX-License-Identifier: Apache-2.0 */
/* core/client.h - a client: what it consists of, and how it ends.
 *
 *   refs    handles of users: the client's own, databases, collections,
 *           cursors.  The last one's end closes the client.
 *   holds   whoever may still touch the memory: all refs together, each
 *           thread, each operation, each cursor.  The last one's end frees
 *           it.
 *
 *   open --close--> closing --everything settled--> stopped --> closed
 *                      |                               |
 *                 keeper: steps of close.c        workers end
 *
 * L1  `lock` guards what stands below it, and is held for a few
 *     instructions only.  Order of locks: client, cursor, lease, queue; pool,
 *     transport; keeper and reach are leaves.  No future is settled with one
 *     held.
 * L2  Everything accepted settles: what is admitted is counted in `queued`
 *     (in the lane: `waiting`) until it is taken, and the workers are not
 *     stopped before that count is 0, no connection is lent and no call of
 *     several operations is under way. */
#ifndef STC_CLIENT_H
#define STC_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/apm.h"
#include "core/config.h"
#include "core/core.h"
#include "core/keeper.h"
#include "core/pool.h"
#include "core/queue.h"
#include "core/stats.h"
#include "core/tie.h"
#include "core/watcher.h"

struct stator_client {
    atomic_uint refs;
    atomic_uint holds;
    uint32_t generation;
    char note_full[128]; /* why an operation was refused */
    char note_closed[128];
    struct stc_events *events;
    struct stc_pool pool;
    struct stc_queue queue;
    struct stc_keeper keeper;
    struct stc_stats stats;
    atomic_int sharing;   /* cursors on a worker's own connection */
    atomic_int n_running; /* worker threads not yet ended */
    atomic_int lookups;   /* threads that look up a name: see dial.h */
    atomic_int granted;   /* connections that leases have */
    atomic_int calls;     /* of several operations, under way */
    atomic_uint parked_looks; /* see stc_lease_serve_parked */
    char *default_db;      /* of the URI, or NULL */
    int32_t wait_queue_ms; /* waitQueueTimeoutMS of the URI, or 0 */

    pthread_mutex_t lock;
    struct stc_config config;
    struct cds_list_head cursors;
    struct stc_ties ties; /* leases and sessions */
    struct stc_lane lane; /* change streams, awaiting cursors */
    unsigned round;     /* see next_cursor in close.c */
    int n_threads;      /* of workers, not yet joined */
    unsigned n_started; /* ever: for names */
    struct cds_list_head ended; /* workers to be joined */
    struct cds_list_head closers;
    atomic_bool closing;
    enum stc_close_mode mode;
    int64_t close_deadline;
    int cursors_shut_in; /* the mode that cursors were told of, or -1 */
    bool stuck_named;
    bool told;   /* closers were told, although threads still run */
    bool closed; /* the keeper has ended, or is about to */
    bson_t leaked; /* array: what the close found, see stator_client_close */
    uint32_t n_leaked;
};

static inline void stc_client_hold(stator_client_t *client)
{
    atomic_fetch_add_explicit(&client->holds, 1, memory_order_relaxed);
}

void stc_client_release(stator_client_t *client);

/* A user's reference, unless there is none any more. */
bool stc_client_ref_if_open(stator_client_t *client);

/* The FAILED future of every call in a child after fork. */
stator_future_t *stc_forked(const char *subject);

/* A thread that has all signals blocked and bears `name`.  Detached when
 * `thread` is NULL.  0 or an errno value. */
int stc_thread_start(pthread_t *thread, void *(*fn)(void *), void *arg,
                     const char *name);

/* `n` more.  0 or an errno value.  Under the client's lock. */
int stc_client_start_workers(stator_client_t *client, int n);

/* Connections that are not for leases. */
static inline int stc_client_reserved(const struct stc_config *config,
                                      int workers)
{
    return workers + config->number[STC_WATCHERS];
}

/* Begin to close, or hasten a close.  (close.c) */
void stc_close_begin(stator_client_t *client, enum stc_close_mode mode,
                     int64_t timeout_ms);
/* Is the pool to be destroyed without a word to the server?  (close.c) */
bool stc_close_is_quick(stator_client_t *client);
/* Note down something that the close found open: {kind, what, ageMS, site}.
 * `site` is an address of the user's code, or NULL. */
void stc_close_leaked(stator_client_t *client, const char *kind,
                      const char *what, int64_t since_ns, const void *site);

/* One step of the keeper's towards the end.  True: all threads but the
 * keeper have ended and everybody was told.  Else `*next` is when to step
 * again at the latest.  (close.c) */
bool stc_close_step(stator_client_t *client, int64_t *next);

#endif /* STC_CLIENT_H */
