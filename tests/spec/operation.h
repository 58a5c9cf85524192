/* SPDX-License-Identifier: Apache-2.0 */
/* operation.h - one operation of a test, and the table of what there is.
 *
 * A verb has two functions, one for each driver.  One that is missing skips
 * the test and says what is missing: when Stator learns a verb, its function
 * is put into the table, and the tests of it run. */
#ifndef TESTS_SPEC_OPERATION_H
#define TESTS_SPEC_OPERATION_H

#include <mongoc/mongoc.h>
#include <stdbool.h>

#include "tests/spec/entities.h"
#include "tests/spec/result.h"
#include "tests/spec/run.h"

typedef struct call {
    run_t *run;
    const struct verb *verb;
    entity_t *object;   /* NULL: the runner itself */
    bson_t arguments;   /* a view */
    bson_t opts;        /* those that are options, in the driver's words */
    entity_t *session;  /* the argument of that name; in `opts` already */
    mongoc_read_prefs_t *prefs; /* of the raw driver; NULL: the object's */
    result_t *result;
} call_t;

/* False: `call->run->verdict` says why the test can not go on.  That an
 * operation fails is a result, and true. */
typedef bool verb_fn(call_t *call);

typedef struct verb {
    const char *name;
    entity_kind_t on;
    /* "!needed positional | option option ..": what may be given.  Those
     * after the bar are copied to `opts`. */
    const char *arguments;
    verb_fn *raw;
    verb_fn *stator;
    const char *lacks; /* no `raw`: why; Stator may have it all the same */
    match_rule_t rule; /* of expectResult */
} verb_t;

/* Tables; the last element's name is NULL. */
extern const verb_t read_verbs[], write_verbs[], modify_verbs[],
    bulk_verbs[], admin_verbs[], index_verbs[], cursor_verbs[],
    stream_verbs[], session_verbs[], bucket_verbs[], runner_verbs[];

/* Run one operation of the test and see whether it went as it should.  With
 * `propagate` (not NULL), the result is the caller's afterwards, and to be
 * cleared: a callback of withTransaction passes errors on. */
bool operation_run(run_t *run, const bson_t *operation, result_t *propagate);

/* ---- for the verbs --------------------------------------------------- */

/* Lent: a positional argument that is a document or an array. */
bool call_view(const call_t *call, const char *name, bson_t *view);

bool call_fail(call_t *call, const bson_error_t *error);

/* Await `future`, take its error and reply into the result, and lend it.
 * Takes the reference if the answer is false. */
bool call_settle(call_t *call, stator_future_t *future);

/* The same, in a way that was chosen before the future was asked for. */
bool call_settle_by(call_t *call, stator_future_t *future, wait_mode_t mode);

/* The same of a close, whose error is no result: what killCursors came to is
 * for the events to tell.  Takes the reference. */
bool call_settle_close(call_t *call, stator_future_t *future);

/* All documents of a cursor as an array; both take the cursor. */
bool call_drain_raw(call_t *call, mongoc_cursor_t *cursor);
bool call_drain(call_t *call, stator_cursor_t *cursor);

#endif
