/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_whole.c - whole files, up and down: each is a stream that only its
 * requests keep. */
#include "lib/gridfs_read.h"
#include "lib/gridfs_write.h"

/* Takes `written`, and the handle.  What was refused has left nothing for a
 * close to fail with. */
static stator_future_t *close_behind(upload_t *up, stator_future_t *written,
                                     const void *site)
{
    stator_future_t *f = written;

    if (stator_future_poll(written) != STATOR_FUTURE_FAILED) {
        f = stl_upload_close(up, written, site);
        stator_future_unref(written);
    }
    stator_gridfs_upload_stream_unref(up);
    return f;
}

stator_future_t *
stator_gridfs_bucket_upload_from_buffer(stator_gridfs_bucket_t *bucket,
                                        const char *filename,
                                        const void *bytes, size_t size,
                                        const bson_t *opts)
{
    const void *site = __builtin_return_address(0);
    upload_t *up;

    if (bytes == NULL && size > 0)
        return stl_bad_argument("gridfs_bucket.upload_from_buffer",
                                "bytes is NULL");
    up = stator_gridfs_bucket_open_upload_stream(bucket, filename, opts);
    return close_behind(up, stl_upload_write(up, bytes, size, site), site);
}

stator_future_t *
stator_gridfs_bucket_upload_from_fd(stator_gridfs_bucket_t *bucket,
                                    const char *filename, int fd,
                                    const bson_t *opts)
{
    const void *site = __builtin_return_address(0);
    upload_t *up =
        stator_gridfs_bucket_open_upload_stream(bucket, filename, opts);

    return close_behind(up, stl_upload_from_fd(up, fd, site), site);
}

stator_future_t *
stator_gridfs_bucket_download_to_buffer(stator_gridfs_bucket_t *bucket,
                                        const bson_value_t *id,
                                        const bson_t *opts)
{
    download_t *down =
        stator_gridfs_bucket_open_download_stream(bucket, id, opts);
    stator_future_t *f =
        stl_download_read(down, SIZE_MAX, __builtin_return_address(0));

    stator_gridfs_download_stream_unref(down);
    return f;
}

stator_future_t *
stator_gridfs_bucket_download_to_fd(stator_gridfs_bucket_t *bucket,
                                    const bson_value_t *id, int fd,
                                    const bson_t *opts)
{
    download_t *down =
        stator_gridfs_bucket_open_download_stream(bucket, id, opts);
    stator_future_t *f =
        stl_download_to_fd(down, fd, __builtin_return_address(0));

    stator_gridfs_download_stream_unref(down);
    return f;
}
