/* SPDX-License-Identifier: Apache-2.0 */
/* test_torture_gridfs.c - files up and down, while calls of the library fail:
 * bytes that come are the right ones, and what was begun ends. */
#include <stator/stator.h>
#include <string.h>
#include <unistd.h>

#include "tests/torture/stage.h"

static stator_gridfs_bucket_t *bucket_of(stator_client_t *client)
{
    stator_database_t *d = stator_client_get_database(client, "torture");
    bson_t *opts = BCON_NEW("chunkSizeBytes", BCON_INT32(4));
    stator_gridfs_bucket_t *b = stator_gridfs_bucket_new(d, opts, NULL);

    OK(b != NULL || torture_fired());
    stator_database_unref(d);
    bson_destroy(opts);
    return b;
}

static void uploads(stator_client_t *client)
{
    stator_gridfs_bucket_t *b = bucket_of(client);
    stator_gridfs_upload_stream_t *up;
    stator_future_t *f;
    bool ok;

    if (b == NULL)
        return;
    up = stator_gridfs_bucket_open_upload_stream(b, "a", NULL);
    ok = settles_take(stator_gridfs_upload_stream_write(up, "0123456789", 10));
    f = stator_gridfs_upload_stream_close(up);
    if (settles(f))
        OK(ok && stator_future_document(f) != NULL);
    else
        settles_take(stator_gridfs_upload_stream_abort(up));
    stator_future_unref(f);
    stator_gridfs_upload_stream_unref(up);
    stator_gridfs_bucket_unref(b);
}

/* What the descriptor's own calls say may be the reason, too. */
static void settles_by_fd(stator_future_t *f)
{
    bson_error_t error;

    OK(stator_future_wait(f, TORTURE_PATIENCE_MS) == 0);
    if (stator_future_error(f, &error) &&
        (error.code == MONGOC_ERROR_GRIDFS_BUCKET_STREAM ||
         error.code == STATOR_ERROR_REFUSED))
        OK(torture_fired());
    else
        settles(f);
    stator_future_unref(f);
}

static void whole_uploads(stator_client_t *client)
{
    stator_gridfs_bucket_t *b = bucket_of(client);
    int fds[2];

    if (b == NULL)
        return;
    settles_take(stator_gridfs_bucket_upload_from_buffer(b, "a", "0123456789",
                                                         10, NULL));
    OK(pipe(fds) == 0);
    OK(write(fds[1], "0123456789", 10) == 10);
    close(fds[1]);
    settles_by_fd(stator_gridfs_bucket_upload_from_fd(b, "a", fds[0], NULL));
    /* Behind it: nobody reads the descriptor any more. */
    settles_take(stator_gridfs_bucket_drop(b, NULL));
    close(fds[0]);
    stator_gridfs_bucket_unref(b);
}

/* torture.fs has no files, and those that it has not are not found. */
static void downloads(stator_client_t *client)
{
    stator_gridfs_bucket_t *b = bucket_of(client);
    bson_value_t id = {.value_type = BSON_TYPE_INT32};
    stator_gridfs_download_stream_t *down;
    stator_future_t *f;
    bson_error_t error;

    if (b == NULL)
        return;
    down = stator_gridfs_bucket_open_download_stream(b, &id, NULL);
    f = stator_gridfs_download_stream_read(down, 10);
    OK(stator_future_wait(f, TORTURE_PATIENCE_MS) == 0);
    OK(stator_future_error(f, &error));
    if (error.domain != MONGOC_ERROR_GRIDFS)
        settles(f);
    stator_future_unref(f);
    settles_take(stator_gridfs_download_stream_close(down));
    stator_gridfs_download_stream_unref(down);
    stator_gridfs_bucket_unref(b);
}

static const stage_t stages[] = {
    {.name = "uploads", uploads},
    {.name = "whole uploads", whole_uploads},
    {.name = "downloads", downloads},
};

STAGE_TESTS

SUITE(torture_gridfs)
{
    enum { N = sizeof stages / sizeof stages[0] };

    tcase_add_loop_test(tc, under_torture, 0, N);
    tcase_add_loop_test(tc, on_a_failing_network, 0, N);
}
