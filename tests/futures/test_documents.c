/* SPDX-License-Identifier: Apache-2.0 */
/* test_documents.c - the views on a batch, and what is no batch. */
#include "futures/documents.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness/suite.h"

/* {batch: [{i: 0}, {i: 1}, ..]}, each with a string of `fill` bytes. */
static bson_t *reply_new(int n, int fill)
{
    bson_t *reply = bson_new(), array, document;
    char text[64] = "", key[16];

    ck_assert_int_lt(fill, (int)sizeof text);
    memset(text, 'x', (size_t)fill);
    BSON_APPEND_ARRAY_BEGIN(reply, "batch", &array);
    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof key, "%d", i);
        bson_append_document_begin(&array, key, -1, &document);
        BSON_APPEND_INT32(&document, "i", i);
        BSON_APPEND_UTF8(&document, "text", text);
        bson_append_document_end(&array, &document);
    }
    bson_append_array_end(reply, &array);
    return reply;
}

static struct stf_documents *documents_of(bson_t *reply)
{
    bson_iter_t i;

    ck_assert(bson_iter_init_find(&i, reply, "batch"));
    errno = 0;
    return stf_documents_new(reply, &i);
}

static void check_views(const struct stf_documents *d, int n)
{
    bson_iter_t i;

    ck_assert_uint_eq(d->n, (size_t)n);
    for (int k = 0; k < n; k++) {
        ck_assert(bson_iter_init_find(&i, &d->at[k], "i"));
        ck_assert_int_eq(bson_iter_int32(&i), k);
        ck_assert(bson_validate(&d->at[k], BSON_VALIDATE_NONE, NULL));
    }
}

/* The small one lies inside its bson_t, and moves with it. */
START_TEST(views_outlive_the_reply)
{
    static const struct {
        int n, fill;
    } sizes[] = {{0, 0}, {1, 0}, {2, 2}, {3, 10}, {200, 60}};
    bson_t *reply = reply_new(sizes[_i].n, sizes[_i].fill);
    struct stf_documents *d = documents_of(reply);

    ck_assert_ptr_nonnull(d);
    ck_assert(bson_empty(reply)); /* its contents went over */
    bson_destroy(reply);
    check_views(d, sizes[_i].n);
    stf_documents_unref(d);
}
END_TEST

START_TEST(the_last_reference_frees)
{
    bson_t *reply = reply_new(2, 5);
    struct stf_documents *d = documents_of(reply);

    bson_destroy(reply);
    ck_assert_ptr_eq(stf_documents_ref(d), d);
    stf_documents_unref(d);
    check_views(d, 2);
    stf_documents_unref(d);
}
END_TEST

/* `reply` is no batch, and is as it was afterwards. */
static void check_refused(bson_t *reply)
{
    bson_t *before = bson_new_from_data(bson_get_data(reply), reply->len);

    ck_assert_ptr_null(documents_of(reply));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_uint_eq(reply->len, before->len);
    ck_assert_int_eq(memcmp(bson_get_data(reply), bson_get_data(before),
                            reply->len), 0);
    bson_destroy(before);
    bson_destroy(reply);
}

START_TEST(what_holds_another_thing_is_no_batch)
{
    bson_t *reply = bson_new(), array;

    BSON_APPEND_ARRAY_BEGIN(reply, "batch", &array);
    BSON_APPEND_INT32(&array, "0", 1);
    bson_append_array_end(reply, &array);
    check_refused(reply);

    reply = bson_new();
    BSON_APPEND_INT32(reply, "batch", 1);
    check_refused(reply);
}
END_TEST

/* The bytes of a document that stands at the end of an array that stands at
 * the end of the reply: .. document's own terminator, array's, reply's. */
enum { TERMINATOR_FROM_END = 3 };

START_TEST(a_document_without_its_terminator_is_none)
{
    bson_t *reply = reply_new(3, 5);

    ((uint8_t *)bson_get_data(reply))[reply->len - TERMINATOR_FROM_END] = 1;
    check_refused(reply);
}
END_TEST

START_TEST(an_array_that_breaks_off_is_none)
{
    bson_t *reply = reply_new(3, 5);
    bson_iter_t i, inner;
    uint8_t *type;

    ck_assert(bson_iter_init_find(&i, reply, "batch"));
    ck_assert(bson_iter_recurse(&i, &inner));
    ck_assert(bson_iter_next(&inner) && bson_iter_next(&inner));
    type = (uint8_t *)inner.raw + inner.type;
    *type = 0x42; /* no type of BSON: the walk ends in an error here */
    check_refused(reply);
}
END_TEST

SUITE(documents)
{
    tcase_add_loop_test(tc, views_outlive_the_reply, 0, 5);
    tcase_add_test(tc, the_last_reference_frees);
    tcase_add_test(tc, what_holds_another_thing_is_no_batch);
    tcase_add_test(tc, a_document_without_its_terminator_is_none);
    tcase_add_test(tc, an_array_that_breaks_off_is_none);
}
