/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_link.h - the proxy's insides: one connection is a link of two pipes. */
#ifndef STATOR_TESTS_PROXY_LINK_H
#define STATOR_TESTS_PROXY_LINK_H

#include "tests/proxy/proxy.h"
#include "tests/wire/wire_buffer.h"
#include "tests/wire/wire_timers.h"

#include <pthread.h>
#include <sys/queue.h>

typedef struct proxy_link proxy_link_t;

/* Bytes that came at once, and when they may go on. */
typedef struct {
    size_t size;
    int64_t due_us;
} proxy_run_t;

/* One way of a connection. */
typedef struct {
    proxy_link_t *link;
    int side;            /* that it reads: 0 the client, 1 the server */
    proxy_fault_t fault;
    size_t left;         /* of fault.after */
    bool is_hole;        /* a byte is lost: no more will come through */
    bool at_end;         /* FIN was read */
    bool is_shut;        /* FIN was passed on */
    bool is_full;        /* the other side takes no more for now */
    int64_t next_us;     /* not before: bandwidth, gaps between slices */
    wire_timer_t timer;
    wire_buffer_t bytes;
    proxy_run_t *runs;   /* a ring */
    size_t first_run, n_runs, run_room;
} proxy_pipe_t;

struct proxy_link {
    TAILQ_ENTRY(proxy_link) node; /* the proxy's: open, or dead */
    proxy_t *proxy;
    int64_t number;
    bool is_dead;
    int fd[2];          /* client, server */
    uint32_t events[2]; /* what epoll watches */
    bool connecting;
    proxy_pipe_t pipe[2]; /* [0] reads the client, [1] the server */
};

typedef TAILQ_HEAD(proxy_link_list, proxy_link) proxy_link_list_t;

struct proxy {
    /* fixed once it runs */
    pthread_t thread;
    uint16_t port;
    uint16_t upstream;
    int epoll_fd;
    int wake_fd;
    int holder_fd; /* bound, never listening: it keeps the port */

    /* all below: behind `lock` */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* after each turn, for those who wait */
    int waiters;
    bool stop;
    bool stopped;
    int listen_fd; /* -1: refused */
    uint64_t random;
    proxy_fault_t fault[2]; /* of new connections */
    proxy_link_list_t links;
    proxy_link_list_t dead; /* for the loop to free */
    wire_timers_t timers;
    proxy_stats_t stats;
};

/* Takes over `fd`, and dials the server. */
void proxy_link_new(proxy_t *proxy, int fd);
void proxy_link_free(proxy_link_t *link);

/* Close both sides now.  Whoever has it in hand sees `is_dead`. */
void proxy_link_end(proxy_link_t *link, wire_end_t how);

/* Tell epoll what both sides wait for. */
void proxy_link_watch(proxy_link_t *link);

/* What the loop calls when something can be done to that side. */
void proxy_link_ready(proxy_link_t *link, int side, uint32_t events);

/* Note that the last `size` of its bytes came at once, just now. */
void proxy_pipe_append(proxy_pipe_t *pipe, size_t size);

/* Pass on what may go now; then tell epoll what it waits for. */
void proxy_pipe_pump(proxy_pipe_t *pipe);
void proxy_pipe_go_on(proxy_pipe_t *pipe);

void proxy_pipe_set(proxy_pipe_t *pipe, const proxy_fault_t *fault);
void proxy_pipe_half_close(proxy_pipe_t *pipe);

/* Have the loop watch a listening socket, a new one if there is none. */
bool proxy_listen(proxy_t *proxy);

/* Unlock after a change: the loop takes a turn. */
void proxy_unlock_changed(proxy_t *proxy);

#endif /* STATOR_TESTS_PROXY_LINK_H */
