/* SPDX-License-Identifier: Apache-2.0 */
/* core/cursor.c - requests for documents, and one strand to serve them.  The
 * picture and the invariants are in cursor.h; the line of requests is in
 * line.c, how one is served from the buffer in serve.c, what a worker does
 * in strand.c. */
#include "core/cursor.h"

#include <stdlib.h>
#include <string.h>

#include "core/change_stream.h"
#include "core/client.h"
#include "core/line.h"
#include "core/op.h"
#include "core/serve.h"
#include "core/session.h"
#include "core/target.h"
#include "core/verb.h"

static const struct stc_verb verbs[] = {
    [STC_NEXT] = {.name = "cursor.next"},
    [STC_BATCH] = {.name = "cursor.next_batch"},
    [STC_LIST] = {.name = "cursor.to_list"},
    [STC_CLOSE] = {.name = "cursor.close"},
    [STC_READY] = {.name = "cursor.each"},
    [STC_TRY] = {.name = "cursor.try_next"},
    [STC_OPEN] = {.name = "cursor.open"},
    [STC_PREFETCH] = {.name = "cursor.prefetch"},
};

static const struct stc_verb stream_verbs[] = {
    [STC_NEXT] = {.name = "change_stream.next"},
    [STC_BATCH] = {.name = "change_stream.next_batch"},
    [STC_LIST] = {.name = "change_stream.to_list"},
    [STC_CLOSE] = {.name = "change_stream.close"},
    [STC_READY] = {.name = "change_stream.each"},
    [STC_TRY] = {.name = "change_stream.try_next"},
    [STC_OPEN] = {.name = "change_stream.open"},
    [STC_PREFETCH] = {.name = "change_stream.prefetch"},
};

static const struct stc_verb *verb_of(const struct stc_cursor *c,
                                      enum stc_want want)
{
    return c->stream != NULL ? &stream_verbs[want] : &verbs[want];
}

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

/* ---- requests ---------------------------------------------------- */

struct stc_op *stc_cursor_request(struct stc_cursor *c, enum stc_want want)
{
    struct stc_op *op = stc_op_new(c->client, verb_of(c, want), c->target);

    if (op == NULL)
        return NULL;
    op->site = c->site;
    stc_op_future(op)->context = c->context;
    op->is_request = true;
    op->in_lane = c->in_lane;
    op->passes = c->passes;
    op->want = (uint8_t)want;
    op->priority = (uint8_t)c->priority;
    if (want == STC_CLOSE || want == STC_PREFETCH)
        return op;
    op->room = stf_result_new();
    if (op->room == NULL) {
        stc_op_unref(op);
        return NULL;
    }
    return op;
}

void stc_cursor_forget(struct stc_op *op)
{
    stf_result_free(op->room);
    if (op->cursor != NULL)
        stc_cursor_unref(op->cursor);
}

/* ---- asking ------------------------------------------------------ */

static void set_deadline(struct stc_cursor *c, struct stc_op *op)
{
    if (c->timeout_ms <= 0 || op->want == STC_CLOSE)
        return;
    if (c->timeout_mode == STC_ITERATION || !c->was_asked)
        c->deadline = stf_deadline_after_ms(c->timeout_ms);
    op->deadline.at = c->deadline;
}

/* From what is here, without a place in the queue.  Under lock. */
static bool serve_at_once(struct stc_cursor *c, struct stc_op *op,
                          struct stc_finish *out)
{
    bool fails = c->closed && op->want != STC_CLOSE; /* needs no server */
    bool is_there = op->want == STC_OPEN && c->is_open; /* nor a turn */

    if (!fails && !is_there && (!stc_line_is_free(c) ||
                   (c->busy &&
                    (op->want == STC_CLOSE || c->n_buffered == 0))))
        return false;
    if (!stc_serve(c, op))
        return false;
    stc_op_ref(op); /* the line's, for finish */
    stc_line_advance(c, out);
    cds_list_add(&op->waiting, &out->claimed);
    return true;
}

/* From the last to the first: when the one at work is cut, its worker is not
 * to find another that still waits. */
static void give_up_waiting(struct stc_cursor *c, enum stc_reason why,
                            bool closes_too)
{
    for (;;) {
        struct stc_op *op, *found = NULL;

        pthread_mutex_lock(&c->lock);
        cds_list_for_each_entry_reverse(op, &c->waiting, waiting)
        {
            bool is_other = op->want != STC_CLOSE || closes_too;

            if ((!op->internal || op->want == STC_PREFETCH) && is_other &&
                !stc_op_is_settled(op)) {
                found = op;
                stc_op_ref(op);
                break;
            }
        }
        pthread_mutex_unlock(&c->lock);
        if (found == NULL)
            return;
        stc_op_give_up(found, why);
        stc_op_unref(found);
    }
}

/* Under lock: what is at work for nobody, and will be for nobody; or NULL. */
static struct stc_op *idle_turn(struct stc_cursor *c)
{
    struct stc_op *op;

    if (!c->busy ||
        !(c->closed || c->left || atomic_load(&c->client->closing)))
        return NULL;
    cds_list_for_each_entry(op, &c->waiting, waiting)
        if (op->want != STC_CLOSE && !stc_op_is_settled(op))
            return NULL;
    op = cds_list_first_entry(&c->waiting, struct stc_op, waiting);
    return op->want == STC_CLOSE ? NULL : op;
}

/* Who waited for it may have given up before, which cuts nothing: Z5. */
void stc_cursor_cut_turn(struct stc_cursor *c)
{
    struct stc_op *op;

    if (!c->in_lane)
        return;
    pthread_mutex_lock(&c->lock);
    op = idle_turn(c);
    if (op != NULL)
        stc_op_ref(op);
    pthread_mutex_unlock(&c->lock);
    if (op == NULL)
        return;
    stc_op_cut(op);
    stc_op_unref(op);
}

static void begin_close(struct stc_cursor *c)
{
    pthread_mutex_lock(&c->lock);
    c->closed = true;
    stc_buffer_empty(c);
    pthread_mutex_unlock(&c->lock);
    give_up_waiting(c, c->stream != NULL ? STC_BY_STREAM : STC_BY_CURSOR,
                    false);
    stc_cursor_cut_turn(c);
}

static void ask_open(struct stc_cursor *c, struct stc_op *op)
{
    stator_client_t *client = c->client;
    struct stc_finish out;
    bool served;

    if (op->want == STC_CLOSE)
        begin_close(c);
    pthread_mutex_lock(&c->lock);
    set_deadline(c, op);
    c->was_asked = true;
    served = serve_at_once(c, op, &out);
    pthread_mutex_unlock(&c->lock);
    if (served) {
        stc_stats_submitted(&client->stats);
        stc_line_finish(c, &out);
        return;
    }
    if (op->want == STC_CLOSE) {
        stc_stats_submitted(&client->stats);
        stc_op_take_place(op);
    } else if (!stc_op_admit(op)) {
        return;
    }
    stc_op_ref(op); /* the line's */
    stc_op_watch(op);
    pthread_mutex_lock(&c->lock);
    op->has_place = true;
    stc_line_join(c, op);
    stc_line_advance(c, &out);
    pthread_mutex_unlock(&c->lock);
    stc_line_finish(c, &out);
}

static void ask(struct stc_cursor *c, struct stc_op *op)
{
    bool uses = c->lease != NULL && stc_lease_use(c->lease);

    if (c->lease != NULL && !uses)
        stc_op_refuse(op);
    else if (atomic_load(&c->client->queue.closed) && !c->passes)
        stc_op_admit(op); /* which says why not */
    else
        ask_open(c, op);
    if (uses)
        stc_lease_disuse(c->lease);
}

stator_future_t *stc_cursor_ask(struct stc_cursor *c, enum stc_want want,
                                int64_t max)
{
    struct stc_op *op;

    if (stc_client_is_inherited(c->client))
        return stc_forked(verb_of(c, want)->name);
    op = stc_cursor_request(c, want);
    if (op == NULL)
        return stf_future_no_memory();
    stc_cursor_ref(c);
    op->cursor = c;
    op->max = max;
    ask(c, op);
    return stc_op_future(op);
}

bool stc_cursor_take(struct stc_cursor *c, struct stf_slice *out)
{
    struct stc_finish finish;
    bool here;

    if (stc_client_is_inherited(c->client) ||
        atomic_load(&c->client->closing))
        return false;
    pthread_mutex_lock(&c->lock);
    here = stc_line_is_free(c) && stc_buffer_take(c, out);
    if (here)
        stc_line_advance(c, &finish);
    pthread_mutex_unlock(&c->lock);
    if (here)
        stc_line_finish(c, &finish);
    return here;
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

/* ---- ending ------------------------------------------------------ */

void stc_cursor_give_up_waiting(struct stc_cursor *c)
{
    give_up_waiting(c, STC_BY_CLOSE, true);
    stc_cursor_cut_turn(c);
}

/* Look again whether it is over. */
static void look(struct stc_cursor *c)
{
    struct stc_finish out;

    pthread_mutex_lock(&c->lock);
    stc_line_advance(c, &out);
    pthread_mutex_unlock(&c->lock);
    stc_line_finish(c, &out);
}

void stc_cursor_leave(struct stc_cursor *c)
{
    if (!stc_client_is_inherited(c->client)) {
        pthread_mutex_lock(&c->lock);
        c->left = true;
        pthread_mutex_unlock(&c->lock);
        stc_cursor_cut_turn(c);
        look(c);
    }
    stc_cursor_unref(c);
}

void stc_cursor_shut(struct stc_cursor *c)
{
    char what[300];
    bool leaked;

    pthread_mutex_lock(&c->lock);
    leaked = !c->left && !c->closed &&
             (stc_line_is_idle(c) ? c->server.connection != NULL
                                  : c->in_lane && !c->was_named);
    c->was_named = c->was_named || leaked;
    pthread_mutex_unlock(&c->lock);
    if (leaked) {
        stc_target_describe(c->target, c->verb->name, what, sizeof what);
        stc_close_leaked(c->client,
                         c->stream != NULL ? "change stream" : "cursor", what,
                         c->made, c->site);
    }
    if (c->in_lane) { /* what they wait for may never come */
        give_up_waiting(c, STC_BY_CLOSE, false);
        stc_cursor_cut_turn(c);
    }
    look(c);
}
