/* SPDX-License-Identifier: Apache-2.0 */
/* rows_loop.c - 19, 20, 29, 30: forks, signals, and the end of a loop. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <dirent.h>
#include <unistd.h>

#include "tests/core/forked.h"
#include "tests/harness/daemon.h"
#include "tests/faults/rows.h"
#include "tests/security/secure.h"

static own_daemon_t own_server;

/* ---- 19 ----------------------------------------------------------------- */

struct forked {
    scene_t *scene;
    stator_future_t *running;
    int64_t *longest_us; /* shared with the child */
};

/* Each call of a child, timed. */
static void in_the_child(void *arg)
{
    struct forked *k = arg;
    scene_t *s = k->scene;

    *k->longest_us = 0;
    for (int i = 0; i < 5; i++) {
        int64_t start = now_us(), us;
        bool ok = false;

        switch (i) {
        case 0:
            ok = is_forked(stator_client_ping(s->client, NULL));
            break;
        case 1:
            ok = is_forked(stator_collection_insert_one(
                s->things, J("{}"), NULL));
            break;
        case 2:
            ok = reads_as_forked(k->running) &&
                 stator_future_wait(k->running, -1) == 0;
            break;
        case 3:
            ok = is_forked_cursor(stator_collection_find(s->things, NULL,
                                                         NULL));
            break;
        default:
            ok = is_forked(stator_client_close(s->client, NULL));
        }
        MUST(ok);
        us = now_us() - start;
        if (us > *k->longest_us)
            *k->longest_us = us;
    }
    stator_collection_unref(s->things);
    stator_collection_unref(s->held);
    stator_client_unref(s->client);
}

static int64_t fork_one(void *arg)
{
    struct forked *k = arg;

    in_child(in_the_child, k);
    return *k->longest_us;
}

START_TEST(row_19_a_fork)
{
    struct forked k = {0};
    wire_stats_t before, after;

    if (getenv("STATOR_MEMCHECK") != NULL)
        EXCUSE(19, "valgrind takes what a child can not give back for lost; "
                   "the suites of forks tell it so");
    k.scene = scene_new(NULL);
    fault_begin(19, "fork with an operation in flight");
    k.longest_us = mmap(NULL, sizeof *k.longest_us, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(k.longest_us, MAP_FAILED);
    k.running = hold_worker(k.scene);
    wire_stats(k.scene->server, &before);
    fault_within("5 calls, a wait among them, the longest", fork_one, &k,
                 1000);
    wire_stats(k.scene->server, &after);
    ck_assert_int_eq(after.commands, before.commands);
    ck_assert_int_eq(after.connections_open, before.connections_open);
    ck_pending(k.running);
    wire_gate_open(k.scene->gate);
    ck_done(k.running);
    fault_saw("exit 0; the parent's operation is done on its connection");
    munmap(k.longest_us, sizeof *k.longest_us);
    scene_free(k.scene);
    fault_end();
}
END_TEST

/* ---- 20 ----------------------------------------------------------------- */

static atomic_bool storm_ends;
static atomic_int struck; /* handlers that ran: in threads that allow it */

static void strike(int signal)
{
    (void)signal;
    atomic_fetch_add(&struck, 1);
}

static void signal_all(pid_t but)
{
    DIR *all = opendir("/proc/self/task");
    struct dirent *one;

    while ((one = readdir(all)) != NULL) {
        pid_t tid = (pid_t)strtol(one->d_name, NULL, 10);

        if (tid > 0 && tid != but)
            syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
    }
    closedir(all);
}

static void *storm(void *arg)
{
    const struct timespec ms = {0, 1000000};
    int *rounds = arg;
    sigset_t own;

    sigemptyset(&own);
    sigaddset(&own, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &own, NULL);
    while (!atomic_load(&storm_ends)) {
        signal_all((pid_t)syscall(SYS_gettid));
        ++*rounds;
        nanosleep(&ms, NULL);
    }
    return NULL;
}

static void count_one(stator_future_t *f, void *arg)
{
    (void)f;
    ++*(int *)arg;
}

START_TEST(row_20_signals)
{
    enum { N = 500 };
    const struct sigaction action = {.sa_handler = strike}; /* no restart */
    scene_t *s = scene_new("{'workers': 4}");
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    int rounds = 0, ran = 0;
    pthread_t thread;

    fault_begin(20, "SIGUSR1, with a handler and without SA_RESTART, to "
                "every thread each ms");
    scene_fill(s, 10);
    ck_reads(s->things, 1);
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, storm, &rounds), 0);
    wire_rule_add(s->server, &(wire_rule_t){.command = "find",
                                            .delay_ms = 2});
    for (int i = 0; i < N; i++) {
        stator_future_t *f = stator_collection_find_one(
            s->things, J("{'_id': %d}", i % 10), NULL);

        if (i % 2 == 0) {
            ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
            ran++;
        } else {
            ck_assert_int_eq(stator_future_then(f, d, count_one, &ran), 0);
            while (ran < i + 1)
                ck_assert_int_ge(
                    stator_dispatcher_run_once(d, LIB_PATIENCE_MS), 0);
        }
        ck_assert_msg(stator_future_poll(f) == STATOR_FUTURE_DONE, "%s",
                      reason(f));
        ck_assert_int_eq((int)strtol(at(stator_future_document(f), "_id"),
                                     NULL, 10), i % 10);
        stator_future_unref(f);
    }
    atomic_store(&storm_ends, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_gt(atomic_load(&struck), N / 4);
    fault_saw("%d of %d right under %d volleys, %d waits struck", ran, N,
              rounds, atomic_load(&struck));
    stator_dispatcher_unref(d);
    scene_free(s);
    fault_end();
}
END_TEST

/* ---- 29 ----------------------------------------------------------------- */

struct loop {
    stator_dispatcher_t *dispatcher;
    scene_t *scene;
    stator_future_t *f[8];
    int ran, fd;
};

static void *run_loop(void *arg)
{
    struct loop *l = arg;

    l->dispatcher = stator_dispatcher_new(NULL);
    l->fd = stator_dispatcher_fd(l->dispatcher);
    for (int i = 0; i < 8; i++) {
        l->f[i] = hold_worker(l->scene);
        ck_assert_int_eq(stator_future_then(l->f[i], l->dispatcher,
                                            count_one, &l->ran), 0);
    }
    ck_assert_int_eq(stator_dispatcher_run_once(l->dispatcher, 0), 0);
    stator_dispatcher_unref(l->dispatcher);
    return NULL;
}

START_TEST(row_29_the_loops_thread_goes)
{
    struct loop l = {.scene = scene_new("{'workers': 8}")};
    uint64_t value;
    pthread_t thread;
    int other;

    fault_begin(29, "the thread ends and gives its dispatcher back with 8 "
                "operations in flight; its descriptor's number is taken");
    ck_assert_int_eq(pthread_create(&thread, NULL, run_loop, &l), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(fcntl(l.fd, F_GETFD), -1); /* it was closed */
    other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (other != l.fd) {
        ck_assert_int_eq(dup3(other, l.fd, O_CLOEXEC), l.fd);
        close(other);
    }
    wire_gate_open(l.scene->gate);
    for (int i = 0; i < 8; i++)
        ck_done(l.f[i]);
    ck_assert_int_eq(read(l.fd, &value, sizeof value), -1);
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_int_eq(l.ran, 0);
    fault_saw("8 of 8 done; 0 bytes written to descriptor %d; 0 "
              "continuations ran", l.fd);
    close(l.fd);
    scene_free(l.scene);
    fault_end();
}
END_TEST

/* ---- 30 ----------------------------------------------------------------- */

/* Threads that have SIGPIPE pending: a worker blocks it, so that it would
 * neither kill nor show. */
static int threads_with_sigpipe(void)
{
    DIR *all = opendir("/proc/self/task");
    struct dirent *one;
    int n = 0;

    while ((one = readdir(all)) != NULL) {
        char path[300], line[128];
        FILE *file;

        snprintf(path, sizeof path, "/proc/self/task/%s/status",
                 one->d_name);
        file = one->d_name[0] == '.' ? NULL : fopen(path, "r");
        while (file != NULL && fgets(line, sizeof line, file) != NULL) {
            if (strncmp(line, "SigPnd:", 7) == 0 ||
                strncmp(line, "ShdPnd:", 7) == 0)
                n += (strtoull(line + 7, NULL, 16) >> (SIGPIPE - 1)) & 1;
        }
        if (file != NULL)
            fclose(file);
    }
    closedir(all);
    return n;
}

/* A server that goes while megabytes are on their way to it.  Answers how
 * many failed for the network. */
static int write_into_the_void(stator_collection_t *things,
                               void (*go)(void *arg), void *arg)
{
    enum { N = 4 };
    stator_future_t *f[N];
    int n = 0;

    for (int i = 0; i < N; i++)
        f[i] = lend(stator_collection_insert_one(things,
                                                 lib_big(i, 12 << 20), NULL));
    go(arg);
    for (int i = 0; i < N; i++) {
        bson_error_t error = {0};

        ck_assert_int_eq(stator_future_wait(f[i], LIB_PATIENCE_MS), 0);
        if (stator_future_error(f[i], &error))
            n += error.domain == MONGOC_ERROR_STREAM;
    }
    return n;
}

static void hang_up(void *arg)
{
    scene_t *s = arg;

    /* It reads no more, so that writers are amid a message. */
    while (stat_of(s->client, "running") < 4)
        sched_yield();
    wire_server_hang_up(s->server, WIRE_RST);
    wire_server_resume(s->server);
}

static void pipe_plain(void)
{
    scene_t *s = scene_new("{'workers': 4}");

    hold_workers(s, 4); /* four connections */
    wire_gate_open(s->gate);
    await_stat(s->client, "running", 0);
    wire_server_pause(s->server);
    ck_assert_int_gt(write_into_the_void(s->things, hang_up, s), 0);
    ck_assert_int_eq(threads_with_sigpipe(), 0);
    scene_free(s);
}

/* A connection that the server has closed in good order: the first bytes are
 * answered by a reset, and those after it are what raises the signal. */
static void pipe_closed(void)
{
    scene_t *s = scene_new(NULL);
    wire_command_t command;
    stator_future_t *f;

    ck_done(lend(stator_collection_insert_one(s->things, J("{}"), NULL)));
    ck_assert(wire_log_find(s->server, "insert", 0, &command));
    ck_assert(wire_server_hang_up_one(s->server, command.connection,
                                      WIRE_FIN));
    wire_command_clear(&command);
    f = lend(stator_collection_insert_one(s->things, lib_big(1, 12 << 20),
                                          NULL));
    ck_fails(f, MONGOC_ERROR_STREAM, 0, "");
    ck_assert_int_eq(threads_with_sigpipe(), 0);
    ck_reads(s->things, 0);
    scene_free(s);
}

static void kill_daemon(void *arg)
{
    stator_client_t *client = arg;

    while (stat_of(client, "running") < 1)
        sched_yield();
    daemon_signal(&own_server, SIGKILL);
}

static void pipe_tls(void)
{
    char uri[512], options[512];
    stator_client_t *client;
    stator_collection_t *things;
    const char *top = getcwd(options, sizeof options);
    char folder[320];

    ck_assert_ptr_nonnull(top);
    snprintf(folder, sizeof folder, "%.200s/%s", top, secure_folder);
    secure_authority("ca");
    secure_certificate("server", "ca", "IP:127.0.0.1", 2);
    snprintf(options, sizeof options,
             DAEMON_ON_DISK
             "--tls-cert-file '%.200s/server.pem' --tls-key-file "
             "'%.200s/server.key'", folder, folder);
    snprintf(uri, sizeof uri,
             "mongodb://127.0.0.1:%d/?tls=true&tlsCAFile=%.200s/ca.pem&"
             "retryWrites=false&serverSelectionTimeoutMS=2000",
             daemon_start(&own_server, 0, options), folder);
    client = new_client(uri, "{'workers': 4}");
    things = stator_client_get_collection(client, "faults", "things");
    done(stator_client_ping(client, NULL));
    daemon_signal(&own_server, SIGSTOP); /* writers are amid a message */
    ck_assert_int_gt(write_into_the_void(things, kill_daemon, client), 0);
    ck_assert_int_eq(threads_with_sigpipe(), 0);
    give_back_lent();
    lib_forget();
    stator_collection_unref(things);
    end_client(client);
    daemon_end(&own_server);
}

START_TEST(row_30_sigpipe)
{
    bool has_tls = secure_lacks() == NULL;

    fault_begin(30, "a closed connection, and resets amid inserts of 12 MiB, "
                "SIGPIPE's default action%s",
                has_tls ? "; over TLS, SIGKILL of the server"
                        : " (plain only: no server with TLS)");
    ck_assert(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    pipe_closed();
    pipe_plain();
    fault_saw("plain: alive, pending in no thread");
    if (has_tls) {
        pipe_tls();
        fault_saw("TLS: alive, pending in no thread");
    }
    fault_end();
}
END_TEST

void add_loop_faults(TCase *tc)
{
    TCase *secure = suite_case("faults_sigpipe");

    tcase_add_test(tc, row_19_a_fork);
    tcase_add_test(tc, row_20_signals);
    tcase_add_test(tc, row_29_the_loops_thread_goes);
    tcase_add_checked_fixture(secure, secure_setup, secure_teardown);
    tcase_add_test(secure, row_30_sigpipe);
}
