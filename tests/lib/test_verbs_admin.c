/* SPDX-License-Identifier: Apache-2.0 */
/* test_verbs_admin.c - commands of the user's own and the cursors that they
 * open, search indexes, what a collection and the deployment say of
 * themselves; and cursors made anew. */
#include <mongoc/mongoc.h>
#include <sched.h>

#include "tests/lib/wired.h"

/* ---- cursors of commands ------------------------------------------------- */

START_TEST(a_command_opens_a_cursor)
{
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);
    stator_cursor_t *cursor = stator_database_run_cursor_command(
        t->stage->database,
        J("{'find': 'things', 'filter': {}, 'batchSize': 3}"),
        J("{'batchSize': 4, 'comment': 'later', 'maxAwaitTimeMS': 50}"));
    const bson_t *c;

    counts(stator_cursor_to_list(cursor, 0), 10);
    c = sent(t, "find");
    ck_at(c, "batchSize", "3");
    ck_at(c, "comment", "");
    ck_at(c, "maxAwaitTimeMS", "");
    c = sent(t, "getMore");
    ck_at(c, "batchSize", "4");
    ck_at(c, "comment", "'later'");
    ck_at(c, "maxTimeMS", "50");
    ck_assert_int_eq(wire_count(t->server, "getMore"), 2);
    stator_cursor_unref(cursor);
    wired_free(t);
}
END_TEST

START_TEST(such_a_cursor_can_be_closed)
{
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);
    stator_cursor_t *cursor = stator_database_run_cursor_command(
        t->stage->database, J("{'find': 'things', 'batchSize': 3}"), NULL);

    done(stator_cursor_next(cursor));
    done(stator_cursor_close(cursor));
    ck_assert_int_eq(wire_count(t->server, "killCursors"), 1);
    stator_cursor_unref(cursor);
    wired_free(t);
}
END_TEST

START_TEST(it_inherits_nothing_and_is_not_retried)
{
    wired_t *t = wired_new("readConcernLevel=majority", WIRE_PRIMARY);
    stator_database_t *d = stator_database_with_opts(
        t->stage->database,
        J("{'readConcern': {'level': 'majority'}, "
          "'readPreference': {'mode': 'secondaryPreferred'}}"),
        NULL);
    stator_cursor_t *cursor;
    const bson_t *c;

    cursor = stator_database_run_cursor_command(d, J("{'find': 'things'}"),
                                                NULL);
    done(stator_cursor_next(cursor));
    c = sent(t, "find");
    ck_at(c, "readConcern", "");
    ck_at(c, "$readPreference", "");
    stator_cursor_unref(cursor);

    cursor = stator_database_run_cursor_command(
        d, J("{'find': 'things'}"),
        J("{'readPreference': {'mode': 'nearest'}, "
          "'readConcern': {'level': 'local'}}"));
    done(stator_cursor_next(cursor));
    c = sent(t, "find");
    ck_at(c, "readConcern.level", "'local'");
    ck_at(c, "$readPreference.mode", "'nearest'");
    stator_cursor_unref(cursor);

    wire_log_clear(t->server);
    wire_rule_add(t->server, &(wire_rule_t){.command = "find",
                                            .times = 1,
                                            .action = WIRE_ERROR,
                                            .code = 189});
    cursor = stator_database_run_cursor_command(d, J("{'find': 'things'}"),
                                                NULL);
    fails(stator_cursor_next(cursor), MONGOC_ERROR_SERVER, 189, "");
    ck_assert_int_eq(wire_count(t->server, "find"), 1);
    stator_cursor_unref(cursor);
    stator_database_unref(d);
    wired_free(t);
}
END_TEST

/* The server is not asked: it would not see it. */
static void refused_cursor(wired_t *t, const char *opts, const char *text)
{
    stator_cursor_t *cursor = stator_database_run_cursor_command(
        t->stage->database, J("{'find': 'things'}"), J("%s", opts));

    fails(stator_cursor_next(cursor), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_ARGUMENT, text);
    ck_assert_int_eq(wire_count(t->server, "find"), 0);
    stator_cursor_unref(cursor);
}

START_TEST(a_reply_without_a_cursor_is_an_error)
{
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);
    stator_cursor_t *cursor = stator_database_run_cursor_command(
        t->stage->database, J("{'ping': 1}"), NULL);

    fails(stator_cursor_next(cursor), MONGOC_ERROR_CURSOR,
          MONGOC_ERROR_CURSOR_INVALID_CURSOR, "has no valid cursor");
    stator_cursor_unref(cursor);
    faulty_cursor(stator_database_run_cursor_command(t->stage->database, NULL,
                                                     NULL),
                  "database.run_cursor_command: command is NULL");
    faulty_cursor(stator_database_run_cursor_command(t->stage->database,
                                                     J("{}"), NULL),
                  "database.run_cursor_command: command is empty");
    faulty_cursor(stator_database_run_cursor_command(NULL, J("{'a': 1}"),
                                                     NULL),
                  "database.run_cursor_command: the handle is NULL");
    refused_cursor(t, "{'batchSize': 'x'}", "batchSize must be");
    refused_cursor(t, "{'batchSize': -1}", "batchSize must be");
    refused_cursor(t, "{'maxAwaitTimeMS': 'x'}", "maxAwaitTimeMS must be");
    wired_free(t);
}
END_TEST

START_TEST(it_runs_in_a_session)
{
    wired_t *t = wired_new(NULL, WIRE_PRIMARY);
    stator_session_t *session = stator_future_session(
        done(stator_client_start_session(t->stage->client, NULL)));
    bson_t opts = BSON_INITIALIZER;
    stator_cursor_t *cursor, *again;

    ck_assert(stator_session_append(session, &opts, NULL));
    cursor = stator_database_run_cursor_command(
        t->stage->database, J("{'find': 'things', 'batchSize': 3}"), &opts);
    counts(stator_cursor_to_list(cursor, 0), 10);
    again = stator_cursor_clone(cursor);
    counts(stator_cursor_to_list(again, 0), 10);
    ck_at(sent(t, "find"), "lsid.id", at(sent(t, "getMore"), "lsid.id"));
    stator_cursor_unref(again);
    stator_cursor_unref(cursor);
    stator_session_unref(session);
    wired_free(t);
    bson_destroy(&opts);
}
END_TEST

/* ---- cursors made anew --------------------------------------------------- */

START_TEST(a_clone_begins_at_the_beginning)
{
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);
    stator_cursor_t *cursor = stator_collection_find(
        t->stage->collection, J("{}"),
        J("{'batchSize': 3, 'comment': 'why', 'timeoutMS': 600000}"));
    stator_cursor_t *early = stator_cursor_clone(cursor), *late;

    counts(stator_cursor_to_list(cursor, 4), 4);
    late = stator_cursor_clone(cursor);
    done(stator_cursor_close(cursor));
    stator_cursor_unref(cursor);
    ck_assert_int_eq(wire_count(t->server, "find"), 1);
    counts(stator_cursor_to_list(early, 0), 10);
    counts(stator_cursor_to_list(late, 0), 10);
    ck_at(sent(t, "find"), "comment", "'why'");
    ck_at(sent(t, "find"), "batchSize", "3");
    ck_assert_int_eq(wire_count(t->server, "find"), 3);
    stator_cursor_unref(early);
    stator_cursor_unref(late);
    wired_free(t);
}
END_TEST

START_TEST(a_clone_of_what_can_not_be_fails)
{
    stage_t *s = stage_nowhere();
    stator_cursor_t *cursor = stator_collection_find(
        s->collection, NULL, J("{'timeoutMS': 'soon'}"));

    faulty_cursor(stator_cursor_clone(NULL),
                  "cursor.clone: the cursor is NULL");
    faulty_cursor(stator_cursor_clone(cursor), "timeoutMS");
    stator_cursor_unref(cursor);
    stage_free(s);
}
END_TEST

static void wait_for_no_session(stator_client_t *client)
{
    int64_t end = bson_get_monotonic_time() + LIB_PATIENCE_MS * 1000LL;
    bool none = false;

    while (!none) {
        bson_t stats;

        ck_assert_int_lt(bson_get_monotonic_time(), end);
        stator_client_stats(client, &stats);
        none = strcmp(at(&stats, "sessions"), "0") == 0;
        bson_destroy(&stats);
        lib_forget();
        sched_yield();
    }
}

START_TEST(a_clone_needs_its_session)
{
    wired_t *t = wired_new(NULL, WIRE_PRIMARY);
    stator_session_t *session = stator_future_session(
        done(stator_client_start_session(t->stage->client, NULL)));
    bson_t opts = BSON_INITIALIZER;
    stator_cursor_t *cursor, *clone;

    ck_assert(stator_session_append(session, &opts, NULL));
    cursor = stator_collection_find(t->stage->collection, J("{}"), &opts);
    counts(stator_cursor_to_list(cursor, 0), 10);
    done(stator_cursor_close(cursor));
    stator_session_unref(session);
    wait_for_no_session(t->stage->client);
    clone = stator_cursor_clone(cursor);
    fails(stator_cursor_next(clone), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_ARGUMENT, "has ended");
    stator_cursor_unref(clone);
    stator_cursor_unref(cursor);
    wired_free(t);
    bson_destroy(&opts);
}
END_TEST

/* ---- search indexes ------------------------------------------------------ */

static void answer(wired_t *t, const char *command, const char *reply)
{
    wire_rule_add(t->server, &(wire_rule_t){.command = command,
                                            .action = WIRE_REPLY,
                                            .reply = J("%s", reply)});
}

START_TEST(search_indexes_are_made_changed_and_dropped)
{
    wired_t *t = wired_new("w=1&readConcernLevel=majority", WIRE_PRIMARY);
    stator_collection_t *s = stator_collection_with_opts(
        t->stage->collection, J("{'writeConcern': {'w': 'majority'}}"), NULL);
    const bson_t *models[] = {
        J("{'definition': {'mappings': {'dynamic': true}}}"),
        J("{'name': 'b', 'type': 'vectorSearch', 'definition': {'x': 1}}")};
    stator_future_t *f;
    const bson_t *c;

    answer(t, "createSearchIndexes",
           "{'ok': 1, 'indexesCreated': [{'id': 'x', 'name': 'default'}, "
           "{'id': 'y', 'name': 'b'}]}");
    answer(t, "updateSearchIndex dropSearchIndex", "{'ok': 1}");
    f = done(stator_collection_create_search_indexes(
        s, models, 2, J("{'comment': 'why'}")));
    ck_at(stator_future_reply(f), "names", "[ 'default', 'b' ]");
    c = sent(t, "createSearchIndexes");
    ck_at(c, "createSearchIndexes", "'things'");
    ck_at(c, "indexes.0.definition.mappings.dynamic", "true");
    ck_at(c, "indexes.1", "{ 'name' : 'b', 'type' : 'vectorSearch', "
                          "'definition' : { 'x' : 1 } }");
    ck_at(c, "comment", "'why'");
    ck_at(c, "writeConcern", "");
    ck_at(c, "readConcern", "");
    done(stator_collection_create_search_index(s, models[0], NULL));
    ck_at(sent(t, "createSearchIndexes"), "indexes.1", "");
    done(stator_collection_create_search_indexes(s, NULL, 0, NULL));
    ck_at(sent(t, "createSearchIndexes"), "indexes", "[  ]");

    done(stator_collection_update_search_index(s, "b", J("{'y': 2}"), NULL));
    c = sent(t, "updateSearchIndex");
    ck_at(c, "updateSearchIndex", "'things'");
    ck_at(c, "name", "'b'");
    ck_at(c, "definition", "{ 'y' : 2 }");
    ck_at(c, "writeConcern", "");
    done(stator_collection_drop_search_index(s, "b", NULL));
    ck_at(sent(t, "dropSearchIndex"), "name", "'b'");
    stator_collection_unref(s);
    wired_free(t);
}
END_TEST

START_TEST(search_indexes_are_listed)
{
    wired_t *t = wired_new("readConcernLevel=majority", WIRE_PRIMARY);
    stator_collection_t *s = t->stage->collection;
    stator_cursor_t *cursor;
    const bson_t *c;

    answer(t, "aggregate",
           "{'ok': 1, 'cursor': {'id': 0, 'ns': 'd.things', 'firstBatch': "
           "[{'name': 'a', 'status': 'READY'}]}}");
    cursor = stator_collection_list_search_indexes(s, "a",
                                                   J("{'batchSize': 5}"));
    counts(stator_cursor_to_list(cursor, 0), 1);
    c = sent(t, "aggregate");
    ck_at(c, "pipeline", "[ { '$listSearchIndexes' : { 'name' : 'a' } } ]");
    ck_at(c, "cursor.batchSize", "5");
    ck_at(c, "readConcern", "");
    stator_cursor_unref(cursor);
    cursor = stator_collection_list_search_indexes(s, NULL, NULL);
    counts(stator_cursor_to_list(cursor, 0), 1);
    ck_at(sent(t, "aggregate"), "pipeline",
          "[ { '$listSearchIndexes' : {  } } ]");
    stator_cursor_unref(cursor);
    wired_free(t);
}
END_TEST

START_TEST(a_search_index_of_no_collection_can_be_dropped)
{
    wired_t *t = wired_new(NULL, WIRE_STANDALONE);
    stator_collection_t *s = t->stage->collection;

    wire_rule_add(t->server, &(wire_rule_t){.command = "dropSearchIndex",
                                            .times = 1,
                                            .action = WIRE_ERROR,
                                            .code = 26});
    wire_rule_add(t->server, &(wire_rule_t){.command = "dropSearchIndex "
                                                       "updateSearchIndex",
                                            .action = WIRE_ERROR,
                                            .code = 27});
    done(stator_collection_drop_search_index(s, "a", NULL));
    fails(stator_collection_drop_search_index(s, "a", NULL),
          MONGOC_ERROR_SERVER, 27, "");
    fails(stator_collection_update_search_index(s, "a", J("{}"), NULL),
          MONGOC_ERROR_SERVER, 27, "");
    wired_free(t);
}
END_TEST

START_TEST(wrong_arguments_are_named)
{
    stage_t *s = stage_nowhere();
    stator_collection_t *c = s->collection;
    const bson_t *bad[] = {J("{'definition': {}}"), J("{'name': 'x'}")};

    faulty(stator_collection_create_search_index(c, NULL, NULL),
           "collection.create_search_index: models[0] is NULL");
    faulty(stator_collection_create_search_indexes(c, bad, 2, NULL),
           "models[1].definition is missing");
    faulty(stator_collection_create_search_indexes(c, NULL, 2, NULL),
           "models is NULL");
    faulty(stator_collection_create_search_index(
               c, J("{'definition': []}"), NULL),
           "models[0].definition must be a document, is an array");
    faulty(stator_collection_create_search_index(
               c, J("{'definition': {}, 'name': 1}"), NULL),
           "models[0].name must be a string");
    faulty(stator_collection_create_search_index(
               c, J("{'definition': {}, 'Name': 'x'}"), NULL),
           "models[0].Name is unknown");
    faulty(stator_collection_update_search_index(c, NULL, J("{}"), NULL),
           "name is NULL");
    faulty(stator_collection_update_search_index(c, "a", NULL, NULL),
           "definition is NULL");
    faulty(stator_collection_drop_search_index(c, "", NULL),
           "name is empty");
    faulty_cursor(stator_collection_list_search_indexes(c, "", NULL),
                  "name is empty");
    faulty(stator_collection_command(c, J("{}"), NULL), "command is empty");
    faulty(stator_collection_read_command(c, NULL, NULL), "command is NULL");
    faulty(stator_collection_write_command(c, NULL, NULL),
           "command is NULL");
    faulty(stator_collection_read_write_command(c, NULL, NULL),
           "command is NULL");
    faulty(stator_collection_validate(c, J("{'timeoutMS': -1}")),
           "timeoutMS");
    faulty(stator_collection_stats(NULL, NULL), "the handle is NULL");
    faulty(stator_collection_options(c, J("{'prefetch': 1}")), "prefetch");
    faulty(stator_client_select_server(NULL, true, NULL),
           "the client is NULL");
    faulty(stator_client_get_server_descriptions(s->client,
                                                 J("{'priority': 1}")),
           "priority");
    faulty(stator_client_get_handshake_description(NULL, 1, NULL),
           "the client is NULL");
    faulty(stator_client_get_handshake_description(s->client, 0, NULL),
           "server_id is 0");
    stage_free(s);
}
END_TEST

/* ---- of themselves ------------------------------------------------------- */

START_TEST(a_collection_says_how_it_was_made)
{
    stage_t *s;
    stator_future_t *f;

    NEED_SERVER();
    s = stage_live();
    f = done(stator_collection_options(s->collection, NULL));
    ck_assert_ptr_null(stator_future_document(f));
    done(stator_database_create_collection(
        s->database, s->name,
        J("{'validator': {'a': {'$gt': 0}}, 'validationLevel': "
          "'moderate'}")));
    f = done(stator_collection_options(s->collection, NULL));
    ck_at(stator_future_document(f), "validationLevel", "'moderate'");
    ck_at(stator_future_reply(f), "name", "'things'");
    stage_free(s);
}
END_TEST

START_TEST(a_collection_is_validated_and_measured)
{
    wired_t *t = wired_new(NULL, WIRE_PRIMARY);
    stator_collection_t *c = stator_collection_with_opts(
        t->stage->collection,
        J("{'readPreference': {'mode': 'secondaryPreferred'}}"), NULL);

    answer(t, "validate", "{'ok': 1, 'valid': true}");
    answer(t, "collStats", "{'ok': 1, 'count': 5}");
    ck_at(stator_future_reply(
              done(stator_collection_validate(c, J("{'full': true}")))),
          "valid", "true");
    ck_at(sent(t, "validate"), "validate", "'things'");
    ck_at(sent(t, "validate"), "full", "true");
    ck_at(sent(t, "validate"), "$readPreference", "");
    ck_at(stator_future_reply(
              done(stator_collection_stats(c, J("{'scale': 1024}")))),
          "count", "5");
    ck_at(sent(t, "collStats"), "collStats", "'things'");
    ck_at(sent(t, "collStats"), "scale", "1024");
    ck_at(sent(t, "collStats"), "$readPreference.mode",
          "'secondaryPreferred'");
    stator_collection_unref(c);
    wired_free(t);
}
END_TEST

START_TEST(the_deployment_is_described)
{
    wired_t *t = wired_new("serverSelectionTimeoutMS=2000", WIRE_PRIMARY);
    stator_client_t *c = t->stage->client;
    const bson_t *server, *again;
    stator_future_t *f;
    bson_iter_t i;

    f = done(stator_client_select_server(c, true, NULL));
    server = stator_future_document(f);
    ck_at(server, "type", "'RSPrimary'");
    ck_at(server, "helloResponse.setName", "'rs'");
    ck_assert(bson_iter_init_find(&i, server, "serverId"));
    f = done(stator_client_get_server_descriptions(c, NULL));
    ck_assert_int_eq(stator_future_count(f), 1);
    ck_at(stator_future_reply(f), "servers.0.address",
          at(server, "address"));
    f = done(stator_client_get_handshake_description(
        c, (uint32_t)bson_iter_as_int64(&i), NULL));
    again = stator_future_document(f);
    ck_at(again, "address", at(server, "address"));
    ck_at(again, "serverId", at(server, "serverId"));
    fails(stator_client_get_handshake_description(c, 77, NULL),
          MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_NOT_ESTABLISHED, "77");
    done(stator_client_select_server(
        c, false, J("{'readPreference': {'mode': 'nearest'}}")));
    fails(stator_client_select_server(
              c, false,
              J("{'readPreference': {'mode': 'secondary'}, 'timeoutMS': "
                "100}")),
          STATOR_ERROR_DOMAIN, STATOR_ERROR_EXPIRED, "");
    wired_free(t);
}
END_TEST

START_TEST(the_uri_names_a_database)
{
    stator_client_t *with =
        stator_client_new("mongodb://127.0.0.1:1/orders", NULL, NULL);
    stator_client_t *without =
        stator_client_new("mongodb://127.0.0.1:1/", NULL, NULL);
    stator_database_t *d = stator_client_get_default_database(with);

    ck_assert_str_eq(stator_database_get_name(d), "orders");
    stator_database_unref(d);
    d = stator_client_get_default_database(without);
    faulty(stator_database_drop(d, NULL),
           "the client's URI names no database");
    stator_database_unref(d);
    d = stator_client_get_default_database(NULL);
    faulty(stator_database_drop(d, NULL), "the client is NULL");
    stator_database_unref(d);
    stator_client_unref(with);
    stator_client_unref(without);
    lib_forget();
}
END_TEST

START_TEST(so_does_that_of_a_pool)
{
    mongoc_uri_t *uri = mongoc_uri_new("mongodb://127.0.0.1:1/orders");
    mongoc_client_pool_t *pool = mongoc_client_pool_new(uri);
    stator_client_t *client = stator_client_new_from_pool(pool, NULL, NULL);
    stator_database_t *d = stator_client_get_default_database(client);

    ck_assert_str_eq(stator_database_get_name(d), "orders");
    stator_database_unref(d);
    stator_client_unref(client);
    mongoc_uri_destroy(uri);
}
END_TEST

SUITE(verbs_admin)
{
    tcase_add_test(tc, a_command_opens_a_cursor);
    tcase_add_test(tc, such_a_cursor_can_be_closed);
    tcase_add_test(tc, it_inherits_nothing_and_is_not_retried);
    tcase_add_test(tc, a_reply_without_a_cursor_is_an_error);
    tcase_add_test(tc, it_runs_in_a_session);
    tcase_add_test(tc, a_clone_begins_at_the_beginning);
    tcase_add_test(tc, a_clone_of_what_can_not_be_fails);
    tcase_add_test(tc, a_clone_needs_its_session);
    tcase_add_test(tc, search_indexes_are_made_changed_and_dropped);
    tcase_add_test(tc, search_indexes_are_listed);
    tcase_add_test(tc, a_search_index_of_no_collection_can_be_dropped);
    tcase_add_test(tc, wrong_arguments_are_named);
    tcase_add_test(tc, a_collection_says_how_it_was_made);
    tcase_add_test(tc, a_collection_is_validated_and_measured);
    tcase_add_test(tc, the_deployment_is_described);
    tcase_add_test(tc, the_uri_names_a_database);
    tcase_add_test(tc, so_does_that_of_a_pool);
}
