/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_piece.c - bytes out of a descriptor, or into it.  The picture and
 * the invariants are in gridfs_piece.h.
 *
 * A descriptor that blocks is not made to: it belongs to the user, and others
 * may share it.  So a read is made only when there is something to be read, and
 * a write of no more than what a pipe is sure to take. */
#include "lib/gridfs_piece.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stator/client.h>

enum {
    WAIT_MS = 5,
    INTERRUPTS_MAX = 100 /* a worker has all signals blocked */
};

static struct stl_piece *new_piece(int fd, size_t size, size_t room)
{
    struct stl_piece *p = calloc(1, sizeof *p + room);

    if (p == NULL)
        return NULL;
    atomic_init(&p->refs, 1);
    p->fd = fd;
    p->size = size;
    return p;
}

struct stl_piece *stl_piece_new_read(int fd, size_t size)
{
    struct stl_piece *p = new_piece(fd, size, size);

    if (p != NULL)
        p->into = (uint8_t *)(p + 1);
    return p;
}

struct stl_piece *stl_piece_new_write(int fd, const uint8_t *bytes,
                                      size_t size, stator_future_t *keeper)
{
    struct stl_piece *p = new_piece(fd, size, 0);

    if (p == NULL)
        return NULL;
    p->is_write = true;
    p->from = bytes;
    p->keeper = stator_future_ref(keeper);
    return p;
}

void stl_piece_unref(struct stl_piece *p)
{
    if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    stator_future_unref(p->keeper);
    free(p);
}

/* ---- on a worker ------------------------------------------------------- */

/* Does it take and give at any time? */
static bool is_regular(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* As poll. */
static int is_ready(const struct stl_piece *p, int wait_ms)
{
    struct pollfd pfd = {.fd = p->fd,
                         .events = p->is_write ? POLLOUT : POLLIN};

    return poll(&pfd, 1, wait_ms);
}

static ssize_t move_some(const struct stl_piece *p, bool regular)
{
    size_t left = p->size - p->done;
    ssize_t n;

    if (!p->is_write)
        return read(p->fd, p->into + p->done, left);
    if (regular)
        return write(p->fd, p->from + p->done, left);
    n = send(p->fd, p->from + p->done, left, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0 || errno != ENOTSOCK)
        return n;
    return write(p->fd, p->from + p->done, left < PIPE_BUF ? left : PIPE_BUF);
}

/* What a call has answered that moved nothing.  False: go on. */
static bool stops(struct stl_piece *p, ssize_t answer, int *n_interrupts)
{
    if (answer == 0) {
        p->is_end = !p->is_write;
        return true;
    }
    if (errno == EINTR && ++*n_interrupts < INTERRUPTS_MAX)
        return false;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        p->error = errno;
    return true;
}

static void move(mongoc_client_t *client, stator_promise_t *promise, void *arg)
{
    struct stl_piece *p = arg;
    bool regular = is_regular(p->fd), stopped = false;
    int wait_ms = WAIT_MS, n_interrupts = 0;

    (void)client;
    while (!stopped && p->done < p->size &&
           !stator_promise_cancelled(promise)) {
        int ready = regular ? 1 : is_ready(p, wait_ms);
        ssize_t n = ready > 0 ? move_some(p, regular) : -1;

        wait_ms = 0; /* a second time it would be the worker's that waits */
        if (n > 0)
            p->done += (size_t)n;
        else
            stopped = ready == 0 || stops(p, n, &n_interrupts);
    }
    stator_promise_resolve(promise, NULL, NULL);
}

/* ---- on the call's side ------------------------------------------------ */

static void unref_piece(void *arg)
{
    stl_piece_unref(arg);
}

stator_future_t *stl_piece_move(struct stl_piece *p, struct stl_call *c)
{
    struct stl_request r;

    stl_call_begin(c, &r, &stc_verb_run, c->bucket->files, NULL,
                   STL_OPERATION);
    r.core.lease_id = 0; /* the descriptor is none of the session's */
    r.core.session_id = 0;
    r.core.fn = move;
    r.core.arg = p;
    r.core.free_arg = unref_piece;
    atomic_fetch_add(&p->refs, 1); /* P1 */
    return stl_call_submit(c, &r);
}

bool stl_piece_check(const struct stl_piece *p, struct stl_call *c,
                     stator_future_t *moved)
{
    char why[128];

    if (!stl_is_done(moved)) {
        stl_call_fail_as(c, moved);
        return false;
    }
    if (p->error == 0)
        return true;
    stl_call_fail(c, MONGOC_ERROR_GRIDFS, MONGOC_ERROR_GRIDFS_BUCKET_STREAM,
                  "fd %d: %s", p->fd, strerror_r(p->error, why, sizeof why));
    return false;
}
