/* SPDX-License-Identifier: Apache-2.0 */
/* test_leases.c - leases that a user asks for: one connection, in order, on
 * any worker; parked without a thread; ended whenever. */
#include "tests/core/forked.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/client.h"

/* One worker, and one lease at a time. */
#define ONE_LEASE "{'workers': 1, 'watchers': 0, 'maxConnections': 2}"

static stator_future_t *ask_lease(scene_t *s, const char *opts)
{
    return lend(stator_client_lease(
        s->client, opts == NULL ? NULL : J("%s", opts)));
}

static stator_lease_t *get_lease(scene_t *s)
{
    stator_future_t *f = stator_client_lease(s->client, NULL);
    stator_lease_t *lease;

    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_DONE);
    lease = stator_future_lease(f);
    ck_assert_ptr_nonnull(lease);
    stator_future_unref(f); /* the handle is enough */
    return lease;
}

/* `json`, and the lease; good until lib_forget. */
static const bson_t *on(stator_lease_t *lease, const char *json)
{
    const bson_t *opts = J("%s", json);

    ck_assert(stator_lease_append(lease, (bson_t *)(uintptr_t)opts, NULL));
    return opts;
}

static stator_future_t *find_on(scene_t *s, stator_lease_t *lease)
{
    return lend(
        stator_collection_find_one(s->things, NULL, on(lease, "{}")));
}

/* One that waits at the gate, on the lease. */
static stator_future_t *hold_on(scene_t *s, stator_lease_t *lease)
{
    int64_t held = wire_gate_held(s->gate);
    stator_future_t *f =
        lend(stator_collection_find_one(s->held, NULL, on(lease, "{}")));

    ck_assert(wire_gate_wait_held(s->gate, held + 1, WIRE_WAIT));
    return f;
}

static int64_t n_leaked(stator_future_t *closed, const char *kind)
{
    bson_iter_t i, all, one;
    int64_t n = 0;

    ck_assert(bson_iter_init_find(&i, stator_future_reply(closed), "leaked") &&
              bson_iter_recurse(&i, &all));
    while (bson_iter_next(&all)) {
        ck_assert(bson_iter_recurse(&all, &one) &&
                  bson_iter_find(&one, "kind"));
        n += strcmp(bson_iter_utf8(&one, NULL), kind) == 0;
    }
    return n;
}

/* ---- one connection, in order ------------------------------------------- */

START_TEST(what_is_given_a_lease_comes_in_order_on_one_connection)
{
    enum { N = 60 };
    scene_t *s = scene_new("{'workers': 3}");
    stator_lease_t *a = get_lease(s), *b = get_lease(s);
    stator_future_t *f[2 * N];
    int64_t connection[2] = {0}, seen[2] = {0};
    wire_command_t c;

    for (int i = 0; i < N; i++) {
        f[2 * i] = lend(stator_collection_insert_one(
            s->things, J("{'who': 0, 'i': %d}", i), on(a, "{}")));
        f[2 * i + 1] = lend(stator_collection_insert_one(
            s->things, J("{'who': 1, 'i': %d}", i),
            on(b, i % 2 == 0 ? "{'priority': 'high'}"
                             : "{'priority': 'low'}")));
    }
    for (int i = 0; i < 2 * N; i++)
        ck_done(f[i]);
    for (size_t i = 0; wire_log_find(s->server, "insert", i, &c); i++) {
        bool first = strcmp(at(c.document, "documents.0.who"), "0") == 0;
        int64_t *mine = &connection[first ? 0 : 1];
        char text[16];

        if (*mine == 0)
            *mine = c.connection;
        ck_assert_int_eq(c.connection, *mine);
        snprintf(text, sizeof text, "%d", (int)seen[first ? 0 : 1]++);
        ck_at(c.document, "documents.0.i", text);
        wire_command_clear(&c);
    }
    ck_assert_int_eq(seen[0], N);
    ck_assert_int_eq(seen[1], N);
    ck_assert_int_ne(connection[0], connection[1]);
    ck_stat(s->client, "leases", 2);
    stator_lease_unref(a);
    stator_lease_unref(b);
    await_stat(s->client, "leases", 0);
    scene_free(s);
}
END_TEST

START_TEST(an_idle_lease_needs_no_worker)
{
    scene_t *s = scene_new(ONE_LEASE);
    stator_lease_t *lease = get_lease(s);

    for (int i = 0; i < 10; i++)
        done(stator_client_ping(s->client, NULL));
    await_stat(s->client, "busy", 0);
    stator_lease_unref(lease);
    await_stat(s->client, "leases", 0);
    scene_free(s);
}
END_TEST

START_TEST(many_more_leases_than_workers)
{
    enum { N = 40 };
    scene_t *s =
        scene_new("{'workers': 2, 'watchers': 0, 'maxConnections': 42}");
    stator_lease_t *lease[N];
    stator_future_t *f[N], *extra;

    for (int i = 0; i < N; i++)
        lease[i] = get_lease(s);
    ck_stat(s->client, "leases", N);
    extra = ask_lease(s, NULL);
    await_stat(s->client, "parked", 1);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < N; i++)
            f[i] = find_on(s, lease[i]);
        for (int i = 0; i < N; i++)
            ck_done(f[i]);
    }
    ck_assert_int_le(stat_of(s->client, "connections"), 42);
    for (int i = 0; i < N; i++)
        stator_lease_unref(lease[i]);
    ck_done(extra);
    scene_free(s);
}
END_TEST

START_TEST(one_that_fails_lets_the_next_run)
{
    scene_t *s = scene_new(NULL);
    stator_lease_t *lease = get_lease(s);
    stator_future_t *bad, *good;

    bad = stator_client_command(s->client, "core", J("{'insert': 1}"),
                                on(lease, "{'serverId': 77}"));
    good = find_on(s, lease);
    ck_done(good);
    ck_assert_int_eq(stator_future_poll(bad), STATOR_FUTURE_FAILED);
    stator_future_unref(bad);
    stator_lease_unref(lease);
    scene_free(s);
}
END_TEST

static void work(mongoc_client_t *client, stator_promise_t *promise,
                 void *arg)
{
    mongoc_client_t **seen = arg;
    bson_error_t error;
    bson_t *ping = BCON_NEW("ping", BCON_INT32(1));

    *seen = client;
    ck_assert(mongoc_client_command_simple(client, "admin", ping, NULL, NULL,
                                           &error));
    bson_destroy(ping);
    stator_promise_resolve(promise, NULL, NULL);
}

START_TEST(your_own_code_runs_on_it_in_its_turn)
{
    scene_t *s = scene_new("{'workers': 3}");
    stator_lease_t *lease = get_lease(s);
    mongoc_client_t *client[2] = {NULL};
    stator_future_t *held, *f;
    wire_command_t find, ping;

    held = hold_on(s, lease);
    f = lend(stator_lease_run(lease, work, &client[0], NULL));
    ck_pending(f);
    ck_assert_ptr_null(client[0]);
    wire_gate_open(s->gate);
    ck_done(held);
    ck_done(f);
    done(stator_lease_run(lease, work, &client[1], NULL));
    ck_assert_ptr_nonnull(client[0]);
    ck_assert_ptr_eq(client[0], client[1]);
    ck_assert(wire_log_find(s->server, "find", 0, &find));
    ck_assert(wire_log_find(s->server, "ping", 0, &ping));
    ck_assert_int_eq(find.connection, ping.connection);
    wire_command_clear(&find);
    wire_command_clear(&ping);
    faulty(stator_lease_run(NULL, work, NULL, NULL), "lease is NULL");
    faulty(stator_lease_run(lease, NULL, NULL, NULL), "fn is NULL");
    stator_lease_unref(lease);
    scene_free(s);
}
END_TEST

/* ---- cursors ------------------------------------------------------------ */

START_TEST(a_cursor_shares_the_strand)
{
    scene_t *s = scene_new(ONE_LEASE);
    stator_lease_t *lease = get_lease(s);
    stator_cursor_t *c[3];
    wire_command_t command;
    int64_t connection = 0;

    scene_fill(s, 30);
    for (int i = 0; i < 3; i++)
        c[i] = stator_collection_find(s->things, NULL,
                                      on(lease, "{'batchSize': 2}"));
    stator_lease_unref(lease); /* the cursors keep it */
    for (int round = 0; round < 30; round++)
        for (int i = 0; i < 3; i++)
            ck_assert_ptr_nonnull(
                stator_future_document(done(stator_cursor_next(c[i]))));
    ck_stat(s->client, "sharing", 0);
    ck_stat(s->client, "leases", 1);
    for (size_t i = 0; wire_log_find(s->server, "getMore", i, &command);
         i++) {
        if (connection == 0)
            connection = command.connection;
        ck_assert_int_eq(command.connection, connection);
        wire_command_clear(&command);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(read_all(c[i]), 0);
        stator_cursor_unref(c[i]);
    }
    await_stat(s->client, "leases", 0);
    scene_free(s);
}
END_TEST

START_TEST(an_open_cursor_on_it_is_killed_there)
{
    scene_t *s = scene_new(ONE_LEASE);
    stator_lease_t *lease = get_lease(s);
    stator_cursor_t *c;

    scene_fill(s, 30);
    c = stator_collection_find(s->things, NULL,
                               on(lease, "{'batchSize': 2, 'prefetch': 1}"));
    done(stator_cursor_next(c));
    stator_lease_unref(lease);
    stator_cursor_unref(c);
    ck_assert(wire_wait_cursors(s->server, 0, WIRE_WAIT));
    await_stat(s->client, "leases", 0);
    scene_free(s);
}
END_TEST

START_TEST(a_cursors_request_waits_in_the_line)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_lease_t *lease = get_lease(s);
    stator_future_t *held, *next[3];
    stator_cursor_t *c;

    scene_fill(s, 30);
    c = stator_collection_find(s->things, NULL,
                               on(lease, "{'batchSize': 2}"));
    held = hold_on(s, lease);
    for (int i = 0; i < 3; i++)
        next[i] = lend(stator_cursor_next(c));
    done(stator_client_ping(s->client, NULL)); /* the other one is free */
    ck_pending(next[0]);
    ck_stat(s->client, "queued", 3);
    ck_assert(stator_future_cancel(next[0]));
    ck_cancelled(next[0], STATOR_NOT_SENT);
    ck_stat(s->client, "queued", 2);
    wire_gate_open(s->gate);
    ck_done(held);
    ck_at(stator_future_document(ck_done(next[1])), "_id", "0");
    ck_at(stator_future_document(ck_done(next[2])), "_id", "1");
    stator_cursor_unref(c);
    stator_lease_unref(lease);
    scene_free(s);
}
END_TEST

/* ---- parked ------------------------------------------------------------- */

START_TEST(who_finds_none_is_parked_without_a_thread)
{
    scene_t *s = scene_new(ONE_LEASE);
    stator_lease_t *lease = get_lease(s);
    stator_future_t *f[5];

    for (int i = 0; i < 5; i++)
        f[i] = stator_client_lease(s->client, NULL);
    await_stat(s->client, "parked", 5);
    ck_stat(s->client, "queued", 5);
    ck_stat(s->client, "running", 0);
    done(stator_client_ping(s->client, NULL));
    stator_lease_unref(lease);
    for (int i = 0; i < 5; i++) { /* in the order in which they came */
        ck_assert_int_eq(stator_future_wait(f[i], LIB_PATIENCE_MS), 0);
        lease = stator_future_lease(f[i]);
        ck_assert_ptr_nonnull(lease);
        stator_future_unref(f[i]);
        ck_stat(s->client, "parked", 4 - i);
        if (i < 4)
            ck_pending(f[i + 1]);
        ck_done(find_on(s, lease));
        stator_lease_unref(lease);
    }
    scene_free(s);
}
END_TEST

START_TEST(a_future_that_goes_gives_it_back)
{
    scene_t *s = scene_new(ONE_LEASE);
    stator_future_t *first = stator_client_lease(s->client, NULL);
    stator_future_t *second = stator_client_lease(s->client, NULL);

    ck_assert_int_eq(stator_future_wait(first, LIB_PATIENCE_MS), 0);
    await_stat(s->client, "parked", 1);
    stator_future_unref(first); /* nobody has asked for the handle */
    ck_assert_int_eq(stator_future_wait(second, LIB_PATIENCE_MS), 0);
    ck_assert_int_eq(stator_future_poll(second), STATOR_FUTURE_DONE);
    stator_future_unref(second);
    await_stat(s->client, "leases", 0);
    scene_free(s);
}
END_TEST

START_TEST(a_cursors_end_serves_who_is_parked)
{
    scene_t *s = scene_new(ONE_LEASE);
    stator_future_t *f;
    stator_cursor_t *c;

    scene_fill(s, 30);
    c = open_and_read(s, "{'batchSize': 3}");
    f = ask_lease(s, NULL);
    await_stat(s->client, "parked", 1);
    stator_cursor_unref(c);
    ck_done(f);
    scene_free(s);
}
END_TEST

START_TEST(fewer_workers_serve_who_is_parked)
{
    scene_t *s =
        scene_new("{'workers': 2, 'watchers': 0, 'maxConnections': 3}");
    stator_lease_t *lease = get_lease(s);
    stator_future_t *f = ask_lease(s, NULL);
    bson_error_t error;

    await_stat(s->client, "parked", 1);
    ck_assert(stator_client_resize(s->client, 1, &error));
    ck_done(f);
    ck_assert(!stator_client_resize(s->client, 2, &error));
    stator_lease_unref(lease);
    scene_free(s);
}
END_TEST

START_TEST(parked_ones_can_be_cancelled_and_expire)
{
    scene_t *s = scene_new(ONE_LEASE);
    stator_lease_t *lease = get_lease(s);
    stator_future_t *cancelled = ask_lease(s, NULL), *expired;

    await_stat(s->client, "parked", 1);
    ck_assert(stator_future_cancel(cancelled));
    ck_cancelled(cancelled, STATOR_NOT_SENT);
    ck_assert_ptr_null(stator_future_lease(cancelled));
    ck_stat(s->client, "parked", 0);
    ck_stat(s->client, "queued", 0);
    expired = ask_lease(s, "{'timeoutMS': 30}");
    ck_expired(expired);
    ck_stat(s->client, "parked", 0);
    ck_stat(s->client, "queued", 0);
    stator_lease_unref(lease);
    ck_done(ask_lease(s, NULL));
    scene_free(s);
}
END_TEST

START_TEST(the_uri_bounds_the_wait)
{
    scene_t *s = scene_with_uri(ONE_LEASE, "waitQueueTimeoutMS=30");
    stator_lease_t *lease = get_lease(s);
    stator_future_t *f = ask_lease(s, NULL);

    ck_expired(f);
    fails(stator_future_ref(f), STATOR_ERROR_DOMAIN, STATOR_ERROR_EXPIRED,
          "waitQueueTimeoutMS");
    f = ask_lease(s, "{'timeoutMS': 600000}"); /* comes first */
    await_stat(s->client, "parked", 1);
    stator_lease_unref(lease);
    ck_done(f);
    scene_free(s);
}
END_TEST

static void *give_back_lease(void *lease)
{
    stator_lease_unref(lease);
    return NULL;
}

/* Each of them gives back what the next one is served with: on a small stack,
 * that is no recursion. */
START_TEST(those_who_have_left_are_passed_over)
{
    enum { N = 20000, STACK = 256 * 1024 };
    scene_t *s = scene_new(ONE_LEASE);
    stator_lease_t *lease = get_lease(s);
    stator_future_t *last;
    pthread_attr_t attr;
    pthread_t thread;

    for (int i = 0; i < N; i++)
        stator_future_unref(stator_client_lease(s->client, NULL));
    last = ask_lease(s, NULL);
    await_stat(s->client, "parked", N + 1);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    ck_assert_int_eq(pthread_create(&thread, &attr, give_back_lease, lease),
                     0);
    pthread_attr_destroy(&attr);
    pthread_join(thread, NULL);
    ck_done(last);
    ck_stat(s->client, "parked", 0);
    scene_free(s);
}
END_TEST

/* The keeper, which would cancel them, is held up by its lock. */
START_TEST(a_close_serves_nobody)
{
    enum { N = 50 };
    scene_t *s = scene_new(ONE_LEASE);
    stator_lease_t *lease = get_lease(s);
    stator_future_t *f[N], *closed;

    for (int i = 0; i < N; i++)
        f[i] = ask_lease(s, NULL);
    await_stat(s->client, "parked", N);
    s->is_closed = true;
    pthread_mutex_lock(&s->client->keeper.lock);
    closed = lend(stator_client_close(s->client, NULL));
    stator_lease_unref(lease);
    pthread_mutex_unlock(&s->client->keeper.lock);
    ck_done(closed);
    for (int i = 0; i < N; i++)
        ck_cancelled(f[i], STATOR_NOT_SENT);
    scene_free(s);
}
END_TEST

/* ---- cancel, deadline --------------------------------------------------- */

START_TEST(cancelling_one_leaves_the_lease_as_it_is)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_lease_t *lease = get_lease(s);
    stator_future_t *running = hold_on(s, lease), *waiting[3];

    for (int i = 0; i < 3; i++)
        waiting[i] = find_on(s, lease);
    ck_stat(s->client, "queued", 3);
    ck_assert(stator_future_cancel(waiting[1]));
    ck_cancelled(waiting[1], STATOR_NOT_SENT);
    ck_stat(s->client, "queued", 2);
    ck_pending(waiting[0]);
    ck_assert(stator_future_cancel(running)); /* cut: the gate is shut */
    ck_cancelled(running, STATOR_MAYBE_SENT);
    ck_done(waiting[0]);
    ck_done(waiting[2]);
    ck_done(find_on(s, lease));
    stator_lease_unref(lease);
    await_stat(s->client, "leases", 0);
    scene_free(s);
}
END_TEST

START_TEST(time_runs_out_in_the_line_and_at_the_server)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_lease_t *lease = get_lease(s);
    stator_future_t *running, *waiting;

    running = lend(stator_collection_find_one(
        s->held, NULL, on(lease, "{'timeoutMS': 150}")));
    ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
    waiting = lend(stator_collection_find_one(s->things, NULL,
                                              on(lease, "{'timeoutMS': 20}")));
    ck_expired(waiting);
    ck_assert_int_eq(stator_future_outcome(waiting), STATOR_NOT_SENT);
    ck_expired(running);
    ck_done(find_on(s, lease));
    stator_lease_unref(lease);
    scene_free(s);
}
END_TEST

START_TEST(a_queue_that_is_full_refuses_on_a_lease_too)
{
    scene_t *s = scene_new("{'workers': 1, 'queueLimit': 2}");
    stator_lease_t *lease = get_lease(s);
    stator_future_t *f[3];

    hold_on(s, lease);
    for (int i = 0; i < 3; i++)
        f[i] = find_on(s, lease);
    fails(stator_future_ref(f[2]), STATOR_ERROR_DOMAIN, STATOR_ERROR_REFUSED,
          "full");
    wire_gate_open(s->gate);
    ck_done(f[0]);
    ck_done(f[1]);
    stator_lease_unref(lease);
    scene_free(s);
}
END_TEST

/* ---- wrong numbers ------------------------------------------------------ */

START_TEST(a_number_that_is_no_lease_is_named)
{
    scene_t *s = scene_new(NULL);
    stator_client_t *other = stator_client_new(s->uri, NULL, NULL);
    stator_lease_t *lease = get_lease(s), *ended = get_lease(s);
    const bson_t *mine = on(lease, "{}"), *gone = on(ended, "{}");
    stator_cursor_t *c;
    bson_error_t error;

    stator_lease_unref(ended);
    await_stat(s->client, "leases", 1);
    faulty(stator_client_ping(other, mine), "leaseId");
    faulty(stator_client_ping(s->client, gone), "leaseId");
    faulty_cursor(stator_collection_find(s->things, NULL, gone), "leaseId");
    faulty(stator_client_ping(s->client, J("{'leaseId': 1}")), "leaseId");
    faulty(stator_client_ping(
               s->client, J("{'leaseId': {'$numberLong': '-5'}}")),
           "leaseId");
    faulty(stator_client_ping(s->client, J("{'leaseId': 'x'}")), "leaseId");
    faulty(stator_client_lease(s->client, mine), "leaseId");
    faulty(stator_client_lease(NULL, NULL), "client is NULL");
    ck_assert(!stator_lease_append(lease, (bson_t *)(uintptr_t)mine, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "already"));
    ck_assert(!stator_lease_append(NULL, (bson_t *)(uintptr_t)mine, &error));
    ck_assert(!stator_lease_append(lease, NULL, NULL));
    ck_assert_ptr_null(stator_future_lease(NULL));
    ck_assert_ptr_null(stator_future_lease(ask_one(s, NULL)));
    ck_assert_ptr_null(stator_lease_ref(NULL));
    stator_lease_unref(NULL);
    done(stator_client_close(other, NULL));
    stator_client_unref(other);
    c = stator_collection_find(s->things, NULL, mine);
    stator_cursor_unref(c); /* never asked */
    stator_lease_unref(lease);
    scene_free(s);
}
END_TEST

START_TEST(a_chain_hands_the_lease_on)
{
    scene_t *s = scene_new(NULL);
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    stator_future_t *f = ask_lease(s, NULL);
    stator_future_t *all = stator_future_any(&f, 1);
    stator_lease_t *a, *b;

    ck_assert_int_eq(stator_future_wait(all, LIB_PATIENCE_MS), 0);
    a = stator_future_lease(all);
    b = stator_future_lease(f);
    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_eq(a, b);
    stator_lease_unref(a);
    stator_future_unref(all);
    ck_done(find_on(s, b));
    ck_assert_ptr_eq(stator_lease_ref(b), b);
    stator_lease_unref(b);
    stator_lease_unref(b);
    stator_dispatcher_unref(d);
    scene_free(s);
}
END_TEST

/* ---- close -------------------------------------------------------------- */

static const char *const closes[] = {
    "{'mode': 'drain'}",
    "{'mode': 'cancel'}",
    "{'mode': 'abort'}",
};

START_TEST(a_close_ends_the_idle_and_tells_the_parked)
{
    scene_t *s = scene_new(ONE_LEASE);
    stator_lease_t *lease = get_lease(s);
    stator_future_t *parked = ask_lease(s, NULL), *closed;
    const bson_t *reply;

    await_stat(s->client, "parked", 1);
    closed = close_with(s, closes[_i]);
    ck_cancelled(parked, STATOR_NOT_SENT);
    ck_assert_int_eq(n_leaked(closed, "lease"), 1);
    reply = stator_future_reply(closed);
    ck_assert_str_ne(at(reply, "leaked.0.site"), "");
    ck_closed(find_on(s, lease)); /* the handle is still good for that */
    ck_closed(ask_lease(s, NULL));
    ck_closed(lend(stator_lease_run(lease, work, NULL, NULL)));
    stator_lease_unref(lease);
    scene_free(s);
}
END_TEST

START_TEST(drain_finishes_what_a_lease_has_accepted)
{
    scene_t *s = scene_new("{'workers': 1}");
    stator_lease_t *lease = get_lease(s);
    stator_future_t *f[10], *closed;
    stator_cursor_t *c;

    scene_fill(s, 20);
    c = stator_collection_find(s->things, NULL,
                               on(lease, "{'batchSize': 3}"));
    f[0] = hold_on(s, lease);
    for (int i = 1; i < 9; i++)
        f[i] = lend(stator_collection_insert_one(s->things, J("{}"),
                                                 on(lease, "{}")));
    f[9] = lend(stator_cursor_to_list(c, 0));
    stator_lease_unref(lease);
    s->is_closed = true;
    closed = lend(stator_client_close(s->client, NULL));
    await_stat(s->client, "closing", 1);
    ck_pending(closed);
    wire_gate_open(s->gate);
    for (int i = 0; i < 10; i++)
        ck_done(f[i]);
    ck_assert_int_eq(stator_future_count(f[9]), 20);
    ck_done(closed);
    ck_assert_int_eq(n_leaked(closed, "lease"), 0);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(cancel_and_abort_give_up_what_is_on_a_lease)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_lease_t *lease = get_lease(s);
    stator_future_t *running = hold_on(s, lease), *waiting[5];
    stator_cursor_t *c;

    scene_fill(s, 20);
    c = stator_collection_find(s->things, NULL,
                               on(lease, "{'batchSize': 3}"));
    for (int i = 0; i < 4; i++)
        waiting[i] = find_on(s, lease);
    waiting[4] = lend(stator_cursor_next(c));
    close_with(s, closes[_i]);
    ck_cancelled(running, STATOR_MAYBE_SENT);
    for (int i = 0; i < 5; i++)
        ck_cancelled(waiting[i], STATOR_NOT_SENT);
    stator_cursor_unref(c);
    stator_lease_unref(lease);
    scene_free(s);
}
END_TEST

START_TEST(an_idle_cursor_on_a_lease_ends_with_the_client)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_lease_t *lease = get_lease(s);
    stator_future_t *closed;
    stator_cursor_t *c;

    scene_fill(s, 20);
    c = stator_collection_find(s->things, NULL,
                               on(lease, "{'batchSize': 3}"));
    done(stator_cursor_next(c));
    closed = close_with(s, closes[_i]);
    ck_assert_int_eq(wire_count(s->server, "killCursors"), _i < 2);
    ck_assert_int_eq(n_leaked(closed, "cursor"), 1);
    stator_cursor_unref(c);
    stator_lease_unref(lease);
    scene_free(s);
}
END_TEST

START_TEST(a_lease_keeps_the_client_open)
{
    scene_t *s = scene_new(NULL);
    stator_client_t *client = stator_client_new(s->uri, NULL, NULL);
    stator_future_t *f = stator_client_lease(client, NULL);
    stator_lease_t *lease;
    bson_t opts = BSON_INITIALIZER;

    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    lease = stator_future_lease(f);
    ck_assert(stator_lease_append(lease, &opts, NULL));
    stator_future_unref(f);
    f = stator_client_ping(client, &opts);
    stator_client_unref(client);
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_DONE);
    stator_future_unref(f);
    ck_stat(client, "closing", 0);
    done(stator_client_close(client, NULL));
    stator_lease_unref(lease); /* the last one */
    bson_destroy(&opts);
    scene_free(s);
}
END_TEST

START_TEST(a_dead_server_holds_up_no_lease)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_lease_t *lease = get_lease(s);

    ck_done(find_on(s, lease));
    wire_server_down(s->server, WIRE_RST);
    close_with(s, "{'mode': 'drain', 'timeoutMS': 3000}");
    stator_lease_unref(lease);
    scene_free(s);
}
END_TEST

/* ---- fork --------------------------------------------------------------- */

struct inherited {
    scene_t *s;
    stator_lease_t *lease;
    stator_future_t *parked;
    const bson_t *opts;
};

static void in_the_child(void *arg)
{
    struct inherited *i = arg;
    bson_t opts = BSON_INITIALIZER;
    bson_error_t error;

    MUST(is_forked(stator_client_ping(i->s->client, i->opts)));
    MUST(is_forked(stator_client_lease(i->s->client, NULL)));
    MUST(is_forked(stator_lease_run(i->lease, work, NULL, NULL)));
    MUST(is_forked_cursor(
        stator_collection_find(i->s->things, NULL, i->opts)));
    MUST(reads_as_forked(i->parked));
    MUST(!stator_lease_append(i->lease, &opts, &error));
    MUST(error.code == STATOR_ERROR_FORKED);
    MUST(stator_lease_ref(i->lease) == i->lease);
    stator_lease_unref(i->lease);
    stator_lease_unref(i->lease);
}

START_TEST(a_child_is_told)
{
    scene_t *s = scene_new(ONE_LEASE);
    struct inherited i = {.s = s, .lease = get_lease(s)};

    i.opts = on(i.lease, "{}");
    i.parked = ask_lease(s, NULL);
    await_stat(s->client, "parked", 1);
    in_child(in_the_child, &i);
    ck_done(find_on(s, i.lease));
    stator_lease_unref(i.lease);
    ck_done(i.parked);
    scene_free(s);
}
END_TEST

/* ---- a storm ------------------------------------------------------------ */

struct storm {
    scene_t *s;
    unsigned seed;
    atomic_int *granted;
};

static unsigned draw(struct storm *storm, unsigned n)
{
    storm->seed = storm->seed * 1664525u + 1013904223u;
    return (storm->seed >> 16) % n;
}

static void use_lease(struct storm *storm, stator_lease_t *lease)
{
    bson_t opts = BSON_INITIALIZER;
    stator_future_t *f[4];

    stator_lease_append(lease, &opts, NULL);
    for (int i = 0; i < 4; i++) {
        f[i] = stator_client_ping(storm->s->client, &opts);
        if (draw(storm, 3) == 0)
            stator_future_cancel(f[i]);
    }
    if (draw(storm, 2) == 0)
        stator_future_wait(f[3], LIB_PATIENCE_MS);
    for (int i = 0; i < 4; i++)
        stator_future_unref(f[i]);
    bson_destroy(&opts);
}

static void *storms(void *arg)
{
    struct storm *storm = arg;

    for (int i = 0; i < 120; i++) {
        stator_future_t *f = stator_client_lease(storm->s->client, NULL);
        stator_lease_t *lease;

        if (draw(storm, 4) == 0)
            stator_future_cancel(f);
        if (draw(storm, 4) != 0)
            stator_future_wait(f, LIB_PATIENCE_MS);
        lease = stator_future_lease(f);
        stator_future_unref(f);
        if (lease == NULL)
            continue;
        atomic_fetch_add(storm->granted, 1);
        use_lease(storm, lease);
        stator_lease_unref(lease);
    }
    return NULL;
}

/* _i 1: the client is closed amid it. */
START_TEST(a_storm_leaves_nothing_behind)
{
    enum { N = 6 };
    scene_t *s =
        scene_new("{'workers': 3, 'watchers': 0, 'maxConnections': 6}");
    atomic_int granted;
    struct storm storm[N];
    pthread_t thread[N];

    atomic_init(&granted, 0);
    done(stator_client_ping(s->client, NULL));
    for (unsigned i = 0; i < N; i++) {
        storm[i] = (struct storm){.s = s, .seed = i + 1,
                                  .granted = &granted};
        ck_assert_int_eq(
            pthread_create(&thread[i], NULL, storms, &storm[i]), 0);
    }
    if (_i > 0) {
        while (atomic_load(&granted) < 30)
            sched_yield();
        close_with(s, closes[_i - 1]);
    }
    for (int i = 0; i < N; i++)
        pthread_join(thread[i], NULL);
    if (_i == 0) {
        ck_assert_int_gt(atomic_load(&granted), 100);
        await_stat(s->client, "leases", 0);
        ck_stat(s->client, "parked", 0);
        await_stat(s->client, "queued", 0);
    }
    scene_free(s);
}
END_TEST

SUITE(core_leases)
{
    TCase *storm = suite_case("core_leases_storm");

    tcase_add_test(
        tc, what_is_given_a_lease_comes_in_order_on_one_connection);
    tcase_add_test(tc, an_idle_lease_needs_no_worker);
    tcase_add_test(tc, many_more_leases_than_workers);
    tcase_add_test(tc, one_that_fails_lets_the_next_run);
    tcase_add_test(tc, your_own_code_runs_on_it_in_its_turn);
    tcase_add_test(tc, a_cursor_shares_the_strand);
    tcase_add_test(tc, an_open_cursor_on_it_is_killed_there);
    tcase_add_test(tc, a_cursors_request_waits_in_the_line);
    tcase_add_test(tc, who_finds_none_is_parked_without_a_thread);
    tcase_add_test(tc, a_future_that_goes_gives_it_back);
    tcase_add_test(tc, a_cursors_end_serves_who_is_parked);
    tcase_add_test(tc, fewer_workers_serve_who_is_parked);
    tcase_add_test(tc, parked_ones_can_be_cancelled_and_expire);
    tcase_add_test(tc, the_uri_bounds_the_wait);
    tcase_add_test(tc, those_who_have_left_are_passed_over);
    tcase_add_test(tc, a_close_serves_nobody);
    tcase_add_test(tc, cancelling_one_leaves_the_lease_as_it_is);
    tcase_add_test(tc, time_runs_out_in_the_line_and_at_the_server);
    tcase_add_test(tc, a_queue_that_is_full_refuses_on_a_lease_too);
    tcase_add_test(tc, a_number_that_is_no_lease_is_named);
    tcase_add_test(tc, a_chain_hands_the_lease_on);
    tcase_add_loop_test(tc, a_close_ends_the_idle_and_tells_the_parked, 0, 3);
    tcase_add_test(tc, drain_finishes_what_a_lease_has_accepted);
    tcase_add_loop_test(tc, cancel_and_abort_give_up_what_is_on_a_lease, 1,
                        3);
    tcase_add_loop_test(tc, an_idle_cursor_on_a_lease_ends_with_the_client, 0,
                        3);
    tcase_add_test(tc, a_lease_keeps_the_client_open);
    tcase_add_test(tc, a_dead_server_holds_up_no_lease);
    tcase_add_test(tc, a_child_is_told);
    tcase_add_loop_test(storm, a_storm_leaves_nothing_behind, 0, 4);
}
