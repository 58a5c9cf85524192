/* SPDX-License-Identifier: Apache-2.0 */
/* test_cursor_replies.c - cursors whose server answers what makes no sense,
 * and options that must reach it, or must not. */
#include <mongoc/mongoc.h>

#include "tests/lib/support.h"
#include "tests/wire/wire.h"

typedef struct set {
    wire_server_t *server;
    stage_t *stage;
} set_t;

static set_t *set_new(void)
{
    wire_options_t options = {.documents = 10};
    set_t *t = calloc(1, sizeof *t);
    char uri[WIRE_URI_SIZE];

    t->server = wire_server_new(&options);
    ck_assert_ptr_nonnull(t->server);
    t->stage = stage_new(wire_server_uri(t->server, "retryReads=false", uri,
                                         sizeof uri),
                         "{'workers': 1}", false);
    return t;
}

static void set_free(set_t *t)
{
    stage_free(t->stage);
    wire_server_free(t->server);
    free(t);
}

static int answer(set_t *t, const char *command, const char *json)
{
    int rule = wire_rule_add(t->server, &(wire_rule_t){.command = command,
                                                       .action = WIRE_REPLY,
                                                       .reply_json = json});

    ck_assert_int_gt(rule, 0);
    return rule;
}

/* The first, or a later, command of the name as the server got it. */
static void look(set_t *t, const char *name, size_t which,
                 wire_command_t *command)
{
    memset(command, 0, sizeof *command);
    ck_assert_msg(wire_log_find(t->server, name, which, command),
                  "%s number %zu did not come", name, which);
}

/* ---- no cursor --------------------------------------------------------- */

static const char *const nonsense[] = {
    "{\"ok\": 1}",
    "{\"ok\": 1, \"cursor\": 1}",
    "{\"ok\": 1, \"cursor\": {\"id\": 0, \"ns\": \"a.b\"}}",
    "{\"ok\": 1, \"cursor\": {\"id\": 0, \"ns\": 1, \"firstBatch\": 1}}",
    "{\"ok\": 1, \"cursor\": {\"id\": 9, \"firstBatch\": []}}",
    "{\"ok\": 1, \"cursor\": {\"id\": 9, \"ns\": 7, \"firstBatch\": []}}",
};

enum { N_NONSENSE = sizeof nonsense / sizeof *nonsense };

/* Where it is noticed, before the driver or after it, is of no concern here. */
START_TEST(a_reply_without_a_cursor_fails_it)
{
    set_t *t = set_new();
    stator_cursor_t *cursor;
    stator_future_t *f;
    bson_error_t error;
    int rule = answer(t, "find", nonsense[_i]);

    cursor = stator_collection_find(t->stage->collection, NULL, NULL);
    f = stator_cursor_next(cursor);
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_FAILED);
    ck_assert(stator_future_error(f, &error));
    ck_assert_msg(strstr(error.message, "cursor") != NULL, "%s",
                  error.message);
    ck_assert_int_ne(stator_future_outcome(f), STATOR_NOT_SENT);
    ck_assert_int_eq(stator_future_origin(f), STATOR_ORIGIN_DRIVER);
    ck_assert_int_eq(wire_count(t->server, "getMore"), 0);
    stator_future_unref(f);
    stator_cursor_unref(cursor);
    /* The worker is as good as before. */
    wire_rule_remove(t->server, rule);
    cursor = stator_collection_find(t->stage->collection, NULL, NULL);
    counts(stator_cursor_to_list(cursor, 0), 10);
    stator_cursor_unref(cursor);
    set_free(t);
}
END_TEST

START_TEST(a_batch_of_other_things_fails_it_and_kills_it)
{
    set_t *t = set_new();
    stator_cursor_t *cursor;
    wire_command_t c;

    answer(t, "find", "{\"ok\": 1, \"cursor\": {\"id\": 9, \"ns\": "
                      "\"rooms.doors\", \"firstBatch\": [{\"a\": 1}, 2]}}");
    cursor = stator_collection_find(t->stage->collection, NULL, NULL);
    fails(stator_cursor_next(cursor), MONGOC_ERROR_CURSOR,
          MONGOC_ERROR_CURSOR_INVALID_CURSOR, "something that is no document");
    stator_cursor_unref(cursor);
    ck_assert(wire_wait_count(t->server, "killCursors", 1, WIRE_WAIT));
    look(t, "killCursors", 0, &c);
    ck_at(c.document, "killCursors", "'doors'");
    ck_at(c.document, "cursors.0", "9");
    ck_assert_str_eq(c.db, "rooms");
    wire_command_clear(&c);
    set_free(t);
}
END_TEST

START_TEST(a_later_batch_that_is_none_keeps_what_came_before)
{
    set_t *t = set_new();
    stator_cursor_t *cursor = stator_collection_find(
        t->stage->collection, NULL, J("{'batchSize': 2}"));

    answer(t, "getMore", "{\"ok\": 1, \"cursor\": {\"id\": 0, \"ns\": "
                         "\"a.b\", \"nextBatch\": [true]}}");
    counts(stator_cursor_next(cursor), 1);
    counts(stator_cursor_next(cursor), 1);
    fails(stator_cursor_next(cursor), MONGOC_ERROR_CURSOR,
          MONGOC_ERROR_CURSOR_INVALID_CURSOR, "something that is no document");
    stator_cursor_unref(cursor);
    set_free(t);
}
END_TEST

/* ---- options ----------------------------------------------------------- */

typedef stator_cursor_t *open_fn(stage_t *stage, const bson_t *opts);

static stator_cursor_t *open_find(stage_t *s, const bson_t *opts)
{
    return stator_collection_find(s->collection, NULL, opts);
}

static stator_cursor_t *open_aggregate(stage_t *s, const bson_t *opts)
{
    return stator_collection_aggregate(s->collection,
                                       J("{'0': {'$match': {}}}"), opts);
}

static stator_cursor_t *open_database_aggregate(stage_t *s,
                                                const bson_t *opts)
{
    return stator_database_aggregate(s->database, J("{'0': {'$match': {}}}"),
                                     opts);
}

static stator_cursor_t *open_collections(stage_t *s, const bson_t *opts)
{
    return stator_database_list_collections(s->database, opts);
}

static stator_cursor_t *open_indexes(stage_t *s, const bson_t *opts)
{
    return stator_collection_list_indexes(s->collection, opts);
}

static const struct {
    open_fn *open;
    const char *command;
    const char *size_at; /* where the size of a batch goes */
} openers[] = {
    {open_find, "find", "batchSize"},
    {open_aggregate, "aggregate", "cursor.batchSize"},
    {open_database_aggregate, "aggregate", "cursor.batchSize"},
    {open_collections, "listCollections", "cursor.batchSize"},
    {open_indexes, "listIndexes", "cursor.batchSize"},
};

enum { N_OPENERS = sizeof openers / sizeof *openers };

START_TEST(a_batch_size_goes_where_the_command_wants_it)
{
    set_t *t = set_new();
    stator_cursor_t *cursor =
        openers[_i].open(t->stage, J("{'batchSize': 3}"));
    wire_command_t c;

    done(stator_cursor_next(cursor));
    look(t, openers[_i].command, 0, &c);
    ck_at(c.document, openers[_i].size_at, "3");
    if (strcmp(openers[_i].size_at, "batchSize") != 0)
        ck_at(c.document, "batchSize", "");
    wire_command_clear(&c);
    stator_cursor_unref(cursor);
    set_free(t);
}
END_TEST

START_TEST(a_batch_size_that_is_none_is_refused)
{
    static const char *const sizes[] = {
        "'x'", "-1", "null", "{'$numberLong': '4294967296'}",
    };
    set_t *t = set_new();

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        stator_cursor_t *cursor = openers[_i].open(
            t->stage, J("{'batchSize': %s}", sizes[i]));
        stator_future_t *f =
            fails(stator_cursor_next(cursor), STATOR_ERROR_DOMAIN,
                  STATOR_ERROR_ARGUMENT, "batchSize");

        ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
        stator_cursor_unref(cursor);
    }
    ck_assert_int_eq(wire_count(t->server, openers[_i].command), 0);
    set_free(t);
}
END_TEST

START_TEST(a_comment_goes_along_with_every_command)
{
    set_t *t = set_new();
    stator_cursor_t *cursor = stator_collection_find(
        t->stage->collection, NULL,
        J("{'batchSize': 4, 'comment': {'why': 'because'}}"));
    wire_command_t c;

    counts(stator_cursor_to_list(cursor, 0), 10);
    look(t, "find", 0, &c);
    ck_at(c.document, "comment.why", "'because'");
    wire_command_clear(&c);
    for (size_t i = 0; i < 2; i++) {
        look(t, "getMore", i, &c);
        ck_at(c.document, "comment.why", "'because'");
        ck_at(c.document, "batchSize", "4");
        wire_command_clear(&c);
    }
    stator_cursor_unref(cursor);
    set_free(t);
}
END_TEST

START_TEST(a_server_may_be_named)
{
    set_t *t = set_new();
    stator_cursor_t *cursor = stator_collection_find(
        t->stage->collection, NULL, J("{'serverId': 1, 'batchSize': 4}"));
    wire_command_t c;

    counts(stator_cursor_to_list(cursor, 0), 10);
    look(t, "find", 0, &c);
    ck_at(c.document, "serverId", ""); /* it is for the driver */
    wire_command_clear(&c);
    stator_cursor_unref(cursor);

    cursor = stator_collection_find(t->stage->collection, NULL,
                                    J("{'serverId': 77}"));
    fails(stator_cursor_next(cursor), MONGOC_ERROR_STREAM,
          MONGOC_ERROR_STREAM_NOT_ESTABLISHED, "77");
    stator_cursor_unref(cursor);
    ck_assert_int_eq(wire_count(t->server, "find"), 1);
    set_free(t);
}
END_TEST

START_TEST(indexes_of_a_collection_that_is_not_there_are_none)
{
    set_t *t = set_new();
    stator_cursor_t *cursor;

    wire_rule_add(t->server, &(wire_rule_t){.command = "listIndexes",
                                            .times = 1,
                                            .action = WIRE_ERROR,
                                            .code = 26,
                                            .message = "ns does not exist"});
    wire_rule_add(t->server, &(wire_rule_t){.command = "listIndexes",
                                            .action = WIRE_ERROR,
                                            .code = 13,
                                            .message = "not allowed"});
    cursor = stator_collection_list_indexes(t->stage->collection, NULL);
    counts(stator_cursor_to_list(cursor, 0), 0);
    stator_cursor_unref(cursor);
    cursor = stator_collection_list_indexes(t->stage->collection, NULL);
    fails(stator_cursor_to_list(cursor, 0), MONGOC_ERROR_SERVER, 13,
          "not allowed");
    stator_cursor_unref(cursor);
    set_free(t);
}
END_TEST

SUITE(cursor_replies)
{
    tcase_add_loop_test(tc, a_reply_without_a_cursor_fails_it, 0, N_NONSENSE);
    tcase_add_test(tc, a_batch_of_other_things_fails_it_and_kills_it);
    tcase_add_test(tc, a_later_batch_that_is_none_keeps_what_came_before);
    tcase_add_loop_test(tc, a_batch_size_goes_where_the_command_wants_it, 0,
                        N_OPENERS);
    tcase_add_loop_test(tc, a_batch_size_that_is_none_is_refused,
                        1 /* a find's is the server's to judge */,
                        N_OPENERS);
    tcase_add_test(tc, a_comment_goes_along_with_every_command);
    tcase_add_test(tc, a_server_may_be_named);
    tcase_add_test(tc, indexes_of_a_collection_that_is_not_there_are_none);
}
