/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - see what is inserted: open says when the stream watches, each
 * brings the events into the loop. */
#include <stator/stator.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 3 };

typedef struct app {
    stator_dispatcher_t *dispatcher;
    stator_collection_t *collection;
    stator_change_stream_t *stream;
    int seen;
} app_t;

static bool on_event(const bson_t *event, void *arg)
{
    app_t *app = arg;
    bson_iter_t it;

    if (bson_iter_init_find(&it, event, "operationType"))
        printf("%d: %s\n", ++app->seen, bson_iter_utf8(&it, NULL));
    return app->seen < N; /* the next one, please */
}

static stator_future_t *insert(stator_future_t *opened, void *arg)
{
    app_t *app = arg;
    stator_future_t *each = stator_change_stream_each(
        app->stream, app->dispatcher, on_event, app);

    (void)opened; /* now watching: what happens from here on is seen */
    for (int i = 0; i < N; i++) {
        bson_t *document = BCON_NEW("n", BCON_INT32(i));

        stator_future_unref(stator_collection_insert_one(
            app->collection, document, NULL));
        bson_destroy(document);
    }
    return each;
}

int main(void)
{
    const char *uri = getenv("MONGODB_URI");
    bson_error_t error = {0};
    app_t app = {.dispatcher = stator_dispatcher_new(&error)};
    stator_client_t *client =
        stator_client_new(uri ? uri : "mongodb://127.0.0.1", NULL, &error);
    stator_future_t *step[3];

    /* The driver's log would go to stdout. */
    mongoc_log_set_handler(NULL, NULL);
    if (app.dispatcher == NULL || client == NULL) {
        fprintf(stderr, "%s\n", error.message);
        return EXIT_FAILURE;
    }
    app.collection = stator_client_get_collection(client, "example", "watch");
    app.stream = stator_collection_watch(app.collection, NULL, NULL);

    step[0] = stator_change_stream_open(app.stream);
    step[1] = stator_future_chain(step[0], app.dispatcher, insert, &app);
    stator_dispatcher_run_until(app.dispatcher, step[1], -1);
    if (stator_future_error(step[1], &error))
        fprintf(stderr, "%s\n", error.message);
    stator_change_stream_unref(app.stream);
    stator_collection_unref(app.collection);
    step[2] = stator_client_close(client, NULL);
    stator_future_wait(step[2], -1);
    for (int i = 0; i < 3; i++)
        stator_future_unref(step[i]);
    stator_client_unref(client);
    stator_dispatcher_unref(app.dispatcher);
    return app.seen == N ? EXIT_SUCCESS : EXIT_FAILURE;
}
