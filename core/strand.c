/* SPDX-License-Identifier: Apache-2.0 */
/* core/strand.c - what a worker does for a cursor: what it wants of its server
 * is fetched by a trip (trip.h), and put where its requests are served from.
 *
 * Runs while the cursor is busy, so on one thread at a time (R2). */
#include <stdlib.h>

#include "core/call.h"
#include "core/change_stream.h"
#include "core/client.h"
#include "core/line.h"
#include "core/op.h"
#include "core/serve.h"
#include "core/trip.h"
#include "core/verb.h"

/* All that is needed once the driver has been called. */
static struct stc_batch *make_room(struct stc_cursor *c)
{
    struct stc_batch *batch = calloc(1, sizeof *batch);

    if (c->failure == NULL)
        c->failure = stf_future_new_plain(c->verb->name);
    if (c->failure_room == NULL)
        c->failure_room = stf_result_new();
    if (c->closer == NULL) {
        c->closer = stc_cursor_request(c, STC_CLOSE);
        if (c->closer != NULL)
            c->closer->internal = true;
    }
    if (batch != NULL && c->failure != NULL && c->failure_room != NULL &&
        c->closer != NULL)
        return batch;
    free(batch);
    return NULL;
}

/* Under lock.  Where a change stream is at the end of what came. */
static void note_end(struct stc_cursor *c, const struct stc_trip *t,
                     struct stc_batch *batch)
{
    bson_t end;

    if (c->stream == NULL || !t->ok ||
        !stc_change_stream_end_of(t->documents, &end))
        return;
    if (t->n == 0 && c->n_buffered == 0) {
        stc_change_stream_skip(c->stream, &end);
    } else if (t->n > 0) {
        batch->token = bson_get_data(&end); /* which lies in its reply */
    }
}

/* Under lock. */
static void keep_documents(struct stc_cursor *c, const struct stc_trip *t,
                           struct stc_batch *batch)
{
    note_end(c, t, batch);
    batch->slice =
        (struct stf_slice){.documents = t->documents, .n = t->n};
    if (t->n > 0 && !c->closed) {
        stc_buffer_add(c, batch);
        return;
    }
    stf_documents_unref(t->documents);
    free(batch);
}

/* Under lock. */
static void bring_home(struct stc_cursor *c, const struct stc_trip *t,
                       struct stc_batch *batch)
{
    if (t->documents != NULL)
        keep_documents(c, t, batch);
    else
        free(batch);
    if (!t->made || t->is_lost)
        return;
    if (!t->ok) {
        c->failure_room->has_error = true;
        stf_enter_phase(c->failure, stc_phase(t->outcome));
        /* Nobody can be attached to it yet, so nobody is called. */
        stf_settle(c->failure, STATOR_FUTURE_FAILED, c->failure_room,
                   t->outcome);
        c->failure_room = NULL;
        c->ended = c->has_failed = true;
    } else {
        c->is_open = true;
        c->ended = c->server.connection == NULL;
        /* As the driver's cursor does: the end, for now. */
        c->is_dry = t->n == 0 &&
                    (c->in_lane ? t->is_turn : c->server.tailable);
    }
}

static void fetch(struct stc_worker *w, struct stc_cursor *c,
                  struct stc_op *op)
{
    struct stc_batch *batch = make_room(c);
    struct stc_finish out;
    struct stc_trip t;

    if (batch == NULL) {
        stf_settle_code(stc_op_future(op), STATOR_FUTURE_FAILED,
                        STATOR_ERROR_MEMORY, "no memory for a batch",
                        STATOR_NOT_SENT);
        t = (struct stc_trip){.made = false};
    } else {
        t = stc_trip_make(w, c, op);
    }
    pthread_mutex_lock(&c->lock);
    bring_home(c, &t, batch);
    if (op->want == STC_PREFETCH)
        op->max = 1; /* it has had its trip */
    c->busy = false;
    stc_line_advance(c, &out);
    c->is_dry = false;
    pthread_mutex_unlock(&c->lock);
    stc_line_finish(c, &out);
}

static void close_server(struct stc_worker *w, struct stc_cursor *c)
{
    struct stc_finish out;

    stc_trip_end(w, c);
    pthread_mutex_lock(&c->lock);
    c->ended = true;
    c->busy = false;
    stc_line_advance(c, &out);
    pthread_mutex_unlock(&c->lock);
    stc_line_finish(c, &out);
}

void stc_cursor_run(struct stc_worker *w, struct stc_op *op)
{
    struct stc_cursor *c = op->cursor;

    stc_histogram_add(&c->client->stats.queued,
                      stf_now_ns() - op->queued_at);
    pthread_mutex_lock(&c->lock);
    op->has_place = false; /* the queue has discharged it */
    pthread_mutex_unlock(&c->lock);
    stf_enter_phase(stc_op_future(op), STATOR_PHASE_CHECKOUT);
    if (op->want == STC_CLOSE)
        close_server(w, c);
    else
        fetch(w, c, op);
}
