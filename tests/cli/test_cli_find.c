/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_find.c - `stator find` and `aggregate` on the wire server: all of
 * it, no more than is read, and an orderly end when nobody reads on. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/cli/child.h"
#include "tests/harness/suite.h"
#include "tests/wire/wire.h"

static result_t r;
static wire_server_t *server;
static char uri[WIRE_URI_SIZE];

#define SAYS(text, part)                                                     \
    ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in: %s", part, text)

static void setup(void)
{
    memset(&r, 0, sizeof r);
    server = wire_server_new(NULL);
    ck_assert_ptr_nonnull(server);
    wire_server_uri(server, "retryReads=false", uri, sizeof uri);
}

static void teardown(void)
{
    result_clear(&r);
    wire_server_free(server);
}

static int count_lines(const char *text)
{
    int n = 0;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

static void make_large(int64_t i, bson_t *out, void *arg)
{
    static char text[64 * 1024];

    (void)arg;
    memset(text, 'x', sizeof text - 1);
    BSON_APPEND_INT64(out, "_id", i);
    BSON_APPEND_UTF8(out, "text", text);
}

START_TEST(find_prints_all_batches)
{
    wire_collection(server, "test.t", 250, NULL, NULL);
    child_run(&r, NULL, "find -c t --batch-size 100 --uri '%s'", uri);
    ck_assert_int_eq(r.code, 0);
    ck_assert_int_eq(count_lines(r.out), 250);
    ck_assert_int_eq(strncmp(r.out, "{ \"_id\" : 0 }\n", 14), 0);
    ck_assert_int_eq(wire_count(server, "getMore"), 2);
}
END_TEST

START_TEST(options_reach_the_server)
{
    wire_command_t find;
    char *json;

    child_run(&r, NULL, "find -c t '{\"a\": 1}' --sort '{\"b\": -1}' "
              "--projection '{\"c\": 1}' --limit 5 --skip 2 --uri '%s'", uri);
    ck_assert_int_eq(r.code, 0);
    ck_assert(wire_log_find(server, "find", 0, &find));
    json = bson_as_relaxed_extended_json(find.document, NULL);
    SAYS(json, "\"filter\" : { \"a\" : 1 }");
    SAYS(json, "\"sort\" : { \"b\" : -1 }");
    SAYS(json, "\"projection\" : { \"c\" : 1 }");
    SAYS(json, "\"limit\" : 5");
    SAYS(json, "\"skip\" : 2");
    bson_free(json);
    wire_command_clear(&find);
}
END_TEST

START_TEST(canonical_tells_types)
{
    wire_collection(server, "test.t", 1, NULL, NULL);
    child_run(&r, NULL, "find -c t --canonical --uri '%s'", uri);
    SAYS(r.out, "$numberInt");
}
END_TEST

START_TEST(aggregate_sends_the_pipeline)
{
    wire_command_t aggregate;
    char *json;

    wire_collection(server, "test.t", 3, NULL, NULL);
    child_run(&r, NULL, "aggregate -c t '[{\"$match\": {\"a\": 1}}]' --uri "
              "'%s'", uri);
    ck_assert_int_eq(r.code, 0);
    ck_assert(wire_log_find(server, "aggregate", 0, &aggregate));
    json = bson_as_relaxed_extended_json(aggregate.document, NULL);
    SAYS(json, "\"pipeline\" : [ { \"$match\" : { \"a\" : 1 } } ]");
    bson_free(json);
    wire_command_clear(&aggregate);
}
END_TEST

START_TEST(collection_is_wanted)
{
    child_run(&r, NULL, "find --uri '%s'", uri);
    ck_assert_int_eq(r.code, 64);
    SAYS(r.err, "--collection");
}
END_TEST

START_TEST(a_refusal_is_65)
{
    wire_rule_add(server, &(wire_rule_t){.command = "find",
                                         .action = WIRE_ERROR,
                                         .code = 2,
                                         .message = "unknown operator"});
    child_run(&r, NULL, "find -c t '{\"$bad\": 1}' --uri '%s'", uri);
    ck_assert_int_eq(r.code, 65);
    SAYS(r.err, "unknown operator");
}
END_TEST

START_TEST(a_failure_midway_is_said)
{
    wire_collection(server, "test.t", 250, NULL, NULL);
    wire_rule_add(server, &(wire_rule_t){.command = "getMore",
                                         .action = WIRE_ERROR,
                                         .code = 43,
                                         .message = "cursor not found"});
    child_run(&r, NULL, "find -c t --batch-size 100 --uri '%s'", uri);
    ck_assert_int_eq(r.code, 65);
    SAYS(r.err, "cursor not found");
    SAYS(r.err, "not complete");
    SAYS(r.err, "100 documents");
    ck_assert_int_eq(count_lines(r.out), 100);
}
END_TEST

/* 2000 documents of 64 KiB: a reader that reads nothing holds them up after
 * what a pipe and a batch or two can hold. */
START_TEST(slow_reader_holds_the_server_up)
{
    char byte;
    child_t child;

    wire_collection(server, "test.t", 2000, make_large, NULL);
    child_start(&child, "find -c t --batch-size 10 --uri '%s'", uri);
    ck_assert_int_eq(read(child.out, &byte, 1), 1);
    ck_assert(wire_wait_count(server, "find", 1, WIRE_WAIT));
    ck_assert_int_le(wire_count(server, "getMore"), 1);
    close(child.out);
    child.out = open("/dev/null", O_RDONLY);
    child_wait(&child, &r);
    ck_assert_int_eq(r.code, 141);
    ck_assert_int_le(wire_count(server, "getMore"), 2);
    /* Nobody reads on: the server has been told so. */
    ck_assert(wire_wait_cursors(server, 0, WIRE_WAIT));
}
END_TEST

START_TEST(reader_that_goes_ends_a_waiting_find)
{
    wire_gate_t *gate = wire_gate_new(server);
    char byte;
    child_t child;

    wire_collection(server, "test.t", 20, NULL, NULL);
    wire_rule_add(server, &(wire_rule_t){.command = "getMore", .gate = gate});
    child_start(&child, "find -c t --batch-size 10 --uri '%s'", uri);
    ck_assert_int_eq(read(child.out, &byte, 1), 1);
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    close(child.out);
    child.out = open("/dev/null", O_RDONLY);
    child_wait(&child, &r);
    ck_assert_int_eq(r.code, 141);
    wire_gate_open(gate);
}
END_TEST

START_TEST(ctrl_c_ends_a_waiting_find)
{
    wire_gate_t *gate = wire_gate_new(server);
    child_t child;

    wire_rule_add(server, &(wire_rule_t){.command = "find", .gate = gate});
    child_start(&child, "find -c t --uri '%s'", uri);
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    ck_assert_int_eq(kill(child.pid, SIGINT), 0);
    child_wait(&child, &r);
    ck_assert_int_eq(r.code, 130);
    wire_gate_open(gate);
}
END_TEST

START_TEST(full_disk_is_74)
{
    wire_collection(server, "test.t", 3, NULL, NULL);
    child_run(&r, NULL, "find -c t --uri '%s' >/dev/full", uri);
    ck_assert_int_eq(r.code, 74);
    SAYS(r.err, "No space left");
}
END_TEST

SUITE(cli_find)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, find_prints_all_batches);
    tcase_add_test(tc, options_reach_the_server);
    tcase_add_test(tc, canonical_tells_types);
    tcase_add_test(tc, aggregate_sends_the_pipeline);
    tcase_add_test(tc, collection_is_wanted);
    tcase_add_test(tc, a_refusal_is_65);
    tcase_add_test(tc, a_failure_midway_is_said);
    tcase_add_test(tc, slow_reader_holds_the_server_up);
    tcase_add_test(tc, reader_that_goes_ends_a_waiting_find);
    tcase_add_test(tc, ctrl_c_ends_a_waiting_find);
    tcase_add_test(tc, full_disk_is_74);
}
