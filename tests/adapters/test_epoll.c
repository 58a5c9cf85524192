/* SPDX-License-Identifier: Apache-2.0 */
/* test_epoll.c - the epoll adapter. */
#include <stator/adapters/epoll.h>
#include <stator/adapters/poll.h>

#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/adapters/conformance.h"

struct loop {
    int epfd;
    int other; /* an eventfd that is never read: ready in every turn */
    long turns;
};

static loop_t *loop_new(void)
{
    loop_t *loop = calloc(1, sizeof *loop);
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = NULL}};

    ck_assert_ptr_nonnull(loop);
    loop->epfd = epoll_create1(EPOLL_CLOEXEC);
    loop->other = eventfd(1, EFD_CLOEXEC);
    ck_assert_int_ge(loop->epfd, 0);
    ck_assert_int_eq(
        epoll_ctl(loop->epfd, EPOLL_CTL_ADD, loop->other, &event), 0);
    return loop;
}

static void loop_free(loop_t *loop)
{
    close(loop->other);
    close(loop->epfd);
    free(loop);
}

static int loop_attach(loop_t *loop, stator_dispatcher_t *dispatcher)
{
    return stator_epoll_attach(dispatcher, loop->epfd);
}

static int loop_detach(stator_dispatcher_t *dispatcher)
{
    return stator_epoll_detach(dispatcher);
}

/* One event at a time; the kernel goes round the ready ones in turn, so the
 * other source comes up at least once in a round. */
static void loop_turn(loop_t *loop)
{
    struct epoll_event event;

    do {
        ck_assert_int_eq(epoll_wait(loop->epfd, &event, 1, -1), 1);
        if (event.data.ptr != NULL)
            stator_dispatcher_dispatch(event.data.ptr,
                                       STATOR_DISPATCH_BUDGET);
    } while (event.data.ptr != NULL);
    loop->turns++;
}

static long loop_turns(const loop_t *loop)
{
    return loop->turns;
}

/* The kernel lists what a set holds, a line "tfd:" each. */
static int loop_watched(loop_t *loop)
{
    char path[64], line[256];
    int n = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", loop->epfd);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL)
        n += strncmp(line, "tfd:", 4) == 0;
    fclose(file);
    return n - 1; /* the other source */
}

START_TEST(bad_sets_leave_no_trace)
{
    stator_dispatcher_t *dispatcher = new_dispatcher();
    loop_t *loop = loop_new();
    int plain = eventfd(0, EFD_CLOEXEC);

    ck_assert_int_eq(stator_epoll_attach(dispatcher, -1), EBADF);
    ck_assert_int_eq(stator_epoll_attach(dispatcher, plain), EINVAL);
    ck_assert_ptr_null(stator_dispatcher_get_adapter(dispatcher));
    ck_assert_int_eq(stator_epoll_attach(dispatcher, loop->epfd), 0);

    close(plain);
    stator_dispatcher_unref(dispatcher);
    loop_free(loop);
}
END_TEST

START_TEST(in_the_set_by_hand)
{
    stator_dispatcher_t *dispatcher = new_dispatcher();
    loop_t *loop = loop_new();
    struct epoll_event event = {.events = EPOLLIN};

    ck_assert_int_eq(epoll_ctl(loop->epfd, EPOLL_CTL_ADD,
                               stator_dispatcher_fd(dispatcher), &event), 0);
    ck_assert_int_eq(stator_epoll_attach(dispatcher, loop->epfd), EEXIST);
    ck_assert_ptr_null(stator_dispatcher_get_adapter(dispatcher));

    stator_dispatcher_unref(dispatcher);
    loop_free(loop);
}
END_TEST

START_TEST(another_adapters_is_left_alone)
{
    stator_dispatcher_t *dispatcher = new_dispatcher();
    loop_t *loop = loop_new();
    struct pollfd slot;

    ck_assert_int_eq(stator_epoll_attach(dispatcher, loop->epfd), 0);
    ck_assert_int_eq(stator_poll_detach(dispatcher), ENOENT);
    ck_assert_int_eq(stator_poll_attach(dispatcher, &slot), EBUSY);
    ck_assert_int_eq(loop_watched(loop), 1);

    stator_dispatcher_unref(dispatcher);
    loop_free(loop);
}
END_TEST

START_TEST(the_set_may_go_first)
{
    stator_dispatcher_t *dispatcher = new_dispatcher();
    loop_t *loop = loop_new();

    ck_assert_int_eq(loop_attach(loop, dispatcher), 0);
    loop_free(loop);
    ck_assert_int_eq(loop_detach(dispatcher), 0);

    loop = loop_new();
    ck_assert_int_eq(loop_attach(loop, dispatcher), 0);
    loop_free(loop);
    stator_dispatcher_unref(dispatcher);
}
END_TEST

/* As a child process holds it: closing alone would not take it out then. */
START_TEST(unref_while_the_descriptor_is_held_elsewhere)
{
    stator_dispatcher_t *dispatcher = new_dispatcher();
    loop_t *loop = loop_new();
    int held = dup(stator_dispatcher_fd(dispatcher));

    ck_assert_int_ge(held, 0);
    ck_assert_int_eq(loop_attach(loop, dispatcher), 0);
    stator_dispatcher_unref(dispatcher);
    ck_assert_int_eq(loop_watched(loop), 0);

    close(held);
    loop_free(loop);
}
END_TEST

SUITE(epoll)
{
    conformance_tests(tc);
    tcase_add_test(tc, unref_while_the_descriptor_is_held_elsewhere);
    tcase_add_test(tc, bad_sets_leave_no_trace);
    tcase_add_test(tc, in_the_set_by_hand);
    tcase_add_test(tc, another_adapters_is_left_alone);
    tcase_add_test(tc, the_set_may_go_first);
}
