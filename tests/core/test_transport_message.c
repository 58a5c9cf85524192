/* SPDX-License-Identifier: Apache-2.0 */
/* test_transport_message.c - what arrives, and what goes out: large messages,
 * compressed ones, and either of them among signals. */
#include "tests/core/cut.h"
#include "tests/harness/stopwatch.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "core/socket.h"
#include "futures/base.h"

/* ---- large messages ----------------------------------------------------- */

enum { LARGE = 16 * 1024 * 1024 - 200, BATCHED = 15980000 };

static void make(int64_t i, int n, bson_t *out)
{
    char *fill = malloc((size_t)n);

    memset(fill, 'x', (size_t)n);
    BSON_APPEND_INT64(out, "_id", i);
    bson_append_utf8(out, "fill", 4, fill, n);
    free(fill);
}

static void make_large(int64_t i, bson_t *out, void *arg)
{
    (void)arg;
    make(i, LARGE, out);
}

static int64_t length_of(stator_future_t *f)
{
    return stator_future_document(f) == NULL
               ? 0
               : (int64_t)stator_future_document(f)->len;
}

START_TEST(a_document_of_16_mb_comes_and_goes)
{
    scene_t *s = cut_scene("{'workers': 1}", NO_RETRIES);

    wire_collection(s->server, "core.things", 1, make_large, NULL);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_gt(length_of(ck_done(ask_one(s, NULL))), LARGE);
        done(stator_collection_insert_one(s->things, lib_big(i, LARGE),
                                          NULL));
    }
    ck_stat(s->client, "transport.dials", 1);
    scene_free(s);
}
END_TEST

/* {cursor: {firstBatch: [{..}, {..}, {..}], id: 0, ns}, ok: 1}, near the
 * 48,000,000 bytes of a message. */
static void append_batch(bson_t *reply)
{
    bson_t cursor, batch, one;
    const char *keys[] = {"0", "1", "2"};

    BSON_APPEND_DOCUMENT_BEGIN(reply, "cursor", &cursor);
    BSON_APPEND_ARRAY_BEGIN(&cursor, "firstBatch", &batch);
    for (int64_t i = 0; i < 3; i++) {
        bson_append_document_begin(&batch, keys[i], 1, &one);
        make(i, BATCHED, &one);
        bson_append_document_end(&batch, &one);
    }
    bson_append_array_end(&cursor, &batch);
    BSON_APPEND_INT64(&cursor, "id", 0);
    BSON_APPEND_UTF8(&cursor, "ns", "core.things");
    bson_append_document_end(reply, &cursor);
    BSON_APPEND_INT32(reply, "ok", 1);
}

START_TEST(a_batch_of_48_mb_comes)
{
    scene_t *s = cut_scene("{'workers': 1}", NO_RETRIES);
    bson_t reply = BSON_INITIALIZER;
    stator_future_t *f;
    stator_cursor_t *c;

    append_batch(&reply);
    ck_assert_uint_gt(reply.len, 47900000);
    ck_assert_int_gt(wire_rule_add(s->server,
                                   &(wire_rule_t){.command = "find",
                                                  .action = WIRE_REPLY,
                                                  .reply = &reply}), 0);
    bson_destroy(&reply);
    c = stator_collection_find(s->things, NULL, NULL);
    f = done(stator_cursor_to_list(c, 0));
    ck_assert_int_eq(stator_future_count(f), 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_gt(stator_future_document_at(f, i)->len, BATCHED);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(very_many_small_ones_go)
{
    enum { MANY = 150000 };
    scene_t *s = cut_scene("{'workers': 1}", NO_RETRIES);
    const bson_t **all = calloc(MANY, sizeof *all);
    bson_t *one = BCON_NEW("a", BCON_INT32(1));
    wire_stats_t stats;

    for (int i = 0; i < MANY; i++)
        all[i] = one;
    done(stator_collection_insert_many(s->things, all, MANY, NULL));
    wire_stats(s->server, &stats);
    ck_assert_int_eq(stats.inserted, MANY);
    ck_stat(s->client, "transport.dials", 1);
    bson_destroy(one);
    free(all);
    scene_free(s);
}
END_TEST

/* Cut in the middle of one that is being written: the server takes nothing
 * in, so the socket's buffers are full and the worker waits in send. */
START_TEST(a_message_that_is_being_written_is_cut)
{
    scene_t *s = cut_scene("{'workers': 1}", NO_RETRIES);
    const bson_t *big = lib_big(1, LARGE);
    stopwatch_t watch;
    stator_future_t *f;

    ck_done(ask_one(s, NULL));
    wire_server_pause(s->server);
    f = lend(stator_collection_insert_one(s->things, big, NULL));
    await_armed(s->client, true);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    watch = stopwatch_start();
    ck_assert(stator_future_cancel(f));
    ck_cancelled(f, STATOR_MAYBE_SENT);
    await_idle(s->client);
    ck_assert_int_lt(stopwatch_us(&watch), 500000);
    wire_server_resume(s->server);
    ck_done(ask_one(s, NULL));
    ck_assert_int_eq(wire_count(s->server, "insert"), 0);
    scene_free(s);
}
END_TEST

/* ---- signals ------------------------------------------------------------ */

static atomic_int n_handled;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&n_handled, 1);
}

static void handle_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal}; /* no SA_RESTART */

    ck_assert_int_eq(sigaction(SIGUSR1, &a, NULL), 0);
}

/* All threads of the library, one signal each; how many they are. */
static int signal_threads(void)
{
    DIR *all = opendir("/proc/self/task");
    struct dirent *one;
    int n = 0;

    while ((one = readdir(all)) != NULL) {
        pid_t id = (pid_t)strtol(one->d_name, NULL, 10);
        char path[300], name[32] = "";
        FILE *file;

        snprintf(path, sizeof path, "/proc/self/task/%s/comm", one->d_name);
        file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fgets(name, sizeof name, file) != NULL &&
            strncmp(name, "stator/", 7) == 0) {
            syscall(SYS_tgkill, getpid(), id, SIGUSR1);
            n++;
        }
        fclose(file);
    }
    closedir(all);
    return n;
}

/* No handler of the program ever runs on a thread of the library. */
START_TEST(signals_do_not_reach_the_workers)
{
    scene_t *s = cut_scene("{'workers': 2}", NO_RETRIES);
    stator_future_t *f;

    handle_signals();
    for (int i = 0; i < 50; i++) {
        f = hold_worker(s);
        ck_assert_int_ge(signal_threads(), 3);
        wire_gate_pass(s->gate, 1);
        ck_done(f);
    }
    ck_assert_int_eq(atomic_load(&n_handled), 0);
    scene_free(s);
}
END_TEST

static pthread_t victim;
static atomic_bool quiet;

static void *pester(void *arg)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    (void)arg;
    while (!atomic_load(&quiet)) {
        pthread_kill(victim, SIGUSR1);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* On a thread that takes them, a read keeps its time and loses nothing. */
START_TEST(a_read_outlasts_signals)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    struct stc_socket *socket;
    stopwatch_t watch;
    pthread_t thread;
    int pair[2];
    char byte;

    handle_signals();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    socket = stc_socket_new(pair[0]);
    victim = pthread_self();
    ck_assert_int_eq(pthread_create(&thread, NULL, pester, NULL), 0);
    for (chances_t c = {0};
         atomic_load(&n_handled) <= 20 && chances_next(&c);) {
        watch = stopwatch_start();
        ck_assert_int_eq(stc_socket_receive(socket, &byte, 1,
                                            stf_deadline_after_ms(200)), -1);
        ck_assert_int_eq(errno, ETIMEDOUT);
        ck_assert_int_ge(now_us() - watch.since, 200000);
        ck_assert_int_lt(stopwatch_us(&watch), 2000000);
    }
    nanosleep(&pause, NULL);
    ck_assert_int_eq(send(pair[1], "x", 1, 0), 1);
    ck_assert_int_eq(stc_socket_receive(
        socket, &byte, 1, stf_deadline_after_ms(LIB_PATIENCE_MS)), 1);
    ck_assert_int_eq(byte, 'x');
    atomic_store(&quiet, true);
    pthread_join(thread, NULL);
    ck_assert_int_gt(atomic_load(&n_handled), 20);
    mongoc_stream_destroy(&socket->stream);
    close(pair[1]);
}
END_TEST

/* SIGPIPE would end the process. */
START_TEST(a_write_to_who_has_gone_is_no_signal)
{
    mongoc_iovec_t iov = {.iov_base = "x", .iov_len = 1};
    struct stc_socket *socket;
    int pair[2];

    ck_assert(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    socket = stc_socket_new(pair[0]);
    close(pair[1]);
    ck_assert_int_eq(mongoc_stream_writev(&socket->stream, &iov, 1, 1000),
                     -1);
    ck_assert_int_eq(socket->error, EPIPE);
    mongoc_stream_destroy(&socket->stream);
}
END_TEST

/* The same with a client: its connection died while nothing was asked. */
START_TEST(a_connection_that_died_unused)
{
    scene_t *s = cut_scene("{'workers': 1}", NO_RETRIES);

    ck_assert(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    for (int i = 0; i < 4; i++) {
        stator_future_t *f;

        ck_done(ask_one(s, NULL));
        wire_server_hang_up(s->server, i % 2 == 0 ? WIRE_RST : WIRE_FIN);
        f = ask_one(s, NULL);
        ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    }
    ck_done(ask_one(s, NULL));
    scene_free(s);
}
END_TEST

/* ---- compression -------------------------------------------------------- */

/* A message in an OP_COMPRESSED, as servers do that were told the client can
 * read it. */
static void compress_it(const wire_command_t *command, wire_buffer_t *reply,
                        void *arg)
{
    enum { HEADER = 16, OF_COMPRESSED = 9, ZLIB = 2, COMPRESSED = 2012 };
    size_t plain = wire_buffer_size(reply) - HEADER;
    uLongf packed = compressBound(plain);
    uint8_t *bytes = bson_malloc(packed);
    int32_t opcode = wire_buffer_get_int32(reply, 12);

    (void)command;
    (void)arg;
    if (compress(bytes, &packed, wire_buffer_data(reply) + HEADER, plain) !=
        Z_OK)
        abort();
    wire_buffer_resize(reply, HEADER + OF_COMPRESSED);
    wire_buffer_set_int32(reply, 0, (int32_t)(HEADER + OF_COMPRESSED +
                                              packed));
    wire_buffer_set_int32(reply, 12, COMPRESSED);
    wire_buffer_set_int32(reply, 16, opcode);
    wire_buffer_set_int32(reply, 20, (int32_t)plain);
    wire_buffer_data(reply)[24] = ZLIB;
    wire_buffer_append(reply, bytes, packed);
    bson_free(bytes);
}

START_TEST(an_answer_that_is_compressed)
{
    scene_t *s = cut_scene("{'workers': 1}", NO_RETRIES);

    wire_collection(s->server, "core.things", 1, make_large, NULL);
    wire_rule_add(s->server, &(wire_rule_t){.command = "find",
                                            .action = WIRE_REWRITE,
                                            .rewrite = compress_it});
    for (int i = 0; i < 3; i++)
        ck_assert_int_gt(length_of(ck_done(ask_one(s, NULL))), LARGE);
    ck_stat(s->client, "transport.refusals", 0);
    ck_stat(s->client, "transport.dials", 1);
    scene_free(s);
}
END_TEST

static bool compresses(stator_client_t *client)
{
    stator_future_t *f = done(stator_client_command(
        client, "admin", J("{'hello': 1, 'compression': ['zlib']}"), NULL));

    return at(stator_future_reply(f), "compression")[0] != '\0';
}

START_TEST(what_is_compressed_arrives)
{
    char uri[512];
    stage_t *s;
    bool possible;

    NEED_SERVER();
    snprintf(uri, sizeof uri, "%s?compressors=zlib", lib_server());
    s = stage_new(uri, NULL, true);
    possible = compresses(s->client);
    if (possible) {
        done(stator_collection_insert_one(s->collection, lib_big(1, 100000),
                                          NULL));
        ck_assert_int_gt(length_of(done(stator_collection_find_one(
                             s->collection, J("{'_id': 1}"), NULL))),
                         100000);
    }
    stage_free(s);
    if (!possible)
        SKIP("the server compresses nothing");
}
END_TEST

SUITE(core_transport_message)
{
    tcase_add_test(tc, a_document_of_16_mb_comes_and_goes);
    tcase_add_test(tc, a_batch_of_48_mb_comes);
    tcase_add_test(tc, very_many_small_ones_go);
    tcase_add_test(tc, a_message_that_is_being_written_is_cut);
    tcase_add_test(tc, an_answer_that_is_compressed);
    tcase_add_test(tc, what_is_compressed_arrives);
    tcase_add_test(tc, signals_do_not_reach_the_workers);
    tcase_add_test(tc, a_read_outlasts_signals);
    tcase_add_test(tc, a_write_to_who_has_gone_is_no_signal);
    tcase_add_test(tc, a_connection_that_died_unused);
}
