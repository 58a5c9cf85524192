/* SPDX-License-Identifier: Apache-2.0 */
/* test_race.c - the same future from several threads at the same moment.
 *
 *   before (alone) --> barrier --> lanes, all at once --> barrier --> after
 *
 * Each round counts what must happen exactly once.  The rounds are many, so
 * that every order comes up; a run under ThreadSanitizer is the other half of
 * each of these tests. */
#include "tests/futures/support.h"

#include <sched.h>
#include <string.h>

/* What one round works on; lanes write to slots of their own. */
typedef struct arena {
    stator_dispatcher_t *dispatcher;
    pair_t pair;
    pair_t inner;
    pair_t many[4];
    stator_future_t *source;
    stator_future_t *composed;
    link_t link;
    probe_t probe[4];
    atomic_int next;  /* hands out the members of `many` */
    bool won[4];      /* what settling or cancelling answered */
    int rc[4];
    stator_future_state_t seen[4];
    int value[4];
    int turn; /* the number of the round */
    int total;
} arena_t;

static arena_t arena;

static void arena_clear(void)
{
    int turn = arena.turn + 1, total = arena.total;

    memset(&arena, 0, sizeof arena);
    arena.turn = turn;
    arena.total = total;
}

static void run(int n, lane_fn *before, lane_fn *const *lanes, lane_fn *after)
{
    rally_t rally = {.rounds = ROUNDS,
                     .n = n,
                     .before = before,
                     .after = after,
                     .arg = &arena};

    memset(&arena, 0, sizeof arena);
    for (int i = 0; i < n; i++)
        rally.lanes[i] = lanes[i];
    rally_run(&rally);
    ck_assert_int_eq(arena.turn, ROUNDS);
}

/* ---- lanes -------------------------------------------------------------- */

static void lane_resolve(void *arg)
{
    arena_t *a = arg;

    a->won[0] = pair_resolve(&a->pair, 100);
}

static void lane_fail(void *arg)
{
    arena_t *a = arg;

    a->won[1] = pair_fail(&a->pair, 200);
}

static void lane_cancel(void *arg)
{
    arena_t *a = arg;

    a->won[2] = stator_future_cancel(a->pair.future);
}

static void lane_cancel_composed(void *arg)
{
    arena_t *a = arg;

    a->won[2] = stator_future_cancel(a->composed);
}

static void lane_wait(void *arg)
{
    arena_t *a = arg;

    a->rc[0] = stator_future_wait(a->pair.future, PATIENCE_MS);
    a->seen[0] = stator_future_poll(a->pair.future);
    a->value[0] = document_value(a->pair.future);
}

static void lane_wait_composed(void *arg)
{
    arena_t *a = arg;

    a->rc[1] = stator_future_wait(a->composed, PATIENCE_MS);
    a->seen[1] = stator_future_poll(a->composed);
}

static void lane_attach(void *arg)
{
    arena_t *a = arg;

    a->rc[2] = stator_future_then_full(a->pair.future, a->dispatcher,
                                       probe_then, &a->probe[0], probe_free);
}

static void lane_attach_too(void *arg)
{
    arena_t *a = arg;

    a->rc[3] = stator_future_then_full(a->pair.future, a->dispatcher,
                                       probe_then, &a->probe[1], probe_free);
}

static void lane_unref_future(void *arg)
{
    arena_t *a = arg;

    stator_future_unref(a->pair.future);
}

static void lane_unref_promise(void *arg)
{
    arena_t *a = arg;

    stator_promise_unref(a->pair.promise);
}

static void lane_unref_dispatcher(void *arg)
{
    arena_t *a = arg;

    stator_dispatcher_unref(a->dispatcher);
}

static void lane_dispatch(void *arg)
{
    arena_t *a = arg;

    for (int i = 0; i < 4; i++) {
        if (stator_dispatcher_dispatch(a->dispatcher, 0) < 0)
            a->value[3]++;
        sched_yield();
    }
}

static void lane_poll(void *arg)
{
    arena_t *a = arg;

    for (int i = 0; i < 50; i++) {
        a->seen[3] = stator_future_poll(a->pair.future);
        if (a->seen[3] != STATOR_FUTURE_PENDING)
            break;
    }
    /* Whatever the poll has said, the getters know at least as much. */
    if (a->seen[3] == STATOR_FUTURE_DONE)
        a->value[3] = document_value(a->pair.future) == 100 &&
                      reply_value(a->pair.future) == 100 &&
                      stator_future_count(a->pair.future) == 1;
    else if (a->seen[3] == STATOR_FUTURE_FAILED)
        a->value[3] = error_code(a->pair.future, NULL) == 200 &&
                      stator_future_has_error_label(a->pair.future, "L200");
    else if (a->seen[3] == STATOR_FUTURE_CANCELLED)
        a->value[3] = error_code(a->pair.future, NULL) ==
                      STATOR_ERROR_CANCELLED;
    else
        a->value[3] = 1;
}

/* ---- checks ------------------------------------------------------------- */

static void assert_one_winner(const arena_t *a)
{
    stator_future_state_t state = stator_future_poll(a->pair.future);

    ck_assert_int_eq(a->won[0] + a->won[1] + a->won[2], 1);
    ck_assert_int_eq(a->won[0], state == STATOR_FUTURE_DONE);
    ck_assert_int_eq(a->won[1], state == STATOR_FUTURE_FAILED);
    ck_assert_int_eq(a->won[2], state == STATOR_FUTURE_CANCELLED);
    if (a->won[0])
        assert_done(a->pair.future, 100);
    if (a->won[1])
        assert_user_error(a->pair.future, 200);
}

/* ---- one future --------------------------------------------------------- */

static void before_pair(void *arg)
{
    arena_t *a = arg;

    arena_clear();
    a->pair = pair_new();
}

static void after_winner(void *arg)
{
    arena_t *a = arg;

    assert_one_winner(a);
    pair_free(&a->pair);
}

START_TEST(resolve_fail_cancel)
{
    static lane_fn *const lanes[] = {lane_resolve, lane_fail, lane_cancel};

    run(3, before_pair, lanes, after_winner);
}
END_TEST

static void after_wait(void *arg)
{
    arena_t *a = arg;

    assert_one_winner(a);
    ck_assert_int_eq(a->rc[0], 0);
    ck_assert_int_eq((int)a->seen[0], (int)stator_future_poll(a->pair.future));
    if (a->won[0])
        ck_assert_int_eq(a->value[0], 100);
    pair_free(&a->pair);
}

START_TEST(resolve_wait)
{
    static lane_fn *const lanes[] = {lane_wait, lane_resolve};

    run(2, before_pair, lanes, after_wait);
}
END_TEST

START_TEST(resolve_fail_cancel_wait)
{
    static lane_fn *const lanes[] = {lane_resolve, lane_fail, lane_cancel,
                                     lane_wait};

    run(4, before_pair, lanes, after_wait);
}
END_TEST

static void after_poll(void *arg)
{
    arena_t *a = arg;

    assert_one_winner(a);
    ck_assert_msg(a->value[3], "poll said %d, the getters did not know",
                  (int)a->seen[3]);
    pair_free(&a->pair);
}

START_TEST(resolve_fail_cancel_poll)
{
    static lane_fn *const lanes[] = {lane_resolve, lane_fail, lane_cancel,
                                     lane_poll};

    run(4, before_pair, lanes, after_poll);
}
END_TEST

static void lane_short_wait(void *arg)
{
    arena_t *a = arg;

    a->rc[1] = stator_future_wait(a->pair.future, a->turn % 2);
    a->seen[1] = stator_future_poll(a->pair.future);
}

static void after_short_wait(void *arg)
{
    arena_t *a = arg;

    ck_assert(a->rc[1] == 0 || a->rc[1] == ETIMEDOUT);
    if (a->rc[1] == 0)
        ck_assert_int_eq((int)a->seen[1], (int)STATOR_FUTURE_DONE);
    ck_assert_int_eq(a->rc[0], 0);
    assert_done(a->pair.future, 100);
    pair_free(&a->pair);
}

START_TEST(resolve_short_wait_long_wait)
{
    static lane_fn *const lanes[] = {lane_short_wait, lane_wait, lane_resolve};

    run(3, before_pair, lanes, after_short_wait);
}
END_TEST

static void lane_ref_unref(void *arg)
{
    arena_t *a = arg;

    for (int i = 0; i < 20; i++) {
        stator_future_unref(stator_future_ref(a->pair.future));
        stator_promise_unref(stator_promise_ref(a->pair.promise));
        stator_future_unref(stator_promise_future(a->pair.promise));
    }
}

START_TEST(ref_unref_resolve)
{
    static lane_fn *const lanes[] = {lane_ref_unref, lane_ref_unref,
                                     lane_resolve};

    run(3, before_pair, lanes, after_winner);
}
END_TEST

static void after_nothing_left(void *arg)
{
    (void)arg;
}

/* Both sides let go at the same moment; nothing may be left or freed twice. */
START_TEST(unref_promise_unref_future)
{
    static lane_fn *const lanes[] = {lane_unref_promise, lane_unref_future};

    run(2, before_pair, lanes, after_nothing_left);
}
END_TEST

/* ---- continuations ------------------------------------------------------ */

static void before_dispatcher(void *arg)
{
    arena_t *a = arg;

    arena_clear();
    a->pair = pair_new();
    a->dispatcher = dispatcher_new();
}

static void finish_attached(arena_t *a, int n)
{
    dispatch_all(a->dispatcher);
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(a->rc[2 + i], 0);
        ck_assert_int_eq(a->probe[i].ran, 1);
        ck_assert_int_eq(a->probe[i].freed, 1);
        ck_assert_int_eq(a->probe[i].ran_after_free, 0);
    }
    ck_assert(!readable(stator_dispatcher_fd(a->dispatcher)));
    stator_dispatcher_unref(a->dispatcher);
}

static void after_attach(void *arg)
{
    arena_t *a = arg;

    assert_one_winner(a);
    finish_attached(a, 1);
    pair_free(&a->pair);
}

static void after_attach_two(void *arg)
{
    arena_t *a = arg;

    assert_one_winner(a);
    finish_attached(a, 2);
    pair_free(&a->pair);
}

START_TEST(resolve_attach)
{
    static lane_fn *const lanes[] = {lane_attach, lane_resolve};

    run(2, before_dispatcher, lanes, after_attach);
}
END_TEST

START_TEST(resolve_attach_attach_cancel)
{
    static lane_fn *const lanes[] = {lane_attach, lane_attach_too,
                                     lane_resolve, lane_cancel};

    run(4, before_dispatcher, lanes, after_attach_two);
}
END_TEST

START_TEST(resolve_attach_dispatch)
{
    static lane_fn *const lanes[] = {lane_dispatch, lane_attach, lane_resolve,
                                     lane_cancel};

    run(4, before_dispatcher, lanes, after_attach);
}
END_TEST

START_TEST(fail_attach_wait_dispatch)
{
    static lane_fn *const lanes[] = {lane_dispatch, lane_attach, lane_fail,
                                     lane_wait};

    run(4, before_dispatcher, lanes, after_attach);
}
END_TEST

/* The future's only outside reference goes while it settles; what is attached
 * still runs, with a result to read. */
static void before_attached(void *arg)
{
    arena_t *a = arg;

    before_dispatcher(a);
    a->rc[2] = stator_future_then_full(a->pair.future, a->dispatcher,
                                       probe_then, &a->probe[0], probe_free);
}

static void after_detached(void *arg)
{
    arena_t *a = arg;

    finish_attached(a, 1);
    ck_assert_int_eq((int)a->probe[0].state, (int)STATOR_FUTURE_DONE);
    stator_promise_unref(a->pair.promise);
}

START_TEST(resolve_unref_dispatch)
{
    static lane_fn *const lanes[] = {lane_dispatch, lane_resolve,
                                     lane_unref_future};

    run(3, before_attached, lanes, after_detached);
}
END_TEST

static void after_dropped(void *arg)
{
    arena_t *a = arg;

    assert_state(a->pair.future, a->won[2] ? STATOR_FUTURE_CANCELLED
                                           : STATOR_FUTURE_FAILED);
    assert_stator_error(a->pair.future, a->won[2] ? STATOR_ERROR_CANCELLED
                                                  : STATOR_ERROR_CLOSED);
    finish_attached(a, 1);
    stator_future_unref(a->pair.future);
}

START_TEST(drop_promise_attach_cancel)
{
    static lane_fn *const lanes[] = {lane_attach, lane_unref_promise,
                                     lane_cancel};

    run(3, before_dispatcher, lanes, after_dropped);
}
END_TEST

static void then_unref_pair(stator_future_t *future, void *arg)
{
    arena_t *a = arg;

    a->value[0] = document_value(future);
    stator_future_unref(a->pair.future);
    a->total++;
}

static void before_unref_inside(void *arg)
{
    arena_t *a = arg;

    before_dispatcher(a);
    ck_assert_int_eq(stator_future_then(a->pair.future, a->dispatcher,
                                        then_unref_pair, a),
                     0);
}

static void lane_resolve_and_drop(void *arg)
{
    arena_t *a = arg;

    a->won[0] = pair_resolve(&a->pair, 100);
    stator_promise_unref(a->pair.promise);
}

static void after_unref_inside(void *arg)
{
    arena_t *a = arg;

    dispatch_all(a->dispatcher);
    ck_assert(a->won[0]);
    ck_assert_int_eq(a->value[0], 100);
    ck_assert_int_eq(a->total, a->turn);
    stator_dispatcher_unref(a->dispatcher);
}

START_TEST(resolve_unref_in_the_continuation)
{
    static lane_fn *const lanes[] = {lane_dispatch, lane_resolve_and_drop};

    run(2, before_unref_inside, lanes, after_unref_inside);
}
END_TEST

/* ---- closing ------------------------------------------------------------ */

static void after_closed(void *arg)
{
    arena_t *a = arg;

    assert_one_winner(a);
    ck_assert_int_eq(a->probe[0].ran, 0);
    ck_assert_int_eq(a->probe[0].freed, 1);
    pair_free(&a->pair);
}

START_TEST(resolve_close)
{
    static lane_fn *const lanes[] = {lane_unref_dispatcher, lane_resolve};

    run(2, before_attached, lanes, after_closed);
}
END_TEST

START_TEST(resolve_fail_cancel_close)
{
    static lane_fn *const lanes[] = {lane_unref_dispatcher, lane_resolve,
                                     lane_fail, lane_cancel};

    run(4, before_attached, lanes, after_closed);
}
END_TEST

/* Who attaches holds a reference; whichever goes last, closes. */
static void before_two_references(void *arg)
{
    arena_t *a = arg;

    before_dispatcher(a);
    stator_dispatcher_ref(a->dispatcher);
}

static void lane_attach_and_leave(void *arg)
{
    lane_attach(arg);
    lane_unref_dispatcher(arg);
}

START_TEST(attach_close_resolve)
{
    static lane_fn *const lanes[] = {lane_unref_dispatcher,
                                     lane_attach_and_leave, lane_resolve};

    run(3, before_two_references, lanes, after_closed);
}
END_TEST

static void lane_dispatch_and_leave(void *arg)
{
    arena_t *a = arg;

    stator_dispatcher_dispatch(a->dispatcher, 0);
    stator_dispatcher_unref(a->dispatcher);
}

static void before_dispatch_and_close(void *arg)
{
    arena_t *a = arg;

    before_attached(a);
    stator_dispatcher_ref(a->dispatcher);
}

static void after_dispatch_and_close(void *arg)
{
    arena_t *a = arg;

    assert_one_winner(a);
    ck_assert_int_le(a->probe[0].ran, 1);
    ck_assert_int_eq(a->probe[0].freed, 1);
    ck_assert_int_eq(a->probe[0].ran_after_free, 0);
    pair_free(&a->pair);
}

START_TEST(dispatch_close_resolve)
{
    static lane_fn *const lanes[] = {lane_dispatch_and_leave,
                                     lane_unref_dispatcher, lane_resolve};

    run(3, before_dispatch_and_close, lanes, after_dispatch_and_close);
}
END_TEST

/* ---- two who dispatch --------------------------------------------------- */

static void before_crowd(void *arg)
{
    arena_t *a = arg;

    before_dispatcher(a);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(
            stator_future_then_full(a->pair.future, a->dispatcher, probe_then,
                                    &a->probe[i % 4], probe_free),
            0);
}

static void after_crowd(void *arg)
{
    arena_t *a = arg;

    dispatch_all(a->dispatcher);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(a->probe[i].ran, 5);
        ck_assert_int_eq(a->probe[i].freed, 5);
    }
    ck_assert(!readable(stator_dispatcher_fd(a->dispatcher)));
    stator_dispatcher_unref(a->dispatcher);
    pair_free(&a->pair);
}

static void lane_dispatch_too(void *arg)
{
    arena_t *a = arg;

    for (int i = 0; i < 8; i++)
        if (stator_dispatcher_dispatch(a->dispatcher, 2) < 0)
            a->value[2]++;
}

START_TEST(two_dispatch_at_once)
{
    static lane_fn *const lanes[] = {lane_dispatch, lane_dispatch_too,
                                     lane_resolve};

    run(3, before_crowd, lanes, after_crowd);
}
END_TEST

/* ---- composed ----------------------------------------------------------- */

static void before_chain(void *arg)
{
    arena_t *a = arg;

    before_dispatcher(a);
    a->composed = stator_future_chain(a->pair.future, a->dispatcher, link_fn,
                                      &a->link);
    ck_assert_int_eq(stator_future_then_full(a->composed, a->dispatcher,
                                             probe_then, &a->probe[0],
                                             probe_free),
                     0);
}

static void finish_composed(arena_t *a)
{
    dispatch_all(a->dispatcher);
    ck_assert_int_eq(a->probe[0].ran, 1);
    ck_assert_int_eq(a->probe[0].freed, 1);
    ck_assert_int_eq((int)a->probe[0].state,
                     (int)stator_future_poll(a->composed));
    stator_future_unref(a->composed);
    pair_free(&a->pair);
    stator_dispatcher_unref(a->dispatcher);
}

static void after_chain(void *arg)
{
    arena_t *a = arg;

    dispatch_all(a->dispatcher);
    if (a->won[2]) {
        assert_state(a->composed, STATOR_FUTURE_CANCELLED);
    } else {
        ck_assert(a->won[0]);
        assert_done(a->composed, 100);
        ck_assert_int_eq(a->link.ran, 1);
    }
    ck_assert_int_le(a->link.ran, 1);
    finish_composed(a);
}

START_TEST(chain_resolve_cancel_dispatch)
{
    static lane_fn *const lanes[] = {lane_dispatch, lane_resolve,
                                     lane_cancel_composed};

    run(3, before_chain, lanes, after_chain);
}
END_TEST

static void before_finally(void *arg)
{
    arena_t *a = arg;

    before_dispatcher(a);
    a->composed = stator_future_finally(a->pair.future, a->dispatcher, link_fn,
                                        &a->link);
    ck_assert_int_eq(stator_future_then_full(a->composed, a->dispatcher,
                                             probe_then, &a->probe[0],
                                             probe_free),
                     0);
}

static void after_finally(void *arg)
{
    arena_t *a = arg;

    dispatch_all(a->dispatcher);
    ck_assert_int_eq(a->link.ran, 1); /* whatever happened, exactly once */
    ck_assert_int_eq(stator_future_poll(a->composed) ==
                         STATOR_FUTURE_CANCELLED,
                     a->won[2]);
    finish_composed(a);
}

START_TEST(finally_resolve_cancel_dispatch)
{
    static lane_fn *const lanes[] = {lane_dispatch, lane_resolve,
                                     lane_cancel_composed};

    run(3, before_finally, lanes, after_finally);
}
END_TEST

static void before_inner(void *arg)
{
    arena_t *a = arg;

    before_chain(a);
    a->inner = pair_new();
    a->link.give = stator_future_ref(a->inner.future);
    ck_assert(pair_resolve(&a->pair, 100));
}

static void lane_resolve_inner(void *arg)
{
    arena_t *a = arg;

    a->won[0] = pair_resolve(&a->inner, 300);
}

static void after_inner(void *arg)
{
    arena_t *a = arg;

    dispatch_all(a->dispatcher);
    if (a->won[2]) {
        assert_state(a->composed, STATOR_FUTURE_CANCELLED);
    } else {
        ck_assert(a->won[0]);
        assert_done(a->composed, 300);
    }
    stator_future_unref(a->link.give);
    pair_free(&a->inner);
    finish_composed(a);
}

START_TEST(inner_resolve_cancel_dispatch)
{
    static lane_fn *const lanes[] = {lane_dispatch, lane_resolve_inner,
                                     lane_cancel_composed};

    run(3, before_inner, lanes, after_inner);
}
END_TEST

static void lane_chain(void *arg)
{
    arena_t *a = arg;

    a->composed = stator_future_chain(a->pair.future, a->dispatcher, link_fn,
                                      &a->link);
}

static void after_compose(void *arg)
{
    arena_t *a = arg;

    settle_on(a->dispatcher, a->composed);
    ck_assert_int_eq((int)stator_future_poll(a->composed),
                     (int)stator_future_poll(a->pair.future));
    ck_assert_int_eq(a->link.ran, a->won[0]);
    stator_future_unref(a->composed);
    pair_free(&a->pair);
    stator_dispatcher_unref(a->dispatcher);
}

START_TEST(compose_resolve_cancel)
{
    static lane_fn *const lanes[] = {lane_chain, lane_resolve, lane_cancel};

    run(3, before_dispatcher, lanes, after_compose);
}
END_TEST

static void after_chain_closed(void *arg)
{
    arena_t *a = arg;
    stator_future_state_t state = stator_future_poll(a->composed);

    ck_assert_int_ne((int)state, (int)STATOR_FUTURE_PENDING);
    ck_assert_int_eq(a->won[2], state == STATOR_FUTURE_CANCELLED);
    if (state == STATOR_FUTURE_FAILED)
        assert_stator_error(a->composed, STATOR_ERROR_CLOSED);
    ck_assert_int_eq(a->rc[1], 0);
    ck_assert_int_eq((int)a->seen[1], (int)state);
    ck_assert_int_eq(a->link.ran, 0);
    ck_assert_int_eq(a->probe[0].freed, 1);
    stator_future_unref(a->composed);
    pair_free(&a->pair);
}

START_TEST(chain_close_resolve_cancel_wait)
{
    static lane_fn *const lanes[] = {lane_unref_dispatcher, lane_resolve,
                                     lane_cancel_composed, lane_wait_composed};

    run(4, before_chain, lanes, after_chain_closed);
}
END_TEST

/* ---- combined ----------------------------------------------------------- */

static combine_fn *combine;

static void before_combined(void *arg)
{
    arena_t *a = arg;
    stator_future_t *members[4];

    arena_clear();
    for (int i = 0; i < 4; i++) {
        a->many[i] = pair_new();
        members[i] = a->many[i].future;
    }
    a->composed = combine(members, 4);
    a->pair.future = a->composed;
}

static void lane_resolve_one(void *arg)
{
    arena_t *a = arg;
    int i = atomic_fetch_add(&a->next, 1);

    a->won[i] = pair_resolve(&a->many[i], 400 + i);
}

static void lane_fail_one(void *arg)
{
    arena_t *a = arg;
    int i = atomic_fetch_add(&a->next, 1);

    a->won[i] = pair_fail(&a->many[i], 400 + i);
}

static void free_combined(arena_t *a)
{
    stator_future_unref(a->composed);
    for (int i = 0; i < 4; i++)
        pair_free(&a->many[i]);
}

static void after_race(void *arg)
{
    arena_t *a = arg;
    int value = document_value(a->composed), done = 0;

    assert_state(a->composed, STATOR_FUTURE_DONE);
    ck_assert_int_ge(value, 400);
    ck_assert_int_le(value, 403);
    assert_done(a->many[value - 400].future, value);
    for (int i = 0; i < 4; i++) {
        /* A loser that was quick enough is DONE all the same. */
        if (a->won[i])
            assert_done(a->many[i].future, 400 + i);
        else
            assert_state(a->many[i].future, STATOR_FUTURE_CANCELLED);
        done += a->won[i];
    }
    ck_assert_int_ge(done, 1);
    free_combined(a);
}

static lane_fn *const four_resolve[] = {lane_resolve_one, lane_resolve_one,
                                        lane_resolve_one, lane_resolve_one};

START_TEST(race_of_four)
{
    combine = stator_future_race;
    run(4, before_combined, four_resolve, after_race);
}
END_TEST

static void after_all(void *arg)
{
    arena_t *a = arg;

    assert_state(a->composed, STATOR_FUTURE_DONE);
    free_combined(a);
}

START_TEST(all_of_four)
{
    combine = _i == 0 ? stator_future_all : stator_future_settled;
    run(4, before_combined, four_resolve, after_all);
}
END_TEST

static void after_any(void *arg)
{
    arena_t *a = arg;
    int value = document_value(a->composed);

    assert_state(a->composed, STATOR_FUTURE_DONE);
    ck_assert_int_ge(value, 400);
    ck_assert(a->won[value - 400]);
    assert_done(a->many[value - 400].future, value);
    free_combined(a);
}

static lane_fn *const half_fail[] = {lane_resolve_one, lane_fail_one,
                                     lane_resolve_one, lane_fail_one};

START_TEST(any_of_four)
{
    combine = stator_future_any;
    run(4, before_combined, half_fail, after_any);
}
END_TEST

static void after_all_failed(void *arg)
{
    arena_t *a = arg;
    int code = error_code(a->composed, NULL);

    assert_state(a->composed, STATOR_FUTURE_FAILED);
    ck_assert_int_eq(reply_value(a->composed), code);
    assert_user_error(a->many[code - 400].future, code);
    free_combined(a);
}

START_TEST(all_with_two_failures)
{
    combine = stator_future_all;
    run(4, before_combined, half_fail, after_all_failed);
}
END_TEST

static void after_cancel_combined(void *arg)
{
    arena_t *a = arg;
    stator_future_state_t state = stator_future_poll(a->composed);

    ck_assert_int_ne((int)state, (int)STATOR_FUTURE_PENDING);
    ck_assert_int_eq(a->rc[1], 0);
    ck_assert_int_eq((int)a->seen[1], (int)state);
    if (state == STATOR_FUTURE_CANCELLED) {
        for (int i = 0; i < 4; i++)
            ck_assert_int_ne((int)stator_future_poll(a->many[i].future),
                             (int)STATOR_FUTURE_PENDING);
    } else if (combine == stator_future_race || combine == stator_future_any) {
        assert_state(a->composed, STATOR_FUTURE_DONE);
    }
    for (int i = 0; i < 4; i++)
        pair_resolve(&a->many[i], 1);
    free_combined(a);
}

static void lane_resolve_four(void *arg)
{
    arena_t *a = arg;

    for (int i = 0; i < 4; i++)
        pair_resolve(&a->many[i], 400 + i);
}

static combine_fn *const combiners[] = {
    stator_future_all, stator_future_any, stator_future_race,
    stator_future_settled};

START_TEST(combined_resolve_cancel_wait)
{
    static lane_fn *const lanes[] = {lane_resolve_four, lane_cancel_composed,
                                     lane_wait_composed};

    combine = combiners[_i];
    run(3, before_combined, lanes, after_cancel_combined);
}
END_TEST

static void before_many(void *arg)
{
    arena_t *a = arg;

    arena_clear();
    for (int i = 0; i < 4; i++)
        a->many[i] = pair_new();
}

static void lane_combine(void *arg)
{
    arena_t *a = arg;
    stator_future_t *members[4];

    for (int i = 0; i < 4; i++)
        members[i] = a->many[i].future;
    a->composed = combine(members, 4);
}

static void after_combining(void *arg)
{
    arena_t *a = arg;

    assert_state(a->composed, STATOR_FUTURE_DONE);
    free_combined(a);
}

START_TEST(combine_while_members_settle)
{
    static lane_fn *const lanes[] = {lane_combine, lane_resolve_four};

    combine = combiners[_i];
    run(2, before_many, lanes, after_combining);
}
END_TEST

/* ---- run_until ---------------------------------------------------------- */

static void lane_run_until(void *arg)
{
    arena_t *a = arg;

    a->rc[0] = stator_dispatcher_run_until(a->dispatcher, a->pair.future,
                                           PATIENCE_MS);
    a->value[0] = document_value(a->pair.future);
}

static void after_run_until(void *arg)
{
    arena_t *a = arg;

    ck_assert_int_eq(a->rc[0], 0);
    ck_assert_int_eq(a->value[0], 100);
    stator_dispatcher_unref(a->dispatcher);
    pair_free(&a->pair);
}

START_TEST(run_until_resolve)
{
    static lane_fn *const lanes[] = {lane_run_until, lane_resolve};

    run(2, before_dispatcher, lanes, after_run_until);
}
END_TEST

static void lane_run_until_composed(void *arg)
{
    arena_t *a = arg;

    a->rc[0] = stator_dispatcher_run_until(a->dispatcher, a->composed,
                                           PATIENCE_MS);
}

static void after_run_until_chain(void *arg)
{
    arena_t *a = arg;

    ck_assert_int_eq(a->rc[0], 0);
    after_chain(a);
}

START_TEST(run_until_chain_resolve_cancel)
{
    static lane_fn *const lanes[] = {lane_run_until_composed, lane_resolve,
                                     lane_cancel_composed};

    run(3, before_chain, lanes, after_run_until_chain);
}
END_TEST

SUITE(race)
{
    tcase_add_test(tc, resolve_fail_cancel);
    tcase_add_test(tc, resolve_wait);
    tcase_add_test(tc, resolve_fail_cancel_wait);
    tcase_add_test(tc, resolve_fail_cancel_poll);
    tcase_add_test(tc, resolve_short_wait_long_wait);
    tcase_add_test(tc, ref_unref_resolve);
    tcase_add_test(tc, unref_promise_unref_future);

    TCase *then = suite_case("race_then");
    tcase_add_test(then, resolve_attach);
    tcase_add_test(then, resolve_attach_attach_cancel);
    tcase_add_test(then, resolve_attach_dispatch);
    tcase_add_test(then, fail_attach_wait_dispatch);
    tcase_add_test(then, resolve_unref_dispatch);
    tcase_add_test(then, drop_promise_attach_cancel);
    tcase_add_test(then, resolve_unref_in_the_continuation);
    tcase_add_test(then, two_dispatch_at_once);

    TCase *closing = suite_case("race_closing");
    tcase_add_test(closing, resolve_close);
    tcase_add_test(closing, resolve_fail_cancel_close);
    tcase_add_test(closing, attach_close_resolve);
    tcase_add_test(closing, dispatch_close_resolve);

    TCase *composed = suite_case("race_composed");
    tcase_add_test(composed, chain_resolve_cancel_dispatch);
    tcase_add_test(composed, finally_resolve_cancel_dispatch);
    tcase_add_test(composed, inner_resolve_cancel_dispatch);
    tcase_add_test(composed, compose_resolve_cancel);
    tcase_add_test(composed, chain_close_resolve_cancel_wait);

    TCase *combined = suite_case("race_combined");
    tcase_add_test(combined, race_of_four);
    tcase_add_loop_test(combined, all_of_four, 0, 2);
    tcase_add_test(combined, any_of_four);
    tcase_add_test(combined, all_with_two_failures);
    tcase_add_loop_test(combined, combined_resolve_cancel_wait, 0, 4);
    tcase_add_loop_test(combined, combine_while_members_settle, 0, 4);

    TCase *until = suite_case("race_run_until");
    tcase_add_test(until, run_until_resolve);
    tcase_add_test(until, run_until_chain_resolve_cancel);
}
