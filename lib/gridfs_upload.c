/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_upload.c - a stream into a file: made, counted; its window of
 * chunks.  The picture and the invariants are in gridfs_upload.h; what users
 * ask of it is in gridfs_write.c and gridfs_finish.c. */
#include "lib/gridfs_upload.h"

#include <stdlib.h>
#include <string.h>

static upload_t no_memory = {.base.is_immortal = true};

/* ---- made -------------------------------------------------------------- */

static upload_t *new_failed(stator_future_t *fault)
{
    upload_t *up = calloc(1, sizeof *up);

    if (up == NULL) {
        stator_future_unref(fault);
        return &no_memory;
    }
    stl_stream_init_failed(&up->base, fault);
    return up;
}

static upload_t *new_sound(stator_gridfs_bucket_t *bucket,
                           const bson_value_t *id, const char *filename,
                           const struct stl_bucket_opts *o)
{
    upload_t *up = calloc(1, sizeof *up);

    if (up == NULL)
        return NULL;
    stl_stream_init(&up->base, bucket, o);
    if (id != NULL) {
        bson_value_copy(id, &up->id);
    } else {
        up->is_own_id = true;
        up->id.value_type = BSON_TYPE_OID;
        bson_oid_init(&up->id.value.v_oid, NULL);
    }
    up->filename = bson_strdup(filename);
    if (o->has_metadata)
        up->metadata = bson_copy(&o->metadata);
    up->chunk_size = o->chunk_size != 0 ? o->chunk_size : bucket->chunk_size;
    return up;
}

static upload_t *open_upload(const char *subject,
                             stator_gridfs_bucket_t *bucket,
                             const bson_value_t *id, const char *filename,
                             const char *fault, const bson_t *opts)
{
    struct stl_bucket_opts parsed;
    stator_future_t *refusal = stl_stream_open_refusal(
        subject, bucket,
        fault == NULL ? stl_file_name_fault(filename) : fault, opts,
        STL_OF_UPLOAD, &parsed);
    upload_t *up;

    if (refusal != NULL)
        return new_failed(refusal);
    up = new_sound(bucket, id, filename, &parsed);
    bson_destroy(parsed.of_operations);
    return up == NULL ? &no_memory : up;
}

stator_gridfs_upload_stream_t *
stator_gridfs_bucket_open_upload_stream(stator_gridfs_bucket_t *bucket,
                                        const char *filename,
                                        const bson_t *opts)
{
    return open_upload("gridfs_bucket.open_upload_stream", bucket, NULL,
                       filename, NULL, opts);
}

stator_gridfs_upload_stream_t *stator_gridfs_bucket_open_upload_stream_with_id(
    stator_gridfs_bucket_t *bucket, const bson_value_t *id,
    const char *filename, const bson_t *opts)
{
    return open_upload("gridfs_bucket.open_upload_stream_with_id", bucket, id,
                       filename, stl_file_id_fault(id), opts);
}

/* ---- let go ------------------------------------------------------------ */

void stl_upload_unhold(upload_t *up)
{
    if (!stl_stream_unhold(&up->base))
        return;
    for (; up->n_flight > 0; up->n_flight--)
        stator_future_unref(up->flight[up->oldest++ % STL_FLIGHT_MAX].future);
    stator_future_unref(up->failure);
    stator_future_unref(up->filing);
    if (up->id.value_type != BSON_TYPE_EOD)
        bson_value_destroy(&up->id);
    bson_free(up->filename);
    bson_destroy(up->metadata);
    bson_destroy(up->document);
    free(up->tail);
    stl_stream_destroy(&up->base);
    free(up);
}

stator_gridfs_upload_stream_t *
stator_gridfs_upload_stream_ref(stator_gridfs_upload_stream_t *up)
{
    if (up != NULL)
        stl_stream_ref(&up->base);
    return up;
}

const bson_value_t *
stator_gridfs_upload_stream_id(const stator_gridfs_upload_stream_t *up)
{
    return up == NULL || up->base.bucket == NULL ? NULL : &up->id;
}

int64_t
stator_gridfs_upload_stream_tell(const stator_gridfs_upload_stream_t *up)
{
    return up == NULL ? 0 : atomic_load(&up->n_confirmed);
}

/* ---- calls ------------------------------------------------------------- */

struct stl_upload_call *
stl_upload_call_new(const struct stf_kind *kind, const char *subject,
                    size_t size, stf_step_fn *step, upload_t *up,
                    const void *site, stator_future_t **refusal)
{
    struct stl_call *c =
        stl_stream_call_new(kind, subject, size, step,
                            up == NULL ? NULL : &up->base, site, refusal);
    struct stl_upload_call *u;

    if (c == NULL)
        return NULL;
    u = stl_upload_call_of(&c->steps);
    u->stream = up;
    return u;
}

void stl_upload_call_destroy(struct stl_upload_call *u)
{
    upload_t *up = u->stream;

    stl_call_destroy(&u->call);
    stl_upload_unhold(up);
}

void stl_upload_fail(upload_t *up, stator_future_t *why)
{
    if (up->state != STL_OPEN)
        return;
    up->state = STL_FAILED;
    up->failure = stator_future_ref(why);
}

/* As `f` has failed, but another: `f` keeps the stream, which is to keep the
 * failure. */
static stator_future_t *failure_like(stator_future_t *f)
{
    stator_future_t *why;
    struct stf_result *result;

    if (f->alias != NULL)
        return stator_future_ref(f->alias);
    why = stf_future_new_plain("gridfs_upload_stream");
    result = stl_error_of(f);
    if (why == NULL || result == NULL) {
        stf_result_free(result);
        stator_future_unref(why);
        return stf_future_no_memory();
    }
    stf_settle(why, STATOR_FUTURE_FAILED, result, stator_future_outcome(f));
    return why;
}

void stl_upload_call_over(struct stl_call *c)
{
    upload_t *up = stl_upload_call_of(&c->steps)->stream;
    stator_future_t *why;

    if (stl_is_done(stl_call_future(c)) || up->state != STL_OPEN)
        return;
    why = failure_like(stl_call_future(c));
    stl_upload_fail(up, why);
    stator_future_unref(why);
}

stator_future_t *stl_upload_refuse(struct stl_upload_call *u)
{
    if (u->stream->state == STL_FAILED)
        return stl_call_fail_as(&u->call, u->stream->failure);
    return stl_call_fail(&u->call, STATOR_ERROR_DOMAIN, STATOR_ERROR_CLOSED,
                         "the stream was %s",
                         u->stream->state == STL_CLOSED ? "closed"
                                                        : "aborted");
}

/* ---- the window -------------------------------------------------------- */

/* The oldest has settled. */
static void take_in(upload_t *up)
{
    unsigned i = up->oldest++ % STL_FLIGHT_MAX;
    stator_future_t *f = up->flight[i].future;

    up->n_flight--;
    if (stl_is_done(f))
        atomic_fetch_add(&up->n_confirmed, up->flight[i].size);
    else
        stl_upload_fail(up, f);
    stator_future_unref(f);
}

static stator_future_t *oldest_of(const upload_t *up)
{
    return stf_shield(up->flight[up->oldest % STL_FLIGHT_MAX].future);
}

/* The document goes when no chunk is on its way any more. */
stator_future_t *stl_upload_drain(upload_t *up, stator_future_t *settled)
{
    if (settled != NULL && up->n_flight > 0)
        take_in(up);
    if (up->n_flight > 0)
        return oldest_of(up);
    return up->filing != NULL && stator_future_poll(up->filing) ==
                                     STATOR_FUTURE_PENDING
               ? stf_shield(up->filing)
               : NULL;
}

static stator_future_t *next_of_index(struct stl_upload_call *u,
                                      stator_future_t *settled)
{
    upload_t *up = u->stream;
    stator_future_t *f;
    bool failed;

    if (settled == NULL) /* of a call before this one it was given up */
        up->index = (struct stl_index){STL_INDEX_START, false};
    f = stl_index_next(&up->index, &u->call, settled, &failed);
    if (failed)
        stl_upload_fail(up, settled);
    else if (f == NULL)
        atomic_store(&up->base.bucket->is_indexed, true);
    up->awaits = f == NULL ? STL_NOTHING : STL_THE_INDEX;
    return f;
}

static void look_for_refused(upload_t *up)
{
    int code = atomic_load(&up->refused);
    stator_future_t *why;

    if (code == 0 || up->state != STL_OPEN)
        return;
    why = stf_future_failed((stator_error_code_t)code, "gridfs_upload_stream",
                            "an earlier write was refused");
    stl_upload_fail(up, why);
    stator_future_unref(why);
}

stator_future_t *stl_upload_refused(upload_t *up, stator_future_t *refusal)
{
    bson_error_t error = {0};

    if (up != NULL && up->base.bucket != NULL &&
        stator_future_error(refusal, &error))
        atomic_store(&up->refused, (int)error.code);
    return refusal;
}

stator_future_t *stl_upload_settle_down(struct stl_upload_call *u,
                                        stator_future_t *settled,
                                        unsigned most, bool indexed)
{
    upload_t *up = u->stream;
    stator_future_t *f = NULL;

    look_for_refused(up);
    if (settled == NULL)
        up->awaits = STL_NOTHING;
    else if (up->awaits == STL_A_CHUNK)
        take_in(up);
    else if (up->awaits == STL_THE_INDEX)
        f = next_of_index(u, settled);
    if (f != NULL)
        return f;
    up->awaits = STL_NOTHING;
    if (up->state == STL_OPEN && indexed &&
        !atomic_load(&up->base.bucket->is_indexed))
        f = next_of_index(u, NULL);
    if (f == NULL && up->n_flight > most && up->state == STL_OPEN) {
        up->awaits = STL_A_CHUNK;
        f = oldest_of(up);
    }
    if (f == NULL && up->state != STL_OPEN)
        stl_upload_refuse(u);
    return f;
}

/* {_id, n, files_id, data} */
void stl_upload_send(struct stl_upload_call *u)
{
    upload_t *up = u->stream;
    unsigned i = (up->oldest + up->n_flight) % STL_FLIGHT_MAX;
    struct stl_request r;
    bson_t chunk;
    bson_oid_t id;

    bson_init(&chunk);
    bson_oid_init(&id, NULL);
    if (up->n_sent < STL_FLIGHT_MAX)
        up->first_ids[up->n_sent] = id;
    BSON_APPEND_OID(&chunk, "_id", &id);
    BSON_APPEND_INT32(&chunk, "n", up->n_sent);
    BSON_APPEND_VALUE(&chunk, "files_id", &up->id);
    BSON_APPEND_BINARY(&chunk, "data", BSON_SUBTYPE_BINARY, up->tail,
                       (uint32_t)up->n_tail);
    stl_call_begin(&u->call, &r, &stc_verb_insert_one, up->base.bucket->chunks,
                   NULL, STL_OPERATION);
    stl_request_copy(&r, &chunk);
    bson_destroy(&chunk);
    up->flight[i].future = stl_call_submit(&u->call, &r);
    up->flight[i].size = up->n_tail;
    up->n_flight++;
    up->n_sent++;
    up->length += up->n_tail;
    up->n_tail = 0;
}

size_t stl_upload_take(struct stl_upload_call *u, const uint8_t *bytes,
                       size_t size)
{
    upload_t *up = u->stream;
    size_t room = (size_t)(up->chunk_size - up->n_tail);

    if (up->tail == NULL)
        up->tail = malloc((size_t)up->chunk_size);
    if (up->tail == NULL || up->n_sent == INT32_MAX) {
        stl_call_fail(&u->call, STATOR_ERROR_DOMAIN,
                      up->tail == NULL ? STATOR_ERROR_MEMORY
                                       : STATOR_ERROR_ARGUMENT,
                      up->tail == NULL ? "no memory for a chunk"
                                       : "more than 2147483647 chunks");
        return 0;
    }
    if (size > room)
        size = room;
    memcpy(up->tail + up->n_tail, bytes, size);
    up->n_tail += (int32_t)size;
    if (up->n_tail == up->chunk_size)
        stl_upload_send(u);
    return size;
}
