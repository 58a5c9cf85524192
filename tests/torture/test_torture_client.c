/* SPDX-License-Identifier: Apache-2.0 */
/* test_torture_client.c - a client, while calls of the library fail.  One wire
 * server serves all runs of a sweep; each run has a client of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/torture/stage.h"

static void starts_and_ends(stator_client_t *client)
{
    bson_t stats, config;

    stator_client_stats(client, &stats);
    stator_client_config(client, &config);
    bson_destroy(&stats);
    bson_destroy(&config);
}

static void resizes(stator_client_t *client)
{
    bson_error_t error = {0};

    for (int workers = 4; workers > 0; workers -= 3)
        if (!stator_client_resize(client, workers, &error)) {
            OK(torture_fired());
            OK(error.domain == STATOR_ERROR_DOMAIN);
            OK(error.code == STATOR_ERROR_REFUSED);
        }
    settles_take(stator_client_ping(client, NULL));
}

static void writes(stator_client_t *client)
{
    enum { N = 12 }; /* more than the views that need no memory */
    stator_collection_t *c = stage_collection(client, "things");
    bson_t *document = BCON_NEW("a", BCON_INT32(1));
    bson_t *set = BCON_NEW("$set", "{", "a", BCON_INT32(2), "}");
    bson_t *model = BCON_NEW("insertOne", "{", "document", "{", "}", "}");
    const bson_t *many[N], *models[N];

    for (int i = 0; i < N; i++) {
        many[i] = document;
        models[i] = model;
    }
    settles_take(stator_collection_insert_one(c, document, NULL));
    settles_take(stator_collection_insert_many(c, many, N, NULL));
    settles_take(stator_collection_update_one(c, document, set, NULL));
    settles_take(stator_collection_replace_one(c, document, document, NULL));
    settles_take(stator_collection_delete_many(c, document, NULL));
    settles_take(
        stator_collection_find_one_and_update(c, document, set, NULL));
    settles_take(stator_collection_bulk_write(c, models, N, NULL));
    stator_collection_unref(c);
    bson_destroy(document);
    bson_destroy(set);
    bson_destroy(model);
}

/* NOT_SENT is a promise: the server never saw it. */
static void outcomes(stator_client_t *client)
{
    stator_collection_t *c = stage_collection(client, "things");
    bson_t document = BSON_INITIALIZER;
    int64_t inserts = stage_count("insert"), finds;
    stator_future_t *f = stator_collection_insert_one(c, &document, NULL);
    stator_cursor_t *cursor;

    OK(settles(f) || stator_future_outcome(f) != STATOR_NOT_SENT ||
       stage_count("insert") == inserts);
    stator_future_unref(f);
    finds = stage_count("find");
    cursor = stator_collection_find(c, NULL, NULL);
    f = stator_cursor_next(cursor);
    OK(settles(f) || stator_future_outcome(f) != STATOR_NOT_SENT ||
       stage_count("find") == finds);
    stator_future_unref(f);
    stator_cursor_unref(cursor);
    stator_collection_unref(c);
    bson_destroy(&document);
}

static void reads(stator_client_t *client)
{
    stator_collection_t *c = stage_collection(client, "things");
    bson_t *opts = BCON_NEW("timeoutMS", BCON_INT32(600000), "priority",
                            "high", "readPreference", "{", "mode",
                            "secondaryPreferred", "}");
    bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
    stator_collection_t *other;
    stator_future_t *f = stator_collection_find_one(c, NULL, opts);
    bson_error_t error = {0};

    if (settles(f))
        OK(stator_future_document(f) != NULL);
    stator_future_unref(f);
    settles_take(stator_collection_count_documents(c, NULL, NULL));
    settles_take(stator_collection_estimated_document_count(c, NULL));
    settles_take(stator_client_command(client, "admin", ping, NULL));
    settles_take(stator_client_list_database_names(client, NULL));
    bson_destroy(opts);

    opts = BCON_NEW("readConcern", "{", "level", "local", "}");
    other = stator_collection_with_opts(c, opts, &error);
    if (other == NULL)
        OK(torture_fired() && error.domain == STATOR_ERROR_DOMAIN &&
           error.code == STATOR_ERROR_MEMORY);
    else
        settles_take(stator_collection_find_one(other, NULL, NULL));
    stator_collection_unref(other);
    stator_collection_unref(c);
    bson_destroy(opts);
    bson_destroy(ping);
}

static void work(mongoc_client_t *client, stator_promise_t *promise,
                 void *kept)
{
    bson_t document = BSON_INITIALIZER;

    OK(client != NULL);
    BSON_APPEND_INT32(&document, "x", 1);
    if (kept != NULL)
        *(stator_promise_t **)kept = stator_promise_ref(promise);
    else
        (void)stator_promise_resolve(promise, &document, NULL);
    bson_destroy(&document);
}

static void runs(stator_client_t *client)
{
    stator_promise_t *kept = NULL;
    stator_future_t *f, *ping;

    settles_take(stator_client_run(client, work, NULL, NULL));
    settles_take(stator_client_room(client));

    /* One worker or not, it is kept once `work` has returned. */
    f = stator_client_run(client, work, &kept, NULL);
    ping = stator_client_ping(client, NULL);
    settles_take(ping);
    if (!stator_future_cancel(f)) /* it failed at the same time */
        settles(f);
    stator_future_unref(f);
    settles_take(stator_client_close(client, NULL)); /* `work` is over */
    stator_promise_unref(kept);
}

static void databases(stator_client_t *client)
{
    stator_database_t *db = stator_client_get_database(client, "torture");
    bson_t *opts = BCON_NEW("readConcern", "{", "level", "local", "}");
    bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
    bson_error_t error = {0};
    stator_database_t *other = stator_database_with_opts(db, opts, &error);
    stator_collection_t *c;
    stator_cursor_t *cursor;

    if (other == NULL)
        OK(torture_fired() && error.domain == STATOR_ERROR_DOMAIN &&
           error.code == STATOR_ERROR_MEMORY);
    else
        settles_take(stator_database_read_command(other, ping, NULL));
    c = stator_database_get_collection(db, "things");
    settles_take(stator_collection_find_one(c, NULL, NULL));
    settles_take(stator_database_command(db, ping, NULL));
    settles_take(stator_database_list_collection_names(db, NULL));
    settles_take(stator_database_has_collection(db, "things", NULL));
    settles_take(stator_database_create_collection(db, "more", NULL));
    cursor = stator_database_list_collections(db, NULL);
    settles_take(stator_cursor_to_list(cursor, 0));
    stator_cursor_unref(cursor);
    settles_take(stator_database_drop(db, NULL));
    stator_collection_unref(c);
    stator_database_unref(other);
    stator_database_unref(db);
    bson_destroy(opts);
    bson_destroy(ping);
}

static void packed_replies(stator_client_t *client)
{
    for (int i = 0; i < 2; i++) {
        stator_future_t *f = stage_find_one(client, "packed");

        if (settles(f))
            OK(stator_future_document(f) != NULL);
        stator_future_unref(f);
    }
}

/* One worker, one place: the third waits for it, on this thread. */
static void full_queue(stator_client_t *client)
{
    bson_t *soon = BCON_NEW("timeoutMS", BCON_INT32(5));
    stator_future_t *held = stage_find_one(client, "held");
    stator_future_t *queued, *late, *room;

    stage_wait_held_or_settled(held);
    queued = stage_find_one(client, "things");
    late = stator_client_ping(client, soon);
    room = stator_client_room(client);
    OK(stator_future_wait(late, TORTURE_PATIENCE_MS) == 0); /* as it may */
    stage_let_go();
    settles_take(room);
    settles_take(queued);
    settles_take(held);
    stator_future_unref(late);
    bson_destroy(soon);
}

static const stage_t stages[] = {
    {.name = "starts and ends", starts_and_ends, .is_offline = true},
    {.name = "resizes", resizes},
    {.name = "writes", writes},
    {.name = "reads", reads},
    {.name = "outcomes", outcomes},
    {.name = "runs", runs},
    {.name = "databases", databases},
    {.name = "packed replies", packed_replies},
    {.name = "a host by its name", reads, .by_name = true},
    {.name = "full queue", full_queue,
     .opts = "{\"workers\": 1, \"queueLimit\": 1, "
             "\"queuePolicy\": \"block\"}"},
    {.name = "from a pool", outcomes, .from_pool = true,
     .is_offline = true}, /* the driver's own streams */
    {.name = "from a pool, our streams", outcomes, .from_pool = true,
     .opts = "{\"workers\": 2, \"transport\": \"stator\"}"},
};

STAGE_TESTS

/* The same options, from a file. */
START_TEST(configured_by_a_file)
{
    static const stage_t stage = {.name = "configured by a file",
                                  starts_and_ends, .opts = "{}"};
    char path[] = "/tmp/stator-torture-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");

    ck_assert_ptr_nonnull(file);
    fputs("{\"workers\": 2, \"name\": \"filed\"}", file);
    fclose(file);
    setenv("STATOR_CONFIG", path, 1);
    stage_perform(&stage);
    unsetenv("STATOR_CONFIG");
    unlink(path);
}
END_TEST

SUITE(torture_client)
{
    enum { N = sizeof stages / sizeof stages[0] };

    tcase_add_loop_test(tc, under_torture, 0, N);
    tcase_add_loop_test(tc, on_a_failing_network, 0, N);
    tcase_add_test(tc, configured_by_a_file);
}
