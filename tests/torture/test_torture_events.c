/* SPDX-License-Identifier: Apache-2.0 */
/* test_torture_events.c - who listens, while calls of the library fail: an
 * event that there is no memory for is counted, and all go home. */
#include <stator/stator.h>

#include "tests/torture/stage.h"

typedef struct {
    int64_t started, dropped;
} heard_t;

static void hear(const stator_event_t *event, void *arg)
{
    heard_t *h = arg;

    h->dropped += stator_event_dropped(event);
    h->started += stator_event_type(event) == STATOR_EVENT_COMMAND_STARTED;
}

static stator_listener_t *listener_or_null(stator_client_t *client,
                                           stator_dispatcher_t *d,
                                           heard_t *heard)
{
    bson_t *opts =
        BCON_NEW("events", "[", "commandStarted", "]", "limit", BCON_INT32(2));
    bson_error_t error = {0};
    stator_listener_t *l =
        stator_client_listen(client, d, hear, heard, opts, &error);

    if (l == NULL)
        OK(torture_fired() && error.code == STATOR_ERROR_MEMORY);
    bson_destroy(opts);
    return l;
}

/* Each ping that was sent has been told, or is among those that are missing. */
static void listening(stator_client_t *client)
{
    stator_dispatcher_t *d = dispatcher_or_null();
    stator_listener_t *l;
    heard_t heard = {0};
    int64_t sent = 0;

    if (d == NULL)
        return;
    l = listener_or_null(client, d, &heard);
    if (l != NULL) {
        for (int i = 0; i < 4; i++)
            sent += settles_take(stator_client_ping(client, NULL));
        while (stator_dispatcher_dispatch(d, 0) > 0)
            continue;
        OK(heard.started + heard.dropped >= sent);
    }
    stator_listener_unref(l);
    stator_dispatcher_unref(d);
}

static void dispatcher_first(stator_client_t *client)
{
    stator_dispatcher_t *d = dispatcher_or_null();
    heard_t heard = {0};
    stator_listener_t *l;

    if (d == NULL)
        return;
    l = listener_or_null(client, d, &heard);
    settles_take(stator_client_ping(client, NULL));
    stator_dispatcher_unref(d);
    settles_take(stator_client_ping(client, NULL));
    OK(heard.started == 0);
    stator_listener_unref(l);
}

static void contexts(stator_client_t *client)
{
    int mark;
    bson_t opts = BSON_INITIALIZER;
    stator_collection_t *c = stage_collection(client, "things");
    stator_cursor_t *cursor;
    stator_future_t *f;

    OK(stator_context_append(&mark, &opts, NULL));
    f = stator_client_ping(client, &opts);
    if (settles(f))
        OK(stator_future_context(f) == &mark);
    stator_future_unref(f);
    BSON_APPEND_INT32(&opts, "batchSize", 3);
    cursor = stator_collection_find(c, NULL, &opts);
    settles_take(stator_cursor_to_list(cursor, 0));
    stator_cursor_unref(cursor);
    stator_collection_unref(c);
    bson_destroy(&opts);
}

static const stage_t stages[] = {
    {.name = "listening", listening},
    {.name = "a dispatcher that goes first", dispatcher_first},
    {.name = "contexts", contexts},
    {.name = "an adopted pool that tells", listening,
     .opts = "{\"workers\": 2, \"events\": \"command\"}",
     .from_pool = true,
     .is_offline = true},
};

STAGE_TESTS

SUITE(torture_events)
{
    enum { N = sizeof stages / sizeof stages[0] };

    tcase_add_loop_test(tc, under_torture, 0, N);
    tcase_add_loop_test(tc, on_a_failing_network, 0, N);
}
