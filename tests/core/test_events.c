/* SPDX-License-Identifier: Apache-2.0 */
/* test_events.c - what the driver tells arrives on the dispatcher, in order,
 * as values; nobody waits for who listens; contexts go with operations. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/client.h"
#include "tests/core/ears.h"
#include "tests/core/support.h"

#define COMMANDS \
    "'events': ['commandStarted', 'commandSucceeded', 'commandFailed']"

static int marks[8]; /* contexts: their addresses count */

/* {context: &marks[i]}, and the keys of `json` without its braces. */
static const bson_t *with_context(int i, const char *json)
{
    bson_t *opts = (bson_t *)(uintptr_t)J("{%s}", json);

    ck_assert(stator_context_append(&marks[i], opts, NULL));
    return opts;
}

/* ---- as values ---------------------------------------------------------- */

START_TEST(a_command_is_told_whole)
{
    scene_t *s = scene_new(NULL);
    ears_t *e = ears_new(s->client, "{" COMMANDS "}");
    const heard_t *started, *succeeded;
    int64_t before = now_us();
    char host[64];

    done(stator_client_ping(s->client, NULL));
    ck_assert_int_eq(e->n, 0); /* in dispatch only */
    ears_listen(e);
    ck_assert_int_eq(e->n, 2);
    started = &e->heard[0];
    succeeded = &e->heard[1];
    snprintf(host, sizeof host, "127.0.0.1:%u", wire_server_port(s->server));

    ck_assert_str_eq(started->name, "commandStarted");
    ck_assert_str_eq(started->command_name, "ping");
    ck_assert_str_eq(started->database, "admin");
    ck_assert_str_eq(started->host, host);
    ck_at(started->command, "ping", "1");
    ck_at(started->command, "$db", "'admin'");
    ck_assert_int_ge(started->time, before);
    ck_assert_int_le(started->time, now_us());
    ck_assert_int_eq(started->duration, 0);
    ck_assert(bson_empty(started->reply));
    ck_assert(!started->has_error && !started->awaited);
    ck_assert(!started->has_topology_id);
    ck_assert_ptr_null(started->context);

    ck_assert_str_eq(succeeded->name, "commandSucceeded");
    ck_assert_str_eq(succeeded->command_name, "ping");
    ck_at(succeeded->reply, "ok", "1.0");
    ck_assert(bson_empty(succeeded->command));
    ck_assert_int_eq(succeeded->request_id, started->request_id);
    ck_assert_int_ne(started->request_id, 0);
    ck_assert_int_eq(succeeded->operation_id, started->operation_id);
    ck_assert_uint_eq(started->server_id, 1);
    ck_assert_uint_eq(succeeded->server_id, 1);
    ck_assert_int_gt(started->server_connection_id, 0);
    ck_assert_int_ge(succeeded->duration, 0);
    ck_assert_int_ge(succeeded->time, started->time);
    ears_free(e);
    scene_free(s);
}
END_TEST

START_TEST(a_failed_command_is_told_with_its_error)
{
    scene_t *s = scene_new(NULL);
    ears_t *e = ears_new(s->client, "{'events': ['commandFailed']}");
    bson_error_t error;
    stator_future_t *f;

    wire_rule_add(s->server, &(wire_rule_t){.command = "find",
                                            .action = WIRE_ERROR,
                                            .code = 8001,
                                            .message = "no such luck"});
    f = ask_one(s, NULL);
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert(stator_future_error(f, &error));
    ears_listen(e);
    ck_assert_int_eq(e->n, 1);
    ck_assert(e->heard[0].has_error);
    ck_assert_uint_eq(e->heard[0].error.code, 8001);
    ck_assert_ptr_nonnull(strstr(e->heard[0].error.message, "no such luck"));
    ck_at(e->heard[0].reply, "code", "8001");
    ck_assert_str_eq(e->heard[0].command_name, "find");
    ears_free(e);
    scene_free(s);
}
END_TEST

/* The driver tells neither what authenticates nor what it gives. */
START_TEST(what_authenticates_is_not_told)
{
    scene_t *s = scene_new(NULL);
    ears_t *e = ears_new(s->client, "{" COMMANDS "}");
    stator_future_t *f = stator_client_command(
        s->client, "admin",
        J("{'saslStart': 1, 'mechanism': 'PLAIN', 'payload': 'secret'}"),
        NULL);

    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    stator_future_unref(f);
    ears_listen(e);
    ck_assert_int_eq(e->n, 2);
    ck_assert_str_eq(e->heard[0].command_name, "saslStart");
    ck_assert(bson_empty(e->heard[0].command));
    ck_assert_str_eq(e->heard[1].name, "commandFailed");
    ck_assert(bson_empty(e->heard[1].reply));
    ears_free(e);
    scene_free(s);
}
END_TEST

/* From the opening to the close, and nothing after. */
START_TEST(the_topology_is_told_from_its_opening_to_its_end)
{
    static const char *const order[] = {
        "topologyOpening", "topologyDescriptionChanged", "serverOpening",
        "serverDescriptionChanged", "topologyDescriptionChanged",
    };
    scene_t *s = scene_new(NULL);
    ears_t *e = ears_new(
        s->client, "{'events': ['topologyOpening', 'serverOpening', "
                   "'topologyDescriptionChanged', 'topologyClosed', "
                   "'serverDescriptionChanged', 'serverClosed']}");
    const heard_t *h;
    int i;

    ck_assert_int_eq(e->n, 0); /* nothing is opened without need */
    done(stator_client_ping(s->client, NULL));
    ears_listen(e);
    for (i = 0; i < (int)(sizeof order / sizeof order[0]); i++) {
        ck_assert_int_lt(i, e->n);
        ck_assert_str_eq(e->heard[i].name, order[i]);
        ck_assert(e->heard[i].has_topology_id);
        ck_assert(bson_oid_equal(&e->heard[i].topology_id,
                                 &e->heard[0].topology_id));
    }
    h = &e->heard[3];
    ck_at(h->previous, "type", "'Unknown'");
    ck_at(h->current, "type", "'Standalone'");
    ck_at(h->current, "helloResponse.maxWireVersion", "17");
    ck_at(h->current, "serverId", "1");
    ck_at(h->current, "address", at(J("{'a': '%s'}", h->host), "a"));
    h = &e->heard[4];
    ck_at(h->current, "type", "'Single'");
    ck_at(h->current, "servers.0.type", "'Standalone'");
    ck_at(h->current, "hasWritableServer", "true");
    ck_at(h->previous, "hasWritableServer", "false");

    close_with(s, NULL);
    ears_listen(e);
    ck_assert_str_eq(e->heard[e->n - 1].name, "topologyClosed");
    ck_assert_ptr_null(ears_find(e, "topologyClosed", NULL, 1));
    ears_free(e);
    scene_free(s);
}
END_TEST

START_TEST(heartbeats_are_told)
{
    scene_t *s = scene_with_uri(NULL, "heartbeatFrequencyMS=500&"
                                      "connectTimeoutMS=500");
    ears_t *e = ears_new(
        s->client,
        "{'events': ['serverHeartbeatStarted', 'serverHeartbeatSucceeded', "
        "'serverHeartbeatFailed']}");
    const heard_t *h;

    done(stator_client_ping(s->client, NULL));
    ck_assert(!ears_await(e, "serverHeartbeatStarted", 0)->awaited);
    h = ears_await(e, "serverHeartbeatSucceeded", 0);
    ck_at(h->reply, "ok", "1.0");
    ck_assert_int_gt(h->duration, 0);
    ck_assert(!h->awaited);
    wire_server_set_member(s->server, &(wire_member_t){.awaitable = true});
    while (!ears_await(e, "serverHeartbeatStarted",
                       ears_count(e, "serverHeartbeatStarted", NULL))
                ->awaited)
        continue;
    wire_server_down(s->server, WIRE_RST);
    h = ears_await(e, "serverHeartbeatFailed", 0);
    ck_assert(h->has_error);
    ck_assert_str_ne(h->error.message, "");
    ears_free(e);
    scene_free(s);
}
END_TEST

/* ---- what is asked for --------------------------------------------------- */

static void refused(stator_client_t *client, const char *opts, uint32_t code,
                    const char *text)
{
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    bson_error_t error = {0};

    ck_assert_ptr_null(stator_client_listen(client, d, ears_hear, NULL,
                                            opts == NULL ? NULL
                                                         : J("%s", opts),
                                            &error));
    ck_assert_uint_eq(error.domain, STATOR_ERROR_DOMAIN);
    ck_assert_uint_eq(error.code, code);
    ck_assert_msg(strstr(error.message, text) != NULL, "%s", error.message);
    stator_dispatcher_unref(d);
}

START_TEST(command_events_are_asked_for_in_time)
{
    scene_t *s = scene_new(NULL);
    ears_t *e;

    done(stator_client_ping(s->client, NULL));
    refused(s->client, "{" COMMANDS "}", STATOR_ERROR_REFUSED, "\"events\"");
    e = ears_new(s->client, NULL); /* all that are left */
    done(stator_client_ping(s->client, NULL));
    close_with(s, NULL);
    ears_listen(e);
    ck_assert_int_eq(ears_count(e, "commandStarted", NULL), 0);
    ck_assert_int_eq(ears_count(e, "topologyClosed", NULL), 1);
    ears_free(e);
    scene_free(s);

    s = scene_new("{'workers': 1, 'events': 'command'}");
    done(stator_client_ping(s->client, NULL));
    e = ears_new(s->client, "{" COMMANDS "}");
    done(stator_client_ping(s->client, NULL));
    ears_listen(e);
    ck_assert_int_eq(e->n, 2);
    ears_free(e);
    scene_free(s);
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
    static const struct {
        const char *opts, *text;
    } wrong[] = {
        {"{'event': 1}", "event is unknown"},
        {"{'events': 'commandStarted'}", "events must be an array"},
        {"{'events': []}", "events names none"},
        {"{'events': ['commandStarted', 'commandStartedEvent']}",
         "events[1] is \"commandStartedEvent\""},
        {"{'events': [7]}", "events[0] must be a string"},
        {"{'events': ['eventsDropped']}", "events[0] is \"eventsDropped\""},
        {"{'limit': 0}", "limit must be an integer from 1 to 1000000"},
        {"{'limit': 1.5}", "limit must be"},
        {"{'maxBytes': -1}", "maxBytes must be"},
        {"{'limit': 1, 'limit': 2}", "limit is given twice"},
    };
    scene_t *s = scene_new(NULL);
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    bson_error_t error;
    bson_t opts = BSON_INITIALIZER;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refused(s->client, wrong[i].opts, STATOR_ERROR_ARGUMENT,
                wrong[i].text);
    ck_assert_ptr_null(
        stator_client_listen(NULL, d, ears_hear, NULL, NULL, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "client is NULL"));
    ck_assert_ptr_null(
        stator_client_listen(s->client, NULL, ears_hear, NULL, NULL, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "dispatcher is NULL"));
    ck_assert_ptr_null(
        stator_client_listen(s->client, d, NULL, NULL, NULL, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "fn is NULL"));
    ck_assert_ptr_null(stator_client_listen(s->client, d, ears_hear, NULL,
                                            lib_corrupt(), &error));
    ck_assert_ptr_nonnull(strstr(error.message, "opts"));
    ck_assert_ptr_null(stator_listener_ref(NULL));
    stator_listener_unref(NULL);
    stator_dispatcher_unref(d);

    ck_assert(!stator_context_append(&marks[0], NULL, &error));
    ck_assert(stator_context_append(&marks[0], &opts, &error));
    ck_assert(!stator_context_append(&marks[1], &opts, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "already"));
    bson_destroy(&opts);
    ck_assert_ptr_null(stator_future_context(NULL));
    faulty(stator_client_ping(s->client, J("{'context': 'x'}")),
           "context must be");
    scene_free(s);
}
END_TEST

/* ---- adopted pools ------------------------------------------------------- */

static void nothing(const mongoc_apm_command_started_t *event)
{
    (void)event;
}

static mongoc_client_pool_t *pool_of(const scene_t *s)
{
    mongoc_uri_t *uri = mongoc_uri_new(s->uri);
    mongoc_client_pool_t *pool = mongoc_client_pool_new(uri);

    mongoc_uri_destroy(uri);
    return pool;
}

static stator_client_t *adopt(mongoc_client_pool_t *pool, const char *opts,
                              bson_error_t *error)
{
    return stator_client_new_from_pool(pool, J("%s", opts), error);
}

static void end_client(stator_client_t *client)
{
    done(stator_client_close(client, NULL));
    stator_client_unref(client);
}

START_TEST(an_adopted_pool_keeps_its_callbacks_or_takes_ours)
{
    scene_t *s = scene_new(NULL);
    mongoc_client_pool_t *pool = pool_of(s);
    mongoc_apm_callbacks_t *own = mongoc_apm_callbacks_new();
    stator_client_t *client;
    bson_error_t error;
    ears_t *e;

    /* Of its owner's. */
    mongoc_apm_set_command_started_cb(own, nothing);
    ck_assert(mongoc_client_pool_set_apm_callbacks(pool, own, NULL));
    mongoc_apm_callbacks_destroy(own);
    ck_assert_ptr_null(adopt(pool, "{'events': 'command'}", &error));
    ck_assert_uint_eq(error.code, STATOR_ERROR_REFUSED);
    ck_assert_ptr_nonnull(strstr(error.message, "callbacks already"));
    client = adopt(pool, "{'workers': 1}", &error);
    ck_assert_ptr_nonnull(client);
    refused(client, NULL, STATOR_ERROR_REFUSED, "a user's own");
    end_client(client);

    /* Used before. */
    pool = pool_of(s);
    mongoc_client_pool_push(pool, mongoc_client_pool_pop(pool));
    ck_assert_ptr_null(adopt(pool, "{'events': 'topology'}", &error));
    ck_assert_ptr_nonnull(strstr(error.message, "used already"));
    mongoc_client_pool_push(pool, mongoc_client_pool_pop(pool));
    mongoc_client_pool_destroy(pool);

    /* Ours. */
    pool = pool_of(s);
    client = adopt(pool, "{'workers': 1, 'events': 'topology'}", &error);
    ck_assert_msg(client != NULL, "%s", error.message);
    refused(client, "{" COMMANDS "}", STATOR_ERROR_REFUSED, "\"command\"");
    end_client(client);
    pool = pool_of(s);
    client = adopt(pool, "{'workers': 1, 'events': 'command'}", &error);
    ck_assert_msg(client != NULL, "%s", error.message);
    e = ears_new(client, NULL);
    done(stator_client_command(client, "a", J("{'count': 'b'}"), NULL));
    end_client(client);
    ears_listen(e);
    ck_assert_int_eq(ears_count(e, "commandSucceeded", "count"), 1);
    ck_assert_str_eq(e->heard[e->n - 1].name, "topologyClosed");
    ears_free(e);
    scene_free(s);
}
END_TEST

/* To adopt it is to open it: nobody can listen before. */
START_TEST(an_adopted_pools_first_events_are_kept)
{
    scene_t *s = scene_new(NULL);
    bson_error_t error;
    stator_client_t *client =
        adopt(pool_of(s), "{'workers': 1, 'events': 'topology'}", &error);
    ears_t *first, *second;

    ck_assert_msg(client != NULL, "%s", error.message);
    done(stator_client_ping(client, NULL));
    first = ears_new(client, "{'events': ['topologyOpening',"
                             " 'topologyDescriptionChanged']}");
    second = ears_new(client, "{'events': ['topologyOpening']}");
    ears_listen(first);
    ears_listen(second);
    ck_assert_int_ge(first->n, 2);
    ck_assert_str_eq(first->heard[0].name, "topologyOpening");
    for (int i = 1; i < first->n; i++)
        ck_assert_str_eq(first->heard[i].name, "topologyDescriptionChanged");
    ck_assert_int_eq(second->n, 0);
    end_client(client);

    /* Nobody ever listens. */
    client = adopt(pool_of(s), "{'workers': 1, 'events': 'topology'}",
                   &error);
    ck_assert_msg(client != NULL, "%s", error.message);
    end_client(client);
    ears_free(first);
    ears_free(second);
    scene_free(s);
}
END_TEST

/* ---- too many ------------------------------------------------------------ */

static void ping_times(scene_t *s, int n)
{
    while (n-- > 0)
        done(stator_client_ping(s->client, NULL));
}

START_TEST(what_is_dropped_is_told_in_its_place)
{
    scene_t *s = scene_new(NULL);
    ears_t *e =
        ears_new(s->client, "{'events': ['commandStarted'], 'limit': 3}");
    ears_t *all = ears_new(s->client, "{'events': ['commandStarted']}");

    ping_times(s, 10);
    ck_assert_int_eq(stat_of(s->client, "events.dropped"), 7);
    ck_assert_int_eq(stat_of(s->client, "events.listeners"), 2);
    ck_assert_int_eq(stat_of(s->client, "events.waiting"), 3 + 10);
    ears_listen(e);
    ck_assert_int_eq(stat_of(s->client, "events.waiting"), 10);
    ck_assert_int_eq(e->n, 4);
    for (int i = 0; i < 3; i++)
        ck_assert_str_eq(e->heard[i].name, "commandStarted");
    ck_assert_str_eq(e->heard[3].name, "eventsDropped");
    ck_assert_int_eq(e->heard[3].type, STATOR_EVENT_EVENTS_DROPPED);
    ck_assert_int_eq(e->heard[3].dropped, 7);

    ping_times(s, 5); /* there is room again */
    ears_listen(e);
    ck_assert_int_eq(e->n, 4 + 4);
    ck_assert_int_eq(e->heard[7].dropped, 2);
    ck_assert_int_gt(e->heard[4].request_id, e->heard[2].request_id);
    ears_listen(all);
    ck_assert_int_eq(all->n, 15); /* it was not held up, nor robbed */
    ears_free(e);
    ears_free(all);
    scene_free(s);
}
END_TEST

/* A gap with events on both sides. */
START_TEST(a_gap_is_told_between_what_surrounds_it)
{
    scene_t *s = scene_new(NULL);
    ears_t *e =
        ears_new(s->client, "{'events': ['commandStarted'], 'limit': 65}");

    ping_times(s, 70);
    /* One turn takes 64. */
    ck_assert_int_eq(stator_dispatcher_dispatch(e->dispatcher, 1), 1);
    ck_assert_int_eq(e->n, 64);
    ping_times(s, 2);
    ears_listen(e);
    ck_assert_int_eq(e->n, 68);
    ck_assert_str_eq(e->heard[64].name, "commandStarted");
    ck_assert_int_eq(e->heard[65].dropped, 5);
    ck_assert_str_eq(e->heard[66].name, "commandStarted");
    ck_assert_str_eq(e->heard[67].name, "commandStarted");
    ears_free(e);
    scene_free(s);
}
END_TEST

START_TEST(bytes_are_bounded_too)
{
    scene_t *s = scene_new(NULL);
    ears_t *e = ears_new(s->client, "{'events': ['commandStarted'], "
                                    "'maxBytes': 100000}");

    for (int i = 0; i < 4; i++)
        done(stator_collection_insert_one(s->things, lib_big(i, 60000),
                                          NULL));
    ears_listen(e);
    ck_assert_int_eq(e->n, 2);
    ck_assert_int_eq(e->heard[1].dropped, 3);
    /* However large: one may wait. */
    done(stator_collection_insert_one(s->things, lib_big(9, 600000), NULL));
    ears_listen(e);
    ck_assert_int_eq(e->n, 3);
    ck_at(e->heard[2].command, "documents.0._id", "9");
    ears_free(e);
    scene_free(s);
}
END_TEST

/* ---- the end of listening ------------------------------------------------ */

START_TEST(a_listener_ends_at_once)
{
    scene_t *s = scene_new(NULL);
    ears_t *e = ears_new(s->client, "{'events': ['commandStarted']}");
    ears_t *other = ears_new(s->client, "{'events': ['commandStarted']}");

    e->stop_at = 2;
    ping_times(s, 5);
    ears_listen(e);
    ck_assert_int_eq(e->n, 2); /* in its own call */
    ck_assert_int_eq(stat_of(s->client, "events.listeners"), 1);
    ping_times(s, 1);
    stator_listener_ref(other->listener);
    stator_listener_unref(other->listener); /* not the last one */
    ears_listen(other);
    ck_assert_int_eq(other->n, 6);
    ping_times(s, 3);
    stator_listener_unref(other->listener); /* before a dispatch */
    other->listener = NULL;
    ears_listen(other);
    ck_assert_int_eq(other->n, 6);
    ck_assert_int_eq(stat_of(s->client, "events.listeners"), 0);
    ears_free(e);
    ears_free(other);
    scene_free(s);
}
END_TEST

/* It goes with events in it, and with none. */
START_TEST(the_dispatcher_may_go_first)
{
    scene_t *s = scene_new(NULL);
    ears_t *full = ears_new(s->client, "{'events': ['commandStarted']}");
    ears_t *idle = ears_new(s->client, "{'events': ['commandStarted']}");

    ping_times(s, 2);
    ears_listen(idle);
    stator_dispatcher_unref(full->dispatcher);
    full->dispatcher = NULL;
    stator_dispatcher_unref(idle->dispatcher);
    idle->dispatcher = NULL;
    ping_times(s, 2); /* it finds out */
    ck_assert_int_eq(stat_of(s->client, "events.listeners"), 0);
    ck_assert_int_eq(full->n, 0);
    ck_assert_int_eq(idle->n, 2);
    ears_free(full);
    ears_free(idle);
    scene_free(s);
}
END_TEST

static void close_dispatcher(const stator_event_t *event, void *arg)
{
    ears_t *e = arg;

    (void)event;
    e->n++;
    stator_dispatcher_unref(e->dispatcher);
    e->dispatcher = NULL;
}

START_TEST(the_function_may_close_its_dispatcher)
{
    scene_t *s = scene_new(NULL);
    ears_t *e = ears_deaf();

    e->listener =
        stator_client_listen(s->client, e->dispatcher, close_dispatcher, e,
                             J("{" COMMANDS "}"), NULL);
    ping_times(s, 3);
    ck_assert_int_eq(stator_dispatcher_dispatch(e->dispatcher, 0), 1);
    ck_assert_int_eq(e->n, 1);
    stator_listener_unref(e->listener);
    free(e);
    scene_free(s);
}
END_TEST

/* The client's last reference goes, while the listener lives on. */
START_TEST(a_listener_keeps_no_client_open)
{
    scene_t *s = scene_new(NULL);
    ears_t *e = ears_new(s->client, "{'events': ['topologyClosed']}");
    bson_error_t error;
    stator_client_t *client =
        stator_client_new(s->uri, J("{'workers': 1}"), &error);
    ears_t *its = ears_new(client, "{'events': ['topologyClosed']}");

    done(stator_client_ping(client, NULL));
    stator_client_unref(client);
    ears_await(its, "topologyClosed", 0);
    ck_assert_int_eq(its->n, 1);
    ears_free(its);
    ears_free(e);
    scene_free(s);
}
END_TEST

struct forker {
    int calls;
    pid_t pid; /* of the child; 0 in it; -1: not yet */
};

static void fork_in_the_first(const stator_event_t *event, void *arg)
{
    struct forker *f = arg;

    (void)event;
    if (f->calls++ == 0) {
        fflush(NULL);
        f->pid = fork();
    }
}

/* The function forks: what waits is the parent's, and the child's dispatch ends
 * there. */
START_TEST(a_child_is_told_nothing)
{
    scene_t *s = scene_new(NULL);
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    struct forker f = {.pid = -1};
    stator_listener_t *l =
        stator_client_listen(s->client, d, fork_in_the_first, &f,
                             J("{'events': ['commandStarted']}"), NULL);
    int ran, status;

    ping_times(s, 3);
    ran = stator_dispatcher_dispatch(d, 0);
    if (f.pid == 0) {
        stator_listener_unref(l);
        _exit(ran == -ECHILD && f.calls == 1 ? 0 : 1);
    }
    ck_assert_int_gt(f.pid, 0);
    ck_assert_int_eq(waitpid(f.pid, &status, 0), f.pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(f.calls, 3);
    stator_listener_unref(l);
    stator_dispatcher_unref(d);
    scene_free(s);
}
END_TEST

/* ---- contexts ------------------------------------------------------------ */

START_TEST(a_context_goes_with_its_operation)
{
    scene_t *s = scene_new(NULL);
    ears_t *e = ears_new(s->client, "{" COMMANDS "}");
    stator_future_t *f, *g, *bad;

    f = stator_client_ping(s->client, with_context(0, ""));
    ck_assert_ptr_eq(stator_future_context(f), &marks[0]);
    done(f);
    g = done(stator_collection_find_one(s->things, NULL, with_context(1, "")));
    done(stator_client_ping(s->client, NULL));
    ck_assert_ptr_eq(stator_future_context(g), &marks[1]);
    bad = stator_collection_find_one(s->things, lib_corrupt(),
                                     with_context(2, ""));
    ck_assert_int_eq(stator_future_poll(bad), STATOR_FUTURE_FAILED);
    ck_assert_ptr_eq(stator_future_context(bad), &marks[2]);
    stator_future_unref(bad);
    ears_listen(e);
    ck_assert_int_eq(e->n, 6);
    for (int i = 0; i < 6; i++)
        ck_assert_ptr_eq(e->heard[i].context,
                         i < 2 ? &marks[0] : i < 4 ? &marks[1] : NULL);
    /* The driver never sees it. */
    ck_at(e->heard[2].command, "context", "");
    ears_free(e);
    scene_free(s);
}
END_TEST

START_TEST(a_handles_context_goes_with_its_operations)
{
    scene_t *s = scene_new(NULL);
    ears_t *e = ears_new(s->client, "{'events': ['commandStarted']}");
    bson_error_t error;
    stator_collection_t *c =
        stator_collection_with_opts(s->things, with_context(0, ""), NULL);
    stator_future_t *f;

    ck_assert_ptr_nonnull(c);
    ck_assert_ptr_null(stator_collection_with_opts(
        s->things, J("{'context': 'x'}"), &error));
    ck_assert_ptr_nonnull(strstr(error.message, "context must be"));
    f = done(stator_collection_find_one(c, NULL, NULL));
    ck_assert_ptr_eq(stator_future_context(f), &marks[0]);
    done(stator_collection_insert_one(c, J("{'a': 1}"), with_context(1, "")));
    done(stator_collection_find_one(s->things, NULL, NULL));
    stator_collection_unref(c);
    ears_listen(e);
    ck_assert_int_eq(e->n, 3);
    ck_assert_ptr_eq(e->heard[0].context, &marks[0]);
    ck_assert_ptr_eq(e->heard[1].context, &marks[1]);
    ck_assert_ptr_null(e->heard[2].context);
    ears_free(e);
    scene_free(s);
}
END_TEST

START_TEST(a_cursors_context_goes_with_all_its_trips)
{
    scene_t *s = scene_new("{'workers': 2}");
    ears_t *e = ears_new(s->client, "{" COMMANDS "}");
    stator_cursor_t *c;
    stator_future_t *f;

    scene_fill(s, 20);
    c = stator_collection_find(s->things, NULL,
                               with_context(3, "'batchSize': 5"));
    for (int i = 0; i < 7; i++) { /* find and a getMore */
        f = stator_cursor_next(c);
        ck_assert_ptr_eq(stator_future_context(f), &marks[3]);
        done(f);
        done(stator_client_ping(s->client, with_context(4, "")));
    }
    done(stator_cursor_close(c));
    stator_cursor_unref(c);
    close_with(s, NULL);
    ears_listen(e);
    ck_assert_int_eq(ears_count(e, "commandSucceeded", "getMore"), 1);
    ck_assert_int_eq(ears_count(e, "commandSucceeded", "killCursors"), 1);
    ck_assert_int_ge(ears_count(e, "commandSucceeded", "endSessions"), 1);
    for (int i = 0; i < e->n; i++) {
        const heard_t *h = &e->heard[i];
        bool is_ping = strcmp(h->command_name, "ping") == 0;
        bool is_end = strcmp(h->command_name, "endSessions") == 0;

        ck_assert_msg(h->context == (is_end    ? NULL
                                     : is_ping ? &marks[4]
                                               : &marks[3]),
                      "%s %s", h->name, h->command_name);
    }
    ears_free(e);
    scene_free(s);
}
END_TEST

static stator_future_t *insert_in(stator_session_t *session, void *arg)
{
    bson_t *opts = (bson_t *)(uintptr_t)with_context(6, "");

    ck_assert(stator_session_append(session, opts, NULL));
    return stator_collection_insert_one(arg, J("{'a': 1}"), opts);
}

/* A retry, and the steps of a transaction. */
START_TEST(a_context_goes_with_retries_and_transactions)
{
    wire_server_t *server = wire_server_new(&(wire_options_t){
        .documents = 1, .member = {.role = WIRE_PRIMARY}});
    char uri[WIRE_URI_SIZE];
    bson_error_t error;
    stator_client_t *client = stator_client_new(
        wire_server_uri(server, NULL, uri, sizeof uri), J("{'workers': 2}"),
        &error);
    ears_t *e = ears_new(client, "{" COMMANDS "}");
    stator_collection_t *things =
        stator_client_get_collection(client, "core", "things");
    stator_future_t *f, *started;
    stator_session_t *session;

    wire_rule_add(server, &(wire_rule_t){.command = "find",
                                         .action = WIRE_ERROR,
                                         .code = 11600,
                                         .times = 1});
    done(stator_collection_find_one(things, NULL, with_context(5, "")));
    ears_listen(e);
    ck_assert_int_eq(ears_count(e, "commandStarted", "find"), 2);
    ck_assert_int_eq(ears_count(e, "commandFailed", "find"), 1);
    for (int i = 0; i < e->n; i++)
        if (strcmp(e->heard[i].command_name, "find") == 0)
            ck_assert_ptr_eq(e->heard[i].context, &marks[5]);

    started = done(stator_client_start_session(client, NULL));
    session = stator_future_session(started);
    f = stator_session_with_transaction(session, e->dispatcher, insert_in,
                                        things, with_context(7, ""));
    ck_assert_ptr_eq(stator_future_context(f), &marks[7]);
    ck_assert_int_eq(
        stator_dispatcher_run_until(e->dispatcher, f, LIB_PATIENCE_MS), 0);
    done(f);
    ears_listen(e);
    ck_assert_ptr_eq(ears_find(e, "commandStarted", "insert", 0)->context,
                     &marks[6]);
    ck_assert_ptr_eq(
        ears_find(e, "commandStarted", "commitTransaction", 0)->context,
        &marks[7]);
    stator_session_unref(session);
    lib_forget();
    stator_collection_unref(things);
    end_client(client);
    ears_free(e);
    lib_forget();
    wire_server_free(server);
}
END_TEST

/* All but what the client itself asks bears `mark`. */
static void ck_all_bear(const ears_t *e, const int *mark)
{
    for (int i = 0; i < e->n; i++)
        ck_assert_msg(e->heard[i].context == mark, "%s %s",
                      e->heard[i].name, e->heard[i].command_name);
}

START_TEST(a_clone_has_its_cursors_context)
{
    scene_t *s = scene_new(NULL);
    ears_t *e = ears_new(s->client, "{" COMMANDS "}");
    stator_cursor_t *c, *again;
    stator_future_t *f;

    scene_fill(s, 20);
    c = stator_collection_find(s->things, NULL,
                               with_context(2, "'batchSize': 5"));
    again = stator_cursor_clone(c);
    f = done(stator_cursor_to_list(again, 0));
    ck_assert_ptr_eq(stator_future_context(f), &marks[2]);
    ears_listen(e);
    ck_assert_int_eq(ears_count(e, "commandSucceeded", "getMore"), 4);
    ck_all_bear(e, &marks[2]);
    stator_cursor_unref(again);
    stator_cursor_unref(c);
    ears_free(e);
    scene_free(s);
}
END_TEST

/* It is opened again, and reads where it is told. */
START_TEST(a_change_streams_context_goes_with_all_its_trips)
{
    scene_t *s = scene_new("{'workers': 1, 'watchers': 1}");
    ears_t *e = ears_new(s->client, "{" COMMANDS "}");
    stator_change_stream_t *stream = stator_collection_watch(
        s->things, NULL,
        with_context(3, "'batchSize': 2, 'readPreference': "
                        "{'mode': 'secondaryPreferred'}"));
    stator_future_t *f = stator_change_stream_open(stream);

    ck_assert_ptr_eq(stator_future_context(f), &marks[3]);
    done(f);
    wire_rule_add(s->server, &(wire_rule_t){.command = "getMore",
                                            .action = WIRE_ERROR,
                                            .code = 43,
                                            .times = 1});
    wire_events(s->server, 5);
    for (int i = 0; i < 5; i++)
        done(stator_change_stream_next(stream));
    done(stator_change_stream_close(stream));
    stator_change_stream_unref(stream);
    ears_listen(e);
    ck_assert_int_eq(ears_count(e, "commandSucceeded", "aggregate"), 2);
    ck_assert_int_eq(ears_count(e, "commandFailed", "getMore"), 1);
    ck_all_bear(e, &marks[3]);
    ears_free(e);
    scene_free(s);
}
END_TEST

START_TEST(a_files_context_goes_with_all_that_moves_it)
{
    scene_t *s = scene_new(NULL);
    ears_t *e = ears_new(s->client, "{" COMMANDS "}");
    stator_database_t *db = stator_client_get_database(s->client, "core");
    stator_gridfs_bucket_t *bucket = stator_gridfs_bucket_new(
        db, J("{'chunkSizeBytes': 4}"), NULL);
    stator_gridfs_upload_stream_t *up;
    stator_future_t *f;

    f = stator_gridfs_bucket_upload_from_buffer(bucket, "x", "0123456789", 10,
                                                with_context(4, ""));
    ck_assert_ptr_eq(stator_future_context(f), &marks[4]);
    done(f);
    up = stator_gridfs_bucket_open_upload_stream(bucket, "y",
                                                 with_context(4, ""));
    f = stator_gridfs_upload_stream_write(up, "0123456789", 10);
    ck_assert_ptr_eq(stator_future_context(f), &marks[4]);
    done(f);
    done(stator_gridfs_upload_stream_close(up));
    stator_gridfs_upload_stream_unref(up);
    stator_gridfs_bucket_unref(bucket);
    bucket = stator_gridfs_bucket_new(db, with_context(4, ""), NULL);
    ck_assert_ptr_nonnull(bucket);
    f = stator_gridfs_bucket_upload_from_buffer(bucket, "z", "01", 2, NULL);
    ck_assert_ptr_eq(stator_future_context(f), &marks[4]);
    done(f);
    ears_listen(e);
    ck_assert_int_ge(ears_count(e, "commandSucceeded", "insert"), 10);
    ck_all_bear(e, &marks[4]);
    stator_gridfs_bucket_unref(bucket);
    stator_database_unref(db);
    ears_free(e);
    scene_free(s);
}
END_TEST

/* That a server is still there is asked on Stator's own account. */
START_TEST(what_ends_an_open_transaction_is_told_alone)
{
    wire_server_t *server = wire_server_new(&(wire_options_t){
        .documents = 1, .member = {.role = WIRE_PRIMARY}});
    char uri[WIRE_URI_SIZE];
    bson_error_t error;
    stator_client_t *client = stator_client_new(
        wire_server_uri(server, NULL, uri, sizeof uri), J("{'workers': 2}"),
        &error);
    ears_t *e = ears_new(client, "{" COMMANDS "}");
    stator_collection_t *things =
        stator_client_get_collection(client, "core", "things");
    stator_session_t *session = stator_future_session(
        done(stator_client_start_session(client, NULL)));

    done(stator_session_start_transaction(session, NULL));
    done(insert_in(session, things));
    stator_session_unref(session);
    lib_forget();
    await_stat(client, "leases", 0);
    ears_listen(e);
    ck_assert_int_eq(ears_count(e, "commandStarted", "insert"), 1);
    ck_assert_int_eq(ears_count(e, "commandStarted", "abortTransaction"), 1);
    stator_collection_unref(things);
    end_client(client);
    ears_listen(e);
    ck_assert_int_eq(ears_count(e, "commandStarted", "ping"), 0);
    ck_assert_int_eq(ears_count(e, "commandSucceeded", "ping"), 0);
    ears_free(e);
    lib_forget();
    wire_server_free(server);
}
END_TEST

/* ---- all at once --------------------------------------------------------- */

enum { SUBMITTERS = 3, PINGS = 200 };

static atomic_bool is_over;

static void *submit(void *arg)
{
    for (int i = 0; i < PINGS; i++) {
        stator_future_t *f = stator_client_ping(arg, NULL);

        ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
        ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_DONE);
        stator_future_unref(f);
    }
    return NULL;
}

static void count_one(const stator_event_t *event, void *arg)
{
    (void)event;
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* Listeners come and go, some with their dispatcher first. */
static void *come_and_go(void *arg)
{
    static atomic_int n;

    for (unsigned i = 0; !atomic_load(&is_over); i++) {
        stator_dispatcher_t *d = stator_dispatcher_new(NULL);
        stator_listener_t *l =
            stator_client_listen(arg, d, count_one, &n, NULL, NULL);

        ck_assert_ptr_nonnull(l);
        (void)stator_dispatcher_run_once(d, 1);
        if (i % 2 == 0)
            stator_listener_unref(l);
        stator_dispatcher_unref(d);
        if (i % 2 != 0)
            stator_listener_unref(l);
    }
    return NULL;
}

struct brief {
    stator_client_t *client;
    stator_dispatcher_t *dispatcher; /* another thread's */
    atomic_int n;
};

/* It ends what another thread dispatches. */
static void *end_elsewhere(void *arg)
{
    struct brief *b = arg;

    for (int i = 0; i < 300; i++) {
        stator_listener_t *l = stator_client_listen(
            b->client, b->dispatcher, count_one, &b->n, NULL, NULL);

        ck_assert_ptr_nonnull(l);
        stator_future_unref(stator_client_ping(b->client, NULL));
        while (atomic_load(&b->n) < i)
            sched_yield();
        stator_listener_unref(l);
    }
    atomic_store(&is_over, true);
    return NULL;
}

START_TEST(another_thread_may_end_it)
{
    scene_t *s = scene_new("{'workers': 1, 'events': 'command'}");
    struct brief b = {s->client, stator_dispatcher_new(NULL), 0};
    pthread_t other;

    atomic_store(&is_over, false);
    pthread_create(&other, NULL, end_elsewhere, &b);
    while (!atomic_load(&is_over))
        (void)stator_dispatcher_run_once(b.dispatcher, 10);
    pthread_join(other, NULL);
    ck_assert_int_eq(stat_of(s->client, "events.listeners"), 0);
    stator_dispatcher_unref(b.dispatcher);
    scene_free(s);
}
END_TEST

START_TEST(many_threads_and_none_waits)
{
    scene_t *s = scene_new("{'workers': 3, 'events': 'command'}");
    ears_t *e = ears_new(s->client, "{" COMMANDS "}");
    pthread_t submitters[SUBMITTERS], other;
    int64_t until = now_us() + LIB_PATIENCE_MS * (int64_t)1000;

    atomic_store(&is_over, false);
    pthread_create(&other, NULL, come_and_go, s->client);
    for (int i = 0; i < SUBMITTERS; i++)
        pthread_create(&submitters[i], NULL, submit, s->client);
    while (e->n < 2 * SUBMITTERS * PINGS && now_us() < until)
        (void)stator_dispatcher_run_once(e->dispatcher, 100);
    for (int i = 0; i < SUBMITTERS; i++)
        pthread_join(submitters[i], NULL);
    atomic_store(&is_over, true);
    pthread_join(other, NULL);
    ears_listen(e);
    ck_assert_int_eq(ears_count(e, "commandStarted", "ping"),
                     SUBMITTERS * PINGS);
    ck_assert_int_eq(ears_count(e, "commandSucceeded", "ping"),
                     SUBMITTERS * PINGS);
    ck_assert_int_eq(ears_count(e, "eventsDropped", NULL), 0);
    for (int i = 1; i < e->n; i++) /* started comes before its end */
        if (e->heard[i].type == STATOR_EVENT_COMMAND_SUCCEEDED) {
            int k = i;

            while (k >= 0 &&
                   (e->heard[k].type != STATOR_EVENT_COMMAND_STARTED ||
                    e->heard[k].request_id != e->heard[i].request_id))
                k--;
            ck_assert_int_ge(k, 0);
        }
    ears_free(e);
    scene_free(s);
}
END_TEST

SUITE(core_events)
{
    tcase_add_test(tc, a_command_is_told_whole);
    tcase_add_test(tc, a_failed_command_is_told_with_its_error);
    tcase_add_test(tc, what_authenticates_is_not_told);
    tcase_add_test(tc, the_topology_is_told_from_its_opening_to_its_end);
    tcase_add_test(tc, heartbeats_are_told);
    tcase_add_test(tc, command_events_are_asked_for_in_time);
    tcase_add_test(tc, what_is_wrong_is_named);
    tcase_add_test(tc, an_adopted_pool_keeps_its_callbacks_or_takes_ours);
    tcase_add_test(tc, an_adopted_pools_first_events_are_kept);
    tcase_add_test(tc, what_is_dropped_is_told_in_its_place);
    tcase_add_test(tc, a_gap_is_told_between_what_surrounds_it);
    tcase_add_test(tc, bytes_are_bounded_too);
    tcase_add_test(tc, a_listener_ends_at_once);
    tcase_add_test(tc, the_dispatcher_may_go_first);
    tcase_add_test(tc, the_function_may_close_its_dispatcher);
    tcase_add_test(tc, a_listener_keeps_no_client_open);
    tcase_add_test(tc, a_child_is_told_nothing);
    tcase_add_test(tc, a_context_goes_with_its_operation);
    tcase_add_test(tc, a_handles_context_goes_with_its_operations);
    tcase_add_test(tc, a_cursors_context_goes_with_all_its_trips);
    tcase_add_test(tc, a_context_goes_with_retries_and_transactions);
    tcase_add_test(tc, a_clone_has_its_cursors_context);
    tcase_add_test(tc, a_change_streams_context_goes_with_all_its_trips);
    tcase_add_test(tc, a_files_context_goes_with_all_that_moves_it);
    tcase_add_test(tc, what_ends_an_open_transaction_is_told_alone);
    tcase_add_test(tc, another_thread_may_end_it);
    tcase_add_test(tc, many_threads_and_none_waits);
}
