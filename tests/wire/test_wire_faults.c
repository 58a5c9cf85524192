/* SPDX-License-Identifier: Apache-2.0 */
/* test_wire_faults.c - the wire server, byte by byte: how it breaks, and what
 * breaks on it. */
#include "tests/wire/wire_peer.h"

/* ------------------------------------------------------------------ faults */

START_TEST(fin_and_rst_differ)
{
    char byte;
    int fd;

    wire_rule_add(server, &(wire_rule_t){.command = "find",
                                         .action = WIRE_CLOSE});
    wire_rule_add(server, &(wire_rule_t){.command = "count",
                                         .action = WIRE_CLOSE,
                                         .end = WIRE_RST});
    fd = dial();
    ask(fd, 1, "{\"find\": \"c\", \"$db\": \"a\"}");
    ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);
    close(fd);
    fd = dial();
    ask(fd, 1, "{\"count\": \"c\", \"$db\": \"a\"}");
    ck_assert_int_eq(recv(fd, &byte, 1, 0), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    close(fd);
}
END_TEST

START_TEST(a_cut_reply_has_the_bytes_that_were_asked_for)
{
    uint8_t bytes[64];
    int fd = dial();

    wire_rule_add(server, &(wire_rule_t){.command = "ping",
                                         .action = WIRE_CUT, .cut = 19});
    ask(fd, 1, "{\"ping\": 1, \"$db\": \"a\"}");
    ck_assert(take(fd, bytes, 19));
    ck_assert_int_eq(recv(fd, bytes, 1, 0), 0);
    close(fd);
}
END_TEST

/* Someone else's responseTo, and the whole twice. */
static void garble(const wire_command_t *command, wire_buffer_t *reply,
                   void *arg)
{
    size_t size = wire_buffer_size(reply);

    (void)arg;
    ck_assert_int_eq(wire_buffer_get_int32(reply, 8), command->request_id);
    wire_buffer_set_int32(reply, 8, command->request_id + 1);
    wire_buffer_resize(reply, 2 * size);
    memcpy(wire_buffer_data(reply) + size, wire_buffer_data(reply), size);
    wire_buffer_set_int32(reply, 2 * size - 3, 0); /* outside: nothing */
}

START_TEST(a_reply_may_be_rewritten)
{
    int32_t opcode, response_to;
    int fd = dial();

    wire_rule_add(server, &(wire_rule_t){.command = "ping",
                                         .action = WIRE_REWRITE,
                                         .rewrite = garble});
    ask(fd, 1, "{\"ping\": 1, \"$db\": \"a\"}");
    for (int i = 0; i < 2; i++) {
        bson_destroy(hear(fd, &opcode, &response_to));
        ck_assert_int_eq(response_to, 2);
    }
    close(fd);
}
END_TEST

START_TEST(raw_bytes_may_end_the_connection)
{
    uint8_t bytes[8];
    int fd = dial();

    wire_rule_add(server, &(wire_rule_t){.command = "ping",
                                         .action = WIRE_RAW, .raw = "abc",
                                         .raw_size = 3, .hang_up = true});
    ask(fd, 1, "{\"ping\": 1, \"$db\": \"a\"}");
    ck_assert(take(fd, bytes, 3));
    ck_assert_mem_eq(bytes, "abc", 3);
    ck_assert_int_eq(recv(fd, bytes, 1, 0), 0);
    close(fd);
}
END_TEST

START_TEST(hello_is_scripted_only_by_name)
{
    int fd = dial();

    wire_rule_add(server, &(wire_rule_t){.action = WIRE_ERROR, .code = 96});
    ck_assert_int_eq(answer_of(fd, "{\"hello\": 1, \"$db\": \"a\"}", "ok"), 1);
    ck_assert_int_eq(answer_of(fd, "{\"ping\": 1, \"$db\": \"a\"}", "code"),
                     96);
    wire_rule_remove_all(server);
    wire_rule_add(server, &(wire_rule_t){.command = "isMaster",
                                         .action = WIRE_ERROR, .code = 97});
    ck_assert_int_eq(answer_of(fd, "{\"hello\": 1, \"$db\": \"a\"}", "code"),
                     97);
    close(fd);
}
END_TEST

START_TEST(a_rule_may_mean_one_connection)
{
    wire_command_t first;
    int one = dial();
    int other = dial();

    answer_of(one, "{\"ping\": 1, \"$db\": \"a\"}", "ok");
    ck_assert(wire_log_at(server, 0, &first));
    wire_rule_add(server, &(wire_rule_t){.connection = first.connection,
                                         .action = WIRE_ERROR});
    ck_assert_int_eq(answer_of(other, "{\"ping\": 1, \"$db\": \"a\"}", "ok"),
                     1);
    ck_assert_int_eq(answer_of(one, "{\"ping\": 1, \"$db\": \"a\"}", "ok"), 0);
    wire_command_clear(&first);
    close(one);
    close(other);
}
END_TEST

static void make_large(int64_t i, bson_t *out, void *arg)
{
    static char text[1 << 20];

    (void)arg;
    memset(text, 'x', sizeof text);
    BSON_APPEND_INT64(out, "_id", i);
    bson_append_utf8(out, "text", -1, text, sizeof text);
}

START_TEST(a_client_that_does_not_read_gets_it_later)
{
    enum { REPLIES = 6 };
    int32_t opcode, response_to;
    int fd = dial();

    wire_collection(server, "db.c", 14, make_large, NULL);
    for (int32_t id = 1; id <= REPLIES; id++)
        ask(fd, id, "{\"find\": \"c\", \"$db\": \"db\"}");
    ck_assert(wire_wait_count(server, "find", REPLIES, WIRE_WAIT));
    ck_assert(pings()); /* the server is not stuck with it */
    for (int32_t id = 1; id <= REPLIES; id++) {
        bson_t *reply = hear(fd, &opcode, &response_to);

        ck_assert_int_eq(response_to, id);
        ck_assert_int_eq(number_in(reply, "cursor.firstBatch.13._id"), 13);
        bson_destroy(reply);
    }
    close(fd);
}
END_TEST

START_TEST(a_server_that_is_down_is_not_there)
{
    char byte;
    int fd = dial();

    answer_of(fd, "{\"ping\": 1, \"$db\": \"a\"}", "ok");
    wire_server_down(server, WIRE_FIN);
    ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);
    close(fd);
    ck_assert_int_lt(try_dial(), 0);
    ck_assert(wire_server_up(server));
    ck_assert(wire_server_up(server)); /* no harm */
    ck_assert(pings());
}
END_TEST

START_TEST(five_hundred_connections)
{
    enum { N = 500 };
    struct rlimit limit;
    int fds[N];

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 2 * N + 50)
        SKIP("only %llu descriptors", (unsigned long long)limit.rlim_cur);
    for (int i = 0; i < N; i++)
        fds[i] = dial();
    ck_assert(wire_wait_connections(server, N, WIRE_WAIT));
    for (int i = 0; i < N; i++)
        ask(fds[i], i, "{\"ping\": 1, \"$db\": \"a\"}");
    for (int i = 0; i < N; i++) {
        int32_t opcode, response_to;

        bson_destroy(hear(fds[i], &opcode, &response_to));
        ck_assert_int_eq(response_to, i);
    }
    ck_assert(wire_wait_clients(server, N, WIRE_WAIT));
    wire_server_hang_up(server, WIRE_FIN);
    ck_assert(wire_wait_clients(server, 0, WIRE_WAIT));
    for (int i = 0; i < N; i++)
        close(fds[i]);
}
END_TEST

START_TEST(timers_fire_in_order)
{
    enum { N = 20 };
    int fds[N];

    /* Later connections wait less: connection i for 5 * (N - i) ms. */
    for (int i = 0; i < N; i++) {
        fds[i] = dial();
        wire_rule_add(server, &(wire_rule_t){.command = "ping", .times = 1,
                                             .connection = i + 1,
                                             .delay_ms = 5 * (N - i)});
        ck_assert(wire_wait_connections(server, i + 1, WIRE_WAIT));
    }
    for (int i = 0; i < N; i++)
        ask(fds[i], i, "{\"ping\": 1, \"$db\": \"a\"}");
    for (int i = 0; i < N; i += 3)
        close(fds[i]); /* a timer may be removed from amid the heap */
    for (int i = 0; i < N; i++) {
        int32_t opcode, response_to;

        if (i % 3 == 0)
            continue;
        bson_destroy(hear(fds[i], &opcode, &response_to));
        ck_assert_int_eq(response_to, i);
        close(fds[i]);
    }
}
END_TEST

START_TEST(freed_while_commands_wait)
{
    wire_gate_t *gate = wire_gate_new(server);
    int held = dial();
    int delayed = dial();

    wire_rule_add(server, &(wire_rule_t){.command = "find", .gate = gate});
    wire_rule_add(server, &(wire_rule_t){.command = "ping",
                                         .delay_ms = 600000});
    ask(held, 1, "{\"find\": \"c\", \"$db\": \"a\"}");
    ask(delayed, 1, "{\"ping\": 1, \"$db\": \"a\"}");
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    ck_assert(wire_wait_count(server, "ping", 1, WIRE_WAIT));
    wire_server_pause(server); /* not even this stops the end */
    wire_server_free(server);
    server = NULL;
    close(held);
    close(delayed);
}
END_TEST

START_TEST(the_log_forgets_the_oldest)
{
    wire_options_t options = {.log_limit = 2, .log_hello = true};
    wire_command_t command;
    int fd;

    wire_server_free(server);
    server = wire_server_new(&options);
    ck_assert_ptr_nonnull(server);
    fd = dial();
    answer_of(fd, "{\"find\": \"c\", \"$db\": \"a\"}", "ok");
    answer_of(fd, "{\"hello\": 1, \"$db\": \"a\"}", "ok");
    answer_of(fd, "{\"ping\": 1, \"$db\": \"a\"}", "ok");
    ck_assert_uint_eq(wire_log_size(server), 2);
    ck_assert(wire_log_at(server, 0, &command));
    ck_assert_str_eq(command.name, "hello");
    wire_command_clear(&command);
    ck_assert(wire_log_at(server, 1, &command));
    ck_assert_str_eq(command.name, "ping");
    ck_assert_int_eq(command.sequence, 3);
    wire_command_clear(&command);
    close(fd);
}
END_TEST

START_TEST(a_port_that_is_taken_is_an_error)
{
    wire_options_t options = {.port = wire_server_port(server)};

    ck_assert_ptr_null(wire_server_new(&options));
}
END_TEST

SUITE(wire_faults)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, fin_and_rst_differ);
    tcase_add_test(tc, a_cut_reply_has_the_bytes_that_were_asked_for);
    tcase_add_test(tc, a_reply_may_be_rewritten);
    tcase_add_test(tc, raw_bytes_may_end_the_connection);
    tcase_add_test(tc, hello_is_scripted_only_by_name);
    tcase_add_test(tc, a_rule_may_mean_one_connection);
    tcase_add_test(tc, a_client_that_does_not_read_gets_it_later);
    tcase_add_test(tc, a_server_that_is_down_is_not_there);
    tcase_add_test(tc, five_hundred_connections);
    tcase_add_test(tc, timers_fire_in_order);
    tcase_add_test(tc, freed_while_commands_wait);
    tcase_add_test(tc, the_log_forgets_the_oldest);
    tcase_add_test(tc, a_port_that_is_taken_is_an_error);
}
