/* SPDX-License-Identifier: Apache-2.0 */
/* cut.h - what the tests of the transport share: scenes whose URI is the
 * test's own, operations of each kind that hang at the server, and time.
 *
 *   scene_t *s = cut_scene("{'workers': 1}", "retryReads=true");
 *   cut_t *c = cut_hang(s, CUT_MORE);       a getMore stands at the gate
 *   stator_future_cancel(c->future);
 *   cut_free(c); */
#ifndef STATOR_TESTS_CORE_CUT_H
#define STATOR_TESTS_CORE_CUT_H

#include "tests/core/support.h"

typedef enum cut_kind { CUT_FIND, CUT_INSERT, CUT_MORE } cut_kind_t;
enum { CUT_KINDS = CUT_MORE + 1 };

extern const char *const cut_commands[CUT_KINDS];

typedef struct cut {
    cut_kind_t kind;
    stator_future_t *future; /* pending: its command is at the server */
    stator_cursor_t *cursor; /* CUT_MORE: of core.paged */
    int64_t since;           /* now_us, as it was asked for */
} cut_t;

/* A server that is a primary, so that writes can be retried, and a client on
 * it; scene_free gives it back.  What is inserted into core.held, found
 * there, or fetched from core.paged waits at the gate. */
scene_t *cut_scene(const char *opts, const char *extra);
#define RETRIES "retryReads=true&retryWrites=true"
#define NO_RETRIES "retryReads=false&retryWrites=false"

/* Start one, and wait until the server holds it, alone.  `opts` of cut_start,
 * which does not wait: those of the operation that is to hang. */
cut_t *cut_hang(scene_t *s, cut_kind_t kind);
cut_t *cut_start(scene_t *s, cut_kind_t kind, const char *opts);
/* Give it all back; the operation is settled. */
void cut_free(cut_t *c);

/* Times, in microseconds. */
enum { TIMES_MAX = 1024 };
typedef struct times {
    int n;
    int64_t us[TIMES_MAX];
} times_t;

void times_add(times_t *t, int64_t us);
/* Sorts and prints p50, p99 and the largest; answers p99. */
int64_t times_tell(times_t *t, const char *what);

/* Wait until no worker is at work; answers how long, microseconds. */
int64_t await_idle(stator_client_t *client);

/* Wait until a command of an operation is on the wire, or as good as; or
 * until none is. */
void await_armed(stator_client_t *client, bool armed);

/* Until a future is not pending, by looking at it; microseconds from `since`.
 * It must take less than LIB_PATIENCE_MS. */
int64_t us_until_settled(stator_future_t *f, int64_t since);

/* `text` of the statistics' transport.kind. */
void ck_kind(stator_client_t *client, const char *text);

/* The error of a future that has failed holds `text`. */
void ck_says(stator_future_t *f, const char *text);

#endif /* STATOR_TESTS_CORE_CUT_H */
