/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_pipe.c - one way of a connection, and what happens to its bytes.
 *
 *   [runs, each with its due time] -> pump -> send
 *                                      ^ timer, room, next slice
 *
 * A pipe waits for one thing at a time: its timer, or room (is_full). */
#include "tests/proxy/proxy_link.h"
#include "tests/proxy/random.h"

#include <errno.h>
#include <sys/socket.h>

enum { TURNS_PER_SECOND = 100 };

static int target_of(const proxy_pipe_t *pipe)
{
    return pipe->link->fd[!pipe->side];
}

/* ------------------------------------------------------------- the runs */

static int64_t delay_of(proxy_pipe_t *pipe)
{
    const proxy_fault_t *fault = &pipe->fault;
    int64_t us = fault->latency_us;

    if (fault->jitter_us > 0)
        us += random_range(&pipe->link->proxy->random, -fault->jitter_us,
                           fault->jitter_us);
    return us > 0 ? us : 0;
}

void proxy_pipe_append(proxy_pipe_t *pipe, size_t size)
{
    int64_t wait = delay_of(pipe);
    int64_t due = wait > 0 ? wire_now_us() + wait : 0;
    proxy_run_t *run;

    pipe->link->proxy->stats.delayed += wait > 0;
    if (pipe->n_runs > 0) { /* L1 */
        run = &pipe->runs[(pipe->first_run + pipe->n_runs - 1) %
                          pipe->run_room];
        if (due <= run->due_us) {
            run->size += size;
            return;
        }
    }
    if (pipe->n_runs == pipe->run_room) {
        size_t room = pipe->run_room ? 2 * pipe->run_room : 8;
        proxy_run_t *runs = bson_malloc(room * sizeof *runs);

        for (size_t i = 0; i < pipe->n_runs; i++)
            runs[i] = pipe->runs[(pipe->first_run + i) % pipe->run_room];
        bson_free(pipe->runs);
        pipe->runs = runs;
        pipe->run_room = room;
        pipe->first_run = 0;
    }
    run = &pipe->runs[(pipe->first_run + pipe->n_runs++) % pipe->run_room];
    run->size = size;
    run->due_us = due;
}

/* --------------------------------------------------------------- ending */

/* FIN was due this way; the link ends when both ways are over. */
static void shut(proxy_pipe_t *pipe)
{
    proxy_link_t *link = pipe->link;

    if (pipe->is_shut)
        return;
    pipe->is_shut = true;
    shutdown(target_of(pipe), SHUT_WR);
    if (link->pipe[!pipe->side].is_shut)
        proxy_link_end(link, WIRE_FIN);
}

static void cut(proxy_pipe_t *pipe)
{
    proxy_link_t *link = pipe->link;
    proxy_stats_t *stats = &link->proxy->stats;

    switch (pipe->fault.cut) {
    case PROXY_RESET_AFTER:
        stats->resets++;
        proxy_link_end(link, WIRE_RST);
        break;
    case PROXY_FINISH_AFTER:
        stats->finishes++;
        proxy_link_end(link, WIRE_FIN);
        break;
    case PROXY_HALF_AFTER:
        stats->half_closes++;
        shut(pipe);
        break;
    }
}

/* -------------------------------------------------------------- pumping */

static void consume(proxy_pipe_t *pipe, size_t n)
{
    wire_buffer_consume(&pipe->bytes, n);
    while (n > 0) {
        proxy_run_t *run = &pipe->runs[pipe->first_run];
        size_t part = n < run->size ? n : run->size;

        run->size -= part;
        n -= part;
        if (run->size == 0) {
            pipe->first_run = (pipe->first_run + 1) % pipe->run_room;
            pipe->n_runs--;
        }
    }
}

static void swallow(proxy_pipe_t *pipe)
{
    proxy_stats_t *stats = &pipe->link->proxy->stats;

    if (pipe->bytes.size == 0)
        return;
    if (!pipe->is_hole && !pipe->link->pipe[!pipe->side].is_hole)
        stats->holes++;
    pipe->is_hole = true;
    stats->swallowed += (int64_t)pipe->bytes.size;
    consume(pipe, pipe->bytes.size);
}

static void wait_until(proxy_pipe_t *pipe, int64_t now, int64_t due_us)
{
    if (pipe->timer.place == 0)
        wire_timers_add(&pipe->link->proxy->timers, &pipe->timer,
                        due_us - now);
}

/* How much of the first run may go in one send. */
static size_t portion(const proxy_pipe_t *pipe)
{
    const proxy_fault_t *fault = &pipe->fault;
    size_t n = pipe->runs[pipe->first_run].size;
    int64_t turn = fault->bytes_per_second / TURNS_PER_SECOND;

    if (fault->slice > 0 && fault->slice < n)
        n = fault->slice;
    if (fault->bytes_per_second > 0 && (int64_t)n > turn)
        n = turn > 0 ? (size_t)turn : 1;
    if (fault->after > 0 && pipe->left < n)
        n = pipe->left;
    return n;
}

static void passed(proxy_pipe_t *pipe, size_t n, int64_t now)
{
    const proxy_fault_t *fault = &pipe->fault;
    proxy_stats_t *stats = &pipe->link->proxy->stats;

    *(pipe->side == 0 ? &stats->to_server : &stats->to_client) += (int64_t)n;
    stats->slices += n == fault->slice;
    consume(pipe, n);
    if (fault->after > 0)
        pipe->left -= n;
    if (fault->bytes_per_second > 0)
        pipe->next_us = (pipe->next_us > now ? pipe->next_us : now) +
                        (int64_t)n * 1000000 / fault->bytes_per_second;
    if (fault->slice > 0)
        pipe->next_us = (pipe->next_us > now ? pipe->next_us : now) +
                        fault->slice_gap_us;
}

/* What is left to do when no byte is. */
static void finish(proxy_pipe_t *pipe)
{
    bool other_ended = pipe->link->pipe[!pipe->side].at_end;

    if (pipe->is_shut) /* by a cut: the rest goes nowhere */
        consume(pipe, pipe->bytes.size);
    else if (pipe->at_end && !pipe->fault.black_hole && !pipe->is_hole)
        shut(pipe);
    else if (pipe->at_end && (other_ended || !pipe->fault.black_hole))
        proxy_link_end(pipe->link, WIRE_RST);
}

void proxy_pipe_pump(proxy_pipe_t *pipe)
{
    if (pipe->link->proxy->stopped || pipe->link->connecting)
        return;
    while (!pipe->link->is_dead && !pipe->is_shut && pipe->n_runs > 0) {
        int64_t now = wire_now_us();
        int64_t due = pipe->runs[pipe->first_run].due_us;
        ssize_t n;

        if (pipe->fault.black_hole || pipe->is_hole) {
            swallow(pipe);
            break;
        }
        if (pipe->is_full)
            return;
        due = due > pipe->next_us ? due : pipe->next_us;
        if (due > now) {
            wait_until(pipe, now, due);
            return;
        }
        n = send(target_of(pipe), pipe->bytes.data, portion(pipe),
                 MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            pipe->is_full = true;
            return;
        }
        if (n < 0) {
            proxy_link_end(pipe->link, WIRE_RST);
            return;
        }
        passed(pipe, (size_t)n, now);
        if (pipe->fault.after > 0 && pipe->left == 0)
            cut(pipe);
    }
    if (!pipe->link->is_dead)
        finish(pipe);
}

void proxy_pipe_go_on(proxy_pipe_t *pipe)
{
    proxy_pipe_pump(pipe);
    proxy_link_watch(pipe->link);
}

void proxy_pipe_half_close(proxy_pipe_t *pipe)
{
    shut(pipe);
    proxy_pipe_go_on(pipe);
}

void proxy_pipe_set(proxy_pipe_t *pipe, const proxy_fault_t *fault)
{
    pipe->fault = *fault;
    pipe->left = fault->after;
    pipe->next_us = 0;
    wire_timers_remove(&pipe->link->proxy->timers, &pipe->timer);
    proxy_pipe_go_on(pipe);
}
