/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_write.c - what is asked of a stream into a file: write, from_fd,
 * close, abort; and the abort of one that was left. */
#include "lib/gridfs_write.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/gridfs_piece.h"

/* ---- write ------------------------------------------------------------- */

struct write {
    struct stl_upload_call upload; /* first */
    size_t size, done;
    uint8_t bytes[];
};

static struct write *write_of(struct stf_steps *s)
{
    return stf_container_of(s, struct write, upload.call.steps);
}

static void plain_release(stator_future_t *f)
{
    stl_upload_call_destroy(stl_upload_call_of(stf_steps_of(f)));
}

static const struct stf_kind plain_kind = {
    .cancel = stl_call_cancel,
    .cancelled = stl_call_cancelled,
    .release = plain_release,
};

static stator_future_t *write_step(struct stf_steps *s,
                                   stator_future_t *settled)
{
    struct write *w = write_of(s);
    struct stl_call *c = &w->upload.call;
    stator_future_t *f = stl_upload_settle_down(
        &w->upload, settled, STL_FLIGHT_MAX - 1, w->size > 0);

    while (f == NULL && !stl_call_is_settled(c)) {
        if (w->done == w->size)
            return stl_call_done(c, NULL, 0);
        w->done += stl_upload_take(&w->upload, w->bytes + w->done,
                                   w->size - w->done);
        f = stl_upload_settle_down(&w->upload, NULL, STL_FLIGHT_MAX - 1,
                                   false);
    }
    return f;
}

stator_future_t *stl_upload_write(upload_t *up, const void *bytes, size_t size,
                                  const void *site)
{
    static const char subject[] = "gridfs_upload_stream.write";
    stator_future_t *refusal;
    struct stl_upload_call *u;
    struct write *w;

    if (up != NULL && bytes == NULL && size > 0)
        return stl_upload_refused(up,
                                  stl_bad_argument(subject, "bytes is NULL"));
    if (size > SIZE_MAX - sizeof *w)
        return stl_upload_refused(up, stf_future_no_memory());
    u = stl_upload_call_new(&plain_kind, subject, sizeof *w + size, write_step,
                            up, site, &refusal);
    if (u == NULL)
        return stl_upload_refused(up, refusal);
    w = write_of(&u->call.steps);
    u->call.over = stl_upload_call_over;
    w->size = size;
    if (size > 0)
        memcpy(w->bytes, bytes, size);
    return stl_call_start(&u->call, &up->line);
}

/* ---- from_fd ----------------------------------------------------------- */

struct pump {
    struct stl_upload_call upload; /* first */
    struct stl_piece *piece;       /* what is being read, or was */
    size_t taken;                  /* of it */
    bool is_reading;
    struct stl_descriptor *from;
    int64_t n;
};

static struct pump *pump_of(struct stf_steps *s)
{
    return stf_container_of(s, struct pump, upload.call.steps);
}

static void let_go(struct pump *p)
{
    stl_piece_unref(p->piece);
    stl_descriptor_let_go(p->from);
    p->piece = NULL;
    p->from = NULL;
}

/* The descriptor goes now, not with the last reference on the future. */
static void pump_over(struct stl_call *c)
{
    let_go(pump_of(&c->steps));
    stl_upload_call_over(c);
}

static void pump_release(stator_future_t *f)
{
    let_go(pump_of(stf_steps_of(f))); /* of one that was never begun */
    plain_release(f);
}

static const struct stf_kind pump_kind = {
    .cancel = stl_call_cancel,
    .cancelled = stl_call_cancelled,
    .release = pump_release,
};

static stator_future_t *read_more(struct pump *p)
{
    upload_t *up = p->upload.stream;
    size_t room = (size_t)(up->chunk_size - up->n_tail);

    if (p->piece == NULL || p->piece->size != room) {
        stl_piece_unref(p->piece);
        p->piece = stl_piece_new_read(p->from, room);
    }
    if (p->piece == NULL)
        return stl_call_fail(&p->upload.call, STATOR_ERROR_DOMAIN,
                             STATOR_ERROR_MEMORY, "no memory for a chunk");
    p->piece->done = p->taken = 0;
    p->is_reading = true;
    return stl_piece_move(p->piece, &p->upload.call);
}

static stator_future_t *pump_step(struct stf_steps *s,
                                  stator_future_t *settled)
{
    struct pump *p = pump_of(s);
    struct stl_call *c = &p->upload.call;
    struct stl_piece *piece = p->piece;
    stator_future_t *f;

    if (p->is_reading && !stl_piece_check(piece, c, settled))
        return NULL;
    f = stl_upload_settle_down(&p->upload, p->is_reading ? NULL : settled,
                               STL_FLIGHT_MAX - 1,
                               piece != NULL && piece->done > 0);
    p->is_reading = false;
    if (f != NULL || stl_call_is_settled(c))
        return f;
    if (piece != NULL && p->taken < piece->done) { /* it fits the tail */
        p->taken += stl_upload_take(&p->upload, piece->into, piece->done);
        p->n += (int64_t)p->taken;
        f = stl_upload_settle_down(&p->upload, NULL, STL_FLIGHT_MAX - 1,
                                   false);
        if (f != NULL || stl_call_is_settled(c))
            return f;
    }
    if (piece != NULL && piece->is_end)
        return stl_call_done(c, NULL, p->n);
    return read_more(p);
}

stator_future_t *stl_upload_from_fd(upload_t *up, int fd, const void *site)
{
    static const char subject[] = "gridfs_upload_stream.from_fd";
    stator_future_t *refusal;
    struct stl_descriptor *from;
    struct stl_upload_call *u;

    u = stl_upload_call_new(&pump_kind, subject, sizeof(struct pump), pump_step,
                            up, site, &refusal);
    if (u == NULL)
        return stl_upload_refused(up, refusal);
    from = stl_descriptor_new(fd, subject, &refusal);
    if (from == NULL) {
        stator_future_unref(stl_call_future(&u->call));
        return stl_upload_refused(up, refusal);
    }
    u->call.over = pump_over;
    pump_of(&u->call.steps)->from = from;
    return stl_call_start(&u->call, &up->line);
}

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
    plain_release(f);
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
    stl_call_begin(c, &r, &stc_verb_insert_one, up->bucket->files, NULL,
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
    return stl_call_start(&u->call, &up->line);
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
                   up->bucket->chunks, NULL, STL_OPERATION);
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
                   up->bucket->files, NULL, STL_OPERATION);
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
        if (up != NULL && up->bucket != NULL)
            atomic_store(&up->is_aborting, false);
        return refusal;
    }
    u->call.over = stl_upload_call_over;
    return stl_call_start(&u->call, &up->line);
}

stator_future_t *
stator_gridfs_upload_stream_abort(stator_gridfs_upload_stream_t *up)
{
    if (up != NULL && up->bucket != NULL &&
        !stc_client_is_inherited(stl_bucket_client(up->bucket)) &&
        !atomic_load(&up->is_over) && !atomic_exchange(&up->is_aborting, true))
        stf_line_cancel(&up->line);
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
    if (up == NULL || up->is_immortal ||
        atomic_fetch_sub_explicit(&up->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (up->bucket != NULL &&
        !stc_client_is_inherited(stl_bucket_client(up->bucket))) {
        if (!atomic_load(&up->is_closing) && !atomic_load(&up->is_aborting))
            stf_line_cancel(&up->line);
        delete_left(up, __builtin_return_address(0)); /* behind these */
    }
    stl_upload_unhold(up);
}

/* ---- the public ones --------------------------------------------------- */

stator_future_t *
stator_gridfs_upload_stream_write(stator_gridfs_upload_stream_t *up,
                                  const void *bytes, size_t size)
{
    return stl_upload_write(up, bytes, size, __builtin_return_address(0));
}

stator_future_t *
stator_gridfs_upload_stream_from_fd(stator_gridfs_upload_stream_t *up,
                                    int fd)
{
    return stl_upload_from_fd(up, fd, __builtin_return_address(0));
}

stator_future_t *
stator_gridfs_upload_stream_close(stator_gridfs_upload_stream_t *up)
{
    return stl_upload_close(up, NULL, __builtin_return_address(0));
}
