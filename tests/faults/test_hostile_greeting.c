/* SPDX-License-Identifier: Apache-2.0 */
/* test_hostile_greeting.c - bad replies to hello, which the driver's monitors
 * and each new connection ask: they can end the process as well as others,
 * and nobody's operation is under way to fail with them. */
#include "tests/faults/rows.h"

enum { OPCODE = 12, RESPONSE_TO = 8, FLAGS = 16 };

static void replace_body(wire_buffer_t *reply, const void *bytes, size_t n)
{
    wire_buffer_resize(reply, 16);
    wire_buffer_append(reply, bytes, n);
    wire_buffer_set_int32(reply, 0, (int32_t)wire_buffer_size(reply));
}

static void random_body(wire_buffer_t *reply)
{
    replace_body(reply, "\x9c\x27\xe0\x11 a random body \xff\xff", 22);
}

static void other_opcode(wire_buffer_t *reply)
{
    bool is_reply = wire_buffer_get_int32(reply, OPCODE) == 1;

    wire_buffer_set_int32(reply, OPCODE, is_reply ? 2013 : 1);
}

static void no_section(wire_buffer_t *reply)
{
    replace_body(reply, "\0\0\0\0", 4);
}

static void long_document(wire_buffer_t *reply)
{
    bool is_reply = wire_buffer_get_int32(reply, OPCODE) == 1;

    wire_buffer_set_int32(reply, is_reply ? 36 : 21, 4096);
}

static void lying_compression(wire_buffer_t *reply)
{
    static const char body[] = "\xdd\x07\0\0\xe8\x03\0\0\2\x78\x9c\x03\0\0\0\0\1";

    replace_body(reply, body, sizeof body - 1);
    wire_buffer_set_int32(reply, OPCODE, 2012);
}

static void for_another(wire_buffer_t *reply)
{
    wire_buffer_set_int32(reply, RESPONSE_TO, 99);
}

static void more_to_come(wire_buffer_t *reply)
{
    wire_buffer_set_int32(reply, FLAGS, 2);
}

static void (*const spoilers[])(wire_buffer_t *reply) = {
    random_body,       other_opcode, no_section,   long_document,
    lying_compression, for_another,  more_to_come,
};

enum { N_SPOILERS = sizeof spoilers / sizeof *spoilers };

static void spoil(const wire_command_t *command, wire_buffer_t *reply,
                  void *arg)
{
    (void)command;
    (*(void (*const *)(wire_buffer_t *))arg)(reply);
}

/* All connections are reset, so that all greet again, and three greetings
 * are answered badly; then everything works. */
START_TEST(a_greeting_can_not_end_the_process)
{
    scene_t *s = scene_with_uri("{'workers': 2}",
                                "heartbeatFrequencyMS=500&"
                                "serverSelectionTimeoutMS=3000");
    bool works = false;
    int rule;

    ck_done(ask_one(s, NULL));
    rule = wire_rule_add(s->server, &(wire_rule_t){.command = "*",
                                                   .action = WIRE_REWRITE,
                                                   .rewrite = spoil,
                                                   .arg = (void *)(uintptr_t)
                                                       &spoilers[_i],
                                                   .times = 3});
    wire_server_hang_up(s->server, WIRE_RST);
    for (int i = 0; i < 20 && !works; i++) {
        stator_future_t *f = stator_client_ping(s->client, NULL);

        ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
        works = stator_future_poll(f) == STATOR_FUTURE_DONE &&
                wire_rule_hits(s->server, rule) == 3;
        stator_future_unref(f);
    }
    ck_assert(works);
    scene_free(s);
}
END_TEST

SUITE(hostile_greeting)
{
    tcase_add_loop_test(tc, a_greeting_can_not_end_the_process, 0,
                        N_SPOILERS);
}
