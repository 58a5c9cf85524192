/* SPDX-License-Identifier: Apache-2.0 */
/* core/stream.h - the outermost stage of a connection: what the driver
 * writes to and reads from.
 *
 *   driver ──> stc_stream ──> [the driver's TLS] ──> stc_socket ──> network
 *              plain text
 *
 * S1  It sees every command before a byte of it is written, and arms the
 *     transport for those of an operation (T3).
 * S2  The driver sees no byte of a reply before the whole of it has been
 *     found good (guard.h); one that is not ends the connection.
 * S3  One message at a time: bytes beyond a reply end the connection with
 *     the next command, before a byte of it is written.
 * S4  One deadline for a command and its whole reply, however slowly bytes
 *     drip: the driver's socketTimeoutMS; connectTimeoutMS for what it says
 *     on its own account; GOODBYE_MS at most for what nobody waits for, such
 *     as killCursors after the user has gone, or a greeting after a cut. */
#ifndef STC_STREAM_H
#define STC_STREAM_H

#include <mongoc/mongoc.h>
#include <urcu/list.h>

#include "core/guard.h"
#include "core/socket.h"

struct stc_transport;

struct stc_stream {
    mongoc_stream_t stream; /* first */
    struct stc_transport *transport;
    struct cds_list_head node; /* in the transport, under its lock */
    struct stc_socket *socket;
    mongoc_stream_t *inner; /* TLS, or the socket itself */
    struct stc_guard guard;
    int64_t deadline; /* S4 */
    uint8_t *in;      /* as it came: a message, whole or in part */
    size_t n_in, room_in;
    uint8_t *plain; /* what was unpacked from a compressed one, or NULL */
    const uint8_t *out; /* of a good reply, what the driver has yet to read */
    size_t n_out;
    size_t taken; /* the length of that reply in `in` */
    bool timed_out;
};

/* A mongoc_stream_initiator_t; `transport` is a struct stc_transport. */
mongoc_stream_t *stc_stream_initiate(const mongoc_uri_t *uri,
                                     const mongoc_host_list_t *host,
                                     void *transport, bson_error_t *error);

#endif /* STC_STREAM_H */
