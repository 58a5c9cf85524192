/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli.c - the command line itself: help, usage, settings, secrets, and
 * what it says of servers that do not answer. */
#include <stdlib.h>
#include <string.h>

#include "tests/cli/child.h"
#include "tests/harness/suite.h"
#include "tests/wire/wire.h"

static result_t r;
static wire_server_t *server;
static char uri[WIRE_URI_SIZE];

static void setup(void)
{
    memset(&r, 0, sizeof r);
    unsetenv("STATOR_WORKERS");
    unsetenv("STATOR_CONFIG");
    unsetenv("NO_COLOR");
    server = wire_server_new(NULL);
    ck_assert_ptr_nonnull(server);
    wire_server_uri(server, NULL, uri, sizeof uri);
}

static void teardown(void)
{
    result_clear(&r);
    wire_server_free(server);
}

#define SAYS(text, part) ck_assert_ptr_nonnull(strstr(text, part))
#define SAYS_NOT(text, part) ck_assert_ptr_null(strstr(text, part))

START_TEST(help_goes_to_stdout)
{
    child_run(&r, NULL, "--help");
    ck_assert_int_eq(r.code, 0);
    SAYS(r.out, "Usage: stator");
    SAYS(r.out, "Exit status:");
    ck_assert_str_eq(r.err, "");
}
END_TEST

static const char *const commands[] = {"aggregate", "bench", "config", "demo",
                                       "find",      "load",  "ping"};

START_TEST(every_command_has_help)
{
    char usage[64];

    child_run(&r, NULL, "%s --help", commands[_i]);
    snprintf(usage, sizeof usage, "Usage: stator %s", commands[_i]);
    ck_assert_int_eq(r.code, 0);
    ck_assert_int_eq(strncmp(r.out, usage, strlen(usage)), 0);
    SAYS(r.out, "--uri=URI");
}
END_TEST

START_TEST(help_is_a_command_too)
{
    child_run(&r, NULL, "help load");
    ck_assert_int_eq(r.code, 0);
    SAYS(r.out, "Usage: stator load");
}
END_TEST

START_TEST(version_is_said)
{
    child_run(&r, NULL, "--version");
    ck_assert_int_eq(r.code, 0);
    ck_assert_int_eq(strncmp(r.out, "stator ", 7), 0);
}
END_TEST

START_TEST(no_command_is_wrong_usage)
{
    child_run(&r, NULL, "%s", "");
    ck_assert_int_eq(r.code, 64);
    SAYS(r.err, "--help");
}
END_TEST

START_TEST(unknown_command_gets_a_hint)
{
    child_run(&r, NULL, "laod");
    ck_assert_int_eq(r.code, 64);
    SAYS(r.err, "did you mean \"load\"");
}
END_TEST

START_TEST(unknown_option_gets_a_hint)
{
    child_run(&r, NULL, "find --frobnicate");
    ck_assert_int_eq(r.code, 64);
    SAYS(r.err, "--frobnicate");
    SAYS(r.err, "stator find --help");
}
END_TEST

START_TEST(number_out_of_range_is_named)
{
    child_run(&r, NULL, "load x --batch 0");
    ck_assert_int_eq(r.code, 64);
    SAYS(r.err, "--batch");
}
END_TEST

START_TEST(workers_out_of_range_are_named)
{
    static const char *const bad[] = {"0", "-1", "1000000"};

    child_run(&r, NULL, "ping --uri %s --workers %s", uri, bad[_i]);
    ck_assert_int_eq(r.code, 64);
    SAYS(r.err, "workers");
}
END_TEST

START_TEST(bad_json_argument_names_the_column)
{
    child_run(&r, NULL, "find -c x '{\"a\": }'");
    ck_assert_int_eq(r.code, 64);
    SAYS(r.err, "FILTER: column 7");
}
END_TEST

START_TEST(ping_answers)
{
    child_run(&r, NULL, "ping --uri '%s'", uri);
    ck_assert_int_eq(r.code, 0);
    SAYS(r.out, "answers in");
    ck_assert_int_ge(wire_count(server, "ping"), 1);
}
END_TEST

START_TEST(quiet_says_nothing)
{
    child_run(&r, NULL, "--quiet ping --uri '%s'", uri);
    ck_assert_int_eq(r.code, 0);
    ck_assert_str_eq(r.out, "");
    ck_assert_str_eq(r.err, "");
}
END_TEST

START_TEST(unreachable_host_is_69)
{
    wire_server_uri(server, "serverSelectionTimeoutMS=300", uri, sizeof uri);
    wire_server_down(server, WIRE_FIN);
    child_run(&r, NULL, "ping --uri '%s'", uri);
    ck_assert_int_eq(r.code, 69);
    SAYS(r.err, "127.0.0.1");
}
END_TEST

START_TEST(silent_server_is_75_in_time)
{
    wire_rule_add(server, &(wire_rule_t){.command = "ping",
                                         .action = WIRE_SILENCE});
    child_run(&r, NULL, "ping --uri '%s' --timeout-ms 300", uri);
    ck_assert_int_eq(r.code, 75);
}
END_TEST

START_TEST(refused_user_is_77)
{
    wire_rule_add(server, &(wire_rule_t){.command = "ping",
                                         .action = WIRE_ERROR,
                                         .code = 13,
                                         .message = "not authorized"});
    child_run(&r, NULL, "ping --uri '%s'", uri);
    ck_assert_int_eq(r.code, 77);
    SAYS(r.err, "not authorized");
}
END_TEST

START_TEST(wrong_uri_is_64)
{
    child_run(&r, NULL, "ping --uri 'http://somewhere'");
    ck_assert_int_eq(r.code, 64);
    SAYS(r.err, "http://somewhere");
    SAYS(r.err, "--uri");
}
END_TEST

START_TEST(wrong_uri_of_the_environment_is_named)
{
    setenv("MONGODB_URI", "mongodb://h:99999999/", 1);
    child_run(&r, NULL, "ping");
    ck_assert_int_eq(r.code, 64);
    SAYS(r.err, "MONGODB_URI");
}
END_TEST

static const char *const with_secrets[] = {
    "mongodb://user:s3cr3t@127.0.0.1:1/", "mongodb://user:a@s3cr3t@h:1/",
    "mongodb://user:a/s3cr3t@h:1/", "mongodb://user:a%20s3cr3t@:::/",
    "mongodb://user:a%2s3cr3t@h/", "mongodb://user:s3cr3t@h:99999999/",
    "mongodb://u:p?s3cr3t@h:1/?authSource=x@y",
    "mongodb://127.0.0.1:1/?tls=true&tlsCertificateKeyFilePassword=s3cr3t"};

START_TEST(secrets_are_not_printed)
{
    child_run(&r, NULL, "config --uri '%s' --verbose", with_secrets[_i]);
    SAYS_NOT(r.out, "s3cr3t");
    SAYS_NOT(r.err, "s3cr3t");
    ck_assert(strstr(r.out, "***") != NULL || strstr(r.err, "***") != NULL);
}
END_TEST

START_TEST(secrets_are_not_in_messages)
{
    child_run(&r, NULL,
              "ping --uri 'mongodb://user:s3cr3t@127.0.0.1:1/"
              "?serverSelectionTimeoutMS=100' --verbose");
    ck_assert_int_eq(r.code, 69);
    SAYS_NOT(r.err, "s3cr3t");
}
END_TEST

/* The line of `config` that begins with `option`. */
static void config_line(const char *option, char *line, size_t size)
{
    const char *at = strstr(r.out, option);

    ck_assert_msg(at != NULL, "no %s in: %s", option, r.out);
    snprintf(line, size, "%.*s", (int)strcspn(at, "\n"), at);
}

START_TEST(config_tells_where_from)
{
    char *path = child_file("conf.json", "{\"watchers\": 2, \"workers\": 9}",
                            29);
    char line[256];

    setenv("STATOR_CONFIG", path, 1);
    setenv("STATOR_WORKERS", "3", 1);
    child_run(&r, NULL, "config --uri '%s' --queue-limit 77", uri);
    child_file_remove(path);
    ck_assert_int_eq(r.code, 0);
    config_line("workers", line, sizeof line);
    SAYS(line, " 3 ");
    SAYS(line, "environment STATOR_WORKERS");
    config_line("watchers", line, sizeof line);
    SAYS(line, " 2 ");
    SAYS(line, "conf.json");
    config_line("queue-limit", line, sizeof line);
    SAYS(line, " 77 ");
    SAYS(line, "option --queue-limit");
    config_line("queue-policy", line, sizeof line);
    SAYS(line, "reject");
    SAYS(line, "default");
}
END_TEST

START_TEST(color_only_when_asked)
{
    child_run(&r, NULL, "config --uri '%s'", uri);
    SAYS_NOT(r.out, "\033[");
    result_clear(&r);
    child_run(&r, NULL, "config --uri '%s' --color always", uri);
    SAYS(r.out, "\033[");
}
END_TEST

START_TEST(control_characters_of_a_server_are_shown_harmless)
{
    wire_rule_add(server, &(wire_rule_t){.command = "ping",
                                         .action = WIRE_ERROR,
                                         .message = "a\033[31mb"});
    child_run(&r, NULL, "ping --uri '%s'", uri);
    SAYS(r.err, "a\\x1b[31mb");
}
END_TEST

START_TEST(bench_measures_and_tidies_up)
{
    child_run(&r, NULL, "bench ping insert --seconds 1 --in-flight 8 --uri "
              "'%s'", uri);
    ck_assert_int_eq(r.code, 0);
    SAYS(r.out, "p99");
    SAYS(r.out, "insert");
    SAYS_NOT(r.out, "find_one");
    ck_assert_int_eq(wire_count(server, "drop"), 1);
}
END_TEST

START_TEST(demo_of_an_empty_collection_says_how_to_fill_it)
{
    child_run(&r, NULL, "demo --uri '%s'", uri);
    ck_assert_int_eq(r.code, 66);
    SAYS(r.err, "stator load");
}
END_TEST

/* The wire server's documents have an _id only; that is enough. */
START_TEST(demo_compares_and_switches_the_fail_point_off)
{
    wire_command_t last = {0};
    size_t i = 0;

    wire_collection(server, "stator_demo.cities", 300, NULL, NULL);
    child_run(&r, NULL, "demo --queries 60 --slow 10 --slow-ms 40 --uri '%s'",
              uri);
    ck_assert_int_eq(r.code, 0);
    SAYS(r.out, "60 of 60");
    SAYS(r.out, "longest wait");
    while (wire_log_find(server, "configureFailPoint", i++, &last)) {
        bool is_off = bson_has_field(last.document, "mode") &&
                      !bson_has_field(last.document, "data");

        wire_command_clear(&last);
        if (i == (size_t)wire_count(server, "configureFailPoint"))
            ck_assert(is_off);
    }
    ck_assert_uint_gt(i, 1);
}
END_TEST

SUITE(cli)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, help_goes_to_stdout);
    tcase_add_loop_test(tc, every_command_has_help, 0, 7);
    tcase_add_test(tc, help_is_a_command_too);
    tcase_add_test(tc, version_is_said);
    tcase_add_test(tc, no_command_is_wrong_usage);
    tcase_add_test(tc, unknown_command_gets_a_hint);
    tcase_add_test(tc, unknown_option_gets_a_hint);
    tcase_add_test(tc, number_out_of_range_is_named);
    tcase_add_loop_test(tc, workers_out_of_range_are_named, 0, 3);
    tcase_add_test(tc, bad_json_argument_names_the_column);
    tcase_add_test(tc, ping_answers);
    tcase_add_test(tc, quiet_says_nothing);
    tcase_add_test(tc, unreachable_host_is_69);
    tcase_add_test(tc, silent_server_is_75_in_time);
    tcase_add_test(tc, refused_user_is_77);
    tcase_add_test(tc, wrong_uri_is_64);
    tcase_add_test(tc, wrong_uri_of_the_environment_is_named);
    tcase_add_loop_test(tc, secrets_are_not_printed, 0, 8);
    tcase_add_test(tc, secrets_are_not_in_messages);
    tcase_add_test(tc, config_tells_where_from);
    tcase_add_test(tc, color_only_when_asked);
    tcase_add_test(tc, control_characters_of_a_server_are_shown_harmless);
    tcase_add_test(tc, bench_measures_and_tidies_up);
    tcase_add_test(tc, demo_of_an_empty_collection_says_how_to_fill_it);
    tcase_add_test(tc, demo_compares_and_switches_the_fail_point_off);
}
