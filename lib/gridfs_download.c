/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_download.c - a stream out of a file: made, counted; its file and
 * its chunks.  The picture and the invariants are in gridfs_download.h; what
 * users ask of it is in gridfs_read.c. */
#include "lib/gridfs_download.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <stator/client.h> /* the driver's codes of errors */

#include "lib/document.h"

enum { BATCH_BYTES = 1024 * 1024, BATCH_CHUNKS_MAX = 1000 };

static download_t no_memory = {.base.is_immortal = true, .length = -1};

/* ---- made -------------------------------------------------------------- */

static download_t *new_failed(stator_future_t *fault)
{
    download_t *down = calloc(1, sizeof *down);

    if (down == NULL) {
        stator_future_unref(fault);
        return &no_memory;
    }
    stl_stream_init_failed(&down->base, fault);
    atomic_init(&down->length, -1);
    return down;
}

static download_t *new_sound(stator_gridfs_bucket_t *bucket,
                             const bson_value_t *id, const char *filename,
                             const struct stl_bucket_opts *o)
{
    download_t *down = calloc(1, sizeof *down);

    if (down == NULL)
        return NULL;
    stl_stream_init(&down->base, bucket, o);
    atomic_init(&down->length, -1);
    down->filename = bson_strdup(filename);
    down->revision = o->revision;
    if (id != NULL)
        bson_value_copy(id, &down->id);
    return down;
}

static download_t *open_download(const char *subject,
                                 stator_gridfs_bucket_t *bucket,
                                 const bson_value_t *id, const char *filename,
                                 const char *fault, const bson_t *opts)
{
    struct stl_bucket_opts parsed;
    stator_future_t *refusal = stl_stream_open_refusal(
        subject, bucket, fault, opts,
        filename == NULL ? STL_OF_DOWNLOAD : STL_BY_NAME, &parsed);
    download_t *down;

    if (refusal != NULL)
        return new_failed(refusal);
    down = new_sound(bucket, id, filename, &parsed);
    bson_destroy(parsed.of_operations);
    return down == NULL ? &no_memory : down;
}

stator_gridfs_download_stream_t *
stator_gridfs_bucket_open_download_stream(stator_gridfs_bucket_t *bucket,
                                          const bson_value_t *id,
                                          const bson_t *opts)
{
    return open_download("gridfs_bucket.open_download_stream", bucket, id,
                         NULL, stl_file_id_fault(id), opts);
}

stator_gridfs_download_stream_t *
stator_gridfs_bucket_open_download_stream_by_name(
    stator_gridfs_bucket_t *bucket, const char *filename, const bson_t *opts)
{
    return open_download("gridfs_bucket.open_download_stream_by_name", bucket,
                         NULL, filename, stl_file_name_fault(filename), opts);
}

/* ---- counted ----------------------------------------------------------- */

static void unhold(download_t *down)
{
    if (!stl_stream_unhold(&down->base))
        return;
    stator_future_unref(down->batch);
    if (down->id.value_type != BSON_TYPE_EOD)
        bson_value_destroy(&down->id);
    bson_free(down->filename);
    bson_destroy(down->file);
    stl_stream_destroy(&down->base);
    free(down);
}

stator_gridfs_download_stream_t *
stator_gridfs_download_stream_ref(stator_gridfs_download_stream_t *down)
{
    if (down != NULL)
        stl_stream_ref(&down->base);
    return down;
}

void stator_gridfs_download_stream_unref(stator_gridfs_download_stream_t *down)
{
    if (down != NULL && stl_stream_unref(&down->base))
        unhold(down);
}

int64_t
stator_gridfs_download_stream_tell(const stator_gridfs_download_stream_t *down)
{
    return down == NULL ? 0 : atomic_load(&down->position);
}

int64_t stator_gridfs_download_stream_length(
    const stator_gridfs_download_stream_t *down)
{
    return down == NULL ? -1 : atomic_load(&down->length);
}

/* ---- calls ------------------------------------------------------------- */

struct stl_download_call *
stl_download_call_new(const struct stf_kind *kind, const char *subject,
                      size_t size, stf_step_fn *step, download_t *down,
                      const void *site, stator_future_t **refusal)
{
    struct stl_call *c =
        stl_stream_call_new(kind, subject, size, step,
                            down == NULL ? NULL : &down->base, site, refusal);
    struct stl_download_call *d;

    if (c == NULL)
        return NULL;
    d = stl_download_call_of(&c->steps);
    d->stream = down;
    return d;
}

void stl_download_call_destroy(struct stl_download_call *d)
{
    download_t *down = d->stream;

    stl_call_destroy(&d->call);
    unhold(down);
}

/* ---- the file ---------------------------------------------------------- */

static stator_future_t *ask_file(struct stl_download_call *d)
{
    const download_t *down = d->stream;
    bson_t more = BSON_INITIALIZER, filter = BSON_INITIALIZER, sort;
    bool from_end = down->revision < 0;
    struct stl_request r;

    if (down->filename == NULL) {
        BSON_APPEND_VALUE(&filter, "_id", &down->id);
    } else {
        BSON_APPEND_UTF8(&filter, "filename", down->filename);
        BSON_APPEND_DOCUMENT_BEGIN(&more, "sort", &sort);
        BSON_APPEND_INT32(&sort, "uploadDate", from_end ? -1 : 1);
        bson_append_document_end(&more, &sort);
        BSON_APPEND_INT64(&more, "skip",
                          from_end ? -(int64_t)down->revision - 1
                                   : down->revision);
    }
    stl_call_begin(&d->call, &r, &stc_verb_find_one, down->base.bucket->files,
                   &more, STL_OPERATION);
    stl_request_copy(&r, &filter);
    bson_destroy(&more);
    bson_destroy(&filter);
    d->awaits = STL_A_FILE;
    return stl_call_submit(&d->call, &r);
}

static stator_future_t *not_found(struct stl_download_call *d)
{
    const download_t *down = d->stream;

    if (down->filename == NULL)
        return stl_call_not_found(&d->call, "_id", &down->id);
    return stl_call_fail(&d->call, MONGOC_ERROR_GRIDFS,
                         MONGOC_ERROR_GRIDFS_BUCKET_FILE_NOT_FOUND,
                         "there is no revision %" PRId32
                         " of the file \"%.200s\"",
                         down->revision, down->filename);
}

static stator_future_t *corrupt(struct stl_download_call *d, const char *what)
{
    return stl_call_fail(&d->call, MONGOC_ERROR_GRIDFS,
                         MONGOC_ERROR_GRIDFS_CORRUPT,
                         "the file's document: %s", what);
}

static int64_t number_at(const bson_t *b, const char *key)
{
    bson_iter_t i;
    int64_t n;

    return bson_iter_init_find(&i, b, key) && stl_value_as_int64(&i, &n) ? n
                                                                         : -1;
}

static void take_file(struct stl_download_call *d, const bson_t *file)
{
    download_t *down = d->stream;
    int64_t length, chunk_size;
    bson_iter_t i;

    if (file == NULL) {
        not_found(d);
        return;
    }
    length = number_at(file, "length");
    chunk_size = number_at(file, "chunkSize");
    if (length < 0 || !bson_iter_init_find(&i, file, "_id")) {
        corrupt(d, "it has no length, or no _id");
        return;
    }
    if (length > 0 && (chunk_size < 1 || chunk_size > INT32_MAX)) {
        corrupt(d, "its chunkSize is no size of chunks");
        return;
    }
    if (down->id.value_type == BSON_TYPE_EOD)
        bson_value_copy(bson_iter_value(&i), &down->id);
    down->chunk_size = chunk_size;
    down->n_chunks = length == 0 ? 0 : (length - 1) / chunk_size + 1;
    down->file = bson_copy(file);
    atomic_store(&down->length, length);
}

/* ---- its chunks -------------------------------------------------------- */

static stator_future_t *ask_batch(struct stl_download_call *d, int64_t first)
{
    download_t *down = d->stream;
    bson_t more = BSON_INITIALIZER, filter = BSON_INITIALIZER, part;
    int64_t left = down->n_chunks - first;
    int64_t most = BATCH_BYTES / down->chunk_size;
    struct stl_request r;

    if (most < 2)
        most = 2;
    if (most > BATCH_CHUNKS_MAX)
        most = BATCH_CHUNKS_MAX;
    if (left <= most)
        most = left + 1; /* D3 */
    BSON_APPEND_DOCUMENT_BEGIN(&more, "sort", &part);
    BSON_APPEND_INT32(&part, "n", 1);
    bson_append_document_end(&more, &part);
    BSON_APPEND_INT64(&more, "limit", most);
    BSON_APPEND_INT64(&more, "batchSize", most);
    BSON_APPEND_BOOL(&more, "singleBatch", true);
    BSON_APPEND_VALUE(&filter, "files_id", &down->id);
    if (first > 0) {
        BSON_APPEND_DOCUMENT_BEGIN(&filter, "n", &part);
        BSON_APPEND_INT64(&part, "$gte", first);
        bson_append_document_end(&filter, &part);
    }
    stl_call_begin(&d->call, &r, &stc_verb_find, down->base.bucket->chunks,
                   &more, STL_CURSOR);
    stl_request_copy(&r, &filter);
    bson_destroy(&more);
    bson_destroy(&filter);
    stator_future_unref(down->batch);
    down->batch = NULL;
    down->batch_first = first;
    d->awaits = STL_A_BATCH;
    return stl_call_fetch(&d->call, &r);
}

static bool bytes_of(const bson_t *chunk, const uint8_t **bytes,
                     uint32_t *size)
{
    bson_subtype_t type;
    bson_iter_t i;

    if (!bson_iter_init_find(&i, chunk, "data") || !BSON_ITER_HOLDS_BINARY(&i))
        return false;
    bson_iter_binary(&i, &type, size, bytes);
    return true;
}

/* D3: what lies behind the last one. */
static bool is_one_too_many(const download_t *down)
{
    int64_t i = down->n_chunks - down->batch_first;
    const uint8_t *bytes;
    uint32_t size;

    return i < stator_future_count(down->batch) &&
           bytes_of(stator_future_document_at(down->batch, (size_t)i), &bytes,
                    &size) &&
           size > 0;
}

static stator_future_t *bad_chunk(struct stl_download_call *d, uint32_t code,
                                  int64_t n, const char *what)
{
    return stl_call_fail(&d->call, MONGOC_ERROR_GRIDFS, code,
                         "chunk %" PRId64 " of %" PRId64 " %s", n,
                         d->stream->n_chunks, what);
}

static void take_chunk(struct stl_download_call *d, int64_t n,
                       const bson_t *chunk, const uint8_t **bytes,
                       uint32_t *size)
{
    const download_t *down = d->stream;
    int64_t length = atomic_load(&down->length);
    int64_t expected = n == down->n_chunks - 1 ? length - n * down->chunk_size
                                               : down->chunk_size;

    if (chunk == NULL || number_at(chunk, "n") != n)
        bad_chunk(d, MONGOC_ERROR_GRIDFS_CHUNK_MISSING, n, "is missing");
    else if (!bytes_of(chunk, bytes, size))
        bad_chunk(d, MONGOC_ERROR_GRIDFS_CORRUPT, n, "has no data");
    else if (*size != expected)
        stl_call_fail(&d->call, MONGOC_ERROR_GRIDFS,
                      MONGOC_ERROR_GRIDFS_CORRUPT,
                      "chunk %" PRId64 " of %" PRId64 " has %" PRIu32
                      " bytes instead of %" PRId64,
                      n, down->n_chunks, *size, expected);
    else if (n == down->n_chunks - 1 && is_one_too_many(down))
        bad_chunk(d, MONGOC_ERROR_GRIDFS_CORRUPT, n + 1, "is one too many");
}

stator_future_t *stl_download_look(struct stl_download_call *d,
                                   int64_t position, const uint8_t **bytes,
                                   size_t *size)
{
    download_t *down = d->stream;
    int64_t n = position / down->chunk_size;
    int64_t i = n - down->batch_first;
    size_t skip = (size_t)(position % down->chunk_size);
    const bson_t *chunk = NULL;
    uint32_t length = 0;

    if (down->batch != NULL && i >= 0)
        chunk = stator_future_document_at(down->batch, (size_t)i);
    if (chunk == NULL && (down->batch == NULL || i != 0))
        return ask_batch(d, n);
    take_chunk(d, n, chunk, bytes, &length);
    if (stl_call_is_settled(&d->call)) {
        stator_future_unref(down->batch); /* it is asked for anew */
        down->batch = NULL;
        return NULL;
    }
    *bytes += skip;
    *size = length - skip;
    return NULL;
}

stator_future_t *stl_download_prepare(struct stl_download_call *d,
                                      stator_future_t *settled)
{
    download_t *down = d->stream;

    if (atomic_load(&down->is_closed))
        return stl_call_fail(&d->call, STATOR_ERROR_DOMAIN,
                             STATOR_ERROR_CLOSED, "the stream is closed");
    if (d->awaits != STL_NO_MORE && !stl_is_done(settled))
        return stl_call_fail_as(&d->call, settled);
    if (d->awaits == STL_A_FILE)
        take_file(d, stator_future_document(settled));
    else if (d->awaits == STL_A_BATCH)
        down->batch = stator_future_ref(settled);
    else if (down->file == NULL)
        return ask_file(d);
    d->awaits = STL_NO_MORE;
    return NULL;
}
