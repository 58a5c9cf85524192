/* SPDX-License-Identifier: Apache-2.0 */
/* core/trip.c - one trip of a cursor's to its server.  The picture is in
 * trip.h. */
#include "core/trip.h"

#include "core/call.h"
#include "core/change_stream.h"
#include "core/client.h"
#include "core/lease.h"
#include "core/op.h"
#include "core/session.h"
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

/* ---- after a failure --------------------------------------------- */

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
static bool has_run_out(const struct stc_cursor *c, const struct stc_trip *t)
{
    const bson_error_t *error = &c->failure_room->error;

    return c->in_lane && !t->ok && !t->is_turn &&
           error->domain == STATOR_ERROR_DOMAIN &&
           error->code == STATOR_ERROR_EXPIRED;
}

/* ---- there and back ---------------------------------------------- */

/* Documents have come.  False: some of them can not be handed out. */
static bool receive(struct stc_cursor *c, struct stc_trip *t)
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

struct stc_trip stc_trip_make(struct stc_worker *w, struct stc_cursor *c,
                              struct stc_op *op)
{
    struct stc_stats *stats = &c->client->stats;
    struct stc_connection *connection = c->server.connection;
    struct stc_trip t = {.made = true, .outcome = STATOR_NOT_SENT};
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

void stc_trip_end(struct stc_worker *w, struct stc_cursor *c)
{
    if (c->server.connection != NULL && !stc_close_is_quick(c->client))
        stc_server_cursor_kill(&c->server, c->server.connection->client);
    let_go(w, c);
}
