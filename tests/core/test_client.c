/* SPDX-License-Identifier: Apache-2.0 */
/* test_client.c - clients as such: made, several at once, their threads, and
 * what a fork leaves of them. */
#include "tests/core/support.h"

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/client.h"

/* ---- made --------------------------------------------------------------- */

START_TEST(making_one_does_no_input_or_output)
{
    scene_t *s = scene_new("{'workers': 4}");
    wire_stats_t stats;

    await_threads("stator", 5);
    wire_stats(s->server, &stats);
    ck_assert_int_eq(stats.connections_total, 0);
    ck_stat(s->client, "connections", 0);
    ck_done(ask_one(s, NULL));
    wire_stats(s->server, &stats);
    ck_assert_int_gt(stats.connections_total, 0);
    scene_free(s);
}
END_TEST

START_TEST(bad_uris_are_refused_with_a_reason)
{
    static const char *const bad[] = {
        "mongodb://", "http://localhost", "mongodb://[::1", "localhost",
        "mongodb://h:99999999/", "mongodb://a:b@:c@h/",
        "mongodb://h/?readConcernLevel=\xff",
        "mongodb+srv://a.b,c.d/",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bson_error_t error = {0};
        stator_client_t *c = stator_client_new(bad[i], NULL, &error);

        ck_assert_msg(c == NULL, "a client for %s", bad[i]);
        ck_assert_uint_eq(error.domain, STATOR_ERROR_DOMAIN);
        ck_assert_uint_eq(error.code, STATOR_ERROR_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(error.message, "uri"));
    }
}
END_TEST

START_TEST(a_password_is_not_in_the_reason)
{
    bson_error_t error = {0};
    stator_client_t *c = stator_client_new(
        "mongodb://user:s3cret@:27017:1/?x=%zz", NULL, &error);

    ck_assert_ptr_null(c);
    ck_assert_ptr_null(strstr(error.message, "s3cret"));
}
END_TEST

START_TEST(options_of_the_uri_that_hurt_are_kept_from_the_driver)
{
    scene_t *s = scene_with_uri("{'workers': 2}",
                                "waitQueueTimeoutMS=50&minPoolSize=1&"
                                "maxPoolSize=20");

    for (int i = 0; i < 20; i++)
        ask_one(s, NULL);
    ck_stat(s->client, "maxConnections", 20);
    close_with(s, NULL);
    ck_stat(s->client, "done", 20);
    scene_free(s);
}
END_TEST

/* ---- an adopted pool ---------------------------------------------------- */

static int n_started;

static void on_started(const mongoc_apm_command_started_t *event)
{
    (void)event;
    __atomic_fetch_add(&n_started, 1, __ATOMIC_RELAXED);
}

START_TEST(an_adopted_pool_is_used_as_it_was_set_up)
{
    wire_server_t *server = wire_server_new(NULL);
    mongoc_apm_callbacks_t *callbacks = mongoc_apm_callbacks_new();
    char text[WIRE_URI_SIZE];
    mongoc_client_pool_t *pool;
    stator_client_t *client;
    bson_error_t error;
    mongoc_uri_t *uri;

    uri = mongoc_uri_new(wire_server_uri(server, "appName=adopted", text,
                                         sizeof text));
    pool = mongoc_client_pool_new(uri);
    mongoc_apm_set_command_started_cb(callbacks, on_started);
    ck_assert(mongoc_client_pool_set_apm_callbacks(pool, callbacks, NULL));
    client = stator_client_new_from_pool(pool, J("{'workers': 2}"), &error);
    ck_assert_ptr_nonnull(client);
    done(stator_client_ping(client, NULL));
    ck_assert_int_eq(__atomic_load_n(&n_started, __ATOMIC_RELAXED), 1);
    /* The server's code, not the driver's own: error API 2. */
    wire_rule_add(server, &(wire_rule_t){.command = "ping",
                                         .action = WIRE_ERROR, .code = 59});
    fails(stator_client_ping(client, NULL), MONGOC_ERROR_SERVER, 59, "");
    done(stator_client_close(client, NULL));
    stator_client_unref(client);
    mongoc_uri_destroy(uri);
    mongoc_apm_callbacks_destroy(callbacks);
    wire_server_free(server);
    lib_forget();
}
END_TEST

START_TEST(an_adopted_pool_stays_the_users_when_it_fails)
{
    mongoc_uri_t *uri = mongoc_uri_new("mongodb://127.0.0.1:1/");
    mongoc_client_pool_t *pool = mongoc_client_pool_new(uri);
    bson_error_t error;

    ck_assert_ptr_null(
        stator_client_new_from_pool(pool, J("{'workers': 0}"), &error));
    ck_assert_uint_eq(error.code, STATOR_ERROR_ARGUMENT);
    mongoc_client_pool_destroy(pool); /* once, and by us */
    mongoc_uri_destroy(uri);
    lib_forget();
}
END_TEST

START_TEST(errors_of_the_server_keep_the_servers_code)
{
    scene_t *s = scene_new(NULL);

    wire_rule_add(s->server, &(wire_rule_t){.command = "ping",
                                            .action = WIRE_ERROR,
                                            .code = 59});
    fails(stator_client_ping(s->client, NULL), MONGOC_ERROR_SERVER, 59, "");
    scene_free(s);
}
END_TEST

/* ---- several ------------------------------------------------------------ */

static void count(stator_future_t *f, void *arg)
{
    *(int *)arg += stator_future_poll(f) == STATOR_FUTURE_DONE;
}

START_TEST(many_clients_on_one_dispatcher)
{
    enum { N = 5, EACH = 20 };
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    scene_t *s[N];
    int n = 0;

    for (int i = 0; i < N; i++)
        s[i] = scene_new("{'workers': 2}");
    for (int i = 0; i < N * EACH; i++)
        ck_assert_int_eq(
            stator_future_then(ask_one(s[i % N], NULL), d, count, &n), 0);
    while (n < N * EACH)
        ck_assert_int_gt(stator_dispatcher_run_once(d, LIB_PATIENCE_MS), 0);
    for (int i = 0; i < N; i++)
        scene_free(s[i]);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(many_dispatchers_on_one_client)
{
    enum { N = 5, EACH = 20 };
    scene_t *s = scene_new("{'workers': 3}");
    stator_dispatcher_t *d[N];
    int n[N] = {0};

    for (int i = 0; i < N; i++)
        d[i] = stator_dispatcher_new(NULL);
    for (int i = 0; i < N * EACH; i++)
        ck_assert_int_eq(stator_future_then(ask_one(s, NULL), d[i % N], count,
                                            &n[i % N]),
                         0);
    for (int i = 0; i < N; i++) {
        while (n[i] < EACH)
            ck_assert_int_gt(stator_dispatcher_run_once(d[i],
                                                        LIB_PATIENCE_MS),
                             0);
        ck_assert_int_eq(n[i], EACH);
        stator_dispatcher_unref(d[i]);
    }
    scene_free(s);
}
END_TEST

/* ---- threads ------------------------------------------------------------ */

/* The signals that the thread `task` blocks. */
static uint64_t blocked_by(const char *task)
{
    char path[300], line[256];
    unsigned long long mask = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "SigBlk: %llx", &mask) == 1)
            break;
    if (f != NULL)
        fclose(f);
    return mask;
}

START_TEST(threads_are_named_and_block_all_signals)
{
    if (getenv("STATOR_MEMCHECK") != NULL)
        SKIP("valgrind keeps signals to itself");
    scene_t *s = scene_new("{'workers': 3, 'name': 'harbour-master'}");
    /* Those that can be blocked, and are no runtime's own (32, 33). */
    uint64_t must = 0;
    DIR *all;
    struct dirent *one;
    int n = 0;

    for (int signal = 1; signal <= 64; signal++)
        if (signal != 9 && signal != 19 && signal != 32 && signal != 33)
            must |= (uint64_t)1 << (signal - 1);
    await_threads("harbour-/keeper", 1);
    await_threads("harbour-/0", 1);
    await_threads("harbour-/1", 1);
    await_threads("harbour-/2", 1);
    ck_done(ask_one(s, NULL)); /* now the driver has its threads, too */
    all = opendir("/proc/self/task");
    while ((one = readdir(all)) != NULL) {
        char path[300], name[32] = "";
        FILE *f;

        snprintf(path, sizeof path, "/proc/self/task/%s/comm", one->d_name);
        f = fopen(path, "r");
        if (f == NULL)
            continue;
        if (fgets(name, sizeof name, f) != NULL &&
            strncmp(name, "harbour-", 8) == 0) {
            ck_assert_msg((blocked_by(one->d_name) & must) == must,
                          "%s blocks %llx only", name,
                          (unsigned long long)blocked_by(one->d_name));
            n++;
        }
        fclose(f);
    }
    closedir(all);
    ck_assert_int_ge(n, 4);
    scene_free(s);
}
END_TEST

START_TEST(the_callers_signals_stay_as_they_were)
{
    sigset_t before, after;
    scene_t *s;

    pthread_sigmask(SIG_SETMASK, NULL, &before);
    s = scene_new("{'workers': 2}");
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int signal = 1; signal < 32; signal++)
        ck_assert_int_eq(sigismember(&before, signal),
                         sigismember(&after, signal));
    scene_free(s);
}
END_TEST

/* ---- fork --------------------------------------------------------------- */

/* In a child one does not assert: it leaves with the number of the line. */
#define MUST(condition)          \
    do {                         \
        if (!(condition))        \
            _exit(__LINE__ % 255 + 1); \
    } while (0)

static bool is_forked(stator_future_t *f)
{
    bson_error_t error = {0};
    bool is = stator_future_poll(f) == STATOR_FUTURE_FAILED &&
              stator_future_error(f, &error) &&
              error.code == STATOR_ERROR_FORKED;

    stator_future_unref(f);
    return is;
}

/* Run `fn` in a child, which must leave with 0. */
static void in_child(scene_t *s, void (*fn)(scene_t *s))
{
    pid_t pid = fork();
    int status;

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        alarm(120);
        fn(s);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "signal %d", WTERMSIG(status));
    ck_assert_msg(WEXITSTATUS(status) == 0, "the child left at line .. %d",
                  WEXITSTATUS(status) - 1);
}

static stator_future_t *pending;
static stator_cursor_t *cursor;

static void every_call_fails(scene_t *s)
{
    bson_error_t error;
    bson_t out, one = BSON_INITIALIZER;

    BSON_APPEND_INT32(&one, "a", 1);
    MUST(is_forked(stator_client_ping(s->client, NULL)));
    MUST(is_forked(stator_client_command(s->client, "d", &one, NULL)));
    MUST(is_forked(stator_client_room(s->client)));
    MUST(is_forked(stator_client_close(s->client, NULL)));
    MUST(is_forked(stator_collection_insert_one(s->things, &one, NULL)));
    MUST(is_forked(stator_collection_find_one(s->things, NULL, NULL)));
    MUST(is_forked(stator_cursor_next(cursor)));
    MUST(is_forked(stator_cursor_next_batch(cursor)));
    MUST(is_forked(stator_cursor_to_list(cursor, 0)));
    MUST(is_forked(stator_cursor_close(cursor)));
    MUST(!stator_cursor_try_buffered(cursor, &out));
    MUST(!stator_client_resize(s->client, 2, &error));
    MUST(error.code == STATOR_ERROR_FORKED);
    stator_client_stats(s->client, &out);
    bson_destroy(&out);
    stator_client_config(s->client, &out);
    bson_destroy(&out);
    MUST(stator_future_poll(pending) == STATOR_FUTURE_FAILED);
    MUST(!stator_future_cancel(pending));
    MUST(stator_future_wait(pending, 1000) == 0);
    MUST(is_forked(stator_future_ref(pending)));
    bson_destroy(&one);
}

static void unref_and_start_anew(scene_t *s)
{
    wire_server_t *server;
    stator_client_t *client;
    stator_future_t *f;
    char uri[WIRE_URI_SIZE];

    stator_cursor_unref(cursor);
    stator_future_unref(pending);
    stator_collection_unref(s->things);
    stator_collection_unref(s->held);
    stator_client_unref(s->client);

    server = wire_server_new(NULL);
    MUST(server != NULL);
    wire_server_uri(server, NULL, uri, sizeof uri);
    client = stator_client_new(uri, NULL, NULL);
    MUST(client != NULL);
    f = stator_client_ping(client, NULL);
    MUST(stator_future_wait(f, LIB_PATIENCE_MS) == 0);
    MUST(stator_future_poll(f) == STATOR_FUTURE_DONE);
    stator_future_unref(f);
    f = stator_client_close(client, NULL);
    MUST(stator_future_wait(f, LIB_PATIENCE_MS) == 0);
    stator_future_unref(f);
    stator_client_unref(client);
    wire_server_free(server);
}

static scene_t *scene_to_fork(void)
{
    scene_t *s = scene_new("{'workers': 2}");

    scene_fill(s, 20);
    cursor = open_and_read(s, "{'batchSize': 5}");
    pending = stator_future_ref(hold_worker(s));
    return s;
}

/* What was pending at the fork goes on in the parent. */
static void ends_well(scene_t *s)
{
    ck_pending(pending);
    ck_assert_int_eq(read_all(cursor), 19);
    wire_gate_open(s->gate);
    ck_done(pending);
    ck_done(ask_one(s, NULL));
    stator_future_unref(pending);
    stator_cursor_unref(cursor);
    scene_free(s);
}

START_TEST(in_a_child_every_call_fails_at_once)
{
    scene_t *s = scene_to_fork();

    in_child(s, every_call_fails);
    ends_well(s);
}
END_TEST

START_TEST(a_child_can_start_anew)
{
    if (UNDER_TSAN)
        SKIP("ThreadSanitizer allows no new thread after a fork");
    scene_t *s = scene_to_fork();

    in_child(s, unref_and_start_anew);
    ends_well(s);
}
END_TEST

START_TEST(no_lock_that_existed_at_the_fork_is_taken)
{
    scene_t *s = scene_to_fork();

    /* As if other threads were in the middle of something. */
    pthread_mutex_lock(&s->client->lock);
    pthread_mutex_lock(&s->client->queue.room_lock);
    pthread_mutex_lock(&s->client->queue.lock);
    pthread_mutex_lock(&s->client->pool.lock);
    pthread_mutex_lock(&s->client->keeper.lock);
    in_child(s, every_call_fails);
    pthread_mutex_unlock(&s->client->keeper.lock);
    pthread_mutex_unlock(&s->client->pool.lock);
    pthread_mutex_unlock(&s->client->queue.lock);
    pthread_mutex_unlock(&s->client->queue.room_lock);
    pthread_mutex_unlock(&s->client->lock);
    ends_well(s);
}
END_TEST

SUITE(core_client)
{
    tcase_add_test(tc, making_one_does_no_input_or_output);
    tcase_add_test(tc, bad_uris_are_refused_with_a_reason);
    tcase_add_test(tc, a_password_is_not_in_the_reason);
    tcase_add_test(tc,
                   options_of_the_uri_that_hurt_are_kept_from_the_driver);
    tcase_add_test(tc, an_adopted_pool_is_used_as_it_was_set_up);
    tcase_add_test(tc, an_adopted_pool_stays_the_users_when_it_fails);
    tcase_add_test(tc, errors_of_the_server_keep_the_servers_code);
    tcase_add_test(tc, many_clients_on_one_dispatcher);
    tcase_add_test(tc, many_dispatchers_on_one_client);
    tcase_add_test(tc, threads_are_named_and_block_all_signals);
    tcase_add_test(tc, the_callers_signals_stay_as_they_were);
    tcase_add_test(tc, in_a_child_every_call_fails_at_once);
    tcase_add_test(tc, a_child_can_start_anew);
    tcase_add_test(tc, no_lock_that_existed_at_the_fork_is_taken);
}
