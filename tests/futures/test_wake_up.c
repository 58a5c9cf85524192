/* SPDX-License-Identifier: Apache-2.0 */
/* test_wake_up.c - the descriptor becomes readable once for a burst, and
 * never fails to when something is ready. */
#include "tests/futures/support.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

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

SUITE(wake_up)
{
    tcase_add_test(tc, burst_is_one_edge);
    tcase_add_loop_test(tc, no_wake_up_is_lost, 0,
                        (int)(sizeof consumers / sizeof consumers[0]));
}
