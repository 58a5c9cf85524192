/* SPDX-License-Identifier: Apache-2.0 */
/* secure.c - a server, certificates, and a client that tells all. */
#include "tests/security/secure.h"

#include "tests/harness/daemon.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

char secure_folder[64];
static own_daemon_t server;

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
    if (!daemon_is_here())
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
    daemon_prepare(&server);
    memcpy(secure_folder, server.folder, sizeof secure_folder);
}

void secure_teardown(void)
{
    daemon_end(&server); /* nothing of it is kept */
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

int secure_start(const char *options)
{
    return daemon_start(&server, 0, options);
}

void secure_stop(void)
{
    if (server.pid > 0)
        daemon_signal(&server, SIGTERM);
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
