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
 *     `registered`, under `lock`, or in the batch that the dispatching
 *     thread is at.  So closing finds those on futures that are still
 *     pending too.
 * D6  The eventfd is written and closed under `fd_lock`: after the close
 *     `fd` is -1, and a number that the system has given to somebody else
 *     is never written to.  Writers share it: the write wakes the loop,
 *     which may run at once in the writer's place, and others must not wait
 *     for the writer to come back.
 * D7  Two counts: `refs`, the handles, whose end closes the dispatcher; and
 *     `holds`, whose end frees its memory.  All handles together are one
 *     hold, so is every continuation until it lies in `ready`, and so is
 *     every dispatch under way.
 * D8  A continuation may fork.  In the child the dispatch it is in ends as
 *     soon as it returns: what waits behind it is the parent's to run, and
 *     lock, lists and descriptor are the parent's too. */
#include "futures/dispatcher.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "futures/base.h"
#include "futures/future.h"
#include "futures/handover.h"

/* How many leave the register under one locking. */
enum { BATCH = 64 };

/* The close must not wait for ever new writers. */
static void init_fd_lock(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t how;

    pthread_rwlockattr_init(&how);
    pthread_rwlockattr_setkind_np(
        &how, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(lock, &how);
    pthread_rwlockattr_destroy(&how);
}

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
    init_fd_lock(&d->fd_lock);
    pthread_mutex_init(&d->lock, NULL);
    CDS_INIT_LIST_HEAD(&d->registered);
    CDS_INIT_LIST_HEAD(&d->awaiting);
    d->generation = stf_generation();
    return d;
}

static bool inherited(const stator_dispatcher_t *d)
{
    return d->generation != stf_generation();
}

bool stf_dispatcher_is_closed(stator_dispatcher_t *d)
{
    return atomic_load_explicit(&d->closed, memory_order_acquire);
}

void stf_dispatcher_refuse(const stator_dispatcher_t *d, stator_future_t *f)
{
    if (inherited(d))
        stf_settle_code(f, STATOR_FUTURE_FAILED, STATOR_ERROR_FORKED,
                        "its dispatcher is from before the fork",
                        STATOR_NOT_SENT);
    else
        stf_settle_code(f, STATOR_FUTURE_FAILED, STATOR_ERROR_CLOSED,
                        "its dispatcher is closed", STATOR_NOT_SENT);
}

int stator_dispatcher_fd(const stator_dispatcher_t *d)
{
    return d == NULL || inherited(d) ? -1 : d->fd;
}

/* ---- pushing ----------------------------------------------------- */

static void wake(stator_dispatcher_t *d)
{
    const uint64_t one = 1;

    pthread_rwlock_rdlock(&d->fd_lock);
    /* EAGAIN: the counter is full, hence readable, which is all we want. */
    while (d->fd >= 0 && write(d->fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    pthread_rwlock_unlock(&d->fd_lock);
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

/* ---- dispatching ------------------------------------------------- */

/* Take up to `n` out of the backlog and of the register.  Those that a close
 * has dropped are given up.  Fewer than asked for: the backlog has no more
 * for now; `half_done`: a push has to be come back for. */
static int begin(stator_dispatcher_t *d, struct stf_continuation *batch[],
                 int n, bool *half_done)
{
    struct stf_continuation *dropped[BATCH];
    struct cds_wfcq_node *node;
    int n_dropped = 0, taken = 0;

    pthread_mutex_lock(&d->lock);
    while (taken + n_dropped < n &&
           (node = stf_handover_pop(&d->backlog, half_done)) != NULL) {
        struct stf_continuation *c =
            stf_container_of(node, struct stf_continuation, ready);

        if (STF_LOAD(&c->state, relaxed) == STF_DROPPED) {
            dropped[n_dropped++] = c;
        } else {
            cds_list_del(&c->attached);
            batch[taken++] = c;
        }
    }
    pthread_mutex_unlock(&d->lock);
    for (int i = 0; i < n_dropped; i++)
        stf_continuation_give_up(dropped[i]);
    return taken;
}

/* Run them; when one of them closes the dispatcher, those behind it never
 * run.  Answers how many count, or -ECHILD: D8. */
static int run_batch(stator_dispatcher_t *d,
                     struct stf_continuation *batch[], int n)
{
    int ran = 0;

    for (int i = 0; i < n; i++) {
        struct stf_continuation *c = batch[i];

        if (stf_dispatcher_is_closed(d)) {
            c->drop(c);
            c->release(c);
        } else {
            ran += !c->is_silent;
            c->run(c); /* and releases it */
        }
        if (inherited(d))
            return -ECHILD;
    }
    return ran;
}

int stf_dispatcher_run(stator_dispatcher_t *d, int max)
{
    bool half_done = false;
    int ran = 0, taken;
    uint64_t n;

    while (read(d->fd, &n, sizeof n) < 0 && errno == EINTR)
        continue;
    if (!stf_handover_splice(&d->backlog, &d->ready))
        half_done = true;
    do {
        struct stf_continuation *batch[BATCH];
        int most = max > 0 && max - ran < BATCH ? max - ran : BATCH;
        int n_run;

        taken = begin(d, batch, most, &half_done);
        n_run = run_batch(d, batch, taken);
        if (n_run < 0)
            return n_run;
        ran += n_run;
        if (stf_dispatcher_is_closed(d))
            return ran;
    } while (taken > 0 && (max <= 0 || ran < max));
    if (half_done || !stf_handover_is_empty(&d->backlog))
        wake(d);
    return ran;
}

int stf_dispatcher_enter(stator_dispatcher_t *d, struct stf_dispatching *here)
{
    struct stf_thread *thread = stf_thread();

    if (d == NULL)
        return -EINVAL;
    if (inherited(d))
        return -ECHILD;
    if (atomic_exchange_explicit(&d->dispatching, true,
                                 memory_order_acquire))
        return -EBUSY;
    stf_dispatcher_hold(d);
    *here = (struct stf_dispatching){d, thread->dispatching};
    thread->dispatching = here;
    return 0;
}

void stf_dispatcher_leave(stator_dispatcher_t *d,
                          const struct stf_dispatching *here)
{
    stf_thread()->dispatching = here->outer;
    atomic_store_explicit(&d->dispatching, false, memory_order_release);
    stf_dispatcher_release(d);
}

int stator_dispatcher_dispatch(stator_dispatcher_t *d, int max)
{
    struct stf_dispatching here;
    int ran = stf_dispatcher_enter(d, &here);

    if (ran == 0) {
        ran = stf_dispatcher_run(d, max);
        stf_dispatcher_leave(d, &here);
    }
    return ran;
}

/* ---- adapter ----------------------------------------------------- */

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

/* ---- the end ----------------------------------------------------- */

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
    pthread_rwlock_wrlock(&d->fd_lock);
    close(d->fd);
    d->fd = -1;
    pthread_rwlock_unlock(&d->fd_lock);
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
    pthread_rwlock_destroy(&d->fd_lock);
    pthread_mutex_destroy(&d->lock);
    free(d);
}
