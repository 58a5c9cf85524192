/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_bucket.c - GridFS: all but the bytes, which are in transfer.c. */
#include "tests/spec/operation.h"
#include "tests/spec/transfer.h"
#include "tests/spec/value.h"

static bool raw_delete(call_t *call)
{
    const bson_value_t *id = NULL;
    bson_error_t error;
    bson_iter_t at;

    if (!transfer_id(call, &at, &id))
        return false;
    if (!mongoc_gridfs_bucket_delete_by_id(call->object->raw.bucket, id,
                                           &error))
        call_fail(call, &error);
    return true;
}

static bool raw_find(call_t *call)
{
    bson_t filter;

    call_view(call, "filter", &filter);
    return call_drain_raw(call, mongoc_gridfs_bucket_find(
                                    call->object->raw.bucket, &filter,
                                    &call->opts));
}

/* ---- Stator ---------------------------------------------------------- */

/* Takes `future`. */
static bool settle(call_t *call, stator_future_t *future)
{
    if (!call_settle(call, future))
        return false;
    stator_future_unref(future);
    return true;
}

static const char *new_name(const call_t *call)
{
    return value_utf8(&call->arguments, "newFilename", "");
}

static bool delete_(call_t *call)
{
    const bson_value_t *id = NULL;
    bson_iter_t at;

    return transfer_id(call, &at, &id) &&
           settle(call, stator_gridfs_bucket_delete_by_id(
                            call->object->stator.bucket, id, &call->opts));
}

static bool delete_by_name(call_t *call)
{
    return settle(call, stator_gridfs_bucket_delete_by_name(
                            call->object->stator.bucket, transfer_name(call),
                            &call->opts));
}

static bool rename_(call_t *call)
{
    const bson_value_t *id = NULL;
    bson_iter_t at;

    return transfer_id(call, &at, &id) &&
           settle(call, stator_gridfs_bucket_rename(
                            call->object->stator.bucket, id,
                            new_name(call), &call->opts));
}

static bool rename_by_name(call_t *call)
{
    return settle(call, stator_gridfs_bucket_rename_by_name(
                            call->object->stator.bucket, transfer_name(call),
                            new_name(call), &call->opts));
}

static bool drop(call_t *call)
{
    return settle(call, stator_gridfs_bucket_drop(call->object->stator.bucket,
                                                  &call->opts));
}

static bool find(call_t *call)
{
    bson_t filter;

    call_view(call, "filter", &filter);
    return call_drain(call, stator_gridfs_bucket_find(
                                call->object->stator.bucket, &filter,
                                &call->opts));
}

/* disableMD5: neither driver makes one. */
#define UPLOAD                                                                 \
    "!filename !source disableMD5 | chunkSizeBytes metadata contentType"
#define LACKS(n) "libmongoc 1.23 has no " n " of GridFS"

const verb_t bucket_verbs[] = {
    {"find", ENTITY_BUCKET,
     "!filter | allowDiskUse batchSize collation limit maxTimeMS "
     "noCursorTimeout skip sort",
     raw_find, find, NULL, MATCH_ROOT_LIST},
    {"delete", ENTITY_BUCKET, "!id", raw_delete, delete_, NULL, MATCH_ROOT},
    {"download", ENTITY_BUCKET, "!id", transfer_raw_download,
     transfer_download, NULL, MATCH_ROOT},
    {"upload", ENTITY_BUCKET, UPLOAD, transfer_raw_upload, transfer_upload,
     NULL, MATCH_ROOT},
    {"uploadWithId", ENTITY_BUCKET, "!id " UPLOAD, transfer_raw_upload_with_id,
     transfer_upload_with_id, NULL, MATCH_ROOT},
    {"downloadByName", ENTITY_BUCKET, "!filename | revision", NULL,
     transfer_download_by_name, LACKS("downloadByName"), MATCH_ROOT},
    {"deleteByName", ENTITY_BUCKET, "!filename", NULL, delete_by_name,
     LACKS("deleteByName"), MATCH_ROOT},
    {"rename", ENTITY_BUCKET, "!id !newFilename", NULL, rename_,
     LACKS("rename"), MATCH_ROOT},
    {"renameByName", ENTITY_BUCKET, "!filename !newFilename", NULL,
     rename_by_name, LACKS("renameByName"), MATCH_ROOT},
    {"drop", ENTITY_BUCKET, "", NULL, drop, LACKS("drop"), MATCH_ROOT},
    {0}};
