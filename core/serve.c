/* SPDX-License-Identifier: Apache-2.0 */
/* core/serve.c - a cursor's buffer, and requests served from it.  Everything
 * in here runs under the cursor's lock, and claims without finishing (R1). */
#include "core/serve.h"

#include <stdlib.h>

#include "core/change_stream.h"
#include "core/client.h"
#include "core/op.h"

/* ---- the buffer -------------------------------------------------- */

void stc_buffer_add(struct stc_cursor *c, struct stc_batch *b)
{
    for (size_t i = 0; i < b->slice.n; i++)
        c->n_bytes += b->slice.documents->at[i].len;
    c->n_buffered += (int64_t)b->slice.n;
    c->n_batches++;
    cds_list_add_tail(&b->node, &c->batches);
}

void stc_buffer_empty(struct stc_cursor *c)
{
    struct stc_batch *b, *next;

    cds_list_for_each_entry_safe(b, next, &c->batches, node)
    {
        stf_documents_unref(b->slice.documents);
        free(b);
    }
    CDS_INIT_LIST_HEAD(&c->batches);
    c->n_buffered = c->n_bytes = c->n_batches = 0;
}

static struct stc_batch *first_batch(struct stc_cursor *c)
{
    /* What is freed has left the list: not seen through liburcu's macros.
     * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    return cds_list_first_entry(&c->batches, struct stc_batch, node);
}

static void take_slice(struct stc_cursor *c, struct stc_batch *b, size_t n,
                       struct stf_slice *out)
{
    size_t i;

    *out = b->slice;
    out->n = n;
    for (i = 0; i < n; i++)
        c->n_bytes -= b->slice.documents->at[b->slice.first + i].len;
    c->n_buffered -= (int64_t)n;
    if (n == b->slice.n) {
        cds_list_del(&b->node);
        c->n_batches--;
        free(b); /* its reference went with the slice */
        return;
    }
    stf_documents_ref(b->slice.documents);
    b->slice.first += n;
    b->slice.n -= n;
}

/* The only way to a change stream's events. */
static void take_one(struct stc_cursor *c, struct stf_slice *out)
{
    struct stc_batch *b = first_batch(c);

    if (c->stream != NULL)
        stc_change_stream_hand_out(c->stream,
                                   &b->slice.documents->at[b->slice.first],
                                   b->slice.n == 1 ? b->token : NULL);
    take_slice(c, b, 1, out);
}

bool stc_buffer_take(struct stc_cursor *c, struct stf_slice *out)
{
    if (c->n_buffered == 0)
        return false;
    take_one(c, out);
    return true;
}

/* ---- serving ----------------------------------------------------- */

static bool claim(struct stc_op *op, stator_future_state_t final)
{
    op->claimed_here = stf_claim(stc_op_future(op), final);
    return op->claimed_here;
}

/* The claim is won: give `op` its result. */
static void give(struct stc_op *op)
{
    stator_future_t *f = stc_op_future(op);

    f->result = op->room;
    op->room = NULL;
    f->outcome = STATOR_ANSWERED;
}

static bool claim_done(struct stc_op *op)
{
    return claim(op, STATOR_FUTURE_DONE);
}

static void serve_next(struct stc_cursor *c, struct stc_op *op)
{
    struct stf_slice slice;

    if (!claim_done(op))
        return;
    take_one(c, &slice);
    stf_result_take_slice(op->room, slice);
    op->room->document = &slice.documents->at[slice.first];
    give(op);
}

static void serve_ready(struct stc_op *op)
{
    if (!claim_done(op))
        return;
    op->room->count = 1;
    give(op);
}

static void serve_batch(struct stc_cursor *c, struct stc_op *op)
{
    struct stf_slice slice;

    if (!claim_done(op))
        return;
    take_slice(c, first_batch(c), first_batch(c)->slice.n, &slice);
    stf_result_take_slice(op->room, slice);
    give(op);
}

static void fail_with(struct stc_op *op, stator_error_code_t code,
                      const char *note)
{
    stator_future_t *f = stc_op_future(op);

    if (!claim(op, STATOR_FUTURE_FAILED))
        return;
    f->code = (uint8_t)code;
    f->note = note;
    f->outcome = STATOR_NOT_SENT;
}

static void serve_list(struct stc_cursor *c, struct stc_op *op)
{
    struct stf_result *r = op->room;
    int64_t wanted = op->max > 0 && op->max < c->n_buffered ? op->max
                                                            : c->n_buffered;
    size_t n = 0, start = 0;

    if (!stf_result_reserve_slices(r, (size_t)c->n_batches)) {
        fail_with(op, STATOR_ERROR_MEMORY, "no memory for the list");
        return;
    }
    if (!claim_done(op)) /* they go with the room */
        return;
    while (start < (size_t)wanted) {
        struct stc_batch *b = first_batch(c);
        size_t left = (size_t)wanted - start;

        take_slice(c, b, b->slice.n < left ? b->slice.n : left,
                   &r->slices[n]);
        r->slices[n].start = start;
        start += r->slices[n++].n;
    }
    r->n_slices = n;
    r->count = wanted;
    give(op);
}

/* Would this list be larger than the cursor's maxBytes? */
static bool is_too_large(const struct stc_cursor *c, const struct stc_op *op)
{
    const struct stc_batch *b;
    int64_t left = op->max > 0 ? op->max : INT64_MAX, bytes = 0;

    if (c->max_bytes == 0 || c->n_bytes <= c->max_bytes)
        return false;
    cds_list_for_each_entry(b, &c->batches, node)
        for (size_t i = 0; i < b->slice.n && left > 0; i++, left--)
            bytes += b->slice.documents->at[b->slice.first + i].len;
    return bytes > c->max_bytes;
}

/* DONE, with no document. */
static void serve_nothing(struct stc_op *op)
{
    if (claim_done(op))
        give(op);
}

static void serve_end(struct stc_cursor *c, struct stc_op *op)
{
    stator_future_t *f = stc_op_future(op);

    if (c->closed) {
        fail_with(op, STATOR_ERROR_CLOSED,
                  c->stream != NULL ? "the change stream is closed"
                                    : "the cursor is closed");
    } else if (c->has_failed) {
        if (claim(op, STATOR_FUTURE_FAILED)) {
            f->alias = stator_future_ref(c->failure);
            stf_enter_phase(f, stf_phase(c->failure));
        }
    } else {
        serve_nothing(op);
    }
}

/* In the lane: there is no watcher, or the client closes, and waits for
 * nothing. */
static bool serve_refusal(const struct stc_cursor *c, struct stc_op *op)
{
    if (!c->in_lane)
        return false;
    if (c->refusal != 0)
        fail_with(op, c->refusal, c->refusal_note);
    else if (op->want != STC_CLOSE && c->n_buffered == 0 && !c->closed &&
             atomic_load(&c->client->closing))
        fail_with(op, STATOR_ERROR_CLOSED, c->client->note_closed);
    else
        return false;
    return true;
}

/* From the buffer, or because there will be no more. */
static void serve_what_is_here(struct stc_cursor *c, struct stc_op *op)
{
    bool ends = c->ended || c->closed || (c->is_dry && !c->in_lane);
    bool is_full = op->max > 0 && c->n_buffered >= op->max;

    switch ((enum stc_want)op->want) {
    case STC_NEXT:
        if (c->n_buffered > 0)
            serve_next(c, op);
        else if (ends)
            serve_end(c, op);
        break;
    case STC_TRY:
        if (c->n_buffered > 0)
            serve_next(c, op);
        else if (ends)
            serve_end(c, op);
        else if (c->is_dry)
            serve_nothing(op);
        break;
    case STC_OPEN:
        if (c->is_open && !c->closed && !c->has_failed)
            serve_nothing(op);
        else if (ends)
            serve_end(c, op);
        break;
    case STC_READY:
        if (c->n_buffered > 0)
            serve_ready(op);
        else if (ends)
            serve_end(c, op);
        break;
    case STC_BATCH:
        if (c->n_buffered > 0)
            serve_batch(c, op);
        else if (ends)
            serve_end(c, op);
        break;
    case STC_LIST:
        if (is_too_large(c, op))
            fail_with(op, STATOR_ERROR_REFUSED,
                      "the list would be larger than maxBytes");
        else if ((c->closed || c->has_failed) && !is_full)
            serve_end(c, op);
        else if (ends || is_full)
            serve_list(c, op);
        break;
    case STC_PREFETCH:
        if (ends || c->n_batches > 1 || op->max > 0)
            serve_nothing(op);
        break;
    case STC_CLOSE:
        if (c->server.connection == NULL)
            serve_nothing(op);
        break;
    }
}

bool stc_serve(struct stc_cursor *c, struct stc_op *op)
{
    if (stc_op_is_settled(op) || serve_refusal(c, op))
        return true;
    serve_what_is_here(c, op);
    return stc_op_is_settled(op);
}
