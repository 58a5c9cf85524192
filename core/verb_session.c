/* SPDX-License-Identifier: Apache-2.0 */
/* core/verb_session.c - sessions and transactions. */
#include <string.h>

#include "core/session.h"
#include "core/verb_support.h"
#include "futures/future.h"

/* ---- the driver's options ---------------------------------------- */

/* {readConcern, writeConcern, readPreference, maxCommitTimeMS}, checked by
 * lib; `prefs` (or NULL) comes beside it. */
static mongoc_transaction_opt_t *
transaction_opts_new(const bson_t *options, const mongoc_read_prefs_t *prefs)
{
    mongoc_transaction_opt_t *out = mongoc_transaction_opts_new();
    mongoc_read_prefs_t *own = NULL;
    const uint8_t *data;
    uint32_t length;
    bson_iter_t i;
    bson_t view;

    if (bson_iter_init_find(&i, options, "readConcern")) {
        mongoc_read_concern_t *concern = stc_read_concern_new(&i);

        mongoc_transaction_opts_set_read_concern(out, concern);
        mongoc_read_concern_destroy(concern);
    }
    if (bson_iter_init_find(&i, options, "writeConcern")) {
        mongoc_write_concern_t *concern = stc_write_concern_new(&i);

        mongoc_transaction_opts_set_write_concern(out, concern);
        mongoc_write_concern_destroy(concern);
    }
    if (bson_iter_init_find(&i, options, "readPreference")) {
        bson_iter_document(&i, &length, &data);
        if (bson_init_static(&view, data, length))
            own = stc_read_prefs_new(&view);
    }
    if (own != NULL || prefs != NULL)
        mongoc_transaction_opts_set_read_prefs(out,
                                               own != NULL ? own : prefs);
    mongoc_read_prefs_destroy(own);
    if (bson_iter_init_find(&i, options, "maxCommitTimeMS"))
        mongoc_transaction_opts_set_max_commit_time_ms(
            out, bson_iter_as_int64(&i));
    return out;
}

static mongoc_session_opt_t *session_opts_new(const bson_t *options)
{
    mongoc_session_opt_t *out = mongoc_session_opts_new();
    mongoc_transaction_opt_t *transaction;
    const uint8_t *data;
    uint32_t length;
    bson_iter_t i;
    bson_t view;

    if (bson_iter_init_find(&i, options, "causalConsistency"))
        mongoc_session_opts_set_causal_consistency(out, bson_iter_bool(&i));
    if (bson_iter_init_find(&i, options, "snapshot"))
        mongoc_session_opts_set_snapshot(out, bson_iter_bool(&i));
    if (bson_iter_init_find(&i, options, "defaultTransactionOptions")) {
        bson_iter_document(&i, &length, &data);
        if (bson_init_static(&view, data, length)) {
            transaction = transaction_opts_new(&view, NULL);
            mongoc_session_opts_set_default_transaction_opts(out,
                                                             transaction);
            mongoc_transaction_opts_destroy(transaction);
        }
    }
    return out;
}

/* ---- verbs ------------------------------------------------------- */

static void release_session(void *session)
{
    stc_session_unref(session);
}

static bool start_session(struct stc_call *call)
{
    struct stc_session *session = call->session;
    mongoc_session_opt_t *options = session_opts_new(&call->opts);

    session->driver = mongoc_client_start_session(call->client, options,
                                                  &call->result->error);
    mongoc_session_opts_destroy(options);
    if (session->driver == NULL)
        return stc_verb_end(call, false, NULL);
    session->is_started = true;
    stc_tie_ref(&session->tie);
    stf_result_take_handle(call->result, session, release_session);
    return true;
}

static bool start_transaction(struct stc_call *call)
{
    mongoc_transaction_opt_t *options =
        transaction_opts_new(&call->opts, call->own_read_prefs);
    bool ok = mongoc_client_session_start_transaction(
        call->session->driver, options, &call->result->error);

    mongoc_transaction_opts_destroy(options);
    return stc_verb_end(call, ok, NULL);
}

static bool commit_transaction(struct stc_call *call)
{
    bson_t reply;
    bool ok = mongoc_client_session_commit_transaction(
        call->session->driver, &reply, &call->result->error);

    return stc_verb_end(call, ok, &reply);
}

static bool abort_transaction(struct stc_call *call)
{
    bool ok = mongoc_client_session_abort_transaction(
        call->session->driver, &call->result->error);

    return stc_verb_end(call, ok, NULL);
}

#define VERB(verb) \
    const struct stc_verb stc_verb_##verb = {.name = #verb, .run = (verb)}

VERB(start_session);
VERB(start_transaction);
VERB(commit_transaction);
VERB(abort_transaction);
const struct stc_verb stc_verb_lease = {.name = "lease"};
const struct stc_verb stc_verb_session_run = {.name = "session_run"};

struct stc_session *stc_future_session(const stator_future_t *f)
{
    struct stc_session *session = stf_future_handle(f, release_session);

    if (session != NULL)
        stc_tie_add_handle(&session->tie);
    return session;
}
