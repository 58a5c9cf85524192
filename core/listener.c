/* SPDX-License-Identifier: Apache-2.0 */
/* core/listener.c - from a thread of the driver's to a user's dispatcher.  The
 * picture and the invariants are in listener.h. */
#include "core/listener.h"

#include <stdlib.h>

#include "core/apm.h"
#include "core/client.h"
#include "core/event.h"
#include "futures/base.h"
#include "futures/dispatcher.h"

/* How many are handed over in one turn. */
enum { TURN = 64 };

/* V7: of which, and how many. */
static const uint32_t EARLY_TYPES =
    ((1u << STATOR_EVENT_EVENTS_DROPPED) - 1) &
    ~((1u << STATOR_EVENT_SERVER_OPENING) - 1);
enum { EARLY_MOST = 1000 };

struct stator_listener {
    atomic_uint refs;
    atomic_uint holds;
    stator_client_t *client; /* its memory */
    stator_dispatcher_t *dispatcher;
    stator_event_fn *fn;
    void *arg;
    uint32_t types;
    struct stf_continuation continuation;
    /* Under the listeners' lock: */
    struct cds_list_head node;
    struct cds_list_head posting; /* in the list of one deliver */
    struct stc_event_queue queue;
    bool is_posted;
    atomic_bool has_ended; /* set under lock */
};

static struct stc_listeners *listeners_of(const stator_listener_t *l)
{
    return &l->client->events->listeners;
}

static void release(stator_listener_t *l)
{
    stator_client_t *client = l->client;

    if (atomic_fetch_sub_explicit(&l->holds, 1, memory_order_acq_rel) != 1)
        return;
    free(l);
    stc_client_release(client);
}

/* Under lock. */
static void find_wanted(struct stc_listeners *all)
{
    const stator_listener_t *l;
    uint32_t wanted = all->keeps_early ? EARLY_TYPES : 0;

    cds_list_for_each_entry(l, &all->all, node)
        wanted |= l->types;
    atomic_store_explicit(&all->wanted, wanted, memory_order_relaxed);
}

/* Once: V3. */
static void end(stator_listener_t *l)
{
    struct stc_listeners *all = listeners_of(l);
    CDS_LIST_HEAD(forgotten);

    pthread_mutex_lock(&all->lock);
    if (atomic_load(&l->has_ended)) {
        pthread_mutex_unlock(&all->lock);
        return;
    }
    atomic_store(&l->has_ended, true);
    cds_list_del(&l->node);
    all->n--;
    find_wanted(all);
    stc_event_queue_empty(&l->queue, &forgotten);
    pthread_mutex_unlock(&all->lock);
    stc_entries_free(&forgotten);
    stf_dispatcher_release(l->dispatcher);
}

/* ---- in dispatch ------------------------------------------------- */

/* What is next: an entry, or how many were lost.  False: nothing, and it is
 * posted no more. */
static bool take(stator_listener_t *l, struct stc_entry **entry, int64_t *lost)
{
    struct stc_listeners *all = listeners_of(l);
    bool is_there;

    pthread_mutex_lock(&all->lock);
    is_there = stc_event_queue_take(&l->queue, entry, lost);
    if (!is_there)
        l->is_posted = false;
    pthread_mutex_unlock(&all->lock);
    return is_there;
}

static void hand_over(stator_listener_t *l, struct stc_entry *entry,
                      int64_t lost)
{
    if (entry == NULL) {
        const struct stator_event gap = {
            .type = STATOR_EVENT_EVENTS_DROPPED,
            .time_us = stf_now_ns() / 1000,
            .server_connection_id = -1,
            .dropped = lost,
        };

        l->fn(&gap, l->arg);
        return;
    }
    l->fn(entry->event, l->arg);
    stc_entry_free(entry);
}

static void turn(struct stf_continuation *c)
{
    stator_listener_t *l =
        stf_container_of(c, stator_listener_t, continuation);
    struct stc_entry *entry;
    int64_t lost;

    for (int i = 0; i < TURN; i++) {
        if (!take(l, &entry, &lost)) {
            release(l);
            return;
        }
        hand_over(l, entry, lost);
        if (stc_client_is_inherited(l->client)) /* fn has forked */
            return;
        if (stf_dispatcher_is_closed(l->dispatcher))
            break;
    }
    if (stf_continuation_again(c) == 0)
        return;
    end(l);
    release(l);
}

/* The dispatcher closes. */
static void drop(struct stf_continuation *c)
{
    end(stf_container_of(c, stator_listener_t, continuation));
}

static void continuation_release(struct stf_continuation *c)
{
    release(stf_container_of(c, stator_listener_t, continuation));
}

/* ---- on any thread ----------------------------------------------- */

/* Under lock, of one that listens: from now on it is posted, and that is the
 * caller's to do, if the answer is true. */
static bool must_post(stator_listener_t *l)
{
    if (l->is_posted)
        return false;
    l->is_posted = true;
    atomic_fetch_add_explicit(&l->holds, 1, memory_order_relaxed);
    stf_dispatcher_hold(l->dispatcher);
    return true;
}

static void post(stator_listener_t *l)
{
    stator_dispatcher_t *d = l->dispatcher;

    if (stf_continuation_again(&l->continuation) != 0) {
        end(l);
        release(l);
    }
    stf_dispatcher_release(d);
}

/* Under lock. */
static void give(stator_listener_t *l, struct stator_event *event)
{
    if (!stc_event_queue_add(&l->queue, event))
        atomic_fetch_add(&listeners_of(l)->n_dropped, 1);
}

/* ---- early: V7 --------------------------------------------------- */

/* Under lock.  After the first loss nothing more is kept: there is one gap, and
 * it is at the end. */
static void keep(struct stc_listeners *all, struct stator_event *event)
{
    (void)stc_event_queue_add(&all->early,
                              all->early.lost == 0 ? event : NULL);
}

/* Under lock: what was kept, in `kept`, and no more. */
static void end_early(struct stc_listeners *all, struct cds_list_head *kept)
{
    stc_event_queue_empty(&all->early, kept);
    all->keeps_early = false;
}

void stc_listeners_keep_early(struct stc_listeners *all)
{
    pthread_mutex_lock(&all->lock);
    all->keeps_early = true;
    find_wanted(all);
    pthread_mutex_unlock(&all->lock);
}

void stc_listeners_forget_early(struct stc_listeners *all)
{
    CDS_LIST_HEAD(kept);

    pthread_mutex_lock(&all->lock);
    end_early(all, &kept);
    find_wanted(all);
    pthread_mutex_unlock(&all->lock);
    stc_entries_free(&kept);
}

/* Under lock: the first listener takes over.  True: it is to be posted. */
static bool take_over(struct stc_listeners *all, stator_listener_t *l,
                      struct cds_list_head *kept)
{
    struct stc_entry *e;

    if (!all->keeps_early)
        return false;
    cds_list_for_each_entry(e, &all->early.entries, node)
        if ((l->types & (1u << e->event->type)) != 0)
            give(l, e->event);
    l->queue.lost += all->early.lost;
    atomic_fetch_add(&all->n_dropped, all->early.lost);
    end_early(all, kept);
    return (l->queue.n > 0 || l->queue.lost > 0) && must_post(l);
}

/* ---- delivered --------------------------------------------------- */

void stc_listeners_deliver(struct stc_listeners *all,
                           stator_event_type_t type,
                           struct stator_event *event)
{
    stator_listener_t *l, *next;
    CDS_LIST_HEAD(posting);

    pthread_mutex_lock(&all->lock);
    if (all->keeps_early && (EARLY_TYPES & (1u << type)) != 0)
        keep(all, event);
    cds_list_for_each_entry(l, &all->all, node)
    {
        if ((l->types & (1u << type)) == 0)
            continue;
        give(l, event);
        if (must_post(l))
            cds_list_add_tail(&l->posting, &posting);
    }
    pthread_mutex_unlock(&all->lock);
    cds_list_for_each_entry_safe(l, next, &posting, posting)
        post(l); /* from here on another thread may post it */
    stc_event_unref(event);
}

/* ---- made, counted ----------------------------------------------- */

void stc_listeners_init(struct stc_listeners *all)
{
    pthread_mutex_init(&all->lock, NULL);
    CDS_INIT_LIST_HEAD(&all->all);
    stc_event_queue_init(&all->early, EARLY_MOST, INT64_MAX);
}

void stc_listeners_destroy(struct stc_listeners *all)
{
    stc_listeners_forget_early(all);
    pthread_mutex_destroy(&all->lock);
}

void stc_listeners_append(struct stc_listeners *all, bson_t *out)
{
    const stator_listener_t *l;
    int64_t n, waiting = 0;

    pthread_mutex_lock(&all->lock);
    n = all->n;
    cds_list_for_each_entry(l, &all->all, node)
        waiting += l->queue.n;
    pthread_mutex_unlock(&all->lock);
    BSON_APPEND_INT64(out, "listeners", n);
    BSON_APPEND_INT64(out, "waiting", waiting);
    BSON_APPEND_INT64(out, "dropped", atomic_load(&all->n_dropped));
}

stator_listener_t *stc_listener_new(stator_client_t *client,
                                    const struct stc_listening *how,
                                    bson_error_t *error)
{
    struct stc_listeners *all = &client->events->listeners;
    stator_listener_t *l = calloc(1, sizeof *l);
    CDS_LIST_HEAD(kept);
    bool posts;

    if (l == NULL) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_MEMORY,
                       "client.listen: no memory for the listener");
        return NULL;
    }
    atomic_init(&l->refs, 1);
    atomic_init(&l->holds, 1);
    l->client = client;
    stc_client_hold(client);
    l->dispatcher = how->dispatcher;
    stf_dispatcher_hold(l->dispatcher);
    l->fn = how->fn;
    l->arg = how->arg;
    l->types = how->types;
    stc_event_queue_init(&l->queue, how->limit, how->max_bytes);
    l->continuation.dispatcher = how->dispatcher;
    l->continuation.run = turn;
    l->continuation.drop = drop;
    l->continuation.release = continuation_release;
    pthread_mutex_lock(&all->lock);
    cds_list_add_tail(&l->node, &all->all);
    all->n++;
    posts = take_over(all, l, &kept);
    find_wanted(all);
    pthread_mutex_unlock(&all->lock);
    stc_entries_free(&kept);
    if (posts)
        post(l); /* which gives up the hold of must_post, and no more: */
    return l; /* NOLINT(clang-analyzer-unix.Malloc) */
}

stator_listener_t *stc_listener_ref(stator_listener_t *l)
{
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void stc_listener_unref(stator_listener_t *l)
{
    if (atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (stc_client_is_inherited(l->client))
        return; /* the lock is the parent's */
    end(l);
    release(l);
}
