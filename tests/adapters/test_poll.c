/* SPDX-License-Identifier: Apache-2.0 */
/* test_poll.c - the adapter for poll(2). */
#include <stator/adapters/poll.h>

#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/adapters/conformance.h"

enum { SLOTS = 4 };

struct loop {
    struct pollfd slots[SLOTS]; /* 0: ready in every turn */
    stator_dispatcher_t *dispatchers[SLOTS];
    long turns;
};

static loop_t *loop_new(void)
{
    loop_t *loop = calloc(1, sizeof *loop);

    ck_assert_ptr_nonnull(loop);
    for (int i = 0; i < SLOTS; i++)
        loop->slots[i].fd = -1;
    loop->slots[0] = (struct pollfd){
        .fd = eventfd(1, EFD_CLOEXEC),
        .events = POLLIN,
    };
    ck_assert_int_ge(loop->slots[0].fd, 0);
    return loop;
}

static void loop_free(loop_t *loop)
{
    close(loop->slots[0].fd);
    free(loop);
}

static int loop_attach(loop_t *loop, stator_dispatcher_t *dispatcher)
{
    int i = 1;
    int error;

    while (i < SLOTS - 1 && loop->slots[i].fd >= 0)
        i++;
    error = stator_poll_attach(dispatcher, &loop->slots[i]);
    if (error == 0)
        loop->dispatchers[i] = dispatcher;
    return error;
}

static int loop_detach(stator_dispatcher_t *dispatcher)
{
    return stator_poll_detach(dispatcher);
}

static void loop_turn(loop_t *loop)
{
    int n = poll(loop->slots, SLOTS, -1);

    ck_assert_int_ge(n, 1);
    ck_assert_int_eq(loop->slots[0].revents, POLLIN);
    loop->turns++;
    for (int i = 1; i < SLOTS; i++) {
        if (loop->slots[i].revents == 0)
            continue;
        ck_assert_int_eq(loop->slots[i].revents, POLLIN);
        stator_dispatcher_dispatch(loop->dispatchers[i],
                                   STATOR_DISPATCH_BUDGET);
    }
}

static long loop_turns(const loop_t *loop)
{
    return loop->turns;
}

static int loop_watched(loop_t *loop)
{
    int n = 0;

    for (int i = 1; i < SLOTS; i++)
        n += loop->slots[i].fd >= 0;
    return n;
}

START_TEST(fills_in_the_slot)
{
    stator_dispatcher_t *dispatcher = new_dispatcher();
    struct pollfd slot = {.fd = 77, .events = POLLOUT, .revents = POLLERR};

    ck_assert_int_eq(stator_poll_attach(dispatcher, NULL), EINVAL);
    ck_assert_int_eq(stator_poll_attach(NULL, &slot), EINVAL);
    ck_assert_int_eq(slot.fd, 77);

    ck_assert_int_eq(stator_poll_attach(dispatcher, &slot), 0);
    ck_assert_int_eq(slot.fd, stator_dispatcher_fd(dispatcher));
    ck_assert_int_eq(slot.events, POLLIN);
    ck_assert_int_eq(slot.revents, 0);

    stator_dispatcher_unref(dispatcher);
    ck_assert_int_eq(slot.fd, -1);
}
END_TEST

START_TEST(the_array_may_move_in_between)
{
    stator_dispatcher_t *dispatcher = new_dispatcher();
    struct pollfd *slots = calloc(1, sizeof *slots);
    hits_t hits = {.thread = pthread_self()};
    loop_t *loop = loop_new();

    hits.loop = loop;
    ck_assert_int_eq(stator_poll_attach(dispatcher, &slots[0]), 0);
    make_ready(dispatcher, hit, &hits, 1);
    ck_assert_int_eq(stator_poll_detach(dispatcher), 0);
    free(slots);

    slots = calloc(64, sizeof *slots);
    ck_assert_int_eq(stator_poll_attach(dispatcher, &slots[63]), 0);
    ck_assert_int_eq(poll(&slots[63], 1, -1), 1);
    ck_assert_int_eq(stator_dispatcher_dispatch(dispatcher, 0), 1);
    ck_assert_int_eq(hits.ran, 1);

    stator_dispatcher_unref(dispatcher);
    free(slots);
    loop_free(loop);
}
END_TEST

SUITE(poll)
{
    conformance_tests(tc);
    tcase_add_test(tc, fills_in_the_slot);
    tcase_add_test(tc, the_array_may_move_in_between);
}
