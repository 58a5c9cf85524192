/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_runner.c - what the runner itself is told to do, or to see to. */
#include <string.h>
#include <unistd.h>

#include "tests/spec/operation.h"
#include "tests/spec/value.h"

enum { PATIENCE_MS = 10000 }; /* the format's own figure for events */

static entity_t *entity_of(const call_t *call, const char *argument,
                           entity_kind_t kind)
{
    return entities_get(&call->run->entities,
                        value_utf8(&call->arguments, argument, ""), kind,
                        call->run->verdict);
}

/* ---- fail points ----------------------------------------------------- */

static void record(call_t *call, const bson_t *command, uint32_t server_id)
{
    fail_point_t *point = bson_malloc0(sizeof *point);

    point->name = bson_strdup(value_utf8(command, "configureFailPoint", ""));
    point->server_id = server_id;
    point->next = call->run->fail_points;
    call->run->fail_points = point;
}

static bool set(call_t *call, bool fine, const char *message)
{
    return fine || verdict_fail(call->run->verdict, "failPoint: %s", message);
}

static bool raw_fail_point(call_t *call)
{
    entity_t *client = entity_of(call, "client", ENTITY_CLIENT);
    bson_error_t error;
    bson_t command;

    if (client == NULL)
        return false;
    call_view(call, "failPoint", &command);
    record(call, &command, 0);
    return set(call,
               mongoc_client_command_simple(client->raw.client, "admin",
                                            &command, NULL, NULL, &error),
               error.message);
}

static bool fail_point(call_t *call)
{
    entity_t *client = entity_of(call, "client", ENTITY_CLIENT);
    stator_future_t *future;
    bson_t command;

    if (client == NULL)
        return false;
    call_view(call, "failPoint", &command);
    record(call, &command, 0);
    future = stator_client_command(client->stator.client, "admin", &command,
                                   NULL);
    if (!call_settle(call, future))
        return false;
    stator_future_unref(future);
    return set(call, !call->result->failed, call->result->error.message);
}

static bool raw_targeted_fail_point(call_t *call)
{
    entity_t *session = entity_of(call, "session", ENTITY_SESSION);
    bson_error_t error;
    bson_t command;
    uint32_t id;

    if (session == NULL)
        return false;
    id = mongoc_client_session_get_server_id(session->raw.session);
    if (id == 0)
        return verdict_fail(call->run->verdict, "the session is not pinned");
    call_view(call, "failPoint", &command);
    record(call, &command, id);
    return set(call,
               mongoc_client_command_simple_with_server_id(
                   session->client->raw.client, "admin", &command, NULL, id,
                   NULL, &error),
               error.message);
}

/* ---- sessions -------------------------------------------------------- */

static bool raw_assert_state(call_t *call)
{
    static const char *const names[] = {"none", "starting", "in_progress",
                                        "committed", "aborted"};
    entity_t *session = entity_of(call, "session", ENTITY_SESSION);
    const char *want = value_utf8(&call->arguments, "state", "");
    const char *got;

    if (session == NULL)
        return false;
    got = names[mongoc_client_session_get_transaction_state(
        session->raw.session)];
    return strcmp(want, got) == 0 ||
           verdict_fail(call->run->verdict, "the transaction is %s, not %s",
                        got, want);
}

static bool raw_pinned(call_t *call, bool wanted)
{
    entity_t *session = entity_of(call, "session", ENTITY_SESSION);

    if (session == NULL)
        return false;
    return (mongoc_client_session_get_server_id(session->raw.session) != 0) ==
               wanted ||
           verdict_fail(call->run->verdict, "the session is%s pinned",
                        wanted ? " not" : "");
}

static bool raw_assert_pinned(call_t *call)
{
    return raw_pinned(call, true);
}

static bool raw_assert_unpinned(call_t *call)
{
    return raw_pinned(call, false);
}

static bool raw_dirty(call_t *call, bool wanted)
{
    entity_t *session = entity_of(call, "session", ENTITY_SESSION);

    if (session == NULL)
        return false;
    return mongoc_client_session_get_dirty(session->raw.session) == wanted ||
           verdict_fail(call->run->verdict, "the session is%s dirty",
                        wanted ? " not" : "");
}

static bool raw_assert_dirty(call_t *call)
{
    return raw_dirty(call, true);
}

static bool raw_assert_not_dirty(call_t *call)
{
    return raw_dirty(call, false);
}

static bool lsids(call_t *call, int wanted)
{
    entity_t *client = entity_of(call, "client", ENTITY_CLIENT);
    int same;

    if (client == NULL)
        return false;
    same = events_same_lsid(client->events);
    if (same < 0)
        return verdict_fail(call->run->verdict,
                            "there are no two commands with an lsid");
    return same == wanted || verdict_fail(call->run->verdict,
                                          "the last two lsids are%s the same",
                                          wanted ? " not" : "");
}

static bool assert_same_lsid(call_t *call)
{
    return lsids(call, 1);
}

static bool assert_other_lsid(call_t *call)
{
    return lsids(call, 0);
}

/* ---- collections and indexes ----------------------------------------- */

static bool collection_exists(call_t *call, bool wanted)
{
    const char *name = value_utf8(&call->arguments, "collectionName", "");
    mongoc_database_t *database = mongoc_client_get_database(
        call->run->internal, value_utf8(&call->arguments, "databaseName", ""));
    bson_error_t error = {0};
    bool exists = mongoc_database_has_collection(database, name, &error);

    mongoc_database_destroy(database);
    if (!exists && error.code != 0)
        return verdict_fail(call->run->verdict, "%s", error.message);
    return exists == wanted ||
           verdict_fail(call->run->verdict, "there is %s collection %s",
                        wanted ? "no" : "a", name);
}

static bool assert_collection(call_t *call)
{
    return collection_exists(call, true);
}

static bool assert_no_collection(call_t *call)
{
    return collection_exists(call, false);
}

static bool index_exists(call_t *call, bool wanted)
{
    const char *name = value_utf8(&call->arguments, "indexName", "");
    mongoc_collection_t *collection = mongoc_client_get_collection(
        call->run->internal, value_utf8(&call->arguments, "databaseName", ""),
        value_utf8(&call->arguments, "collectionName", ""));
    mongoc_cursor_t *cursor =
        mongoc_collection_find_indexes_with_opts(collection, NULL);
    const bson_t *document;
    bool exists = false;

    while (mongoc_cursor_next(cursor, &document))
        exists |= strcmp(value_utf8(document, "name", ""), name) == 0;
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    return exists == wanted ||
           verdict_fail(call->run->verdict, "there is %s index %s",
                        wanted ? "no" : "an", name);
}

static bool assert_index(call_t *call)
{
    return index_exists(call, true);
}

static bool assert_no_index(call_t *call)
{
    return index_exists(call, false);
}

/* ---- events, connections, entities ----------------------------------- */

static bool assert_event_count(call_t *call)
{
    entity_t *client = entity_of(call, "client", ENTITY_CLIENT);
    int64_t want = value_int(&call->arguments, "count", -1);
    bson_t event;
    int got;

    if (client == NULL)
        return false;
    call_view(call, "event", &event);
    got = events_count(client->events, &event, &call->run->entities,
                       call->run->verdict);
    return got == want || verdict_fail(call->run->verdict,
                                       "%d such events, not %d", got,
                                       (int)want);
}

static bool wait_for_event(call_t *call)
{
    entity_t *client = entity_of(call, "client", ENTITY_CLIENT);
    int64_t want = value_int(&call->arguments, "count", -1);
    bson_t event;
    int i, got;

    if (client == NULL)
        return false;
    call_view(call, "event", &event);
    got = events_count(client->events, &event, &call->run->entities,
                       call->run->verdict);
    for (i = 0; i < PATIENCE_MS / 10 && got >= 0 && got < want; i++) {
        usleep(10 * 1000);
        got = events_count(client->events, &event, &call->run->entities,
                           call->run->verdict);
    }
    return got >= want ||
           verdict_fail(call->run->verdict, "%d such events, not %d", got,
                        (int)want);
}

static bool wait_ms(call_t *call)
{
    usleep((useconds_t)value_int(&call->arguments, "ms", 0) * 1000);
    return true;
}

/* Between operations none is out: outside a load balancer neither a cursor
 * nor a transaction keeps its connection. */
static int64_t checked_out(const entity_t *client)
{
    bson_t stats;
    int64_t n;

    if (client->stator.client == NULL)
        return 0;
    stator_client_stats(client->stator.client, &stats);
    n = value_int(&stats, "running", -1);
    bson_destroy(&stats);
    return n;
}

static bool assert_checked_out(call_t *call)
{
    entity_t *client = entity_of(call, "client", ENTITY_CLIENT);
    int64_t want = value_int(&call->arguments, "connections", -1), got;

    if (client == NULL)
        return false;
    if (strcmp(call->run->server->topology, "load-balanced") == 0)
        return verdict_skip(call->run->verdict,
                            "libmongoc 1.23 has no pool events");
    got = checked_out(client);
    return got == want ||
           verdict_fail(call->run->verdict,
                        "%d connections are out, not %d", (int)got,
                        (int)want);
}

static bool create_entities(call_t *call)
{
    bson_t list;

    call_view(call, "entities", &list);
    return entities_create(&call->run->entities, &list, call->run->verdict);
}

#define BOTH(fn) fn, fn
#define RAW(fn) fn, NULL
#define LACKING(n, why)                                                        \
    {.name = n, .on = ENTITY_RUNNER, .lacks = why}

const verb_t runner_verbs[] = {
    {"failPoint", ENTITY_RUNNER, "!client !failPoint", raw_fail_point,
     fail_point, NULL, MATCH_ROOT},
    {"targetedFailPoint", ENTITY_RUNNER, "!session !failPoint",
     RAW(raw_targeted_fail_point), NULL, MATCH_ROOT},
    {"assertSessionTransactionState", ENTITY_RUNNER, "!session !state",
     RAW(raw_assert_state), NULL, MATCH_ROOT},
    {"assertSessionPinned", ENTITY_RUNNER, "!session", RAW(raw_assert_pinned),
     NULL, MATCH_ROOT},
    {"assertSessionUnpinned", ENTITY_RUNNER, "!session",
     RAW(raw_assert_unpinned), NULL, MATCH_ROOT},
    {"assertSessionDirty", ENTITY_RUNNER, "!session", RAW(raw_assert_dirty),
     NULL, MATCH_ROOT},
    {"assertSessionNotDirty", ENTITY_RUNNER, "!session",
     RAW(raw_assert_not_dirty), NULL, MATCH_ROOT},
    {"assertSameLsidOnLastTwoCommands", ENTITY_RUNNER, "!client",
     BOTH(assert_same_lsid), NULL, MATCH_ROOT},
    {"assertDifferentLsidOnLastTwoCommands", ENTITY_RUNNER, "!client",
     BOTH(assert_other_lsid), NULL, MATCH_ROOT},
    {"assertCollectionExists", ENTITY_RUNNER, "!databaseName !collectionName",
     BOTH(assert_collection), NULL, MATCH_ROOT},
    {"assertCollectionNotExists", ENTITY_RUNNER,
     "!databaseName !collectionName", BOTH(assert_no_collection), NULL,
     MATCH_ROOT},
    {"assertIndexExists", ENTITY_RUNNER,
     "!databaseName !collectionName !indexName", BOTH(assert_index), NULL,
     MATCH_ROOT},
    {"assertIndexNotExists", ENTITY_RUNNER,
     "!databaseName !collectionName !indexName", BOTH(assert_no_index), NULL,
     MATCH_ROOT},
    {"assertEventCount", ENTITY_RUNNER, "!client !event !count",
     BOTH(assert_event_count), NULL, MATCH_ROOT},
    {"waitForEvent", ENTITY_RUNNER, "!client !event !count",
     BOTH(wait_for_event), NULL, MATCH_ROOT},
    {"wait", ENTITY_RUNNER, "!ms", BOTH(wait_ms), NULL, MATCH_ROOT},
    {"assertNumberConnectionsCheckedOut", ENTITY_RUNNER,
     "!client !connections", BOTH(assert_checked_out), NULL, MATCH_ROOT},
    {"createEntities", ENTITY_RUNNER, "!entities", BOTH(create_entities),
     NULL, MATCH_ROOT},
    LACKING("loop", "a loop has no end of its own"),
    LACKING("runOnThread", "a client of libmongoc is for one thread"),
    LACKING("waitForThread", "a client of libmongoc is for one thread"),
    LACKING("recordTopologyDescription",
            "libmongoc 1.23 does not lend a pool's topology"),
    LACKING("assertTopologyType",
            "libmongoc 1.23 does not lend a pool's topology"),
    LACKING("waitForPrimaryChange",
            "libmongoc 1.23 does not lend a pool's topology"),
    {0}};
