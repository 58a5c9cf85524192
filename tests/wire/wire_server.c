/* SPDX-License-Identifier: Apache-2.0 */
/* wire_server.c - the thread, its loop, and the life of the server.
 *
 *   test threads --- lock ---> state <--- lock --- the loop's thread
 *                  wake_fd -> epoll <- sockets, timers
 *
 * S1  All state that changes is behind `lock`; the loop gives it back only
 *     while it sleeps in epoll_wait (or, paused, on `resumed`).
 * S2  A connection may be closed by any thread, but is freed only by the loop
 *     and only after a turn: the events that it has in hand point to them.
 * S3  After each turn those who wait look again. */
#include "tests/wire/wire_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, BACKLOG = 1024, WAIT_MS = 60000, WIRE_VERSION = 17 };

/* xorshift64*: spread, not secrecy. */
uint64_t wire_server_random(wire_server_t *server)
{
    uint64_t x = server->random;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    server->random = x;
    return x * 0x2545f4914f6cdd1dULL;
}

/* ----------------------------------------------------------------- waiting */

void wire_server_unlock_changed(wire_server_t *server)
{
    const uint64_t one = 1;

    if (server->waiters > 0) /* paused, the loop takes no turns */
        pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    while (write(server->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

int64_t wire_patience_ms(int64_t timeout_ms)
{
    const char *text = getenv("CK_TIMEOUT_MULTIPLIER");
    double factor = text ? strtod(text, NULL) : 1;

    if (timeout_ms >= 0)
        return timeout_ms;
    return (int64_t)(WAIT_MS * (factor >= 1 && factor < 1000 ? factor : 1));
}

bool wire_server_wait(wire_server_t *server, bool (*until)(void *), void *arg,
                      int64_t timeout_ms)
{
    int64_t end_us = wire_now_us() + wire_patience_ms(timeout_ms) * 1000;
    struct timespec end = {.tv_sec = end_us / 1000000,
                           .tv_nsec = end_us % 1000000 * 1000};
    int error = 0;
    bool met;

    server->waiters++;
    while (!(met = until(arg)) && error == 0)
        error = pthread_cond_timedwait(&server->changed, &server->lock, &end);
    server->waiters--;
    return met;
}

/* -------------------------------------------------------------- the socket */

static bool add_to_epoll(wire_server_t *server, int fd, void *tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};

    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

void wire_server_listen(wire_server_t *server, bool listening)
{
    if (server->listen_fd < 0 || server->listening == listening)
        return;
    server->listening = listening;
    if (listening)
        (void)add_to_epoll(server, server->listen_fd, &server->listen_fd);
    else
        epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, server->listen_fd, NULL);
}

int wire_server_open_socket(uint16_t *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(*port),
    };
    socklen_t size = sizeof address;
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&address, size) < 0 ||
        listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static void accept_all(wire_server_t *server)
{
    const int on = 1;

    for (int i = 0; i < EVENTS; i++) {
        int fd = accept4(server->listen_fd, NULL, NULL,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) {
            /* Out of descriptors: wait until a connection has gone. */
            if (errno == EMFILE || errno == ENFILE)
                wire_server_listen(server, false);
            return;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        wire_connection_new(server, fd);
    }
}

/* ---------------------------------------------------------------- the loop */

static void drain_wake(wire_server_t *server)
{
    uint64_t n;

    while (read(server->wake_fd, &n, sizeof n) < 0 && errno == EINTR)
        continue;
}

static void run_timers(wire_server_t *server)
{
    wire_timer_t *timer;

    while ((timer = wire_timers_due(&server->timers)) != NULL)
        wire_connection_timer((wire_connection_t *)((char *)timer -
                              offsetof(wire_connection_t, timer)));
}

static void run_released(wire_server_t *server)
{
    wire_connection_t *connection;

    while ((connection = TAILQ_FIRST(&server->released)) != NULL) {
        TAILQ_REMOVE(&server->released, connection, queue);
        connection->state = CONNECTION_READY;
        wire_connection_released(connection);
    }
}

static void handle(wire_server_t *server, const struct epoll_event *event)
{
    void *tag = event->data.ptr;

    if (tag == &server->wake_fd)
        drain_wake(server);
    else if (tag == &server->timers)
        run_timers(server);
    else if (tag != &server->listen_fd)
        wire_connection_ready(tag, event->events);
    else if (server->listening)
        accept_all(server);
}

static void bury(wire_server_t *server)
{
    wire_connection_t *connection;

    if (TAILQ_EMPTY(&server->dead))
        return;
    while ((connection = TAILQ_FIRST(&server->dead)) != NULL) {
        TAILQ_REMOVE(&server->dead, connection, link);
        wire_connection_free(connection);
    }
    wire_server_listen(server, server->accepting);
}

static void *loop(void *arg)
{
    wire_server_t *server = arg;
    struct epoll_event events[EVENTS];

    pthread_mutex_lock(&server->lock);
    while (!server->stop) {
        int n;

        pthread_mutex_unlock(&server->lock);
        n = epoll_wait(server->epoll_fd, events, EVENTS, -1);
        pthread_mutex_lock(&server->lock);
        while (server->paused && !server->stop) {
            pthread_cond_wait(&server->resumed, &server->lock);
            n = 0; /* what is still so, epoll will tell again */
        }
        if (server->stop)
            break;
        for (int i = 0; i < n; i++)
            handle(server, &events[i]);
        run_released(server);
        bury(server);
        if (server->waiters > 0)
            pthread_cond_broadcast(&server->changed);
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* --------------------------------------------------------------------- life */

void wire_server_end_all(wire_server_t *server, wire_end_t how)
{
    while (!TAILQ_EMPTY(&server->connections))
        wire_connection_end(TAILQ_FIRST(&server->connections), how);
}

/* The thread has ended, or was never there. */
static void destroy(wire_server_t *server)
{
    wire_gate_t *gate;

    wire_server_end_all(server, WIRE_FIN);
    bury(server);
    while ((gate = TAILQ_FIRST(&server->gates)) != NULL) {
        TAILQ_REMOVE(&server->gates, gate, link);
        bson_free(gate);
    }
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    if (server->wake_fd >= 0)
        close(server->wake_fd);
    if (server->epoll_fd >= 0)
        close(server->epoll_fd);
    wire_timers_clear(&server->timers);
    wire_script_free(&server->script);
    wire_collections_free(&server->collections);
    wire_cursors_clear(&server->cursors);
    wire_log_free(&server->log);
    wire_member_clear(&server->member);
    wire_buffer_clear(&server->scratch);
    pthread_cond_destroy(&server->changed);
    pthread_cond_destroy(&server->resumed);
    pthread_mutex_destroy(&server->lock);
    bson_free(server);
}

static wire_server_t *allocate(const wire_options_t *options)
{
    wire_server_t *server = bson_malloc0(sizeof *server);
    pthread_condattr_t clock;

    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &clock);
    pthread_cond_init(&server->resumed, &clock);
    pthread_condattr_destroy(&clock);
    TAILQ_INIT(&server->gates);
    TAILQ_INIT(&server->connections);
    TAILQ_INIT(&server->dead);
    TAILQ_INIT(&server->released);
    wire_script_init(&server->script);
    wire_log_init(&server->log, options->log_limit);
    wire_member_copy(&server->member, &options->member);
    server->port = options->port;
    server->max_wire_version = options->max_wire_version
                                   ? options->max_wire_version
                                   : WIRE_VERSION;
    server->delay_us = options->delay_us;
    server->jitter_us = options->jitter_us < options->delay_us
                            ? options->jitter_us
                            : options->delay_us;
    server->no_log = options->no_log;
    server->log_hello = options->log_hello;
    server->collections.documents = options->documents;
    server->random = (uint64_t)wire_now_us() | 1;
    server->accepting = true;
    server->listen_fd = server->wake_fd = server->epoll_fd = -1;
    return server;
}

static bool open_all(wire_server_t *server)
{
    if (wire_timers_init(&server->timers) < 0)
        return false;
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->epoll_fd < 0 || server->wake_fd < 0)
        return false;
    server->listen_fd = wire_server_open_socket(&server->port);
    if (server->listen_fd < 0)
        return false;
    wire_server_listen(server, true);
    return add_to_epoll(server, server->wake_fd, &server->wake_fd) &&
           add_to_epoll(server, server->timers.fd, &server->timers);
}

/* Signals are the business of the program's own threads. */
static int start_thread(wire_server_t *server)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&server->thread, NULL, loop, server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

wire_server_t *wire_server_new(const wire_options_t *options)
{
    static const wire_options_t defaults;
    wire_server_t *server = allocate(options ? options : &defaults);
    int error = 0;

    if (!open_all(server))
        error = errno;
    else
        error = start_thread(server);
    if (error == 0)
        return server;
    fprintf(stderr, "wire: no server on 127.0.0.1:%u: %s\n", server->port,
            strerror(error));
    destroy(server);
    return NULL;
}

void wire_server_free(wire_server_t *server)
{
    if (server == NULL)
        return;
    pthread_mutex_lock(&server->lock);
    server->stop = true;
    pthread_cond_signal(&server->resumed);
    wire_server_unlock_changed(server);
    pthread_join(server->thread, NULL);
    destroy(server);
}
