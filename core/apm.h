/* SPDX-License-Identifier: Apache-2.0 */
/* core/apm.h - what the driver's monitoring tells, made into events.
 *
 *   callback (a thread of the driver's, or a worker) ── anybody there? ──>
 *   copy into one block ──> listeners
 *
 * The driver takes its callbacks once for each pool, before the first client is
 * popped; those of commands only if somebody wants them by then.
 *
 * M1  A callback runs with locks of the driver's held (that of the topology,
 *     or of all monitors): it asks the driver for plain fields of what it was
 *     given and for nothing else, and waits for nobody.
 * M2  The context of a command's event is the operation's which this thread
 *     serves (stf_thread): the driver sends a command on the thread that asks
 *     for it.
 * M3  Two hold this: the client, and a pool that has the callbacks, until
 *     topologyClosed, which is the last that it tells.  The client is there for
 *     longer, unless it could not be made: a pool that was to be adopted then
 *     stays the user's, callbacks and all. */
#ifndef STC_APM_H
#define STC_APM_H

#include <pthread.h>
#include <stdatomic.h>

#include <mongoc/mongoc.h>

#include "core/config.h"
#include "core/listener.h"
#include "core/reach.h"

struct stc_events {
    struct stc_listeners listeners;
    struct stc_reach *reach; /* NULL: nobody asks why */
    pthread_mutex_t lock;    /* a leaf, for the three below */
    bool wants_commands;
    bool is_installed;
    bool has_commands;
    atomic_uint holders;    /* M3 */
    atomic_bool has_opened; /* the topology */
};

/* Held once.  NULL: no memory. */
struct stc_events *stc_events_new(enum stc_telling telling);
void stc_events_release(struct stc_events *e); /* NULL is fine */

/* Give a pool that was never popped from the callbacks.  False: it has others
 * already. */
bool stc_events_install(struct stc_events *e, mongoc_client_pool_t *pool);

/* Commands that this thread sends from now on are not told, or are again. */
void stc_events_hush(bool hush);

/* The callbacks themselves, whose context is a struct stc_events; apm.c sets
 * them.  (apm_command.c, apm_topology.c) */
void stc_apm_set_command(mongoc_apm_callbacks_t *callbacks);
void stc_apm_set_topology(mongoc_apm_callbacks_t *callbacks);

static inline bool stc_events_want(struct stc_events *e,
                                   stator_event_type_t type)
{
    return stc_listeners_want(&e->listeners, type);
}

/* Takes `event`; NULL: there was no memory for it. */
static inline void stc_events_deliver(struct stc_events *e,
                                      stator_event_type_t type,
                                      struct stator_event *event)
{
    stc_listeners_deliver(&e->listeners, type, event);
}

#endif /* STC_APM_H */
