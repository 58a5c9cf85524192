/* SPDX-License-Identifier: Apache-2.0 */
/* test_session.c - sessions: what goes over the wire in them, on which lease,
 * how they end. */
#include "tests/core/cut.h"
#include "tests/core/forked.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "core/client.h"
#include "core/op.h"
#include "core/session.h"

#define ONE_LEASE "{'workers': 1, 'watchers': 0, 'maxConnections': 2}"

static stator_session_t *start_with(stator_client_t *client,
                                    const bson_t *opts)
{
    stator_future_t *f = stator_client_start_session(client, opts);
    stator_session_t *session;
    bson_error_t error = {0};

    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    stator_future_error(f, &error);
    ck_assert_msg(stator_future_poll(f) == STATOR_FUTURE_DONE, "%s",
                  error.message);
    session = stator_future_session(f);
    ck_assert_ptr_nonnull(session);
    stator_future_unref(f);
    return session;
}

static stator_session_t *start(scene_t *s, const char *opts)
{
    return start_with(s->client, opts == NULL ? NULL : J("%s", opts));
}

/* `json`, and the session. */
static const bson_t *in(stator_session_t *session, const char *json)
{
    const bson_t *opts = J("%s", json);

    ck_assert(stator_session_append(session, (bson_t *)(uintptr_t)opts,
                                    NULL));
    return opts;
}

static const bson_t *on(stator_lease_t *lease, const char *json)
{
    const bson_t *opts = J("%s", json);

    ck_assert(stator_lease_append(lease, (bson_t *)(uintptr_t)opts, NULL));
    return opts;
}

static stator_lease_t *get_lease(scene_t *s)
{
    stator_future_t *f = stator_client_lease(s->client, NULL);
    stator_lease_t *lease;

    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    lease = stator_future_lease(f);
    ck_assert_ptr_nonnull(lease);
    stator_future_unref(f);
    return lease;
}

/* The 16 bytes of it. */
static void lsid_of(stator_session_t *session, uint8_t *out)
{
    const uint8_t *data;
    uint32_t length = 0;
    bson_iter_t i;
    bson_t lsid;

    stator_session_lsid(session, &lsid);
    ck_assert(bson_iter_init_find(&i, &lsid, "id"));
    bson_iter_binary(&i, NULL, &length, &data);
    ck_assert_uint_eq(length, 16);
    memcpy(out, data, 16);
    bson_destroy(&lsid);
}

/* The i-th command of that name came in that session. */
static void ck_came_in(scene_t *s, const char *name, size_t i,
                       stator_session_t *session)
{
    wire_command_t c;
    uint8_t lsid[16];

    lsid_of(session, lsid);
    ck_assert(wire_log_find(s->server, name, i, &c));
    ck_assert(c.has_lsid);
    ck_assert_mem_eq(c.lsid, lsid, 16);
    wire_command_clear(&c);
}

static stator_future_t *begin(stator_session_t *session)
{
    return lend(stator_session_start_transaction(session, NULL));
}

static stator_future_t *insert_in(scene_t *s, stator_session_t *session)
{
    return lend(stator_collection_insert_one(s->things, J("{}"),
                                             in(session, "{}")));
}

/* ---- over the wire ------------------------------------------------------ */

START_TEST(everything_comes_in_the_session)
{
    scene_t *s = scene_new("{'workers': 3}");
    stator_session_t *session = start(s, NULL);
    stator_cursor_t *c;

    scene_fill(s, 10);
    ck_stat(s->client, "sessions", 1);
    ck_done(insert_in(s, session));
    ck_came_in(s, "insert", 0, session);
    done(stator_collection_find_one(s->things, NULL, in(session, "{}")));
    ck_came_in(s, "find", 0, session);
    done(stator_collection_count_documents(s->things, NULL,
                                           in(session, "{}")));
    ck_came_in(s, "aggregate", 0, session);
    done(stator_collection_update_one(s->things, J("{}"),
                                      J("{'$set': {'a': 1}}"),
                                      in(session, "{}")));
    ck_came_in(s, "update", 0, session);
    done(stator_collection_delete_one(s->things, J("{}"),
                                      in(session, "{}")));
    ck_came_in(s, "delete", 0, session);
    done(stator_client_ping(s->client, in(session, "{}")));
    ck_came_in(s, "ping", 0, session);
    done(stator_collection_distinct(s->things, "a", NULL,
                                    in(session, "{}")));
    ck_came_in(s, "distinct", 0, session);
    done(stator_collection_drop(s->things, in(session, "{}")));
    ck_came_in(s, "drop", 0, session);
    scene_fill(s, 10);
    c = stator_collection_find(s->things, NULL,
                               in(session, "{'batchSize': 3}"));
    ck_assert_int_eq(read_all(c), 10);
    ck_came_in(s, "find", 1, session);
    ck_came_in(s, "getMore", 0, session);
    ck_came_in(s, "getMore", 2, session);
    stator_cursor_unref(c);
    c = stator_collection_find(s->things, NULL,
                               in(session, "{'batchSize': 3}"));
    done(stator_cursor_next(c));
    done(stator_cursor_close(c));
    ck_came_in(s, "killCursors", 0, session);
    stator_cursor_unref(c);
    stator_session_unref(session);
    await_stat(s->client, "sessions", 0);
    await_stat(s->client, "leases", 0);
    scene_free(s);
}
END_TEST

START_TEST(sessions_can_share_a_lease)
{
    scene_t *s = scene_new(ONE_LEASE);
    stator_lease_t *lease = get_lease(s);
    stator_session_t *a = start_with(s->client, on(lease, "{}"));
    stator_session_t *b = start_with(s->client, on(lease, "{}"));
    uint8_t lsid[2][16];
    bson_t both = BSON_INITIALIZER;

    lsid_of(a, lsid[0]);
    lsid_of(b, lsid[1]);
    ck_assert_mem_ne(lsid[0], lsid[1], 16);
    ck_stat(s->client, "leases", 1);
    ck_stat(s->client, "sessions", 2);
    for (int i = 0; i < 5; i++) {
        ck_done(insert_in(s, a));
        ck_done(insert_in(s, b));
    }
    for (size_t i = 0; i < 5; i++) {
        ck_came_in(s, "insert", 2 * i, a);
        ck_came_in(s, "insert", 2 * i + 1, b);
    }
    ck_assert(stator_lease_append(lease, &both, NULL));
    ck_assert(stator_session_append(a, &both, NULL));
    done(stator_client_ping(s->client, &both));
    bson_destroy(&both);
    stator_lease_unref(lease);
    stator_session_unref(a);
    done(stator_client_ping(s->client, in(b, "{}")));
    stator_session_unref(b);
    await_stat(s->client, "leases", 0);
    scene_free(s);
}
END_TEST

START_TEST(what_does_not_belong_together_is_named)
{
    scene_t *s = scene_new(NULL);
    stator_client_t *other = stator_client_new(s->uri, NULL, NULL);
    stator_lease_t *lease = get_lease(s);
    stator_session_t *session = start(s, NULL), *ended = start(s, NULL);
    const bson_t *mine = in(session, "{}"), *gone = in(ended, "{}");
    bson_t both = BSON_INITIALIZER;
    bson_error_t error;

    stator_session_unref(ended);
    await_stat(s->client, "sessions", 1);
    ck_assert(stator_lease_append(lease, &both, NULL));
    ck_assert(stator_session_append(session, &both, NULL));
    faulty(stator_client_ping(s->client, &both), "leaseId");
    faulty_cursor(stator_collection_find(s->things, NULL, &both), "leaseId");
    faulty(stator_client_ping(other, mine), "sessionId");
    faulty(stator_client_ping(s->client, gone), "sessionId");
    faulty_cursor(stator_collection_find(s->things, NULL, gone),
                  "sessionId");
    faulty(stator_client_ping(s->client, J("{'sessionId': 4}")),
           "sessionId");
    ck_assert(!stator_session_append(session, &both, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "already"));
    ck_assert(!stator_session_append(NULL, &both, &error));
    bson_destroy(&both);
    done(stator_client_close(other, NULL));
    stator_client_unref(other);
    stator_lease_unref(lease);
    stator_session_unref(session);
    scene_free(s);
}
END_TEST

START_TEST(bad_options_are_named)
{
    static const struct {
        const char *opts, *text;
    } bad[] = {
        {"{'causal': true}", "causal is unknown"},
        {"{'causalConsistency': 1}", "causalConsistency must be a bool"},
        {"{'snapshot': 'x'}", "snapshot must be a bool"},
        {"{'snapshot': true, 'causalConsistency': true}", "go together"},
        {"{'readPreference': {'mode': 'primary'}}", "readPreference"},
        {"{'sessionId': {'$numberLong': '5'}}", "sessionId"},
        {"{'defaultTransactionOptions': 1}", "must be a document"},
        {"{'defaultTransactionOptions': {'x': 1}}",
         "defaultTransactionOptions.x is unknown"},
        {"{'defaultTransactionOptions': {'maxCommitTimeMS': 'x'}}",
         "maxCommitTimeMS"},
        {"{'timeoutMS': -1}", "timeoutMS"},
    };
    scene_t *s = scene_new(NULL);
    stator_session_t *session = start(
        s, "{'causalConsistency': false, 'defaultTransactionOptions': "
           "{'readConcern': {'level': 'majority'}, 'writeConcern': {'w': 1}, "
           "'readPreference': {'mode': 'primary'}, 'maxCommitTimeMS': 5}}");

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        faulty(stator_client_start_session(s->client, J("%s", bad[i].opts)),
               bad[i].text);
    faulty(stator_session_start_transaction(session, J("{'x': 1}")),
           "x is unknown");
    faulty(stator_session_commit_transaction(session, J("{'x': 1}")),
           "x is unknown");
    faulty(stator_session_abort_transaction(session, in(session, "{}")),
           "sessionId is unknown");
    faulty(stator_session_start_transaction(NULL, NULL), "session is NULL");
    faulty(stator_session_commit_transaction(NULL, NULL), "session is NULL");
    faulty(stator_session_abort_transaction(NULL, NULL), "session is NULL");
    faulty(stator_client_start_session(NULL, NULL), "client is NULL");
    ck_assert_ptr_null(stator_future_session(NULL));
    ck_assert_ptr_null(stator_session_ref(NULL));
    stator_session_unref(NULL);
    stator_session_unref(session);
    scene_free(s);
}
END_TEST

/* ---- times -------------------------------------------------------------- */

#define STAMP(t, i) "{'$timestamp': {'t': " #t ", 'i': " #i "}}"

START_TEST(reads_come_after_what_is_known)
{
    scene_t *s = scene_new(NULL);
    stator_session_t *a = start(s, NULL), *b = start(s, NULL);
    uint32_t seconds = 1, increment = 1;
    wire_command_t c;
    bson_t time;
    bson_error_t error;

    stator_session_operation_time(a, &seconds, &increment);
    ck_assert_uint_eq(seconds + increment, 0);
    stator_session_cluster_time(a, &time);
    ck_assert(bson_empty(&time));
    bson_destroy(&time);
    wire_rule_add(s->server,
                  &(wire_rule_t){.command = "insert", .times = 1,
                                 .action = WIRE_REPLY,
                                 .reply = J("{'ok': 1, 'n': 1, "
                                            "'operationTime': " STAMP(70, 3)
                                            ", '$clusterTime': "
                                            "{'clusterTime': " STAMP(71, 1)
                                            "}}")});
    ck_done(insert_in(s, a));
    stator_session_operation_time(a, &seconds, &increment);
    ck_assert_uint_eq(seconds, 70);
    ck_assert_uint_eq(increment, 3);
    stator_session_cluster_time(a, &time);
    ck_assert_str_ne(at(&time, "clusterTime"), "");
    done(stator_collection_find_one(s->things, NULL, in(a, "{}")));
    ck_assert(wire_log_find(s->server, "find", 0, &c));
    ck_assert_str_ne(at(c.document, "readConcern.afterClusterTime"), "");
    wire_command_clear(&c);

    ck_assert(stator_session_advance_operation_time(b, seconds, increment,
                                                    &error));
    ck_assert(stator_session_advance_cluster_time(b, &time, &error));
    bson_destroy(&time);
    seconds = 0;
    stator_session_operation_time(b, &seconds, NULL); /* told at once */
    ck_assert_uint_eq(seconds, 70);
    ck_assert(stator_session_advance_operation_time(b, 5, 5, NULL));
    stator_session_operation_time(b, &seconds, NULL);
    ck_assert_uint_eq(seconds, 70); /* never back */
    done(stator_collection_find_one(s->things, NULL, in(b, "{}")));
    ck_assert(wire_log_find(s->server, "find", 1, &c));
    ck_assert_str_ne(at(c.document, "readConcern.afterClusterTime"), "");
    wire_command_clear(&c);

    ck_assert(!stator_session_advance_cluster_time(b, J("{'a': 1}"),
                                                   &error));
    ck_assert_uint_eq(error.code, STATOR_ERROR_ARGUMENT);
    ck_assert(!stator_session_advance_cluster_time(b, NULL, &error));
    ck_assert(!stator_session_advance_operation_time(NULL, 1, 1, &error));
    stator_session_lsid(NULL, &time);
    ck_assert(bson_empty(&time));
    bson_destroy(&time);
    stator_session_unref(a);
    stator_session_unref(b);
    scene_free(s);
}
END_TEST

START_TEST(without_causal_consistency_they_do_not)
{
    scene_t *s = scene_new(NULL);
    stator_session_t *a = start(s, "{'causalConsistency': false}");
    wire_command_t c;

    ck_assert(stator_session_advance_operation_time(a, 5, 5, NULL));
    done(stator_collection_find_one(s->things, NULL, in(a, "{}")));
    ck_assert(wire_log_find(s->server, "find", 0, &c));
    ck_at(c.document, "readConcern", "");
    wire_command_clear(&c);
    stator_session_unref(a);
    scene_free(s);
}
END_TEST

/* ---- transactions, over the wire ---------------------------------------- */

#define ck_state(session, name) \
    ck_assert_int_eq(stator_session_transaction_state(session), \
                     STATOR_TRANSACTION_##name)

START_TEST(a_chain_of_steps_need_not_be_waited_for)
{
    scene_t *s = scene_new("{'workers': 3}");
    stator_session_t *session = start(s, NULL);
    stator_future_t *f[4];
    wire_command_t c;

    ck_state(session, NONE);
    f[0] = begin(session);
    f[1] = insert_in(s, session);
    f[2] = insert_in(s, session);
    f[3] = lend(stator_session_commit_transaction(session, NULL));
    for (int i = 0; i < 4; i++)
        ck_done(f[i]);
    ck_state(session, COMMITTED);
    ck_assert(wire_log_find(s->server, "insert", 0, &c));
    ck_at(c.document, "startTransaction", "true");
    ck_at(c.document, "autocommit", "false");
    wire_command_clear(&c);
    ck_assert(wire_log_find(s->server, "insert", 1, &c));
    ck_at(c.document, "startTransaction", "");
    ck_at(c.document, "autocommit", "false");
    wire_command_clear(&c);
    ck_came_in(s, "commitTransaction", 0, session);
    ck_done(begin(session));
    ck_state(session, STARTING);
    ck_done(insert_in(s, session));
    ck_state(session, IN_PROGRESS);
    done(stator_session_abort_transaction(session, NULL));
    ck_state(session, ABORTED);
    ck_came_in(s, "abortTransaction", 0, session);
    fails(stator_session_abort_transaction(session, NULL),
          MONGOC_ERROR_TRANSACTION, MONGOC_ERROR_TRANSACTION_INVALID_STATE,
          "twice");
    stator_session_unref(session);
    await_stat(s->client, "sessions", 0);
    ck_assert_int_eq(wire_count(s->server, "abortTransaction"), 1);
    scene_free(s);
}
END_TEST

START_TEST(a_handles_concerns_do_not_reach_a_transaction)
{
    scene_t *s = scene_new(NULL);
    stator_session_t *session = start(s, NULL);
    stator_collection_t *things = stator_collection_with_opts(
        s->things,
        J("{'readConcern': {'level': 'local'}, 'writeConcern': {'w': 1}, "
          "'readPreference': {'mode': 'secondaryPreferred'}}"),
        NULL);
    stator_cursor_t *c;
    wire_command_t find;

    scene_fill(s, 5);
    ck_done(begin(session));
    ck_done(insert_in(s, session));
    c = stator_collection_find(things, NULL,
                               in(session, "{'batchSize': 2}"));
    ck_assert_int_eq(read_all(c), 5);
    stator_cursor_unref(c);
    done(stator_collection_find_one(things, NULL, in(session, "{}")));
    done(stator_collection_insert_one(things, J("{}"), in(session, "{}")));
    for (size_t i = 0; i < 2; i++) {
        ck_assert(wire_log_find(s->server, "find", i, &find));
        ck_at(find.document, "readConcern", "");
        wire_command_clear(&find);
    }
    done(stator_session_abort_transaction(session, NULL));
    stator_collection_unref(things);
    stator_session_unref(session);
    scene_free(s);
}
END_TEST

START_TEST(to_let_go_in_a_transaction_aborts_it)
{
    scene_t *s = scene_new("{'workers': 1, 'queueLimit': 1}");
    stator_session_t *session = start(s, NULL);
    stator_future_t *held, *queued;
    uint8_t lsid[16];
    wire_command_t c;

    lsid_of(session, lsid);
    ck_done(begin(session));
    ck_done(insert_in(s, session));
    held = hold_worker(s);
    queued = ask_one(s, NULL); /* the queue is full */
    stator_session_unref(session);
    wire_gate_open(s->gate);
    ck_done(held);
    ck_done(queued);
    ck_assert(
        wire_wait_count(s->server, "abortTransaction", 1, WIRE_WAIT));
    ck_assert(wire_log_find(s->server, "abortTransaction", 0, &c));
    ck_assert_mem_eq(c.lsid, lsid, 16);
    wire_command_clear(&c);
    await_stat(s->client, "sessions", 0);
    await_stat(s->client, "leases", 0);
    scene_free(s);
}
END_TEST

START_TEST(what_was_asked_still_runs_when_the_handle_goes)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_session_t *session = start(s, NULL);
    stator_future_t *f[4];

    f[0] = begin(session);
    f[1] = lend(stator_collection_find_one(s->held, NULL,
                                           in(session, "{}")));
    f[2] = insert_in(s, session);
    f[3] = lend(stator_session_commit_transaction(session, NULL));
    stator_session_unref(session);
    wire_gate_open(s->gate);
    for (int i = 0; i < 4; i++)
        ck_done(f[i]);
    await_stat(s->client, "sessions", 0);
    ck_assert_int_eq(wire_count(s->server, "commitTransaction"), 1);
    ck_assert_int_eq(wire_count(s->server, "abortTransaction"), 0);
    scene_free(s);
}
END_TEST

START_TEST(a_cancelled_operation_leaves_the_transaction_open)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_session_t *session = start(s, NULL);
    stator_future_t *running;

    ck_done(begin(session));
    ck_done(insert_in(s, session));
    running = lend(stator_collection_find_one(s->held, NULL,
                                              in(session, "{}")));
    ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
    ck_assert(stator_future_cancel(running));
    ck_cancelled(running, STATOR_MAYBE_SENT);
    done(stator_session_abort_transaction(session, NULL));
    ck_state(session, ABORTED);
    ck_came_in(s, "abortTransaction", 0, session);
    ck_done(begin(session)); /* and it is good for another */
    ck_done(insert_in(s, session));
    done(stator_session_commit_transaction(session, NULL));
    stator_session_unref(session);
    scene_free(s);
}
END_TEST

START_TEST(a_cancelled_start_leaves_nothing)
{
    scene_t *s = scene_new(ONE_LEASE);
    stator_lease_t *lease = get_lease(s);
    stator_future_t *f =
        lend(stator_client_start_session(s->client, NULL));

    await_stat(s->client, "parked", 1);
    ck_assert(stator_future_cancel(f));
    ck_cancelled(f, STATOR_NOT_SENT);
    ck_assert_ptr_null(stator_future_session(f));
    ck_stat(s->client, "parked", 0);
    f = lend(stator_client_start_session(s->client, NULL));
    await_stat(s->client, "parked", 1);
    stator_lease_unref(lease);
    ck_done(f);
    await_stat(s->client, "sessions", 1);
    scene_free(s);
}
END_TEST

static void work(mongoc_client_t *client, mongoc_client_session_t *session,
                 stator_promise_t *promise, void *arg)
{
    bson_t opts = BSON_INITIALIZER, *ping = BCON_NEW("ping", BCON_INT32(1));
    bson_error_t error;

    (void)arg;
    ck_assert(mongoc_client_session_append(session, &opts, &error));
    ck_assert(mongoc_client_command_with_opts(client, "admin", ping, NULL,
                                              &opts, NULL, &error));
    ck_assert(mongoc_client_session_start_transaction(session, NULL,
                                                      &error));
    bson_destroy(&opts);
    bson_destroy(ping);
    stator_promise_resolve(promise, NULL, NULL);
}

START_TEST(your_own_code_runs_in_it)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_session_t *session = start(s, NULL);
    stator_future_t *f =
        lend(stator_session_run(session, work, NULL, NULL));

    ck_done(f);
    ck_came_in(s, "ping", 0, session);
    await_stat(s->client, "busy", 0); /* looked at after your function */
    ck_state(session, STARTING);
    faulty(stator_session_run(session, NULL, NULL, NULL), "fn is NULL");
    faulty(stator_session_run(NULL, work, NULL, NULL), "session is NULL");
    stator_session_unref(session);
    scene_free(s);
}
END_TEST

/* ---- close -------------------------------------------------------------- */

static const char *const closes[] = {
    "{'mode': 'drain'}",
    "{'mode': 'cancel'}",
    "{'mode': 'abort'}",
};

START_TEST(a_close_ends_idle_sessions)
{
    scene_t *s = scene_new("{'workers': 1}");
    stator_session_t *idle = start(s, NULL), *open = start(s, NULL);
    stator_lease_t *lease = get_lease(s);
    stator_session_t *other = start_with(s->client, on(lease, "{}"));
    stator_future_t *closed;
    bson_t opts = BSON_INITIALIZER;

    stator_lease_unref(lease); /* the session keeps it */
    ck_done(begin(open));
    ck_done(insert_in(s, open));
    ck_done(begin(other));
    ck_done(insert_in(s, other));
    ck_assert(stator_session_append(idle, &opts, NULL));
    closed = close_with(s, closes[_i]);
    ck_assert_int_eq(wire_count(s->server, "abortTransaction"),
                     _i == 2 ? 0 : 2);
    ck_at(stator_future_reply(closed), "leaked.0.kind", "'session'");
    ck_at(stator_future_reply(closed), "leaked.2.kind", "'session'");
    ck_at(stator_future_reply(closed), "leaked.3", "");
    ck_assert_str_ne(at(stator_future_reply(closed), "leaked.0.site"), "");
    ck_closed(lend(stator_client_ping(s->client, &opts)));
    ck_closed(lend(stator_session_commit_transaction(open, NULL)));
    ck_state(open, ABORTED);
    bson_destroy(&opts);
    stator_session_unref(idle);
    stator_session_unref(open);
    stator_session_unref(other);
    scene_free(s);
}
END_TEST

START_TEST(a_session_ends_while_others_are_drained)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_session_t *session = start(s, NULL);
    stator_future_t *closed, *held;

    ck_done(begin(session));
    ck_done(insert_in(s, session));
    held = hold_worker(s);
    s->is_closed = true;
    closed = lend(stator_client_close(s->client, NULL));
    ck_assert(
        wire_wait_count(s->server, "abortTransaction", 1, WIRE_WAIT));
    ck_pending(closed);
    wire_gate_open(s->gate);
    ck_done(held);
    ck_done(closed);
    stator_session_unref(session);
    scene_free(s);
}
END_TEST

START_TEST(a_dead_server_holds_up_no_close)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_session_t *session = start(s, NULL);

    ck_done(begin(session));
    ck_done(insert_in(s, session));
    wire_server_down(s->server, WIRE_RST);
    close_with(s, "{'mode': 'drain', 'timeoutMS': 3000}");
    stator_session_unref(session);
    scene_free(s);
}
END_TEST

/* Nor the worker: the driver would look for a server for ten minutes. */
START_TEST(to_let_go_of_a_dead_servers_transaction_is_quick)
{
    scene_t *s = scene_with_uri("{'workers': 1}",
                                "serverSelectionTimeoutMS=600000");
    stator_session_t *session = start(s, NULL);

    ck_done(begin(session));
    ck_done(insert_in(s, session));
    wire_server_down(s->server, WIRE_RST);
    stator_session_unref(session);
    await_stat(s->client, "sessions", 0);
    await_stat(s->client, "leases", 0);
    await_stat(s->client, "busy", 0);
    ck_assert(wire_server_up(s->server));
    done(stator_client_ping(s->client, NULL));
    scene_free(s);
}
END_TEST

/* ---- fork --------------------------------------------------------------- */

static void in_the_child(void *arg)
{
    stator_session_t *session = arg;
    bson_t opts = BSON_INITIALIZER, out;
    bson_error_t error;

    MUST(is_forked(stator_session_start_transaction(session, NULL)));
    MUST(is_forked(stator_session_commit_transaction(session, NULL)));
    MUST(is_forked(stator_session_abort_transaction(session, NULL)));
    MUST(is_forked(stator_session_run(session, work, NULL, NULL)));
    MUST(!stator_session_append(session, &opts, &error));
    MUST(error.code == STATOR_ERROR_FORKED);
    MUST(!stator_session_advance_operation_time(session, 1, 1, &error));
    MUST(error.code == STATOR_ERROR_FORKED);
    MUST(stator_session_transaction_state(session) ==
         STATOR_TRANSACTION_NONE);
    stator_session_lsid(session, &out);
    MUST(bson_empty(&out));
    MUST(stator_session_ref(session) == session);
    stator_session_unref(session);
    stator_session_unref(session);
}

START_TEST(a_child_is_told)
{
    scene_t *s = scene_new(NULL);
    stator_session_t *session = start(s, NULL);

    ck_done(begin(session));
    ck_done(insert_in(s, session));
    in_child(in_the_child, session);
    ck_state(session, IN_PROGRESS);
    done(stator_session_commit_transaction(session, NULL));
    stator_session_unref(session);
    scene_free(s);
}
END_TEST

/* ---- a storm ------------------------------------------------------------ */

struct storm {
    scene_t *s;
    unsigned seed;
    atomic_int *begun;
};

static unsigned draw(struct storm *storm, unsigned n)
{
    storm->seed = storm->seed * 1664525u + 1013904223u;
    return (storm->seed >> 16) % n;
}

static void use_session(struct storm *storm, stator_session_t *session)
{
    bson_t opts = BSON_INITIALIZER, batch = BSON_INITIALIZER;
    stator_future_t *f[6];
    stator_cursor_t *c;
    bool early;

    stator_session_append(session, &opts, NULL);
    stator_session_append(session, &batch, NULL);
    BSON_APPEND_INT32(&batch, "batchSize", 2);
    f[0] = stator_session_start_transaction(session, NULL);
    f[1] = stator_client_ping(storm->s->client, &opts);
    c = stator_collection_find(storm->s->things, NULL, &batch);
    f[2] = stator_cursor_next(c);
    f[3] = stator_cursor_next_batch(c);
    f[4] = draw(storm, 2) == 0
               ? stator_session_commit_transaction(session, NULL)
               : stator_cursor_to_list(c, 0);
    f[5] = stator_client_ping(storm->s->client, &opts);
    (void)stator_session_transaction_state(session);
    early = draw(storm, 2) == 0;
    if (early)
        stator_cursor_unref(c);
    for (int i = 0; i < 6; i++)
        if (draw(storm, 4) == 0)
            stator_future_cancel(f[i]);
    if (draw(storm, 2) == 0)
        stator_future_wait(f[5], LIB_PATIENCE_MS);
    for (int i = 0; i < 6; i++)
        stator_future_unref(f[i]);
    if (!early)
        stator_cursor_unref(c);
    bson_destroy(&opts);
    bson_destroy(&batch);
    if (draw(storm, 2) == 0)
        stator_session_advance_operation_time(session, 1, 1, NULL);
}

static void *storms(void *arg)
{
    struct storm *storm = arg;

    for (int i = 0; i < 60; i++) {
        stator_future_t *f =
            stator_client_start_session(storm->s->client, NULL);
        stator_session_t *session;

        if (draw(storm, 5) == 0)
            stator_future_cancel(f);
        stator_future_wait(f, LIB_PATIENCE_MS);
        session = stator_future_session(f);
        stator_future_unref(f);
        if (session == NULL)
            continue;
        atomic_fetch_add(storm->begun, 1);
        use_session(storm, session);
        stator_session_unref(session);
    }
    return NULL;
}

static bool has_no_more_cursors(const wire_stats_t *stats, void *most)
{
    return stats->cursors_open <= *(const int64_t *)most;
}

/* _i 1 and more: the client is closed amid it. */
START_TEST(a_storm_leaves_nothing_behind)
{
    enum { N = 6 };
    int64_t cuts;
    scene_t *s =
        scene_new("{'workers': 3, 'watchers': 0, 'maxConnections': 8}");
    atomic_int begun;
    struct storm storm[N];
    pthread_t thread[N];

    atomic_init(&begun, 0);
    scene_fill(s, 9);
    done(stator_client_ping(s->client, NULL));
    for (unsigned i = 0; i < N; i++) {
        storm[i] = (struct storm){.s = s, .seed = i + 1, .begun = &begun};
        ck_assert_int_eq(
            pthread_create(&thread[i], NULL, storms, &storm[i]), 0);
    }
    if (_i > 0) {
        while (atomic_load(&begun) < 30)
            sched_yield();
        close_with(s, closes[_i - 1]);
    }
    for (int i = 0; i < N; i++)
        pthread_join(thread[i], NULL);
    if (_i == 0) {
        ck_assert_int_gt(atomic_load(&begun), 100);
        await_stat(s->client, "sessions", 0);
        await_stat(s->client, "leases", 0);
        await_stat(s->client, "queued", 0);
        /* The answer to a find that was cut may have named a cursor. */
        cuts = stat_of(s->client, "transport.cuts");
        ck_assert(wire_wait_until(s->server, has_no_more_cursors, &cuts,
                                  WIRE_WAIT));
    }
    scene_free(s);
}
END_TEST

/* ---- the connection comes ----------------------------------------------- */

static void *give_back_lease(void *lease)
{
    stator_lease_unref(lease);
    return NULL;
}

static struct stc_connection *connection_of(struct stc_lease *lease)
{
    struct stc_connection *connection;

    pthread_mutex_lock(&lease->lock);
    connection = lease->connection;
    pthread_mutex_unlock(&lease->lock);
    return connection;
}

/* The keeper's lock holds up who grants, after the lease has its connection
 * and before start_session is in its line; a close that looks just then must
 * not end a session that has not begun. */
START_TEST(a_close_does_not_overtake_a_start)
{
    scene_t *s = scene_with_uri(ONE_LEASE, "waitQueueTimeoutMS=60000");
    stator_lease_t *held = get_lease(s);
    stator_future_t *f = lend(stator_client_start_session(s->client, NULL));
    struct stc_session *session = stc_op_of(f)->session;
    stator_session_t *handle;
    pthread_t thread;

    await_stat(s->client, "parked", 1);
    pthread_mutex_lock(&s->client->keeper.lock);
    ck_assert_int_eq(pthread_create(&thread, NULL, give_back_lease, held), 0);
    while (connection_of(session->lease) == NULL)
        sched_yield();
    atomic_store(&s->client->closing, true);
    stc_leases_shut(s->client);
    atomic_store(&s->client->closing, false);
    ck_assert_ptr_nonnull(session->ender);
    ck_assert_ptr_nonnull(connection_of(session->lease));
    pthread_mutex_unlock(&s->client->keeper.lock);
    pthread_join(thread, NULL);
    ck_done(f);
    handle = stator_future_session(f);
    ck_assert_ptr_nonnull(handle);
    done(stator_session_start_transaction(handle, NULL));
    stator_session_unref(handle);
    scene_free(s);
}
END_TEST

START_TEST(the_uri_bounds_the_wait_for_a_connection_only)
{
    scene_t *s = scene_with_uri(ONE_LEASE, "waitQueueTimeoutMS=300");
    stator_lease_t *lease = get_lease(s);
    stator_future_t *holder, *f;

    holder = hold_worker(s);
    f = lend(stator_client_start_session(s->client, NULL));
    wire_gate_pass(s->gate, 1);
    ck_done(holder);
    await_stat(s->client, "parked", 1);
    hold_worker(s);
    stator_lease_unref(lease); /* it has one, and waits for the worker */
    ck_expired(ask_one(s, "{'timeoutMS': 600}"));
    ck_pending(f);
    wire_gate_open(s->gate);
    ck_done(f);
    scene_free(s);
}
END_TEST

/* ---- what is yours ------------------------------------------------------ */

/* A worker tells the server to kill before it takes the next operation. */
START_TEST(a_session_of_yours_is_not_killed)
{
    scene_t *s = cut_scene("{'workers': 1, 'abandoned': 'kill'}", RETRIES);
    stator_session_t *session = start(s, NULL);
    stator_collection_t *paged =
        stator_client_get_collection(s->client, "core", "paged");
    stator_cursor_t *c = NULL;
    stator_future_t *f;

    if (_i == 0) {
        done(stator_session_start_transaction(session, NULL));
        done(stator_collection_insert_one(s->things, J("{}"),
                                          in(session, "{}")));
        f = lend(stator_collection_find_one(s->held, NULL,
                                            in(session, "{}")));
    } else {
        c = stator_collection_find(paged, NULL,
                                   in(session, "{'batchSize': 2}"));
        done(stator_cursor_next(c));
        done(stator_cursor_next(c));
        f = lend(stator_cursor_next(c));
    }
    ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
    ck_assert(stator_future_cancel(f));
    if (_i == 0)
        done(stator_session_commit_transaction(session, NULL));
    else
        ck_assert(wire_wait_count(s->server, "killCursors", 1, WIRE_WAIT));
    done(stator_client_ping(s->client, in(session, "{}")));
    ck_assert_int_eq(wire_count(s->server, "killSessions"), 0);
    stator_cursor_unref(c);
    stator_collection_unref(paged);
    stator_session_unref(session);
    scene_free(s);
}
END_TEST

SUITE(session)
{
    TCase *storm = suite_case("session_storm");

    tcase_add_loop_test(storm, a_storm_leaves_nothing_behind, 0, 4);
    tcase_add_test(tc, everything_comes_in_the_session);
    tcase_add_test(tc, sessions_can_share_a_lease);
    tcase_add_test(tc, what_does_not_belong_together_is_named);
    tcase_add_test(tc, bad_options_are_named);
    tcase_add_test(tc, reads_come_after_what_is_known);
    tcase_add_test(tc, without_causal_consistency_they_do_not);
    tcase_add_test(tc, a_chain_of_steps_need_not_be_waited_for);
    tcase_add_test(tc, a_handles_concerns_do_not_reach_a_transaction);
    tcase_add_test(tc, to_let_go_in_a_transaction_aborts_it);
    tcase_add_test(tc, what_was_asked_still_runs_when_the_handle_goes);
    tcase_add_test(tc, a_cancelled_operation_leaves_the_transaction_open);
    tcase_add_test(tc, a_cancelled_start_leaves_nothing);
    tcase_add_test(tc, your_own_code_runs_in_it);
    tcase_add_loop_test(tc, a_close_ends_idle_sessions, 0, 3);
    tcase_add_test(tc, a_session_ends_while_others_are_drained);
    tcase_add_test(tc, a_dead_server_holds_up_no_close);
    tcase_add_test(tc, to_let_go_of_a_dead_servers_transaction_is_quick);
    tcase_add_test(tc, a_close_does_not_overtake_a_start);
    tcase_add_test(tc, the_uri_bounds_the_wait_for_a_connection_only);
    tcase_add_loop_test(tc, a_session_of_yours_is_not_killed, 0, 2);
    tcase_add_test(tc, a_child_is_told);
}
