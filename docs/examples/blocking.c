/* SPDX-License-Identifier: Apache-2.0 */
/* blocking.c - no loop at all: start several operations, then wait.
 *
 * The operations run at the same time, on the client's workers. */
#include <stator/stator.h>
#include <stdio.h>
#include <stdlib.h>

/* Wait for `future` and give it back; false, and a word on it, if it failed
 * or takes longer than ten seconds. */
static bool finish(stator_future_t *future, const char *what)
{
    bson_error_t error = {0};
    bool failed = stator_future_wait(future, 10000) != 0;

    if (failed)
        fprintf(stderr, "%s: no answer yet\n", what);
    else if ((failed = stator_future_error(future, &error)))
        fprintf(stderr, "%s: %s\n", what, error.message);
    stator_future_unref(future);
    return !failed;
}

static bool work(stator_collection_t *collection)
{
    enum { N = 10 };
    bson_t all = BSON_INITIALIZER;
    stator_future_t *inserts[N], *count;
    bool ok = true;

    if (!finish(stator_collection_delete_many(collection, &all, NULL),
                "delete"))
        return false;
    for (int i = 0; i < N; i++) {
        bson_t *document = BCON_NEW("_id", BCON_INT32(i));

        inserts[i] = stator_collection_insert_one(collection, document, NULL);
        bson_destroy(document); /* copied */
    }
    for (int i = 0; i < N; i++)
        ok &= finish(inserts[i], "insert");

    count = stator_collection_count_documents(collection, &all, NULL);
    ok &= finish(stator_future_ref(count), "count");
    printf("%d documents\n", (int)stator_future_count(count));
    ok &= stator_future_count(count) == N;
    stator_future_unref(count);
    return ok & finish(stator_collection_drop(collection, NULL), "drop");
}

int main(void)
{
    const char *uri = getenv("MONGODB_URI");
    bson_error_t error;
    stator_client_t *client =
        stator_client_new(uri ? uri : "mongodb://127.0.0.1", NULL, &error);
    stator_collection_t *collection;
    bool ok;

    /* The driver's log would go to stdout. */
    mongoc_log_set_handler(NULL, NULL);
    if (client == NULL) {
        fprintf(stderr, "%s\n", error.message);
        return EXIT_FAILURE;
    }
    collection = stator_client_get_collection(client, "example", "blocking");
    ok = work(collection);
    stator_collection_unref(collection);
    ok &= finish(stator_client_close(client, NULL), "close");
    stator_client_unref(client);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
