/* SPDX-License-Identifier: Apache-2.0 */
/* test_close_faults.c - a close is over in time whatever has become of the
 * server, in each mode, with nothing, one, much and endless work under way.
 *
 *   a fault x { drain, cancel, abort } x { none, one, many, run }
 *
 * Twelve clients at once meet one fault, are closed, and are timed by
 * continuations.  The driver's pool functions are wrapped: a pool must never
 * be destroyed while a client of it is out, nor for long. */
#include "tests/core/support.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

#include "core/client.h"
#include "tests/harness/daemon.h"
#include "tests/harness/stopwatch.h"

enum { CLOSE_MS = 300, GRACE_MS = 200, DESTROY_MS = 1500 };

/* ---- the driver's pools, watched ---------------------------------------- */

enum { POOLS_MAX = 4096 };

static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    const mongoc_client_pool_t *pool;
    int out;
} pools[POOLS_MAX];
static int n_pools;
static atomic_int destroyed, destroyed_with_clients_out;
static atomic_llong longest_destroy_us;

/* The driver's own. */
static mongoc_client_t *(*real_try_pop)(mongoc_client_pool_t *);
static mongoc_client_t *(*real_pop)(mongoc_client_pool_t *);
static void (*real_push)(mongoc_client_pool_t *, mongoc_client_t *);
static void (*real_destroy)(mongoc_client_pool_t *);

static void *find(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (found == NULL)
        abort();
    return found;
}

__attribute__((constructor)) static void find_all(void)
{
    *(void **)&real_try_pop = find("mongoc_client_pool_try_pop");
    *(void **)&real_pop = find("mongoc_client_pool_pop");
    *(void **)&real_push = find("mongoc_client_pool_push");
    *(void **)&real_destroy = find("mongoc_client_pool_destroy");
}

static int count_out(const mongoc_client_pool_t *pool, int by)
{
    int i = 0, out;

    pthread_mutex_lock(&pools_lock);
    while (i < n_pools && pools[i].pool != pool)
        i++;
    if (i == n_pools && n_pools < POOLS_MAX)
        pools[n_pools++].pool = pool;
    out = i < POOLS_MAX ? pools[i].out += by : 0;
    pthread_mutex_unlock(&pools_lock);
    return out;
}

mongoc_client_t *mongoc_client_pool_try_pop(mongoc_client_pool_t *pool)
{
    mongoc_client_t *client = real_try_pop(pool);

    if (client != NULL)
        count_out(pool, 1);
    return client;
}

mongoc_client_t *mongoc_client_pool_pop(mongoc_client_pool_t *pool)
{
    mongoc_client_t *client = real_pop(pool);

    if (client != NULL)
        count_out(pool, 1);
    return client;
}

void mongoc_client_pool_push(mongoc_client_pool_t *pool,
                             mongoc_client_t *client)
{
    real_push(pool, client);
    count_out(pool, -1);
}

void mongoc_client_pool_destroy(mongoc_client_pool_t *pool)
{
    stopwatch_t watch = stopwatch_start();
    long long took, longest = atomic_load(&longest_destroy_us);

    atomic_fetch_add(&destroyed, 1);
    if (pool != NULL && count_out(pool, 0) != 0)
        atomic_fetch_add(&destroyed_with_clients_out, 1);
    real_destroy(pool);
    took = now_us() - watch.since;
    if (took >= DESTROY_MS * 1000)
        took = stopwatch_us(&watch);
    while (took > longest &&
           !atomic_compare_exchange_weak(&longest_destroy_us, &longest, took))
        continue;
}

static void forget_pools(void)
{
    n_pools = 0;
    atomic_store(&destroyed, 0);
    atomic_store(&destroyed_with_clients_out, 0);
    atomic_store(&longest_destroy_us, 0);
}

/* ---- the world ---------------------------------------------------------- */

enum fault { STUCK, SILENT, RESET, HUNG_UP, DEAF, NOBODY, STOPPED, KILLED };
enum load { NONE, ONE, MANY, RUN, N_LOADS };
enum { N_MODES = 3, N_PARTIES = N_MODES * N_LOADS, FUTURES_MAX = 24 };

static const char *const fault_names[] = {
    [STUCK] = "commands are held",     [SILENT] = "server silent",
    [RESET] = "server died, resets",   [HUNG_UP] = "server died, hung up",
    [DEAF] = "connects, no answer",    [NOBODY] = "nobody there",
    [STOPPED] = "server process stopped", [KILLED] = "server process killed",
};
static const char *const mode_names[] = {"drain", "cancel", "abort"};

/* One client with its work. */
typedef struct party {
    stator_client_t *client;
    stator_collection_t *things;
    stator_cursor_t *cursors[3];
    stator_future_t *futures[FUTURES_MAX];
    int n_futures;
    stator_future_t *closed;
    enum load load;
    int mode;
    int64_t began_us, took_us;
    int n_pending;   /* when the close was over */
    int n_threads;   /* of workers, still there by then */
    int64_t n_leaked;
} party_t;

typedef struct world {
    enum fault fault;
    wire_server_t *server;
    wire_gate_t *gate;
    own_daemon_t daemon;
    char uri[WIRE_URI_SIZE];
    stator_dispatcher_t *dispatcher;
    party_t parties[N_PARTIES];
    sem_t release; /* of the functions that do not return */
    int n_closed;
} world_t;

static bool has_daemon(const world_t *w)
{
    return w->fault == STOPPED || w->fault == KILLED;
}

static bool can_be_reached(const world_t *w)
{
    return w->fault != DEAF && w->fault != NOBODY;
}

static void world_begin(world_t *w)
{
    const char *extra = "retryReads=false&retryWrites=false&"
                        "serverSelectionTimeoutMS=2000";

    ck_assert_int_eq(sem_init(&w->release, 0, 0), 0);
    w->dispatcher = stator_dispatcher_new(NULL);
    if (has_daemon(w)) {
        daemon_start(&w->daemon, 0, DAEMON_IN_MEMORY);
        snprintf(w->uri, sizeof w->uri, "mongodb://127.0.0.1:%d/?%s",
                 w->daemon.port, extra);
        return;
    }
    w->server = wire_server_new(&(wire_options_t){.documents = 20});
    ck_assert_ptr_nonnull(w->server);
    w->gate = wire_gate_new(w->server);
    wire_server_uri(w->server, extra, w->uri, sizeof w->uri);
    if (w->fault == DEAF)
        wire_server_stop_accepting(w->server);
    if (w->fault == NOBODY)
        wire_server_down(w->server, WIRE_RST);
}

/* Before the work is submitted, and when it is under way. */
static void fault_prepares(world_t *w)
{
    if (w->fault == STUCK || w->fault == RESET || w->fault == HUNG_UP)
        wire_rule_add(w->server,
                      &(wire_rule_t){.command = "find insert getMore ping",
                                     .gate = w->gate});
    if (w->fault == SILENT)
        wire_server_pause(w->server);
    if (has_daemon(w))
        daemon_signal(&w->daemon, SIGSTOP);
}

static void fault_strikes(world_t *w)
{
    if (w->fault == RESET)
        wire_server_down(w->server, WIRE_RST);
    if (w->fault == HUNG_UP)
        wire_server_down(w->server, WIRE_FIN);
    if (w->fault == KILLED)
        daemon_signal(&w->daemon, SIGKILL);
}

/* All is well again, so that what is left can end. */
static void fault_ends(world_t *w)
{
    for (int i = 0; i < 2 * N_PARTIES; i++)
        sem_post(&w->release);
    if (w->fault == STOPPED)
        daemon_signal(&w->daemon, SIGCONT);
    if (has_daemon(w))
        return;
    wire_gate_open(w->gate);
    if (w->fault == SILENT)
        wire_server_resume(w->server);
    if (w->fault == DEAF)
        wire_server_start_accepting(w->server);
}

/* ---- a client and its work ---------------------------------------------- */

static void never_returns(mongoc_client_t *client, stator_promise_t *promise,
                          void *arg)
{
    (void)client, (void)promise;
    while (sem_wait(arg) != 0)
        continue;
}

static void party_open(world_t *w, party_t *p)
{
    bson_error_t error;

    p->client = stator_client_new(
        w->uri, J("{'workers': 2, 'name': 'party'}"), &error);
    ck_assert_msg(p->client != NULL, "%s", error.message);
    p->things = stator_client_get_collection(p->client, "core", "things");
    if (!can_be_reached(w))
        return;
    done(stator_client_ping(p->client, NULL));
    if (has_daemon(w))
        for (int i = 0; i < 8; i++)
            done(stator_collection_insert_one(p->things, J("{}"), NULL));
    for (int i = 0; p->load == MANY && i < 3; i++) {
        p->cursors[i] = stator_collection_find(p->things, NULL,
                                               J("{'batchSize': 2}"));
        done(stator_cursor_next(p->cursors[i]));
    }
}

static void submit(party_t *p, stator_future_t *f)
{
    ck_assert_int_lt(p->n_futures, FUTURES_MAX);
    p->futures[p->n_futures++] = f;
}

static void submit_find(party_t *p)
{
    submit(p, stator_collection_find_one(p->things, NULL, NULL));
}

/* The workers are at it, or have failed already: a machine that is slow lets
 * the driver find out about the server. */
static void await_work(const party_t *p, int64_t n_busy)
{
    while (stat_of(p->client, "busy") != n_busy &&
           stator_future_wait(p->futures[0], 1) == ETIMEDOUT)
        continue;
}

static void party_submits(world_t *w, party_t *p)
{
    int n = p->load == ONE ? 1 : p->load == MANY ? 8 : 0;

    for (int i = 0; i < n; i++)
        submit_find(p);
    for (int i = 0; p->load == MANY && i < 8; i++)
        submit(p, stator_collection_insert_one(p->things, J("{}"), NULL));
    for (int i = 0; i < 2 && p->cursors[i] != NULL; i++)
        submit(p, stator_cursor_to_list(p->cursors[i], 0)); /* one is idle */
    for (int i = 0; p->load == RUN && i < 2; i++)
        submit(p, stator_client_run(p->client, never_returns, &w->release,
                                    NULL));
    if (p->load == RUN)
        submit_find(p); /* there is no worker for it */
    if (n + p->n_futures > 0)
        await_work(p, p->load == ONE ? 1 : 2);
}

static void on_closed(stator_future_t *f, void *arg)
{
    party_t *p = arg;
    bson_iter_t i, one;

    p->took_us = now_us() - p->began_us;
    for (int k = 0; k < p->n_futures; k++)
        p->n_pending +=
            stator_future_poll(p->futures[k]) == STATOR_FUTURE_PENDING;
    p->n_threads = atomic_load(&p->client->n_running);
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_DONE);
    ck_assert(bson_iter_init_find(&i, stator_future_reply(f), "leaked"));
    ck_assert(bson_iter_recurse(&i, &one));
    while (bson_iter_next(&one))
        p->n_leaked++;
}

static void party_closes(world_t *w, party_t *p)
{
    p->began_us = now_us();
    p->closed = stator_client_close(
        p->client, J("{'mode': '%s', 'timeoutMS': %d}", mode_names[p->mode],
                     CLOSE_MS));
    ck_assert_int_eq(
        stator_future_then(p->closed, w->dispatcher, on_closed, p), 0);
}

/* Nothing accepted may be pending, and what is stuck has a name. */
static void party_is_checked(const party_t *p)
{
    ck_assert_msg(p->n_pending == 0, "%s, load %d: %d futures are pending",
                  mode_names[p->mode], (int)p->load, p->n_pending);
    if (p->n_threads != 0)
        ck_assert_msg(p->n_leaked != 0,
                      "%s, load %d: %d workers are stuck, none is named",
                      mode_names[p->mode], (int)p->load, p->n_threads);
    if (p->load != RUN)
        return;
    ck_at(stator_future_reply(p->closed), "leaked.0.kind", "'worker'");
    ck_at(stator_future_reply(p->closed), "leaked.0.what", "'run on '");
    ck_assert_str_ne(at(stator_future_reply(p->closed), "leaked.0.ageMS"),
                     "");
}

static bool has_ended(party_t *p)
{
    bool ended;

    pthread_mutex_lock(&p->client->lock);
    ended = p->client->closed;
    pthread_mutex_unlock(&p->client->lock);
    return ended;
}

static void party_ends(party_t *p)
{
    int64_t until = now_us() + LIB_PATIENCE_MS * (int64_t)1000;
    const struct timespec nap = {.tv_nsec = 1000000};

    while (!has_ended(p) && now_us() < until)
        nanosleep(&nap, NULL);
    ck_assert_msg(has_ended(p), "%s, load %d: threads are still there",
                  mode_names[p->mode], (int)p->load);
    for (int i = 0; i < p->n_futures; i++)
        stator_future_unref(p->futures[i]);
    for (int i = 0; i < 3; i++)
        stator_cursor_unref(p->cursors[i]);
    stator_future_unref(p->closed);
    stator_collection_unref(p->things);
    stator_client_unref(p->client);
}

static void world_end(world_t *w)
{
    stator_dispatcher_unref(w->dispatcher);
    if (has_daemon(w))
        daemon_end(&w->daemon);
    else
        wire_server_free(w->server);
    sem_destroy(&w->release);
    lib_forget();
}

/* ---- the measure -------------------------------------------------------- */

static enum fault fault;

static void print_mode(const world_t *w, int mode)
{
    static const char *const names[] = {"none", "one", "many", "run"};

    printf("  %-24s %-6s", fault_names[w->fault], mode_names[mode]);
    for (int load = 0; load < N_LOADS; load++) {
        const party_t *p = &w->parties[mode * N_LOADS + load];

        printf("  %s %4d ms%s", names[load], (int)(p->took_us / 1000),
               p->n_threads != 0 ? "*" : " ");
    }
    printf("\n");
}

/* The longest of the twelve, beyond its timeoutMS. */
static int64_t close_under_fault(void)
{
    static world_t w;
    int64_t worst = INT64_MIN, before;

    memset(&w, 0, sizeof w);
    w.fault = fault;
    forget_pools();
    world_begin(&w);
    for (int i = 0; i < N_PARTIES; i++) {
        w.parties[i].mode = i / N_LOADS;
        w.parties[i].load = (enum load)(i % N_LOADS);
        party_open(&w, &w.parties[i]);
    }
    fault_prepares(&w);
    for (int i = 0; i < N_PARTIES; i++)
        party_submits(&w, &w.parties[i]);
    fault_strikes(&w);
    for (int i = 0; i < N_PARTIES; i++)
        party_closes(&w, &w.parties[i]);
    for (int n = 0; n < N_PARTIES;) {
        int ran = stator_dispatcher_run_once(w.dispatcher, LIB_PATIENCE_MS);

        ck_assert_msg(ran > 0, "%d of %d closes are over", n, N_PARTIES);
        n += ran;
    }
    before = now_us();
    fault_ends(&w);
    for (int i = 0; i < N_PARTIES; i++) {
        const party_t *p = &w.parties[i];

        party_is_checked(p);
        if (p->took_us / 1000 - CLOSE_MS > worst)
            worst = p->took_us / 1000 - CLOSE_MS;
    }
    for (int i = 0; i < N_PARTIES; i++)
        party_ends(&w.parties[i]);
    await_threads("party", 0);
    for (int mode = 0; mode < N_MODES; mode++)
        print_mode(&w, mode);
    printf("  (*: with threads left, the last of which ended after %d ms; "
           "the longest pool_destroy %d ms)\n",
           (int)((now_us() - before) / 1000),
           (int)(atomic_load(&longest_destroy_us) / 1000));
    world_end(&w);
    ck_assert_int_eq(atomic_load(&destroyed_with_clients_out), 0);
    /* One that was never asked for anything has made none. */
    ck_assert_int_eq(atomic_load(&destroyed),
                     can_be_reached(&w) ? N_PARTIES : N_PARTIES - N_MODES);
    ck_assert_int_lt(atomic_load(&longest_destroy_us) / 1000, DESTROY_MS);
    return worst;
}

START_TEST(a_close_is_over_in_time)
{
    char what[128];

    fault = (enum fault)_i;
    if (fault == STOPPED || fault == KILLED)
        NEED_OWN_DAEMON();
    snprintf(what, sizeof what, "close, %s, the longest beyond timeoutMS",
             fault_names[fault]);
    best_of_three(what, close_under_fault, GRACE_MS, "ms");
}
END_TEST

SUITE(core_close_faults)
{
    tcase_add_loop_test(tc, a_close_is_over_in_time, STUCK, KILLED + 1);
}
