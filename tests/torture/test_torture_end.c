/* SPDX-License-Identifier: Apache-2.0 */
/* test_torture_end.c - operations given up and clients closed in every way,
 * while calls of the library fail. */
#include "tests/torture/stage.h"

/* Over, one way or another. */
static void ends(stator_future_t *f)
{
    OK(stator_future_wait(f, TORTURE_PATIENCE_MS) == 0);
    if (stator_future_poll(f) == STATOR_FUTURE_FAILED) {
        bson_error_t error = {0};

        OK(stator_future_error(f, &error));
        if (error.domain != STATOR_ERROR_DOMAIN ||
            error.code == STATOR_ERROR_MEMORY)
            settles(f);
        else
            OK(error.code == STATOR_ERROR_CLOSED);
    }
    stator_future_unref(f);
}

static void cancels(stator_client_t *client)
{
    stator_future_t *f[3];

    for (int i = 0; i < 3; i++)
        f[i] = stage_find_one(client, "held");
    stage_wait_held_or_settled(f[0]);
    for (int i = 0; i < 3; i++) {
        if (!stator_future_cancel(f[i]))
            settles(f[i]);
        stator_future_unref(f[i]);
    }
    stage_let_go();
}

/* What was cut is followed by something: at once, on the same worker. */
static void cancels_and_goes_on(stator_client_t *client)
{
    for (int i = 0; i < 2; i++) {
        stator_future_t *f = stage_find_one(client, "held");
        stator_future_t *next;

        stage_wait_held_or_settled(f);
        next = stage_find_one(client, "things");
        if (!stator_future_cancel(f))
            settles(f);
        stator_future_unref(f);
        settles_take(next);
    }
    stage_let_go();
}

static void expires(stator_client_t *client)
{
    stator_collection_t *c = stage_collection(client, "held");
    bson_t *opts = BCON_NEW("timeoutMS", BCON_INT32(3));
    stator_future_t *f = stator_collection_find_one(c, NULL, opts);
    bson_error_t error = {0};

    OK(stator_future_wait(f, TORTURE_PATIENCE_MS) == 0);
    OK(stator_future_error(f, &error));
    if (error.code != STATOR_ERROR_EXPIRED)
        settles(f);
    stator_future_unref(f);
    settles_take(stator_client_ping(client, NULL));
    stage_let_go();
    stator_collection_unref(c);
    bson_destroy(opts);
}

/* With an operation at the server, one that waits, and an open cursor. */
static void close_in(stator_client_t *client, const char *mode)
{
    stator_collection_t *c = stage_collection(client, "things");
    bson_t *few = BCON_NEW("batchSize", BCON_INT32(3));
    bson_t *opts = BCON_NEW("mode", BCON_UTF8(mode), "timeoutMS",
                            BCON_INT32(TORTURE_PATIENCE_MS));
    stator_cursor_t *cursor = stator_collection_find(c, NULL, few);
    stator_future_t *held, *queued, *asked, *over;

    settles_take(stator_cursor_next(cursor));
    held = stage_find_one(client, "held");
    queued = stage_find_one(client, "things");
    asked = stator_cursor_to_list(cursor, 0);
    stage_wait_held_or_settled(held);
    over = stator_client_close(client, opts);
    stage_let_go();
    settles_take(over);
    ends(held);
    ends(queued);
    ends(asked);
    stator_cursor_unref(cursor);
    stator_collection_unref(c);
    bson_destroy(few);
    bson_destroy(opts);
}

static void drains(stator_client_t *client)
{
    close_in(client, "drain");
}

static void closes_hard(stator_client_t *client)
{
    close_in(client, "cancel");
}

static void aborts(stator_client_t *client)
{
    close_in(client, "abort");
}

#define KILL "{\"workers\": 1, \"abandoned\": \"kill\"}"

static const stage_t stages[] = {
    {.name = "cancels", cancels},
    {.name = "cancels and goes on", cancels_and_goes_on,
     .opts = "{\"workers\": 1}"},
    {.name = "cancels and kills", cancels_and_goes_on, .opts = KILL},
    {.name = "expires", expires},
    {.name = "expires and kills", expires, .opts = KILL},
    {.name = "closes: drain", drains, .leaks = true},
    {.name = "closes: cancel", closes_hard, .leaks = true, .leaves_open = true},
    {.name = "closes: abort", aborts, .leaks = true, .leaves_open = true},
};

STAGE_TESTS

SUITE(torture_end)
{
    enum { N = sizeof stages / sizeof stages[0] };

    tcase_add_loop_test(tc, under_torture, 0, N);
    tcase_add_loop_test(tc, on_a_failing_network, 0, N);
}
