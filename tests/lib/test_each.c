/* SPDX-License-Identifier: Apache-2.0 */
/* test_each.c - each and each_async: on the dispatching thread, in order, and
 * what fn has not seen stays in the cursor.
 *
 * The wire server makes the documents: {_id: 0}, {_id: 1}, .. */
#include <errno.h>

#include "tests/lib/support.h"
#include "tests/wire/wire.h"

typedef struct walk {
    wire_server_t *server;
    stage_t *stage;
    stator_dispatcher_t *dispatcher;
    stator_cursor_t *cursor;
    stator_future_t *future; /* of each */
    int64_t seen;            /* documents, and the next _id */
    int64_t stop_at;         /* -1: never */
    stator_promise_t *gate;  /* each_async: given at stop_at */
    int waited;              /* how waiting for each in fn went */
} walk_t;

static walk_t *walk_new(int64_t documents, const char *opts)
{
    wire_options_t options = {.documents = documents};
    walk_t *w = calloc(1, sizeof *w);
    char uri[WIRE_URI_SIZE];

    w->server = wire_server_new(&options);
    ck_assert_ptr_nonnull(w->server);
    w->stage = stage_new(wire_server_uri(w->server, NULL, uri, sizeof uri),
                         NULL, false);
    w->dispatcher = stator_dispatcher_new(NULL);
    w->cursor = stator_collection_find(w->stage->collection, NULL,
                                       J("%s", opts));
    w->stop_at = -1;
    return w;
}

static void walk_free(walk_t *w)
{
    stator_future_unref(w->future);
    stator_promise_unref(w->gate);
    stator_cursor_unref(w->cursor);
    stator_dispatcher_unref(w->dispatcher);
    stage_free(w->stage);
    wire_server_free(w->server);
    free(w);
}

static void in_order(walk_t *w, const bson_t *document)
{
    bson_iter_t i;

    ck_assert(bson_iter_init_find(&i, document, "_id"));
    ck_assert_int_eq(bson_iter_as_int64(&i), w->seen);
    w->seen++;
}

static bool look(const bson_t *document, void *arg)
{
    walk_t *w = arg;

    in_order(w, document);
    return w->seen != w->stop_at;
}

static void run_to_the_end(walk_t *w)
{
    ck_assert_int_eq(stator_dispatcher_run_until(w->dispatcher, w->future,
                                                 LIB_PATIENCE_MS),
                     0);
}

/* The future of each after it has run to its end. */
static void ends(walk_t *w, stator_future_state_t state, int64_t count)
{
    run_to_the_end(w);
    ck_assert_int_eq(stator_future_poll(w->future), state);
    ck_assert_int_eq(stator_future_count(w->future), count);
}

START_TEST(each_sees_every_document_once_in_order)
{
    walk_t *w = walk_new(1000, "{'batchSize': 70}");

    w->future = stator_cursor_each(w->cursor, w->dispatcher, look, w);
    ends(w, STATOR_FUTURE_DONE, 1000);
    ck_assert_int_eq(w->seen, 1000);
    ck_assert_int_eq(stator_future_outcome(w->future), STATOR_ANSWERED);
    walk_free(w);
}
END_TEST

START_TEST(nothing_to_see_is_done_too)
{
    walk_t *w = walk_new(0, "{}");

    w->future = stator_cursor_each(w->cursor, w->dispatcher, look, w);
    ends(w, STATOR_FUTURE_DONE, 0);
    walk_free(w);
}
END_TEST

START_TEST(false_stops_and_the_rest_stays_in_the_cursor)
{
    walk_t *w = walk_new(100, "{'batchSize': 30}");

    w->stop_at = 7;
    w->future = stator_cursor_each(w->cursor, w->dispatcher, look, w);
    ends(w, STATOR_FUTURE_DONE, 7);
    /* Another one goes on where the first stopped. */
    stator_future_unref(w->future);
    w->stop_at = 75;
    w->future = stator_cursor_each(w->cursor, w->dispatcher, look, w);
    ends(w, STATOR_FUTURE_DONE, 68);
    counts(stator_cursor_to_list(w->cursor, 0), 25);
    walk_free(w);
}
END_TEST

START_TEST(one_dispatch_takes_64_documents_of_it)
{
    walk_t *w = walk_new(1000, "{'batchSize': 1000}");

    /* The first batch is fetched here, so that nothing has to be awaited. */
    done(stator_cursor_next(w->cursor));
    w->seen = 1;
    w->future = stator_cursor_each(w->cursor, w->dispatcher, look, w);
    ck_assert_int_eq(stator_dispatcher_run_once(w->dispatcher,
                                                LIB_PATIENCE_MS), 1);
    ck_assert_int_le(w->seen, 1 + 65);
    ck_assert_int_ge(w->seen, 1 + 64);
    ends(w, STATOR_FUTURE_DONE, 999);
    walk_free(w);
}
END_TEST

static bool cancel(const bson_t *document, void *arg)
{
    walk_t *w = arg;

    in_order(w, document);
    if (w->seen == w->stop_at)
        ck_assert(stator_future_cancel(w->future));
    return true;
}

START_TEST(cancel_stops_after_the_document_at_hand)
{
    walk_t *w = walk_new(100, "{'batchSize': 30}");

    w->stop_at = 40;
    w->future = stator_cursor_each(w->cursor, w->dispatcher, cancel, w);
    run_to_the_end(w);
    ck_assert_int_eq(stator_future_poll(w->future), STATOR_FUTURE_CANCELLED);
    stator_dispatcher_dispatch(w->dispatcher, 0);
    ck_assert_int_eq(w->seen, 40);
    counts(stator_cursor_to_list(w->cursor, 0), 60);
    walk_free(w);
}
END_TEST

START_TEST(cancel_while_it_waits_for_the_server)
{
    walk_t *w = walk_new(10, "{'batchSize': 4}");
    wire_gate_t *gate = wire_gate_new(w->server);

    wire_rule_add(w->server, &(wire_rule_t){.command = "find", .gate = gate});
    w->future = stator_cursor_each(w->cursor, w->dispatcher, look, w);
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    ck_assert(stator_future_cancel(w->future));
    ck_assert_int_eq(stator_future_poll(w->future), STATOR_FUTURE_CANCELLED);
    wire_gate_open(gate);
    fails(stator_cursor_to_list(w->cursor, 0), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_CANCELLED, "given up");
    stator_dispatcher_dispatch(w->dispatcher, 0);
    ck_assert_int_eq(w->seen, 0);
    walk_free(w);
}
END_TEST

START_TEST(a_failing_getmore_fails_it)
{
    walk_t *w = walk_new(100, "{'batchSize': 10}");

    wire_rule_add(w->server, &(wire_rule_t){.command = "getMore",
                                            .skip = 2,
                                            .action = WIRE_ERROR,
                                            .code = 43,
                                            .message = "cursor gone"});
    w->future = stator_cursor_each(w->cursor, w->dispatcher, look, w);
    run_to_the_end(w);
    fails(stator_future_ref(w->future), 17, 43, "cursor gone");
    ck_assert_int_eq(w->seen, 30);
    walk_free(w);
}
END_TEST

START_TEST(a_wrong_find_fails_it)
{
    walk_t *w = walk_new(1, "{'timeoutMS': -1}");

    w->future = stator_cursor_each(w->cursor, w->dispatcher, look, w);
    run_to_the_end(w);
    faulty(stator_future_ref(w->future), "timeoutMS must be 0 or more");
    ck_assert_int_eq(w->seen, 0);
    walk_free(w);
}
END_TEST

START_TEST(a_dispatcher_that_goes_fails_it_and_loses_nothing)
{
    walk_t *w = walk_new(10, "{}");

    w->future = stator_cursor_each(w->cursor, w->dispatcher, look, w);
    stator_dispatcher_unref(w->dispatcher);
    w->dispatcher = NULL;
    fails(stator_future_ref(w->future), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_CLOSED, "dispatcher");
    ck_assert_int_eq(w->seen, 0);
    walk_free(w);
}
END_TEST

static bool drop_everything(const bson_t *document, void *arg)
{
    walk_t *w = arg;

    in_order(w, document);
    if (w->seen == w->stop_at) {
        stator_cursor_unref(w->cursor);
        w->cursor = NULL;
        stator_dispatcher_unref(w->dispatcher);
        w->dispatcher = NULL;
    }
    return true;
}

START_TEST(every_handle_may_go_in_the_callback)
{
    walk_t *w = walk_new(100, "{'batchSize': 100}");

    w->stop_at = 5;
    w->future =
        stator_cursor_each(w->cursor, w->dispatcher, drop_everything, w);
    while (w->dispatcher != NULL)
        stator_dispatcher_run_once(w->dispatcher, LIB_PATIENCE_MS);
    fails(stator_future_ref(w->future), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_CLOSED, "dispatcher");
    ck_assert_int_ge(w->seen, 5);
    walk_free(w);
}
END_TEST

static bool wait_for_it(const bson_t *document, void *arg)
{
    walk_t *w = arg;

    in_order(w, document);
    w->waited = stator_future_wait(w->future, -1);
    return true;
}

START_TEST(waiting_for_it_in_its_own_callback_would_deadlock)
{
    walk_t *w = walk_new(3, "{}");

    w->future = stator_cursor_each(w->cursor, w->dispatcher, wait_for_it, w);
    ends(w, STATOR_FUTURE_DONE, 3);
    ck_assert_int_eq(w->waited, EDEADLK);
    walk_free(w);
}
END_TEST

START_TEST(null_arguments_are_named)
{
    walk_t *w = walk_new(0, "{}");

    faulty(stator_cursor_each(NULL, w->dispatcher, look, w),
           "cursor.each: cursor is NULL");
    faulty(stator_cursor_each(w->cursor, NULL, look, w),
           "dispatcher is NULL");
    faulty(stator_cursor_each(w->cursor, w->dispatcher, NULL, w),
           "fn is NULL");
    faulty(stator_cursor_each_async(w->cursor, w->dispatcher, NULL, w),
           "cursor.each_async: fn is NULL");
    walk_free(w);
}
END_TEST

/* ---- each_async -------------------------------------------------------- */

/* A write for every third document. */
static stator_future_t *write_some(const bson_t *document, void *arg)
{
    walk_t *w = arg;

    in_order(w, document);
    if (w->seen % 3 != 0)
        return NULL;
    return stator_client_ping(w->stage->client, NULL);
}

START_TEST(each_async_pauses_for_every_future)
{
    walk_t *w = walk_new(100, "{'batchSize': 17}");

    w->future = stator_cursor_each_async(w->cursor, w->dispatcher,
                                         write_some, w);
    ends(w, STATOR_FUTURE_DONE, 100);
    ck_assert_int_eq(wire_count(w->server, "ping"), 33);
    walk_free(w);
}
END_TEST

static stator_future_t *hang_at(const bson_t *document, void *arg)
{
    walk_t *w = arg;

    in_order(w, document);
    return w->seen == w->stop_at ? stator_promise_future(w->gate) : NULL;
}

/* Dispatch until the document at stop_at has been seen. */
static walk_t *walk_to_the_gate(void)
{
    walk_t *w = walk_new(100, "{'batchSize': 30}");

    w->stop_at = 50;
    w->gate = stator_promise_new();
    w->future =
        stator_cursor_each_async(w->cursor, w->dispatcher, hang_at, w);
    while (w->seen < w->stop_at)
        ck_assert_int_ge(stator_dispatcher_run_once(w->dispatcher,
                                                    LIB_PATIENCE_MS), 0);
    stator_dispatcher_dispatch(w->dispatcher, 0);
    ck_assert_int_eq(w->seen, 50);
    ck_assert_int_eq(stator_future_poll(w->future), STATOR_FUTURE_PENDING);
    return w;
}

START_TEST(a_pause_ends_when_the_future_settles)
{
    walk_t *w = walk_to_the_gate();

    ck_assert(stator_promise_resolve(w->gate, NULL, NULL));
    ends(w, STATOR_FUTURE_DONE, 100);
    walk_free(w);
}
END_TEST

START_TEST(a_failure_of_the_future_stops_with_its_error)
{
    walk_t *w = walk_to_the_gate();
    bson_error_t error = {.domain = 1000, .code = 7, .message = "enough"};

    ck_assert(stator_promise_fail(w->gate, &error, NULL));
    run_to_the_end(w);
    fails(stator_future_ref(w->future), 1000, 7, "enough");
    ck_assert_int_eq(w->seen, 50);
    counts(stator_cursor_to_list(w->cursor, 0), 50);
    walk_free(w);
}
END_TEST

START_TEST(cancel_reaches_the_future_that_it_waits_for)
{
    walk_t *w = walk_to_the_gate();

    ck_assert(stator_future_cancel(w->future));
    ck_assert(stator_promise_cancelled(w->gate));
    stator_dispatcher_dispatch(w->dispatcher, 0);
    ck_assert_int_eq(w->seen, 50);
    walk_free(w);
}
END_TEST

START_TEST(a_dispatcher_that_goes_leaves_that_future_alone)
{
    walk_t *w = walk_to_the_gate();

    stator_dispatcher_unref(w->dispatcher);
    w->dispatcher = NULL;
    fails(stator_future_ref(w->future), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_CLOSED, "dispatcher");
    ck_assert(!stator_promise_cancelled(w->gate));
    ck_assert(stator_promise_resolve(w->gate, NULL, NULL));
    counts(stator_cursor_to_list(w->cursor, 0), 50);
    walk_free(w);
}
END_TEST

static stator_future_t *give_itself(const bson_t *document, void *arg)
{
    walk_t *w = arg;

    in_order(w, document);
    return stator_future_ref(w->future);
}

START_TEST(the_future_of_each_can_not_be_waited_for_by_itself)
{
    walk_t *w = walk_new(3, "{}");

    w->future = stator_cursor_each_async(w->cursor, w->dispatcher,
                                         give_itself, w);
    run_to_the_end(w);
    fails(stator_future_ref(w->future), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_DEADLOCK, "waits for it");
    walk_free(w);
}
END_TEST

SUITE(each)
{
    tcase_add_test(tc, each_sees_every_document_once_in_order);
    tcase_add_test(tc, nothing_to_see_is_done_too);
    tcase_add_test(tc, false_stops_and_the_rest_stays_in_the_cursor);
    tcase_add_test(tc, one_dispatch_takes_64_documents_of_it);
    tcase_add_test(tc, cancel_stops_after_the_document_at_hand);
    tcase_add_test(tc, cancel_while_it_waits_for_the_server);
    tcase_add_test(tc, a_failing_getmore_fails_it);
    tcase_add_test(tc, a_wrong_find_fails_it);
    tcase_add_test(tc, a_dispatcher_that_goes_fails_it_and_loses_nothing);
    tcase_add_test(tc, every_handle_may_go_in_the_callback);
    tcase_add_test(tc, waiting_for_it_in_its_own_callback_would_deadlock);
    tcase_add_test(tc, null_arguments_are_named);
    tcase_add_test(tc, each_async_pauses_for_every_future);
    tcase_add_test(tc, a_pause_ends_when_the_future_settles);
    tcase_add_test(tc, a_failure_of_the_future_stops_with_its_error);
    tcase_add_test(tc, cancel_reaches_the_future_that_it_waits_for);
    tcase_add_test(tc, a_dispatcher_that_goes_leaves_that_future_alone);
    tcase_add_test(tc, the_future_of_each_can_not_be_waited_for_by_itself);
}
