/* SPDX-License-Identifier: Apache-2.0 */
/* test_lifetime.c - giving back: no unref blocks, whatever is under way and
 * whatever the server does, on any thread; and everything may go in any
 * order, its own continuation included. */
#include "tests/core/support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- how long an unref takes -------------------------------------------- */

enum { BOUND_US = UNDER_TSAN || UNDER_ASAN ? 20000 : 1000 };
enum { ATTACHED = 1000, QUEUED = 100, KINDS_MAX = 32 };

enum state { HEALTHY, SILENT, DEAD, DEAF };
enum where { HERE, IN_A_CONTINUATION, ON_A_WORKER };

static const char *const state_names[] = {
    [HEALTHY] = "server healthy", [SILENT] = "server silent",
    [DEAD] = "server dead", [DEAF] = "server that never answered"};
static const char *const where_names[] = {
    [HERE] = "any thread", [IN_A_CONTINUATION] = "in a continuation",
    [ON_A_WORKER] = "on a worker"};

/* One of everything, all with something under way. */
typedef struct estate {
    enum state state;
    wire_server_t *server;
    wire_gate_t *gate;
    char uri[WIRE_URI_SIZE];
    stator_client_t *client;
    stator_database_t *database;
    stator_collection_t *things;
    stator_cursor_t *idle, *reading, *fresh;
    stator_dispatcher_t *dispatcher;
    stator_promise_t *promise, *kept;
    stator_future_t *running, *queued[QUEUED], *settled, *chain, *all, *each;
    stator_future_t *of_promise;
    struct {
        const char *name;
        int64_t ns;
    } took[KINDS_MAX];
    int n_took;
} estate_t;

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

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

static void keep_promise(mongoc_client_t *client, stator_promise_t *promise,
                         void *arg)
{
    (void)client;
    *(stator_promise_t **)arg = stator_promise_ref(promise);
}

static void open_cursors(estate_t *e)
{
    e->idle = stator_collection_find(e->things, NULL,
                                     J("{'batchSize': 10}"));
    done(stator_cursor_next(e->idle));
    e->reading = stator_collection_find(e->things, NULL,
                                        J("{'batchSize': 1000}"));
    done(stator_cursor_next(e->reading));
}

static void estate_new(estate_t *e, enum state state)
{
    stator_future_t *members[2];

    memset(e, 0, sizeof *e);
    e->state = state;
    e->server = wire_server_new(&(wire_options_t){.documents = 3000});
    e->gate = wire_gate_new(e->server);
    wire_server_uri(e->server,
                    "retryReads=false&retryWrites=false&"
                    "serverSelectionTimeoutMS=60000",
                    e->uri, sizeof e->uri);
    if (state == DEAF)
        wire_server_stop_accepting(e->server);
    e->client = stator_client_new(
        e->uri, J("{'workers': 2, 'name': 'estate'}"), NULL);
    e->database = stator_client_get_database(e->client, "core");
    e->things = stator_database_get_collection(e->database, "things");
    e->dispatcher = stator_dispatcher_new(NULL);
    if (state != DEAF) {
        open_cursors(e);
        e->settled = stator_cursor_next_batch(e->reading);
        ck_assert_int_eq(stator_future_wait(e->settled, LIB_PATIENCE_MS), 0);
        lend(stator_client_run(e->client, keep_promise, &e->kept, NULL));
        done(stator_client_ping(e->client, NULL));
        await_stat(e->client, "busy", 0); /* its function has returned */
    }
    wire_rule_add(e->server, &(wire_rule_t){.command = "find getMore",
                                            .gate = e->gate});
    e->fresh = stator_collection_find(e->things, NULL, NULL);
    e->running = stator_collection_find_one(e->things, NULL, NULL);
    if (state != DEAF)
        lend(stator_cursor_next_batch(e->reading));
    else
        lend(stator_collection_find_one(e->things, NULL, NULL));
    await_stat(e->client, "busy", 2);
    for (int i = 0; i < QUEUED; i++)
        e->queued[i] = stator_collection_find_one(e->things, NULL, NULL);
    e->promise = stator_promise_new();
    e->of_promise = stator_promise_future(e->promise);
    e->chain = stator_future_chain(e->running, e->dispatcher, chain_nothing,
                                   NULL);
    members[0] = e->chain;
    members[1] = e->of_promise;
    e->all = stator_future_all(members, 2);
    e->each = stator_cursor_each(e->fresh, e->dispatcher, each_nothing, NULL);
    for (int i = 0; i < ATTACHED; i++)
        ck_assert_int_eq(stator_future_then(i % 2 ? e->running : e->of_promise,
                                            e->dispatcher, then_nothing,
                                            NULL),
                         0);
    if (state == SILENT)
        wire_server_pause(e->server);
    if (state == DEAD)
        wire_server_down(e->server, WIRE_RST);
}

#define UNREF(label, type, what)                      \
    do {                                              \
        int64_t before_ = now_ns();                   \
        stator_##type##_unref(e->what);               \
        ck_assert_int_lt(e->n_took, KINDS_MAX);       \
        e->took[e->n_took].ns = now_ns() - before_;   \
        e->took[e->n_took++].name = label;            \
    } while (0)

/* The last reference of each. */
static void give_all_back(estate_t *e)
{
    UNREF("future, running", future, running);
    UNREF("future, queued", future, queued[0]);
    for (int i = 1; i < QUEUED; i++)
        stator_future_unref(e->queued[i]);
    UNREF("future, of 1000 documents", future, settled);
    UNREF("future, chained", future, chain);
    UNREF("future, of all", future, all);
    UNREF("future, of each", future, each);
    UNREF("promise, 500 attached", promise, promise);
    UNREF("future, of a promise", future, of_promise);
    UNREF("cursor, never asked", cursor, fresh);
    UNREF("cursor, open", cursor, idle);
    UNREF("cursor, reading", cursor, reading);
    UNREF("dispatcher, 1000 attached", dispatcher, dispatcher);
    UNREF("database", database, database);
    UNREF("collection", collection, things);
    UNREF("client, the last", client, client);
}

static void estate_end(estate_t *e)
{
    if (e->state == SILENT)
        wire_server_resume(e->server);
    if (e->state == DEAF)
        wire_server_start_accepting(e->server);
    if (e->state == DEAD)
        ck_assert(wire_server_up(e->server));
    wire_gate_open(e->gate);
    if (e->kept != NULL)
        stator_promise_unref(e->kept);
    await_threads("estate", 0);
    lib_forget();
    give_back_lent();
    wire_server_free(e->server);
}

static void then_give_back(stator_future_t *f, void *arg)
{
    (void)f;
    give_all_back(arg);
}

static void run_give_back(mongoc_client_t *client, stator_promise_t *promise,
                          void *arg)
{
    (void)client;
    give_all_back(arg);
    stator_promise_resolve(promise, NULL, NULL);
}

static void give_back_in_a_continuation(estate_t *e)
{
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    stator_promise_t *promise = stator_promise_new();
    stator_future_t *f = stator_promise_future(promise);

    stator_promise_resolve(promise, NULL, NULL);
    ck_assert_int_eq(stator_future_then(f, d, then_give_back, e), 0);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    stator_future_unref(f);
    stator_promise_unref(promise);
    stator_dispatcher_unref(d);
}

/* Of another client. */
static void give_back_on_a_worker(estate_t *e)
{
    wire_server_t *server = wire_server_new(NULL);
    stator_client_t *host;
    char uri[WIRE_URI_SIZE];

    host = stator_client_new(wire_server_uri(server, NULL, uri, sizeof uri),
                             J("{'name': 'host'}"), NULL);
    done(stator_client_run(host, run_give_back, e, NULL));
    done(stator_client_close(host, NULL));
    stator_client_unref(host);
    await_threads("host", 0);
    wire_server_free(server);
}

static enum state state;
static enum where where;

static int64_t slowest_unref_us(void)
{
    static estate_t e;
    int worst = 0;

    estate_new(&e, state);
    if (where == HERE)
        give_all_back(&e);
    else if (where == IN_A_CONTINUATION)
        give_back_in_a_continuation(&e);
    else
        give_back_on_a_worker(&e);
    for (int i = 0; i < e.n_took; i++)
        if (e.took[i].ns > e.took[worst].ns)
            worst = i;
    if (where == HERE)
        for (int i = 0; i < e.n_took; i++)
            printf("  %-28s %5d us\n", e.took[i].name,
                   (int)(e.took[i].ns / 1000));
    printf("  the slowest: %s\n", e.took[worst].name);
    estate_end(&e);
    return e.took[worst].ns / 1000;
}

START_TEST(no_unref_blocks)
{
    char what[128];

    state = (enum state)(_i / 3);
    where = (enum where)(_i % 3);
    snprintf(what, sizeof what, "unref, %s, %s", state_names[state],
             where_names[where]);
    best_of_three(what, slowest_unref_us, BOUND_US, "us");
}
END_TEST

/* ---- in any order ------------------------------------------------------- */

typedef struct heir {
    scene_t *scene;
    stator_dispatcher_t *dispatcher;
    atomic_int ran;
    pthread_t thread;
    sem_t attached;
} heir_t;

static void then_count(stator_future_t *f, void *arg)
{
    heir_t *h = arg;

    (void)f;
    h->thread = pthread_self();
    atomic_fetch_add(&h->ran, 1);
}

/* The scene's client, without the scene: its last references. */
static void drop_client(scene_t *s)
{
    stator_collection_unref(s->things);
    stator_collection_unref(s->held);
    stator_client_unref(s->client);
}

static void drop_scene(scene_t *s)
{
    wire_gate_open(s->gate);
    await_threads("scene", 0);
    lib_forget();
    give_back_lent();
    wire_server_free(s->server);
    free(s);
}

static void then_drop_client(stator_future_t *f, void *arg)
{
    heir_t *h = arg;

    drop_client(h->scene);
    ck_assert_ptr_nonnull(stator_future_document(f));
    atomic_fetch_add(&h->ran, 1);
}

/* What is under way finishes: the last unref drains. */
START_TEST(a_client_may_go_in_a_continuation)
{
    scene_t *s = scene_new("{'workers': 2, 'name': 'scene'}");
    heir_t h = {.scene = s, .dispatcher = stator_dispatcher_new(NULL)};
    stator_future_t *running = hold_worker(s), *first = ask_one(s, NULL);
    stator_future_t *queued[20];

    ck_done(first);
    for (int i = 0; i < 20; i++) {
        queued[i] = ask_one(s, NULL);
        ck_assert_int_eq(
            stator_future_then(queued[i], h.dispatcher, then_count, &h), 0);
    }
    ck_assert_int_eq(
        stator_future_then(first, h.dispatcher, then_drop_client, &h), 0);
    while (atomic_load(&h.ran) < 21)
        ck_assert_int_gt(
            stator_dispatcher_run_once(h.dispatcher, LIB_PATIENCE_MS), 0);
    wire_gate_open(s->gate);
    ck_done(running);
    for (int i = 0; i < 20; i++)
        ck_done(queued[i]);
    stator_dispatcher_unref(h.dispatcher);
    drop_scene(s);
}
END_TEST

static void then_drop_all(stator_future_t *f, void *arg)
{
    heir_t *h = arg;

    stator_dispatcher_unref(h->dispatcher);
    drop_client(h->scene);
    stator_future_unref(f); /* the only reference of the user's */
    atomic_fetch_add(&h->ran, 1);
}

START_TEST(everything_may_go_in_a_continuation)
{
    scene_t *s = scene_new("{'workers': 2, 'name': 'scene'}");
    heir_t h = {.scene = s, .dispatcher = stator_dispatcher_new(NULL)};
    stator_future_t *running = hold_worker(s);
    stator_future_t *f =
        stator_collection_find_one(s->things, NULL, NULL);

    ck_assert_int_eq(
        stator_future_then(running, h.dispatcher, then_count, &h), 0);
    ck_assert_int_eq(stator_future_then(f, h.dispatcher, then_drop_all, &h),
                     0);
    ck_assert_int_eq(
        stator_dispatcher_run_once(h.dispatcher, LIB_PATIENCE_MS), 1);
    wire_gate_open(s->gate);
    ck_done(running); /* completes into a dispatcher that is no more */
    ck_assert_int_eq(atomic_load(&h.ran), 1);
    drop_scene(s);
}
END_TEST

START_TEST(a_future_outlives_everything)
{
    scene_t *s = scene_new("{'workers': 1, 'name': 'scene'}");
    stator_future_t *list, *failed, *cancelled;
    stator_cursor_t *cursor;
    bson_error_t error;

    scene_fill(s, 50);
    cursor = open_cursor(s, "{'batchSize': 10}");
    list = ck_done(lend(stator_cursor_to_list(cursor, 0)));
    wire_rule_add(s->server, &(wire_rule_t){.command = "ping",
                                            .action = WIRE_ERROR,
                                            .code = 59});
    failed = lend(stator_client_ping(s->client, NULL));
    ck_assert_int_eq(stator_future_wait(failed, LIB_PATIENCE_MS), 0);
    cancelled = hold_worker(s);
    ck_assert(stator_future_cancel(cancelled));
    stator_cursor_unref(cursor);
    drop_client(s);
    wire_gate_open(s->gate);
    await_threads("scene", 0);
    ck_assert_int_eq(stator_future_count(list), 50);
    ck_assert_ptr_nonnull(stator_future_document_at(list, 49));
    ck_assert(stator_future_error(failed, &error));
    ck_assert_uint_eq(error.code, 59);
    ck_assert_ptr_nonnull(stator_future_reply(failed));
    ck_cancelled(cancelled, STATOR_MAYBE_SENT);
    drop_scene(s);
}
END_TEST

START_TEST(a_promise_of_run_outlives_its_client)
{
    scene_t *s = scene_new("{'workers': 1, 'name': 'scene'}");
    stator_promise_t *kept = NULL;
    stator_future_t *f =
        lend(stator_client_run(s->client, keep_promise, &kept, NULL));

    ck_done(ask_one(s, NULL)); /* the one worker has come back from it */
    ck_pending(f);
    drop_client(s);
    if (_i == 0) { /* the last unref drains, so it is waited for */
        ck_assert(stator_promise_resolve(kept, NULL, NULL));
        ck_done(f);
        await_threads("scene", 0);
    } else {
        ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
        ck_cancelled(f, STATOR_MAYBE_SENT);
        ck_assert(stator_promise_cancelled(kept));
        await_threads("scene", 0);
        ck_assert(!stator_promise_resolve(kept, NULL, NULL));
    }
    stator_promise_unref(kept);
    drop_scene(s);
}
END_TEST

/* ---- a loop that has gone ----------------------------------------------- */

static void *loop_main(void *arg)
{
    heir_t *h = arg;

    h->dispatcher = stator_dispatcher_new(NULL);
    for (int i = 0; i < 10; i++)
        if (stator_future_then(hold_worker(h->scene), h->dispatcher,
                               then_count, h) != 0)
            abort();
    return NULL; /* with ten operations under way */
}

START_TEST(the_thread_of_the_loop_may_go)
{
    scene_t *s = scene_new("{'workers': 10, 'name': 'scene'}");
    heir_t h = {.scene = s};
    pthread_t loop;

    ck_assert_int_eq(pthread_create(&loop, NULL, loop_main, &h), 0);
    ck_assert_int_eq(pthread_join(loop, NULL), 0);
    wire_gate_open(s->gate);
    if (_i == 0) { /* somebody else takes it over */
        while (atomic_load(&h.ran) < 10)
            ck_assert_int_gt(
                stator_dispatcher_run_once(h.dispatcher, LIB_PATIENCE_MS),
                0);
        ck_assert(pthread_equal(h.thread, pthread_self()));
    }
    stator_dispatcher_unref(h.dispatcher);
    await_stat(s->client, "busy", 0);
    ck_assert_int_eq(atomic_load(&h.ran), _i == 0 ? 10 : 0);
    close_with(s, NULL);
    scene_free(s);
}
END_TEST

/* ---- the descriptor's number is somebody else's by now ------------------- */

/* Something that notices a write, under the number `fd`. */
typedef struct snare {
    int fd;
    int reads; /* becomes readable when `fd` is written; or `fd` itself */
} snare_t;

static void move_to(int from, int fd)
{
    ck_assert_int_eq(dup3(from, fd, O_CLOEXEC), fd);
    close(from);
}

static snare_t snare_set(int kind, int fd)
{
    snare_t snare = {.fd = fd, .reads = fd};
    int ends[2];

    /* Free, until now: nobody else opens files in here. */
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
    if (kind == 0) {
        int own = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

        if (own != fd)
            move_to(own, fd);
        return snare;
    }
    ck_assert_int_eq(kind == 1 ? pipe2(ends, O_NONBLOCK | O_CLOEXEC)
                               : socketpair(AF_UNIX,
                                            SOCK_STREAM | SOCK_NONBLOCK, 0,
                                            ends),
                     0);
    if (ends[0] == fd) { /* its number is wanted for the other end */
        ends[0] = fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);
        close(fd);
    }
    if (ends[1] != fd)
        move_to(ends[1], fd);
    snare.reads = ends[0];
    return snare;
}

static void snare_is_empty(snare_t *snare)
{
    char bytes[64];

    ck_assert_msg(read(snare->reads, bytes, sizeof bytes) == -1 &&
                      errno == EAGAIN,
                  "written after it was closed");
    if (snare->reads != snare->fd)
        close(snare->reads);
    close(snare->fd);
}

START_TEST(nothing_arrives_at_a_number_that_was_reused)
{
    scene_t *s = scene_new("{'workers': 2}");
    heir_t h = {.scene = s, .dispatcher = stator_dispatcher_new(NULL)};
    int fd = stator_dispatcher_fd(h.dispatcher);
    stator_future_t *f[102];
    snare_t snare;

    f[0] = hold_worker(s);
    f[1] = hold_worker(s);
    for (int i = 2; i < 102; i++)
        f[i] = ask_one(s, NULL);
    for (int i = 0; i < 102; i++)
        for (int k = 0; k < 3; k++)
            ck_assert_int_eq(
                stator_future_then(f[i], h.dispatcher, then_count, &h), 0);
    stator_future_unref(stator_future_chain(f[0], h.dispatcher,
                                            chain_nothing, NULL));
    stator_dispatcher_unref(h.dispatcher);
    snare = snare_set(_i, fd);
    wire_gate_open(s->gate);
    for (int i = 0; i < 102; i++)
        ck_done(f[i]);
    close_with(s, NULL);
    snare_is_empty(&snare);
    ck_assert_int_eq(atomic_load(&h.ran), 0);
    scene_free(s);
}
END_TEST

/* The same while workers complete into it at full speed. */
START_TEST(nor_when_it_is_closed_amid_completions)
{
    scene_t *s = scene_new("{'workers': 2}");

    ck_done(ask_one(s, NULL)); /* connected: from here on no new files */
    hold_workers(s, 2);
    wire_gate_open(s->gate);
    await_stat(s->client, "busy", 0);
    for (int round = 0; round < 60; round++) {
        heir_t h = {.scene = s, .dispatcher = stator_dispatcher_new(NULL)};
        int fd = stator_dispatcher_fd(h.dispatcher);
        stator_future_t *f[40];
        snare_t snare;

        for (int i = 0; i < 40; i++) {
            f[i] = stator_client_ping(s->client, NULL);
            ck_assert_int_eq(
                stator_future_then(f[i], h.dispatcher, then_count, &h), 0);
        }
        for (int i = 0; i < round % 20; i++)
            ck_assert_int_ge(stator_dispatcher_dispatch(h.dispatcher, 2), 0);
        stator_dispatcher_unref(h.dispatcher);
        snare = snare_set(round % 3, fd);
        for (int i = 0; i < 40; i++) {
            ck_done(f[i]);
            stator_future_unref(f[i]);
        }
        snare_is_empty(&snare);
    }
    scene_free(s);
}
END_TEST

SUITE(core_lifetime)
{
    TCase *unref;

    tcase_add_test(tc, a_client_may_go_in_a_continuation);
    tcase_add_test(tc, everything_may_go_in_a_continuation);
    tcase_add_test(tc, a_future_outlives_everything);
    tcase_add_loop_test(tc, a_promise_of_run_outlives_its_client, 0, 2);
    tcase_add_loop_test(tc, the_thread_of_the_loop_may_go, 0, 2);
    tcase_add_loop_test(tc, nothing_arrives_at_a_number_that_was_reused, 0,
                        3);
    tcase_add_test(tc, nor_when_it_is_closed_amid_completions);
    unref = suite_case("core_lifetime_unref");
    tcase_add_loop_test(unref, no_unref_blocks, 0, 12);
}
