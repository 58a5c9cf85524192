/* SPDX-License-Identifier: Apache-2.0 */
/* test_fork_calls.c - in a child, every public function answers at once on
 * every kind of inherited handle, says why, and touches no descriptor.
 *
 * The public headers are read to find out whether one was forgotten. */
#include "tests/core/forked.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <stator/adapters/epoll.h>

enum {
    SWEEPS = 3,
    CALLS_MAX = 600,
    BOUND_US = UNDER_TSAN || UNDER_ASAN ? 20000 : 1000
};

/* What the child tells the parent, in a page that they share. */
typedef struct report {
    int n;
    struct {
        char name[64];
        int64_t best_ns; /* of the sweeps */
    } calls[CALLS_MAX];
} report_t;

static report_t *report;
static int place; /* in the sweep */
static int64_t began;

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void note(const char *name)
{
    int64_t took = now_ns() - began, *best;

    MUST(place < CALLS_MAX);
    snprintf(report->calls[place].name, sizeof report->calls[place].name, "%s",
             name);
    best = &report->calls[place].best_ns;
    if (*best == 0 || took < *best)
        *best = took;
    if (++place > report->n)
        report->n = place;
}

/* Call a function and put its value through `check`; or one without. */
#define CALL(check, function, ...)                        \
    do {                                                  \
        began = now_ns();                                 \
        MUST(check(function(__VA_ARGS__)));               \
        note(#function);                                  \
    } while (0)
#define GIVE(function, ...)                               \
    do {                                                  \
        began = now_ns();                                 \
        function(__VA_ARGS__);                            \
        note(#function);                                  \
    } while (0)

#define IS_TRUE(value) ((value))
#define IS_FALSE(value) (!(value))
#define IS_NULL(value) ((value) == NULL)
#define IS_SOMETHING(value) ((value) != NULL)
#define IS_ZERO(value) ((value) == 0)
#define IS_MINUS_ONE(value) ((value) == -1)
#define IS_ECHILD(value) ((value) == -ECHILD)
#define IS_ESHUTDOWN(value) ((value) == ESHUTDOWN)
#define IS_FAILED(value) ((value) == STATOR_FUTURE_FAILED)

/* ---- what is inherited -------------------------------------------------- */

typedef struct heirs {
    scene_t *scene;
    stator_client_t *client;
    stator_database_t *database;
    stator_collection_t *collection;
    stator_cursor_t *cursor; /* open, with documents in it */
    stator_cursor_t *fresh;  /* never asked */
    stator_change_stream_t *stream; /* open, and somebody waits for it */
    stator_lease_t *lease;
    stator_session_t *session; /* in a transaction */
    stator_future_t *leased, *started;
    stator_gridfs_bucket_t *bucket;
    stator_gridfs_upload_stream_t *up; /* with a write that is pending */
    stator_gridfs_download_stream_t *down;
    stator_dispatcher_t *dispatcher;
    stator_listener_t *listener; /* with events that wait */
    stator_promise_t *promise;
    stator_promise_t *run_promise; /* kept by a function of client.run */
    stator_future_t *done;
    stator_future_t *failed;
    stator_future_t *pending[16];
    int n_pending;
    int epfd;
} heirs_t;

static void then_nothing(stator_future_t *f, void *arg)
{
    (void)f, (void)arg;
}

static stator_future_t *chain_nothing(stator_future_t *f, void *arg)
{
    (void)f, (void)arg;
    return NULL;
}

static bool each_nothing(const bson_t *document, void *arg)
{
    (void)document, (void)arg;
    return true;
}

static stator_future_t *each_async_nothing(const bson_t *document, void *arg)
{
    (void)document, (void)arg;
    return NULL;
}

static void hear_nothing(const stator_event_t *event, void *arg)
{
    (void)event, (void)arg;
}

static void keep_promise(mongoc_client_t *client, stator_promise_t *promise,
                         void *arg)
{
    (void)client;
    *(stator_promise_t **)arg = stator_promise_ref(promise);
}

static void keep_session(mongoc_client_t *client,
                         mongoc_client_session_t *session,
                         stator_promise_t *promise, void *arg)
{
    (void)client, (void)session, (void)promise, (void)arg;
}

static stator_future_t *transact(stator_session_t *session, void *arg)
{
    (void)session, (void)arg;
    return NULL;
}

static void add(heirs_t *h, stator_future_t *f)
{
    ck_assert_uint_lt((size_t)h->n_pending,
                      sizeof h->pending / sizeof *h->pending);
    h->pending[h->n_pending++] = f;
}

static const bson_value_t some_id = {.value_type = BSON_TYPE_INT32};

/* Both workers are held: what is asked stays in the queue. */
static void add_streams(heirs_t *h)
{
    h->bucket = stator_gridfs_bucket_new(h->database, NULL, NULL);
    ck_assert_ptr_nonnull(h->bucket);
    h->up = stator_gridfs_bucket_open_upload_stream(h->bucket, "x", NULL);
    h->down = stator_gridfs_bucket_open_download_stream(h->bucket, &some_id,
                                                        NULL);
    add(h, stator_gridfs_upload_stream_write(h->up, "x", 1));
}

static heirs_t *heirs_new(void)
{
    heirs_t *h = calloc(1, sizeof *h);
    scene_t *s = scene_with_uri("{'workers': 2}",
                                "heartbeatFrequencyMS=600000");
    stator_future_t *members[2];

    h->scene = s;
    scene_fill(s, 20);
    h->client = s->client;
    h->collection = s->things;
    h->database = stator_client_get_database(s->client, "core");
    h->dispatcher = stator_dispatcher_new(NULL);
    h->listener = stator_client_listen(s->client, h->dispatcher, hear_nothing,
                                       NULL, NULL, NULL);
    ck_assert_ptr_nonnull(h->listener);
    h->epfd = epoll_create1(EPOLL_CLOEXEC);
    ck_assert_int_eq(stator_epoll_attach(h->dispatcher, h->epfd), 0);
    h->cursor = open_and_read(s, "{'batchSize': 5}");
    h->fresh = open_cursor(s, NULL);
    h->stream = stator_collection_watch(s->things, NULL,
                                        J("{'maxAwaitTimeMS': 60000}"));
    done(stator_change_stream_open(h->stream));
    h->done = stator_future_ref(ck_done(ask_one(s, NULL)));
    h->failed = stator_collection_find_one(s->things, lib_corrupt(), NULL);
    h->leased = stator_future_ref(
        ck_done(lend(stator_client_lease(s->client, NULL))));
    h->lease = stator_future_lease(h->leased);
    h->started = stator_future_ref(
        ck_done(lend(stator_client_start_session(s->client, NULL))));
    h->session = stator_future_session(h->started);
    done(stator_session_start_transaction(h->session, NULL));
    h->promise = stator_promise_new();
    add(h, stator_promise_future(h->promise));
    add(h, stator_client_run(s->client, keep_promise, &h->run_promise, NULL));
    while (stator_future_phase(h->pending[1]) != STATOR_PHASE_SENT ||
           stat_of(s->client, "busy") != 0)
        sched_yield();
    add(h, stator_future_ref(hold_worker(s)));
    add(h, stator_cursor_each(h->fresh, h->dispatcher, each_nothing, NULL));
    add(h, stator_future_chain(h->pending[2], h->dispatcher, chain_nothing,
                               NULL));
    members[0] = h->pending[2];
    members[1] = h->pending[4];
    add(h, stator_future_all(members, 2));
    hold_worker(s);
    add(h, stator_future_ref(ask_one(s, NULL))); /* queued */
    add(h, stator_change_stream_next(h->stream));
    ck_assert(wire_wait_count(s->server, "getMore", 1, WIRE_WAIT));
    add_streams(h);
    return h;
}

static void resolve(mongoc_client_t *client, stator_promise_t *promise,
                    void *arg)
{
    (void)client, (void)arg;
    stator_promise_resolve(promise, NULL, NULL);
}

/* The parent has noticed nothing. */
static void heirs_end_well(heirs_t *h)
{
    scene_t *s = h->scene;

    for (int i = 0; i < h->n_pending; i++)
        if (i != 3) /* each has its documents, and needs a dispatch */
            ck_pending(h->pending[i]);
    wire_gate_open(s->gate);
    wire_events(s->server, 1);
    ck_assert(stator_promise_resolve(h->promise, NULL, NULL));
    ck_assert(stator_promise_resolve(h->run_promise, NULL, NULL));
    for (int i = 0; i < h->n_pending; i++) {
        int rc = stator_dispatcher_run_until(h->dispatcher, h->pending[i],
                                             LIB_PATIENCE_MS);

        ck_assert_int_eq(rc, 0);
        ck_done(h->pending[i]);
        stator_future_unref(h->pending[i]);
    }
    ck_assert_int_eq(read_all(h->cursor), 19);
    done(stator_session_commit_transaction(h->session, NULL));
    stator_session_unref(h->session);
    stator_listener_unref(h->listener);
    done(stator_lease_run(h->lease, resolve, NULL, NULL));
    stator_lease_unref(h->lease);
    stator_future_unref(h->leased);
    stator_future_unref(h->started);
    ck_assert_int_eq(stator_epoll_detach(h->dispatcher), 0);
    stator_promise_unref(h->promise);
    stator_promise_unref(h->run_promise);
    stator_future_unref(h->done);
    stator_future_unref(h->failed);
    stator_cursor_unref(h->cursor);
    stator_cursor_unref(h->fresh);
    done(stator_change_stream_close(h->stream));
    stator_change_stream_unref(h->stream);
    done(stator_gridfs_upload_stream_close(h->up));
    stator_gridfs_upload_stream_unref(h->up);
    stator_gridfs_download_stream_unref(h->down);
    stator_gridfs_bucket_unref(h->bucket);
    stator_dispatcher_unref(h->dispatcher);
    stator_database_unref(h->database);
    close(h->epfd);
    scene_free(s);
    free(h);
}

/* ---- the calls ---------------------------------------------------------- */

static void calls_on_a_client(heirs_t *h, const bson_t *one)
{
    stator_client_t *c = h->client;
    bson_error_t error = {0};
    bson_t out;

    CALL(is_forked, stator_client_command, c, "d", one, NULL);
    CALL(is_forked, stator_client_read_command, c, "d", one, NULL);
    CALL(is_forked, stator_client_write_command, c, "d", one, NULL);
    CALL(is_forked, stator_client_read_write_command, c, "d", one, NULL);
    CALL(is_forked, stator_client_ping, c, NULL);
    CALL(is_forked, stator_client_select_server, c, true, NULL);
    CALL(is_forked, stator_client_get_server_descriptions, c, NULL);
    CALL(is_forked, stator_client_get_handshake_description, c, 1, NULL);
    CALL(is_forked_cursor, stator_client_list_databases, c, NULL);
    CALL(is_forked, stator_client_list_database_names, c, NULL);
    CALL(is_forked, stator_client_drop_database, c, "d", NULL);
    CALL(is_forked, stator_client_run, c, keep_promise, NULL, NULL);
    CALL(is_forked, stator_client_room, c);
    CALL(is_forked, stator_client_close, c, NULL);
    CALL(IS_FALSE, stator_client_resize, c, 1, &error);
    MUST(error.domain == STATOR_ERROR_DOMAIN);
    MUST(error.code == STATOR_ERROR_FORKED);
    GIVE(stator_client_stats, c, &out);
    MUST(bson_empty(&out));
    bson_destroy(&out);
    GIVE(stator_client_config, c, &out);
    MUST(bson_empty(&out));
    bson_destroy(&out);
    CALL(IS_SOMETHING, stator_client_ref, c);
    GIVE(stator_client_unref, c);
}

static void calls_on_a_database(stator_database_t *d, const bson_t *one)
{
    bson_t none = BSON_INITIALIZER;
    stator_database_t *other;

    CALL(IS_SOMETHING, stator_database_get_name, d);
    CALL(is_forked, stator_database_command, d, one, NULL);
    CALL(is_forked, stator_database_read_command, d, one, NULL);
    CALL(is_forked, stator_database_write_command, d, one, NULL);
    CALL(is_forked, stator_database_read_write_command, d, one, NULL);
    CALL(is_forked_cursor, stator_database_run_cursor_command, d, one, NULL);
    CALL(is_forked_cursor, stator_database_aggregate, d, &none, NULL);
    CALL(is_forked, stator_database_create_collection, d, "c", NULL);
    CALL(is_forked_cursor, stator_database_list_collections, d, NULL);
    CALL(is_forked, stator_database_list_collection_names, d, NULL);
    CALL(is_forked, stator_database_has_collection, d, "c", NULL);
    CALL(is_forked, stator_database_drop, d, NULL);
    CALL(IS_SOMETHING, other = stator_database_with_opts, d, NULL, NULL);
    MUST(is_forked(stator_database_drop(other, NULL)));
    stator_database_unref(other);
    CALL(IS_SOMETHING, stator_database_ref, d);
    GIVE(stator_database_unref, d);
}

static void reads_on_a_collection(stator_collection_t *c, const bson_t *one)
{
    bson_t none = BSON_INITIALIZER;

    CALL(IS_SOMETHING, stator_collection_get_name, c);
    CALL(is_forked, stator_collection_find_one, c, NULL, NULL);
    CALL(is_forked_cursor, stator_collection_find, c, NULL, NULL);
    CALL(is_forked_cursor, stator_collection_aggregate, c, &none, NULL);
    CALL(is_forked, stator_collection_count_documents, c, one, NULL);
    CALL(is_forked, stator_collection_estimated_document_count, c, NULL);
    CALL(is_forked, stator_collection_distinct, c, "a", NULL, NULL);
    CALL(is_forked_cursor, stator_collection_list_indexes, c, NULL);
}

static void commands_on_a_collection(stator_collection_t *c,
                                     const bson_t *one)
{
    bson_t *model = BCON_NEW("definition", "{", "}");
    const bson_t *models[] = {model};

    CALL(is_forked, stator_collection_command, c, one, NULL);
    CALL(is_forked, stator_collection_read_command, c, one, NULL);
    CALL(is_forked, stator_collection_write_command, c, one, NULL);
    CALL(is_forked, stator_collection_read_write_command, c, one, NULL);
    CALL(is_forked, stator_collection_validate, c, NULL);
    CALL(is_forked, stator_collection_stats, c, NULL);
    CALL(is_forked, stator_collection_options, c, NULL);
    CALL(is_forked, stator_collection_create_search_index, c, model, NULL);
    CALL(is_forked, stator_collection_create_search_indexes, c, models, 1,
         NULL);
    CALL(is_forked, stator_collection_update_search_index, c, "i", one, NULL);
    CALL(is_forked, stator_collection_drop_search_index, c, "i", NULL);
    CALL(is_forked_cursor, stator_collection_list_search_indexes, c, "i",
         NULL);
    bson_destroy(model);
}

static void writes_on_a_collection(stator_collection_t *c, const bson_t *one)
{
    bson_t *update = BCON_NEW("$set", "{", "a", BCON_INT32(1), "}");
    bson_t *model = BCON_NEW("insertOne", "{", "document", "{", "}", "}");
    bson_t *index = BCON_NEW("key", "{", "a", BCON_INT32(1), "}");
    const bson_t *models[] = {model}, *indexes[] = {index};

    CALL(is_forked, stator_collection_insert_one, c, one, NULL);
    CALL(is_forked, stator_collection_insert_many, c, &one, 1, NULL);
    CALL(is_forked, stator_collection_update_one, c, one, update, NULL);
    CALL(is_forked, stator_collection_update_many, c, one, update, NULL);
    CALL(is_forked, stator_collection_replace_one, c, one, one, NULL);
    CALL(is_forked, stator_collection_delete_one, c, one, NULL);
    CALL(is_forked, stator_collection_delete_many, c, one, NULL);
    CALL(is_forked, stator_collection_find_one_and_update, c, one, update,
         NULL);
    CALL(is_forked, stator_collection_find_one_and_replace, c, one, one,
         NULL);
    CALL(is_forked, stator_collection_find_one_and_delete, c, one, NULL);
    CALL(is_forked, stator_collection_bulk_write, c, models, 1, NULL);
    CALL(is_forked, stator_collection_create_index, c, index, NULL);
    CALL(is_forked, stator_collection_create_indexes, c, indexes, 1, NULL);
    CALL(is_forked, stator_collection_drop_index, c, "a_1", NULL);
    CALL(is_forked, stator_collection_drop_indexes, c, NULL);
    CALL(is_forked, stator_collection_rename, c, "d", "n", false, NULL);
    CALL(is_forked, stator_collection_drop, c, NULL);
    bson_destroy(update);
    bson_destroy(model);
    bson_destroy(index);
}

static void new_handles(heirs_t *h)
{
    stator_collection_t *c;
    stator_database_t *d;

    CALL(IS_SOMETHING, c = stator_client_get_collection, h->client, "d", "c");
    MUST(is_forked(stator_collection_drop(c, NULL)));
    stator_collection_unref(c);
    CALL(IS_SOMETHING, d = stator_client_get_database, h->client, "d");
    MUST(is_forked(stator_database_drop(d, NULL)));
    stator_database_unref(d);
    CALL(IS_SOMETHING, d = stator_client_get_default_database, h->client);
    MUST(stator_future_poll(stator_database_drop(d, NULL)) ==
         STATOR_FUTURE_FAILED); /* its URI names none */
    stator_database_unref(d);
    CALL(IS_SOMETHING, c = stator_database_get_collection, h->database, "c");
    MUST(is_forked(stator_collection_drop(c, NULL)));
    stator_collection_unref(c);
    CALL(IS_SOMETHING, c = stator_collection_with_opts, h->collection, NULL,
         NULL);
    MUST(is_forked(stator_collection_drop(c, NULL)));
    stator_collection_unref(c);
    CALL(IS_SOMETHING, stator_collection_ref, h->collection);
    GIVE(stator_collection_unref, h->collection);
}

static void calls_on_a_cursor(heirs_t *h)
{
    stator_cursor_t *c = h->cursor;
    bson_t out;

    CALL(is_forked, stator_cursor_next, c);
    CALL(is_forked, stator_cursor_next_batch, c);
    CALL(is_forked, stator_cursor_to_list, c, 0);
    CALL(IS_FALSE, stator_cursor_try_buffered, c, &out);
    CALL(is_forked, stator_cursor_each, c, h->dispatcher, each_nothing, NULL);
    CALL(is_forked, stator_cursor_each_async, c, h->dispatcher,
         each_async_nothing, NULL);
    CALL(is_forked_cursor, stator_cursor_clone, c);
    CALL(is_forked, stator_cursor_close, c);
    CALL(IS_SOMETHING, stator_cursor_ref, c);
    GIVE(stator_cursor_unref, c);
}

static bool is_forked_stream(stator_change_stream_t *stream)
{
    bool is = is_forked(stator_change_stream_next(stream)) &&
              is_forked(stator_change_stream_close(stream));

    stator_change_stream_unref(stream);
    return is;
}

static void calls_on_a_change_stream(heirs_t *h)
{
    stator_change_stream_t *s = h->stream;
    bson_t out;

    CALL(is_forked_stream, stator_client_watch, h->client, NULL, NULL);
    CALL(is_forked_stream, stator_database_watch, h->database, NULL, NULL);
    CALL(is_forked_stream, stator_collection_watch, h->collection, NULL, NULL);
    CALL(is_forked, stator_change_stream_open, s);
    CALL(is_forked, stator_change_stream_next, s);
    CALL(is_forked, stator_change_stream_try_next, s);
    CALL(is_forked, stator_change_stream_each, s, h->dispatcher, each_nothing,
         NULL);
    CALL(is_forked, stator_change_stream_each_async, s, h->dispatcher,
         each_async_nothing, NULL);
    CALL(IS_FALSE, stator_change_stream_resume_token, s, &out);
    CALL(is_forked, stator_change_stream_close, s);
    CALL(IS_SOMETHING, stator_change_stream_ref, s);
    GIVE(stator_change_stream_unref, s);
}

static void calls_on_a_lease(heirs_t *h)
{
    stator_lease_t *lease = h->lease;
    bson_t opts = BSON_INITIALIZER;
    bson_error_t error = {0};

    CALL(is_forked, stator_client_lease, h->client, NULL);
    CALL(IS_SOMETHING, stator_future_lease, h->leased);
    CALL(IS_FALSE, stator_lease_append, lease, &opts, &error);
    MUST(error.code == STATOR_ERROR_FORKED);
    CALL(is_forked, stator_lease_run, lease, keep_promise, NULL, NULL);
    CALL(IS_SOMETHING, stator_lease_ref, lease);
    GIVE(stator_lease_unref, lease);
}

static void calls_on_a_session(heirs_t *h)
{
    stator_session_t *s = h->session;
    bson_t opts = BSON_INITIALIZER, *time;
    bson_error_t error = {0};

    CALL(is_forked, stator_client_start_session, h->client, NULL);
    CALL(IS_SOMETHING, stator_future_session, h->started);
    CALL(IS_FALSE, stator_session_append, s, &opts, &error);
    MUST(error.code == STATOR_ERROR_FORKED);
    CALL(is_forked, stator_session_run, s, keep_session, NULL, NULL);
    CALL(is_forked, stator_session_start_transaction, s, NULL);
    CALL(is_forked, stator_session_commit_transaction, s, NULL);
    CALL(is_forked, stator_session_abort_transaction, s, NULL);
    CALL(is_forked, stator_session_with_transaction, s, h->dispatcher,
         transact, NULL, NULL);
    CALL(IS_ZERO, stator_session_transaction_state, s);
    GIVE(stator_session_lsid, s, &opts);
    MUST(bson_empty(&opts));
    GIVE(stator_session_cluster_time, s, &opts);
    MUST(bson_empty(&opts));
    GIVE(stator_session_operation_time, s, NULL, NULL);
    CALL(IS_FALSE, stator_session_advance_operation_time, s, 1, 1, &error);
    MUST(error.code == STATOR_ERROR_FORKED);
    time = BCON_NEW("clusterTime", BCON_TIMESTAMP(1, 1));
    CALL(IS_FALSE, stator_session_advance_cluster_time, s, time, &error);
    bson_destroy(time);
    CALL(IS_SOMETHING, stator_session_ref, s);
    GIVE(stator_session_unref, s);
}

static void calls_on_a_listener(heirs_t *h)
{
    bson_t opts = BSON_INITIALIZER;
    bson_error_t error = {0};

    CALL(IS_NULL, stator_client_listen, h->client, h->dispatcher,
         hear_nothing, NULL, NULL, &error);
    MUST(error.code == STATOR_ERROR_FORKED);
    CALL(IS_SOMETHING, stator_listener_ref, h->listener);
    GIVE(stator_listener_unref, h->listener);
    CALL(IS_TRUE, stator_context_append, h, &opts, &error);
    bson_destroy(&opts);
}

static bool is_forked_upload(stator_gridfs_upload_stream_t *up)
{
    bool forked = is_forked(stator_gridfs_upload_stream_close(up));

    stator_gridfs_upload_stream_unref(up);
    return forked;
}

static bool is_forked_download(stator_gridfs_download_stream_t *down)
{
    bool forked = is_forked(stator_gridfs_download_stream_open(down));

    stator_gridfs_download_stream_unref(down);
    return forked;
}

static void calls_on_a_bucket(heirs_t *h)
{
    stator_gridfs_bucket_t *b = h->bucket, *other;

    CALL(IS_SOMETHING, other = stator_gridfs_bucket_new, h->database, NULL,
         NULL);
    MUST(is_forked(stator_gridfs_bucket_drop(other, NULL)));
    stator_gridfs_bucket_unref(other);
    CALL(is_forked_cursor, stator_gridfs_bucket_find, b, NULL, NULL);
    CALL(is_forked, stator_gridfs_bucket_find_one, b, NULL, NULL);
    CALL(is_forked, stator_gridfs_bucket_delete_by_id, b, &some_id, NULL);
    CALL(is_forked, stator_gridfs_bucket_delete_by_name, b, "x", NULL);
    CALL(is_forked, stator_gridfs_bucket_rename, b, &some_id, "x", NULL);
    CALL(is_forked, stator_gridfs_bucket_rename_by_name, b, "x", "y", NULL);
    CALL(is_forked, stator_gridfs_bucket_drop, b, NULL);
    CALL(is_forked, stator_gridfs_bucket_upload_from_buffer, b, "x", "y", 1,
         NULL);
    CALL(is_forked, stator_gridfs_bucket_upload_from_fd, b, "x", 0, NULL);
    CALL(is_forked, stator_gridfs_bucket_download_to_buffer, b, &some_id,
         NULL);
    CALL(is_forked, stator_gridfs_bucket_download_to_fd, b, &some_id, 1, NULL);
    CALL(is_forked_upload, stator_gridfs_bucket_open_upload_stream, b, "x",
         NULL);
    CALL(is_forked_upload, stator_gridfs_bucket_open_upload_stream_with_id, b,
         &some_id, "x", NULL);
    CALL(is_forked_download, stator_gridfs_bucket_open_download_stream, b,
         &some_id, NULL);
    CALL(is_forked_download,
         stator_gridfs_bucket_open_download_stream_by_name, b, "x", NULL);
    CALL(IS_SOMETHING, stator_gridfs_bucket_ref, b);
    GIVE(stator_gridfs_bucket_unref, b);
}

static void calls_on_streams(heirs_t *h)
{
    stator_gridfs_upload_stream_t *up = h->up;
    stator_gridfs_download_stream_t *down = h->down;

    CALL(is_forked, stator_gridfs_upload_stream_write, up, "x", 1);
    CALL(is_forked, stator_gridfs_upload_stream_from_fd, up, 0);
    CALL(is_forked, stator_gridfs_upload_stream_close, up);
    CALL(is_forked, stator_gridfs_upload_stream_abort, up);
    CALL(IS_SOMETHING, stator_gridfs_upload_stream_id, up);
    CALL(IS_ZERO, stator_gridfs_upload_stream_tell, up);
    CALL(IS_SOMETHING, stator_gridfs_upload_stream_ref, up);
    GIVE(stator_gridfs_upload_stream_unref, up);
    CALL(is_forked, stator_gridfs_download_stream_open, down);
    CALL(is_forked, stator_gridfs_download_stream_read, down, 1);
    CALL(is_forked, stator_gridfs_download_stream_to_fd, down, 1);
    CALL(is_forked, stator_gridfs_download_stream_seek, down, 0);
    CALL(is_forked, stator_gridfs_download_stream_close, down);
    CALL(IS_ZERO, stator_gridfs_download_stream_tell, down);
    CALL(IS_MINUS_ONE, stator_gridfs_download_stream_length, down);
    CALL(IS_NULL, stator_future_bytes, h->done, NULL);
    CALL(IS_SOMETHING, stator_gridfs_download_stream_ref, down);
    GIVE(stator_gridfs_download_stream_unref, down);
}

static void calls_on_a_dispatcher(heirs_t *h)
{
    stator_dispatcher_t *d = h->dispatcher;

    CALL(IS_MINUS_ONE, stator_dispatcher_fd, d);
    CALL(IS_ECHILD, stator_dispatcher_dispatch, d, 0);
    CALL(IS_ECHILD, stator_dispatcher_run_once, d, -1);
    CALL(IS_ECHILD, stator_dispatcher_run_until, d, h->pending[0], -1);
    CALL(IS_ESHUTDOWN, stator_dispatcher_set_adapter, d, NULL, NULL);
    CALL(IS_NULL, stator_dispatcher_get_adapter, d);
    MUST(stator_epoll_detach(d) == ENOENT);
    MUST(stator_epoll_attach(d, h->epfd) == ESHUTDOWN);
    CALL(IS_SOMETHING, stator_dispatcher_ref, d);
    GIVE(stator_dispatcher_unref, d);
}

static void calls_on_a_pending_future(heirs_t *h, stator_future_t *f)
{
    stator_dispatcher_t *d = h->dispatcher;
    bson_error_t error;

    MUST(reads_as_forked(f));
    CALL(IS_FAILED, stator_future_poll, f);
    CALL(IS_ZERO, stator_future_wait, f, -1);
    CALL(IS_FALSE, stator_future_cancel, f);
    CALL(IS_TRUE, stator_future_error, f, &error);
    CALL(IS_FALSE, stator_future_has_error_label, f, "x");
    CALL(STATOR_ORIGIN_STATOR ==, stator_future_origin, f);
    GIVE((void)stator_future_phase, f);
    CALL(STATOR_ANSWERED !=, stator_future_outcome, f);
    CALL(IS_NULL, stator_future_reply, f);
    CALL(IS_NULL, stator_future_document, f);
    CALL(IS_NULL, stator_future_document_at, f, 0);
    CALL(IS_ZERO, stator_future_count, f);
    CALL(IS_NULL, stator_future_context, f);
    CALL(IS_ESHUTDOWN, stator_future_then, f, d, then_nothing, NULL);
    CALL(IS_ESHUTDOWN, stator_future_then_full, f, d, then_nothing, NULL,
         NULL);
    CALL(is_forked, stator_future_chain, f, d, chain_nothing, NULL);
    CALL(is_forked, stator_future_recover, f, d, chain_nothing, NULL);
    CALL(is_forked, stator_future_finally, f, d, chain_nothing, NULL);
    CALL(is_forked, stator_future_all, &f, 1);
    CALL(is_forked, stator_future_any, &f, 1);
    CALL(is_forked, stator_future_race, &f, 1);
    GIVE(stator_future_unref, stator_future_settled(&f, 1));
    note("stator_future_settled");
    CALL(IS_SOMETHING, stator_future_ref, f);
    GIVE(stator_future_unref, f);
}

static void calls_on_a_promise(stator_promise_t *p, const bson_t *one)
{
    bson_error_t error = {.domain = 1000, .code = 1};

    CALL(IS_FALSE, stator_promise_cancelled, p);
    CALL(is_forked, stator_promise_future, p);
    CALL(IS_FALSE, stator_promise_resolve, p, one, NULL);
    CALL(IS_FALSE, stator_promise_fail, p, &error, NULL);
    CALL(IS_SOMETHING, stator_promise_ref, p);
    GIVE(stator_promise_unref, p);
}

static void settled_ones_keep_what_they_have(heirs_t *h)
{
    bson_error_t error = {0};

    MUST(stator_future_wait(h->done, -1) == 0);
    MUST(stator_future_poll(h->done) == STATOR_FUTURE_DONE);
    MUST(stator_future_document(h->done) != NULL);
    MUST(bson_has_field(stator_future_document(h->done), "_id"));
    MUST(stator_future_error(h->failed, &error));
    MUST(error.code == STATOR_ERROR_ARGUMENT);
}

static void sweep(heirs_t *h)
{
    bson_t one = BSON_INITIALIZER;

    place = 0;
    BSON_APPEND_INT32(&one, "a", 1);
    calls_on_a_client(h, &one);
    calls_on_a_database(h->database, &one);
    reads_on_a_collection(h->collection, &one);
    writes_on_a_collection(h->collection, &one);
    commands_on_a_collection(h->collection, &one);
    new_handles(h);
    calls_on_a_cursor(h);
    calls_on_a_change_stream(h);
    calls_on_a_lease(h);
    calls_on_a_session(h);
    calls_on_a_listener(h);
    calls_on_a_bucket(h);
    calls_on_streams(h);
    calls_on_a_dispatcher(h);
    for (int i = 0; i < h->n_pending; i++)
        calls_on_a_pending_future(h, h->pending[i]);
    calls_on_a_promise(h->promise, &one);
    calls_on_a_promise(h->run_promise, &one);
    settled_ones_keep_what_they_have(h);
}

/* The very last references too. */
static void give_all_back(heirs_t *h)
{
    for (int i = 0; i < h->n_pending; i++)
        GIVE(stator_future_unref, h->pending[i]);
    GIVE(stator_promise_unref, h->promise);
    GIVE(stator_promise_unref, h->run_promise);
    GIVE(stator_future_unref, h->done);
    GIVE(stator_future_unref, h->failed);
    GIVE(stator_cursor_unref, h->cursor);
    GIVE(stator_cursor_unref, h->fresh);
    GIVE(stator_lease_unref, h->lease);
    GIVE(stator_session_unref, h->session);
    GIVE(stator_gridfs_upload_stream_unref, h->up);
    GIVE(stator_gridfs_download_stream_unref, h->down);
    GIVE(stator_gridfs_bucket_unref, h->bucket);
    GIVE(stator_future_unref, h->leased);
    GIVE(stator_future_unref, h->started);
    GIVE(stator_listener_unref, h->listener);
    GIVE(stator_dispatcher_unref, h->dispatcher);
    GIVE(stator_database_unref, h->database);
    GIVE(stator_collection_unref, h->scene->things);
    GIVE(stator_collection_unref, h->scene->held);
    GIVE(stator_client_unref, h->client);
}

/* ---- how long they take ------------------------------------------------- */

static void child_sweeps(void *arg)
{
    for (int i = 0; i < SWEEPS; i++)
        sweep(arg);
    give_all_back(arg); /* once is all there is */
}

static bool was_called(const char *name)
{
    for (int i = 0; i < report->n; i++)
        if (strstr(report->calls[i].name, name) != NULL &&
            strlen(strstr(report->calls[i].name, name)) == strlen(name))
            return true;
    return false;
}

static int64_t slowest_call_us(void)
{
    heirs_t *h = heirs_new();
    int worst = 0;

    memset(report, 0, sizeof *report);
    in_child(child_sweeps, h);
    heirs_end_well(h);
    for (int i = 0; i < report->n; i++)
        if (report->calls[i].best_ns > report->calls[worst].best_ns)
            worst = i;
    ck_assert_int_gt(report->n, 200);
    printf("%d calls in a child, the slowest: %s\n", report->n,
           report->calls[worst].name);
    return report->calls[worst].best_ns / 1000;
}

START_TEST(every_call_answers_within_a_millisecond)
{
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(report, MAP_FAILED);
    best_of_three("an inherited handle's slowest call", slowest_call_us,
                  BOUND_US, "us");
    munmap(report, sizeof *report);
}
END_TEST

/* ---- none is forgotten -------------------------------------------------- */

/* Functions that take no handle. */
static bool needs_none(const char *name)
{
    static const char *const names[] = {
        "stator_version", "stator_client_new", "stator_client_new_from_pool",
        "stator_dispatcher_new", "stator_promise_new"};

    /* What is lent inside a call, and no handle. */
    if (strncmp(name, "stator_event_", 13) == 0)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* The name of the function that is declared at `text`, up to its "(". */
static bool declared_at(const char *text, char *name, size_t size)
{
    const char *end = strchr(text, '('), *start;

    if (end == NULL || strchr(text, ';') == NULL || end > strchr(text, ';'))
        return false;
    if (strncmp(end, "((", 2) == 0) /* STATOR_API's own definition */
        return false;
    for (start = end; start > text && (start[-1] == '_' ||
                                       (start[-1] >= 'a' && start[-1] <= 'z'));
         start--)
        continue;
    snprintf(name, size, "%.*s", (int)(end - start), start);
    return strncmp(name, "stator_", 7) == 0;
}

static int look_through(const char *path)
{
    char *text = calloc(1, 1 << 20), name[64];
    FILE *file = fopen(path, "r");
    int n = 0;

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_gt(fread(text, 1, (1 << 20) - 1, file), 0);
    fclose(file);
    for (char *p = strstr(text, "STATOR_API "); p != NULL;
         p = strstr(p + 1, "STATOR_API "))
        if (declared_at(p, name, sizeof name) && !needs_none(name)) {
            ck_assert_msg(was_called(name), "%s: %s is not in this test",
                          path, name);
            n++;
        }
    free(text);
    return n;
}

START_TEST(no_function_of_the_headers_is_forgotten)
{
    DIR *folder = opendir("include/stator");
    struct dirent *one;
    heirs_t *h;
    int n = 0;

    if (folder == NULL)
        SKIP("include/stator is not here");
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(report, MAP_FAILED);
    h = heirs_new();
    in_child(child_sweeps, h);
    heirs_end_well(h);
    while ((one = readdir(folder)) != NULL) {
        char path[512];

        snprintf(path, sizeof path, "include/stator/%s", one->d_name);
        if (strstr(one->d_name, ".h") != NULL)
            n += look_through(path);
    }
    closedir(folder);
    ck_assert_int_gt(n, 90);
    munmap(report, sizeof *report);
}
END_TEST

/* ---- no descriptor is touched ------------------------------------------- */

#define FIELD(name) (offsetof(struct seccomp_data, name))
#define REFUSE_ABOVE_2(call)                                             \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 3),              \
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(args[0])),              \
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 2, 0, 1),                    \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),                     \
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(nr))

/* From here on the kernel ends this process with SIGSYS if it uses any
 * descriptor above 2 (all of which are inherited), but to close it. */
static bool touch_no_descriptor(void)
{
    static const struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(nr)),
        REFUSE_ABOVE_2(read),      REFUSE_ABOVE_2(readv),
        REFUSE_ABOVE_2(recvfrom),  REFUSE_ABOVE_2(recvmsg),
        REFUSE_ABOVE_2(write),     REFUSE_ABOVE_2(writev),
        REFUSE_ABOVE_2(sendto),    REFUSE_ABOVE_2(sendmsg),
        REFUSE_ABOVE_2(shutdown),  REFUSE_ABOVE_2(connect),
        REFUSE_ABOVE_2(epoll_ctl), REFUSE_ABOVE_2(epoll_pwait),
        REFUSE_ABOVE_2(ioctl),     REFUSE_ABOVE_2(fcntl),
        REFUSE_ABOVE_2(setsockopt),
#ifdef __NR_epoll_wait
        REFUSE_ABOVE_2(epoll_wait),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof rules / sizeof rules[0],
                                 .filter = (struct sock_filter *)rules};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum { NO_FILTER = 77 };

static void child_touches_nothing(void *arg)
{
    if (!touch_no_descriptor())
        _exit(NO_FILTER);
    sweep(arg);
    give_all_back(arg);
    exit(0); /* what runs at exit is looked at too */
}

static void child_can_be_filtered(void *arg)
{
    (void)arg;
    if (!touch_no_descriptor())
        _exit(NO_FILTER);
    (void)!write(1, "", 0);
}

/* It must be able to fail. */
static void child_writes(void *arg)
{
    const uint64_t one = 1;

    if (!touch_no_descriptor())
        _exit(NO_FILTER);
    (void)!write(*(int *)arg, &one, sizeof one);
}

static int status_of(child_fn *fn, void *arg)
{
    int status = 0;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        child_begin();
        fn(arg);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

/* Of the counters of `make coverage`, which are written by a child too. */
extern void __gcov_merge_add(void) __attribute__((weak));

START_TEST(no_inherited_descriptor_is_used)
{
    static report_t own;
    int status = status_of(child_can_be_filtered, NULL), fd;
    wire_stats_t before, after;
    heirs_t *h;

    report = &own;
    if (__gcov_merge_add != NULL)
        SKIP("the counters of coverage are files that a child writes");
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_FILTER)
        SKIP("no seccomp filter here");
    ck_assert_int_eq(status, 0);
    h = heirs_new();
    fd = stator_dispatcher_fd(h->dispatcher);
    status = status_of(child_writes, &fd);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS,
                  "a write goes unnoticed: %x", (unsigned)status);
    wire_stats(h->scene->server, &before);
    status = status_of(child_touches_nothing, h);
    ck_assert_msg(status == 0, "the child ended with %x", (unsigned)status);
    wire_stats(h->scene->server, &after);
    ck_assert_int_eq(after.bytes_in, before.bytes_in);
    ck_assert_int_eq(after.connections_open, before.connections_open);
    ck_assert_int_eq(after.protocol_errors, 0);
    heirs_end_well(h);
}
END_TEST

SUITE(core_fork_calls)
{
    tcase_add_test(tc, every_call_answers_within_a_millisecond);
    tcase_add_test(tc, no_function_of_the_headers_is_forgotten);
    tcase_add_test(tc, no_inherited_descriptor_is_used);
}
