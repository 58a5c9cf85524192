/* SPDX-License-Identifier: Apache-2.0 */
/* test_torture_adapters.c - adapters, while calls of theirs fail.  They are
 * inline, so this file is where their malloc is given its other name. */
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

#include "tests/torture/fail.h"

#define malloc torture_malloc
#define free torture_free
#include <stator/adapters/epoll.h>
#include <stator/adapters/poll.h>
#include <stator/adapters/uv.h>
#undef malloc
#undef free

static void is_memory(int failed)
{
    OK(failed == 0 || (failed == ENOMEM && torture_fired()));
}

static void with_epoll(void)
{
    stator_dispatcher_t *d = dispatcher_or_null();
    int epfd = epoll_create1(EPOLL_CLOEXEC);

    OK(epfd >= 0);
    if (d != NULL) {
        int failed = stator_epoll_attach(d, epfd);

        is_memory(failed);
        OK(stator_epoll_detach(d) == (failed == 0 ? 0 : ENOENT));
        is_memory(stator_epoll_attach(d, epfd));
    }
    stator_dispatcher_unref(d);
    close(epfd);
}

static void with_poll(void)
{
    stator_dispatcher_t *d = dispatcher_or_null();
    struct pollfd slot = {.fd = -7};

    if (d == NULL)
        return;
    is_memory(stator_poll_attach(d, &slot));
    OK(slot.fd == stator_dispatcher_fd(d) || slot.fd == -7);
    (void)stator_poll_detach(d);
    is_memory(stator_poll_attach(d, &slot));
    stator_dispatcher_unref(d);
    OK(slot.fd < 0);
}

static void with_uv(void)
{
    stator_dispatcher_t *d = dispatcher_or_null();
    uv_loop_t loop;

    OK(uv_loop_init(&loop) == 0);
    if (d != NULL) {
        is_memory(stator_uv_attach(d, &loop));
        (void)stator_uv_detach(d);
        is_memory(stator_uv_attach(d, &loop));
    }
    stator_dispatcher_unref(d);
    OK(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    OK(uv_loop_close(&loop) == 0);
}

START_TEST(epoll_under_torture)
{
    torture_sweep(with_epoll);
}
END_TEST

START_TEST(poll_under_torture)
{
    torture_sweep(with_poll);
}
END_TEST

START_TEST(uv_under_torture)
{
    torture_sweep(with_uv);
}
END_TEST

SUITE(torture_adapters)
{
    tcase_add_test(tc, epoll_under_torture);
    tcase_add_test(tc, poll_under_torture);
    tcase_add_test(tc, uv_under_torture);
}
