/* SPDX-License-Identifier: Apache-2.0 */
/* test_indexes.c - indexes made, named, listed and dropped. */
#include <mongoc/mongoc.h>

#include "tests/lib/support.h"

/* How many indexes there are. */
static int64_t n_indexes(stage_t *s)
{
    stator_cursor_t *cursor =
        stator_collection_list_indexes(s->collection, NULL);
    stator_future_t *list = done(stator_cursor_to_list(cursor, 0));

    stator_cursor_unref(cursor);
    return stator_future_count(list);
}

START_TEST(a_name_is_made_of_the_key)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    const bson_t *models[] = {
        J("{'key': {'a': 1, 'b': -1}}"),
        J("{'key': {'c': 1.0}, 'unique': true}"),
        J("{'key': {'d': '2dsphere'}}"),
        J("{'key': {'e': 1}, 'name': 'mine'}"),
    };
    stator_future_t *f;

    f = done(stator_collection_create_indexes(s->collection, models, 4,
                                              NULL));
    ck_at(stator_future_reply(f), "names.0", "'a_1_b_-1'");
    ck_at(stator_future_reply(f), "names.1", "'c_1'");
    ck_at(stator_future_reply(f), "names.2", "'d_2dsphere'");
    ck_at(stator_future_reply(f), "names.3", "'mine'");
    ck_assert_int_eq(n_indexes(s), 5); /* and that on _id */
    stage_free(s);
}
END_TEST

START_TEST(a_unique_index_is_unique)
{
    NEED_SERVER();
    stage_t *s = stage_live();

    done(stator_collection_create_index(
        s->collection, J("{'key': {'a': 1}, 'unique': true}"), NULL));
    done(stator_collection_insert_one(s->collection, J("{'a': 1}"), NULL));
    fails(stator_collection_insert_one(s->collection, J("{'a': 1}"), NULL),
          MONGOC_ERROR_SERVER, 11000, "");
    stage_free(s);
}
END_TEST

START_TEST(indexes_are_dropped_by_name_or_all)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    const bson_t *models[] = {J("{'key': {'a': 1}}"), J("{'key': {'b': 1}}"),
                              J("{'key': {'c': 1}}")};

    done(stator_collection_create_indexes(s->collection, models, 3, NULL));
    done(stator_collection_drop_index(s->collection, "b_1", NULL));
    ck_assert_int_eq(n_indexes(s), 3);
    fails(stator_collection_drop_index(s->collection, "b_1", NULL),
          MONGOC_ERROR_SERVER, 27, "");
    done(stator_collection_drop_indexes(s->collection, NULL));
    ck_assert_int_eq(n_indexes(s), 1);
    stage_free(s);
}
END_TEST

START_TEST(a_model_is_checked_before_anything_is_sent)
{
    static const struct {
        const char *json, *text;
    } wrong[] = {
        {"{}", "models[0].key is missing"},
        {"{'key': 1}", "models[0].key must be a document, is an integer"},
        {"{'key': {}}", "models[0].key is empty"},
        {"{'key': {'a': true}}", "models[0].key.a must be a number"},
        {"{'key': {'a': null}}", "models[0].key.a"},
        {"{'key': {'a': 1}, 'name': 1}", "models[0].name must be a string"},
    };
    stage_t *s = stage_nowhere();
    const bson_t *none = NULL;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        faulty(stator_collection_create_index(s->collection,
                                              J("%s", wrong[i].json), NULL),
               wrong[i].text);
    faulty(stator_collection_create_index(s->collection, NULL, NULL),
           "collection.create_index: models[0] is NULL");
    faulty(stator_collection_create_indexes(s->collection, &none, 1, NULL),
           "collection.create_indexes: models[0] is NULL");
    faulty(stator_collection_create_indexes(s->collection, NULL, 1, NULL),
           "models is NULL");
    faulty(stator_collection_create_indexes(s->collection, &none, 0, NULL),
           "n is 0");
    stage_free(s);
}
END_TEST

START_TEST(a_collection_that_is_not_there_has_no_indexes)
{
    NEED_SERVER();
    stage_t *s = stage_live();

    ck_assert_int_eq(n_indexes(s), 0);
    stage_free(s);
}
END_TEST

SUITE(indexes)
{
    tcase_add_test(tc, a_name_is_made_of_the_key);
    tcase_add_test(tc, a_unique_index_is_unique);
    tcase_add_test(tc, indexes_are_dropped_by_name_or_all);
    tcase_add_test(tc, a_model_is_checked_before_anything_is_sent);
    tcase_add_test(tc, a_collection_that_is_not_there_has_no_indexes);
}
