/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_control.c - what a test does to the proxy, and sees of it, while it
 * runs. */
#include "tests/proxy/proxy_link.h"
#include "tests/wire/wire_server.h"

#include <stdio.h>
#include <unistd.h>

uint16_t proxy_port(const proxy_t *proxy)
{
    return proxy->port;
}

char *proxy_uri(const proxy_t *proxy, const char *extra, char *out,
                size_t size)
{
    snprintf(out, size, "mongodb://127.0.0.1:%u/?%s", proxy->port,
             extra ? extra : "");
    return out;
}

/* Does a fault or an end that was asked for this way concern that pipe? */
static bool concerns(proxy_way_t way, int side)
{
    return way == PROXY_BOTH || (way == PROXY_TO_SERVER) == (side == 0);
}

typedef void each_fn(proxy_link_t *link, const void *arg);

static int for_each(proxy_t *proxy, int64_t connection, each_fn *fn,
                    const void *arg)
{
    proxy_link_t *link, *next;
    int n = 0;

    for (link = TAILQ_FIRST(&proxy->links); link != NULL; link = next) {
        next = TAILQ_NEXT(link, node);
        if (connection != PROXY_ALL && link->number != connection)
            continue;
        fn(link, arg);
        n++;
    }
    return n;
}

static void set_link(proxy_link_t *link, const void *arg)
{
    const proxy_fault_t *fault = arg;

    for (int side = 0; side < 2 && !link->is_dead; side++)
        if (concerns(fault->way, side))
            proxy_pipe_set(&link->pipe[side], fault);
}

int proxy_set(proxy_t *proxy, int64_t connection, const proxy_fault_t *fault)
{
    int n;

    pthread_mutex_lock(&proxy->lock);
    for (int side = 0; side < 2 && connection == PROXY_ALL; side++)
        if (concerns(fault->way, side))
            proxy->fault[side] = *fault;
    n = for_each(proxy, connection, set_link, fault);
    proxy_unlock_changed(proxy);
    return n;
}

void proxy_heal(proxy_t *proxy)
{
    proxy_set(proxy, PROXY_ALL, &(proxy_fault_t){.way = PROXY_BOTH});
}

static void end_link(proxy_link_t *link, const void *arg)
{
    const wire_end_t *how = arg;
    proxy_stats_t *stats = &link->proxy->stats;

    ++*(*how == WIRE_RST ? &stats->resets : &stats->finishes);
    proxy_link_end(link, *how);
}

int proxy_end(proxy_t *proxy, int64_t connection, wire_end_t how)
{
    int n;

    pthread_mutex_lock(&proxy->lock);
    n = for_each(proxy, connection, end_link, &how);
    proxy_unlock_changed(proxy);
    return n;
}

static void half_close_link(proxy_link_t *link, const void *arg)
{
    const proxy_way_t *way = arg;

    link->proxy->stats.half_closes++;
    for (int side = 0; side < 2 && !link->is_dead; side++)
        if (concerns(*way, side))
            proxy_pipe_half_close(&link->pipe[side]);
}

int proxy_half_close(proxy_t *proxy, int64_t connection, proxy_way_t way)
{
    int n;

    pthread_mutex_lock(&proxy->lock);
    n = for_each(proxy, connection, half_close_link, &way);
    proxy_unlock_changed(proxy);
    return n;
}

bool proxy_refuse(proxy_t *proxy, bool refused)
{
    bool ok = true;

    pthread_mutex_lock(&proxy->lock);
    if (refused && proxy->listen_fd >= 0) {
        close(proxy->listen_fd);
        proxy->listen_fd = -1;
    } else if (!refused && proxy->listen_fd < 0) {
        ok = proxy_listen(proxy);
    }
    proxy_unlock_changed(proxy);
    return ok;
}

static void resume_link(proxy_link_t *link, const void *arg)
{
    (void)arg;
    for (int side = 0; side < 2 && !link->is_dead; side++)
        proxy_pipe_go_on(&link->pipe[side]);
}

void proxy_stop(proxy_t *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->stopped = true;
    proxy_unlock_changed(proxy);
}

void proxy_resume(proxy_t *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->stopped = false;
    for_each(proxy, PROXY_ALL, resume_link, NULL);
    proxy_unlock_changed(proxy);
}

/* ---------------------------------------------------------- observation */

void proxy_stats(proxy_t *proxy, proxy_stats_t *out)
{
    pthread_mutex_lock(&proxy->lock);
    *out = proxy->stats;
    pthread_mutex_unlock(&proxy->lock);
}

int64_t proxy_pick(proxy_t *proxy, uint64_t random)
{
    proxy_link_t *link;
    int64_t number = 0;
    uint64_t n;

    pthread_mutex_lock(&proxy->lock);
    if (proxy->stats.connections_open > 0) {
        n = random % (uint64_t)proxy->stats.connections_open;
        TAILQ_FOREACH(link, &proxy->links, node)
            if (n-- == 0)
                number = link->number;
    }
    pthread_mutex_unlock(&proxy->lock);
    return number;
}

bool proxy_wait_until(proxy_t *proxy, proxy_until_fn *until, void *arg,
                      int64_t timeout_ms)
{
    int64_t end_us = wire_now_us() + wire_patience_ms(timeout_ms) * 1000;
    struct timespec end = {.tv_sec = end_us / 1000000,
                           .tv_nsec = end_us % 1000000 * 1000};
    int error = 0;
    bool met;

    pthread_mutex_lock(&proxy->lock);
    proxy->waiters++;
    while (!(met = until(&proxy->stats, arg)) && error == 0)
        error = pthread_cond_timedwait(&proxy->changed, &proxy->lock, &end);
    proxy->waiters--;
    pthread_mutex_unlock(&proxy->lock);
    if (!met && timeout_ms < 0)
        fprintf(stderr, "proxy: what was waited for has not come\n");
    return met;
}
