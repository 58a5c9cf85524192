/* SPDX-License-Identifier: Apache-2.0 */
/* core/listener.h - who listens to a client's events, and how they come to
 * where they are listened to.
 *
 *   driver's thread    deliver ──> queue ──> queue ──> ..    of each listener
 *                                    │ not posted yet
 *                                    v
 *   dispatching thread             post ──> dispatcher ──> turn ──> fn, fn, ..
 *                                    ^                        │ more are left
 *                                    +------------------------+
 *
 *   LISTENING --last unref, or the dispatcher has gone--> ENDED
 *
 * V1  `lock` guards the list of listeners and their queues.  It is a leaf, held
 *     for a few instructions, and never while a user's function runs or a
 *     dispatcher is woken: so no thread of the driver's waits for anybody.
 * V2  `is_posted`: its continuation lies at the dispatcher, is on its way there
 *     or runs.  Set by who finds it unset, cleared by the turn that finds
 *     nothing left, both under lock.  So there is one turn at a time, and
 *     nothing waits without one.
 * V3  A listener that has ended is on no list and has no queue; who ends it
 *     gives up the listener's hold of the dispatcher's memory.  A post under
 *     way has one of its own.
 * V4  Two counts: `refs`, the user's, whose end ends it; and `holds`, whose end
 *     frees the memory: all refs together are one, being posted is one.
 * V5  `wanted` is what any of them listens to: all that a callback of the
 *     driver's looks at when nobody does.
 * V6  What is lost is counted where it is missing: see event_queue.h.
 * V7  `early`: what the topology of an adopted pool told before there was any
 *     listener, since adopting it starts its monitors.  The first listener
 *     takes it over; under lock, and so is `keeps_early`. */
#ifndef STC_LISTENER_H
#define STC_LISTENER_H

#include <pthread.h>
#include <stdatomic.h>

#include <urcu/list.h>

#include "core/core.h"
#include "core/event_queue.h"

struct stc_listeners {
    atomic_uint wanted; /* V5 */
    atomic_llong n_dropped;
    pthread_mutex_t lock;
    struct cds_list_head all;
    int64_t n;
    struct stc_event_queue early; /* V7 */
    bool keeps_early;
};

void stc_listeners_init(struct stc_listeners *all);
void stc_listeners_destroy(struct stc_listeners *all);

/* V7: from now on, of the topology and its servers; no more, and forget it. */
void stc_listeners_keep_early(struct stc_listeners *all);
void stc_listeners_forget_early(struct stc_listeners *all);

static inline bool stc_listeners_want(struct stc_listeners *all,
                                      stator_event_type_t type)
{
    return (atomic_load_explicit(&all->wanted, memory_order_relaxed) &
            (1u << type)) != 0;
}

/* To all who listen to `type`; takes `event`.  NULL: it is lost, for want of
 * memory. */
void stc_listeners_deliver(struct stc_listeners *all,
                           stator_event_type_t type,
                           struct stator_event *event);

/* {"listeners": .., "waiting": .., "dropped": ..} */
void stc_listeners_append(struct stc_listeners *all, bson_t *out);

/* One more, for the types of `how`.  NULL: `error`. */
stator_listener_t *stc_listener_new(stator_client_t *client,
                                    const struct stc_listening *how,
                                    bson_error_t *error);

#endif /* STC_LISTENER_H */
