/* SPDX-License-Identifier: Apache-2.0 */
/* test_database.c - the verbs of a database. */
#include <mongoc/mongoc.h>

#include "tests/lib/support.h"

START_TEST(commands_give_the_servers_reply)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_future_t *f;

    f = done(stator_database_command(s->database, J("{'ping': 1}"), NULL));
    ck_assert_str_ne(at(stator_future_reply(f), "ok"), "");
    done(stator_database_write_command(
        s->database, J("{'insert': 'things', 'documents': [{'_id': 1}]}"),
        NULL));
    f = done(stator_database_read_command(s->database,
                                          J("{'count': 'things'}"), NULL));
    ck_at(stator_future_reply(f), "n", "1");
    f = fails(stator_database_command(s->database, J("{'no_such': 1}"),
                                      NULL),
              MONGOC_ERROR_SERVER, 59, "no_such");
    ck_at(stator_future_reply(f), "code", "59");
    stage_free(s);
}
END_TEST

START_TEST(collections_are_made_listed_and_found)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_cursor_t *cursor;
    stator_future_t *f;

    done(stator_database_create_collection(s->database, "one", NULL));
    done(stator_database_create_collection(
        s->database, "two", J("{'capped': true, 'size': 65536}")));
    counts(stator_database_has_collection(s->database, "one", NULL), 1);
    counts(stator_database_has_collection(s->database, "three", NULL), 0);
    f = counts(stator_database_list_collection_names(s->database, NULL), 2);
    ck_assert_str_ne(at(stator_future_reply(f), "names.1"), "");
    f = counts(stator_database_list_collection_names(
                   s->database, J("{'filter': {'name': 'two'}}")),
               1);
    ck_at(stator_future_reply(f), "names.0", "'two'");
    cursor = stator_database_list_collections(
        s->database, J("{'filter': {'name': 'one'}}"));
    f = counts(stator_cursor_to_list(cursor, 0), 1);
    ck_at(stator_future_document_at(f, 0), "name", "'one'");
    stator_cursor_unref(cursor);
    stage_free(s);
}
END_TEST

START_TEST(drop_takes_everything)
{
    NEED_SERVER();
    stage_t *s = stage_live();

    done(stator_database_create_collection(s->database, "one", NULL));
    done(stator_database_drop(s->database, NULL));
    counts(stator_database_list_collection_names(s->database, NULL), 0);
    stage_free(s);
}
END_TEST

START_TEST(options_pass_on_to_collections)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_database_t *quiet = stator_database_with_opts(
        s->database, J("{'writeConcern': {'w': 0}}"), NULL);
    stator_collection_t *c = stator_database_get_collection(quiet, "things");
    stator_future_t *f;

    f = counts(stator_collection_insert_one(c, J("{}"), NULL), 0);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_MAYBE_SENT);
    stator_collection_unref(c);
    stator_database_unref(quiet);
    stage_free(s);
}
END_TEST

START_TEST(arguments_are_named)
{
    stage_t *s = stage_nowhere();
    stator_database_t *d = s->database, *bad;
    stator_collection_t *c;

    faulty(stator_database_command(d, NULL, NULL),
           "database.command: command is NULL");
    faulty(stator_database_command(d, J("{}"), NULL), "command is empty");
    faulty(stator_database_read_command(d, lib_corrupt(), NULL),
           "command is corrupt");
    faulty(stator_database_create_collection(d, NULL, NULL), "name is NULL");
    faulty(stator_database_create_collection(d, "", NULL), "name is empty");
    faulty(stator_database_has_collection(d, "\xff", NULL),
           "name is not valid UTF-8");
    faulty_cursor(stator_database_aggregate(d, NULL, NULL),
                  "pipeline is NULL");

    bad = stator_client_get_database(s->client, "");
    ck_assert_str_eq(stator_database_get_name(bad), "");
    faulty(stator_database_drop(bad, NULL), "the database's name is empty");
    c = stator_database_get_collection(bad, "x");
    faulty(stator_collection_drop(c, NULL), "the database's name is empty");
    stator_collection_unref(c);
    stator_database_unref(bad);

    c = stator_database_get_collection(d, NULL);
    faulty(stator_collection_drop(c, NULL), "the collection's name is NULL");
    stator_collection_unref(c);
    c = stator_database_get_collection(NULL, "x");
    faulty(stator_collection_drop(c, NULL), "the database is NULL");
    stator_collection_unref(c);
    faulty(stator_database_drop(NULL, NULL), "the handle is NULL");
    ck_assert_str_eq(stator_database_get_name(NULL), "");
    ck_assert_ptr_null(stator_database_ref(NULL));
    stator_database_unref(NULL);
    stage_free(s);
}
END_TEST

SUITE(database)
{
    tcase_add_test(tc, commands_give_the_servers_reply);
    tcase_add_test(tc, collections_are_made_listed_and_found);
    tcase_add_test(tc, drop_takes_everything);
    tcase_add_test(tc, options_pass_on_to_collections);
    tcase_add_test(tc, arguments_are_named);
}
