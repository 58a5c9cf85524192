/* SPDX-License-Identifier: Apache-2.0 */
/* core/socket.c - the innermost stage of a connection. */
#include "core/socket.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "futures/base.h"

/* The driver looks at no type but its own, which end below ten. */
enum { TYPE = 0x5354, POLLED_MAX = 16 };

static struct stc_socket *socket_of(mongoc_stream_t *stream)
{
    return (struct stc_socket *)(void *)stream;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The other way to wait, should the kernel take no time limit. */
static void wait_ready(int fd, int option, int64_t deadline)
{
    struct pollfd p = {.fd = fd,
                       .events = option == SO_RCVTIMEO ? POLLIN : POLLOUT};

    while (poll(&p, 1, stf_poll_timeout(deadline)) < 0 && errno == EINTR)
        continue;
}

/* Let a call block for what is left until `deadline`, or for less if that is
 * what the kernel has been told before.  Answers the flag for the call: do
 * not block, when nothing is left. */
static int limit(struct stc_socket *s, int option, int64_t *told,
                 int64_t deadline)
{
    int64_t left = STF_NO_DEADLINE;
    struct timeval t = {0};

    if (deadline != STF_NO_DEADLINE)
        left = deadline - stf_now_ns();
    if (left <= 0)
        return MSG_DONTWAIT;
    if (*told <= left && *told > 0)
        return 0;
    if (left != STF_NO_DEADLINE) { /* all zero is for ever */
        t.tv_sec = left / 1000000000;
        t.tv_usec = left % 1000000000 / 1000 + 1;
        if (t.tv_usec > 999999)
            t.tv_usec = 999999;
    }
    if (setsockopt(s->fd, SOL_SOCKET, option, &t, sizeof t) != 0) {
        wait_ready(s->fd, option, deadline);
        return MSG_DONTWAIT;
    }
    *told = left;
    return 0;
}

/* After a call that failed: is it to be made again? */
static bool again(struct stc_socket *s, int64_t *told, int64_t deadline)
{
    if (errno == EINTR)
        return true;
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
        s->error = errno;
        return false;
    }
    *told = 0; /* it was for an earlier call, or is over now */
    if (!stf_is_late(deadline))
        return true;
    s->error = errno = ETIMEDOUT;
    return false;
}

ssize_t stc_socket_receive(struct stc_socket *s, void *bytes, size_t n,
                           int64_t deadline)
{
    ssize_t got;
    int flags;

    deadline = earlier(deadline, s->until);
    do {
        flags = limit(s, SO_RCVTIMEO, &s->receive_ns, deadline);
        got = recv(s->fd, bytes, n, flags);
    } while (got < 0 && again(s, &s->receive_ns, deadline));
    if (got == 0)
        s->error = 0;
    return got;
}

static ssize_t send_some(struct stc_socket *s, mongoc_iovec_t *iov, size_t n,
                         int64_t deadline)
{
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = n};
    ssize_t sent;
    int flags;

    do {
        flags = limit(s, SO_SNDTIMEO, &s->send_ns, deadline);
        sent = sendmsg(s->fd, &m, flags | MSG_NOSIGNAL);
    } while (sent < 0 && again(s, &s->send_ns, deadline));
    return sent;
}

/* ---- as a stream ------------------------------------------------- */

static int64_t deadline_of(const struct stc_socket *s, int32_t timeout_ms)
{
    return earlier(stf_deadline_after_ms(timeout_ms), s->until);
}

/* All of it, or -1.  `iov` is used up. */
static ssize_t socket_writev(mongoc_stream_t *stream, mongoc_iovec_t *iov,
                             size_t n, int32_t timeout_ms)
{
    struct stc_socket *s = socket_of(stream);
    int64_t deadline = deadline_of(s, timeout_ms);
    ssize_t sent, all = 0;

    while (n > 0) {
        /* The kernel takes no more than 1024 at once. */
        sent = send_some(s, iov, n < 1024 ? n : 1024, deadline);
        if (sent < 0)
            return -1;
        all += sent;
        while (n > 0 && (size_t)sent >= iov->iov_len) {
            sent -= (ssize_t)iov->iov_len;
            iov++;
            n--;
        }
        if (n > 0) {
            iov->iov_base = (char *)iov->iov_base + sent;
            iov->iov_len -= (size_t)sent;
        }
    }
    return all;
}

/* The TLS stage asks for one piece, and for as much of it as is there. */
static ssize_t socket_readv(mongoc_stream_t *stream, mongoc_iovec_t *iov,
                            size_t n, size_t min_bytes, int32_t timeout_ms)
{
    struct stc_socket *s = socket_of(stream);

    (void)n;
    (void)min_bytes;
    return stc_socket_receive(s, iov[0].iov_base, iov[0].iov_len,
                              deadline_of(s, timeout_ms));
}

static ssize_t socket_poll(mongoc_stream_poll_t *streams, size_t n,
                           int32_t timeout_ms)
{
    struct pollfd p[POLLED_MAX];
    int ready;

    if (n > POLLED_MAX) {
        errno = EINVAL;
        return -1;
    }
    for (size_t i = 0; i < n; i++)
        p[i] = (struct pollfd){.fd = socket_of(streams[i].stream)->fd,
                               .events = (short)streams[i].events};
    ready = poll(p, (nfds_t)n, timeout_ms);
    for (size_t i = 0; i < n; i++)
        streams[i].revents = p[i].revents;
    return ready;
}

static int socket_close(mongoc_stream_t *stream)
{
    struct stc_socket *s = socket_of(stream);
    int fd = s->fd;

    s->fd = -1;
    return fd < 0 ? 0 : close(fd);
}

static void socket_destroy(mongoc_stream_t *stream)
{
    socket_close(stream);
    free(stream);
}

static int socket_flush(mongoc_stream_t *stream)
{
    (void)stream;
    return 0;
}

static int socket_setsockopt(mongoc_stream_t *stream, int level, int option,
                             void *value, mongoc_socklen_t size)
{
    return setsockopt(socket_of(stream)->fd, level, option, value, size);
}

static bool socket_check_closed(mongoc_stream_t *stream)
{
    char byte;
    ssize_t got = recv(socket_of(stream)->fd, &byte, 1,
                       MSG_PEEK | MSG_DONTWAIT);

    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

static bool socket_timed_out(mongoc_stream_t *stream)
{
    return socket_of(stream)->error == ETIMEDOUT;
}

static bool socket_should_retry(mongoc_stream_t *stream)
{
    (void)stream;
    return false;
}

struct stc_socket *stc_socket_new(int fd)
{
    struct stc_socket *s = calloc(1, sizeof *s);

    if (s == NULL) {
        close(fd);
        return NULL;
    }
    s->stream = (mongoc_stream_t){
        .type = TYPE,
        .destroy = socket_destroy,
        .close = socket_close,
        .flush = socket_flush,
        .writev = socket_writev,
        .readv = socket_readv,
        .setsockopt = socket_setsockopt,
        .check_closed = socket_check_closed,
        .poll = socket_poll,
        .failed = socket_destroy,
        .timed_out = socket_timed_out,
        .should_retry = socket_should_retry,
    };
    s->fd = fd;
    s->until = STF_NO_DEADLINE;
    return s;
}
