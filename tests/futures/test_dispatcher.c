/* SPDX-License-Identifier: Apache-2.0 */
/* test_dispatcher.c - one descriptor: when it is readable, what a dispatch
 * runs, who may call it, and what closing leaves behind. */
#include "tests/futures/support.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- the descriptor ----------------------------------------------------- */

START_TEST(descriptor_is_quiet_at_first)
{
    stator_dispatcher_t *d = dispatcher_new();
    int fd = stator_dispatcher_fd(d);

    ck_assert_int_ge(fd, 0);
    ck_assert(!readable(fd));
    ck_assert((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    ck_assert_int_eq(stator_dispatcher_fd(d), fd);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 0);
    ck_assert(!readable(fd));
    stator_dispatcher_unref(d);
    ck_assert(!is_open(fd));
}
END_TEST

START_TEST(descriptor_stays_readable_until_dispatched)
{
    stator_dispatcher_t *d = dispatcher_new();
    int fd = stator_dispatcher_fd(d);
    pair_t p = pair_new();
    probe_t probe = {0};

    attach(p.future, d, &probe, 1);
    ck_assert(!readable(fd));
    ck_assert(pair_resolve(&p, 1));
    for (int i = 0; i < 3; i++)
        ck_assert(readable(fd));
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    ck_assert(!readable(fd));
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 0);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(settling_without_continuation_is_quiet)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);

    ck_assert(!readable(stator_dispatcher_fd(d)));
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(budget_leaves_the_descriptor_readable)
{
    static step_t steps[10];
    static trail_t trail;
    stator_dispatcher_t *d = dispatcher_new();
    int fd = stator_dispatcher_fd(d);
    stator_future_t *f = future_done(1);

    for (int i = 0; i < 10; i++) {
        steps[i] = (step_t){&trail, i};
        ck_assert_int_eq(stator_future_then(f, d, step_then, &steps[i]), 0);
    }
    for (int left = 10; left > 1; left -= 3) {
        ck_assert(readable(fd));
        ck_assert_int_eq(stator_dispatcher_dispatch(d, 3), 3);
        ck_assert_int_eq(trail.n, 10 - left + 3);
        ck_assert(readable(fd));
    }
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 3), 1);
    ck_assert(!readable(fd));
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 3), 0);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(trail.at[i], i);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(budget_that_fits_exactly_quiets_the_descriptor)
{
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);
    probe_t probe = {0};

    attach(f, d, &probe, 4);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 4), 4);
    /* One idle wake-up is fair, a second one would be a busy loop. */
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 4), 0);
    ck_assert(!readable(stator_dispatcher_fd(d)));
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(budget_keeps_old_before_new)
{
    static step_t steps[8];
    static trail_t trail;
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);

    for (int i = 0; i < 8; i++) {
        if (i == 5)
            ck_assert_int_eq(stator_dispatcher_dispatch(d, 2), 2);
        steps[i] = (step_t){&trail, i};
        ck_assert_int_eq(stator_future_then(f, d, step_then, &steps[i]), 0);
    }
    ck_assert_int_eq(dispatch_all(d), 6);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(trail.at[i], i);
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(budget_below_one_is_none)
{
    static const int budgets[] = {0, -1, INT32_MIN};
    stator_dispatcher_t *d = dispatcher_new();
    stator_future_t *f = future_done(1);
    probe_t probe = {0};

    attach(f, d, &probe, 100);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, budgets[_i]), 100);
    ck_assert(!readable(stator_dispatcher_fd(d)));
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

typedef struct breeder {
    stator_dispatcher_t *dispatcher;
    int left;
} breeder_t;

static void then_breed(stator_future_t *future, void *arg)
{
    breeder_t *breeder = arg;

    if (breeder->left-- > 0)
        ck_assert_int_eq(stator_future_then(future, breeder->dispatcher,
                                            then_breed, breeder),
                         0);
}

START_TEST(dispatch_ends_though_more_becomes_ready)
{
    breeder_t breeder = {dispatcher_new(), 5};
    stator_dispatcher_t *d = breeder.dispatcher;
    stator_future_t *f = future_done(1);

    ck_assert_int_eq(stator_future_then(f, d, then_breed, &breeder), 0);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(stator_dispatcher_dispatch(d, i % 2), 1);
        ck_assert(readable(stator_dispatcher_fd(d)));
    }
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    ck_assert(!readable(stator_dispatcher_fd(d)));
    stator_future_unref(f);
    stator_dispatcher_unref(d);
}
END_TEST

/* ---- one at a time ------------------------------------------------------ */

typedef struct nest {
    stator_dispatcher_t *outer;
    stator_dispatcher_t *inner;
    stator_future_t *settled;
    int dispatch, once, until, inner_dispatch;
} nest_t;

static void then_nest(stator_future_t *future, void *arg)
{
    nest_t *nest = arg;
    pair_t pending = pair_new();

    (void)future;
    nest->dispatch = stator_dispatcher_dispatch(nest->outer, 0);
    nest->once = stator_dispatcher_run_once(nest->outer, -1);
    nest->until =
        stator_dispatcher_run_until(nest->outer, pending.future, -1);
    nest->inner_dispatch = stator_dispatcher_dispatch(nest->inner, 0);
    pair_free(&pending);
}

START_TEST(dispatch_does_not_nest)
{
    nest_t nest = {.outer = dispatcher_new(), .inner = dispatcher_new()};
    stator_future_t *f = future_done(1);
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_then(f, nest.outer, then_nest, &nest), 0);
    attach(f, nest.outer, &probe, 1);
    attach(f, nest.inner, &probe, 1);
    ck_assert_int_eq(stator_dispatcher_dispatch(nest.outer, 1), 1);
    ck_assert_int_eq(nest.dispatch, -EBUSY);
    ck_assert_int_eq(nest.once, -EBUSY);
    ck_assert_int_eq(nest.until, -EBUSY);
    ck_assert_int_eq(nest.inner_dispatch, 1); /* another one may */
    ck_assert_int_eq(probe.ran, 1);
    ck_assert_int_eq(dispatch_all(nest.outer), 1);
    ck_assert_int_eq(probe.ran, 2);
    stator_future_unref(f);
    stator_dispatcher_unref(nest.outer);
    stator_dispatcher_unref(nest.inner);
}
END_TEST

typedef struct held {
    stator_dispatcher_t *dispatcher;
    sem_t inside, leave;
    int rc;
} held_t;

static void then_hold(stator_future_t *future, void *arg)
{
    held_t *held = arg;

    (void)future;
    sem_post(&held->inside);
    gate_wait(&held->leave);
}

static void *dispatch_main(void *arg)
{
    held_t *held = arg;

    held->rc = stator_dispatcher_dispatch(held->dispatcher, 0);
    return NULL;
}

/* Another thread is now inside a continuation and stays there. */
static pthread_t hold(held_t *held)
{
    stator_future_t *f = future_done(1);
    pthread_t thread;

    sem_init(&held->inside, 0, 0);
    sem_init(&held->leave, 0, 0);
    ck_assert_int_eq(
        stator_future_then(f, held->dispatcher, then_hold, held), 0);
    stator_future_unref(f);
    thread = thread_start(dispatch_main, held);
    ck_assert(gate_wait(&held->inside));
    return thread;
}

static void let_go(held_t *held, pthread_t thread)
{
    sem_post(&held->leave);
    thread_join(thread);
    sem_destroy(&held->inside);
    sem_destroy(&held->leave);
}

START_TEST(second_thread_is_told_busy)
{
    held_t held = {.dispatcher = dispatcher_new()};
    stator_dispatcher_t *d = held.dispatcher;
    pair_t pending = pair_new();
    stator_future_t *f = future_done(1);
    probe_t probe = {0};
    pthread_t thread = hold(&held);

    attach(f, d, &probe, 1);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), -EBUSY);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 1), -EBUSY);
    ck_assert_int_eq(stator_dispatcher_run_once(d, -1), -EBUSY);
    ck_assert_int_eq(stator_dispatcher_run_until(d, pending.future, -1),
                     -EBUSY);
    ck_assert_int_eq(probe.ran, 0);
    let_go(&held, thread);

    /* Refused calls have lost nothing, and this thread may now. */
    ck_assert_int_eq(held.rc, 1);
    ck_assert(readable(stator_dispatcher_fd(d)));
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    ck_assert(pthread_equal(probe.thread, pthread_self()));
    stator_future_unref(f);
    pair_free(&pending);
    stator_dispatcher_unref(d);
}
END_TEST

START_TEST(null_dispatcher_is_no_crash)
{
    stator_future_t *f = future_done(1);
    stator_dispatcher_t *d = dispatcher_new();

    ck_assert_int_eq(stator_dispatcher_fd(NULL), -1);
    ck_assert_int_eq(stator_dispatcher_dispatch(NULL, 0), -EINVAL);
    ck_assert_int_eq(stator_dispatcher_run_once(NULL, -1), -EINVAL);
    ck_assert_int_eq(stator_dispatcher_run_until(NULL, f, -1), -EINVAL);
    ck_assert_int_eq(stator_dispatcher_run_until(d, NULL, -1), -EINVAL);
    ck_assert_int_eq(stator_dispatcher_set_adapter(NULL, f, NULL), EINVAL);
    ck_assert_ptr_null(stator_dispatcher_get_adapter(NULL));
    ck_assert_ptr_null(stator_dispatcher_ref(NULL));
    stator_dispatcher_unref(NULL);
    stator_dispatcher_unref(d);
    stator_future_unref(f);
}
END_TEST

START_TEST(out_of_descriptors_is_an_error)
{
    struct rlimit old, none;
    bson_error_t error = {0};
    stator_dispatcher_t *d, *quiet;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    d = stator_dispatcher_new(&error);
    quiet = stator_dispatcher_new(NULL);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert_ptr_null(d);
    ck_assert_ptr_null(quiet);
    ck_assert_uint_eq(error.domain, STATOR_ERROR_DOMAIN);
    ck_assert_uint_eq(error.code, STATOR_ERROR_REFUSED);
    ck_assert_msg(strstr(error.message, strerror(EMFILE)) != NULL,
                  "no reason in \"%s\"", error.message);
    stator_dispatcher_unref(dispatcher_new());
}
END_TEST

/* ---- closing ------------------------------------------------------------ */

START_TEST(closing_waits_for_the_last_reference)
{
    stator_dispatcher_t *d = dispatcher_new();
    int fd = stator_dispatcher_fd(d);
    stator_future_t *f = future_done(1);
    probe_t probe = {0};

    ck_assert_ptr_eq(stator_dispatcher_ref(d), d);
    attach(f, d, &probe, 1);
    stator_dispatcher_unref(d);
    ck_assert(is_open(fd));
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_int_eq(probe.ran, 1);
    stator_dispatcher_unref(d);
    ck_assert(!is_open(fd));
    stator_future_unref(f);
}
END_TEST

START_TEST(continuations_do_not_keep_it)
{
    stator_dispatcher_t *d = dispatcher_new();
    int fd = stator_dispatcher_fd(d);
    pair_t p = pair_new();
    probe_t probe = {0};

    attach(p.future, d, &probe, 2);
    stator_dispatcher_unref(d);
    ck_assert(!is_open(fd));
    ck_assert_int_eq(probe.freed, 2);
    ck_assert(pair_resolve(&p, 1));
    pair_free(&p);
    ck_assert_int_eq(probe.ran, 0);
    ck_assert_int_eq(probe.freed, 2);
}
END_TEST

/* A new descriptor soon bears the old number: nothing may be written to it. */
START_TEST(closed_descriptor_is_never_touched)
{
    stator_dispatcher_t *d = dispatcher_new();
    int fd = stator_dispatcher_fd(d), heir;
    pair_t p = pair_new();
    probe_t probe = {0};

    attach(p.future, d, &probe, 2);
    stator_dispatcher_unref(d);
    heir = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ck_assert_int_ge(heir, 0);
    if (heir != fd) {
        ck_assert_int_eq(dup2(heir, fd), fd);
        close(heir);
    }
    ck_assert(pair_resolve(&p, 1));
    pair_free(&p);
    ck_assert(!readable(fd));
    ck_assert(is_open(fd));
    close(fd);
}
END_TEST

typedef struct closer {
    stator_dispatcher_t *dispatcher;
    stator_future_t *chain;
    probe_t *late;
    int then_rc, then_full_rc;
    int fd;
} closer_t;

static void then_close(stator_future_t *future, void *arg)
{
    closer_t *closer = arg;

    (void)future;
    stator_dispatcher_unref(closer->dispatcher);
}

START_TEST(continuation_may_close_its_dispatcher)
{
    stator_dispatcher_t *d = dispatcher_new();
    closer_t closer = {.dispatcher = d, .fd = stator_dispatcher_fd(d)};
    stator_future_t *f = future_done(1);
    pair_t pending = pair_new();
    probe_t before = {0}, after = {0}, later = {0};

    attach(f, d, &before, 2);
    ck_assert_int_eq(stator_future_then(f, d, then_close, &closer), 0);
    attach(f, d, &after, 3);
    attach(pending.future, d, &later, 3);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 3);
    ck_assert(!is_open(closer.fd));
    ck_assert_int_eq(before.ran, 2);
    ck_assert_int_eq(before.freed, 2);
    ck_assert_int_eq(after.ran, 0);
    ck_assert_int_eq(after.freed, 3);
    ck_assert_int_eq(later.freed, 3);
    ck_assert(pair_resolve(&pending, 1));
    ck_assert_int_eq(later.ran, 0);
    pair_free(&pending);
    stator_future_unref(f);
}
END_TEST

/* Inside this dispatch the closed one is still there to answer. */
static void then_close_and_attach(stator_future_t *future, void *arg)
{
    closer_t *closer = arg;
    stator_dispatcher_t *d = closer->dispatcher;

    stator_dispatcher_unref(d);
    closer->then_rc = stator_future_then(future, d, probe_then, closer->late);
    closer->then_full_rc = stator_future_then_full(
        future, d, probe_then, closer->late, probe_free);
    closer->chain = stator_future_chain(future, d, link_fn, closer);
}

START_TEST(attaching_to_a_closed_one_is_refused)
{
    probe_t late = {0};
    closer_t closer = {.dispatcher = dispatcher_new(), .late = &late};
    stator_future_t *f = future_done(1);

    ck_assert_int_eq(stator_future_then(f, closer.dispatcher,
                                        then_close_and_attach, &closer),
                     0);
    ck_assert_int_eq(stator_dispatcher_dispatch(closer.dispatcher, 0), 1);
    ck_assert_int_eq(closer.then_rc, ESHUTDOWN);
    ck_assert_int_eq(closer.then_full_rc, ESHUTDOWN);
    ck_assert_int_eq(late.ran, 0);
    ck_assert_int_eq(late.freed, 1);
    assert_state(closer.chain, STATOR_FUTURE_FAILED);
    assert_stator_error(closer.chain, STATOR_ERROR_CLOSED);
    stator_future_unref(closer.chain);
    stator_future_unref(f);
}
END_TEST

START_TEST(closed_by_another_thread_while_it_dispatches)
{
    held_t held = {.dispatcher = dispatcher_new()};
    int fd = stator_dispatcher_fd(held.dispatcher);
    stator_future_t *f = future_done(1);
    pair_t pending = pair_new();
    probe_t probe = {0};
    pthread_t thread = hold(&held);

    attach(f, held.dispatcher, &probe, 3);
    attach(pending.future, held.dispatcher, &probe, 3);
    stator_dispatcher_unref(held.dispatcher);
    let_go(&held, thread);
    ck_assert_int_eq(held.rc, 1);
    ck_assert(!is_open(fd));
    ck_assert_int_eq(probe.ran, 0);
    ck_assert_int_eq(probe.freed, 6);
    ck_assert(pair_resolve(&pending, 1));
    pair_free(&pending);
    stator_future_unref(f);
    ck_assert_int_eq(probe.freed, 6);
}
END_TEST

enum { CROWD = 400 };

typedef struct settler {
    pair_t *pairs;
    int from, to;
    pthread_barrier_t *barrier;
} settler_t;

static void *settle_main(void *arg)
{
    settler_t *settler = arg;

    pthread_barrier_wait(settler->barrier);
    for (int i = settler->from; i < settler->to; i++)
        pair_resolve(&settler->pairs[i], i);
    return NULL;
}

START_TEST(closed_while_others_settle_into_it)
{
    static pair_t pairs[CROWD];
    static probe_t probes[CROWD];
    pthread_barrier_t barrier;
    settler_t settlers[3];
    pthread_t threads[3];

    pthread_barrier_init(&barrier, NULL, 4);
    for (int round = 0; round < ROUNDS / 40; round++) {
        stator_dispatcher_t *d = dispatcher_new();
        int heir;

        memset(probes, 0, sizeof probes);
        for (int i = 0; i < CROWD; i++) {
            pairs[i] = pair_new();
            attach(pairs[i].future, d, &probes[i], 1 + i % 2);
        }
        for (int i = 0; i < 3; i++) {
            settlers[i] = (settler_t){pairs, i * CROWD / 3,
                                      (i + 1) * CROWD / 3, &barrier};
            threads[i] = thread_start(settle_main, &settlers[i]);
        }
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < round % 8; i++) {
            ck_assert_int_ge(stator_dispatcher_dispatch(d, 20), 0);
            sched_yield();
        }
        stator_dispatcher_unref(d);
        heir = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        for (int i = 0; i < 3; i++)
            thread_join(threads[i]);
        ck_assert_msg(heir >= 0 && !readable(heir), "written after closing");
        close(heir);
        for (int i = 0; i < CROWD; i++) {
            ck_assert_int_eq(probes[i].freed, 1 + i % 2);
            ck_assert_int_le(probes[i].ran, 1 + i % 2);
            assert_done(pairs[i].future, i);
            pair_free(&pairs[i]);
        }
    }
    pthread_barrier_destroy(&barrier);
}
END_TEST

/* ---- the adapter's slot ------------------------------------------------- */

static int slot_fd, slot_open, slot_freed;
static void *slot_seen;

static void slot_free(void *adapter)
{
    slot_freed++;
    slot_seen = adapter;
    slot_open = is_open(slot_fd);
}

START_TEST(adapter_slot_holds_one)
{
    stator_dispatcher_t *d = dispatcher_new();
    int one, two;

    slot_freed = 0;
    slot_fd = stator_dispatcher_fd(d);
    ck_assert_ptr_null(stator_dispatcher_get_adapter(d));
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, &one, slot_free), 0);
    ck_assert_ptr_eq(stator_dispatcher_get_adapter(d), &one);
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, &two, slot_free),
                     EBUSY);
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, &one, slot_free),
                     EBUSY);
    ck_assert_ptr_eq(stator_dispatcher_get_adapter(d), &one);
    ck_assert_int_eq(slot_freed, 0);
    stator_dispatcher_unref(d);
    ck_assert_int_eq(slot_freed, 1);
    ck_assert_ptr_eq(slot_seen, &one);
    ck_assert_msg(slot_open, "the descriptor was closed first");
}
END_TEST

START_TEST(adapter_taken_away_is_not_freed)
{
    stator_dispatcher_t *d = dispatcher_new();
    int one, two;

    slot_freed = 0;
    slot_fd = stator_dispatcher_fd(d);
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, NULL, NULL), 0);
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, &one, slot_free), 0);
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, NULL, NULL), 0);
    ck_assert_int_eq(slot_freed, 0);
    ck_assert_ptr_null(stator_dispatcher_get_adapter(d));
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, &two, NULL), 0);
    ck_assert_ptr_eq(stator_dispatcher_get_adapter(d), &two);
    stator_dispatcher_unref(d);
    ck_assert_int_eq(slot_freed, 0);
}
END_TEST

START_TEST(adapter_is_freed_once_when_closed_in_dispatch)
{
    stator_dispatcher_t *d = dispatcher_new();
    closer_t closer = {.dispatcher = d};
    stator_future_t *f = future_done(1);
    int one;

    slot_freed = 0;
    slot_fd = stator_dispatcher_fd(d);
    ck_assert_int_eq(stator_dispatcher_set_adapter(d, &one, slot_free), 0);
    ck_assert_int_eq(stator_future_then(f, d, then_close, &closer), 0);
    ck_assert_int_eq(stator_dispatcher_dispatch(d, 0), 1);
    ck_assert_int_eq(slot_freed, 1);
    ck_assert_msg(slot_open, "the descriptor was closed first");
    ck_assert(!is_open(slot_fd));
    stator_future_unref(f);
}
END_TEST

SUITE(dispatcher)
{
    tcase_add_test(tc, descriptor_is_quiet_at_first);
    tcase_add_test(tc, descriptor_stays_readable_until_dispatched);
    tcase_add_test(tc, settling_without_continuation_is_quiet);
    tcase_add_test(tc, budget_leaves_the_descriptor_readable);
    tcase_add_test(tc, budget_that_fits_exactly_quiets_the_descriptor);
    tcase_add_test(tc, budget_keeps_old_before_new);
    tcase_add_loop_test(tc, budget_below_one_is_none, 0, 3);
    tcase_add_test(tc, dispatch_ends_though_more_becomes_ready);
    tcase_add_test(tc, null_dispatcher_is_no_crash);
    tcase_add_test(tc, out_of_descriptors_is_an_error);

    TCase *busy = suite_case("dispatcher_busy");
    tcase_add_test(busy, dispatch_does_not_nest);
    tcase_add_test(busy, second_thread_is_told_busy);

    TCase *closing = suite_case("dispatcher_closing");
    tcase_add_test(closing, closing_waits_for_the_last_reference);
    tcase_add_test(closing, continuations_do_not_keep_it);
    tcase_add_test(closing, closed_descriptor_is_never_touched);
    tcase_add_test(closing, continuation_may_close_its_dispatcher);
    tcase_add_test(closing, attaching_to_a_closed_one_is_refused);
    tcase_add_test(closing, closed_by_another_thread_while_it_dispatches);
    tcase_add_test(closing, closed_while_others_settle_into_it);

    TCase *slot = suite_case("dispatcher_adapter");
    tcase_add_test(slot, adapter_slot_holds_one);
    tcase_add_test(slot, adapter_taken_away_is_not_freed);
    tcase_add_test(slot, adapter_is_freed_once_when_closed_in_dispatch);
}
