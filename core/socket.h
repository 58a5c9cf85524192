/* SPDX-License-Identifier: Apache-2.0 */
/* core/socket.h - the innermost stage of a connection: our own descriptor as
 * a stream of the driver's, below its TLS.
 *
 * A read is one blocking recv(2), so that a waiting thread costs no poll;
 * another thread ends it by shutdown(2) on the descriptor (transport.h sees
 * to it that this is still the right one).  Its time is limited by the
 * driver's time-out of the call, and by `until`, whichever comes first. */
#ifndef STC_SOCKET_H
#define STC_SOCKET_H

#include <mongoc/mongoc.h>

struct stc_socket {
    mongoc_stream_t stream; /* first: a socket is its stream */
    int fd;
    int64_t until; /* CLOCK_MONOTONIC, nanoseconds; or STF_NO_DEADLINE */
    int error;     /* errno of the last failure; 0: the peer closed */
    int64_t receive_ns, send_ns; /* time-outs that the kernel has been told */
};

/* Takes `fd`, which blocks.  NULL: no memory, and `fd` is closed. */
struct stc_socket *stc_socket_new(int fd);

/* At least one byte, 0 at the end, or -1: errno is ETIMEDOUT or else. */
ssize_t stc_socket_receive(struct stc_socket *s, void *bytes, size_t n,
                           int64_t deadline);

#endif /* STC_SOCKET_H */
