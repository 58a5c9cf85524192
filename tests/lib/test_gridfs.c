/* SPDX-License-Identifier: Apache-2.0 */
/* test_gridfs.c - files up and down, on a server that stores them: whole, by
 * name and revision, renamed, deleted, dropped; read by the driver, and
 * written by it. */
#include "tests/lib/gridfs.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <mongoc/mongoc.h>

enum {
    FILE_NOT_FOUND = MONGOC_ERROR_GRIDFS_BUCKET_FILE_NOT_FOUND,
    MISSING = MONGOC_ERROR_GRIDFS_CHUNK_MISSING,
    CORRUPT = MONGOC_ERROR_GRIDFS_CORRUPT,
    BIG = 8 * 1024 * 1024 + 4321
};

static stage_t *stage;
static stator_gridfs_bucket_t *bucket;

static void set_up(void)
{
    if (lib_server() == NULL)
        return;
    stage = stage_live();
    bucket = bucket_of(stage, NULL);
}

static void tear_down(void)
{
    if (lib_server() == NULL)
        return;
    gridfs_forget();
    stage_free(stage);
}

static stator_future_t *download(const bson_value_t *id)
{
    return stator_gridfs_bucket_download_to_buffer(bucket, id, NULL);
}

START_TEST(what_goes_up_comes_down)
{
    static const size_t sizes[] = {0, 1, 3, 4, 5, 8, 4000, 4003};
    stator_future_t *f;
    char length[16];

    NEED_SERVER();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        f = upload(bucket, "file", sizes[i], "{'chunkSizeBytes': 4}");
        ck_at(stator_future_document(f), "filename", "'file'");
        ck_at(stator_future_document(f), "chunkSize", "4");
        snprintf(length, sizeof length, "%zu", sizes[i]);
        ck_at(stator_future_document(f), "length", length);
        ck_bytes(done(download(id_in(f))), 0, sizes[i]);
    }
}
END_TEST

START_TEST(a_big_file_is_whole)
{
    stator_future_t *f;

    NEED_SERVER();
    f = upload(bucket, "big", BIG, "{'metadata': {'a': 1}}");
    ck_at(stator_future_document(f), "metadata.a", "1");
    ck_at(stator_future_document(f), "chunkSize", "261120");
    ck_assert_int_eq(count_in(stage, "fs.chunks"), BIG / 261120 + 1);
    ck_bytes(done(download(id_in(f))), 0, BIG);
}
END_TEST

START_TEST(writes_of_any_size_keep_their_order)
{
    stator_gridfs_upload_stream_t *up;
    uint8_t *bytes;
    size_t n = 0;

    NEED_SERVER();
    bytes = bytes_of_file(5000);
    up = lend_upload(stator_gridfs_bucket_open_upload_stream_with_id(
        bucket, id_of("'mine'"), "pieces", J("{'chunkSizeBytes': 100}")));
    for (size_t size = 0; n + size <= 5000; n += size, size += 7)
        stator_future_unref(
            stator_gridfs_upload_stream_write(up, bytes + n, size));
    done(stator_gridfs_upload_stream_close(up));
    ck_assert_int_eq(stator_gridfs_upload_stream_tell(up), (int64_t)n);
    ck_bytes(done(download(id_of("'mine'"))), 0, n);
    /* A second close is the same. */
    ck_at(stator_future_document(done(stator_gridfs_upload_stream_close(up))),
          "_id", "'mine'");
    fails(stator_gridfs_upload_stream_write(up, "x", 1), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_CLOSED, "closed");
    fails(stator_gridfs_upload_stream_abort(up), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_CLOSED, "closed");
    ck_bytes(done(download(id_of("'mine'"))), 0, n);
}
END_TEST

START_TEST(the_indexes_are_made_once)
{
    stator_collection_t *chunks;
    stator_future_t *f;
    bool found = false;

    NEED_SERVER();
    upload(bucket, "a", 10, NULL);
    chunks = stator_database_get_collection(stage->database, "fs.chunks");
    {
        stator_cursor_t *c = stator_collection_list_indexes(chunks, NULL);

        f = done(stator_cursor_to_list(c, 0));
        stator_cursor_unref(c);
    }
    for (size_t i = 0; i < (size_t)stator_future_count(f); i++)
        found |= strcmp(at(stator_future_document_at(f, i), "name"),
                        "'files_id_1_n_1'") == 0 &&
                 strcmp(at(stator_future_document_at(f, i), "unique"),
                        "true") == 0;
    ck_assert(found);
    stator_collection_unref(chunks);
    /* With a file there, and the indexes: nothing is made, nothing fails. */
    upload(bucket_of(stage, NULL), "b", 10, NULL);
}
END_TEST

START_TEST(reads_and_seeks)
{
    stator_gridfs_download_stream_t *down;
    stator_future_t *f;

    NEED_SERVER();
    f = upload(bucket, "file", 1000, "{'chunkSizeBytes': 64}");
    down = lend_download(
        stator_gridfs_bucket_open_download_stream(bucket, id_in(f), NULL));
    ck_assert_int_eq(stator_gridfs_download_stream_length(down), -1);
    ck_bytes(done(stator_gridfs_download_stream_read(down, 10)), 0, 10);
    ck_assert_int_eq(stator_gridfs_download_stream_length(down), 1000);
    ck_bytes(done(stator_gridfs_download_stream_read(down, 0)), 10, 54);
    ck_bytes(done(stator_gridfs_download_stream_read(down, 0)), 64, 64);
    ck_bytes(done(stator_gridfs_download_stream_read(down, 300)), 128, 300);
    counts(stator_gridfs_download_stream_seek(down, 990), 990);
    ck_assert_int_eq(stator_gridfs_download_stream_tell(down), 990);
    ck_bytes(done(stator_gridfs_download_stream_read(down, 300)), 990, 10);
    ck_bytes(done(stator_gridfs_download_stream_read(down, 300)), 1000, 0);
    ck_bytes(done(stator_gridfs_download_stream_read(down, 0)), 1000, 0);
    counts(stator_gridfs_download_stream_seek(down, 1000), 1000);
    faulty(stator_gridfs_download_stream_seek(down, -1), "0 or more");
    fails(stator_gridfs_download_stream_seek(down, 1001), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_ARGUMENT, "beyond the file's 1000 bytes");
    counts(stator_gridfs_download_stream_seek(down, 63), 63);
    ck_bytes(done(stator_gridfs_download_stream_read(down, 2)), 63, 2);
    f = done(stator_gridfs_download_stream_open(down));
    ck_at(stator_future_document(f), "filename", "'file'");
    ck_assert_ptr_null(stator_future_bytes(f, NULL));
    done(stator_gridfs_download_stream_close(down));
    fails(stator_gridfs_download_stream_read(down, 1), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_CLOSED, "closed");
    done(stator_gridfs_download_stream_close(down));
}
END_TEST

/* None is waited for before the next is asked. */
START_TEST(requests_are_served_in_their_order)
{
    stator_gridfs_download_stream_t *down;
    stator_future_t *reads[8], *f;

    NEED_SERVER();
    f = upload(bucket, "file", 800, "{'chunkSizeBytes': 33}");
    down = lend_download(
        stator_gridfs_bucket_open_download_stream(bucket, id_in(f), NULL));
    for (int i = 7; i >= 0; i--) {
        stator_future_unref(stator_gridfs_download_stream_seek(down, i * 100));
        reads[i] = stator_gridfs_download_stream_read(down, 100);
    }
    for (int i = 0; i < 8; i++)
        ck_bytes(done(reads[i]), (size_t)i * 100, 100);
}
END_TEST

static int64_t revision(int number)
{
    stator_gridfs_download_stream_t *down =
        lend_download(stator_gridfs_bucket_open_download_stream_by_name(
            bucket, "name", J("{'revision': %d}", number)));

    done(stator_gridfs_download_stream_open(down));
    return stator_gridfs_download_stream_length(down);
}

START_TEST(by_name_and_revision)
{
    stator_gridfs_download_stream_t *down;

    NEED_SERVER();
    for (size_t n = 1; n <= 3; n++) {
        upload(bucket, "name", n, NULL);
        usleep(3000); /* uploadDate has milliseconds */
    }
    ck_assert_int_eq(revision(0), 1);
    ck_assert_int_eq(revision(1), 2);
    ck_assert_int_eq(revision(2), 3);
    ck_assert_int_eq(revision(-1), 3);
    ck_assert_int_eq(revision(-2), 2);
    ck_assert_int_eq(revision(-3), 1);
    down = lend_download(stator_gridfs_bucket_open_download_stream_by_name(
        bucket, "name", NULL));
    ck_bytes(done(stator_gridfs_download_stream_read(down, 100)), 0, 3);
    for (int i = -4; i <= 3; i += 7) {
        down = lend_download(stator_gridfs_bucket_open_download_stream_by_name(
            bucket, "name", J("{'revision': %d}", i)));
        fails(stator_gridfs_download_stream_read(down, 1), MONGOC_ERROR_GRIDFS,
              FILE_NOT_FOUND, "of the file \"name\"");
    }
}
END_TEST

START_TEST(renamed_and_deleted)
{
    const bson_value_t *id;
    stator_cursor_t *cursor;

    NEED_SERVER();
    id = id_in(upload(bucket, "a", 10, "{'chunkSizeBytes': 4}"));
    upload(bucket, "a", 10, "{'chunkSizeBytes': 4}");
    upload(bucket, "b", 10, "{'chunkSizeBytes': 4}");
    counts(stator_gridfs_bucket_rename(bucket, id, "c", NULL), 1);
    ck_at(stator_future_document(done(stator_gridfs_bucket_find_one(
              bucket, J("{'filename': 'c'}"), NULL))),
          "length", "10");
    counts(stator_gridfs_bucket_rename(bucket, id, "a", NULL), 1);
    counts(stator_gridfs_bucket_rename_by_name(bucket, "a", "d", NULL), 2);
    fails(stator_gridfs_bucket_rename_by_name(bucket, "a", "d", NULL),
          MONGOC_ERROR_GRIDFS, FILE_NOT_FOUND, "\"a\"");
    cursor = stator_gridfs_bucket_find(bucket, J("{'filename': 'd'}"), NULL);
    counts(stator_cursor_to_list(cursor, 0), 2);
    stator_cursor_unref(cursor);
    counts(stator_gridfs_bucket_delete_by_id(bucket, id, NULL), 1);
    ck_assert_int_eq(count_in(stage, "fs.chunks"), 6);
    fails(stator_gridfs_bucket_delete_by_id(bucket, id, NULL),
          MONGOC_ERROR_GRIDFS, FILE_NOT_FOUND, "$oid");
    fails(stator_gridfs_bucket_rename(bucket, id, "x", NULL),
          MONGOC_ERROR_GRIDFS, FILE_NOT_FOUND, "there is no file");
    fails(download(id), MONGOC_ERROR_GRIDFS, FILE_NOT_FOUND,
          "there is no file");
    counts(stator_gridfs_bucket_delete_by_name(bucket, "d", NULL), 1);
    fails(stator_gridfs_bucket_delete_by_name(bucket, "d", NULL),
          MONGOC_ERROR_GRIDFS, FILE_NOT_FOUND, "\"d\"");
    ck_assert_int_eq(count_in(stage, "fs.chunks"), 3);
    done(stator_gridfs_bucket_drop(bucket, NULL));
    ck_assert_int_eq(count_in(stage, "fs.files"), 0);
    ck_assert_int_eq(count_in(stage, "fs.chunks"), 0);
    done(stator_gridfs_bucket_drop(bucket, NULL));
}
END_TEST

/* ---- what is not as it should be --------------------------------------- */

/* What a download of it comes to. */
static void spoiled(const char *selector, const char *update, uint32_t code,
                    const char *text)
{
    stator_collection_t *chunks =
        stator_database_get_collection(stage->database, "fs.chunks");
    stator_gridfs_download_stream_t *down;
    stator_future_t *f =
        upload(bucket, "file", 10, "{'chunkSizeBytes': 4}");

    if (update == NULL)
        counts(stator_collection_delete_one(
                   chunks, J("{'n': %s}", selector), NULL), 1);
    else
        counts(stator_collection_update_one(
                   chunks, J("{'n': %s}", selector), J("%s", update), NULL),
               1);
    fails(download(id_in(f)), MONGOC_ERROR_GRIDFS, code, text);
    /* What comes before it can be read. */
    down = lend_download(
        stator_gridfs_bucket_open_download_stream(bucket, id_in(f), NULL));
    ck_bytes(done(stator_gridfs_download_stream_read(down, 4)), 0, 4);
    fails(stator_gridfs_download_stream_read(down, 6), MONGOC_ERROR_GRIDFS,
          code, text);
    ck_assert_int_eq(stator_gridfs_download_stream_tell(down), 4);
    done(stator_gridfs_bucket_drop(bucket, NULL));
    stator_collection_unref(chunks);
}

static const char short_one[] =
    "{'$set': {'data': {'$binary': {'base64': 'AA==', 'subType': '00'}}}}";

START_TEST(a_bad_chunk_is_named)
{
    NEED_SERVER();
    spoiled("1", NULL, MISSING, "chunk 1 of 3 is missing");
    spoiled("2", NULL, MISSING, "chunk 2 of 3 is missing");
    spoiled("1", short_one, CORRUPT, "chunk 1 of 3 has 1 bytes instead of 4");
    spoiled("2", short_one, CORRUPT, "chunk 2 of 3 has 1 bytes instead of 2");
    spoiled("1", "{'$unset': {'data': 1}}", CORRUPT, "chunk 1 of 3 has no data");
    spoiled("1", "{'$set': {'n': 7}}", MISSING, "chunk 1 of 3 is missing");
}
END_TEST

START_TEST(one_chunk_too_many)
{
    stator_collection_t *chunks, *files;
    stator_future_t *f;

    NEED_SERVER();
    chunks = stator_database_get_collection(stage->database, "fs.chunks");
    files = stator_database_get_collection(stage->database, "fs.files");
    f = upload(bucket, "file", 8, "{'chunkSizeBytes': 4}");
    done(stator_collection_update_one(files, J("{}"),
                                      J("{'$set': {'length': 4}}"), NULL));
    fails(download(id_in(f)), MONGOC_ERROR_GRIDFS, CORRUPT,
          "chunk 1 of 1 is one too many");
    /* An empty one does no harm. */
    done(stator_collection_update_one(
        chunks, J("{'n': 1}"),
        J("{'$set': {'data': {'$binary': {'base64': '', 'subType': '00'}}}}"),
        NULL));
    ck_bytes(done(download(id_in(f))), 0, 4);
    done(stator_collection_update_one(files, J("{}"),
                                      J("{'$set': {'chunkSize': 0}}"), NULL));
    fails(download(id_in(f)), MONGOC_ERROR_GRIDFS, CORRUPT, "chunkSize");
    done(stator_collection_update_one(files, J("{}"),
                                      J("{'$set': {'length': 'x'}}"), NULL));
    fails(download(id_in(f)), MONGOC_ERROR_GRIDFS, CORRUPT, "length");
    stator_collection_unref(chunks);
    stator_collection_unref(files);
}
END_TEST

/* ---- abort ------------------------------------------------------------- */

START_TEST(an_abort_leaves_nothing)
{
    stator_gridfs_upload_stream_t *up;

    NEED_SERVER();
    up = lend_upload(stator_gridfs_bucket_open_upload_stream(
        bucket, "file", J("{'chunkSizeBytes': 4}")));
    done(stator_gridfs_upload_stream_write(up, "0123456789", 10));
    while (count_in(stage, "fs.chunks") < 2) /* they are on their way */
        continue;
    done(stator_gridfs_upload_stream_abort(up));
    ck_assert_int_eq(count_in(stage, "fs.chunks"), 0);
    done(stator_gridfs_upload_stream_abort(up));
    fails(stator_gridfs_upload_stream_write(up, "x", 1), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_CLOSED, "aborted");
    fails(stator_gridfs_upload_stream_close(up), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_CLOSED, "aborted");
    ck_assert_int_eq(count_in(stage, "fs.files"), 0);
}
END_TEST

/* Whose _id was taken: the other file stays whole. */
START_TEST(an_id_that_is_taken)
{
    stator_gridfs_upload_stream_t *up;

    NEED_SERVER();
    for (int i = 0; i < 2; i++) {
        up = stator_gridfs_bucket_open_upload_stream_with_id(
            bucket, id_of("1"), "file", J("{'chunkSizeBytes': 400}"));
        stator_future_unref(
            stator_gridfs_upload_stream_write(up, bytes_of_file(1000), 1000));
        if (i == 0)
            done(stator_gridfs_upload_stream_close(up));
        else
            fails(stator_gridfs_upload_stream_close(up), MONGOC_ERROR_SERVER,
                  11000, "");
        if (i == 1)
            done(stator_gridfs_upload_stream_abort(up));
        stator_gridfs_upload_stream_unref(up);
    }
    ck_bytes(done(download(id_of("1"))), 0, 1000);
}
END_TEST

/* The same when the upload is given up before the answer is there. */
START_TEST(an_id_that_is_taken_and_an_abort)
{
    NEED_SERVER();
    for (int i = 0; i < 20; i++) {
        stator_gridfs_upload_stream_t *up;
        stator_future_t *f;

        if (i == 0) {
            up = lend_upload(stator_gridfs_bucket_open_upload_stream_with_id(
                bucket, id_of("1"), "first", J("{'chunkSizeBytes': 4}")));
            done(stator_gridfs_upload_stream_write(up, "0123456789", 10));
            done(stator_gridfs_upload_stream_close(up));
        }
        up = stator_gridfs_bucket_open_upload_stream_with_id(
            bucket, id_of("1"), "second", J("{'chunkSizeBytes': 4}"));
        f = stator_gridfs_upload_stream_write(up, bytes_of_file(99), 99);
        if (i % 2 == 0)
            stator_future_cancel(f);
        done(stator_gridfs_upload_stream_abort(up));
        stator_future_unref(f);
        stator_gridfs_upload_stream_unref(up);
        ck_assert_int_eq(count_in(stage, "fs.chunks"), 3);
    }
}
END_TEST

/* ---- descriptors ------------------------------------------------------- */

static int temporary(void)
{
    char path[] = "build/gridfs-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    unlink(path);
    return fd;
}

START_TEST(from_a_file_and_to_one)
{
    stator_future_t *f;
    uint8_t *back;
    int fd;

    NEED_SERVER();
    fd = temporary();
    ck_assert_int_eq(write(fd, bytes_of_file(1000000), 1000000), 1000000);
    lseek(fd, 0, SEEK_SET);
    f = done(stator_gridfs_bucket_upload_from_fd(
        bucket, "file", fd, J("{'chunkSizeBytes': 100000}")));
    ck_at(stator_future_document(f), "length", "1000000");
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    lseek(fd, 0, SEEK_SET);
    counts(stator_gridfs_bucket_download_to_fd(bucket, id_in(f), fd, NULL),
           1000000);
    back = calloc(1, 1000001);
    ck_assert_int_eq(pread(fd, back, 1000001, 0), 1000000);
    ck_assert_int_eq(memcmp(back, bytes_of_file(1000000), 1000000), 0);
    free(back);
    close(fd);
}
END_TEST

START_TEST(through_a_pipe)
{
    stator_future_t *up, *down, *f;
    int in[2], out[2];
    size_t got = 0;

    NEED_SERVER();
    ck_assert_int_eq(pipe(in), 0);
    ck_assert_int_eq(pipe(out), 0);
    up = stator_gridfs_bucket_upload_from_fd(
        bucket, "pipe", in[0], J("{'chunkSizeBytes': 1000}"));
    close(in[0]); /* it has a duplicate; should it fail, we do not block */
    ck_assert(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    for (size_t n = 0; n < 300000; n += 3000)
        ck_assert_int_eq(write(in[1], bytes_of_file(300000) + n, 3000), 3000);
    ck_assert_int_eq(stator_future_poll(up), STATOR_FUTURE_PENDING);
    close(in[1]);
    f = done(up);
    ck_at(stator_future_document(f), "length", "300000");
    down = stator_gridfs_bucket_download_to_fd(bucket, id_in(f), out[1], NULL);
    while (got < 300000) {
        struct pollfd p = {.fd = out[0], .events = POLLIN};
        uint8_t piece[700];
        ssize_t n;

        ck_assert_int_eq(poll(&p, 1, LIB_PATIENCE_MS), 1);
        n = read(out[0], piece, sizeof piece);
        ck_assert_int_gt(n, 0);
        for (ssize_t i = 0; i < n; i++)
            ck_assert_uint_eq(piece[i], byte_at(got + (size_t)i));
        got += (size_t)n;
    }
    counts(down, 300000);
    /* Nobody reads: an error, and no signal. */
    ck_assert(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    close(out[0]);
    fails(stator_gridfs_bucket_download_to_fd(bucket, id_in(f), out[1], NULL),
          MONGOC_ERROR_GRIDFS, MONGOC_ERROR_GRIDFS_BUCKET_STREAM, "roken pipe");
    fails(stator_gridfs_bucket_upload_from_fd(bucket, "x", out[1], NULL),
          MONGOC_ERROR_GRIDFS, MONGOC_ERROR_GRIDFS_BUCKET_STREAM,
          "ad file descriptor");
    faulty(stator_gridfs_bucket_upload_from_fd(bucket, "x", -1, NULL),
           "fd is -1");
    faulty(stator_gridfs_bucket_download_to_fd(bucket, id_in(f), -1, NULL),
           "fd is -1");
    close(out[1]);
    ck_assert_int_eq(count_in(stage, "fs.files"), 1);
}
END_TEST

static bool is_read(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    return poll(&p, 1, 0) >= 0 && (p.revents & POLLERR) == 0;
}

/* Pipes that never give: other work goes on, and a cancel ends them. */
START_TEST(a_pipe_that_never_gives)
{
    stator_future_t *f[8];
    int fds[2];

    NEED_SERVER();
    ck_assert_int_eq(pipe(fds), 0);
    for (int i = 0; i < 8; i++)
        f[i] = stator_gridfs_bucket_upload_from_fd(
            bucket, "never", fds[0],
            i == 0 ? J("{'timeoutMS': 50}") : NULL);
    close(fds[0]); /* they have duplicates */
    for (int i = 0; i < 20; i++)
        done(stator_client_ping(stage->client, NULL));
    fails(f[0], STATOR_ERROR_DOMAIN, STATOR_ERROR_EXPIRED, "timeoutMS");
    for (int i = 1; i < 8; i++) {
        ck_assert_int_eq(stator_future_poll(f[i]), STATOR_FUTURE_PENDING);
        ck_assert(stator_future_cancel(f[i]));
        stator_future_unref(f[i]);
    }
    /* They have given these back: nobody reads the pipe. */
    while (is_read(fds[1]))
        usleep(1000);
    close(fds[1]);
}
END_TEST

/* ---- the driver's own -------------------------------------------------- */

static mongoc_gridfs_bucket_t *driver_bucket(mongoc_client_t *client)
{
    mongoc_database_t *db = mongoc_client_get_database(client, stage->db);
    mongoc_gridfs_bucket_t *b = mongoc_gridfs_bucket_new(db, NULL, NULL, NULL);

    ck_assert_ptr_nonnull(b);
    mongoc_database_destroy(db);
    return b;
}

START_TEST(the_driver_reads_what_was_written)
{
    enum { N = 1000000 };
    mongoc_client_t *client;
    mongoc_gridfs_bucket_t *theirs;
    mongoc_stream_t *stream;
    bson_error_t error;
    bson_value_t id;
    uint8_t *bytes;
    ssize_t n;

    NEED_SERVER();
    client = mongoc_client_new(lib_server());
    theirs = driver_bucket(client);
    stream = mongoc_gridfs_bucket_open_download_stream(
        theirs, id_in(upload(bucket, "ours", N, NULL)), &error);
    ck_assert_msg(stream != NULL, "%s", error.message);
    bytes = malloc(N + 10);
    n = mongoc_stream_read(stream, bytes, N + 10, 0, 0);
    ck_assert_int_eq(n, N);
    ck_assert_int_eq(memcmp(bytes, bytes_of_file(N), N), 0);
    mongoc_stream_destroy(stream);
    free(bytes);

    stream = mongoc_gridfs_bucket_open_upload_stream(theirs, "theirs", NULL,
                                                     &id, &error);
    ck_assert_int_eq(mongoc_stream_write(stream, bytes_of_file(N), N, 0), N);
    ck_assert_int_eq(mongoc_stream_close(stream), 0);
    mongoc_stream_destroy(stream);
    ck_bytes(done(download(&id)), 0, N);
    bson_value_destroy(&id);
    mongoc_gridfs_bucket_destroy(theirs);
    mongoc_client_destroy(client);
}
END_TEST

/* ---- many at once ------------------------------------------------------ */

START_TEST(sixteen_streams_on_eight_workers)
{
    enum { STREAMS = 16, N = 200000 };
    stator_future_t *f[STREAMS];

    NEED_SERVER();
    gridfs_forget();
    stage_free(stage);
    stage = stage_new(lib_server(), "{'workers': 8}", true);
    bucket = bucket_of(stage, "{'chunkSizeBytes': 10000}");
    for (int i = 0; i < STREAMS; i++)
        f[i] = stator_gridfs_bucket_upload_from_buffer(
            bucket, "one", bytes_of_file(N + (size_t)i), N + (size_t)i, NULL);
    for (int i = 0; i < STREAMS; i++) {
        const bson_value_t *id = id_in(done(f[i]));

        f[i] = download(id);
    }
    for (int i = 0; i < STREAMS; i++)
        ck_bytes(done(f[i]), 0, N + (size_t)i);
    counts(stator_gridfs_bucket_delete_by_name(bucket, "one", NULL), STREAMS);
    ck_assert_int_eq(count_in(stage, "fs.chunks"), 0);
}
END_TEST

SUITE(gridfs)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, what_goes_up_comes_down);
    tcase_add_test(tc, a_big_file_is_whole);
    tcase_add_test(tc, writes_of_any_size_keep_their_order);
    tcase_add_test(tc, the_indexes_are_made_once);
    tcase_add_test(tc, reads_and_seeks);
    tcase_add_test(tc, requests_are_served_in_their_order);
    tcase_add_test(tc, by_name_and_revision);
    tcase_add_test(tc, renamed_and_deleted);
    tcase_add_test(tc, a_bad_chunk_is_named);
    tcase_add_test(tc, one_chunk_too_many);
    tcase_add_test(tc, an_abort_leaves_nothing);
    tcase_add_test(tc, an_id_that_is_taken);
    tcase_add_test(tc, an_id_that_is_taken_and_an_abort);
    tcase_add_test(tc, from_a_file_and_to_one);
    tcase_add_test(tc, through_a_pipe);
    tcase_add_test(tc, a_pipe_that_never_gives);
    tcase_add_test(tc, the_driver_reads_what_was_written);
    tcase_add_test(tc, sixteen_streams_on_eight_workers);
}
