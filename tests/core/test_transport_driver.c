/* SPDX-License-Identifier: Apache-2.0 */
/* test_transport_driver.c - adopted pools, and clients that use the driver's
 * own streams. */
#include "tests/core/cut.h"
#include "tests/harness/stopwatch.h"

#include <semaphore.h>

/* ---- an adopted pool ---------------------------------------------------- */

/* The user's own pool has had a connection. */
static void use(mongoc_client_pool_t *pool)
{
    mongoc_client_t *client = mongoc_client_pool_pop(pool);
    bson_error_t error;

    ck_assert_msg(mongoc_client_command_simple(client, "admin",
                                               J("{'ping': 1}"), NULL, NULL,
                                               &error),
                  "%s", error.message);
    mongoc_client_pool_push(pool, client);
}

static bool is_used; /* the pool of the next adopted_with */

static scene_t *adopted_with(const char *opts, const char *extra,
                             mongoc_apm_callbacks_t *callbacks)
{
    scene_t *s = cut_scene("{'workers': 1}", extra);
    bson_error_t error = {0};
    mongoc_client_pool_t *pool;
    mongoc_uri_t *uri = mongoc_uri_new(s->uri);

    done(stator_client_close(s->client, NULL)); /* it was never used */
    stator_collection_unref(s->things);
    stator_collection_unref(s->held);
    stator_client_unref(s->client);
    pool = mongoc_client_pool_new(uri);
    mongoc_uri_destroy(uri);
    ck_assert_ptr_nonnull(pool);
    if (callbacks != NULL)
        mongoc_client_pool_set_apm_callbacks(pool, callbacks, NULL);
    if (is_used)
        use(pool);
    s->client = stator_client_new_from_pool(pool, J("%s", opts), &error);
    ck_assert_msg(s->client != NULL, "%s", error.message);
    s->things = stator_client_get_collection(s->client, "core", "things");
    s->held = stator_client_get_collection(s->client, "core", "held");
    return s;
}

static scene_t *adopted(const char *opts, const char *extra)
{
    return adopted_with(opts, extra, NULL);
}

static sem_t has_answered, may_go_on;

static void on_end(const char *command)
{
    if (strcmp(command, "find") != 0 && strcmp(command, "insert") != 0)
        return;
    sem_post(&has_answered);
    sem_wait(&may_go_on);
}

static void on_success(const mongoc_apm_command_succeeded_t *event)
{
    on_end(mongoc_apm_command_succeeded_get_command_name(event));
}

static void on_failure(const mongoc_apm_command_failed_t *event)
{
    on_end(mongoc_apm_command_failed_get_command_name(event));
}

/* The answer is here, or none is due, and the operation has not ended: its
 * connection is whole, and its session may be another operation's in no
 * time. */
START_TEST(an_operation_that_was_answered_is_not_cut)
{
    static const char *const extra[] = {NO_RETRIES, NO_RETRIES,
                                        NO_RETRIES "&w=0"};
    mongoc_apm_callbacks_t *callbacks = mongoc_apm_callbacks_new();
    scene_t *s;
    stator_future_t *f;

    sem_init(&has_answered, 0, 0);
    sem_init(&may_go_on, 0, 0);
    mongoc_apm_set_command_succeeded_cb(callbacks, on_success);
    mongoc_apm_set_command_failed_cb(callbacks, on_failure);
    s = adopted_with("{'workers': 1, 'transport': 'stator', "
                     "'abandoned': 'kill'}", extra[_i], callbacks);
    mongoc_apm_callbacks_destroy(callbacks);
    if (_i == 1)
        wire_rule_add(s->server, &(wire_rule_t){.command = "find",
                                                .collection = "things",
                                                .action = WIRE_ERROR});
    f = _i < 2 ? ask_one(s, NULL)
               : lend(stator_collection_insert_one(s->things,
                                                   J("{'a': 1}"), NULL));
    sem_wait(&has_answered);
    ck_assert(stator_future_cancel(f));
    ck_cancelled(f, STATOR_MAYBE_SENT);
    sem_post(&may_go_on);
    done(stator_client_ping(s->client, NULL));
    ck_assert_int_eq(wire_count(s->server, "killSessions"), 0);
    ck_stat(s->client, "transport.cuts", 0);
    ck_stat(s->client, "transport.dials", 1);
    scene_free(s);
    sem_destroy(&has_answered);
    sem_destroy(&may_go_on);
}
END_TEST

/* Nothing can be cut: the future settles at once, the worker comes free when
 * socketTimeoutMS is over, and says until then that it is one to wait for. */
static void ck_abandons(scene_t *s)
{
    int64_t since = 0, took = INT64_MAX, zombies = 0, busy = 0;

    for (chances_t c = {0}; took >= 400000 && chances_next(&c);) {
        stator_future_t *f = hold_worker(s);

        since = now_us();
        ck_assert(stator_future_cancel(f));
        ck_cancelled(f, STATOR_MAYBE_SENT);
        zombies = stat_of(s->client, "zombies");
        busy = stat_of(s->client, "busy");
        took = now_us() - since;
        if (took >= 400000)
            await_stat(s->client, "zombies", 0);
    }
    ck_assert_int_lt(took, 400000);
    ck_assert_int_eq(zombies, 1);
    ck_assert_int_eq(busy, 1);
    ck_kind(s->client, "'driver'");
    await_stat(s->client, "zombies", 0);
    ck_assert_int_ge(now_us() - since, 400000);
    ck_stat(s->client, "transport.cuts", 0);
    ck_stat(s->client, "transport.dials", 0);
    ck_done(ask_one(s, NULL));
    scene_free(s);
}

#define SOCKET_LIMIT NO_RETRIES "&socketTimeoutMS=500"

START_TEST(an_adopted_pool_keeps_the_drivers_streams)
{
    ck_abandons(adopted("{'workers': 1}", SOCKET_LIMIT));
}
END_TEST

START_TEST(the_drivers_streams_can_be_asked_for)
{
    ck_abandons(cut_scene("{'workers': 1, 'transport': 'driver'}",
                          SOCKET_LIMIT));
}
END_TEST

START_TEST(an_adopted_pool_can_be_cut_if_asked_for)
{
    scene_t *s = adopted("{'workers': 1, 'transport': 'stator'}", NO_RETRIES);
    cut_t *c = cut_hang(s, (cut_kind_t)_i);

    ck_kind(s->client, "'stator'");
    ck_assert(stator_future_cancel(c->future));
    ck_done(ask_one(s, NULL));
    ck_stat(s->client, "transport.cuts", 1);
    cut_free(c);
    scene_free(s);
}
END_TEST

/* Only the driver can do what these ask for; nobody listens there in TLS, and
 * what counts is who has tried. */
START_TEST(some_options_need_the_drivers_streams)
{
    static const char *const options[] = {
        "tlsDisableOCSPEndpointCheck=true",
        "tlsDisableCertificateRevocationCheck=true"};
    char uri[256];
    bson_error_t error = {0};
    stator_client_t *client;
    stator_future_t *f;

    snprintf(uri, sizeof uri,
             "mongodb://127.0.0.1:1/?tls=true&serverSelectionTimeoutMS=100&"
             "%s", options[_i]);
    client = stator_client_new(uri, J("{'workers': 1}"), &error);
    ck_assert_msg(client != NULL, "%s", error.message);
    f = stator_client_ping(client, NULL);
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_kind(client, "'driver'");
    stator_future_unref(f);
    done(stator_client_close(client, NULL));
    stator_client_unref(client);
    lib_forget();
}
END_TEST

/* Its connections from before have the driver's streams, where nobody knows
 * what was sent. */
START_TEST(a_pool_that_was_used_never_says_not_sent)
{
    scene_t *s;
    stator_future_t *f;

    is_used = true;
    s = adopted("{'workers': 1, 'transport': 'stator'}", NULL);
    wire_rule_add(s->server, &(wire_rule_t){.command = "insert",
                                            .gate = s->gate});
    f = lend(stator_collection_insert_one(s->things, J("{}"), NULL));
    ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
    ck_assert(stator_future_cancel(f));
    ck_cancelled(f, STATOR_MAYBE_SENT);
    wire_gate_open(s->gate);
    scene_free(s);
}
END_TEST

SUITE(core_transport_driver)
{
    tcase_add_loop_test(tc, an_operation_that_was_answered_is_not_cut, 0, 3);
    tcase_add_test(tc, an_adopted_pool_keeps_the_drivers_streams);
    tcase_add_test(tc, the_drivers_streams_can_be_asked_for);
    tcase_add_loop_test(tc, an_adopted_pool_can_be_cut_if_asked_for, 0,
                        CUT_KINDS);
    tcase_add_test(tc, a_pool_that_was_used_never_says_not_sent);
    tcase_add_loop_test(tc, some_options_need_the_drivers_streams, 0, 2);
}
