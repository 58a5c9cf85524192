/* SPDX-License-Identifier: Apache-2.0 */
/* test_promise.c - the producing side: settles once, copies what it is given,
 * and never leaves anybody waiting. */
#include "tests/futures/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- once ------------------------------------------------------------ */

START_TEST(resolve_is_true_once)
{
    pair_t p = pair_new();

    ck_assert(pair_resolve(&p, 1));
    ck_assert(!pair_resolve(&p, 2));
    ck_assert(!pair_fail(&p, 3));
    assert_done(p.future, 1);
    pair_free(&p);
}
END_TEST

START_TEST(fail_is_true_once)
{
    pair_t p = pair_new();

    ck_assert(pair_fail(&p, 1));
    ck_assert(!pair_fail(&p, 2));
    ck_assert(!pair_resolve(&p, 3));
    assert_user_error(p.future, 1);
    pair_free(&p);
}
END_TEST

START_TEST(settling_after_a_cancel_is_false)
{
    pair_t p = pair_new();

    ck_assert(stator_future_cancel(p.future));
    ck_assert(!pair_resolve(&p, 1));
    ck_assert(!pair_fail(&p, 2));
    assert_state(p.future, STATOR_FUTURE_CANCELLED);
    ck_assert_ptr_null(stator_future_document(p.future));
    ck_assert_ptr_null(stator_future_reply(p.future));
    assert_stator_error(p.future, STATOR_ERROR_CANCELLED);
    pair_free(&p);
}
END_TEST

START_TEST(settling_runs_nothing_inline)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t done = pair_new(), failed = pair_new(), dropped = pair_new();
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_then(done.future, d, probe_then, &probe),
                     0);
    ck_assert_int_eq(stator_future_then(failed.future, d, probe_then, &probe),
                     0);
    ck_assert_int_eq(
        stator_future_then(dropped.future, d, probe_then, &probe), 0);
    ck_assert(pair_resolve(&done, 1));
    ck_assert(pair_fail(&failed, 2));
    pair_free(&done);
    pair_free(&failed);
    pair_free(&dropped);
    ck_assert_int_eq(probe.ran, 0);
    ck_assert_int_eq(dispatch_all(d), 3);
    ck_assert_int_eq(probe.ran, 3);
    stator_dispatcher_unref(d);
}
END_TEST

/* ---- the last reference ---------------------------------------------- */

START_TEST(last_unref_fails_as_closed)
{
    pair_t p = pair_new();

    stator_promise_unref(p.promise);
    assert_state(p.future, STATOR_FUTURE_FAILED);
    assert_stator_error(p.future, STATOR_ERROR_CLOSED);
    stator_future_unref(p.future);
}
END_TEST

START_TEST(earlier_unrefs_settle_nothing)
{
    pair_t p = pair_new();

    ck_assert_ptr_eq(stator_promise_ref(p.promise), p.promise);
    ck_assert_ptr_eq(stator_promise_ref(p.promise), p.promise);
    stator_promise_unref(p.promise);
    stator_promise_unref(p.promise);
    assert_state(p.future, STATOR_FUTURE_PENDING);
    ck_assert(pair_resolve(&p, 8));
    stator_promise_unref(p.promise);
    assert_done(p.future, 8);
    stator_future_unref(p.future);
}
END_TEST

START_TEST(last_unref_leaves_a_settled_one_alone)
{
    pair_t p = pair_new();
    stator_future_t *cancelled = future_cancelled(); /* drops its promise */

    ck_assert(pair_fail(&p, 4));
    stator_promise_unref(p.promise);
    assert_user_error(p.future, 4);
    assert_state(cancelled, STATOR_FUTURE_CANCELLED);
    stator_future_unref(p.future);
    stator_future_unref(cancelled);
}
END_TEST

START_TEST(promise_without_any_future)
{
    stator_promise_t *promise = stator_promise_new();

    stator_promise_unref(promise);

    promise = stator_promise_new();
    ck_assert(stator_promise_resolve(promise, NULL, NULL));
    ck_assert(!stator_promise_resolve(promise, NULL, NULL));
    stator_promise_unref(promise);
}
END_TEST

START_TEST(every_future_of_a_promise_settles)
{
    pair_t p = pair_new();
    stator_future_t *second = stator_promise_future(p.promise), *third;

    ck_assert(pair_resolve(&p, 3));
    third = stator_promise_future(p.promise);
    assert_done(p.future, 3);
    assert_done(second, 3);
    assert_done(third, 3);
    stator_future_unref(second);
    pair_free(&p);
    assert_done(third, 3);
    stator_future_unref(third);
}
END_TEST

/* ---- copies ---------------------------------------------------------- */

START_TEST(results_are_copies)
{
    pair_t p = pair_new();
    uint8_t bytes[] = {12, 0, 0, 0, 0x10, 'x', 0, 21, 0, 0, 0, 0};
    uint8_t more[] = {12, 0, 0, 0, 0x10, 'r', 0, 22, 0, 0, 0, 0};
    bson_t document, reply;

    ck_assert(bson_init_static(&document, bytes, sizeof bytes));
    ck_assert(bson_init_static(&reply, more, sizeof more));
    ck_assert(stator_promise_resolve(p.promise, &document, &reply));
    memset(bytes, 0xff, sizeof bytes);
    memset(more, 0xff, sizeof more);
    memset(&document, 0, sizeof document);
    memset(&reply, 0, sizeof reply);
    ck_assert_int_eq(document_value(p.future), 21);
    ck_assert_int_eq(reply_value(p.future), 22);
    pair_free(&p);
}
END_TEST

START_TEST(errors_are_copies)
{
    pair_t p = pair_new();
    bson_error_t error, out;
    char text[sizeof error.message];

    memset(text, 'e', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error.domain = 2;
    error.code = 3;
    memcpy(error.message, text, sizeof text);
    ck_assert(stator_promise_fail(p.promise, &error, NULL));
    memset(&error, 0, sizeof error);
    ck_assert(stator_future_error(p.future, &out));
    ck_assert_uint_eq(out.domain, 2);
    ck_assert_uint_eq(out.code, 3);
    ck_assert_str_eq(out.message, text);
    pair_free(&p);
}
END_TEST

START_TEST(result_of_one_may_settle_another)
{
    stator_future_t *first = future_done(14);
    pair_t p = pair_new();

    ck_assert(stator_promise_resolve(p.promise, stator_future_document(first),
                                     stator_future_reply(first)));
    stator_future_unref(first);
    assert_done(p.future, 14);
    pair_free(&p);
}
END_TEST

START_TEST(one_document_may_be_both)
{
    pair_t p = pair_new();
    bson_t *both = BCON_NEW("x", BCON_INT32(1), "r", BCON_INT32(2));

    ck_assert(stator_promise_resolve(p.promise, both, both));
    bson_destroy(both);
    ck_assert_int_eq(document_value(p.future), 1);
    ck_assert_int_eq(reply_value(p.future), 2);
    pair_free(&p);
}
END_TEST

/* Around libbson's inline size, pages, and the server's limit of 16 MiB. */
static const uint32_t sizes[] = {100,
                                 113,
                                 128,
                                 129,
                                 4096,
                                 65536,
                                 16 * 1024 * 1024,
                                 17 * 1024 * 1024};

START_TEST(documents_of_any_size_come_through)
{
    uint32_t n = sizes[_i];
    pair_t p = pair_new();
    uint8_t *bytes = malloc(n);
    bson_t document;
    const bson_t *out;

    ck_assert_ptr_nonnull(bytes);
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 24);
    bson_init(&document);
    ck_assert(bson_append_binary(&document, "b", 1, BSON_SUBTYPE_BINARY,
                                 bytes, n));
    ck_assert(stator_promise_resolve(p.promise, &document, NULL));
    out = stator_future_document(p.future);
    ck_assert_ptr_nonnull(out);
    ck_assert(bson_equal(out, &document));
    ck_assert_ptr_ne(bson_get_data(out), bson_get_data(&document));
    bson_destroy(&document);
    free(bytes);
    pair_free(&p);
}
END_TEST

/* ---- bad input ------------------------------------------------------- */

START_TEST(fail_without_an_error_is_closed)
{
    pair_t p = pair_new();
    bson_t *reply = BCON_NEW("r", BCON_INT32(6));

    ck_assert(stator_promise_fail(p.promise, NULL, reply));
    bson_destroy(reply);
    assert_state(p.future, STATOR_FUTURE_FAILED);
    assert_stator_error(p.future, STATOR_ERROR_CLOSED);
    ck_assert_int_eq(reply_value(p.future), 6);
    pair_free(&p);
}
END_TEST

START_TEST(null_promise_is_no_crash)
{
    bson_error_t error = {0};
    stator_future_t *f;

    ck_assert_ptr_null(stator_promise_ref(NULL));
    stator_promise_unref(NULL);
    ck_assert(!stator_promise_resolve(NULL, NULL, NULL));
    ck_assert(!stator_promise_fail(NULL, &error, NULL));
    ck_assert(!stator_promise_cancelled(NULL));
    for (int i = 0; i < 3; i++) {
        f = stator_promise_future(NULL);
        ck_assert_ptr_nonnull(f);
        assert_state(f, STATOR_FUTURE_FAILED);
        assert_stator_error(f, STATOR_ERROR_ARGUMENT);
        stator_future_unref(f);
    }
}
END_TEST

START_TEST(future_of_a_null_promise_is_a_future)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = stator_promise_future(NULL);
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_wait(f, -1), 0);
    ck_assert(!stator_future_cancel(f));
    ck_assert_int_eq(stator_future_then_full(f, d, probe_then, &probe,
                                             probe_free),
                     0);
    stator_future_unref(f);
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_int_eq(probe.ran, 1);
    ck_assert_int_eq(probe.freed, 1);
    stator_dispatcher_unref(d);
}
END_TEST

/* Documents whose outer length is right and whose inside is not. */
static const struct {
    const char *what;
    uint8_t bytes[24];
    uint32_t n;
} corrupt[] = {
    {"a string longer than the document",
     {16, 0, 0, 0, 2, 'x', 0, 99, 0, 0, 0, 'a', 'b', 'c', 0, 0},
     16},
    {"a string of negative length",
     {16, 0, 0, 0, 2, 'x', 0, 0xff, 0xff, 0xff, 0xff, 'a', 'b', 'c', 0, 0},
     16},
    {"a key without its end", {8, 0, 0, 0, 0x0a, 'x', 'y', 0}, 8},
    {"an unknown type", {8, 0, 0, 0, 0x20, 'x', 0, 0}, 8},
    {"an inner document longer than the outer",
     {13, 0, 0, 0, 3, 'x', 0, 77, 0, 0, 0, 0, 0},
     13},
    {"an inner document of length 0",
     {13, 0, 0, 0, 3, 'x', 0, 0, 0, 0, 0, 0, 0},
     13},
    {"a number that is cut off", {10, 0, 0, 0, 0x10, 'x', 0, 1, 2, 0}, 10},
    {"a binary longer than the document",
     {14, 0, 0, 0, 5, 'x', 0, 0x7f, 0xff, 0xff, 0x7f, 0, 1, 0},
     14},
};

enum { N_CORRUPT = sizeof corrupt / sizeof corrupt[0] };

static void corrupt_init(bson_t *document, int i)
{
    ck_assert_msg(
        bson_init_static(document, corrupt[i].bytes, corrupt[i].n), "%s",
        corrupt[i].what);
}

START_TEST(corrupt_document_fails_the_future)
{
    pair_t p = pair_new();
    bson_t bad;

    corrupt_init(&bad, _i);
    ck_assert(stator_promise_resolve(p.promise, &bad, NULL));
    ck_assert_msg(stator_future_poll(p.future) == STATOR_FUTURE_FAILED, "%s",
                  corrupt[_i].what);
    assert_stator_error(p.future, STATOR_ERROR_ARGUMENT);
    ck_assert_ptr_null(stator_future_document(p.future));
    ck_assert(!pair_resolve(&p, 1));
    pair_free(&p);
}
END_TEST

START_TEST(corrupt_reply_fails_the_future)
{
    pair_t p = pair_new();
    bson_t bad;

    corrupt_init(&bad, _i);
    ck_assert(stator_promise_resolve(p.promise, NULL, &bad));
    assert_state(p.future, STATOR_FUTURE_FAILED);
    assert_stator_error(p.future, STATOR_ERROR_ARGUMENT);
    ck_assert_ptr_null(stator_future_reply(p.future));
    pair_free(&p);
}
END_TEST

START_TEST(corrupt_reply_of_a_failure_is_not_lent)
{
    pair_t p = pair_new();
    bson_error_t error;
    bson_t bad;

    corrupt_init(&bad, _i);
    bson_set_error(&error, 17, 1, "with a corrupt reply");
    ck_assert(stator_promise_fail(p.promise, &error, &bad));
    assert_state(p.future, STATOR_FUTURE_FAILED);
    assert_stator_error(p.future, STATOR_ERROR_ARGUMENT);
    ck_assert_ptr_null(stator_future_reply(p.future));
    ck_assert(!stator_future_has_error_label(p.future, "x"));
    pair_free(&p);
}
END_TEST

START_TEST(length_that_lies_fails_the_future)
{
    static const uint8_t lengths[] = {0, 4, 11, 13, 0xff};
    uint8_t bytes[] = {12, 0, 0, 0, 0x10, 'x', 0, 21, 0, 0, 0, 0};
    pair_t p = pair_new();
    bson_t bad;

    ck_assert(bson_init_static(&bad, bytes, sizeof bytes));
    bytes[0] = lengths[_i];
    if (lengths[_i] == 0xff)
        memset(bytes, 0xff, 4);
    ck_assert(stator_promise_resolve(p.promise, &bad, NULL));
    assert_state(p.future, STATOR_FUTURE_FAILED);
    assert_stator_error(p.future, STATOR_ERROR_ARGUMENT);
    pair_free(&p);
}
END_TEST

START_TEST(document_of_no_length_fails_the_future)
{
    pair_t p = pair_new();
    bson_t bad;

    memset(&bad, 0, sizeof bad); /* as after bson_destroy, or never made */
    ck_assert(stator_promise_resolve(p.promise, &bad, NULL));
    assert_state(p.future, STATOR_FUTURE_FAILED);
    assert_stator_error(p.future, STATOR_ERROR_ARGUMENT);
    pair_free(&p);
}
END_TEST

/* ---- cancelled ------------------------------------------------------- */

START_TEST(cancelled_tells_of_a_cancel_alone)
{
    pair_t p = pair_new();

    ck_assert(!stator_promise_cancelled(p.promise));
    ck_assert(pair_resolve(&p, 1));
    ck_assert(!stator_promise_cancelled(p.promise));
    ck_assert(!stator_future_cancel(p.future));
    ck_assert(!stator_promise_cancelled(p.promise));
    pair_free(&p);

    p = pair_new();
    ck_assert(stator_future_cancel(p.future));
    ck_assert(stator_promise_cancelled(p.promise));
    ck_assert(!pair_resolve(&p, 1));
    ck_assert(stator_promise_cancelled(p.promise));
    pair_free(&p);
}
END_TEST

START_TEST(cancelled_outlives_the_future)
{
    pair_t p = pair_new();

    ck_assert(stator_future_cancel(p.future));
    stator_future_unref(p.future);
    ck_assert(stator_promise_cancelled(p.promise));
    stator_promise_unref(p.promise);
}
END_TEST

/* ---- inside a continuation ------------------------------------------- */

static void then_resolve(stator_future_t *future, void *arg)
{
    pair_t *next = arg;

    (void)future;
    ck_assert(pair_resolve(next, 2));
    stator_promise_unref(next->promise);
    next->promise = NULL;
}

START_TEST(settling_in_a_continuation_waits_its_turn)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *first = future_done(1);
    pair_t next = pair_new();
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_then(next.future, d, probe_then, &probe),
                     0);
    ck_assert_int_eq(stator_future_then(first, d, then_resolve, &next), 0);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    ck_assert_int_eq(probe.ran, 0);
    ck_assert(readable(stator_dispatcher_fd(d)));
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    ck_assert_int_eq(probe.ran, 1);
    stator_future_unref(first);
    pair_free(&next);
    stator_dispatcher_unref(d);
}
END_TEST

SUITE(promise)
{
    tcase_add_test(tc, resolve_is_true_once);
    tcase_add_test(tc, fail_is_true_once);
    tcase_add_test(tc, settling_after_a_cancel_is_false);
    tcase_add_test(tc, settling_runs_nothing_inline);
    tcase_add_test(tc, last_unref_fails_as_closed);
    tcase_add_test(tc, earlier_unrefs_settle_nothing);
    tcase_add_test(tc, last_unref_leaves_a_settled_one_alone);
    tcase_add_test(tc, promise_without_any_future);
    tcase_add_test(tc, every_future_of_a_promise_settles);
    tcase_add_test(tc, results_are_copies);
    tcase_add_test(tc, errors_are_copies);
    tcase_add_test(tc, result_of_one_may_settle_another);
    tcase_add_test(tc, one_document_may_be_both);
    tcase_add_loop_test(tc, documents_of_any_size_come_through, 0,
                        (int)(sizeof sizes / sizeof sizes[0]));
    tcase_add_test(tc, cancelled_tells_of_a_cancel_alone);
    tcase_add_test(tc, cancelled_outlives_the_future);
    tcase_add_test(tc, settling_in_a_continuation_waits_its_turn);

    TCase *bad = suite_case("promise_bad_input");
    tcase_add_test(bad, fail_without_an_error_is_closed);
    tcase_add_test(bad, null_promise_is_no_crash);
    tcase_add_test(bad, future_of_a_null_promise_is_a_future);
    tcase_add_loop_test(bad, corrupt_document_fails_the_future, 0, N_CORRUPT);
    tcase_add_loop_test(bad, corrupt_reply_fails_the_future, 0, N_CORRUPT);
    tcase_add_loop_test(bad, corrupt_reply_of_a_failure_is_not_lent, 0,
                        N_CORRUPT);
    tcase_add_loop_test(bad, length_that_lies_fails_the_future, 0, 5);
    tcase_add_test(bad, document_of_no_length_fails_the_future);
}
