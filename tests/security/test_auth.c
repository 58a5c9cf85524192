/* SPDX-License-Identifier: Apache-2.0 */
/* test_auth.c - SCRAM: who is let in, how fast who is not, and that nothing
 * of a password is told. */
#include "tests/cli/child.h"
#include "tests/harness/stopwatch.h"
#include "tests/security/secure.h"
#include "tests/wire/wire.h"

#include <stdio.h>

#define RIGHT "open-" SECRET
#define WRONG "wrong-" SECRET
/* Longer than anybody here waits: an error that comes is no give-up. */
#define SELECT_MS "serverSelectionTimeoutMS=120000"

static told_t told;
static result_t result;

static void setup(void)
{
    memset(&told, 0, sizeof told);
    memset(&result, 0, sizeof result);
    secure_setup();
}

static void teardown(void)
{
    told_clear(&told);
    result_clear(&result);
    secure_teardown();
}

/* A user is made while nobody has to say who he is. */
static void make_user(int port)
{
    bson_t *command = BCON_NEW(
        "createUser", "reader", "pwd", RIGHT, "roles", "[", "{", "role",
        "readWriteAnyDatabase", "db", "admin", "}", "]", "mechanisms", "[",
        "SCRAM-SHA-256", "]");
    bson_error_t error = {0};
    stator_client_t *client;
    stator_future_t *f;
    char uri[64];

    snprintf(uri, sizeof uri, "mongodb://127.0.0.1:%d/", port);
    client = stator_client_new(uri, NULL, NULL);
    ck_assert_ptr_nonnull(client);
    f = stator_client_command(client, "admin", command, NULL);
    ck_assert_int_eq(stator_future_wait(f, SECURE_PATIENCE_MS), 0);
    ck_assert_msg(!stator_future_error(f, &error), "%s", error.message);
    stator_future_unref(f);
    f = stator_client_close(client, NULL);
    ck_assert_int_eq(stator_future_wait(f, SECURE_PATIENCE_MS), 0);
    stator_future_unref(f);
    stator_client_unref(client);
    bson_destroy(command);
}

static int start_guarded(void)
{
    ck_assert(secure_shell("mkdir -p db"));
    make_user(secure_start("--storage-path db"));
    secure_stop();
    return secure_start("--storage-path db --auth");
}

static void ask_as(int port, const char *who)
{
    told_clear(&told);
    told_ask(&told, SECURE_PATIENCE_MS - 5000,
             "mongodb://%s@127.0.0.1:%d/?" SELECT_MS, who, port);
    ck_no_secret(told.all);
}

static void ck_not_let_in(void)
{
    ck_assert_msg(told.state == STATOR_FUTURE_FAILED, "%s", told.all);
    ck_assert_int_eq(told.origin, STATOR_ORIGIN_DRIVER);
    ck_assert_uint_eq(told.error.domain, MONGOC_ERROR_CLIENT);
    ck_assert_uint_eq(told.error.code, MONGOC_ERROR_CLIENT_AUTHENTICATE);
    ck_assert_ptr_nonnull(strstr(told.error.message, "uthentication failed"));
}

START_TEST(a_wrong_password_fails_fast)
{
    int port;

    NEED_DAEMON();
    port = start_guarded();
    ask_as(port, "reader:" RIGHT);
    ck_assert_msg(told.state == STATOR_FUTURE_DONE, "%s", told.all);
    ask_as(port, "reader:" WRONG);
    ck_not_let_in();
    ask_as(port, "nobody:" RIGHT);
    ck_not_let_in();
    /* One who was refused disturbs nobody else. */
    ask_as(port, "reader:" RIGHT);
    ck_assert_msg(told.state == STATOR_FUTURE_DONE, "%s", told.all);
}
END_TEST

static void run_cli(int code, const char *arguments)
{
    result_clear(&result);
    memset(&result, 0, sizeof result);
    child_run(&result, NULL, "%s", arguments);
    ck_no_secret(result.out);
    ck_no_secret(result.err);
    ck_assert_msg(result.code == code, "%s: %d instead of %d: %s", arguments,
                  result.code, code, result.err);
}

START_TEST(the_command_line_tells_no_password)
{
    static const struct {
        int code;
        const char *command, *password;
    } runs[] = {{0, "ping", RIGHT},
                {77, "ping", WRONG},
                {77, "ping --verbose", WRONG},
                {0, "config", RIGHT},
                {77, "find -d test -c things", WRONG}};
    char arguments[256];
    int port;

    NEED_DAEMON();
    port = start_guarded();
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        snprintf(arguments, sizeof arguments,
                 "%s --uri='mongodb://reader:%s@127.0.0.1:%d/?" SELECT_MS "'",
                 runs[i].command, runs[i].password, port);
        run_cli(runs[i].code, arguments);
    }
}
END_TEST

/* The server takes the first step of SCRAM and never answers it. */
START_TEST(timeout_bounds_a_silent_login)
{
    wire_server_t *server = wire_server_new(NULL);
    wire_gate_t *gate;

    ck_assert_ptr_nonnull(server);
    gate = wire_gate_new(server);
    ck_assert_int_ne(
        wire_rule_add(server, &(wire_rule_t){.command = "saslStart",
                                             .gate = gate}), 0);
    /* Unless its time is up on the way there. */
    for (chances_t c = {0};
         wire_count(server, "saslStart") == 0 && chances_next(&c);) {
        told_clear(&told);
        told_ask(&told, 200,
                 "mongodb://reader:" RIGHT "@127.0.0.1:%d/?"
                 "socketTimeoutMS=2000&authMechanism=SCRAM-SHA-256&" SELECT_MS,
                 (int)wire_server_port(server));
    }
    ck_assert_int_eq(told.state, STATOR_FUTURE_FAILED);
    ck_assert_uint_eq(told.error.domain, STATOR_ERROR_DOMAIN);
    ck_assert_uint_eq(told.error.code, STATOR_ERROR_EXPIRED);
    ck_assert_int_gt(wire_count(server, "saslStart"), 0);
    ck_no_secret(told.all);
    wire_server_free(server);
}
END_TEST

/* The driver repeats some of these in its own message. */
static const char *const bad_uris[] = {
    "mongodb://u:open:" SECRET "@127.0.0.1:1/",
    "mongodb://u:open@" SECRET "@127.0.0.1:1/",
    "mongodb://u:open/" SECRET "@127.0.0.1:1/",
    "mongodb://u:open%zz" SECRET "@127.0.0.1:1/",
    "mongodb://u:" SECRET "@",
    "mongodb://u:" SECRET,
    "mongodb://u:" SECRET "@127.0.0.1:99999/",
    "mongodb://u:" SECRET "@127.0.0.1:1/?tls=maybe",
    "mongodb://u:" SECRET "@127.0.0.1:1/a$b",
    "mongo://u:" SECRET "@127.0.0.1:1/",
    "mongodb+srv://u:open:" SECRET "@127.0.0.1/",
    "mongodb://127.0.0.1:1/?tlsCertificateKeyFilePassword=" SECRET "%zz",
    "mongodb://127.0.0.1:1/?sslClientCertificateKeyPassword=a&"
    "tlsCertificateKeyFilePassword=" SECRET,
};

START_TEST(a_bad_uri_is_refused_without_its_password)
{
    told_no_client(&told, bad_uris[_i]);
    ck_assert_uint_eq(told.error.domain, STATOR_ERROR_DOMAIN);
    ck_assert_uint_eq(told.error.code, STATOR_ERROR_ARGUMENT);
    ck_no_secret(told.all);
}
END_TEST

SUITE(auth)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_wrong_password_fails_fast);
    tcase_add_test(tc, the_command_line_tells_no_password);
    tcase_add_test(tc, timeout_bounds_a_silent_login);
    tcase_add_loop_test(tc, a_bad_uri_is_refused_without_its_password, 0,
                        (int)(sizeof bad_uris / sizeof bad_uris[0]));
}
