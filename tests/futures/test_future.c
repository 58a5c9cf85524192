/* SPDX-License-Identifier: Apache-2.0 */
/* test_future.c - one future: its state, its result, cancel, references. */
#include "tests/futures/support.h"

#include <string.h>

/* ---- state and getters -------------------------------------------------- */

static void assert_no_result(const stator_future_t *future)
{
    ck_assert_ptr_null(stator_future_document(future));
    ck_assert_ptr_null(stator_future_document_at(future, 0));
    ck_assert_int_eq(stator_future_count(future), 0);
}

START_TEST(pending_has_nothing_to_show)
{
    pair_t p = pair_new();
    bson_error_t error = {.domain = 7, .code = 8, .message = "mine"};

    assert_state(p.future, STATOR_FUTURE_PENDING);
    ck_assert(!stator_future_error(p.future, &error));
    ck_assert_uint_eq(error.domain, 7);
    ck_assert_uint_eq(error.code, 8);
    ck_assert_str_eq(error.message, "mine");
    ck_assert_ptr_null(stator_future_reply(p.future));
    assert_no_result(p.future);
    ck_assert(!stator_future_has_error_label(p.future, "x"));
    ck_assert_int_eq((int)stator_future_origin(p.future),
                     (int)STATOR_ORIGIN_NONE);
    ck_assert_int_eq((int)stator_future_phase(p.future),
                     (int)STATOR_PHASE_QUEUED);
    ck_assert_int_eq((int)stator_future_outcome(p.future),
                     (int)STATOR_NOT_SENT);
    pair_free(&p);
}
END_TEST

START_TEST(done_shows_document_and_reply)
{
    stator_future_t *f = future_done(42);
    bson_error_t error = {.domain = 7, .code = 8, .message = "mine"};

    assert_done(f, 42);
    ck_assert_int_eq(stator_future_count(f), 1);
    ck_assert_ptr_eq(stator_future_document_at(f, 0),
                     stator_future_document(f));
    ck_assert_ptr_null(stator_future_document_at(f, 1));
    ck_assert_ptr_null(stator_future_document_at(f, SIZE_MAX));
    ck_assert(!stator_future_error(f, &error));
    ck_assert_uint_eq(error.domain, 7);
    ck_assert_str_eq(error.message, "mine");
    ck_assert_int_eq((int)stator_future_origin(f), (int)STATOR_ORIGIN_NONE);
    ck_assert_int_eq((int)stator_future_phase(f), (int)STATOR_PHASE_DONE);
    ck_assert_int_eq((int)stator_future_outcome(f), (int)STATOR_ANSWERED);
    stator_future_unref(f);
}
END_TEST

START_TEST(done_may_have_no_document)
{
    pair_t p = pair_new();

    ck_assert(stator_promise_resolve(p.promise, NULL, NULL));
    assert_state(p.future, STATOR_FUTURE_DONE);
    assert_no_result(p.future);
    ck_assert_ptr_null(stator_future_reply(p.future));
    pair_free(&p);
}
END_TEST

START_TEST(empty_document_is_a_document)
{
    pair_t p = pair_new();
    bson_t empty = BSON_INITIALIZER;

    ck_assert(stator_promise_resolve(p.promise, &empty, NULL));
    ck_assert_ptr_nonnull(stator_future_document(p.future));
    ck_assert_uint_eq(stator_future_document(p.future)->len, 5);
    ck_assert_int_eq(stator_future_count(p.future), 1);
    bson_destroy(&empty);
    pair_free(&p);
}
END_TEST

START_TEST(failed_shows_error_and_reply)
{
    stator_future_t *f = future_failed(5);

    assert_user_error(f, 5);
    assert_no_result(f);
    ck_assert(stator_future_error(f, NULL));
    stator_future_unref(f);
}
END_TEST

START_TEST(failed_without_a_reply_was_not_sent)
{
    pair_t p = pair_new();
    bson_error_t error;

    bson_set_error(&error, 1000, 1, "no reply");
    ck_assert(stator_promise_fail(p.promise, &error, NULL));
    ck_assert_ptr_null(stator_future_reply(p.future));
    ck_assert_int_eq((int)stator_future_phase(p.future),
                     (int)STATOR_PHASE_QUEUED);
    ck_assert_int_eq((int)stator_future_outcome(p.future),
                     (int)STATOR_NOT_SENT);
    pair_free(&p);
}
END_TEST

START_TEST(cancelled_shows_an_error)
{
    stator_future_t *f = future_cancelled();

    assert_stator_error(f, STATOR_ERROR_CANCELLED);
    assert_no_result(f);
    ck_assert_ptr_null(stator_future_reply(f));
    ck_assert_int_eq((int)stator_future_outcome(f), (int)STATOR_NOT_SENT);
    stator_future_unref(f);
}
END_TEST

static const struct {
    uint32_t domain;
    stator_origin_t origin;
} origins[] = {
    {STATOR_ERROR_DOMAIN, STATOR_ORIGIN_STATOR},
    {1, STATOR_ORIGIN_DRIVER},
    {15, STATOR_ORIGIN_DRIVER},
    {16, STATOR_ORIGIN_SERVER},
    {17, STATOR_ORIGIN_SERVER},
    {18, STATOR_ORIGIN_DRIVER},
    {20, STATOR_ORIGIN_DRIVER},
    {21, STATOR_ORIGIN_USER},
    {0, STATOR_ORIGIN_USER},
    {UINT32_MAX, STATOR_ORIGIN_USER},
};

START_TEST(origin_follows_the_domain)
{
    pair_t p = pair_new();
    bson_error_t error;

    bson_set_error(&error, origins[_i].domain, 3, "of %u", origins[_i].domain);
    ck_assert(stator_promise_fail(p.promise, &error, NULL));
    ck_assert_int_eq((int)stator_future_origin(p.future),
                     (int)origins[_i].origin);
    memset(&error, 0, sizeof error);
    ck_assert(stator_future_error(p.future, &error));
    ck_assert_uint_eq(error.domain, origins[_i].domain);
    ck_assert_uint_eq(error.code, 3);
    pair_free(&p);
}
END_TEST

static stator_future_t *failed_with_reply(bson_t *reply)
{
    pair_t p = pair_new();
    bson_error_t error;

    bson_set_error(&error, 17, 11600, "labelled");
    ck_assert(stator_promise_fail(p.promise, &error, reply));
    bson_destroy(reply);
    stator_promise_unref(p.promise);
    return p.future;
}

START_TEST(labels_are_read_from_the_reply)
{
    stator_future_t *f = failed_with_reply(BCON_NEW(
        "ok", BCON_DOUBLE(0), "errorLabels", "[", "RetryableWriteError",
        BCON_INT32(5), "Transient", "]"));

    ck_assert(stator_future_has_error_label(f, "RetryableWriteError"));
    ck_assert(stator_future_has_error_label(f, "Transient"));
    ck_assert(!stator_future_has_error_label(f, "TransientTransactionError"));
    ck_assert(!stator_future_has_error_label(f, "Transien"));
    ck_assert(!stator_future_has_error_label(f, "transient"));
    ck_assert(!stator_future_has_error_label(f, ""));
    ck_assert(!stator_future_has_error_label(f, NULL));
    stator_future_unref(f);
}
END_TEST

START_TEST(labels_of_the_wrong_type_are_none)
{
    stator_future_t *f =
        failed_with_reply(BCON_NEW("errorLabels", BCON_UTF8("Transient")));

    ck_assert(!stator_future_has_error_label(f, "Transient"));
    stator_future_unref(f);

    f = failed_with_reply(BCON_NEW("errorLabels", BCON_NULL));
    ck_assert(!stator_future_has_error_label(f, "Transient"));
    stator_future_unref(f);

    f = failed_with_reply(BCON_NEW("ok", BCON_INT32(0)));
    ck_assert(!stator_future_has_error_label(f, "Transient"));
    stator_future_unref(f);
}
END_TEST

START_TEST(null_future_is_no_crash)
{
    ck_assert_int_eq((int)stator_future_poll(NULL),
                     (int)STATOR_FUTURE_FAILED);
    ck_assert_int_eq(stator_future_wait(NULL, -1), EINVAL);
    ck_assert(!stator_future_cancel(NULL));
    ck_assert(!stator_future_has_error_label(NULL, "x"));
    ck_assert_ptr_null(stator_future_reply(NULL));
    assert_no_result(NULL);
    ck_assert_ptr_null(stator_future_ref(NULL));
    stator_future_unref(NULL);
    (void)stator_future_error(NULL, NULL);
    (void)stator_future_origin(NULL);
    (void)stator_future_phase(NULL);
    ck_assert_int_ne((int)stator_future_outcome(NULL), (int)STATOR_ANSWERED);
}
END_TEST

START_TEST(result_lives_until_the_last_unref)
{
    stator_future_t *f = future_done(9);
    const bson_t *document = stator_future_document(f);
    const bson_t *reply = stator_future_reply(f);

    ck_assert_ptr_eq(stator_future_ref(f), f);
    stator_future_unref(f);
    ck_assert_ptr_eq(stator_future_document(f), document);
    ck_assert_ptr_eq(stator_future_reply(f), reply);
    assert_done(f, 9);
    stator_future_unref(f);
}
END_TEST

/* ---- cancel ------------------------------------------------------------- */

START_TEST(cancel_settles_at_once)
{
    pair_t p = pair_new();

    ck_assert(stator_future_cancel(p.future));
    assert_state(p.future, STATOR_FUTURE_CANCELLED);
    ck_assert_int_eq(stator_future_wait(p.future, -1), 0);
    ck_assert(stator_promise_cancelled(p.promise));
    pair_free(&p);
}
END_TEST

START_TEST(second_cancel_is_true_too)
{
    pair_t p = pair_new();

    ck_assert(stator_future_cancel(p.future));
    ck_assert(stator_future_cancel(p.future));
    assert_stator_error(p.future, STATOR_ERROR_CANCELLED);
    pair_free(&p);
}
END_TEST

START_TEST(cancel_after_settling_changes_nothing)
{
    stator_future_t *done = future_done(1);
    stator_future_t *failed = future_failed(2);

    ck_assert(!stator_future_cancel(done));
    assert_done(done, 1);
    ck_assert(!stator_future_cancel(failed));
    assert_user_error(failed, 2);
    stator_future_unref(done);
    stator_future_unref(failed);
}
END_TEST

START_TEST(cancel_runs_continuations_later)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_then(p.future, d, probe_then, &probe), 0);
    ck_assert(stator_future_cancel(p.future));
    ck_assert_int_eq(probe.ran, 0);
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_int_eq(probe.ran, 1);
    ck_assert_int_eq((int)probe.state, (int)STATOR_FUTURE_CANCELLED);
    pair_free(&p);
    ck_assert_int_eq(dispatch_all(d), 0);
    stator_dispatcher_unref(d);
}
END_TEST

/* ---- detached ----------------------------------------------------------- */

START_TEST(dropped_future_can_still_be_settled)
{
    pair_t p = pair_new();

    stator_future_unref(p.future);
    ck_assert(pair_resolve(&p, 1));
    p.future = stator_promise_future(p.promise);
    assert_done(p.future, 1);
    pair_free(&p);
}
END_TEST

START_TEST(unref_cancels_nothing)
{
    pair_t p = pair_new();

    stator_future_unref(p.future);
    ck_assert(!stator_promise_cancelled(p.promise));
    p.future = stator_promise_future(p.promise);
    assert_state(p.future, STATOR_FUTURE_PENDING);
    pair_free(&p);
}
END_TEST

SUITE(future)
{
    tcase_add_test(tc, pending_has_nothing_to_show);
    tcase_add_test(tc, done_shows_document_and_reply);
    tcase_add_test(tc, done_may_have_no_document);
    tcase_add_test(tc, empty_document_is_a_document);
    tcase_add_test(tc, failed_shows_error_and_reply);
    tcase_add_test(tc, failed_without_a_reply_was_not_sent);
    tcase_add_test(tc, cancelled_shows_an_error);
    tcase_add_loop_test(tc, origin_follows_the_domain, 0,
                        (int)(sizeof origins / sizeof origins[0]));
    tcase_add_test(tc, labels_are_read_from_the_reply);
    tcase_add_test(tc, labels_of_the_wrong_type_are_none);
    tcase_add_test(tc, null_future_is_no_crash);
    tcase_add_test(tc, result_lives_until_the_last_unref);
    tcase_add_test(tc, cancel_settles_at_once);
    tcase_add_test(tc, second_cancel_is_true_too);
    tcase_add_test(tc, cancel_after_settling_changes_nothing);
    tcase_add_test(tc, cancel_runs_continuations_later);

    TCase *detached = suite_case("future_detached");
    tcase_add_test(detached, dropped_future_can_still_be_settled);
    tcase_add_test(detached, unref_cancels_nothing);
}
