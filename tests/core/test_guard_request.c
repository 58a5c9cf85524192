/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard_request.c - what is read from a message on its way out. */
#include "tests/harness/suite.h"

#include <stdio.h>
#include <string.h>

#include "tests/fuzz/replies.h"

enum {
    NUMBER = 42,
    MORE_TO_COME = 1 << 1,
    EXHAUST_ALLOWED = 1 << 16,
    EXHAUST = 1 << 6
};

static bool read_all(struct stc_guard *g, struct bytes *b, size_t n)
{
    struct iovec iov = {b->data, n};

    memset(g, 0x55, sizeof *g); /* nothing of before may stay */
    return stc_guard_request(g, &iov, 1);
}

static void put_bson(struct bytes *b, const char *json)
{
    bson_t *d = bson_new_from_json((const uint8_t *)json, -1, NULL);

    ck_assert_ptr_nonnull(d);
    bytes_put(b, bson_get_data(d), d->len);
    bson_destroy(d);
}

static void put_msg(struct bytes *b, uint32_t flags, const char *json)
{
    b->n = 0;
    bytes_begin(b, NUMBER, 0, STC_OP_MSG);
    bytes_put_int32(b, (int32_t)flags);
    bytes_put(b, "", 1);
    put_bson(b, json);
    bytes_end(b, 0);
}

static void put_query(struct bytes *b, uint32_t flags, const char *ns,
                      const char *json)
{
    b->n = 0;
    bytes_begin(b, NUMBER, 0, STC_OP_QUERY);
    bytes_put_int32(b, (int32_t)flags);
    bytes_put(b, ns, strlen(ns) + 1);
    bytes_put_int32(b, 0);
    bytes_put_int32(b, -1);
    put_bson(b, json);
    bytes_end(b, 0);
}

START_TEST(a_command)
{
    static struct bytes b;
    struct stc_guard g;

    put_msg(&b, 0, "{\"insert\": \"c\", \"ordered\": true}");
    ck_assert(read_all(&g, &b, b.n));
    ck_assert_int_eq(g.request_id, NUMBER);
    ck_assert_int_eq(g.opcode, STC_OP_MSG);
    ck_assert_int_eq(g.reply, STC_OP_MSG);
    ck_assert(g.awaits_reply);
    ck_assert(!g.may_stream);
    ck_assert(!g.is_streaming);
    ck_assert(!g.is_one);
    ck_assert(g.is_ours);
    ck_assert(!g.has_lsid);
    ck_assert_str_eq(g.command, "insert");
}
END_TEST

START_TEST(flags_of_a_command)
{
    static struct bytes b;
    struct stc_guard g;

    put_msg(&b, MORE_TO_COME, "{\"insert\": \"c\"}");
    ck_assert(read_all(&g, &b, b.n));
    ck_assert(!g.awaits_reply);
    ck_assert(!g.may_stream);
    put_msg(&b, EXHAUST_ALLOWED, "{\"hello\": 1}");
    ck_assert(read_all(&g, &b, b.n));
    ck_assert(g.awaits_reply);
    ck_assert(g.may_stream);
    ck_assert(!g.is_ours);
}
END_TEST

static const struct {
    const char *name;
    bool is_ours;
} commands[] = {
    {"hello", false},
    {"isMaster", false},
    {"ismaster", false},
    {"saslStart", false},
    {"saslContinue", false},
    {"authenticate", false},
    {"getnonce", false},
    {"logout", false},
    {"ping", true},
    {"find", true},
    {"endSessions", true},
    {"Hello", true},
    {"hell", true},
    {"hellos", true},
    {"", true},
};

START_TEST(whose_a_command_is)
{
    static struct bytes b;
    struct stc_guard g;
    char json[64];

    snprintf(json, sizeof json, "{\"%s\": 1, \"hello\": 1}",
             commands[_i].name);
    put_msg(&b, 0, json);
    ck_assert(read_all(&g, &b, b.n));
    ck_assert_str_eq(g.command, commands[_i].name);
    ck_assert_int_eq(g.is_ours, commands[_i].is_ours);
    put_query(&b, 4, "admin.$cmd", json);
    ck_assert(read_all(&g, &b, b.n));
    ck_assert_str_eq(g.command, commands[_i].name);
    ck_assert_int_eq(g.is_ours, commands[_i].is_ours);
}
END_TEST

START_TEST(a_name_of_any_length)
{
    static struct bytes b;
    struct stc_guard g;

    put_msg(&b, 0, "{\"a23456789012345678901234567890b\": 1}");
    ck_assert(read_all(&g, &b, b.n));
    ck_assert_str_eq(g.command, "a23456789012345678901234567890b");
    put_msg(&b, 0, "{\"a234567890123456789012345678901b\": 1}");
    ck_assert(read_all(&g, &b, b.n));
    ck_assert_str_eq(g.command, "a234567890123456789012345678901");
    put_msg(&b, 0, "{}");
    ck_assert(read_all(&g, &b, b.n));
    ck_assert_str_eq(g.command, "");
    ck_assert(g.is_ours);
}
END_TEST

#define UUID "AAECAwQFBgcICQoLDA0ODw=="
#define LSID(type, bytes)                                                      \
    "{\"find\": \"c\", \"lsid\": {\"id\": {\"$binary\": {\"subType\": \"" type \
    "\", \"base64\": \"" bytes "\"}}}}"

START_TEST(a_session)
{
    static const char *const others[] = {
        "{\"find\": \"c\", \"lsid\": 1}",
        "{\"find\": \"c\", \"lsid\": {}}",
        "{\"find\": \"c\", \"lsid\": {\"id\": 1}}",
        "{\"find\": \"c\", \"filter\": {\"lsid\": {\"id\": 1}}}",
        LSID("00", UUID),
        LSID("04", "AAECAw=="),
    };
    static struct bytes b;
    struct stc_guard g;

    put_msg(&b, 0, LSID("04", UUID));
    ck_assert(read_all(&g, &b, b.n));
    ck_assert(g.has_lsid);
    for (uint8_t i = 0; i < 16; i++)
        ck_assert_uint_eq(g.lsid[i], i);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        put_msg(&b, 0, others[i]);
        ck_assert(read_all(&g, &b, b.n));
        ck_assert_msg(!g.has_lsid, "%s", others[i]);
        ck_assert_str_eq(g.command, "find");
    }
}
END_TEST

static void put_body(struct bytes *b)
{
    bytes_put(b, "", 1);
    put_bson(b, "{\"insert\": \"c\"}");
}

static void put_sequence(struct bytes *b)
{
    size_t at;

    bytes_put(b, "\1", 1);
    at = b->n;
    bytes_put_int32(b, 0);
    bytes_put(b, "documents", 10);
    put_bson(b, "{\"hello\": 1}");
    bytes_set_int32(b, at, (int32_t)(b->n - at));
}

/* The document of a sequence is not the command, wherever it stands. */
START_TEST(a_sequence)
{
    static struct bytes b;
    struct stc_guard g;

    for (int is_first = 0; is_first < 2; is_first++) {
        b.n = 0;
        bytes_begin(&b, NUMBER, 0, STC_OP_MSG);
        bytes_put_int32(&b, 0);
        if (is_first)
            put_sequence(&b);
        put_body(&b);
        if (!is_first)
            put_sequence(&b);
        bytes_end(&b, 0);
        ck_assert(read_all(&g, &b, b.n));
        ck_assert_str_eq(g.command, "insert");
        ck_assert(g.is_ours);
    }
}
END_TEST

START_TEST(a_query)
{
    static struct bytes b;
    struct stc_guard g;

    put_query(&b, 4, "admin.$cmd", "{\"isMaster\": 1}");
    ck_assert(read_all(&g, &b, b.n));
    ck_assert_int_eq(g.opcode, STC_OP_QUERY);
    ck_assert_int_eq(g.reply, STC_OP_REPLY);
    ck_assert(g.awaits_reply && g.is_one && !g.may_stream && !g.is_ours);
    put_query(&b, EXHAUST, "db.hello", "{\"isMaster\": 1}");
    ck_assert(read_all(&g, &b, b.n));
    ck_assert(g.awaits_reply && !g.is_one && g.may_stream && g.is_ours);
    ck_assert_str_eq(g.command, "");
    put_query(&b, 0, "$cmd", "{\"isMaster\": 1}");
    ck_assert(read_all(&g, &b, b.n));
    ck_assert(!g.is_one && g.is_ours);
}
END_TEST

START_TEST(what_has_no_answer)
{
    static const struct {
        enum stc_opcode opcode;
        bool awaits_reply;
    } cases[] = {{STC_OP_UPDATE, false},       {STC_OP_INSERT, false},
                 {STC_OP_DELETE, false},       {STC_OP_KILL_CURSORS, false},
                 {STC_OP_GET_MORE, true}};
    static struct bytes b;
    struct stc_guard g;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        b.n = 0;
        bytes_begin(&b, NUMBER, 0, cases[i].opcode);
        bytes_put_int32(&b, 0);
        bytes_end(&b, 0);
        ck_assert(read_all(&g, &b, b.n));
        ck_assert_int_eq(g.awaits_reply, cases[i].awaits_reply);
        ck_assert_int_eq(g.reply, STC_OP_REPLY);
        ck_assert(g.is_ours && !g.may_stream);
    }
}
END_TEST

START_TEST(a_compressed_request)
{
    static const struct {
        enum stc_opcode original, reply;
        bool awaits_reply, may_stream;
    } cases[] = {{STC_OP_MSG, STC_OP_MSG, true, false},
                 {STC_OP_QUERY, STC_OP_REPLY, true, true},
                 {STC_OP_GET_MORE, STC_OP_REPLY, true, true},
                 {STC_OP_KILL_CURSORS, STC_OP_REPLY, false, false}};
    static struct bytes b;
    struct stc_guard g;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_msg(&b, 0, "{\"hello\": 1}");
        bytes_set_int32(&b, 12, cases[i].original);
        reply_compress(&b, b.n, 2);
        ck_assert(read_all(&g, &b, b.n));
        ck_assert_int_eq(g.request_id, NUMBER);
        ck_assert_int_eq(g.opcode, STC_OP_COMPRESSED);
        ck_assert_int_eq(g.reply, cases[i].reply);
        ck_assert_int_eq(g.awaits_reply, cases[i].awaits_reply);
        ck_assert_int_eq(g.may_stream, cases[i].may_stream);
        ck_assert(g.is_ours && !g.is_one);
        ck_assert_str_eq(g.command, "");
    }
}
END_TEST

/* The driver gives each field a piece of its own; some may be empty. */
START_TEST(in_pieces)
{
    static struct bytes b;
    struct stc_guard g, whole;
    struct iovec iov[16] = {{NULL, 0}};
    size_t n = 0, at = 0;

    put_msg(&b, 0, LSID("04", UUID));
    ck_assert(read_all(&whole, &b, b.n));
    for (; at < 20; at += 4)
        iov[n++] = (struct iovec){b.data + at, 4};
    iov[n++] = (struct iovec){b.data + at++, 1};
    iov[n++] = (struct iovec){b.data, 0};
    iov[n++] = (struct iovec){b.data + at, b.n - at};
    n++; /* empty */
    memset(&g, 0, sizeof g);
    ck_assert(stc_guard_request(&g, iov, n));
    ck_assert_mem_eq(&g, &whole, sizeof g);
    /* A command in two: it is ours, whatever it says. */
    iov[n - 2].iov_len -= 9;
    iov[n - 1] = (struct iovec){b.data + b.n - 9, 9};
    ck_assert(stc_guard_request(&g, iov, n));
    ck_assert(g.is_ours && g.awaits_reply && !g.has_lsid);
    ck_assert_str_eq(g.command, "");
    ck_assert(!stc_guard_request(&g, iov, n - 1));
    ck_assert(!stc_guard_request(&g, iov, 0));
}
END_TEST

/* No part of a message is one, nor a message and more. */
START_TEST(parts)
{
    static struct bytes all[3];
    struct stc_guard g;

    put_msg(&all[0], 0, LSID("04", UUID));
    put_query(&all[1], 0, "admin.$cmd", "{\"isMaster\": 1}");
    put_msg(&all[2], 0, "{\"ping\": 1}");
    reply_compress(&all[2], all[2].n, 0);
    for (size_t i = 0; i < 3; i++) {
        struct bytes *b = &all[i];

        ck_assert(!read_all(&g, b, b->n + 1));
        for (size_t n = 0; n < b->n; n++)
            ck_assert(!read_all(&g, b, n));
    }
    /* .. nor one that is whole but for what it says within. */
    for (size_t n = 16; n < 26; n++) {
        bytes_set_int32(&all[0], 0, (int32_t)n);
        ck_assert_msg(!read_all(&g, &all[0], n), "%zu", n);
    }
    for (size_t n = 16; n < 44; n++) {
        bytes_set_int32(&all[1], 0, (int32_t)n);
        ck_assert_msg(!read_all(&g, &all[1], n), "%zu", n);
    }
    for (size_t n = 16; n < 25; n++) {
        bytes_set_int32(&all[2], 0, (int32_t)n);
        ck_assert_msg(!read_all(&g, &all[2], n), "%zu", n);
    }
}
END_TEST

START_TEST(no_message)
{
    static struct bytes b;
    struct stc_guard g;

    put_msg(&b, 0, "{\"ping\": 1}");
    bytes_set_int32(&b, 12, 4711);
    ck_assert(!read_all(&g, &b, b.n));
    bytes_set_int32(&b, 12, STC_OP_REPLY);
    ck_assert(!read_all(&g, &b, b.n));
    put_msg(&b, 0, "{\"ping\": 1}");
    b.data[20] = 2; /* a section of no kind */
    ck_assert(!read_all(&g, &b, b.n));
    put_body(&b); /* .. whatever comes after */
    bytes_end(&b, 0);
    ck_assert(!read_all(&g, &b, b.n));
    put_msg(&b, 0, "{\"ping\": 1}");
    b.data[20] = 1; /* a sequence that is longer than the message */
    bytes_set_int32(&b, 21, 1000);
    ck_assert(!read_all(&g, &b, b.n));
    bytes_set_int32(&b, 21, 3); /* .. or shorter than its own length */
    ck_assert(!read_all(&g, &b, b.n));
    put_msg(&b, 0, "{\"ping\": 1}");
    bytes_set_int32(&b, 21, 4);
    ck_assert(!read_all(&g, &b, b.n));
}
END_TEST

SUITE(guard_request)
{
    enum { N_COMMANDS = sizeof commands / sizeof *commands };

    tcase_add_test(tc, a_command);
    tcase_add_test(tc, flags_of_a_command);
    tcase_add_loop_test(tc, whose_a_command_is, 0, N_COMMANDS);
    tcase_add_test(tc, a_name_of_any_length);
    tcase_add_test(tc, a_session);
    tcase_add_test(tc, a_sequence);
    tcase_add_test(tc, a_query);
    tcase_add_test(tc, what_has_no_answer);
    tcase_add_test(tc, a_compressed_request);
    tcase_add_test(tc, in_pieces);
    tcase_add_test(tc, parts);
    tcase_add_test(tc, no_message);
}
