/* SPDX-License-Identifier: Apache-2.0 */
/* op_judge.c - is what became of an operation of a soak right? */
#include "tests/soak/op.h"

#include <inttypes.h>

#include "tests/wire/wire_timers.h"

bool op_has_id(const bson_t *document, int64_t id)
{
    bson_iter_t iter;

    return document != NULL && bson_iter_init_find(&iter, document, "_id") &&
           BSON_ITER_HOLDS_NUMBER(&iter) && bson_iter_as_int64(&iter) == id;
}

static int64_t number_at(const bson_t *document, const char *path)
{
    bson_iter_t iter, at;

    if (document == NULL || !bson_iter_init(&iter, document) ||
        !bson_iter_find_descendant(&iter, path, &at) ||
        !BSON_ITER_HOLDS_NUMBER(&at))
        return -1;
    return bson_iter_as_int64(&at);
}

static bool is_right(op_t *op, stator_future_t *f)
{
    const bson_t *reply = stator_future_reply(f);
    bool is_wire = op->tenant->backend->server != NULL;

    switch (op->kind) {
    case OP_FIND_ONE:
    case OP_FIND_AND_UPDATE:
        return op_has_id(stator_future_document(f), op->key);
    case OP_COUNT:
        return stator_future_count(f) == op->n;
    case OP_AGGREGATE:
        return stator_future_count(f) == 1 &&
               op_has_id(stator_future_document_at(f, 0), op->key);
    case OP_COMMAND:
    case OP_RUN:
        return number_at(reply, "cursor.firstBatch.0._id") == op->key;
    case OP_UPSERT:
        return number_at(reply, "upsertedId") == op->number;
    case OP_DELETE:
        return stator_future_count(f) == (is_wire ? 1 : 0);
    case OP_INSERT_ONE:
        return stator_future_count(f) == 1;
    case OP_INSERT_MANY:
        return stator_future_count(f) == op->span;
    case OP_BULK:
        return number_at(reply, "nInserted") == op->span - 1 &&
               number_at(reply, "upserted.0._id") == op->number + 1;
    default:
        return true;
    }
}

static void judge_done(op_t *op, stator_future_t *f)
{
    ledger_t *ledger = op->lane->soak->ledger;
    char *text;

    if (op->kind < OP_CURSOR && stator_future_outcome(f) != STATOR_ANSWERED)
        ledger_blame(ledger, "%s %" PRId64 " is DONE and its outcome %d",
                     op_names[op->kind], op->number,
                     (int)stator_future_outcome(f));
    if (op->kind == OP_CURSOR) {
        op_check_cursor(op, f);
    } else if (op->kind > OP_CLOSE) {
        op_check_composed(op, f);
    } else if (!is_right(op, f)) {
        text = stator_future_document(f) != NULL
                   ? bson_as_json(stator_future_document(f), NULL)
               : stator_future_reply(f) != NULL
                   ? bson_as_json(stator_future_reply(f), NULL)
                   : NULL;
        ledger_blame(ledger,
                     "%s %" PRId64 " (key %" PRId64 ", n %d) on %s was "
                     "answered: count %" PRId64 ", %s",
                     op_names[op->kind], op->number, op->key, op->n,
                     op->tenant->backend->name, stator_future_count(f),
                     text != NULL ? text : "nothing");
        bson_free(text);
    }
}

static void judge_cancelled(op_t *op, stator_future_t *f)
{
    soak_t *soak = op->lane->soak;

    if (stator_future_outcome(f) == STATOR_NOT_SENT)
        atomic_fetch_add(&soak->cancelled_queued, 1);
    else
        atomic_fetch_add(&soak->cancelled_running, 1);
    if (!ledger_has(soak->ledger, op->number, LEDGER_MAY_CANCEL) &&
        !atomic_load(&op->tenant->is_closing))
        ledger_blame(soak->ledger,
                     "%s %" PRId64 " is CANCELLED, and nobody has asked",
                     op_names[op->kind], op->number);
}

static void judge_own_error(op_t *op, const bson_error_t *error)
{
    backend_t *backend = op->tenant->backend;
    soak_t *soak = op->lane->soak;
    bool is_allowed = false;

    switch (error->code) {
    case STATOR_ERROR_EXPIRED:
        atomic_fetch_add(&backend->expired, 1);
        atomic_fetch_add(&soak->expired, 1);
        is_allowed =
            ledger_has(soak->ledger, op->number, LEDGER_MAY_EXPIRE);
        /* The waiter has several, and looks at the later ones late. */
        if (op->timeout_ms > 0 && op->kind != OP_CURSOR &&
            op->lane->dispatcher != NULL)
            lane_max(&soak->latest_expiry_us,
                     wire_now_us() - op->begun_us - op->timeout_ms * 1000);
        break;
    case STATOR_ERROR_REFUSED:
        atomic_fetch_add(&backend->refused, 1);
        is_allowed = true; /* the queue is short, on purpose */
        break;
    case STATOR_ERROR_CANCELLED:
        is_allowed = op->given_up;
        break;
    case STATOR_ERROR_CLOSED:
        atomic_fetch_add(&backend->closed, 1);
        is_allowed = atomic_load(&op->tenant->is_closing);
        break;
    }
    if (!is_allowed)
        ledger_blame(soak->ledger, "%s %" PRId64 " has failed: %s",
                     op_names[op->kind], op->number, error->message);
}

static void judge_failed(op_t *op, stator_future_t *f)
{
    enum { DUPLICATE_KEY = 11000 };
    soak_t *soak = op->lane->soak;
    bson_error_t error = {0};

    stator_future_error(f, &error);
    /* The audit would find it too, and not know why. */
    if (stator_future_outcome(f) == STATOR_NOT_SENT &&
        ledger_arrivals(soak->ledger, op->number) > 0)
        ledger_blame(soak->ledger, "%s %" PRId64 " on %s is NOT_SENT, and the "
                     "server got it: %u/%u %s", op_names[op->kind],
                     op->number, op->tenant->backend->name, error.domain,
                     error.code, error.message);
    if (error.domain == STATOR_ERROR_DOMAIN) {
        judge_own_error(op, &error);
    } else if (stator_future_origin(f) == STATOR_ORIGIN_SERVER) {
        atomic_fetch_add(&soak->errors_server, 1);
        if (error.code == DUPLICATE_KEY)
            ledger_blame(soak->ledger, "%s %" PRId64 ": %s, so it was sent "
                         "twice", op_names[op->kind], op->number,
                         error.message);
    } else {
        atomic_fetch_add(&soak->errors_network, 1);
    }
}

void op_judge(op_t *op, stator_future_t *future)
{
    stator_future_state_t state = stator_future_poll(future);
    backend_t *backend = op->tenant->backend;
    soak_t *soak = op->lane->soak;

    ledger_settle(soak->ledger, op->number, op->span, state,
                  stator_future_outcome(future));
    if (op->timeout_ms == 0 && op->lane->dispatcher != NULL)
        lane_max(&backend->longest_us, wire_now_us() - op->begun_us);
    if (state == STATOR_FUTURE_DONE) {
        atomic_fetch_add(&backend->done, 1);
        judge_done(op, future);
    } else if (state == STATOR_FUTURE_CANCELLED) {
        atomic_fetch_add(&backend->cancelled, 1);
        judge_cancelled(op, future);
    } else if (state == STATOR_FUTURE_FAILED) {
        atomic_fetch_add(&backend->failed, 1);
        judge_failed(op, future);
    } else {
        ledger_blame(soak->ledger,
                     "%s %" PRId64 " was told to be settled, and is not",
                     op_names[op->kind], op->number);
    }
}
