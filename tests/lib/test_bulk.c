/* SPDX-License-Identifier: Apache-2.0 */
/* test_bulk.c - bulk_write: its models, in order or not, and what is wrong
 * with them by index and name. */
#include <mongoc/mongoc.h>

#include "tests/lib/support.h"

enum { DUPLICATE_KEY = 11000 };

START_TEST(all_six_kinds_in_one)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    const bson_t *models[] = {
        J("{'insertOne': {'document': {'_id': 1, 'a': 1}}}"),
        J("{'insertOne': {'document': {'a': 2}}}"),
        J("{'insertOne': {'document': {'_id': 3, 'a': 3}}}"),
        J("{'updateOne': {'filter': {'_id': 1}, "
          "'update': {'$set': {'b': 1}}}}"),
        J("{'updateMany': {'filter': {}, 'update': {'$set': {'c': 1}}}}"),
        J("{'replaceOne': {'filter': {'_id': 9}, 'replacement': {'r': 1}, "
          "'upsert': true}}"),
        J("{'deleteOne': {'filter': {'_id': 3}}}"),
        J("{'deleteMany': {'filter': {'a': 2}}}"),
    };
    const bson_t *reply;
    stator_future_t *f;

    /* 3 inserted, 1 + 3 matched, 1 upserted, 2 deleted */
    f = counts(stator_collection_bulk_write(s->collection, models, 8, NULL),
               10);
    reply = stator_future_reply(f);
    ck_at(reply, "nInserted", "3");
    ck_at(reply, "nMatched", "4");
    ck_at(reply, "nUpserted", "1");
    ck_at(reply, "nRemoved", "2");
    ck_at(reply, "upserted.0.index", "5");
    ck_at(reply, "upserted.0._id", "9");
    ck_at(reply, "insertedIds.0", "1");
    ck_assert_ptr_nonnull(strstr(at(reply, "insertedIds.1"), "$oid"));
    ck_at(reply, "insertedIds.2", "3");
    ck_at(reply, "insertedIds.3", "");
    counts(stator_collection_count_documents(s->collection, NULL, NULL), 2);
    stage_free(s);
}
END_TEST

static const bson_t **clashing(void)
{
    static const bson_t *models[4];

    models[0] = J("{'insertOne': {'document': {'_id': 1}}}");
    models[1] = J("{'insertOne': {'document': {'_id': 1}}}");
    models[2] = J("{'insertOne': {'document': {'_id': 2}}}");
    models[3] = J("{'deleteOne': {'filter': {'_id': 1}}}");
    return models;
}

START_TEST(ordered_stops_at_the_first_error)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_future_t *f;

    f = fails(stator_collection_bulk_write(s->collection, clashing(), 4,
                                           NULL),
              MONGOC_ERROR_SERVER, DUPLICATE_KEY, "");
    ck_assert_int_eq(stator_future_count(f), 1);
    ck_at(stator_future_reply(f), "writeErrors.0.index", "1");
    ck_at(stator_future_reply(f), "writeErrors.0.code", "11000");
    ck_at(stator_future_reply(f), "nRemoved", "0");
    stage_free(s);
}
END_TEST

START_TEST(unordered_goes_on)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_future_t *f;

    f = fails(stator_collection_bulk_write(s->collection, clashing(), 4,
                                           J("{'ordered': false}")),
              MONGOC_ERROR_SERVER, DUPLICATE_KEY, "");
    ck_at(stator_future_reply(f), "writeErrors.0.index", "1");
    ck_at(stator_future_reply(f), "nInserted", "2");
    ck_at(stator_future_reply(f), "nRemoved", "1");
    ck_assert_int_eq(stator_future_count(f), 3);
    stage_free(s);
}
END_TEST

START_TEST(a_pipeline_is_an_update)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    const bson_t *models[] = {
        J("{'insertOne': {'document': {'_id': 1, 'a': 1}}}"),
        J("{'updateOne': {'filter': {'_id': 1}, 'update': "
          "[{'$set': {'b': '$a'}}]}}"),
    };
    stator_future_t *f;

    counts(stator_collection_bulk_write(s->collection, models, 2, NULL), 2);
    f = done(stator_collection_find_one(s->collection, NULL, NULL));
    ck_at(stator_future_document(f), "b", "1");
    stage_free(s);
}
END_TEST

START_TEST(a_model_is_checked_before_anything_is_sent)
{
    static const struct {
        const char *json, *text;
    } wrong[] = {
        {"{}", "models[1] is empty"},
        {"{'insertone': {'document': {}}}", "models[1].insertone is unknown"},
        {"{'insertOne': {'document': {}}, 'deleteOne': {'filter': {}}}",
         "models[1] must have one key, has insertOne and deleteOne"},
        {"{'insertOne': 1}", "models[1].insertOne must be a document"},
        {"{'insertOne': {}}", "models[1].insertOne.document is missing"},
        {"{'insertOne': {'document': 1}}",
         "models[1].insertOne.document must be a document"},
        {"{'insertOne': {'document': {}, 'x': 1}}",
         "models[1].insertOne.x is unknown"},
        {"{'updateOne': {'filter': {}}}",
         "models[1].updateOne.update is missing"},
        {"{'updateOne': {'update': {'$set': {'a': 1}}}}",
         "models[1].updateOne.filter is missing"},
        {"{'updateOne': {'filter': {}, 'update': {'a': 1}}}",
         "models[1].updateOne.update is neither a pipeline"},
        {"{'updateMany': {'filter': {}, 'update': {}}}",
         "models[1].updateMany.update is empty"},
        {"{'updateMany': {'filter': {}, 'update': [{'a': 1}]}}",
         "models[1].updateMany.update must be a pipeline"},
        {"{'updateMany': {'filter': {}, 'update': 'x'}}",
         "models[1].updateMany.update must be a document or an array"},
        {"{'updateOne': {'filter': {}, 'update': {'$set': {'a': 1}}, "
         "'foo': 1}}", "models[1].updateOne.foo is unknown"},
        {"{'updateOne': {'filter': {}, 'update': {'$set': {'a': 1}}, "
         "'upsert': 1}}", "models[1].updateOne.upsert must be a bool"},
        {"{'updateOne': {'filter': {}, 'update': {'$set': {'a': 1}}, "
         "'arrayFilters': {}}}", "arrayFilters must be an array"},
        {"{'updateOne': {'filter': {}, 'update': {'$set': {'a': 1}}, "
         "'hint': 1}}", "hint must be a string or a document"},
        {"{'replaceOne': {'filter': {}, 'replacement': {'$set': {}}}}",
         "models[1].replaceOne.replacement must not have operators: $set"},
        {"{'replaceOne': {'filter': {}, 'replacement': {}, "
         "'arrayFilters': []}}",
         "models[1].replaceOne.arrayFilters is unknown"},
        {"{'deleteOne': {}}", "models[1].deleteOne.filter is missing"},
        {"{'deleteMany': {'filter': {}, 'collation': 'en'}}",
         "models[1].deleteMany.collation must be a document"},
    };
    stage_t *s = stage_nowhere();
    const bson_t *models[] = {J("{'deleteOne': {'filter': {}}}"), NULL};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        models[1] = J("%s", wrong[i].json);
        faulty(stator_collection_bulk_write(s->collection, models, 2, NULL),
               wrong[i].text);
    }
    models[1] = NULL;
    faulty(stator_collection_bulk_write(s->collection, models, 2, NULL),
           "collection.bulk_write: models[1] is NULL");
    faulty(stator_collection_bulk_write(s->collection, NULL, 2, NULL),
           "models is NULL");
    faulty(stator_collection_bulk_write(s->collection, models, 0, NULL),
           "n is 0");
    stage_free(s);
}
END_TEST

START_TEST(opts_of_the_bulk_are_named_when_wrong)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    const bson_t *models[] = {J("{'deleteOne': {'filter': {}}}")};

    faulty(stator_collection_bulk_write(s->collection, models, 1,
                                        J("{'ordered': 'yes'}")),
           "ordered");
    faulty(stator_collection_bulk_write(s->collection, models, 1,
                                        J("{'colour': 'red'}")),
           "colour");
    faulty(stator_collection_bulk_write(
               s->collection, models, 1,
               J("{'bypassDocumentValidation': 1}")),
           "bypassDocumentValidation must be a bool");
    faulty(stator_collection_bulk_write(s->collection, models, 1,
                                        J("{'serverId': 0}")),
           "serverId must be a server's number");
    faulty(stator_collection_bulk_write(s->collection, models, 1,
                                        J("{'serverId': 4294967297}")),
           "serverId must be a server's number");
    fails(stator_collection_bulk_write(s->collection, models, 1,
                                       J("{'serverId': 77}")),
          MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_NOT_ESTABLISHED, "77");
    counts(stator_collection_bulk_write(s->collection, models, 1,
                                        J("{'serverId': 1}")),
           0);
    counts(stator_collection_bulk_write(
               s->collection, models, 1,
               J("{'bypassDocumentValidation': true, 'ordered': true}")),
           0);
    stage_free(s);
}
END_TEST

START_TEST(many_models_make_few_messages)
{
    enum { N = 2500 };
    NEED_SERVER();
    stage_t *s = stage_live();
    static const bson_t *models[N];

    for (int i = 0; i < N; i++)
        models[i] = J("{'insertOne': {'document': {'_id': %d}}}", i);
    counts(stator_collection_bulk_write(s->collection, models, N, NULL), N);
    counts(stator_collection_count_documents(s->collection, NULL, NULL), N);
    stage_free(s);
}
END_TEST

SUITE(bulk)
{
    tcase_add_test(tc, all_six_kinds_in_one);
    tcase_add_test(tc, ordered_stops_at_the_first_error);
    tcase_add_test(tc, unordered_goes_on);
    tcase_add_test(tc, a_pipeline_is_an_update);
    tcase_add_test(tc, a_model_is_checked_before_anything_is_sent);
    tcase_add_test(tc, opts_of_the_bulk_are_named_when_wrong);
    tcase_add_test(tc, many_models_make_few_messages);
}
