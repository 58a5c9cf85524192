/* SPDX-License-Identifier: Apache-2.0 */
/* core/cursor_ask.c - requests for documents: made, asked, and given up, with
 * which a cursor ends.  The cursor itself is in cursor.c. */
#include "core/cursor.h"

#include "core/change_stream.h"
#include "core/client.h"
#include "core/lease.h"
#include "core/line.h"
#include "core/op.h"
#include "core/serve.h"
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

/* ---- made -------------------------------------------------------- */

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
