/* SPDX-License-Identifier: Apache-2.0 */
/* core/look.c - how a client is doing: its statistics and its options. */
#include "core/client.h"
#include "core/op.h"
#include "core/worker.h"

struct at_work {
    int64_t busy, running, zombies, oldest_ns;
};

static void look_at_list(struct cds_list_head *list, int64_t now,
                         struct at_work *found)
{
    const struct stc_op *op;

    if (cds_list_empty(list))
        return;
    op = cds_list_first_entry(list, struct stc_op, listed);
    if (now - op->queued_at > found->oldest_ns)
        found->oldest_ns = now - op->queued_at;
}

static struct at_work look_at_work(struct stc_queue *q)
{
    struct at_work found = {0};
    int64_t now = stf_now_ns();
    struct stc_worker *w;

    pthread_mutex_lock(&q->lock);
    stc_queue_sort(q);
    for (int i = 0; i < 3; i++)
        look_at_list(&q->listed[i], now, &found);
    cds_list_for_each_entry(w, &q->workers, node)
    {
        if (w->is_watcher)
            continue;
        look_at_list(&w->inbox, now, &found);
        if (w->op == NULL)
            continue;
        found.busy++;
        if (!stc_op_is_settled(w->op))
            found.running++;
        else if (!STF_LOAD(&w->op->returned, acquire))
            found.zombies++;
    }
    pthread_mutex_unlock(&q->lock);
    return found;
}

static void append_transport(stator_client_t *client, bson_t *out)
{
    struct stc_network *n = &client->pool.network;
    bson_t one;

    BSON_APPEND_DOCUMENT_BEGIN(out, "transport", &one);
    BSON_APPEND_UTF8(&one, "kind",
                     atomic_load(&n->is_ours) ? "stator" : "driver");
    BSON_APPEND_INT64(&one, "dials", atomic_load(&n->dials));
    BSON_APPEND_INT64(&one, "lookups", atomic_load(&client->lookups));
    BSON_APPEND_INT64(&one, "cuts", atomic_load(&n->cuts));
    BSON_APPEND_INT64(&one, "refusals", atomic_load(&n->refusals));
    bson_append_document_end(out, &one);
}

static void append_events(stator_client_t *client, bson_t *out)
{
    bson_t one;

    BSON_APPEND_DOCUMENT_BEGIN(out, "events", &one);
    stc_listeners_append(&client->events->listeners, &one);
    bson_append_document_end(out, &one);
}

void stc_client_stats(stator_client_t *client, bson_t *out)
{
    struct at_work work;
    struct stc_config config;
    int64_t n_sessions, n_watching;

    bson_init(out);
    if (stc_client_is_inherited(client))
        return;
    work = look_at_work(&client->queue);
    pthread_mutex_lock(&client->lock);
    config = client->config;
    n_sessions = client->ties.n[STC_SESSION];
    n_watching = client->lane.n_watchers;
    pthread_mutex_unlock(&client->lock);

    BSON_APPEND_UTF8(out, "name", config.name);
    BSON_APPEND_INT64(out, "workers", config.number[STC_WORKERS]);
    BSON_APPEND_INT64(out, "watchers", config.number[STC_WATCHERS]);
    BSON_APPEND_INT64(out, "maxConnections",
                      config.number[STC_MAX_CONNECTIONS]);
    BSON_APPEND_INT64(out, "queueLimit", config.number[STC_QUEUE_LIMIT]);
    BSON_APPEND_INT64(out, "queued", atomic_load(&client->queue.queued));
    BSON_APPEND_INT64(out, "oldestMS", work.oldest_ns / 1000000);
    BSON_APPEND_INT64(out, "running", work.running);
    BSON_APPEND_INT64(out, "busy", work.busy);
    BSON_APPEND_INT64(out, "zombies", work.zombies);
    BSON_APPEND_INT64(out, "leases", atomic_load(&client->pool.leases));
    BSON_APPEND_INT64(out, "sessions", n_sessions);
    BSON_APPEND_INT64(out, "parked", stc_pool_count_parked(&client->pool));
    BSON_APPEND_INT64(out, "sharing", atomic_load(&client->sharing));
    BSON_APPEND_INT64(out, "watching", n_watching);
    BSON_APPEND_INT64(out, "streams", atomic_load(&client->lane.streams));
    BSON_APPEND_INT64(out, "turns", atomic_load(&client->lane.turns));
    BSON_APPEND_INT64(out, "resumes", atomic_load(&client->lane.resumes));
    BSON_APPEND_INT64(out, "connections", atomic_load(&client->pool.out));
    BSON_APPEND_BOOL(out, "closing", atomic_load(&client->closing));
    append_transport(client, out);
    append_events(client, out);
    stc_stats_append(&client->stats, out);
}

void stc_client_config(stator_client_t *client, bson_t *out)
{
    bson_init(out);
    if (stc_client_is_inherited(client))
        return;
    pthread_mutex_lock(&client->lock);
    stc_config_append(&client->config, out);
    pthread_mutex_unlock(&client->lock);
}

stator_future_t *stc_client_room(stator_client_t *client)
{
    if (stc_client_is_inherited(client))
        return stc_forked("client.room");
    return stc_queue_room(&client->queue);
}
