/* SPDX-License-Identifier: Apache-2.0 */
/* wire_connection.c - one client: its bytes, and the command it is at.
 *
 *   recv -> in -> arrive -> [HELD] -> [DELAYED] -> perform -> out -> send
 *                  |          gate      timer        |
 *                  counts, log, rule                 the next command
 *
 * C1  One command at a time, in order: nothing behind it is looked at before
 *     it is done with.  Its bytes stay in `in` until then.
 * C2  Bytes are read also while a command waits, so that a client that goes
 *     away is seen at once.
 * C3  Every call may end the connection; it is then DEAD, closed and on no
 *     list but the server's `dead`, and is freed after the loop's turn. */
#include "tests/wire/wire_connection.h"
#include "tests/wire/wire_feed.h"
#include "tests/wire/wire_server.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_SIZE = 16 * 1024,
    BUFFERED_MAX = WIRE_MESSAGE_MAX + READ_SIZE, /* while a command waits */
};

static bool is_dead(const wire_connection_t *connection)
{
    return connection->state == CONNECTION_DEAD;
}

wire_connection_t *wire_connection_new(wire_server_t *server, int fd)
{
    wire_connection_t *connection = bson_malloc0(sizeof *connection);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

    connection->server = server;
    connection->fd = fd;
    connection->events = EPOLLIN;
    if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        close(fd);
        bson_free(connection);
        return NULL;
    }
    connection->id = ++server->stats.connections_total;
    server->stats.connections_open++;
    TAILQ_INSERT_TAIL(&server->connections, connection, link);
    return connection;
}

void wire_connection_free(wire_connection_t *connection)
{
    wire_buffer_clear(&connection->in);
    wire_buffer_clear(&connection->out);
    bson_free(connection);
}

/* Unread bytes would turn close's FIN into a reset. */
static void discard_input(wire_connection_t *connection)
{
    char rest[READ_SIZE];

    for (int i = 0; i < 4096; i++) {
        if (recv(connection->fd, rest, sizeof rest, MSG_DONTWAIT) <= 0)
            break;
    }
}

void wire_connection_end(wire_connection_t *connection, wire_end_t how)
{
    wire_server_t *server = connection->server;
    struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (is_dead(connection))
        return;
    if (connection->state == CONNECTION_HELD)
        wire_gate_leave(connection);
    else if (connection->state == CONNECTION_RELEASED)
        TAILQ_REMOVE(&server->released, connection, queue);
    wire_timers_remove(&server->timers, &connection->timer);
    wire_line_unref(connection->line);
    connection->line = NULL;

    if (how == WIRE_RST)
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset,
                   sizeof reset);
    else
        discard_input(connection);
    /* A child that a test has forked holds a copy, so closing alone would
     * leave it in the set. */
    epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
    close(connection->fd);
    connection->state = CONNECTION_DEAD;
    server->stats.connections_open--;
    server->stats.clients_open -= connection->client;
    TAILQ_REMOVE(&server->connections, connection, link);
    TAILQ_INSERT_TAIL(&server->dead, connection, link);
}

static size_t buffered(const wire_connection_t *connection)
{
    return connection->in.size - connection->taken;
}

static size_t unsent(const wire_connection_t *connection)
{
    return connection->out.size - connection->sent;
}

/* Tell epoll what there is to wait for. */
static void watch(wire_connection_t *connection)
{
    struct epoll_event event = {.data.ptr = connection};

    if (is_dead(connection))
        return;
    if (buffered(connection) < BUFFERED_MAX)
        event.events |= EPOLLIN;
    if (unsent(connection) > 0 && connection->state != CONNECTION_DRIPPING)
        event.events |= EPOLLOUT;
    if (event.events == connection->events)
        return;
    connection->events = event.events;
    epoll_ctl(connection->server->epoll_fd, EPOLL_CTL_MOD, connection->fd,
              &event);
}

/* ---------------------------------------------------------------- sending */

static void delay(wire_connection_t *connection, wire_connection_state_t state,
                  int64_t us)
{
    connection->state = state;
    wire_timers_add(&connection->server->timers, &connection->timer, us);
}

/* Send at most `limit` bytes of what is to be sent. */
static void flush(wire_connection_t *connection, size_t limit)
{
    wire_server_t *server = connection->server;
    size_t left = unsent(connection);
    ssize_t n;

    if (left == 0)
        return;
    do
        n = send(connection->fd, connection->out.data + connection->sent,
                 left < limit ? left : limit, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno != EAGAIN)
            wire_connection_end(connection, WIRE_FIN);
        return;
    }
    connection->sent += (size_t)n;
    server->stats.bytes_out += n;
    if (unsent(connection) > 0)
        return;
    wire_buffer_reset(&connection->out);
    connection->sent = 0;
    server->stats.replies += connection->replies;
    connection->replies = 0;
}

/* The command is done with: forget its bytes, be ready for the next. */
static void finish(wire_connection_t *connection)
{
    wire_end_t how = WIRE_FIN;
    bool hang_up = false;

    if (connection->line != NULL) {
        const wire_rule_t *rule = &connection->line->rule;

        hang_up = rule->hang_up || rule->action == WIRE_CUT;
        how = rule->end;
    }
    if (hang_up && unsent(connection) > 0) {
        connection->state = CONNECTION_ENDING;
        return;
    }
    if (hang_up) {
        wire_connection_end(connection, how);
        return;
    }
    wire_line_unref(connection->line);
    connection->line = NULL;
    connection->taken += connection->length;
    if (connection->taken == connection->in.size) {
        wire_buffer_reset(&connection->in);
        connection->taken = 0;
    }
    connection->state = CONNECTION_READY;
}

/* One byte goes out now, the next ones later. */
static void drip(wire_connection_t *connection)
{
    flush(connection, 1);
    if (is_dead(connection))
        return;
    if (unsent(connection) > 0)
        delay(connection, CONNECTION_DRIPPING,
              connection->line->rule.drip_ms * 1000);
    else
        finish(connection);
}

/* -------------------------------------------------------------- answering */

/* Rules other than the plainest make their bytes apart: what a rewrite sees
 * must be one reply, also when older bytes still wait to be sent. */
static void answer(wire_connection_t *connection, wire_request_t *request)
{
    wire_server_t *server = connection->server;
    wire_line_t *line = connection->line;
    wire_buffer_t *out = &connection->out;

    if (line != NULL && line->rule.action == WIRE_RAW) {
        wire_buffer_append(out, line->rule.raw, line->rule.raw_size);
    } else if (out->size == 0) {
        wire_reply_make(request, line, out);
    } else {
        wire_reply_make(request, line, &server->scratch);
        wire_buffer_append(out, server->scratch.data, server->scratch.size);
        wire_buffer_reset(&server->scratch);
    }
    connection->replies++;
}

/* An answer to a hello that asked for news: the next one comes unasked, when
 * there are some. */
static void stream(wire_connection_t *connection, wire_request_t *request)
{
    enum { MORE_TO_COME = 2 };
    size_t at = connection->out.size;
    int64_t us;

    answer(connection, request);
    wire_buffer_set_int32(&connection->out, at + WIRE_HEADER_SIZE,
                          MORE_TO_COME);
    if (connection->streamed != 0) /* for the one before it, as mongod does */
        wire_buffer_set_int32(&connection->out, at + 8, connection->streamed);
    connection->streamed = wire_buffer_get_int32(&connection->out, at + 4);
    flush(connection, SIZE_MAX);
    if (is_dead(connection))
        return;
    connection->known = connection->server->member_version;
    us = wire_member_patience(request, connection->known);
    connection->awaits_news = true;
    delay(connection, CONNECTION_DELAYED, us > 0 ? us : 1);
}

void wire_connection_news(wire_connection_t *connection)
{
    if (connection->state != CONNECTION_DELAYED || !connection->awaits_news)
        return;
    connection->awaits_news = false;
    wire_timers_remove(&connection->server->timers, &connection->timer);
    connection->state = CONNECTION_RELEASED;
    TAILQ_INSERT_TAIL(&connection->server->released, connection, queue);
}

/* Everything that had to happen first has happened. */
static void perform(wire_connection_t *connection, wire_request_t *request)
{
    const wire_rule_t *rule = connection->line ? &connection->line->rule : NULL;
    bson_t unwanted = BSON_INITIALIZER;

    connection->state = CONNECTION_READY;
    if (rule != NULL && rule->action == WIRE_CLOSE) {
        wire_connection_end(connection, rule->end);
        return;
    }
    if (rule != NULL && rule->action == WIRE_SILENCE) {
        connection->state = CONNECTION_SILENT;
        return;
    }
    if (request->message.more_to_come) {
        wire_reply_document(request, connection->line, &unwanted);
        bson_destroy(&unwanted);
        finish(connection);
        return;
    }
    if (rule == NULL && connection->known >= 0 &&
        request->message.may_stream && connection->server->member.awaitable) {
        stream(connection, request);
        return;
    }
    answer(connection, request);
    if (rule != NULL && rule->drip_ms > 0) {
        drip(connection);
        return;
    }
    flush(connection, SIZE_MAX);
    if (!is_dead(connection))
        finish(connection);
}

/* ------------------------------------------------------------- the command */

static void proceed(wire_connection_t *connection, wire_request_t *request)
{
    wire_server_t *server = connection->server;
    int64_t us = connection->line ? connection->line->rule.delay_ms * 1000 : 0;
    int64_t awaits_us = wire_feed_wait_us(request);

    connection->awaits_events = awaits_us > 0;
    us += awaits_us;
    if (server->delay_us > 0 && !request->hello) {
        us += server->delay_us;
        if (server->jitter_us > 0)
            us += (int64_t)(wire_server_random(server) %
                            (uint64_t)(2 * server->jitter_us + 1)) -
                  server->jitter_us;
    }
    if (us == 0) {
        us = wire_member_patience(request, connection->known);
        connection->awaits_news = us > 0;
    }
    if (us > 0)
        delay(connection, CONNECTION_DELAYED, us);
    else
        perform(connection, request);
}

static void count(wire_connection_t *connection, const wire_request_t *request)
{
    wire_server_t *server = connection->server;
    wire_stats_t *stats = &server->stats;

    wire_log_count(&server->log, request->name);
    stats->unacknowledged += request->message.more_to_come;
    if (request->hello) {
        stats->hellos++;
        return;
    }
    stats->commands++;
    if (!connection->client) {
        connection->client = true;
        stats->clients_open++;
        stats->clients_total++;
    }
    if (request->lsid != NULL &&
        memcmp(request->lsid, connection->last_lsid, 16) != 0) {
        memcpy(connection->last_lsid, request->lsid, 16);
        stats->sessions += wire_log_session(&server->log, request->lsid);
    }
}

static void remember(const wire_request_t *request)
{
    wire_server_t *server = request->connection->server;
    wire_command_t command;

    if (server->no_log || (request->hello && !server->log_hello))
        return;
    wire_request_describe(request, &command);
    wire_log_append(&server->log, &command);
    wire_command_clear(&command);
}

static void arrive(wire_connection_t *connection)
{
    wire_server_t *server = connection->server;
    wire_request_t request;
    wire_line_t *line;

    if (!wire_request_parse(connection, connection->in.data + connection->taken,
                            connection->length, &request)) {
        server->stats.protocol_errors++;
        wire_connection_end(connection, WIRE_FIN);
        return;
    }
    count(connection, &request);
    remember(&request);
    connection->streamed = 0;
    connection->known = request.hello ? wire_member_known(&request) : -1;
    line = wire_script_pick(&server->script, &request);
    connection->line = line;
    if (line != NULL && line->rule.gate != NULL &&
        !wire_gate_enter(line->rule.gate, connection))
        return;
    proceed(connection, &request);
}

/* The command that the connection is at, once more. */
static void reparse(wire_connection_t *connection, wire_request_t *out)
{
    /* It was parsed before, so it can be. */
    (void)wire_request_parse(connection,
                             connection->in.data + connection->taken,
                             connection->length, out);
}

/* Is a whole message there?  Notes its length. */
static bool complete(wire_connection_t *connection)
{
    size_t have = buffered(connection);

    if (have < WIRE_HEADER_SIZE)
        return false;
    connection->length = wire_message_length(connection->in.data +
                                             connection->taken);
    if (connection->length == 0) {
        connection->server->stats.protocol_errors++;
        wire_connection_end(connection, WIRE_FIN);
        return false;
    }
    return have >= connection->length;
}

/* Work on what is there until something makes the connection wait. */
static void work(wire_connection_t *connection)
{
    while (connection->state == CONNECTION_READY && complete(connection))
        arrive(connection);
    watch(connection);
}

void wire_connection_released(wire_connection_t *connection)
{
    wire_request_t request;

    reparse(connection, &request);
    proceed(connection, &request);
    work(connection);
}

void wire_connection_timer(wire_connection_t *connection)
{
    wire_request_t request;

    if (connection->state == CONNECTION_DRIPPING) {
        drip(connection);
    } else {
        connection->awaits_events = connection->awaits_news = false;
        reparse(connection, &request);
        perform(connection, &request);
    }
    work(connection);
}

/* ----------------------------------------------------------------- reading */

/* Room for the rest of the message that has begun, or for a small one. */
static void make_room(wire_connection_t *connection)
{
    wire_buffer_t *in = &connection->in;
    size_t want = READ_SIZE;
    size_t have = buffered(connection);

    if (connection->state == CONNECTION_READY && have >= WIRE_HEADER_SIZE)
        want = connection->length - have;
    if (in->room - in->size >= want)
        return;
    if (connection->taken > 0) {
        wire_buffer_consume(in, connection->taken);
        connection->taken = 0;
    }
    wire_buffer_reserve(in, want);
}

static void receive(wire_connection_t *connection)
{
    wire_buffer_t *in = &connection->in;
    ssize_t n;

    make_room(connection);
    do
        n = recv(connection->fd, in->data + in->size, in->room - in->size,
                 MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        wire_connection_end(connection, WIRE_FIN);
        return;
    }
    connection->server->stats.bytes_in += n;
    in->size += (size_t)n;
    work(connection);
}

void wire_connection_ready(wire_connection_t *connection, uint32_t events)
{
    if (is_dead(connection))
        return;
    if ((events & EPOLLOUT) && connection->state != CONNECTION_DRIPPING) {
        flush(connection, SIZE_MAX);
        if (connection->state == CONNECTION_ENDING &&
            unsent(connection) == 0)
            finish(connection);
        watch(connection);
    }
    if (is_dead(connection))
        return;
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        receive(connection);
}
