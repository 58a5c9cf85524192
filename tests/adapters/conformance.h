/* SPDX-License-Identifier: Apache-2.0 */
/* conformance.h - what every event loop adapter must do, for any loop.
 *
 * A test file describes its loop with the functions declared first, then
 * calls conformance_tests(tc).  The bodies are here: an adapter that needs
 * tests of its own for this would not be one.
 *
 * The loop has, beside its dispatchers, one source of another kind that is
 * ready in every turn.  It counts the turns; that is the only clock. */
#ifndef STATOR_TESTS_CONFORMANCE_H
#define STATOR_TESTS_CONFORMANCE_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stator/dispatcher.h>
#include <stator/promise.h>

#include "tests/harness/suite.h"

/* ---- the loop, by the test file -------------------------------------- */

typedef struct loop loop_t;

static loop_t *loop_new(void);
static void loop_free(loop_t *loop);
static int loop_attach(loop_t *loop, stator_dispatcher_t *dispatcher);
static int loop_detach(stator_dispatcher_t *dispatcher);

/* One turn: the other source, then every dispatcher that is readable. */
static void loop_turn(loop_t *loop);

/* So many turns of the other source have there been. */
static long loop_turns(const loop_t *loop);

/* How many dispatchers the loop itself would still look at. */
static int loop_watched(loop_t *loop);

/* ---- helpers --------------------------------------------------------- */

typedef struct hits {
    loop_t *loop;
    stator_dispatcher_t *dispatcher;
    stator_dispatcher_t *other;
    pthread_t thread;
    atomic_int ran;
    atomic_int freed;
    long turn;    /* the turn that `in_turn` counts in */
    int in_turn;  /* continuations run in it */
    int busiest;  /* the most of any turn */
    int left;     /* rounds to go */
} hits_t;

static void hit(stator_future_t *future, void *arg)
{
    hits_t *hits = arg;

    ck_assert_int_eq(stator_future_poll(future), STATOR_FUTURE_DONE);
    ck_assert(pthread_equal(pthread_self(), hits->thread));
    atomic_fetch_add(&hits->ran, 1);

    if (hits->turn != loop_turns(hits->loop)) {
        hits->turn = loop_turns(hits->loop);
        hits->in_turn = 0;
    }
    if (++hits->in_turn > hits->busiest)
        hits->busiest = hits->in_turn;
}

static void hit_freed(void *arg)
{
    atomic_fetch_add(&((hits_t *)arg)->freed, 1);
}

static stator_dispatcher_t *new_dispatcher(void)
{
    bson_error_t error = {0};
    stator_dispatcher_t *dispatcher = stator_dispatcher_new(&error);

    ck_assert_msg(dispatcher != NULL, "%s", error.message);
    return dispatcher;
}

/* A future that is DONE. */
static stator_future_t *settled(void)
{
    stator_promise_t *promise = stator_promise_new();
    stator_future_t *future = stator_promise_future(promise);

    ck_assert(stator_promise_resolve(promise, NULL, NULL));
    stator_promise_unref(promise);
    return future;
}

/* `n` continuations, ready at the next dispatch. */
static void make_ready(stator_dispatcher_t *dispatcher, stator_then_fn *fn,
                       hits_t *hits, int n)
{
    stator_future_t *future = settled();

    for (int i = 0; i < n; i++)
        ck_assert_int_eq(stator_future_then(future, dispatcher, fn, hits), 0);
    stator_future_unref(future);
}

static void turn_until(loop_t *loop, atomic_int *counter, int n)
{
    while (atomic_load(counter) < n)
        loop_turn(loop);
}

/* Enough for anything that is on its way to arrive. */
static void turn_some(loop_t *loop)
{
    for (int i = 0; i < 10; i++)
        loop_turn(loop);
}

static hits_t hits_of(loop_t *loop, stator_dispatcher_t *dispatcher)
{
    return (hits_t){
        .loop = loop,
        .dispatcher = dispatcher,
        .thread = pthread_self(),
        .turn = -1,
    };
}

/* ---- tests ----------------------------------------------------------- */

static void *resolve_one(void *arg)
{
    ck_assert(stator_promise_resolve(arg, NULL, NULL));
    return NULL;
}

START_TEST(arrives_on_the_loop_thread)
{
    loop_t *loop = loop_new();
    stator_dispatcher_t *dispatcher = new_dispatcher();
    hits_t hits = hits_of(loop, dispatcher);
    stator_promise_t *promise = stator_promise_new();
    stator_future_t *future = stator_promise_future(promise);
    pthread_t other;

    ck_assert_int_eq(loop_attach(loop, dispatcher), 0);
    ck_assert_int_eq(stator_future_then(future, dispatcher, hit, &hits), 0);
    turn_some(loop);
    ck_assert_int_eq(hits.ran, 0);

    ck_assert_int_eq(pthread_create(&other, NULL, resolve_one, promise), 0);
    turn_until(loop, &hits.ran, 1);
    ck_assert_int_eq(pthread_join(other, NULL), 0);
    turn_some(loop);
    ck_assert_int_eq(hits.ran, 1);

    stator_future_unref(future);
    stator_promise_unref(promise);
    stator_dispatcher_unref(dispatcher);
    loop_free(loop);
}
END_TEST

START_TEST(what_was_ready_before_attach_runs)
{
    loop_t *loop = loop_new();
    stator_dispatcher_t *dispatcher = new_dispatcher();
    hits_t hits = hits_of(loop, dispatcher);

    make_ready(dispatcher, hit, &hits, 3);
    ck_assert_int_eq(loop_attach(loop, dispatcher), 0);
    turn_until(loop, &hits.ran, 3);
    turn_some(loop);
    ck_assert_int_eq(hits.ran, 3);

    stator_dispatcher_unref(dispatcher);
    loop_free(loop);
}
END_TEST

START_TEST(two_dispatchers_in_one_loop)
{
    loop_t *loop = loop_new();
    stator_dispatcher_t *one = new_dispatcher();
    stator_dispatcher_t *two = new_dispatcher();
    hits_t ones = hits_of(loop, one);
    hits_t twos = hits_of(loop, two);

    ck_assert_int_eq(loop_attach(loop, one), 0);
    ck_assert_int_eq(loop_attach(loop, two), 0);
    ck_assert_int_eq(loop_watched(loop), 2);

    make_ready(two, hit, &twos, 2);
    turn_until(loop, &twos.ran, 2);
    ck_assert_int_eq(ones.ran, 0);

    make_ready(one, hit, &ones, 300);
    make_ready(two, hit, &twos, 300);
    turn_until(loop, &ones.ran, 300);
    turn_until(loop, &twos.ran, 302);

    ck_assert_int_eq(loop_detach(one), 0);
    make_ready(one, hit, &ones, 1);
    make_ready(two, hit, &twos, 1);
    turn_until(loop, &twos.ran, 303);
    turn_some(loop);
    ck_assert_int_eq(ones.ran, 300);

    stator_dispatcher_unref(one);
    stator_dispatcher_unref(two);
    loop_free(loop);
}
END_TEST

START_TEST(second_attach_is_busy)
{
    loop_t *loop = loop_new();
    loop_t *other = loop_new();
    stator_dispatcher_t *dispatcher = new_dispatcher();
    hits_t hits = hits_of(loop, dispatcher);

    ck_assert_int_eq(loop_attach(loop, dispatcher), 0);
    ck_assert_int_eq(loop_attach(loop, dispatcher), EBUSY);
    ck_assert_int_eq(loop_attach(other, dispatcher), EBUSY);
    ck_assert_int_eq(loop_watched(loop), 1);
    ck_assert_int_eq(loop_watched(other), 0);

    /* the first is as good as before */
    make_ready(dispatcher, hit, &hits, 1);
    turn_until(loop, &hits.ran, 1);

    stator_dispatcher_unref(dispatcher);
    loop_free(other);
    loop_free(loop);
}
END_TEST

START_TEST(detach_silences)
{
    loop_t *loop = loop_new();
    loop_t *other = loop_new();
    stator_dispatcher_t *dispatcher = new_dispatcher();
    hits_t hits = hits_of(loop, dispatcher);

    ck_assert_int_eq(loop_attach(loop, dispatcher), 0);
    make_ready(dispatcher, hit, &hits, 1);
    ck_assert_int_eq(loop_detach(dispatcher), 0);
    ck_assert_int_eq(loop_watched(loop), 0);
    turn_some(loop);
    ck_assert_int_eq(hits.ran, 0);
    ck_assert_int_eq(loop_detach(dispatcher), ENOENT);

    /* nothing is lost: the next loop has it */
    hits.loop = other;
    ck_assert_int_eq(loop_attach(other, dispatcher), 0);
    turn_until(other, &hits.ran, 1);
    turn_some(other);
    turn_some(loop);
    ck_assert_int_eq(hits.ran, 1);

    stator_dispatcher_unref(dispatcher);
    loop_free(other);
    loop_free(loop);
}
END_TEST

START_TEST(detach_of_what_is_not_attached)
{
    stator_dispatcher_t *dispatcher = new_dispatcher();
    uint32_t foreign = 7;

    ck_assert_int_eq(loop_detach(dispatcher), ENOENT);
    ck_assert_int_eq(loop_detach(NULL), ENOENT);

    /* another adapter's state is not ours to take away */
    ck_assert_int_eq(stator_dispatcher_set_adapter(dispatcher, &foreign,
                                                   NULL), 0);
    ck_assert_int_eq(loop_detach(dispatcher), ENOENT);
    ck_assert_ptr_eq(stator_dispatcher_get_adapter(dispatcher), &foreign);

    stator_dispatcher_unref(dispatcher);
}
END_TEST

START_TEST(attach_of_nothing)
{
    loop_t *loop = loop_new();

    ck_assert_int_eq(loop_attach(loop, NULL), EINVAL);
    ck_assert_int_eq(loop_watched(loop), 0);
    loop_free(loop);
}
END_TEST

START_TEST(unref_takes_it_out_of_the_loop)
{
    loop_t *loop = loop_new();
    stator_dispatcher_t *dispatcher = new_dispatcher();

    ck_assert_int_eq(loop_attach(loop, dispatcher), 0);
    ck_assert_int_eq(loop_watched(loop), 1);
    stator_dispatcher_unref(dispatcher);
    ck_assert_int_eq(loop_watched(loop), 0);

    /* the descriptor's number may be given out again at once */
    dispatcher = new_dispatcher();
    ck_assert_int_eq(loop_attach(loop, dispatcher), 0);
    turn_some(loop);
    stator_dispatcher_unref(dispatcher);
    turn_some(loop);
    loop_free(loop);
}
END_TEST

static void hit_and_unref(stator_future_t *future, void *arg)
{
    hits_t *hits = arg;

    hit(future, arg);
    stator_dispatcher_unref(hits->dispatcher);
    stator_dispatcher_unref(hits->other);
}

START_TEST(last_unref_inside_a_continuation)
{
    loop_t *loop = loop_new();
    stator_dispatcher_t *dispatcher = new_dispatcher();
    hits_t hits = hits_of(loop, dispatcher);
    stator_future_t *future = settled();

    ck_assert_int_eq(loop_attach(loop, dispatcher), 0);
    make_ready(dispatcher, hit_and_unref, &hits, 1);
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(stator_future_then_full(future, dispatcher, hit,
                                                 &hits, hit_freed), 0);
    stator_future_unref(future);

    turn_until(loop, &hits.ran, 1);
    turn_some(loop);
    ck_assert_int_eq(hits.ran, 1); /* the 200 never ran */
    ck_assert_int_eq(hits.freed, 200);
    ck_assert_int_eq(loop_watched(loop), 0);
    loop_free(loop);
}
END_TEST

START_TEST(a_continuation_gives_another_dispatcher_back)
{
    loop_t *loop = loop_new();
    stator_dispatcher_t *one = new_dispatcher();
    stator_dispatcher_t *two = new_dispatcher();
    hits_t hits = hits_of(loop, one);

    /* both are readable: whichever comes first takes the other away */
    hits.other = two;
    ck_assert_int_eq(loop_attach(loop, one), 0);
    ck_assert_int_eq(loop_attach(loop, two), 0);
    make_ready(one, hit_and_unref, &hits, 1);
    make_ready(two, hit_and_unref, &hits, 1);

    turn_until(loop, &hits.ran, 1);
    turn_some(loop);
    ck_assert_int_eq(hits.ran, 1);
    ck_assert_int_eq(loop_watched(loop), 0);
    loop_free(loop);
}
END_TEST

static void hit_and_detach(stator_future_t *future, void *arg)
{
    hits_t *hits = arg;

    hit(future, arg);
    ck_assert_int_eq(loop_detach(hits->dispatcher), 0);
}

START_TEST(detach_inside_a_continuation)
{
    loop_t *loop = loop_new();
    stator_dispatcher_t *dispatcher = new_dispatcher();
    hits_t hits = hits_of(loop, dispatcher);

    ck_assert_int_eq(loop_attach(loop, dispatcher), 0);
    make_ready(dispatcher, hit_and_detach, &hits, 1);
    make_ready(dispatcher, hit, &hits, STATOR_DISPATCH_BUDGET);

    /* the turn at hand goes on, another one does not come */
    turn_until(loop, &hits.ran, STATOR_DISPATCH_BUDGET);
    turn_some(loop);
    ck_assert_int_eq(hits.ran, STATOR_DISPATCH_BUDGET);
    ck_assert_int_eq(loop_watched(loop), 0);

    ck_assert_int_eq(loop_attach(loop, dispatcher), 0);
    turn_until(loop, &hits.ran, STATOR_DISPATCH_BUDGET + 1);
    stator_dispatcher_unref(dispatcher);
    loop_free(loop);
}
END_TEST

enum { MANY = 10000 };

typedef struct many {
    hits_t *hits;
    stator_promise_t *promises[MANY];
    int ran[MANY];
} many_t;

typedef struct one_of_many {
    many_t *many;
    int i;
} one_of_many_t;

static void hit_one_of_many(stator_future_t *future, void *arg)
{
    one_of_many_t *one = arg;

    one->many->ran[one->i]++;
    hit(future, one->many->hits);
}

static void *resolve_many(void *arg)
{
    many_t *many = arg;

    for (int i = 0; i < MANY; i++)
        ck_assert(stator_promise_resolve(many->promises[i], NULL, NULL));
    return NULL;
}

START_TEST(ten_thousand_arrive_once_each)
{
    loop_t *loop = loop_new();
    stator_dispatcher_t *dispatcher = new_dispatcher();
    hits_t hits = hits_of(loop, dispatcher);
    many_t *many = calloc(1, sizeof *many);
    pthread_t other;

    ck_assert_ptr_nonnull(many);
    many->hits = &hits;
    ck_assert_int_eq(loop_attach(loop, dispatcher), 0);
    for (int i = 0; i < MANY; i++) {
        one_of_many_t *one = malloc(sizeof *one);
        stator_future_t *future;

        ck_assert_ptr_nonnull(one);
        *one = (one_of_many_t){many, i};
        many->promises[i] = stator_promise_new();
        future = stator_promise_future(many->promises[i]);
        ck_assert_int_eq(stator_future_then_full(
                             future, dispatcher, hit_one_of_many, one, free),
                         0);
        stator_future_unref(future);
    }

    ck_assert_int_eq(pthread_create(&other, NULL, resolve_many, many), 0);
    turn_until(loop, &hits.ran, MANY);
    ck_assert_int_eq(pthread_join(other, NULL), 0);
    turn_some(loop);
    ck_assert_int_eq(hits.ran, MANY);
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(many->ran[i], 1);
        stator_promise_unref(many->promises[i]);
    }

    free(many);
    stator_dispatcher_unref(dispatcher);
    loop_free(loop);
}
END_TEST

/* Attaches itself again: the dispatcher is never done. */
static void hit_and_go_on(stator_future_t *future, void *arg)
{
    hits_t *hits = arg;

    hit(future, arg);
    if (hits->left-- > 0)
        ck_assert_int_eq(stator_future_then(future, hits->dispatcher,
                                            hit_and_go_on, arg), 0);
}

START_TEST(a_flood_leaves_the_loop_its_turns)
{
    enum { READY = 5000, ROUNDS = 20000 };
    loop_t *loop = loop_new();
    stator_dispatcher_t *dispatcher = new_dispatcher();
    hits_t hits = hits_of(loop, dispatcher);

    hits.left = ROUNDS;
    ck_assert_int_eq(loop_attach(loop, dispatcher), 0);
    make_ready(dispatcher, hit_and_go_on, &hits, READY);
    turn_until(loop, &hits.ran, READY + ROUNDS);
    ck_assert_int_le(hits.busiest, STATOR_DISPATCH_BUDGET);
    ck_assert_int_ge(loop_turns(loop),
                     (READY + ROUNDS) / STATOR_DISPATCH_BUDGET);

    stator_dispatcher_unref(dispatcher);
    loop_free(loop);
}
END_TEST

/* An epoll set is shared with the child: what the child gives back must not
 * be taken out of it. */
START_TEST(unref_in_a_child_leaves_the_parent_alone)
{
    loop_t *loop = loop_new();
    stator_dispatcher_t *dispatcher = new_dispatcher();
    hits_t hits = hits_of(loop, dispatcher);
    int status;
    pid_t child;

    ck_assert_int_eq(loop_attach(loop, dispatcher), 0);
    turn_some(loop);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        int failed = loop_detach(dispatcher) != ENOENT;

        stator_dispatcher_unref(dispatcher);
        _exit(failed);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);

    ck_assert_int_eq(loop_watched(loop), 1);
    make_ready(dispatcher, hit, &hits, 1);
    turn_until(loop, &hits.ran, 1);
    stator_dispatcher_unref(dispatcher);
    loop_free(loop);
}
END_TEST

static void conformance_tests(TCase *tc)
{
    tcase_add_test(tc, arrives_on_the_loop_thread);
    tcase_add_test(tc, what_was_ready_before_attach_runs);
    tcase_add_test(tc, two_dispatchers_in_one_loop);
    tcase_add_test(tc, second_attach_is_busy);
    tcase_add_test(tc, detach_silences);
    tcase_add_test(tc, detach_of_what_is_not_attached);
    tcase_add_test(tc, attach_of_nothing);
    tcase_add_test(tc, unref_takes_it_out_of_the_loop);
    tcase_add_test(tc, last_unref_inside_a_continuation);
    tcase_add_test(tc, a_continuation_gives_another_dispatcher_back);
    tcase_add_test(tc, detach_inside_a_continuation);
    tcase_add_test(tc, ten_thousand_arrive_once_each);
    tcase_add_test(tc, a_flood_leaves_the_loop_its_turns);
    tcase_add_test(tc, unref_in_a_child_leaves_the_parent_alone);
}

#endif
