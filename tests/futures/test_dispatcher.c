/* SPDX-License-Identifier: Apache-2.0 */
/* test_dispatcher.c - one descriptor: when it is readable, what a dispatch
 * runs, who may call it, and what closing leaves behind. */
#include "tests/futures/support.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

static void attach(stator_future_t *f, stator_dispatcher_t *d, probe_t *probe,
                   int n)
{
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(
            stator_future_then_full(f, d, probe_then, probe, probe_free), 0);
}

/* ---- the descriptor -------------------------------------------------- */

START_TEST(descriptor_is_quiet_at_first)
{
    stator_dispatcher_t *d = dispatcher_new();
    int fd = stator_dispatcher_fd(d);

    ck_assert_int_ge(fd, 0);
    ck_assert(!readable(fd));
    ck_assert((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    ck_assert_int_eq(stator_dispatcher_fd(d), fd);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 0);
    ck_assert(!readable(fd));
    stator_dispatcher_unref(d);
    ck_assert(!is_open(fd));
}
END_TEST

START_TEST(descriptor_stays_readable_until_dispatched)
{
    stator_dispatcher_t *d = dispatcher_new();
    int fd = stator_dispatcher_fd(d);
    pair_t p = pair_new();
    probe_t probe = {0};

    attach(p.future, d, &probe, 1);
    ck_assert(!readable(fd));
    ck_assert(pair_resolve(&p, 1));
    for (int i = 0; i < 3; i++)
        ck_assert(readable(fd));
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    ck_assert(!readable(fd));
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 0);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(settling_without_continuation_is_quiet)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);

    ck_assert(!readable(stator_dispatcher_fd(d)));
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(budget_leaves_the_descriptor_readable)
{
    static step_t steps[10];
    static trail_t trail;
    stator_dispatcher_t *d = dispatcher_new();
    int fd = stator_dispatcher_fd(d);
    stator_future_t *f = future_done(1);

    for (int i = 0; i < 10; i++) {
        steps[i] = (step_t){&trail, i};
        ck_assert_int_eq(stator_future_then(f, d, step_then, &steps[i]), 0);
    }
    for (int left = 10; left > 1; left -= 3) {
        ck_assert(readable(fd));
        ck_assert_int_eq(stator_dispatcher_dispatch(d, 3), 3);
        ck_assert_int_eq(trail.n, 10 - left + 3);
        ck_assert(readable(fd));
    }
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 3), 1);
    ck_assert(!readable(fd));
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 3), 0);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(trail.at[i], i);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(budget_that_fits_exactly_quiets_the_descriptor)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);
    probe_t probe = {0};

    attach(f, d, &probe, 4);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 4), 4);
    /* One idle wake-up is fair, a second one would be a busy loop. */
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 4), 0);
    ck_assert(!readable(stator_dispatcher_fd(d)));
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(budget_keeps_old_before_new)
{
    static step_t steps[8];
    static trail_t trail;
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);

    for (int i = 0; i < 8; i++) {
        if (i == 5)
            ck_assert_int_eq(stator_dispatcher_dispatch(d, 2), 2);
        steps[i] = (step_t){&trail, i};
        ck_assert_int_eq(stator_future_then(f, d, step_then, &steps[i]), 0);
    }
    ck_assert_int_eq(dispatch_all(d), 6);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(trail.at[i], i);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(budget_below_one_is_none)
{
    static const int budgets[] = {0, -1, INT32_MIN};
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);
    probe_t probe = {0};

    attach(f, d, &probe, 100);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, budgets[_i]), 100);
    ck_assert(!readable(stator_dispatcher_fd(d)));
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

typedef struct breeder {
    stator_dispatcher_t *dispatcher;
    int left;
} breeder_t;

static void then_breed(stator_future_t *future, void *arg)
{
    breeder_t *breeder = arg;

    if (breeder->left-- > 0)
        ck_assert_int_eq(stator_future_then(future, breeder->dispatcher,
                                            then_breed, breeder),
                         0);
}

START_TEST(dispatch_ends_though_more_becomes_ready)
{
    breeder_t breeder = {dispatcher_new(), 5};
    stator_dispatcher_t *d = breeder.dispatcher;
    stator_future_t *f = future_done(1);

    ck_assert_int_eq(stator_future_then(f, d, then_breed, &breeder), 0);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(stator_dispatcher_dispatch(d, i % 2), 1);
        ck_assert(readable(stator_dispatcher_fd(d)));
    }
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    ck_assert(!readable(stator_dispatcher_fd(d)));
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

/* ---- wake-ups -------------------------------------------------------- */

static int edge_watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    int epfd = epoll_create1(EPOLL_CLOEXEC);

    ck_assert_int_ge(epfd, 0);
    ck_assert_int_eq(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event), 0);
    return epfd;
}

static int edges(int epfd, int timeout_ms)
{
    struct epoll_event event;

    return epoll_wait(epfd, &event, 1, timeout_ms);
}

START_TEST(burst_is_one_edge)
{
    enum { BURST = 1000 };
    stator_dispatcher_t *d = dispatcher_new();
    int epfd = edge_watch(stator_dispatcher_fd(d));
    probe_t probe = {0};
    pair_t p;

    for (int round = 0; round < 3; round++) {
        ck_assert_int_eq(edges(epfd, 0), 0);
        for (int i = 0; i < BURST; i++) {
            p = pair_new();
            attach(p.future, d, &probe, 1);
            ck_assert(pair_resolve(&p, i));
            pair_free(&p);
            ck_assert_int_eq(edges(epfd, 0), i == 0);
        }
        ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), BURST);
        ck_assert_int_eq(edges(epfd, 0), 0);
    }
    close(epfd);
    stator_dispatcher_unref(d);
}
END_TEST

/* Producers settle futures of their own; each continuation must run exactly
 * once, and those of one producer in the order in which it settled them. */
enum { PRODUCERS = 4, PER_PRODUCER = SANITIZED ? 5000 : 50000 };

typedef struct stream {
    stator_dispatcher_t *dispatcher;
    pthread_barrier_t *barrier;
    int expected; /* touched by the dispatching thread alone */
    int disorder;
} stream_t;

typedef struct item {
    stream_t *stream;
    int number;
} item_t;

static void item_then(stator_future_t *future, void *arg)
{
    item_t *item = arg;

    if (item->number != item->stream->expected ||
        stator_future_poll(future) != STATOR_FUTURE_DONE)
        item->stream->disorder++;
    item->stream->expected++;
}

/* Attach first, then settle as fast as can be: what is to be hit is the short
 * time between the looks of a dispatch at the descriptor and at the queue. */
static void *produce(void *arg)
{
    stream_t *stream = arg;
    pair_t *pairs = malloc(PER_PRODUCER * sizeof *pairs);
    item_t *items = malloc(PER_PRODUCER * sizeof *items);

    if (pairs == NULL || items == NULL)
        abort();
    for (int i = 0; i < PER_PRODUCER; i++) {
        pairs[i] = pair_new();
        items[i] = (item_t){stream, i};
        if (stator_future_then(pairs[i].future, stream->dispatcher, item_then,
                               &items[i]) != 0)
            abort();
    }
    pthread_barrier_wait(stream->barrier);
    for (int i = 0; i < PER_PRODUCER; i++)
        stator_promise_resolve(pairs[i].promise, NULL, NULL);
    for (int i = 0; i < PER_PRODUCER; i++)
        pair_free(&pairs[i]);
    free(pairs);
    return items;
}

typedef int consume_fn(stator_dispatcher_t *d, int fd);

/* -1: it never became readable again, though there was more to come. */
static int consume_level(stator_dispatcher_t *d, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, PATIENCE_MS) == 1 ? stator_dispatcher_dispatch(d, 0)
                                         : -1;
}

static int consume_budget(stator_dispatcher_t *d, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, PATIENCE_MS) == 1 ? stator_dispatcher_dispatch(d, 7)
                                         : -1;
}

static int consume_edge(stator_dispatcher_t *d, int epfd)
{
    return edges(epfd, PATIENCE_MS) == 1 ? stator_dispatcher_dispatch(d, 0)
                                         : -1;
}

static int consume_run_once(stator_dispatcher_t *d, int fd)
{
    int ran = stator_dispatcher_run_once(d, PATIENCE_MS);

    (void)fd;
    return ran > 0 ? ran : -1;
}

static consume_fn *const consumers[] = {consume_level, consume_budget,
                                        consume_edge, consume_run_once};

START_TEST(no_wake_up_is_lost)
{
    stator_dispatcher_t *d = dispatcher_new();
    consume_fn *consume = consumers[_i];
    int fd = stator_dispatcher_fd(d);
    int epfd = consume == consume_edge ? edge_watch(fd) : -1;
    stream_t streams[PRODUCERS];
    pthread_t threads[PRODUCERS];
    pthread_barrier_t barrier;
    int all = 0, ran;

    pthread_barrier_init(&barrier, NULL, PRODUCERS);
    for (int i = 0; i < PRODUCERS; i++) {
        streams[i] = (stream_t){.dispatcher = d, .barrier = &barrier};
        threads[i] = thread_start(produce, &streams[i]);
    }
    while (all < PRODUCERS * PER_PRODUCER) {
        ran = consume(d, epfd >= 0 ? epfd : fd);
        ck_assert_msg(ran >= 0, "stuck after %d of %d", all,
                      PRODUCERS * PER_PRODUCER);
        all += ran;
    }
    ck_assert_int_eq(dispatch_all(d), 0);
    ck_assert(!readable(fd));
    for (int i = 0; i < PRODUCERS; i++) {
        void *items;

        ck_assert_int_eq(pthread_join(threads[i], &items), 0);
        free(items);
        ck_assert_int_eq(streams[i].expected, PER_PRODUCER);
        ck_assert_int_eq(streams[i].disorder, 0);
    }
    pthread_barrier_destroy(&barrier);
    if (epfd >= 0)
        close(epfd);
    stator_dispatcher_unref(d);
}
END_TEST

/* ---- one at a time --------------------------------------------------- */

typedef struct nest {
    stator_dispatcher_t *outer;
    stator_dispatcher_t *inner;
    stator_future_t *settled;
    int dispatch, once, until, inner_dispatch;
} nest_t;

static void then_nest(stator_future_t *future, void *arg)
{
    nest_t *nest = arg;
    pair_t pending = pair_new();

    (void)future;
    nest->dispatch = stator_dispatcher_dispatch(nest->outer, 0);
    nest->once = stator_dispatcher_run_once(nest->outer, -1);
    nest->until =
        stator_dispatcher_run_until(nest->outer, pending.future, -1);
    nest->inner_dispatch = stator_dispatcher_dispatch(nest->inner, 0);
    pair_free(&pending);
}

START_TEST(dispatch_does_not_nest)
{
    nest_t nest = {.outer = dispatcher_new(), .inner = dispatcher_new()};
    stator_future_t *f = future_done(1);
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_then(f, nest.outer, then_nest, &nest), 0);
    attach(f, nest.outer, &probe, 1);
    attach(f, nest.inner, &probe, 1);
    ck_assert_int_eq(stator_dispatcher_dispatch(nest.outer, 1), 1);
    ck_assert_int_eq(nest.dispatch, -EBUSY);
    ck_assert_int_eq(nest.once, -EBUSY);
    ck_assert_int_eq(nest.until, -EBUSY);
    ck_assert_int_eq(nest.inner_dispatch, 1); /* another one may */
    ck_assert_int_eq(probe.ran, 1);
    ck_assert_int_eq(dispatch_all(nest.outer), 1);
    ck_assert_int_eq(probe.ran, 2);
    stator_future_unref(f);
    stator_dispatcher_unref(nest.outer);
    stator_dispatcher_unref(nest.inner);
}
END_TEST

typedef struct held {
    stator_dispatcher_t *dispatcher;
    sem_t inside, leave;
    int rc;
} held_t;

static void then_hold(stator_future_t *future, void *arg)
{
    held_t *held = arg;

    (void)future;
    sem_post(&held->inside);
    gate_wait(&held->leave);
}

static void *dispatch_main(void *arg)
{
    held_t *held = arg;

    held->rc = stator_dispatcher_dispatch(held->dispatcher, 0);
    return NULL;
}

/* Another thread is now inside a continuation and stays there. */
static pthread_t hold(held_t *held)
{
    stator_future_t *f = future_done(1);
    pthread_t thread;

    sem_init(&held->inside, 0, 0);
    sem_init(&held->leave, 0, 0);
    ck_assert_int_eq(
        stator_future_then(f, held->dispatcher, then_hold, held), 0);
    stator_future_unref(f);
    thread = thread_start(dispatch_main, held);
    ck_assert(gate_wait(&held->inside));
    return thread;
}

static void let_go(held_t *held, pthread_t thread)
{
    sem_post(&held->leave);
    thread_join(thread);
    sem_destroy(&held->inside);
    sem_destroy(&held->leave);
}

START_TEST(second_thread_is_told_busy)
{
    held_t held = {.dispatcher = dispatcher_new()};
    stator_dispatcher_t *d = held.dispatcher;
    pair_t pending = pair_new();
    stator_future_t *f = future_done(1);
    probe_t probe = {0};
    pthread_t thread = hold(&held);

    attach(f, d, &probe, 1);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), -EBUSY);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 1), -EBUSY);
    ck_assert_int_eq(stator_dispatcher_run_once(d, -1), -EBUSY);
    ck_assert_int_eq(stator_dispatcher_run_until(d, pending.future, -1),
                     -EBUSY);
    ck_assert_int_eq(probe.ran, 0);
    let_go(&held, thread);

    /* Refused calls have lost nothing, and this thread may now. */
    ck_assert_int_eq(held.rc, 1);
    ck_assert(readable(stator_dispatcher_fd(d)));
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    ck_assert(pthread_equal(probe.thread, pthread_self()));
    stator_future_unref(f);
    pair_free(&pending);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(null_dispatcher_is_no_crash)
{
    stator_future_t *f = future_done(1);
    stator_dispatcher_t *d = dispatcher_new();

    ck_assert_int_eq(stator_dispatcher_fd(NULL), -1);
    ck_assert_int_eq(stator_dispatcher_dispatch(NULL, 0), -EINVAL);
    ck_assert_int_eq(stator_dispatcher_run_once(NULL, -1), -EINVAL);
    ck_assert_int_eq(stator_dispatcher_run_until(NULL, f, -1), -EINVAL);
    ck_assert_int_eq(stator_dispatcher_run_until(d, NULL, -1), -EINVAL);
    ck_assert_int_eq(stator_dispatcher_set_adapter(NULL, f, NULL), EINVAL);
    ck_assert_ptr_null(stator_dispatcher_get_adapter(NULL));
    ck_assert_ptr_null(stator_dispatcher_ref(NULL));
    stator_dispatcher_unref(NULL);
    stator_dispatcher_unref(d);
    stator_future_unref(f);
}
END_TEST

START_TEST(out_of_descriptors_is_an_error)
{
    struct rlimit old, none;
    bson_error_t error = {0};
    stator_dispatcher_t *d, *quiet;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    d = stator_dispatcher_new(&error);
    quiet = stator_dispatcher_new(NULL);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert_ptr_null(d);
    ck_assert_ptr_null(quiet);
    ck_assert_uint_eq(error.domain, STATOR_ERROR_DOMAIN);
    ck_assert_uint_eq(error.code, STATOR_ERROR_REFUSED);
    ck_assert_msg(strstr(error.message, strerror(EMFILE)) != NULL,
                  "no reason in \"%s\"", error.message);
    stator_dispatcher_unref(dispatcher_new());
}
END_TEST

/* ---- closing --------------------------------------------------------- */

START_TEST(closing_waits_for_the_last_reference)
{
    stator_dispatcher_t *d = dispatcher_new();
    int fd = stator_dispatcher_fd(d);
    stator_future_t *f = future_done(1);
    probe_t probe = {0};

    ck_assert_ptr_eq(stator_dispatcher_ref(d), d);
    attach(f, d, &probe, 1);
    stator_dispatcher_unref(d);
    ck_assert(is_open(fd));
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_int_eq(probe.ran, 1);
    stator_dispatcher_unref(d);
    ck_assert(!is_open(fd));
    stator_future_unref(f);
}
END_TEST

START_TEST(continuations_do_not_keep_it)
{
    stator_dispatcher_t *d = dispatcher_new();
    int fd = stator_dispatcher_fd(d);
    pair_t p = pair_new();
    probe_t probe = {0};

    attach(p.future, d, &probe, 2);
    stator_dispatcher_unref(d);
    ck_assert(!is_open(fd));
    ck_assert_int_eq(probe.freed, 2);
    ck_assert(pair_resolve(&p, 1));
    pair_free(&p);
    ck_assert_int_eq(probe.ran, 0);
    ck_assert_int_eq(probe.freed, 2);
}
END_TEST

/* A new descriptor soon bears the old number: nothing may be written to it. */
START_TEST(closed_descriptor_is_never_touched)
{
    stator_dispatcher_t *d = dispatcher_new();
    int fd = stator_dispatcher_fd(d), heir;
    pair_t p = pair_new();
    probe_t probe = {0};

    attach(p.future, d, &probe, 2);
    stator_dispatcher_unref(d);
    heir = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ck_assert_int_ge(heir, 0);
    if (heir != fd) {
        ck_assert_int_eq(dup2(heir, fd), fd);
        close(heir);
    }
    ck_assert(pair_resolve(&p, 1));
    pair_free(&p);
    ck_assert(!readable(fd));
    ck_assert(is_open(fd));
    close(fd);
}
END_TEST

typedef struct closer {
    stator_dispatcher_t *dispatcher;
    stator_future_t *chain;
    probe_t *late;
    int then_rc, then_full_rc;
    int fd;
} closer_t;

static void then_close(stator_future_t *future, void *arg)
{
    closer_t *closer = arg;

    (void)future;
    stator_dispatcher_unref(closer->dispatcher);
}

START_TEST(continuation_may_close_its_dispatcher)
{
    stator_dispatcher_t *d = dispatcher_new();
    closer_t closer = {.dispatcher = d, .fd = stator_dispatcher_fd(d)};
    stator_future_t *f = future_done(1);
    pair_t pending = pair_new();
    probe_t before = {0}, after = {0}, later = {0};

    attach(f, d, &before, 2);
    ck_assert_int_eq(stator_future_then(f, d, then_close, &closer), 0);
    attach(f, d, &after, 3);
    attach(pending.future, d, &later, 3);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 3);
    ck_assert(!is_open(closer.fd));
    ck_assert_int_eq(before.ran, 2);
    ck_assert_int_eq(before.freed, 2);
    ck_assert_int_eq(after.ran, 0);
    ck_assert_int_eq(after.freed, 3);
    ck_assert_int_eq(later.freed, 3);
    ck_assert(pair_resolve(&pending, 1));
    ck_assert_int_eq(later.ran, 0);
    pair_free(&pending);
    stator_future_unref(f);
}
END_TEST

/* Inside this dispatch the closed one is still there to answer. */
static void then_close_and_attach(stator_future_t *future, void *arg)
{
    closer_t *closer = arg;
    stator_dispatcher_t *d = closer->dispatcher;

    stator_dispatcher_unref(d);
    closer->then_rc = stator_future_then(future, d, probe_then, closer->late);
    closer->then_full_rc = stator_future_then_full(
        future, d, probe_then, closer->late, probe_free);
    closer->chain = stator_future_chain(future, d, link_fn, closer);
}

START_TEST(attaching_to_a_closed_one_is_refused)
{
    probe_t late = {0};
    closer_t closer = {.dispatcher = dispatcher_new(), .late = &late};
    stator_future_t *f = future_done(1);

    ck_assert_int_eq(stator_future_then(f, closer.dispatcher,
                                        then_close_and_attach, &closer),
                     0);
    ck_assert_int_eq(stator_dispatcher_dispatch(closer.dispatcher, 0), 1);
    ck_assert_int_eq(closer.then_rc, ESHUTDOWN);
    ck_assert_int_eq(closer.then_full_rc, ESHUTDOWN);
    ck_assert_int_eq(late.ran, 0);
    ck_assert_int_eq(late.freed, 1);
    assert_state(closer.chain, STATOR_FUTURE_FAILED);
    assert_stator_error(closer.chain, STATOR_ERROR_CLOSED);
    stator_future_unref(closer.chain);
    stator_future_unref(f);
}
END_TEST

START_TEST(closed_by_another_thread_while_it_dispatches)
{
    held_t held = {.dispatcher = dispatcher_new()};
    int fd = stator_dispatcher_fd(held.dispatcher);
    stator_future_t *f = future_done(1);
    pair_t pending = pair_new();
    probe_t probe = {0};
    pthread_t thread = hold(&held);

    attach(f, held.dispatcher, &probe, 3);
    attach(pending.future, held.dispatcher, &probe, 3);
    stator_dispatcher_unref(held.dispatcher);
    let_go(&held, thread);
    ck_assert_int_eq(held.rc, 1);
    ck_assert(!is_open(fd));
    ck_assert_int_eq(probe.ran, 0);
    ck_assert_int_eq(probe.freed, 6);
    ck_assert(pair_resolve(&pending, 1));
    pair_free(&pending);
    stator_future_unref(f);
    ck_assert_int_eq(probe.freed, 6);
}
END_TEST

enum { CROWD = 400 };

typedef struct settler {
    pair_t *pairs;
    int from, to;
    pthread_barrier_t *barrier;
} settler_t;

static void *settle_main(void *arg)
{
    settler_t *settler = arg;

    pthread_barrier_wait(settler->barrier);
    for (int i = settler->from; i < settler->to; i++)
        pair_resolve(&settler->pairs[i], i);
    return NULL;
}

START_TEST(closed_while_others_settle_into_it)
{
    static pair_t pairs[CROWD];
    static probe_t probes[CROWD];
    pthread_barrier_t barrier;
    settler_t settlers[3];
    pthread_t threads[3];

    pthread_barrier_init(&barrier, NULL, 4);
    for (int round = 0; round < ROUNDS / 40; round++) {
        stator_dispatcher_t *d = dispatcher_new();

        memset(probes, 0, sizeof probes);
        for (int i = 0; i < CROWD; i++) {
            pairs[i] = pair_new();
            attach(pairs[i].future, d, &probes[i], 1 + i % 2);
        }
        for (int i = 0; i < 3; i++) {
            settlers[i] = (settler_t){pairs, i * CROWD / 3,
                                      (i + 1) * CROWD / 3, &barrier};
            threads[i] = thread_start(settle_main, &settlers[i]);
        }
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < round % 8; i++) {
            ck_assert_int_ge(stator_dispatcher_dispatch(d, 20), 0);
            sched_yield();
        }
        stator_dispatcher_unref(d);
        for (int i = 0; i < 3; i++)
            thread_join(threads[i]);
        for (int i = 0; i < CROWD; i++) {
            ck_assert_int_eq(probes[i].freed, 1 + i % 2);
            ck_assert_int_le(probes[i].ran, 1 + i % 2);
            assert_done(pairs[i].future, i);
            pair_free(&pairs[i]);
        }
    }
    pthread_barrier_destroy(&barrier);
}
END_TEST

/* ---- run_once, run_until --------------------------------------------- */

START_TEST(run_once_without_work)
{
    stator_dispatcher_t *d = dispatcher_new();
    int64_t start = now_ms();

    ck_assert_int_eq(stator_dispatcher_run_once(d, 0), 0);
    ck_assert_int_eq(stator_dispatcher_run_once(d, 50), 0);
    ck_assert_msg(now_ms() - start >= 49, "came back before its time");
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(run_once_runs_all_that_are_ready)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);
    probe_t probe = {0};

    attach(f, d, &probe, 20);
    ck_assert_int_eq(stator_dispatcher_run_once(d, _i == 0 ? 0 : -1), 20);
    ck_assert_int_eq(probe.ran, 20);
    ck_assert(!readable(stator_dispatcher_fd(d)));
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

typedef struct sleeper {
    stator_dispatcher_t *dispatcher;
    stator_future_t *future; /* NULL: run_once */
    atomic_int tid;
    int rc;
} sleeper_t;

static void *sleeper_main(void *arg)
{
    sleeper_t *sleeper = arg;

    tell_tid(&sleeper->tid);
    if (sleeper->future == NULL)
        sleeper->rc = stator_dispatcher_run_once(sleeper->dispatcher, -1);
    else
        sleeper->rc = stator_dispatcher_run_until(sleeper->dispatcher,
                                                  sleeper->future, -1);
    return NULL;
}

START_TEST(run_once_is_woken_by_settling)
{
    sleeper_t sleeper = {.dispatcher = dispatcher_new(), .rc = -1};
    pair_t p = pair_new();
    probe_t probe = {0};
    pthread_t thread;

    attach(p.future, sleeper.dispatcher, &probe, 1);
    thread = thread_start(sleeper_main, &sleeper);
    until_asleep(&sleeper.tid);
    ck_assert(pair_resolve(&p, 1));
    thread_join(thread);
    ck_assert_int_eq(sleeper.rc, 1);
    ck_assert_int_eq(probe.ran, 1);
    ck_assert(pthread_equal(probe.thread, thread));
    pair_free(&p);
    stator_dispatcher_unref(sleeper.dispatcher);
}
END_TEST

/* Nothing of this dispatcher's becomes ready: the settling itself must wake. */
START_TEST(run_until_is_woken_by_settling)
{
    sleeper_t sleeper = {.dispatcher = dispatcher_new(), .rc = -1};
    pair_t p = pair_new();
    pthread_t thread;

    sleeper.future = p.future;
    thread = thread_start(sleeper_main, &sleeper);
    until_asleep(&sleeper.tid);
    if (_i == 0)
        ck_assert(pair_resolve(&p, 1));
    else if (_i == 1)
        ck_assert(pair_fail(&p, 1));
    else
        ck_assert(stator_future_cancel(p.future));
    thread_join(thread);
    ck_assert_int_eq(sleeper.rc, 0);
    pair_free(&p);
    stator_dispatcher_unref(sleeper.dispatcher);
}
END_TEST

START_TEST(run_until_settled_returns_at_once)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_in(_i, 1);

    ck_assert_int_eq(stator_dispatcher_run_until(d, f, 0), 0);
    ck_assert_int_eq(stator_dispatcher_run_until(d, f, -1), 0);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(run_until_times_out)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    int64_t start = now_ms();
    probe_t probe = {0};

    ck_assert_int_eq(stator_dispatcher_run_until(d, p.future, 0), -ETIMEDOUT);
    ck_assert_int_eq(stator_dispatcher_run_until(d, p.future, 50),
                     -ETIMEDOUT);
    ck_assert_msg(now_ms() - start >= 49, "came back before its time");

    /* It leaves nothing behind: neither a pointer nor a wrong count. */
    attach(p.future, d, &probe, 1);
    ck_assert(pair_resolve(&p, 1));
    pair_free(&p);
    ck_assert_int_ge(dispatch_all(d), 1);
    ck_assert_int_eq(probe.ran, 1);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(run_until_after_a_time_out_leaves_no_pointer)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();

    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(stator_dispatcher_run_until(d, p.future, 0),
                         -ETIMEDOUT);
    stator_dispatcher_unref(d);
    ck_assert(pair_resolve(&p, 1));
    pair_free(&p);
}
END_TEST

START_TEST(run_until_runs_what_is_needed)
{
    breeder_t breeder = {dispatcher_new(), 50};
    stator_dispatcher_t *d = breeder.dispatcher;
    stator_future_t *f = future_done(7), *chain = stator_future_ref(f), *next;
    link_t links[20] = {{0}};

    ck_assert_int_eq(stator_future_then(f, d, then_breed, &breeder), 0);
    for (int i = 0; i < 20; i++) {
        next = stator_future_chain(chain, d, link_fn, &links[i]);
        stator_future_unref(chain);
        chain = next;
    }
    ck_assert_int_eq(stator_dispatcher_run_until(d, chain, PATIENCE_MS), 0);
    assert_done(chain, 7);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(links[i].ran, 1);
    stator_future_unref(chain);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

/* What it needs for itself is not among the continuations that are counted. */
START_TEST(run_until_adds_nothing_to_the_count)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_done(1), *f;
    link_t link = {0};
    probe_t probe = {0};

    f = stator_future_chain(source, d, link_fn, &link);
    ck_assert_int_eq(stator_dispatcher_run_until(d, f, PATIENCE_MS), 0);
    if (_i == 0) {
        ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 0);
    } else {
        int64_t start = now_ms();

        ck_assert_int_eq(stator_dispatcher_run_once(d, 50), 0);
        ck_assert_msg(now_ms() - start >= 49, "came back before its time");
    }
    attach(f, d, &probe, 3);
    ck_assert_int_eq(stator_dispatcher_run_once(d, PATIENCE_MS), 3);
    stator_future_unref(f);
    stator_future_unref(source);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(run_until_outlives_its_dispatcher)
{
    stator_dispatcher_t *d = dispatcher_new();
    closer_t closer = {.dispatcher = d};
    stator_future_t *source = future_done(1), *f;
    pair_t p = pair_new();
    link_t link = {0};

    f = stator_future_chain(p.future, d, link_fn, &link);
    ck_assert_int_eq(stator_future_then(source, d, then_close, &closer), 0);
    /* Closing it settles the chain, and that was what was asked for. */
    ck_assert_int_eq(stator_dispatcher_run_until(d, f, PATIENCE_MS), 0);
    assert_stator_error(f, STATOR_ERROR_CLOSED);
    stator_future_unref(f);
    stator_future_unref(source);
    pair_free(&p);
}
END_TEST

START_TEST(run_until_does_not_wait_for_a_closed_one)
{
    stator_dispatcher_t *d = dispatcher_new();
    closer_t closer = {.dispatcher = d};
    stator_future_t *source = future_done(1);
    pair_t p = pair_new();

    ck_assert_int_eq(stator_future_then(source, d, then_close, &closer), 0);
    ck_assert_int_lt(stator_dispatcher_run_until(d, p.future, -1), 0);
    assert_state(p.future, STATOR_FUTURE_PENDING);
    stator_future_unref(source);
    pair_free(&p);
}
END_TEST

/* ---- the adapter's slot ---------------------------------------------- */

static int slot_fd, slot_open, slot_freed;
static void *slot_seen;

static void slot_free(void *adapter)
{
    slot_freed++;
    slot_seen = adapter;
    slot_open = is_open(slot_fd);
}

START_TEST(adapter_slot_holds_one)
{
    stator_dispatcher_t *d = dispatcher_new();
    int one, two;

    slot_freed = 0;
    slot_fd = stator_dispatcher_fd(d);
    ck_assert_ptr_null(stator_dispatcher_get_adapter(d));
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, &one, slot_free), 0);
    ck_assert_ptr_eq(stator_dispatcher_get_adapter(d), &one);
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, &two, slot_free),
                     EBUSY);
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, &one, slot_free),
                     EBUSY);
    ck_assert_ptr_eq(stator_dispatcher_get_adapter(d), &one);
    ck_assert_int_eq(slot_freed, 0);
    stator_dispatcher_unref(d);
    ck_assert_int_eq(slot_freed, 1);
    ck_assert_ptr_eq(slot_seen, &one);
    ck_assert_msg(slot_open, "the descriptor was closed first");
}
END_TEST

START_TEST(adapter_taken_away_is_not_freed)
{
    stator_dispatcher_t *d = dispatcher_new();
    int one, two;

    slot_freed = 0;
    slot_fd = stator_dispatcher_fd(d);
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, NULL, NULL), 0);
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, &one, slot_free), 0);
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, NULL, NULL), 0);
    ck_assert_int_eq(slot_freed, 0);
    ck_assert_ptr_null(stator_dispatcher_get_adapter(d));
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, &two, NULL), 0);
    ck_assert_ptr_eq(stator_dispatcher_get_adapter(d), &two);
    stator_dispatcher_unref(d);
    ck_assert_int_eq(slot_freed, 0);
}
END_TEST

START_TEST(adapter_is_freed_once_when_closed_in_dispatch)
{
    stator_dispatcher_t *d = dispatcher_new();
    closer_t closer = {.dispatcher = d};
    stator_future_t *f = future_done(1);
    int one;

    slot_freed = 0;
    slot_fd = stator_dispatcher_fd(d);
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, &one, slot_free), 0);
    ck_assert_int_eq(stator_future_then(f, d, then_close, &closer), 0);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    ck_assert_int_eq(slot_freed, 1);
    ck_assert_msg(slot_open, "the descriptor was closed first");
    ck_assert(!is_open(slot_fd));
    stator_future_unref(f);
}
END_TEST

SUITE(dispatcher)
{
    tcase_add_test(tc, descriptor_is_quiet_at_first);
    tcase_add_test(tc, descriptor_stays_readable_until_dispatched);
    tcase_add_test(tc, settling_without_continuation_is_quiet);
    tcase_add_test(tc, budget_leaves_the_descriptor_readable);
    tcase_add_test(tc, budget_that_fits_exactly_quiets_the_descriptor);
    tcase_add_test(tc, budget_keeps_old_before_new);
    tcase_add_loop_test(tc, budget_below_one_is_none, 0, 3);
    tcase_add_test(tc, dispatch_ends_though_more_becomes_ready);
    tcase_add_test(tc, null_dispatcher_is_no_crash);
    tcase_add_test(tc, out_of_descriptors_is_an_error);

    TCase *wake = suite_case("dispatcher_wake_ups");
    tcase_add_test(wake, burst_is_one_edge);
    tcase_add_loop_test(wake, no_wake_up_is_lost, 0,
                        (int)(sizeof consumers / sizeof consumers[0]));

    TCase *busy = suite_case("dispatcher_busy");
    tcase_add_test(busy, dispatch_does_not_nest);
    tcase_add_test(busy, second_thread_is_told_busy);

    TCase *closing = suite_case("dispatcher_closing");
    tcase_add_test(closing, closing_waits_for_the_last_reference);
    tcase_add_test(closing, continuations_do_not_keep_it);
    tcase_add_test(closing, closed_descriptor_is_never_touched);
    tcase_add_test(closing, continuation_may_close_its_dispatcher);
    tcase_add_test(closing, attaching_to_a_closed_one_is_refused);
    tcase_add_test(closing, closed_by_another_thread_while_it_dispatches);
    tcase_add_test(closing, closed_while_others_settle_into_it);

    TCase *run = suite_case("dispatcher_run");
    tcase_add_test(run, run_once_without_work);
    tcase_add_loop_test(run, run_once_runs_all_that_are_ready, 0, 2);
    tcase_add_test(run, run_once_is_woken_by_settling);
    tcase_add_loop_test(run, run_until_is_woken_by_settling, 0, 3);
    tcase_add_loop_test(run, run_until_settled_returns_at_once,
                        STATOR_FUTURE_DONE, STATOR_FUTURE_CANCELLED + 1);
    tcase_add_test(run, run_until_times_out);
    tcase_add_test(run, run_until_after_a_time_out_leaves_no_pointer);
    tcase_add_test(run, run_until_runs_what_is_needed);
    tcase_add_loop_test(run, run_until_adds_nothing_to_the_count, 0, 2);
    tcase_add_test(run, run_until_outlives_its_dispatcher);
    tcase_add_test(run, run_until_does_not_wait_for_a_closed_one);

    TCase *slot = suite_case("dispatcher_adapter");
    tcase_add_test(slot, adapter_slot_holds_one);
    tcase_add_test(slot, adapter_taken_away_is_not_freed);
    tcase_add_test(slot, adapter_is_freed_once_when_closed_in_dispatch);
}
