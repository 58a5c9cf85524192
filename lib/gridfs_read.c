/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_read.c - what is asked of a stream out of a file: open, read,
 * to_fd, seek, close. */
#include "lib/gridfs_read.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/gridfs_piece.h"

/* ---- open, seek -------------------------------------------------------- */

struct seek {
    struct stl_download_call download; /* first */
    int64_t offset;
};

static void plain_release(stator_future_t *f)
{
    stl_download_call_destroy(stl_download_call_of(stf_steps_of(f)));
}

static const struct stf_kind plain_kind = {
    .cancel = stl_call_cancel,
    .cancelled = stl_call_cancelled,
    .release = plain_release,
};

static stator_future_t *open_step(struct stf_steps *s, stator_future_t *settled)
{
    struct stl_download_call *d = stl_download_call_of(s);
    stator_future_t *f = stl_download_prepare(d, settled);

    if (f != NULL || stl_call_is_settled(&d->call))
        return f;
    return stl_call_done(&d->call, d->stream->file, 1);
}

stator_future_t *
stator_gridfs_download_stream_open(stator_gridfs_download_stream_t *down)
{
    stator_future_t *refusal;
    struct stl_download_call *d = stl_download_call_new(
        &plain_kind, "gridfs_download_stream.open", sizeof *d, open_step, down,
        __builtin_return_address(0), &refusal);

    return d == NULL ? refusal : stl_call_start(&d->call, &down->base.line);
}

static stator_future_t *seek_step(struct stf_steps *s, stator_future_t *settled)
{
    struct seek *k = stf_container_of(s, struct seek, download.call.steps);
    struct stl_call *c = &k->download.call;
    download_t *down = k->download.stream;
    stator_future_t *f = stl_download_prepare(&k->download, settled);
    int64_t length = atomic_load(&down->length);

    if (f != NULL || stl_call_is_settled(c))
        return f;
    if (k->offset > length)
        return stl_call_fail(c, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                             "offset %" PRId64 " is beyond the file's %" PRId64
                             " bytes", k->offset, length);
    atomic_store(&down->position, k->offset);
    return stl_call_done(c, NULL, k->offset);
}

stator_future_t *
stator_gridfs_download_stream_seek(stator_gridfs_download_stream_t *down,
                                   int64_t offset)
{
    static const char subject[] = "gridfs_download_stream.seek";
    stator_future_t *refusal;
    struct stl_download_call *d;

    if (down != NULL && offset < 0)
        return stf_future_failed(STATOR_ERROR_ARGUMENT, subject,
                                 "offset must be 0 or more, is %" PRId64,
                                 offset);
    d = stl_download_call_new(&plain_kind, subject, sizeof(struct seek),
                              seek_step, down, __builtin_return_address(0),
                              &refusal);
    if (d == NULL)
        return refusal;
    stf_container_of(d, struct seek, download)->offset = offset;
    return stl_call_start(&d->call, &down->base.line);
}

/* ---- read -------------------------------------------------------------- */

struct bytes { /* what a future lends */
    size_t size;
    uint8_t at[];
};

static void bytes_release(void *bytes)
{
    free(bytes);
}

const uint8_t *stator_future_bytes(const stator_future_t *f, size_t *size)
{
    const struct bytes *b =
        stator_future_poll(f) == STATOR_FUTURE_DONE
            ? stf_future_handle(f, bytes_release)
            : NULL;

    if (size != NULL)
        *size = b == NULL ? 0 : b->size;
    return b == NULL ? NULL : b->at;
}

struct read {
    struct stl_download_call download; /* first */
    size_t max;
    struct bytes *bytes; /* room for `wanted`, or NULL */
    size_t wanted;
};

static struct read *read_of(struct stf_steps *s)
{
    return stf_container_of(s, struct read, download.call.steps);
}

static void read_release(stator_future_t *f)
{
    free(read_of(stf_steps_of(f))->bytes);
    plain_release(f);
}

static const struct stf_kind read_kind = {
    .cancel = stl_call_cancel,
    .cancelled = stl_call_cancelled,
    .release = read_release,
};

/* How much it will be: known when the file is. */
static bool make_room(struct read *r)
{
    const download_t *down = r->download.stream;
    int64_t position = atomic_load(&down->position);
    int64_t left = atomic_load(&down->length) - position;

    if (r->bytes != NULL)
        return true;
    if (r->max == 0 && left > 0) {
        int64_t of_chunk = down->chunk_size - position % down->chunk_size;

        left = left < of_chunk ? left : of_chunk;
    } else if (r->max > 0 && (uint64_t)left > r->max) {
        left = (int64_t)r->max;
    }
    r->wanted = (size_t)left;
    if ((uint64_t)left < SIZE_MAX - sizeof *r->bytes)
        r->bytes = malloc(sizeof *r->bytes + (size_t)left);
    if (r->bytes == NULL) {
        stl_call_fail(&r->download.call, STATOR_ERROR_DOMAIN,
                      STATOR_ERROR_MEMORY, "no memory for %" PRId64 " bytes",
                      left);
        return false;
    }
    r->bytes->size = 0;
    return true;
}

/* D4: only if it is DONE. */
static stator_future_t *bytes_done(struct read *r)
{
    download_t *down = r->download.stream;
    struct stl_call *c = &r->download.call;
    struct stf_result *result = stf_result_new();
    int64_t size = (int64_t)r->bytes->size;

    if (result == NULL)
        return stl_call_fail(c, STATOR_ERROR_DOMAIN, STATOR_ERROR_MEMORY,
                             "no memory for its result");
    if (!stf_claim(stl_call_future(c), STATOR_FUTURE_DONE)) {
        stf_result_free(result);
        return NULL;
    }
    stf_result_take_handle(result, r->bytes, bytes_release);
    r->bytes = NULL;
    result->count = size;
    atomic_fetch_add(&down->position, size);
    c->steps.future.result = result;
    c->steps.future.outcome = STATOR_ANSWERED;
    stf_finish(stl_call_future(c), STATOR_FUTURE_DONE);
    return NULL;
}

static stator_future_t *read_step(struct stf_steps *s, stator_future_t *settled)
{
    struct read *r = read_of(s);
    const download_t *down = r->download.stream;
    struct stl_call *c = &r->download.call;
    stator_future_t *f = stl_download_prepare(&r->download, settled);
    const uint8_t *bytes;
    size_t size;

    if (f != NULL || stl_call_is_settled(c) || !make_room(r))
        return f;
    while (r->bytes->size < r->wanted) {
        f = stl_download_look(&r->download,
                              atomic_load(&down->position) +
                                  (int64_t)r->bytes->size,
                              &bytes, &size);
        if (f != NULL || stl_call_is_settled(c))
            return f;
        if (size > r->wanted - r->bytes->size)
            size = r->wanted - r->bytes->size;
        memcpy(r->bytes->at + r->bytes->size, bytes, size);
        r->bytes->size += size;
    }
    return bytes_done(r);
}

stator_future_t *stl_download_read(download_t *down, size_t max,
                                   const void *site)
{
    stator_future_t *refusal;
    struct stl_download_call *d = stl_download_call_new(
        &read_kind, "gridfs_download_stream.read", sizeof(struct read),
        read_step, down, site, &refusal);

    if (d == NULL)
        return refusal;
    read_of(&d->call.steps)->max = max;
    return stl_call_start(&d->call, &down->base.line);
}

stator_future_t *
stator_gridfs_download_stream_read(stator_gridfs_download_stream_t *down,
                                   size_t max)
{
    return stl_download_read(down, max, __builtin_return_address(0));
}

/* ---- to_fd ------------------------------------------------------------- */

struct pump {
    struct stl_download_call download; /* first */
    struct stl_piece *piece; /* on its way, or NULL */
    size_t counted;          /* of it: has moved the position */
    struct stl_descriptor *into;
    int64_t n;
};

static struct pump *pump_of(struct stf_steps *s)
{
    return stf_container_of(s, struct pump, download.call.steps);
}

static void let_go(struct pump *p)
{
    stl_piece_unref(p->piece);
    stl_descriptor_let_go(p->into);
    p->piece = NULL;
    p->into = NULL;
}

/* The descriptor goes now, not with the last reference on the future. */
static void pump_over(struct stl_call *c)
{
    let_go(pump_of(&c->steps));
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

/* The worker has done what it could.  False: the call is settled. */
static bool take_in_piece(struct pump *p, stator_future_t *settled)
{
    struct stl_piece *piece = p->piece;

    if (stl_is_done(settled)) {
        p->n += (int64_t)(piece->done - p->counted);
        atomic_fetch_add(&p->download.stream->position,
                         (long long)(piece->done - p->counted));
        p->counted = piece->done;
    }
    if (!stl_piece_check(piece, &p->download.call, settled))
        return false;
    if (piece->done == piece->size) {
        stl_piece_unref(piece);
        p->piece = NULL;
    }
    return true;
}

static stator_future_t *pump_step(struct stf_steps *s, stator_future_t *settled)
{
    struct pump *p = pump_of(s);
    download_t *down = p->download.stream;
    struct stl_call *c = &p->download.call;
    stator_future_t *f;
    const uint8_t *bytes;
    size_t size;

    if (p->piece != NULL) {
        if (!take_in_piece(p, settled))
            return NULL;
        settled = NULL;
    }
    f = stl_download_prepare(&p->download, settled);
    if (f != NULL || stl_call_is_settled(c))
        return f;
    if (p->piece == NULL) {
        if (atomic_load(&down->position) == atomic_load(&down->length))
            return stl_call_done(c, NULL, p->n);
        f = stl_download_look(&p->download, atomic_load(&down->position),
                              &bytes, &size);
        if (f != NULL || stl_call_is_settled(c))
            return f;
        p->piece = stl_piece_new_write(p->into, bytes, size, down->batch);
        p->counted = 0;
    }
    if (p->piece == NULL)
        return stl_call_fail(c, STATOR_ERROR_DOMAIN, STATOR_ERROR_MEMORY,
                             "no memory for a piece");
    return stl_piece_move(p->piece, c);
}

stator_future_t *stl_download_to_fd(download_t *down, int fd, const void *site)
{
    static const char subject[] = "gridfs_download_stream.to_fd";
    struct stl_descriptor *into;
    struct stl_download_call *d;
    stator_future_t *refusal;

    d = stl_download_call_new(&pump_kind, subject, sizeof(struct pump),
                              pump_step, down, site, &refusal);
    if (d == NULL)
        return refusal;
    into = stl_descriptor_new(fd, subject, &refusal);
    if (into == NULL) {
        stator_future_unref(stl_call_future(&d->call));
        return refusal;
    }
    d->call.over = pump_over;
    pump_of(&d->call.steps)->into = into;
    return stl_call_start(&d->call, &down->base.line);
}

stator_future_t *
stator_gridfs_download_stream_to_fd(stator_gridfs_download_stream_t *down,
                                    int fd)
{
    return stl_download_to_fd(down, fd, __builtin_return_address(0));
}

/* ---- close ------------------------------------------------------------- */

static stator_future_t *close_step(struct stf_steps *s,
                                   stator_future_t *settled)
{
    struct stl_download_call *d = stl_download_call_of(s);

    (void)settled; /* nothing is awaited */
    stator_future_unref(d->stream->batch);
    d->stream->batch = NULL;
    return stl_call_done(&d->call, NULL, 0);
}

stator_future_t *
stator_gridfs_download_stream_close(stator_gridfs_download_stream_t *down)
{
    stator_future_t *refusal;
    struct stl_download_call *d = stl_download_call_new(
        &plain_kind, "gridfs_download_stream.close", sizeof *d, close_step,
        down, __builtin_return_address(0), &refusal);

    if (d == NULL)
        return refusal;
    atomic_store(&down->is_closed, true);
    stf_line_cancel(&down->base.line);
    return stl_call_start(&d->call, &down->base.line);
}
