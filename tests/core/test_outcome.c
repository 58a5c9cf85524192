/* SPDX-License-Identifier: Apache-2.0 */
/* test_outcome.c - what is said of a write that went wrong, against what the
 * server saw of it.
 *
 *   every verb that writes x every way to lose its answer
 *
 * NOT_SENT is a promise: the server's count is 0.  And nothing is ever sent
 * again but by the driver's retryable writes, once. */
#include "tests/core/support.h"

enum { N_VERBS = 14 };

/* ---- the verbs ---------------------------------------------------------- */

typedef stator_future_t *write_fn(stator_collection_t *c, const bson_t *opts);

static stator_future_t *insert_one(stator_collection_t *c, const bson_t *o)
{
    return stator_collection_insert_one(c, J("{'a': 1}"), o);
}

static stator_future_t *insert_many(stator_collection_t *c, const bson_t *o)
{
    const bson_t *documents[] = {J("{'a': 1}"), J("{'a': 2}")};

    return stator_collection_insert_many(c, documents, 2, o);
}

static stator_future_t *update_one(stator_collection_t *c, const bson_t *o)
{
    return stator_collection_update_one(c, J("{'a': 1}"),
                                        J("{'$set': {'b': 1}}"), o);
}

static stator_future_t *update_many(stator_collection_t *c, const bson_t *o)
{
    return stator_collection_update_many(c, J("{'a': 1}"),
                                         J("{'$set': {'b': 1}}"), o);
}

static stator_future_t *replace_one(stator_collection_t *c, const bson_t *o)
{
    return stator_collection_replace_one(c, J("{'a': 1}"), J("{'b': 1}"), o);
}

static stator_future_t *delete_one(stator_collection_t *c, const bson_t *o)
{
    return stator_collection_delete_one(c, J("{'a': 1}"), o);
}

static stator_future_t *delete_many(stator_collection_t *c, const bson_t *o)
{
    return stator_collection_delete_many(c, J("{'a': 1}"), o);
}

static stator_future_t *find_and_update(stator_collection_t *c,
                                        const bson_t *o)
{
    return stator_collection_find_one_and_update(
        c, J("{'a': 1}"), J("{'$set': {'b': 1}}"), o);
}

static stator_future_t *find_and_replace(stator_collection_t *c,
                                         const bson_t *o)
{
    return stator_collection_find_one_and_replace(c, J("{'a': 1}"),
                                                  J("{'b': 1}"), o);
}

static stator_future_t *find_and_delete(stator_collection_t *c,
                                        const bson_t *o)
{
    return stator_collection_find_one_and_delete(c, J("{'a': 1}"), o);
}

static stator_future_t *bulk_write(stator_collection_t *c, const bson_t *o)
{
    const bson_t *models[] = {J("{'insertOne': {'document': {'a': 1}}}")};

    return stator_collection_bulk_write(c, models, 1, o);
}

static stator_future_t *create_index(stator_collection_t *c, const bson_t *o)
{
    return stator_collection_create_index(c, J("{'key': {'a': 1}}"), o);
}

static stator_future_t *drop(stator_collection_t *c, const bson_t *o)
{
    return stator_collection_drop(c, o);
}

static stator_future_t *out(stator_collection_t *c, const bson_t *o)
{
    stator_cursor_t *cursor = stator_collection_aggregate(
        c, J("{'pipeline': [{'$out': 'other'}]}"), o);
    stator_future_t *f = stator_cursor_next(cursor);

    stator_cursor_unref(cursor);
    return f;
}

static const struct verb {
    const char *name, *command;
    write_fn *write;
    bool is_retryable;
} verbs[N_VERBS] = {
    {"insert_one", "insert", insert_one, true},
    {"insert_many", "insert", insert_many, true},
    {"update_one", "update", update_one, true},
    {"update_many", "update", update_many, false},
    {"replace_one", "update", replace_one, true},
    {"delete_one", "delete", delete_one, true},
    {"delete_many", "delete", delete_many, false},
    {"find_one_and_update", "findAndModify", find_and_update, true},
    {"find_one_and_replace", "findAndModify", find_and_replace, true},
    {"find_one_and_delete", "findAndModify", find_and_delete, true},
    {"bulk_write", "insert", bulk_write, true},
    {"create_index", "createIndexes", create_index, false},
    {"drop", "drop", drop, false},
    {"aggregate with $out", "aggregate", out, false},
};

/* ---- the ways ----------------------------------------------------------- */

enum way {
    HANG_UP,     /* no answer, the connection ends */
    RESET,       /* the same by a reset */
    HALF_REPLY,
    GARBAGE,     /* instead of a reply */
    TIMEOUT,     /* the operation's timeoutMS runs out */
    CANCEL,
    CLOSE,       /* the client is closed in the mode "cancel" */
    DIE,         /* the whole server */
    NO_PRIMARY,  /* the answer is an error: retryable, says the server */
    QUEUED,      /* cancelled while no worker has it */
    UNREACHABLE, /* nobody listens */
    N_WAYS
};

static const char *const ways[] = {
    "hang up", "reset", "half a reply", "garbage", "timeoutMS",
    "cancel",  "close", "server dies",  "error",   "cancel in the queue",
    "nobody listens",
};

typedef struct case_ {
    const struct verb *verb;
    enum way way;
    bool retries;
    wire_server_t *server;
    wire_gate_t *gate;
    stator_client_t *client;
    stator_collection_t *things;
    stator_future_t *future, *blocker;
} case_t;

static wire_rule_t rule_of(const case_t *c)
{
    wire_rule_t rule = {.command = c->verb->command};

    switch (c->way) {
    case HANG_UP:
        rule.action = WIRE_CLOSE;
        break;
    case RESET:
        rule.action = WIRE_CLOSE;
        rule.end = WIRE_RST;
        break;
    case HALF_REPLY:
        rule.action = WIRE_CUT;
        break;
    case GARBAGE:
        rule.action = WIRE_RAW;
        rule.raw = "0123456789012345678901234567890123456789";
        rule.raw_size = 40;
        break;
    case NO_PRIMARY:
        rule.action = WIRE_ERROR;
        rule.code = 11600;
        rule.labels = "RetryableWriteError";
        break;
    default:
        rule.gate = c->gate;
    }
    return rule;
}

static void case_begin(case_t *c)
{
    wire_options_t options = {.member.role = WIRE_PRIMARY};
    char uri[WIRE_URI_SIZE], extra[128];
    wire_rule_t rule;

    c->server = wire_server_new(&options);
    ck_assert_ptr_nonnull(c->server);
    c->gate = wire_gate_new(c->server);
    snprintf(extra, sizeof extra,
             "retryWrites=%s&serverSelectionTimeoutMS=%d&"
             "heartbeatFrequencyMS=500",
             c->retries ? "true" : "false",
             c->way == UNREACHABLE ? 100 : 30000);
    wire_server_uri(c->server, extra, uri, sizeof uri);
    if (c->way == UNREACHABLE)
        wire_server_down(c->server, WIRE_RST);
    c->client = stator_client_new(uri, J("{'workers': 1, 'name': 'case'}"),
                                  NULL);
    c->things = stator_client_get_collection(c->client, "core", "things");
    if (c->way != UNREACHABLE)
        done(stator_client_ping(c->client, NULL)); /* connected */
    rule = rule_of(c);
    wire_rule_add(c->server, &rule);
    if (c->way != QUEUED)
        return;
    wire_rule_add(c->server,
                  &(wire_rule_t){.command = "ping", .gate = c->gate});
    c->blocker = stator_client_ping(c->client, NULL);
    ck_assert(wire_gate_wait_held(c->gate, 1, WIRE_WAIT));
}

static void strike(case_t *c)
{
    if (c->way == CANCEL || c->way == CLOSE || c->way == DIE)
        ck_assert(wire_gate_wait_held(c->gate, 1, WIRE_WAIT));
    if (c->way == CANCEL || c->way == QUEUED)
        ck_assert(stator_future_cancel(c->future));
    if (c->way == CLOSE)
        done(stator_client_close(c->client, J("{'mode': 'cancel', "
                                              "'timeoutMS': 500}")));
    if (c->way == DIE)
        wire_server_down(c->server, WIRE_FIN);
}

static void case_end(case_t *c)
{
    wire_gate_open(c->gate);
    done(stator_client_close(c->client, J("{'timeoutMS': 10000}")));
    await_threads("case", 0);
    stator_future_unref(c->blocker);
    stator_future_unref(c->future);
    stator_collection_unref(c->things);
    stator_client_unref(c->client);
    lib_forget();
    wire_server_free(c->server);
}

static stator_outcome_t expected(enum way way)
{
    if (way == QUEUED || way == UNREACHABLE)
        return STATOR_NOT_SENT;
    return way == NO_PRIMARY ? STATOR_ANSWERED : STATOR_MAYBE_SENT;
}

static int64_t most(const case_t *c)
{
    if (expected(c->way) == STATOR_NOT_SENT)
        return 0;
    if (!c->retries || !c->verb->is_retryable)
        return 1;
    /* What was given up is not sent again, though the driver would. */
    return c->way == TIMEOUT || c->way == CANCEL || c->way == CLOSE ? 1 : 2;
}

/* The count is looked at when the client has ended, so that nothing of it can
 * come later. */
static void check(const struct verb *verb, enum way way, bool retries)
{
    case_t c = {.verb = verb, .way = way, .retries = retries};
    stator_outcome_t outcome;
    int64_t seen;

    case_begin(&c);
    c.future = verb->write(c.things,
                           way == TIMEOUT ? J("{'timeoutMS': 100}") : NULL);
    strike(&c);
    ck_assert_int_eq(stator_future_wait(c.future, LIB_PATIENCE_MS), 0);
    ck_assert_int_ne(stator_future_poll(c.future), STATOR_FUTURE_DONE);
    outcome = stator_future_outcome(c.future);
    wire_gate_open(c.gate);
    done(stator_client_close(c.client, J("{'timeoutMS': 10000}")));
    await_threads("case", 0);
    seen = wire_count(c.server, verb->command);
    ck_assert_msg((outcome == expected(way) ||
                   (way == TIMEOUT && seen == 0)) && /* a slow machine */
                      seen <= most(&c) &&
                      (outcome == STATOR_NOT_SENT) == (seen == 0),
                  "%s, %s, retryWrites=%d: outcome %d, expected %d; the "
                  "server saw it %d times, at most %d",
                  verb->name, ways[way], retries, (int)outcome,
                  (int)expected(way), (int)seen, (int)most(&c));
    case_end(&c);
}

START_TEST(an_outcome_is_true_of_every_write)
{
    /* A retry waits for the driver's next look at the server: a few do. */
    static const int retrying[] = {0, 3, 7, 10};

    for (int v = 0; v < N_VERBS; v++)
        check(&verbs[v], (enum way)_i, false);
    for (int i = 0; i < 4 && _i != DIE; i++)
        check(&verbs[retrying[i]], (enum way)_i, true);
}
END_TEST

/* A driver that retries does: else the limits above would prove nothing. */
START_TEST(the_driver_retries_once)
{
    case_t c = {.verb = &verbs[0], .way = NO_PRIMARY, .retries = true};

    case_begin(&c);
    c.future = insert_one(c.things, NULL);
    ck_assert_int_eq(stator_future_wait(c.future, LIB_PATIENCE_MS), 0);
    ck_assert_int_eq(wire_count(c.server, "insert"), 2);
    case_end(&c);
}
END_TEST

SUITE(core_outcome)
{
    tcase_add_loop_test(tc, an_outcome_is_true_of_every_write, 0, N_WAYS);
    tcase_add_test(tc, the_driver_retries_once);
}
