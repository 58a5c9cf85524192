/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_session.c - transactions. */
#include <string.h>

#include "tests/spec/operation.h"
#include "tests/spec/session.h"
#include "tests/spec/value.h"

static bool is_open(const call_t *call)
{
    return call->object->raw.session != NULL ||
           verdict_fail(call->run->verdict, "the session has ended");
}

static bool raw_end(call_t *call)
{
    session_end(call->object);
    return true;
}

static bool raw_start(call_t *call)
{
    mongoc_transaction_opt_t *opts;
    bson_error_t error;
    bool fine = true;

    if (!is_open(call))
        return false;
    opts = session_transaction(&call->arguments, &fine, call->run->verdict);
    if (fine && !mongoc_client_session_start_transaction(
                    call->object->raw.session, opts, &error))
        call_fail(call, &error);
    if (opts != NULL)
        mongoc_transaction_opts_destroy(opts);
    return fine;
}

static bool raw_commit(call_t *call)
{
    bson_error_t error;

    if (!is_open(call))
        return false;
    bson_destroy(&call->result->reply);
    if (!mongoc_client_session_commit_transaction(
            call->object->raw.session, &call->result->reply, &error))
        call_fail(call, &error);
    return true;
}

static bool raw_abort(call_t *call)
{
    bson_error_t error;

    if (!is_open(call))
        return false;
    if (!mongoc_client_session_abort_transaction(call->object->raw.session,
                                                 &error))
        call_fail(call, &error);
    return true;
}

/* ---- withTransaction ------------------------------------------------- */

typedef struct callback {
    call_t *call;
    bool gave_up; /* an operation did not go as it should; see the verdict */
} callback_t;

/* The operations of the callback; the first error ends it, and is passed on,
 * even where it was expected. */
static bool run_callback(mongoc_client_session_t *session, void *arg,
                         bson_t **reply, bson_error_t *error)
{
    callback_t *callback = arg;
    run_t *run = callback->call->run;
    bson_t operations, operation;
    bson_iter_t at;
    bool fine = true;

    (void)session;
    call_view(callback->call, "callback", &operations);
    bson_iter_init(&at, &operations);
    while (fine && bson_iter_next(&at)) {
        result_t result;

        value_look(&at, &operation);
        if (!operation_run(run, &operation, &result)) {
            callback->gave_up = true;
            fine = false;
            bson_set_error(error, 0, 0, "the test has failed");
        } else if (result.failed) {
            fine = false;
            *error = result.error;
            *reply = bson_copy(&result.reply);
        }
        result_clear(&result, run->setup);
    }
    return fine;
}

static bool raw_with(call_t *call)
{
    callback_t callback = {.call = call};
    mongoc_transaction_opt_t *opts;
    bson_error_t error;
    bool fine = true;

    if (!is_open(call))
        return false;
    opts = session_transaction(&call->opts, &fine, call->run->verdict);
    if (fine) {
        bson_destroy(&call->result->reply);
        if (!mongoc_client_session_with_transaction(
                call->object->raw.session, run_callback, opts, &callback,
                &call->result->reply, &error))
            call_fail(call, &error);
    }
    if (opts != NULL)
        mongoc_transaction_opts_destroy(opts);
    return fine && !callback.gave_up;
}

#define TRANSACTION "maxCommitTimeMS readConcern readPreference writeConcern"

const verb_t session_verbs[] = {
    {"endSession", ENTITY_SESSION, "", raw_end, NULL, NULL, MATCH_ROOT},
    {"startTransaction", ENTITY_SESSION, TRANSACTION, raw_start, NULL, NULL,
     MATCH_ROOT},
    {"commitTransaction", ENTITY_SESSION, "", raw_commit, NULL, NULL,
     MATCH_ROOT},
    {"abortTransaction", ENTITY_SESSION, "", raw_abort, NULL, NULL,
     MATCH_ROOT},
    {"withTransaction", ENTITY_SESSION, "!callback | " TRANSACTION, raw_with,
     NULL, NULL, MATCH_ROOT},
    {.name = "getSnapshotTime",
     .on = ENTITY_SESSION,
     .lacks = "libmongoc 1.23 does not tell a session's snapshotTime"},
    {0}};
