/* SPDX-License-Identifier: Apache-2.0 */
/* core/cursor.c - requests for documents, and one strand to serve them.  The
 * picture and the invariants are in cursor.h; how a request is served from
 * the buffer is in serve.c, what a worker does in strand.c. */
#include "core/cursor.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/client.h"
#include "core/op.h"
#include "core/serve.h"
#include "core/target.h"
#include "core/verb.h"
#include "core/worker.h"

static const struct stc_verb verbs[] = {
    [STC_NEXT] = {.name = "cursor.next"},
    [STC_BATCH] = {.name = "cursor.next_batch"},
    [STC_LIST] = {.name = "cursor.to_list"},
    [STC_CLOSE] = {.name = "cursor.close"},
    [STC_PREFETCH] = {.name = "cursor.prefetch"},
};

/* ---- made, counted ----------------------------------------------- */

struct stc_cursor *stc_cursor_new(stator_client_t *client,
                                  struct stc_request *request)
{
    struct stc_cursor *c = calloc(1, sizeof *c);

    if (c == NULL) {
        free(request->bytes);
        return NULL;
    }
    atomic_init(&c->refs, 1);
    c->client = client;
    stc_client_hold(client);
    c->target = stc_target_ref(request->target);
    c->verb = request->verb;
    c->bytes = request->bytes;
    c->n_documents = request->n_documents;
    c->timeout_ms = request->timeout_ms;
    c->timeout_mode = request->timeout_mode;
    c->priority = request->priority;
    c->prefetch = request->prefetch != 0;
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

static void cursor_ref(struct stc_cursor *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
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
    }
    stc_buffer_empty(c);
    stator_future_unref(c->failure);
    stf_result_free(c->failure_room);
    if (c->closer != NULL)
        stc_op_unref(c->closer);
    stc_target_unref(c->target);
    free(c->bytes);
    pthread_mutex_destroy(&c->lock);
    free(c);
    stc_client_release(client);
}

/* ---- requests ---------------------------------------------------- */

struct stc_op *stc_cursor_request(struct stc_cursor *c, enum stc_want want)
{
    struct stc_op *op = stc_op_new(c->client, &verbs[want], c->target);

    if (op == NULL)
        return NULL;
    op->is_request = true;
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

/* ---- the line ---------------------------------------------------- */

/* Takes the caller's reference on `op`. */
static void join_line(struct stc_cursor *c, struct stc_op *op)
{
    op->in_line = true;
    cds_list_add_tail(&op->waiting, &c->waiting);
}

static struct stc_op *first_waiting(struct stc_cursor *c)
{
    return cds_list_empty(&c->waiting)
               ? NULL
               : cds_list_first_entry(&c->waiting, struct stc_op, waiting);
}

static bool is_idle(struct stc_cursor *c)
{
    return !c->busy && cds_list_empty(&c->waiting);
}

static void close_if_over(struct stc_cursor *c)
{
    bool over = c->left || c->closed || atomic_load(&c->client->closing);
    struct stc_op *op = c->closer;

    if (!is_idle(c) || !over || c->server.connection == NULL || op == NULL)
        return;
    c->closer = NULL;
    cursor_ref(c); /* R6 */
    op->cursor = c;
    stc_queue_admit_always(&c->client->queue);
    op->has_place = true;
    op->submitted = stf_now_ns();
    join_line(c, op);
}

static bool wants_prefetch(struct stc_cursor *c)
{
    return c->prefetch && is_idle(c) && c->was_asked && !c->ended &&
           !c->closed && !c->left && c->n_batches < 2 &&
           c->server.connection != NULL;
}

static void leave_line(struct stc_op *op, struct stc_finish *out)
{
    op->in_line = false;
    cds_list_del(&op->waiting);
    cds_list_add_tail(&op->waiting, &out->claimed);
}

/* Is the trip under way one that no user waits for? */
static bool is_prefetching(struct stc_cursor *c)
{
    struct stc_op *op = first_waiting(c);

    return c->busy && op != NULL && op->want == STC_PREFETCH;
}

/* What is here need not wait for what is being fetched ahead. */
static void serve_beside_prefetch(struct stc_cursor *c,
                                  struct stc_finish *out)
{
    struct stc_op *op, *next;

    if (!is_prefetching(c))
        return;
    cds_list_for_each_entry_safe(op, next, &c->waiting, waiting)
    {
        if (op->want == STC_PREFETCH)
            continue;
        if (op->want == STC_CLOSE || c->n_buffered == 0 || !stc_serve(c, op))
            break;
        leave_line(op, out);
    }
}

/* Nobody comes before a request that is made now. */
static bool nobody_waits(struct stc_cursor *c)
{
    return is_idle(c) ||
           (is_prefetching(c) &&
            cds_list_first_entry(&c->waiting, struct stc_op, waiting) ==
                cds_list_entry(c->waiting.prev, struct stc_op, waiting));
}

void stc_cursor_advance(struct stc_cursor *c, struct stc_finish *out)
{
    *out = (struct stc_finish){0};
    CDS_INIT_LIST_HEAD(&out->claimed);
    while (!c->busy) {
        struct stc_op *op;

        close_if_over(c);
        op = first_waiting(c);
        if (op == NULL)
            break;
        if (stc_serve(c, op)) {
            leave_line(op, out);
        } else {
            if (!op->has_place) { /* a further trip of the same request */
                stc_queue_admit_always(&c->client->queue);
                op->has_place = true;
            }
            c->busy = true;
            out->next = op;
            out->home = c->home;
        }
    }
    serve_beside_prefetch(c, out);
    out->prefetch = wants_prefetch(c);
}

/* Admitting can settle others, so it is done without the lock, and whether
 * it is still wanted is looked at again after. */
static void prefetch(struct stc_cursor *c)
{
    struct stc_queue *q = &c->client->queue;
    struct stc_finish out;
    struct stc_op *op;
    bool wanted;

    if (stc_queue_admit(q, 0) != STC_ADMITTED)
        return;
    op = stc_cursor_request(c, STC_PREFETCH);
    if (op == NULL) {
        stc_queue_discharge(q);
        return;
    }
    op->internal = true;
    op->has_place = true;
    cursor_ref(c);
    op->cursor = c;
    pthread_mutex_lock(&c->lock);
    wanted = wants_prefetch(c);
    if (wanted) {
        join_line(c, op);
        stc_cursor_advance(c, &out);
    }
    pthread_mutex_unlock(&c->lock);
    if (wanted) {
        stc_cursor_finish(c, &out);
    } else {
        stc_queue_discharge(q);
        stc_op_unref(op);
    }
}

void stc_cursor_finish(struct stc_cursor *c, struct stc_finish *out)
{
    struct stc_op *op, *after;

    cursor_ref(c); /* what follows may drop all others */
    if (out->next != NULL) {
        stc_op_ref(out->next); /* the queue's */
        out->next->queued_at = stf_now_ns();
        if (out->home != NULL)
            stc_queue_push_to(&c->client->queue, out->home, out->next);
        else
            stc_queue_push(&c->client->queue, out->next);
    }
    cds_list_for_each_entry_safe(op, after, &out->claimed, waiting)
    {
        stator_future_t *f = stc_op_future(op);

        if (op->has_place)
            stc_queue_discharge(&c->client->queue);
        if (op->claimed_here) /* else given up, and finished by that */
            stf_finish(f, (stator_future_state_t)(
                              stf_state_word(&f->state) & STF_FINAL_MASK));
        stc_op_unref(op); /* the line's */
    }
    if (out->prefetch)
        prefetch(c);
    stc_cursor_unref(c);
}

bool stc_cursor_withdraw(struct stc_op *op)
{
    struct stc_cursor *c = op->cursor;
    struct stc_queue *q = &op->client->queue;
    struct stc_finish out;
    bool withdrawn = false, had_place = false;

    pthread_mutex_lock(&c->lock);
    if (op->in_line && (!c->busy || op != first_waiting(c))) {
        withdrawn = true;
    } else if (op->in_line && stc_queue_withdraw(q, op)) {
        c->busy = false;
        withdrawn = true;
    }
    if (withdrawn) {
        op->in_line = false;
        cds_list_del(&op->waiting);
        had_place = op->has_place;
        op->has_place = false;
        stc_cursor_advance(c, &out);
    }
    pthread_mutex_unlock(&c->lock);
    if (!withdrawn)
        return false;
    if (had_place)
        stc_queue_discharge(q);
    stc_cursor_finish(c, &out);
    stc_op_unref(op); /* the line's */
    return true;
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

    if (!fails && (!nobody_waits(c) ||
                   (c->busy &&
                    (op->want == STC_CLOSE || c->n_buffered == 0))))
        return false;
    if (!stc_serve(c, op))
        return false;
    stc_op_ref(op); /* the line's, for finish */
    stc_cursor_advance(c, out);
    cds_list_add(&op->waiting, &out->claimed);
    return true;
}

static void give_up_waiting(struct stc_cursor *c, enum stc_reason why)
{
    for (;;) {
        struct stc_op *op, *found = NULL;

        pthread_mutex_lock(&c->lock);
        cds_list_for_each_entry(op, &c->waiting, waiting)
        {
            bool is_other = op->want != STC_CLOSE || why == STC_BY_CLOSE;

            if (!op->internal && is_other && !stc_op_is_settled(op)) {
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

static void begin_close(struct stc_cursor *c)
{
    pthread_mutex_lock(&c->lock);
    c->closed = true;
    stc_buffer_empty(c);
    pthread_mutex_unlock(&c->lock);
    give_up_waiting(c, STC_BY_CURSOR);
}

static void ask(struct stc_cursor *c, struct stc_op *op)
{
    stator_client_t *client = c->client;
    struct stc_finish out;
    bool served;

    if (atomic_load(&client->queue.closed)) {
        stc_op_admit(op); /* which says why not */
        return;
    }
    if (op->want == STC_CLOSE)
        begin_close(c);
    pthread_mutex_lock(&c->lock);
    set_deadline(c, op);
    c->was_asked = true;
    served = serve_at_once(c, op, &out);
    pthread_mutex_unlock(&c->lock);
    if (served) {
        stc_stats_submitted(&client->stats);
        stc_cursor_finish(c, &out);
        return;
    }
    if (op->want == STC_CLOSE) {
        stc_stats_submitted(&client->stats);
        stc_queue_admit_always(&client->queue);
    } else if (!stc_op_admit(op)) {
        return;
    }
    stc_op_ref(op); /* the line's */
    stc_op_watch(op);
    pthread_mutex_lock(&c->lock);
    op->has_place = true;
    join_line(c, op);
    stc_cursor_advance(c, &out);
    pthread_mutex_unlock(&c->lock);
    stc_cursor_finish(c, &out);
}

stator_future_t *stc_cursor_ask(struct stc_cursor *c, enum stc_want want,
                                int64_t max)
{
    struct stc_op *op;

    if (stc_client_is_inherited(c->client))
        return stc_forked(verbs[want].name);
    op = stc_cursor_request(c, want);
    if (op == NULL)
        return stf_future_no_memory();
    cursor_ref(c);
    op->cursor = c;
    op->max = max;
    ask(c, op);
    return stc_op_future(op);
}

bool stc_cursor_try_buffered(struct stc_cursor *c, bson_t *out_document)
{
    struct stf_slice slice;
    struct stc_finish out;
    bool here;

    if (stc_client_is_inherited(c->client) ||
        atomic_load(&c->client->closing))
        return false;
    pthread_mutex_lock(&c->lock);
    here = nobody_waits(c) && stc_buffer_take(c, &slice);
    if (here)
        stc_cursor_advance(c, &out);
    pthread_mutex_unlock(&c->lock);
    if (!here)
        return false;
    bson_copy_to(&slice.documents->at[slice.first], out_document);
    stf_documents_unref(slice.documents);
    stc_cursor_finish(c, &out);
    return true;
}

/* ---- ending ------------------------------------------------------ */

void stc_cursor_give_up_waiting(struct stc_cursor *c)
{
    give_up_waiting(c, STC_BY_CLOSE);
}

/* Look again whether it is over. */
static void look(struct stc_cursor *c)
{
    struct stc_finish out;

    pthread_mutex_lock(&c->lock);
    stc_cursor_advance(c, &out);
    pthread_mutex_unlock(&c->lock);
    stc_cursor_finish(c, &out);
}

void stc_cursor_leave(struct stc_cursor *c)
{
    if (!stc_client_is_inherited(c->client)) {
        pthread_mutex_lock(&c->lock);
        c->left = true;
        pthread_mutex_unlock(&c->lock);
        look(c);
    }
    stc_cursor_unref(c);
}

void stc_cursor_shut(struct stc_cursor *c)
{
    char what[300];
    bool leaked;

    pthread_mutex_lock(&c->lock);
    leaked = is_idle(c) && !c->left && !c->closed &&
             c->server.connection != NULL;
    pthread_mutex_unlock(&c->lock);
    if (leaked) {
        snprintf(what, sizeof what, "%s on %s%s%s", c->verb->name,
                 c->target->db, c->target->name == NULL ? "" : ".",
                 c->target->name == NULL ? "" : c->target->name);
        stc_close_leaked(c->client, "cursor", what, c->made);
    }
    look(c);
}
