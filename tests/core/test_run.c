/* SPDX-License-Identifier: Apache-2.0 */
/* test_run.c - a user's own blocking code on a worker. */
#include "tests/core/support.h"

#include <errno.h>
#include <semaphore.h>

/* What the functions below are given, and what they leave behind. */
struct work {
    scene_t *scene;
    sem_t begun, go, over;
    stator_promise_t *kept;
    int answer;
    bool was_cancelled;
};

static struct work *work_new(scene_t *s)
{
    struct work *w = calloc(1, sizeof *w);

    w->scene = s;
    sem_init(&w->begun, 0, 0);
    sem_init(&w->go, 0, 0);
    sem_init(&w->over, 0, 0);
    return w;
}

static stator_future_t *run(scene_t *s, stator_work_fn *fn, struct work *w,
                            const char *opts)
{
    return lend(stator_client_run(s->client, fn, w,
                                  opts == NULL ? NULL : J("%s", opts)));
}

static void resolve(mongoc_client_t *client, stator_promise_t *promise,
                    void *arg)
{
    bson_t ping = BSON_INITIALIZER, reply;

    (void)arg;
    BSON_APPEND_INT32(&ping, "ping", 1);
    if (mongoc_client_command_simple(client, "core", &ping, NULL, &reply,
                                     NULL))
        stator_promise_resolve(promise, &ping, &reply);
    bson_destroy(&reply);
    bson_destroy(&ping);
}

START_TEST(it_resolves)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *f = ck_done(run(s, resolve, NULL, NULL));

    ck_at(stator_future_document(f), "ping", "1");
    ck_assert_str_ne(at(stator_future_reply(f), "ok"), "");
    ck_assert_int_eq(wire_count(s->server, "ping"), 1);
    ck_assert_int_eq(stator_future_phase(f), STATOR_PHASE_DONE);
    ck_stat(s->client, "connections", 1); /* the worker's own */
    scene_free(s);
}
END_TEST

static void refuse(mongoc_client_t *client, stator_promise_t *promise,
                 void *arg)
{
    bson_error_t error;

    (void)client;
    (void)arg;
    bson_set_error(&error, 4711, 12, "my own reason");
    stator_promise_fail(promise, &error, NULL);
}

START_TEST(it_fails)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *f = fails(stator_client_run(s->client, refuse, NULL,
                                                NULL),
                               4711, 12, "my own reason");

    ck_assert_int_eq(stator_future_origin(f), STATOR_ORIGIN_USER);
    scene_free(s);
}
END_TEST

static void forget(mongoc_client_t *client, stator_promise_t *promise,
                   void *arg)
{
    (void)client;
    (void)promise;
    (void)arg;
}

START_TEST(left_unsettled_it_fails_by_itself)
{
    scene_t *s = scene_new(NULL);

    fails(stator_client_run(s->client, forget, NULL, NULL),
          STATOR_ERROR_DOMAIN, STATOR_ERROR_CLOSED, "");
    ck_done(ask_one(s, NULL));
    scene_free(s);
}
END_TEST

static void keep_promise(mongoc_client_t *client, stator_promise_t *promise,
                         void *arg)
{
    struct work *w = arg;

    (void)client;
    w->kept = stator_promise_ref(promise);
    sem_post(&w->over);
}

START_TEST(the_promise_can_be_kept)
{
    scene_t *s = scene_new(NULL);
    struct work *w = work_new(s);
    stator_future_t *f = run(s, keep_promise, w, NULL);

    sem_wait(&w->over);
    ck_done(ask_one(s, NULL)); /* the worker is free */
    ck_pending(f);
    ck_assert(!stator_promise_cancelled(w->kept));
    ck_assert(stator_promise_resolve(w->kept, J("{'late': 1}"), NULL));
    ck_assert(!stator_promise_resolve(w->kept, NULL, NULL));
    stator_promise_unref(w->kept);
    ck_done(f);
    ck_at(stator_future_document(f), "late", "1");
    scene_free(s);
    free(w);
}
END_TEST

START_TEST(a_kept_one_that_is_dropped_fails)
{
    scene_t *s = scene_new(NULL);
    struct work *w = work_new(s);
    stator_future_t *f = run(s, keep_promise, w, NULL);

    sem_wait(&w->over);
    ck_done(ask_one(s, NULL));
    ck_pending(f);
    stator_promise_unref(w->kept);
    fails(stator_future_ref(f), STATOR_ERROR_DOMAIN, STATOR_ERROR_CLOSED, "");
    scene_free(s);
    free(w);
}
END_TEST

START_TEST(a_kept_one_can_be_cancelled_and_expire)
{
    scene_t *s = scene_new(NULL);
    struct work *w = work_new(s);
    stator_future_t *f = run(s, keep_promise, w,
                             _i == 0 ? NULL : "{'timeoutMS': 500}");

    sem_wait(&w->over);
    ck_done(ask_one(s, NULL));
    if (_i == 0) {
        ck_assert(stator_future_cancel(f));
        ck_cancelled(f, STATOR_MAYBE_SENT);
    } else {
        ck_expired(f);
    }
    ck_assert(stator_promise_cancelled(w->kept));
    ck_assert(!stator_promise_resolve(w->kept, NULL, NULL));
    stator_promise_unref(w->kept);
    scene_free(s);
    free(w);
}
END_TEST

START_TEST(a_drain_waits_for_a_kept_promise)
{
    scene_t *s = scene_new(NULL);
    struct work *w = work_new(s);
    stator_future_t *f = run(s, keep_promise, w, NULL), *closed;
    stator_cursor_t *idle;

    sem_wait(&w->over);
    scene_fill(s, 10);
    idle = open_and_read(s, "{'batchSize': 2}");
    s->is_closed = true;
    closed = lend(stator_client_close(s->client, J("{'timeoutMS': 600000}")));
    ck_assert(wire_wait_cursors(s->server, 0, WIRE_WAIT)); /* it has begun */
    await_stat(s->client, "busy", 0);
    ck_closed(ask_one(s, NULL));
    stator_cursor_unref(idle);
    ck_pending(f);
    ck_pending(closed);
    stator_promise_resolve(w->kept, NULL, NULL);
    stator_promise_unref(w->kept);
    ck_done(f);
    ck_done(closed);
    scene_free(s);
    free(w);
}
END_TEST

START_TEST(a_close_settles_a_kept_promise)
{
    scene_t *s = scene_new(NULL);
    struct work *w = work_new(s);
    stator_future_t *f = run(s, keep_promise, w, NULL);

    sem_wait(&w->over);
    close_with(s, _i == 0 ? "{'mode': 'drain', 'timeoutMS': 50}"
                          : "{'mode': 'cancel'}");
    ck_cancelled(f, STATOR_MAYBE_SENT);
    ck_assert(stator_promise_cancelled(w->kept));
    ck_assert(!stator_promise_resolve(w->kept, NULL, NULL));
    scene_free(s);
    stator_promise_unref(w->kept); /* after the client has gone */
    free(w);
}
END_TEST

static void look_at_cancel(mongoc_client_t *client, stator_promise_t *promise,
                           void *arg)
{
    struct work *w = arg;

    (void)client;
    sem_post(&w->begun);
    sem_wait(&w->go);
    w->was_cancelled = stator_promise_cancelled(promise);
    w->answer = stator_promise_resolve(promise, NULL, NULL);
    sem_post(&w->over);
}

START_TEST(cancel_while_running_is_seen_in_there)
{
    scene_t *s = scene_new(NULL);
    struct work *w = work_new(s);
    stator_future_t *f = run(s, look_at_cancel, w, NULL);

    sem_wait(&w->begun);
    ck_assert_int_eq(stator_future_phase(f), STATOR_PHASE_SENT);
    ck_assert(stator_future_cancel(f));
    ck_cancelled(f, STATOR_MAYBE_SENT);
    ck_stat(s->client, "zombies", 1);
    sem_post(&w->go);
    sem_wait(&w->over);
    ck_assert(w->was_cancelled);
    ck_assert_int_eq(w->answer, false);
    ck_done(ask_one(s, NULL));
    scene_free(s);
    free(w);
}
END_TEST

START_TEST(cancelled_in_the_queue_it_never_runs)
{
    scene_t *s = scene_new(NULL);
    struct work *w = work_new(s);
    stator_future_t *f;

    hold_worker(s);
    f = run(s, keep_promise, w, NULL);
    ck_assert(stator_future_cancel(f));
    ck_cancelled(f, STATOR_NOT_SENT);
    wire_gate_open(s->gate);
    close_with(s, NULL);
    ck_assert_int_eq(sem_trywait(&w->over), -1);
    scene_free(s);
    free(w);
}
END_TEST

static void wait_in_here(mongoc_client_t *client, stator_promise_t *promise,
                         void *arg)
{
    struct work *w = arg;
    stator_future_t *f = stator_client_ping(w->scene->client, NULL);

    (void)client;
    w->answer = stator_future_wait(f, 1000);
    stator_future_cancel(f);
    stator_future_unref(f);
    stator_promise_resolve(promise, NULL, NULL);
}

START_TEST(waiting_in_there_is_a_deadlock)
{
    scene_t *s = scene_new(NULL);
    struct work *w = work_new(s);

    ck_done(run(s, wait_in_here, w, NULL));
    ck_assert_int_eq(w->answer, EDEADLK);
    scene_free(s);
    free(w);
}
END_TEST

static void dispatch_in_here(mongoc_client_t *client,
                             stator_promise_t *promise, void *arg)
{
    struct work *w = arg;
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);

    (void)client;
    w->answer = stator_dispatcher_run_once(d, 1000);
    stator_dispatcher_unref(d);
    stator_promise_resolve(promise, NULL, NULL);
}

START_TEST(so_is_a_loop_in_there)
{
    scene_t *s = scene_new(NULL);
    struct work *w = work_new(s);

    ck_done(run(s, dispatch_in_here, w, NULL));
    ck_assert_int_eq(w->answer, -EDEADLK);
    scene_free(s);
    free(w);
}
END_TEST

START_TEST(it_counts_and_queues_like_any_other)
{
    scene_t *s = scene_new("{'workers': 1, 'queueLimit': 1}");
    struct work *w = work_new(s);
    stator_future_t *f;

    run(s, look_at_cancel, w, NULL);
    sem_wait(&w->begun);
    ck_stat(s->client, "running", 1);
    f = run(s, resolve, NULL, NULL);
    ck_stat(s->client, "queued", 1);
    fails(stator_client_run(s->client, resolve, NULL, NULL),
          STATOR_ERROR_DOMAIN, STATOR_ERROR_REFUSED, "full");
    sem_post(&w->go);
    ck_done(f);
    ck_stat(s->client, "done", 2);
    scene_free(s);
    free(w);
}
END_TEST

START_TEST(a_close_names_it_when_it_is_stuck)
{
    scene_t *s = scene_new(NULL);
    struct work *w = work_new(s);
    stator_future_t *f = run(s, look_at_cancel, w, NULL), *closed;

    sem_wait(&w->begun);
    closed = close_with(s, "{'timeoutMS': 50}");
    ck_at(stator_future_reply(closed), "leaked.0.kind", "'worker'");
    ck_assert_ptr_nonnull(
        strstr(at(stator_future_reply(closed), "leaked.0.what"), "run"));
    ck_cancelled(f, STATOR_MAYBE_SENT);
    sem_post(&w->go);
    sem_wait(&w->over);
    scene_free(s);
    await_threads("stator/", 0);
    free(w);
}
END_TEST

SUITE(core_run)
{
    tcase_add_test(tc, it_resolves);
    tcase_add_test(tc, it_fails);
    tcase_add_test(tc, left_unsettled_it_fails_by_itself);
    tcase_add_test(tc, the_promise_can_be_kept);
    tcase_add_test(tc, a_kept_one_that_is_dropped_fails);
    tcase_add_loop_test(tc, a_kept_one_can_be_cancelled_and_expire, 0, 2);
    tcase_add_test(tc, a_drain_waits_for_a_kept_promise);
    tcase_add_loop_test(tc, a_close_settles_a_kept_promise, 0, 2);
    tcase_add_test(tc, cancel_while_running_is_seen_in_there);
    tcase_add_test(tc, cancelled_in_the_queue_it_never_runs);
    tcase_add_test(tc, waiting_in_there_is_a_deadlock);
    tcase_add_test(tc, so_is_a_loop_in_there);
    tcase_add_test(tc, it_counts_and_queues_like_any_other);
    tcase_add_test(tc, a_close_names_it_when_it_is_stuck);
}
