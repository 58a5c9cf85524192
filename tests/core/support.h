/* SPDX-License-Identifier: Apache-2.0 */
/* support.h - what the tests of core share: a wire server with a client on
 * it, gates that hold its workers, and what to look at meanwhile.
 *
 * Documents and futures come from tests/lib/support.h (J, done, fails, at)
 * and go with the scene. */
#ifndef STATOR_TESTS_CORE_SUPPORT_H
#define STATOR_TESTS_CORE_SUPPORT_H

#include <mongoc/mongoc.h>

#include "tests/lib/support.h"
#include "tests/wire/wire.h"

enum { AMPLE_MS = 600000 }; /* a timeoutMS that does not run out */

/* gcc and clang tell it in different ways. */
#ifdef __has_feature
#define BUILT_WITH(feature) __has_feature(feature)
#else
#define BUILT_WITH(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || BUILT_WITH(thread_sanitizer)
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif
#if defined(__SANITIZE_ADDRESS__) || BUILT_WITH(address_sanitizer)
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif

typedef struct scene {
    wire_server_t *server;
    char uri[WIRE_URI_SIZE];
    stator_client_t *client;
    stator_collection_t *things; /* "core.things": what the test reads */
    stator_collection_t *held;   /* "core.held": finds stop at the gate */
    wire_gate_t *gate;
    bool is_closed; /* by the test */
} scene_t;

/* `opts`: the client's, in the manner of J (); NULL: {'workers': 1}. */
scene_t *scene_new(const char *opts);
/* With more in the URI than retryReads=false. */
scene_t *scene_with_uri(const char *opts, const char *extra);
/* Open the gate, close (it must leave no worker behind), free. */
void scene_free(scene_t *s);

/* `n` documents {_id: i} in core.things. */
void scene_fill(scene_t *s, int64_t n);

/* A future that a worker now waits for at the gate: lent, as all below. */
stator_future_t *hold_worker(scene_t *s);
void hold_workers(scene_t *s, int n);

/* A find_one on core.things, just submitted. */
stator_future_t *ask_one(scene_t *s, const char *opts);
/* A find on core.things. */
stator_cursor_t *open_cursor(scene_t *s, const char *opts);
/* The same, and its first document has come. */
stator_cursor_t *open_and_read(scene_t *s, const char *opts);
/* Read to the end, one by one; answers how many there were. */
int64_t read_all(stator_cursor_t *cursor);

/* Keep a reference until the scene ends. */
stator_future_t *lend(stator_future_t *future);
/* For who ends a scene in a way of its own. */
void give_back_lent(void);
/* done (), of a lent one. */
stator_future_t *ck_done(stator_future_t *future);
/* It must be CANCELLED, with that outcome. */
void ck_cancelled(stator_future_t *future, stator_outcome_t outcome);
/* It must settle as FAILED for STATOR_ERROR_EXPIRED. */
void ck_expired(stator_future_t *future);
void ck_closed(stator_future_t *future);
#define ck_pending(f) \
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_PENDING)

/* A number of the statistics ("phases.sent.count" too). */
int64_t stat_of(stator_client_t *client, const char *path);
/* Wait until it is `value`. */
void await_stat(stator_client_t *client, const char *path, int64_t value);
#define ck_stat(client, path, value) \
    ck_assert_int_eq(stat_of(client, path), value)

/* Close and wait; the reply is lent.  `opts` NULL: the default. */
stator_future_t *close_with(scene_t *s, const char *opts);

/* CLOCK_MONOTONIC. */
int64_t now_us(void);

/* Measure up to three times (chances_t); `what` and the figures are printed.
 * It fails only when all three are above `bound`. */
void best_of_three(const char *what, int64_t (*measure)(void), int64_t bound,
                   const char *unit);

/* Threads of this process whose name begins so; "": all. */
int threads_named(const char *prefix);
/* Wait until there are `n` of them. */
void await_threads(const char *prefix, int n);
/* Open descriptors. */
int count_fds(void);
/* Resident memory in KiB; -1: there is no telling. */
int64_t resident_kib(void);

#endif /* STATOR_TESTS_CORE_SUPPORT_H */
