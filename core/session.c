/* SPDX-License-Identifier: Apache-2.0 */
/* core/session.c - a session of the driver's on a lease. */
#include "core/session.h"

#include <stdlib.h>
#include <string.h>

#include "core/client.h"
#include "core/op.h"
#include "core/pool.h"
#include "core/verb.h"

const struct stc_verb stc_verb_end_session = {.name = "end_session"};

/* ---- made, counted ----------------------------------------------- */

struct stc_session *stc_session_new(stator_client_t *client,
                                    struct stc_lease *lease,
                                    struct stc_target *target)
{
    const size_t align = _Alignof(struct stc_session);
    const size_t size = (sizeof(struct stc_session) + align - 1) / align *
                        align;
    struct stc_session *s = aligned_alloc(align, size);

    if (s == NULL)
        return NULL;
    memset(s, 0, size);
    s->ender = stc_op_new(client, &stc_verb_end_session, target);
    if (s->ender == NULL) {
        free(s);
        return NULL;
    }
    s->ender->internal = true;
    s->lease = lease;
    stc_lease_hold(lease);
    stc_tie_ref(&lease->tie);
    atomic_init(&s->holds, 1);
    stc_tie_ref(&lease->tie); /* the ender's */
    stc_op_tie(s->ender, lease, NULL);
    s->ender->session = s; /* held, but not kept alive by it */
    stc_session_hold(s);
    stc_client_hold(client);
    pthread_mutex_init(&s->lock, NULL);
    bson_init(&s->lsid);
    bson_init(&s->cluster_time);
    stc_tie_enter(&s->tie, STC_SESSION, client);
    stc_lease_add_session(lease, s);
    return s;
}

void stc_session_hold(struct stc_session *s)
{
    atomic_fetch_add_explicit(&s->holds, 1, memory_order_relaxed);
}

void stc_session_release(struct stc_session *s)
{
    stator_client_t *client = s->tie.client;

    if (atomic_fetch_sub_explicit(&s->holds, 1, memory_order_acq_rel) != 1 ||
        stc_client_is_inherited(client))
        return;
    bson_destroy(&s->lsid);
    bson_destroy(&s->cluster_time);
    pthread_mutex_destroy(&s->lock);
    stc_lease_release(s->lease);
    free(s);
    stc_client_release(client);
}

void stc_session_unref(struct stc_session *s)
{
    if (s == NULL || !stc_tie_unref(&s->tie))
        return;
    if (stc_client_is_inherited(s->tie.client))
        return;
    stc_tie_leave(&s->tie);
    stc_lease_unref(s->lease); /* the ender, if it is needed, has one */
    stc_lease_end_session(s->lease, s);
    stc_session_release(s);
}

/* ---- on the strand ----------------------------------------------- */

void stc_session_before(struct stc_session *s)
{
    pthread_mutex_lock(&s->lock);
    if (s->was_advanced) {
        if (!bson_empty(&s->cluster_time))
            mongoc_client_session_advance_cluster_time(s->driver,
                                                       &s->cluster_time);
        mongoc_client_session_advance_operation_time(
            s->driver, s->operation_time.seconds,
            s->operation_time.increment);
    }
    s->was_advanced = false;
    pthread_mutex_unlock(&s->lock);
}

static bool is_later(struct stc_time a, struct stc_time b)
{
    return a.seconds > b.seconds ||
           (a.seconds == b.seconds && a.increment > b.increment);
}

static bool read_cluster_time(const bson_t *document, struct stc_time *time)
{
    bson_iter_t i;

    if (!bson_iter_init_find(&i, document, "clusterTime") ||
        !BSON_ITER_HOLDS_TIMESTAMP(&i))
        return false;
    bson_iter_timestamp(&i, &time->seconds, &time->increment);
    return true;
}

/* Under lock.  Answers whether it is later than what was known. */
static bool take_cluster_time(struct stc_session *s, const bson_t *document)
{
    struct stc_time now = {0, 0}, new;

    if (document == NULL || !read_cluster_time(document, &new))
        return false;
    (void)read_cluster_time(&s->cluster_time, &now);
    if (!bson_empty(&s->cluster_time) && !is_later(new, now))
        return false;
    bson_destroy(&s->cluster_time);
    bson_copy_to(document, &s->cluster_time);
    return true;
}

static stator_transaction_state_t state_of(const mongoc_client_session_t *s)
{
    switch (mongoc_client_session_get_transaction_state(s)) {
    case MONGOC_TRANSACTION_STARTING:
        return STATOR_TRANSACTION_STARTING;
    case MONGOC_TRANSACTION_IN_PROGRESS:
        return STATOR_TRANSACTION_IN_PROGRESS;
    case MONGOC_TRANSACTION_COMMITTED:
        return STATOR_TRANSACTION_COMMITTED;
    case MONGOC_TRANSACTION_ABORTED:
        return STATOR_TRANSACTION_ABORTED;
    default:
        return STATOR_TRANSACTION_NONE;
    }
}

void stc_session_after(struct stc_session *s)
{
    struct stc_time time = {0, 0};

    if (s->driver == NULL)
        return;
    mongoc_client_session_get_operation_time(s->driver, &time.seconds,
                                             &time.increment);
    pthread_mutex_lock(&s->lock);
    s->state = state_of(s->driver);
    s->is_dirty = mongoc_client_session_get_dirty(s->driver);
    if (bson_empty(&s->lsid)) {
        bson_destroy(&s->lsid);
        bson_copy_to(mongoc_client_session_get_lsid(s->driver), &s->lsid);
    }
    take_cluster_time(s,
                      mongoc_client_session_get_cluster_time(s->driver));
    if (is_later(time, s->operation_time))
        s->operation_time = time;
    pthread_mutex_unlock(&s->lock);
}

/* Can a transaction's end not be told, or is it not to be?  Then the driver is
 * made to forget all sessions of its client, which must be of no use to others
 * any more; else it would look for a server as long as it likes.  It forgets
 * the pool's idle ones with them, which time out at the server. */
static bool is_to_be_forgotten(struct stc_session *s)
{
    stator_client_t *client = s->tie.client;
    struct stc_connection *connection = s->lease->connection;
    bool closes = atomic_load(&client->closing);

    if (connection == NULL ||
        !mongoc_client_session_in_transaction(s->driver) ||
        !(closes || stc_lease_is_of_one(s->lease)))
        return false;
    return (closes && stc_close_is_quick(client)) ||
           !stc_connection_reaches_server(connection);
}

void stc_session_end(struct stc_session *s)
{
    if (s->driver == NULL)
        return;
    if (is_to_be_forgotten(s))
        mongoc_client_reset(s->lease->connection->client);
    mongoc_client_session_destroy(s->driver);
    s->driver = NULL;
    pthread_mutex_lock(&s->lock);
    if (s->state == STATOR_TRANSACTION_STARTING ||
        s->state == STATOR_TRANSACTION_IN_PROGRESS)
        s->state = STATOR_TRANSACTION_ABORTED;
    pthread_mutex_unlock(&s->lock);
}

/* ---- for lib ----------------------------------------------------- */

void stc_session_add_handle(struct stc_session *s)
{
    stc_tie_add_handle(&s->tie);
}

void stc_session_drop_handle(struct stc_session *s)
{
    if (stc_tie_drop_handle(&s->tie))
        stc_session_unref(s);
}

stator_client_t *stc_session_client(const struct stc_session *s)
{
    return s->tie.client;
}

int64_t stc_session_id(const struct stc_session *s)
{
    return s->tie.id;
}

void stc_session_look(struct stc_session *s, struct stc_session_look *out)
{
    *out = (struct stc_session_look){.state = STATOR_TRANSACTION_NONE};
    bson_init(&out->lsid);
    bson_init(&out->cluster_time);
    out->is_inherited = stc_client_is_inherited(s->tie.client);
    if (out->is_inherited)
        return;
    pthread_mutex_lock(&s->lock);
    out->state = s->state;
    out->is_dirty = s->is_dirty;
    out->seconds = s->operation_time.seconds;
    out->increment = s->operation_time.increment;
    bson_concat(&out->lsid, &s->lsid);
    bson_concat(&out->cluster_time, &s->cluster_time);
    pthread_mutex_unlock(&s->lock);
}

void stc_session_advance_cluster_time(struct stc_session *s,
                                      const bson_t *document)
{
    pthread_mutex_lock(&s->lock);
    if (take_cluster_time(s, document))
        s->was_advanced = true;
    pthread_mutex_unlock(&s->lock);
}

void stc_session_advance_operation_time(struct stc_session *s,
                                        uint32_t seconds, uint32_t increment)
{
    struct stc_time time = {seconds, increment};

    pthread_mutex_lock(&s->lock);
    if (is_later(time, s->operation_time)) {
        s->operation_time = time;
        s->was_advanced = true;
    }
    pthread_mutex_unlock(&s->lock);
}
