/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - poll, dispatch; the end is a continuation like any other. */
#include "tests/spec/loop.h"

#include <poll.h>
#include <stator/future.h>
#include <stator/promise.h>

static void *run(void *arg)
{
    loop_t *loop = arg;

    while (!loop->stop) {
        struct pollfd fd = {.fd = stator_dispatcher_fd(loop->dispatcher),
                            .events = POLLIN};

        if (poll(&fd, 1, -1) > 0)
            stator_dispatcher_dispatch(loop->dispatcher, 0);
    }
    return NULL;
}

bool loop_start(loop_t *loop, bson_error_t *error)
{
    loop->stop = false;
    loop->dispatcher = stator_dispatcher_new(error);
    if (loop->dispatcher == NULL)
        return false;
    if (pthread_create(&loop->thread, NULL, run, loop) == 0)
        return true;
    bson_set_error(error, 0, 0, "no thread for the loop");
    stator_dispatcher_unref(loop->dispatcher);
    return false;
}

static void on_stop(stator_future_t *future, void *arg)
{
    loop_t *loop = arg;

    (void)future;
    loop->stop = true;
}

void loop_stop(loop_t *loop)
{
    stator_promise_t *promise = stator_promise_new();
    stator_future_t *future = stator_promise_future(promise);

    stator_promise_resolve(promise, NULL, NULL);
    if (stator_future_then(future, loop->dispatcher, on_stop, loop) == 0)
        pthread_join(loop->thread, NULL);
    stator_future_unref(future);
    stator_promise_unref(promise);
    stator_dispatcher_unref(loop->dispatcher);
}
