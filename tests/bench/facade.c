/* SPDX-License-Identifier: Apache-2.0 */
/* facade.c - the contender this is about: Stator, one thread, one epoll loop.
 *
 *   slot: submit -> future -> continuation: check, time, submit again
 *
 * So many slots, so many operations in flight. */
#include <errno.h>
#include <stator/adapters/epoll.h>
#include <stator/stator.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/work.h"

enum { STUCK_MS = 20000 };

typedef struct facade facade_t;

typedef struct slot {
    facade_t *facade;
    int64_t begun;
    int32_t id; /* asked for */
} slot_t;

struct facade {
    bench_verb_t verb;
    stator_client_t *client;
    stator_collection_t *collection;
    stator_dispatcher_t *dispatcher;
    int epoll;
    work_t work;
    int64_t end;
    bench_section_t *section;
    int busy; /* slots in flight */
    int n;
    slot_t *slots;
};

static void on_answer(stator_future_t *future, void *arg);

static void submit(slot_t *slot, int64_t now)
{
    facade_t *facade = slot->facade;
    stator_future_t *future;
    bson_t document;

    slot->begun = now;
    if (facade->verb == BENCH_FIND_ONE) {
        slot->id = work_next_id(&facade->work);
        work_filter(&document, slot->id);
        future = stator_collection_find_one(facade->collection, &document,
                                            NULL);
    } else {
        work_document(&document, &facade->work);
        future = stator_collection_insert_one(facade->collection, &document,
                                              NULL);
    }
    bson_destroy(&document);
    if (stator_future_then(future, facade->dispatcher, on_answer, slot) != 0)
        bench_die("stator: no continuation");
    stator_future_unref(future);
    facade->busy++;
}

static void on_answer(stator_future_t *future, void *arg)
{
    slot_t *slot = arg;
    facade_t *facade = slot->facade;
    bson_error_t error;
    int64_t now;

    if (stator_future_error(future, &error))
        bench_die("stator: %s", error.message);
    if (facade->verb == BENCH_FIND_ONE) {
        if (!work_is_right(stator_future_document(future), slot->id))
            bench_die("stator: find: not the document asked for");
    } else if (stator_future_count(future) != 1) {
        bench_die("stator: insert: not one document inserted");
    }
    now = meter_now();
    meter_add(&facade->section->latency, now - slot->begun);
    facade->section->ops++;
    facade->busy--;
    if (now < facade->end)
        submit(slot, now);
}

/* The driver connects when a worker first works: give each of them reason to,
 * more of them than there are workers. */
static void connect_workers(facade_t *facade, int workers)
{
    bson_t ping = BSON_INITIALIZER;

    BSON_APPEND_INT32(&ping, "ping", 1);
    for (int i = 0; i < 4 * workers; i++)
        stator_future_unref(
            stator_client_command(facade->client, "admin", &ping, NULL));
    bson_destroy(&ping);
}

void *facade_open(const bench_workload_t *workload, const char *uri,
                  bool uses_command)
{
    facade_t *facade = calloc(1, sizeof *facade);
    bson_t opts = BSON_INITIALIZER;
    bson_error_t error;

    (void)uses_command; /* it does, always */
    if (facade == NULL)
        bench_die("stator: no memory");
    facade->verb = workload->verb;
    facade->n = workload->in_flight;
    facade->slots = calloc((size_t)facade->n, sizeof *facade->slots);
    if (facade->slots == NULL)
        bench_die("stator: no memory");
    for (int i = 0; i < facade->n; i++)
        facade->slots[i].facade = facade;
    work_init(&facade->work, 0);

    BSON_APPEND_INT32(&opts, "workers", workload->connections);
    facade->client = stator_client_new(uri, &opts, &error);
    bson_destroy(&opts);
    if (facade->client == NULL)
        bench_die("stator: %s", error.message);
    facade->collection = stator_client_get_collection(
        facade->client, WORK_DB,
        workload->verb == BENCH_FIND_ONE ? WORK_FIND : WORK_INSERT);
    facade->dispatcher = stator_dispatcher_new(&error);
    if (facade->dispatcher == NULL)
        bench_die("stator: %s", error.message);
    facade->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (facade->epoll < 0 ||
        stator_epoll_attach(facade->dispatcher, facade->epoll) != 0)
        bench_die("stator: epoll: %s", strerror(errno));
    connect_workers(facade, workload->connections);
    return facade;
}

void facade_run(void *self, int64_t end, bench_section_t *section)
{
    facade_t *facade = self;
    struct epoll_event event;
    int64_t now = meter_now();

    facade->end = end;
    facade->section = section;
    for (int i = 0; i < facade->n; i++)
        submit(&facade->slots[i], now);
    while (facade->busy > 0) {
        int n = epoll_wait(facade->epoll, &event, 1, STUCK_MS);

        if (n == 0)
            bench_die("stator: no answer for %d s", STUCK_MS / 1000);
        if (n < 0)
            continue;
        section->turns++;
        stator_dispatcher_dispatch(facade->dispatcher,
                                   STATOR_DISPATCH_BUDGET);
    }
}

void facade_close(void *self)
{
    facade_t *facade = self;
    stator_future_t *closed;

    stator_collection_unref(facade->collection);
    closed = stator_client_close(facade->client, NULL);
    if (stator_future_wait(closed, STUCK_MS) != 0)
        bench_die("stator: the client does not close");
    stator_future_unref(closed);
    stator_client_unref(facade->client);
    (void)stator_epoll_detach(facade->dispatcher);
    stator_dispatcher_unref(facade->dispatcher);
    close(facade->epoll);
    free(facade->slots);
    free(facade);
}
