/* SPDX-License-Identifier: Apache-2.0 */
/* gridfs.h - what the tests of GridFS share: a bucket, files of known bytes,
 * ids.  All of it belongs to the stage, as in support.h. */
#ifndef STATOR_TESTS_LIB_GRIDFS_H
#define STATOR_TESTS_LIB_GRIDFS_H

#include "tests/lib/support.h"

/* Lent, until gridfs_forget. */
stator_gridfs_bucket_t *bucket_of(stage_t *stage, const char *opts);
void gridfs_forget(void);

/* Byte `i` of every file: all chunks differ. */
uint8_t byte_at(size_t i);
/* `n` of them; lent, until gridfs_forget. */
uint8_t *bytes_of_file(size_t n);

/* The _id of a file's document, as a value; lent likewise. */
const bson_value_t *id_in(const stator_future_t *future);
const bson_value_t *id_of(const char *json);

/* Upload `n` bytes; the file's document is the future's. */
stator_future_t *upload(stator_gridfs_bucket_t *bucket, const char *name,
                        size_t n, const char *opts);
/* The future has brought bytes `from` to `from + n` of a file. */
void ck_bytes(const stator_future_t *future, size_t from, size_t n);
/* How many documents a collection of the bucket "fs" has. */
int64_t count_in(stage_t *stage, const char *collection);

stator_gridfs_upload_stream_t *lend_upload(stator_gridfs_upload_stream_t *up);
stator_gridfs_download_stream_t *
lend_download(stator_gridfs_download_stream_t *down);

#endif /* STATOR_TESTS_LIB_GRIDFS_H */
