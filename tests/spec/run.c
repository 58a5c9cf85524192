/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - one test, from its data to its outcome. */
#include "tests/spec/run.h"

#include <stdio.h>
#include <string.h>

#include "tests/spec/client.h"
#include "tests/spec/data.h"
#include "tests/spec/operation.h"
#include "tests/spec/value.h"

/* Why it did not go on is told with the operation's number and name. */
static bool place(verdict_t *verdict, const char *key, const bson_t *operation)
{
    verdict_t inner = *verdict;

    if (verdict->kind == VERDICT_FAILED)
        snprintf(verdict->text, sizeof verdict->text,
                 "operation %s, %s: %.900s", key,
                 value_utf8(operation, "name", "?"), inner.text);
    return false;
}

static bool operate(run_t *run, const bson_t *operations)
{
    bson_iter_t at;
    bson_t view;

    bson_iter_init(&at, operations);
    while (bson_iter_next(&at)) {
        value_look(&at, &view);
        if (!operation_run(run, &view, NULL))
            return place(run->verdict, bson_iter_key(&at), &view);
    }
    return true;
}

static bool check_events(run_t *run, const bson_t *list)
{
    bson_iter_t at;
    bson_t view;

    bson_iter_init(&at, list);
    while (bson_iter_next(&at)) {
        entity_t *client;

        value_look(&at, &view);
        client = entities_get(&run->entities, value_utf8(&view, "client", ""),
                              ENTITY_CLIENT, run->verdict);
        if (client == NULL ||
            !events_match(client->events, &view, &run->entities,
                          run->verdict))
            return false;
    }
    return true;
}

static void disable_fail_points(run_t *run)
{
    fail_point_t *point;

    while ((point = run->fail_points) != NULL) {
        bson_t *command = BCON_NEW("configureFailPoint",
                                   BCON_UTF8(point->name), "mode", "off");

        run->fail_points = point->next;
        if (point->server_id == 0)
            mongoc_client_command_simple(run->internal, "admin", command,
                                         NULL, NULL, NULL);
        else
            mongoc_client_command_simple_with_server_id(
                run->internal, "admin", command, NULL, point->server_id, NULL,
                NULL);
        bson_destroy(command);
        bson_free(point->name);
        bson_free(point);
    }
}

/* Does the JSON text bear the word?  Good enough to choose precautions. */
static bool mentions(const bson_t *document, const char *word)
{
    char *json = bson_as_relaxed_extended_json(document, NULL);
    bool found = json != NULL && strstr(json, word) != NULL;

    bson_free(json);
    return found;
}

static bool go(run_t *run, const bson_t *file, const bson_t *test)
{
    bson_t view, entities;
    bool fine;

    value_view(file, "runOnRequirements", &view);
    if (!server_meets(run->server, run->internal, &view, run->verdict))
        return false;
    value_view(test, "runOnRequirements", &view);
    if (!server_meets(run->server, run->internal, &view, run->verdict))
        return false;
    if (value_has(test, "expectLogMessages") ||
        value_has(test, "expectTracingMessages"))
        return verdict_skip(run->verdict,
                            "libmongoc 1.23 has no structured log");
    value_view(file, "createEntities", &entities);
    if (!value_has(file, "initialData") &&
        !data_clear(run->internal, &entities, run->verdict))
        return false;
    value_view(file, "initialData", &view);
    if (!data_prepare(run->internal, &view, run->verdict))
        return false;
    if (!entities_create(&run->entities, &entities, run->verdict))
        return false;
    value_view(test, "operations", &view);
    fine = operate(run, &view);
    entities_stop_listening(&run->entities);
    disable_fail_points(run);
    if (!fine)
        return false;
    value_view(test, "expectEvents", &view);
    if (!check_events(run, &view))
        return false;
    value_view(test, "outcome", &view);
    return data_check(run->internal, &view, run->verdict);
}

/* A transaction that a test has left open would make the next one wait.  Only
 * its own: others may be at work. */
static void kill_sessions(const run_t *run)
{
    const entity_t *entity;

    for (entity = run->entities.first; entity != NULL; entity = entity->next)
        if (entity->kind == ENTITY_SESSION && !bson_empty(&entity->value))
            server_kill_session(run->internal, &entity->value);
}

void run_test(const setup_t *setup, const server_t *server,
              mongoc_client_t *internal, const bson_t *file,
              const bson_t *test, verdict_t *verdict)
{
    run_t run = {.setup = setup,
                 .server = server,
                 .internal = internal,
                 .verdict = verdict,
                 .entities = {.setup = setup}};
    const char *reason = value_utf8(test, "skipReason", NULL);

    verdict->kind = VERDICT_PASSED;
    if (reason != NULL) {
        verdict_skip(verdict, "the file says: %s", reason);
        return;
    }
    run.entities.quick_heartbeat = mentions(test, "ailPoint");
    /* A client that is being closed still says hello, and would take a
     * failure that is meant for this test. */
    if (run.entities.quick_heartbeat)
        client_wait_all();
    if (!go(&run, file, test) && verdict->kind == VERDICT_PASSED)
        verdict_fail(verdict, "the runner gave up without a reason");
    disable_fail_points(&run);
    if (mentions(test, "ransaction"))
        kill_sessions(&run);
    entities_clear(&run.entities);
}
