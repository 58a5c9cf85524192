/* SPDX-License-Identifier: Apache-2.0 */
/* support.c - what the tests of futures, promises and dispatchers share. */
#include "tests/futures/support.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SMALL_STACK = SANITIZED ? 1024 * 1024 : 256 * 1024 };

/* ---- promises and futures -------------------------------------------- */

pair_t pair_new(void)
{
    pair_t pair;

    /* Never NULL, says the contract; threads and children of a fork come by
     * here, and Check's assertions take a lock. */
    pair.promise = stator_promise_new();
    pair.future = stator_promise_future(pair.promise);
    if (pair.promise == NULL || pair.future == NULL)
        abort();
    return pair;
}

void pair_free(pair_t *pair)
{
    stator_promise_unref(pair->promise);
    stator_future_unref(pair->future);
    pair->promise = NULL;
    pair->future = NULL;
}

bool pair_resolve(pair_t *pair, int value)
{
    bson_t *document = BCON_NEW("x", BCON_INT32(value));
    bson_t *reply = BCON_NEW("r", BCON_INT32(value));
    bool first = stator_promise_resolve(pair->promise, document, reply);

    bson_destroy(document);
    bson_destroy(reply);
    return first;
}

bool pair_fail(pair_t *pair, int code)
{
    bson_error_t error;
    bson_t *reply;
    char label[32];
    bool first;

    snprintf(label, sizeof label, "L%d", code);
    reply = BCON_NEW("r", BCON_INT32(code), "errorLabels", "[",
                     BCON_UTF8(label), "]");
    bson_set_error(&error, 1000, (uint32_t)code, "failure %d", code);
    first = stator_promise_fail(pair->promise, &error, reply);
    bson_destroy(reply);
    return first;
}

stator_future_t *future_in(stator_future_state_t state, int value)
{
    pair_t pair = pair_new();

    if (state == STATOR_FUTURE_DONE)
        ck_assert(pair_resolve(&pair, value));
    else if (state == STATOR_FUTURE_FAILED)
        ck_assert(pair_fail(&pair, value));
    else
        ck_assert(stator_future_cancel(pair.future));
    stator_promise_unref(pair.promise);
    assert_state(pair.future, state);
    return pair.future;
}

stator_future_t *future_done(int value)
{
    return future_in(STATOR_FUTURE_DONE, value);
}

stator_future_t *future_failed(int code)
{
    return future_in(STATOR_FUTURE_FAILED, code);
}

stator_future_t *future_cancelled(void)
{
    return future_in(STATOR_FUTURE_CANCELLED, 0);
}

static int value_of(const bson_t *document, const char *key)
{
    bson_iter_t iter;

    if (document == NULL || !bson_iter_init_find(&iter, document, key))
        return -1;
    return bson_iter_int32(&iter);
}

int document_value(const stator_future_t *future)
{
    return value_of(stator_future_document(future), "x");
}

int reply_value(const stator_future_t *future)
{
    return value_of(stator_future_reply(future), "r");
}

int error_code(const stator_future_t *future, uint32_t *domain)
{
    bson_error_t error = {0};

    if (!stator_future_error(future, &error))
        return 0;
    if (domain != NULL)
        *domain = error.domain;
    return (int)error.code;
}

/* ---- continuations --------------------------------------------------- */

void probe_then(stator_future_t *future, void *arg)
{
    probe_t *probe = arg;

    probe->future = future;
    probe->state = stator_future_poll(future);
    probe->thread = pthread_self();
    if (atomic_load(&probe->freed) > 0)
        atomic_fetch_add(&probe->ran_after_free, 1);
    atomic_fetch_add(&probe->ran, 1);
}

void probe_free(void *arg)
{
    probe_t *probe = arg;

    atomic_fetch_add(&probe->freed, 1);
}

void attach(stator_future_t *future, stator_dispatcher_t *dispatcher,
            probe_t *probe, int n)
{
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(stator_future_then_full(future, dispatcher,
                                                 probe_then, probe,
                                                 probe_free),
                         0);
}

void step_then(stator_future_t *future, void *arg)
{
    step_t *step = arg;

    (void)future;
    ck_assert_int_lt(step->trail->n, TRAIL_MAX);
    step->trail->at[step->trail->n++] = step->number;
}

stator_future_t *link_fn(stator_future_t *future, void *arg)
{
    link_t *link = arg;
    stator_future_t *give = link->give;

    link->state = stator_future_poll(future);
    link->value = document_value(future);
    link->give = NULL;
    atomic_fetch_add(&link->ran, 1);
    return give;
}

/* ---- dispatchers ----------------------------------------------------- */

stator_dispatcher_t *dispatcher_new(void)
{
    bson_error_t error = {0};
    stator_dispatcher_t *dispatcher = stator_dispatcher_new(&error);

    ck_assert_msg(dispatcher != NULL, "no dispatcher: %s", error.message);
    return dispatcher;
}

bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLIN) != 0;
}

bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

int dispatch_all(stator_dispatcher_t *dispatcher)
{
    int all = 0, ran;

    while ((ran = stator_dispatcher_dispatch(dispatcher, 0)) > 0)
        all += ran;
    ck_assert_int_eq(ran, 0);
    return all;
}

void settle_on(stator_dispatcher_t *dispatcher, stator_future_t *future)
{
    ck_assert_int_eq(
        stator_dispatcher_run_until(dispatcher, future, PATIENCE_MS), 0);
    ck_assert_int_ne((int)stator_future_poll(future),
                     (int)STATOR_FUTURE_PENDING);
}

/* ---- threads --------------------------------------------------------- */

pthread_t thread_start(void *(*fn)(void *), void *arg)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

void thread_join(pthread_t thread)
{
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

void run_on_small_stack(void *(*fn)(void *), void *arg)
{
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    ck_assert_int_eq(pthread_attr_setstacksize(&attr, SMALL_STACK), 0);
    ck_assert_int_eq(pthread_create(&thread, &attr, fn, arg), 0);
    pthread_attr_destroy(&attr);
    thread_join(thread);
}

bool gate_wait(sem_t *gate)
{
    struct timespec until;
    int rc;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    do
        rc = sem_timedwait(gate, &until);
    while (rc < 0 && errno == EINTR);
    return rc == 0;
}

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void tell_tid(atomic_int *tid)
{
    atomic_store(tid, (int)syscall(SYS_gettid));
}

/* The letter after the name in parentheses: 'S' is an interruptible sleep. */
static char thread_state(int tid)
{
    char path[64], line[512] = "", *at;
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    file = fopen(path, "r");
    if (file == NULL)
        return '?'; /* it has ended */
    if (fgets(line, sizeof line, file) == NULL)
        line[0] = '\0';
    fclose(file);
    at = strrchr(line, ')');
    return at != NULL && at[1] == ' ' ? at[2] : '?';
}

void until_asleep(atomic_int *tid)
{
    int64_t limit = now_ms() + PATIENCE_MS;
    char state = 'R';

    while (now_ms() < limit) {
        if (atomic_load(tid) != 0) {
            state = thread_state(atomic_load(tid));
            if (state == 'S' || state == '?')
                break;
        }
        sched_yield();
    }
    ck_assert_msg(state == 'S' || state == '?', "the thread never slept");
}

typedef struct lane {
    const rally_t *rally;
    pthread_barrier_t *barrier;
    lane_fn *fn;
} lane_t;

static void *lane_main(void *arg)
{
    lane_t *lane = arg;

    for (int i = 0; i < lane->rally->rounds; i++) {
        pthread_barrier_wait(lane->barrier);
        lane->fn(lane->rally->arg);
        pthread_barrier_wait(lane->barrier);
    }
    return NULL;
}

void rally_run(const rally_t *rally)
{
    pthread_barrier_t barrier;
    pthread_t threads[LANES_MAX];
    lane_t lanes[LANES_MAX];

    pthread_barrier_init(&barrier, NULL, (unsigned)rally->n);
    for (int i = 1; i < rally->n; i++) {
        lanes[i] = (lane_t){rally, &barrier, rally->lanes[i]};
        threads[i] = thread_start(lane_main, &lanes[i]);
    }
    for (int i = 0; i < rally->rounds; i++) {
        rally->before(rally->arg);
        pthread_barrier_wait(&barrier);
        rally->lanes[0](rally->arg);
        pthread_barrier_wait(&barrier);
        rally->after(rally->arg);
    }
    for (int i = 1; i < rally->n; i++)
        thread_join(threads[i]);
    pthread_barrier_destroy(&barrier);
}
