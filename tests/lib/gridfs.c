/* SPDX-License-Identifier: Apache-2.0 */
/* gridfs.c - what the tests of GridFS share. */
#include "tests/lib/gridfs.h"

enum { KEPT_MAX = 512 };

static struct kept {
    void (*free)(void *);
    void *what;
} kept[KEPT_MAX];
static size_t n_kept;

static void *keep(void *what, void (*how)(void *))
{
    ck_assert_uint_lt(n_kept, KEPT_MAX);
    kept[n_kept].what = what;
    kept[n_kept++].free = how;
    return what;
}

static void free_bucket(void *what)
{
    stator_gridfs_bucket_unref(what);
}

static void free_upload(void *what)
{
    stator_gridfs_upload_stream_unref(what);
}

static void free_download(void *what)
{
    stator_gridfs_download_stream_unref(what);
}

static void free_value(void *what)
{
    bson_value_destroy(what);
    free(what);
}

void gridfs_forget(void)
{
    while (n_kept > 0) {
        n_kept--;
        kept[n_kept].free(kept[n_kept].what);
    }
}

stator_gridfs_bucket_t *bucket_of(stage_t *stage, const char *opts)
{
    bson_error_t error = {0};
    stator_gridfs_bucket_t *bucket = stator_gridfs_bucket_new(
        stage->database, opts == NULL ? NULL : J("%s", opts), &error);

    ck_assert_msg(bucket != NULL, "%s", error.message);
    return keep(bucket, free_bucket);
}

stator_gridfs_upload_stream_t *lend_upload(stator_gridfs_upload_stream_t *up)
{
    ck_assert_ptr_nonnull(up);
    return keep(up, free_upload);
}

stator_gridfs_download_stream_t *
lend_download(stator_gridfs_download_stream_t *down)
{
    ck_assert_ptr_nonnull(down);
    return keep(down, free_download);
}

uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 131 + (i >> 8) * 17 + (i >> 16));
}

uint8_t *bytes_of_file(size_t n)
{
    uint8_t *bytes = malloc(n + 1);

    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(i);
    return keep(bytes, free);
}

static const bson_value_t *value_in(const bson_t *document, const char *key)
{
    bson_value_t *value = calloc(1, sizeof *value);
    bson_iter_t i;

    ck_assert_ptr_nonnull(document);
    ck_assert(bson_iter_init_find(&i, document, key));
    bson_value_copy(bson_iter_value(&i), value);
    return keep(value, free_value);
}

const bson_value_t *id_in(const stator_future_t *future)
{
    return value_in(stator_future_document(future), "_id");
}

const bson_value_t *id_of(const char *json)
{
    return value_in(J("{'_id': %s}", json), "_id");
}

stator_future_t *upload(stator_gridfs_bucket_t *bucket, const char *name,
                        size_t n, const char *opts)
{
    return done(stator_gridfs_bucket_upload_from_buffer(
        bucket, name, bytes_of_file(n), n,
        opts == NULL ? NULL : J("%s", opts)));
}

void ck_bytes(const stator_future_t *future, size_t from, size_t n)
{
    size_t size;
    const uint8_t *bytes = stator_future_bytes(future, &size);

    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq(size, n);
    ck_assert_int_eq(stator_future_count(future), (int64_t)n);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(bytes[i] == byte_at(from + i),
                      "byte %zu differs: %u instead of %u", from + i, bytes[i],
                      byte_at(from + i));
}

int64_t count_in(stage_t *stage, const char *collection)
{
    stator_collection_t *c =
        stator_database_get_collection(stage->database, collection);
    int64_t n = stator_future_count(
        done(stator_collection_count_documents(c, J("{}"), NULL)));

    stator_collection_unref(c);
    return n;
}
