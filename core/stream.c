/* SPDX-License-Identifier: Apache-2.0 */
/* core/stream.c - the outermost stage of a connection. */
#include "core/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/client.h"
#include "core/dial.h"
#include "core/transport.h"
#include "futures/base.h"

enum {
    TYPE = 0x5355,          /* the driver looks at no type but its own */
    ROOM = 4096,            /* of `in` to begin with */
    ROOM_KEPT = 256 * 1024, /* what a connection keeps between messages */
    GOODBYE_MS = 2000
};

static const char given_up[] = "it was given up";

static struct stc_stream *stream_of(mongoc_stream_t *stream)
{
    return (struct stc_stream *)(void *)stream;
}

static ssize_t fail(struct stc_stream *s, int error, const char *flaw)
{
    if (!stc_transport_is_watch(s->transport)) { /* T8 */
        s->transport->flaw = flaw;
        s->transport->is_refusal = error == EPROTO;
    }
    s->timed_out = error == ETIMEDOUT;
    (void)stc_transport_disarm(s->transport);
    errno = error;
    return -1;
}

static ssize_t fail_as_socket(struct stc_stream *s, bool is_end)
{
    if (stc_transport_is_cut(s->transport))
        return fail(s, ETIMEDOUT, given_up);
    if (is_end || s->socket->error == 0)
        return fail(s, ECONNRESET, "the server closed the connection");
    if (s->socket->error == ETIMEDOUT)
        return fail(s, ETIMEDOUT, "no answer in time");
    return fail(s, s->socket->error,
                s->socket->error == ECONNRESET
                    ? "the connection was reset"
                    : "the connection broke");
}

/* A reply that must not reach the driver. */
static ssize_t refuse(struct stc_stream *s, const char *flaw)
{
    atomic_fetch_add(&s->transport->network->refusals, 1);
    s->is_broken = true;
    return fail(s, EPROTO, flaw);
}

/* ---- a command --------------------------------------------------- */

/* S4 */
static int32_t limit(struct stc_transport *t, int32_t ms)
{
    return ms < GOODBYE_MS || stc_transport_is_attended(t) ? ms : GOODBYE_MS;
}

static int64_t deadline_of(const struct stc_stream *s, int32_t timeout_ms)
{
    int32_t connect_ms = s->transport->network->connect_ms;

    if (!s->guard.is_ours && connect_ms < timeout_ms &&
        !stc_transport_is_watch(s->transport))
        timeout_ms = connect_ms;
    return stf_deadline_after_ms(limit(s->transport, timeout_ms));
}

static void note_session(struct stc_stream *s)
{
    struct stc_transport *t = s->transport;

    t->has_lsid = s->guard.has_lsid;
    if (!t->has_lsid)
        return;
    memcpy(t->lsid, s->guard.lsid, sizeof t->lsid);
    memcpy(t->lsid_host, s->host, sizeof t->lsid_host);
}

static void forget_reply(struct stc_stream *s)
{
    free(s->plain);
    s->plain = NULL;
    s->out = NULL;
    s->n_out = 0;
    if (s->taken == 0)
        return;
    s->n_in -= s->taken;
    memmove(s->in, s->in + s->taken, s->n_in);
    s->taken = 0;
    if (s->n_in == 0 && s->room_in > ROOM_KEPT) {
        free(s->in);
        s->in = NULL;
        s->room_in = 0;
    }
}

static ssize_t stream_writev(mongoc_stream_t *stream, mongoc_iovec_t *iov,
                             size_t n, int32_t timeout_ms)
{
    struct stc_stream *s = stream_of(stream);
    struct stc_transport *t = s->transport;
    ssize_t sent;

    forget_reply(s);
    if (!stc_guard_request(&s->guard, iov, n))
        return fail(s, EINVAL, "what the driver sends is no message");
    s->is_greeted = s->guard.is_ours = s->is_greeted || s->guard.is_ours;
    if (s->n_in != 0 || s->is_broken) /* S3 */
        return refuse(s, "more came than was asked for");
    if (s->guard.is_ours) {
        if (!stc_transport_arm(t, s->socket->fd))
            return fail(s, ETIMEDOUT, given_up);
        note_session(s);
    }
    s->deadline = s->socket->until = deadline_of(s, timeout_ms);
    sent = mongoc_stream_writev(s->inner, iov, n, timeout_ms);
    if (sent < 0)
        return fail_as_socket(s, false);
    if (!s->guard.awaits_reply && !stc_transport_disarm(t))
        return fail(s, ETIMEDOUT, given_up);
    return sent;
}

/* ---- its reply --------------------------------------------------- */

static bool make_room(struct stc_stream *s, size_t n)
{
    uint8_t *larger;

    if (n <= s->room_in)
        return true;
    if (n < ROOM)
        n = ROOM;
    larger = realloc(s->in, n);
    if (larger == NULL)
        return false;
    s->in = larger;
    s->room_in = n;
    return true;
}

/* Until `n` bytes of the message are here; more may come with them. */
static ssize_t receive(struct stc_stream *s, size_t n)
{
    if (!make_room(s, n))
        return fail(s, ENOMEM, "no memory for the reply");
    while (s->n_in < n) {
        void *to = s->in + s->n_in;
        size_t room = s->room_in - s->n_in;
        ssize_t got;

        /* A monitor polls the socket for its next message: what has been read
         * already would not be seen there. */
        if (stc_transport_is_watch(s->transport))
            room = n - s->n_in;
        if (s->inner == &s->socket->stream)
            got = stc_socket_receive(s->socket, to, room, s->deadline);
        else
            got = mongoc_stream_read(s->inner, to, room, 1,
                                     stf_poll_timeout(s->deadline));
        if (got <= 0)
            return fail_as_socket(s, got == 0);
        s->n_in += (size_t)got;
    }
    return 0;
}

static ssize_t receive_reply(struct stc_stream *s)
{
    const char *flaw;
    uint32_t length, plain_length;

    if (!s->guard.awaits_reply || s->is_broken)
        return refuse(s, "no request awaits it");
    if (receive(s, STC_GUARD_HEADER) != 0)
        return -1;
    flaw = stc_guard_header(&s->guard, s->in, &length);
    if (flaw != NULL)
        return refuse(s, flaw);
    if (receive(s, length) != 0)
        return -1;
    s->taken = length;
    s->out = s->in;
    flaw = stc_guard_unpack(s->in, length, &s->plain, &plain_length);
    if (flaw == NULL && s->plain != NULL) {
        s->out = s->plain;
        length = plain_length;
    }
    if (flaw == NULL)
        flaw = stc_guard_reply(&s->guard, s->out, length);
    if (flaw != NULL)
        return refuse(s, flaw);
    /* A reply that came with the cut is lost: to the driver a connection that
     * is shut must not look whole, or its next operation would fail. */
    if (!stc_transport_disarm(s->transport))
        return fail(s, ETIMEDOUT, given_up);
    if (s->guard.is_ours) /* its session may be another's at any time */
        s->transport->has_lsid = false;
    s->n_out = length;
    return 0;
}

/* The driver reads a length first, then the rest: both come from one reply. */
static ssize_t stream_readv(mongoc_stream_t *stream, mongoc_iovec_t *iov,
                            size_t n, size_t min_bytes, int32_t timeout_ms)
{
    struct stc_stream *s = stream_of(stream);
    ssize_t all = 0;

    (void)min_bytes;
    if (s->n_out == 0) {
        forget_reply(s);
        /* A monitor's answer may come much later than its question, and for
         * the next ones of a stream there is none. */
        if (stc_transport_is_watch(s->transport))
            s->deadline = s->socket->until = deadline_of(s, timeout_ms);
        if (receive_reply(s) != 0)
            return -1;
    }
    for (size_t i = 0; i < n && s->n_out > 0; i++) {
        size_t part = iov[i].iov_len < s->n_out ? iov[i].iov_len : s->n_out;

        memcpy(iov[i].iov_base, s->out, part);
        s->out += part;
        s->n_out -= part;
        all += (ssize_t)part;
    }
    return all;
}

/* ---- as a stream ------------------------------------------------- */

static int stream_close(mongoc_stream_t *stream)
{
    /* The number is given back when it is destroyed (T6). */
    shutdown(stream_of(stream)->socket->fd, SHUT_RDWR);
    return 0;
}

static void stream_destroy(mongoc_stream_t *stream)
{
    struct stc_stream *s = stream_of(stream);

    stc_transport_leave(s->transport, s); /* T6 */
    s->socket->until = 0; /* TLS may say goodbye, but not wait for it */
    mongoc_stream_destroy(s->inner);
    free(s->plain);
    free(s->in);
    free(s);
}

static int stream_flush(mongoc_stream_t *stream)
{
    return mongoc_stream_flush(stream_of(stream)->inner);
}

static int stream_setsockopt(mongoc_stream_t *stream, int level, int option,
                             void *value, mongoc_socklen_t size)
{
    return mongoc_stream_setsockopt(stream_of(stream)->inner, level, option,
                                    value, size);
}

static mongoc_stream_t *stream_base(mongoc_stream_t *stream)
{
    return stream_of(stream)->inner;
}

static bool stream_check_closed(mongoc_stream_t *stream)
{
    return mongoc_stream_check_closed(stream_of(stream)->inner);
}

static bool stream_timed_out(mongoc_stream_t *stream)
{
    return stream_of(stream)->timed_out; /* T5 */
}

static bool stream_should_retry(mongoc_stream_t *stream)
{
    (void)stream;
    return false;
}

/* ---- made -------------------------------------------------------- */

static mongoc_stream_t *no_memory(bson_error_t *error)
{
    bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET,
                   "connection: no memory for it");
    return NULL;
}

/* The driver's TLS on top of `base`, which it takes. */
static mongoc_stream_t *begin_tls(const struct stc_network *n,
                                  struct stc_socket *base,
                                  const mongoc_host_list_t *host,
                                  int32_t connect_ms, bson_error_t *error)
{
    mongoc_ssl_opt_t options = n->tls; /* the driver may change its copy */
    mongoc_stream_t *tls = mongoc_stream_tls_new_with_hostname(
        &base->stream, host->host, &options, 1);

    if (tls == NULL) {
        mongoc_stream_destroy(&base->stream);
        bson_set_error(error, MONGOC_ERROR_STREAM,
                       MONGOC_ERROR_STREAM_SOCKET,
                       "TLS can not be set up for %s: look at tlsCAFile and "
                       "tlsCertificateKeyFile",
                       host->host_and_port);
        return NULL;
    }
    base->until = stf_deadline_after_ms(connect_ms);
    if (mongoc_stream_tls_handshake_block(tls, host->host, connect_ms, error))
        return tls;
    base->until = 0;
    mongoc_stream_destroy(tls);
    return NULL;
}

static struct stc_stream *stream_new(struct stc_transport *t,
                                     struct stc_socket *socket,
                                     mongoc_stream_t *inner,
                                     const mongoc_host_list_t *host)
{
    struct stc_stream *s = calloc(1, sizeof *s);

    if (s == NULL) {
        mongoc_stream_destroy(inner);
        return NULL;
    }
    s->stream = (mongoc_stream_t){
        .type = TYPE,
        .destroy = stream_destroy,
        .close = stream_close,
        .flush = stream_flush,
        .writev = stream_writev,
        .readv = stream_readv,
        .setsockopt = stream_setsockopt,
        .get_base_stream = stream_base,
        .check_closed = stream_check_closed,
        .failed = stream_destroy,
        .timed_out = stream_timed_out,
        .should_retry = stream_should_retry,
    };
    s->transport = t;
    s->socket = socket;
    s->inner = inner;
    bson_strncpy(s->host, host->host_and_port, sizeof s->host);
    stc_transport_enter(t, s);
    return s;
}

mongoc_stream_t *stc_stream_initiate(const mongoc_uri_t *uri,
                                     const mongoc_host_list_t *host,
                                     void *transport, bson_error_t *error)
{
    struct stc_transport *t = transport;
    struct stc_network *n = t->network;
    struct stc_socket *socket;
    struct stc_stream *s;
    mongoc_stream_t *inner;
    int32_t connect_ms = limit(t, n->connect_ms);
    int fd;

    (void)uri; /* the network has read it */
    if (stc_transport_is_hung_up(t)) {
        bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_CONNECT,
                       "the client is closed");
        return NULL;
    }
    if (!stc_transport_is_watch(t)) {
        t->flaw = NULL; /* of a connection before this one */
        atomic_fetch_add(&n->dials, 1);
    }
    fd = stc_dial(n->client, host, stf_deadline_after_ms(connect_ms), error);
    if (fd < 0)
        return NULL;
    socket = stc_socket_new(fd);
    if (socket == NULL)
        return no_memory(error);
    inner = &socket->stream;
    if (n->use_tls) {
        inner = begin_tls(n, socket, host, connect_ms, error);
        if (inner == NULL)
            return NULL;
    }
    s = stream_new(t, socket, inner, host);
    return s == NULL ? no_memory(error) : &s->stream;
}
