/* SPDX-License-Identifier: Apache-2.0 */
/* core/watcher.h - the lane of long waits: threads that serve change streams
 * and awaiting cursors, which take turns.
 *
 *   request ─> a seat: the watcher with the fewest streams, a new one while
 *                |     there are fewer than `watchers`
 *                v
 *   urgent ─┬─> watcher ─> one trip ──> event, end, error: settled
 *   inbox ──┘                 |
 *     ^                       v
 *     +── nothing came: to the back ── a getMore that waits for a turn
 *
 *   urgent: what opens, opens again or closes.  inbox: turns.
 *
 * Z1  A cursor of the lane (`in_lane`) is served by one watcher, `home`, from
 *     its first request to its end; all that a watcher serves shares its one
 *     connection, which was set aside for it (P1 in pool.h).  What has a lease
 *     of the user's runs on that one's connection, and gets into its line when
 *     the watcher has time for it (Y6 in lease.h).
 * Z2  A watcher takes from its own lists only, workers never from them.  So no
 *     short operation waits for a stream, nor takes a stream's place: the
 *     lane's places are counted apart (Q1), up to the same limit.
 * Z3  A trip is one command.  Between two a request goes to the back, so that
 *     those who wait take turns; who has no request waiting takes none.
 * Z4  A turn is the user's maxAwaitTimeMS, or such that a round takes about
 *     ROUND_MS, in bounds.
 * Z5  A request that is given up is never cut: what its turn brings stays in
 *     the cursor.  A turn of a cursor that is closed, or whose handle has gone
 *     and for which nobody waits, is; the watcher connects again for the next.
 * Z6  The memory of a watcher lives as long as the client's: who pushes late
 *     still finds its lists.  Seats are counted under the client's lock. */
#ifndef STC_WATCHER_H
#define STC_WATCHER_H

#include <stdatomic.h>

#include <urcu/list.h>

#include "core/core.h"

struct stc_cursor;
struct stc_worker;

struct stc_lane { /* of a client, under its lock but for the atomics */
    struct cds_list_head watchers;
    int n_watchers;
    atomic_llong streams; /* with a seat */
    atomic_llong turns;   /* taken, ever */
    atomic_llong resumes; /* change streams opened again, ever */
};

void stc_lane_init(struct stc_lane *lane);
/* With the client's memory: all threads have ended. */
void stc_lane_destroy(struct stc_lane *lane);

/* A seat for `c`, which has none and is busy.  False: `code` and a static or
 * the client's `note` say why not. */
bool stc_lane_join(struct stc_cursor *c, stator_error_code_t *code,
                   const char **note);
/* It needs its seat no more. */
void stc_lane_leave(stator_client_t *client, struct stc_worker *watcher);

/* On a watcher: how long this turn is, in milliseconds.  (Z4) */
int64_t stc_lane_turn_ms(struct stc_worker *watcher,
                         const struct stc_cursor *c);

#endif /* STC_WATCHER_H */
