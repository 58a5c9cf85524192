/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_finish.c - how a stream into a file ends: close, abort; and the
 * abort of one that was left. */
#include <time.h>

#include "lib/gridfs_write.h"

/* ---- close ------------------------------------------------------------- */

struct ending {
    struct stl_upload_call upload; /* first */
    enum { DRAIN, FILE_SENT, FILE_GONE, CHUNKS_GONE } step;
    struct stf_result *result; /* of close, made before it is sent */
    stator_future_t *before; /* of close: to be cancelled with it, or NULL */
};

static struct ending *ending_of(struct stf_steps *s)
{
    return stf_container_of(s, struct ending, upload.call.steps);
}

static void ending_release(stator_future_t *f)
{
    struct ending *e = ending_of(stf_steps_of(f));

    stf_result_free(e->result);
    stator_future_unref(e->before);
    stl_upload_call_destroy(&e->upload);
}

static void ending_cancelled(stator_future_t *f)
{
    stator_future_cancel(ending_of(stf_steps_of(f))->before);
    stl_call_cancelled(f);
}

static const struct stf_kind ending_kind = {
    .cancel = stl_call_cancel,
    .cancelled = ending_cancelled,
    .release = ending_release,
};

static int64_t real_time_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static stator_future_t *send_document(struct ending *e)
{
    upload_t *up = e->upload.stream;
    struct stl_call *c = &e->upload.call;
    struct stl_request r;

    up->upload_date = real_time_ms();
    if (up->document == NULL)
        up->document = bson_new();
    bson_reinit(up->document);
    BSON_APPEND_VALUE(up->document, "_id", &up->id);
    BSON_APPEND_INT64(up->document, "length", up->length);
    BSON_APPEND_INT32(up->document, "chunkSize", up->chunk_size);
    BSON_APPEND_DATE_TIME(up->document, "uploadDate", up->upload_date);
    BSON_APPEND_UTF8(up->document, "filename", up->filename);
    if (up->metadata != NULL)
        BSON_APPEND_DOCUMENT(up->document, "metadata", up->metadata);
    e->result = stf_result_new();
    if (e->result == NULL || !stf_result_copy(e->result, up->document, NULL))
        return stl_call_fail(c, STATOR_ERROR_DOMAIN, STATOR_ERROR_MEMORY,
                             "no memory for its result");
    stl_call_begin(c, &r, &stc_verb_insert_one, up->base.bucket->files, NULL,
                   STL_OPERATION);
    stl_request_copy(&r, up->document);
    e->result->count = 1;
    e->step = FILE_SENT;
    up->filing = stl_call_submit(c, &r);
    return stf_shield(up->filing); /* U5 */
}

/* There is a file: unless a cancel was first, when it is not to be. */
static stator_future_t *filed(struct ending *e)
{
    upload_t *up = e->upload.stream;
    stator_future_t *f = stl_call_future(&e->upload.call);

    if (!stf_claim(f, STATOR_FUTURE_DONE))
        return NULL;
    up->state = STL_CLOSED;
    atomic_store(&up->is_over, true);
    f->result = e->result;
    e->result = NULL;
    f->outcome = STATOR_ANSWERED;
    stf_finish(f, STATOR_FUTURE_DONE);
    return NULL;
}

static stator_future_t *close_step(struct stf_steps *s,
                                   stator_future_t *settled)
{
    struct ending *e = ending_of(s);
    upload_t *up = e->upload.stream;
    struct stl_call *c = &e->upload.call;
    stator_future_t *f;

    if (e->step == FILE_SENT)
        return stl_is_done(settled) ? filed(e) : stl_call_fail_as(c, settled);
    if (up->state == STL_CLOSED)
        return stl_call_done(c, up->document, 1);
    f = stl_upload_settle_down(&e->upload, settled,
                               up->n_tail > 0 ? STL_FLIGHT_MAX - 1 : 0, false);
    if (f == NULL && up->n_tail > 0 && !stl_call_is_settled(c)) {
        stl_upload_send(&e->upload);
        f = stl_upload_settle_down(&e->upload, NULL, 0, false);
    }
    if (f != NULL || stl_call_is_settled(c))
        return f;
    return send_document(e);
}

stator_future_t *stl_upload_close(upload_t *up, stator_future_t *before,
                                  const void *site)
{
    stator_future_t *refusal;
    struct stl_upload_call *u = stl_upload_call_new(
        &ending_kind, "gridfs_upload_stream.close", sizeof(struct ending),
        close_step, up, site, &refusal);

    if (u == NULL)
        return refusal;
    u->call.over = stl_upload_call_over;
    ending_of(&u->call.steps)->before = stator_future_ref(before);
    atomic_store(&up->is_closing, true);
    return stl_call_start(&u->call, &up->base.line);
}

/* ---- abort ------------------------------------------------------------- */

/* Of a given _id: chunk 0 of another's file may be in the way, and whether it
 * was is not always known.  But then no more went out than is known by name;
 * nothing else is to go. */
static bool may_be_anothers(const upload_t *up)
{
    return !up->is_own_id && up->n_sent <= STL_FLIGHT_MAX;
}

static stator_future_t *delete_chunks(struct ending *e)
{
    upload_t *up = e->upload.stream;
    bson_t selector = BSON_INITIALIZER, in, ids;
    struct stl_request r;
    char key[2] = "0";

    e->step = CHUNKS_GONE;
    BSON_APPEND_VALUE(&selector, "files_id", &up->id);
    if (may_be_anothers(up)) {
        BSON_APPEND_DOCUMENT_BEGIN(&selector, "_id", &in);
        BSON_APPEND_ARRAY_BEGIN(&in, "$in", &ids);
        for (int32_t i = 0; i < up->n_sent; i++, key[0]++)
            BSON_APPEND_OID(&ids, key, &up->first_ids[i]);
        bson_append_array_end(&in, &ids);
        bson_append_document_end(&selector, &in);
    }
    stl_call_begin(&e->upload.call, &r, &stc_verb_delete_many,
                   up->base.bucket->chunks, NULL, STL_OPERATION);
    stl_request_copy(&r, &selector);
    bson_destroy(&selector);
    return stl_call_submit(&e->upload.call, &r);
}

static bool may_be_filed(const upload_t *up)
{
    return up->filing != NULL &&
           (stl_is_done(up->filing) ||
            stator_future_outcome(up->filing) == STATOR_MAYBE_SENT);
}

/* The one that close may have written, and no other. */
static stator_future_t *delete_document(struct ending *e)
{
    upload_t *up = e->upload.stream;
    bson_t selector = BSON_INITIALIZER;
    struct stl_request r;

    e->step = FILE_GONE;
    BSON_APPEND_VALUE(&selector, "_id", &up->id);
    BSON_APPEND_DATE_TIME(&selector, "uploadDate", up->upload_date);
    BSON_APPEND_INT64(&selector, "length", up->length);
    stl_call_begin(&e->upload.call, &r, &stc_verb_delete_one,
                   up->base.bucket->files, NULL, STL_OPERATION);
    stl_request_copy(&r, &selector);
    bson_destroy(&selector);
    return stl_call_submit(&e->upload.call, &r);
}

static stator_future_t *aborted(struct ending *e)
{
    e->upload.stream->state = STL_ABORTED;
    atomic_store(&e->upload.stream->is_over, true);
    return stl_call_done(&e->upload.call, NULL, 0);
}

static stator_future_t *abort_step(struct stf_steps *s,
                                   stator_future_t *settled)
{
    struct ending *e = ending_of(s);
    upload_t *up = e->upload.stream;
    struct stl_call *c = &e->upload.call;
    stator_future_t *f;

    if (e->step != DRAIN && !stl_is_done(settled))
        return stl_call_fail_as(c, settled);
    switch (e->step) {
    case DRAIN:
        if (up->state == STL_CLOSED)
            return stl_upload_refuse(&e->upload);
        if (up->state == STL_ABORTED)
            return stl_call_done(c, NULL, 0);
        f = stl_upload_drain(up, settled);
        if (f != NULL)
            return f;
        if (may_be_filed(up))
            return delete_document(e);
        return up->n_sent > 0 ? delete_chunks(e) : aborted(e);
    case FILE_GONE:
        return up->n_sent > 0 ? delete_chunks(e) : aborted(e);
    default:
        return aborted(e);
    }
}

static stator_future_t *start_abort(upload_t *up, const void *site)
{
    stator_future_t *refusal;
    struct stl_upload_call *u = stl_upload_call_new(
        &ending_kind, "gridfs_upload_stream.abort", sizeof(struct ending),
        abort_step, up, site, &refusal);

    if (u == NULL) {
        if (up != NULL && up->base.bucket != NULL)
            atomic_store(&up->is_aborting, false);
        return refusal;
    }
    u->call.over = stl_upload_call_over;
    return stl_call_start(&u->call, &up->base.line);
}

stator_future_t *
stator_gridfs_upload_stream_abort(stator_gridfs_upload_stream_t *up)
{
    if (up != NULL && up->base.bucket != NULL &&
        !stc_client_is_inherited(stl_bucket_client(up->base.bucket)) &&
        !atomic_load(&up->is_over) && !atomic_exchange(&up->is_aborting, true))
        stf_line_cancel(&up->base.line);
    return start_abort(up, __builtin_return_address(0));
}

/* The handle has gone, and there is no file: nor should there be chunks. */
static void delete_left(upload_t *up, const void *site)
{
    if (!atomic_load(&up->is_over))
        stator_future_unref(start_abort(up, site));
}

void stator_gridfs_upload_stream_unref(stator_gridfs_upload_stream_t *up)
{
    if (up == NULL || !stl_stream_unref(&up->base))
        return;
    if (up->base.bucket != NULL &&
        !stc_client_is_inherited(stl_bucket_client(up->base.bucket))) {
        if (!atomic_load(&up->is_closing) && !atomic_load(&up->is_aborting))
            stf_line_cancel(&up->base.line);
        delete_left(up, __builtin_return_address(0)); /* behind these */
    }
    stl_upload_unhold(up);
}

stator_future_t *
stator_gridfs_upload_stream_close(stator_gridfs_upload_stream_t *up)
{
    return stl_upload_close(up, NULL, __builtin_return_address(0));
}
