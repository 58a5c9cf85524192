/* SPDX-License-Identifier: Apache-2.0 */
/* gridfs.c - upload a file, download it, delete it: gridfs FILE > COPY.
 *
 * Without a FILE it uploads itself.  Workers move the bytes, a chunk at a time;
 * this thread could as well run a loop. */
#include <fcntl.h>
#include <stator/stator.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Wait for `future`, and say why when it has failed. */
static bool is_done(stator_future_t *future, const char *what)
{
    bson_error_t error = {0};

    stator_future_wait(future, -1);
    if (!stator_future_error(future, &error))
        return true;
    fprintf(stderr, "%s: %s\n", what, error.message);
    return false;
}

static bool up_and_down(stator_gridfs_bucket_t *bucket, const char *path,
                        int from, int to)
{
    stator_future_t *up = stator_gridfs_bucket_upload_from_fd(bucket, path,
                                                              from, NULL);
    stator_future_t *down, *gone;
    bson_iter_t id;
    bool ok = is_done(up, "upload");

    if (ok && bson_iter_init_find(&id, stator_future_document(up), "_id")) {
        down = stator_gridfs_bucket_download_to_fd(
            bucket, bson_iter_value(&id), to, NULL);
        ok = is_done(down, "download");
        fprintf(stderr, "%lld bytes\n",
                (long long)stator_future_count(down));
        stator_future_unref(down);
        gone = stator_gridfs_bucket_delete_by_id(bucket, bson_iter_value(&id),
                                                 NULL);
        ok &= is_done(gone, "delete");
        stator_future_unref(gone);
    }
    stator_future_unref(up);
    return ok;
}

int main(int argc, char **argv)
{
    const char *uri = getenv("MONGODB_URI");
    const char *path = argc > 1 ? argv[1] : argv[0];
    bson_error_t error = {0};
    stator_gridfs_bucket_t *bucket;
    stator_database_t *database;
    stator_client_t *client;
    stator_future_t *closed;
    int from = open(path, O_RDONLY);
    int to = argc > 1 ? STDOUT_FILENO : open("/dev/null", O_WRONLY);
    bool ok;

    /* The driver's log would go to stdout. */
    mongoc_log_set_handler(NULL, NULL);
    client = stator_client_new(uri ? uri : "mongodb://127.0.0.1", NULL,
                               &error);
    if (client == NULL || from < 0) {
        fprintf(stderr, "%s\n", client == NULL ? error.message : path);
        return EXIT_FAILURE;
    }
    database = stator_client_get_database(client, "example");
    bucket = stator_gridfs_bucket_new(database, NULL, &error);
    ok = bucket != NULL && up_and_down(bucket, path, from, to);
    stator_gridfs_bucket_unref(bucket);
    stator_database_unref(database);
    closed = stator_client_close(client, NULL);
    ok &= is_done(closed, "close");
    stator_future_unref(closed);
    stator_client_unref(client);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
