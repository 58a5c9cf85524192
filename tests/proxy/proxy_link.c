/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_link.c - one connection: two sockets, a pipe each way.
 *
 * L1  A byte is read, then passed on or swallowed; the order is kept.
 * L2  Every call may end the link; it is then dead, closed, on the proxy's
 *     list `dead`, and is freed after the loop's turn.
 * L3  A side that resets inside a black hole is closed alone: the other is
 *     not to know. */
#include "tests/proxy/proxy_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024, HELD_MAX = 1024 * 1024,
       DISCARDED_MAX = 64 * 1024 * 1024 };

/* ------------------------------------------------------------- watching */

/* Tell epoll what there is to wait for. */
static void watch(proxy_link_t *link, int side)
{
    const proxy_pipe_t *from = &link->pipe[side];
    const proxy_pipe_t *to = &link->pipe[!side];
    struct epoll_event event = {.data.u64 = 0};

    if (link->is_dead || link->fd[side] < 0)
        return;
    event.data.ptr = (char *)link + side; /* a link is no odd address */
    if (!from->at_end && from->bytes.size < HELD_MAX &&
        !(side == 0 && link->connecting))
        event.events |= EPOLLIN;
    if (to->is_full || (side == 1 && link->connecting))
        event.events |= EPOLLOUT;
    if (event.events == link->events[side])
        return;
    link->events[side] = event.events;
    epoll_ctl(link->proxy->epoll_fd, EPOLL_CTL_MOD, link->fd[side], &event);
}

void proxy_link_watch(proxy_link_t *link)
{
    watch(link, 0);
    watch(link, 1);
}

static bool add(proxy_link_t *link, int side, uint32_t events)
{
    struct epoll_event event = {.events = events};

    event.data.ptr = (char *)link + side;
    link->events[side] = events;
    return epoll_ctl(link->proxy->epoll_fd, EPOLL_CTL_ADD, link->fd[side],
                     &event) == 0;
}

/* --------------------------------------------------------------- ending */

void proxy_link_end(proxy_link_t *link, wire_end_t how)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    proxy_t *proxy = link->proxy;

    if (link->is_dead)
        return;
    for (int side = 0; side < 2; side++) {
        wire_timers_remove(&proxy->timers, &link->pipe[side].timer);
        if (link->fd[side] < 0)
            continue;
        if (how == WIRE_RST)
            setsockopt(link->fd[side], SOL_SOCKET, SO_LINGER, &reset,
                       sizeof reset);
        else /* unread bytes would turn close's FIN into a reset */
            (void)recv(link->fd[side], NULL, DISCARDED_MAX,
                       MSG_TRUNC | MSG_DONTWAIT);
        close(link->fd[side]);
    }
    link->is_dead = true;
    proxy->stats.connections_open--;
    TAILQ_REMOVE(&proxy->links, link, node);
    TAILQ_INSERT_TAIL(&proxy->dead, link, node);
}

/* -------------------------------------------------------------- reading */

/* L3 */
static void forsake(proxy_link_t *link, int side)
{
    close(link->fd[side]);
    link->fd[side] = -1;
    link->pipe[side].at_end = true;
    link->pipe[!side].is_hole = true;
    if (link->fd[!side] < 0)
        proxy_link_end(link, WIRE_FIN);
    else if (!link->pipe[side].fault.black_hole) /* it was healed meanwhile */
        proxy_link_end(link, WIRE_RST);
}

static bool is_silent(const proxy_pipe_t *pipe)
{
    return pipe->fault.black_hole || pipe->is_hole;
}

static void receive(proxy_link_t *link, int side)
{
    proxy_pipe_t *pipe = &link->pipe[side];
    wire_buffer_t *bytes = &pipe->bytes;
    ssize_t n;

    wire_buffer_reserve(bytes, READ_SIZE);
    do
        n = recv(link->fd[side], bytes->data + bytes->size, READ_SIZE,
                 MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0) {
        bytes->size += (size_t)n;
        proxy_pipe_append(pipe, (size_t)n);
    } else if (n == 0) {
        pipe->at_end = true;
    } else if (is_silent(pipe)) {
        forsake(link, side);
        return;
    } else {
        proxy_link_end(link, WIRE_RST);
        return;
    }
    proxy_pipe_pump(pipe);
}

static void finish_connect(proxy_link_t *link)
{
    socklen_t size = sizeof(int);
    int error = 0;

    getsockopt(link->fd[1], SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        link->proxy->stats.unreachable++;
        proxy_link_end(link, WIRE_RST);
        return;
    }
    link->connecting = false;
}

void proxy_link_ready(proxy_link_t *link, int side, uint32_t events)
{
    if (link->is_dead || link->fd[side] < 0)
        return;
    if (side == 1 && link->connecting) {
        finish_connect(link);
    } else {
        if (events & EPOLLOUT) {
            link->pipe[!side].is_full = false;
            proxy_pipe_pump(&link->pipe[!side]);
        }
        if (link->is_dead)
            return;
        if (!link->pipe[side].at_end &&
            (events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
            receive(link, side);
        else if ((events & (EPOLLERR | EPOLLHUP)) &&
                 is_silent(&link->pipe[side]))
            forsake(link, side);
        else if (events & (EPOLLERR | EPOLLHUP))
            proxy_link_end(link, WIRE_RST); /* it has gone altogether */
    }
    proxy_link_watch(link);
}

/* ----------------------------------------------------------------- life */

static int dial(uint16_t port, bool *connecting)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(port),
    };
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *connecting = true;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ||
        errno == EINPROGRESS)
        return fd;
    close(fd);
    return -1;
}

void proxy_link_new(proxy_t *proxy, int fd)
{
    proxy_link_t *link = bson_malloc0(sizeof *link);

    link->proxy = proxy;
    link->number = ++proxy->stats.connections_total;
    link->fd[0] = fd;
    link->fd[1] = dial(proxy->upstream, &link->connecting);
    for (int side = 0; side < 2; side++) {
        link->pipe[side].link = link;
        link->pipe[side].side = side;
        link->pipe[side].fault = proxy->fault[side];
        link->pipe[side].left = proxy->fault[side].after;
    }
    proxy->stats.connections_open++;
    TAILQ_INSERT_TAIL(&proxy->links, link, node);
    if (link->fd[1] < 0 || !add(link, 0, 0) || !add(link, 1, EPOLLOUT)) {
        proxy->stats.unreachable++;
        proxy_link_end(link, WIRE_RST);
    }
}

void proxy_link_free(proxy_link_t *link)
{
    for (int side = 0; side < 2; side++) {
        wire_buffer_clear(&link->pipe[side].bytes);
        bson_free(link->pipe[side].runs);
    }
    bson_free(link);
}
