/* SPDX-License-Identifier: Apache-2.0 */
/* test_chain.c - chain, recover, finally: who runs, what is passed on, what a
 * cancel or a closed dispatcher does at each stage.
 *
 *   waiting --> ready --> (fn) --> inner --> settled
 *
 * waiting: the source is pending.  ready: it has settled and the dispatcher
 * has not come to it.  inner: the future that fn returned is pending. */
#include "tests/futures/support.h"

#include <stdio.h>
#include <string.h>

enum { CHAIN, RECOVER, FINALLY, KINDS };

static compose_fn *const kinds[KINDS] = {
    stator_future_chain, stator_future_recover, stator_future_finally};

/* Loop tests run over all pairs of a kind and a settled state. */
enum { KINDS_BY_STATES = KINDS * 3 };

static int kind_of(int i)
{
    return i / 3;
}

static stator_future_state_t state_of(int i)
{
    return (stator_future_state_t)(STATOR_FUTURE_DONE + i % 3);
}

static bool runs(int i)
{
    bool done = state_of(i) == STATOR_FUTURE_DONE;

    return kind_of(i) == FINALLY || (kind_of(i) == CHAIN) == done;
}

static void settle_pair(pair_t *pair, stator_future_state_t state, int value)
{
    if (state == STATOR_FUTURE_DONE)
        ck_assert(pair_resolve(pair, value));
    else if (state == STATOR_FUTURE_FAILED)
        ck_assert(pair_fail(pair, value));
    else
        ck_assert(stator_future_cancel(pair->future));
}

static void assert_is(const stator_future_t *future,
                      stator_future_state_t state, int value)
{
    assert_state(future, state);
    if (state == STATOR_FUTURE_DONE)
        assert_done(future, value);
    else if (state == STATOR_FUTURE_FAILED)
        assert_user_error(future, value);
    else
        assert_stator_error(future, STATOR_ERROR_CANCELLED);
}

/* A kind that runs its fn on a source in this state. */
static stator_future_state_t feed_of(int kind)
{
    return kind == RECOVER ? STATOR_FUTURE_FAILED : STATOR_FUTURE_DONE;
}

/* ---- who runs ----------------------------------------------------------- */

START_TEST(fn_runs_by_kind_and_state)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = kinds[kind_of(_i)](p.future, d, link_fn, &link);

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(dispatch_all(d), 0);
    assert_state(f, STATOR_FUTURE_PENDING);
    settle_pair(&p, state_of(_i), 31);
    ck_assert_int_eq(link.ran, 0);
    settle_on(d, f);
    ck_assert_int_eq(link.ran, runs(_i));
    if (runs(_i))
        ck_assert_int_eq((int)link.state, (int)state_of(_i));
    assert_is(f, state_of(_i), 31);
    dispatch_all(d);
    ck_assert_int_eq(link.ran, runs(_i));
    stator_future_unref(f);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(fn_on_a_settled_source_is_never_inline)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_in(state_of(_i), 32);
    link_t link = {0};
    stator_future_t *f = kinds[kind_of(_i)](source, d, link_fn, &link);

    stator_future_unref(source);
    ck_assert_int_eq(link.ran, 0);
    settle_on(d, f);
    ck_assert_int_eq(link.ran, runs(_i));
    assert_is(f, state_of(_i), 32);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(composed_takes_the_inner_one)
{
    stator_future_state_t inner_state = state_of(_i);
    int kind = kind_of(_i);
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_in(feed_of(kind), 33);
    link_t link = {.give = future_in(inner_state, 34)};
    stator_future_t *f = kinds[kind](source, d, link_fn, &link);

    settle_on(d, f);
    ck_assert_int_eq(link.ran, 1);
    if (kind == FINALLY && inner_state == STATOR_FUTURE_DONE)
        assert_is(f, STATOR_FUTURE_DONE, 33); /* its value is ignored */
    else
        assert_is(f, inner_state, 34);
    stator_future_unref(f);
    stator_future_unref(source);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(composed_waits_for_a_pending_inner_one)
{
    stator_future_state_t inner_state = state_of(_i);
    int kind = kind_of(_i);
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_in(feed_of(kind), 35);
    pair_t inner = pair_new();
    link_t link = {.give = stator_future_ref(inner.future)};
    stator_future_t *f = kinds[kind](source, d, link_fn, &link);

    stator_future_unref(source);
    ck_assert_int_eq(stator_dispatcher_run_until(d, f, 0), -ETIMEDOUT);
    ck_assert_int_ge(dispatch_all(d), 0);
    ck_assert_int_eq(link.ran, 1);
    assert_state(f, STATOR_FUTURE_PENDING);
    settle_pair(&inner, inner_state, 36);
    settle_on(d, f);
    if (kind == FINALLY && inner_state == STATOR_FUTURE_DONE)
        assert_is(f, STATOR_FUTURE_DONE, 35);
    else
        assert_is(f, inner_state, 36);
    pair_free(&inner);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(finally_keeps_the_first_failure)
{
    stator_future_state_t inner_state = state_of(_i);
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_failed(37);
    link_t link = {.give = future_in(inner_state, 38)};
    stator_future_t *f = stator_future_finally(source, d, link_fn, &link);

    stator_future_unref(source);
    settle_on(d, f);
    ck_assert_int_eq(link.ran, 1);
    assert_user_error(f, 37);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(null_arguments_fail_the_future)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_done(1), *f[4];
    link_t link = {0};

    f[0] = kinds[_i](NULL, d, link_fn, &link);
    f[1] = kinds[_i](source, NULL, link_fn, &link);
    f[2] = kinds[_i](source, d, NULL, &link);
    f[3] = kinds[_i](NULL, NULL, NULL, NULL);
    for (int i = 0; i < 4; i++) {
        ck_assert_ptr_nonnull(f[i]);
        assert_state(f[i], STATOR_FUTURE_FAILED);
        assert_stator_error(f[i], STATOR_ERROR_ARGUMENT);
        stator_future_unref(f[i]);
    }
    ck_assert_int_eq(dispatch_all(d), 0);
    ck_assert_int_eq(link.ran, 0);
    stator_future_unref(source);
    stator_dispatcher_unref(d);
}
END_TEST

static stator_future_t *count_null(stator_future_t *future, void *arg)
{
    static atomic_int ran;

    (void)future;
    ck_assert_ptr_null(arg);
    atomic_fetch_add(&ran, 1);
    return NULL;
}

START_TEST(null_arg_is_fine)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_in(feed_of(_i), 1);
    stator_future_t *f = kinds[_i](source, d, count_null, NULL);

    settle_on(d, f);
    assert_is(f, feed_of(_i), 1);
    stator_future_unref(f);
    stator_future_unref(source);
    stator_dispatcher_unref(d);
}
END_TEST

/* ---- values ------------------------------------------------------------- */

static stator_future_t *add_one(stator_future_t *future, void *arg)
{
    (void)arg;
    return future_done(document_value(future) + 1);
}

START_TEST(values_go_down_a_chain)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1), *next;

    for (int i = 0; i < 50; i++) {
        next = stator_future_chain(f, d, add_one, NULL);
        stator_future_unref(f);
        f = next;
    }
    settle_on(d, f);
    assert_done(f, 51);
    ck_assert_int_eq(stator_future_count(f), 1);
    ck_assert_int_eq((int)stator_future_outcome(f), (int)STATOR_ANSWERED);
    ck_assert_int_eq((int)stator_future_phase(f), (int)STATOR_PHASE_DONE);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(failure_jumps_to_recover)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t skipped[2] = {{0}}, rescue = {.give = future_done(70)},
           last = {0};
    stator_future_t *a = stator_future_chain(p.future, d, link_fn,
                                             &skipped[0]);
    stator_future_t *b = stator_future_chain(a, d, link_fn, &skipped[1]);
    stator_future_t *c = stator_future_recover(b, d, link_fn, &rescue);
    stator_future_t *e = stator_future_chain(c, d, link_fn, &last);

    ck_assert(pair_fail(&p, 71));
    settle_on(d, e);
    assert_user_error(a, 71);
    assert_user_error(b, 71);
    assert_done(e, 70);
    ck_assert_int_eq(skipped[0].ran + skipped[1].ran, 0);
    ck_assert_int_eq((int)rescue.state, (int)STATOR_FUTURE_FAILED);
    ck_assert_int_eq(last.value, 70);
    stator_future_unref(a);
    stator_future_unref(b);
    stator_future_unref(c);
    stator_future_unref(e);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(result_outlives_its_source)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = kinds[_i](p.future, d, link_fn, &link);
    stator_future_state_t state =
        _i == RECOVER ? STATOR_FUTURE_FAILED : STATOR_FUTURE_DONE;

    settle_pair(&p, state, 72);
    pair_free(&p);
    settle_on(d, f);
    stator_dispatcher_unref(d);
    assert_is(f, state, 72);
    stator_future_unref(f);
}
END_TEST

START_TEST(dropped_promise_goes_down_the_chain)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = stator_future_chain(p.future, d, link_fn, &link);

    pair_free(&p);
    settle_on(d, f);
    ck_assert_int_eq(link.ran, 0);
    assert_state(f, STATOR_FUTURE_FAILED);
    assert_stator_error(f, STATOR_ERROR_CLOSED);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(unref_of_a_composed_one_cancels_nothing)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new(), inner = pair_new();
    link_t link = {.give = stator_future_ref(inner.future)};

    settle_pair(&p, feed_of(_i), 1);
    stator_future_unref(kinds[_i](p.future, d, link_fn, &link));
    dispatch_all(d);
    ck_assert_int_eq(link.ran, 1);
    ck_assert(!stator_promise_cancelled(p.promise));
    ck_assert(!stator_promise_cancelled(inner.promise));
    ck_assert(pair_resolve(&inner, 2));
    dispatch_all(d);
    pair_free(&p);
    pair_free(&inner);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(two_dispatchers_take_turns)
{
    stator_dispatcher_t *d1 = dispatcher_new(), *d2 = dispatcher_new();
    stator_future_t *source = future_done(1);
    link_t first = {.give = future_done(2)}, second = {0};
    stator_future_t *a = stator_future_chain(source, d1, link_fn, &first);
    stator_future_t *b = stator_future_chain(a, d2, link_fn, &second);

    ck_assert_int_eq(dispatch_all(d2), 0);
    ck_assert_int_eq(first.ran, 0);
    settle_on(d1, a);
    ck_assert_int_eq(second.ran, 0);
    assert_state(b, STATOR_FUTURE_PENDING);
    dispatch_all(d1);
    assert_state(b, STATOR_FUTURE_PENDING);
    settle_on(d2, b);
    ck_assert_int_eq(second.value, 2);
    assert_done(b, 2);
    stator_future_unref(a);
    stator_future_unref(b);
    stator_future_unref(source);
    stator_dispatcher_unref(d1);
    stator_dispatcher_unref(d2);
}
END_TEST

/* ---- circles ------------------------------------------------------------ */

typedef struct circle {
    stator_future_t *target; /* lent */
    int ran;
} circle_t;

static stator_future_t *give_target(stator_future_t *future, void *arg)
{
    circle_t *circle = arg;

    (void)future;
    circle->ran++;
    return stator_future_ref(circle->target);
}

START_TEST(inner_one_may_be_the_source)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_in(feed_of(_i), 51);
    circle_t circle = {.target = source};
    stator_future_t *f = kinds[_i](source, d, give_target, &circle);

    settle_on(d, f);
    ck_assert_int_eq(circle.ran, 1);
    assert_is(f, feed_of(_i), 51);
    stator_future_unref(f);
    stator_future_unref(source);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(waiting_for_itself_is_a_deadlock_error)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    circle_t circle = {0};
    stator_future_t *f = kinds[_i](p.future, d, give_target, &circle);

    circle.target = f;
    settle_pair(&p, feed_of(_i), 1);
    settle_on(d, f);
    assert_state(f, STATOR_FUTURE_FAILED);
    assert_stator_error(f, STATOR_ERROR_DEADLOCK);
    stator_future_unref(f);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(waiting_for_each_other_is_a_deadlock_error)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    circle_t circles[3] = {{0}};
    stator_future_t *f[3];

    for (int i = 0; i < 3; i++)
        f[i] = stator_future_chain(p.future, d, give_target, &circles[i]);
    for (int i = 0; i < 3; i++)
        circles[i].target = f[(i + 1) % 3];
    ck_assert(pair_resolve(&p, 1));
    for (int i = 0; i < 3; i++) {
        settle_on(d, f[i]);
        assert_state(f[i], STATOR_FUTURE_FAILED);
        assert_stator_error(f[i], STATOR_ERROR_DEADLOCK);
        ck_assert_int_eq(circles[i].ran, 1);
    }
    for (int i = 0; i < 3; i++)
        stator_future_unref(f[i]);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

static combine_fn *const combiners[] = {
    stator_future_all, stator_future_any, stator_future_race,
    stator_future_settled};

/* Through a combinator a circle need not be noticed, but it must hang nothing
 * and a cancel must take it apart, with nothing left over. */
START_TEST(circle_through_a_combinator_can_be_cancelled)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    circle_t circle = {0};
    stator_future_t *f = stator_future_chain(p.future, d, give_target,
                                             &circle);

    circle.target = combiners[_i](&f, 1);
    ck_assert(pair_resolve(&p, 1));
    dispatch_all(d);
    ck_assert_int_eq(circle.ran, 1);
    if (stator_future_poll(f) == STATOR_FUTURE_PENDING)
        ck_assert(stator_future_cancel(f));
    dispatch_all(d);
    ck_assert_int_ne((int)stator_future_poll(f), (int)STATOR_FUTURE_PENDING);
    ck_assert_int_ne((int)stator_future_poll(circle.target),
                     (int)STATOR_FUTURE_PENDING);
    stator_future_unref(circle.target);
    stator_future_unref(f);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

/* ---- the dispatcher goes ------------------------------------------------ */

START_TEST(closed_while_waiting)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = kinds[_i](p.future, d, link_fn, &link);

    stator_dispatcher_unref(d);
    assert_state(f, STATOR_FUTURE_FAILED);
    assert_stator_error(f, STATOR_ERROR_CLOSED);
    ck_assert(!stator_promise_cancelled(p.promise));
    ck_assert(pair_resolve(&p, 1));
    assert_stator_error(f, STATOR_ERROR_CLOSED);
    ck_assert_int_eq(link.ran, 0);
    stator_future_unref(f);
    pair_free(&p);
}
END_TEST

START_TEST(closed_while_ready)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = kinds[_i](p.future, d, link_fn, &link);

    settle_pair(&p, feed_of(_i), 1);
    pair_free(&p);
    stator_dispatcher_unref(d);
    assert_state(f, STATOR_FUTURE_FAILED);
    assert_stator_error(f, STATOR_ERROR_CLOSED);
    ck_assert_int_eq(link.ran, 0);
    stator_future_unref(f);
}
END_TEST

/* fn has run: what is left needs no dispatcher any more. */
START_TEST(closed_while_inner)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_in(feed_of(_i), 61);
    pair_t inner = pair_new();
    link_t link = {.give = stator_future_ref(inner.future)};
    stator_future_t *f = kinds[_i](source, d, link_fn, &link);

    dispatch_all(d);
    ck_assert_int_eq(link.ran, 1);
    stator_dispatcher_unref(d);
    ck_assert(pair_resolve(&inner, 62));
    ck_assert_int_eq(stator_future_wait(f, PATIENCE_MS), 0);
    assert_done(f, _i == FINALLY ? 61 : 62);
    stator_future_unref(f);
    stator_future_unref(source);
    pair_free(&inner);
}
END_TEST

/* Where fn would not have run anyway, the state may have been passed on. */
START_TEST(closed_while_passing_on_never_stays_pending)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = stator_future_recover(p.future, d, link_fn, &link);

    ck_assert(pair_resolve(&p, 63));
    stator_dispatcher_unref(d);
    if (stator_future_poll(f) == STATOR_FUTURE_DONE) {
        assert_done(f, 63);
    } else {
        assert_state(f, STATOR_FUTURE_FAILED);
        assert_stator_error(f, STATOR_ERROR_CLOSED);
    }
    ck_assert_int_eq(link.ran, 0);
    stator_future_unref(f);
    pair_free(&p);
}
END_TEST

START_TEST(closing_fails_a_whole_chain)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t links[20] = {{0}};
    stator_future_t *f[21];

    f[0] = stator_future_ref(p.future);
    for (int i = 0; i < 20; i++)
        f[i + 1] = kinds[i % KINDS](f[i], d, link_fn, &links[i]);
    stator_dispatcher_unref(d);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(links[i].ran, 0);
        assert_state(f[i + 1], STATOR_FUTURE_FAILED);
        assert_stator_error(f[i + 1], STATOR_ERROR_CLOSED);
        stator_future_unref(f[i + 1]);
    }
    stator_future_unref(f[0]);
    pair_free(&p);
}
END_TEST

typedef struct leaver {
    stator_dispatcher_t *dispatcher;
    stator_future_t *composed;
    stator_future_t *give;
    int ran;
} leaver_t;

static stator_future_t *drop_all(stator_future_t *future, void *arg)
{
    leaver_t *leaver = arg;

    (void)future;
    leaver->ran++;
    stator_future_unref(leaver->composed);
    stator_dispatcher_unref(leaver->dispatcher);
    return leaver->give;
}

START_TEST(fn_may_drop_dispatcher_and_composed_one)
{
    stator_future_t *source = future_in(feed_of(_i), 1);
    pair_t inner = pair_new();
    leaver_t leaver = {.dispatcher = dispatcher_new(),
                       .give = stator_future_ref(inner.future)};

    leaver.composed =
        kinds[_i](source, leaver.dispatcher, drop_all, &leaver);
    ck_assert_int_eq(stator_dispatcher_dispatch(leaver.dispatcher, 0), 1);
    ck_assert_int_eq(leaver.ran, 1);
    pair_resolve(&inner, 2);
    pair_free(&inner);
    stator_future_unref(source);
}
END_TEST

static stator_future_t *drop_dispatcher(stator_future_t *future, void *arg)
{
    leaver_t *leaver = arg;

    (void)future;
    leaver->ran++;
    stator_dispatcher_unref(leaver->dispatcher);
    return leaver->give;
}

static void then_close(stator_future_t *future, void *arg)
{
    (void)future;
    stator_dispatcher_unref(arg);
}

/* Ready, and behind the continuation that closes the dispatcher. */
START_TEST(closed_in_the_dispatch_that_would_have_run_it)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_in(feed_of(_i), 1), *f[100];
    link_t link = {0};

    ck_assert_int_eq(stator_future_then(source, d, then_close, d), 0);
    for (int i = 0; i < 100; i++)
        f[i] = kinds[_i](source, d, link_fn, &link);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    ck_assert_int_eq(link.ran, 0);
    for (int i = 0; i < 100; i++) {
        assert_state(f[i], STATOR_FUTURE_FAILED);
        assert_stator_error(f[i], STATOR_ERROR_CLOSED);
        stator_future_unref(f[i]);
    }
    stator_future_unref(source);
}
END_TEST

START_TEST(fn_that_closes_still_settles_its_own)
{
    stator_future_t *source = future_in(feed_of(_i), 64);
    pair_t inner = pair_new();
    leaver_t leaver = {.dispatcher = dispatcher_new(),
                       .give = stator_future_ref(inner.future)};
    stator_future_t *f =
        kinds[_i](source, leaver.dispatcher, drop_dispatcher, &leaver);

    ck_assert_int_eq(stator_dispatcher_dispatch(leaver.dispatcher, 0), 1);
    ck_assert_int_eq(leaver.ran, 1);
    ck_assert(pair_resolve(&inner, 65));
    assert_done(f, _i == FINALLY ? 64 : 65);
    stator_future_unref(f);
    stator_future_unref(source);
    pair_free(&inner);
}
END_TEST

/* ---- cancel ------------------------------------------------------------- */

START_TEST(cancel_while_waiting)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t link = {0};
    stator_future_t *f = kinds[_i](p.future, d, link_fn, &link);

    ck_assert(stator_future_cancel(f));
    assert_state(f, STATOR_FUTURE_CANCELLED);
    assert_stator_error(f, STATOR_ERROR_CANCELLED);
    assert_state(p.future, STATOR_FUTURE_CANCELLED);
    ck_assert(stator_promise_cancelled(p.promise));
    ck_assert(stator_future_cancel(f));
    dispatch_all(d);
    if (_i == CHAIN)
        ck_assert_int_eq(link.ran, 0);
    if (_i == FINALLY)
        ck_assert_int_eq(link.ran, 1);
    assert_state(f, STATOR_FUTURE_CANCELLED);
    stator_future_unref(f);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(cancel_while_ready)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_in(feed_of(_i), 1);
    link_t link = {0};
    stator_future_t *f = kinds[_i](source, d, link_fn, &link);

    ck_assert(stator_future_cancel(f));
    assert_state(f, STATOR_FUTURE_CANCELLED);
    assert_is(source, feed_of(_i), 1);
    dispatch_all(d);
    ck_assert_int_eq(link.ran, _i == FINALLY);
    assert_state(f, STATOR_FUTURE_CANCELLED);
    stator_future_unref(f);
    stator_future_unref(source);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(cancel_while_inner)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_in(feed_of(_i), 1);
    pair_t inner = pair_new();
    link_t link = {.give = stator_future_ref(inner.future)};
    stator_future_t *f = kinds[_i](source, d, link_fn, &link);

    dispatch_all(d);
    ck_assert_int_eq(link.ran, 1);
    ck_assert(stator_future_cancel(f));
    assert_state(f, STATOR_FUTURE_CANCELLED);
    ck_assert(stator_promise_cancelled(inner.promise));
    dispatch_all(d);
    ck_assert_int_eq(link.ran, 1);
    stator_future_unref(f);
    stator_future_unref(source);
    pair_free(&inner);
    stator_dispatcher_unref(d);
}
END_TEST

/* A clean-up that has been begun is not cut short. */
START_TEST(cancel_while_cleaning_up)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_done(1);
    pair_t inner = pair_new();
    link_t link = {.give = stator_future_ref(inner.future)};
    stator_future_t *f = stator_future_finally(source, d, link_fn, &link);

    dispatch_all(d);
    ck_assert_int_eq(link.ran, 1);
    ck_assert(stator_future_cancel(f));
    assert_state(f, STATOR_FUTURE_CANCELLED);
    ck_assert(!stator_promise_cancelled(inner.promise));
    ck_assert(pair_resolve(&inner, 2));
    dispatch_all(d);
    assert_state(f, STATOR_FUTURE_CANCELLED);
    stator_future_unref(f);
    stator_future_unref(source);
    pair_free(&inner);
    stator_dispatcher_unref(d);
}
END_TEST

typedef struct canceller {
    stator_future_t *composed;
    stator_future_t *give;
    bool cancelled;
    int ran;
} canceller_t;

static stator_future_t *cancel_composed(stator_future_t *future, void *arg)
{
    canceller_t *canceller = arg;

    (void)future;
    canceller->ran++;
    canceller->cancelled = stator_future_cancel(canceller->composed);
    return canceller->give;
}

START_TEST(cancel_from_within_fn)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_in(feed_of(_i), 1);
    pair_t inner = pair_new();
    canceller_t canceller = {.give = stator_future_ref(inner.future)};
    stator_future_t *f = kinds[_i](source, d, cancel_composed, &canceller);

    canceller.composed = f;
    dispatch_all(d);
    ck_assert_int_eq(canceller.ran, 1);
    ck_assert(canceller.cancelled);
    assert_state(f, STATOR_FUTURE_CANCELLED);
    /* Nobody waits for it any more; but a clean-up goes on. */
    ck_assert_int_eq(stator_promise_cancelled(inner.promise), _i != FINALLY);
    pair_resolve(&inner, 2);
    dispatch_all(d);
    assert_state(f, STATOR_FUTURE_CANCELLED);
    stator_future_unref(f);
    stator_future_unref(source);
    pair_free(&inner);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(cancel_after_settling_is_false)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *source = future_in(feed_of(_i), 66);
    link_t link = {0};
    stator_future_t *f = kinds[_i](source, d, link_fn, &link);

    settle_on(d, f);
    ck_assert(!stator_future_cancel(f));
    assert_is(f, feed_of(_i), 66);
    stator_future_unref(f);
    stator_future_unref(source);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(cancel_of_the_source_goes_down)
{
    stator_dispatcher_t *d = dispatcher_new();
    pair_t p = pair_new();
    link_t links[3] = {{0}};
    stator_future_t *a = stator_future_chain(p.future, d, link_fn, &links[0]);
    stator_future_t *b = stator_future_chain(a, d, link_fn, &links[1]);
    stator_future_t *c = stator_future_chain(p.future, d, link_fn, &links[2]);

    /* Cancelling one of two that wait for it cancels what both wait for. */
    ck_assert(stator_future_cancel(b));
    assert_state(b, STATOR_FUTURE_CANCELLED);
    assert_state(a, STATOR_FUTURE_CANCELLED);
    assert_state(p.future, STATOR_FUTURE_CANCELLED);
    settle_on(d, c);
    assert_state(c, STATOR_FUTURE_CANCELLED);
    dispatch_all(d);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(links[i].ran, 0);
    stator_future_unref(a);
    stator_future_unref(b);
    stator_future_unref(c);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

SUITE(chain)
{
    tcase_add_loop_test(tc, fn_runs_by_kind_and_state, 0, KINDS_BY_STATES);
    tcase_add_loop_test(tc, fn_on_a_settled_source_is_never_inline, 0,
                        KINDS_BY_STATES);
    tcase_add_loop_test(tc, composed_takes_the_inner_one, 0, KINDS_BY_STATES);
    tcase_add_loop_test(tc, composed_waits_for_a_pending_inner_one, 0,
                        KINDS_BY_STATES);
    tcase_add_loop_test(tc, finally_keeps_the_first_failure, 0, 3);
    tcase_add_loop_test(tc, null_arguments_fail_the_future, 0, KINDS);
    tcase_add_loop_test(tc, null_arg_is_fine, 0, KINDS);

    TCase *values = suite_case("chain_values");
    tcase_add_test(values, values_go_down_a_chain);
    tcase_add_test(values, failure_jumps_to_recover);
    tcase_add_loop_test(values, result_outlives_its_source, 0, KINDS);
    tcase_add_test(values, dropped_promise_goes_down_the_chain);
    tcase_add_loop_test(values, unref_of_a_composed_one_cancels_nothing, 0,
                        KINDS);
    tcase_add_test(values, two_dispatchers_take_turns);

    TCase *circles = suite_case("chain_circles");
    tcase_add_loop_test(circles, inner_one_may_be_the_source, 0, KINDS);
    tcase_add_loop_test(circles, waiting_for_itself_is_a_deadlock_error, 0,
                        KINDS);
    tcase_add_test(circles, waiting_for_each_other_is_a_deadlock_error);
    tcase_add_loop_test(circles, circle_through_a_combinator_can_be_cancelled,
                        0, 4);

    TCase *closing = suite_case("chain_closing");
    tcase_add_loop_test(closing, closed_while_waiting, 0, KINDS);
    tcase_add_loop_test(closing, closed_while_ready, 0, KINDS);
    tcase_add_loop_test(closing, closed_while_inner, 0, KINDS);
    tcase_add_test(closing, closed_while_passing_on_never_stays_pending);
    tcase_add_test(closing, closing_fails_a_whole_chain);
    tcase_add_loop_test(closing, fn_may_drop_dispatcher_and_composed_one, 0,
                        KINDS);
    tcase_add_loop_test(closing, closed_in_the_dispatch_that_would_have_run_it,
                        0, KINDS);
    tcase_add_loop_test(closing, fn_that_closes_still_settles_its_own, 0,
                        KINDS);

    TCase *cancel = suite_case("chain_cancel");
    tcase_add_loop_test(cancel, cancel_while_waiting, 0, KINDS);
    tcase_add_loop_test(cancel, cancel_while_ready, 0, KINDS);
    tcase_add_loop_test(cancel, cancel_while_inner, CHAIN, FINALLY);
    tcase_add_test(cancel, cancel_while_cleaning_up);
    tcase_add_loop_test(cancel, cancel_from_within_fn, 0, KINDS);
    tcase_add_loop_test(cancel, cancel_after_settling_is_false, 0, KINDS);
    tcase_add_test(cancel, cancel_of_the_source_goes_down);
}
