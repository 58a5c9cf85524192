/* SPDX-License-Identifier: Apache-2.0 */
/* epoll_loop.c - 500 operations that arrive in an epoll loop with a timer. */
#include <stator/adapters/epoll.h>
#include <stator/stator.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { OPERATIONS = 500 };

static stator_dispatcher_t *dispatcher;
static stator_client_t *client;
static int arrived, failed;
static bool closed;

static void attach(stator_future_t *future, stator_then_fn *fn)
{
    if (stator_future_then(future, dispatcher, fn, NULL) != 0)
        abort();
    stator_future_unref(future);
}

static void on_closed(stator_future_t *future, void *unused)
{
    (void)future, (void)unused;
    closed = true;
}

static void on_reply(stator_future_t *future, void *unused)
{
    bson_error_t error;

    (void)unused;
    if (stator_future_error(future, &error) && failed++ == 0)
        fprintf(stderr, "%s\n", error.message);
    if (++arrived == OPERATIONS)
        attach(stator_client_close(client, NULL), on_closed);
}

int main(void)
{
    const struct itimerspec ms10 = {{0, 10000000}, {0, 10000000}};
    const char *uri = getenv("MONGODB_URI");
    bson_error_t error = {0};
    int loop = epoll_create1(EPOLL_CLOEXEC);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &timer};
    bson_t *opts = BCON_NEW("timeoutMS", BCON_INT32(10000));
    uint64_t ticks = 0, n;

    /* The driver's log would go to stdout. */
    mongoc_log_set_handler(NULL, NULL);
    dispatcher = stator_dispatcher_new(&error);
    client = stator_client_new(uri ? uri : "mongodb://127.0.0.1", NULL, &error);
    if (dispatcher == NULL || client == NULL ||
        timerfd_settime(timer, 0, &ms10, NULL) != 0 ||
        epoll_ctl(loop, EPOLL_CTL_ADD, timer, &event) != 0 ||
        stator_epoll_attach(dispatcher, loop) != 0) {
        fprintf(stderr, "set-up: %s\n", error.message);
        return EXIT_FAILURE;
    }
    for (int i = 0; i < OPERATIONS; i++)
        attach(stator_client_ping(client, opts), on_reply);

    while (!closed) {
        if (epoll_wait(loop, &event, 1, -1) != 1)
            continue;
        if (event.data.ptr == dispatcher)
            stator_dispatcher_dispatch(dispatcher, STATOR_DISPATCH_BUDGET);
        else if (read(timer, &n, sizeof n) == sizeof n)
            ticks += n;
    }
    printf("%d replies, %d failed, %d ticks\n", arrived, failed, (int)ticks);

    bson_destroy(opts);
    stator_client_unref(client);
    stator_dispatcher_unref(dispatcher);
    close(timer);
    close(loop);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
