/* SPDX-License-Identifier: Apache-2.0 */
/* core/line.c - a cursor's requests, waiting in line: who is served next, who
 * goes to the server, who leaves.  The invariants are in cursor.h. */
#include "core/line.h"

#include "core/client.h"
#include "core/lease.h"
#include "core/op.h"
#include "core/serve.h"

void stc_line_join(struct stc_cursor *c, struct stc_op *op)
{
    op->in_line = true;
    c->awaits_open = c->awaits_open || op->want == STC_OPEN;
    cds_list_add_tail(&op->waiting, &c->waiting);
}

static struct stc_op *first_waiting(struct stc_cursor *c)
{
    return cds_list_empty(&c->waiting)
               ? NULL
               : cds_list_first_entry(&c->waiting, struct stc_op, waiting);
}

bool stc_line_is_idle(struct stc_cursor *c)
{
    return !c->busy && cds_list_empty(&c->waiting);
}

static void close_if_over(struct stc_cursor *c)
{
    bool over = c->left || c->closed || atomic_load(&c->client->closing);
    struct stc_op *op = c->closer;

    if (!stc_line_is_idle(c) || !over || c->server.connection == NULL ||
        op == NULL)
        return;
    c->closer = NULL;
    stc_cursor_ref(c); /* R6 */
    op->cursor = c;
    stc_op_take_place(op);
    op->has_place = true;
    op->submitted = stf_now_ns();
    stc_line_join(c, op);
}

static bool wants_prefetch(struct stc_cursor *c)
{
    return c->prefetch && stc_line_is_idle(c) && c->was_asked && !c->ended &&
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

/* Who asks whether it is open need not wait for an event, as those may who
 * have asked before. */
static void serve_openers(struct stc_cursor *c, struct stc_finish *out)
{
    struct cds_list_head *at, *next;

    if (!c->awaits_open || !(c->is_open || c->ended || c->closed))
        return;
    c->awaits_open = false;
    cds_list_for_each_safe(at, next, &c->waiting)
    {
        struct stc_op *op = cds_list_entry(at, struct stc_op, waiting);

        if (op->want == STC_OPEN && !(c->busy && op == first_waiting(c)) &&
            stc_serve(c, op))
            leave_line(op, out);
    }
}

bool stc_line_is_free(struct stc_cursor *c)
{
    return stc_line_is_idle(c) ||
           (is_prefetching(c) &&
            cds_list_first_entry(&c->waiting, struct stc_op, waiting) ==
                cds_list_entry(c->waiting.prev, struct stc_op, waiting));
}

/* When the client closes while nobody asks, there is nothing to be used. */
static void update_use(struct stc_cursor *c, struct stc_finish *out)
{
    bool uses = !stc_line_is_idle(c) || c->server.connection != NULL;

    out->leaves = c->uses_lease && !uses;
    if (uses && !c->uses_lease) /* by a request, whose asker uses it */
        stc_lease_use_too(c->lease);
    c->uses_lease = uses;
    out->unties = c->is_tied && !uses && (c->ended || c->closed || c->left);
    if (out->unties)
        c->is_tied = false;
}

/* No trip will be made any more. */
static void leave_seat(struct stc_cursor *c, struct stc_finish *out)
{
    if (!c->is_seated || c->busy || !(c->ended || c->closed) ||
        c->server.connection != NULL)
        return;
    c->is_seated = false;
    out->seat = c->home;
}

void stc_line_advance(struct stc_cursor *c, struct stc_finish *out)
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
                stc_op_take_place(op);
                op->has_place = true;
            }
            op->is_urgent = op->want == STC_CLOSE || !stc_cursor_is_at_server(c);
            c->busy = true;
            out->next = op;
            out->home = c->home;
        }
    }
    serve_beside_prefetch(c, out);
    serve_openers(c, out);
    out->prefetch = wants_prefetch(c);
    leave_seat(c, out);
    if (c->lease != NULL)
        update_use(c, out);
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
    stc_cursor_ref(c);
    op->cursor = c;
    pthread_mutex_lock(&c->lock);
    wanted = wants_prefetch(c);
    if (wanted) {
        stc_line_join(c, op);
        stc_line_advance(c, &out);
    }
    pthread_mutex_unlock(&c->lock);
    if (wanted) {
        stc_line_finish(c, &out);
    } else {
        stc_queue_discharge(q);
        stc_op_unref(op);
    }
}

/* It needs a watcher, and gets none. */
static void refuse_all(struct stc_cursor *c, stator_error_code_t code,
                       const char *note)
{
    struct stc_finish out;

    pthread_mutex_lock(&c->lock);
    c->busy = false;
    c->refusal = code;
    c->refusal_note = note;
    stc_line_advance(c, &out);
    c->refusal = 0;
    pthread_mutex_unlock(&c->lock);
    stc_line_finish(c, &out);
}

static void queue_next(struct stc_cursor *c, struct stc_op *op,
                       struct stc_worker *home)
{
    struct stc_queue *q = &c->client->queue;

    if (c->in_lane && home == NULL) {
        stator_error_code_t code;
        const char *note;

        if (!stc_lane_join(c, &code, &note)) {
            refuse_all(c, code, note);
            return;
        }
        home = c->home;
    }
    stc_op_ref(op);
    stc_op_ref(op); /* the queue's */
    op->queued_at = stf_now_ns();
    if (c->lease != NULL && !c->in_lane)
        stc_lease_enter(c->lease, op);
    else if (home != NULL) /* who knows the way to a lease: Y6 in lease.h */
        stc_queue_push_to(q, home, op);
    else
        stc_queue_push(q, op);
    /* It can have been given up before there was anything to withdraw. */
    if (stc_op_is_settled(op))
        stc_cursor_withdraw(op);
    stc_op_unref(op);
}

void stc_line_finish(struct stc_cursor *c, struct stc_finish *out)
{
    struct stc_op *op, *after;

    stc_cursor_ref(c); /* what follows may drop all others */
    if (out->next != NULL)
        queue_next(c, out->next, out->home);
    cds_list_for_each_entry_safe(op, after, &out->claimed, waiting)
    {
        stator_future_t *f = stc_op_future(op);

        if (op->has_place)
            stc_op_leave_place(op);
        if (op->claimed_here) /* else given up, and finished by that */
            stf_finish(f, (stator_future_state_t)(
                              stf_state_word(&f->state) & STF_FINAL_MASK));
        stc_op_unref(op); /* the line's */
    }
    if (out->prefetch)
        prefetch(c);
    if (out->leaves)
        stc_lease_disuse(c->lease);
    if (out->unties)
        stc_cursor_untie(c);
    if (out->seat != NULL)
        stc_lane_leave(c->client, out->seat);
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
    } else if (op->in_line && (c->lease != NULL
                                   ? stc_lease_withdraw(c->lease, op)
                                   : stc_queue_withdraw(q, op))) {
        c->busy = false;
        withdrawn = true;
    }
    if (withdrawn) {
        op->in_line = false;
        cds_list_del(&op->waiting);
        had_place = op->has_place;
        op->has_place = false;
        stc_line_advance(c, &out);
    }
    pthread_mutex_unlock(&c->lock);
    if (!withdrawn)
        return false;
    if (had_place)
        stc_op_leave_place(op);
    stc_line_finish(c, &out);
    stc_op_unref(op); /* the line's */
    return true;
}
