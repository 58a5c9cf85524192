/* SPDX-License-Identifier: Apache-2.0 */
/* test_close.c - the end of a client: three modes, whatever the server and
 * the operations are at. */
#include "tests/core/support.h"
#include "tests/harness/stopwatch.h"

#include <pthread.h>
#include <stdatomic.h>

static const char *const modes[] = {"drain", "cancel", "abort"};

static int64_t n_leaked(stator_future_t *closed)
{
    bson_iter_t i, one;
    int64_t n = 0;

    ck_assert_ptr_nonnull(stator_future_reply(closed));
    ck_assert(bson_iter_init_find(&i, stator_future_reply(closed), "leaked"));
    ck_assert(BSON_ITER_HOLDS_ARRAY(&i) && bson_iter_recurse(&i, &one));
    while (bson_iter_next(&one))
        n++;
    return n;
}

static stator_future_t *begin_close(scene_t *s, const char *mode,
                                    int timeout_ms)
{
    s->is_closed = true;
    return lend(stator_client_close(
        s->client, J("{'mode': '%s', 'timeoutMS': %d}", mode, timeout_ms)));
}

/* ---- operations queued and running -------------------------------------- */

START_TEST(drain_finishes_all_that_was_accepted)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_future_t *f[20], *closed;

    hold_workers(s, 2);
    for (int i = 0; i < 20; i++)
        f[i] = lend(stator_collection_insert_one(s->things, J("{}"), NULL));
    closed = begin_close(s, "drain", AMPLE_MS);
    await_stat(s->client, "closing", 1);
    ck_closed(ask_one(s, NULL)); /* no more of it */
    ck_pending(closed);
    ck_pending(f[0]);
    wire_gate_open(s->gate);
    ck_done(closed);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(stator_future_poll(f[i]), STATOR_FUTURE_DONE);
    ck_assert_int_eq(wire_count(s->server, "insert"), 20);
    ck_assert_int_eq(n_leaked(closed), 0);
    scene_free(s);
}
END_TEST

START_TEST(cancel_and_abort_withdraw_and_give_up)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_future_t *running[2], *queued[20], *closed;

    for (int i = 0; i < 2; i++)
        running[i] = hold_worker(s);
    for (int i = 0; i < 20; i++)
        queued[i] =
            lend(stator_collection_insert_one(s->things, J("{}"), NULL));
    closed = begin_close(s, modes[_i], AMPLE_MS);
    for (int i = 0; i < 2; i++)
        ck_cancelled(running[i], STATOR_MAYBE_SENT);
    for (int i = 0; i < 20; i++)
        ck_cancelled(queued[i], STATOR_NOT_SENT);
    ck_stat(s->client, "queued", 0);
    ck_done(closed); /* the workers were cut, the gate is shut */
    ck_assert_int_eq(wire_count(s->server, "insert"), 0);
    ck_assert_int_eq(n_leaked(closed), 0);
    scene_free(s);
}
END_TEST

START_TEST(cursors_requests_are_given_up_too)
{
    scene_t *s = scene_new("{'workers': 1}");
    stator_future_t *f[3], *closed;
    stator_cursor_t *c;

    scene_fill(s, 10);
    wire_rule_add(s->server,
                  &(wire_rule_t){.command = "getMore", .gate = s->gate});
    c = open_and_read(s, "{'batchSize': 1}");
    for (int i = 0; i < 3; i++)
        f[i] = lend(stator_cursor_next(c));
    ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
    closed = begin_close(s, modes[_i], AMPLE_MS);
    ck_cancelled(f[0], STATOR_MAYBE_SENT);
    ck_cancelled(f[1], STATOR_NOT_SENT);
    ck_cancelled(f[2], STATOR_NOT_SENT);
    wire_gate_open(s->gate);
    ck_done(closed);
    ck_closed(lend(stator_cursor_next(c)));
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(drain_reads_a_list_to_its_end)
{
    scene_t *s = scene_new("{'workers': 1}");
    stator_future_t *f, *closed;
    stator_cursor_t *c;

    scene_fill(s, 30);
    wire_rule_add(s->server,
                  &(wire_rule_t){.command = "getMore", .gate = s->gate});
    c = open_cursor(s, "{'batchSize': 3}");
    f = lend(stator_cursor_to_list(c, 0));
    ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
    closed = begin_close(s, "drain", AMPLE_MS);
    await_stat(s->client, "closing", 1);
    wire_gate_open(s->gate);
    ck_assert_int_eq(stator_future_count(ck_done(f)), 30);
    ck_done(closed);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

/* ---- idle cursors ------------------------------------------------------- */

START_TEST(drain_and_cancel_close_idle_cursors_on_the_server)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_cursor_t *c[3];
    stator_future_t *closed;

    scene_fill(s, 10);
    for (int i = 0; i < 3; i++)
        c[i] = open_and_read(s, "{'batchSize': 2}");
    closed = close_with(s, _i == 0 ? "{'mode': 'drain'}"
                                   : "{'mode': 'cancel'}");
    ck_assert_int_eq(wire_count(s->server, "killCursors"), 3);
    ck_assert_int_eq(n_leaked(closed), 3);
    ck_at(stator_future_reply(closed), "leaked.0.kind", "'cursor'");
    ck_at(stator_future_reply(closed), "leaked.0.what",
          "'find on core.things'");
    ck_closed(lend(stator_cursor_next(c[0])));
    for (int i = 0; i < 3; i++)
        stator_cursor_unref(c[i]);
    scene_free(s);
}
END_TEST

START_TEST(they_do_not_wait_for_what_runs)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_future_t *closed;
    stator_cursor_t *c;

    scene_fill(s, 10);
    c = open_and_read(s, "{'batchSize': 2}");
    hold_worker(s);
    closed = begin_close(s, "drain", AMPLE_MS);
    ck_assert(wire_wait_count(s->server, "killCursors", 1, WIRE_WAIT));
    ck_pending(closed);
    wire_gate_open(s->gate);
    ck_done(closed);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(abort_says_nothing_to_the_server)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_cursor_t *c;

    scene_fill(s, 10);
    c = open_and_read(s, "{'batchSize': 2}");
    close_with(s, "{'mode': 'abort'}");
    ck_assert_int_eq(wire_count(s->server, "killCursors"), 0);
    ck_assert_int_eq(wire_count(s->server, "endSessions"), 0);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(shared_cursors_close_too)
{
    scene_t *s = scene_new(
        "{'workers': 2, 'watchers': 0, 'maxConnections': 3}");
    stator_cursor_t *c[6];

    scene_fill(s, 10);
    for (int i = 0; i < 6; i++)
        c[i] = open_and_read(s, "{'batchSize': 2}");
    close_with(s, "{'mode': 'drain', 'timeoutMS': 600000}");
    ck_assert_int_eq(wire_count(s->server, "killCursors"), 6);
    ck_stat(s->client, "sharing", 0);
    ck_stat(s->client, "connections", 0);
    for (int i = 0; i < 6; i++)
        stator_cursor_unref(c[i]);
    scene_free(s);
}
END_TEST

/* ---- in time ------------------------------------------------------------ */

enum { CLOSE_MS = 300, GRACE_MS = 200 };

/* How long a close of CLOSE_MS takes beyond that; all futures must have
 * settled by then. */
static int64_t beyond_us(scene_t *s, const char *mode, stator_future_t **f,
                         int n)
{
    int64_t before = now_us(), beyond;
    stator_future_t *closed = begin_close(s, mode, CLOSE_MS);

    ck_assert_int_eq(stator_future_wait(closed, LIB_PATIENCE_MS), 0);
    beyond = now_us() - before - CLOSE_MS * 1000;
    ck_done(closed);
    for (int i = 0; i < n; i++)
        ck_assert_int_ne(stator_future_poll(f[i]), STATOR_FUTURE_PENDING);
    return beyond / 1000;
}

/* The gate never opens before the close has settled. */
static int64_t close_with_stuck_workers(void)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_future_t *f[12];
    int64_t beyond;

    f[0] = hold_worker(s);
    f[1] = hold_worker(s);
    for (int i = 2; i < 12; i++)
        f[i] = ask_one(s, NULL);
    beyond = beyond_us(s, "drain", f, 12);
    scene_free(s);
    return beyond;
}

START_TEST(a_close_is_over_in_time_with_stuck_workers)
{
    best_of_three("close, workers stuck, beyond timeoutMS",
                  close_with_stuck_workers, GRACE_MS, "ms");
}
END_TEST

static int64_t close_after_down(void)
{
    scene_t *s = scene_with_uri("{'workers': 2}",
                                "serverSelectionTimeoutMS=1500");
    stator_future_t *f[4];
    int64_t beyond;

    scene_fill(s, 10);
    stator_cursor_t *c = open_and_read(s, "{'batchSize': 1}");

    hold_workers(s, 1);
    wire_server_down(s->server, WIRE_RST);
    for (int i = 0; i < 4; i++)
        f[i] = ask_one(s, NULL);
    beyond = beyond_us(s, "drain", f, 4);
    stator_cursor_unref(c);
    scene_free(s);
    return beyond;
}

START_TEST(on_a_server_that_has_died)
{
    best_of_three("close, server died, beyond timeoutMS", close_after_down,
                  GRACE_MS, "ms");
}
END_TEST

static int64_t close_while_paused(void)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_future_t *f[4];
    int64_t beyond;

    ck_done(ask_one(s, NULL));
    wire_server_pause(s->server);
    for (int i = 0; i < 4; i++)
        f[i] = ask_one(s, NULL);
    beyond = beyond_us(s, "drain", f, 4);
    wire_server_resume(s->server);
    scene_free(s);
    return beyond;
}

START_TEST(on_a_server_that_never_answers)
{
    best_of_three("close, server silent, beyond timeoutMS",
                  close_while_paused, GRACE_MS, "ms");
}
END_TEST

static int64_t close_idle_while_paused(void)
{
    scene_t *s = scene_new("{'workers': 2}");
    int64_t beyond;

    ck_done(ask_one(s, NULL));
    wire_server_pause(s->server); /* endSessions will find nobody */
    beyond = beyond_us(s, "drain", NULL, 0);
    wire_server_resume(s->server);
    scene_free(s);
    return beyond;
}

START_TEST(idle_on_a_server_that_never_answers)
{
    best_of_three("close, idle, server silent, beyond timeoutMS",
                  close_idle_while_paused, GRACE_MS, "ms");
}
END_TEST

/* Nobody has ever listened there. */
static int64_t close_unreachable(void)
{
    stator_client_t *client = stator_client_new(
        "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=1500", NULL, NULL);
    stator_future_t *f = stator_client_ping(client, NULL);
    int64_t before = now_us(), beyond;

    done(stator_client_close(client, J("{'timeoutMS': %d}", CLOSE_MS)));
    beyond = (now_us() - before) / 1000 - CLOSE_MS;
    ck_assert_int_ne(stator_future_poll(f), STATOR_FUTURE_PENDING);
    stator_future_unref(f);
    stator_client_unref(client);
    lib_forget();
    await_threads("stator", 0);
    return beyond;
}

START_TEST(on_a_server_that_was_never_there)
{
    best_of_three("close, nobody there, beyond timeoutMS", close_unreachable,
                  GRACE_MS, "ms");
}
END_TEST

START_TEST(a_killed_server_midway_settles_everything)
{
    scene_t *s = scene_with_uri("{'workers': 2}",
                                "serverSelectionTimeoutMS=300");
    stator_future_t *f[8], *closed;

    f[0] = hold_worker(s);
    f[1] = hold_worker(s);
    for (int i = 2; i < 8; i++)
        f[i] = ask_one(s, NULL);
    closed = begin_close(s, "drain", AMPLE_MS);
    wire_server_down(s->server, WIRE_RST);
    ck_done(closed);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(stator_future_poll(f[i]), STATOR_FUTURE_FAILED);
    scene_free(s);
}
END_TEST

/* How many are named: one of the two workers.  The other one has 50 ms to
 * end, in which a machine must not stand still. */
static int64_t name_who_is_stuck(void)
{
    scene_t *s = scene_new("{'workers': 2, 'transport': 'driver'}");
    stator_future_t *closed;
    int64_t n;

    hold_worker(s);
    closed = begin_close(s, "drain", 50);
    ck_done(closed);
    n = n_leaked(closed);
    if (n == 1) {
        ck_at(stator_future_reply(closed), "leaked.0.kind", "'worker'");
        ck_at(stator_future_reply(closed), "leaked.0.what",
              "'find_one on core.held'");
    }
    scene_free(s);
    return n;
}

START_TEST(leaked_names_what_is_stuck)
{
    int64_t n = 0;

    for (chances_t c = {0}; n != 1 && chances_next(&c);)
        n = name_who_is_stuck();
    ck_assert_int_eq(n, 1);
}
END_TEST

/* ---- odd times ---------------------------------------------------------- */

START_TEST(without_an_operation_ever)
{
    scene_t *s = scene_new(NULL);

    ck_assert_int_eq(
        n_leaked(close_with(s, _i == 0   ? "{'mode': 'drain'}"
                               : _i == 1 ? "{'mode': 'cancel'}"
                                         : "{'mode': 'abort'}")),
        0);
    ck_assert_int_eq(wire_count(s->server, NULL), 0);
    scene_free(s);
}
END_TEST

START_TEST(twice_and_after_the_end)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *first, *second;

    hold_worker(s);
    first = begin_close(s, "drain", AMPLE_MS);
    second = begin_close(s, "drain", AMPLE_MS);
    ck_pending(first);
    ck_pending(second);
    wire_gate_open(s->gate);
    ck_done(first);
    ck_done(second);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(n_leaked(close_with(s, NULL)), 0);
    scene_free(s);
}
END_TEST

START_TEST(a_stricter_second_close_is_taken_over)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *running = hold_worker(s), *queued = ask_one(s, NULL);
    stator_future_t *first = begin_close(s, "drain", AMPLE_MS);
    stator_future_t *second;

    ck_pending(queued);
    second = begin_close(s, "cancel", AMPLE_MS);
    ck_cancelled(queued, STATOR_NOT_SENT);
    ck_cancelled(running, STATOR_MAYBE_SENT);
    wire_gate_open(s->gate);
    ck_done(first);
    ck_done(second);
    scene_free(s);
}
END_TEST

START_TEST(a_laxer_second_close_is_not)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *running, *first, *second;
    stator_cursor_t *c;

    scene_fill(s, 10);
    wire_rule_add(s->server,
                  &(wire_rule_t){.command = "getMore", .gate = s->gate});
    c = open_and_read(s, "{'batchSize': 1}");
    running = lend(stator_cursor_next(c));
    ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
    first = begin_close(s, "abort", AMPLE_MS);
    ck_cancelled(running, STATOR_MAYBE_SENT);
    second = begin_close(s, "drain", 30000);
    wire_gate_open(s->gate);
    ck_done(first);
    ck_done(second);
    ck_assert_int_eq(wire_count(s->server, "killCursors"), 0);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(a_shorter_second_close_is_taken_over)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *running = hold_worker(s);
    stator_future_t *first = begin_close(s, "drain", 600000);
    stator_future_t *second = begin_close(s, "drain", 50);

    ck_done(second);
    ck_done(first);
    ck_cancelled(running, STATOR_MAYBE_SENT);
    scene_free(s);
}
END_TEST

static void close_in_here(stator_future_t *f, void *arg)
{
    scene_t *s = arg;

    (void)f;
    begin_close(s, "drain", AMPLE_MS);
    stator_client_unref(stator_client_ref(s->client));
}

START_TEST(in_a_continuation)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    stator_future_t *f = ask_one(s, NULL), *other = hold_worker(s);

    ck_assert_int_eq(stator_future_then(f, d, close_in_here, s), 0);
    ck_assert_int_eq(stator_dispatcher_run_once(d, LIB_PATIENCE_MS), 1);
    wire_gate_open(s->gate);
    ck_done(other);
    close_with(s, NULL);
    stator_dispatcher_unref(d);
    scene_free(s);
}
END_TEST

START_TEST(after_close_every_call_fails_as_closed)
{
    scene_t *s = scene_new(NULL);
    const bson_t *one = J("{'a': 1}"), *update = J("{'$set': {'a': 1}}");
    stator_database_t *db = stator_client_get_database(s->client, "core");
    stator_cursor_t *c, *idle;
    bson_error_t error;

    scene_fill(s, 10);
    idle = open_and_read(s, "{'batchSize': 2}");
    close_with(s, NULL);
    ck_closed(lend(stator_client_ping(s->client, NULL)));
    ck_closed(lend(stator_client_command(s->client, "a", one, NULL)));
    ck_closed(lend(stator_client_list_database_names(s->client, NULL)));
    ck_closed(lend(stator_client_room(s->client)));
    ck_closed(lend(stator_database_command(db, one, NULL)));
    ck_closed(lend(stator_database_drop(db, NULL)));
    ck_closed(lend(stator_collection_insert_one(s->things, one, NULL)));
    ck_closed(lend(stator_collection_insert_many(s->things, &one, 1, NULL)));
    ck_closed(ask_one(s, NULL));
    ck_closed(
        lend(stator_collection_update_one(s->things, one, update, NULL)));
    ck_closed(lend(stator_collection_delete_many(s->things, one, NULL)));
    ck_closed(lend(stator_collection_count_documents(s->things, one, NULL)));
    ck_closed(lend(stator_collection_drop(s->things, NULL)));
    ck_closed(lend(stator_cursor_next(idle)));
    ck_closed(lend(stator_cursor_next_batch(idle)));
    ck_closed(lend(stator_cursor_to_list(idle, 0)));
    c = open_cursor(s, NULL);
    ck_closed(lend(stator_cursor_next(c)));
    ck_closed(lend(stator_cursor_to_list(c, 0)));
    ck_assert(!stator_client_resize(s->client, 2, &error));
    ck_assert_uint_eq(error.code, STATOR_ERROR_CLOSED);
    stator_cursor_unref(c);
    stator_cursor_unref(idle);
    stator_database_unref(db);
    scene_free(s);
}
END_TEST

/* ---- nothing stays ------------------------------------------------------ */

START_TEST(no_thread_and_no_descriptor_stays)
{
    scene_t *s;
    int threads, fds;

    close_with(s = scene_new(NULL), NULL); /* what the driver keeps for ever */
    scene_free(s);
    threads = threads_named("");
    fds = count_fds();
    for (int i = 0; i < 6; i++) {
        stator_cursor_t *c;

        s = scene_new("{'workers': 3, 'name': 'gone'}");
        scene_fill(s, 10);
        c = open_and_read(s, "{'batchSize': 2}");
        for (int n = 0; n < 10; n++)
            ask_one(s, NULL);
        close_with(s, i % 3 == 0   ? "{'mode': 'drain'}"
                      : i % 3 == 1 ? "{'mode': 'cancel'}"
                                   : "{'mode': 'abort'}");
        stator_cursor_unref(c);
        scene_free(s);
        await_threads("gone", 0);
    }
    await_threads("", threads);
    ck_assert_int_eq(count_fds(), fds);
}
END_TEST

static int64_t unref_without_close(void)
{
    scene_t *s = scene_new("{'workers': 3, 'name': 'unref'}");
    int64_t before;

    for (int i = 0; i < 50; i++)
        stator_future_unref(
            stator_collection_insert_one(s->things, J("{}"), NULL));
    stator_collection_unref(s->things);
    stator_collection_unref(s->held);
    stator_client_unref(s->client);
    before = now_us();
    await_threads("unref", 0);
    before = now_us() - before;
    ck_assert_int_eq(wire_count(s->server, "insert"), 50);
    wire_server_free(s->server);
    free(s);
    lib_forget();
    return before / 1000;
}

START_TEST(the_last_unref_drains)
{
    best_of_three("threads gone after the last unref", unref_without_close,
                  5000, "ms");
}
END_TEST

static int64_t unref_with_a_stuck_worker(void)
{
    scene_t *s = scene_new("{'workers': 1, 'name': 'stuck'}");
    stator_future_t *held = stator_future_ref(hold_worker(s));
    stator_future_t *queued = stator_future_ref(ask_one(s, NULL));
    int64_t took = now_us();

    stator_collection_unref(s->things);
    stator_collection_unref(s->held);
    stator_client_unref(s->client);
    ck_assert_int_eq(stator_future_wait(held, LIB_PATIENCE_MS), 0);
    took = now_us() - took;
    ck_cancelled(held, STATOR_MAYBE_SENT);
    ck_cancelled(queued, STATOR_NOT_SENT);
    wire_gate_open(s->gate);
    await_threads("stuck", 0);
    wire_server_free(s->server);
    stator_future_unref(held);
    stator_future_unref(queued);
    free(s);
    return took / 1000;
}

START_TEST(the_last_unref_gives_up_after_four_seconds)
{
    best_of_three("given up after the last unref", unref_with_a_stuck_worker,
                  4200, "ms");
}
END_TEST

START_TEST(a_future_does_not_keep_a_client_open)
{
    scene_t *s = scene_new("{'workers': 1, 'name': 'held-by'}");
    stator_future_t *f = stator_future_ref(ck_done(ask_one(s, NULL)));

    close_with(s, NULL);
    scene_free(s);
    await_threads("held-by", 0);
    ck_assert_ptr_nonnull(stator_future_document(f));
    stator_future_unref(f);
}
END_TEST

/* ---- races -------------------------------------------------------------- */

static atomic_bool stop;

static void *submit_until_told(void *arg)
{
    scene_t *s = arg;

    while (!atomic_load(&stop)) {
        stator_cursor_t *c = stator_collection_find(s->things, NULL, NULL);
        stator_future_t *f = stator_cursor_next(c), *g, *h;

        g = stator_collection_find_one(s->things, NULL, NULL);
        h = stator_cursor_close(c);
        stator_cursor_unref(c);
        if (stator_future_wait(f, LIB_PATIENCE_MS) != 0 ||
            stator_future_wait(g, LIB_PATIENCE_MS) != 0 ||
            stator_future_wait(h, LIB_PATIENCE_MS) != 0)
            abort();
        stator_future_unref(f);
        stator_future_unref(g);
        stator_future_unref(h);
    }
    return NULL;
}

START_TEST(all_that_was_accepted_settles_in_a_race)
{
    for (int round = 0; round < 12; round++) {
        scene_t *s = scene_new("{'workers': 2}");
        pthread_t t[3];

        scene_fill(s, 200);
        atomic_store(&stop, false);
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(
                pthread_create(&t[i], NULL, submit_until_told, s), 0);
        ck_assert(wire_wait_count(s->server, "find", 20 + 10 * round,
                                  WIRE_WAIT));
        ck_done(begin_close(s, modes[round % 3], 10000));
        atomic_store(&stop, true);
        for (int i = 0; i < 3; i++)
            pthread_join(t[i], NULL);
        ck_stat(s->client, "queued", 0);
        ck_stat(s->client, "leases", 0);
        scene_free(s);
    }
}
END_TEST

START_TEST(resize_and_close_leave_no_connection)
{
    for (int i = 0; i < 60; i++) {
        scene_t *s = scene_new("{'workers': 4}");

        for (int n = 0; n < 4; n++)
            stator_future_unref(
                stator_collection_find_one(s->things, NULL, NULL));
        ck_assert(stator_client_resize(s->client, 1 + i % 3, NULL));
        close_with(s, i % 2 == 0 ? NULL : "{'mode': 'cancel'}");
        ck_assert(wire_wait_connections(s->server, 0, WIRE_WAIT));
        scene_free(s);
    }
}
END_TEST

SUITE(core_close)
{
    TCase *slow;

    tcase_add_test(tc, drain_finishes_all_that_was_accepted);
    tcase_add_loop_test(tc, cancel_and_abort_withdraw_and_give_up, 1, 3);
    tcase_add_loop_test(tc, cursors_requests_are_given_up_too, 1, 3);
    tcase_add_test(tc, drain_reads_a_list_to_its_end);
    tcase_add_loop_test(
        tc, drain_and_cancel_close_idle_cursors_on_the_server, 0, 2);
    tcase_add_test(tc, they_do_not_wait_for_what_runs);
    tcase_add_test(tc, abort_says_nothing_to_the_server);
    tcase_add_test(tc, shared_cursors_close_too);
    tcase_add_test(tc, leaked_names_what_is_stuck);
    tcase_add_loop_test(tc, without_an_operation_ever, 0, 3);
    tcase_add_test(tc, twice_and_after_the_end);
    tcase_add_test(tc, a_stricter_second_close_is_taken_over);
    tcase_add_test(tc, a_laxer_second_close_is_not);
    tcase_add_test(tc, a_shorter_second_close_is_taken_over);
    tcase_add_test(tc, in_a_continuation);
    tcase_add_test(tc, after_close_every_call_fails_as_closed);
    tcase_add_test(tc, a_future_does_not_keep_a_client_open);
    slow = suite_case("core_close_slow");
    tcase_add_test(slow, a_close_is_over_in_time_with_stuck_workers);
    tcase_add_test(slow, on_a_server_that_has_died);
    tcase_add_test(slow, on_a_server_that_never_answers);
    tcase_add_test(slow, idle_on_a_server_that_never_answers);
    tcase_add_test(slow, on_a_server_that_was_never_there);
    tcase_add_test(slow, a_killed_server_midway_settles_everything);
    tcase_add_test(slow, no_thread_and_no_descriptor_stays);
    tcase_add_test(slow, the_last_unref_drains);
    tcase_add_test(slow, the_last_unref_gives_up_after_four_seconds);
    tcase_add_test(slow, all_that_was_accepted_settles_in_a_race);
    tcase_add_test(slow, resize_and_close_leave_no_connection);
}
