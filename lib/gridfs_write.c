/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_write.c - bytes for a stream into a file: write, from_fd.  How it
 * ends is in gridfs_finish.c. */
#include "lib/gridfs_write.h"

#include <string.h>

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
    return stl_call_start(&u->call, &up->base.line);
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
    return stl_call_start(&u->call, &up->base.line);
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
