/* SPDX-License-Identifier: Apache-2.0 */
/* test_document.c - what passes for BSON, and what does not. */
#include "lib/document.h"

#include "tests/lib/support.h"

static const char *flaw_of(const char *bytes, size_t n, size_t *offset)
{
    bson_t b;

    ck_assert(bson_init_static(&b, (const uint8_t *)bytes, n));
    return stf_document_flaw(&b, offset);
}

#define FLAW(bytes, offset) flaw_of(bytes, sizeof(bytes) - 1, offset)

START_TEST(sound_documents_have_no_flaw)
{
    static const char *const sound[] = {
        "{}",
        "{'a': 1, 'b': {'c': [1, 'x', null, {'d': true}]}}",
        "{'$code': 1, 'a': {'$regularExpression': {'pattern': 'x', "
        "'options': 'i'}}}",
        "{'c': {'$code': 'f()', '$scope': {'x': 1}}, "
        "'b': {'$binary': {'base64': 'AAEC', 'subType': '00'}}, "
        "'d': {'$date': 0}, 'n': {'$numberDecimal': '1.5'}, "
        "'o': {'$oid': '000000000000000000000001'}, "
        "'t': {'$timestamp': {'t': 1, 'i': 2}}, 'm': {'$minKey': 1}}",
    };
    size_t offset;

    for (size_t i = 0; i < sizeof sound / sizeof *sound; i++)
        ck_assert_ptr_null(stf_document_flaw(J("%s", sound[i]), &offset));
    lib_forget();
}
END_TEST

START_TEST(a_corrupt_element_is_found_at_its_offset)
{
    size_t offset = 0;

    /* A string that claims to be longer than the document. */
    ck_assert_str_eq(FLAW("\x0e\0\0\0\x02"
                          "a\0\x64\0\0\0x\0\0",
                          &offset),
                     "is corrupt BSON");
    ck_assert_uint_eq(offset, 7);
    /* An unknown type. */
    ck_assert_str_eq(FLAW("\x08\0\0\0\x66"
                          "a\0\0",
                          &offset),
                     "is corrupt BSON");
    ck_assert_uint_eq(offset, 7);
    /* An element where the terminator should be. */
    ck_assert_str_eq(FLAW("\x07\0\0\0\x0a"
                          "a\0",
                          &offset),
                     "is corrupt BSON");
    /* The end comes too early. */
    ck_assert_str_eq(FLAW("\x09\0\0\0\x0a"
                          "a\0\0\0",
                          &offset),
                     "is corrupt BSON");
}
END_TEST

START_TEST(a_flaw_deep_inside_has_an_offset_from_the_top)
{
    size_t offset = 0;

    /* {d: {a: <string too long>}} */
    ck_assert_str_eq(FLAW("\x16\0\0\0\x03"
                          "d\0"
                          "\x0e\0\0\0\x02"
                          "a\0\x64\0\0\0x\0\0"
                          "\0",
                          &offset),
                     "is corrupt BSON");
    ck_assert_uint_eq(offset, 14);
    /* An inner document whose length lies. */
    ck_assert_str_eq(FLAW("\x0d\0\0\0\x03"
                          "d\0"
                          "\x04\0\0\0\0"
                          "\0",
                          &offset),
                     "is corrupt BSON");
}
END_TEST

START_TEST(invalid_utf8_is_a_flaw_in_keys_and_strings)
{
    size_t offset = 0;

    ck_assert_str_eq(FLAW("\x0e\0\0\0\x02"
                          "a\0\x02\0\0\0\xff\0\0",
                          &offset),
                     "is corrupt BSON");
    ck_assert_uint_eq(offset, 11);
    ck_assert_str_eq(FLAW("\x08\0\0\0\x0a"
                          "\xc3\0\0",
                          &offset),
                     "is corrupt BSON");
    ck_assert_uint_eq(offset, 4);
}
END_TEST

static bson_t *nested(unsigned levels)
{
    bson_t *b = bson_new();

    while (--levels > 0) {
        bson_t *outer = bson_new();

        BSON_APPEND_DOCUMENT(outer, "d", b);
        bson_destroy(b);
        b = outer;
    }
    return b;
}

START_TEST(depth_is_bounded)
{
    bson_t *good = nested(200), *bad = nested(201), *absurd = nested(20000);
    size_t offset;

    ck_assert_ptr_null(stf_document_flaw(good, &offset));
    ck_assert_str_eq(stf_document_flaw(bad, &offset),
                     "is nested more than 200 levels deep");
    ck_assert_str_eq(stf_document_flaw(absurd, &offset),
                     "is nested more than 200 levels deep");
    bson_destroy(good);
    bson_destroy(bad);
    bson_destroy(absurd);
}
END_TEST

START_TEST(arrays_and_pipelines_are_told_from_documents)
{
    ck_assert(stl_document_is_array(J("{}")));
    ck_assert(stl_document_is_array(J("{'0': {}, '1': {'a': 1}}")));
    ck_assert(!stl_document_is_array(J("{'1': {}}")));
    ck_assert(!stl_document_is_array(J("{'0': 1}")));
    ck_assert(!stl_document_is_array(J("{'a': {}}")));

    ck_assert(stl_document_is_pipeline(J("{'0': {'$set': {'a': 1}}}")));
    ck_assert(!stl_document_is_pipeline(J("{}")));
    ck_assert(!stl_document_is_pipeline(J("{'0': {'a': 1}}")));
    ck_assert(!stl_document_is_pipeline(J("{'0': {}}")));
    ck_assert(!stl_document_is_pipeline(J("{'$set': {'a': 1}}")));
    lib_forget();
}
END_TEST

static bool number_of(const char *json, int64_t *n)
{
    bson_iter_t i;

    ck_assert(bson_iter_init_find(&i, J("{'n': %s}", json), "n"));
    return stl_value_as_int64(&i, n);
}

START_TEST(whole_numbers_come_in_three_types)
{
    int64_t n = 0;

    ck_assert(number_of("5", &n) && n == 5);
    ck_assert(number_of("{'$numberLong': '-7'}", &n) && n == -7);
    ck_assert(number_of("3.0", &n) && n == 3);
    ck_assert(!number_of("3.5", &n));
    ck_assert(!number_of("1e300", &n));
    ck_assert(!number_of("{'$numberDouble': 'NaN'}", &n));
    ck_assert(!number_of("{'$numberDouble': 'Infinity'}", &n));
    ck_assert(!number_of("'5'", &n));
    ck_assert(!number_of("true", &n));
    lib_forget();
}
END_TEST

SUITE(document)
{
    tcase_add_test(tc, sound_documents_have_no_flaw);
    tcase_add_test(tc, a_corrupt_element_is_found_at_its_offset);
    tcase_add_test(tc, a_flaw_deep_inside_has_an_offset_from_the_top);
    tcase_add_test(tc, invalid_utf8_is_a_flaw_in_keys_and_strings);
    tcase_add_test(tc, depth_is_bounded);
    tcase_add_test(tc, arrays_and_pipelines_are_told_from_documents);
    tcase_add_test(tc, whole_numbers_come_in_three_types);
}
