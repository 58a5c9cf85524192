/* SPDX-License-Identifier: Apache-2.0 */
/* secure.c - a server, certificates, and a client that tells all. */
#include "tests/security/secure.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DAEMON "build/venv/bin/secantusd-py"

char secure_folder[64];
static pid_t daemon_pid;

/* ---- the driver's log -------------------------------------------------- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_text[64 * 1024];
static size_t log_length;

static void keep_log(mongoc_log_level_t level, const char *domain,
                     const char *message, void *arg)
{
    int n;

    (void)arg;
    pthread_mutex_lock(&log_lock);
    n = snprintf(log_text + log_length, sizeof log_text - log_length,
                 "%s: %s: %s\n", mongoc_log_level_str(level), domain,
                 message);
    if (n > 0 && log_length + (size_t)n < sizeof log_text)
        log_length += (size_t)n;
    pthread_mutex_unlock(&log_lock);
}

/* ---- the folder and its processes -------------------------------------- */

const char *secure_lacks(void)
{
    if (access(DAEMON, X_OK) != 0)
        return "there is no embedded server in build/venv";
    if (system("openssl version >/dev/null 2>&1") != 0)
        return "there is no openssl command";
    return NULL;
}

void secure_setup(void)
{
    mongoc_log_set_handler(keep_log, NULL);
    log_length = 0;
    log_text[0] = '\0';
    mkdir("build", 0777);
    mkdir("build/tests", 0777);
    /* A test that failed could not clean up. */
    ck_assert_int_eq(system("for d in build/tests/security-*; do "
                            "kill -0 ${d##*-} 2>/dev/null || rm -rf \"$d\"; "
                            "done"), 0);
    snprintf(secure_folder, sizeof secure_folder, "build/tests/security-%d",
             (int)getpid());
    ck_assert_int_eq(mkdir(secure_folder, 0700), 0);
}

static void end_daemon(int signal)
{
    if (daemon_pid == 0)
        return;
    kill(daemon_pid, signal);
    ck_assert_int_eq(waitpid(daemon_pid, NULL, 0), daemon_pid);
    daemon_pid = 0;
}

void secure_teardown(void)
{
    char line[128];

    end_daemon(SIGKILL); /* nothing of it is kept */
    snprintf(line, sizeof line, "rm -rf '%s'", secure_folder);
    ck_assert_int_eq(system(line), 0);
}

bool secure_shell(const char *format, ...)
{
    char line[2048];
    int n = snprintf(line, sizeof line, "cd '%s' && { ", secure_folder);
    va_list args;

    va_start(args, format);
    n += vsnprintf(line + n, sizeof line - (size_t)n, format, args);
    va_end(args);
    snprintf(line + n, sizeof line - (size_t)n, "; } >>shell.log 2>&1");
    return system(line) == 0;
}

static void become(const char *options)
{
    char line[2048];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* A configuration of its own, or it would read the user's. */
    snprintf(line, sizeof line,
             "d=$PWD/" DAEMON "; cd '%s' && : >daemon.toml && "
             "TMPDIR=$PWD exec \"$d\" --config daemon.toml "
             "--host 127.0.0.1 --port 0 %s "
             ">daemon.log 2>&1 </dev/null",
             secure_folder, options);
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

static int listening_port(void)
{
    char path[128], line[512];
    int port = 0;
    FILE *file;

    snprintf(path, sizeof path, "%s/daemon.log", secure_folder);
    file = fopen(path, "r");
    while (port == 0 && file != NULL && fgets(line, sizeof line, file)) {
        const char *at = strstr(line, "listening on 127.0.0.1:");

        if (at != NULL && strchr(at, '\n') != NULL)
            port = (int)strtol(strchr(at, ':') + 1, NULL, 10);
    }
    if (file != NULL)
        fclose(file);
    return port;
}

int secure_start(const char *options)
{
    const struct timespec pause = {0, 20000000};
    char path[128];
    int port = 0;

    ck_assert_int_eq(daemon_pid, 0);
    snprintf(path, sizeof path, "%s/daemon.log", secure_folder);
    unlink(path);
    daemon_pid = fork();
    ck_assert_int_ge(daemon_pid, 0);
    if (daemon_pid == 0)
        become(options);
    for (int i = 0; port == 0 && i < 2000; i++) {
        ck_assert_int_eq(waitpid(daemon_pid, NULL, WNOHANG), 0);
        nanosleep(&pause, NULL);
        port = listening_port();
    }
    ck_assert_msg(port != 0, "the server does not listen");
    return port;
}

void secure_stop(void)
{
    end_daemon(SIGTERM);
}

/* ---- certificates ------------------------------------------------------ */

#define NEW_KEY "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"

void secure_authority(const char *name)
{
    ck_assert(secure_shell("openssl req -x509 " NEW_KEY " -keyout %s.key "
                           "-out %s.pem -days 2 -subj '/CN=%s'",
                           name, name, name));
}

void secure_certificate(const char *name, const char *authority,
                        const char *alt_name, int days)
{
    ck_assert(secure_shell("openssl req " NEW_KEY " -keyout %s.key "
                           "-out %s.csr -subj '/CN=%s'",
                           name, name, name));
    ck_assert(secure_shell("echo 'subjectAltName=%s' >%s.ext && "
                           "openssl x509 -req -in %s.csr -out %s.pem "
                           "-CA %s.pem -CAkey %s.key -CAcreateserial "
                           "-extfile %s.ext -days %d",
                           alt_name, name, name, name, authority, authority,
                           name, days));
    ck_assert(secure_shell("openssl x509 -checkend 0 -noout -in %s.pem",
                           name) == (days >= 0));
}

/* ---- what is told ------------------------------------------------------ */

static void add(told_t *told, const char *what, const char *text)
{
    char *all;

    ck_assert_int_gt(asprintf(&all, "%s%s: %s\n",
                              told->all == NULL ? "" : told->all, what, text),
                     0);
    free(told->all);
    told->all = all;
}

static void add_bson(told_t *told, const char *what, const bson_t *b)
{
    char *json = bson_as_relaxed_extended_json(b, NULL);

    add(told, what, json);
    bson_free(json);
}

static void add_log(told_t *told)
{
    pthread_mutex_lock(&log_lock);
    add(told, "log", log_text);
    pthread_mutex_unlock(&log_lock);
}

static void add_client(told_t *told, stator_client_t *client)
{
    bson_t out;

    stator_client_stats(client, &out);
    add_bson(told, "stats", &out);
    bson_destroy(&out);
    stator_client_config(client, &out);
    add_bson(told, "config", &out);
    bson_destroy(&out);
}

static void add_ping(told_t *told, stator_client_t *client, int timeout_ms)
{
    bson_t opts = BSON_INITIALIZER;
    stator_future_t *f;

    if (timeout_ms > 0)
        BSON_APPEND_INT32(&opts, "timeoutMS", timeout_ms);
    f = stator_client_ping(client, &opts);
    ck_assert_int_eq(stator_future_wait(f, SECURE_PATIENCE_MS), 0);
    told->state = stator_future_poll(f);
    told->origin = stator_future_origin(f);
    told->outcome = stator_future_outcome(f);
    if (stator_future_error(f, &told->error))
        add(told, "error", told->error.message);
    if (stator_future_reply(f) != NULL)
        add_bson(told, "reply", stator_future_reply(f));
    stator_future_unref(f);
    bson_destroy(&opts);
}

void told_ask(told_t *told, int timeout_ms, const char *format, ...)
{
    bson_error_t error = {0};
    stator_future_t *closed;
    stator_client_t *client;
    char uri[1024];
    va_list args;

    memset(told, 0, sizeof *told);
    va_start(args, format);
    vsnprintf(uri, sizeof uri, format, args);
    va_end(args);
    client = stator_client_new(uri, NULL, &error);
    ck_assert_msg(client != NULL, "%s", error.message);
    add_ping(told, client, timeout_ms);
    add_client(told, client);
    closed = stator_client_close(client, NULL);
    ck_assert_int_eq(stator_future_wait(closed, SECURE_PATIENCE_MS), 0);
    if (stator_future_reply(closed) != NULL)
        add_bson(told, "closed", stator_future_reply(closed));
    stator_future_unref(closed);
    stator_client_unref(client);
    add_log(told);
}

void told_no_client(told_t *told, const char *uri)
{
    memset(told, 0, sizeof *told);
    ck_assert_ptr_null(stator_client_new(uri, NULL, &told->error));
    add(told, "error", told->error.message);
    add_log(told);
}

void told_clear(told_t *told)
{
    free(told->all);
    told->all = NULL;
}

void ck_no_secret(const char *text)
{
    ck_assert_msg(strstr(text, SECRET) == NULL, "a secret is in: %s", text);
}
