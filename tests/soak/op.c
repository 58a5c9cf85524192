/* SPDX-License-Identifier: Apache-2.0 */
/* op.c - one operation of a soak, from its number to its end. */
#include "tests/soak/op.h"

#include <inttypes.h>
#include <stdlib.h>

#include "tests/proxy/random.h"
#include "tests/wire/wire_timers.h"

const char *const op_names[OP_KINDS] = {
    "find_one",   "count",        "aggregate",  "command",
    "run",        "find_and_update", "upsert",  "delete",
    "insert_one", "insert_many",  "bulk_write", "cursor",
    "cursor close", "chain",      "recover",    "finally",
    "all",        "any",          "race",       "settled",
};

op_t *op_new(lane_t *lane, uint64_t *random, tenant_t *tenant,
             op_kind_t kind, int span)
{
    int64_t number = ledger_take(lane->soak->ledger, span);
    backend_t *backend = tenant->backend;
    op_t *op;

    if (number == 0)
        return NULL;
    op = calloc(1, sizeof *op);
    op->lane = lane;
    op->random = random;
    op->tenant = tenant_ref(tenant);
    op->kind = kind;
    op->number = number;
    op->span = span;
    op->key = number % backend->documents;
    op->n = (int)random_range(random, 1, OP_INSERTS_MAX);
    op->begun_us = wire_now_us();
    atomic_fetch_add(&lane->in_flight, 1);
    atomic_fetch_add(&tenant->in_flight, 1);
    atomic_fetch_add(&lane->soak->by_kind[kind], 1);
    atomic_fetch_add(&backend->submitted, 1);
    ledger_mark(lane->soak->ledger, number, span, LEDGER_SUBMITTED);
    return op;
}

void op_destroy(op_t *op)
{
    if (op == NULL)
        return;
    tenant_unref(op->tenant);
    free(op);
}

void op_free(void *arg)
{
    op_t *op = arg;
    lane_t *lane = op->lane;
    void **grave;

    stator_cursor_unref(op->cursor);
    op->cursor = NULL;
    atomic_fetch_sub(&op->tenant->in_flight, 1);
    if (op->kind >= OP_CHAIN) {
        grave = &lane->graves[lane->n_buried++ % GRAVES];
        op_destroy(*grave);
        *grave = op;
    } else {
        op_destroy(op);
    }
    atomic_fetch_sub(&lane->in_flight, 1);
}

bson_t *op_opts(op_t *op)
{
    static const char *const priorities[] = {"high", "normal", "low"};
    uint64_t *random = op->random;
    bson_t *opts = bson_new();

    const char *priority = priorities[random_range(random, 0, 2)];

    if (random_percent(random, 20))
        BSON_APPEND_UTF8(opts, "priority", priority);
    if (!op->is_child && random_percent(random, 15)) {
        op->timeout_ms = random_percent(random, 70)
                             ? random_range(random, 1, 60)
                             : random_range(random, 60, 2000);
        BSON_APPEND_INT64(opts, "timeoutMS", op->timeout_ms);
        ledger_mark(op->lane->soak->ledger, op->number, op->span,
                    LEDGER_MAY_EXPIRE);
        atomic_fetch_add(&op->lane->soak->deadlines, 1);
    }
    return opts;
}

/* -------------------------------------------------------------- watching */

static void settled(stator_future_t *future, void *arg)
{
    op_t *op = arg;

    op->random = &op->lane->random;
    ledger_ran(op->lane->soak->ledger, op->number);
    op_judge(op, future);
    if (op->kind == OP_CURSOR)
        op_go_on(op, future);
}

void op_cancel(soak_t *soak, stator_future_t *future, int64_t number,
               int span)
{
    ledger_mark(soak->ledger, number, span, LEDGER_MAY_CANCEL);
    atomic_fetch_add(&soak->cancels_asked, 1);
    if (!stator_future_cancel(future))
        return;
    atomic_fetch_add(&soak->cancels_took, 1);
    ledger_mark(soak->ledger, number, 1, LEDGER_MUST_CANCEL);
}

void op_attach(op_t *op, stator_future_t *future)
{
    ledger_t *ledger = op->lane->soak->ledger;
    int64_t number = op->number;
    int failed;

    ledger_mark(ledger, number, 1, LEDGER_CONTINUED);
    failed = stator_future_then_full(future, op->lane->dispatcher, settled,
                                     op, op_free);
    if (failed != 0)
        ledger_blame(ledger, "%" PRId64 ": then answers %d", number, failed);
}

void op_watch(op_t *op, stator_future_t *future)
{
    soak_t *soak = op->lane->soak;
    uint64_t *random = op->random;
    int64_t number = op->number;
    int span = op->span;

    op_attach(op, future);
    if (random_percent(random, 25))
        lanes_expose(soak, random, future, number, span);
    if (random_percent(random, 3))
        op_cancel(soak, future, number, span);
    stator_future_unref(future);
}

int op_span(op_kind_t kind, uint64_t *random)
{
    if (kind == OP_BULK)
        return 3;
    if (kind == OP_INSERT_MANY)
        return (int)random_range(random, 1, OP_INSERTS_MAX);
    return 1;
}

void op_submit(lane_t *lane, uint64_t *random, tenant_t *tenant,
               op_kind_t kind)
{
    op_t *op;

    if (kind >= OP_CHAIN) {
        op_compose(lane, random, tenant, kind);
    } else if (kind == OP_CURSOR || kind == OP_CLOSE) {
        op_read_cursor(lane, random, tenant);
    } else {
        op = op_new(lane, random, tenant, kind, op_span(kind, random));
        if (op != NULL)
            op_watch(op, op_ask(op));
    }
}
