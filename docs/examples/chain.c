/* SPDX-License-Identifier: Apache-2.0 */
/* chain.c - insert, then find and look at each document, then clean up.  A
 * step that fails skips those after it; finally runs in any case. */
#include <stator/stator.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 1000 };

typedef struct app {
    stator_dispatcher_t *dispatcher;
    stator_collection_t *collection;
    int64_t sum;
} app_t;

static bool add_up(const bson_t *document, void *arg)
{
    app_t *app = arg;
    bson_iter_t it;

    if (bson_iter_init_find(&it, document, "n"))
        app->sum += bson_iter_int32(&it);
    return true; /* the next one, please */
}

static stator_future_t *find(stator_future_t *inserted, void *arg)
{
    app_t *app = arg;
    stator_cursor_t *cursor =
        stator_collection_find(app->collection, NULL, NULL);
    stator_future_t *each =
        stator_cursor_each(cursor, app->dispatcher, add_up, app);

    printf("%d inserted\n", (int)stator_future_count(inserted));
    stator_cursor_unref(cursor); /* `each` keeps it */
    return each;
}

static stator_future_t *drop(stator_future_t *found, void *arg)
{
    printf("%d found\n", (int)stator_future_count(found));
    return stator_collection_drop(((app_t *)arg)->collection, NULL);
}

int main(void)
{
    const char *uri = getenv("MONGODB_URI");
    bson_error_t error = {0};
    app_t app = {.dispatcher = stator_dispatcher_new(&error)};
    stator_client_t *client =
        stator_client_new(uri ? uri : "mongodb://127.0.0.1", NULL, &error);
    stator_future_t *step[4];
    bson_t *documents[N];

    /* The driver's log would go to stdout. */
    mongoc_log_set_handler(NULL, NULL);
    if (app.dispatcher == NULL || client == NULL) {
        fprintf(stderr, "%s\n", error.message);
        return EXIT_FAILURE;
    }
    app.collection = stator_client_get_collection(client, "example", "chain");
    for (int i = 0; i < N; i++)
        documents[i] = BCON_NEW("n", BCON_INT32(i));

    step[0] = stator_collection_insert_many(
        app.collection, (const bson_t **)documents, N, NULL);
    step[1] = stator_future_chain(step[0], app.dispatcher, find, &app);
    step[2] = stator_future_finally(step[1], app.dispatcher, drop, &app);
    stator_dispatcher_run_until(app.dispatcher, step[2], -1);
    if (stator_future_error(step[2], &error))
        fprintf(stderr, "%s\n", error.message);
    step[3] = stator_client_close(client, NULL);
    stator_future_wait(step[3], -1);
    for (int i = 0; i < 4; i++)
        stator_future_unref(step[i]);
    for (int i = 0; i < N; i++)
        bson_destroy(documents[i]);
    stator_collection_unref(app.collection);
    stator_client_unref(client);
    stator_dispatcher_unref(app.dispatcher);
    return app.sum == N * (N - 1) / 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}
