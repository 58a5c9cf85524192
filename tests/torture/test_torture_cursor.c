/* SPDX-License-Identifier: Apache-2.0 */
/* test_torture_cursor.c - cursors over several batches, while calls of the
 * library fail: every document comes, once and in order, or an error does;
 * and the server keeps no cursor. */
#include <errno.h>
#include <stator/stator.h>

#include "tests/torture/stage.h"

static stator_cursor_t *find(stator_client_t *client, bool prefetch)
{
    stator_collection_t *c = stage_collection(client, "things");
    bson_t *opts = BCON_NEW("batchSize", BCON_INT32(3), "comment", "why",
                            "prefetch", BCON_INT32(prefetch));
    stator_cursor_t *cursor = stator_collection_find(c, NULL, opts);

    stator_collection_unref(c);
    bson_destroy(opts);
    OK(cursor != NULL);
    return cursor;
}

static void is_next(const bson_t *document, int *next)
{
    bson_iter_t i;

    OK(bson_iter_init_find(&i, document, "_id"));
    OK(bson_iter_as_int64(&i) == *next);
    ++*next;
}

static void over(stator_cursor_t *cursor)
{
    settles_take(stator_cursor_close(cursor));
    stator_cursor_unref(cursor);
}

static void read_singly(stator_client_t *client, bool prefetch)
{
    stator_cursor_t *cursor = find(client, prefetch);
    int next = 0, failures = 0;
    bool ended = false;

    while (!ended && failures < 3) {
        stator_future_t *f = stator_cursor_next(cursor);

        if (!settles(f))
            failures++; /* it may go on */
        else if (stator_future_document(f) == NULL)
            ended = true;
        else
            is_next(stator_future_document(f), &next);
        stator_future_unref(f);
    }
    OK(!ended || next == STAGE_DOCUMENTS);
    over(cursor);
}

static void nexts(stator_client_t *client)
{
    read_singly(client, false);
}

static void prefetches(stator_client_t *client)
{
    read_singly(client, true);
}

static void batches(stator_client_t *client)
{
    stator_cursor_t *cursor = find(client, false);
    stator_future_t *f = stator_cursor_next_batch(cursor);
    bson_t copy;
    int next = 0;

    if (settles(f))
        for (int i = 0; i < stator_future_count(f); i++)
            is_next(stator_future_document_at(f, (size_t)i), &next);
    stator_future_unref(f);
    f = stator_cursor_next(cursor);
    if (settles(f))
        is_next(stator_future_document(f), &next);
    stator_future_unref(f);
    if (stator_cursor_try_buffered(cursor, &copy)) {
        is_next(&copy, &next);
        bson_destroy(&copy);
    }
    stator_cursor_unref(cursor); /* with its server's half open */
}

static void lists(stator_client_t *client)
{
    stator_cursor_t *cursor = find(client, false);
    stator_future_t *f = stator_cursor_to_list(cursor, 5);
    int next = 0;

    for (int round = 0; round < 2; round++) {
        if (settles(f))
            for (int i = 0; i < stator_future_count(f); i++)
                is_next(stator_future_document_at(f, (size_t)i), &next);
        stator_future_unref(f);
        f = stator_cursor_to_list(cursor, 0);
    }
    settles_take(f);
    OK(next == STAGE_DOCUMENTS || torture_fired());
    over(cursor);
}

/* More batches than slices that need no memory. */
static void long_list(stator_client_t *client)
{
    stator_collection_t *c = stage_collection(client, "things");
    bson_t *opts = BCON_NEW("batchSize", BCON_INT32(1));
    stator_cursor_t *cursor = stator_collection_find(c, NULL, opts);
    stator_future_t *f = stator_cursor_to_list(cursor, 0);
    int next = 0;

    if (settles(f)) {
        for (int i = 0; i < stator_future_count(f); i++)
            is_next(stator_future_document_at(f, (size_t)i), &next);
        OK(next == STAGE_DOCUMENTS);
    }
    stator_future_unref(f);
    over(cursor);
    stator_collection_unref(c);
    bson_destroy(opts);
}

static void too_long_a_list(stator_client_t *client)
{
    stator_collection_t *c = stage_collection(client, "things");
    bson_t *opts = BCON_NEW("batchSize", BCON_INT32(2), "maxBytes",
                            BCON_INT64(60));
    stator_cursor_t *cursor = stator_collection_find(c, NULL, opts);
    stator_future_t *f = stator_cursor_to_list(cursor, 0);
    bson_error_t error = {0};

    OK(stator_future_wait(f, TORTURE_PATIENCE_MS) == 0);
    OK(stator_future_error(f, &error));
    if (error.code != STATOR_ERROR_REFUSED)
        settles(f);
    stator_future_unref(f);
    settles_take(stator_cursor_next(cursor));
    over(cursor);
    stator_collection_unref(c);
    bson_destroy(opts);
}

/* Three cursors, one connection to spare. */
static void shared_connection(stator_client_t *client)
{
    enum { N = 3 };
    stator_cursor_t *cursors[N];
    stator_future_t *f[N];
    int next[N] = {0};

    for (int i = 0; i < N; i++)
        cursors[i] = find(client, false);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < N; i++)
            f[i] = stator_cursor_next(cursors[i]);
        for (int i = 0; i < N; i++) {
            if (settles(f[i]))
                is_next(stator_future_document(f[i]), &next[i]);
            stator_future_unref(f[i]);
        }
    }
    for (int i = 0; i < N; i++)
        over(cursors[i]);
}

static bool see(const bson_t *document, void *next)
{
    is_next(document, next);
    return true;
}

static stator_future_t *see_and_pause(const bson_t *document, void *next)
{
    stator_promise_t *p = stator_promise_new();
    stator_future_t *f = stator_promise_future(p);

    is_next(document, next);
    (void)stator_promise_resolve(p, NULL, NULL);
    stator_promise_unref(p);
    return f;
}

static void eaches(stator_client_t *client)
{
    stator_dispatcher_t *d = dispatcher_or_null();

    if (d == NULL)
        return;
    for (int pauses = 0; pauses < 2; pauses++) {
        stator_cursor_t *cursor = find(client, false);
        int next = 0;
        stator_future_t *f =
            pauses ? stator_cursor_each_async(cursor, d, see_and_pause, &next)
                   : stator_cursor_each(cursor, d, see, &next);

        if (settles_on(d, f))
            OK(next == STAGE_DOCUMENTS &&
               stator_future_count(f) == STAGE_DOCUMENTS);
        stator_future_unref(f);
        over(cursor);
    }
    stator_dispatcher_unref(d);
}

static void cancelled_requests(stator_client_t *client)
{
    stator_cursor_t *cursor = find(client, false);
    stator_future_t *f[4];

    for (int i = 0; i < 4; i++)
        f[i] = stator_cursor_next(cursor);
    for (int i = 3; i >= 0; i--) {
        if (!stator_future_cancel(f[i]))
            settles(f[i]);
        stator_future_unref(f[i]);
    }
    over(cursor);
}

/* Left open for the client's close to find. */
static void left_to_close(stator_client_t *client)
{
    stator_cursor_t *cursor = find(client, false);

    settles_take(stator_cursor_next(cursor));
    settles_take(stator_client_close(client, NULL));
    stator_cursor_unref(cursor);
}

static const stage_t stages[] = {
    {.name = "nexts", nexts},
    {.name = "prefetches", prefetches},
    {.name = "batches", batches},
    {.name = "lists", lists},
    {.name = "long list", long_list},
    {.name = "too long a list", too_long_a_list},
    {.name = "eaches", eaches},
    {.name = "cancelled requests", cancelled_requests, .is_offline = true},
    {.name = "shared connection", shared_connection,
     .opts = "{\"workers\": 2, \"watchers\": 0, \"maxConnections\": 3}"},
    {.name = "left to close", left_to_close, .leaks = true},
};

STAGE_TESTS

SUITE(torture_cursor)
{
    enum { N = sizeof stages / sizeof stages[0] };

    tcase_add_loop_test(tc, under_torture, 0, N);
    tcase_add_loop_test(tc, on_a_failing_network, 0, N);
}
