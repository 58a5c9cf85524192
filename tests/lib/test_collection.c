/* SPDX-License-Identifier: Apache-2.0 */
/* test_collection.c - every verb of a collection on a real server, and what
 * none of them lets through. */
#include <mongoc/mongoc.h>

#include "tests/lib/support.h"

enum { MIB = 1024 * 1024, DUPLICATE_KEY = 11000 };

/* {_id: i, n: i, even: bool}, i from 0 to n - 1 */
static void fill(stage_t *s, int n)
{
    const bson_t **documents = calloc((size_t)n, sizeof *documents);

    for (int i = 0; i < n; i++)
        documents[i] = J("{'_id': %d, 'n': %d, 'even': %s}", i, i,
                         i % 2 == 0 ? "true" : "false");
    counts(stator_collection_insert_many(s->collection, documents, (size_t)n,
                                         NULL),
           n);
    free(documents);
}

/* ---- writes ------------------------------------------------------------ */

START_TEST(insert_one_gives_an_id)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_future_t *f;
    const bson_t *found;
    char filter[128];

    f = counts(stator_collection_insert_one(s->collection, J("{'a': 1}"),
                                            NULL),
               1);
    ck_at(stator_future_reply(f), "insertedCount", "1");
    ck_assert_ptr_nonnull(
        strstr(at(stator_future_reply(f), "insertedId"), "$oid"));
    ck_assert_int_eq(stator_future_outcome(f), STATOR_ANSWERED);

    snprintf(filter, sizeof filter, "{'_id': %s}",
             at(stator_future_reply(f), "insertedId"));
    f = counts(stator_collection_find_one(s->collection, J("%s", filter),
                                          NULL),
               1);
    found = stator_future_document(f);
    ck_at(found, "a", "1");
    /* In front, as the driver does. */
    bson_iter_t i;
    ck_assert(bson_iter_init(&i, found) && bson_iter_next(&i));
    ck_assert_str_eq(bson_iter_key(&i), "_id");
    stage_free(s);
}
END_TEST

START_TEST(insert_one_keeps_an_id)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_future_t *f;

    f = done(stator_collection_insert_one(
        s->collection, J("{'a': 1, '_id': 'mine'}"), NULL));
    ck_at(stator_future_reply(f), "insertedId", "'mine'");
    counts(stator_collection_find_one(s->collection, J("{'_id': 'mine'}"),
                                      NULL),
           1);
    stage_free(s);
}
END_TEST

START_TEST(a_duplicate_key_fails_with_the_servers_code)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_future_t *f;

    fill(s, 1);
    f = fails(stator_collection_insert_one(s->collection, J("{'_id': 0}"),
                                           NULL),
              MONGOC_ERROR_SERVER, DUPLICATE_KEY, "");
    ck_assert_int_eq(stator_future_origin(f), STATOR_ORIGIN_SERVER);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_ANSWERED);
    ck_at(stator_future_reply(f), "writeErrors.0.code", "11000");
    ck_assert_int_eq(stator_future_count(f), 0);
    stage_free(s);
}
END_TEST

START_TEST(insert_many_names_all_ids)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    const bson_t *documents[] = {J("{'_id': 7}"), J("{}"), J("{'_id': 'x'}")};
    stator_future_t *f = counts(
        stator_collection_insert_many(s->collection, documents, 3, NULL), 3);

    ck_at(stator_future_reply(f), "insertedCount", "3");
    ck_at(stator_future_reply(f), "insertedIds.0", "7");
    ck_assert_str_ne(at(stator_future_reply(f), "insertedIds.1"), "");
    ck_at(stator_future_reply(f), "insertedIds.2", "'x'");
    counts(stator_collection_count_documents(s->collection, NULL, NULL), 3);
    stage_free(s);
}
END_TEST

START_TEST(insert_many_stops_or_goes_on_after_an_error)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    const bson_t *documents[] = {J("{'_id': 1}"), J("{'_id': 1}"),
                                 J("{'_id': 2}")};
    stator_future_t *f;

    f = fails(stator_collection_insert_many(s->collection, documents, 3,
                                            NULL),
              MONGOC_ERROR_SERVER, DUPLICATE_KEY, "");
    ck_assert_int_eq(stator_future_count(f), 1);
    ck_at(stator_future_reply(f), "writeErrors.0.index", "1");
    done(stator_collection_delete_many(s->collection, J("{}"), NULL));

    f = fails(stator_collection_insert_many(s->collection, documents, 3,
                                            J("{'ordered': false}")),
              MONGOC_ERROR_SERVER, DUPLICATE_KEY, "");
    ck_assert_int_eq(stator_future_count(f), 2);
    counts(stator_collection_count_documents(s->collection, NULL, NULL), 2);
    stage_free(s);
}
END_TEST

START_TEST(insert_many_takes_thousands)
{
    NEED_SERVER();
    stage_t *s = stage_live();

    fill(s, 3000);
    counts(stator_collection_estimated_document_count(s->collection, NULL),
           3000);
    stage_free(s);
}
END_TEST

START_TEST(updates_tell_what_they_matched)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_future_t *f;

    fill(s, 10);
    f = counts(stator_collection_update_one(s->collection,
                                            J("{'even': true}"),
                                            J("{'$set': {'x': 1}}"), NULL),
               1);
    ck_at(stator_future_reply(f), "matchedCount", "1");
    ck_at(stator_future_reply(f), "modifiedCount", "1");
    f = counts(stator_collection_update_many(s->collection,
                                             J("{'even': true}"),
                                             J("{'$set': {'y': 2}}"), NULL),
               5);
    ck_at(stator_future_reply(f), "modifiedCount", "5");
    counts(stator_collection_update_one(s->collection, J("{'_id': 99}"),
                                        J("{'$set': {'x': 1}}"), NULL),
           0);
    f = counts(stator_collection_update_one(
                   s->collection, J("{'_id': 100}"),
                   J("{'$set': {'x': 1}}"), J("{'upsert': true}")),
               0);
    ck_at(stator_future_reply(f), "upsertedId", "100");
    f = counts(stator_collection_replace_one(s->collection, J("{'_id': 1}"),
                                             J("{'z': 3}"), NULL),
               1);
    f = done(stator_collection_find_one(s->collection, J("{'_id': 1}"),
                                        NULL));
    ck_assert(bson_equal(stator_future_document(f), J("{'_id': 1, 'z': 3}")));
    stage_free(s);
}
END_TEST

START_TEST(deletes_tell_what_they_deleted)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_future_t *f;

    fill(s, 10);
    f = counts(stator_collection_delete_one(s->collection,
                                            J("{'even': true}"), NULL),
               1);
    ck_at(stator_future_reply(f), "deletedCount", "1");
    counts(stator_collection_delete_many(s->collection, J("{'even': true}"),
                                         NULL),
           4);
    counts(stator_collection_delete_one(s->collection, J("{'_id': 99}"),
                                        NULL),
           0);
    counts(stator_collection_count_documents(s->collection, NULL, NULL), 5);
    stage_free(s);
}
END_TEST

START_TEST(find_one_and_update_gives_before_or_after)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    const bson_t *inc = J("{'$inc': {'n': 100}}");
    stator_future_t *f;

    fill(s, 5);
    f = counts(stator_collection_find_one_and_update(
                   s->collection, J("{'_id': 2}"), inc, NULL),
               1);
    ck_at(stator_future_document(f), "n", "2");
    f = counts(stator_collection_find_one_and_update(
                   s->collection, J("{'_id': 2}"), inc,
                   J("{'returnDocument': 'after', "
                     "'projection': {'n': 1, '_id': 0}}")),
               1);
    ck_assert(bson_equal(stator_future_document(f), J("{'n': 202}")));
    f = counts(stator_collection_find_one_and_update(
                   s->collection, J("{}"), inc, J("{'sort': {'n': -1}}")),
               1);
    ck_at(stator_future_document(f), "_id", "2");
    f = counts(stator_collection_find_one_and_update(
                   s->collection, J("{'_id': 77}"), inc, NULL),
               0);
    ck_assert_ptr_null(stator_future_document(f));
    f = counts(stator_collection_find_one_and_update(
                   s->collection, J("{'_id': 77}"), inc,
                   J("{'upsert': true, 'returnDocument': 'after'}")),
               1);
    ck_at(stator_future_document(f), "n", "100");
    stage_free(s);
}
END_TEST

START_TEST(find_one_and_replace_and_delete)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_future_t *f;

    fill(s, 3);
    f = counts(stator_collection_find_one_and_replace(
                   s->collection, J("{'_id': 1}"), J("{'r': 1}"),
                   J("{'returnDocument': 'after'}")),
               1);
    ck_assert(bson_equal(stator_future_document(f), J("{'_id': 1, 'r': 1}")));
    f = counts(stator_collection_find_one_and_delete(s->collection,
                                                     J("{'_id': 1}"), NULL),
               1);
    ck_at(stator_future_document(f), "r", "1");
    counts(stator_collection_find_one_and_delete(s->collection,
                                                 J("{'_id': 1}"), NULL),
           0);
    faulty(stator_collection_find_one_and_delete(
               s->collection, J("{}"), J("{'returnDocument': 'now'}")),
           "returnDocument");
    faulty(stator_collection_find_one_and_delete(s->collection, J("{}"),
                                                 J("{'sort': 1}")),
           "sort must be a document");
    faulty(stator_collection_find_one_and_delete(s->collection, J("{}"),
                                                 J("{'upsert': 1}")),
           "upsert must be a bool");
    stage_free(s);
}
END_TEST

START_TEST(an_unacknowledged_write_is_done_but_not_confirmed)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    const bson_t *w0 = J("{'writeConcern': {'w': 0}}");
    const bson_t *two[] = {J("{'_id': 2}"), J("{'_id': 3}")};
    const bson_t *models[] = {J("{'insertOne': {'document': {'_id': 4}}}")};
    stator_collection_t *quiet;
    stator_future_t *f[6];

    quiet = stator_collection_with_opts(s->collection, w0, NULL);
    ck_assert_ptr_nonnull(quiet);
    f[0] = stator_collection_insert_one(s->collection, J("{'_id': 1}"), w0);
    f[1] = stator_collection_insert_many(quiet, two, 2, NULL);
    f[2] = stator_collection_bulk_write(quiet, models, 1, NULL);
    f[3] = stator_collection_update_one(quiet, J("{'_id': 1}"),
                                        J("{'$set': {'a': 1}}"), NULL);
    f[4] = stator_collection_delete_one(s->collection, J("{'_id': 9}"), w0);
    /* What the operation itself says counts. */
    f[5] = stator_collection_insert_one(quiet, J("{'_id': 5}"),
                                        J("{'writeConcern': {'w': 1}}"));
    for (int i = 0; i < 5; i++) {
        counts(f[i], 0);
        ck_assert_int_eq(stator_future_outcome(f[i]), STATOR_MAYBE_SENT);
    }
    ck_at(stator_future_reply(f[0]), "insertedId", "1");
    counts(f[5], 1);
    ck_assert_int_eq(stator_future_outcome(f[5]), STATOR_ANSWERED);
    stator_collection_unref(quiet);
    stage_free(s);
}
END_TEST

START_TEST(a_document_too_large_fails_and_the_worker_goes_on)
{
    NEED_SERVER();
    stage_t *s = stage_new(lib_server(), "{'workers': 1}", true);
    const bson_t *big = lib_big(1, 17 * MIB);
    stator_future_t *f = stator_collection_insert_one(s->collection, big,
                                                      NULL);

    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_FAILED);
    ck_assert(stator_future_error(f, NULL));
    stator_future_unref(f);
    fill(s, 1);
    counts(stator_collection_count_documents(s->collection, NULL, NULL), 1);
    stage_free(s);
}
END_TEST

/* Whatever the server thinks of it: it settles, and the worker lives. */
static void survives(stage_t *s, stator_future_t *f)
{
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    stator_future_unref(f);
    done(stator_client_ping(s->client, NULL));
}

START_TEST(arguments_too_large_are_survived_by_every_verb)
{
    NEED_SERVER();
    stage_t *s = stage_new(lib_server(), "{'workers': 1}", true);
    stator_collection_t *c = s->collection;
    const bson_t *big = lib_big(1, 17 * MIB);
    const bson_t *both[] = {J("{'_id': 7}"), big};
    bson_t *model = bson_new(), *insert = bson_new();
    const bson_t *models[] = {model};

    BSON_APPEND_DOCUMENT(insert, "document", big);
    BSON_APPEND_DOCUMENT(model, "insertOne", insert);
    survives(s, stator_collection_insert_many(c, both, 2, NULL));
    survives(s, stator_collection_bulk_write(c, models, 1, NULL));
    survives(s, stator_collection_find_one(c, big, NULL));
    survives(s, stator_collection_replace_one(c, J("{}"), big, NULL));
    survives(s, stator_collection_find_one_and_replace(c, J("{}"), big,
                                                       NULL));
    survives(s, stator_collection_delete_one(c, big, NULL));
    survives(s, stator_collection_count_documents(c, big, NULL));
    bson_destroy(insert);
    bson_destroy(model);
    stage_free(s);
}
END_TEST

/* ---- reads ------------------------------------------------------------- */

START_TEST(find_one_gives_a_document_or_none)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_future_t *f;

    fill(s, 5);
    f = counts(stator_collection_find_one(s->collection, J("{'_id': 3}"),
                                          NULL),
               1);
    ck_at(stator_future_document(f), "n", "3");
    ck_assert_ptr_eq(stator_future_document_at(f, 0),
                     stator_future_document(f));
    ck_assert_ptr_null(stator_future_document_at(f, 1));
    f = counts(stator_collection_find_one(s->collection, J("{'_id': 33}"),
                                          NULL),
               0);
    ck_assert_ptr_null(stator_future_document(f));
    f = counts(stator_collection_find_one(
                   s->collection, NULL,
                   J("{'sort': {'n': -1}, 'skip': 1, 'limit': 7, "
                     "'batchSize': 3, 'projection': {'n': 1, '_id': 0}}")),
               1);
    ck_assert(bson_equal(stator_future_document(f), J("{'n': 3}")));
    stage_free(s);
}
END_TEST

START_TEST(counting)
{
    NEED_SERVER();
    stage_t *s = stage_live();

    fill(s, 10);
    counts(stator_collection_count_documents(s->collection, NULL, NULL), 10);
    counts(stator_collection_count_documents(s->collection,
                                             J("{'even': true}"), NULL),
           5);
    counts(stator_collection_count_documents(s->collection, J("{}"),
                                             J("{'skip': 2, 'limit': 3}")),
           3);
    counts(stator_collection_count_documents(s->collection, J("{'n': -1}"),
                                             NULL),
           0);
    counts(stator_collection_estimated_document_count(s->collection, NULL),
           10);
    stage_free(s);
}
END_TEST

START_TEST(distinct_values)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_future_t *f;

    fill(s, 6);
    f = counts(stator_collection_distinct(s->collection, "even", NULL, NULL),
               2);
    ck_assert_str_ne(at(stator_future_reply(f), "values.1"), "");
    f = counts(stator_collection_distinct(s->collection, "n",
                                          J("{'_id': 4}"), NULL),
               1);
    ck_at(stator_future_reply(f), "values.0", "4");
    stage_free(s);
}
END_TEST

START_TEST(rename_and_drop)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_collection_t *other;

    fill(s, 2);
    done(stator_collection_rename(s->collection, s->db, "other", false,
                                  NULL));
    other = stator_database_get_collection(s->database, "other");
    counts(stator_collection_count_documents(other, NULL, NULL), 2);
    /* The handle keeps its name, whatever the driver does to its own. */
    ck_assert_str_eq(stator_collection_get_name(s->collection), "things");
    fill(s, 1);
    counts(stator_collection_count_documents(s->collection, NULL, NULL), 1);
    done(stator_collection_rename(s->collection, NULL, "other", true, NULL));
    counts(stator_collection_count_documents(other, NULL, NULL), 1);
    done(stator_collection_drop(other, NULL));
    counts(stator_collection_count_documents(other, NULL, NULL), 0);
    stator_collection_unref(other);
    stage_free(s);
}
END_TEST

/* ---- what is not let through ------------------------------------------- */

START_TEST(null_arguments_are_named)
{
    stage_t *s = stage_nowhere();
    stator_collection_t *c = s->collection;
    const bson_t *x = J("{}"), *set = J("{'$set': {'a': 1}}");
    const bson_t *holes[] = {x, NULL};

    faulty(stator_collection_insert_one(c, NULL, NULL),
           "collection.insert_one: document is NULL");
    faulty(stator_collection_insert_many(c, NULL, 1, NULL),
           "collection.insert_many: documents is NULL");
    faulty(stator_collection_insert_many(c, holes, 2, NULL),
           "documents[1] is NULL");
    faulty(stator_collection_insert_many(c, holes, 0, NULL), "n is 0");
    faulty(stator_collection_update_one(c, NULL, set, NULL),
           "selector is NULL");
    faulty(stator_collection_update_one(c, x, NULL, NULL), "update is NULL");
    faulty(stator_collection_replace_one(c, x, NULL, NULL),
           "replacement is NULL");
    faulty(stator_collection_delete_many(c, NULL, NULL), "selector is NULL");
    faulty(stator_collection_find_one_and_delete(c, NULL, NULL),
           "selector is NULL");
    faulty_cursor(stator_collection_aggregate(c, NULL, NULL),
                  "pipeline is NULL");
    faulty(stator_collection_distinct(c, NULL, NULL, NULL), "key is NULL");
    faulty(stator_collection_distinct(c, "", NULL, NULL), "key is empty");
    faulty(stator_collection_drop_index(c, NULL, NULL), "name is NULL");
    faulty(stator_collection_drop_index(c, "", NULL), "name is empty");
    faulty(stator_collection_rename(c, "d", NULL, false, NULL),
           "new_name is NULL");
    faulty(stator_collection_rename(c, "", "n", false, NULL),
           "new_db is empty");
    faulty(stator_collection_rename(c, "d", "\xff", false, NULL),
           "new_name is not valid UTF-8");
    stage_free(s);
}
END_TEST

START_TEST(a_null_handle_fails_every_call)
{
    const bson_t *x = J("{}");
    const char *t = "the handle is NULL";

    faulty(stator_collection_insert_one(NULL, x, NULL), t);
    faulty(stator_collection_insert_many(NULL, &x, 1, NULL), t);
    faulty(stator_collection_find_one(NULL, x, NULL), t);
    faulty_cursor(stator_collection_find(NULL, x, NULL), t);
    faulty_cursor(stator_collection_list_indexes(NULL, NULL), t);
    faulty(stator_collection_update_one(NULL, x, x, NULL), t);
    faulty(stator_collection_delete_one(NULL, x, NULL), t);
    faulty(stator_collection_bulk_write(NULL, &x, 1, NULL), t);
    faulty(stator_collection_rename(NULL, NULL, "n", false, NULL), t);
    faulty(stator_collection_drop(NULL, NULL), t);
    ck_assert_ptr_null(stator_collection_with_opts(NULL, x, NULL));
    ck_assert_str_eq(stator_collection_get_name(NULL), "");
    ck_assert_ptr_null(stator_collection_ref(NULL));
    stator_collection_unref(NULL);
    lib_forget();
}
END_TEST

START_TEST(a_bad_name_makes_a_handle_that_fails)
{
    static const struct {
        const char *db, *name, *text;
    } bad[] = {
        {NULL, "n", "the database's name is NULL"},
        {"", "n", "the database's name is empty"},
        {"d", NULL, "the collection's name is NULL"},
        {"d", "", "the collection's name is empty"},
        {"d", "\xc3(", "the collection's name is not valid UTF-8"},
        {"\xff", "n", "the database's name is not valid UTF-8"},
    };
    stage_t *s = stage_nowhere();

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        stator_collection_t *c = stator_client_get_collection(
            s->client, bad[i].db, bad[i].name);
        stator_collection_t *again;

        ck_assert_ptr_nonnull(c);
        faulty(stator_collection_find_one(c, NULL, NULL), bad[i].text);
        faulty_cursor(stator_collection_find(c, NULL, NULL), bad[i].text);
        again = stator_collection_with_opts(
            c, J("{'writeConcern': {'w': 1}}"), NULL);
        faulty(stator_collection_drop(again, NULL), bad[i].text);
        stator_collection_unref(again);
        stator_collection_unref(c);
    }
    stage_free(s);
}
END_TEST

START_TEST(corrupt_documents_are_refused_before_the_queue)
{
    stage_t *s = stage_nowhere();
    stator_collection_t *c = s->collection;
    const bson_t *x = J("{}"), *bad = lib_corrupt();
    const bson_t *both[] = {x, bad};
    bson_t stats;

    faulty(stator_collection_insert_one(c, bad, NULL),
           "document is corrupt BSON at offset 7");
    faulty(stator_collection_insert_many(c, both, 2, NULL),
           "documents[1] is corrupt BSON at offset 7");
    faulty(stator_collection_find_one(c, bad, NULL), "filter is corrupt");
    faulty_cursor(stator_collection_find(c, bad, NULL), "filter is corrupt");
    faulty_cursor(stator_collection_aggregate(c, bad, NULL),
                  "pipeline is corrupt");
    faulty(stator_collection_update_one(c, bad, x, NULL),
           "selector is corrupt");
    faulty(stator_collection_update_one(c, x, bad, NULL),
           "update is corrupt");
    faulty(stator_collection_replace_one(c, x, bad, NULL),
           "replacement is corrupt");
    faulty(stator_collection_bulk_write(c, both + 1, 1, NULL),
           "models[0] is corrupt");
    faulty(stator_collection_create_index(c, bad, NULL),
           "models[0] is corrupt");
    stator_client_stats(s->client, &stats);
    ck_at(&stats, "submitted", "0");
    bson_destroy(&stats);
    stage_free(s);
}
END_TEST

START_TEST(updates_and_replacements_are_told_apart)
{
    stage_t *s = stage_nowhere();
    stator_collection_t *c = s->collection;
    const bson_t *x = J("{}"), *plain = J("{'a': 1}");
    const bson_t *mixed = J("{'$set': {'a': 1}, 'b': 2}");
    const bson_t *set = J("{'$set': {'a': 1}}");

    faulty(stator_collection_update_one(c, x, x, NULL), "update is empty");
    faulty(stator_collection_update_many(c, x, plain, NULL),
           "operators only: a");
    faulty(stator_collection_find_one_and_update(c, x, plain, NULL),
           "operators only: a");
    faulty(stator_collection_find_one_and_update(c, x, mixed, NULL),
           "operators only: b");
    faulty(stator_collection_replace_one(c, x, set, NULL),
           "replacement must not have operators: $set");
    faulty(stator_collection_find_one_and_replace(c, x, set, NULL),
           "replacement must not have operators: $set");
    faulty_cursor(stator_collection_aggregate(c, plain, NULL),
                  "pipeline must be an array of documents");
    faulty_cursor(stator_collection_aggregate(c, J("{'0': 1}"), NULL),
                  "pipeline must be an array of documents");
    faulty_cursor(
        stator_collection_aggregate(c, J("{'pipeline': [1]}"), NULL),
        "pipeline must be an array of documents");
    stage_free(s);
}
END_TEST

START_TEST(options_that_the_driver_refuses_fail_with_its_reason)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_collection_t *c = s->collection;
    stator_future_t *f;

    f = fails(stator_collection_insert_one(
                  c, J("{}"), J("{'writeConcern': {'w': -9}}")),
              MONGOC_ERROR_COMMAND, MONGOC_ERROR_COMMAND_INVALID_ARG,
              "writeConcern");
    ck_assert_int_eq(stator_future_origin(f), STATOR_ORIGIN_DRIVER);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    faulty(stator_collection_find_one(c, NULL, J("{'$where': 1}")),
           "\"$where\" is no option");
    faulty(stator_collection_find_one(c, NULL, J("{'exhaust': true}")),
           "exhaust is not supported");
    stage_free(s);
}
END_TEST

SUITE(collection)
{
    tcase_add_test(tc, insert_one_gives_an_id);
    tcase_add_test(tc, insert_one_keeps_an_id);
    tcase_add_test(tc, a_duplicate_key_fails_with_the_servers_code);
    tcase_add_test(tc, insert_many_names_all_ids);
    tcase_add_test(tc, insert_many_stops_or_goes_on_after_an_error);
    tcase_add_test(tc, insert_many_takes_thousands);
    tcase_add_test(tc, updates_tell_what_they_matched);
    tcase_add_test(tc, deletes_tell_what_they_deleted);
    tcase_add_test(tc, find_one_and_update_gives_before_or_after);
    tcase_add_test(tc, find_one_and_replace_and_delete);
    tcase_add_test(tc, an_unacknowledged_write_is_done_but_not_confirmed);
    tcase_add_test(tc, a_document_too_large_fails_and_the_worker_goes_on);
    tcase_add_test(tc, arguments_too_large_are_survived_by_every_verb);
    tcase_add_test(tc, find_one_gives_a_document_or_none);
    tcase_add_test(tc, counting);
    tcase_add_test(tc, distinct_values);
    tcase_add_test(tc, rename_and_drop);
    tcase_add_test(tc, null_arguments_are_named);
    tcase_add_test(tc, a_null_handle_fails_every_call);
    tcase_add_test(tc, a_bad_name_makes_a_handle_that_fails);
    tcase_add_test(tc, corrupt_documents_are_refused_before_the_queue);
    tcase_add_test(tc, updates_and_replacements_are_told_apart);
    tcase_add_test(tc, options_that_the_driver_refuses_fail_with_its_reason);
}
