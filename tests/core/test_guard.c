/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard.c - each rule of the guard, broken alone. */
#include "tests/harness/suite.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/replies.h"

enum { ID = REPLIES_ID, SOME_OTHER_ID = 6 };

/* ---- a message of one kind, with something done to it ------------- */

static struct bytes *message(enum asked asked)
{
    static struct bytes b;
    bson_t ok;

    b.n = 0;
    document_ok(&ok);
    if (asked == ASKED_COMMAND || asked == ASKED_EXHAUST)
        reply_reply(&b, 8, 0, 1, &ok);
    else if (asked == ASKED_CURSOR)
        reply_reply(&b, 8, 77, 3, &ok);
    else
        reply_msg(&b, ID, 0, &ok);
    bson_destroy(&ok);
    return &b;
}

/* As a transport has it: NULL or what is wrong. */
static const char *judge_by(struct stc_guard *g, const struct bytes *b)
{
    const char *flaw;
    uint8_t *plain;
    uint32_t n, plain_n;

    ck_assert_uint_ge(b->n, STC_GUARD_HEADER);
    flaw = stc_guard_header(g, b->data, &n);
    if (flaw != NULL)
        return flaw;
    if (n > b->n)
        return "waits for the rest";
    flaw = stc_guard_unpack(b->data, n, &plain, &plain_n);
    if (flaw == NULL && plain == NULL)
        flaw = stc_guard_reply(g, b->data, n);
    else if (flaw == NULL)
        flaw = stc_guard_reply(g, plain, plain_n);
    free(plain);
    return flaw;
}

static const char *judge(enum asked asked, const struct bytes *b)
{
    struct stc_guard g;

    ask(&g, asked);
    return judge_by(&g, b);
}

static void ck_taken(enum asked asked, const struct bytes *b)
{
    const char *flaw = judge(asked, b);

    ck_assert_msg(flaw == NULL, "refused: %s", flaw);
}

static void ck_refused(enum asked asked, const struct bytes *b,
                       const char *flaw)
{
    const char *found = judge(asked, b);

    ck_assert_msg(found != NULL, "taken, and not refused: %s", flaw);
    ck_assert_str_eq(found, flaw);
}

/* ---- the header -------------------------------------------------- */

/* One word of a right message is another, and that is all that is wrong. */
static const struct {
    enum asked asked;
    size_t at;
    int32_t value;
    const char *flaw;
} words[] = {
    {ASKED_MSG, 0, 0, "the reply is shorter than its header"},
    {ASKED_MSG, 0, 15, "the reply is shorter than its header"},
    {ASKED_MSG, 0, 16, "the reply has no section"},
    {ASKED_MSG, 0, 21, "the reply has no section"},
    {ASKED_MSG, 0, 22, "the reply is corrupt BSON"},
    {ASKED_MSG, 0, 48000001, "the reply is longer than a message may be"},
    {ASKED_MSG, 0, -1, "the reply is longer than a message may be"},
    {ASKED_MSG, 0, INT32_MIN, "the reply is longer than a message may be"},
    {ASKED_MSG, 8, ID + 1, "the reply is for another request"},
    {ASKED_MSG, 8, 0, "the reply is for another request"},
    {ASKED_MSG, 12, STC_OP_REPLY,
     "the reply is of the wrong kind for its request"},
    {ASKED_MSG, 12, STC_OP_QUERY,
     "the reply is of the wrong kind for its request"},
    {ASKED_MSG, 12, STC_OP_UPDATE,
     "the reply is of the wrong kind for its request"},
    {ASKED_MSG, 12, 0, "the reply is of the wrong kind for its request"},
    {ASKED_MSG, 12, 4711, "the reply is of the wrong kind for its request"},
    {ASKED_COMMAND, 12, STC_OP_MSG,
     "the reply is of the wrong kind for its request"},
    {ASKED_NOTHING, 0, 38, "the reply was not asked for"},
    /* flags */
    {ASKED_MSG, 16, 1, "the reply has a checksum, which was not asked for"},
    {ASKED_MSG, 16, 2, "the reply says that more is to come, unasked"},
    {ASKED_COMPRESSED, 16, 2, "the reply says that more is to come, unasked"},
    {ASKED_MSG, 16, 4, "the reply has a flag that is not known and must be"},
    {ASKED_MSG, 16, 0x8000,
     "the reply has a flag that is not known and must be"},
    {ASKED_STREAM, 16, 6, "the reply has a flag that is not known and must be"},
    /* documents */
    {ASKED_MSG, 21, 4, "the reply is corrupt BSON"},
    {ASKED_MSG, 21, 16, "the reply is corrupt BSON"},
    {ASKED_MSG, 21, 18, "the reply is corrupt BSON"},
    {ASKED_MSG, 21, -1, "the reply is corrupt BSON"},
    {ASKED_COMMAND, 0, 35, "the reply is too short"},
    {ASKED_COMMAND, 0, 36, "the reply holds fewer documents than it says"},
    {ASKED_COMMAND, 0, 37, "the reply is corrupt BSON"},
    {ASKED_COMMAND, 32, 0, "the reply to a command is not one document"},
    {ASKED_COMMAND, 32, 2, "the reply to a command is not one document"},
    {ASKED_CURSOR, 32, 0, "the reply holds more than the documents it says"},
    {ASKED_CURSOR, 32, 2, "the reply holds more than the documents it says"},
    {ASKED_CURSOR, 32, 4, "the reply holds fewer documents than it says"},
    {ASKED_CURSOR, 32, -1, "the reply holds fewer documents than it says"},
    {ASKED_CURSOR, 36, 18, "the reply is corrupt BSON"},
};

START_TEST(one_word_is_wrong)
{
    struct bytes *b = message(words[_i].asked);

    if (words[_i].asked != ASKED_NOTHING)
        ck_taken(words[_i].asked, b);
    bytes_set_int32(b, words[_i].at, words[_i].value);
    ck_refused(words[_i].asked, b, words[_i].flaw);
}
END_TEST

START_TEST(a_word_that_is_free_to_be_any)
{
    static const struct {
        enum asked asked;
        size_t at;
        int32_t value;
    } free_words[] = {
        {ASKED_MSG, 4, -1},            /* its own number */
        {ASKED_MSG, 16, 1 << 16},      /* flags that may be not known */
        {ASKED_MSG, 16, INT32_MIN},    /* likewise */
        {ASKED_COMMAND, 16, 0},        /* AwaitCapable */
        {ASKED_CURSOR, 20, 1},         /* cursor */
        {ASKED_CURSOR, 28, 1},         /* starting from */
    };

    for (size_t i = 0; i < sizeof free_words / sizeof *free_words; i++) {
        struct bytes *b = message(free_words[i].asked);

        bytes_set_int32(b, free_words[i].at, free_words[i].value);
        ck_taken(free_words[i].asked, b);
    }
}
END_TEST

START_TEST(a_message_of_the_largest_size)
{
    struct stc_guard g;
    uint32_t length;
    struct bytes *b = message(ASKED_MSG);

    ask(&g, ASKED_MSG);
    bytes_set_int32(b, 0, STC_GUARD_MAX);
    ck_assert_ptr_null(stc_guard_header(&g, b->data, &length));
    ck_assert_uint_eq(length, STC_GUARD_MAX);
}
END_TEST

/* Whoever hands over other bytes than the header told of is told. */
START_TEST(a_message_that_is_not_of_its_length)
{
    struct bytes *b = message(ASKED_MSG);
    struct stc_guard g;

    ask(&g, ASKED_MSG);
    ck_assert_str_eq(stc_guard_reply(&g, b->data, (uint32_t)b->n - 1),
                     "the reply is not of its length");
    ck_assert_str_eq(stc_guard_reply(&g, b->data, 15),
                     "the reply is too short");
    ck_assert_ptr_null(stc_guard_reply(&g, b->data, (uint32_t)b->n));
}
END_TEST

/* ---- sections ---------------------------------------------------- */

static void put_section(struct bytes *b, uint8_t kind)
{
    static const char sequence[] = "\x19\0\0\0d\0";
    bson_t ok;

    document_ok(&ok);
    bytes_put(b, &kind, 1);
    if (kind == 1)
        bytes_put(b, sequence, 6);
    bytes_put(b, bson_get_data(&ok), ok.len);
    bson_destroy(&ok);
}

START_TEST(sections)
{
    static const struct {
        uint8_t kinds[3];
        size_t n;
        const char *flaw;
    } cases[] = {
        {{0}, 1, NULL},
        {{0}, 0, "the reply has no section"},
        {{0, 0}, 2, "the reply has more than its one section"},
        {{0, 1}, 2, "the reply has more than its one section"},
        {{0, 1, 1}, 3, "the reply has more than its one section"},
        {{1}, 1, "the reply's first section is not a document"},
        {{1, 0}, 2, "the reply's first section is not a document"},
        {{2}, 1, "the reply's first section is not a document"},
        {{255}, 1, "the reply's first section is not a document"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes b = {0, {0}};
        size_t at = bytes_begin(&b, 1, ID, STC_OP_MSG);

        bytes_put_int32(&b, 0);
        for (size_t k = 0; k < cases[i].n; k++)
            put_section(&b, cases[i].kinds[k]);
        bytes_end(&b, at);
        if (cases[i].flaw == NULL)
            ck_taken(ASKED_MSG, &b);
        else
            ck_refused(ASKED_MSG, &b, cases[i].flaw);
    }
}
END_TEST

/* ---- a failure as old servers tell it ----------------------------- */

static void ck_failure(uint32_t flags, const char *json, const char *flaw)
{
    bson_t *document = bson_new_from_json((const uint8_t *)json, -1, NULL);
    struct bytes b = {0, {0}};

    ck_assert_ptr_nonnull(document);
    reply_reply(&b, flags, 0, 1, document);
    bson_destroy(document);
    if (flaw == NULL)
        ck_taken(ASKED_CURSOR, &b);
    else
        ck_refused(ASKED_CURSOR, &b, flaw);
}

/* Only of a failure is the document an answer: else it is a user's. */
START_TEST(a_failure_with_the_code_0)
{
    ck_failure(2, "{\"$err\": \"x\", \"code\": 11600}", NULL);
    ck_failure(0, "{\"code\": 0}", NULL);
    ck_failure(2, "{\"$err\": \"x\", \"code\": 0}",
               "the reply has an error code of 0");
}
END_TEST

/* ---- streams ----------------------------------------------------- */

enum { MORE_TO_COME = 2, MORE_ID = ID + 1000 };

static struct bytes *streamed(int32_t response_to, uint32_t flags)
{
    static struct bytes b;
    bson_t ok;

    b.n = 0;
    document_ok(&ok);
    reply_msg(&b, response_to, flags, &ok);
    bson_destroy(&ok);
    return &b;
}

START_TEST(a_stream_of_replies)
{
    struct stc_guard g;

    ask(&g, ASKED_STREAM);
    ck_assert_ptr_null(judge_by(&g, streamed(ID, MORE_TO_COME)));
    ck_assert(g.awaits_reply);
    /* For the one before, as mongod has it, or for the request. */
    ck_assert_ptr_null(judge_by(&g, streamed(MORE_ID, MORE_TO_COME)));
    ck_assert_str_eq(judge_by(&g, streamed(MORE_ID, MORE_TO_COME)),
                     "the reply is for another request");
    ck_assert_ptr_null(judge_by(&g, streamed(MORE_ID + 1000, MORE_TO_COME)));
    ck_assert_ptr_null(judge_by(&g, streamed(ID, MORE_TO_COME)));
    ck_assert(g.awaits_reply);
    ck_assert_ptr_null(judge_by(&g, streamed(ID, 0)));
    ck_assert(!g.awaits_reply);
    ck_assert_str_eq(judge_by(&g, streamed(ID, 0)),
                     "the reply was not asked for");
}
END_TEST

/* Before a stream has begun there is no reply before. */
START_TEST(a_stream_that_has_not_begun)
{
    struct stc_guard g;

    ask(&g, ASKED_STREAM);
    ck_assert_str_eq(judge_by(&g, streamed(0, 0)),
                     "the reply is for another request");
    ck_assert_ptr_null(judge_by(&g, streamed(ID, 0)));
    ck_assert(!g.awaits_reply);
}
END_TEST

static const char *judge_batch(struct stc_guard *g, uint32_t flags,
                               int64_t cursor)
{
    struct bytes b = {0, {0}};
    bson_t ok;

    document_ok(&ok);
    reply_reply(&b, flags, cursor, 1, &ok);
    bson_destroy(&ok);
    return judge_by(g, &b);
}

START_TEST(an_exhaust_cursor)
{
    struct stc_guard g;

    ask(&g, ASKED_EXHAUST);
    ck_assert_ptr_null(judge_batch(&g, 8, (int64_t)1 << 40));
    ck_assert(g.awaits_reply);
    ck_assert_int_eq(g.reply_id, MORE_ID);
    ck_assert_ptr_null(judge_batch(&g, 8, 0)); /* the end */
    ck_assert(!g.awaits_reply);
    ask(&g, ASKED_EXHAUST);
    ck_assert_ptr_null(judge_batch(&g, 1, 77)); /* no such cursor */
    ck_assert(!g.awaits_reply);
    ask(&g, ASKED_EXHAUST);
    ck_assert_ptr_null(judge_batch(&g, 2, 77)); /* it failed */
    ck_assert(!g.awaits_reply);
    ask(&g, ASKED_CURSOR); /* a cursor that does not stream */
    ck_assert_ptr_null(judge_batch(&g, 8, 77));
    ck_assert(!g.awaits_reply);
}
END_TEST

/* ---- compressed -------------------------------------------------- */

/* Where its fields are. */
enum { ORIGINAL = 16, SIZE = 20, COMPRESSOR = 24, PACKED = 25 };

static struct bytes *compressed(uint8_t compressor)
{
    struct bytes *b = message(ASKED_MSG);

    reply_compress(b, b->n, compressor);
    return b;
}

START_TEST(compressed_replies)
{
    struct bytes before = *message(ASKED_MSG);
    struct bytes *b = compressed((uint8_t)_i);
    uint8_t *plain;
    uint32_t n;

    ck_taken(ASKED_COMPRESSED, b);
    ck_taken(ASKED_MSG, b);
    ck_assert_ptr_null(stc_guard_unpack(b->data, (uint32_t)b->n, &plain, &n));
    ck_assert_mem_eq(plain, before.data, before.n);
    ck_assert_uint_eq(n, before.n);
    free(plain);
}
END_TEST

START_TEST(compressed_with_a_lie)
{
    static const int32_t sizes[] = {1, 21, 23, 1000, 47999984};
    static const char flaw[] = "the reply does not unpack to the size it says";
    static const char no_size[] = "the reply unpacks to a size that no message"
                                  " has";
    struct bytes *b;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        b = compressed((uint8_t)_i);
        bytes_set_int32(b, SIZE, sizes[i]);
        ck_refused(ASKED_COMPRESSED, b, flaw);
    }
    b = compressed((uint8_t)_i);
    bytes_set_int32(b, SIZE, 0);
    ck_refused(ASKED_COMPRESSED, b, no_size);
    bytes_set_int32(b, SIZE, 47999985);
    ck_refused(ASKED_COMPRESSED, b, no_size);
    bytes_set_int32(b, SIZE, -1);
    ck_refused(ASKED_COMPRESSED, b, no_size);
    /* A byte too many, a byte too few, none. */
    b = compressed((uint8_t)_i);
    bytes_put(b, "", 1);
    bytes_end(b, 0);
    ck_refused(ASKED_COMPRESSED, b, flaw);
    b->n -= 2;
    bytes_end(b, 0);
    ck_refused(ASKED_COMPRESSED, b, flaw);
    b->n = PACKED;
    bytes_end(b, 0);
    ck_refused(ASKED_COMPRESSED, b, "the reply is compressed, and empty");
}
END_TEST

START_TEST(compressed_is_looked_into)
{
    struct bytes *b = compressed(0);

    b->data[COMPRESSOR] = 4;
    ck_refused(ASKED_COMPRESSED, b,
               "the reply is compressed in an unknown way");
    b = compressed(0);
    bytes_set_int32(b, ORIGINAL, STC_OP_REPLY);
    ck_refused(ASKED_COMPRESSED, b,
               "the reply is of the wrong kind for its request");
    b = compressed(0);
    bytes_set_int32(b, ORIGINAL, STC_OP_COMPRESSED);
    ck_refused(ASKED_COMPRESSED, b,
               "the reply is not what it says it unpacks to");
    b = compressed(0);
    bytes_set_int32(b, PACKED, 4); /* the flags within */
    ck_refused(ASKED_COMPRESSED, b,
               "the reply has a flag that is not known and must be");
    b = compressed(0);
    bytes_set_int32(b, PACKED + 5, 18); /* the document's length */
    ck_refused(ASKED_COMPRESSED, b, "the reply is corrupt BSON");
    b = message(ASKED_COMMAND);
    reply_compress(b, b->n, 2);
    ck_taken(ASKED_COMMAND, b);
}
END_TEST

/* ---- nested ------------------------------------------------------- */

START_TEST(as_deep_as_may_be)
{
    struct bytes b = {0, {0}};
    bson_t deep;

    document_deep(&deep, STC_GUARD_LEVELS);
    reply_msg(&b, ID, 0, &deep);
    ck_taken(ASKED_MSG, &b);
    bson_destroy(&deep);
    b.n = 0;
    document_deep(&deep, STC_GUARD_LEVELS + 1);
    reply_msg(&b, ID, 0, &deep);
    ck_refused(ASKED_MSG, &b, "the reply is nested more than 256 levels deep");
    bson_destroy(&deep);
}
END_TEST

/* Siblings are no levels. */
START_TEST(as_wide_as_it_likes)
{
    struct bytes b = {0, {0}};
    bson_t wide, empty;

    bson_init(&empty);
    bson_init(&wide);
    for (int i = 0; i < 3 * STC_GUARD_LEVELS; i++)
        BSON_APPEND_DOCUMENT(&wide, "d", &empty);
    reply_msg(&b, ID, 0, &wide);
    ck_taken(ASKED_MSG, &b);
    bson_destroy(&wide);
    bson_destroy(&empty);
}
END_TEST

/* ---- what a hostile server answers -------------------------------- */

/* What the driver made of it without a guard. */
enum harm { NO_HARM, WRONG, DEATH };

static void put_garbage(struct bytes *b)
{
    bytes_put(b, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
}

static void put_body(struct bytes *b, enum stc_opcode opcode,
                     const char *bytes, size_t n)
{
    size_t at = bytes_begin(b, 1, ID, opcode);

    bytes_put(b, bytes, n);
    bytes_end(b, at);
}

/* An inner string that is longer than its document. */
static void put_inner(struct bytes *b)
{
    static const char bytes[] = "\0\0\0\0" "\0" "\x1a\0\0\0"
                                "\x02" "a\0" "\xff\0\0\0" "x\0"
                                "\x01" "ok\0" "\0\0\0\0\0\0\xf0\x3f";

    put_body(b, STC_OP_MSG, bytes, sizeof bytes);
}

static const char not_whole[] = "waits for the rest";

static const struct {
    const char *name;
    enum harm harm;
    const char *flaw; /* not_whole: never handed over, whatever comes after */
} kinds[] = {
    {"right", NO_HARM, NULL},
    {"reset amid the reply", NO_HARM, not_whole},
    {"closed amid the reply", NO_HARM, not_whole},
    {"closed without one", NO_HARM, not_whole},
    {"garbage", NO_HARM, "the reply is longer than a message may be"},
    {"a huge length", NO_HARM, "the reply is longer than a message may be"},
    {"no length", NO_HARM, "the reply is shorter than its header"},
    {"a random body", DEATH,
     "the reply has a flag that is not known and must be"},
    {"an OP_REPLY for an OP_MSG", DEATH,
     "the reply is of the wrong kind for its request"},
    {"no section", DEATH, "the reply has no section"},
    {"a document longer than its message", DEATH, "the reply is corrupt BSON"},
    {"compressed, of a size that lies", DEATH,
     "the reply does not unpack to the size it says"},
    {"an unknown opcode", NO_HARM,
     "the reply is of the wrong kind for its request"},
    {"an OP_QUERY", NO_HARM, "the reply is of the wrong kind for its request"},
    {"for another request", WRONG, "the reply is for another request"},
    {"two to one request", WRONG, "the reply is for another request"},
    {"a string longer than its document", WRONG, "the reply is corrupt BSON"},
    {"more is to come", WRONG, "the reply says that more is to come, unasked"},
    {"a large length, then silence", NO_HARM, not_whole},
    {"four bytes, then silence", NO_HARM, not_whole},
    {"a byte at a time", NO_HARM, NULL},
};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

static void put_kind(struct bytes *b, int i)
{
    *b = *message(ASKED_MSG);
    switch (i) {
    case 1:
    case 2:
        b->n -= 7;
        break;
    case 3:
    case 19:
        b->n = i == 3 ? 0 : 4;
        break;
    case 4:
        b->n = 0;
        put_garbage(b);
        break;
    case 5:
        bytes_set_int32(b, 0, 0x7fffffff);
        break;
    case 6:
        bytes_set_int32(b, 0, 0);
        break;
    case 7:
        b->n = 0;
        put_body(b, STC_OP_MSG, "\x9c\x27\xe0\x11 a random body \xff\xff", 22);
        break;
    case 8:
        *b = *message(ASKED_COMMAND);
        break;
    case 9:
        b->n = 20;
        bytes_end(b, 0);
        break;
    case 10:
        bytes_set_int32(b, 21, 4096);
        break;
    case 11:
        *b = *compressed(2);
        bytes_set_int32(b, SIZE, 1000);
        break;
    case 12:
        bytes_set_int32(b, 12, 9999);
        break;
    case 13:
        bytes_set_int32(b, 12, STC_OP_QUERY);
        break;
    case 14:
        bytes_set_int32(b, 8, ID + 100);
        break;
    case 15: /* the second, met by the next request */
        bytes_set_int32(b, 8, SOME_OTHER_ID);
        break;
    case 16:
        b->n = 0;
        put_inner(b);
        break;
    case 17:
        bytes_set_int32(b, 16, MORE_TO_COME);
        break;
    case 18:
        bytes_set_int32(b, 0, STC_GUARD_MAX);
        break;
    default:
        break;
    }
}

/* Every part of it, from the first byte on: nothing is handed over, and
 * nothing refused, before it is known to be wrong. */
static const char *judge_as_it_comes(const struct bytes *b)
{
    struct stc_guard g;
    uint32_t length;
    const char *flaw;

    ask(&g, ASKED_MSG);
    if (b->n < STC_GUARD_HEADER)
        return not_whole;
    flaw = stc_guard_header(&g, b->data, &length);
    if (flaw != NULL)
        return flaw;
    for (size_t n = STC_GUARD_HEADER; n < length; n++)
        if (n == b->n)
            return not_whole;
    return judge_by(&g, b);
}

START_TEST(kinds_of_replies)
{
    struct bytes b;
    const char *flaw;

    put_kind(&b, _i);
    flaw = judge_as_it_comes(&b);
    if (kinds[_i].flaw == NULL)
        ck_assert_msg(flaw == NULL, "%s: %s", kinds[_i].name, flaw);
    else
        ck_assert_msg(flaw != NULL && strcmp(flaw, kinds[_i].flaw) == 0,
                      "%s: %s", kinds[_i].name, flaw ? flaw : "taken");
}
END_TEST

START_TEST(there_are_21_kinds)
{
    int n[3] = {0};

    for (int i = 0; i < N_KINDS; i++)
        n[kinds[i].harm]++;
    ck_assert_int_eq(N_KINDS, 21);
    ck_assert_int_eq(n[DEATH], 5);
    ck_assert_int_eq(n[WRONG], 4);
}
END_TEST

SUITE(guard)
{
    enum { N_WORDS = sizeof words / sizeof *words };

    tcase_add_loop_test(tc, one_word_is_wrong, 0, N_WORDS);
    tcase_add_test(tc, a_word_that_is_free_to_be_any);
    tcase_add_test(tc, a_message_of_the_largest_size);
    tcase_add_test(tc, a_message_that_is_not_of_its_length);
    tcase_add_test(tc, sections);
    tcase_add_test(tc, a_failure_with_the_code_0);
    tcase_add_test(tc, a_stream_of_replies);
    tcase_add_test(tc, a_stream_that_has_not_begun);
    tcase_add_test(tc, an_exhaust_cursor);
    tcase_add_loop_test(tc, compressed_replies, 0, 4);
    tcase_add_loop_test(tc, compressed_with_a_lie, 0, 4);
    tcase_add_test(tc, compressed_is_looked_into);
    tcase_add_test(tc, as_deep_as_may_be);
    tcase_add_test(tc, as_wide_as_it_likes);
    tcase_add_loop_test(tc, kinds_of_replies, 0, N_KINDS);
    tcase_add_test(tc, there_are_21_kinds);
}
