/* SPDX-License-Identifier: Apache-2.0 */
/* core/reach.c - why a server is not reached. */
#include "core/reach.h"

#include <string.h>

#include "core/dial.h"
#include "core/guard.h"
#include "core/socket.h"
#include "futures/base.h"

enum { PROBE_MS = 500 };

/* ---- does it answer without TLS? --------------------------------- */

/* A greeting in plain text, which tells nothing of anybody. */
static bool greet(struct stc_socket *s, int64_t deadline)
{
    enum { REQUEST_ID = 1 };
    bson_t *hello = BCON_NEW("hello", BCON_INT32(1), "$db", "admin");
    uint32_t head[5] = {sizeof head + 1 + hello->len, REQUEST_ID, 0,
                        STC_OP_MSG, 0};
    uint8_t kind = 0, reply[STC_GUARD_HEADER];
    struct stc_guard guard;
    uint32_t length;
    size_t n = 0;
    ssize_t got = 1;
    mongoc_iovec_t iov[3] = {{head, sizeof head},
                             {&kind, sizeof kind},
                             {(void *)bson_get_data(hello), hello->len}};

    for (size_t i = 0; i < 5; i++)
        head[i] = BSON_UINT32_TO_LE(head[i]);
    if (!stc_guard_request(&guard, iov, 3) ||
        mongoc_stream_writev(&s->stream, iov, 3, PROBE_MS) < 0)
        got = -1;
    while (got > 0 && n < sizeof reply) {
        got = stc_socket_receive(s, reply + n, sizeof reply - n, deadline);
        n += got > 0 ? (size_t)got : 0;
    }
    bson_destroy(hello);
    return n == sizeof reply &&
           stc_guard_header(&guard, reply, &length) == NULL;
}

static bool answers_plainly(struct stc_reach *r,
                            const mongoc_host_list_t *host)
{
    int64_t deadline = stf_deadline_after_ms(PROBE_MS);
    struct stc_socket *s = NULL;
    bson_error_t error;
    bool ok = false;
    int fd = stc_dial(r->client, host, deadline, &error);

    if (fd >= 0)
        s = stc_socket_new(fd);
    if (s != NULL) {
        ok = greet(s, deadline);
        mongoc_stream_destroy(&s->stream);
    }
    return ok;
}

/* ---- what the monitors say --------------------------------------- */

/* OpenSSL names what is wrong with a certificate, and nothing else. */
static bool is_worth_probing(struct stc_reach *r,
                             const mongoc_host_list_t *host,
                             const char *message)
{
    bool worth;

    if (!r->wants_tls || strstr(message, "TLS") == NULL ||
        strstr(message, "certificate") != NULL)
        return false;
    pthread_mutex_lock(&r->lock);
    worth = strcmp(r->probed, host->host_and_port) != 0;
    if (worth) {
        bson_strncpy(r->probed, host->host_and_port, sizeof r->probed);
        r->is_plain = false;
    }
    pthread_mutex_unlock(&r->lock);
    return worth;
}

void stc_reach_failed(struct stc_reach *r, const mongoc_host_list_t *host,
                      const bson_error_t *error)
{
    /* The driver's other monitors wait meanwhile; PROBE_MS at most. */
    bool is_plain = is_worth_probing(r, host, error->message) &&
                    answers_plainly(r, host);

    pthread_mutex_lock(&r->lock);
    r->is_plain = r->is_plain || is_plain;
    bson_strncpy(r->host, host->host_and_port, sizeof r->host);
    bson_strncpy(r->message, error->message, sizeof r->message);
    pthread_mutex_unlock(&r->lock);
}

void stc_reach_succeeded(struct stc_reach *r, const char *host)
{
    pthread_mutex_lock(&r->lock);
    if (strcmp(r->host, host) == 0)
        r->message[0] = '\0';
    if (strcmp(r->probed, host) == 0)
        r->probed[0] = '\0';
    pthread_mutex_unlock(&r->lock);
}

void stc_reach_init(struct stc_reach *r, stator_client_t *client)
{
    r->client = client;
    pthread_mutex_init(&r->lock, NULL);
}

void stc_reach_destroy(struct stc_reach *r)
{
    pthread_mutex_destroy(&r->lock);
}

/* ---- told -------------------------------------------------------- */

static const char *plainly(const struct stc_reach *r)
{
    return r->is_plain && strcmp(r->probed, r->host) == 0
               ? ": the server speaks no TLS"
               : "";
}

void stc_reach_explain(struct stc_reach *r, bson_error_t *error)
{
    size_t n = strlen(error->message), room = sizeof error->message - n;
    char *end = error->message + n;

    if (error->domain != MONGOC_ERROR_SERVER_SELECTION)
        return;
    pthread_mutex_lock(&r->lock);
    if (r->message[0] != '\0' && strstr(error->message, r->message) != NULL)
        bson_snprintf(end, room, "%s", plainly(r)); /* the driver tells it */
    else if (r->message[0] != '\0')
        bson_snprintf(end, room, ": %s: %s%s", r->host, r->message,
                      plainly(r));
    pthread_mutex_unlock(&r->lock);
}

bool stc_reach_why(struct stc_reach *r, const char *what, bson_error_t *error)
{
    bool is_known;

    pthread_mutex_lock(&r->lock);
    is_known = r->message[0] != '\0';
    if (is_known)
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_EXPIRED,
                       "%s; not reached: %s: %s%s", what, r->host, r->message,
                       plainly(r));
    pthread_mutex_unlock(&r->lock);
    return is_known;
}
