/* SPDX-License-Identifier: Apache-2.0 */
/* test_wire_script.c - gates, scripts and fail points of the wire server. */
#include "tests/wire/wire_driver.h"

/* -------------------------------------------------------------------- gates */

START_TEST(a_gate_holds_until_it_is_opened)
{
    wire_gate_t *gate = wire_gate_new(server);
    running_t running;

    wire_rule_add(server, &(wire_rule_t){.command = "find", .gate = gate});
    begin(&running, "{\"find\": \"c\"}");
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    succeeds(client, "{\"ping\": 1}"); /* others go on */
    ck_assert(!atomic_load(&running.over));
    ck_assert_int_eq(wire_count(server, "find"), 1);
    wire_gate_open(gate);
    ck_assert(ends_well(&running));
    ck_assert_int_eq(wire_gate_held(gate), 0);
    succeeds(client, "{\"find\": \"c\"}"); /* it stays open */
}
END_TEST

START_TEST(a_gate_lets_pass_as_many_as_it_is_told)
{
    wire_gate_t *gate = wire_gate_new(server);
    running_t first, second;

    wire_rule_add(server, &(wire_rule_t){.command = "find", .gate = gate});
    begin(&first, "{\"find\": \"c\"}");
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    begin(&second, "{\"find\": \"c\"}");
    ck_assert(wire_gate_wait_held(gate, 2, WIRE_WAIT));
    wire_gate_pass(gate, 1);
    ck_assert(ends_well(&first));
    ck_assert_int_eq(wire_gate_held(gate), 1);
    ck_assert(!atomic_load(&second.over));
    wire_gate_pass(gate, 2); /* one for it, and one to come */
    ck_assert(ends_well(&second));
    succeeds(client, "{\"find\": \"c\"}");
    begin(&first, "{\"find\": \"c\"}");
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    wire_gate_open(gate);
    ck_assert(ends_well(&first));
}
END_TEST

START_TEST(who_hangs_up_is_held_no_longer)
{
    wire_gate_t *gate = wire_gate_new(server);
    mongoc_client_t *impatient =
        new_client("retryReads=false&socketTimeoutMS=50");
    bson_error_t error;

    wire_rule_add(server, &(wire_rule_t){.command = "find", .gate = gate});
    failure_of(impatient, "{\"find\": \"c\"}", NULL, &error);
    ck_assert(wire_gate_wait_empty(gate, WIRE_WAIT));
    ck_assert_int_eq(wire_count(server, "find"), 1);
    mongoc_client_destroy(impatient);
}
END_TEST

START_TEST(a_wait_that_runs_out_is_false)
{
    wire_gate_t *gate = wire_gate_new(server);

    ck_assert(!wire_gate_wait_held(gate, 1, AT_ONCE_MS));
    ck_assert(!wire_wait_count(server, "find", 1, AT_ONCE_MS));
    ck_assert(!wire_wait_cursors(server, 1, AT_ONCE_MS));
    ck_assert(wire_wait_cursors(server, 0, 0));
}
END_TEST

/* ------------------------------------------------------------------ scripts */

START_TEST(a_delay_delays_nobody_else)
{
    running_t running;
    wire_command_t find;

    wire_rule_add(server, &(wire_rule_t){.command = "find",
                                         .delay_ms = FOR_EVER_MS});
    begin(&running, "{\"find\": \"c\"}");
    ck_assert(wire_wait_count(server, "find", 1, WIRE_WAIT));
    succeeds(client, "{\"ping\": 1}");
    ck_assert(!atomic_load(&running.over));
    ck_assert(wire_log_find(server, "find", 0, &find));
    ck_assert(wire_server_hang_up_one(server, find.connection, WIRE_FIN));
    ck_assert(!ends_well(&running));
    wire_command_clear(&find);
}
END_TEST

START_TEST(a_delay_lasts)
{
    int64_t before;

    wire_rule_add(server, &(wire_rule_t){.command = "find", .delay_ms = 40});
    succeeds(client, "{\"ping\": 1}");
    before = now_ms();
    succeeds(client, "{\"find\": \"c\"}");
    ck_assert_int_ge(now_ms() - before, 39);
}
END_TEST

START_TEST(a_script_reads_from_top_to_bottom)
{
    bson_error_t error;
    int first = wire_rule_add(server, &(wire_rule_t){
        .command = "find", .skip = 1, .times = 2, .action = WIRE_ERROR,
        .code = 11601});
    int second = wire_rule_add(server, &(wire_rule_t){
        .command = "find", .action = WIRE_ERROR, .code = 96});

    ck_assert_int_eq(first, 1);
    ck_assert_uint_eq(failure_of(client, "{\"find\": \"c\"}", NULL, &error),
                      96); /* the first line lets one go */
    ck_assert_uint_eq(failure_of(client, "{\"find\": \"c\"}", NULL, &error),
                      11601);
    ck_assert_uint_eq(failure_of(client, "{\"find\": \"c\"}", NULL, &error),
                      11601);
    ck_assert_uint_eq(failure_of(client, "{\"find\": \"c\"}", NULL, &error),
                      96); /* the first line is used up */
    ck_assert_int_eq(wire_rule_hits(server, first), 2);
    ck_assert_int_eq(wire_rule_hits(server, second), 2);
    wire_rule_remove(server, second);
    succeeds(client, "{\"find\": \"c\"}");
}
END_TEST

START_TEST(a_rule_may_be_particular)
{
    bson_error_t error;

    wire_rule_add(server, &(wire_rule_t){.command = "insert  find count",
                                         .db = "db", .collection = "bad",
                                         .action = WIRE_ERROR});
    succeeds(client, "{\"find\": \"good\"}");
    succeeds(client, "{\"distinct\": \"bad\", \"key\": \"a\"}");
    ck_assert_uint_eq(failure_of(client, "{\"find\": \"bad\"}", NULL, &error),
                      8000);
    ck_assert_uint_eq(failure_of(client, "{\"count\": \"bad\"}", NULL, &error),
                      8000);
}
END_TEST

static bool wants_seven(const wire_command_t *command, void *arg)
{
    bson_iter_t iter, at;

    ++*(int *)arg;
    return bson_iter_init(&iter, command->document) &&
           bson_iter_find_descendant(&iter, "filter.a", &at) &&
           bson_iter_as_int64(&at) == 7;
}

START_TEST(a_predicate_sees_the_whole_command)
{
    bson_error_t error;
    int asked = 0;

    wire_rule_add(server, &(wire_rule_t){.command = "find",
                                         .predicate = wants_seven,
                                         .arg = &asked,
                                         .action = WIRE_ERROR});
    succeeds(client, "{\"find\": \"c\", \"filter\": {\"a\": 6}}");
    failure_of(client, "{\"find\": \"c\", \"filter\": {\"a\": 7}}", NULL,
               &error);
    wire_rule_remove_all(server);
    ck_assert_int_eq(asked, 2);
}
END_TEST

START_TEST(a_rule_that_makes_no_sense_is_refused)
{
    ck_assert_int_eq(
        wire_rule_add(server, &(wire_rule_t){.action = WIRE_REPLY}), 0);
    ck_assert_int_eq(
        wire_rule_add(server, &(wire_rule_t){.action = WIRE_REPLY,
                                             .reply_json = "{"}), 0);
    ck_assert_int_eq(
        wire_rule_add(server, &(wire_rule_t){.action = WIRE_RAW}), 0);
    ck_assert_int_eq(
        wire_rule_add(server, &(wire_rule_t){.action = WIRE_REWRITE}), 0);
    ck_assert_int_eq(wire_rule_add(server, &(wire_rule_t){.times = -1}), 0);
    ck_assert_int_eq(wire_rule_add(server, &(wire_rule_t){.command = " "}), 0);
    ck_assert_int_eq(
        wire_rule_add(server, &(wire_rule_t){.action = (wire_action_t)99}), 0);
    succeeds(client, "{\"ping\": 1}");
}
END_TEST

START_TEST(a_scripted_reply_arrives)
{
    wire_rule_add(server, &(wire_rule_t){.command = "ping",
                                         .action = WIRE_REPLY,
                                         .reply_json = "{\"ok\": 1,"
                                                       "\"pong\": 5}"});
    ck_assert_int_eq(number_of("{\"ping\": 1}", "pong"), 5);
}
END_TEST

START_TEST(an_error_carries_its_labels)
{
    bson_error_t error;
    bson_t reply;

    wire_rule_add(server, &(wire_rule_t){.command = "ping",
                                         .action = WIRE_ERROR,
                                         .code = 91,
                                         .message = "closing time",
                                         .labels = "One Two"});
    ck_assert(!run(client, "{\"ping\": 1}", NULL, &reply, &error));
    ck_assert_uint_eq(error.code, 91);
    ck_assert_str_eq(error.message, "closing time");
    ck_assert(mongoc_error_has_label(&reply, "One"));
    ck_assert(mongoc_error_has_label(&reply, "Two"));
    ck_assert(!mongoc_error_has_label(&reply, "On"));
    bson_destroy(&reply);
}
END_TEST

START_TEST(inserts_are_counted)
{
    bson_error_t error;

    ck_assert(insert(10, "{}", &error));
    ck_assert_int_eq(inserted(), 10);
}
END_TEST

START_TEST(a_write_error_stops_an_ordered_insert)
{
    bson_error_t error;

    wire_rule_add(server, &(wire_rule_t){.command = "insert",
                                         .action = WIRE_WRITE_ERROR,
                                         .index = 3});
    ck_assert(!insert(10, "{}", &error));
    ck_assert_uint_eq(error.code, 11000);
    ck_assert_int_eq(inserted(), 3);
    ck_assert(!insert(10, "{\"ordered\": false}", &error));
    ck_assert_int_eq(inserted(), 3 + 9);
}
END_TEST

START_TEST(a_write_concern_error_comes_with_the_answer)
{
    bson_error_t error;

    wire_rule_add(server, &(wire_rule_t){.command = "insert",
                                         .action = WIRE_CONCERN_ERROR});
    ck_assert(!insert(2, "{}", &error));
    ck_assert_uint_eq(error.domain, MONGOC_ERROR_WRITE_CONCERN);
    ck_assert_uint_eq(error.code, 64);
    ck_assert_int_eq(inserted(), 2);
}
END_TEST

START_TEST(no_reply_to_who_wants_none)
{
    bson_error_t error;
    wire_stats_t stats;

    ck_assert(insert(2, "{\"writeConcern\": {\"w\": 0}}", &error));
    ck_assert(insert(1, "{\"writeConcern\": {\"w\": 0}}", &error));
    succeeds(client, "{\"ping\": 1}"); /* would take the wrong reply */
    wire_stats(server, &stats);
    ck_assert_int_eq(stats.unacknowledged, 2);
    ck_assert_int_eq(stats.inserted, 3);
    ck_assert_int_eq(stats.replies, stats.commands + stats.hellos - 2);
}
END_TEST

/* The client sees its connection go. */
static void breaks(const wire_rule_t *rule)
{
    bson_error_t error;

    wire_rule_add(server, rule);
    failure_of(client, "{\"find\": \"c\"}", NULL, &error);
    ck_assert_uint_eq(error.domain, MONGOC_ERROR_STREAM);
    wire_rule_remove_all(server);
    succeeds(client, "{\"find\": \"c\"}");
}

START_TEST(a_connection_may_break)
{
    breaks(&(wire_rule_t){.command = "find", .action = WIRE_CLOSE});
    breaks(&(wire_rule_t){.command = "find", .action = WIRE_CLOSE,
                          .end = WIRE_RST});
    breaks(&(wire_rule_t){.command = "find", .action = WIRE_CUT, .cut = 20});
    breaks(&(wire_rule_t){.command = "find", .action = WIRE_CUT,
                          .end = WIRE_RST});
}
END_TEST

START_TEST(garbage_is_sent_as_it_is)
{
    static const uint8_t garbage[16] = {1, 0, 0, 0};
    bson_error_t error;

    wire_rule_add(server, &(wire_rule_t){.command = "find", .times = 1,
                                         .action = WIRE_RAW, .raw = garbage,
                                         .raw_size = sizeof garbage});
    failure_of(client, "{\"find\": \"c\"}", NULL, &error);
    ck_assert_uint_eq(error.domain, MONGOC_ERROR_PROTOCOL);
}
END_TEST

START_TEST(silence_lasts)
{
    running_t running;

    wire_rule_add(server, &(wire_rule_t){.command = "find",
                                         .action = WIRE_SILENCE});
    begin(&running, "{\"find\": \"c\"}");
    ck_assert(wire_wait_count(server, "find", 1, WIRE_WAIT));
    succeeds(client, "{\"ping\": 1}");
    ck_assert(!atomic_load(&running.over));
    wire_server_hang_up(server, WIRE_RST);
    ck_assert(!ends_well(&running));
    ck_assert_uint_eq(running.error.domain, MONGOC_ERROR_STREAM);
}
END_TEST

START_TEST(a_dripping_reply_arrives_whole)
{
    int64_t before = now_ms();

    wire_collection(server, "db.c", 1, NULL, NULL);
    wire_rule_add(server, &(wire_rule_t){.command = "find", .drip_ms = 1});
    ck_assert_int_eq(number_of("{\"find\": \"c\"}",
                               "cursor.firstBatch.0._id"), 0);
    ck_assert_int_ge(now_ms() - before, 50); /* it has more than 50 bytes */
    succeeds(client, "{\"ping\": 1}");
}
END_TEST

/* -------------------------------------------------------------- fail points */

static void fail_point(const char *text)
{
    bson_t *command = json(text);
    bson_error_t error;

    ck_assert_msg(mongoc_client_command_simple(client, "admin", command, NULL,
                                               NULL, &error),
                  "%s", error.message);
    bson_destroy(command);
}

START_TEST(a_fail_point_fails_as_often_as_told)
{
    bson_error_t error;

    fail_point("{\"configureFailPoint\": \"failCommand\","
               "\"mode\": {\"times\": 2}, \"data\": {\"errorCode\": 10107,"
               "\"failCommands\": [\"count\", \"find\"]}}");
    ck_assert_uint_eq(failure_of(client, "{\"find\": \"c\"}", NULL, &error),
                      10107);
    succeeds(client, "{\"ping\": 1}");
    ck_assert_uint_eq(failure_of(client, "{\"count\": \"c\"}", NULL, &error),
                      10107);
    succeeds(client, "{\"find\": \"c\"}");
}
END_TEST

START_TEST(a_fail_point_is_on_until_it_is_off)
{
    bson_error_t error;

    fail_point("{\"configureFailPoint\": \"failCommand\","
               "\"mode\": \"alwaysOn\", \"data\": {\"closeConnection\": true,"
               "\"failCommands\": [\"find\"]}}");
    for (int i = 0; i < 3; i++) {
        failure_of(client, "{\"find\": \"c\"}", NULL, &error);
        ck_assert_uint_eq(error.domain, MONGOC_ERROR_STREAM);
    }
    fail_point("{\"configureFailPoint\": \"failCommand\", \"mode\": \"off\"}");
    succeeds(client, "{\"find\": \"c\"}");
}
END_TEST

START_TEST(a_fail_point_blocks_its_own_connection)
{
    running_t running;

    fail_point("{\"configureFailPoint\": \"failCommand\","
               "\"mode\": {\"times\": 1}, \"data\": {\"blockConnection\": true,"
               "\"blockTimeMS\": 600000, \"failCommands\": [\"find\"]}}");
    begin(&running, "{\"find\": \"c\"}");
    ck_assert(wire_wait_count(server, "find", 1, WIRE_WAIT));
    succeeds(client, "{\"find\": \"c\"}");
    ck_assert(!atomic_load(&running.over));
    wire_server_hang_up(server, WIRE_FIN);
    ck_assert(!ends_well(&running));
}
END_TEST

START_TEST(a_fail_point_spoils_a_write_concern)
{
    bson_error_t error;

    fail_point("{\"configureFailPoint\": \"failCommand\","
               "\"mode\": \"alwaysOn\", \"data\": {\"failCommands\":"
               "[\"insert\"], \"writeConcernError\": {\"code\": 91,"
               "\"errmsg\": \"no\"}}}");
    ck_assert(!insert(1, "{}", &error));
    ck_assert_uint_eq(error.domain, MONGOC_ERROR_WRITE_CONCERN);
    ck_assert_uint_eq(error.code, 91);
}
END_TEST

START_TEST(a_broken_fail_point_is_refused)
{
    bson_error_t error;

    ck_assert_uint_eq(
        failure_of(client, "{\"configureFailPoint\": \"failCommand\","
                           "\"mode\": \"sometimes\"}", NULL, &error), 9);
    ck_assert_uint_eq(
        failure_of(client, "{\"configureFailPoint\": \"failCommand\","
                           "\"mode\": \"alwaysOn\"}", NULL, &error), 9);
}
END_TEST

SUITE(wire_script)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_gate_holds_until_it_is_opened);
    tcase_add_test(tc, a_gate_lets_pass_as_many_as_it_is_told);
    tcase_add_test(tc, who_hangs_up_is_held_no_longer);
    tcase_add_test(tc, a_wait_that_runs_out_is_false);
    tcase_add_test(tc, a_delay_delays_nobody_else);
    tcase_add_test(tc, a_delay_lasts);
    tcase_add_test(tc, a_script_reads_from_top_to_bottom);
    tcase_add_test(tc, a_rule_may_be_particular);
    tcase_add_test(tc, a_predicate_sees_the_whole_command);
    tcase_add_test(tc, a_rule_that_makes_no_sense_is_refused);
    tcase_add_test(tc, a_scripted_reply_arrives);
    tcase_add_test(tc, an_error_carries_its_labels);
    tcase_add_test(tc, inserts_are_counted);
    tcase_add_test(tc, a_write_error_stops_an_ordered_insert);
    tcase_add_test(tc, a_write_concern_error_comes_with_the_answer);
    tcase_add_test(tc, no_reply_to_who_wants_none);
    tcase_add_test(tc, a_connection_may_break);
    tcase_add_test(tc, garbage_is_sent_as_it_is);
    tcase_add_test(tc, silence_lasts);
    tcase_add_test(tc, a_dripping_reply_arrives_whole);
    tcase_add_test(tc, a_fail_point_fails_as_often_as_told);
    tcase_add_test(tc, a_fail_point_is_on_until_it_is_off);
    tcase_add_test(tc, a_fail_point_blocks_its_own_connection);
    tcase_add_test(tc, a_fail_point_spoils_a_write_concern);
    tcase_add_test(tc, a_broken_fail_point_is_refused);
}
