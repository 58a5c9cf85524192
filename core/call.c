/* SPDX-License-Identifier: Apache-2.0 */
/* core/call.c - from an operation's bytes to a verb's call and back. */
#include "core/call.h"

#include <stdlib.h>
#include <string.h>

#include "core/session.h"
#include "core/target.h"
#include "futures/base.h"

static uint32_t length_at(const uint8_t *bytes)
{
    uint32_t length;

    memcpy(&length, bytes, sizeof length);
    return BSON_UINT32_FROM_LE(length);
}

int32_t stc_max_time_ms(int64_t deadline)
{
    int left = stf_poll_timeout(deadline);

    if (left < 0)
        return 0;
    return left < 1 ? 1 : left;
}

static const mongoc_read_prefs_t *
prefs_of(const struct stc_views *views)
{
    const struct stc_call *call = &views->call;

    /* In a transaction its own preference counts, not the handle's. */
    if (views->own_prefs != NULL || call->in_transaction)
        return views->own_prefs;
    if (call->collection != NULL)
        return mongoc_collection_get_read_prefs(call->collection);
    if (call->database != NULL)
        return mongoc_database_get_read_prefs(call->database);
    return NULL;
}

/* The driver's number of the session into the opts. */
static bool enter_session(struct stc_views *views)
{
    struct stc_call *call = &views->call;
    mongoc_client_session_t *driver = call->session->driver;
    bson_t opts = call->opts;

    if (driver == NULL) {
        bson_set_error(&call->result->error, STATOR_ERROR_DOMAIN,
                       STATOR_ERROR_CLOSED, "the session has ended");
        return false;
    }
    stc_session_before(call->session);
    call->in_transaction = mongoc_client_session_in_transaction(driver);
    bson_copy_to(&opts, &call->opts);
    views->owns_opts = true;
    return mongoc_client_session_append(driver, &call->opts,
                                        &call->result->error);
}

bool stc_views_open(struct stc_views *views, struct stc_connection *c,
                    struct stc_target *target, const uint8_t *bytes,
                    uint32_t n_documents, int64_t deadline,
                    struct stc_session *session, struct stf_result *result)
{
    struct stc_call *call = &views->call;
    uint32_t n = n_documents - 2;
    bson_t prefs;

    stc_connection_aim(c, target);
    call->client = c->client;
    call->collection = c->collection;
    call->database = c->database;
    call->db = target->db;
    call->name = target->name;
    call->result = result;
    call->session = session;
    call->stream = NULL;
    c->transport.lsid_host[0] = '\0';
    call->went_to = c->transport.lsid_host;
    call->in_transaction = false;
    call->unacknowledged = false;
    call->max_time_ms = stc_max_time_ms(deadline);
    call->n_arguments = n;
    call->arguments = views->few;
    views->many = NULL;
    views->own_prefs = NULL;
    views->owns_opts = false;
    if (n > sizeof views->few / sizeof views->few[0]) {
        views->many = aligned_alloc(_Alignof(bson_t), n * sizeof(bson_t));
        call->arguments = views->many;
        if (views->many == NULL) {
            bson_set_error(&result->error, STATOR_ERROR_DOMAIN,
                           STATOR_ERROR_MEMORY, "no memory for %u views", n);
            return false;
        }
    }
    bson_init_static(&call->opts, bytes, length_at(bytes));
    bytes += length_at(bytes);
    bson_init_static(&prefs, bytes, length_at(bytes));
    bytes += length_at(bytes);
    for (uint32_t i = 0; i < n; i++) {
        bson_init_static(&call->arguments[i], bytes, length_at(bytes));
        bytes += length_at(bytes);
    }
    if (session != NULL && session->is_started && !enter_session(views))
        return false;
    views->own_prefs = stc_read_prefs_new(&prefs);
    call->own_read_prefs = views->own_prefs;
    call->read_prefs = prefs_of(views);
    return true;
}

void stc_views_close(struct stc_views *views)
{
    free(views->many);
    if (views->owns_opts)
        bson_destroy(&views->call.opts);
    if (views->own_prefs != NULL)
        mongoc_read_prefs_destroy(views->own_prefs);
}

/* Does the driver's error come from before anything was sent? */
static bool is_of_home(const bson_error_t *error)
{
    switch (error->domain) {
    case MONGOC_ERROR_STREAM:
        return error->code == MONGOC_ERROR_STREAM_CONNECT ||
               error->code == MONGOC_ERROR_STREAM_NAME_RESOLUTION ||
               error->code == MONGOC_ERROR_STREAM_INVALID_TYPE;
    case BSON_ERROR_INVALID: /* the same number as MONGOC_ERROR_PROTOCOL */
        return error->code != MONGOC_ERROR_PROTOCOL_INVALID_REPLY;
    case MONGOC_ERROR_SERVER_SELECTION:
    case MONGOC_ERROR_CLIENT:
    case MONGOC_ERROR_COMMAND:
    case MONGOC_ERROR_BSON:
    case STATOR_ERROR_DOMAIN:
        return true;
    default:
        return false;
    }
}

/* With the driver's streams there is only its error to go by.  Some verbs
 * send several messages, and the fault can lie in a later one. */
static bool has_sent_nothing(const struct stc_call *call)
{
    const struct stf_result *result = call->result;

    return is_of_home(&result->error) &&
           (call->n_arguments <= 1 || !result->has_reply ||
            bson_empty(&result->reply));
}

stator_outcome_t stc_outcome(const struct stc_call *call, bool ok,
                             struct stc_transport *transport)
{
    const bson_error_t *error = &call->result->error;
    enum stc_sent sent;

    if (ok)
        return call->unacknowledged ? STATOR_MAYBE_SENT : STATOR_ANSWERED;
    if (error->domain == MONGOC_ERROR_SERVER ||
        error->domain == MONGOC_ERROR_WRITE_CONCERN)
        return STATOR_ANSWERED;
    sent = stc_transport_sent(transport);
    if (sent == STC_SENT_UNKNOWN)
        sent = has_sent_nothing(call) ? STC_SENT_NOTHING : STC_SENT_SOMETHING;
    return sent == STC_SENT_NOTHING ? STATOR_NOT_SENT : STATOR_MAYBE_SENT;
}

void stc_note_expiry(struct stc_call *call)
{
    enum { MAX_TIME_MS_EXPIRED = 50 };
    bson_error_t *error = &call->result->error;

    if (call->max_time_ms > 0 && error->domain == MONGOC_ERROR_SERVER &&
        error->code == MAX_TIME_MS_EXPIRED &&
        !bson_has_field(&call->opts, "maxTimeMS"))
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_EXPIRED,
                       "timeoutMS ran out on the server");
}

stator_phase_t stc_phase(stator_outcome_t outcome)
{
    switch (outcome) {
    case STATOR_NOT_SENT:
        return STATOR_PHASE_CHECKOUT;
    case STATOR_MAYBE_SENT:
        return STATOR_PHASE_SENT;
    default:
        return STATOR_PHASE_DONE;
    }
}
