/* SPDX-License-Identifier: Apache-2.0 */
/* rows_network.c - 4, 5, 7, 8: what a connection brings instead of a reply. */
#include "tests/faults/rows.h"

/* A victim of each kind: what the rule's fault befalls. */
enum { FIND, INSERT, GET_MORE, VICTIMS };

static const char *const commands[] = {"find", "insert", "getMore"};

/* Lent; of a cursor, it is closed with the scene. */
static stator_future_t *submit(scene_t *s, int victim, stator_cursor_t *c)
{
    if (victim == FIND)
        return ask_one(s, NULL);
    if (victim == INSERT)
        return lend(stator_collection_insert_one(s->things, J("{}"), NULL));
    return lend(stator_cursor_next(c));
}

START_TEST(row_4_reset_amid_the_reply)
{
    scene_t *s = scene_new(NULL);
    int64_t longest = 0;

    fault_begin(4, "20 bytes of the reply, then a reset: find, insert, "
                "getMore");
    scene_fill(s, 10);
    for (int i = 0; i < VICTIMS; i++) {
        stator_cursor_t *c = open_and_read(s, "{'batchSize': 1}");
        stator_future_t *f;
        int64_t us;

        wire_rule_add(s->server, &(wire_rule_t){.command = commands[i],
                                                .times = 1,
                                                .action = WIRE_CUT,
                                                .cut = 20,
                                                .end = WIRE_RST});
        f = submit(s, i, c);
        us = us_to_settle(f);
        longest = us > longest ? us : longest;
        ck_fails(f, MONGOC_ERROR_STREAM, 0, "the connection was reset");
        ck_assert_int_eq(stator_future_outcome(f), STATOR_MAYBE_SENT);
        stator_cursor_unref(c);
        ck_reads(s->things, 7);
    }
    fault_saw("3 of 3 say \"the connection was reset\", MAYBE_SENT, within "
              "%.1f ms", (double)longest / 1000);
    scene_free(s);
    fault_end();
}
END_TEST

/* Each time other bytes, but the same in every run. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

enum { ROUNDS = 8, GARBAGE = 512 };

START_TEST(row_5_garbage)
{
    scene_t *s = scene_new(NULL);
    uint32_t random = 1;
    uint8_t bytes[GARBAGE];

    fault_begin(5, "%d replies of %d random bytes", ROUNDS, GARBAGE);
    scene_fill(s, 10);
    for (int i = 0; i < ROUNDS; i++) {
        stator_future_t *f;

        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)(next_random(&random) >> 9);
        wire_rule_add(s->server, &(wire_rule_t){.command = "find",
                                                .times = 1,
                                                .action = WIRE_RAW,
                                                .raw = bytes,
                                                .raw_size = sizeof bytes});
        f = ask_one(s, NULL);
        ck_fails(f, MONGOC_ERROR_STREAM, 0, "the server's answer is refused");
        ck_assert_int_eq(stator_future_outcome(f), STATOR_MAYBE_SENT);
        ck_reads(s->things, i % 10);
    }
    ck_stat(s->client, "transport.refusals", ROUNDS);
    fault_saw("%d refused, 0 crashes, the next is right %d of %d times",
              ROUNDS, ROUNDS, ROUNDS);
    scene_free(s);
    fault_end();
}
END_TEST

/* ---- 7 ------------------------------------------------------------------ */

enum { DRIP_TIMEOUT_MS = 300 };

/* How long after its time it is settled; and the worker free. */
static int64_t drips(void *arg)
{
    scene_t *s = arg;
    int64_t start = now_us();

    ck_expired(ask_one(s, "{'timeoutMS': 300}"));
    return us_to_idle(s->client, start) - DRIP_TIMEOUT_MS * 1000;
}

START_TEST(row_7_a_reply_that_drips)
{
    scene_t *s = scene_new(NULL);
    int rule;

    fault_begin(7, "a byte every 20 ms");
    scene_fill(s, 10);
    ck_reads(s->things, 1);
    rule = wire_rule_add(s->server, &(wire_rule_t){.command = "find",
                                                   .drip_ms = 20});
    fault_within("settled, and its worker free, after timeoutMS", drips, s,
                 50000);
    wire_rule_remove(s->server, rule);
    ck_reads(s->things, 7);
    scene_free(s);
    fault_end();
}
END_TEST

/* ---- 8 ------------------------------------------------------------------ */

static void for_another(const wire_command_t *command, wire_buffer_t *reply,
                        void *arg)
{
    (void)command;
    (void)arg;
    wire_buffer_set_int32(reply, 8, wire_buffer_get_int32(reply, 8) + 1);
}

START_TEST(row_8_a_reply_for_another_request)
{
    scene_t *s = scene_new(NULL);
    wire_command_t before, after;

    fault_begin(8, "responseTo + 1: find, insert, getMore");
    scene_fill(s, 10);
    for (int i = 0; i < VICTIMS; i++) {
        stator_cursor_t *c = open_and_read(s, "{'batchSize': 1}");

        wire_log_clear(s->server);
        wire_rule_add(s->server, &(wire_rule_t){.command = commands[i],
                                                .times = 1,
                                                .action = WIRE_REWRITE,
                                                .rewrite = for_another});
        ck_fails(submit(s, i, c), MONGOC_ERROR_STREAM, 0,
                 "the reply is for another request");
        stator_cursor_unref(c);
        ck_assert(wire_log_find(s->server, commands[i], 0, &before));
        wire_log_clear(s->server);
        ck_reads(s->things, 7);
        ck_assert(wire_log_find(s->server, "find", 0, &after));
        if (i != GET_MORE) /* a cursor has a connection of its own */
            ck_assert_int_ne(before.connection, after.connection);
        wire_command_clear(&before);
        wire_command_clear(&after);
    }
    ck_stat(s->client, "transport.refusals", VICTIMS);
    fault_saw("3 of 3 refused for that reason, on a new connection the next "
              "gets its own");
    scene_free(s);
    fault_end();
}
END_TEST

void add_network_faults(TCase *tc)
{
    tcase_add_test(tc, row_4_reset_amid_the_reply);
    tcase_add_test(tc, row_5_garbage);
    tcase_add_test(tc, row_7_a_reply_that_drips);
    tcase_add_test(tc, row_8_a_reply_for_another_request);
}
