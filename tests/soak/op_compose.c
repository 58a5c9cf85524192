/* SPDX-License-Identifier: Apache-2.0 */
/* op_compose.c - chains and combinators of a soak.
 *
 *   chain     find, then find, then find       the last one's document
 *   recover   find, else find                  the one's or the other's
 *   finally   find, and then find              the first one's
 *   all, any, race, settled                    of three finds
 *
 * A child is a find_one with a number and a continuation of its own; it may
 * be cancelled through what it is part of. */
#include "tests/soak/op.h"

#include <inttypes.h>

/* `tenant` is locked; a new reference, or NULL when the ledger is full. */
static stator_future_t *submit_child(op_t *whole, uint64_t *random, int i)
{
    op_t *op = op_new(whole->lane, random, whole->tenant, OP_FIND_ONE, 1);
    stator_future_t *future;

    if (op == NULL)
        return NULL;
    op->is_child = true;
    ledger_mark(op->lane->soak->ledger, op->number, 1, LEDGER_MAY_CANCEL);
    whole->keys[i] = op->key;
    future = op_ask(op);
    op_attach(op, future);
    return future;
}

/* In a chain's function: NULL when the client has gone meanwhile. */
static stator_future_t *submit_next(op_t *whole, int i)
{
    tenant_t *tenant = whole->tenant;
    stator_future_t *future = NULL;

    pthread_mutex_lock(&tenant->lock);
    if (tenant->client != NULL && !atomic_load(&whole->lane->soak->is_ending))
        future = submit_child(whole, &whole->lane->random, i);
    pthread_mutex_unlock(&tenant->lock);
    if (future != NULL)
        whole->key = whole->keys[i];
    return future;
}

static stator_future_t *second(stator_future_t *future, void *arg)
{
    (void)future;
    return submit_next(arg, 1);
}

static stator_future_t *third(stator_future_t *future, void *arg)
{
    (void)future;
    return submit_next(arg, 2);
}

/* What it gives is awaited, and its document is not the whole's. */
static stator_future_t *last(stator_future_t *future, void *arg)
{
    op_t *whole = arg;
    int64_t key = whole->key;
    stator_future_t *next = second(future, arg);

    whole->key = key;
    return next;
}

static stator_future_t *link_up(op_t *whole, stator_future_t *first)
{
    stator_dispatcher_t *d = whole->lane->dispatcher;
    stator_future_t *middle, *end;

    if (whole->kind == OP_RECOVER)
        return stator_future_recover(first, d, second, whole);
    if (whole->kind == OP_FINALLY)
        return stator_future_finally(first, d, last, whole);
    middle = stator_future_chain(first, d, second, whole);
    end = stator_future_chain(middle, d, third, whole);
    stator_future_unref(middle);
    return end;
}

static stator_future_t *combine(op_kind_t kind, stator_future_t **children)
{
    switch (kind) {
    case OP_ALL:
        return stator_future_all(children, OP_CHILDREN);
    case OP_ANY:
        return stator_future_any(children, OP_CHILDREN);
    case OP_RACE:
        return stator_future_race(children, OP_CHILDREN);
    default:
        return stator_future_settled(children, OP_CHILDREN);
    }
}

void op_compose(lane_t *lane, uint64_t *random, tenant_t *tenant,
                op_kind_t kind)
{
    op_t *whole = op_new(lane, random, tenant, kind, 1);
    stator_future_t *children[OP_CHILDREN] = {NULL}, *future;
    int n = kind >= OP_ALL ? OP_CHILDREN : 1;

    if (whole == NULL)
        return;
    for (int i = 0; i < n; i++) {
        children[i] = submit_child(whole, random, i);
        if (children[i] == NULL) /* full: one of its own that fails */
            children[i] = stator_future_any(NULL, 0);
    }
    whole->key = whole->keys[0];
    future = n == 1 ? link_up(whole, children[0]) : combine(kind, children);
    for (int i = 0; i < n; i++)
        stator_future_unref(children[i]);
    op_watch(whole, future);
}

void op_check_composed(op_t *op, stator_future_t *future)
{
    const bson_t *document = stator_future_document(future);
    bool is_right = true;

    if (op->kind == OP_ANY || op->kind == OP_RACE) {
        is_right = false;
        for (int i = 0; i < OP_CHILDREN; i++)
            is_right |= op_has_id(document, op->keys[i]);
    } else if (op->kind < OP_ALL) {
        is_right = op_has_id(document, op->key);
    }
    if (!is_right)
        ledger_blame(op->lane->soak->ledger,
                     "%s %" PRId64 " is DONE with a document that is none of "
                     "its own", op_names[op->kind], op->number);
}
