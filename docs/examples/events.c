/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - who asked for which command, and how long it took.
 *
 * The names of the requests are contexts: they travel with the operations, and
 * come back in the driver's events, here, on this thread. */
#include <inttypes.h>
#include <stator/stator.h>
#include <stdio.h>
#include <stdlib.h>

static void on_event(const stator_event_t *event, void *seen)
{
    const char *request = stator_event_context(event);

    if (request == NULL) /* the client's own */
        return;
    ++*(int *)seen;
    printf("%s: %s on %s: %s, %" PRId64 " us\n", request,
           stator_event_command_name(event), stator_event_host(event),
           stator_event_name(event), stator_event_duration(event));
}

static stator_future_t *ask(stator_client_t *client, char *request)
{
    bson_t opts = BSON_INITIALIZER;
    stator_future_t *future;

    stator_context_append(request, &opts, NULL);
    future = stator_client_ping(client, &opts);
    bson_destroy(&opts);
    return future;
}

int main(void)
{
    static char requests[2][8] = {"first", "second"};
    const char *uri = getenv("MONGODB_URI");
    bson_t *opts = BCON_NEW("events", "[", "commandSucceeded",
                            "commandFailed", "]");
    bson_error_t error = {0};
    stator_dispatcher_t *dispatcher = stator_dispatcher_new(&error);
    stator_client_t *client =
        stator_client_new(uri ? uri : "mongodb://127.0.0.1", NULL, &error);
    stator_listener_t *listener = NULL;
    stator_future_t *asked[2], *both;
    int seen = 0;

    /* The driver's log would go to stdout. */
    mongoc_log_set_handler(NULL, NULL);
    if (client != NULL) /* before the first operation */
        listener = stator_client_listen(client, dispatcher, on_event, &seen,
                                        opts, &error);
    bson_destroy(opts);
    if (listener == NULL) {
        fprintf(stderr, "%s\n", error.message);
        return EXIT_FAILURE;
    }
    asked[0] = ask(client, requests[0]);
    asked[1] = ask(client, requests[1]);
    both = stator_future_settled(asked, 2);
    if (stator_future_wait(both, 10000) == 0)
        stator_dispatcher_dispatch(dispatcher, 0);

    stator_future_unref(both);
    stator_future_unref(asked[0]);
    stator_future_unref(asked[1]);
    both = stator_client_close(client, NULL);
    stator_future_wait(both, -1);
    stator_future_unref(both);
    stator_listener_unref(listener);
    stator_client_unref(client);
    stator_dispatcher_unref(dispatcher);
    return seen == 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}
