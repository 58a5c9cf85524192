/* SPDX-License-Identifier: Apache-2.0 */
/* wire_server.h - the server's insides, for its own files. */
#ifndef WIRE_SERVER_H
#define WIRE_SERVER_H

#include "tests/wire/wire_collection.h"
#include "tests/wire/wire_commands.h"
#include "tests/wire/wire_connection.h"
#include "tests/wire/wire_cursor.h"
#include "tests/wire/wire_gate.h"
#include "tests/wire/wire_log.h"
#include "tests/wire/wire_member.h"
#include "tests/wire/wire_reply.h"
#include "tests/wire/wire_script.h"
#include "tests/wire/wire_timers.h"

#include <pthread.h>

struct wire_server {
    /* fixed once it runs */
    pthread_t thread;
    uint16_t port;
    int epoll_fd;
    int wake_fd;
    int max_wire_version;
    int64_t delay_us;
    int64_t jitter_us;
    bool no_log;
    bool log_hello;

    /* all below: behind `lock` */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* after each turn, for those who wait */
    pthread_cond_t resumed; /* for the loop, while it is paused */
    int waiters;
    bool stop;
    bool paused;
    int listen_fd;  /* -1: down */
    bool accepting; /* what the test wants ... */
    bool listening; /* ... and what epoll does */
    TAILQ_HEAD(wire_gate_list, wire_gate) gates;
    wire_connection_list_t connections;
    wire_connection_list_t dead;     /* for the loop to free */
    wire_connection_list_t released; /* for the loop to go on with */
    wire_timers_t timers;
    wire_script_t script;
    wire_collections_t collections;
    wire_cursors_t cursors;
    int64_t n_events; /* of the feed */
    wire_log_t log;
    wire_member_t member;
    int64_t member_version; /* grows when that changes */
    wire_stats_t stats;
    wire_buffer_t scratch; /* where replies are made */
    uint64_t random;
    int32_t next_reply_id;
};

uint64_t wire_server_random(wire_server_t *server);

/* Have epoll watch the listening socket, or not. */
void wire_server_listen(wire_server_t *server, bool listening);

/* A listening socket on 127.0.0.1, or -1; *port 0 becomes the one it got. */
int wire_server_open_socket(uint16_t *port);

/* End all connections. */
void wire_server_end_all(wire_server_t *server, wire_end_t how);

/* Unlock after a change by a thread of the test: the loop takes a turn. */
void wire_server_unlock_changed(wire_server_t *server);

/* How long a wait for what must come may last: WIRE_WAIT, or so long. */
int64_t wire_patience_ms(int64_t timeout_ms);

/* With the lock held: sleep until `until` or the time is over; true if it is
 * so. */
bool wire_server_wait(wire_server_t *server, bool (*until)(void *), void *arg,
                      int64_t timeout_ms);

#endif /* WIRE_SERVER_H */
