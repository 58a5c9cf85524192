/* SPDX-License-Identifier: Apache-2.0 */
/* test_op.c - an operation's size, and how it ends: states, origins, phases
 * and outcomes. */
#include "tests/core/support.h"

#include "core/op.h"

START_TEST(an_operation_is_small)
{
    printf("an operation: %zu bytes\n", sizeof(struct stc_op));
    ck_assert_uint_le(sizeof(struct stc_op), 512);
}
END_TEST

/* ---- cancel ------------------------------------------------------------- */

START_TEST(cancel_while_running_settles_at_once)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *f = hold_worker(s);

    ck_pending(f);
    ck_assert_int_eq(stator_future_phase(f), STATOR_PHASE_SENT);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_MAYBE_SENT);
    ck_assert(stator_future_cancel(f));
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_CANCELLED);
    ck_cancelled(f, STATOR_MAYBE_SENT);
    ck_assert_int_eq(stator_future_phase(f), STATOR_PHASE_SENT);
    ck_assert_ptr_null(stator_future_reply(f));
    scene_free(s);
}
END_TEST

START_TEST(after_an_abandoned_one_the_next_gets_its_own_answer)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *next;

    ck_assert(stator_future_cancel(hold_worker(s)));
    next = lend(stator_client_command(s->client, "core", J("{'ping': 1}"),
                                      NULL));
    ck_done(next); /* the worker was cut, the gate is shut */
    ck_assert(!bson_has_field(stator_future_reply(next), "cursor"));
    ck_assert_int_eq(wire_count(s->server, "ping"), 1);
    scene_free(s);
}
END_TEST

START_TEST(cancel_after_the_end_is_too_late)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *f = ck_done(ask_one(s, NULL));

    ck_assert(!stator_future_cancel(f));
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_DONE);
    scene_free(s);
}
END_TEST

START_TEST(cancel_twice_is_cancelled)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *f = hold_worker(s);

    ck_assert(stator_future_cancel(f));
    ck_assert(stator_future_cancel(f));
    ck_stat(s->client, "cancelled", 1);
    scene_free(s);
}
END_TEST

START_TEST(without_references_it_still_runs)
{
    scene_t *s = scene_new(NULL);

    hold_worker(s);
    stator_future_unref(
        stator_collection_insert_one(s->things, J("{'a': 1}"), NULL));
    wire_gate_open(s->gate);
    close_with(s, NULL);
    ck_assert_int_eq(wire_count(s->server, "insert"), 1);
    ck_stat(s->client, "done", 2);
    scene_free(s);
}
END_TEST

/* ---- a table of failures ------------------------------------------------ */

static const struct failure {
    const char *name;
    wire_rule_t rule;
    stator_origin_t origin;
    stator_phase_t phase;
    stator_outcome_t outcome;
    uint32_t domain, code; /* 0: any */
    const char *label;     /* or NULL */
    bool has_reply;
} failures[] = {
    {"the server says no",
     {.action = WIRE_ERROR, .code = 13, .message = "forbidden"},
     STATOR_ORIGIN_SERVER, STATOR_PHASE_DONE, STATOR_ANSWERED,
     MONGOC_ERROR_SERVER, 13, NULL, true},
    {"the server says no, with labels",
     {.action = WIRE_ERROR, .code = 112, .labels = "TransientTransactionError"},
     STATOR_ORIGIN_SERVER, STATOR_PHASE_DONE, STATOR_ANSWERED,
     MONGOC_ERROR_SERVER, 112, "TransientTransactionError", true},
    {"the primary has gone",
     {.action = WIRE_ERROR, .code = 10107, .message = "not primary"},
     STATOR_ORIGIN_SERVER, STATOR_PHASE_DONE, STATOR_ANSWERED,
     MONGOC_ERROR_SERVER, 10107, NULL, true},
    {"a write error",
     {.action = WIRE_WRITE_ERROR, .code = 11000},
     STATOR_ORIGIN_SERVER, STATOR_PHASE_DONE, STATOR_ANSWERED,
     MONGOC_ERROR_SERVER, 11000, NULL, true},
    {"a write concern error",
     {.action = WIRE_CONCERN_ERROR, .code = 64},
     STATOR_ORIGIN_SERVER, STATOR_PHASE_DONE, STATOR_ANSWERED,
     MONGOC_ERROR_WRITE_CONCERN, 64, NULL, true},
    {"an orderly hang-up",
     {.action = WIRE_CLOSE, .end = WIRE_FIN},
     STATOR_ORIGIN_DRIVER, STATOR_PHASE_SENT, STATOR_MAYBE_SENT,
     MONGOC_ERROR_STREAM, 0, NULL, false},
    {"a reset",
     {.action = WIRE_CLOSE, .end = WIRE_RST},
     STATOR_ORIGIN_DRIVER, STATOR_PHASE_SENT, STATOR_MAYBE_SENT,
     MONGOC_ERROR_STREAM, 0, NULL, false},
    {"half an answer",
     {.action = WIRE_CUT, .end = WIRE_FIN},
     STATOR_ORIGIN_DRIVER, STATOR_PHASE_SENT, STATOR_MAYBE_SENT,
     0, 0, NULL, false},
    {"no message",
     {.action = WIRE_RAW, .raw = "0123456789abcdefghij", .raw_size = 20,
      .hang_up = true},
     STATOR_ORIGIN_DRIVER, STATOR_PHASE_SENT, STATOR_MAYBE_SENT,
     0, 0, NULL, false},
};

START_TEST(a_failure_says_who_how_far_and_what_became_of_it)
{
    const struct failure *expected = &failures[_i];
    scene_t *s = scene_new(NULL);
    wire_rule_t rule = expected->rule;
    bson_error_t error;
    stator_future_t *f;

    rule.command = "insert";
    ck_assert_int_gt(wire_rule_add(s->server, &rule), 0);
    f = lend(stator_collection_insert_one(s->things, J("{'a': 1}"), NULL));
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert_msg(stator_future_poll(f) == STATOR_FUTURE_FAILED, "%s",
                  expected->name);
    ck_assert(stator_future_error(f, &error));
    ck_assert_msg(
        stator_future_origin(f) == expected->origin &&
            stator_future_phase(f) == expected->phase &&
            stator_future_outcome(f) == expected->outcome &&
            (expected->domain == 0 || error.domain == expected->domain) &&
            (expected->code == 0 || error.code == expected->code),
        "%s: origin %d phase %d outcome %d, %u/%u %s", expected->name,
        (int)stator_future_origin(f), (int)stator_future_phase(f),
        (int)stator_future_outcome(f), error.domain, error.code,
        error.message);
    ck_assert_msg(error.message[0] != '\0', "%s: no message", expected->name);
    if (expected->label != NULL)
        ck_assert(stator_future_has_error_label(f, expected->label));
    if (expected->has_reply)
        ck_assert_ptr_nonnull(stator_future_reply(f));
    ck_stat(s->client, "failed", 1);
    scene_free(s);
}
END_TEST

START_TEST(a_read_that_fails_says_so_too)
{
    const struct failure *expected = &failures[_i];
    scene_t *s = scene_new(NULL);
    wire_rule_t rule = expected->rule;
    bson_error_t error = {0};
    stator_cursor_t *c;
    stator_future_t *f;

    if (rule.action == WIRE_WRITE_ERROR || rule.action == WIRE_CONCERN_ERROR) {
        scene_free(s);
        return;
    }
    rule.command = "find";
    ck_assert_int_gt(wire_rule_add(s->server, &rule), 0);
    c = open_cursor(s, NULL);
    f = lend(stator_cursor_next(c));
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    stator_future_error(f, &error);
    ck_assert_msg(stator_future_poll(f) == STATOR_FUTURE_FAILED &&
                      stator_future_origin(f) == expected->origin &&
                      stator_future_phase(f) == expected->phase &&
                      stator_future_outcome(f) == expected->outcome,
                  "%s: state %d origin %d phase %d outcome %d, %s",
                  expected->name, (int)stator_future_poll(f),
                  (int)stator_future_origin(f), (int)stator_future_phase(f),
                  (int)stator_future_outcome(f), error.message);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(nobody_there_is_not_sent)
{
    stage_t *s = stage_nowhere();
    stator_cursor_t *c;
    stator_future_t *f =
        fails(stator_collection_insert_one(s->collection, J("{}"), NULL),
              MONGOC_ERROR_SERVER_SELECTION,
              MONGOC_ERROR_SERVER_SELECTION_FAILURE, "");

    ck_assert_int_eq(stator_future_origin(f), STATOR_ORIGIN_DRIVER);
    ck_assert_int_eq(stator_future_phase(f), STATOR_PHASE_CHECKOUT);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    c = stator_collection_find(s->collection, NULL, NULL);
    f = fails(stator_cursor_next(c), MONGOC_ERROR_SERVER_SELECTION,
              MONGOC_ERROR_SERVER_SELECTION_FAILURE, "");
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    ck_assert_int_eq(stator_future_phase(f), STATOR_PHASE_CHECKOUT);
    stator_cursor_unref(c);
    stage_free(s);
}
END_TEST

START_TEST(what_the_driver_refuses_is_not_sent)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *f;

    f = lend(stator_collection_update_one(s->things, J("{}"),
                                          J("{'a': 1}"), NULL));
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_FAILED);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    ck_assert_int_eq(wire_count(s->server, "update"), 0);
    scene_free(s);
}
END_TEST

START_TEST(an_unacknowledged_write_is_maybe_sent)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *f = done(stator_collection_insert_one(
        s->things, J("{'a': 1}"), J("{'writeConcern': {'w': 0}}")));

    ck_assert_int_eq(stator_future_outcome(f), STATOR_MAYBE_SENT);
    ck_assert(wire_wait_count(s->server, "insert", 1, WIRE_WAIT));
    f = done(stator_collection_insert_one(s->things, J("{'a': 1}"), NULL));
    ck_assert_int_eq(stator_future_outcome(f), STATOR_ANSWERED);
    ck_assert_int_eq(stator_future_phase(f), STATOR_PHASE_DONE);
    scene_free(s);
}
END_TEST

START_TEST(after_a_network_error_the_client_goes_on)
{
    scene_t *s = scene_new("{'workers': 2}");

    wire_rule_add(s->server, &(wire_rule_t){.command = "insert", .times = 1,
                                            .action = WIRE_CLOSE});
    fails(stator_collection_insert_one(s->things, J("{}"), NULL),
          MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET, "");
    for (int i = 0; i < 10; i++)
        done(stator_collection_insert_one(s->things, J("{}"), NULL));
    scene_free(s);
}
END_TEST

START_TEST(phases_are_passed_one_by_one)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *running = hold_worker(s), *queued = ask_one(s, NULL);

    ck_assert_int_eq(stator_future_phase(running), STATOR_PHASE_SENT);
    ck_assert_int_eq(stator_future_phase(queued), STATOR_PHASE_QUEUED);
    ck_assert_int_eq(stator_future_outcome(queued), STATOR_NOT_SENT);
    ck_assert_int_eq(stator_future_origin(queued), STATOR_ORIGIN_NONE);
    wire_gate_open(s->gate);
    ck_done(queued);
    ck_assert_int_eq(stator_future_phase(queued), STATOR_PHASE_DONE);
    ck_assert_int_eq(stator_future_outcome(queued), STATOR_ANSWERED);
    scene_free(s);
}
END_TEST

SUITE(core_op)
{
    int n = (int)(sizeof failures / sizeof *failures);

    tcase_add_test(tc, an_operation_is_small);
    tcase_add_test(tc, cancel_while_running_settles_at_once);
    tcase_add_test(tc, after_an_abandoned_one_the_next_gets_its_own_answer);
    tcase_add_test(tc, cancel_after_the_end_is_too_late);
    tcase_add_test(tc, cancel_twice_is_cancelled);
    tcase_add_test(tc, without_references_it_still_runs);
    tcase_add_loop_test(
        tc, a_failure_says_who_how_far_and_what_became_of_it, 0, n);
    tcase_add_loop_test(tc, a_read_that_fails_says_so_too, 0, n);
    tcase_add_test(tc, nobody_there_is_not_sent);
    tcase_add_test(tc, what_the_driver_refuses_is_not_sent);
    tcase_add_test(tc, an_unacknowledged_write_is_maybe_sent);
    tcase_add_test(tc, after_a_network_error_the_client_goes_on);
    tcase_add_test(tc, phases_are_passed_one_by_one);
}
