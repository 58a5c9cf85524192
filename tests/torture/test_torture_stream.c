/* SPDX-License-Identifier: Apache-2.0 */
/* test_torture_stream.c - change streams and awaiting cursors, while calls of
 * the library fail: an event comes or an error does, and the server keeps no
 * cursor. */
#include <errno.h>
#include <stator/stator.h>

#include "tests/torture/stage.h"

/* A turn is short: on the wire server nothing happens meanwhile. */
static stator_change_stream_t *watch(stator_client_t *client, int turn_ms)
{
    stator_collection_t *c = stage_collection(client, "things");
    bson_t *opts = BCON_NEW("maxAwaitTimeMS", BCON_INT32(turn_ms));
    stator_change_stream_t *stream = stator_collection_watch(c, NULL, opts);

    bson_destroy(opts);
    stator_collection_unref(c);
    OK(stream != NULL);
    return stream;
}

static void over(stator_change_stream_t *stream)
{
    settles_take(stator_change_stream_close(stream));
    stator_change_stream_unref(stream);
}

static void tries(stator_client_t *client)
{
    stator_change_stream_t *stream = watch(client, 1);
    bson_t token;

    settles_take(stator_change_stream_open(stream));
    settles_take(stator_change_stream_try_next(stream));
    settles_take(stator_change_stream_try_next(stream));
    if (stator_change_stream_resume_token(stream, &token))
        bson_destroy(&token);
    over(stream);
}

/* In a turn of a minute: only close ends that. */
static void closes(stator_client_t *client)
{
    stator_change_stream_t *stream = watch(client, 60000);
    stator_future_t *next, *closing;
    bson_error_t error = {0};

    if (!settles_take(stator_change_stream_open(stream))) {
        over(stream);
        return;
    }
    next = stator_change_stream_next(stream);
    closing = stator_change_stream_close(stream);
    if (!settles_take(closing)) /* there was no memory to ask for it */
        stator_future_cancel(next);
    OK(stator_future_wait(next, TORTURE_PATIENCE_MS) == 0);
    OK(stator_future_error(next, &error));
    stator_future_unref(next);
    stator_change_stream_unref(stream);
}

static void several(stator_client_t *client)
{
    stator_change_stream_t *streams[3];
    stator_future_t *f[3];

    for (int i = 0; i < 3; i++) {
        streams[i] = watch(client, 1);
        f[i] = stator_change_stream_try_next(streams[i]);
    }
    for (int i = 0; i < 3; i++) {
        settles_take(f[i]);
        over(streams[i]);
    }
}

static bool stop(const bson_t *event, void *arg)
{
    (void)event, (void)arg;
    return false;
}

static void each(stator_client_t *client)
{
    stator_dispatcher_t *d = dispatcher_or_null();
    stator_change_stream_t *stream;
    stator_future_t *f;

    if (d == NULL)
        return;
    stream = watch(client, 1);
    f = stator_change_stream_each(stream, d, stop, NULL);
    settles_take(stator_change_stream_open(stream));
    stator_future_cancel(f);
    stator_future_unref(f);
    over(stream);
    (void)stator_dispatcher_dispatch(d, 0);
    stator_dispatcher_unref(d);
}

static void awaiting(stator_client_t *client)
{
    stator_collection_t *c = stage_collection(client, "things");
    bson_t *opts = BCON_NEW("tailable", BCON_BOOL(true), "awaitData",
                            BCON_BOOL(true));
    stator_cursor_t *cursor = stator_collection_find(c, NULL, opts);

    settles_take(stator_cursor_next(cursor)); /* on nothing: it is dead */
    settles_take(stator_cursor_close(cursor));
    stator_cursor_unref(cursor);
    stator_collection_unref(c);
    bson_destroy(opts);
}

static const stage_t stages[] = {
    {.name = "tries", tries},
    /* After a cut there can be no memory to connect again. */
    {.name = "closes", closes, .leaves_open = true},
    {.name = "several streams", several,
     .opts = "{\"workers\": 1, \"watchers\": 2}"},
    {.name = "each event", each, .leaves_open = true},
    {.name = "an awaiting cursor", awaiting},
};

STAGE_TESTS

SUITE(torture_stream)
{
    enum { N = sizeof stages / sizeof stages[0] };

    tcase_add_loop_test(tc, under_torture, 0, N);
    tcase_add_loop_test(tc, on_a_failing_network, 0, N);
}
