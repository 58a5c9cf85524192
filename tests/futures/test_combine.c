/* SPDX-License-Identifier: Apache-2.0 */
/* test_combine.c - all, any, race, settled: who decides, what is taken over,
 * who is cancelled, what is given back. */
#include "tests/futures/support.h"

#include <stdio.h>
#include <string.h>

enum { ALL, ANY, RACE, SETTLED, COMBINERS };

static combine_fn *const combiners[COMBINERS] = {
    stator_future_all, stator_future_any, stator_future_race,
    stator_future_settled};

enum { CROWD = 10000 };

static void pairs_new(pair_t *pairs, stator_future_t **futures, int n)
{
    for (int i = 0; i < n; i++) {
        pairs[i] = pair_new();
        futures[i] = pairs[i].future;
    }
}

static void pairs_free(pair_t *pairs, int n)
{
    for (int i = 0; i < n; i++)
        pair_free(&pairs[i]);
}

/* ---- edges ----------------------------------------------------------- */

START_TEST(none_at_all)
{
    stator_future_t *nobody[1] = {NULL};
    stator_future_t *f = combiners[_i](nobody, 0);

    ck_assert_ptr_nonnull(f);
    if (_i == ALL || _i == SETTLED) {
        assert_state(f, STATOR_FUTURE_DONE);
    } else {
        assert_state(f, STATOR_FUTURE_FAILED);
        assert_stator_error(f, STATOR_ERROR_ARGUMENT);
    }
    stator_future_unref(f);
}
END_TEST

START_TEST(null_array_or_member_fails)
{
    pair_t p = pair_new();
    stator_future_t *members[3] = {p.future, p.future, p.future}, *f;

    f = combiners[_i](NULL, 3);
    assert_state(f, STATOR_FUTURE_FAILED);
    assert_stator_error(f, STATOR_ERROR_ARGUMENT);
    stator_future_unref(f);
    for (int i = 0; i < 3; i++) {
        members[i] = NULL;
        f = combiners[_i](members, 3);
        ck_assert_ptr_nonnull(f);
        assert_state(f, STATOR_FUTURE_FAILED);
        assert_stator_error(f, STATOR_ERROR_ARGUMENT);
        stator_future_unref(f);
        members[i] = p.future;
    }
    assert_state(p.future, STATOR_FUTURE_PENDING);
    pair_free(&p);
}
END_TEST

START_TEST(one_alone)
{
    pair_t p = pair_new();
    stator_future_t *f = combiners[_i](&p.future, 1);

    assert_state(f, STATOR_FUTURE_PENDING);
    ck_assert(pair_resolve(&p, 3));
    assert_state(f, STATOR_FUTURE_DONE);
    if (_i == ANY || _i == RACE)
        assert_done(f, 3);
    stator_future_unref(f);
    pair_free(&p);
}
END_TEST

START_TEST(same_one_many_times)
{
    pair_t p = pair_new();
    stator_future_t *members[4] = {p.future, p.future, p.future, p.future};
    stator_future_t *f = combiners[_i](members, 4);

    assert_state(f, STATOR_FUTURE_PENDING);
    ck_assert(pair_resolve(&p, 4));
    assert_state(f, STATOR_FUTURE_DONE);
    assert_done(p.future, 4);
    stator_future_unref(f);
    pair_free(&p);

    p = pair_new();
    for (int i = 0; i < 4; i++)
        members[i] = p.future;
    f = combiners[_i](members, 4);
    ck_assert(pair_fail(&p, 5));
    if (_i == SETTLED)
        assert_state(f, STATOR_FUTURE_DONE);
    else
        assert_user_error(f, 5);
    assert_user_error(p.future, 5);
    stator_future_unref(f);
    pair_free(&p);
}
END_TEST

START_TEST(settled_already)
{
    stator_future_t *members[2] = {future_done(1), future_done(1)};
    stator_future_t *f = combiners[_i](members, 2);

    assert_state(f, STATOR_FUTURE_DONE); /* needs no dispatcher */
    if (_i == ANY || _i == RACE)
        assert_done(f, 1);
    stator_future_unref(f);
    stator_future_unref(members[0]);
    stator_future_unref(members[1]);
}
END_TEST

START_TEST(failed_already)
{
    pair_t p = pair_new();
    stator_future_t *members[2] = {p.future, future_failed(6)};
    stator_future_t *f = combiners[_i](members, 2);

    if (_i == ALL || _i == RACE)
        assert_user_error(f, 6);
    else
        assert_state(f, STATOR_FUTURE_PENDING);
    assert_state(p.future, _i == RACE ? STATOR_FUTURE_CANCELLED
                                      : STATOR_FUTURE_PENDING);
    stator_future_unref(f);
    stator_future_unref(members[1]);
    pair_free(&p);
}
END_TEST

START_TEST(array_is_only_borrowed)
{
    pair_t pairs[3];
    stator_future_t *members[3], *f;

    pairs_new(pairs, members, 3);
    f = combiners[_i](members, 3);
    memset(members, 0xff, sizeof members);
    for (int i = 0; i < 3; i++) {
        stator_future_unref(pairs[i].future); /* its own must do */
        pairs[i].future = NULL;
    }
    for (int i = 0; i < 3; i++)
        pair_resolve(&pairs[i], 7);
    assert_state(f, STATOR_FUTURE_DONE);
    if (_i == ANY || _i == RACE)
        assert_done(f, 7);
    stator_future_unref(f);
    pairs_free(pairs, 3);
}
END_TEST

/* ---- who decides ----------------------------------------------------- */

START_TEST(all_needs_every_one)
{
    static const int order[4] = {2, 0, 3, 1};
    pair_t pairs[4];
    stator_future_t *members[4], *f;

    pairs_new(pairs, members, 4);
    f = stator_future_all(members, 4);
    for (int i = 0; i < 4; i++) {
        assert_state(f, STATOR_FUTURE_PENDING);
        ck_assert(pair_resolve(&pairs[order[i]], i));
    }
    assert_state(f, STATOR_FUTURE_DONE);
    ck_assert_int_eq((int)stator_future_outcome(f), (int)STATOR_ANSWERED);
    stator_future_unref(f);
    pairs_free(pairs, 4);
}
END_TEST

START_TEST(all_fails_with_the_first_in_time)
{
    pair_t pairs[4];
    stator_future_t *members[4], *f;

    pairs_new(pairs, members, 4);
    f = stator_future_all(members, 4);
    ck_assert(pair_resolve(&pairs[0], 1));
    ck_assert(pair_fail(&pairs[3], 13));
    assert_user_error(f, 13);
    ck_assert(!stator_promise_cancelled(pairs[1].promise));
    ck_assert(pair_fail(&pairs[1], 11));
    ck_assert(pair_resolve(&pairs[2], 2)); /* the rest go on */
    assert_user_error(f, 13);
    stator_future_unref(f);
    pairs_free(pairs, 4);
}
END_TEST

START_TEST(any_is_done_with_the_first_done)
{
    pair_t pairs[4];
    stator_future_t *members[4], *f;

    pairs_new(pairs, members, 4);
    f = stator_future_any(members, 4);
    ck_assert(pair_fail(&pairs[0], 10));
    ck_assert(stator_future_cancel(pairs[1].future));
    assert_state(f, STATOR_FUTURE_PENDING);
    ck_assert(pair_resolve(&pairs[3], 23));
    assert_done(f, 23);
    ck_assert(!stator_promise_cancelled(pairs[2].promise));
    ck_assert(pair_resolve(&pairs[2], 22));
    assert_done(f, 23);
    stator_future_unref(f);
    pairs_free(pairs, 4);
}
END_TEST

START_TEST(any_fails_with_the_last_failure)
{
    static const int order[3] = {1, 2, 0};
    pair_t pairs[3];
    stator_future_t *members[3], *f;

    pairs_new(pairs, members, 3);
    f = stator_future_any(members, 3);
    for (int i = 0; i < 3; i++) {
        assert_state(f, STATOR_FUTURE_PENDING);
        ck_assert(pair_fail(&pairs[order[i]], 30 + order[i]));
    }
    assert_user_error(f, 30);
    stator_future_unref(f);
    pairs_free(pairs, 3);
}
END_TEST

START_TEST(race_settles_as_the_first)
{
    stator_future_state_t state = (stator_future_state_t)_i;
    pair_t pairs[4];
    stator_future_t *members[4], *f;

    pairs_new(pairs, members, 4);
    f = stator_future_race(members, 4);
    if (state == STATOR_FUTURE_DONE)
        ck_assert(pair_resolve(&pairs[2], 32));
    else if (state == STATOR_FUTURE_FAILED)
        ck_assert(pair_fail(&pairs[2], 32));
    else
        ck_assert(stator_future_cancel(pairs[2].future));
    assert_state(f, state);
    if (state == STATOR_FUTURE_DONE)
        assert_done(f, 32);
    else if (state == STATOR_FUTURE_FAILED)
        assert_user_error(f, 32);
    else
        assert_stator_error(f, STATOR_ERROR_CANCELLED);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(stator_promise_cancelled(pairs[i].promise),
                         i != 2 || state == STATOR_FUTURE_CANCELLED);
        if (i != 2)
            assert_state(members[i], STATOR_FUTURE_CANCELLED);
    }
    stator_future_unref(f);
    pairs_free(pairs, 4);
}
END_TEST

START_TEST(race_among_the_settled_takes_one_of_them)
{
    pair_t p = pair_new();
    stator_future_t *members[3] = {p.future, future_done(41), future_done(42)};
    stator_future_t *f = stator_future_race(members, 3);
    int value;

    assert_state(f, STATOR_FUTURE_DONE);
    value = document_value(f);
    ck_assert(value == 41 || value == 42);
    ck_assert_int_eq(reply_value(f), value);
    assert_state(p.future, STATOR_FUTURE_CANCELLED);
    assert_done(members[1], 41);
    assert_done(members[2], 42);
    stator_future_unref(f);
    stator_future_unref(members[1]);
    stator_future_unref(members[2]);
    pair_free(&p);
}
END_TEST

START_TEST(settled_is_done_however_they_end)
{
    pair_t pairs[4];
    stator_future_t *members[4], *f;

    pairs_new(pairs, members, 4);
    f = stator_future_settled(members, 4);
    ck_assert(pair_fail(&pairs[1], 1));
    ck_assert(stator_future_cancel(pairs[3].future));
    ck_assert(pair_resolve(&pairs[0], 1));
    assert_state(f, STATOR_FUTURE_PENDING);
    stator_promise_unref(pairs[2].promise);
    pairs[2].promise = NULL;
    assert_state(f, STATOR_FUTURE_DONE);
    ck_assert(!stator_future_error(f, NULL));
    stator_future_unref(f);
    pairs_free(pairs, 4);
}
END_TEST

START_TEST(cancelled_child_counts_as_a_failure)
{
    pair_t p = pair_new();
    stator_future_t *f = combiners[_i](&p.future, 1);

    ck_assert(stator_future_cancel(p.future));
    if (_i == SETTLED) {
        assert_state(f, STATOR_FUTURE_DONE);
    } else {
        /* It takes the state, too, of the one that decided it. */
        assert_state(f, STATOR_FUTURE_CANCELLED);
        assert_stator_error(f, STATOR_ERROR_CANCELLED);
    }
    stator_future_unref(f);
    pair_free(&p);
}
END_TEST

/* ---- cancel, unref --------------------------------------------------- */

START_TEST(cancel_reaches_every_child)
{
    pair_t pairs[4];
    stator_future_t *members[4], *f;

    pairs_new(pairs, members, 4);
    f = combiners[_i](members, 4);
    if (_i == SETTLED || _i == ALL)
        ck_assert(pair_resolve(&pairs[1], 1));
    ck_assert(stator_future_cancel(f));
    assert_state(f, STATOR_FUTURE_CANCELLED);
    assert_stator_error(f, STATOR_ERROR_CANCELLED);
    for (int i = 0; i < 4; i++) {
        if (i == 1 && (_i == SETTLED || _i == ALL))
            assert_done(members[i], 1);
        else
            ck_assert(stator_promise_cancelled(pairs[i].promise));
    }
    ck_assert(stator_future_cancel(f));
    stator_future_unref(f);
    pairs_free(pairs, 4);
}
END_TEST

START_TEST(cancel_after_deciding_is_false)
{
    pair_t pairs[2];
    stator_future_t *members[2], *f;

    pairs_new(pairs, members, 2);
    f = combiners[_i](members, 2);
    ck_assert(pair_resolve(&pairs[0], 1));
    if (_i == ALL || _i == SETTLED)
        ck_assert(pair_resolve(&pairs[1], 1));
    assert_state(f, STATOR_FUTURE_DONE);
    ck_assert(!stator_future_cancel(f));
    assert_state(f, STATOR_FUTURE_DONE);
    if (_i == ANY)
        assert_state(members[1], STATOR_FUTURE_PENDING);
    stator_future_unref(f);
    pairs_free(pairs, 2);
}
END_TEST

START_TEST(unref_cancels_no_child)
{
    pair_t pairs[3];
    stator_future_t *members[3];

    pairs_new(pairs, members, 3);
    stator_future_unref(combiners[_i](members, 3));
    for (int i = 0; i < 3; i++)
        assert_state(members[i], STATOR_FUTURE_PENDING);
    if (_i == ANY) {
        ck_assert(pair_resolve(&pairs[0], 1));
        assert_state(members[1], STATOR_FUTURE_PENDING);
    }
    pairs_free(pairs, 3);
}
END_TEST

/* What was decided must not keep the results of the others. */
START_TEST(children_that_never_settle_are_given_back)
{
    pair_t pairs[2];
    stator_future_t *members[2], *f;

    pairs_new(pairs, members, 2);
    f = combiners[_i](members, 2);
    ck_assert(_i == ALL ? pair_fail(&pairs[0], 1)
                        : pair_resolve(&pairs[0], 1));
    stator_future_unref(f);
    pairs_free(pairs, 2);
}
END_TEST

START_TEST(continuation_of_a_combined_one)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t pairs[3];
    stator_future_t *members[3], *f;
    probe_t probe = {0};

    pairs_new(pairs, members, 3);
    f = combiners[_i](members, 3);
    ck_assert_int_eq(
        stator_future_then_full(f, d, probe_then, &probe, probe_free), 0);
    stator_future_unref(f); /* detached: it must still come to its end */
    for (int i = 0; i < 3; i++)
        pair_resolve(&pairs[i], i);
    pairs_free(pairs, 3);
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_int_eq(probe.ran, 1);
    ck_assert_int_eq(probe.freed, 1);
    ck_assert_int_eq((int)probe.state, (int)STATOR_FUTURE_DONE);
    stator_dispatcher_unref(d);
}
END_TEST

/* ---- many ------------------------------------------------------------ */

START_TEST(ten_thousand)
{
    static pair_t pairs[CROWD];
    static stator_future_t *members[CROWD];
    stator_future_t *f;

    pairs_new(pairs, members, CROWD);
    f = combiners[_i](members, CROWD);
    for (int i = 0; i < CROWD - 1; i++) {
        if (_i == ALL)
            ck_assert(pair_resolve(&pairs[i], i));
        else if (_i != RACE)
            ck_assert(pair_fail(&pairs[i], i));
        assert_state(f, STATOR_FUTURE_PENDING);
    }
    ck_assert(pair_resolve(&pairs[CROWD - 1], 55));
    assert_state(f, STATOR_FUTURE_DONE);
    if (_i == ANY || _i == RACE)
        assert_done(f, 55);
    if (_i == RACE)
        for (int i = 0; i < CROWD - 1; i++)
            assert_state(members[i], STATOR_FUTURE_CANCELLED);
    stator_future_unref(f);
    pairs_free(pairs, CROWD);
}
END_TEST

START_TEST(ten_thousand_cancelled)
{
    static pair_t pairs[CROWD];
    static stator_future_t *members[CROWD];
    stator_future_t *f;

    pairs_new(pairs, members, CROWD);
    f = combiners[_i](members, CROWD);
    ck_assert(stator_future_cancel(f));
    for (int i = 0; i < CROWD; i++)
        assert_state(members[i], STATOR_FUTURE_CANCELLED);
    stator_future_unref(f);
    pairs_free(pairs, CROWD);
}
END_TEST

/* ---- nesting --------------------------------------------------------- */

START_TEST(nested_combinations)
{
    pair_t pairs[6];
    stator_future_t *members[6], *parts[3], *f;

    pairs_new(pairs, members, 6);
    parts[0] = stator_future_all(&members[0], 2);
    parts[1] = stator_future_any(&members[2], 2);
    parts[2] = stator_future_race(&members[4], 2);
    f = stator_future_all(parts, 3);
    for (int i = 0; i < 3; i++)
        stator_future_unref(parts[i]);
    ck_assert(pair_resolve(&pairs[0], 0));
    ck_assert(pair_fail(&pairs[2], 2));
    ck_assert(pair_resolve(&pairs[4], 4));
    assert_state(members[5], STATOR_FUTURE_CANCELLED);
    ck_assert(pair_resolve(&pairs[3], 3));
    assert_state(f, STATOR_FUTURE_PENDING);
    ck_assert(pair_resolve(&pairs[1], 1));
    assert_state(f, STATOR_FUTURE_DONE);
    stator_future_unref(f);
    pairs_free(pairs, 6);
}
END_TEST

START_TEST(losing_branch_is_cancelled_to_its_leaves)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t fast = pair_new(), slow[2];
    stator_future_t *leaves[2], *branches[2], *all, *f;
    link_t link = {0};

    pairs_new(slow, leaves, 2);
    all = stator_future_all(leaves, 2);
    branches[0] = stator_future_chain(all, d, link_fn, &link);
    branches[1] = fast.future;
    f = stator_future_race(branches, 2);
    ck_assert(pair_resolve(&fast, 9));
    assert_done(f, 9);
    assert_state(branches[0], STATOR_FUTURE_CANCELLED);
    ck_assert(stator_promise_cancelled(slow[0].promise));
    ck_assert(stator_promise_cancelled(slow[1].promise));
    dispatch_all(d);
    ck_assert_int_eq(link.ran, 0);
    stator_future_unref(all);
    stator_future_unref(branches[0]);
    stator_future_unref(f);
    pair_free(&fast);
    pairs_free(slow, 2);
    stator_dispatcher_unref(d);
}
END_TEST

/* DEEP combinators around one promise. */
static stator_future_t *deep(combine_fn *combine, stator_future_t *root)
{
    stator_future_t *f = stator_future_ref(root), *next;

    for (int i = 0; i < DEEP; i++) {
        next = combine(&f, 1);
        stator_future_unref(f);
        f = next;
    }
    return f;
}

typedef struct deep_case {
    combine_fn *combine;
    bool cancel;
} deep_case_t;

static void *deep_main(void *arg)
{
    deep_case_t *c = arg;
    pair_t p = pair_new();
    stator_future_t *f = deep(c->combine, p.future);

    assert_state(f, STATOR_FUTURE_PENDING);
    if (c->cancel) {
        ck_assert(stator_future_cancel(f));
        ck_assert(stator_promise_cancelled(p.promise));
        assert_state(f, STATOR_FUTURE_CANCELLED);
    } else {
        ck_assert(pair_resolve(&p, 1));
        assert_state(f, STATOR_FUTURE_DONE);
    }
    stator_future_unref(f);
    pair_free(&p);
    return NULL;
}

START_TEST(deep_nesting)
{
    deep_case_t c = {combiners[_i % COMBINERS], _i >= COMBINERS};

    run_on_small_stack(deep_main, &c);
}
END_TEST

/* Each level holds the one below twice: 2^60 ways from the top to the root,
 * and 60 futures. */
START_TEST(shared_children_are_not_walked_twice)
{
    pair_t p = pair_new();
    stator_future_t *f = stator_future_ref(p.future), *twice[2];

    for (int i = 0; i < 60; i++) {
        twice[0] = twice[1] = f;
        f = combiners[_i % COMBINERS](twice, 2);
        stator_future_unref(twice[0]);
    }
    assert_state(f, STATOR_FUTURE_PENDING);
    if (_i < COMBINERS) {
        ck_assert(pair_resolve(&p, 1));
        assert_state(f, STATOR_FUTURE_DONE);
    } else {
        ck_assert(stator_future_cancel(f));
        ck_assert(stator_promise_cancelled(p.promise));
    }
    stator_future_unref(f);
    pair_free(&p);
}
END_TEST

SUITE(combine)
{
    tcase_add_loop_test(tc, none_at_all, 0, COMBINERS);
    tcase_add_loop_test(tc, null_array_or_member_fails, 0, COMBINERS);
    tcase_add_loop_test(tc, one_alone, 0, COMBINERS);
    tcase_add_loop_test(tc, same_one_many_times, 0, COMBINERS);
    tcase_add_loop_test(tc, settled_already, 0, COMBINERS);
    tcase_add_loop_test(tc, failed_already, 0, COMBINERS);
    tcase_add_loop_test(tc, array_is_only_borrowed, 0, COMBINERS);

    TCase *decide = suite_case("combine_decide");
    tcase_add_test(decide, all_needs_every_one);
    tcase_add_test(decide, all_fails_with_the_first_in_time);
    tcase_add_test(decide, any_is_done_with_the_first_done);
    tcase_add_test(decide, any_fails_with_the_last_failure);
    tcase_add_loop_test(decide, race_settles_as_the_first, STATOR_FUTURE_DONE,
                        STATOR_FUTURE_CANCELLED + 1);
    tcase_add_test(decide, race_among_the_settled_takes_one_of_them);
    tcase_add_test(decide, settled_is_done_however_they_end);
    tcase_add_loop_test(decide, cancelled_child_counts_as_a_failure, 0,
                        COMBINERS);

    TCase *cancel = suite_case("combine_cancel");
    tcase_add_loop_test(cancel, cancel_reaches_every_child, 0, COMBINERS);
    tcase_add_loop_test(cancel, cancel_after_deciding_is_false, 0, COMBINERS);
    tcase_add_loop_test(cancel, unref_cancels_no_child, 0, COMBINERS);
    tcase_add_loop_test(cancel, children_that_never_settle_are_given_back, 0,
                        COMBINERS);
    tcase_add_loop_test(cancel, continuation_of_a_combined_one, 0, COMBINERS);

    TCase *many = suite_case("combine_many");
    tcase_add_loop_test(many, ten_thousand, 0, COMBINERS);
    tcase_add_loop_test(many, ten_thousand_cancelled, 0, COMBINERS);
    tcase_add_test(many, nested_combinations);
    tcase_add_test(many, losing_branch_is_cancelled_to_its_leaves);
    tcase_add_loop_test(many, deep_nesting, 0, 2 * COMBINERS);
    tcase_add_loop_test(many, shared_children_are_not_walked_twice, 0,
                        2 * COMBINERS);
}
