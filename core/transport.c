/* SPDX-License-Identifier: Apache-2.0 */
/* core/transport.c - how the streams of one driver client are cut short. */
#include "core/transport.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "core/op.h"
#include "core/stream.h"

enum { CONNECT_MS = 10000 }; /* the driver's default */

/* ---- what all share ---------------------------------------------- */

static bool flag(const mongoc_uri_t *uri, const char *key, bool otherwise)
{
    return mongoc_uri_get_option_as_bool(uri, key, otherwise);
}

static bool has_mechanism(const mongoc_uri_t *uri, const char *name)
{
    const char *mechanism = mongoc_uri_get_auth_mechanism(uri);

    return mechanism != NULL && strcmp(mechanism, name) == 0;
}

/* Must connections for `uri` keep the driver's streams? */
static bool needs_drivers(const mongoc_uri_t *uri)
{
#if MONGOC_CHECK_VERSION(2, 0, 0)
    (void)uri;
    return true; /* it takes no stream initiator on a pooled client */
#else
    /* Two settings that the driver keeps where nobody else can put them, and
     * a mechanism that asks the driver's socket for the server's name. */
    return flag(uri, MONGOC_URI_TLSDISABLECERTIFICATEREVOCATIONCHECK,
                false) ||
           flag(uri, MONGOC_URI_TLSDISABLEOCSPENDPOINTCHECK, false) ||
           has_mechanism(uri, "GSSAPI");
#endif
}

void stc_network_init(struct stc_network *n, stator_client_t *client,
                      bool wanted, bool is_adopted)
{
    n->client = client;
    n->is_adopted = is_adopted;
    atomic_init(&n->is_ours, wanted);
    stc_transport_init(&n->watch, n);
}

void stc_network_destroy(struct stc_network *n)
{
    stc_transport_destroy(&n->watch);
}

static const char *text(const mongoc_uri_t *uri, const char *key)
{
    return mongoc_uri_get_option_as_utf8(uri, key, NULL);
}

void stc_network_read(struct stc_network *n, const mongoc_uri_t *uri)
{
    bool insecure = flag(uri, MONGOC_URI_TLSINSECURE, false);

    if (needs_drivers(uri))
        atomic_store(&n->is_ours, false);
    n->connect_ms = mongoc_uri_get_option_as_int32(
        uri, MONGOC_URI_CONNECTTIMEOUTMS, CONNECT_MS);
    if (n->connect_ms <= 0) /* the driver takes it, and never connects */
        n->connect_ms = CONNECT_MS;
    n->use_tls = mongoc_uri_get_tls(uri) ||
                 has_mechanism(uri, "MONGODB-X509");
    n->tls = (mongoc_ssl_opt_t){
        .pem_file = text(uri, MONGOC_URI_TLSCERTIFICATEKEYFILE),
        .pem_pwd = text(uri, MONGOC_URI_TLSCERTIFICATEKEYFILEPASSWORD),
        .ca_file = text(uri, MONGOC_URI_TLSCAFILE),
        .weak_cert_validation = flag(
            uri, MONGOC_URI_TLSALLOWINVALIDCERTIFICATES, insecure),
        .allow_invalid_hostname =
            flag(uri, MONGOC_URI_TLSALLOWINVALIDHOSTNAMES, insecure),
    };
}

/* ---- one --------------------------------------------------------- */

void stc_transport_init(struct stc_transport *t, struct stc_network *n)
{
    t->network = n;
    pthread_mutex_init(&t->lock, NULL);
    t->fd = -1;
    CDS_INIT_LIST_HEAD(&t->streams);
}

void stc_transport_destroy(struct stc_transport *t)
{
    pthread_mutex_destroy(&t->lock);
}

void stc_transport_install(struct stc_transport *t, mongoc_client_t *client)
{
#if MONGOC_CHECK_VERSION(2, 0, 0)
    (void)t;
    (void)client;
#else
    if (atomic_load(&t->network->is_ours))
        mongoc_client_set_stream_initiator(client, stc_stream_initiate, t);
#endif
}

#if !MONGOC_CHECK_VERSION(2, 0, 0)
/* Exported by the driver, in no header of it, and gone from later ones.
 * NOLINTNEXTLINE(bugprone-reserved-identifier): the name is the driver's */
extern void _mongoc_client_pool_set_stream_initiator(
    mongoc_client_pool_t *pool, mongoc_stream_initiator_t initiator,
    void *context) __attribute__((weak));
#endif

void stc_network_install(struct stc_network *n, mongoc_client_pool_t *pool)
{
#if MONGOC_CHECK_VERSION(2, 0, 0)
    (void)n;
    (void)pool;
#else
    if (atomic_load(&n->is_ours) &&
        _mongoc_client_pool_set_stream_initiator != NULL)
        _mongoc_client_pool_set_stream_initiator(pool, stc_stream_initiate,
                                                 &n->watch);
#endif
}

void stc_transport_begin(struct stc_transport *t, struct stc_op *op)
{
    pthread_mutex_lock(&t->lock);
    t->op = op;
    t->is_cut = false;
    t->was_sent = false;
    pthread_mutex_unlock(&t->lock);
    t->flaw = NULL;
    t->has_lsid = false;
    STF_STORE(&op->unsent, 0u, relaxed);
    STF_STORE(&op->transport, t, release);
}

/* Nothing of it can have gone out, also by a stream of the driver's. */
static bool is_unsent(const struct stc_transport *t)
{
    return !t->was_sent && atomic_load(&t->network->is_ours) &&
           !t->network->is_adopted;
}

bool stc_transport_end(struct stc_transport *t, struct stc_op *op)
{
    bool was_cut;

    pthread_mutex_lock(&t->lock);
    was_cut = t->is_cut;
    STF_STORE(&op->unsent, (uint32_t)is_unsent(t), relaxed);
    t->op = NULL;
    t->is_cut = false;
    t->fd = -1;
    pthread_mutex_unlock(&t->lock);
    STF_STORE(&op->transport, NULL, release);
    return was_cut;
}

bool stc_transport_cut(struct stc_transport *t, const struct stc_op *op)
{
    bool maybe_sent;

    pthread_mutex_lock(&t->lock);
    if (t->op == op) {
        t->is_cut = atomic_load(&t->network->is_ours);
        maybe_sent = !is_unsent(t);
        if (t->fd >= 0) {
            shutdown(t->fd, SHUT_RDWR);
            atomic_fetch_add(&t->network->cuts, 1);
        }
    } else { /* T2: the driver has returned */
        maybe_sent = STF_LOAD(&op->unsent, relaxed) == 0;
    }
    pthread_mutex_unlock(&t->lock);
    return maybe_sent;
}

enum stc_sent stc_transport_sent(struct stc_transport *t)
{
    enum stc_sent sent = STC_SENT_UNKNOWN;

    pthread_mutex_lock(&t->lock);
    if (t->was_sent)
        sent = STC_SENT_SOMETHING;
    else if (is_unsent(t))
        sent = STC_SENT_NOTHING;
    pthread_mutex_unlock(&t->lock);
    return sent;
}

void stc_transport_hang_up(struct stc_transport *t)
{
    struct stc_stream *s;

    pthread_mutex_lock(&t->lock);
    t->is_hung_up = true;
    cds_list_for_each_entry(s, &t->streams, node)
        shutdown(s->socket->fd, SHUT_RDWR);
    pthread_mutex_unlock(&t->lock);
}

void stc_transport_explain(const struct stc_transport *t, bson_error_t *error)
{
    size_t n = strlen(error->message);

    if (t->flaw != NULL && error->domain == MONGOC_ERROR_STREAM)
        snprintf(error->message + n, sizeof error->message - n, ": %s%s",
                 t->is_refusal ? "the server's answer is refused: " : "",
                 t->flaw);
}

/* ---- for its streams --------------------------------------------- */

bool stc_transport_arm(struct stc_transport *t, int fd)
{
    bool ok;

    pthread_mutex_lock(&t->lock);
    ok = !t->is_cut && !t->is_hung_up;
    if (ok && t->op != NULL) {
        t->fd = fd;
        t->was_sent = true;
    }
    pthread_mutex_unlock(&t->lock);
    return ok;
}

bool stc_transport_disarm(struct stc_transport *t)
{
    bool was_shut;

    pthread_mutex_lock(&t->lock);
    was_shut = t->is_hung_up || (t->is_cut && t->fd >= 0);
    t->fd = -1;
    pthread_mutex_unlock(&t->lock);
    return !was_shut;
}

void stc_transport_enter(struct stc_transport *t, struct stc_stream *s)
{
    pthread_mutex_lock(&t->lock);
    cds_list_add(&s->node, &t->streams);
    if (t->is_hung_up)
        shutdown(s->socket->fd, SHUT_RDWR);
    pthread_mutex_unlock(&t->lock);
}

void stc_transport_leave(struct stc_transport *t, struct stc_stream *s)
{
    pthread_mutex_lock(&t->lock);
    cds_list_del(&s->node);
    if (t->fd == s->socket->fd)
        t->fd = -1;
    pthread_mutex_unlock(&t->lock);
}

bool stc_transport_is_hung_up(struct stc_transport *t)
{
    bool is_hung_up;

    pthread_mutex_lock(&t->lock);
    is_hung_up = t->is_hung_up;
    pthread_mutex_unlock(&t->lock);
    return is_hung_up;
}

bool stc_transport_is_cut(struct stc_transport *t)
{
    bool is_cut;

    pthread_mutex_lock(&t->lock);
    is_cut = t->is_cut || t->is_hung_up;
    pthread_mutex_unlock(&t->lock);
    return is_cut;
}

bool stc_transport_is_attended(struct stc_transport *t)
{
    bool is_attended;

    pthread_mutex_lock(&t->lock);
    is_attended = stc_transport_is_watch(t) ||
                  (t->op != NULL && !t->is_cut);
    pthread_mutex_unlock(&t->lock);
    return is_attended;
}
