/* SPDX-License-Identifier: Apache-2.0 */
/* lib/cursor.c - the cursor that a user holds. */
#include "lib/cursor.h"

#include <inttypes.h>
#include <stdlib.h>

#include "futures/future.h"

static struct stator_cursor no_memory = {.refs = 1, .is_immortal = true};

stator_cursor_t *stl_cursor_new(stator_client_t *client,
                                struct stc_request *request)
{
    stator_cursor_t *cursor = malloc(sizeof *cursor);

    if (cursor == NULL) {
        stc_request_drop(request);
        return &no_memory;
    }
    cursor->core = stc_cursor_new(client, request);
    if (cursor->core == NULL) {
        free(cursor);
        return &no_memory;
    }
    atomic_init(&cursor->refs, 1);
    cursor->is_immortal = false;
    cursor->client = stc_client_ref(client);
    cursor->fault = NULL;
    return cursor;
}

stator_cursor_t *stl_cursor_new_failed(stator_future_t *fault)
{
    stator_cursor_t *cursor = malloc(sizeof *cursor);

    if (cursor == NULL)
        return &no_memory;
    atomic_init(&cursor->refs, 1);
    cursor->is_immortal = false;
    cursor->client = NULL;
    cursor->core = NULL;
    cursor->fault = stator_future_ref(fault);
    return cursor;
}

stator_cursor_t *stator_cursor_ref(stator_cursor_t *cursor)
{
    if (cursor != NULL && !cursor->is_immortal)
        atomic_fetch_add_explicit(&cursor->refs, 1, memory_order_relaxed);
    return cursor;
}

void stator_cursor_unref(stator_cursor_t *cursor)
{
    if (cursor == NULL || cursor->is_immortal ||
        atomic_fetch_sub_explicit(&cursor->refs, 1, memory_order_acq_rel) !=
            1)
        return;
    if (cursor->core != NULL)
        stc_cursor_leave(cursor->core);
    stator_future_unref(cursor->fault);
    if (cursor->client != NULL)
        stc_client_unref(cursor->client);
    free(cursor);
}

stator_future_t *stl_cursor_ask(stator_cursor_t *cursor, enum stc_want want,
                                int64_t max)
{
    if (cursor->core != NULL)
        return stc_cursor_ask(cursor->core, want, max);
    if (cursor->fault != NULL)
        return stator_future_ref(cursor->fault);
    return stf_future_no_memory();
}

static stator_cursor_t *failed(const char *problem)
{
    stator_future_t *fault = stf_future_failed(
        STATOR_ERROR_ARGUMENT, "cursor.clone", "%s", problem);
    stator_cursor_t *cursor = stl_cursor_new_failed(fault);

    stator_future_unref(fault);
    return cursor;
}

stator_cursor_t *stator_cursor_clone(stator_cursor_t *cursor)
{
    struct stc_request request;
    char problem[256];

    if (cursor == NULL)
        return failed("the cursor is NULL");
    if (cursor->fault != NULL)
        return stl_cursor_new_failed(cursor->fault);
    if (cursor->core == NULL ||
        !stc_cursor_request_again(cursor->core, &request))
        return &no_memory;
    if (!stc_request_bind(cursor->client, &request, problem,
                          sizeof problem)) {
        free(request.bytes);
        return failed(problem);
    }
    request.site = __builtin_return_address(0);
    return stl_cursor_new(cursor->client, &request);
}

static stator_future_t *ask(stator_cursor_t *cursor, const char *subject,
                            enum stc_want want, int64_t max)
{
    if (cursor == NULL)
        return stf_future_failed(STATOR_ERROR_ARGUMENT, subject,
                                 "the cursor is NULL");
    return stl_cursor_ask(cursor, want, max);
}

stator_future_t *stator_cursor_next(stator_cursor_t *cursor)
{
    return ask(cursor, "cursor.next", STC_NEXT, 0);
}

stator_future_t *stator_cursor_next_batch(stator_cursor_t *cursor)
{
    return ask(cursor, "cursor.next_batch", STC_BATCH, 0);
}

stator_future_t *stator_cursor_to_list(stator_cursor_t *cursor, int64_t max)
{
    if (max < 0)
        return stf_future_failed(STATOR_ERROR_ARGUMENT, "cursor.to_list",
                                 "max must be 0 or more, is %" PRId64, max);
    return ask(cursor, "cursor.to_list", STC_LIST, max);
}

stator_future_t *stl_cursor_close(stator_cursor_t *cursor)
{
    stator_promise_t *promise;
    stator_future_t *done;

    if (cursor->core != NULL)
        return stl_cursor_ask(cursor, STC_CLOSE, 0);
    promise = stator_promise_new(); /* it was never open */
    stator_promise_resolve(promise, NULL, NULL);
    done = stator_promise_future(promise);
    stator_promise_unref(promise);
    return done;
}

stator_future_t *stator_cursor_close(stator_cursor_t *cursor)
{
    if (cursor == NULL)
        return stf_future_failed(STATOR_ERROR_ARGUMENT, "cursor.close",
                                 "the cursor is NULL");
    return stl_cursor_close(cursor);
}

stator_future_t *stl_cursor_ready(stator_cursor_t *cursor)
{
    return stl_cursor_ask(cursor, STC_READY, 0);
}

bool stl_cursor_take(stator_cursor_t *cursor, struct stf_slice *out)
{
    return cursor->core != NULL && stc_cursor_take(cursor->core, out);
}

bool stator_cursor_try_buffered(stator_cursor_t *cursor, bson_t *out)
{
    struct stf_slice slice;

    if (cursor == NULL || out == NULL || !stl_cursor_take(cursor, &slice))
        return false;
    bson_copy_to(&slice.documents->at[slice.first], out);
    stf_documents_unref(slice.documents);
    return true;
}
