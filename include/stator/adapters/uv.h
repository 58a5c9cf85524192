/* SPDX-License-Identifier: Apache-2.0 */
/* adapters/uv.h - a dispatcher in a libuv loop.
 *
 *   stator_uv_attach(dispatcher, loop);
 *   uv_run(loop, UV_RUN_DEFAULT);
 *
 * The continuations run in the loop's poll phase, STATOR_DISPATCH_BUDGET at
 * the most before the loop's other sources have their turn.
 *
 *   attached --- detach, or the dispatcher's last unref ---> closing
 *   closing  --- the loop's next turn ----------------------> freed
 *
 * An attached dispatcher keeps the loop alive, as every active handle does.
 * A program that ends by closing all handles with uv_walk must detach first:
 * a handle that was closed behind the adapter's back is never used again,
 * but its memory is lost. */
#ifndef STATOR_ADAPTERS_UV_H
#define STATOR_ADAPTERS_UV_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include <uv.h>

#include <stator/dispatcher.h>

/* How many continuations to run in one turn of the loop: when more are
 * ready, the loop's other sources get their turn before the rest, for which
 * the descriptor stays readable.  May be defined otherwise beforehand. */
#ifndef STATOR_DISPATCH_BUDGET
#define STATOR_DISPATCH_BUDGET 64
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Private.  `kind` comes first in the state of every adapter of this folder,
 * so that one does not take another's for its own. */
enum { STATOR_UV_KIND = 0x4c495556 };

struct stator_uv_adapter {
    uint32_t kind;
    stator_dispatcher_t *dispatcher; /* not counted: see stator_uv_free */
    uv_poll_t poll;
};

static inline void stator_uv_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Stops the watching at once, the descriptor may be closed when this
 * returns; the memory is the loop's until it has called back. */
static inline void stator_uv_free(void *arg)
{
    struct stator_uv_adapter *self = (struct stator_uv_adapter *)arg;
    uv_handle_t *handle = (uv_handle_t *)&self->poll;

    if (!uv_is_closing(handle))
        uv_close(handle, stator_uv_closed);
}

static inline void stator_uv_readable(uv_poll_t *poll, int status, int events)
{
    struct stator_uv_adapter *self = (struct stator_uv_adapter *)poll->data;

    (void)status; /* whatever it is, dispatch knows better */
    (void)events;
    /* A continuation may give back the last reference; `self` then lives on
     * until stator_uv_closed. */
    if (stator_dispatcher_dispatch(self->dispatcher,
                                   STATOR_DISPATCH_BUDGET) == -ECHILD)
        (void)uv_poll_stop(poll); /* in a forked loop: it stays readable */
}

/* Watch `dispatcher` in `loop` and dispatch it from there.
 *
 * Thread: that of the loop; the dispatcher's last reference too must be
 *   given back there.
 * Owns: borrows `loop`, which must live until the dispatcher is detached or
 *   gone and the loop has turned once more.  The last unref of the
 *   dispatcher detaches it.
 * Errors: 0; EBUSY the dispatcher has an adapter; EINVAL NULL; ENOMEM;
 *   ESHUTDOWN closed or from before a fork; or the errno value that libuv
 *   gives. */
static inline int stator_uv_attach(stator_dispatcher_t *dispatcher,
                                   uv_loop_t *loop)
{
    struct stator_uv_adapter *self;
    int error;

    if (loop == NULL)
        return EINVAL;
    self = (struct stator_uv_adapter *)malloc(sizeof *self);
    if (self == NULL)
        return ENOMEM;
    self->kind = STATOR_UV_KIND;
    self->dispatcher = dispatcher;

    error = stator_dispatcher_set_adapter(dispatcher, self, stator_uv_free);
    if (error != 0) {
        free(self);
        return error;
    }

    error = uv_poll_init(loop, &self->poll, stator_dispatcher_fd(dispatcher));
    if (error != 0) { /* there is no handle to close then */
        (void)stator_dispatcher_set_adapter(dispatcher, NULL, NULL);
        free(self);
        return -error;
    }
    self->poll.data = self;
    error = uv_poll_start(&self->poll, UV_READABLE, stator_uv_readable);
    if (error != 0) {
        (void)stator_dispatcher_set_adapter(dispatcher, NULL, NULL);
        stator_uv_free(self);
        return -error;
    }
    return 0;
}

/* Take `dispatcher` out of its loop.  What is ready stays ready; it may be
 * attached anew at once, elsewhere too.
 *
 * Thread: that of the loop, continuations included.
 * Owns: nothing.  The loop must turn once more to free what it has.
 * Errors: 0; ENOENT it is not attached to a libuv loop. */
static inline int stator_uv_detach(stator_dispatcher_t *dispatcher)
{
    void *self = stator_dispatcher_get_adapter(dispatcher);

    if (self == NULL || *(const uint32_t *)self != STATOR_UV_KIND)
        return ENOENT;
    (void)stator_dispatcher_set_adapter(dispatcher, NULL, NULL);
    stator_uv_free(self);
    return 0;
}

#ifdef __cplusplus
}
#endif

#endif /* STATOR_ADAPTERS_UV_H */
