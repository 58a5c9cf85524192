/* SPDX-License-Identifier: Apache-2.0 */
/* test_monitors.c - the driver's monitors on streams of ours: they ask, and
 * are answered much later. */
#include <stdatomic.h>

#include "core/client.h"
#include "tests/core/support.h"
#include "tests/harness/stopwatch.h"

#define GREETING                                                      \
    "{\"ok\": 1, \"isWritablePrimary\": true, \"ismaster\": true, "   \
    "\"helloOk\": true, \"maxBsonObjectSize\": 16777216, "            \
    "\"maxMessageSizeBytes\": 48000000, "                             \
    "\"maxWriteBatchSize\": 100000, \"minWireVersion\": 0, "          \
    "\"maxWireVersion\": 17, \"logicalSessionTimeoutMinutes\": 30, "  \
    "\"topologyVersion\": {\"processId\": {\"$oid\": "                \
    "\"60d0e7f0c0ffee0000000001\"}, "                                 \
    "\"counter\": {\"$numberLong\": \"1\"}}}"

static bool is_awaiting(const wire_command_t *command, void *arg)
{
    (void)arg;
    return bson_has_field(command->document, "maxAwaitTimeMS");
}

static bool hit_thrice(const wire_stats_t *stats, void *arg)
{
    (void)stats;
    return *(atomic_int *)arg >= 3;
}

static atomic_int awaited;

static bool count_awaiting(const wire_command_t *command, void *arg)
{
    bool is = is_awaiting(command, arg);

    awaited += is;
    return is;
}

/* The answer to an awaiting hello comes after connectTimeoutMS, byte by byte:
 * no connection may be lost by that. */
START_TEST(an_awaited_greeting_may_come_late_and_in_pieces)
{
    wire_server_t *server = wire_server_new(&(wire_options_t){0});
    char uri[WIRE_URI_SIZE];
    stator_client_t *client;
    bson_error_t error;
    wire_stats_t before, after;
    int seen;

    ck_assert_ptr_nonnull(server);
    awaited = 0;
    wire_rule_add(server, &(wire_rule_t){.command = "*",
                                         .predicate = count_awaiting,
                                         .delay_ms = 1000,
                                         .drip_ms = 1,
                                         .action = WIRE_REPLY,
                                         .reply_json = GREETING});
    wire_rule_add(server, &(wire_rule_t){.command = "hello",
                                         .action = WIRE_REPLY,
                                         .reply_json = GREETING});
    client = stator_client_new(
        wire_server_uri(server,
                        "connectTimeoutMS=800&heartbeatFrequencyMS=60000",
                        uri, sizeof uri),
        J("{'workers': 1}"), &error);
    ck_assert_msg(client != NULL, "%s", error.message);
    done(stator_client_ping(client, NULL));
    wire_stats(server, &before);
    seen = awaited;
    ck_assert(wire_wait_until(server, hit_thrice, &awaited, WIRE_WAIT));
    done(stator_client_ping(client, NULL));
    wire_stats(server, &after);
    printf("%d awaited greetings, %lld connections before, %lld after\n",
           awaited - seen, (long long)before.connections_total,
           (long long)after.connections_total);
    /* At most the monitor of round-trip times is new. */
    ck_assert_int_le(after.connections_total - before.connections_total, 1);
    ck_assert_int_eq(stat_of(client, "transport.dials"), 1);
    done(stator_client_close(client, NULL));
    stator_client_unref(client);
    lib_forget();
    wire_server_free(server);
}
END_TEST

/* A server that the monitors have lost is not looked for by the worker that
 * would tell it to end what was cut: that could take serverSelectionTimeoutMS,
 * 30 s. */
START_TEST(nothing_is_killed_on_a_server_that_is_lost)
{
    scene_t *s = scene_with_uri("{'workers': 1, 'abandoned': 'kill'}",
                                "heartbeatFrequencyMS=500&"
                                "connectTimeoutMS=500");
    stator_future_t *f, *late;
    bson_error_t error;
    stopwatch_t watch;

    f = hold_worker(s);
    wire_server_pause(s->server);
    do { /* until a monitor has said so */
        late = stator_collection_find_one(s->things, NULL,
                                          J("{'timeoutMS': 300}"));
        ck_assert_int_eq(stator_future_wait(late, LIB_PATIENCE_MS), 0);
        stator_future_unref(late);
        error.domain = MONGOC_ERROR_SERVER_SELECTION;
        error.message[0] = '\0';
        stc_reach_explain(&s->client->pool.reach, &error);
    } while (error.message[0] == '\0');
    watch = stopwatch_start();
    ck_assert(stator_future_cancel(f));
    await_stat(s->client, "busy", 0);
    printf("the worker is free after %lld ms\n",
           (long long)(now_us() - watch.since) / 1000);
    ck_assert_int_lt(stopwatch_us(&watch), 10000000);
    wire_server_resume(s->server);
    scene_free(s);
}
END_TEST

/* One member answers, another does not exist: what expires on the one is not
 * told as a loss of the other. */
START_TEST(a_lost_member_is_no_reason_for_what_only_waited)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *f;
    bson_error_t error;

    bson_strncpy(s->client->pool.reach.host, "nowhere:1",
                 sizeof s->client->pool.reach.host);
    bson_strncpy(s->client->pool.reach.message, "Connection refused",
                 sizeof s->client->pool.reach.message);
    hold_worker(s);
    f = ask_one(s, "{'timeoutMS': 50}"); /* stays in the queue */
    ck_expired(f);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    ck_assert(stator_future_error(f, &error));
    ck_assert_ptr_null(strstr(error.message, "nowhere"));
    scene_free(s);
}
END_TEST

SUITE(core_monitors)
{
    tcase_add_test(tc, nothing_is_killed_on_a_server_that_is_lost);
    tcase_add_test(tc, a_lost_member_is_no_reason_for_what_only_waited);
    tcase_add_test(tc, an_awaited_greeting_may_come_late_and_in_pieces);
}
