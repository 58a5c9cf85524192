/* SPDX-License-Identifier: Apache-2.0 */
/* op_cursor.c - cursors of a soak: read to the end, closed early, left open.
 *
 *   find {} sort _id, skip key, limit n  ->  key, key + 1, .. key + n - 1
 *
 * Each request is an operation of its own.  One that is cancelled takes
 * nothing away: the next one goes on where it would have, unless a getMore
 * was cut with it, and then it fails. */
#include "tests/soak/op.h"

#include <inttypes.h>
#include <limits.h>

#include "tests/proxy/random.h"

enum { NEXT, BATCH, LIST, EACH, WAYS };

/* A document of OP's cursor, in order. */
static bool take(op_t *op, const bson_t *document)
{
    atomic_fetch_add(&op->lane->soak->documents, 1);
    if (op_has_id(document, op->key + op->seen)) {
        op->seen++;
        return true;
    }
    ledger_blame(op->lane->soak->ledger,
                 "cursor %" PRId64 ": document %d is not %" PRId64,
                 op->number, op->seen, op->key + op->seen);
    return false;
}

static bool each(const bson_t *document, void *arg)
{
    op_t *op = arg;

    return take(op, document) && op->seen < op->stop_after;
}

/* Is the end of the documents here, too early or as it should? */
static void check_end(op_t *op)
{
    if (op->seen != op->n && op->seen < op->stop_after)
        ledger_blame(op->lane->soak->ledger,
                     "cursor %" PRId64 " ended after %d of %d", op->number,
                     op->seen, op->n);
}

void op_check_cursor(op_t *op, stator_future_t *future)
{
    int64_t count = stator_future_count(future);

    if (op->how == EACH) {
        check_end(op);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        if (!take(op, stator_future_document_at(future, (size_t)i)))
            return;
    if (count == 0 || op->how == LIST)
        check_end(op);
}

static stator_future_t *request(op_t *op)
{
    switch (op->how) {
    case NEXT:
        return stator_cursor_next(op->cursor);
    case BATCH:
        return stator_cursor_next_batch(op->cursor);
    case LIST:
        return stator_cursor_to_list(op->cursor, 0);
    default:
        return stator_cursor_each(op->cursor, op->lane->dispatcher, each, op);
    }
}

static void close_cursor(op_t *op)
{
    op_t *close = op_new(op->lane, op->random, op->tenant, OP_CLOSE, 1);

    if (close == NULL)
        return;
    close->cursor = op->cursor;
    close->given_up = op->given_up;
    op->cursor = NULL;
    op_watch(close, stator_cursor_close(close->cursor));
}

/* Half are closed; some are just let go; some stay open. */
static void leave(op_t *op)
{
    uint64_t *random = op->random;

    if (random_percent(random, 50)) {
        close_cursor(op);
    } else if (random_percent(random, 40)) {
        tenant_keep(op->tenant, op->cursor);
        op->cursor = NULL;
    }
}

void op_go_on(op_t *op, stator_future_t *future)
{
    stator_future_state_t state = stator_future_poll(future);
    bool is_at_end = op->how == LIST || op->how == EACH ||
                     stator_future_count(future) == 0;
    op_t *next;

    if (state == STATOR_FUTURE_FAILED ||
        atomic_load(&op->tenant->is_closing) ||
        atomic_load(&op->lane->soak->is_ending))
        return; /* the last reference goes with the operation */
    if (op->seen >= op->stop_after) {
        leave(op);
        return;
    }
    if (state == STATOR_FUTURE_DONE && is_at_end)
        return;
    next = op_new(op->lane, op->random, op->tenant, OP_CURSOR, 1);
    if (next == NULL)
        return;
    next->cursor = op->cursor;
    op->cursor = NULL;
    next->key = op->key;
    next->n = op->n;
    next->seen = op->seen;
    next->stop_after = op->stop_after;
    next->how = op->how;
    next->given_up = op->given_up || state == STATOR_FUTURE_CANCELLED;
    next->timeout_ms = op->timeout_ms;
    if (next->timeout_ms > 0)
        ledger_mark(op->lane->soak->ledger, next->number, 1,
                    LEDGER_MAY_EXPIRE);
    op_watch(next, request(next));
}

void op_read_cursor(lane_t *lane, uint64_t *random, tenant_t *tenant)
{
    op_t *op = op_new(lane, random, tenant, OP_CURSOR, 1);
    bson_t *all, *sort, *opts;

    if (op == NULL)
        return;
    op->n = (int)random_range(random, 1, 40);
    op->key = op->number % (tenant->backend->documents - op->n);
    op->how = (int)random_range(random, 0, WAYS - 1);
    op->stop_after = INT_MAX;
    if (op->how != LIST && random_percent(random, 40))
        op->stop_after = (int)random_range(random, 1, op->n);
    opts = op_opts(op);
    if (op->timeout_ms > 0 && random_percent(random, 50))
        BSON_APPEND_UTF8(opts, "timeoutMode", "iteration");
    sort = BCON_NEW("_id", BCON_INT32(1));
    BSON_APPEND_DOCUMENT(opts, "sort", sort);
    BSON_APPEND_INT64(opts, "skip", op->key);
    BSON_APPEND_INT64(opts, "limit", op->n);
    BSON_APPEND_INT32(opts, "batchSize",
                      (int32_t)random_range(random, 2, 20));
    if (random_percent(random, 30))
        BSON_APPEND_INT32(opts, "prefetch", 1);
    all = bson_new();
    op->cursor = stator_collection_find(tenant->things, all, opts);
    atomic_fetch_add(&lane->soak->cursors, 1);
    bson_destroy(all);
    bson_destroy(sort);
    bson_destroy(opts);
    op_watch(op, request(op));
}
