/* SPDX-License-Identifier: Apache-2.0 */
/* futures/dispatcher.c - the mailbox between settled futures and one loop.
 *
 *   settle (any thread) -> push -> ready -> eventfd -> loop -> dispatch
 *                                    |                           |
 *                                    +---- splice ----> backlog -+-> run
 *
 * D1  If `ready` or `backlog` holds anything, the eventfd is readable, or a
 *     push or a dispatch is under way that will make it so.  Hence: push
 *     first, then write; read the eventfd first, then splice.
 * D2  The eventfd is written only by the push that finds `ready` empty and
 *     by a dispatch that leaves something behind.
 * D3  `backlog` and the consumer's side of `ready` belong to who has set
 *     `dispatching`, or to who frees the memory.
 * D4  Continuations run with no lock held.
 * D5  Every continuation that has neither run nor been dropped is in
 *     `registered`, under `lock`.  So closing finds those on futures that
 *     are still pending too.
 * D6  The eventfd is written and closed under `fd_lock`: after the close
 *     `fd` is -1, and a number that the system has given to somebody else
 *     is never written to.
 * D7  Two counts: `refs`, the handles, whose end closes the dispatcher; and
 *     `holds`, whose end frees its memory.  All handles together are one
 *     hold, so is every continuation until it lies in `ready`, and so is
 *     every dispatch under way. */
#include "futures/dispatcher.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "futures/base.h"
#include "futures/future.h"
#include "futures/handover.h"

struct stator_dispatcher {
    struct stf_handover ready;
    struct stf_handover backlog;
    atomic_bool dispatching;
    atomic_bool closed;
    atomic_uint refs;
    atomic_uint holds;
    uint32_t generation;
    int fd;
    pthread_mutex_t fd_lock;
    pthread_mutex_t lock;
    struct cds_list_head registered;
    struct stf_continuation *awaiting; /* of run_until; the dispatching
                                          thread's, or the closing one's */
    void *adapter;
    void (*free_adapter)(void *);
};

stator_dispatcher_t *stator_dispatcher_new(bson_error_t *error)
{
    stator_dispatcher_t *d = calloc(1, sizeof *d);

    if (d == NULL) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_MEMORY,
                       "dispatcher: no memory for it");
        return NULL;
    }
    d->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->fd < 0) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_REFUSED,
                       "dispatcher: eventfd: %s", strerror(errno));
        free(d);
        return NULL;
    }
    stf_handover_init(&d->ready);
    stf_handover_init(&d->backlog);
    atomic_init(&d->refs, 1);
    atomic_init(&d->holds, 1);
    pthread_mutex_init(&d->fd_lock, NULL);
    pthread_mutex_init(&d->lock, NULL);
    CDS_INIT_LIST_HEAD(&d->registered);
    d->generation = stf_generation();
    return d;
}

static bool inherited(const stator_dispatcher_t *d)
{
    return d->generation != stf_generation();
}

int stator_dispatcher_fd(const stator_dispatcher_t *d)
{
    return d == NULL || inherited(d) ? -1 : d->fd;
}

/* ---- pushing ----------------------------------------------------------- */

static void wake(stator_dispatcher_t *d)
{
    const uint64_t one = 1;

    pthread_mutex_lock(&d->fd_lock);
    /* EAGAIN: the counter is full, hence readable, which is all we want. */
    while (d->fd >= 0 && write(d->fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    pthread_mutex_unlock(&d->fd_lock);
}

bool stf_dispatcher_register(stator_dispatcher_t *d,
                             struct stf_continuation *c)
{
    bool open;

    if (inherited(d))
        return false;
    pthread_mutex_lock(&d->lock);
    open = !atomic_load_explicit(&d->closed, memory_order_relaxed);
    if (open)
        cds_list_add_tail(&c->attached, &d->registered);
    pthread_mutex_unlock(&d->lock);
    return open;
}

void stf_dispatcher_push(stator_dispatcher_t *d, struct stf_continuation *c)
{
    if (stf_handover_push(&d->ready, &c->ready))
        wake(d);
}

/* ---- dispatching -------------------------------------------------------- */

/* Out of the register, if `c` is still to run. */
static bool begin(stator_dispatcher_t *d, struct stf_continuation *c)
{
    bool runs;

    pthread_mutex_lock(&d->lock);
    runs = STF_LOAD(&c->state, relaxed) != STF_DROPPED;
    if (runs)
        cds_list_del(&c->attached);
    pthread_mutex_unlock(&d->lock);
    return runs;
}

static int run(stator_dispatcher_t *d, int max)
{
    bool more = false;
    int ran = 0;
    uint64_t n;

    while (read(d->fd, &n, sizeof n) < 0 && errno == EINTR)
        continue;
    if (!stf_handover_splice(&d->backlog, &d->ready))
        more = true;
    while (max <= 0 || ran < max) {
        struct cds_wfcq_node *node = stf_handover_pop(&d->backlog, &more);
        struct stf_continuation *c;

        if (node == NULL)
            break;
        c = stf_container_of(node, struct stf_continuation, ready);
        if (begin(d, c)) {
            ran += !c->is_silent;
            c->run(c); /* and releases it */
        } else {
            stf_continuation_give_up(c);
        }
        if (atomic_load_explicit(&d->closed, memory_order_acquire))
            return ran;
    }
    if (more || !stf_handover_is_empty(&d->backlog))
        wake(d);
    return ran;
}

int stator_dispatcher_dispatch(stator_dispatcher_t *d, int max)
{
    struct stf_thread *thread = stf_thread();
    struct stf_dispatching here = {d, thread->dispatching};
    int ran;

    if (d == NULL)
        return -EINVAL;
    if (inherited(d))
        return -ECHILD;
    if (atomic_exchange_explicit(&d->dispatching, true,
                                 memory_order_acquire))
        return -EBUSY;
    stf_dispatcher_hold(d);
    thread->dispatching = &here;
    ran = run(d, max);
    thread->dispatching = here.outer;
    atomic_store_explicit(&d->dispatching, false, memory_order_release);
    stf_dispatcher_release(d);
    return ran;
}

/* Until the descriptor is readable or the time is up. */
static void sleep_on(const stator_dispatcher_t *d, int64_t deadline)
{
    struct pollfd p = {.fd = d->fd, .events = POLLIN};

    while (poll(&p, 1, stf_poll_timeout(deadline)) < 0 && errno == EINTR)
        continue;
}

static bool is_closed(stator_dispatcher_t *d)
{
    return atomic_load_explicit(&d->closed, memory_order_acquire);
}

static int may_run(const stator_dispatcher_t *d)
{
    if (d == NULL)
        return -EINVAL;
    if (inherited(d))
        return -ECHILD;
    if (stf_thread()->is_ours)
        return -EDEADLK;
    return atomic_load_explicit(&d->dispatching, memory_order_relaxed)
               ? -EBUSY
               : 0;
}

int stator_dispatcher_run_once(stator_dispatcher_t *d, int64_t timeout_ms)
{
    int64_t deadline;
    int ran = may_run(d);

    if (ran != 0)
        return ran;
    deadline = stf_deadline_after_ms(timeout_ms);
    stf_dispatcher_hold(d);
    for (;;) {
        ran = stator_dispatcher_dispatch(d, 0);
        if (ran != 0 || is_closed(d) || timeout_ms == 0 ||
            (deadline != STF_NO_DEADLINE && stf_now_ns() >= deadline))
            break;
        sleep_on(d, deadline); /* its end may be about nothing: D2 */
    }
    stf_dispatcher_release(d);
    return ran;
}

/* A continuation with nothing to do, that makes the descriptor readable when
 * the awaited future settles.  There is one at a time: it stays attached when
 * the time runs out, and the next call for the same future finds it. */
static void awaited_over(struct stf_continuation *c)
{
    c->dispatcher->awaiting = NULL;
}

static void awaited_run(struct stf_continuation *c)
{
    awaited_over(c);
    c->release(c);
}

static void awaited_release(struct stf_continuation *c)
{
    stator_future_unref(c->future);
    free(c);
}

static int await(stator_dispatcher_t *d, stator_future_t *f)
{
    struct stf_continuation *c;
    int failed;

    if (d->awaiting != NULL && d->awaiting->future == f)
        return 0;
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return ENOMEM;
    c->is_silent = true;
    c->run = awaited_run;
    c->drop = awaited_over;
    c->release = awaited_release;
    d->awaiting = c;
    failed = stf_continuation_attach(c, f, d);
    if (failed != 0) {
        d->awaiting = NULL;
        free(c);
    }
    return failed;
}

int stator_dispatcher_run_until(stator_dispatcher_t *d, stator_future_t *f,
                                int64_t timeout_ms)
{
    int64_t deadline;
    int refused = f == NULL ? -EINVAL : may_run(d);

    if (refused != 0)
        return refused;
    deadline = stf_deadline_after_ms(timeout_ms);
    stf_dispatcher_hold(d);
    for (;;) {
        int ran;

        if (stator_future_poll(f) != STATOR_FUTURE_PENDING)
            break;
        refused = is_closed(d) ? -ESHUTDOWN : -await(d, f);
        if (refused != 0)
            break;
        ran = stator_dispatcher_dispatch(d, 0);
        if (ran < 0) {
            refused = ran;
            break;
        }
        if (ran > 0 || is_closed(d) ||
            stator_future_poll(f) != STATOR_FUTURE_PENDING)
            continue;
        if (deadline != STF_NO_DEADLINE && stf_now_ns() >= deadline) {
            refused = -ETIMEDOUT;
            break;
        }
        sleep_on(d, deadline);
    }
    stf_dispatcher_release(d);
    return refused;
}

/* ---- adapter ------------------------------------------------------------ */

int stator_dispatcher_set_adapter(stator_dispatcher_t *d, void *adapter,
                                  void (*free_adapter)(void *))
{
    int failed = 0;

    if (d == NULL)
        return EINVAL;
    if (inherited(d))
        return ESHUTDOWN;
    pthread_mutex_lock(&d->lock);
    if (atomic_load_explicit(&d->closed, memory_order_relaxed))
        failed = ESHUTDOWN;
    else if (adapter != NULL && d->adapter != NULL)
        failed = EBUSY;
    else {
        d->adapter = adapter;
        d->free_adapter = free_adapter;
    }
    pthread_mutex_unlock(&d->lock);
    return failed;
}

void *stator_dispatcher_get_adapter(const stator_dispatcher_t *d)
{
    return d == NULL || inherited(d) ? NULL : d->adapter;
}

/* ---- the end ------------------------------------------------------------ */

static void drop_all(stator_dispatcher_t *d)
{
    struct stf_continuation *c, *next;
    CDS_LIST_HEAD(dropped);

    pthread_mutex_lock(&d->lock);
    atomic_store_explicit(&d->closed, true, memory_order_release);
    cds_list_splice(&d->registered, &dropped);
    CDS_INIT_LIST_HEAD(&d->registered);
    cds_list_for_each_entry(c, &dropped, attached)
        STF_STORE(&c->state, (uint32_t)STF_DROPPED, release);
    pthread_mutex_unlock(&d->lock);

    cds_list_for_each_entry_safe(c, next, &dropped, attached)
    {
        c->drop(c);
        stf_continuation_give_up(c);
    }
}

static void close_fd(stator_dispatcher_t *d)
{
    pthread_mutex_lock(&d->fd_lock);
    close(d->fd);
    d->fd = -1;
    pthread_mutex_unlock(&d->fd_lock);
}

stator_dispatcher_t *stator_dispatcher_ref(stator_dispatcher_t *d)
{
    if (d != NULL)
        atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void stator_dispatcher_unref(stator_dispatcher_t *d)
{
    if (d == NULL || atomic_fetch_sub_explicit(&d->refs, 1,
                                               memory_order_acq_rel) != 1)
        return;
    if (inherited(d)) {
        close(d->fd); /* and nothing else: see base.h */
        return;
    }
    drop_all(d);
    if (d->adapter != NULL && d->free_adapter != NULL)
        d->free_adapter(d->adapter);
    close_fd(d);
    stf_dispatcher_release(d);
}

void stf_dispatcher_hold(stator_dispatcher_t *d)
{
    atomic_fetch_add_explicit(&d->holds, 1, memory_order_relaxed);
}

void stf_dispatcher_release(stator_dispatcher_t *d)
{
    struct cds_wfcq_node *node;
    bool half_done = false;

    if (atomic_fetch_sub_explicit(&d->holds, 1, memory_order_acq_rel) != 1)
        return;
    /* Nobody pushes any more (D7), so nothing is half done. */
    stf_handover_splice(&d->backlog, &d->ready);
    while ((node = stf_handover_pop(&d->backlog, &half_done)) != NULL) {
        struct stf_continuation *c =
            stf_container_of(node, struct stf_continuation, ready);

        stf_continuation_give_up(c);
    }
    pthread_mutex_destroy(&d->fd_lock);
    pthread_mutex_destroy(&d->lock);
    free(d);
}
