/* SPDX-License-Identifier: Apache-2.0 */
/* test_transaction.c - transactions against a server that has them, and
 * with_transaction's loop against one that does as it is told. */
#include "tests/core/support.h"

static stator_session_t *start(stator_client_t *client)
{
    stator_future_t *f = stator_client_start_session(client, NULL);
    stator_session_t *session;

    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    session = stator_future_session(f);
    ck_assert_ptr_nonnull(session);
    stator_future_unref(f);
    return session;
}

static const bson_t *in(stator_session_t *session)
{
    const bson_t *opts = J("{}");

    ck_assert(stator_session_append(session, (bson_t *)(uintptr_t)opts,
                                    NULL));
    return opts;
}

static int64_t count(stage_t *stage, const bson_t *opts)
{
    return stator_future_count(done(stator_collection_count_documents(
        stage->collection, NULL, opts)));
}

#define ck_state(session, name) \
    ck_assert_int_eq(stator_session_transaction_state(session), \
                     STATOR_TRANSACTION_##name)

/* ---- against a server --------------------------------------------------- */

START_TEST(a_commit_shows_and_an_abort_does_not)
{
    stage_t *stage;
    stator_session_t *session;

    NEED_SERVER();
    stage = stage_live();
    done(stator_collection_insert_one(stage->collection, J("{}"), NULL));
    session = start(stage->client);
    done(stator_session_start_transaction(session, NULL));
    done(stator_collection_insert_one(stage->collection, J("{}"),
                                      in(session)));
    ck_assert_int_eq(count(stage, in(session)), 2);
    ck_assert_int_eq(count(stage, NULL), 1);
    done(stator_session_commit_transaction(session, NULL));
    ck_assert_int_eq(count(stage, NULL), 2);
    done(stator_session_start_transaction(session, NULL));
    done(stator_collection_insert_one(stage->collection, J("{}"),
                                      in(session)));
    done(stator_collection_delete_many(stage->collection, J("{'none': 1}"),
                                       in(session)));
    done(stator_session_abort_transaction(session, NULL));
    ck_assert_int_eq(count(stage, NULL), 2);
    stator_session_unref(session);
    stage_free(stage);
}
END_TEST

/* One worker, ten sessions: each step of all before the next of any. */
START_TEST(one_worker_serves_ten_interleaved)
{
    enum { N = 10, STEPS = 5 };
    stage_t *stage;
    stator_session_t *session[N];
    stator_future_t *f[N];

    NEED_SERVER();
    stage = stage_new(lib_server(), "{'workers': 1}", true);
    done(stator_collection_insert_one(stage->collection, J("{'_id': 'x'}"),
                                      NULL));
    for (int i = 0; i < N; i++) {
        session[i] = start(stage->client);
        f[i] = stator_session_start_transaction(session[i], NULL);
    }
    for (int i = 0; i < N; i++)
        done(f[i]);
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < N; i++)
            f[i] = stator_collection_insert_one(
                stage->collection, J("{'_id': '%d/%d'}", i, step),
                in(session[i]));
        for (int i = 0; i < N; i++)
            done(f[i]);
    }
    ck_assert_int_eq(count(stage, NULL), 1);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(count(stage, in(session[i])), 1 + STEPS);
    for (int i = 0; i < N; i++)
        f[i] = i % 2 == 0
                   ? stator_session_commit_transaction(session[i], NULL)
                   : stator_session_abort_transaction(session[i], NULL);
    for (int i = 0; i < N; i++) {
        done(f[i]);
        stator_session_unref(session[i]);
    }
    ck_assert_int_eq(count(stage, NULL), 1 + N / 2 * STEPS);
    stage_free(stage);
}
END_TEST

START_TEST(a_session_that_goes_takes_its_writes_along)
{
    stage_t *stage;
    stator_session_t *session;

    NEED_SERVER();
    stage = stage_live();
    done(stator_collection_insert_one(stage->collection, J("{'_id': 1}"),
                                      NULL));
    session = start(stage->client);
    done(stator_session_start_transaction(session, NULL));
    done(stator_collection_insert_one(stage->collection, J("{'_id': 2}"),
                                      in(session)));
    stator_session_unref(session);
    lib_forget();
    await_stat(stage->client, "sessions", 0);
    ck_assert_int_eq(count(stage, NULL), 1);
    done(stator_collection_insert_one(stage->collection, J("{'_id': 2}"),
                                      NULL)); /* no lock is left */
    stage_free(stage);
}
END_TEST

struct live {
    stage_t *stage;
    int calls;
};

static stator_future_t *insert_two(stator_session_t *session, void *arg)
{
    struct live *live = arg;
    stator_future_t *f[2], *all;

    live->calls++;
    for (int i = 0; i < 2; i++)
        f[i] = stator_collection_insert_one(live->stage->collection, J("{}"),
                                            in(session));
    all = stator_future_all(f, 2);
    stator_future_unref(f[0]);
    stator_future_unref(f[1]);
    return all;
}

START_TEST(with_transaction_commits)
{
    stator_dispatcher_t *d;
    stator_session_t *session;
    stator_future_t *f;
    struct live live = {0};

    NEED_SERVER();
    live.stage = stage_live();
    done(stator_collection_insert_one(live.stage->collection, J("{}"),
                                      NULL));
    d = stator_dispatcher_new(NULL);
    session = start(live.stage->client);
    f = stator_session_with_transaction(
        session, d, insert_two, &live,
        J("{'writeConcern': {'w': 'majority'}, 'timeoutMS': 600000}"));
    ck_assert_int_eq(stator_dispatcher_run_until(d, f, LIB_PATIENCE_MS), 0);
    done(f);
    ck_assert_int_eq(live.calls, 1);
    ck_state(session, COMMITTED);
    ck_assert_int_eq(count(live.stage, NULL), 3);
    stator_session_unref(session);
    stator_dispatcher_unref(d);
    stage_free(live.stage);
}
END_TEST

/* ---- the loop, over the wire -------------------------------------------- */

struct loop {
    scene_t *s;
    stator_dispatcher_t *dispatcher;
    stator_session_t *session;
    int calls;
    bool gives_nothing, ends_it, waits;
    const char *collection;
    stator_promise_t *promise;
    stator_future_t *whole;
};

static struct loop *loop_new(void)
{
    struct loop *l = calloc(1, sizeof *l);

    l->s = scene_new("{'workers': 2}");
    l->dispatcher = stator_dispatcher_new(NULL);
    l->session = start(l->s->client);
    return l;
}

static void loop_free(struct loop *l)
{
    stator_promise_unref(l->promise);
    stator_session_unref(l->session);
    stator_dispatcher_unref(l->dispatcher);
    scene_free(l->s);
    free(l);
}

static stator_future_t *body(stator_session_t *session, void *arg)
{
    struct loop *l = arg;
    stator_future_t *f;

    ck_assert_ptr_eq(session, l->session);
    ck_state(session, STARTING);
    l->calls++;
    if (l->waits) {
        l->promise = stator_promise_new();
        return stator_promise_future(l->promise);
    }
    f = stator_collection_insert_one(l->s->things,
                                     J("{'call': %d}", l->calls),
                                     in(session));
    if (l->gives_nothing || l->ends_it)
        stator_future_wait(f, LIB_PATIENCE_MS);
    if (l->ends_it) {
        stator_future_unref(f);
        f = stator_session_abort_transaction(session, NULL);
    }
    if (!l->gives_nothing)
        return f;
    stator_future_unref(f);
    return NULL;
}

/* Run it to its end; lent. */
static stator_future_t *run_loop(struct loop *l, const char *opts)
{
    stator_future_t *f = lend(stator_session_with_transaction(
        l->session, l->dispatcher, body, l,
        opts == NULL ? NULL : J("%s", opts)));

    ck_assert_int_eq(
        stator_dispatcher_run_until(l->dispatcher, f, LIB_PATIENCE_MS), 0);
    return f;
}

static void make_fail(struct loop *l, const char *command, int times,
                      const char *labels, int code)
{
    wire_rule_add(l->s->server, &(wire_rule_t){.command = command,
                                               .times = times,
                                               .action = WIRE_ERROR,
                                               .code = code,
                                               .labels = labels});
}

#define ck_counts(l, inserts, commits, aborts)                            \
    do {                                                                  \
        ck_assert_int_eq(wire_count((l)->s->server, "insert"), inserts);  \
        ck_assert_int_eq(wire_count((l)->s->server, "commitTransaction"), \
                         commits);                                        \
        ck_assert_int_eq(wire_count((l)->s->server, "abortTransaction"),  \
                         aborts);                                         \
    } while (0)

START_TEST(what_goes_well_is_done_once)
{
    struct loop *l = loop_new();

    l->gives_nothing = _i == 1;
    ck_done(run_loop(l, NULL));
    ck_counts(l, 1, 1, 0);
    loop_free(l);
}
END_TEST

START_TEST(a_transient_failure_begins_again)
{
    struct loop *l = loop_new();

    make_fail(l, "insert", 2, "TransientTransactionError", 251);
    ck_done(run_loop(l, NULL));
    ck_assert_int_eq(l->calls, 3);
    ck_counts(l, 3, 1, 2);
    loop_free(l);
}
END_TEST

START_TEST(a_transient_commit_begins_again)
{
    struct loop *l = loop_new();

    make_fail(l, "commitTransaction", 2, "TransientTransactionError",
              _i == 0 ? 251 : 50);
    ck_done(run_loop(l, NULL));
    ck_assert_int_eq(l->calls, 3);
    ck_counts(l, 3, 3, 0);
    loop_free(l);
}
END_TEST

START_TEST(an_unknown_commit_commits_again)
{
    struct loop *l = loop_new();
    wire_command_t c;

    make_fail(l, "commitTransaction", 3, "UnknownTransactionCommitResult",
              64);
    ck_done(run_loop(l, NULL));
    ck_assert_int_eq(l->calls, 1);
    ck_counts(l, 1, 4, 0);
    ck_assert(wire_log_find(l->s->server, "commitTransaction", 1, &c));
    ck_at(c.document, "writeConcern.w", "'majority'");
    wire_command_clear(&c);
    loop_free(l);
}
END_TEST

START_TEST(another_failure_of_the_body_aborts)
{
    struct loop *l = loop_new();
    stator_future_t *f;

    make_fail(l, "insert", 0, NULL, 11600);
    f = run_loop(l, NULL);
    fails(stator_future_ref(f), MONGOC_ERROR_SERVER, 11600, "");
    ck_assert_int_eq(l->calls, 1);
    ck_counts(l, 1, 0, 1);
    ck_state(l->session, ABORTED);
    loop_free(l);
}
END_TEST

START_TEST(another_failure_of_the_commit_is_told)
{
    static const struct {
        int code;
        const char *labels;
    } ends[] = {
        {20, NULL},
        {50, "UnknownTransactionCommitResult"}, /* the user's maxTimeMS */
    };
    struct loop *l = loop_new();

    make_fail(l, "commitTransaction", 0, ends[_i].labels, ends[_i].code);
    fails(stator_future_ref(run_loop(l, NULL)), MONGOC_ERROR_SERVER,
          (uint32_t)ends[_i].code, "");
    ck_counts(l, 1, 1, 0);
    loop_free(l);
}
END_TEST

START_TEST(who_ends_it_has_ended_it)
{
    struct loop *l = loop_new();

    l->ends_it = true;
    ck_done(run_loop(l, NULL));
    ck_counts(l, 1, 0, 1);
    loop_free(l);
}
END_TEST

START_TEST(a_start_that_fails_is_told)
{
    struct loop *l = loop_new();

    done(stator_session_start_transaction(l->session, NULL));
    fails(stator_future_ref(run_loop(l, NULL)), MONGOC_ERROR_TRANSACTION,
          MONGOC_ERROR_TRANSACTION_INVALID_STATE, "already in progress");
    ck_assert_int_eq(l->calls, 0);
    loop_free(l);
}
END_TEST

START_TEST(time_ends_the_trying)
{
    struct loop *l = loop_new();
    stator_future_t *f;

    make_fail(l, _i == 0 ? "insert" : "commitTransaction", 0,
              _i == 2 ? "UnknownTransactionCommitResult"
                      : "TransientTransactionError",
              251);
    f = run_loop(l, "{'timeoutMS': 200}");
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_FAILED);
    ck_assert_int_gt(wire_count(l->s->server, "insert") +
                         wire_count(l->s->server, "commitTransaction"),
                     2);
    loop_free(l);
}
END_TEST

START_TEST(cancelled_it_cancels_and_aborts)
{
    struct loop *l = loop_new();
    stator_future_t *f;

    wire_rule_add(l->s->server, &(wire_rule_t){.command = "insert",
                                               .gate = l->s->gate});
    f = lend(stator_session_with_transaction(l->session, l->dispatcher, body,
                                             l, NULL));
    while (wire_gate_held(l->s->gate) == 0)
        ck_assert_int_ge(stator_dispatcher_run_once(l->dispatcher, 10), 0);
    ck_assert(stator_future_cancel(f));
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_CANCELLED);
    ck_assert_int_ge(
        stator_dispatcher_run_once(l->dispatcher, LIB_PATIENCE_MS), 0);
    ck_assert(
        wire_wait_count(l->s->server, "abortTransaction", 1, WIRE_WAIT));
    wire_gate_open(l->s->gate);
    done(stator_session_start_transaction(l->session, NULL));
    ck_assert_int_eq(l->calls, 1);
    ck_state(l->session, STARTING);
    loop_free(l);
}
END_TEST

/* Its function is running when it is cancelled, and asks for more. */
static stator_future_t *cancel_midway(stator_session_t *session, void *arg)
{
    struct loop *l = arg;

    lend(stator_collection_insert_one(l->s->things, J("{'n': 1}"),
                                      in(session)));
    ck_assert(stator_future_cancel(l->whole));
    lend(stator_collection_insert_one(l->s->things, J("{'n': 2}"),
                                      in(session)));
    l->calls++;
    return NULL;
}

START_TEST(cancelled_it_writes_nothing_outside)
{
    struct loop *l = loop_new();
    wire_command_t insert, end;

    l->whole = lend(stator_session_with_transaction(
        l->session, l->dispatcher, cancel_midway, l, NULL));
    while (l->calls == 0)
        ck_assert_int_ge(stator_dispatcher_run_once(l->dispatcher, 10), 0);
    ck_assert_int_eq(stator_future_poll(l->whole), STATOR_FUTURE_CANCELLED);
    ck_assert(
        wire_wait_count(l->s->server, "abortTransaction", 1, WIRE_WAIT));
    done(stator_session_start_transaction(l->session, NULL));
    ck_counts(l, 2, 0, 1);
    ck_assert(wire_log_find(l->s->server, "abortTransaction", 0, &end));
    for (size_t i = 0; i < 2; i++) {
        ck_assert(wire_log_find(l->s->server, "insert", i, &insert));
        ck_at(insert.document, "autocommit", "false");
        ck_assert_int_lt(insert.sequence, end.sequence);
        wire_command_clear(&insert);
    }
    wire_command_clear(&end);
    loop_free(l);
}
END_TEST

/* Its function has something in the line yet, and fails when the time is up:
 * the abort can not come in time. */
static stator_future_t *fail_late(stator_session_t *session, void *arg)
{
    struct loop *l = arg;

    l->calls++;
    done(stator_collection_insert_one(l->s->things, J("{}"), in(session)));
    lend(stator_collection_find_one(l->s->held, NULL, in(session)));
    l->promise = stator_promise_new();
    return stator_promise_future(l->promise);
}

START_TEST(when_the_time_is_up_it_aborts_all_the_same)
{
    struct loop *l = loop_new();
    stator_future_t *f;

    f = lend(stator_session_with_transaction(l->session, l->dispatcher,
                                             fail_late, l,
                                             J("{'timeoutMS': 1000}")));
    while (l->calls == 0)
        ck_assert_int_ge(stator_dispatcher_run_once(l->dispatcher, 10), 0);
    ck_assert(wire_gate_wait_held(l->s->gate, 1, WIRE_WAIT));
    ck_expired(lend(stator_collection_find_one(
        l->s->held, NULL, J("{'timeoutMS': 1000}"))));
    if (_i == 0)
        stator_promise_fail(l->promise, NULL, NULL);
    else
        stator_promise_resolve(l->promise, NULL, NULL);
    ck_assert_int_eq(
        stator_dispatcher_run_until(l->dispatcher, f, LIB_PATIENCE_MS), 0);
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_FAILED);
    wire_gate_open(l->s->gate);
    done(stator_session_start_transaction(l->session, NULL));
    ck_counts(l, 1, 0, 1);
    loop_free(l);
}
END_TEST

START_TEST(a_full_queue_does_not_refuse_an_abort)
{
    scene_t *s = scene_new("{'workers': 1, 'queueLimit': 2}");
    stator_session_t *session = start(s->client);
    stator_future_t *waiting[2], *abort;

    done(stator_session_start_transaction(session, NULL));
    done(stator_collection_insert_one(s->things, J("{}"), in(session)));
    hold_worker(s);
    for (int i = 0; i < 2; i++)
        waiting[i] = ask_one(s, NULL);
    fails(stator_session_commit_transaction(session, NULL),
          STATOR_ERROR_DOMAIN, STATOR_ERROR_REFUSED, "full");
    abort = lend(stator_session_abort_transaction(session, NULL));
    ck_pending(abort);
    wire_gate_open(s->gate);
    ck_done(waiting[0]);
    ck_done(waiting[1]);
    ck_done(abort);
    ck_state(session, ABORTED);
    stator_session_unref(session);
    scene_free(s);
}
END_TEST

/* It is maxCommitTimeMS that has struck. */
START_TEST(a_commits_limit_is_told_as_the_servers)
{
    struct loop *l = loop_new();

    make_fail(l, "commitTransaction", 1, NULL, 50);
    done(stator_session_start_transaction(l->session, NULL));
    done(stator_collection_insert_one(l->s->things, J("{}"),
                                      in(l->session)));
    fails(stator_session_commit_transaction(l->session,
                                            J("{'timeoutMS': 600000}")),
          MONGOC_ERROR_SERVER, 50, "");
    loop_free(l);
}
END_TEST

START_TEST(a_promise_of_the_users_can_be_the_body)
{
    struct loop *l = loop_new();
    stator_future_t *f;

    l->waits = true;
    f = lend(stator_session_with_transaction(l->session, l->dispatcher, body,
                                             l, NULL));
    while (l->calls == 0)
        ck_assert_int_ge(stator_dispatcher_run_once(l->dispatcher, 10), 0);
    ck_pending(f);
    stator_promise_resolve(l->promise, J("{'a': 7}"), NULL);
    ck_assert_int_eq(
        stator_dispatcher_run_until(l->dispatcher, f, LIB_PATIENCE_MS), 0);
    ck_at(stator_future_document(ck_done(f)), "a", "7");
    ck_counts(l, 0, 0, 0); /* there was nothing to commit */
    ck_state(l->session, COMMITTED);
    loop_free(l);
}
END_TEST

START_TEST(without_its_dispatcher_it_fails_and_aborts)
{
    struct loop *l = loop_new();
    stator_future_t *f;

    l->waits = true;
    f = lend(stator_session_with_transaction(l->session, l->dispatcher, body,
                                             l, NULL));
    while (l->calls == 0)
        ck_assert_int_ge(stator_dispatcher_run_once(l->dispatcher, 10), 0);
    stator_dispatcher_unref(l->dispatcher);
    l->dispatcher = NULL;
    stator_promise_resolve(l->promise, NULL, NULL);
    fails(stator_future_ref(f), STATOR_ERROR_DOMAIN, STATOR_ERROR_CLOSED,
          "dispatcher");
    done(stator_session_start_transaction(l->session, NULL));
    loop_free(l);
}
END_TEST

static stator_future_t *whole(stator_session_t *session, void *arg)
{
    (void)session;
    return stator_future_ref(((struct loop *)arg)->whole);
}

START_TEST(a_body_that_waits_for_the_whole_is_a_deadlock)
{
    struct loop *l = loop_new();

    l->whole = lend(stator_session_with_transaction(
        l->session, l->dispatcher, whole, l, NULL));
    ck_assert_int_eq(stator_dispatcher_run_until(l->dispatcher, l->whole,
                                                 LIB_PATIENCE_MS), 0);
    fails(stator_future_ref(l->whole), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_DEADLOCK, "waits for it");
    loop_free(l);
}
END_TEST

START_TEST(bad_arguments_are_named)
{
    struct loop *l = loop_new();

    faulty(stator_session_with_transaction(NULL, l->dispatcher, body, l,
                                           NULL), "session is NULL");
    faulty(stator_session_with_transaction(l->session, NULL, body, l, NULL),
           "dispatcher is NULL");
    faulty(stator_session_with_transaction(l->session, l->dispatcher, NULL, l,
                                           NULL), "fn is NULL");
    faulty(stator_session_with_transaction(l->session, l->dispatcher, body, l,
                                           J("{'x': 1}")), "x is unknown");
    faulty(stator_session_with_transaction(l->session, l->dispatcher, body, l,
                                           lib_corrupt()), "opts");
    faulty(stator_session_with_transaction(l->session, l->dispatcher, body, l,
                                           J("{'timeoutMS': 'x'}")),
           "timeoutMS");
    loop_free(l);
}
END_TEST

SUITE(transaction)
{
    tcase_add_test(tc, a_commit_shows_and_an_abort_does_not);
    tcase_add_test(tc, one_worker_serves_ten_interleaved);
    tcase_add_test(tc, a_session_that_goes_takes_its_writes_along);
    tcase_add_test(tc, with_transaction_commits);
    tcase_add_loop_test(tc, what_goes_well_is_done_once, 0, 2);
    tcase_add_test(tc, a_transient_failure_begins_again);
    tcase_add_loop_test(tc, a_transient_commit_begins_again, 0, 2);
    tcase_add_test(tc, an_unknown_commit_commits_again);
    tcase_add_test(tc, another_failure_of_the_body_aborts);
    tcase_add_loop_test(tc, another_failure_of_the_commit_is_told, 0, 2);
    tcase_add_test(tc, who_ends_it_has_ended_it);
    tcase_add_test(tc, a_start_that_fails_is_told);
    tcase_add_loop_test(tc, time_ends_the_trying, 0, 3);
    tcase_add_test(tc, cancelled_it_cancels_and_aborts);
    tcase_add_test(tc, cancelled_it_writes_nothing_outside);
    tcase_add_loop_test(tc, when_the_time_is_up_it_aborts_all_the_same, 0, 2);
    tcase_add_test(tc, a_full_queue_does_not_refuse_an_abort);
    tcase_add_test(tc, a_commits_limit_is_told_as_the_servers);
    tcase_add_test(tc, a_promise_of_the_users_can_be_the_body);
    tcase_add_test(tc, without_its_dispatcher_it_fails_and_aborts);
    tcase_add_test(tc, a_body_that_waits_for_the_whole_is_a_deadlock);
    tcase_add_test(tc, bad_arguments_are_named);
}
