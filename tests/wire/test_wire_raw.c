/* SPDX-License-Identifier: Apache-2.0 */
/* test_wire_raw.c - the wire server, byte by byte: framing and sessions, as no
 * driver would try them. */
#include "tests/wire/wire_peer.h"

/* ------------------------------------------------------------------ framing */

static size_t make_query(const char *ns, const char *text, uint8_t *out)
{
    bson_t *body = bson_new_from_json((const uint8_t *)text, -1, NULL);
    size_t name = strlen(ns) + 1;
    size_t size = HEADER + 4 + name + 8 + body->len;

    memset(out, 0, size);
    put_int32(out, (int32_t)size);
    put_int32(out + 4, 77);
    put_int32(out + 12, OP_QUERY);
    memcpy(out + HEADER + 4, ns, name);
    put_int32(out + HEADER + 4 + name + 4, -1);
    memcpy(out + HEADER + 4 + name + 8, bson_get_data(body), body->len);
    bson_destroy(body);
    return size;
}

static int64_t query(const char *text, const char *path)
{
    uint8_t message[512];
    int32_t opcode, response_to;
    int fd = dial();
    bson_t *reply;
    int64_t number;

    send_bytes(fd, message, make_query("admin.$cmd", text, message));
    reply = hear(fd, &opcode, &response_to);
    ck_assert_int_eq(opcode, OP_REPLY);
    ck_assert_int_eq(response_to, 77);
    number = number_in(reply, path);
    bson_destroy(reply);
    close(fd);
    return number;
}

START_TEST(an_old_hello_gets_an_old_reply)
{
    ck_assert_int_eq(query("{\"isMaster\": 1}", "maxWireVersion"), 17);
    ck_assert_int_eq(query("{\"$query\": {\"ismaster\": 1}}", "ismaster"), 1);
    ck_assert_int_eq(query("{\"find\": \"c\"}", "code"), 352);
    ck_assert_int_eq(wire_count(server, "hello"), 2);
}
END_TEST

START_TEST(bytes_may_come_one_at_a_time)
{
    uint8_t message[256];
    size_t size = make_msg(5, 0, "{\"ping\": 1, \"$db\": \"a\"}", message,
                           sizeof message);
    int32_t opcode, response_to;
    int fd = dial();
    bson_t *reply;

    for (size_t i = 0; i < size; i++)
        send_bytes(fd, message + i, 1);
    reply = hear(fd, &opcode, &response_to);
    ck_assert_int_eq(response_to, 5);
    bson_destroy(reply);
    close(fd);
}
END_TEST

START_TEST(commands_in_one_packet_are_answered_in_order)
{
    uint8_t messages[1024];
    size_t size = 0;
    int32_t opcode, response_to;
    int fd = dial();

    for (int32_t id = 1; id <= 5; id++)
        size += make_msg(id, 0, "{\"ping\": 1, \"$db\": \"a\"}",
                         messages + size, sizeof messages - size);
    send_bytes(fd, messages, size);
    for (int32_t id = 1; id <= 5; id++) {
        bson_destroy(hear(fd, &opcode, &response_to));
        ck_assert_int_eq(response_to, id);
    }
    close(fd);
}
END_TEST

START_TEST(what_is_behind_a_held_command_waits)
{
    wire_gate_t *gate = wire_gate_new(server);
    int32_t opcode, response_to;
    int fd = dial();

    wire_rule_add(server, &(wire_rule_t){.command = "find", .gate = gate});
    ask(fd, 1, "{\"find\": \"c\", \"$db\": \"a\"}");
    ask(fd, 2, "{\"ping\": 1, \"$db\": \"a\"}");
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    ck_assert(pings());
    ck_assert_int_eq(wire_count(server, "ping"), 1);
    wire_gate_open(gate);
    bson_destroy(hear(fd, &opcode, &response_to));
    ck_assert_int_eq(response_to, 1);
    bson_destroy(hear(fd, &opcode, &response_to));
    ck_assert_int_eq(response_to, 2);
    close(fd);
}
END_TEST

START_TEST(a_checksum_may_be_there)
{
    uint8_t message[256];
    size_t size = make_msg(5, 1, "{\"ping\": 1, \"$db\": \"a\"}", message,
                           sizeof message);
    int32_t opcode, response_to;
    int fd = dial();

    memset(message + size, 0xee, 4);
    put_int32(message, (int32_t)size + 4);
    send_bytes(fd, message, size + 4);
    bson_destroy(hear(fd, &opcode, &response_to));
    ck_assert_int_eq(response_to, 5);
    close(fd);
}
END_TEST

/* The bytes of a good ping, spoilt in one place. */
static const struct {
    const char *what;
    size_t at;
    int32_t value;
} spoilt[] = {
    {"length 0", 0, 0},
    {"length 15", 0, 15},
    {"length -1", 0, -1},
    {"length too large", 0, 48000001},
    {"opcode unknown", 12, 4711},
    {"opcode of a reply", 12, OP_REPLY},
    {"opcode of a compressed message", 12, 2012},
    {"flag unknown", 16, 4},
    {"section of an unknown kind", 17, 2 << 24},
    {"document too short", 21, 4},
    {"document too long", 21, 4000},
    {"document of negative length", 21, -5},
};

START_TEST(what_is_no_message_ends_the_connection)
{
    uint8_t message[256];
    char byte;
    wire_stats_t stats;

    for (size_t i = 0; i < sizeof spoilt / sizeof *spoilt; i++) {
        size_t size = make_msg(5, 0, "{\"ping\": 1, \"$db\": \"a\"}", message,
                               sizeof message);
        int fd = dial();

        put_int32(message + spoilt[i].at, spoilt[i].value);
        send_bytes(fd, message, size);
        ck_assert_msg(recv(fd, &byte, 1, 0) == 0, "%s", spoilt[i].what);
        close(fd);
    }
    wire_stats(server, &stats);
    ck_assert_int_eq(stats.protocol_errors, sizeof spoilt / sizeof *spoilt);
    ck_assert_int_eq(stats.commands, 0);
    ck_assert(pings());
}
END_TEST

/* xorshift: the same bytes in every run. */
static uint32_t noise(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

START_TEST(random_messages_do_no_harm)
{
    uint32_t state = 2463534242u;

    for (int round = 0; round < 2000; round++) {
        uint8_t message[512];
        size_t size = make_msg(
            round, 0,
            "{\"find\": \"c\", \"filter\": {\"_id\": 3}, \"batchSize\": 1,"
            "\"lsid\": {\"id\": {\"$binary\": {\"subType\": \"04\","
            "\"base64\": \"AAECAwQFBgcICQoLDA0ODw==\"}}}, \"$db\": \"a\"}",
            message, sizeof message);
        int fd = dial();

        for (int i = 0; i < 3; i++)
            message[4 + noise(&state) % (size - 4)] = (uint8_t)noise(&state);
        if (noise(&state) % 2)
            size -= noise(&state) % size;
        send(fd, message, size, MSG_NOSIGNAL);
        close(fd);
    }
    ck_assert(pings());
    ck_assert(wire_wait_connections(server, 0, WIRE_WAIT));
}
END_TEST

/* ----------------------------------------------------------------- sessions */

#define LSID                                                                   \
    "\"lsid\": {\"id\": {\"$binary\": {\"subType\": \"04\","                   \
    "\"base64\": \"AAECAwQFBgcICQoLDA0ODw==\"}}}, \"$db\": \"db\"}"

/* Find, with the rest of the command in `rest`, then the same for getMore. */
static int64_t find_and_get_more(const char *find_rest, const char *more_rest,
                                 const char *path)
{
    int fd = dial();
    char text[512];
    int64_t id, number;

    wire_collection(server, "db.c", 10, NULL, NULL);
    snprintf(text, sizeof text, "{\"find\": \"c\", \"batchSize\": 3, %s",
             find_rest);
    id = answer_of(fd, text, "cursor.id");
    snprintf(text, sizeof text,
             "{\"getMore\": {\"$numberLong\": \"%lld\"},"
             "\"collection\": \"c\", \"batchSize\": 3, %s",
             (long long)id, more_rest);
    number = answer_of(fd, text, path);
    close(fd);
    return number;
}

START_TEST(a_cursor_and_a_session_belong_together)
{
    static const char without[] = "\"$db\": \"db\"}";

    ck_assert_int_eq(find_and_get_more(LSID, LSID, "cursor.nextBatch.0._id"),
                     3);
    ck_assert_int_eq(
        find_and_get_more(without, without, "cursor.nextBatch.0._id"), 3);
    ck_assert_int_eq(find_and_get_more(LSID, without, "code"), 50737);
    ck_assert_int_eq(find_and_get_more(without, LSID, "code"), 50736);
}
END_TEST

START_TEST(a_cursor_outlives_its_connection)
{
    int fd = dial();
    char text[256];
    int64_t id;

    wire_collection(server, "db.c", 10, NULL, NULL);
    id = answer_of(fd, "{\"find\": \"c\", \"batchSize\": 3, " LSID,
                   "cursor.id");
    close(fd);
    ck_assert(wire_wait_connections(server, 0, WIRE_WAIT));
    fd = dial();
    snprintf(text, sizeof text,
             "{\"killCursors\": \"c\", \"cursors\":"
             "[{\"$numberLong\": \"%lld\"}, 9], " LSID, (long long)id);
    ck_assert_int_eq(answer_of(fd, text, "cursorsNotFound.0"), 9);
    ck_assert(wire_wait_cursors(server, 0, WIRE_WAIT));
    close(fd);
}
END_TEST

START_TEST(nobody_can_authenticate)
{
    int fd = dial();

    ck_assert_int_eq(
        answer_of(fd, "{\"saslStart\": 1, \"$db\": \"admin\"}", "code"), 18);
    close(fd);
}
END_TEST

SUITE(wire_raw)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, an_old_hello_gets_an_old_reply);
    tcase_add_test(tc, bytes_may_come_one_at_a_time);
    tcase_add_test(tc, commands_in_one_packet_are_answered_in_order);
    tcase_add_test(tc, what_is_behind_a_held_command_waits);
    tcase_add_test(tc, a_checksum_may_be_there);
    tcase_add_test(tc, what_is_no_message_ends_the_connection);
    tcase_add_test(tc, random_messages_do_no_harm);
    tcase_add_test(tc, a_cursor_and_a_session_belong_together);
    tcase_add_test(tc, a_cursor_outlives_its_connection);
    tcase_add_test(tc, nobody_can_authenticate);
}
