/* SPDX-License-Identifier: Apache-2.0 */
/* test_fork.c - forks, at any time and from any thread: the child ends
 * cleanly and can begin anew, and the parent notices nothing.  What each
 * function answers in a child is in test_fork_calls.c. */
#include "tests/core/forked.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* No hello but the first ones, so that all bytes are accounted for. */
#define QUIET "heartbeatFrequencyMS=600000"

#define NEED_THREADS_AFTER_FORK()                                   \
    do {                                                            \
        if (UNDER_TSAN)                                             \
            SKIP("ThreadSanitizer allows no new thread after a fork"); \
    } while (0)

/* A client with everything open: a find that runs, one in the queue, a
 * cursor half read, one that prefetches. */
typedef struct busy {
    scene_t *scene;
    stator_cursor_t *cursor;
    stator_future_t *running;
    stator_future_t *queued;
    int64_t connection; /* of the cursor's find */
} busy_t;

static int64_t connection_of(scene_t *s, const char *command, size_t i)
{
    wire_command_t found;
    int64_t number;

    ck_assert(wire_log_find(s->server, command, i, &found));
    number = found.connection;
    wire_command_clear(&found);
    return number;
}

static busy_t *busy_new(void)
{
    busy_t *b = calloc(1, sizeof *b);

    b->scene = scene_with_uri("{'workers': 1}", QUIET);
    scene_fill(b->scene, 20);
    b->cursor = open_and_read(b->scene, "{'batchSize': 5}");
    b->connection = connection_of(b->scene, "find", 0);
    b->running = hold_worker(b->scene);
    b->queued = ask_one(b->scene, NULL);
    return b;
}

/* What was under way at the fork goes on, on the connection that it had. */
static void busy_ends_well(busy_t *b)
{
    scene_t *s = b->scene;

    ck_pending(b->running);
    ck_pending(b->queued);
    wire_gate_open(s->gate);
    ck_done(b->running);
    ck_done(b->queued);
    ck_assert_int_eq(read_all(b->cursor), 19);
    ck_assert_int_gt(wire_count(s->server, "getMore"), 0);
    ck_assert_int_eq(connection_of(s, "getMore", 0), b->connection);
    stator_cursor_unref(b->cursor);
    scene_free(s);
    free(b);
}

static void give_back(busy_t *b)
{
    scene_t *s = b->scene;

    stator_future_unref(b->running);
    stator_future_unref(b->queued);
    stator_cursor_unref(b->cursor);
    stator_collection_unref(s->things);
    stator_collection_unref(s->held);
    stator_client_unref(s->client);
}

/* ---- how a child ends --------------------------------------------------- */

enum way { BY_EXIT, BY_EXIT_ALL_GIVEN_BACK, BY_UNDERSCORE_EXIT, BY_EXEC };

static int way;

static void child_leaves(void *arg)
{
    busy_t *b = arg;

    MUST(is_forked(stator_client_ping(b->scene->client, NULL)));
    if (way == BY_EXIT_ALL_GIVEN_BACK)
        give_back(b);
    if (way == BY_EXEC)
        execl("/bin/true", "true", (char *)NULL);
    if (way == BY_EXIT || way == BY_EXIT_ALL_GIVEN_BACK)
        exit(0); /* which returning from main is, too */
    _exit(0);
}

START_TEST(a_child_ends_cleanly_and_nobody_notices)
{
    wire_stats_t before, after;
    busy_t *b = busy_new();

    way = _i;
    wire_stats(b->scene->server, &before);
    in_child(child_leaves, b);
    wire_stats(b->scene->server, &after);
    ck_assert_int_eq(after.bytes_in, before.bytes_in);
    ck_assert_int_eq(after.connections_open, before.connections_open);
    ck_assert_int_eq(after.commands, before.commands);
    ck_assert_int_eq(after.protocol_errors, 0);
    busy_ends_well(b);
}
END_TEST

/* A child that lives on keeps copies of the parent's sockets. */
START_TEST(the_parent_can_close_while_a_child_lives)
{
    scene_t *s = scene_with_uri("{'workers': 2}", QUIET);
    int end[2];
    pid_t pid;
    char c;

    ck_done(ask_one(s, NULL));
    ck_assert_int_eq(pipe(end), 0);
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        child_begin();
        close(end[1]);
        MUST(read(end[0], &c, 1) == 0);
        exit(0);
    }
    close(end[0]);
    close_with(s, "{'timeoutMS': 600000}");
    ck_assert_int_eq(wire_count(s->server, "endSessions"), 1);
    close(end[1]);
    child_must_end_well(pid);
    ck_assert(wire_wait_connections(s->server, 0, WIRE_WAIT));
    scene_free(s);
}
END_TEST

/* ---- a new client in the child ------------------------------------------ */

static void child_anew(void *arg)
{
    busy_t *b = arg;

    MUST(is_forked(stator_client_ping(b->scene->client, NULL)));
    child_starts_anew(b->scene->uri, 20);
    give_back(b);
    child_starts_anew(b->scene->uri, 1);
}

static void read_ids(scene_t *s, size_t n, bson_oid_t *ids)
{
    for (size_t i = 0; i < n; i++) {
        wire_command_t insert;
        bson_iter_t at_id, found;

        ck_assert(wire_log_find(s->server, "insert", i, &insert));
        ck_assert(bson_iter_init(&at_id, insert.document));
        ck_assert(
            bson_iter_find_descendant(&at_id, "documents.0._id", &found));
        bson_oid_copy(bson_iter_oid(&found), &ids[i]);
        wire_command_clear(&insert);
    }
}

/* On the server that the parent is at work on.  Ids made in both must not
 * meet, though the generator is inherited. */
START_TEST(a_new_client_in_the_child_works)
{
    enum { N = 61 };
    busy_t *b;
    bson_oid_t ids[N];

    NEED_THREADS_AFTER_FORK();
    b = busy_new();
    for (int i = 0; i < 20; i++)
        lend(stator_collection_insert_one(b->scene->things, J("{}"), NULL));
    in_child(child_anew, b);
    for (int i = 0; i < 20; i++)
        lend(stator_collection_insert_one(b->scene->things, J("{}"), NULL));
    wire_gate_open(b->scene->gate);
    ck_assert(wire_wait_count(b->scene->server, "insert", N, WIRE_WAIT));
    read_ids(b->scene, N, ids);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < i; k++)
            ck_assert_msg(!bson_oid_equal(&ids[i], &ids[k]),
                          "documents %d and %d have the same _id", i, k);
    ck_done(b->running);
    ck_done(b->queued);
    ck_assert_int_eq(read_all(b->cursor), 19);
    stator_cursor_unref(b->cursor);
    scene_free(b->scene);
    free(b);
}
END_TEST

/* As a daemon begins: the process in the middle ends at once. */
static void child_forks_again(void *arg)
{
    busy_t *b = arg;
    pid_t pid;

    give_back(b);
    fflush(NULL);
    pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        child_begin();
        child_starts_anew(b->scene->uri, 3);
        exit(0);
    }
}

START_TEST(a_grandchild_works_when_its_parent_has_gone)
{
    int end[2], status = 0;
    wire_stats_t stats;
    busy_t *b;
    char c;

    NEED_THREADS_AFTER_FORK();
    b = busy_new();
    ck_assert_int_eq(pipe(end), 0);
    in_child(child_forks_again, b);
    close(end[1]);
    ck_assert_int_eq(read(end[0], &c, 1), 0); /* it has ended, too */
    close(end[0]);
    wire_stats(b->scene->server, &stats);
    ck_assert_int_eq(stats.inserted, 3);
    ck_assert_int_eq(stats.protocol_errors, 0);
    ck_assert_int_eq(waitpid(-1, &status, WNOHANG), -1); /* none of ours */
    busy_ends_well(b);
}
END_TEST

static void grandchild_sees(void *arg)
{
    stator_future_t **f = arg;

    MUST(reads_as_forked(f[0]));
    MUST(stator_future_poll(f[1]) == STATOR_FUTURE_DONE);
}

/* A client made in a child is inherited by the child's own child. */
static void child_with_a_child(void *arg)
{
    scene_t *s = arg;
    stator_client_t *client = stator_client_new(s->uri, NULL, NULL);
    stator_collection_t *held;
    stator_future_t *f[2];
    int status = 0;
    pid_t pid;

    MUST(client != NULL);
    held = stator_client_get_collection(client, "core", "held");
    f[1] = stator_client_ping(client, NULL);
    MUST(stator_future_wait(f[1], LIB_PATIENCE_MS) == 0);
    f[0] = stator_collection_find_one(held, NULL, NULL); /* at the gate */
    pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        child_begin();
        grandchild_sees(f);
        MUST(is_forked(stator_client_ping(client, NULL)));
        MUST(is_forked(stator_client_ping(s->client, NULL)));
        _exit(0);
    }
    MUST(waitpid(pid, &status, 0) == pid);
    MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    MUST(stator_future_poll(f[0]) == STATOR_FUTURE_PENDING);
    MUST(stator_future_cancel(f[0]));
    MUST(is_forked(stator_client_ping(s->client, NULL)));
}

START_TEST(a_child_of_a_child_inherits_both)
{
    scene_t *s;

    NEED_THREADS_AFTER_FORK();
    s = scene_new(NULL);
    ck_done(ask_one(s, NULL));
    in_child(child_with_a_child, s);
    ck_done(ask_one(s, NULL));
    scene_free(s);
}
END_TEST

/* ---- at awkward moments ------------------------------------------------- */

/* The worker is in server selection, the driver's monitors connect. */
START_TEST(while_the_first_connection_is_made)
{
    scene_t *s;
    busy_t b = {0};

    NEED_THREADS_AFTER_FORK();
    s = scene_with_uri("{'workers': 2}", QUIET);
    wire_server_pause(s->server);
    b.scene = s;
    b.running = lend(stator_future_ref(ask_one(s, NULL)));
    b.queued = lend(stator_future_ref(ask_one(s, NULL)));
    b.cursor = open_cursor(s, NULL);
    await_stat(s->client, "busy", 2);
    way = BY_EXIT_ALL_GIVEN_BACK;
    in_child(child_leaves, &b);
    wire_server_resume(s->server);
    ck_done(b.running);
    ck_done(b.queued);
    stator_cursor_unref(b.cursor);
    scene_free(s);
}
END_TEST

typedef struct fork_inside {
    scene_t *scene;
    stator_dispatcher_t *dispatcher;
    pid_t pid; /* 0: in the child */
    bool returns;
    atomic_int n_after; /* continuations that ran behind the fork */
} fork_inside_t;

static void then_fork(stator_future_t *f, void *arg)
{
    fork_inside_t *in = arg;

    MUST(stator_future_poll(f) == STATOR_FUTURE_DONE);
    fflush(NULL);
    in->pid = fork();
    if (in->pid != 0)
        return;
    child_begin();
    MUST(stator_future_document(f) != NULL); /* its result is still there */
    MUST(is_forked(stator_client_ping(in->scene->client, NULL)));
    child_starts_anew(in->scene->uri, 1);
    if (!in->returns)
        exit(0);
}

static void then_count(stator_future_t *f, void *arg)
{
    (void)f;
    atomic_fetch_add(&((fork_inside_t *)arg)->n_after, 1);
}

START_TEST(inside_a_continuation)
{
    fork_inside_t in = {.returns = _i == 1, .pid = -1};
    stator_future_t *f;
    int ran;

    NEED_THREADS_AFTER_FORK();
    in.scene = scene_new(NULL);
    in.dispatcher = stator_dispatcher_new(NULL);
    f = ck_done(ask_one(in.scene, NULL));
    ck_assert_int_eq(stator_future_then(f, in.dispatcher, then_fork, &in), 0);
    ck_assert_int_eq(stator_future_then(f, in.dispatcher, then_count, &in),
                     0);
    ran = stator_dispatcher_run_once(in.dispatcher, LIB_PATIENCE_MS);
    if (in.pid == 0) { /* the child is back in the parent's loop */
        MUST(ran == -ECHILD);
        MUST(atomic_load(&in.n_after) == 0);
        MUST(stator_dispatcher_fd(in.dispatcher) == -1);
        child_starts_anew(in.scene->uri, 1);
        stator_dispatcher_unref(in.dispatcher);
        _exit(0);
    }
    ck_assert_int_ge(ran, 1);
    child_must_end_well(in.pid);
    if (ran == 1) /* the second was attached while the first settled */
        ck_assert_int_eq(
            stator_dispatcher_run_once(in.dispatcher, LIB_PATIENCE_MS), 1);
    ck_assert_int_eq(atomic_load(&in.n_after), 1);
    ck_done(ask_one(in.scene, NULL));
    stator_dispatcher_unref(in.dispatcher);
    scene_free(in.scene);
}
END_TEST

static void run_fork(mongoc_client_t *client, stator_promise_t *promise,
                     void *arg)
{
    fork_inside_t *in = arg;

    (void)client;
    fflush(NULL);
    in->pid = fork();
    if (in->pid == 0) {
        child_begin();
        MUST(is_forked(stator_client_ping(in->scene->client, NULL)));
        MUST(is_forked(stator_promise_future(promise)));
        if (!in->returns)
            _exit(0);
        return; /* and the thread, which is the process, ends */
    }
    stator_promise_resolve(promise, NULL, NULL);
}

START_TEST(inside_a_function_on_a_worker)
{
    fork_inside_t in = {.returns = _i == 1, .pid = -1};
    wire_stats_t before, after;

    if (in.returns && UNDER_TSAN)
        SKIP("ThreadSanitizer does not survive that the thread ends");
    in.scene = scene_with_uri("{'workers': 1}", QUIET);
    ck_done(ask_one(in.scene, NULL));
    wire_stats(in.scene->server, &before);
    done(stator_client_run(in.scene->client, run_fork, &in, NULL));
    child_must_end_well(in.pid);
    wire_stats(in.scene->server, &after);
    ck_assert_int_eq(after.bytes_in, before.bytes_in);
    ck_assert_int_eq(after.connections_open, before.connections_open);
    ck_done(ask_one(in.scene, NULL));
    scene_free(in.scene);
}
END_TEST

/* ---- again and again ---------------------------------------------------- */

enum { FORKS = 200 };

typedef struct storm {
    busy_t *busy;
    stator_dispatcher_t *dispatcher;
    atomic_bool stop;
    atomic_llong settled;
} storm_t;

static void must_settle(storm_t *storm, stator_future_t *f)
{
    if (stator_future_wait(f, LIB_PATIENCE_MS) != 0)
        abort();
    stator_future_unref(f);
    atomic_fetch_add(&storm->settled, 1);
}

/* Everything that takes a lock: submit, cancel, read, close, stats. */
static void *submit_main(void *arg)
{
    static fork_inside_t counted;
    storm_t *storm = arg;
    scene_t *s = storm->busy->scene;

    while (!atomic_load(&storm->stop)) {
        stator_cursor_t *c = stator_collection_find(s->things, NULL, NULL);
        stator_future_t *f = stator_cursor_to_list(c, 0), *g, *h;
        bson_t stats;

        g = stator_collection_find_one(s->things, NULL, NULL);
        h = stator_collection_find_one(s->things, NULL, NULL);
        stator_future_cancel(h);
        stator_future_then(g, storm->dispatcher, then_count, &counted);
        must_settle(storm, f);
        must_settle(storm, h);
        must_settle(storm, g);
        stator_dispatcher_dispatch(storm->dispatcher, 0);
        stator_cursor_unref(c);
        stator_client_stats(s->client, &stats);
        bson_destroy(&stats);
    }
    return NULL;
}

static void child_of_the_storm(void *arg)
{
    storm_t *storm = arg;
    busy_t *b = storm->busy;

    MUST(is_forked(stator_client_ping(b->scene->client, NULL)));
    MUST(is_forked(stator_cursor_next(b->cursor)));
    MUST(is_forked(stator_client_close(b->scene->client, NULL)));
    MUST(reads_as_forked(b->running));
    MUST(stator_dispatcher_dispatch(storm->dispatcher, 0) == -ECHILD);
    stator_dispatcher_unref(storm->dispatcher);
    give_back(b);
}

static void child_of_the_storm_anew(void *arg)
{
    storm_t *storm = arg;

    child_of_the_storm(arg);
    child_starts_anew(storm->busy->scene->uri, 1);
    exit(0);
}

/* Not the main thread. */
static void *fork_main(void *arg)
{
    for (int i = 0; i < FORKS; i++)
        in_child(i % 10 == 9 ? child_of_the_storm_anew : child_of_the_storm,
                 arg);
    return NULL;
}

START_TEST(while_other_threads_submit)
{
    storm_t storm = {0};
    wire_stats_t stats;
    pthread_t submitters[2], forker;
    int64_t before;

    if (UNDER_TSAN || UNDER_ASAN)
        SKIP("a sanitizer's own locks do not survive a fork among threads");
    storm.busy = busy_new();
    storm.dispatcher = stator_dispatcher_new(NULL);
    ck_assert(stator_client_resize(storm.busy->scene->client, 3, NULL));
    before = now_us();
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&submitters[i], NULL, submit_main,
                                        &storm), 0);
    ck_assert_int_eq(pthread_create(&forker, NULL, fork_main, &storm), 0);
    pthread_join(forker, NULL);
    atomic_store(&storm.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(submitters[i], NULL);
    printf("%d forks in %d ms, beside %lld operations\n", FORKS,
           (int)((now_us() - before) / 1000), atomic_load(&storm.settled));
    ck_assert_int_gt(atomic_load(&storm.settled), FORKS);
    wire_stats(storm.busy->scene->server, &stats);
    ck_assert_int_eq(stats.protocol_errors, 0);
    ck_assert_int_eq(stats.inserted, FORKS / 10);
    ck_stat(storm.busy->scene->client, "failed", 0);
    stator_dispatcher_unref(storm.dispatcher);
    ck_pending(storm.busy->running);
    wire_gate_open(storm.busy->scene->gate);
    ck_done(storm.busy->running);
    ck_assert_int_eq(read_all(storm.busy->cursor), 19);
    stator_cursor_unref(storm.busy->cursor);
    scene_free(storm.busy->scene);
    free(storm.busy);
}
END_TEST

SUITE(core_fork)
{
    TCase *slow;

    tcase_add_loop_test(tc, a_child_ends_cleanly_and_nobody_notices, BY_EXIT,
                        BY_EXEC + 1);
    tcase_add_test(tc, the_parent_can_close_while_a_child_lives);
    tcase_add_test(tc, a_new_client_in_the_child_works);
    tcase_add_test(tc, a_grandchild_works_when_its_parent_has_gone);
    tcase_add_test(tc, a_child_of_a_child_inherits_both);
    tcase_add_test(tc, while_the_first_connection_is_made);
    tcase_add_loop_test(tc, inside_a_continuation, 0, 2);
    tcase_add_loop_test(tc, inside_a_function_on_a_worker, 0, 2);
    slow = suite_case("core_fork_storm");
    tcase_add_test(slow, while_other_threads_submit);
}
