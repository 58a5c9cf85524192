/* SPDX-License-Identifier: Apache-2.0 */
/* uv_loop.c - insert a document and take it out again in a libuv loop, which
 * ends by itself once the dispatcher is detached. */
#include <stator/adapters/uv.h>
#include <stator/stator.h>
#include <stdio.h>

static stator_dispatcher_t *dispatcher;
static stator_client_t *client;
static stator_collection_t *collection;
static bson_t *document;
static int status = EXIT_FAILURE;

static void attach(stator_future_t *future, stator_then_fn *fn)
{
    if (stator_future_then(future, dispatcher, fn, NULL) != 0)
        abort();
    stator_future_unref(future);
}

static void complain(stator_future_t *future)
{
    bson_error_t error;

    if (stator_future_error(future, &error))
        fprintf(stderr, "%s\n", error.message);
}

static void on_closed(stator_future_t *future, void *unused)
{
    (void)unused;
    complain(future);
    stator_uv_detach(dispatcher);
}

static void on_taken(stator_future_t *future, void *unused)
{
    const bson_t *taken = stator_future_document(future);

    (void)unused;
    complain(future);
    if (taken != NULL && bson_has_field(taken, "hello"))
        status = EXIT_SUCCESS;
    attach(stator_client_close(client, NULL), on_closed);
}

static void on_inserted(stator_future_t *future, void *unused)
{
    (void)unused;
    complain(future);
    attach(stator_collection_find_one_and_delete(collection, document, NULL),
           on_taken);
}

int main(void)
{
    const char *uri = getenv("MONGODB_URI");
    bson_error_t error = {0};

    /* The driver's log would go to stdout. */
    mongoc_log_set_handler(NULL, NULL);
    dispatcher = stator_dispatcher_new(&error);
    client = stator_client_new(uri ? uri : "mongodb://127.0.0.1", NULL, &error);
    if (dispatcher == NULL || client == NULL ||
        stator_uv_attach(dispatcher, uv_default_loop()) != 0) {
        fprintf(stderr, "set-up: %s\n", error.message);
        return EXIT_FAILURE;
    }
    collection = stator_client_get_collection(client, "example", "uv_loop");
    document = BCON_NEW("hello", "loop");
    attach(stator_collection_insert_one(collection, document, NULL),
           on_inserted);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    uv_loop_close(uv_default_loop());

    bson_destroy(document);
    stator_collection_unref(collection);
    stator_client_unref(client);
    stator_dispatcher_unref(dispatcher);
    return status;
}
