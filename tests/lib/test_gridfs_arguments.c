/* SPDX-License-Identifier: Apache-2.0 */
/* test_gridfs_arguments.c - what is wrong is named, and nothing is sent. */
#include "tests/lib/gridfs.h"

static stage_t *stage;
static stator_gridfs_bucket_t *bucket;

static void set_up(void)
{
    stage = stage_nowhere();
    bucket = bucket_of(stage, NULL);
}

static void tear_down(void)
{
    gridfs_forget();
    stage_free(stage);
}

static const struct row {
    const char *opts, *text;
} of_buckets[] = {
    {"{'bucketname': 'x'}", "bucketname is unknown"},
    {"{'bucketName': ''}", "bucketName must be a string of 1 to"},
    {"{'bucketName': 1}", "bucketName must be a string of 1 to"},
    {"{'bucketName': 'f\\u0000s'}", "none of them 0"},
    {"{'chunkSizeBytes': 0}", "chunkSizeBytes must be an integer from 1 to"},
    {"{'chunkSizeBytes': -1}", "chunkSizeBytes must be an integer from 1 to"},
    {"{'chunkSizeBytes': 1.5}", "chunkSizeBytes must be an integer from 1 to"},
    {"{'chunkSizeBytes': 16777216}", "from 1 to 16760832"},
    {"{'chunkSizeBytes': 'x'}", "chunkSizeBytes must be an integer from 1 to"},
    {"{'readConcern': 1}", "readConcern must be a document"},
    {"{'writeConcern': {'w': -1}}", "writeConcern.w"},
    {"{'readPreference': {'mode': 'x'}}", "readPreference"},
    {"{'timeoutMS': 1}", "timeoutMS is unknown"},
},
  of_uploads[] = {
    {"{'chunkSizeBytes': 0}", "chunkSizeBytes must be an integer from 1 to"},
    {"{'metadata': 1}", "metadata must be a document"},
    {"{'metadata': [1]}", "metadata must be a document"},
    {"{'revision': 1}", "revision is unknown"},
    {"{'timeoutMS': -1}", "timeoutMS must be 0 or more"},
    {"{'timeoutMS': 'x'}", "timeoutMS must be an integer"},
    {"{'priority': 'x'}", "priority must be"},
    {"{'sessionId': 'x'}", "sessionId must be"},
    {"{'limit': 1}", "limit is unknown"},
    {"{'timeoutMS': 1, 'timeoutMS': 1}", "timeoutMS is given twice"},
},
  of_names[] = {
    {"{'revision': 'x'}", "revision must be an integer"},
    {"{'revision': 3000000000}", "revision must be an integer"},
    {"{'metadata': {}}", "metadata is unknown"},
    {"{'sort': {}}", "sort is unknown"},
};

#define FOR_ROWS(row, rows)                                                    \
    for (const struct row *row = rows;                                         \
         row < rows + sizeof rows / sizeof *rows; row++)

START_TEST(options_of_a_bucket)
{
    bson_error_t error;

    FOR_ROWS(row, of_buckets) {
        ck_assert_ptr_null(stator_gridfs_bucket_new(
            stage->database, J("%s", row->opts), &error));
        ck_assert_int_eq(error.domain, STATOR_ERROR_DOMAIN);
        ck_assert_int_eq(error.code, STATOR_ERROR_ARGUMENT);
        ck_assert_msg(strstr(error.message, row->text) != NULL, "%s",
                      error.message);
    }
    ck_assert_ptr_null(stator_gridfs_bucket_new(NULL, NULL, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "the database is NULL"));
    ck_assert_ptr_null(
        stator_gridfs_bucket_new(stage->database, lib_corrupt(), NULL));
    ck_assert_ptr_nonnull(bucket_of(stage, "{'bucketName': 'ü'}"));
}
END_TEST

static void faulty_upload(stator_gridfs_upload_stream_t *up, const char *text)
{
    ck_assert_ptr_null(stator_gridfs_upload_stream_id(up));
    faulty(stator_gridfs_upload_stream_write(up, "x", 1), text);
    faulty(stator_gridfs_upload_stream_from_fd(up, 0), text);
    faulty(stator_gridfs_upload_stream_abort(up), text);
    faulty(stator_gridfs_upload_stream_close(up), text);
    stator_gridfs_upload_stream_unref(stator_gridfs_upload_stream_ref(up));
    stator_gridfs_upload_stream_unref(up);
}

static void faulty_download(stator_gridfs_download_stream_t *down,
                            const char *text)
{
    ck_assert_int_eq(stator_gridfs_download_stream_length(down), -1);
    faulty(stator_gridfs_download_stream_open(down), text);
    faulty(stator_gridfs_download_stream_read(down, 1), text);
    faulty(stator_gridfs_download_stream_seek(down, 1), text);
    faulty(stator_gridfs_download_stream_to_fd(down, 1), text);
    faulty(stator_gridfs_download_stream_close(down), text);
    stator_gridfs_download_stream_unref(
        stator_gridfs_download_stream_ref(down));
    stator_gridfs_download_stream_unref(down);
}

START_TEST(options_of_streams)
{
    FOR_ROWS(row, of_uploads) {
        const bson_t *opts = J("%s", row->opts);

        faulty_upload(
            stator_gridfs_bucket_open_upload_stream(bucket, "a", opts),
            row->text);
        faulty(stator_gridfs_bucket_upload_from_buffer(bucket, "a", "x", 1,
                                                       opts), row->text);
        faulty(stator_gridfs_bucket_upload_from_fd(bucket, "a", 0, opts),
               row->text);
    }
    FOR_ROWS(row, of_names)
        faulty_download(stator_gridfs_bucket_open_download_stream_by_name(
                            bucket, "a", J("%s", row->opts)), row->text);
    faulty_download(stator_gridfs_bucket_open_download_stream(
                        bucket, id_of("1"), J("{'revision': 1}")),
                    "revision is unknown");
    faulty_upload(
        stator_gridfs_bucket_open_upload_stream(bucket, "a", lib_corrupt()),
        "corrupt BSON");
    faulty(stator_gridfs_bucket_delete_by_id(bucket, id_of("1"),
                                             J("{'limit': 1}")),
           "limit is unknown");
    faulty(stator_gridfs_bucket_drop(bucket, lib_corrupt()), "corrupt BSON");
}
END_TEST

START_TEST(names_and_ids)
{
    static const bson_value_t none = {.value_type = BSON_TYPE_EOD};

    faulty_upload(stator_gridfs_bucket_open_upload_stream(bucket, NULL, NULL),
                  "the filename is NULL");
    faulty_upload(
        stator_gridfs_bucket_open_upload_stream(bucket, "\xff", NULL),
        "not valid UTF-8");
    faulty_upload(stator_gridfs_bucket_open_upload_stream_with_id(
                      bucket, NULL, "a", NULL), "the id is NULL");
    faulty_upload(stator_gridfs_bucket_open_upload_stream_with_id(
                      bucket, &none, "a", NULL), "of a type that no _id");
    faulty_download(
        stator_gridfs_bucket_open_download_stream(bucket, NULL, NULL),
        "the id is NULL");
    faulty_download(stator_gridfs_bucket_open_download_stream_by_name(
                        bucket, NULL, NULL), "the filename is NULL");
    faulty(stator_gridfs_bucket_delete_by_id(bucket, NULL, NULL),
           "the id is NULL");
    faulty(stator_gridfs_bucket_delete_by_id(bucket, id_of("{'$gt': 0}"),
                                             NULL), "the id is a query");
    faulty(stator_gridfs_bucket_delete_by_name(bucket, NULL, NULL),
           "the filename is NULL");
    faulty(stator_gridfs_bucket_rename(bucket, NULL, "a", NULL),
           "the id is NULL");
    faulty(stator_gridfs_bucket_rename(bucket, id_of("1"), NULL, NULL),
           "the filename is NULL");
    faulty(stator_gridfs_bucket_rename_by_name(bucket, "a", NULL, NULL),
           "the filename is NULL");
    faulty(stator_gridfs_bucket_upload_from_buffer(bucket, "a", NULL, 1,
                                                   NULL), "bytes is NULL");
    faulty_cursor(stator_gridfs_bucket_find(bucket, lib_corrupt(), NULL),
                  "filter");
}
END_TEST

/* Of a call, of a stream, of the bucket. */
START_TEST(a_context_goes_along)
{
    bson_t opts = BSON_INITIALIZER;
    stator_gridfs_upload_stream_t *up;
    stator_gridfs_bucket_t *with;
    stator_future_t *f;
    int a;

    ck_assert(stator_context_append(&a, &opts, NULL));
    f = stator_gridfs_bucket_drop(bucket, &opts);
    ck_assert_ptr_eq(stator_future_context(f), &a);
    stator_future_unref(f);
    up = lend_upload(
        stator_gridfs_bucket_open_upload_stream(bucket, "x", &opts));
    f = stator_gridfs_upload_stream_write(up, "x", 1);
    ck_assert_ptr_eq(stator_future_context(f), &a);
    stator_future_unref(f);
    with = stator_gridfs_bucket_new(stage->database, &opts, NULL);
    ck_assert_ptr_nonnull(with);
    f = stator_gridfs_bucket_drop(with, NULL);
    ck_assert_ptr_eq(stator_future_context(f), &a);
    stator_future_unref(f);
    stator_gridfs_bucket_unref(with);
    bson_destroy(&opts);
}
END_TEST

START_TEST(handles_that_are_null)
{
    size_t size = 1;

    faulty_upload(stator_gridfs_bucket_open_upload_stream(NULL, "a", NULL),
                  "the bucket is NULL");
    faulty_download(stator_gridfs_bucket_open_download_stream(
                        NULL, id_of("1"), NULL), "the bucket is NULL");
    faulty(stator_gridfs_bucket_drop(NULL, NULL), "the bucket is NULL");
    faulty(stator_gridfs_bucket_find_one(NULL, NULL, NULL), "NULL");
    faulty_upload(NULL, "the stream is NULL");
    faulty_download(NULL, "the stream is NULL");
    ck_assert_int_eq(stator_gridfs_upload_stream_tell(NULL), 0);
    ck_assert_int_eq(stator_gridfs_download_stream_tell(NULL), 0);
    ck_assert_ptr_null(stator_gridfs_bucket_ref(NULL));
    stator_gridfs_bucket_unref(NULL);
    ck_assert_ptr_null(stator_future_bytes(NULL, &size));
    ck_assert_uint_eq(size, 0);
}
END_TEST

/* Nobody is there: every call ends, with what the driver says. */
START_TEST(no_server)
{
    stator_gridfs_upload_stream_t *up =
        lend_upload(stator_gridfs_bucket_open_upload_stream(bucket, "a", NULL));
    stator_future_t *f[4];

    f[0] = stator_gridfs_upload_stream_write(up, "x", 1);
    f[1] = stator_gridfs_upload_stream_close(up);
    f[2] = stator_gridfs_bucket_download_to_buffer(bucket, id_of("1"), NULL);
    f[3] = stator_gridfs_bucket_delete_by_name(bucket, "a", NULL);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(stator_future_wait(f[i], LIB_PATIENCE_MS), 0);
        ck_assert_int_eq(stator_future_poll(f[i]), STATOR_FUTURE_FAILED);
        stator_future_unref(f[i]);
    }
}
END_TEST

SUITE(gridfs_arguments)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, options_of_a_bucket);
    tcase_add_test(tc, options_of_streams);
    tcase_add_test(tc, names_and_ids);
    tcase_add_test(tc, a_context_goes_along);
    tcase_add_test(tc, handles_that_are_null);
    tcase_add_test(tc, no_server);
}
