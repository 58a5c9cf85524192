/* SPDX-License-Identifier: Apache-2.0 */
/* test_change_stream.c - change streams: what is sent, what comes back, where
 * they go on after a failure; on the wire server's feed, and live. */
#include <errno.h>

#include <mongoc/mongoc.h>

#include "tests/lib/support.h"
#include "tests/wire/wire.h"

typedef struct set {
    wire_server_t *server;
    stage_t *stage;
} set_t;

static set_t *set_of(const wire_options_t *options)
{
    set_t *t = calloc(1, sizeof *t);
    char uri[WIRE_URI_SIZE];

    t->server = wire_server_new(options);
    ck_assert_ptr_nonnull(t->server);
    t->stage = stage_new(wire_server_uri(t->server, "retryReads=false", uri,
                                         sizeof uri),
                         "{'workers': 1, 'watchers': 2}", false);
    return t;
}

static set_t *set_new(void)
{
    return set_of(NULL);
}

static void set_free(set_t *t)
{
    stage_free(t->stage);
    wire_server_free(t->server);
    free(t);
}

static stator_change_stream_t *watch(stage_t *stage, const char *opts)
{
    stator_change_stream_t *stream = stator_collection_watch(
        stage->collection, NULL, opts == NULL ? NULL : J("%s", opts));

    done(stator_change_stream_open(stream));
    return stream;
}

static void end(stator_change_stream_t *stream)
{
    done(stator_change_stream_close(stream));
    stator_change_stream_unref(stream);
}

static int64_t n_of(const bson_t *event)
{
    return strtoll(at(event, "n"), NULL, 10);
}

/* The next event must be that one. */
static void ck_next(stator_change_stream_t *stream, int n)
{
    char text[16];

    snprintf(text, sizeof text, "%d", n);
    ck_at(stator_future_document(done(stator_change_stream_next(stream))),
          "n", text);
}

/* The number in the stream's token; -1: none. */
static int64_t place_of(stator_change_stream_t *stream)
{
    int64_t place;
    bson_iter_t i;
    bson_t token;

    if (!stator_change_stream_resume_token(stream, &token))
        return -1;
    ck_assert(bson_iter_init_find(&i, &token, "_data"));
    place = strtoll(bson_iter_utf8(&i, NULL), NULL, 10);
    bson_destroy(&token);
    return place;
}

/* The i-th command of the name as the server got it. */
static const char *sent(set_t *t, const char *name, size_t i,
                        const char *path)
{
    static char text[512];
    wire_command_t c = {0};

    ck_assert_msg(wire_log_find(t->server, name, i, &c),
                  "%s number %zu did not come", name, i);
    snprintf(text, sizeof text, "%s", at(c.document, path));
    wire_command_clear(&c);
    return text;
}

#define ck_sent(t, name, i, path, text) \
    ck_assert_str_eq(sent(t, name, i, path), text)

static const wire_rule_t failures[] = {
    {.action = WIRE_ERROR, .code = 43},
    {.action = WIRE_ERROR, .code = 91,
     .labels = "ResumableChangeStreamError"},
    {.action = WIRE_CLOSE, .end = WIRE_FIN},
    {.action = WIRE_CLOSE, .end = WIRE_RST},
    {.action = WIRE_CUT},
};

enum { N_FAILURES = sizeof failures / sizeof *failures };

static void fail_next(set_t *t, const wire_rule_t *how, const char *command)
{
    wire_rule_t rule = *how;

    rule.command = command;
    rule.times = 1;
    ck_assert_int_gt(wire_rule_add(t->server, &rule), 0);
}

/* ---- what is sent ------------------------------------------------------ */

START_TEST(options_go_where_they_belong)
{
    set_t *t = set_new();
    stator_change_stream_t *stream = stator_collection_watch(
        t->stage->collection, J("{'0': {'$match': {'a': 1}}}"),
        J("{'fullDocument': 'updateLookup', 'batchSize': 7, 'comment': 'hi', "
          "'fullDocumentBeforeChange': 'off', 'showExpandedEvents': true, "
          "'maxAwaitTimeMS': 33, 'collation': {'locale': 'de'}, "
          "'readConcern': {'level': 'majority'}}"));

    done(stator_change_stream_open(stream));
    ck_sent(t, "aggregate", 0, "pipeline.0.$changeStream.fullDocument",
            "'updateLookup'");
    ck_sent(t, "aggregate", 0,
            "pipeline.0.$changeStream.fullDocumentBeforeChange", "'off'");
    ck_sent(t, "aggregate", 0, "pipeline.0.$changeStream.showExpandedEvents",
            "true");
    ck_sent(t, "aggregate", 0, "pipeline.1.$match.a", "1");
    ck_sent(t, "aggregate", 0, "cursor.batchSize", "7");
    ck_sent(t, "aggregate", 0, "comment", "'hi'");
    ck_sent(t, "aggregate", 0, "collation.locale", "'de'");
    ck_sent(t, "aggregate", 0, "readConcern.level", "'majority'");
    ck_sent(t, "aggregate", 0, "maxAwaitTimeMS", "");
    ck_sent(t, "aggregate", 0, "maxTimeMS", "");
    done(stator_change_stream_try_next(stream));
    ck_sent(t, "getMore", 0, "maxTimeMS", "33");
    ck_sent(t, "getMore", 0, "batchSize", "7");
    ck_sent(t, "getMore", 0, "comment", "'hi'");
    end(stream);
    set_free(t);
}
END_TEST

/* As of the driver's own streams, also when it is opened again. */
START_TEST(a_getmore_bears_no_read_preference)
{
    set_t *t = set_of(&(wire_options_t){.member = {.role = WIRE_PRIMARY}});
    stator_change_stream_t *stream =
        watch(t->stage, "{'readPreference': {'mode': 'secondaryPreferred'}}");

    ck_sent(t, "aggregate", 0, "$readPreference.mode", "'secondaryPreferred'");
    fail_next(t, &failures[0], "getMore");
    done(stator_change_stream_try_next(stream));
    ck_sent(t, "aggregate", 1, "$readPreference.mode", "'secondaryPreferred'");
    for (size_t i = 0; i < 2; i++)
        ck_sent(t, "getMore", i, "$readPreference", "");
    end(stream);
    set_free(t);
}
END_TEST

/* Where it is an error. */
START_TEST(an_old_server_gets_no_comment_with_a_getmore)
{
    set_t *t = set_of(&(wire_options_t){.max_wire_version = 8});
    stator_change_stream_t *stream = watch(t->stage, "{'comment': 'hi'}");

    done(stator_change_stream_try_next(stream));
    ck_sent(t, "aggregate", 0, "comment", "'hi'");
    ck_sent(t, "getMore", 0, "comment", "");
    end(stream);
    set_free(t);
}
END_TEST

START_TEST(a_database_and_a_client_can_be_watched)
{
    set_t *t = set_new();
    stator_change_stream_t *all =
        stator_client_watch(t->stage->client, NULL, NULL);
    stator_change_stream_t *some =
        stator_database_watch(t->stage->database, J("{'pipeline': []}"), NULL);
    char db[80];

    done(stator_change_stream_open(all));
    ck_sent(t, "aggregate", 0, "aggregate", "1");
    ck_sent(t, "aggregate", 0, "$db", "'admin'");
    ck_sent(t, "aggregate", 0, "pipeline.0.$changeStream.allChangesForCluster",
            "true");
    done(stator_change_stream_open(some));
    snprintf(db, sizeof db, "'%s'",
             stator_database_get_name(t->stage->database));
    ck_sent(t, "aggregate", 1, "aggregate", "1");
    ck_sent(t, "aggregate", 1, "$db", db);
    ck_sent(t, "aggregate", 1, "pipeline.0.$changeStream.allChangesForCluster",
            "");
    wire_events(t->server, 1);
    ck_next(all, 0);
    ck_next(some, 0);
    end(all);
    end(some);
    set_free(t);
}
END_TEST

static const struct {
    const char *opts, *why;
} wrong[] = {
    {"{'fullDocument': 1}", "fullDocument must be a string"},
    {"{'fullDocumentBeforeChange': {}}", "fullDocumentBeforeChange must be"},
    {"{'showExpandedEvents': 1}", "showExpandedEvents must be a bool"},
    {"{'resumeAfter': 'x'}", "resumeAfter must be a document"},
    {"{'startAfter': 7}", "startAfter must be a document"},
    {"{'startAtOperationTime': 7}", "startAtOperationTime must be"},
    {"{'batchSize': -1}", "batchSize must be"},
    {"{'batchSize': 'x'}", "batchSize must be"},
    {"{'maxAwaitTimeMS': 0}", "maxAwaitTimeMS must be"},
    {"{'maxAwaitTimeMS': 4294967296}", "maxAwaitTimeMS must be"},
    {"{'prefetch': 1}", "prefetch"},
    {"{'maxBytes': 1}", "maxBytes"},
    {"{'timeoutMode': 'iteration'}", "timeoutMode"},
    {"{'timeoutMS': -1}", "timeoutMS"},
    {"{'sessionId': 5}", "sessionId"},
    {"{'readPreference': {}}", "readPreference.mode"},
};

enum { N_WRONG = sizeof wrong / sizeof *wrong };

START_TEST(wrong_arguments_fail_the_first_future)
{
    stage_t *stage = stage_nowhere();
    stator_change_stream_t *stream = stator_collection_watch(
        stage->collection, NULL, J("%s", wrong[_i].opts));

    faulty(stator_change_stream_next(stream), wrong[_i].why);
    faulty(stator_change_stream_open(stream), wrong[_i].why);
    done(stator_change_stream_close(stream));
    stator_change_stream_unref(stream);
    stage_free(stage);
}
END_TEST

START_TEST(wrong_handles_and_pipelines_too)
{
    stage_t *stage = stage_nowhere();
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    stator_change_stream_t *stream;
    bson_t token;

    stream = stator_collection_watch(NULL, NULL, NULL);
    faulty(stator_change_stream_next(stream), "handle is NULL");
    ck_assert(!stator_change_stream_resume_token(stream, &token));
    stator_change_stream_unref(stream);
    stream = stator_client_watch(NULL, NULL, NULL);
    faulty(stator_change_stream_try_next(stream), "client is NULL");
    stator_change_stream_unref(stream);
    stream = stator_collection_watch(stage->collection, J("{'a': 1}"), NULL);
    faulty(stator_change_stream_open(stream), "pipeline must be");
    stator_change_stream_unref(stream);
    stream = stator_collection_watch(stage->collection, lib_corrupt(), NULL);
    faulty(stator_change_stream_open(stream), "pipeline");
    stator_change_stream_unref(stream);
    faulty(stator_change_stream_next(NULL), "change stream is NULL");
    faulty(stator_change_stream_close(NULL), "change stream is NULL");
    faulty(stator_change_stream_each(NULL, d, NULL, NULL), "is NULL");
    stream = stator_collection_watch(stage->collection, NULL, NULL);
    faulty(stator_change_stream_each(stream, d, NULL, NULL), "fn is NULL");
    faulty(stator_change_stream_each_async(stream, NULL, NULL, NULL),
           "dispatcher is NULL");
    stator_change_stream_unref(stream);
    stator_change_stream_unref(NULL);
    ck_assert_ptr_null(stator_change_stream_ref(NULL));
    stator_dispatcher_unref(d);
    stage_free(stage);
}
END_TEST

/* ---- the place --------------------------------------------------------- */

START_TEST(the_token_is_of_what_was_handed_out)
{
    set_t *t = set_new();
    stator_change_stream_t *stream =
        stator_collection_watch(t->stage->collection, NULL, NULL);

    ck_assert_int_eq(place_of(stream), -1);
    wire_events(t->server, 2);
    done(stator_change_stream_open(stream));
    ck_assert_int_eq(place_of(stream), 2); /* of the aggregate */
    wire_events(t->server, 3);
    ck_next(stream, 2);
    ck_assert_int_eq(place_of(stream), 3);
    ck_next(stream, 3);
    ck_assert_int_eq(place_of(stream), 4);
    ck_next(stream, 4);
    ck_assert_int_eq(place_of(stream), 5);
    end(stream);
    set_free(t);
}
END_TEST

START_TEST(an_empty_batch_moves_the_token_on)
{
    set_t *t = set_new();
    stator_change_stream_t *stream = watch(t->stage, NULL);

    wire_rule_add(t->server,
                  &(wire_rule_t){
                      .command = "getMore",
                      .times = 1,
                      .action = WIRE_REPLY,
                      .reply_json =
                          "{\"ok\": 1, \"cursor\": {\"id\": 9, \"ns\": "
                          "\"a.b\", \"nextBatch\": [], "
                          "\"postBatchResumeToken\": {\"_data\": \"77\"}}}"});
    done(stator_change_stream_try_next(stream));
    ck_assert_int_eq(place_of(stream), 77);
    stator_change_stream_unref(stream);
    set_free(t);
}
END_TEST

START_TEST(an_event_without_its_token_ends_it_behind_the_others)
{
    set_t *t = set_new();
    stator_change_stream_t *stream = watch(t->stage, NULL);
    stator_future_t *f;

    wire_rule_add(
        t->server,
        &(wire_rule_t){
            .command = "getMore",
            .times = 1,
            .action = WIRE_REPLY,
            .reply_json = "{\"ok\": 1, \"cursor\": {\"id\": 9, \"ns\": "
                          "\"a.b\", \"nextBatch\": [{\"_id\": {\"_data\": "
                          "\"5\"}, \"n\": 4}, {\"n\": 5}]}}"});
    ck_next(stream, 4);
    ck_assert_int_eq(place_of(stream), 5);
    f = fails(stator_change_stream_next(stream), MONGOC_ERROR_CURSOR,
              MONGOC_ERROR_CHANGE_STREAM_NO_RESUME_TOKEN, "resume token");
    ck_assert_int_eq(stator_future_outcome(f), STATOR_ANSWERED);
    fails(stator_change_stream_next(stream), MONGOC_ERROR_CURSOR,
          MONGOC_ERROR_CHANGE_STREAM_NO_RESUME_TOKEN, "resume token");
    ck_assert_int_eq(wire_count(t->server, "killCursors"), 1);
    stator_change_stream_unref(stream);
    set_free(t);
}
END_TEST

START_TEST(a_dead_stream_is_done_with_no_document)
{
    set_t *t = set_new();
    stator_change_stream_t *stream = watch(t->stage, NULL);

    wire_rule_add(
        t->server,
        &(wire_rule_t){
            .command = "getMore",
            .action = WIRE_REPLY,
            .reply_json = "{\"ok\": 1, \"cursor\": {\"id\": 0, \"ns\": "
                          "\"a.b\", \"nextBatch\": [{\"_id\": {\"_data\": "
                          "\"5\"}, \"n\": 4}]}}"});
    ck_next(stream, 4);
    ck_assert_ptr_null(
        stator_future_document(done(stator_change_stream_next(stream))));
    ck_assert_int_eq(wire_count(t->server, "getMore"), 1);
    end(stream);
    ck_assert_int_eq(wire_count(t->server, "killCursors"), 0);
    set_free(t);
}
END_TEST

/* ---- going on ---------------------------------------------------------- */

START_TEST(it_goes_on_behind_what_has_come)
{
    set_t *t = set_new();
    stator_change_stream_t *stream = watch(t->stage, "{'batchSize': 2}");
    bool killed = failures[_i].action == WIRE_ERROR;
    char lsid[200];

    snprintf(lsid, sizeof lsid, "%s", sent(t, "aggregate", 0, "lsid.id"));
    wire_events(t->server, 6);
    ck_next(stream, 0); /* and 1 is buffered */
    fail_next(t, &failures[_i], "getMore");
    for (int i = 1; i < 6; i++)
        ck_next(stream, i);
    ck_assert_int_eq(wire_count(t->server, "aggregate"), 2);
    ck_sent(t, "aggregate", 1, "pipeline.0.$changeStream.resumeAfter._data",
            "'0000000000000002'");
    ck_sent(t, "aggregate", 1, "lsid.id", lsid);
    ck_assert_int_eq(wire_count(t->server, "killCursors"), killed);
    end(stream);
    set_free(t);
}
END_TEST

START_TEST(before_any_event_it_goes_on_from_where_it_began)
{
    set_t *t = set_new();
    stator_change_stream_t *stream;

    wire_events(t->server, 3);
    stream = watch(t->stage, "{'startAfter': {'_data': '1'}}");
    fail_next(t, &failures[0], "getMore");
    for (int i = 1; i < 3; i++)
        ck_next(stream, i);
    wire_events(t->server, 1);
    ck_next(stream, 3);
    ck_sent(t, "aggregate", 0, "pipeline.0.$changeStream.startAfter._data",
            "'1'");
    ck_sent(t, "aggregate", 1, "pipeline.0.$changeStream.resumeAfter._data",
            "'0000000000000003'");
    end(stream);
    set_free(t);
}
END_TEST

static const char first_reply[] =
    "{\"ok\": 1, \"operationTime\": {\"$timestamp\": {\"t\": 5, \"i\": 2}}, "
    "\"cursor\": {\"id\": 9, \"ns\": \"a.b\", \"firstBatch\": []}}";

START_TEST(without_a_place_it_goes_on_from_the_time)
{
    set_t *t = set_new();
    stator_change_stream_t *stream;

    wire_events(t->server, 2);
    fail_next(t, &(wire_rule_t){.action = WIRE_REPLY,
                                .reply_json = first_reply},
              "aggregate");
    stream = watch(t->stage, NULL);
    ck_assert_int_eq(place_of(stream), -1);
    wire_events(t->server, 1);
    ck_next(stream, 2); /* the server knows no cursor 9 */
    ck_sent(t, "aggregate", 1,
            "pipeline.0.$changeStream.startAtOperationTime",
            "{ '$timestamp' : { 't' : 5, 'i' : 2 } }");
    end(stream);
    set_free(t);
}
END_TEST

START_TEST(start_after_stays_until_an_event_has_come)
{
    set_t *t = set_new();
    stator_change_stream_t *stream;

    fail_next(t, &(wire_rule_t){.action = WIRE_REPLY,
                                .reply_json = first_reply},
              "aggregate");
    stream = watch(t->stage, "{'startAfter': {'_data': '0'}}");
    ck_assert_int_eq(place_of(stream), 0);
    wire_events(t->server, 1);
    ck_next(stream, 0);
    ck_sent(t, "aggregate", 1, "pipeline.0.$changeStream.startAfter._data",
            "'0'");
    ck_sent(t, "aggregate", 1, "pipeline.0.$changeStream.resumeAfter", "");
    end(stream);
    set_free(t);
}
END_TEST

static const wire_rule_t fatal[] = {
    {.action = WIRE_ERROR, .code = 91}, /* no label, and the server is new */
    {.action = WIRE_ERROR, .code = 280, .labels = "NonResumable"},
    {.action = WIRE_ERROR, .code = 11601},
};

enum { N_FATAL = sizeof fatal / sizeof *fatal };

START_TEST(what_is_not_resumable_is_the_end)
{
    set_t *t = set_new();
    stator_change_stream_t *stream = watch(t->stage, NULL);

    fail_next(t, &fatal[_i], "getMore");
    fails(stator_change_stream_next(stream), MONGOC_ERROR_SERVER,
          (uint32_t)fatal[_i].code, "");
    fails(stator_change_stream_next(stream), MONGOC_ERROR_SERVER,
          (uint32_t)fatal[_i].code, "");
    fails(stator_change_stream_open(stream), MONGOC_ERROR_SERVER,
          (uint32_t)fatal[_i].code, ""); /* it watches no more */
    ck_assert_int_eq(wire_count(t->server, "aggregate"), 1);
    ck_assert_int_eq(wire_count(t->server, "killCursors"), 1);
    end(stream);
    set_free(t);
}
END_TEST

START_TEST(it_is_opened_again_once)
{
    set_t *t = set_new();
    stator_change_stream_t *stream = watch(t->stage, NULL);

    fail_next(t, &failures[1], "getMore");
    fail_next(t, &failures[1], "aggregate");
    fails(stator_change_stream_next(stream), MONGOC_ERROR_SERVER, 91, "");
    ck_assert_int_eq(wire_count(t->server, "aggregate"), 2);
    stator_change_stream_unref(stream);
    set_free(t);
}
END_TEST

/* In the second round with a turn of a minute, which is no rest. */
START_TEST(a_server_that_never_gets_on_is_not_pestered)
{
    set_t *t = set_new();
    stator_change_stream_t *stream =
        watch(t->stage, _i == 0 ? NULL : "{'maxAwaitTimeMS': 60000}");
    int rule = wire_rule_add(
        t->server, &(wire_rule_t){.command = "getMore",
                                  .action = WIRE_ERROR,
                                  .code = 91,
                                  .labels = "ResumableChangeStreamError"});
    stator_future_t *f = stator_change_stream_next(stream);

    ck_assert_int_eq(stator_future_wait(f, 800), ETIMEDOUT);
    ck_assert_int_lt(wire_count(t->server, "aggregate"), 10);
    wire_rule_remove(t->server, rule);
    wire_events(t->server, 1);
    ck_at(stator_future_document(done(f)), "n", "0");
    end(stream);
    set_free(t);
}
END_TEST

START_TEST(a_refused_aggregate_fails_open)
{
    set_t *t = set_new();
    stator_change_stream_t *stream =
        stator_collection_watch(t->stage->collection, NULL, NULL);

    fail_next(t, &(wire_rule_t){.action = WIRE_ERROR, .code = 40573},
              "aggregate");
    fails(stator_change_stream_open(stream), MONGOC_ERROR_SERVER, 40573, "");
    fails(stator_change_stream_next(stream), MONGOC_ERROR_SERVER, 40573, "");
    end(stream);
    set_free(t);
}
END_TEST

/* The server says so before the keeper does; in the second round when it is
 * opened again. */
START_TEST(time_that_runs_out_on_the_server_ends_nothing)
{
    static const wire_rule_t too_slow = {.action = WIRE_ERROR, .code = 50};
    set_t *t = set_new();
    stator_change_stream_t *stream = stator_collection_watch(
        t->stage->collection, NULL, J("{'timeoutMS': %d, 'comment': 'hi', "
                                      "'startAfter': {'_data': '0'}}",
                                      LIB_PATIENCE_MS));

    wire_events(t->server, 3);
    for (int round = 0; round < 2; round++) {
        if (round > 0)
            fail_next(t, &failures[0], "getMore");
        fail_next(t, &too_slow, "aggregate");
        for (int i = round; round > 0 && i < 3; i++)
            ck_next(stream, i);
        fails(stator_change_stream_next(stream), STATOR_ERROR_DOMAIN,
              STATOR_ERROR_EXPIRED, "timeoutMS");
        if (round == 0)
            ck_next(stream, 0);
    }
    wire_events(t->server, 1);
    ck_next(stream, 3);
    ck_assert_int_eq(wire_count(t->server, "aggregate"), 4);
    end(stream);
    set_free(t);
}
END_TEST

/* Closed between the loss and the next aggregate, which a gate holds. */
START_TEST(closed_while_it_is_opened_again_it_leaves_nothing)
{
    set_t *t = set_new();
    wire_gate_t *gate = wire_gate_new(t->server);
    stator_change_stream_t *stream = watch(t->stage, NULL);
    stator_future_t *next;

    wire_rule_add(t->server,
                  &(wire_rule_t){.command = "aggregate", .gate = gate});
    fail_next(t, &failures[0], "getMore");
    next = stator_change_stream_next(stream);
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    end(stream);
    ck_assert_int_eq(stator_future_poll(next), STATOR_FUTURE_CANCELLED);
    stator_future_unref(next);
    wire_gate_open(gate);
    set_free(t);
}
END_TEST

/* Events rain while connections break: each comes once, in order. */
START_TEST(no_event_is_lost_and_none_comes_twice)
{
    enum { ROUNDS = 40, EACH = 5 };
    set_t *t = set_new();
    stator_change_stream_t *stream = watch(t->stage, "{'batchSize': 3}");
    int n = 0;

    for (int round = 0; round < ROUNDS; round++) {
        stator_future_t *f = stator_change_stream_next(stream);

        if (round % 4 == 0)
            ck_assert(wire_wait_count(
                t->server, "getMore", wire_count(t->server, "getMore") + 1,
                WIRE_WAIT));
        if (round % 2 == 0)
            wire_server_hang_up(t->server,
                                round % 3 == 0 ? WIRE_RST : WIRE_FIN);
        wire_events(t->server, EACH);
        ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
        stator_future_cancel(f); /* too late */
        ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_DONE);
        ck_assert_int_eq(n_of(stator_future_document(f)), n++);
        stator_future_unref(f);
        for (int i = 1; i < EACH; i++)
            ck_next(stream, n++);
    }
    ck_assert_int_eq(place_of(stream), ROUNDS * EACH);
    ck_assert_int_gt(wire_count(t->server, "aggregate"), 5);
    end(stream);
    set_free(t);
}
END_TEST

/* ---- each -------------------------------------------------------------- */

typedef struct seen {
    set_t *t;
    int n, until;
} seen_t;

static bool see(const bson_t *event, void *arg)
{
    seen_t *seen = arg;

    ck_assert_int_eq(n_of(event), seen->n);
    seen->n++;
    wire_events(seen->t->server, 1);
    return seen->n < seen->until;
}

START_TEST(each_goes_on_until_it_is_told_to_stop)
{
    set_t *t = set_new();
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    stator_change_stream_t *stream = watch(t->stage, NULL);
    seen_t seen = {.t = t, .until = 20};
    stator_future_t *f = stator_change_stream_each(stream, d, see, &seen);

    ck_assert_int_eq(stator_dispatcher_run_until(d, f, 200), -ETIMEDOUT);
    wire_events(t->server, 2);
    ck_assert_int_eq(stator_dispatcher_run_until(d, f, LIB_PATIENCE_MS), 0);
    counts(f, 20);
    ck_next(stream, 20); /* it has seen no more than that */
    f = stator_change_stream_each(stream, d, see, &seen);
    ck_assert(stator_future_cancel(f));
    stator_future_unref(f);
    end(stream);
    stator_dispatcher_unref(d);
    set_free(t);
}
END_TEST

static stator_future_t *see_slowly(const bson_t *event, void *arg)
{
    seen_t *seen = arg;

    ck_assert_int_eq(n_of(event), seen->n++);
    return stator_client_ping(seen->t->stage->client, NULL);
}

START_TEST(each_async_waits_for_its_function)
{
    set_t *t = set_new();
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    stator_change_stream_t *stream = watch(t->stage, NULL);
    seen_t seen = {.t = t};
    stator_future_t *f =
        stator_change_stream_each_async(stream, d, see_slowly, &seen);

    wire_events(t->server, 5);
    while (seen.n < 5)
        stator_dispatcher_run_once(d, 1000);
    done(stator_change_stream_close(stream));
    ck_assert_int_eq(stator_dispatcher_run_until(d, f, LIB_PATIENCE_MS), 0);
    ck_assert_int_ne(stator_future_poll(f), STATOR_FUTURE_DONE);
    stator_future_unref(f);
    stator_change_stream_unref(stream);
    stator_dispatcher_unref(d);
    set_free(t);
}
END_TEST

/* ---- live -------------------------------------------------------------- */

START_TEST(live_inserts_are_seen_and_a_token_goes_on)
{
    NEED_SERVER();
    stage_t *stage = stage_live();
    stator_change_stream_t *stream, *again;
    stator_future_t *f;
    bson_t token, opts = BSON_INITIALIZER;

    stream = watch(stage, "{'fullDocument': 'updateLookup'}");
    f = stator_change_stream_next(stream);
    ck_assert_int_eq(stator_future_wait(f, 100), ETIMEDOUT);
    for (int i = 0; i < 3; i++)
        done(stator_collection_insert_one(stage->collection,
                                          J("{'_id': %d}", i), NULL));
    ck_at(stator_future_document(done(f)), "documentKey._id", "0");
    ck_assert(stator_change_stream_resume_token(stream, &token));
    f = done(stator_change_stream_next(stream));
    ck_at(stator_future_document(f), "documentKey._id", "1");
    ck_at(stator_future_document(f), "operationType", "'insert'");
    BSON_APPEND_DOCUMENT(&opts, "resumeAfter", &token);
    again = stator_collection_watch(stage->collection, NULL, &opts);
    for (int i = 1; i < 3; i++)
        ck_at(stator_future_document(done(stator_change_stream_next(again))),
              "documentKey._id", i == 1 ? "1" : "2");
    bson_destroy(&token);
    bson_destroy(&opts);
    end(again);
    end(stream);
    stage_free(stage);
}
END_TEST

START_TEST(live_in_a_session)
{
    NEED_SERVER();
    stage_t *stage = stage_live();
    stator_future_t *f =
        done(stator_client_start_session(stage->client, NULL));
    stator_session_t *session = stator_future_session(f);
    stator_change_stream_t *stream;
    bson_t opts = BSON_INITIALIZER;

    ck_assert(stator_session_append(session, &opts, NULL));
    stream = stator_collection_watch(stage->collection, NULL, &opts);
    done(stator_change_stream_open(stream));
    f = stator_change_stream_next(stream);
    done(stator_collection_insert_one(stage->collection, J("{'_id': 7}"),
                                      &opts));
    ck_at(stator_future_document(done(f)), "documentKey._id", "7");
    end(stream);
    stator_session_unref(session);
    bson_destroy(&opts);
    stage_free(stage);
}
END_TEST

SUITE(change_stream)
{
    TCase *place = suite_case("change_stream_place");
    TCase *goes_on = suite_case("change_stream_resume");
    TCase *each = suite_case("change_stream_each");
    TCase *live = suite_case("change_stream_live");

    tcase_add_test(tc, options_go_where_they_belong);
    tcase_add_test(tc, a_getmore_bears_no_read_preference);
    tcase_add_test(tc, an_old_server_gets_no_comment_with_a_getmore);
    tcase_add_test(tc, a_database_and_a_client_can_be_watched);
    tcase_add_loop_test(tc, wrong_arguments_fail_the_first_future, 0,
                        N_WRONG);
    tcase_add_test(tc, wrong_handles_and_pipelines_too);
    tcase_add_test(place, the_token_is_of_what_was_handed_out);
    tcase_add_test(place, an_empty_batch_moves_the_token_on);
    tcase_add_test(place, an_event_without_its_token_ends_it_behind_the_others);
    tcase_add_test(place, a_dead_stream_is_done_with_no_document);
    tcase_add_loop_test(goes_on, it_goes_on_behind_what_has_come, 0,
                        N_FAILURES);
    tcase_add_test(goes_on, before_any_event_it_goes_on_from_where_it_began);
    tcase_add_test(goes_on, without_a_place_it_goes_on_from_the_time);
    tcase_add_test(goes_on, start_after_stays_until_an_event_has_come);
    tcase_add_loop_test(goes_on, what_is_not_resumable_is_the_end, 0,
                        N_FATAL);
    tcase_add_test(goes_on, it_is_opened_again_once);
    tcase_add_loop_test(goes_on, a_server_that_never_gets_on_is_not_pestered,
                        0, 2);
    tcase_add_test(goes_on, a_refused_aggregate_fails_open);
    tcase_add_test(goes_on, time_that_runs_out_on_the_server_ends_nothing);
    tcase_add_test(goes_on, closed_while_it_is_opened_again_it_leaves_nothing);
    tcase_add_test(goes_on, no_event_is_lost_and_none_comes_twice);
    tcase_add_test(each, each_goes_on_until_it_is_told_to_stop);
    tcase_add_test(each, each_async_waits_for_its_function);
    tcase_add_test(live, live_inserts_are_seen_and_a_token_goes_on);
    tcase_add_test(live, live_in_a_session);
}
