/* SPDX-License-Identifier: Apache-2.0 */
/* test_failover.c - a replica set whose primary dies or steps down: what the
 * loop is told, where the next operation goes.
 *
 * Each runs on Stator's transport and on the driver's own streams. */
#include "tests/core/ears.h"
#include "tests/core/support.h"
#include "tests/wire/wire_set.h"

static const char *const transports[] = {"stator", "driver"};

enum { N_TRANSPORTS = sizeof transports / sizeof transports[0] };

static bool is_ours(int transport)
{
    return transport == 0;
}

typedef struct {
    wire_set_t *set;
    stator_client_t *client;
    stator_collection_t *things;
    ears_t *ears;
    char host[3][32];
} stand_t;

/* Three members; member 1 is of dc "a", member 2 of dc "b". */
static stand_t stand_new(int transport, const char *extra)
{
    stand_t t = {.set = wire_set_new(3, 20)};
    char uri[WIRE_URI_SIZE];
    bson_error_t error;

    ck_assert_ptr_nonnull(t.set);
    t.set->tags[0] = t.set->tags[1] = "dc:a";
    t.set->tags[2] = "dc:b";
    wire_set_tell(t.set);
    for (int i = 0; i < 3; i++)
        wire_set_host(t.set, i, t.host[i], sizeof t.host[i]);
    t.client = stator_client_new(
        wire_set_uri(t.set, extra, uri, sizeof uri),
        J("{'workers': 1, 'transport': '%s'}", transports[transport]),
        &error);
    ck_assert_msg(t.client != NULL, "%s", error.message);
    t.things = stator_client_get_collection(t.client, "core", "things");
    t.ears = ears_new(t.client, NULL);
    return t;
}

/* All members are known. */
static void stand_settle(stand_t *t)
{
    done(stator_client_ping(t->client, NULL));
    ears_await_that(t->ears, "topologyDescriptionChanged", "servers.2.address",
                    at(J("{'a': '%s'}", t->host[2]), "a"));
}

static void stand_free(stand_t *t)
{
    done(stator_client_close(t->client, NULL));
    ears_listen(t->ears);
    ck_assert_str_eq(t->ears->heard[t->ears->n - 1].name, "topologyClosed");
    ears_free(t->ears);
    stator_collection_unref(t->things);
    stator_client_unref(t->client);
    lib_forget();
    wire_set_free(t->set);
}

static int64_t count_at(const stand_t *t, int member, const char *command)
{
    return wire_count(t->set->members[member], command);
}

/* It has been told that `member` is now a server of that type. */
static bool is_told(const stand_t *t, int from, int member, const char *type)
{
    for (int i = from; i < t->ears->n; i++) {
        const heard_t *h = &t->ears->heard[i];

        if (h->type == STATOR_EVENT_SERVER_DESCRIPTION_CHANGED &&
            strcmp(h->host, t->host[member]) == 0 &&
            strcmp(at(h->current, "type"), type) == 0)
            return true;
    }
    return false;
}

static void await_told(stand_t *t, int from, int member, const char *type)
{
    int64_t until = now_us() + LIB_PATIENCE_MS * (int64_t)1000;

    while (!is_told(t, from, member, type)) {
        ck_assert_msg(now_us() < until, "member %d did not become %s", member,
                      type);
        (void)stator_dispatcher_run_once(t->ears->dispatcher, 100);
    }
}

static stator_future_t *insert(stand_t *t)
{
    return stator_collection_insert_one(t->things, J("{'a': 1}"), NULL);
}

/* The driver retries a write whose connection is lost, but not one for which it
 * has to connect first and can not: then it is the user's to repeat, and safe,
 * for nothing was sent. */
static void done_in_one_go_or_two(stand_t *t, stator_future_t *f)
{
    bson_error_t error = {0};

    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    if (stator_future_error(f, &error)) {
        printf("in two goes: %s\n", error.message);
        ck_assert_uint_eq(error.domain, MONGOC_ERROR_STREAM);
        done(insert(t));
    }
    stator_future_unref(f);
}

/* ---- the primary goes ---------------------------------------------------- */

START_TEST(a_dead_primary_is_told_and_the_next_write_goes_to_the_new_one)
{
    stand_t t = stand_new(_i, "heartbeatFrequencyMS=500");
    stator_future_t *f;
    int from;

    stand_settle(&t);
    done(insert(&t));
    ck_assert_int_eq(count_at(&t, 0, "insert"), 1);
    ears_listen(t.ears);
    from = t.ears->n;
    wire_set_down(t.set, 0, WIRE_RST);
    f = insert(&t); /* the driver retries it by itself */
    await_told(&t, from, 0, "'Unknown'");
    ears_await(t.ears, "serverHeartbeatFailed", 0);
    ears_await_that(t.ears, "topologyDescriptionChanged", "type",
                    "'ReplicaSetNoPrimary'");
    wire_set_elect(t.set, 1);
    await_told(&t, from, 1, "'RSPrimary'");
    done_in_one_go_or_two(&t, f);
    ck_assert_int_eq(count_at(&t, 1, "insert"), 1);
    ck_assert_int_eq(count_at(&t, 2, "insert"), 0);
    done(insert(&t)); /* and so do all that come later */
    ck_assert_int_eq(count_at(&t, 1, "insert"), 2);

    ck_assert(wire_set_up(t.set, 0)); /* it comes back as a secondary */
    await_told(&t, from, 0, "'RSSecondary'");
    done(insert(&t));
    ck_assert_int_eq(count_at(&t, 1, "insert"), 3);
    ck_assert_int_eq(count_at(&t, 0, "insert"), 1);
    stand_free(&t);
}
END_TEST

/* It says so itself, in its answer to a write that it holds already. */
START_TEST(a_write_follows_a_primary_that_steps_down)
{
    stand_t t = stand_new(_i, NULL);
    wire_gate_t *gate = wire_gate_new(t.set->members[0]);
    stator_future_t *f;

    stand_settle(&t);
    wire_rule_add(t.set->members[0],
                  &(wire_rule_t){.command = "insert",
                                 .gate = gate,
                                 .action = WIRE_ERROR,
                                 .code = 10107,
                                 .labels = "RetryableWriteError"});
    f = insert(&t);
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    wire_set_elect(t.set, 2);
    wire_gate_open(gate);
    done(f);
    ck_assert_int_eq(count_at(&t, 0, "insert"), 1);
    ck_assert_int_eq(count_at(&t, 2, "insert"), 1);
    await_told(&t, 0, 2, "'RSPrimary'");
    stand_free(&t);
}
END_TEST

/* Members that answer each heartbeat at once, as old ones do. */
START_TEST(polled_members_are_followed_too)
{
    stand_t t = stand_new(_i, "heartbeatFrequencyMS=500");
    int from;

    t.set->polled = true;
    wire_set_tell(t.set);
    stand_settle(&t);
    done(insert(&t));
    ears_listen(t.ears);
    from = t.ears->n;
    wire_set_down(t.set, 0, WIRE_FIN);
    await_told(&t, from, 0, "'Unknown'");
    wire_set_elect(t.set, 2);
    done_in_one_go_or_two(&t, insert(&t));
    ck_assert_int_eq(count_at(&t, 2, "insert"), 1);
    await_told(&t, from, 2, "'RSPrimary'");
    for (int i = 0; i < t.ears->n; i++)
        ck_assert(!t.ears->heard[i].awaited);
    stand_free(&t);
}
END_TEST

/* News of it come when there are some, not with the next heartbeat. */
START_TEST(awaited_heartbeats_bring_news_at_once)
{
    stand_t t = stand_new(_i, "heartbeatFrequencyMS=60000");
    int from;

    stand_settle(&t);
    for (int i = 1; i < 5; i++) {
        from = t.ears->n;
        wire_set_elect(t.set, i % 3);
        await_told(&t, from, i % 3, "'RSPrimary'");
    }
    stand_free(&t);
}
END_TEST

/* ---- where reads go ------------------------------------------------------ */

static void read_times(stand_t *t, int n, const char *preference)
{
    while (n-- > 0)
        done(stator_collection_find_one(
            t->things, NULL, J("{'readPreference': %s}", preference)));
}

START_TEST(reads_go_where_they_are_wanted)
{
    stand_t t = stand_new(_i, "localThresholdMS=10000");
    stator_future_t *f;

    stand_settle(&t);
    read_times(&t, 10, "{'mode': 'primary'}");
    ck_assert_int_eq(count_at(&t, 0, "find"), 10);
    read_times(&t, 10, "{'mode': 'secondary'}");
    ck_assert_int_eq(count_at(&t, 0, "find"), 10);
    ck_assert_int_eq(count_at(&t, 1, "find") + count_at(&t, 2, "find"), 10);
    for (int i = 0; i < 3; i++)
        wire_log_clear(t.set->members[i]);
    read_times(&t, 10, "{'mode': 'nearest', 'tags': [{'dc': 'b'}]}");
    ck_assert_int_eq(count_at(&t, 2, "find"), 10);
    read_times(&t, 10, "{'mode': 'secondaryPreferred', "
                       "'tags': [{'dc': 'x'}, {'dc': 'a'}]}");
    ck_assert_int_eq(count_at(&t, 1, "find"), 10);
    read_times(&t, 10, "{'mode': 'nearest', 'maxStalenessSeconds': 90}");
    ck_assert_int_eq(count_at(&t, 0, "find") + count_at(&t, 1, "find") +
                         count_at(&t, 2, "find"),
                     30);
    f = stator_collection_find_one(
        t.things, NULL,
        J("{'readPreference': {'mode': 'secondary', "
          "'maxStalenessSeconds': 10}}"));
    fails(f, MONGOC_ERROR_COMMAND, MONGOC_ERROR_COMMAND_INVALID_ARG,
          "maxStalenessSeconds");
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    stand_free(&t);
}
END_TEST

/* Every member counts cursors of its own, and knows no other's. */
START_TEST(a_getmore_goes_where_its_find_went)
{
    stand_t t = stand_new(_i, "localThresholdMS=10000");

    stand_settle(&t);
    for (int i = 0; i < 8; i++) {
        stator_cursor_t *c = stator_collection_find(
            t.things, NULL,
            J("{'batchSize': 5, 'readPreference': {'mode': 'secondary'}}"));

        ck_assert_int_eq(read_all(c), 20);
        stator_cursor_unref(c);
    }
    ck_assert_int_eq(count_at(&t, 0, "getMore"), 0);
    for (int i = 1; i < 3; i++)
        ck_assert_int_eq(count_at(&t, i, "getMore"),
                         4 * count_at(&t, i, "find"));
    stand_free(&t);
}
END_TEST

/* The driver's own retry takes the find to another member. */
START_TEST(a_getmore_follows_a_find_that_was_retried_elsewhere)
{
    stand_t t = stand_new(_i, "localThresholdMS=10000");
    wire_gate_t *gate = wire_gate_new(t.set->members[1]);
    stator_cursor_t *c;

    stand_settle(&t);
    read_times(&t, 1, "{'mode': 'secondary', 'tags': [{'dc': 'a'}]}");
    wire_log_clear(t.set->members[1]);
    /* Once lost it stays so: nobody greets it anew. */
    wire_rule_add(t.set->members[1],
                  &(wire_rule_t){.command = "hello", .gate = gate});
    wire_rule_add(t.set->members[1], &(wire_rule_t){.command = "find",
                                                    .action = WIRE_CLOSE,
                                                    .times = 1});
    c = stator_collection_find(
        t.things, NULL,
        J("{'batchSize': 5, 'readPreference': {'mode': 'secondary', "
          "'tags': [{'dc': 'a'}, {'dc': 'b'}]}}"));
    done(stator_cursor_next(c));
    wire_gate_open(gate);
    if (is_ours(_i)) {
        ck_assert_int_eq(read_all(c), 19);
        ck_assert_int_eq(count_at(&t, 2, "getMore"), 4);
    } else { /* which tell nobody where they went */
        fails(stator_cursor_to_list(c, 0), MONGOC_ERROR_SERVER, 43, "");
        done(stator_client_ping(t.client, NULL));
    }
    ck_assert_int_eq(count_at(&t, 1, "find"), 1);
    ck_assert_int_eq(count_at(&t, 2, "find"), 1);
    stator_cursor_unref(c);
    stand_free(&t);
}
END_TEST

SUITE(core_failover)
{
    tcase_add_loop_test(
        tc, a_dead_primary_is_told_and_the_next_write_goes_to_the_new_one, 0,
        N_TRANSPORTS);
    tcase_add_loop_test(tc, a_write_follows_a_primary_that_steps_down, 0,
                        N_TRANSPORTS);
    tcase_add_loop_test(tc, polled_members_are_followed_too, 0, N_TRANSPORTS);
    tcase_add_loop_test(tc, awaited_heartbeats_bring_news_at_once, 0,
                        N_TRANSPORTS);
    tcase_add_loop_test(tc, reads_go_where_they_are_wanted, 0, N_TRANSPORTS);
    tcase_add_loop_test(tc, a_getmore_goes_where_its_find_went, 0,
                        N_TRANSPORTS);
    tcase_add_loop_test(
        tc, a_getmore_follows_a_find_that_was_retried_elsewhere, 0,
        N_TRANSPORTS);
}
