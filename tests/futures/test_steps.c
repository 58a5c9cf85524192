/* SPDX-License-Identifier: Apache-2.0 */
/* test_steps.c - futures that take steps, and the line they take turns in: see
 * futures/steps.h for what T1 to T5 say. */
#include "futures/steps.h"

#include "tests/futures/support.h"

/* Awaits `n` times the future of `source`, or settled ones; notes its end. */
typedef struct walker {
    struct stf_steps steps; /* first */
    pair_t *source;         /* NULL: what it awaits has settled */
    int n, taken;
    int number;
    int *overs, *n_overs; /* in their order */
    bool *running;        /* T1: of the line */
} walker_t;

static walker_t *walker_of(struct stf_steps *s)
{
    return stf_container_of(s, walker_t, steps);
}

static void walker_release(stator_future_t *f)
{
    stf_steps_destroy(stf_steps_of(f));
}

static const struct stf_kind walker_kind = {
    .cancelled = stf_steps_cancelled,
    .release = walker_release,
};

static stator_future_t *step(struct stf_steps *s, stator_future_t *settled)
{
    walker_t *w = walker_of(s);
    stator_future_t *next = NULL;

    ck_assert_int_eq(settled == NULL, w->taken == 0);
    ck_assert(!*w->running);
    *w->running = true;
    if (settled != NULL && stator_future_poll(settled) != STATOR_FUTURE_DONE)
        stf_settle_as(&s->future, settled);
    else if (w->taken++ < w->n)
        next = w->source == NULL ? future_done(1)
                                 : stator_future_ref(w->source->future);
    else
        stf_settle_code(&s->future, STATOR_FUTURE_DONE, 0, NULL,
                        STATOR_ANSWERED);
    *w->running = false;
    return next;
}

static void over(struct stf_steps *s)
{
    walker_t *w = walker_of(s);

    ck_assert_int_ne(stator_future_poll(&s->future), STATOR_FUTURE_PENDING);
    w->overs[(*w->n_overs)++] = w->number;
}

static int overs[16], n_overs;
static bool running;

static stator_future_t *walk(struct stf_line *line, pair_t *source, int n,
                             int number)
{
    struct stf_steps *s =
        stf_steps_new(&walker_kind, "walker", sizeof(walker_t), step, over);
    walker_t *w = walker_of(s);

    ck_assert_ptr_nonnull(s);
    w->source = source;
    w->n = n;
    w->number = number;
    w->overs = overs;
    w->n_overs = &n_overs;
    w->running = &running;
    stf_steps_start(s, line);
    return &s->future;
}

static void set_up(void)
{
    n_overs = 0;
}

#define ck_state(f, state)                                    \
    do {                                                      \
        ck_assert_int_eq(stator_future_poll(f), (state));     \
        stator_future_unref(f);                               \
    } while (0)

START_TEST(what_has_settled_needs_no_stack)
{
    stator_future_t *f = walk(NULL, NULL, DEEP, 1);

    ck_state(f, STATOR_FUTURE_DONE);
    ck_assert_int_eq(n_overs, 1);
}
END_TEST

START_TEST(the_settling_thread_takes_the_next_step)
{
    pair_t p = pair_new();
    stator_future_t *f = walk(NULL, &p, 3, 1);

    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_PENDING);
    pair_resolve(&p, 1);
    ck_state(f, STATOR_FUTURE_DONE);
    pair_free(&p);
}
END_TEST

START_TEST(a_failure_is_the_steps_to_see)
{
    pair_t p = pair_new();
    stator_future_t *f = walk(NULL, &p, 3, 1);

    pair_fail(&p, 7);
    ck_state(f, STATOR_FUTURE_FAILED);
    ck_assert_int_eq(n_overs, 1);
    pair_free(&p);
}
END_TEST

START_TEST(those_of_a_line_take_turns)
{
    stator_future_t *f[4];
    struct stf_line line;
    pair_t p[4];

    stf_line_init(&line);
    for (int i = 0; i < 4; i++) {
        p[i] = pair_new();
        f[i] = walk(&line, &p[i], 2, i);
    }
    for (int i = 3; i > 0; i--) /* the first holds up all others */
        pair_resolve(&p[i], 1);
    ck_assert_int_eq(n_overs, 0);
    pair_resolve(&p[0], 1);
    ck_assert_int_eq(n_overs, 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(overs[i], i);
        ck_state(f[i], STATOR_FUTURE_DONE);
        pair_free(&p[i]);
    }
    stf_line_destroy(&line);
}
END_TEST

/* It settles at once, and is over in its turn; no step of it is taken. */
START_TEST(one_that_is_cancelled_in_the_line)
{
    stator_future_t *f[3];
    struct stf_line line;
    pair_t p = pair_new();

    stf_line_init(&line);
    for (int i = 0; i < 3; i++)
        f[i] = walk(&line, &p, 1, i);
    ck_assert(stator_future_cancel(f[1]));
    ck_assert_int_eq(n_overs, 0);
    pair_resolve(&p, 1);
    ck_assert_int_eq(n_overs, 3);
    ck_assert_int_eq(overs[1], 1);
    ck_assert_int_eq(walker_of(stf_steps_of(f[1]))->taken, 0);
    ck_state(f[0], STATOR_FUTURE_DONE);
    ck_state(f[1], STATOR_FUTURE_CANCELLED);
    ck_state(f[2], STATOR_FUTURE_DONE);
    stf_line_destroy(&line);
    pair_free(&p);
}
END_TEST

/* With it goes what it awaits, and the next comes on. */
START_TEST(the_one_that_runs_is_cancelled)
{
    stator_future_t *f[2];
    struct stf_line line;
    pair_t p = pair_new();

    stf_line_init(&line);
    f[0] = walk(&line, &p, 1, 0);
    f[1] = walk(&line, NULL, 5, 1);
    ck_assert(stator_future_cancel(f[0]));
    ck_assert_int_eq(stator_future_poll(p.future), STATOR_FUTURE_CANCELLED);
    ck_assert_int_eq(n_overs, 2);
    ck_state(f[0], STATOR_FUTURE_CANCELLED);
    ck_state(f[1], STATOR_FUTURE_DONE);
    stf_line_destroy(&line);
    pair_free(&p);
}
END_TEST

START_TEST(a_whole_line_is_cancelled)
{
    stator_future_t *f[4];
    struct stf_line line;
    pair_t p = pair_new();

    stf_line_init(&line);
    for (int i = 0; i < 4; i++)
        f[i] = walk(&line, &p, 1, i);
    stf_line_cancel(&line);
    ck_assert_int_eq(n_overs, 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(walker_of(stf_steps_of(f[i]))->taken, i == 0);
        ck_state(f[i], STATOR_FUTURE_CANCELLED);
    }
    stf_line_cancel(&line); /* of nothing */
    stf_line_destroy(&line);
    pair_free(&p);
}
END_TEST

/* ---- on several threads ------------------------------------------------- */

typedef struct racer {
    pthread_barrier_t *start;
    pair_t *pair;
    stator_future_t *future; /* to be cancelled, or NULL: settle the pair */
} racer_t;

static void *race(void *arg)
{
    racer_t *r = arg;

    pthread_barrier_wait(r->start);
    if (r->future != NULL)
        stator_future_cancel(r->future);
    else
        pair_resolve(r->pair, 1);
    return NULL;
}

START_TEST(a_cancel_races_with_a_step)
{
    for (int round = 0; round < ROUNDS / 10; round++) {
        pthread_barrier_t barrier;
        struct stf_line line;
        stator_future_t *f[2];
        pthread_t threads[2];
        racer_t racers[2];
        pair_t p = pair_new();

        n_overs = 0;
        stf_line_init(&line);
        f[0] = walk(&line, &p, 2, 0);
        f[1] = walk(&line, NULL, 2, 1);
        pthread_barrier_init(&barrier, NULL, 2);
        for (int i = 0; i < 2; i++) {
            racers[i] = (racer_t){&barrier, &p, i == 0 ? f[0] : NULL};
            ck_assert_int_eq(
                pthread_create(&threads[i], NULL, race, &racers[i]), 0);
        }
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        ck_assert_int_eq(n_overs, 2);
        ck_assert_int_ne(stator_future_poll(f[0]), STATOR_FUTURE_PENDING);
        stator_future_unref(f[0]);
        ck_state(f[1], STATOR_FUTURE_DONE);
        pthread_barrier_destroy(&barrier);
        stf_line_destroy(&line);
        pair_free(&p);
    }
}
END_TEST

SUITE(steps)
{
    tcase_add_checked_fixture(tc, set_up, NULL);
    tcase_add_test(tc, what_has_settled_needs_no_stack);
    tcase_add_test(tc, the_settling_thread_takes_the_next_step);
    tcase_add_test(tc, a_failure_is_the_steps_to_see);
    tcase_add_test(tc, those_of_a_line_take_turns);
    tcase_add_test(tc, one_that_is_cancelled_in_the_line);
    tcase_add_test(tc, the_one_that_runs_is_cancelled);
    tcase_add_test(tc, a_whole_line_is_cancelled);
    tcase_add_test(tc, a_cancel_races_with_a_step);
}
