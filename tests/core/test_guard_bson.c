/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard_bson.c - what is BSON, held against libbson. */
#include "tests/harness/suite.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/replies.h"

/* Documents that are wrong in one thing.  The zero of the literal is that of
 * the document, whose length is put before it. */
#define SIZED(bytes) {bytes, sizeof bytes}

static const struct {
    const char *bytes; /* from the first element to the zero, included */
    size_t n;
} broken[] = {
    SIZED("\x01" "a\0" "1234567"),                        /* double */
    SIZED("\x02" "a\0" "\0\0\0\0"),                       /* string of 0 */
    SIZED("\x02" "a\0" "\3\0\0\0" "x"),                   /* past the end */
    SIZED("\x02" "a\0" "\xff\xff\xff\xff" "x"),
    SIZED("\x02" "a\0" "\2\0\0\0" "xx"),                  /* without zero */
    SIZED("\x02" "a\0" "\1\0\0"),                         /* cut */
    SIZED("\x03" "a\0" "\4\0\0\0"),                       /* document */
    SIZED("\x03" "a\0" "\0\0\0\0\0"),
    SIZED("\x03" "a\0" "\7\0\0\0\0"),
    SIZED("\x03" "a\0" "\5\0\0\0\1"),
    SIZED("\x03" "a\0" "\7\0\0\0\0\x0a"),                 /* early zero */
    SIZED("\x04" "a\0" "\xff\xff\xff\xff\0"),             /* array */
    SIZED("\x05" "a\0" "\2\0\0\0\0" "x"),                 /* binary */
    SIZED("\x05" "a\0" "\xff\xff\xff\xff\0" "x"),
    SIZED("\x05" "a\0" "\3\0\0\0\2" "xyz"),               /* older: short */
    SIZED("\x05" "a\0" "\5\0\0\0\2" "\2\0\0\0" "x"),      /* older: lies */
    SIZED("\x05" "a\0" "\0\0\0"),                         /* no subtype */
    SIZED("\x05" "a\0" "\0\0\0\0\2"),                     /* older: none */
    SIZED("\x05" "a\0" "\6\0\0\0\2" "\2"),               /* older: cut */
    SIZED("\x06"),                                        /* no key */
    SIZED("\x06" "aaaaaaaaaaaaaaa"),                      /* no value after */
    SIZED("\x07" "a\0" "12345678901"),                    /* ObjectId */
    SIZED("\x08" "a\0" "\2"),                             /* bool */
    SIZED("\x08" "a"),
    SIZED("\x09" "a\0" "1234567"),                        /* date */
    SIZED("\x0b" "a\0" "x"),                              /* regex */
    SIZED("\x0b" "a"),
    SIZED("\x0c" "a\0" "\2\0\0\0" "x\0" "12345678901"),   /* DBPointer */
    SIZED("\x0c" "a\0" "\2\0\0\0" "xx" "123456789012"),
    SIZED("\x0d" "a\0" "\2\0\0\0" "xx"),                  /* code */
    SIZED("\x0e" "a\0" "\0\0\0\0"),                       /* symbol */
    SIZED("\x0f" "a\0" "\3\0\0\0" "\1\0\0\0\0" "\5\0\0\0\0"), /* scope */
    SIZED("\x0f" "a\0" "\x0d\0\0\0" "\1\0\0\0\0" "\5\0\0\0\0"),
    SIZED("\x0f" "a\0" "\x0f\0\0\0" "\1\0\0\0\0" "\5\0\0\0\0"),
    SIZED("\x0f" "a\0" "\x0e\0\0\0" "\1\0\0\0x" "\5\0\0\0\0"),
    SIZED("\x0f" "a\0" "\x0e\0\0\0" "\2\0\0\0\0" "\5\0\0\0\0"),
    SIZED("\x0f" "a\0" "\x0e\0\0\0" "\1\0\0\0\0" "\4\0\0\0\0"),
    SIZED("\x0f" "a\0" "\x09\0\0\0" "\1\0\0\0\0"),        /* none */
    SIZED("\x0f" "a\0" "\x09\0\0\0" "\5\0\0\0\0"),        /* no code */
    SIZED("\x10" "a\0" "123"),                            /* int32 */
    SIZED("\x11" "a\0" "1234567"),                        /* timestamp */
    SIZED("\x12" "a\0" "1234567"),                        /* int64 */
    SIZED("\x13" "a\0" "123456789012345"),                /* decimal128 */
    SIZED("\x14" "a\0"),                                  /* no such type */
    SIZED("\x7e" "a\0"),
    SIZED("\x80" "a\0"),
    SIZED("\xfe" "a\0"),
    SIZED("\0"),                                          /* ends early */
    SIZED("\x0a" "a\0" "\0" "\x0a" "b\0"),
};

START_TEST(broken_bson)
{
    uint32_t length, initials;
    size_t n = 4 + broken[_i].n;
    uint8_t *document = malloc(n); /* a byte too far is noticed */
    struct bytes b = {0, {0}};

    bytes_put_int32(&b, (int32_t)n);
    bytes_put(&b, broken[_i].bytes, broken[_i].n);
    memcpy(document, b.data, n);
    ck_assert_str_eq(stc_guard_bson(document, n, &length, &initials),
                     "the reply is corrupt BSON");
    ck_assert(!is_bson(document, n));
    free(document);
}
END_TEST

START_TEST(bson_of_every_type)
{
    bson_t all;
    uint32_t length, initials;

    document_of_all(&all);
    ck_assert_ptr_null(
        stc_guard_bson(bson_get_data(&all), all.len, &length, &initials));
    ck_assert_uint_eq(length, all.len);
    ck_assert_ptr_nonnull(
        stc_guard_bson(bson_get_data(&all), all.len - 1, &length, &initials));
    bson_destroy(&all);
}
END_TEST

/* Of its own keys only, in whatever case. */
START_TEST(initials_of_a_document)
{
    uint32_t length, initials;
    bson_t document, inner;

    bson_init(&document);
    ck_assert_ptr_null(stc_guard_bson(bson_get_data(&document), document.len,
                                      &length, &initials));
    ck_assert_uint_eq(initials, 0);
    BSON_APPEND_INT32(&document, "n", 1);
    BSON_APPEND_DOCUMENT_BEGIN(&document, "Errors", &inner);
    BSON_APPEND_INT32(&inner, "code", 1);
    bson_append_document_end(&document, &inner);
    BSON_APPEND_INT32(&document, "ok", 1);
    BSON_APPEND_INT32(&document, "$clusterTime", 1);
    BSON_APPEND_INT32(&document, "", 1);
    ck_assert_ptr_null(stc_guard_bson(bson_get_data(&document), document.len,
                                      &length, &initials));
    ck_assert_uint_eq(initials, STC_INITIAL('n') | STC_INITIAL('e') |
                                    STC_INITIAL('o'));
    bson_destroy(&document);
}
END_TEST

/* Every byte of a document of every type, as every other byte: the guard and
 * libbson are of one mind, one by one. */
START_TEST(every_byte_as_every_other)
{
    uint8_t document[1024];
    unsigned n_taken = 0, n_refused = 0;
    uint32_t length, initials;
    bson_t all;
    size_t n;

    document_of_all(&all);
    n = all.len;
    ck_assert_uint_le(n, sizeof document);
    memcpy(document, bson_get_data(&all), n);
    bson_destroy(&all);
    for (size_t at = 0; at < n; at++) {
        uint8_t before = document[at];

        for (int value = 0; value < 256; value++) {
            bool is_right;

            document[at] = (uint8_t)value;
            is_right =
                stc_guard_bson(document, n, &length, &initials) == NULL;
            ck_assert_msg(is_right == is_bson(document, n),
                          "byte %zu as %d: %s", at, value,
                          is_right ? "taken" : "refused");
            n_taken += is_right;
            n_refused += !is_right;
        }
        document[at] = before;
    }
    ck_assert_uint_gt(n_taken, 10000);
    ck_assert_uint_gt(n_refused, 10000);
}
END_TEST

START_TEST(text_is_not_looked_at)
{
    static const char bytes[] = "\x02" "\xff\xc3\0" "\3\0\0\0" "\xff\xfe\0";
    struct bytes b = {0, {0}};
    uint32_t length, initials;

    bytes_put_int32(&b, 4 + sizeof bytes);
    bytes_put(&b, bytes, sizeof bytes);
    ck_assert_ptr_null(stc_guard_bson(b.data, b.n, &length, &initials));
}
END_TEST

SUITE(guard_bson)
{
    enum { N_BROKEN = sizeof broken / sizeof *broken };

    tcase_add_loop_test(tc, broken_bson, 0, N_BROKEN);
    tcase_add_test(tc, bson_of_every_type);
    tcase_add_test(tc, initials_of_a_document);
    tcase_add_test(tc, every_byte_as_every_other);
    tcase_add_test(tc, text_is_not_looked_at);
}
