/* SPDX-License-Identifier: Apache-2.0 */
/* core/strand.c - what a worker does for a cursor: ask its server, keep or
 * give back the connection.
 *
 *   open -- more to come --> keep: a lease, or shared with the worker; or
 *                            borrowed from the lease that it was opened on
 *   more -- the last ------> let go
 *   close -----------------> kill, let go
 *   a change stream's failure ─> lost, to be opened again by the next trip
 *
 * Runs while the cursor is busy, so on one thread at a time (R2). */
#include <stdlib.h>

#include "core/call.h"
#include "core/change_stream.h"
#include "core/client.h"
#include "core/line.h"
#include "core/op.h"
#include "core/serve.h"
#include "core/session.h"
#include "core/verb.h"
#include "core/worker.h"

/* ---- the connection ---------------------------------------------- */

/* More will come: the cursor keeps the worker's connection, and the worker
 * goes on with a spare one.  Without one both share it. */
static void keep(struct stc_worker *w, struct stc_cursor *c)
{
    struct stc_connection *spare = NULL;

    c->server.connection = w->connection;
    if (c->lease != NULL) /* lent, and used by nobody else in our turn */
        c->server.connection = c->lease->connection;
    if (c->lease != NULL || c->in_lane)
        return;
    if (w->n_sharing == 0) /* what others share is not to be lent */
        spare = stc_pool_take_spare(&c->client->pool);
    if (spare != NULL) {
        w->connection = spare;
        return;
    }
    w->n_sharing++;
    atomic_fetch_add(&c->client->sharing, 1);
    c->home = w;
}

static void let_go(struct stc_worker *w, struct stc_cursor *c)
{
    struct stc_connection *connection = c->server.connection;

    stc_server_cursor_end(&c->server);
    if (connection == NULL)
        return;
    c->server.connection = NULL;
    if (c->in_lane)
        return;
    if (c->home != NULL) {
        w->n_sharing--;
        atomic_fetch_sub(&c->client->sharing, 1);
    } else if (c->lease == NULL) {
        stc_pool_give_back(&c->client->pool, connection, true);
        stc_lease_serve_parked(c->client);
    }
    c->home = NULL;
}

/* ---- asking ------------------------------------------------------ */

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

/* An answer that can not be used is an answer. */
static stator_outcome_t outcome_of(const struct stc_cursor *c,
                                   struct stc_connection *connection,
                                   const struct stc_call *call, bool ok)
{
    return !ok && c->server.has_answered
               ? STATOR_ANSWERED
               : stc_outcome(call, ok, &connection->transport);
}

static bool open_or_more(struct stc_worker *w, struct stc_cursor *c,
                         struct stc_op *op,
                         struct stc_connection *connection,
                         struct stf_documents **documents,
                         stator_outcome_t *outcome)
{
    struct stf_result *room = c->failure_room;
    struct stc_views views;
    bool ok;

    if (stc_cursor_is_at_server(c)) {
        if (c->session != NULL && c->session->driver != NULL)
            stc_session_before(c->session);
        views.call = (struct stc_call){.result = room, .n_arguments = 1};
        ok = stc_server_cursor_more(&c->server, connection->client,
                                    c->in_lane ? stc_lane_turn_ms(w, c) : 0,
                                    room, documents);
        *outcome = outcome_of(c, connection, &views.call, ok);
        return ok;
    }
    ok = stc_views_open(&views, connection, c->target, c->bytes,
                        c->n_documents, op->deadline.at, c->session, room);
    views.call.stream = c->stream;
    if (ok)
        ok = stc_server_cursor_open(&c->server, &views.call, c->verb,
                                    documents);
    *outcome = outcome_of(c, connection, &views.call, ok);
    if (!ok)
        stc_note_expiry(&views.call);
    stc_views_close(&views);
    return ok;
}

/* To open the cursor on; NULL: why is in failure_room. */
static struct stc_connection *connection_for(struct stc_worker *w,
                                             struct stc_cursor *c)
{
    bson_error_t *error = &c->failure_room->error;

    if (c->lease == NULL)
        return stc_worker_connection(w, error);
    if (c->lease->connection == NULL)
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_CLOSED,
                       "cursor: its lease has ended");
    return c->lease->connection;
}

/* What one trip to the server brought. */
struct trip {
    bool made; /* false: the request was given up before anything was sent */
    bool ok;
    bool is_turn; /* a getMore, that has waited */
    bool is_lost; /* not ok, and the next one opens it again */
    size_t n;     /* of the documents, to be handed out */
    stator_outcome_t outcome;
    struct stf_documents *documents;
};

/* What the server was at is lost, and so is the place in the results. */
static void after_cut(struct stc_cursor *c, struct stc_connection *connection,
                      stator_outcome_t outcome)
{
    if (outcome == STATOR_NOT_SENT)
        return; /* what the driver says is the cause */
    bson_set_error(&c->failure_room->error, STATOR_ERROR_DOMAIN,
                   STATOR_ERROR_CANCELLED,
                   "cursor: an earlier request was given up while the server "
                   "was at work on it");
    if (stc_close_is_quick(c->client))
        return;
    if (c->session == NULL) /* a user's has more than this in it */
        stc_pool_stop_server(&c->client->pool, connection);
    c->server.is_orphan = c->server.id != 0;
}

/* By the server, or with the network; what was cut is not to go on. */
static bool resumes(struct stc_cursor *c, bool was_cut)
{
    return c->stream != NULL && !was_cut && stc_cursor_is_at_server(c) &&
           !atomic_load(&c->client->closing) &&
           stc_change_stream_may_resume(&c->server, c->failure_room);
}

/* Did the server say so itself?  Then it is there, and may be told. */
static bool was_answered(const struct stc_cursor *c)
{
    const struct stf_result *room = c->failure_room;

    return room->has_reply && !bson_empty(&room->reply);
}

/* It is no failure of the cursor's. */
static void forget_failure(struct stc_cursor *c)
{
    stf_result_free(c->failure_room); /* the next trip makes another */
    c->failure_room = NULL;
}

/* K3: another's request ends it.  Nothing cuts it, so it is short whatever
 * the user's turn is. */
static void rest(struct stc_worker *w)
{
    enum { REST_MS = 200 };
    uint32_t word = atomic_load(&w->word);

    stf_futex_wait(&w->word, word,
                   stf_deadline_after_ms(REST_MS));
}

/* Its session stays, as with the driver. */
static void lose_place(struct stc_worker *w, struct stc_cursor *c)
{
    enum { AT_ONCE = 3 };

    if (++c->stream->n_in_a_row > AT_ONCE)
        rest(w);
    stc_server_cursor_lose(&c->server, c->server.connection->client,
                           was_answered(c));
    c->stream->is_resumed = true;
    atomic_fetch_add(&c->client->lane.resumes, 1);
    forget_failure(c);
}

/* In the lane the time of a request is that one's alone, also if the server
 * says so of the command that opens: the next request sends it anew. */
static bool has_run_out(const struct stc_cursor *c, const struct trip *t)
{
    const bson_error_t *error = &c->failure_room->error;

    return c->in_lane && !t->ok && !t->is_turn &&
           error->domain == STATOR_ERROR_DOMAIN &&
           error->code == STATOR_ERROR_EXPIRED;
}

/* Documents have come.  False: some of them can not be handed out. */
static bool receive(struct stc_cursor *c, struct trip *t)
{
    t->n = t->documents->n;
    if (c->stream != NULL)
        t->n = stc_change_stream_receive(c->stream, &c->server, t->documents,
                                         &c->failure_room->error);
    return t->n == t->documents->n;
}

/* Nothing more is to be had of the server. */
static void leave_server(struct stc_worker *w, struct stc_cursor *c,
                         struct stc_connection *connection)
{
    if (c->server.is_orphan && !stc_close_is_quick(c->client))
        stc_server_cursor_kill(&c->server, connection->client);
    let_go(w, c);
}

static struct trip travel(struct stc_worker *w, struct stc_cursor *c,
                          struct stc_op *op)
{
    struct stc_stats *stats = &c->client->stats;
    struct stc_connection *connection = c->server.connection;
    struct trip t = {.made = true, .outcome = STATOR_NOT_SENT};
    int64_t taken = stf_now_ns(), sent;
    bool was_cut;

    if (connection == NULL)
        connection = connection_for(w, c);
    if (connection == NULL)
        return t;
    sent = stf_now_ns();
    stc_histogram_add(&stats->checkout, sent - taken);
    if (op->deadline.at <= sent) /* the keeper is only slower */
        stc_op_give_up(op, STC_BY_DEADLINE);
    stc_transport_begin(&connection->transport, op);
    stf_enter_phase(stc_op_future(op), STATOR_PHASE_SENT);
    if (stc_op_is_settled(op)) {
        stc_transport_end(&connection->transport, op);
        stf_enter_phase(stc_op_future(op), STATOR_PHASE_CHECKOUT);
        t.made = false;
        return t;
    }
    t.is_turn = c->in_lane && stc_cursor_is_at_server(c);
    t.ok = open_or_more(w, c, op, connection, &t.documents, &t.outcome);
    if (!t.ok)
        stc_pool_explain(&c->client->pool, connection,
                         &c->failure_room->error);
    was_cut = stc_transport_end(&connection->transport, op);
    if (c->session != NULL)
        stc_session_after(c->session);
    stc_histogram_add(&stats->sent, stf_now_ns() - sent);
    if (was_cut && !t.ok)
        after_cut(c, connection, t.outcome);
    t.is_lost = !t.ok && resumes(c, was_cut);
    if (t.ok && t.is_turn && c->stream != NULL)
        c->stream->n_in_a_row = 0;
    if (t.ok)
        t.ok = receive(c, &t);
    if (!t.ok && c->in_lane && c->server.id != 0 &&
        (was_cut || t.documents != NULL || was_answered(c)))
        c->server.is_orphan = true; /* it is not to stay there */
    if (t.is_lost) {
        lose_place(w, c);
    } else if (t.ok && c->server.id != 0) {
        c->server.is_lost = false;
        if (c->server.connection == NULL)
            keep(w, c);
    } else {
        leave_server(w, c, connection);
        if (has_run_out(c, &t)) {
            forget_failure(c);
            stc_op_give_up(op, STC_BY_DEADLINE);
            t.made = false;
        }
    }
    return t;
}

/* Under lock.  Where a change stream is at the end of what came. */
static void note_end(struct stc_cursor *c, const struct trip *t,
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
static void keep_documents(struct stc_cursor *c, const struct trip *t,
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
static void bring_home(struct stc_cursor *c, const struct trip *t,
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
    struct trip t;

    if (batch == NULL) {
        stf_settle_code(stc_op_future(op), STATOR_FUTURE_FAILED,
                        STATOR_ERROR_MEMORY, "no memory for a batch",
                        STATOR_NOT_SENT);
        t = (struct trip){.made = false};
    } else {
        t = travel(w, c, op);
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

    if (c->server.connection != NULL && !stc_close_is_quick(c->client))
        stc_server_cursor_kill(&c->server, c->server.connection->client);
    let_go(w, c);
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
