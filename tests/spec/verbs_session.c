/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_session.c - transactions. */
#include <pthread.h>

#include "tests/spec/await.h"
#include "tests/spec/operation.h"
#include "tests/spec/options.h"
#include "tests/spec/session.h"
#include "tests/spec/value.h"

static bool is_open(const call_t *call)
{
    return session_is_open(call->object) ||
           verdict_fail(call->run->verdict, "the session has ended");
}

static bool end(call_t *call)
{
    return session_end_and_wait(call->object, call->run->verdict);
}

/* ---- the raw driver -------------------------------------------------- */

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

/* ---- Stator ---------------------------------------------------------- */

static bool settle(call_t *call, stator_future_t *future)
{
    if (!call_settle(call, future))
        return false;
    stator_future_unref(future);
    return true;
}

static bool start(call_t *call)
{
    stator_future_t *future;
    bson_t opts = BSON_INITIALIZER;

    if (!is_open(call))
        return false;
    options_append_all(&opts, &call->arguments);
    future = stator_session_start_transaction(call->object->stator.session,
                                              &opts);
    bson_destroy(&opts);
    return settle(call, future);
}

static bool commit(call_t *call)
{
    return is_open(call) &&
           settle(call, stator_session_commit_transaction(
                            call->object->stator.session, NULL));
}

static bool abort_(call_t *call)
{
    return is_open(call) &&
           settle(call, stator_session_abort_transaction(
                            call->object->stator.session, NULL));
}

/* ---- withTransaction ------------------------------------------------- */

typedef struct callback {
    call_t *call;
    bool gave_up; /* an operation did not go as it should; see the verdict */
    /* Stator's: */
    stator_promise_t *promise; /* of the turn that is at work */
    pthread_t thread;          /* of the last turn */
    bool has_thread;
} callback_t;

/* The operations of the callback; the first error ends it, and is passed on,
 * even where it was expected: `result`. */
static bool run_callback(callback_t *callback, result_t *result)
{
    run_t *run = callback->call->run;
    bson_t operations, operation;
    bson_iter_t at;

    call_view(callback->call, "callback", &operations);
    bson_iter_init(&at, &operations);
    result_init(result);
    while (!result->failed && bson_iter_next(&at)) {
        result_clear(result, run->setup);
        value_look(&at, &operation);
        if (!operation_run(run, &operation, result)) {
            callback->gave_up = true;
            result->failed = true;
            bson_set_error(&result->error, 0, 0, "the test has failed");
        }
    }
    return !result->failed;
}

static bool raw_callback(mongoc_client_session_t *session, void *arg,
                         bson_t **reply, bson_error_t *error)
{
    callback_t *callback = arg;
    result_t result;
    bool fine = run_callback(callback, &result);

    (void)session;
    if (!fine) {
        *error = result.error;
        *reply = bson_copy(&result.reply);
    }
    result_clear(&result, callback->call->run->setup);
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
    opts = session_transaction(&call->arguments, &fine, call->run->verdict);
    if (fine) {
        bson_destroy(&call->result->reply);
        if (!mongoc_client_session_with_transaction(
                call->object->raw.session, raw_callback, opts, &callback,
                &call->result->reply, &error))
            call_fail(call, &error);
    }
    if (opts != NULL)
        mongoc_transaction_opts_destroy(opts);
    return fine && !callback.gave_up;
}

/* The operations wait for their futures, which the dispatching thread must
 * not: each turn has a thread of its own, and a promise of its end. */
static void *take_turn(void *arg)
{
    callback_t *callback = arg;
    stator_promise_t *promise = callback->promise;
    result_t result;

    if (run_callback(callback, &result))
        stator_promise_resolve(promise, NULL, &result.reply);
    else
        stator_promise_fail(promise, &result.error, &result.reply);
    result_clear(&result, callback->call->run->setup);
    stator_promise_unref(promise);
    return NULL;
}

static void join(callback_t *callback)
{
    if (callback->has_thread)
        pthread_join(callback->thread, NULL);
    callback->has_thread = false;
}

static stator_future_t *begin_turn(stator_session_t *session, void *arg)
{
    callback_t *callback = arg;
    stator_future_t *future;

    (void)session;
    join(callback); /* the turn before has settled its promise */
    callback->promise = stator_promise_new();
    future = stator_promise_future(callback->promise);
    callback->has_thread = pthread_create(&callback->thread, NULL, take_turn,
                                          callback) == 0;
    if (!callback->has_thread)
        stator_promise_unref(callback->promise);
    return future;
}

static bool with(call_t *call)
{
    callback_t callback = {.call = call};
    stator_future_t *future;
    wait_mode_t mode;
    bool fine;

    if (!is_open(call))
        return false;
    mode = await_mode(call->run->setup->mode, &call->run->turn);
    /* From here on the run is the callback's, until the future has settled. */
    future = stator_session_with_transaction(
        call->object->stator.session, call->run->setup->dispatcher, begin_turn,
        &callback, &call->opts);
    fine = call_settle_by(call, future, mode);
    if (fine)
        stator_future_unref(future);
    join(&callback);
    return fine && !callback.gave_up;
}

#define TRANSACTION "maxCommitTimeMS readConcern readPreference writeConcern"

const verb_t session_verbs[] = {
    {"endSession", ENTITY_SESSION, "", end, end, NULL, MATCH_ROOT},
    {"startTransaction", ENTITY_SESSION, TRANSACTION, raw_start, start, NULL,
     MATCH_ROOT},
    {"commitTransaction", ENTITY_SESSION, "", raw_commit, commit, NULL,
     MATCH_ROOT},
    {"abortTransaction", ENTITY_SESSION, "", raw_abort, abort_, NULL,
     MATCH_ROOT},
    {"withTransaction", ENTITY_SESSION, "!callback | " TRANSACTION, raw_with,
     with, NULL, MATCH_ROOT},
    {.name = "getSnapshotTime",
     .on = ENTITY_SESSION,
     .lacks = "libmongoc 1.23 does not tell a session's snapshotTime"},
    {0}};
