/* SPDX-License-Identifier: Apache-2.0 */
/* core/strand.c - what a worker does for a cursor: ask its server, keep or
 * give back the connection.
 *
 *   open -- more to come --> keep: a lease, or shared with the worker; or
 *                            borrowed from the lease that it was opened on
 *   more -- the last ------> let go
 *   close -----------------> kill, let go
 *
 * Runs while the cursor is busy, so on one thread at a time (R2). */
#include <stdlib.h>

#include "core/call.h"
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
    if (c->lease != NULL) { /* lent, and used by nobody else in our turn */
        c->server.connection = c->lease->connection;
        return;
    }
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
    if (c->home != NULL) {
        w->n_sharing--;
        atomic_fetch_sub(&c->client->sharing, 1);
    } else if (c->lease == NULL) {
        stc_pool_give_back(&c->client->pool, connection, true);
        stc_lease_serve_parked(c->client);
    }
    c->server.connection = NULL;
    c->home = NULL;
}

/* ---- asking ------------------------------------------------------ */

/* All that is needed once the driver has been called. */
static struct stc_batch *make_room(struct stc_cursor *c)
{
    struct stc_batch *batch = malloc(sizeof *batch);

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

static bool open_or_more(struct stc_cursor *c, struct stc_op *op,
                         struct stc_connection *connection,
                         struct stf_documents **documents,
                         stator_outcome_t *outcome)
{
    struct stf_result *room = c->failure_room;
    struct stc_views views;
    bool ok;

    if (c->server.connection != NULL) {
        if (c->session != NULL && c->session->driver != NULL)
            stc_session_before(c->session);
        views.call = (struct stc_call){.result = room, .n_arguments = 1};
        ok = stc_server_cursor_more(&c->server, connection->client, room,
                                    documents);
        *outcome = outcome_of(c, connection, &views.call, ok);
        return ok;
    }
    ok = stc_views_open(&views, connection, c->target, c->bytes,
                        c->n_documents, op->deadline.at, c->session, room);
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
    t.ok = open_or_more(c, op, connection, &t.documents, &t.outcome);
    if (!t.ok)
        stc_pool_explain(&c->client->pool, connection,
                         &c->failure_room->error);
    was_cut = stc_transport_end(&connection->transport, op);
    if (c->session != NULL)
        stc_session_after(c->session);
    stc_histogram_add(&stats->sent, stf_now_ns() - sent);
    if (was_cut && !t.ok)
        after_cut(c, connection, t.outcome);
    if (t.ok && c->server.id != 0) {
        if (c->server.connection == NULL)
            keep(w, c);
    } else {
        if (c->server.is_orphan)
            stc_server_cursor_kill(&c->server, connection->client);
        let_go(w, c);
    }
    return t;
}

/* Under lock. */
static void bring_home(struct stc_cursor *c, const struct trip *t,
                       struct stc_batch *batch)
{
    if (!t->made) {
        free(batch);
    } else if (!t->ok) {
        free(batch);
        c->failure_room->has_error = true;
        stf_enter_phase(c->failure, stc_phase(t->outcome));
        /* Nobody can be attached to it yet, so nobody is called. */
        stf_settle(c->failure, STATOR_FUTURE_FAILED, c->failure_room,
                   t->outcome);
        c->failure_room = NULL;
        c->ended = c->has_failed = true;
    } else {
        c->ended = c->server.connection == NULL;
        /* As the driver's cursor does: the end, for now. */
        c->is_dry = c->server.tailable && t->documents->n == 0;
        batch->slice = (struct stf_slice){.documents = t->documents,
                                          .n = t->documents->n};
        if (t->documents->n > 0 && !c->closed) {
            stc_buffer_add(c, batch);
        } else {
            stf_documents_unref(t->documents);
            free(batch);
        }
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
