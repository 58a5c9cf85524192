/* SPDX-License-Identifier: Apache-2.0 */
/* core/cursor.c - a cursor is made, counted, asked about.  The picture and the
 * invariants are in cursor.h; its requests are in cursor_ask.c, their line in
 * line.c, how one is served from the buffer in serve.c, what a worker does in
 * strand.c, and its trips to the server in trip.c. */
#include "core/cursor.h"

#include <stdlib.h>
#include <string.h>

#include "core/change_stream.h"
#include "core/client.h"
#include "core/lease.h"
#include "core/op.h"
#include "core/serve.h"
#include "core/session.h"
#include "core/target.h"
#include "core/verb.h"

/* ---- made, counted ----------------------------------------------- */

static bool is_set(const bson_t *opts, const char *key)
{
    bson_iter_t i;

    return bson_iter_init_find(&i, opts, key) && bson_iter_as_bool(&i);
}

/* Does the server let a getMore wait? */
static bool awaits(const struct stc_request *request)
{
    uint32_t length;
    bson_t opts;

    if (request->verb != &stc_verb_find)
        return request->verb == &stc_verb_watch;
    memcpy(&length, request->bytes, sizeof length);
    bson_init_static(&opts, request->bytes, BSON_UINT32_FROM_LE(length));
    return is_set(&opts, "tailable") && is_set(&opts, "awaitData");
}

struct stc_cursor *stc_cursor_new(stator_client_t *client,
                                  struct stc_request *request)
{
    struct stc_cursor *c = calloc(1, sizeof *c);

    if (c != NULL && request->verb == &stc_verb_watch)
        c->stream = stc_change_stream_new(request->bytes);
    if (c == NULL ||
        (request->verb == &stc_verb_watch && c->stream == NULL)) {
        free(c);
        stc_request_drop(request);
        return NULL;
    }
    atomic_init(&c->refs, 1);
    c->in_lane = awaits(request);
    c->lease = request->lease;
    c->session = request->session;
    c->is_tied = c->lease != NULL;
    if (c->lease != NULL)
        stc_lease_hold(c->lease);
    if (c->session != NULL)
        stc_session_hold(c->session);
    c->client = client;
    stc_client_hold(client);
    c->target = stc_target_ref(request->target);
    c->verb = request->verb;
    c->site = request->site;
    c->context = request->context;
    c->bytes = request->bytes;
    c->n_documents = request->n_documents;
    c->timeout_ms = request->timeout_ms;
    c->timeout_mode = request->timeout_mode;
    c->priority = request->priority;
    c->prefetch = request->prefetch != 0 && !c->in_lane;
    c->passes = request->passes;
    c->max_bytes = request->max_bytes;
    c->made = stf_now_ns();
    c->deadline = STF_NO_DEADLINE;
    pthread_mutex_init(&c->lock, NULL);
    CDS_INIT_LIST_HEAD(&c->waiting);
    CDS_INIT_LIST_HEAD(&c->batches);
    if (stc_client_is_inherited(client)) {
        CDS_INIT_LIST_HEAD(&c->node);
        return c;
    }
    pthread_mutex_lock(&client->lock);
    cds_list_add_tail(&c->node, &client->cursors);
    pthread_mutex_unlock(&client->lock);
    return c;
}

bool stc_cursor_ref_if_alive(struct stc_cursor *c)
{
    unsigned refs = atomic_load(&c->refs);

    while (refs != 0)
        if (atomic_compare_exchange_weak(&c->refs, &refs, refs + 1))
            return true;
    return false;
}

void stc_cursor_ref(struct stc_cursor *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

void stc_cursor_untie(struct stc_cursor *c)
{
    stc_session_unref(c->session);
    stc_lease_unref(c->lease);
}

void stc_cursor_unref(struct stc_cursor *c)
{
    stator_client_t *client = c->client;

    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (!stc_client_is_inherited(client)) {
        pthread_mutex_lock(&client->lock);
        cds_list_del(&c->node);
        pthread_mutex_unlock(&client->lock);
    } else if (!cds_list_empty(&c->node)) {
        return; /* made before the fork: its lists can be half changed */
    }
    stc_buffer_empty(c);
    stator_future_unref(c->failure);
    stf_result_free(c->failure_room);
    if (c->closer != NULL)
        stc_op_unref(c->closer);
    if (c->is_tied)
        stc_cursor_untie(c);
    if (c->session != NULL)
        stc_session_release(c->session);
    if (c->lease != NULL)
        stc_lease_release(c->lease);
    if (c->is_seated)
        stc_lane_leave(client, c->home);
    stc_change_stream_free(c->stream);
    stc_target_unref(c->target);
    free(c->bytes);
    pthread_mutex_destroy(&c->lock);
    free(c);
    stc_client_release(client);
}

/* ---- asked about ------------------------------------------------- */

bool stc_cursor_request_again(const struct stc_cursor *c,
                              struct stc_request *out)
{
    size_t n = 0;
    uint32_t length; /* as every document begins with; there are two or more */
    uint32_t i = 0;

    do {
        memcpy(&length, c->bytes + n, sizeof length);
        n += BSON_UINT32_FROM_LE(length);
    } while (++i < c->n_documents);
    *out = (struct stc_request){
        .verb = c->verb,
        .target = c->target,
        .bytes = malloc(n),
        .n_bytes = n,
        .n_documents = c->n_documents,
        .timeout_ms = c->timeout_ms,
        .priority = c->priority,
        .timeout_mode = c->timeout_mode,
        .prefetch = c->prefetch,
        .max_bytes = c->max_bytes,
        .lease_id = c->lease != NULL && c->session == NULL
                        ? stc_lease_id(c->lease)
                        : 0,
        .session_id = c->session != NULL ? stc_session_id(c->session) : 0,
        .context = c->context,
    };
    if (out->bytes != NULL)
        memcpy(out->bytes, c->bytes, n);
    return out->bytes != NULL;
}

bool stc_cursor_resume_token(struct stc_cursor *c, bson_t *out)
{
    bool has_one;

    if (stc_client_is_inherited(c->client))
        return false;
    pthread_mutex_lock(&c->lock);
    has_one = stc_change_stream_token(c->stream, out);
    pthread_mutex_unlock(&c->lock);
    return has_one;
}
