/* SPDX-License-Identifier: Apache-2.0 */
/* raw.c - the contender without a facade: threads that call the driver.
 *
 *   main  --- starts ---> thread 0 .. n-1: own client, own collection
 *         <-- finishes --
 *
 * The threads live as long as the contender, each with its client taken from
 * a pool, and meet the main thread at two barriers.  Between them a thread's
 * fields are its own, outside of them the main thread's. */
#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/bench/bench.h"
#include "tests/bench/work.h"

typedef struct raw raw_t;

typedef struct raw_thread {
    raw_t *raw;
    pthread_t id;
    bool is_working; /* else it only keeps its connection */
    mongoc_collection_t *found, *inserted;
    work_t work;
    int64_t ops;
    meter_latency_t latency;
} raw_thread_t;

struct raw {
    bench_verb_t verb;
    bool uses_command;
    bool is_over;
    int64_t end;
    mongoc_client_pool_t *pool;
    pthread_barrier_t starts, finishes;
    int n;
    raw_thread_t *threads;
};

static void find_by_cursor(raw_thread_t *t)
{
    int32_t id = work_next_id(&t->work);
    const bson_t *document = NULL;
    mongoc_cursor_t *cursor;
    bson_error_t error;
    bson_t filter, opts;

    work_filter(&filter, id);
    bson_init(&opts);
    BSON_APPEND_INT64(&opts, "limit", 1);
    BSON_APPEND_BOOL(&opts, "singleBatch", true);
    cursor = mongoc_collection_find_with_opts(t->found, &filter, &opts, NULL);
    mongoc_cursor_next(cursor, &document);
    if (mongoc_cursor_error(cursor, &error))
        bench_die("threads: find: %s", error.message);
    if (!work_is_right(document, id))
        bench_die("threads: find: not the document asked for");
    mongoc_cursor_destroy(cursor);
    bson_destroy(&opts);
    bson_destroy(&filter);
}

static void find_by_command(raw_thread_t *t)
{
    int32_t id = work_next_id(&t->work);
    bson_t command, reply;
    bson_error_t error;

    work_command(&command, id);
    if (!mongoc_collection_read_command_with_opts(t->found, &command, NULL,
                                                  NULL, &reply, &error))
        bench_die("threads: find: %s", error.message);
    if (!work_reply_is_right(&reply, id))
        bench_die("threads: find: not the document asked for");
    bson_destroy(&reply);
    bson_destroy(&command);
}

static void insert_one(raw_thread_t *t)
{
    bson_t document, reply;
    bson_error_t error;
    bson_iter_t iter;

    work_document(&document, &t->work);
    if (!mongoc_collection_insert_one(t->inserted, &document, NULL, &reply,
                                      &error))
        bench_die("threads: insert: %s", error.message);
    if (!bson_iter_init_find(&iter, &reply, "insertedCount") ||
        bson_iter_as_int64(&iter) != 1)
        bench_die("threads: insert: not one document inserted");
    bson_destroy(&reply);
    bson_destroy(&document);
}

static void work(raw_thread_t *t, void (*operation)(raw_thread_t *))
{
    int64_t begun = meter_now(), now;

    do {
        operation(t);
        now = meter_now();
        meter_add(&t->latency, now - begun);
        t->ops++;
        begun = now;
    } while (now < t->raw->end);
}

static void *thread_main(void *arg)
{
    raw_thread_t *t = arg;
    raw_t *raw = t->raw;
    mongoc_client_t *client = mongoc_client_pool_pop(raw->pool);
    void (*operation)(raw_thread_t *) = find_by_cursor;

    pthread_setname_np(pthread_self(), "raw"); /* for a profiler */
    if (raw->verb == BENCH_INSERT_ONE)
        operation = insert_one;
    else if (raw->uses_command)
        operation = find_by_command;
    t->found = mongoc_client_get_collection(client, WORK_DB, WORK_FIND);
    t->inserted = mongoc_client_get_collection(client, WORK_DB, WORK_INSERT);
    find_by_command(t); /* connects */
    for (;;) {
        pthread_barrier_wait(&raw->starts);
        if (raw->is_over)
            break;
        if (t->is_working)
            work(t, operation);
        pthread_barrier_wait(&raw->finishes);
    }
    mongoc_collection_destroy(t->found);
    mongoc_collection_destroy(t->inserted);
    mongoc_client_pool_push(raw->pool, client);
    return NULL;
}

void *raw_open(const bench_workload_t *workload, const char *uri,
               bool uses_command)
{
    mongoc_uri_t *parsed = mongoc_uri_new(uri);
    raw_t *raw = calloc(1, sizeof *raw);

    if (raw == NULL || parsed == NULL)
        bench_die("threads: no memory");
    raw->verb = workload->verb;
    raw->uses_command = uses_command;
    raw->pool = mongoc_client_pool_new(parsed);
    mongoc_uri_destroy(parsed);
    mongoc_client_pool_set_error_api(raw->pool, MONGOC_ERROR_API_VERSION_2);
    raw->n = workload->connections;
    raw->threads = calloc((size_t)raw->n, sizeof *raw->threads);
    if (raw->threads == NULL)
        bench_die("threads: no memory");
    pthread_barrier_init(&raw->starts, NULL, (unsigned)raw->n + 1);
    pthread_barrier_init(&raw->finishes, NULL, (unsigned)raw->n + 1);
    for (int i = 0; i < raw->n; i++) {
        raw_thread_t *t = &raw->threads[i];

        t->raw = raw;
        t->is_working = i < workload->in_flight;
        work_init(&t->work, i + 1);
        if (pthread_create(&t->id, NULL, thread_main, t) != 0)
            bench_die("threads: no thread to be had");
    }
    return raw;
}

void raw_run(void *self, int64_t end, bench_section_t *section)
{
    raw_t *raw = self;

    raw->end = end;
    for (int i = 0; i < raw->n; i++) {
        raw->threads[i].ops = 0;
        raw->threads[i].latency = (meter_latency_t){0};
    }
    pthread_barrier_wait(&raw->starts);
    pthread_barrier_wait(&raw->finishes);
    for (int i = 0; i < raw->n; i++) {
        section->ops += raw->threads[i].ops;
        meter_merge(&section->latency, &raw->threads[i].latency);
    }
}

void raw_close(void *self)
{
    raw_t *raw = self;

    raw->is_over = true;
    pthread_barrier_wait(&raw->starts);
    for (int i = 0; i < raw->n; i++)
        pthread_join(raw->threads[i].id, NULL);
    pthread_barrier_destroy(&raw->starts);
    pthread_barrier_destroy(&raw->finishes);
    mongoc_client_pool_destroy(raw->pool);
    free(raw->threads);
    free(raw);
}
