/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_load.c - `stator load`: what was read is accounted for to the last
 * line.  Live tests read back what was written; those of order and of failure
 * run on the wire server. */
#include <mongoc/mongoc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/cli/child.h"
#include "tests/harness/suite.h"
#include "tests/wire/wire.h"

static result_t r;
static char db[32];

#define SAYS(text, part)                                                     \
    ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in: %s", part, text)

#define NEEDS_SERVER                                                         \
    do {                                                                     \
        if (getenv("MONGODB_URI") == NULL)                                   \
            SKIP("MONGODB_URI is not set");                                  \
    } while (0)

static void setup(void)
{
    memset(&r, 0, sizeof r);
    snprintf(db, sizeof db, "stator_cli_%ld", (long)getpid());
}

static void teardown(void)
{
    const char *uri = getenv("MONGODB_URI");
    mongoc_client_t *client = uri != NULL ? mongoc_client_new(uri) : NULL;

    result_clear(&r);
    if (client != NULL) {
        mongoc_database_t *database = mongoc_client_get_database(client, db);

        mongoc_database_drop(database, NULL);
        mongoc_database_destroy(database);
        mongoc_client_destroy(client);
    }
}

/* Load `text` as a file of that name; `r` has the result. */
static void load(const char *name, const char *text, const char *options)
{
    char *path = child_file(name, text, strlen(text));

    result_clear(&r);
    child_run(&r, NULL, "load --db %s -c t %s %s", db, options, path);
    child_file_remove(path);
}

/* What is in the collection, a line each, without _id. */
static const char *stored(void)
{
    result_clear(&r);
    child_run(&r, NULL, "find --db %s -c t --sort '{\"_id\": 1}' "
              "--projection '{\"_id\": 0}'", db);
    ck_assert_int_eq(r.code, 0);
    return r.out;
}

START_TEST(lines)
{
    NEEDS_SERVER;
    /* A byte order mark, CRLF, an empty line, no newline at the end. */
    load("a.jsonl", "\xef\xbb\xbf{\"a\":1}\r\n\r\n  {\"a\":2}\n{\"a\":3}", "");
    ck_assert_int_eq(r.code, 0);
    SAYS(r.err, "3 read, 3 written");
    ck_assert_str_eq(stored(), "{ \"a\" : 1 }\n{ \"a\" : 2 }\n{ \"a\" : 3 }\n");
}
END_TEST

START_TEST(array)
{
    NEEDS_SERVER;
    load("a.json", "[ {\"a\": \"]},\"},\n  {\"a\":\n 2}\n]\n", "");
    ck_assert_int_eq(r.code, 0);
    ck_assert_str_eq(stored(), "{ \"a\" : \"]},\" }\n{ \"a\" : 2 }\n");
}
END_TEST

START_TEST(csv)
{
    NEEDS_SERVER;
    load("a.csv", "name,n,ok,zip\r\n\"A \"\"B\"\"\",12,true,007\r\n"
         "C,1.5,,\"x\ny\"\r\n", "");
    ck_assert_int_eq(r.code, 0);
    ck_assert_str_eq(stored(),
                     "{ \"name\" : \"A \\\"B\\\"\", \"n\" : 12, \"ok\" : true, "
                     "\"zip\" : \"007\" }\n{ \"name\" : \"C\", \"n\" : 1.5, "
                     "\"ok\" : null, \"zip\" : \"x\\ny\" }\n");
}
END_TEST

START_TEST(csv_as_strings)
{
    NEEDS_SERVER;
    load("a.csv", "a,b\n1,\n", "--types string");
    ck_assert_str_eq(stored(), "{ \"a\" : \"1\", \"b\" : \"\" }\n");
}
END_TEST

START_TEST(standard_input)
{
    NEEDS_SERVER;
    child_run(&r, "a,b\n1,2\n", "load --db %s -c t -", db);
    ck_assert_int_eq(r.code, 0);
    ck_assert_str_eq(stored(), "{ \"a\" : 1, \"b\" : 2 }\n");
}
END_TEST

START_TEST(format_overrides_the_name)
{
    NEEDS_SERVER;
    load("a.csv", "{\"a\":1}\n", "--format lines");
    ck_assert_int_eq(r.code, 0);
    ck_assert_str_eq(stored(), "{ \"a\" : 1 }\n");
}
END_TEST

START_TEST(stop_keeps_what_came_before)
{
    NEEDS_SERVER;
    load("a.jsonl", "{\"a\":1}\n{\"a\":2}\n{\"a\":}\n{\"a\":4}\n", "");
    ck_assert_int_eq(r.code, 65);
    SAYS(r.err, "a.jsonl:3:6: ");
    SAYS(r.err, "3 read, 2 written, 1 bad");
    ck_assert_str_eq(stored(), "{ \"a\" : 1 }\n{ \"a\" : 2 }\n");
}
END_TEST

START_TEST(skip_goes_on)
{
    NEEDS_SERVER;
    load("a.jsonl", "{\"a\":1}\n{\"a\":}\nx\n{\"a\":4}\n", "--on-error skip");
    ck_assert_int_eq(r.code, 65);
    SAYS(r.err, "a.jsonl:2:6: ");
    SAYS(r.err, "a.jsonl:3:1: ");
    SAYS(r.err, "4 read, 2 written, 2 bad");
    ck_assert_str_eq(stored(), "{ \"a\" : 1 }\n{ \"a\" : 4 }\n");
}
END_TEST

START_TEST(duplicate_keys_name_their_lines)
{
    NEEDS_SERVER;
    load("a.jsonl", "{\"_id\":1}\n\n{\"_id\":2}\n{\"_id\":1}\n{\"_id\":3}\n",
         "--on-error skip --batch 3");
    ck_assert_int_eq(r.code, 65);
    SAYS(r.err, "a.jsonl:4:1: E11000");
    SAYS(r.err, "4 read, 3 written, 1 refused");
}
END_TEST

START_TEST(duplicate_key_stops)
{
    NEEDS_SERVER;
    load("a.jsonl", "{\"_id\":1}\n{\"_id\":1}\n{\"_id\":2}\n", "");
    ck_assert_int_eq(r.code, 65);
    SAYS(r.err, "a.jsonl:2:1: E11000");
    SAYS(r.err, "3 read, 1 written, 1 refused by the server, 1 not tried");
}
END_TEST

START_TEST(upsert_replaces)
{
    NEEDS_SERVER;
    load("a.jsonl", "{\"k\":1,\"v\":1}\n{\"k\":2,\"v\":1}\n{\"k\":1,\"v\":2}\n",
         "--upsert-field k");
    ck_assert_int_eq(r.code, 0);
    SAYS(r.err, "3 read, 3 written (1 replaced)");
    ck_assert_str_eq(stored(), "{ \"k\" : 1, \"v\" : 2 }\n"
                               "{ \"k\" : 2, \"v\" : 1 }\n");
}
END_TEST

START_TEST(upsert_wants_the_field)
{
    NEEDS_SERVER;
    load("a.jsonl", "{\"v\":1}\n", "--upsert-field k");
    ck_assert_int_eq(r.code, 65);
    SAYS(r.err, "a.jsonl:1:1: the document has no field \"k\"");
}
END_TEST

START_TEST(drop_empties_first)
{
    NEEDS_SERVER;
    load("a.jsonl", "{\"a\":1}\n", "--drop");
    ck_assert_int_eq(r.code, 0);
    load("a.jsonl", "{\"a\":2}\n", "--drop");
    ck_assert_str_eq(stored(), "{ \"a\" : 2 }\n");
}
END_TEST

START_TEST(too_large_a_document_is_named)
{
    static const char head[] = "{\"a\":1}\n{\"a\":\"";
    static const char tail[] = "\"}\n{\"a\":3}\n";
    size_t size = 17 * 1024 * 1024;
    char *text;

    NEEDS_SERVER;
    text = malloc(size + 64);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', size + 64);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + size, tail, sizeof tail);
    load("a.jsonl", text, "--on-error skip");
    free(text);
    SAYS(r.err, "a.jsonl:2:1: the document has 17825");
    SAYS(r.err, "3 read, 2 written, 1 bad");
}
END_TEST

/* Bad input of which nothing is sent: {name, content, what is said}. */
static const char *const bad[][3] = {
    {"a.jsonl", "{\"a\":\"\xff\"}\n", "a.jsonl:1:7: invalid UTF-8"},
    {"a.jsonl", "{\"a\":\"\xc3\xa9\",\"b\":tru}\n", "a.jsonl:1:17: "},
    {"a.jsonl", "[1]\n", "a.jsonl:1:1: a document must begin with '{'"},
    {"a.jsonl", "{\"a\":1}{\"b\":2}\n", "a.jsonl:1:15: a second document"},
    {"a.jsonl", "{\"a\":18446744073709551617}\n", "a.jsonl:1:6: an integer"},
    {"a.jsonl", "{\"\":1}\n", "a.jsonl:1:1: "},
    {"a.jsonl", "{\"a\":1\n", "a.jsonl:1:7: the document ends too early"},
    {"a.json", "[\n {\"a\" 1}\n]\n", "a.json:2:7: "},
    {"a.json", "[ 7 ]\n", "a.json:1:3: a document must begin"},
    {"a.json", "[\n\n", "a.json:3:1: the array is not closed"},
    {"a.json", "[] {}\n", "a.json:1:4: text after the array"},
    {"a.csv", "a,b\n1\n", "a.csv:2:1: 1 field, but the header has 2"},
    {"a.csv", "a,b\n1,2,3\n", "a.csv:2:1: 3 fields"},
    {"a.csv", "a,b\n1,\"2\n", "a.csv:2:1: a quote"},
    {"a.csv", "a,b\n1,2\"3\n", "a.csv:2:4: "},
    {"a.csv", "a,b\n\xff,2\n", "a.csv:2:1: invalid UTF-8"},
    {"a.csv", "a,b,a\n", "a.csv:1:1: the columns 1 and 3"},
    {"a.csv", "a,,c\n", "a.csv:1:1: column 2 of the header"}};

enum { N_BAD = sizeof bad / sizeof *bad };

START_TEST(bad_input_is_placed)
{
    wire_server_t *server = wire_server_new(NULL);
    char uri[WIRE_URI_SIZE], options[WIRE_URI_SIZE + 16];

    wire_server_uri(server, NULL, uri, sizeof uri);
    snprintf(options, sizeof options, "--uri '%s'", uri);
    load(bad[_i][0], bad[_i][1], options);
    ck_assert_int_eq(r.code, 65);
    SAYS(r.err, bad[_i][2]);
    SAYS(r.err, " 0 written");
    ck_assert_int_eq(wire_count(server, "insert"), 0);
    wire_server_free(server);
}
END_TEST

START_TEST(missing_file_is_66)
{
    child_run(&r, NULL, "load -c t /nonexistent/a.jsonl");
    ck_assert_int_eq(r.code, 66);
    SAYS(r.err, "/nonexistent/a.jsonl: ");
}
END_TEST

/* The wire server's part. */
static wire_server_t *server;
static char uri[WIRE_URI_SIZE];

static void wire_setup(void)
{
    setup();
    server = wire_server_new(NULL);
    ck_assert_ptr_nonnull(server);
    wire_server_uri(server, "retryWrites=false", uri, sizeof uri);
}

static void wire_teardown(void)
{
    result_clear(&r);
    wire_server_free(server);
}

START_TEST(in_flight_is_bounded)
{
    wire_gate_t *gate = wire_gate_new(server);
    child_t child;

    wire_rule_add(server, &(wire_rule_t){.command = "insert", .gate = gate});
    child_start(&child, "load -c t --batch 1 --in-flight 2 --workers 4 "
                "--uri '%s' -", uri);
    child_write(&child, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n");
    ck_assert(wire_gate_wait_held(gate, 2, WIRE_WAIT));
    wire_gate_pass(gate, 1);
    ck_assert(wire_wait_count(server, "insert", 3, WIRE_WAIT));
    ck_assert_int_eq(wire_count(server, "insert"), 3);
    wire_gate_open(gate);
    child_wait(&child, &r);
    ck_assert_int_eq(r.code, 0);
    SAYS(r.err, "4 read, 4 written");
}
END_TEST

START_TEST(lost_connection_is_not_known)
{
    wire_rule_add(server, &(wire_rule_t){.command = "insert",
                                         .action = WIRE_CLOSE});
    child_run(&r, "{\"a\":1}\n{\"a\":2}\n", "load -c t --uri '%s' -", uri);
    ck_assert_int_eq(r.code, 69);
    SAYS(r.err, "(stdin): lines 1 to 2: ");
    SAYS(r.err, "2 read, 0 written, 2 sent without an answer");
}
END_TEST

START_TEST(slow_input_is_written_meanwhile)
{
    child_t child;

    child_start(&child, "load -c t --uri '%s' -", uri);
    child_write(&child, "{\"a\":1}\n");
    ck_assert(wire_wait_count(server, "insert", 1, WIRE_WAIT));
    child_wait(&child, &r);
    ck_assert_int_eq(r.code, 0);
    SAYS(r.err, "1 read, 1 written");
}
END_TEST

START_TEST(ctrl_c_waits_for_what_is_under_way)
{
    wire_gate_t *gate = wire_gate_new(server);
    char seen[4096];
    child_t child;

    wire_rule_add(server, &(wire_rule_t){.command = "insert", .gate = gate});
    child_start(&child, "load -c t --batch 1 --uri '%s' -", uri);
    child_write(&child, "{\"a\":1}\n");
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    ck_assert_int_eq(kill(child.pid, SIGINT), 0);
    ck_assert(child_await(&child, "waiting for", seen, sizeof seen));
    wire_gate_open(gate);
    child_wait(&child, &r);
    ck_assert_int_eq(r.code, 130);
    SAYS(r.err, "1 read, 1 written");
}
END_TEST

START_TEST(second_ctrl_c_says_what_is_not_known)
{
    wire_gate_t *gate = wire_gate_new(server);
    char seen[4096];
    child_t child;

    wire_rule_add(server, &(wire_rule_t){.command = "insert", .gate = gate});
    child_start(&child, "load -c t --batch 1 --uri '%s' -", uri);
    child_write(&child, "{\"a\":1}\n");
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    ck_assert_int_eq(kill(child.pid, SIGINT), 0);
    ck_assert(child_await(&child, "waiting for", seen, sizeof seen));
    ck_assert_int_eq(kill(child.pid, SIGINT), 0);
    child_wait(&child, &r);
    ck_assert_int_eq(r.code, 130);
    SAYS(r.err, "1 read, 0 written, 1 sent without an answer");
}
END_TEST

START_TEST(sigterm_is_143)
{
    char seen[4096];
    child_t child;

    child_start(&child, "load -c t --format lines --on-error skip --uri '%s' "
                "-", uri);
    child_write(&child, "x\n{\"a\":1}\n");
    ck_assert(child_await(&child, "(stdin):1:1", seen, sizeof seen));
    ck_assert_int_eq(kill(child.pid, SIGTERM), 0);
    child_wait(&child, &r);
    ck_assert_int_eq(r.code, 143);
}
END_TEST

SUITE(cli_load)
{
    TCase *wire = suite_case("cli_load_wire");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, lines);
    tcase_add_test(tc, array);
    tcase_add_test(tc, csv);
    tcase_add_test(tc, csv_as_strings);
    tcase_add_test(tc, standard_input);
    tcase_add_test(tc, format_overrides_the_name);
    tcase_add_test(tc, stop_keeps_what_came_before);
    tcase_add_test(tc, skip_goes_on);
    tcase_add_test(tc, duplicate_keys_name_their_lines);
    tcase_add_test(tc, duplicate_key_stops);
    tcase_add_test(tc, upsert_replaces);
    tcase_add_test(tc, upsert_wants_the_field);
    tcase_add_test(tc, drop_empties_first);
    tcase_add_test(tc, too_large_a_document_is_named);
    tcase_add_loop_test(tc, bad_input_is_placed, 0, N_BAD);
    tcase_add_test(tc, missing_file_is_66);

    tcase_add_checked_fixture(wire, wire_setup, wire_teardown);
    tcase_add_test(wire, in_flight_is_bounded);
    tcase_add_test(wire, lost_connection_is_not_known);
    tcase_add_test(wire, slow_input_is_written_meanwhile);
    tcase_add_test(wire, ctrl_c_waits_for_what_is_under_way);
    tcase_add_test(wire, second_ctrl_c_says_what_is_not_known);
    tcase_add_test(wire, sigterm_is_143);
}
