/* SPDX-License-Identifier: Apache-2.0 */
/* test_uv.c - the libuv adapter. */
#include "tests/harness/suite.h"

#if defined(__has_include)
#if __has_include(<uv.h>)
#define HAVE_UV 1
#endif
#endif

#ifdef HAVE_UV

#include <stator/adapters/uv.h>

#include "tests/adapters/conformance.h"

struct loop {
    uv_loop_t uv;
    uv_idle_t idle; /* due in every turn */
    long turns;
};

static void on_idle(uv_idle_t *idle)
{
    ((loop_t *)idle->data)->turns++;
}

static loop_t *loop_new(void)
{
    loop_t *loop = calloc(1, sizeof *loop);

    ck_assert_ptr_nonnull(loop);
    ck_assert_int_eq(uv_loop_init(&loop->uv), 0);
    ck_assert_int_eq(uv_idle_init(&loop->uv, &loop->idle), 0);
    loop->idle.data = loop;
    ck_assert_int_eq(uv_idle_start(&loop->idle, on_idle), 0);
    return loop;
}

/* Closing the idle handle is all there is left to do: a handle that the adapter
 * forgot would make uv_run go on, or uv_loop_close say so. */
static void loop_free(loop_t *loop)
{
    uv_close((uv_handle_t *)&loop->idle, NULL);
    ck_assert_int_eq(uv_run(&loop->uv, UV_RUN_DEFAULT), 0);
    ck_assert_int_eq(uv_loop_close(&loop->uv), 0);
    free(loop);
}

static int loop_attach(loop_t *loop, stator_dispatcher_t *dispatcher)
{
    return stator_uv_attach(dispatcher, &loop->uv);
}

static int loop_detach(stator_dispatcher_t *dispatcher)
{
    return stator_uv_detach(dispatcher);
}

static void loop_turn(loop_t *loop)
{
    uv_run(&loop->uv, UV_RUN_NOWAIT);
}

static long loop_turns(const loop_t *loop)
{
    return loop->turns;
}

static void count_active(uv_handle_t *handle, void *arg)
{
    if (handle->type == UV_POLL && uv_is_active(handle))
        ++*(int *)arg;
}

static int loop_watched(loop_t *loop)
{
    int n = 0;

    uv_walk(&loop->uv, count_active, &n);
    return n;
}

static void hit_and_stop(stator_future_t *future, void *arg)
{
    hits_t *hits = arg;

    hit(future, arg);
    ck_assert_int_eq(stator_uv_detach(hits->dispatcher), 0);
}

/* With nothing else in the loop: it waits while the dispatcher is attached,
 * and ends by itself when it is not. */
START_TEST(attached_it_keeps_the_loop_alive)
{
    loop_t *loop = loop_new();
    stator_dispatcher_t *dispatcher = new_dispatcher();
    hits_t hits = hits_of(loop, dispatcher);
    stator_promise_t *promise = stator_promise_new();
    stator_future_t *future = stator_promise_future(promise);
    pthread_t other;

    uv_idle_stop(&loop->idle);
    ck_assert_int_eq(uv_loop_alive(&loop->uv), 0);
    ck_assert_int_eq(stator_uv_attach(dispatcher, &loop->uv), 0);
    ck_assert_int_ne(uv_loop_alive(&loop->uv), 0);

    ck_assert_int_eq(
        stator_future_then(future, dispatcher, hit_and_stop, &hits), 0);
    ck_assert_int_eq(pthread_create(&other, NULL, resolve_one, promise), 0);
    ck_assert_int_eq(uv_run(&loop->uv, UV_RUN_DEFAULT), 0);
    ck_assert_int_eq(pthread_join(other, NULL), 0);
    ck_assert_int_eq(hits.ran, 1);

    stator_future_unref(future);
    stator_promise_unref(promise);
    stator_dispatcher_unref(dispatcher);
    loop_free(loop);
}
END_TEST

START_TEST(no_loop)
{
    stator_dispatcher_t *dispatcher = new_dispatcher();

    ck_assert_int_eq(stator_uv_attach(dispatcher, NULL), EINVAL);
    ck_assert_ptr_null(stator_dispatcher_get_adapter(dispatcher));
    stator_dispatcher_unref(dispatcher);
}
END_TEST

/* libuv refuses to watch a descriptor twice. */
START_TEST(in_the_loop_by_hand)
{
    loop_t *loop = loop_new();
    stator_dispatcher_t *dispatcher = new_dispatcher();
    uv_poll_t hand;

    ck_assert_int_eq(uv_poll_init(&loop->uv, &hand,
                                  stator_dispatcher_fd(dispatcher)), 0);
    ck_assert_int_eq(uv_poll_start(&hand, UV_READABLE, NULL), 0);
    ck_assert_int_eq(stator_uv_attach(dispatcher, &loop->uv), EEXIST);
    ck_assert_ptr_null(stator_dispatcher_get_adapter(dispatcher));

    uv_close((uv_handle_t *)&hand, NULL);
    stator_dispatcher_unref(dispatcher);
    loop_free(loop);
}
END_TEST

SUITE(uv)
{
    conformance_tests(tc);
    tcase_add_test(tc, attached_it_keeps_the_loop_alive);
    tcase_add_test(tc, no_loop);
    tcase_add_test(tc, in_the_loop_by_hand);
}

#else

START_TEST(no_libuv)
{
    SKIP("uv.h is not installed (libuv1-dev)");
}
END_TEST

SUITE(uv)
{
    tcase_add_test(tc, no_libuv);
}

#endif
