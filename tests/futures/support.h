/* SPDX-License-Identifier: Apache-2.0 */
/* support.h - what the tests of futures, promises and dispatchers share.
 *
 * Only public headers are known here.  Threads are ordered by gates, barriers
 * and joins; PATIENCE_MS merely bounds what must come anyway, so that a defect
 * fails a test instead of hanging it. */
#ifndef STATOR_TESTS_FUTURES_SUPPORT_H
#define STATOR_TESTS_FUTURES_SUPPORT_H

#include "tests/harness/suite.h"

#include <bson/bson.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stator/dispatcher.h>
#include <stator/error.h>
#include <stator/future.h>
#include <stator/promise.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PATIENCE_MS = 90000 };

/* A sanitizer that slows everything down sees as much in fewer rounds. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { ROUNDS = SANITIZED ? 1000 : 4000, DEEP = 100000 };

/* ---- promises and futures -------------------------------------------- */

/* A source under the test's control. */
typedef struct pair {
    stator_promise_t *promise;
    stator_future_t *future;
} pair_t;

pair_t pair_new(void);
void pair_free(pair_t *pair); /* gives both references back, NULL is fine */

/* Settle with {x: value} as the document and {r: value} as the reply. */
bool pair_resolve(pair_t *pair, int value);

/* Settle as FAILED: domain 1000, this code, the text "failure <code>", and a
 * reply {r: code, errorLabels: ["L<code>"]}. */
bool pair_fail(pair_t *pair, int code);

/* Settled futures, made as the above do. */
stator_future_t *future_done(int value);
stator_future_t *future_failed(int code);
stator_future_t *future_cancelled(void);
stator_future_t *future_in(stator_future_state_t state, int value);

/* The number x of a document, r of a reply; -1: none. */
int document_value(const stator_future_t *future);
int reply_value(const stator_future_t *future);

/* The code of the error; 0: none.  `domain` may be NULL. */
int error_code(const stator_future_t *future, uint32_t *domain);

#define assert_state(future, state)                                            \
    ck_assert_int_eq((int)stator_future_poll(future), (int)(state))

/* FAILED, or CANCELLED, with an error of Stator's own that says something. */
#define assert_stator_error(future, expected)                                  \
    do {                                                                       \
        bson_error_t error_ = {0};                                             \
        ck_assert(stator_future_error((future), &error_));                     \
        ck_assert_uint_eq(error_.domain, STATOR_ERROR_DOMAIN);                 \
        ck_assert_int_eq((int)error_.code, (int)(expected));                   \
        ck_assert_msg(error_.message[0] != '\0', "an error without a text");   \
        ck_assert_int_eq((int)stator_future_origin(future),                    \
                         (int)STATOR_ORIGIN_STATOR);                           \
    } while (0)

/* ... with one that pair_fail made. */
#define assert_user_error(future, expected)                                    \
    do {                                                                       \
        char text_[32], label_[32];                                            \
        bson_error_t error_ = {0};                                             \
        snprintf(text_, sizeof text_, "failure %d", (expected));               \
        snprintf(label_, sizeof label_, "L%d", (expected));                    \
        assert_state((future), STATOR_FUTURE_FAILED);                          \
        ck_assert(stator_future_error((future), &error_));                     \
        ck_assert_uint_eq(error_.domain, 1000);                                \
        ck_assert_int_eq((int)error_.code, (expected));                        \
        ck_assert_str_eq(error_.message, text_);                               \
        ck_assert_int_eq((int)stator_future_origin(future),                    \
                         (int)STATOR_ORIGIN_USER);                             \
        ck_assert_int_eq(reply_value(future), (expected));                     \
        ck_assert(stator_future_has_error_label((future), label_));            \
    } while (0)

#define assert_done(future, value)                                             \
    do {                                                                       \
        assert_state((future), STATOR_FUTURE_DONE);                            \
        ck_assert_int_eq(document_value(future), (value));                     \
        ck_assert_int_eq(reply_value(future), (value));                        \
    } while (0)

/* ---- continuations --------------------------------------------------- */

/* Counts what happens to one continuation.  Zero it to begin with. */
typedef struct probe {
    atomic_int ran;
    atomic_int freed;
    atomic_int ran_after_free;
    stator_future_t *future;     /* the one it was called with */
    stator_future_state_t state; /* ... in that state */
    pthread_t thread;            /* ... on that thread */
} probe_t;

void probe_then(stator_future_t *future, void *probe);
void probe_free(void *probe);

/* Attach probe_then with probe_free `n` times. */
void attach(stator_future_t *future, stator_dispatcher_t *dispatcher,
            probe_t *probe, int n);

/* Writes down the order in which continuations run. */
enum { TRAIL_MAX = 4096 };

typedef struct trail {
    int n;
    int at[TRAIL_MAX];
} trail_t;

typedef struct step {
    trail_t *trail;
    int number;
} step_t;

void step_then(stator_future_t *future, void *step);

/* A chain function that gives `give` away, or NULL. */
typedef struct link {
    atomic_int ran;
    stator_future_t *give;
    stator_future_state_t state; /* of what it was called with */
    int value;
} link_t;

stator_future_t *link_fn(stator_future_t *future, void *link);

typedef stator_future_t *compose_fn(stator_future_t *, stator_dispatcher_t *,
                                    stator_chain_fn *, void *);
typedef stator_future_t *combine_fn(stator_future_t **, size_t);

/* ---- dispatchers ----------------------------------------------------- */

stator_dispatcher_t *dispatcher_new(void);

/* Is it readable now? */
bool readable(int fd);
bool is_open(int fd);

/* Dispatch until nothing is ready; how many ran. */
int dispatch_all(stator_dispatcher_t *dispatcher);

/* Dispatch until `future` settles; fails the test if it does not. */
void settle_on(stator_dispatcher_t *dispatcher, stator_future_t *future);

/* ---- threads --------------------------------------------------------- */

pthread_t thread_start(void *(*fn)(void *), void *arg);
void thread_join(pthread_t thread);

/* As thread_start and thread_join, on a stack so small that any recursion
 * over DEEP levels overflows it. */
void run_on_small_stack(void *(*fn)(void *), void *arg);

/* False when nobody opened it within PATIENCE_MS. */
bool gate_wait(sem_t *gate);

/* Wait until the thread whose gettid() comes to be in `tid` sleeps in the
 * kernel: it has nothing else to sleep in than what the test is about. */
void until_asleep(atomic_int *tid);
void tell_tid(atomic_int *tid); /* to be called by that thread */

int64_t now_ms(void);

/* Threads that meet at a barrier before and after each round.  `before` and
 * `after` run alone, on the calling thread; lane i runs lanes[i](arg). */
enum { LANES_MAX = 6 };

typedef void lane_fn(void *arg);

typedef struct rally {
    int rounds;
    int n;
    lane_fn *lanes[LANES_MAX]; /* lane 0 is the calling thread's own */
    lane_fn *before;
    lane_fn *after;
    void *arg;
} rally_t;

void rally_run(const rally_t *rally);

#endif /* STATOR_TESTS_FUTURES_SUPPORT_H */
