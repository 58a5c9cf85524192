/* SPDX-License-Identifier: Apache-2.0 */
/* test_cursor.c - documents pulled out of finds and aggregates. */
#include <mongoc/mongoc.h>

#include "tests/lib/support.h"

static void fill(stage_t *s, int n)
{
    const bson_t **documents = calloc((size_t)n, sizeof *documents);

    for (int i = 0; i < n; i++)
        documents[i] = J("{'_id': %d}", i);
    done(stator_collection_insert_many(s->collection, documents, (size_t)n,
                                       NULL));
    free(documents);
}

static stator_cursor_t *find(stage_t *s, const char *opts)
{
    return stator_collection_find(s->collection, NULL, J("%s", opts));
}

static void next_is(stator_cursor_t *cursor, const char *id)
{
    stator_future_t *f = done(stator_cursor_next(cursor));

    if (*id == '\0') {
        ck_assert_ptr_null(stator_future_document(f));
        ck_assert_int_eq(stator_future_count(f), 0);
    } else {
        ck_at(stator_future_document(f), "_id", id);
        ck_assert_int_eq(stator_future_count(f), 1);
    }
}

START_TEST(next_walks_over_batches)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_cursor_t *cursor;

    fill(s, 5);
    cursor = find(s, "{'sort': {'_id': 1}, 'batchSize': 2}");
    next_is(cursor, "0");
    next_is(cursor, "1");
    next_is(cursor, "2");
    next_is(cursor, "3");
    next_is(cursor, "4");
    next_is(cursor, "");
    next_is(cursor, "");
    stator_cursor_unref(cursor);
    stage_free(s);
}
END_TEST

START_TEST(batches_lists_and_buffered_documents_share_one_order)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_cursor_t *cursor;
    stator_future_t *f;
    bson_t out;

    fill(s, 10);
    cursor = find(s, "{'sort': {'_id': 1}, 'batchSize': 4}");
    ck_assert(!stator_cursor_try_buffered(cursor, &out));
    next_is(cursor, "0");
    ck_assert(stator_cursor_try_buffered(cursor, &out));
    ck_at(&out, "_id", "1");
    bson_destroy(&out);
    f = counts(stator_cursor_next_batch(cursor), 2);
    ck_at(stator_future_document_at(f, 0), "_id", "2");
    ck_at(stator_future_document_at(f, 1), "_id", "3");
    ck_assert(!stator_cursor_try_buffered(cursor, &out));
    f = counts(stator_cursor_to_list(cursor, 5), 5);
    ck_at(stator_future_document_at(f, 0), "_id", "4");
    ck_at(stator_future_document_at(f, 4), "_id", "8");
    f = counts(stator_cursor_to_list(cursor, 0), 1);
    ck_at(stator_future_document_at(f, 0), "_id", "9");
    counts(stator_cursor_next_batch(cursor), 0);
    stator_cursor_unref(cursor);
    stage_free(s);
}
END_TEST

START_TEST(find_takes_the_drivers_options)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_cursor_t *cursor;
    stator_future_t *f;

    fill(s, 10);
    cursor = stator_collection_find(
        s->collection, J("{'_id': {'$gte': 2}}"),
        J("{'sort': {'_id': -1}, 'skip': 1, 'limit': 3, 'comment': 'x', "
          "'projection': {'_id': 1}, 'timeoutMS': 600000}"));
    f = counts(stator_cursor_to_list(cursor, 0), 3);
    ck_at(stator_future_document_at(f, 0), "_id", "8");
    stator_cursor_unref(cursor);
    /* A negative limit: that many, in one batch. */
    cursor = find(s, "{'limit': -4}");
    counts(stator_cursor_to_list(cursor, 0), 4);
    stator_cursor_unref(cursor);
    cursor = find(s, "{'limit': 'x'}");
    faulty(stator_cursor_next(cursor), "limit must be a number");
    faulty(stator_cursor_next(cursor), "limit must be a number");
    stator_cursor_unref(cursor);
    stage_free(s);
}
END_TEST

START_TEST(aggregate_takes_an_array_or_a_document)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    const bson_t *pipelines[] = {
        J("{'0': {'$match': {'_id': {'$lt': 6}}}, "
          "'1': {'$sort': {'_id': -1}}}"),
        J("{'pipeline': [{'$match': {'_id': {'$lt': 6}}}, "
          "{'$sort': {'_id': -1}}]}"),
    };

    fill(s, 10);
    for (int i = 0; i < 2; i++) {
        stator_cursor_t *cursor = stator_collection_aggregate(
            s->collection, pipelines[i], J("{'batchSize': 2}"));
        stator_future_t *f = counts(stator_cursor_to_list(cursor, 0), 6);

        ck_at(stator_future_document_at(f, 0), "_id", "5");
        ck_at(stator_future_document_at(f, 5), "_id", "0");
        stator_cursor_unref(cursor);
    }
    stage_free(s);
}
END_TEST

START_TEST(aggregate_out_writes_and_gives_none)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_collection_t *other =
        stator_database_get_collection(s->database, "other");
    stator_cursor_t *cursor;

    fill(s, 4);
    cursor = stator_collection_aggregate(
        s->collection,
        J("{'0': {'$match': {'_id': {'$gt': 0}}}, '1': {'$out': 'other'}}"),
        NULL);
    counts(stator_cursor_to_list(cursor, 0), 0);
    counts(stator_collection_count_documents(other, NULL, NULL), 3);
    stator_cursor_unref(cursor);
    stator_collection_unref(other);
    stage_free(s);
}
END_TEST

START_TEST(a_failed_cursor_stays_failed)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_cursor_t *cursor = stator_collection_aggregate(
        s->collection, J("{'0': {'$noSuchStage': {}}}"), NULL);
    bson_error_t first, second;
    stator_future_t *f;

    fill(s, 1);
    f = stator_cursor_next(cursor);
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert(stator_future_error(f, &first));
    ck_assert_uint_eq(first.domain, MONGOC_ERROR_SERVER);
    stator_future_unref(f);
    f = stator_cursor_to_list(cursor, 0);
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert(stator_future_error(f, &second));
    ck_assert_str_eq(first.message, second.message);
    stator_future_unref(f);
    stator_cursor_unref(cursor);
    stage_free(s);
}
END_TEST

START_TEST(close_ends_it)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_cursor_t *cursor;

    fill(s, 10);
    cursor = find(s, "{'batchSize': 2}");
    done(stator_cursor_next(cursor));
    done(stator_cursor_close(cursor));
    fails(stator_cursor_next(cursor), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_CLOSED, "");
    done(stator_cursor_close(cursor));
    stator_cursor_unref(cursor);
    stage_free(s);
}
END_TEST

START_TEST(arguments_are_checked)
{
    stage_t *s = stage_nowhere();
    stator_cursor_t *cursor = find(s, "{}");
    bson_t out;

    faulty(stator_cursor_next(NULL), "cursor.next: the cursor is NULL");
    faulty(stator_cursor_next_batch(NULL), "cursor.next_batch");
    faulty(stator_cursor_to_list(NULL, 0), "cursor.to_list");
    faulty(stator_cursor_close(NULL), "cursor.close");
    faulty(stator_cursor_to_list(cursor, -1),
           "max must be 0 or more, is -1");
    ck_assert(!stator_cursor_try_buffered(NULL, &out));
    ck_assert(!stator_cursor_try_buffered(cursor, NULL));
    ck_assert_ptr_null(stator_cursor_ref(NULL));
    stator_cursor_unref(NULL);
    stator_cursor_unref(cursor);
    stage_free(s);
}
END_TEST

START_TEST(max_bytes_bounds_a_list_and_loses_nothing)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_cursor_t *cursor;

    fill(s, 20);
    cursor = find(s, "{'sort': {'_id': 1}, 'batchSize': 5, 'maxBytes': 100}");
    fails(stator_cursor_to_list(cursor, 0), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_REFUSED, "maxBytes");
    next_is(cursor, "0");
    counts(stator_cursor_to_list(cursor, 3), 3);
    next_is(cursor, "4");
    stator_cursor_unref(cursor);
    stage_free(s);
}
END_TEST

START_TEST(prefetch_changes_nothing_but_time)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_cursor_t *cursor;

    fill(s, 25);
    cursor = find(s, "{'batchSize': 3, 'prefetch': 1}");
    counts(stator_cursor_next_batch(cursor), 3);
    counts(stator_cursor_to_list(cursor, 0), 22);
    stator_cursor_unref(cursor);
    stage_free(s);
}
END_TEST

SUITE(cursor)
{
    tcase_add_test(tc, next_walks_over_batches);
    tcase_add_test(tc, batches_lists_and_buffered_documents_share_one_order);
    tcase_add_test(tc, find_takes_the_drivers_options);
    tcase_add_test(tc, aggregate_takes_an_array_or_a_document);
    tcase_add_test(tc, aggregate_out_writes_and_gives_none);
    tcase_add_test(tc, a_failed_cursor_stays_failed);
    tcase_add_test(tc, close_ends_it);
    tcase_add_test(tc, arguments_are_checked);
    tcase_add_test(tc, max_bytes_bounds_a_list_and_loses_nothing);
    tcase_add_test(tc, prefetch_changes_nothing_but_time);
}
