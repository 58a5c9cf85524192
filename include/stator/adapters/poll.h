/* SPDX-License-Identifier: Apache-2.0 */
/* adapters/poll.h - a dispatcher in an array for poll(2).
 *
 *   struct pollfd slots[2] = {{.fd = my_socket, .events = POLLIN}};
 *
 *   stator_poll_attach(dispatcher, &slots[1]);
 *   for (;;) {
 *       if (poll(slots, 2, -1) <= 0)
 *           continue;
 *       if (slots[1].revents != 0)
 *           stator_dispatcher_dispatch(dispatcher, STATOR_DISPATCH_BUDGET);
 *       ... slots[0] ...
 *   }
 *
 * A detached slot has the descriptor -1, which poll skips.  A loop that
 * builds its array anew for every turn needs no adapter: it fills in
 * stator_dispatcher_fd. */
#ifndef STATOR_ADAPTERS_POLL_H
#define STATOR_ADAPTERS_POLL_H

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>

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
enum { STATOR_POLL_KIND = 0x504f4c4c };

struct stator_poll_adapter {
    uint32_t kind;
    struct pollfd *slot;
};

static inline void stator_poll_free(void *arg)
{
    struct stator_poll_adapter *self = (struct stator_poll_adapter *)arg;

    self->slot->fd = -1;
    self->slot->revents = 0; /* the turn at hand must not look at it either */
    free(self);
}

/* Fill in `slot` for `dispatcher`.  When poll reports it, call
 * stator_dispatcher_dispatch.
 *
 * Thread: that of the loop; the dispatcher's last reference too must be
 *   given back there.
 * Owns: borrows `slot`, which must stay where it is until the dispatcher is
 *   detached or gone: before an array moves, detach; afterwards, attach.
 *   The last unref of the dispatcher detaches it.
 * Errors: 0; EBUSY the dispatcher has an adapter; EINVAL NULL; ENOMEM;
 *   ESHUTDOWN closed or from before a fork.  `slot` is then untouched. */
static inline int stator_poll_attach(stator_dispatcher_t *dispatcher,
                                     struct pollfd *slot)
{
    struct stator_poll_adapter *self;
    int error;

    if (slot == NULL)
        return EINVAL;
    self = (struct stator_poll_adapter *)malloc(sizeof *self);
    if (self == NULL)
        return ENOMEM;
    self->kind = STATOR_POLL_KIND;
    self->slot = slot;

    error = stator_dispatcher_set_adapter(dispatcher, self, stator_poll_free);
    if (error != 0) {
        free(self);
        return error;
    }
    slot->fd = stator_dispatcher_fd(dispatcher);
    slot->events = POLLIN;
    slot->revents = 0;
    return 0;
}

/* Take `dispatcher` out of its slot, whose descriptor becomes -1.  What is
 * ready stays ready; it may be attached anew, elsewhere too.
 *
 * Thread: that of the loop, continuations included.
 * Owns: nothing; `slot` is not looked at any more.
 * Errors: 0; ENOENT it is not attached to a slot. */
static inline int stator_poll_detach(stator_dispatcher_t *dispatcher)
{
    void *self = stator_dispatcher_get_adapter(dispatcher);

    if (self == NULL || *(const uint32_t *)self != STATOR_POLL_KIND)
        return ENOENT;
    (void)stator_dispatcher_set_adapter(dispatcher, NULL, NULL);
    stator_poll_free(self);
    return 0;
}

#ifdef __cplusplus
}
#endif

#endif /* STATOR_ADAPTERS_POLL_H */
