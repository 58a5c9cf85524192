/* SPDX-License-Identifier: Apache-2.0 */
/* test_wire.c - the wire server, as the driver sees it: ordinary answers,
 * cursors, what can be observed, its life. */
#include "tests/wire/wire_driver.h"

/* ------------------------------------------------------- ordinary answers */

START_TEST(driver_takes_it_for_a_standalone)
{
    mongoc_server_description_t **all;
    size_t n;

    succeeds(client, "{\"ping\": 1}");
    all = mongoc_client_get_server_descriptions(client, &n);
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(mongoc_server_description_type(all[0]), "Standalone");
    mongoc_server_descriptions_destroy_all(all, n);
    ck_assert_int_eq(wire_count(server, "ping"), 1);
    ck_assert_int_ge(wire_count(server, "isMaster"), 1);
}
END_TEST

START_TEST(every_common_command_has_an_answer)
{
    static const char *const commands[] = {
        "{\"buildInfo\": 1}",
        "{\"getParameter\": 1}",
        "{\"endSessions\": []}",
        "{\"killSessions\": []}",
        "{\"startSession\": 1}",
        "{\"killOp\": 1, \"op\": 1}",
        "{\"listCollections\": 1}",
        "{\"listIndexes\": \"c\"}",
        "{\"create\": \"d\"}",
        "{\"createIndexes\": \"c\", \"indexes\": [{}]}",
        "{\"dropIndexes\": \"c\", \"index\": \"*\"}",
        "{\"aggregate\": 1, \"pipeline\": [], \"cursor\": {}}",
        "{\"renameCollection\": \"db.c\", \"to\": \"db.d\"}",
        "{\"drop\": \"c\"}",
        "{\"dropDatabase\": 1}",
    };
    bson_error_t error;

    wire_collection(server, "db.c", 1, NULL, NULL);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        succeeds(client, commands[i]);
    ck_assert_uint_eq(failure_of(client, "{\"nonsense\": 1}", NULL, &error),
                      59);
    ck_assert_ptr_nonnull(strstr(error.message, "nonsense"));
    ck_assert_uint_eq(failure_of(client, "{\"drop\": \"c\"}", NULL, &error),
                      26);
}
END_TEST

START_TEST(reads_count_what_the_collection_holds)
{
    wire_collection(server, "db.c", 250, NULL, NULL);
    ck_assert_int_eq(number_of("{\"count\": \"c\"}", "n"), 250);
    ck_assert_int_eq(number_of("{\"count\": \"other\"}", "n"), 0);
    ck_assert_int_eq(number_of("{\"count\": \"c\", \"query\": {\"_id\": 7}}",
                               "n"), 1);
    ck_assert_int_eq(number_of("{\"count\": \"c\", \"skip\": 240}", "n"), 10);
    ck_assert_int_eq(number_of("{\"distinct\": \"c\", \"key\": \"_id\"}",
                               "values.249"), 249);
    ck_assert_int_eq(
        number_of("{\"aggregate\": \"c\", \"cursor\": {}, \"pipeline\": ["
                  "{\"$group\": {\"_id\": 1, \"n\": {\"$sum\": 1}}}]}",
                  "cursor.firstBatch.0.n"), 250);
    ck_assert_int_eq(
        number_of("{\"aggregate\": \"c\", \"cursor\": {}, \"pipeline\": ["
                  "{\"$limit\": 3}, {\"$count\": \"many\"}]}",
                  "cursor.firstBatch.0.many"), 3);
    ck_assert_int_eq(number_of("{\"listDatabases\": 1}", "totalSize"), 4096);
}
END_TEST

START_TEST(writes_are_answered_as_if_they_had_worked)
{
    wire_collection(server, "db.c", 10, NULL, NULL);
    ck_assert_int_eq(
        number_of("{\"update\": \"c\", \"updates\": ["
                  "{\"q\": {\"_id\": 3}, \"u\": {\"$set\": {\"a\": 1}}},"
                  "{\"q\": {\"_id\": 99}, \"u\": {\"$set\": {\"a\": 1}}},"
                  "{\"q\": {}, \"u\": {\"$set\": {\"a\": 1}}, \"multi\": true}"
                  "]}", "n"), 11);
    ck_assert_int_eq(
        number_of("{\"update\": \"c\", \"updates\": [{\"q\": {\"_id\": 99},"
                  "\"u\": {\"$set\": {\"a\": 1}}, \"upsert\": true}]}",
                  "upserted.0._id"), 99);
    ck_assert_int_eq(
        number_of("{\"delete\": \"c\", \"deletes\": ["
                  "{\"q\": {}, \"limit\": 1}, {\"q\": {}, \"limit\": 0}]}",
                  "n"), 11);
    ck_assert_int_eq(
        number_of("{\"findAndModify\": \"c\", \"query\": {\"_id\": 4},"
                  "\"remove\": true}", "value._id"), 4);
    ck_assert_int_eq(
        number_of("{\"insert\": \"c\", \"documents\": [{}, {}, {}]}", "n"), 3);
}
END_TEST

START_TEST(a_document_is_found_by_its_id)
{
    wire_collection(server, "db.c", 1000, NULL, NULL);
    ck_assert_int_eq(
        number_of("{\"find\": \"c\", \"filter\": {\"_id\": 777}}",
                  "cursor.firstBatch.0._id"), 777);
    ck_assert_int_eq(
        number_of("{\"find\": \"c\", \"filter\": {\"_id\": 777}}",
                  "cursor.id"), 0);
    ck_assert_int_eq(stat_cursors(), 0);
}
END_TEST

static void make_named(int64_t i, bson_t *out, void *arg)
{
    char name[32];

    snprintf(name, sizeof name, "%s%d", (const char *)arg, (int)i);
    BSON_APPEND_UTF8(out, "_id", name);
    BSON_APPEND_INT64(out, "n", i);
}

START_TEST(the_test_makes_the_documents)
{
    char prefix[] = "x";

    wire_collection(server, "db.c", 20, make_named, prefix);
    ck_assert_int_eq(
        number_of("{\"find\": \"c\", \"filter\": {\"_id\": \"x13\"}}",
                  "cursor.firstBatch.0.n"), 13);
    wire_collection(server, "db.c", 0, NULL, NULL);
    ck_assert_int_eq(number_of("{\"count\": \"c\"}", "n"), 0);
}
END_TEST

/* ------------------------------------------------------------------ cursors */

/* Read all; each _id once, in order.  How many there were. */
static int64_t read_all(mongoc_cursor_t *cursor)
{
    const bson_t *document;
    bson_error_t error;
    bson_iter_t iter;
    int64_t n = 0;

    while (mongoc_cursor_next(cursor, &document)) {
        ck_assert(bson_iter_init_find(&iter, document, "_id"));
        ck_assert_int_eq(bson_iter_as_int64(&iter), n);
        n++;
    }
    ck_assert_msg(!mongoc_cursor_error(cursor, &error), "%s", error.message);
    return n;
}

static int64_t find_all(const char *options)
{
    mongoc_collection_t *collection =
        mongoc_client_get_collection(client, "db", "c");
    bson_t filter = BSON_INITIALIZER;
    bson_t *opts = json(options);
    mongoc_cursor_t *cursor =
        mongoc_collection_find_with_opts(collection, &filter, opts, NULL);
    int64_t n = read_all(cursor);

    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(&filter);
    mongoc_collection_destroy(collection);
    return n;
}

START_TEST(find_comes_in_batches)
{
    wire_collection(server, "db.c", 250, NULL, NULL);
    ck_assert_int_eq(find_all("{\"batchSize\": 100}"), 250);
    ck_assert_int_eq(wire_count(server, "getMore"), 2);
    ck_assert_int_eq(stat_cursors(), 0);
}
END_TEST

START_TEST(first_batch_holds_101)
{
    wire_collection(server, "db.c", 102, NULL, NULL);
    ck_assert_int_eq(find_all("{}"), 102);
    ck_assert_int_eq(wire_count(server, "getMore"), 1);
}
END_TEST

START_TEST(a_full_batch_does_not_end_a_cursor)
{
    wire_collection(server, "db.c", 200, NULL, NULL);
    ck_assert_int_eq(find_all("{\"batchSize\": 100}"), 200);
    ck_assert_int_eq(wire_count(server, "getMore"), 2); /* one for nothing */
    ck_assert_int_eq(find_all("{\"batchSize\": 100, \"limit\": 200}"), 200);
    ck_assert_int_eq(wire_count(server, "getMore"), 3); /* none for nothing */
    ck_assert_int_eq(stat_cursors(), 0);
}
END_TEST

static void make_large(int64_t i, bson_t *out, void *arg)
{
    static char text[1 << 20];

    (void)arg;
    BSON_APPEND_INT64(out, "_id", i);
    memset(text, 'x', sizeof text);
    bson_append_utf8(out, "text", -1, text, sizeof text);
}

START_TEST(a_batch_is_no_larger_than_a_reply_may_be)
{
    wire_collection(server, "db.c", 40, make_large, NULL);
    ck_assert_int_eq(find_all("{}"), 40);
    ck_assert_int_eq(wire_count(server, "getMore"), 2); /* 15, 15, 10 */
}
END_TEST

/* A find that leaves a cursor open, in `session`; its id. */
static int64_t open_cursor(mongoc_client_session_t *session)
{
    bson_t opts = BSON_INITIALIZER;
    bson_error_t error;
    bson_iter_t iter, id;
    int64_t cursor;
    bson_t reply;

    ck_assert(mongoc_client_session_append(session, &opts, &error));
    ck_assert(run(client, "{\"find\": \"c\", \"batchSize\": 2}", &opts, &reply,
                  &error));
    ck_assert(bson_iter_init(&iter, &reply));
    ck_assert(bson_iter_find_descendant(&iter, "cursor.id", &id));
    cursor = bson_iter_int64(&id);
    ck_assert_int_ne(cursor, 0);
    bson_destroy(&reply);
    bson_destroy(&opts);
    return cursor;
}

START_TEST(a_cursor_serves_its_own_session_only)
{
    mongoc_client_session_t *mine =
        mongoc_client_start_session(client, NULL, NULL);
    mongoc_client_session_t *other =
        mongoc_client_start_session(client, NULL, NULL);
    bson_t my_opts = BSON_INITIALIZER;
    bson_t other_opts = BSON_INITIALIZER;
    char text[128];
    bson_error_t error;
    bson_t reply;

    wire_collection(server, "db.c", 10, NULL, NULL);
    snprintf(text, sizeof text,
             "{\"getMore\": {\"$numberLong\": \"%lld\"},"
             "\"collection\": \"c\"}", (long long)open_cursor(mine));
    ck_assert(mongoc_client_session_append(mine, &my_opts, &error));
    ck_assert(mongoc_client_session_append(other, &other_opts, &error));
    ck_assert_uint_eq(failure_of(client, text, &other_opts, &error), 50738);
    ck_assert_ptr_nonnull(strstr(error.message, "created in session"));
    ck_assert_int_eq(stat_cursors(), 1); /* no harm done to it */
    ck_assert(run(client, text, &my_opts, &reply, &error));
    ck_assert_int_eq(stat_cursors(), 0);

    bson_destroy(&reply);
    bson_destroy(&my_opts);
    bson_destroy(&other_opts);
    mongoc_client_session_destroy(mine);
    mongoc_client_session_destroy(other);
}
END_TEST

START_TEST(a_cursor_serves_its_own_namespace_only)
{
    mongoc_client_session_t *session =
        mongoc_client_start_session(client, NULL, NULL);
    bson_t opts = BSON_INITIALIZER;
    char text[128];
    bson_error_t error;

    wire_collection(server, "db.c", 10, NULL, NULL);
    snprintf(text, sizeof text,
             "{\"getMore\": {\"$numberLong\": \"%lld\"},"
             "\"collection\": \"d\"}", (long long)open_cursor(session));
    ck_assert(mongoc_client_session_append(session, &opts, &error));
    ck_assert_uint_eq(failure_of(client, text, &opts, &error), 13);
    bson_destroy(&opts);
    mongoc_client_session_destroy(session);
}
END_TEST

START_TEST(an_unknown_cursor_is_not_found)
{
    bson_error_t error;

    ck_assert_uint_eq(
        failure_of(client, "{\"getMore\": {\"$numberLong\": \"5\"},"
                           "\"collection\": \"c\"}", NULL, &error), 43);
}
END_TEST

START_TEST(an_abandoned_cursor_is_killed)
{
    mongoc_collection_t *collection =
        mongoc_client_get_collection(client, "db", "c");
    bson_t filter = BSON_INITIALIZER;
    const bson_t *document;
    mongoc_cursor_t *cursor;

    wire_collection(server, "db.c", 500, NULL, NULL);
    cursor = mongoc_collection_find_with_opts(collection, &filter, NULL, NULL);
    ck_assert(mongoc_cursor_next(cursor, &document));
    ck_assert_int_eq(stat_cursors(), 1);
    mongoc_cursor_destroy(cursor);
    ck_assert(wire_wait_cursors(server, 0, WIRE_WAIT));
    ck_assert_int_eq(wire_count(server, "killCursors"), 1);
    bson_destroy(&filter);
    mongoc_collection_destroy(collection);
}
END_TEST

START_TEST(killed_sessions_take_their_cursors_along)
{
    mongoc_client_session_t *session =
        mongoc_client_start_session(client, NULL, NULL);
    bson_t command = BSON_INITIALIZER;
    bson_error_t error;
    bson_t array;

    wire_collection(server, "db.c", 10, NULL, NULL);
    (void)open_cursor(session);
    BSON_APPEND_ARRAY_BEGIN(&command, "killSessions", &array);
    BSON_APPEND_DOCUMENT(&array, "0", mongoc_client_session_get_lsid(session));
    bson_append_array_end(&command, &array);
    ck_assert(mongoc_client_command_simple(client, "admin", &command, NULL,
                                           NULL, &error));
    ck_assert_int_eq(stat_cursors(), 0);
    bson_destroy(&command);
    mongoc_client_session_destroy(session);
}
END_TEST

/* -------------------------------------------------------------- observation */

START_TEST(the_log_keeps_what_came)
{
    wire_command_t command;
    bson_error_t error;
    bson_iter_t iter, at;

    ck_assert(insert(2, "{}", &error));
    ck_assert(wire_log_find(server, "insert", 0, &command));
    ck_assert_str_eq(command.db, "db");
    ck_assert_str_eq(command.collection, "c");
    ck_assert(command.has_lsid);
    ck_assert(!command.unacknowledged);
    ck_assert_int_gt(command.connection, 0);
    ck_assert(bson_iter_init(&iter, command.document));
    ck_assert(bson_iter_find_descendant(&iter, "documents.1.text", &at));
    ck_assert_str_eq(bson_iter_utf8(&at, NULL), "some");
    wire_command_clear(&command);
    ck_assert(!wire_log_find(server, "insert", 1, &command));
    ck_assert(!wire_log_at(server, wire_log_size(server), &command));
    wire_log_clear(server);
    ck_assert_uint_eq(wire_log_size(server), 0);
    ck_assert_int_eq(wire_count(server, "insert"), 0);
}
END_TEST

START_TEST(an_idle_client_reuses_its_session)
{
    wire_stats_t stats;

    for (int i = 0; i < 5; i++)
        succeeds(client, "{\"ping\": 1}");
    wire_stats(server, &stats);
    ck_assert_int_eq(stats.sessions, 1);
    ck_assert_int_eq(stats.clients_open, 1);
}
END_TEST

static bool five_pings(const wire_stats_t *stats, void *arg)
{
    (void)arg;
    return stats->commands >= 5;
}

START_TEST(a_test_may_wait_for_anything)
{
    running_t running[5];

    for (int i = 0; i < 5; i++)
        begin(&running[i], "{\"ping\": 1}");
    ck_assert(wire_wait_until(server, five_pings, NULL, WIRE_WAIT));
    for (int i = 0; i < 5; i++)
        ck_assert(ends_well(&running[i]));
}
END_TEST

/* ---------------------------------------------------------- life and death */

START_TEST(a_server_dies_and_comes_back)
{
    bson_error_t error;

    succeeds(client, "{\"ping\": 1}");
    wire_server_down(server, WIRE_RST);
    failure_of(client, "{\"ping\": 1}", NULL, &error);
    ck_assert(wire_server_up(server));
    succeeds(client, "{\"ping\": 1}");
    ck_assert_int_eq(wire_count(server, "ping"), 2);
}
END_TEST

START_TEST(a_stopped_server_reads_nothing)
{
    running_t running;

    begin(&running, "{\"ping\": 1}");
    ck_assert(ends_well(&running));
    wire_server_pause(server);
    begin(&running, "{\"ping\": 1}");
    ck_assert(!wire_wait_count(server, "ping", 2, 50));
    wire_server_resume(server);
    ck_assert(ends_well(&running));
    ck_assert_int_eq(wire_count(server, "ping"), 2);
}
END_TEST

START_TEST(a_full_backlog_delays_the_next_client)
{
    running_t running;

    wire_server_stop_accepting(server);
    begin(&running, "{\"ping\": 1}");
    ck_assert(!wire_wait_connections(server, 1, 50));
    wire_server_start_accepting(server);
    ck_assert(ends_well(&running));
}
END_TEST

static void setup_member(void)
{
    start(&(wire_options_t){.member = {.role = WIRE_PRIMARY}});
}

START_TEST(a_member_says_what_it_is)
{
    mongoc_server_description_t *description;
    bson_error_t error;

    succeeds(client, "{\"ping\": 1}");
    description = mongoc_client_select_server(client, true, NULL, &error);
    ck_assert_ptr_nonnull(description);
    ck_assert_str_eq(mongoc_server_description_type(description), "RSPrimary");
    mongoc_server_description_destroy(description);
}
END_TEST

START_TEST(a_secondary_refuses_writes)
{
    bson_error_t error;

    succeeds(client, "{\"ping\": 1}");
    wire_server_set_member(server,
                           &(wire_member_t){.role = WIRE_SECONDARY});
    ck_assert_uint_eq(failure_of(client,
                                 "{\"delete\": \"c\", \"deletes\": []}", NULL,
                                 &error), 10107);
}
END_TEST

START_TEST(forty_megabytes_go_through)
{
    mongoc_collection_t *collection =
        mongoc_client_get_collection(client, "db", "c");
    const bson_t *documents[3];
    bson_error_t error;
    bson_t large = BSON_INITIALIZER;
    char *text = bson_malloc(13 << 20);
    wire_stats_t stats;

    memset(text, 'y', 13 << 20);
    bson_append_utf8(&large, "text", -1, text, 13 << 20);
    documents[0] = documents[1] = documents[2] = &large;
    ck_assert_msg(mongoc_collection_insert_many(collection, documents, 3, NULL,
                                                NULL, &error),
                  "%s", error.message);
    wire_stats(server, &stats);
    ck_assert_int_eq(stats.inserted, 3);
    ck_assert_int_eq(wire_count(server, "insert"), 1);
    bson_free(text);
    bson_destroy(&large);
    mongoc_collection_destroy(collection);
}
END_TEST

SUITE(wire)
{
    TCase *member = suite_case("wire_member");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, driver_takes_it_for_a_standalone);
    tcase_add_test(tc, every_common_command_has_an_answer);
    tcase_add_test(tc, reads_count_what_the_collection_holds);
    tcase_add_test(tc, writes_are_answered_as_if_they_had_worked);
    tcase_add_test(tc, a_document_is_found_by_its_id);
    tcase_add_test(tc, the_test_makes_the_documents);
    tcase_add_test(tc, find_comes_in_batches);
    tcase_add_test(tc, first_batch_holds_101);
    tcase_add_test(tc, a_full_batch_does_not_end_a_cursor);
    tcase_add_test(tc, a_batch_is_no_larger_than_a_reply_may_be);
    tcase_add_test(tc, a_cursor_serves_its_own_session_only);
    tcase_add_test(tc, a_cursor_serves_its_own_namespace_only);
    tcase_add_test(tc, an_unknown_cursor_is_not_found);
    tcase_add_test(tc, an_abandoned_cursor_is_killed);
    tcase_add_test(tc, killed_sessions_take_their_cursors_along);
    tcase_add_test(tc, the_log_keeps_what_came);
    tcase_add_test(tc, an_idle_client_reuses_its_session);
    tcase_add_test(tc, a_test_may_wait_for_anything);
    tcase_add_test(tc, a_server_dies_and_comes_back);
    tcase_add_test(tc, a_stopped_server_reads_nothing);
    tcase_add_test(tc, a_full_backlog_delays_the_next_client);
    tcase_add_test(tc, forty_megabytes_go_through);

    tcase_add_checked_fixture(member, setup_member, teardown);
    tcase_add_test(member, a_member_says_what_it_is);
    tcase_add_test(member, a_secondary_refuses_writes);
}
