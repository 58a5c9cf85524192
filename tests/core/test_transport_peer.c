/* SPDX-License-Identifier: Apache-2.0 */
/* test_transport_peer.c - what a bad peer and a dead one do: what the error
 * says, and how long a worker may be held. */
#include "tests/core/cut.h"
#include "tests/harness/stopwatch.h"

/* ---- what the error says ------------------------------------------------ */

static void of_another(const wire_command_t *command, wire_buffer_t *reply,
                       void *arg)
{
    (void)command;
    (void)arg;
    wire_buffer_set_int32(reply, 8, 12345);
}

static void too_short(const wire_command_t *command, wire_buffer_t *reply,
                      void *arg)
{
    (void)command;
    (void)arg;
    wire_buffer_set_int32(reply, 0, 15);
}

static void twice(const wire_command_t *command, wire_buffer_t *reply,
                  void *arg)
{
    size_t n = wire_buffer_size(reply);
    uint8_t *once = bson_malloc(n);

    (void)command;
    (void)arg;
    memcpy(once, wire_buffer_data(reply), n);
    wire_buffer_append(reply, once, n);
    bson_free(once);
}

static const struct {
    wire_rule_t rule;
    const char *text;
    bool is_refused;
} ends[] = {
    {{.action = WIRE_CLOSE, .end = WIRE_FIN},
     "the server closed the connection", false},
    {{.action = WIRE_CLOSE, .end = WIRE_RST}, "the connection was reset",
     false},
    {{.action = WIRE_CUT, .cut = 20, .end = WIRE_FIN},
     "the server closed the connection", false},
    {{.action = WIRE_CUT, .cut = 10, .end = WIRE_FIN},
     "the server closed the connection", false},
    {{.action = WIRE_SILENCE}, "no answer in time", false},
    {{.drip_ms = 20}, "no answer in time", false},
    {{.action = WIRE_REWRITE, .rewrite = of_another},
     "the server's answer is refused: the reply is for another request",
     true},
    {{.action = WIRE_REWRITE, .rewrite = too_short},
     "the server's answer is refused: the reply is shorter than its header",
     true},
};

enum { BOUND_US = 5000000 }; /* a goodbye takes 2 s at most */

#define LIMIT NO_RETRIES "&socketTimeoutMS=300"
#define NO_LIMIT NO_RETRIES "&socketTimeoutMS=600000"

/* The reason, in the future's own error; and the client goes on. */
START_TEST(the_error_says_why)
{
    bool is_waited_for = strstr(ends[_i].text, "in time") != NULL;
    scene_t *s = cut_scene("{'workers': 1}", is_waited_for ? LIMIT : NO_LIMIT);
    wire_rule_t rule = ends[_i].rule;
    stator_future_t *f;

    rule.command = "find";
    rule.collection = "things";
    rule.times = 1;
    ck_assert_int_gt(wire_rule_add(s->server, &rule), 0);
    f = ask_one(s, NULL);
    ck_says(f, ends[_i].text);
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_FAILED);
    ck_assert_int_eq(stator_future_origin(f), STATOR_ORIGIN_DRIVER);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_MAYBE_SENT);
    ck_stat(s->client, "transport.refusals", ends[_i].is_refused);
    ck_stat(s->client, "transport.cuts", 0);
    ck_done(ask_one(s, NULL));
    scene_free(s);
}
END_TEST

/* The first of two answers is good; the second one ends the connection before
 * anything more is written to it. */
START_TEST(two_answers_are_one_too_many)
{
    scene_t *s = cut_scene("{'workers': 1}", NO_LIMIT);
    stator_future_t *f;

    wire_rule_add(s->server, &(wire_rule_t){.command = "find", .times = 1,
                                            .collection = "things",
                                            .action = WIRE_REWRITE,
                                            .rewrite = twice});
    ck_done(ask_one(s, NULL));
    f = lend(stator_client_ping(s->client, NULL));
    ck_says(f, "more came than was asked for");
    ck_assert_int_eq(wire_count(s->server, "ping"), 0);
    ck_done(ask_one(s, NULL));
    scene_free(s);
}
END_TEST

/* ---- how long ----------------------------------------------------------- */

/* A second worker connects to a server that was stopped. */
START_TEST(a_greeting_is_bounded)
{
    scene_t *s = cut_scene("{'workers': 2}",
                           NO_RETRIES "&connectTimeoutMS=300");
    stator_future_t *f;
    stopwatch_t watch;

    hold_worker(s);
    wire_server_pause(s->server);
    watch = stopwatch_start();
    f = lend(stator_client_ping(s->client, NULL));
    ck_says(f, "no answer in time");
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    ck_assert_int_ge(now_us() - watch.since, 300000);
    ck_assert_int_lt(stopwatch_us(&watch), 2000000);
    wire_server_resume(s->server);
    scene_free(s);
}
END_TEST

/* A cursor with a lease, on a server that was stopped, is closed. */
static stator_cursor_t *leave_open(scene_t *s)
{
    stator_collection_t *paged =
        stator_client_get_collection(s->client, "core", "paged");
    stator_cursor_t *c =
        stator_collection_find(paged, NULL, J("{'batchSize': 2}"));

    stator_collection_unref(paged);
    ck_assert_ptr_nonnull(
        stator_future_document(done(stator_cursor_next(c))));
    ck_stat(s->client, "leases", 1);
    wire_server_pause(s->server);
    return c;
}

START_TEST(a_goodbye_is_bounded)
{
    scene_t *s = cut_scene("{'workers': 1}", NO_RETRIES);
    stator_cursor_t *c = leave_open(s);
    stopwatch_t watch = stopwatch_start();

    if (_i == 0) {
        stator_future_t *f = stator_cursor_close(c);

        ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
        stator_future_unref(f);
    }
    stator_cursor_unref(c);
    ck_assert_int_lt(stopwatch_us(&watch), BOUND_US);
    await_stat(s->client, "leases", 0);
    await_idle(s->client);
    printf("goodbye to a stopped server: %" PRId64 " ms\n",
           (now_us() - watch.since) / 1000);
    ck_assert_int_lt(stopwatch_us(&watch), BOUND_US);
    wire_server_resume(s->server);
    scene_free(s);
}
END_TEST

static void await_no_threads(const stopwatch_t *watch, int64_t most_us)
{
    await_threads("stator/", 0);
    printf("closed, and no thread left, after %" PRId64 " ms\n",
           (now_us() - watch->since) / 1000);
    ck_assert_int_lt(stopwatch_us(watch), most_us);
}

/* The client is closed: how long its threads go on. */
START_TEST(a_close_of_a_stopped_server)
{
    static const struct {
        const char *opts;
        int64_t settled_us, over_us;
    } ways[] = {
        {"{'mode': 'abort'}", 500000, 1500000},
        {"{'mode': 'cancel', 'timeoutMS': 10000}", 7000000, 8000000},
        {"{'mode': 'drain', 'timeoutMS': 300}", 1000000, 2000000},
    };
    scene_t *s = cut_scene("{'workers': 2}", NO_RETRIES);
    stator_cursor_t *c;
    stator_future_t *f;
    stopwatch_t watch;

    f = hold_worker(s);
    c = leave_open(s);
    watch = stopwatch_start();
    close_with(s, ways[_i].opts);
    ck_assert_int_lt(stopwatch_us(&watch), ways[_i].settled_us);
    ck_assert_int_ne(stator_future_poll(f), STATOR_FUTURE_PENDING);
    await_no_threads(&watch, ways[_i].over_us);
    wire_server_resume(s->server);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

SUITE(core_transport_peer)
{
    tcase_add_loop_test(tc, the_error_says_why, 0,
                        (int)(sizeof ends / sizeof *ends));
    tcase_add_test(tc, two_answers_are_one_too_many);
    tcase_add_test(tc, a_greeting_is_bounded);
    tcase_add_loop_test(tc, a_goodbye_is_bounded, 0, 2);
    tcase_add_loop_test(tc, a_close_of_a_stopped_server, 0, 3);
}
