/* SPDX-License-Identifier: Apache-2.0 */
/* futures/promise.c - the producing side, for sources of the user's own.
 *
 * A promise is its future, seen from the other side: `producers` counts the
 * references on it, all of which together hold one on the future. */
#include <stator/promise.h>

#include "futures/future.h"

stator_promise_t *stator_promise_new(void)
{
    stator_future_t *f = stf_future_new_plain("promise");

    if (f == NULL)
        return stf_promise_of(stf_future_no_memory());
    STF_INIT(&f->producers, 1u);
    return stf_promise_of(f);
}

stator_promise_t *stator_promise_ref(stator_promise_t *promise)
{
    if (promise != NULL && !promise->future.immortal)
        STF_ADD(&promise->future.producers, 1u, relaxed);
    return promise;
}

void stator_promise_unref(stator_promise_t *promise)
{
    if (promise == NULL || promise->future.immortal ||
        STF_SUB(&promise->future.producers, 1u, acq_rel) != 1)
        return;
    stf_settle_code(&promise->future, STATOR_FUTURE_FAILED,
                    STATOR_ERROR_CLOSED,
                    "its last reference went before it was settled",
                    STATOR_NOT_SENT);
    stator_future_unref(&promise->future);
}

stator_future_t *stator_promise_future(stator_promise_t *promise)
{
    if (promise == NULL)
        return stf_future_failed(STATOR_ERROR_ARGUMENT, "promise", "is NULL");
    return stator_future_ref(&promise->future);
}

static bool settle(stator_promise_t *promise, stator_future_state_t final,
                   const bson_error_t *error, const bson_t *document,
                   const bson_t *reply)
{
    stator_future_t *f = &promise->future;
    struct stf_result *result;

    if (stf_state_word(&f->state) != STF_PENDING)
        return false;
    if (!stf_bson_is_sound(document) || !stf_bson_is_sound(reply))
        return stf_settle_code(f, STATOR_FUTURE_FAILED, STATOR_ERROR_ARGUMENT,
                               "settled with corrupt BSON", STATOR_NOT_SENT);
    result = stf_result_new();
    if (result == NULL || !stf_result_copy(result, document, reply)) {
        stf_result_free(result);
        return stf_settle_code(f, STATOR_FUTURE_FAILED, STATOR_ERROR_MEMORY,
                               "no memory for its result", STATOR_NOT_SENT);
    }
    if (error != NULL) {
        result->error = *error;
        result->has_error = true;
    }
    /* A value that comes from the user is an answer. */
    if (stf_settle(f, final, result,
                   final == STATOR_FUTURE_DONE || reply != NULL
                       ? STATOR_ANSWERED
                       : stator_future_outcome(f)))
        return true;
    stf_result_free(result);
    return false;
}

bool stator_promise_resolve(stator_promise_t *promise, const bson_t *document,
                            const bson_t *reply)
{
    return promise != NULL &&
           settle(promise, STATOR_FUTURE_DONE, NULL, document, reply);
}

bool stator_promise_fail(stator_promise_t *promise, const bson_error_t *error,
                         const bson_t *reply)
{
    static const bson_error_t unnamed = {
        STATOR_ERROR_DOMAIN, STATOR_ERROR_CLOSED, "promise: failed"};

    return promise != NULL &&
           settle(promise, STATOR_FUTURE_FAILED,
                  error == NULL ? &unnamed : error, NULL, reply);
}

bool stator_promise_cancelled(const stator_promise_t *promise)
{
    uint32_t word;

    if (promise == NULL)
        return false;
    word = stf_state_word(&promise->future.state);
    if ((word & STF_FINAL_MASK) == STATOR_FUTURE_CANCELLED)
        return true;
    return word == STATOR_FUTURE_FAILED &&
           promise->future.code == STATOR_ERROR_EXPIRED;
}
