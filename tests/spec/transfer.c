/* SPDX-License-Identifier: Apache-2.0 */
/* transfer.c - the bytes of GridFS, up and down. */
#include "tests/spec/transfer.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/spec/await.h"
#include "tests/spec/value.h"

bool transfer_id(const call_t *call, bson_iter_t *at, const bson_value_t **id)
{
    if (!value_find(&call->arguments, "id", at))
        return verdict_fail(call->run->verdict, "%s: no argument \"id\"",
                            call->verb->name);
    *id = bson_iter_value(at);
    return true;
}

const char *transfer_name(const call_t *call)
{
    return value_utf8(&call->arguments, "filename", "");
}

/* ---- raw: download --------------------------------------------------- */

/* Takes `stream`. */
static void read_all(call_t *call, mongoc_stream_t *stream)
{
    bson_t value = BSON_INITIALIZER;
    uint8_t *bytes = NULL;
    size_t length = 0;
    bson_error_t error;
    bson_iter_t at;
    ssize_t n;

    do {
        bytes = bson_realloc(bytes, length + 4096);
        n = mongoc_stream_read(stream, bytes + length, 4096, 0, 0);
        length += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    if (mongoc_gridfs_bucket_stream_error(stream, &error)) {
        call_fail(call, &error);
    } else {
        bson_append_binary(&value, "v", -1, BSON_SUBTYPE_BINARY, bytes,
                           (uint32_t)length);
        value_find(&value, "v", &at);
        result_set(call->result, &at);
    }
    bson_destroy(&value);
    bson_free(bytes);
    mongoc_stream_destroy(stream);
}

bool transfer_raw_download(call_t *call)
{
    const bson_value_t *id = NULL;
    mongoc_stream_t *stream;
    bson_error_t error;
    bson_iter_t at;

    if (!transfer_id(call, &at, &id))
        return false;
    stream = mongoc_gridfs_bucket_open_download_stream(
        call->object->raw.bucket, id, &error);
    if (stream == NULL)
        return call_fail(call, &error);
    read_all(call, stream);
    return true;
}

/* ---- raw: upload ----------------------------------------------------- */

static bool read_source(const call_t *call, uint8_t **bytes, size_t *length)
{
    const char *hex = NULL;
    bson_t source;

    call_view(call, "source", &source);
    if (bson_count_keys(&source) == 1)
        hex = value_utf8(&source, "$$hexBytes", NULL);
    *bytes = hex == NULL ? NULL : value_bytes(hex, length);
    return *bytes != NULL ||
           verdict_fail(call->run->verdict, "the source is no $$hexBytes");
}

static mongoc_stream_t *open_upload(call_t *call, const bson_value_t *id,
                                    bson_value_t *made, bson_error_t *error)
{
    const char *name = value_utf8(&call->arguments, "filename", "");
    mongoc_gridfs_bucket_t *bucket = call->object->raw.bucket;

    if (id != NULL)
        return mongoc_gridfs_bucket_open_upload_stream_with_id(
            bucket, id, name, &call->opts, error);
    return mongoc_gridfs_bucket_open_upload_stream(bucket, name, &call->opts,
                                                   made, error);
}

static void write_all(call_t *call, mongoc_stream_t *stream, uint8_t *bytes,
                      size_t length)
{
    bson_error_t error;

    if ((length > 0 && mongoc_stream_write(stream, bytes, length, 0) !=
                           (ssize_t)length) ||
        mongoc_stream_close(stream) != 0) {
        if (mongoc_gridfs_bucket_stream_error(stream, &error))
            call_fail(call, &error);
    }
    mongoc_stream_destroy(stream);
}

static bool raw_upload_as(call_t *call, const bson_value_t *id)
{
    bson_value_t made = {0};
    mongoc_stream_t *stream;
    bson_error_t error;
    uint8_t *bytes;
    size_t length;

    if (!read_source(call, &bytes, &length))
        return false;
    stream = open_upload(call, id, &made, &error);
    if (stream == NULL) {
        call_fail(call, &error);
    } else {
        write_all(call, stream, bytes, length);
        if (!call->result->failed && id == NULL)
            bson_append_value(&call->result->value, "v", -1, &made);
        if (id == NULL)
            bson_value_destroy(&made);
    }
    bson_free(bytes);
    return true;
}

bool transfer_raw_upload(call_t *call)
{
    return raw_upload_as(call, NULL);
}

bool transfer_raw_upload_with_id(call_t *call)
{
    const bson_value_t *id = NULL;
    bson_iter_t at;

    return transfer_id(call, &at, &id) && raw_upload_as(call, id);
}

/* ---- Stator ----------------------------------------------------------
 * There are several ways to the same bytes; each way of waiting goes one. */

static wait_mode_t next_mode(call_t *call)
{
    return await_mode(call->run->setup->mode, &call->run->turn);
}

/* ---- Stator: download ------------------------------------------------ */

/* What came, with room to grow. */
typedef struct bytes {
    uint8_t *at;
    size_t n;
} bytes_t;

static void append(bytes_t *bytes, const uint8_t *more, size_t n)
{
    bytes->at = bson_realloc(bytes->at, bytes->n + n + 1);
    if (n > 0)
        memcpy(bytes->at + bytes->n, more, n);
    bytes->n += n;
}

/* Takes `future`.  `*n`: how many it brought. */
static bool take_bytes(call_t *call, stator_future_t *future,
                       wait_mode_t mode, bytes_t *bytes, size_t *n)
{
    const uint8_t *came;

    *n = 0;
    if (!call_settle_by(call, future, mode))
        return false;
    came = stator_future_bytes(future, n);
    append(bytes, came, *n);
    stator_future_unref(future);
    return true;
}

/* Takes `future`, which fills `fd`. */
static bool take_file(call_t *call, stator_future_t *future, wait_mode_t mode,
                      int fd, bytes_t *bytes)
{
    uint8_t some[4096];
    ssize_t n;

    if (!call_settle_by(call, future, mode))
        return false;
    stator_future_unref(future);
    lseek(fd, 0, SEEK_SET);
    while ((n = read(fd, some, sizeof some)) > 0)
        append(bytes, some, (size_t)n);
    return true;
}

/* All at once, into a file, or in pieces.  Takes `stream`. */
static bool read_stream(call_t *call, stator_gridfs_download_stream_t *stream,
                        wait_mode_t mode, bytes_t *bytes)
{
    size_t n = 0, piece = mode == MODE_WAIT ? SIZE_MAX : 3;
    bool fine;
    int fd;

    if (mode == MODE_THEN) {
        fd = memfd_create("download", MFD_CLOEXEC);
        fine = take_file(call,
                         stator_gridfs_download_stream_to_fd(stream, fd),
                         mode, fd, bytes);
        close(fd);
    } else {
        do
            fine = take_bytes(
                call, stator_gridfs_download_stream_read(stream, piece), mode,
                bytes, &n);
        while (fine && n > 0);
    }
    stator_gridfs_download_stream_unref(stream);
    return fine;
}

/* Takes what is in `bytes`. */
static void give_bytes(call_t *call, bytes_t *bytes)
{
    bson_t value = BSON_INITIALIZER;
    bson_iter_t at;

    append(bytes, NULL, 0);
    bson_append_binary(&value, "v", -1, BSON_SUBTYPE_BINARY, bytes->at,
                       (uint32_t)bytes->n);
    value_find(&value, "v", &at);
    if (!call->result->failed)
        result_set(call->result, &at);
    bson_destroy(&value);
    bson_free(bytes->at);
}

bool transfer_download(call_t *call)
{
    stator_gridfs_bucket_t *bucket = call->object->stator.bucket;
    wait_mode_t mode = next_mode(call);
    const bson_value_t *id = NULL;
    bytes_t bytes = {NULL, 0};
    bson_iter_t at;
    size_t n;
    bool fine;

    if (!transfer_id(call, &at, &id))
        return false;
    if (mode == MODE_WAIT)
        fine = take_bytes(call,
                          stator_gridfs_bucket_download_to_buffer(
                              bucket, id, &call->opts),
                          mode, &bytes, &n);
    else
        fine = read_stream(call,
                           stator_gridfs_bucket_open_download_stream(
                               bucket, id, &call->opts),
                           mode, &bytes);
    give_bytes(call, &bytes);
    return fine;
}

bool transfer_download_by_name(call_t *call)
{
    bytes_t bytes = {NULL, 0};
    stator_gridfs_download_stream_t *stream =
        stator_gridfs_bucket_open_download_stream_by_name(
            call->object->stator.bucket, transfer_name(call), &call->opts);
    bool fine = read_stream(call, stream, next_mode(call), &bytes);

    give_bytes(call, &bytes);
    return fine;
}

/* ---- Stator: upload -------------------------------------------------- */

/* Takes `future`, which gives the file's document. */
static bool take_id(call_t *call, stator_future_t *future, wait_mode_t mode)
{
    const bson_t *document;
    bson_iter_t at;

    if (!call_settle_by(call, future, mode))
        return false;
    document = stator_future_document(future);
    if (document != NULL && value_find(document, "_id", &at))
        result_set(call->result, &at);
    stator_future_unref(future);
    return true;
}

/* In two pieces, and the second does not wait for the first.  Takes
 * `stream`. */
static bool write_stream(call_t *call, stator_gridfs_upload_stream_t *stream,
                         const uint8_t *bytes, size_t length,
                         wait_mode_t mode)
{
    size_t half = length / 2;
    stator_future_t *first, *second;
    bool fine;

    first = stator_gridfs_upload_stream_write(stream, bytes, half);
    second = stator_gridfs_upload_stream_write(stream, bytes + half,
                                               length - half);
    fine = take_id(call, stator_gridfs_upload_stream_close(stream), mode);
    stator_future_unref(first);
    stator_future_unref(second);
    stator_gridfs_upload_stream_unref(stream);
    return fine;
}

static bool upload_file(call_t *call, const uint8_t *bytes, size_t length,
                        wait_mode_t mode)
{
    int fd = memfd_create("upload", MFD_CLOEXEC);
    bool fine;

    if (fd < 0 || write(fd, bytes, length) != (ssize_t)length ||
        lseek(fd, 0, SEEK_SET) != 0)
        verdict_fail(call->run->verdict, "no file in memory");
    fine = take_id(call,
                   stator_gridfs_bucket_upload_from_fd(
                       call->object->stator.bucket, transfer_name(call), fd,
                       &call->opts),
                   mode);
    close(fd);
    return fine;
}

bool transfer_upload(call_t *call)
{
    stator_gridfs_bucket_t *bucket = call->object->stator.bucket;
    wait_mode_t mode = next_mode(call);
    uint8_t *bytes;
    size_t length;
    bool fine;

    if (!read_source(call, &bytes, &length))
        return false;
    if (mode == MODE_WAIT)
        fine = take_id(call,
                       stator_gridfs_bucket_upload_from_buffer(
                           bucket, transfer_name(call), bytes, length,
                           &call->opts),
                       mode);
    else if (mode == MODE_THEN)
        fine = upload_file(call, bytes, length, mode);
    else
        fine = write_stream(call,
                            stator_gridfs_bucket_open_upload_stream(
                                bucket, transfer_name(call), &call->opts),
                            bytes, length, mode);
    bson_free(bytes);
    return fine;
}

bool transfer_upload_with_id(call_t *call)
{
    stator_gridfs_upload_stream_t *stream;
    const bson_value_t *id = NULL;
    bson_iter_t at;
    uint8_t *bytes;
    size_t length;
    bool fine;

    if (!transfer_id(call, &at, &id) || !read_source(call, &bytes, &length))
        return false;
    stream = stator_gridfs_bucket_open_upload_stream_with_id(
        call->object->stator.bucket, id, transfer_name(call), &call->opts);
    fine = write_stream(call, stream, bytes, length, next_mode(call));
    bson_reinit(&call->result->value);
    bson_free(bytes);
    return fine;
}
