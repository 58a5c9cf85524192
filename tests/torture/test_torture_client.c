/* SPDX-License-Identifier: Apache-2.0 */
/* test_torture_client.c - a client, while calls of the library fail.  One wire
 * server serves all runs of a sweep; each run has a client of its own. */
#include <stator/stator.h>

#include "tests/torture/fail.h"
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
    stator_collection_t *c =
        stator_client_get_collection(client, "torture", "things");
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
    stator_collection_t *c =
        stator_client_get_collection(client, "torture", "things");
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
    stator_collection_t *c =
        stator_client_get_collection(client, "torture", "things");
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

static void cancels(stator_client_t *client)
{
    stator_collection_t *c =
        stator_client_get_collection(client, "torture", "held");
    stator_future_t *f[3];

    for (int i = 0; i < 3; i++)
        f[i] = stator_collection_find_one(c, NULL, NULL);
    stage_wait_held_or_settled(f[0]);
    for (int i = 0; i < 3; i++) {
        if (!stator_future_cancel(f[i]))
            settles(f[i]);
        stator_future_unref(f[i]);
    }
    stage_let_go();
    stator_collection_unref(c);
}

static void closes_hard(stator_client_t *client)
{
    stator_collection_t *c =
        stator_client_get_collection(client, "torture", "held");
    stator_future_t *f = stator_collection_find_one(c, NULL, NULL);
    bson_t *opts = BCON_NEW("mode", "cancel", "timeoutMS", BCON_INT32(5000));
    stator_future_t *over;

    stage_wait_held_or_settled(f);
    over = stator_client_close(client, opts);
    stage_let_go();
    settles_take(over);
    OK(stator_future_wait(f, 10000) == 0);
    stator_future_unref(f);
    stator_collection_unref(c);
    bson_destroy(opts);
}

#define SWEEP(scenario)                                                        \
    static void scenario##_run(void)                                           \
    {                                                                          \
        stage_client(scenario, false);                                            \
    }                                                                          \
    START_TEST(scenario##_under_torture)                                       \
    {                                                                          \
        stage_open();                                                          \
        torture_sweep_named(#scenario, scenario##_run);                        \
        stage_shut();                                                          \
    }                                                                          \
    END_TEST

SWEEP(starts_and_ends)
SWEEP(resizes)
SWEEP(writes)
SWEEP(reads)
SWEEP(outcomes)
SWEEP(runs)
SWEEP(cancels)
SWEEP(closes_hard)

SUITE(torture_client)
{
    tcase_add_test(tc, starts_and_ends_under_torture);
    tcase_add_test(tc, resizes_under_torture);
    tcase_add_test(tc, writes_under_torture);
    tcase_add_test(tc, reads_under_torture);
    tcase_add_test(tc, outcomes_under_torture);
    tcase_add_test(tc, runs_under_torture);
    tcase_add_test(tc, cancels_under_torture);
    tcase_add_test(tc, closes_hard_under_torture);
}
