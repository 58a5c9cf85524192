/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.c - the thread, its loop, and the life of the proxy.
 *
 *   test threads --- lock ---> state <--- lock --- the loop's thread
 *                  wake_fd -> epoll <- sockets, timers
 *
 * P1  All state that changes is behind `lock`; the loop gives it back only
 *     while it sleeps in epoll_wait.
 * P2  A link may be ended by any thread, but is freed only by the loop and
 *     only after a turn: the events that it has in hand point to them.
 * P3  Stopped, the loop watches nothing but wake_fd. */
#include "tests/proxy/proxy_link.h"
#include "tests/wire/wire_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256 };

static bool watch_fd(proxy_t *proxy, int fd, void *tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};

    return epoll_ctl(proxy->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

void proxy_unlock_changed(proxy_t *proxy)
{
    const uint64_t one = 1;

    if (proxy->waiters > 0)
        pthread_cond_broadcast(&proxy->changed);
    pthread_mutex_unlock(&proxy->lock);
    while (write(proxy->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

/* ------------------------------------------------------------- the loop */

static void accept_all(proxy_t *proxy)
{
    const int on = 1;

    for (int i = 0; i < EVENTS && proxy->listen_fd >= 0; i++) {
        int fd = accept4(proxy->listen_fd, NULL, NULL,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        proxy_link_new(proxy, fd);
    }
}

static void run_timers(proxy_t *proxy)
{
    wire_timer_t *timer;

    while ((timer = wire_timers_due(&proxy->timers)) != NULL)
        proxy_pipe_go_on((proxy_pipe_t *)((char *)timer -
                                          offsetof(proxy_pipe_t, timer)));
}

static void drain_wake(proxy_t *proxy)
{
    uint64_t n;

    while (read(proxy->wake_fd, &n, sizeof n) < 0 && errno == EINTR)
        continue;
}

static void handle(proxy_t *proxy, const struct epoll_event *event)
{
    void *tag = event->data.ptr;
    int side = (int)((uintptr_t)tag & 1);

    if (tag == &proxy->wake_fd)
        drain_wake(proxy);
    else if (tag == &proxy->timers)
        run_timers(proxy);
    else if (tag == &proxy->listen_fd)
        accept_all(proxy);
    else
        proxy_link_ready((proxy_link_t *)((char *)tag - side), side,
                         event->events);
}

static void bury(proxy_t *proxy)
{
    proxy_link_t *link;

    while ((link = TAILQ_FIRST(&proxy->dead)) != NULL) {
        TAILQ_REMOVE(&proxy->dead, link, node);
        proxy_link_free(link);
    }
}

/* P3 */
static int sleep_for(proxy_t *proxy, struct epoll_event *events, bool stopped)
{
    struct pollfd wake = {.fd = proxy->wake_fd, .events = POLLIN};

    if (!stopped)
        return epoll_wait(proxy->epoll_fd, events, EVENTS, -1);
    (void)poll(&wake, 1, -1);
    drain_wake(proxy);
    return 0;
}

static void *loop(void *arg)
{
    proxy_t *proxy = arg;
    struct epoll_event events[EVENTS];

    pthread_mutex_lock(&proxy->lock);
    while (!proxy->stop) {
        bool stopped = proxy->stopped;
        int n;

        pthread_mutex_unlock(&proxy->lock);
        n = sleep_for(proxy, events, stopped);
        pthread_mutex_lock(&proxy->lock);
        if (proxy->stopped)
            n = 0; /* what is still so, epoll will tell again */
        for (int i = 0; i < n && !proxy->stop; i++)
            handle(proxy, &events[i]);
        bury(proxy);
        if (proxy->waiters > 0)
            pthread_cond_broadcast(&proxy->changed);
    }
    pthread_mutex_unlock(&proxy->lock);
    return NULL;
}

/* ----------------------------------------------------------------- life */

/* A socket that is bound and does not listen keeps others from the port while
 * connections are refused; SO_REUSEADDR lets us listen beside it. */
static int hold_port(uint16_t *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t size = sizeof address;
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&address, size) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

bool proxy_listen(proxy_t *proxy)
{
    if (proxy->listen_fd < 0)
        proxy->listen_fd = wire_server_open_socket(&proxy->port);
    return proxy->listen_fd >= 0 &&
           watch_fd(proxy, proxy->listen_fd, &proxy->listen_fd);
}

static bool open_all(proxy_t *proxy)
{
    proxy->listen_fd = proxy->wake_fd = proxy->epoll_fd = -1;
    proxy->holder_fd = -1;
    if (wire_timers_init(&proxy->timers) < 0)
        return false;
    proxy->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    proxy->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    proxy->holder_fd = hold_port(&proxy->port);
    return proxy->epoll_fd >= 0 && proxy->wake_fd >= 0 &&
           proxy->holder_fd >= 0 && proxy_listen(proxy) &&
           watch_fd(proxy, proxy->wake_fd, &proxy->wake_fd) &&
           watch_fd(proxy, proxy->timers.fd, &proxy->timers);
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* The thread has ended, or was never there. */
static void destroy(proxy_t *proxy)
{
    while (!TAILQ_EMPTY(&proxy->links))
        proxy_link_end(TAILQ_FIRST(&proxy->links), WIRE_FIN);
    bury(proxy);
    close_fd(proxy->listen_fd);
    close_fd(proxy->holder_fd);
    close_fd(proxy->wake_fd);
    close_fd(proxy->epoll_fd);
    wire_timers_clear(&proxy->timers);
    pthread_cond_destroy(&proxy->changed);
    pthread_mutex_destroy(&proxy->lock);
    bson_free(proxy);
}

/* Signals are the business of the program's own threads. */
static int start_thread(proxy_t *proxy)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&proxy->thread, NULL, loop, proxy);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

proxy_t *proxy_new(uint16_t upstream)
{
    proxy_t *proxy = bson_malloc0(sizeof *proxy);
    pthread_condattr_t clock;
    int error;

    pthread_mutex_init(&proxy->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&proxy->changed, &clock);
    pthread_condattr_destroy(&clock);
    TAILQ_INIT(&proxy->links);
    TAILQ_INIT(&proxy->dead);
    proxy->upstream = upstream;
    error = open_all(proxy) ? start_thread(proxy) : errno;
    if (error == 0)
        return proxy;
    fprintf(stderr, "proxy: none to 127.0.0.1:%u: %s\n", upstream,
            strerror(error));
    destroy(proxy);
    return NULL;
}

void proxy_free(proxy_t *proxy)
{
    if (proxy == NULL)
        return;
    pthread_mutex_lock(&proxy->lock);
    proxy->stop = true;
    proxy_unlock_changed(proxy);
    pthread_join(proxy->thread, NULL);
    destroy(proxy);
}
