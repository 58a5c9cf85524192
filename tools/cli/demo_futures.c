/* SPDX-License-Identifier: Apache-2.0 */
/* demo_futures.c - the loop with Stator: it never waits for the server.
 *
 *   epoll: heartbeat | dispatcher -> continuations | Ctrl-C
 */
#include <errno.h>
#include <stator/adapters/epoll.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "clock.h"
#include "demo.h"
#include "interrupt.h"

typedef struct futures {
    demo_t *demo;
    demo_part_t *part;
    stator_future_t **futures; /* by query; NULL: answered */
    int pending;
    int arming; /* fail point commands under way */
    int code;
} futures_t;

/* The argument of a query's continuation. */
typedef struct asked {
    futures_t *all;
    int i;
} asked_t;

static void on_answer(stator_future_t *future, void *arg)
{
    asked_t *asked = arg;
    futures_t *all = asked->all;

    all->pending--;
    stator_future_unref(all->futures[asked->i]);
    all->futures[asked->i] = NULL;
    if (stator_future_poll(future) == STATOR_FUTURE_DONE)
        demo_answer(all->part, stator_future_count(future));
    else if (stator_future_poll(future) == STATOR_FUTURE_FAILED &&
             all->part->failed++ == 0)
        all->code = session_explain("query", future);
}

static void on_armed(stator_future_t *future, void *arg)
{
    futures_t *all = arg;

    (void)future;
    all->arming--;
}

static stator_future_t *submit(demo_t *demo, const query_t *query)
{
    session_t *session = &demo->session;
    stator_cursor_t *cursor;
    stator_future_t *future;

    switch (query->kind) {
    case QUERY_COUNT:
        return stator_collection_count_documents(
            session->collection, query->document, &session->opts);
    case QUERY_AGGREGATE:
        cursor = stator_collection_aggregate(
            session->collection, query->document, &session->opts);
        future = stator_cursor_to_list(cursor, 0);
        stator_cursor_unref(cursor);
        return future;
    default:
        return stator_collection_find_one(session->collection,
                                          query->document, &session->opts);
    }
}

static void arm(futures_t *all, int times)
{
    session_t *session = &all->demo->session;
    bson_t *command = demo_fail_point(all->demo, times);
    stator_future_t *future =
        stator_client_command(session->client, "admin", command, NULL);

    if (stator_future_then(future, session->dispatcher, on_armed, all) == 0)
        all->arming++;
    stator_future_unref(future);
    bson_destroy(command);
}

static void submit_all(futures_t *all, asked_t *asked)
{
    demo_t *demo = all->demo;

    for (int i = 0; i < demo->n; i++) {
        int times = demo_slow_at(demo, i);

        if (times > 0)
            arm(all, times);
        asked[i] = (asked_t){all, i};
        all->futures[i] = submit(demo, &demo->queries[i]);
        if (stator_future_then(all->futures[i], demo->session.dispatcher,
                               on_answer, &asked[i]) == 0)
            all->pending++;
    }
}

/* One turn of the loop: whatever is ready, and nothing that waits. */
static void turn(futures_t *all)
{
    demo_t *demo = all->demo;
    struct epoll_event events[4];
    int n = epoll_wait(demo->epfd, events, 4, -1);

    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == demo->session.dispatcher)
            stator_dispatcher_dispatch(demo->session.dispatcher,
                                       STATOR_DISPATCH_BUDGET);
        else if (events[i].data.ptr == &demo->heartbeat)
            heartbeat_tick(&demo->heartbeat);
        else
            interrupt_noted();
    }
    demo_show(demo, all->part);
}

/* Time is up, or Ctrl-C.  What sets the fail point must not be under way
 * when that is switched off. */
static void give_up(futures_t *all)
{
    int64_t end = clock_us() + 3000000;

    for (int i = 0; i < all->demo->n; i++)
        stator_future_cancel(all->futures[i]);
    while ((all->pending > 0 || all->arming > 0) && clock_us() < end)
        turn(all);
}

static int run(futures_t *all, asked_t *asked)
{
    demo_t *demo = all->demo;
    int failed = stator_epoll_attach(demo->session.dispatcher, demo->epfd);

    if (failed != 0) {
        say_error("epoll: %s", strerror(failed));
        return EX_OSERR;
    }
    demo_begin(demo, all->part);
    submit_all(all, asked);
    while (all->pending > 0 && interrupt_count() == 0 &&
           !demo_is_over(demo, all->part))
        turn(all);
    demo_end(demo, all->part);
    give_up(all);
    stator_epoll_detach(demo->session.dispatcher);
    return all->code;
}

int demo_futures(demo_t *demo, demo_part_t *part)
{
    futures_t all = {.demo = demo, .part = part, .code = EX_OK};
    asked_t *asked = calloc((size_t)demo->n, sizeof *asked);
    int code = EX_OSERR;

    all.futures = calloc((size_t)demo->n, sizeof *all.futures);
    if (asked != NULL && all.futures != NULL)
        code = run(&all, asked);
    /* A continuation that is still to come would find its argument gone. */
    if (all.pending == 0 && all.arming == 0) {
        free(asked);
        free(all.futures);
    } else {
        say_error("%d queries did not settle", all.pending + all.arming);
        _Exit(EX_SOFTWARE);
    }
    return interrupt_count() > 0 ? interrupt_exit() : code;
}
