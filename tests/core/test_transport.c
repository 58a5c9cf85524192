/* SPDX-License-Identifier: Apache-2.0 */
/* test_transport.c - what a cut does: to the operation, to the worker, on the
 * server.  How fast: test_transport_time.c. */
#include "tests/core/cut.h"

#include <sys/socket.h>
#include <unistd.h>

#include "core/op.h"
#include "core/transport.h"

/* ---- the worker is free ------------------------------------------------- */

/* The gate stays shut: nobody is waiting at the server any more. */
START_TEST(a_cut_frees_the_worker)
{
    scene_t *s = cut_scene("{'workers': 1}", NO_RETRIES);
    cut_t *c = cut_hang(s, (cut_kind_t)_i);

    ck_kind(s->client, "'stator'");
    ck_assert(stator_future_cancel(c->future));
    ck_cancelled(c->future, STATOR_MAYBE_SENT);
    ck_done(ask_one(s, NULL));
    await_stat(s->client, "zombies", 0);
    ck_stat(s->client, "transport.cuts", 1);
    ck_stat(s->client, "transport.refusals", 0);
    cut_free(c);
    scene_free(s);
}
END_TEST

/* T4: the driver would ask again; it may greet the server, no more. */
START_TEST(a_cut_is_not_retried)
{
    scene_t *s = cut_scene("{'workers': 1}", RETRIES);
    cut_t *c = cut_hang(s, (cut_kind_t)_i);

    ck_assert(stator_future_cancel(c->future));
    ck_done(ask_one(s, NULL));
    ck_assert_int_eq(wire_gate_held(s->gate), 0);
    ck_assert_int_eq(wire_count(s->server, cut_commands[c->kind]),
                     c->kind == CUT_FIND ? 2 : 1); /* one is ask_one's */
    cut_free(c);
    scene_free(s);
}
END_TEST

/* The same without a cut: else the test above would prove nothing. */
START_TEST(without_a_cut_it_is_retried)
{
    scene_t *s = cut_scene("{'workers': 1}", RETRIES);
    const wire_rule_t closes = {.command = "find insert",
                                .collection = "things", .times = 1,
                                .action = WIRE_CLOSE};

    ck_done(ask_one(s, NULL));
    ck_assert_int_gt(wire_rule_add(s->server, &closes), 0);
    wire_log_clear(s->server);
    if (_i == CUT_FIND)
        ck_done(ask_one(s, NULL));
    else
        done(stator_collection_insert_one(s->things, J("{'a': 1}"), NULL));
    ck_assert_int_eq(wire_count(s->server, cut_commands[_i]), 2);
    scene_free(s);
}
END_TEST

/* ---- whose cut it is ---------------------------------------------------- */

static bool is_shut(int peer)
{
    char byte;

    return recv(peer, &byte, 1, MSG_DONTWAIT) == 0;
}

/* T2: whoever cancels may have looked for the transport before, and come to
 * it after the next operation has begun. */
START_TEST(a_late_cut_is_for_its_own_operation)
{
    scene_t *s = cut_scene("{'workers': 1}", NO_RETRIES);
    struct stc_op first = {0}, second = {0};
    struct stc_network network = {0};
    struct stc_transport t = {0};
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    stc_network_init(&network, s->client, true, false);
    stc_transport_init(&t, &network);
    stc_transport_begin(&t, &first);
    ck_assert(stc_transport_arm(&t, pair[0]));
    ck_assert(stc_transport_disarm(&t));
    ck_assert(!stc_transport_end(&t, &first));
    stc_transport_begin(&t, &second);
    ck_assert(stc_transport_arm(&t, pair[0]));
    ck_assert(stc_transport_cut(&t, &first));
    ck_assert(!is_shut(pair[1]));
    ck_assert(!stc_transport_is_cut(&t));
    ck_assert(stc_transport_cut(&t, &second));
    ck_assert(is_shut(pair[1]));
    ck_assert(!stc_transport_disarm(&t));
    ck_assert(!stc_transport_arm(&t, pair[0])); /* T4 */
    ck_assert(stc_transport_end(&t, &second));
    stc_transport_destroy(&t);
    close(pair[0]);
    close(pair[1]);
    scene_free(s);
}
END_TEST

/* ---- a greeting is never cut -------------------------------------------- */

static bool is_later(const wire_command_t *command, void *arg)
{
    return command->connection > *(int64_t *)arg;
}

/* A worker's second connection is being greeted when its operation is
 * cancelled. */
START_TEST(a_greeting_is_not_cut)
{
    static int64_t last;
    scene_t *s = cut_scene("{'workers': 2}", RETRIES);
    wire_gate_t *greeting = wire_gate_new(s->server);
    wire_stats_t before, after;
    stator_future_t *f;
    int64_t hellos;

    hold_worker(s);
    wire_stats(s->server, &before);
    last = before.connections_total;
    ck_assert_int_gt(wire_rule_add(s->server,
                                   &(wire_rule_t){.command = "hello",
                                                  .predicate = is_later,
                                                  .arg = &last,
                                                  .gate = greeting}), 0);
    f = lend(stator_collection_insert_one(s->things, J("{'a': 1}"), NULL));
    ck_assert(wire_gate_wait_held(greeting, 1, WIRE_WAIT));
    ck_assert(stator_future_cancel(f));
    ck_cancelled(f, STATOR_NOT_SENT);
    ck_stat(s->client, "transport.cuts", 0);
    ck_stat(s->client, "zombies", 1);
    ck_assert_int_eq(wire_gate_held(greeting), 1); /* it goes on */
    hellos = before.hellos;
    wire_gate_open(greeting);
    await_stat(s->client, "zombies", 0);
    ck_assert_int_eq(wire_count(s->server, "insert"), 0);
    done(stator_collection_insert_one(s->things, J("{'a': 1}"), NULL));
    wire_stats(s->server, &after);
    ck_assert_int_ge(after.hellos, hellos + 1);
    ck_assert_int_eq(wire_count(s->server, "insert"), 1);
    scene_free(s);
}
END_TEST

/* ---- outcomes ----------------------------------------------------------- */

START_TEST(what_no_worker_has_taken_is_not_sent)
{
    scene_t *s = cut_scene("{'workers': 1}", NO_RETRIES);
    cut_t *c = cut_hang(s, CUT_FIND);
    stator_future_t *f = lend(
        stator_collection_insert_one(s->things, J("{'a': 1}"), NULL));

    ck_assert(stator_future_cancel(f));
    ck_cancelled(f, STATOR_NOT_SENT);
    ck_assert(stator_future_cancel(c->future));
    ck_done(ask_one(s, NULL));
    ck_assert_int_eq(wire_count(s->server, "insert"), 0);
    cut_free(c);
    scene_free(s);
}
END_TEST

/* The server was asked of a cursor's find, and the cursor says so ever after,
 * as it has lost its place. */
START_TEST(a_cursor_that_was_cut_has_failed)
{
    scene_t *s = cut_scene("{'workers': 1}", NO_RETRIES);
    cut_t *c = cut_hang(s, CUT_MORE);
    stator_future_t *f;

    ck_assert(stator_future_cancel(c->future));
    f = lend(stator_cursor_next(c->cursor));
    ck_says(f, "given up");
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_FAILED);
    ck_assert_int_eq(stator_future_origin(f), STATOR_ORIGIN_STATOR);
    ck_assert_int_eq(wire_count(s->server, "getMore"), 1);
    await_stat(s->client, "leases", 0);
    cut_free(c);
    scene_free(s);
}
END_TEST

/* insert_many in two messages, cut while the second one waits: the first has
 * been sent, so nobody can say that nothing was. */
START_TEST(a_cut_between_two_messages)
{
    enum { EACH = 10000000 };
    scene_t *s = cut_scene("{'workers': 1}", RETRIES);
    const bson_t *big[6];
    stator_future_t *f;

    for (int i = 0; i < 6; i++)
        big[i] = lib_big(i, EACH);
    wire_rule_add(s->server, &(wire_rule_t){.command = "insert", .skip = 1,
                                            .gate = s->gate});
    f = lend(stator_collection_insert_many(s->things, big, 6, NULL));
    ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
    ck_assert_int_eq(wire_count(s->server, "insert"), 2);
    ck_assert(stator_future_cancel(f));
    ck_cancelled(f, STATOR_MAYBE_SENT);
    ck_done(ask_one(s, NULL));
    ck_assert_int_eq(wire_count(s->server, "insert"), 2);
    scene_free(s);
}
END_TEST

/* The first answer waits for the gate, the cancel comes, the second message
 * is never written. */
START_TEST(the_second_message_is_not_written_after_a_cut)
{
    enum { EACH = 10000000 };
    scene_t *s = cut_scene("{'workers': 1}", RETRIES);
    const bson_t *big[6];
    stator_future_t *f;

    for (int i = 0; i < 6; i++)
        big[i] = lib_big(i, EACH);
    f = lend(stator_collection_insert_many(s->held, big, 6, NULL));
    ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
    ck_assert(stator_future_cancel(f));
    ck_cancelled(f, STATOR_MAYBE_SENT);
    ck_done(ask_one(s, NULL));
    ck_assert_int_eq(wire_count(s->server, "insert"), 1);
    scene_free(s);
}
END_TEST

/* No answer is due, so nothing stays armed: the connection serves on. */
START_TEST(unacknowledged_writes_leave_nothing_armed)
{
    scene_t *s = cut_scene("{'workers': 1}", NO_RETRIES "&w=0");
    wire_stats_t before, after;

    done(stator_collection_insert_one(s->things, J("{'a': 0}"), NULL));
    wire_stats(s->server, &before);
    for (int i = 0; i < 200; i++) {
        stator_future_t *f = stator_collection_insert_one(
            s->things, J("{'a': %d}", i), NULL);

        if (i % 2 == 0)
            stator_future_cancel(f);
        ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
        ck_assert_int_eq(stator_future_outcome(f) == STATOR_ANSWERED, false);
        stator_future_unref(f);
    }
    ck_done(ask_one(s, NULL));
    wire_stats(s->server, &after);
    printf("unacknowledged: %" PRId64 " written, %" PRId64 " cut\n",
           after.unacknowledged - before.unacknowledged,
           stat_of(s->client, "transport.cuts"));
    /* One reconnects only after a cut, or when it came before the write. */
    ck_assert_int_le(after.connections_total - before.connections_total,
                     stat_of(s->client, "cancelled"));
    ck_assert_int_ge(after.unacknowledged - before.unacknowledged, 100);
    scene_free(s);
}
END_TEST

/* ---- the server is told ------------------------------------------------- */

static bool find_log(scene_t *s, const char *name, int i, wire_command_t *out)
{
    return wire_log_find(s->server, name, (size_t)i, out);
}

/* killSessions of the very session that the command had. */
START_TEST(an_abandoned_operation_is_killed_if_asked_for)
{
    scene_t *s = cut_scene("{'workers': 1, 'abandoned': 'kill'}", RETRIES);
    cut_t *c = cut_hang(s, (cut_kind_t)_i);
    wire_command_t cut, kill;
    bson_subtype_t subtype;
    const uint8_t *id;
    bson_iter_t i, found;
    uint32_t n;

    ck_assert(stator_future_cancel(c->future));
    ck_assert(wire_wait_count(s->server, "killSessions", 1, WIRE_WAIT));
    await_idle(s->client);
    ck_assert_int_eq(wire_count(s->server, "killSessions"), 1);
    ck_assert(find_log(s, cut_commands[c->kind], 0, &cut));
    ck_assert(find_log(s, "killSessions", 0, &kill));
    ck_assert(cut.has_lsid);
    ck_assert_int_gt(kill.sequence, cut.sequence);
    ck_assert(bson_iter_init(&i, kill.document) &&
              bson_iter_find_descendant(&i, "killSessions.0.id", &found) &&
              BSON_ITER_HOLDS_BINARY(&found));
    bson_iter_binary(&found, &subtype, &n, &id);
    ck_assert_int_eq(subtype, BSON_SUBTYPE_UUID);
    ck_assert_uint_eq(n, sizeof cut.lsid);
    ck_assert_mem_eq(id, cut.lsid, n);
    wire_command_clear(&cut);
    wire_command_clear(&kill);
    cut_free(c);
    scene_free(s);
}
END_TEST

START_TEST(an_abandoned_operation_is_left_otherwise)
{
    scene_t *s = cut_scene(_i == 0 ? "{'workers': 1}"
                                   : "{'workers': 1, 'abandoned': 'leave'}",
                           RETRIES);
    cut_t *c = cut_hang(s, CUT_INSERT);

    ck_assert(stator_future_cancel(c->future));
    ck_done(ask_one(s, NULL));
    ck_assert_int_eq(wire_count(s->server, "killSessions"), 0);
    cut_free(c);
    scene_free(s);
}
END_TEST

/* The cursor stays on the server unless it is told, in its own session. */
START_TEST(a_cursor_that_was_cut_is_killed)
{
    scene_t *s = cut_scene("{'workers': 1}", NO_RETRIES);
    cut_t *c = cut_hang(s, CUT_MORE);
    wire_command_t more, kill;

    ck_assert(stator_future_cancel(c->future));
    ck_assert(wire_wait_cursors(s->server, 0, WIRE_WAIT));
    await_idle(s->client);
    ck_assert(find_log(s, "getMore", 0, &more));
    ck_assert(find_log(s, "killCursors", 0, &kill));
    ck_assert_int_eq(wire_count(s->server, "killCursors"), 1);
    ck_assert(more.has_lsid && kill.has_lsid);
    ck_assert_mem_eq(more.lsid, kill.lsid, sizeof more.lsid);
    wire_command_clear(&more);
    wire_command_clear(&kill);
    cut_free(c);
    scene_free(s);
}
END_TEST

SUITE(core_transport)
{
    tcase_add_loop_test(tc, a_cut_frees_the_worker, 0, CUT_KINDS);
    tcase_add_loop_test(tc, a_cut_is_not_retried, 0, CUT_KINDS);
    tcase_add_loop_test(tc, without_a_cut_it_is_retried, 0, CUT_MORE);
    tcase_add_test(tc, a_late_cut_is_for_its_own_operation);
    tcase_add_test(tc, a_greeting_is_not_cut);
    tcase_add_test(tc, what_no_worker_has_taken_is_not_sent);
    tcase_add_test(tc, a_cursor_that_was_cut_has_failed);
    tcase_add_test(tc, a_cut_between_two_messages);
    tcase_add_test(tc, the_second_message_is_not_written_after_a_cut);
    tcase_add_test(tc, unacknowledged_writes_leave_nothing_armed);
    tcase_add_loop_test(tc, an_abandoned_operation_is_killed_if_asked_for, 0,
                        CUT_KINDS);
    tcase_add_loop_test(tc, an_abandoned_operation_is_left_otherwise, 0, 2);
    tcase_add_test(tc, a_cursor_that_was_cut_is_killed);
}
