/* SPDX-License-Identifier: Apache-2.0 */
/* test_gridfs_wire.c - what a stream has on its way, and what becomes of it
 * when something fails, is cancelled, left or closed: on a server that holds
 * what it is told to. */
#include "tests/lib/gridfs.h"

#include <mongoc/mongoc.h>
#include <unistd.h>

#include "tests/wire/wire.h"

static wire_server_t *server;
static stage_t *stage;
static stator_gridfs_bucket_t *bucket;

/* {_id, length: 40, chunkSize: 4}, and its ten chunks. */
static void make_file(int64_t i, bson_t *out, void *arg)
{
    (void)i, (void)arg;
    BSON_APPEND_INT32(out, "_id", 1);
    BSON_APPEND_INT64(out, "length", 40);
    BSON_APPEND_INT32(out, "chunkSize", 4);
}

static void make_chunk(int64_t i, bson_t *out, void *arg)
{
    uint8_t bytes[4];

    (void)arg;
    for (int k = 0; k < 4; k++)
        bytes[k] = byte_at((size_t)i * 4 + (size_t)k);
    BSON_APPEND_INT32(out, "_id", (int32_t)i);
    BSON_APPEND_INT32(out, "n", (int32_t)i);
    BSON_APPEND_INT32(out, "files_id", 1);
    BSON_APPEND_BINARY(out, "data", BSON_SUBTYPE_BINARY, bytes, 4);
}

static void set_up_with(const char *opts)
{
    char uri[WIRE_URI_SIZE];

    server = wire_server_new(NULL);
    stage = stage_new(wire_server_uri(server,
                                      "retryReads=false&retryWrites=false",
                                      uri, sizeof uri),
                      opts, false);
    bucket = bucket_of(stage, "{'chunkSizeBytes': 4}");
}

static void set_up(void)
{
    set_up_with("{'workers': 8}");
}

static void tear_down(void)
{
    gridfs_forget();
    stage_free(stage);
    wire_server_free(server);
}

/* There is a file, so no index is looked for. */
static void with_file(void)
{
    char ns[96];
    const char *db = stator_database_get_name(stage->database);

    snprintf(ns, sizeof ns, "%s.fs.files", db);
    wire_collection(server, ns, 1, make_file, NULL);
    snprintf(ns, sizeof ns, "%s.fs.chunks", db);
    wire_collection(server, ns, 10, make_chunk, NULL);
}

/* `command` on `collection` waits at a gate. */
static wire_gate_t *hold(const char *command, const char *collection)
{
    wire_gate_t *gate = wire_gate_new(server);

    wire_rule_add(server, &(wire_rule_t){.command = command,
                                         .collection = collection,
                                         .gate = gate});
    return gate;
}

static stator_gridfs_upload_stream_t *open_up(const char *opts)
{
    return lend_upload(stator_gridfs_bucket_open_upload_stream(
        bucket, "file", opts == NULL ? NULL : J("%s", opts)));
}

static stator_gridfs_download_stream_t *open_down(const char *opts)
{
    return lend_download(stator_gridfs_bucket_open_download_stream(
        bucket, id_of("1"), opts == NULL ? NULL : J("%s", opts)));
}

static void ck_cancelled(stator_future_t *f)
{
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_CANCELLED);
}

#define ck_pending(f) \
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_PENDING)

/* ---- back-pressure ----------------------------------------------------- */

START_TEST(four_chunks_are_on_their_way)
{
    stator_gridfs_upload_stream_t *up;
    stator_future_t *first, *second;
    wire_gate_t *gate;

    with_file();
    gate = hold("insert", "fs.chunks");
    up = open_up(NULL);
    done(stator_gridfs_upload_stream_write(up, bytes_of_file(100), 12));
    ck_assert(wire_gate_wait_held(gate, 3, WIRE_WAIT));
    first = stator_gridfs_upload_stream_write(up, bytes_of_file(100), 22);
    second = stator_gridfs_upload_stream_write(up, "x", 1);
    ck_assert(wire_gate_wait_held(gate, 4, WIRE_WAIT));
    /* Something that comes behind them has been served. */
    done(stator_client_ping(stage->client, NULL));
    ck_assert_int_eq(wire_count(server, "insert"), 4);
    ck_pending(first);
    ck_pending(second);
    ck_assert_int_eq(stator_gridfs_upload_stream_tell(up), 0);
    wire_gate_pass(gate, 4); /* each that ends lets one go */
    ck_assert(wire_wait_count(server, "insert", 8, WIRE_WAIT));
    ck_assert(wire_gate_wait_held(gate, 4, WIRE_WAIT));
    ck_pending(first); /* 12 + 22 bytes: four are on their way */
    ck_assert_int_eq(stator_gridfs_upload_stream_tell(up), 16);
    wire_gate_open(gate);
    done(first);
    done(second);
    ck_assert_int_eq(wire_count(server, "insert"), 8);
    done(stator_gridfs_upload_stream_close(up));
    ck_assert_int_eq(wire_count(server, "insert"), 10);
    ck_assert_int_eq(stator_gridfs_upload_stream_tell(up), 35);
}
END_TEST

START_TEST(a_batch_is_fetched_when_it_is_needed)
{
    stator_gridfs_download_stream_t *down;

    with_file();
    down = open_down(NULL);
    done(stator_gridfs_download_stream_open(down));
    ck_assert_int_eq(wire_count(server, "find"), 1);
    ck_bytes(done(stator_gridfs_download_stream_read(down, 10)), 0, 10);
    ck_bytes(done(stator_gridfs_download_stream_read(down, 10)), 10, 10);
    counts(stator_gridfs_download_stream_seek(down, 3), 3);
    ck_bytes(done(stator_gridfs_download_stream_read(down, 1)), 3, 1);
    ck_assert_int_eq(wire_count(server, "find"), 2);
    ck_assert_int_eq(wire_count(server, "getMore"), 0);
}
END_TEST

/* ---- failures ---------------------------------------------------------- */

START_TEST(a_chunk_that_fails)
{
    stator_gridfs_upload_stream_t *up;

    with_file();
    wire_rule_add(server, &(wire_rule_t){.command = "insert",
                                         .skip = 1,
                                         .times = 1,
                                         .action = WIRE_ERROR,
                                         .code = 8000,
                                         .message = "no room"});
    up = open_up(NULL);
    stator_future_unref(
        stator_gridfs_upload_stream_write(up, bytes_of_file(100), 100));
    fails(stator_gridfs_upload_stream_close(up), MONGOC_ERROR_SERVER, 8000,
          "no room");
    fails(stator_gridfs_upload_stream_write(up, "x", 1), MONGOC_ERROR_SERVER,
          8000, "no room");
    done(stator_gridfs_upload_stream_abort(up));
    ck_assert_int_eq(wire_count(server, "delete"), 1);
}
END_TEST

START_TEST(indexes_that_fail)
{
    wire_rule_add(server, &(wire_rule_t){.command = "createIndexes",
                                         .times = 1,
                                         .action = WIRE_ERROR,
                                         .code = 13,
                                         .message = "not allowed"});
    fails(stator_gridfs_bucket_upload_from_buffer(bucket, "a", "x", 1, NULL),
          MONGOC_ERROR_SERVER, 13, "not allowed");
    done(stator_gridfs_bucket_upload_from_buffer(bucket, "a", "x", 1, NULL));
    ck_assert_int_eq(wire_count(server, "createIndexes"), 3);
    done(stator_gridfs_bucket_upload_from_buffer(bucket, "a", "x", 1, NULL));
    ck_assert_int_eq(wire_count(server, "createIndexes"), 3);
    /* Nothing was sent of the first: nothing is to be deleted. */
    ck_assert_int_eq(wire_count(server, "delete"), 0);
}
END_TEST

START_TEST(a_read_that_fails_can_be_asked_again)
{
    stator_gridfs_download_stream_t *down;

    with_file();
    wire_rule_add(server, &(wire_rule_t){.command = "find",
                                         .collection = "fs.chunks",
                                         .times = 1,
                                         .action = WIRE_ERROR,
                                         .code = 8000});
    down = open_down(NULL);
    fails(stator_gridfs_download_stream_read(down, 10), MONGOC_ERROR_SERVER,
          8000, "scripted");
    ck_bytes(done(stator_gridfs_download_stream_read(down, 10)), 0, 10);
}
END_TEST

/* No file comes of it that has not all its bytes. */
START_TEST(a_write_that_is_refused)
{
    stator_gridfs_upload_stream_t *up = open_up(NULL);

    with_file();
    done(stator_gridfs_upload_stream_write(up, "12345", 5));
    faulty(stator_gridfs_upload_stream_write(up, NULL, 5), "bytes is NULL");
    fails(stator_gridfs_upload_stream_close(up), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_ARGUMENT, "an earlier write was refused");
    ck_assert(wire_wait_count(server, "insert", 1, WIRE_WAIT));
    done(stator_gridfs_upload_stream_abort(up));
    ck_assert_int_eq(wire_count(server, "insert"), 1); /* no document */
}
END_TEST

/* It is not known whether there is a file: afterwards there is none. */
START_TEST(a_close_that_is_cut)
{
    stator_gridfs_upload_stream_t *up;
    bson_error_t error;
    stator_future_t *f;

    with_file();
    wire_rule_add(server, &(wire_rule_t){.command = "insert",
                                         .collection = "fs.files",
                                         .action = WIRE_CLOSE});
    up = open_up(NULL);
    stator_future_unref(stator_gridfs_upload_stream_write(up, "12345", 5));
    f = stator_gridfs_upload_stream_close(up);
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert(stator_future_error(f, &error));
    ck_assert_int_eq(stator_future_outcome(f), STATOR_MAYBE_SENT);
    stator_future_unref(f);
    done(stator_gridfs_upload_stream_abort(up));
    ck_assert_int_eq(wire_count(server, "delete"), 2);
}
END_TEST

/* ---- cancels and time -------------------------------------------------- */

START_TEST(a_cancelled_write_ends_the_stream)
{
    stator_gridfs_upload_stream_t *up;
    stator_future_t *first, *second;
    wire_gate_t *gate;

    with_file();
    gate = hold("insert", "fs.chunks");
    up = open_up(NULL);
    first = stator_gridfs_upload_stream_write(up, bytes_of_file(100), 100);
    second = stator_gridfs_upload_stream_write(up, "x", 1);
    ck_assert(wire_gate_wait_held(gate, 4, WIRE_WAIT));
    ck_assert(stator_future_cancel(second)); /* it waits: its bytes miss */
    ck_pending(first);
    ck_assert(stator_future_cancel(first));
    ck_assert_int_eq(stator_future_outcome(first), STATOR_MAYBE_SENT);
    fails(stator_gridfs_upload_stream_write(up, "x", 1), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_CANCELLED, "cancelled");
    fails(stator_gridfs_upload_stream_close(up), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_CANCELLED, "cancelled");
    wire_gate_open(gate);
    done(stator_gridfs_upload_stream_abort(up));
    ck_assert_int_eq(wire_count(server, "delete"), 1);
    stator_future_unref(first);
    stator_future_unref(second);
}
END_TEST

START_TEST(a_cancelled_read_moves_nothing)
{
    stator_gridfs_download_stream_t *down;
    stator_future_t *first, *second, *third;
    wire_gate_t *gate;

    with_file();
    gate = hold("find", "fs.chunks");
    down = open_down(NULL);
    first = stator_gridfs_download_stream_read(down, 10);
    second = stator_gridfs_download_stream_read(down, 10);
    third = stator_gridfs_download_stream_read(down, 10);
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    ck_assert(stator_future_cancel(second));
    ck_assert(stator_future_cancel(first));
    ck_assert_int_eq(stator_future_outcome(first), STATOR_MAYBE_SENT);
    ck_assert_int_eq(stator_future_outcome(second), STATOR_NOT_SENT);
    wire_gate_open(gate);
    ck_bytes(done(third), 0, 10);
    stator_future_unref(first);
    stator_future_unref(second);
}
END_TEST

START_TEST(the_time_of_a_call_is_that_of_all_of_it)
{
    stator_gridfs_download_stream_t *down;
    stator_gridfs_upload_stream_t *up;
    wire_gate_t *gate, *inserts;

    with_file();
    gate = hold("find", "fs.chunks");
    inserts = hold("insert", "fs.chunks");
    down = open_down("{'timeoutMS': 150}");
    fails(stator_gridfs_download_stream_read(down, 10), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_EXPIRED, "timeoutMS");
    wire_gate_open(gate);
    ck_bytes(done(stator_gridfs_download_stream_read(down, 10)), 0, 10);
    up = open_up("{'timeoutMS': 150}");
    fails(stator_gridfs_upload_stream_write(up, bytes_of_file(100), 100),
          STATOR_ERROR_DOMAIN, STATOR_ERROR_EXPIRED, "timeoutMS");
    wire_gate_open(inserts);
    done(stator_gridfs_upload_stream_abort(up));
}
END_TEST

/* All of it is given up, and what was sent goes. */
START_TEST(a_cancelled_whole_file)
{
    wire_gate_t *gate;
    stator_future_t *f;

    with_file();
    gate = hold("insert", "fs.chunks");
    f = stator_gridfs_bucket_upload_from_buffer(bucket, "file",
                                                bytes_of_file(100), 100, NULL);
    ck_assert(wire_gate_wait_held(gate, 4, WIRE_WAIT));
    ck_assert(stator_future_cancel(f));
    wire_gate_open(gate);
    ck_assert(wire_wait_count(server, "delete", 1, WIRE_WAIT));
    ck_assert_int_eq(wire_count(server, "insert"), 4);
    stator_future_unref(f);
}
END_TEST

/* The document has gone, so it does not matter that the rest was not sent. */
START_TEST(what_was_done_is_told)
{
    stator_collection_t *other;
    wire_gate_t *first, *busy;
    stator_future_t *f, *find;
    bson_error_t error;

    tear_down();
    set_up_with("{'workers': 1}");
    with_file();
    first = hold("delete", "fs.files");
    busy = hold("find", "other");
    f = stator_gridfs_bucket_delete_by_id(bucket, id_of("1"),
                                          J("{'timeoutMS': 1000}"));
    ck_assert(wire_gate_wait_held(first, 1, WIRE_WAIT));
    other = stator_database_get_collection(stage->database, "other");
    find = stator_collection_find_one(other, J("{}"), NULL);
    wire_gate_open(first);
    ck_assert(wire_gate_wait_held(busy, 1, WIRE_WAIT));
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert(stator_future_error(f, &error));
    ck_assert_uint_eq(error.code, STATOR_ERROR_EXPIRED);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_MAYBE_SENT);
    ck_assert_int_eq(wire_count(server, "delete"), 1);
    stator_future_unref(f);
    wire_gate_open(busy);
    done(find);
    stator_collection_unref(other);
}
END_TEST

/* ---- left, closed ------------------------------------------------------ */

START_TEST(a_stream_that_is_left_is_aborted)
{
    stator_gridfs_upload_stream_t *up;
    wire_gate_t *gate;
    stator_future_t *f;

    with_file();
    gate = hold("insert", "fs.chunks");
    up = stator_gridfs_bucket_open_upload_stream(bucket, "file", NULL);
    stator_gridfs_upload_stream_unref(up); /* nothing sent, nothing to do */
    up = stator_gridfs_bucket_open_upload_stream(bucket, "file", NULL);
    f = stator_gridfs_upload_stream_write(up, bytes_of_file(100), 100);
    ck_assert(wire_gate_wait_held(gate, 4, WIRE_WAIT));
    stator_gridfs_upload_stream_unref(up);
    ck_cancelled(f);
    stator_future_unref(f);
    wire_gate_open(gate);
    ck_assert(wire_wait_count(server, "delete", 1, WIRE_WAIT));
    /* One whose close was asked for is closed. */
    up = stator_gridfs_bucket_open_upload_stream(bucket, "file", NULL);
    stator_future_unref(
        stator_gridfs_upload_stream_write(up, bytes_of_file(100), 100));
    f = stator_gridfs_upload_stream_close(up);
    stator_gridfs_upload_stream_unref(up);
    done(f);
    ck_assert_int_eq(wire_count(server, "delete"), 1);
}
END_TEST

START_TEST(an_abort_cancels_what_waits)
{
    stator_gridfs_upload_stream_t *up;
    stator_future_t *write, *close, *abort;
    wire_gate_t *gate;

    with_file();
    gate = hold("insert", "fs.chunks");
    up = open_up(NULL);
    write = stator_gridfs_upload_stream_write(up, bytes_of_file(100), 100);
    close = stator_gridfs_upload_stream_close(up);
    ck_assert(wire_gate_wait_held(gate, 4, WIRE_WAIT));
    abort = stator_gridfs_upload_stream_abort(up);
    ck_cancelled(write);
    ck_cancelled(close);
    ck_assert_int_eq(wire_count(server, "delete"), 0);
    wire_gate_open(gate);
    done(abort);
    ck_assert_int_eq(wire_count(server, "delete"), 1);
    stator_future_unref(write);
    stator_future_unref(close);
}
END_TEST

/* Cut, it could arrive when the chunks have been deleted. */
START_TEST(an_abort_awaits_what_was_sent)
{
    static const char *const of[] = {"fs.chunks", "fs.files"};
    stator_gridfs_upload_stream_t *up;
    stator_future_t *close, *abort;
    wire_gate_t *gate;

    with_file();
    gate = hold("insert", of[_i]);
    up = open_up(NULL);
    done(stator_gridfs_upload_stream_write(up, "1234", 4));
    close = stator_gridfs_upload_stream_close(up);
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    ck_assert(stator_future_cancel(close));
    ck_assert_int_eq(stator_future_outcome(close), _i == 0 ? STATOR_NOT_SENT
                                                           : STATOR_MAYBE_SENT);
    abort = stator_gridfs_upload_stream_abort(up);
    for (int i = 0; i < 10; i++) /* these come behind it */
        done(stator_client_ping(stage->client, NULL));
    ck_assert_int_eq(wire_count(server, "delete"), 0);
    ck_pending(abort);
    wire_gate_open(gate);
    done(abort);
    ck_assert_int_eq(wire_count(server, "delete"), _i + 1);
    stator_future_unref(close);
}
END_TEST

/* The handle may go as soon as it was asked for; a second one is a view. */
START_TEST(an_abort_is_not_cancelled_by_the_next)
{
    stator_gridfs_upload_stream_t *up;
    stator_future_t *first, *second;
    wire_gate_t *gate;

    with_file();
    gate = hold("delete", "fs.chunks");
    up = stator_gridfs_bucket_open_upload_stream(bucket, "file", NULL);
    done(stator_gridfs_upload_stream_write(up, "1234", 4));
    first = stator_gridfs_upload_stream_abort(up);
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    second = stator_gridfs_upload_stream_abort(up);
    stator_gridfs_upload_stream_unref(up);
    wire_gate_open(gate);
    done(first);
    done(second);
    ck_assert_int_eq(wire_count(server, "delete"), 1);
}
END_TEST

START_TEST(a_long_line_is_cancelled)
{
    enum { N = 300 };
    stator_gridfs_upload_stream_t *up;
    stator_future_t *f[N], *abort;
    wire_gate_t *gate;

    with_file();
    gate = hold("insert", "fs.chunks");
    up = open_up(NULL);
    for (int i = 0; i < N; i++)
        f[i] = stator_gridfs_upload_stream_write(up, "12345678901234567", 17);
    ck_assert(wire_gate_wait_held(gate, 4, WIRE_WAIT));
    abort = stator_gridfs_upload_stream_abort(up);
    for (int i = 0; i < N; i++) {
        ck_cancelled(f[i]);
        stator_future_unref(f[i]);
    }
    wire_gate_open(gate);
    done(abort);
}
END_TEST

START_TEST(a_closed_stream_cancels_what_waits)
{
    stator_gridfs_download_stream_t *down;
    stator_future_t *f;
    wire_gate_t *gate;

    with_file();
    gate = hold("find", "fs.chunks");
    down = open_down(NULL);
    f = stator_gridfs_download_stream_read(down, 10);
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    done(stator_gridfs_download_stream_close(down));
    ck_cancelled(f);
    stator_future_unref(f);
    wire_gate_open(gate);
}
END_TEST

static int64_t n_done(void)
{
    bson_t stats;
    bson_iter_t i;
    int64_t n;

    stator_client_stats(stage->client, &stats);
    ck_assert(bson_iter_init_find(&i, &stats, "done"));
    n = bson_iter_as_int64(&i);
    bson_destroy(&stats);
    return n;
}

static void note_done(mongoc_client_t *client, stator_promise_t *promise,
                      void *arg)
{
    (void)client;
    *(int64_t *)arg = n_done();
    stator_promise_resolve(promise, NULL, NULL);
}

/* However many do not give, they are behind. */
START_TEST(descriptors_that_wait_let_others_by)
{
    enum { N = 10 };
    stator_collection_t *other;
    stator_future_t *f[N], *find, *run;
    int64_t before, then = 0;
    wire_gate_t *gate;
    int fds[2];

    tear_down();
    set_up_with("{'workers': 1}");
    ck_assert_int_eq(pipe(fds), 0);
    for (int i = 0; i < N; i++)
        f[i] = stator_gridfs_bucket_upload_from_fd(bucket, "pipe", fds[0],
                                                   NULL);
    done(stator_client_ping(stage->client, NULL)); /* all have looked once */
    gate = hold("find", "other");
    other = stator_database_get_collection(stage->database, "other");
    find = stator_collection_find_one(other, J("{}"), NULL);
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    before = n_done();
    run = stator_client_run(stage->client, note_done, &then, NULL);
    wire_gate_open(gate);
    done(run);
    done(find);
    ck_assert_int_eq(then, before + 1); /* find */
    for (int i = 0; i < N; i++) {
        ck_assert(stator_future_cancel(f[i]));
        stator_future_unref(f[i]);
    }
    stator_collection_unref(other);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

/* ---- the client closes ------------------------------------------------- */

START_TEST(a_drain_serves_what_was_accepted)
{
    stator_future_t *up, *down, *closed;
    wire_gate_t *gate, *finds;

    with_file();
    gate = hold("insert", "fs.chunks");
    up = stator_gridfs_bucket_upload_from_buffer(bucket, "file",
                                                 bytes_of_file(99), 99, NULL);
    ck_assert(wire_gate_wait_held(gate, 4, WIRE_WAIT));
    finds = hold("find", "fs.files");
    down = stator_gridfs_bucket_download_to_buffer(bucket, id_of("1"), NULL);
    ck_assert(wire_gate_wait_held(finds, 1, WIRE_WAIT));
    closed = stator_client_close(stage->client, NULL);
    fails(stator_gridfs_bucket_drop(bucket, NULL), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_CLOSED, "closed");
    wire_gate_open(finds);
    wire_gate_open(gate);
    done(up);
    ck_bytes(done(down), 0, 40);
    done(closed);
    ck_assert_int_eq(wire_count(server, "insert"), 26);
}
END_TEST

/* What is at the server when it begins. */
START_TEST(a_drain_serves_a_batch)
{
    stator_future_t *down, *closed;
    wire_gate_t *gate;

    with_file();
    gate = hold("find", "fs.chunks");
    down = stator_gridfs_bucket_download_to_buffer(bucket, id_of("1"), NULL);
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    closed = stator_client_close(stage->client, NULL);
    wire_gate_open(gate);
    ck_bytes(done(down), 0, 40);
    done(closed);
}
END_TEST

static void give_up(const char *opts)
{
    stator_gridfs_upload_stream_t *up;
    stator_future_t *f[6], *closed;
    wire_gate_t *gate, *finds;
    int fds[2];

    with_file();
    gate = hold("insert delete", "fs.chunks");
    finds = hold("find", "fs.chunks");
    ck_assert_int_eq(pipe(fds), 0);
    up = open_up(NULL);
    f[0] = stator_gridfs_upload_stream_write(up, bytes_of_file(100), 100);
    f[1] = stator_gridfs_upload_stream_close(up);
    f[2] = stator_gridfs_bucket_download_to_buffer(bucket, id_of("1"), NULL);
    f[3] = stator_gridfs_bucket_upload_from_fd(bucket, "pipe", fds[0], NULL);
    ck_assert(wire_gate_wait_held(gate, 4, WIRE_WAIT));
    ck_assert(wire_gate_wait_held(finds, 1, WIRE_WAIT));
    f[4] = stator_gridfs_bucket_delete_by_id(bucket, id_of("1"), NULL);
    ck_assert(wire_gate_wait_held(gate, 5, WIRE_WAIT));
    f[5] = stator_gridfs_bucket_upload_from_buffer(bucket, "x", "12345", 5,
                                                   NULL);
    closed = stator_client_close(stage->client, J("%s", opts));
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(stator_future_wait(f[i], LIB_PATIENCE_MS), 0);
        ck_assert_int_ne(stator_future_poll(f[i]), STATOR_FUTURE_DONE);
        stator_future_unref(f[i]);
    }
    done(closed);
    wire_gate_open(gate);
    wire_gate_open(finds);
    close(fds[0]);
    close(fds[1]);
}

START_TEST(a_close_in_the_middle)
{
    static const char *const ways[] = {
        "{'mode': 'cancel', 'timeoutMS': 500}",
        "{'mode': 'abort', 'timeoutMS': 500}",
        "{'mode': 'drain', 'timeoutMS': 100}"};

    give_up(ways[_i]);
}
END_TEST

/* No call is refused for want of room that was begun before. */
START_TEST(a_full_queue_stops_no_stream)
{
    stator_future_t *up, *full = NULL;
    wire_gate_t *gate;
    bson_error_t error;
    int refused = 0;

    tear_down();
    set_up_with("{'workers': 1, 'queueLimit': 2}");
    with_file();
    gate = hold("insert", "fs.chunks");
    up = stator_gridfs_bucket_upload_from_buffer(bucket, "file",
                                                 bytes_of_file(99), 99, NULL);
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    for (int i = 0; i < 3; i++) {
        full = stator_gridfs_bucket_delete_by_id(bucket, id_of("1"), NULL);
        if (stator_future_error(full, &error)) {
            ck_assert_uint_eq(error.code, STATOR_ERROR_REFUSED);
            refused++;
        }
        stator_future_unref(full);
    }
    ck_assert_int_ge(refused, 1);
    wire_gate_open(gate);
    done(up);
}
END_TEST

SUITE(gridfs_wire)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, four_chunks_are_on_their_way);
    tcase_add_test(tc, a_batch_is_fetched_when_it_is_needed);
    tcase_add_test(tc, a_chunk_that_fails);
    tcase_add_test(tc, indexes_that_fail);
    tcase_add_test(tc, a_read_that_fails_can_be_asked_again);
    tcase_add_test(tc, a_write_that_is_refused);
    tcase_add_test(tc, a_close_that_is_cut);
    tcase_add_test(tc, a_cancelled_write_ends_the_stream);
    tcase_add_test(tc, a_cancelled_read_moves_nothing);
    tcase_add_test(tc, the_time_of_a_call_is_that_of_all_of_it);
    tcase_add_test(tc, a_cancelled_whole_file);
    tcase_add_test(tc, what_was_done_is_told);
    tcase_add_test(tc, a_stream_that_is_left_is_aborted);
    tcase_add_test(tc, an_abort_cancels_what_waits);
    tcase_add_loop_test(tc, an_abort_awaits_what_was_sent, 0, 2);
    tcase_add_test(tc, an_abort_is_not_cancelled_by_the_next);
    tcase_add_test(tc, a_long_line_is_cancelled);
    tcase_add_test(tc, a_closed_stream_cancels_what_waits);
    tcase_add_test(tc, descriptors_that_wait_let_others_by);
    tcase_add_test(tc, a_drain_serves_what_was_accepted);
    tcase_add_test(tc, a_drain_serves_a_batch);
    tcase_add_loop_test(tc, a_close_in_the_middle, 0, 3);
    tcase_add_test(tc, a_full_queue_stops_no_stream);
}
