/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_bucket.c - GridFS. */
#include <string.h>

#include "tests/spec/operation.h"
#include "tests/spec/value.h"

/* The file's name for itself; false: the argument is missing. */
static bool file_id(const call_t *call, bson_iter_t *at,
                    const bson_value_t **id)
{
    if (!value_find(&call->arguments, "id", at))
        return verdict_fail(call->run->verdict, "%s: no argument \"id\"",
                            call->verb->name);
    *id = bson_iter_value(at);
    return true;
}

static bool raw_delete(call_t *call)
{
    const bson_value_t *id = NULL;
    bson_error_t error;
    bson_iter_t at;

    if (!file_id(call, &at, &id))
        return false;
    if (!mongoc_gridfs_bucket_delete_by_id(call->object->raw.bucket, id,
                                           &error))
        call_fail(call, &error);
    return true;
}

/* ---- download -------------------------------------------------------- */

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

static bool raw_download(call_t *call)
{
    const bson_value_t *id = NULL;
    mongoc_stream_t *stream;
    bson_error_t error;
    bson_iter_t at;

    if (!file_id(call, &at, &id))
        return false;
    stream = mongoc_gridfs_bucket_open_download_stream(
        call->object->raw.bucket, id, &error);
    if (stream == NULL)
        return call_fail(call, &error);
    read_all(call, stream);
    return true;
}

/* ---- upload ---------------------------------------------------------- */

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

static bool upload(call_t *call, const bson_value_t *id)
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

static bool raw_upload(call_t *call)
{
    return upload(call, NULL);
}

static bool raw_upload_with_id(call_t *call)
{
    const bson_value_t *id = NULL;
    bson_iter_t at;

    return file_id(call, &at, &id) && upload(call, id);
}

#define UPLOAD                                                                 \
    "!filename !source | chunkSizeBytes metadata contentType disableMD5"
#define LACKING(n)                                                             \
    {.name = n, .on = ENTITY_BUCKET,                                           \
     .lacks = "libmongoc 1.23 has no " n " of GridFS"}

const verb_t bucket_verbs[] = {
    {"delete", ENTITY_BUCKET, "!id", raw_delete, NULL, NULL, MATCH_ROOT},
    {"download", ENTITY_BUCKET, "!id", raw_download, NULL, NULL, MATCH_ROOT},
    {"upload", ENTITY_BUCKET, UPLOAD, raw_upload, NULL, NULL, MATCH_ROOT},
    {"uploadWithId", ENTITY_BUCKET, "!id " UPLOAD, raw_upload_with_id, NULL,
     NULL, MATCH_ROOT},
    LACKING("downloadByName"),
    LACKING("deleteByName"),
    LACKING("rename"),
    LACKING("renameByName"),
    LACKING("drop"),
    {0}};
