/* SPDX-License-Identifier: Apache-2.0 */
/* test_verbs.c - what reaches the server: the commands of the verbs, looked at
 * in the wire server's log. */
#include <mongoc/mongoc.h>

#include "tests/lib/wired.h"

START_TEST(find_one_is_one_command_with_the_drivers_fields)
{
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);
    const bson_t *c;

    done(stator_collection_find_one(
        t->stage->collection, J("{'a': 1}"),
        J("{'projection': {'b': 1}, 'sort': {'c': -1}, 'skip': 2, "
          "'limit': 9, 'batchSize': 5, 'hint': 'h', 'comment': 'why', "
          "'collation': {'locale': 'en'}, 'let': {'x': 1}, "
          "'readConcern': {'level': 'local'}, 'min': {'m': 1}, "
          "'max': {'m': 2}, 'returnKey': false, 'showRecordId': false, "
          "'allowPartialResults': true, 'noCursorTimeout': true, "
          "'allowDiskUse': true, 'singleBatch': false, 'exhaust': false}")));
    c = sent(t, "find");
    ck_at(c, "find", "'things'");
    ck_at(c, "filter.a", "1");
    ck_at(c, "limit", "1");
    ck_at(c, "singleBatch", "true");
    ck_at(c, "projection.b", "1");
    ck_at(c, "sort.c", "-1");
    ck_at(c, "skip", "2");
    ck_at(c, "batchSize", "");
    ck_at(c, "hint", "'h'");
    ck_at(c, "comment", "'why'");
    ck_at(c, "collation.locale", "'en'");
    ck_at(c, "let.x", "1");
    ck_at(c, "readConcern.level", "'local'");
    ck_at(c, "min.m", "1");
    ck_at(c, "max.m", "2");
    ck_at(c, "returnKey", "false");
    ck_at(c, "allowPartialResults", "true");
    ck_at(c, "noCursorTimeout", "true");
    ck_at(c, "allowDiskUse", "true");
    ck_at(c, "exhaust", "");
    ck_assert_int_eq(wire_count(t->server, NULL),
                     wire_count(t->server, "find"));
    wired_free(t);
}
END_TEST

START_TEST(a_find_with_a_negative_limit_is_one_batch)
{
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);
    stator_cursor_t *cursor = stator_collection_find(
        t->stage->collection, NULL, J("{'limit': -3}"));
    const bson_t *c;

    done(stator_cursor_next(cursor));
    c = sent(t, "find");
    ck_at(c, "limit", "3");
    ck_at(c, "singleBatch", "true");
    stator_cursor_unref(cursor);
    wired_free(t);
}
END_TEST

START_TEST(own_options_never_reach_the_server)
{
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);
    stator_cursor_t *cursor = stator_collection_find(
        t->stage->collection, NULL,
        J("{'timeoutMS': 600000, 'timeoutMode': 'iteration', 'prefetch': 1, "
          "'maxBytes': 100000, 'priority': 'high', 'comment': 'x', "
          "'readPreference': {'mode': 'primary'}}"));
    static const char *const own[] = {"timeoutMS", "timeoutMode", "prefetch",
                                      "maxBytes", "priority",
                                      "readPreference"};
    const bson_t *c;

    done(stator_cursor_next(cursor));
    c = sent(t, "find");
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        ck_at(c, own[i], "");
    ck_at(c, "comment", "'x'");
    stator_cursor_unref(cursor);
    wired_free(t);
}
END_TEST

/* maxTimeMS of a command, 0 if it has none. */
static int64_t max_time(const bson_t *command)
{
    bson_iter_t i;

    return bson_iter_init_find(&i, command, "maxTimeMS")
               ? bson_iter_as_int64(&i)
               : 0;
}

#define ck_timed(t, name)                                  \
    do {                                                   \
        int64_t ms = max_time(sent(t, name));              \
                                                           \
        ck_assert_int_gt(ms, 0);                           \
        ck_assert_int_le(ms, 600000);                      \
    } while (0)

START_TEST(what_is_left_of_the_time_goes_along_where_it_may)
{
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);
    stator_collection_t *c = t->stage->collection;
    stator_database_t *d = t->stage->database;
    const bson_t *o = J("{'timeoutMS': 600000}"), *x = J("{}");
    const bson_t *set = J("{'$set': {'a': 1}}");
    const bson_t *models[] = {J("{'insertOne': {'document': {}}}")};

    done(stator_collection_find_one(c, x, o));
    ck_timed(t, "find");
    done(stator_collection_insert_one(c, x, o));
    ck_timed(t, "insert");
    done(stator_collection_insert_many(c, &x, 1, o));
    ck_timed(t, "insert");
    done(stator_collection_count_documents(c, x, o));
    ck_timed(t, "aggregate");
    done(stator_collection_estimated_document_count(c, o));
    ck_timed(t, "count");
    done(stator_collection_distinct(c, "a", x, o));
    ck_timed(t, "distinct");
    done(stator_collection_find_one_and_update(c, x, set, o));
    ck_timed(t, "findAndModify");
    done(stator_collection_create_index(c, J("{'key': {'a': 1}}"), o));
    ck_timed(t, "createIndexes");
    done(stator_collection_drop_indexes(c, o));
    ck_timed(t, "dropIndexes");
    done(stator_collection_drop(c, o));
    ck_timed(t, "drop");
    done(stator_database_command(d, J("{'ping': 1}"), o));
    ck_timed(t, "ping");
    done(stator_database_list_collection_names(d, o));
    ck_timed(t, "listCollections");
    done(stator_client_list_database_names(t->stage->client, o));
    ck_timed(t, "listDatabases");

    /* A statement of an update or a delete has no such field, and a bulk is
     * several messages. */
    done(stator_collection_update_one(c, x, set, o));
    ck_at(sent(t, "update"), "maxTimeMS", "");
    ck_at(sent(t, "update"), "updates.0.maxTimeMS", "");
    done(stator_collection_delete_one(c, x, o));
    ck_at(sent(t, "delete"), "deletes.0.maxTimeMS", "");
    done(stator_collection_bulk_write(c, models, 1, o));
    ck_at(sent(t, "insert"), "maxTimeMS", "");
    wired_free(t);
}
END_TEST

START_TEST(a_max_time_of_the_users_stays)
{
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);
    const bson_t *o = J("{'timeoutMS': 600000, 'maxTimeMS': 77}");

    done(stator_collection_find_one(t->stage->collection, NULL, o));
    ck_assert_int_eq(max_time(sent(t, "find")), 77);
    done(stator_collection_insert_one(t->stage->collection, J("{}"), o));
    ck_assert_int_eq(max_time(sent(t, "insert")), 77);
    done(stator_database_command(t->stage->database,
                                 J("{'ping': 1, 'maxTimeMS': 78}"),
                                 J("{'timeoutMS': 600000}")));
    ck_assert_int_eq(max_time(sent(t, "ping")), 78);
    done(stator_collection_find_one(t->stage->collection, NULL, NULL));
    ck_at(sent(t, "find"), "maxTimeMS", "");
    wired_free(t);
}
END_TEST

START_TEST(concerns_are_inherited_and_overridden)
{
    wired_t *t = wired_new("readConcernLevel=majority&w=1", WIRE_STANDALONE);
    stator_collection_t *c = stator_collection_with_opts(
        t->stage->collection,
        J("{'readConcern': {'level': 'available'}, "
          "'writeConcern': {'w': 'majority', 'wtimeout': 5}}"),
        NULL);
    stator_cursor_t *cursor;

    done(stator_collection_find_one(t->stage->collection, NULL, NULL));
    ck_at(sent(t, "find"), "readConcern.level", "'majority'");
    done(stator_collection_find_one(c, NULL, NULL));
    ck_at(sent(t, "find"), "readConcern.level", "'available'");
    cursor = stator_collection_find(c, NULL,
                                    J("{'readConcern': {'level': 'local'}}"));
    done(stator_cursor_next(cursor));
    ck_at(sent(t, "find"), "readConcern.level", "'local'");
    stator_cursor_unref(cursor);
    cursor = stator_collection_find(c, NULL, NULL);
    done(stator_cursor_next(cursor));
    ck_at(sent(t, "find"), "readConcern.level", "'available'");
    stator_cursor_unref(cursor);

    done(stator_collection_insert_one(c, J("{}"), NULL));
    ck_at(sent(t, "insert"), "writeConcern.w", "'majority'");
    ck_at(sent(t, "insert"), "writeConcern.wtimeout", "5");
    done(stator_collection_insert_one(c, J("{}"),
                                      J("{'writeConcern': {'w': 2}}")));
    ck_at(sent(t, "insert"), "writeConcern.w", "2");
    stator_collection_unref(c);
    wired_free(t);
}
END_TEST

START_TEST(out_takes_the_write_concern_along)
{
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);
    stator_collection_t *c = stator_collection_with_opts(
        t->stage->collection, J("{'writeConcern': {'w': 'majority'}}"),
        NULL);
    stator_cursor_t *cursor;

    cursor = stator_collection_aggregate(c, J("{'0': {'$out': 'o'}}"),
                                         J("{'batchSize': 0}"));
    done(stator_cursor_next(cursor));
    ck_at(sent(t, "aggregate"), "writeConcern.w", "'majority'");
    ck_at(sent(t, "aggregate"), "cursor.batchSize", "");
    stator_cursor_unref(cursor);
    cursor = stator_collection_aggregate(c, J("{'0': {'$match': {}}}"),
                                         J("{'batchSize': 3}"));
    done(stator_cursor_next(cursor));
    ck_at(sent(t, "aggregate"), "writeConcern", "");
    ck_at(sent(t, "aggregate"), "cursor.batchSize", "3");
    ck_at(sent(t, "aggregate"), "batchSize", "");
    stator_cursor_unref(cursor);
    stator_collection_unref(c);
    wired_free(t);
}
END_TEST

START_TEST(an_unacknowledged_write_asks_for_no_reply)
{
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);
    stator_future_t *f;

    f = counts(stator_collection_insert_one(
                   t->stage->collection, J("{}"),
                   J("{'writeConcern': {'w': 0}}")),
               0);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_MAYBE_SENT);
    ck_assert(wire_wait_count(t->server, "insert", 1, WIRE_WAIT));
    sent(t, "insert");
    ck_assert(t->command.unacknowledged);
    wired_free(t);
}
END_TEST

START_TEST(find_one_and_update_speaks_the_servers_names)
{
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);
    const bson_t *c;

    done(stator_collection_find_one_and_update(
        t->stage->collection, J("{'a': 1}"), J("{'0': {'$set': {'b': 1}}}"),
        J("{'sort': {'s': 1}, 'projection': {'p': 1}, 'upsert': true, "
          "'returnDocument': 'after', 'hint': 'h', 'comment': 'why', "
          "'arrayFilters': [{'x': 1}], 'bypassDocumentValidation': true, "
          "'collation': {'locale': 'en'}, 'let': {'v': 1}, "
          "'maxTimeMS': 55}")));
    c = sent(t, "findAndModify");
    ck_at(c, "query.a", "1");
    ck_at(c, "update.0.$set.b", "1");
    ck_at(c, "sort.s", "1");
    ck_at(c, "fields.p", "1");
    ck_at(c, "upsert", "true");
    ck_at(c, "new", "true");
    ck_at(c, "hint", "'h'");
    ck_at(c, "comment", "'why'");
    ck_at(c, "arrayFilters.0.x", "1");
    ck_at(c, "bypassDocumentValidation", "true");
    ck_at(c, "collation.locale", "'en'");
    ck_at(c, "let.v", "1");
    ck_at(c, "maxTimeMS", "55");
    ck_at(c, "returnDocument", "");
    ck_at(c, "projection", "");
    wired_free(t);
}
END_TEST

START_TEST(count_documents_is_an_aggregate)
{
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);
    const bson_t *c;

    wire_rule_add(t->server,
                  &(wire_rule_t){.command = "aggregate",
                                 .action = WIRE_REPLY,
                                 .reply_json = "{\"ok\": 1, \"cursor\": "
                                               "{\"id\": 0, \"ns\": \"a.b\","
                                               " \"firstBatch\": [{\"_id\": "
                                               "1, \"n\": 41}]}}"});
    counts(stator_collection_count_documents(
               t->stage->collection, J("{'a': 1}"),
               J("{'skip': 1, 'limit': 2, 'hint': 'h'}")),
           41);
    c = sent(t, "aggregate");
    ck_at(c, "pipeline.0.$match.a", "1");
    ck_at(c, "pipeline.1.$skip", "1");
    ck_at(c, "pipeline.2.$limit", "2");
    ck_at(c, "pipeline.3.$group.n.$sum", "1");
    ck_at(c, "hint", "'h'");
    ck_at(c, "skip", "");
    wired_free(t);
}
END_TEST

START_TEST(an_open_cursor_in_a_counts_reply_is_survived)
{
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);

    wire_rule_add(t->server,
                  &(wire_rule_t){.command = "aggregate",
                                 .action = WIRE_REPLY,
                                 .reply_json = "{\"ok\": 1, \"cursor\": "
                                               "{\"id\": 7, \"ns\": \"a.b\","
                                               " \"firstBatch\": []}}"});
    counts(stator_collection_count_documents(t->stage->collection, NULL,
                                             NULL),
           0);
    wired_free(t);
}
END_TEST

START_TEST(replies_that_make_no_sense_are_survived)
{
    static const char *const replies[] = {
        "{\"ok\": 1}",
        "{\"ok\": 1, \"cursor\": 1}",
        "{\"ok\": 1, \"cursor\": {\"firstBatch\": 1}}",
        "{\"ok\": 1, \"cursor\": {\"firstBatch\": [1]}}",
        "{\"ok\": 1, \"value\": 1, \"values\": 1, \"n\": \"x\"}",
    };
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);
    stator_collection_t *c = t->stage->collection;

    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        int rule = wire_rule_add(
            t->server, &(wire_rule_t){.command = "find findAndModify "
                                                 "distinct count aggregate",
                                      .action = WIRE_REPLY,
                                      .reply_json = replies[i]});

        counts(stator_collection_find_one(c, NULL, NULL), 0);
        counts(stator_collection_find_one_and_delete(c, J("{}"), NULL), 0);
        counts(stator_collection_distinct(c, "k", NULL, NULL), 0);
        counts(stator_collection_count_documents(c, NULL, NULL), 0);
        counts(stator_collection_estimated_document_count(c, NULL), 0);
        wire_rule_remove(t->server, rule);
    }
    wired_free(t);
}
END_TEST

START_TEST(a_servers_error_brings_code_labels_and_reply)
{
    wired_t *t =
        wired_new("retryWrites=false&retryReads=false", WIRE_STANDALONE);
    stator_future_t *f;

    wire_rule_add(t->server,
                  &(wire_rule_t){.command = "find insert findAndModify",
                                 .action = WIRE_ERROR,
                                 .code = 4711,
                                 .message = "no luck",
                                 .labels = "SomeLabel"});
    f = fails(stator_collection_find_one(t->stage->collection, NULL, NULL),
              MONGOC_ERROR_SERVER, 4711, "no luck");
    ck_assert(stator_future_has_error_label(f, "SomeLabel"));
    ck_at(stator_future_reply(f), "code", "4711");
    ck_assert_ptr_null(stator_future_document(f));
    f = fails(stator_collection_find_one_and_delete(t->stage->collection,
                                                    J("{}"), NULL),
              MONGOC_ERROR_SERVER, 4711, "no luck");
    ck_assert(stator_future_has_error_label(f, "SomeLabel"));
    f = fails(stator_collection_insert_one(t->stage->collection, J("{}"),
                                           NULL),
              MONGOC_ERROR_SERVER, 4711, "no luck");
    ck_assert_int_eq(stator_future_outcome(f), STATOR_ANSWERED);
    wired_free(t);
}
END_TEST

START_TEST(a_write_concern_error_fails_with_its_domain)
{
    wired_t *t = wired_new("retryWrites=false", WIRE_STANDALONE);
    stator_collection_t *c = t->stage->collection;
    stator_future_t *f;

    wire_rule_add(t->server,
                  &(wire_rule_t){.command = "insert findAndModify drop",
                                 .action = WIRE_CONCERN_ERROR,
                                 .code = 64});
    f = fails(stator_collection_insert_one(c, J("{}"), NULL),
              MONGOC_ERROR_WRITE_CONCERN, 64, "");
    ck_assert_int_eq(stator_future_origin(f), STATOR_ORIGIN_SERVER);
    ck_assert_int_eq(stator_future_count(f), 1); /* it is there */
    fails(stator_collection_find_one_and_delete(c, J("{}"), NULL),
          MONGOC_ERROR_WRITE_CONCERN, 64, "");
    fails(stator_collection_drop(c, NULL), MONGOC_ERROR_WRITE_CONCERN, 64,
          "");
    wired_free(t);
}
END_TEST

START_TEST(a_connection_cut_in_a_write_leaves_it_open)
{
    wired_t *t = wired_new("retryWrites=false", WIRE_STANDALONE);
    stator_future_t *f;

    wire_rule_add(t->server, &(wire_rule_t){.command = "insert",
                                            .action = WIRE_CLOSE,
                                            .end = WIRE_RST});
    f = stator_collection_insert_one(t->stage->collection, J("{}"), NULL);
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_FAILED);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_MAYBE_SENT);
    ck_assert_int_eq(stator_future_origin(f), STATOR_ORIGIN_DRIVER);
    stator_future_unref(f);
    wired_free(t);
}
END_TEST

START_TEST(the_lists_take_no_read_concern)
{
    wired_t *t = wired_new("readConcernLevel=majority", WIRE_STANDALONE);
    stator_cursor_t *cursors[3];
    static const char *const names[] = {"listDatabases", "listCollections",
                                        "listIndexes"};

    cursors[0] = stator_client_list_databases(t->stage->client, NULL);
    cursors[1] = stator_database_list_collections(t->stage->database, NULL);
    cursors[2] = stator_collection_list_indexes(t->stage->collection, NULL);
    for (int i = 0; i < 3; i++) {
        done(stator_cursor_next(cursors[i]));
        ck_at(sent(t, names[i]), "readConcern", "");
        stator_cursor_unref(cursors[i]);
    }
    wired_free(t);
}
END_TEST

SUITE(verbs)
{
    tcase_add_test(tc, find_one_is_one_command_with_the_drivers_fields);
    tcase_add_test(tc, a_find_with_a_negative_limit_is_one_batch);
    tcase_add_test(tc, own_options_never_reach_the_server);
    tcase_add_test(tc, what_is_left_of_the_time_goes_along_where_it_may);
    tcase_add_test(tc, a_max_time_of_the_users_stays);
    tcase_add_test(tc, concerns_are_inherited_and_overridden);
    tcase_add_test(tc, out_takes_the_write_concern_along);
    tcase_add_test(tc, an_unacknowledged_write_asks_for_no_reply);
    tcase_add_test(tc, find_one_and_update_speaks_the_servers_names);
    tcase_add_test(tc, count_documents_is_an_aggregate);
    tcase_add_test(tc, an_open_cursor_in_a_counts_reply_is_survived);
    tcase_add_test(tc, replies_that_make_no_sense_are_survived);
    tcase_add_test(tc, a_servers_error_brings_code_labels_and_reply);
    tcase_add_test(tc, a_write_concern_error_fails_with_its_domain);
    tcase_add_test(tc, a_connection_cut_in_a_write_leaves_it_open);
    tcase_add_test(tc, the_lists_take_no_read_concern);
}
