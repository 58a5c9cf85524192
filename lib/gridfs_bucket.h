/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_bucket.h - the handle of a bucket: two collections and a chunk
 * size; counted, and immutable but for what it has learnt of the indexes. */
#ifndef STL_GRIDFS_BUCKET_H
#define STL_GRIDFS_BUCKET_H

#include <stator/gridfs_bucket.h>

#include "lib/handle.h"
#include "lib/opts.h"

struct stator_gridfs_bucket {
    atomic_uint refs;
    struct stl_handle *files, *chunks; /* references */
    int32_t chunk_size;
    atomic_bool is_indexed; /* or had files: no need to look again */
};

static inline stator_client_t *
stl_bucket_client(const stator_gridfs_bucket_t *bucket)
{
    return bucket->files->client;
}

/* chunkSizeBytes, of a bucket or a stream.  False: `problem` says what is
 * wrong. */
bool stl_chunk_size_parse(const bson_iter_t *value, int32_t *out,
                          char *problem);

/* What a user gives for a call or a stream, sorted out. */
struct stl_bucket_opts {
    bson_t *of_operations; /* priority, leaseId, .., context; to be destroyed */
    int64_t timeout_ms;    /* 0: none */
    int32_t chunk_size;    /* of an upload; 0: the bucket's */
    bson_t metadata;       /* of an upload: a view into opts */
    bool has_metadata;
    int32_t revision;      /* of a download by name */
};

enum stl_bucket_use { STL_OF_CALL, STL_OF_UPLOAD, STL_OF_DOWNLOAD, STL_BY_NAME };

/* False: `problem`; nothing is to be destroyed then. */
bool stl_bucket_opts_parse(const bson_t *opts, enum stl_bucket_use use,
                           struct stl_bucket_opts *out, char *problem);

/* Is the _id, or the name, something that can be stored?  NULL: yes; else why
 * not, as "the id is NULL". */
const char *stl_file_id_fault(const bson_value_t *id);
const char *stl_file_name_fault(const char *filename);

#endif /* STL_GRIDFS_BUCKET_H */
