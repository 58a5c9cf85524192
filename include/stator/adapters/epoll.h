/* SPDX-License-Identifier: Apache-2.0 */
/* adapters/epoll.h - a dispatcher in an epoll set of yours.
 *
 *   stator_epoll_attach(dispatcher, epfd);
 *   for (;;) {
 *       struct epoll_event event;
 *
 *       if (epoll_wait(epfd, &event, 1, -1) != 1)
 *           continue;
 *       if (event.data.ptr == dispatcher)
 *           stator_dispatcher_dispatch(dispatcher, STATOR_DISPATCH_BUDGET);
 *       else
 *           ... your own descriptors ...
 *   }
 *
 * An event that epoll_wait has handed out can not be called back.  A loop
 * that fetches many at a time and gives dispatchers back while it works
 * through them must look whether the one named is still there. */
#ifndef STATOR_ADAPTERS_EPOLL_H
#define STATOR_ADAPTERS_EPOLL_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

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
enum { STATOR_EPOLL_KIND = 0x45504f4c };

struct stator_epoll_adapter {
    uint32_t kind;
    int epfd;
    int fd;
};

static inline void stator_epoll_free(void *arg)
{
    struct stator_epoll_adapter *self = (struct stator_epoll_adapter *)arg;

    (void)epoll_ctl(self->epfd, EPOLL_CTL_DEL, self->fd, NULL);
    free(self);
}

/* Watch `dispatcher` in the set `epfd`: EPOLLIN, level-triggered, with
 * data.ptr = `dispatcher`.  When that is readable, call
 * stator_dispatcher_dispatch.
 *
 * Thread: that of the loop.
 * Owns: borrows `epfd`, which must be open until the dispatcher is detached
 *   or gone.  The last unref of the dispatcher detaches it.
 * Units: epfd, a file descriptor of epoll_create1(2).
 * Errors: 0; EBUSY the dispatcher has an adapter; EINVAL NULL, or `epfd` is
 *   no epoll set; EBADF; EEXIST its descriptor is in the set already;
 *   ENOMEM; ENOSPC; ESHUTDOWN closed or from before a fork. */
static inline int stator_epoll_attach(stator_dispatcher_t *dispatcher,
                                      int epfd)
{
    struct stator_epoll_adapter *self;
    struct epoll_event event;
    int error;

    self = (struct stator_epoll_adapter *)malloc(sizeof *self);
    if (self == NULL)
        return ENOMEM;
    self->kind = STATOR_EPOLL_KIND;
    self->epfd = epfd;
    self->fd = stator_dispatcher_fd(dispatcher);

    error = stator_dispatcher_set_adapter(dispatcher, self,
                                          stator_epoll_free);
    if (error != 0) {
        free(self);
        return error;
    }

    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.ptr = dispatcher;
    if (epoll_ctl(epfd, EPOLL_CTL_ADD, self->fd, &event) == 0)
        return 0;

    error = errno;
    (void)stator_dispatcher_set_adapter(dispatcher, NULL, NULL);
    free(self);
    return error;
}

/* Take `dispatcher` out of its set.  What is ready stays ready; it may be
 * attached anew, elsewhere too.
 *
 * Thread: that of the loop, continuations included.
 * Owns: nothing.
 * Errors: 0; ENOENT it is not attached to an epoll set. */
static inline int stator_epoll_detach(stator_dispatcher_t *dispatcher)
{
    void *self = stator_dispatcher_get_adapter(dispatcher);

    if (self == NULL || *(const uint32_t *)self != STATOR_EPOLL_KIND)
        return ENOENT;
    (void)stator_dispatcher_set_adapter(dispatcher, NULL, NULL);
    stator_epoll_free(self);
    return 0;
}

#ifdef __cplusplus
}
#endif

#endif /* STATOR_ADAPTERS_EPOLL_H */
