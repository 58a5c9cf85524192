/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_call.c - calls of several operations on a bucket.  The picture
 * and the invariants are in gridfs_call.h. */
#include "lib/gridfs_call.h"

#include <stdarg.h>
#include <stdio.h>

#include <stator/client.h> /* the driver's codes of errors */

/* ---- made, started, ended ---------------------------------------------- */

static void over(struct stf_steps *s)
{
    struct stl_call *c = stl_call_of_steps(s);

    if (c->over != NULL)
        c->over(c);
    stc_client_end_call(stl_bucket_client(c->bucket));
}

/* Of its opts, or of what the bucket began with, as for each operation. */
static void *context_of(const stator_gridfs_bucket_t *bucket,
                        const bson_t *opts)
{
    bson_t options;
    bson_iter_t i;

    stc_target_options(bucket->files->target, &options);
    if (bson_iter_init_find(&i, opts, "context") ||
        bson_iter_init_find(&i, &options, "context"))
        return (void *)(intptr_t)bson_iter_int64(&i);
    return NULL;
}

struct stl_call *stl_call_new(const struct stf_kind *kind, const char *subject,
                              size_t size, stf_step_fn *step,
                              stator_gridfs_bucket_t *bucket,
                              const bson_t *opts, int64_t timeout_ms,
                              const void *site)
{
    struct stf_steps *s = stf_steps_new(kind, subject, size, step, over);
    struct stl_call *c;

    if (s == NULL)
        return NULL;
    c = stl_call_of_steps(s);
    c->bucket = stator_gridfs_bucket_ref(bucket);
    c->opts = bson_copy(opts);
    s->future.context = context_of(bucket, opts);
    c->deadline = timeout_ms > 0 ? stf_deadline_after_ms(timeout_ms)
                                 : STF_NO_DEADLINE;
    c->site = site;
    return c;
}

void stl_call_cancel(stator_future_t *f)
{
    stf_settle_code(f, STATOR_FUTURE_CANCELLED, STATOR_ERROR_CANCELLED,
                    "cancelled", stator_future_outcome(f));
}

void stl_call_cancelled(stator_future_t *f)
{
    stf_steps_cancelled(f);
}

void stl_call_destroy(struct stl_call *c)
{
    stf_steps_destroy(&c->steps);
    bson_destroy(c->opts);
    stator_gridfs_bucket_unref(c->bucket);
}

stator_future_t *stl_call_start(struct stl_call *c, struct stf_line *line)
{
    if (stc_client_begin_call(stl_bucket_client(c->bucket))) /* G1 */
        stf_steps_start(&c->steps, line);
    else
        stf_settle_code(stl_call_future(c), STATOR_FUTURE_FAILED,
                        STATOR_ERROR_CLOSED,
                        stc_client_note_closed(stl_bucket_client(c->bucket)),
                        STATOR_NOT_SENT);
    return stl_call_future(c);
}

stator_future_t *stl_bad_argument(const char *subject, const char *problem)
{
    return stf_future_failed(STATOR_ERROR_ARGUMENT, subject, "%s", problem);
}

stator_future_t *stl_bucket_refusal(const stator_gridfs_bucket_t *bucket,
                                    const char *subject)
{
    if (bucket == NULL)
        return stl_null_handle(subject, "bucket");
    if (stc_client_is_inherited(stl_bucket_client(bucket)))
        return stf_future_failed(STATOR_ERROR_FORKED, subject,
                                 "the client is from before the fork");
    return NULL;
}

/* ---- operations -------------------------------------------------------- */

void stl_call_begin(struct stl_call *c, struct stl_request *r,
                    const struct stc_verb *verb, struct stl_handle *on,
                    const bson_t *more, enum stl_shape shape)
{
    int64_t left;
    bson_t opts;

    bson_copy_to(c->opts, &opts);
    if (more != NULL)
        bson_concat(&opts, more);
    if (c->deadline != STF_NO_DEADLINE) { /* G3 */
        left = (c->deadline - stf_now_ns() + 999999) / 1000000;
        BSON_APPEND_INT64(&opts, "timeoutMS", left < 1 ? 1 : left);
    }
    stl_request_begin(r, c->steps.future.subject, verb, on, &opts, shape);
    bson_destroy(&opts);
}

/* From now on it is not known to be without effect. */
static void begin_submit(struct stl_call *c, struct stl_request *r)
{
    r->core.passes = c->passes;
    c->passes = true;
    c->has_sent = stf_phase(stl_call_future(c)) == STATOR_PHASE_SENT;
    stf_enter_phase(stl_call_future(c), STATOR_PHASE_SENT);
}

stator_future_t *stl_call_submit(struct stl_call *c, struct stl_request *r)
{
    begin_submit(c, r);
    return stl_request_submit_from(r, c->site);
}

stator_future_t *stl_call_fetch(struct stl_call *c, struct stl_request *r)
{
    stator_cursor_t *cursor;
    stator_future_t *f;

    begin_submit(c, r);
    cursor = stl_request_open_from(r, c->site);
    f = stator_cursor_next_batch(cursor);
    stator_cursor_unref(cursor);
    return f;
}

void stl_request_value(struct stl_request *r, const char *key,
                       const bson_value_t *value)
{
    bson_t b = BSON_INITIALIZER;

    BSON_APPEND_VALUE(&b, key, value);
    stl_request_copy(r, &b);
    bson_destroy(&b);
}

void stl_request_in(struct stl_request *r, const char *key,
                    const bson_t *array)
{
    bson_t b = BSON_INITIALIZER, in;

    BSON_APPEND_DOCUMENT_BEGIN(&b, key, &in);
    BSON_APPEND_ARRAY(&in, "$in", array);
    bson_append_document_end(&b, &in);
    stl_request_copy(r, &b);
    bson_destroy(&b);
}

/* ---- the end of it ----------------------------------------------------- */

static void no_memory(struct stl_call *c)
{
    stf_settle_code(stl_call_future(c), STATOR_FUTURE_FAILED,
                    STATOR_ERROR_MEMORY, "no memory for its result",
                    STATOR_ANSWERED);
}

struct stf_result *stl_error_of(const stator_future_t *f)
{
    struct stf_result *result = stf_result_new();

    if (result != NULL)
        result->has_error = stator_future_error(f, &result->error);
    return result;
}

stator_future_t *stl_call_fail_as(struct stl_call *c, stator_future_t *other)
{
    stator_future_t *f = stl_call_future(c);
    struct stf_result *result;

    if (!c->has_sent || stator_future_outcome(other) != STATOR_NOT_SENT) {
        stf_settle_as(f, other);
        return NULL;
    }
    result = stl_error_of(other); /* G5 */
    if (result == NULL)
        no_memory(c);
    else if (!stf_settle(f, stator_future_poll(other), result,
                         STATOR_MAYBE_SENT))
        stf_result_free(result);
    return NULL;
}

stator_future_t *stl_call_fail(struct stl_call *c, uint32_t domain,
                               uint32_t code, const char *format, ...)
{
    struct stf_result *result = stf_result_new();
    bson_error_t *error;
    va_list args;
    int n;

    if (result == NULL) {
        no_memory(c);
        return NULL;
    }
    error = &result->error;
    error->domain = domain;
    error->code = code;
    n = snprintf(error->message, sizeof error->message, "%s: ",
                 c->steps.future.subject);
    va_start(args, format);
    vsnprintf(error->message + n, sizeof error->message - (size_t)n, format,
              args);
    va_end(args);
    result->has_error = true;
    if (!stf_settle(stl_call_future(c), STATOR_FUTURE_FAILED, result,
                    STATOR_ANSWERED))
        stf_result_free(result);
    return NULL;
}

stator_future_t *stl_call_not_found(struct stl_call *c, const char *key,
                                    const bson_value_t *value)
{
    bson_t b = BSON_INITIALIZER;
    char *json;

    BSON_APPEND_VALUE(&b, key, value);
    json = bson_as_relaxed_extended_json(&b, NULL);
    stl_call_fail(c, MONGOC_ERROR_GRIDFS,
                  MONGOC_ERROR_GRIDFS_BUCKET_FILE_NOT_FOUND,
                  "there is no file %.300s", json == NULL ? key : json);
    bson_free(json);
    bson_destroy(&b);
    return NULL;
}

stator_future_t *stl_call_done(struct stl_call *c, const bson_t *document,
                               int64_t count)
{
    struct stf_result *result;

    if (document == NULL && count == 0) {
        stf_settle_code(stl_call_future(c), STATOR_FUTURE_DONE, 0, NULL,
                        STATOR_ANSWERED);
        return NULL;
    }
    result = stf_result_new();
    if (result == NULL || !stf_result_copy(result, document, NULL)) {
        stf_result_free(result);
        no_memory(c);
        return NULL;
    }
    result->count = count;
    if (!stf_settle(stl_call_future(c), STATOR_FUTURE_DONE, result,
                    STATOR_ANSWERED))
        stf_result_free(result);
    return NULL;
}

int stl_server_code(const stator_future_t *f)
{
    bson_error_t error;

    return stator_future_origin(f) == STATOR_ORIGIN_SERVER &&
                   stator_future_error(f, &error)
               ? (int)error.code
               : 0;
}
