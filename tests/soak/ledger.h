/* SPDX-License-Identifier: Apache-2.0 */
/* ledger.h - every operation of a soak has a number; here is written what was
 * done to it and what became of it, and at the end the books must balance.
 *
 *   submitter  -- mark -->  [number]  <-- ran, settle --  continuation, waiter
 *   canceller  -- mark -->     ^
 *                              +------ arrive ----------  the server
 *
 * The number is in the operation's filter or document, so the server can tell
 * which it saw.  An entry is 8 bytes and lives as long as the ledger: what
 * comes too late, or twice, is seen too. */
#ifndef STATOR_TESTS_LEDGER_H
#define STATOR_TESTS_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include <stator/future.h>

typedef struct ledger ledger_t;

enum {
    LEDGER_SUBMITTED = 1,
    LEDGER_CONTINUED = 2,   /* a continuation was attached */
    LEDGER_MAY_CANCEL = 4,  /* somebody has tried, or will */
    LEDGER_MUST_CANCEL = 8, /* cancel has answered true */
    LEDGER_MAY_EXPIRE = 16, /* it has a timeoutMS */
    LEDGER_INSERT = 32,     /* it is the _id of a document to insert */
    LEDGER_WATCHED = 64,    /* its server says what arrives */
};

/* Room for so many, all of it in memory from now on, so that it does not look
 * like a leak.  NULL without memory. */
ledger_t *ledger_new(int64_t room);
void ledger_free(ledger_t *ledger);

/* The first of `n` new numbers; 0: it is full. */
int64_t ledger_take(ledger_t *ledger, int n);
int64_t ledger_taken(const ledger_t *ledger);

/* Of `n` numbers from `number` on. */
void ledger_mark(ledger_t *ledger, int64_t number, int n, unsigned flags);
bool ledger_has(const ledger_t *ledger, int64_t number, unsigned flags);
void ledger_settle(ledger_t *ledger, int64_t number, int n,
                   stator_future_state_t state, stator_outcome_t outcome);

/* Its continuation has been called. */
void ledger_ran(ledger_t *ledger, int64_t number);

/* The server was asked to do it; `transaction` is the same when the driver
 * sends a write again, and 0 when it cannot be told.  One thread per number. */
void ledger_arrive(ledger_t *ledger, int64_t number, uint16_t transaction);

int ledger_arrivals(const ledger_t *ledger, int64_t number);

/* A rule was broken: the first few are told on stderr. */
void ledger_blame(ledger_t *ledger, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What has been settled, by a plain look at all entries. */
typedef struct {
    int64_t submitted, done, failed, cancelled;
    int64_t inserts_done;     /* each there exactly once */
    int64_t not_sent;         /* none seen by its server, where that tells */
    int64_t maybe_sent;       /* inserts that nobody can know of ... */
    int64_t maybe_there;      /* ... and of these the server has got */
    int64_t sent_again;       /* writes that the driver repeated */
} ledger_sums_t;

/* Check every entry; the rules broken since the beginning. */
int64_t ledger_audit(ledger_t *ledger, ledger_sums_t *out);

#endif /* STATOR_TESTS_LEDGER_H */
