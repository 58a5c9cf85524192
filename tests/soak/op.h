/* SPDX-License-Identifier: Apache-2.0 */
/* op.h - one operation of a soak: what is asked, and what is a right answer.
 *
 * An operation belongs to its continuation (or to who waits for it), which
 * judges the answer and frees it.  Composed ones have children, which are
 * operations with numbers and continuations of their own. */
#ifndef STATOR_TESTS_OP_H
#define STATOR_TESTS_OP_H

#include "tests/soak/lane.h"
#include "tests/soak/tenant.h"

typedef enum {
    OP_FIND_ONE,
    OP_COUNT,
    OP_AGGREGATE,
    OP_COMMAND,
    OP_RUN,
    OP_FIND_AND_UPDATE,
    OP_UPSERT,
    OP_DELETE,
    OP_INSERT_ONE,
    OP_INSERT_MANY,
    OP_BULK,
    OP_CURSOR, /* a request for documents */
    OP_CLOSE,  /* of a cursor */
    OP_CHAIN,
    OP_RECOVER,
    OP_FINALLY,
    OP_ALL,
    OP_ANY,
    OP_RACE,
    OP_SETTLED,
    OP_KINDS
} op_kind_t;

extern const char *const op_names[OP_KINDS];

enum { OP_CHILDREN = 3, OP_INSERTS_MAX = 5 };

typedef struct op {
    lane_t *lane;     /* whose dispatcher it is for */
    uint64_t *random; /* of the thread that has it in hand */
    tenant_t *tenant;
    op_kind_t kind;
    int64_t number;
    int span;    /* of numbers from there on that are its own */
    int64_t key; /* the _id that is asked for */
    int n;       /* how many documents */
    int64_t begun_us;
    int64_t timeout_ms; /* 0: none */
    bool is_child;      /* of a composed one: no limit of its own */
    int64_t keys[OP_CHILDREN]; /* a composed one's: of its children */

    stator_cursor_t *cursor;
    int seen;       /* documents that have come */
    int stop_after; /* then it is closed; INT_MAX: at the end */
    int how;        /* it is read, and left: see op_cursor.c */
    bool given_up;  /* an earlier request was cancelled: this may fail */
} op_t;

/* A new one; NULL when the ledger is full.  Takes a reference on `tenant`. */
op_t *op_new(lane_t *lane, uint64_t *random, tenant_t *tenant,
             op_kind_t kind, int span);
void op_free(void *arg); /* a composed one is only buried */
void op_destroy(op_t *op);

/* Options with a timeoutMS now and then; bson_destroy them. */
bson_t *op_opts(op_t *op);

/* The operation is under way: attach the continuation, let the cancellers
 * know.  Takes the reference; the operation may be gone when this returns. */
void op_watch(op_t *op, stator_future_t *future);

/* Note how `future`, which has settled, did. */
void op_judge(op_t *op, stator_future_t *future);

/* Ask for one thing; a new future.  `kind` is a plain one: up to OP_BULK. */
stator_future_t *op_ask(op_t *op);

/* What op_new wants as `span`. */
int op_span(op_kind_t kind, uint64_t *random);

/* Attach the continuation, and nothing else. */
void op_attach(op_t *op, stator_future_t *future);

/* Submit one of that kind on `tenant`, which is locked, with its continuation
 * on `lane`. */
void op_submit(lane_t *lane, uint64_t *random, tenant_t *tenant,
               op_kind_t kind);

bool op_has_id(const bson_t *document, int64_t id);

/* Cancel, and write it down. */
void op_cancel(soak_t *soak, stator_future_t *future, int64_t number,
               int span);

/* op_cursor.c: begin to read one; go on after a request has settled. */
void op_read_cursor(lane_t *lane, uint64_t *random, tenant_t *tenant);
void op_go_on(op_t *op, stator_future_t *future);
void op_check_cursor(op_t *op, stator_future_t *future);

/* op_compose.c: futures made of futures. */
void op_compose(lane_t *lane, uint64_t *random, tenant_t *tenant,
                op_kind_t kind);
void op_check_composed(op_t *op, stator_future_t *future);

#endif /* STATOR_TESTS_OP_H */
