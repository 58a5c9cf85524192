/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_piece.c - bytes out of a descriptor, or into it.  The picture and
 * the invariants are in gridfs_piece.h.
 *
 * A descriptor that blocks is not made to: it belongs to the user, and others
 * may share it.  So a read is made only when there is something to be read, and
 * a write of no more than what a pipe is sure to take. */
#include "lib/gridfs_piece.h"

#include <errno.h>
#include <fcntl.h>
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

struct stl_descriptor *stl_descriptor_new(int fd, const char *subject,
                                          stator_future_t **refusal)
{
    struct stl_descriptor *d = malloc(sizeof *d);
    char why[128];

    if (d == NULL) {
        *refusal = stf_future_no_memory();
        return NULL;
    }
    atomic_init(&d->refs, 1);
    atomic_init(&d->users, 1);
    d->given = fd;
    d->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (d->fd >= 0)
        return d;
    *refusal = stf_future_failed(
        errno == EBADF ? STATOR_ERROR_ARGUMENT : STATOR_ERROR_REFUSED, subject,
        "fd is %d: %s", fd, strerror_r(errno, why, sizeof why));
    free(d);
    return NULL;
}

static void unref_descriptor(struct stl_descriptor *d)
{
    if (atomic_fetch_sub(&d->refs, 1) == 1)
        free(d);
}

/* P3.  False: it is closed. */
static bool enter(struct stl_descriptor *d)
{
    unsigned users = atomic_load(&d->users);

    while (users != 0)
        if (atomic_compare_exchange_weak(&d->users, &users, users + 1))
            return true;
    return false;
}

static void leave(struct stl_descriptor *d)
{
    if (atomic_fetch_sub(&d->users, 1) == 1)
        close(d->fd);
}

void stl_descriptor_let_go(struct stl_descriptor *d)
{
    if (d == NULL)
        return;
    leave(d);
    unref_descriptor(d);
}

static struct stl_piece *new_piece(struct stl_descriptor *d, size_t size,
                                   size_t room)
{
    struct stl_piece *p = calloc(1, sizeof *p + room);

    if (p == NULL)
        return NULL;
    atomic_init(&p->refs, 1);
    p->descriptor = d;
    atomic_fetch_add(&d->refs, 1);
    p->size = size;
    return p;
}

struct stl_piece *stl_piece_new_read(struct stl_descriptor *from, size_t size)
{
    struct stl_piece *p = new_piece(from, size, size);

    if (p != NULL)
        p->into = (uint8_t *)(p + 1);
    return p;
}

struct stl_piece *stl_piece_new_write(struct stl_descriptor *into,
                                      const uint8_t *bytes, size_t size,
                                      stator_future_t *keeper)
{
    struct stl_piece *p = new_piece(into, size, 0);

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
    unref_descriptor(p->descriptor);
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
    struct pollfd pfd = {.fd = p->descriptor->fd,
                         .events = p->is_write ? POLLOUT : POLLIN};

    return poll(&pfd, 1, wait_ms);
}

static ssize_t move_some(const struct stl_piece *p, bool regular)
{
    size_t left = p->size - p->done;
    int fd = p->descriptor->fd;
    ssize_t n;

    if (!p->is_write)
        return read(fd, p->into + p->done, left);
    if (regular)
        return write(fd, p->from + p->done, left);
    n = send(fd, p->from + p->done, left, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0 || errno != ENOTSOCK)
        return n;
    return write(fd, p->from + p->done, left < PIPE_BUF ? left : PIPE_BUF);
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

static void move_what_can_be(struct stl_piece *p,
                             const stator_promise_t *promise)
{
    bool regular = is_regular(p->descriptor->fd), stopped = false;
    int wait_ms = WAIT_MS, n_interrupts = 0;
    size_t before = p->done;

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
    p->waited = p->done == before;
}

static void move(mongoc_client_t *client, stator_promise_t *promise, void *arg)
{
    struct stl_piece *p = arg;

    (void)client;
    if (enter(p->descriptor)) {
        move_what_can_be(p, promise);
        leave(p->descriptor);
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
    if (p->waited) /* P4 */
        r.core.priority = STC_LOW;
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
                  "fd %d: %s", p->descriptor->given,
                  strerror_r(p->error, why, sizeof why));
    return false;
}
