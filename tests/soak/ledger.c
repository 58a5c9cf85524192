/* SPDX-License-Identifier: Apache-2.0 */
/* ledger.c - what became of every operation of a soak. */
#include "tests/soak/ledger.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOLD_MAX = 20, PENDING = 0 };

typedef struct {
    atomic_uchar flags;
    atomic_uchar runs;     /* of the continuation */
    atomic_uchar settled;  /* PENDING, or 1 + state * 4 + outcome */
    atomic_uchar arrivals; /* of different transactions */
    atomic_uchar repeats;  /* of the same */
    uint16_t transaction;
} entry_t;

struct ledger {
    atomic_llong taken, violations;
    int64_t room;
    entry_t *entries;
};

ledger_t *ledger_new(int64_t room)
{
    ledger_t *ledger = calloc(1, sizeof *ledger);

    if (ledger == NULL)
        return NULL;
    ledger->room = room;
    ledger->entries = malloc((size_t)(room + 1) * sizeof *ledger->entries);
    if (ledger->entries == NULL) {
        free(ledger);
        return NULL;
    }
    memset(ledger->entries, 0, (size_t)(room + 1) * sizeof *ledger->entries);
    return ledger;
}

void ledger_free(ledger_t *ledger)
{
    if (ledger == NULL)
        return;
    free(ledger->entries);
    free(ledger);
}

int64_t ledger_take(ledger_t *ledger, int n)
{
    long long first = atomic_fetch_add(&ledger->taken, n);

    if (first + n <= ledger->room)
        return first + 1;
    atomic_fetch_sub(&ledger->taken, n);
    return 0;
}

int64_t ledger_taken(const ledger_t *ledger)
{
    return atomic_load(&ledger->taken);
}

void ledger_mark(ledger_t *ledger, int64_t number, int n, unsigned flags)
{
    for (int i = 0; i < n; i++)
        atomic_fetch_or(&ledger->entries[number + i].flags,
                        (unsigned char)flags);
}

bool ledger_has(const ledger_t *ledger, int64_t number, unsigned flags)
{
    return (atomic_load(&ledger->entries[number].flags) & flags) == flags;
}

void ledger_settle(ledger_t *ledger, int64_t number, int n,
                   stator_future_state_t state, stator_outcome_t outcome)
{
    for (int i = 0; i < n; i++)
        atomic_store(&ledger->entries[number + i].settled,
                     (unsigned char)(1 + (int)state * 4 + (int)outcome));
}

static void count(atomic_uchar *counter)
{
    if (atomic_load(counter) < UINT8_MAX)
        atomic_fetch_add(counter, 1);
}

void ledger_ran(ledger_t *ledger, int64_t number)
{
    count(&ledger->entries[number].runs);
}

void ledger_arrive(ledger_t *ledger, int64_t number, uint16_t transaction)
{
    entry_t *e;

    if (number < 1 || number > ledger->room)
        return; /* not one of ours */
    e = &ledger->entries[number];
    if (transaction != 0 && atomic_load(&e->arrivals) > 0 &&
        e->transaction == transaction) {
        count(&e->repeats);
        return;
    }
    e->transaction = transaction;
    count(&e->arrivals);
}

int ledger_arrivals(const ledger_t *ledger, int64_t number)
{
    return atomic_load(&ledger->entries[number].arrivals);
}

void ledger_blame(ledger_t *ledger, const char *format, ...)
{
    va_list args;

    if (atomic_fetch_add(&ledger->violations, 1) >= TOLD_MAX)
        return;
    fputs("VIOLATION: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static void audit_arrivals(ledger_t *ledger, int64_t number,
                           stator_future_state_t state,
                           stator_outcome_t outcome, ledger_sums_t *sums)
{
    const entry_t *e = &ledger->entries[number];
    bool is_insert = ledger_has(ledger, number, LEDGER_INSERT);
    int arrivals = atomic_load(&e->arrivals);

    sums->sent_again += atomic_load(&e->repeats);
    if (outcome == STATOR_NOT_SENT) {
        sums->not_sent++;
        if (arrivals > 0)
            ledger_blame(ledger, "%" PRId64 " is NOT_SENT (state %d), and "
                         "the server got it", number, (int)state);
    }
    if (!is_insert)
        return;
    if (arrivals > 1)
        ledger_blame(ledger, "the document %" PRId64 " was inserted %d times",
                     number, arrivals);
    if (state == STATOR_FUTURE_DONE && arrivals != 1)
        ledger_blame(ledger, "the insert of %" PRId64 " is DONE, and the "
                     "server got it %d times", number, arrivals);
    sums->inserts_done += state == STATOR_FUTURE_DONE;
    if (outcome == STATOR_MAYBE_SENT) {
        sums->maybe_sent++;
        sums->maybe_there += arrivals == 1;
    }
}

static void audit(ledger_t *ledger, int64_t number, ledger_sums_t *sums)
{
    const entry_t *e = &ledger->entries[number];
    int settled = atomic_load(&e->settled), runs = atomic_load(&e->runs);
    stator_future_state_t state;

    sums->submitted++;
    if (settled == PENDING) {
        ledger_blame(ledger, "%" PRId64 " has never settled", number);
        return;
    }
    state = (stator_future_state_t)((settled - 1) / 4);
    sums->done += state == STATOR_FUTURE_DONE;
    sums->failed += state == STATOR_FUTURE_FAILED;
    sums->cancelled += state == STATOR_FUTURE_CANCELLED;
    if (ledger_has(ledger, number, LEDGER_CONTINUED) && runs != 1)
        ledger_blame(ledger, "the continuation of %" PRId64 " ran %d times",
                     number, runs);
    if (ledger_has(ledger, number, LEDGER_MUST_CANCEL) &&
        state != STATOR_FUTURE_CANCELLED)
        ledger_blame(ledger, "%" PRId64 " was cancelled, and is in state %d",
                     number, (int)state);
    if (ledger_has(ledger, number, LEDGER_WATCHED))
        audit_arrivals(ledger, number, state,
                       (stator_outcome_t)((settled - 1) % 4), sums);
}

int64_t ledger_audit(ledger_t *ledger, ledger_sums_t *out)
{
    int64_t n = ledger_taken(ledger);

    memset(out, 0, sizeof *out);
    for (int64_t number = 1; number <= n; number++)
        if (ledger_has(ledger, number, LEDGER_SUBMITTED))
            audit(ledger, number, out);
    return atomic_load(&ledger->violations);
}
