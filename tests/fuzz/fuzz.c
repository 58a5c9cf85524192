/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.c - what a guard promises of any bytes.
 *
 * F1  What it takes is for the request, or for the reply before in a stream.
 * F2  What it takes the driver reads without leaving the message.
 * F3  It takes a document if and only if libbson reads it to its end. */
#include "tests/fuzz/replies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROMISE(condition)                                                     \
    do {                                                                       \
        if (!(condition))                                                      \
            broken(__LINE__, #condition);                                      \
    } while (0)

_Noreturn static void broken(int line, const char *condition)
{
    fprintf(stderr, "tests/fuzz/fuzz.c:%d: broken: %s\n", line, condition);
    abort();
}

/* ---- as the driver reads ----------------------------------------- */

static void use(const uint8_t *data, size_t n)
{
    bson_t b;

    PROMISE(bson_init_static(&b, data, n));
    PROMISE(is_bson(data, n));
    /* These may find what is no UTF-8, but must live to tell.  They are the
     * slowest part of all this. */
    if (data[n / 2] % 8 != 0)
        return;
    bson_validate(&b, BSON_VALIDATE_NONE, NULL);
    bson_free(bson_as_relaxed_extended_json(&b, NULL));
}

/* The driver reads sections as long as there are bytes, and has two places
 * for them. */
static void use_msg(const uint8_t *message, size_t length)
{
    size_t at = 20;
    int n_sections = 0;

    PROMISE((stc_get_uint32(message + 16) & 0xffff & ~2u) == 0);
    do {
        uint32_t n;

        PROMISE(length - at >= 6);
        PROMISE(message[at++] == 0);
        n = stc_get_uint32(message + at);
        PROMISE(n <= length - at);
        use(message + at, n);
        at += n;
        n_sections++;
    } while (at < length);
    PROMISE(n_sections == 1);
}

static void use_reply(const uint8_t *message, size_t length)
{
    uint32_t n_documents = stc_get_uint32(message + 32), n = 0;
    bson_reader_t *reader;
    const bson_t *b;
    bool is_end;

    PROMISE(length >= 36);
    reader = bson_reader_new_from_data(message + 36, length - 36);
    while ((b = bson_reader_read(reader, &is_end)) != NULL) {
        use(bson_get_data(b), b->len);
        n++;
    }
    PROMISE(is_end && n == n_documents);
    bson_reader_destroy(reader);
}

static void use_plain(const struct stc_guard *before, const uint8_t *message,
                      size_t length)
{
    int32_t to = stc_get_int32(message + 8);

    PROMISE(stc_get_uint32(message) == length);
    PROMISE(length <= STC_GUARD_MAX);
    PROMISE(to == before->request_id ||
            (before->is_streaming && to == before->reply_id)); /* F1 */
    PROMISE(stc_get_int32(message + 12) == before->reply);
    if (before->reply == STC_OP_MSG)
        use_msg(message, length);
    else
        use_reply(message, length);
}

/* ---- one input --------------------------------------------------- */

/* The documents of a message whose header passes. */
static void compare(const uint8_t *message, size_t length)
{
    size_t at = stc_get_int32(message + 12) == STC_OP_MSG ? 21 : 36;
    uint32_t n, initials;

    if (at < length) /* F3 */
        PROMISE(is_bson(message + at, length - at) ==
                (stc_guard_bson(message + at, length - at, &n, &initials) ==
                 NULL));
}

/* What a transport does with one whole message. */
static const char *take(struct stc_guard *g, const uint8_t *message,
                        uint32_t length)
{
    struct stc_guard before = *g;
    const uint8_t *out = message;
    uint8_t *plain;
    uint32_t n;
    const char *flaw = stc_guard_unpack(message, length, &plain, &n);

    if (flaw != NULL) {
        PROMISE(plain == NULL);
        return flaw;
    }
    if (plain != NULL) {
        out = plain;
        length = n;
    }
    compare(out, length);
    flaw = stc_guard_reply(g, out, length);
    if (flaw == NULL) {
        use_plain(&before, out, length);
        PROMISE(!g->awaits_reply || before.may_stream);
    } else {
        PROMISE(memcmp(g, &before, sizeof before) == 0);
    }
    free(plain);
    return flaw;
}

/* In memory of its own, so that a byte too far is noticed. */
static const char *take_copy(struct stc_guard *g, const uint8_t *message,
                             uint32_t length)
{
    uint8_t *copy = malloc(length);
    const char *flaw;

    memcpy(copy, message, length);
    flaw = take(g, copy, length);
    free(copy);
    return flaw;
}

/* Read the same, in whatever pieces it comes. */
static void try_request(const uint8_t *message, size_t n)
{
    struct iovec pieces[4] = {{NULL, 0}};
    size_t first = n < 16 ? n : 16;
    size_t second = n > 0 ? message[n / 2] % (n - first + 1) : 0;
    struct stc_guard whole, parts;
    struct iovec one;
    bool is_request;

    one.iov_base = (void *)(uintptr_t)message;
    one.iov_len = n;
    is_request = stc_guard_request(&whole, &one, 1);
    pieces[0] = one;
    pieces[0].iov_len = first;
    pieces[1].iov_base = (uint8_t *)one.iov_base + first;
    pieces[1].iov_len = second;
    pieces[3].iov_base = (uint8_t *)one.iov_base + first + second;
    pieces[3].iov_len = n - first - second;
    PROMISE(stc_guard_request(&parts, pieces, 4) == is_request);
    if (!is_request)
        return;
    PROMISE(stc_get_uint32(message) == n);
    PROMISE(whole.request_id == stc_get_int32(message + 4));
    PROMISE(whole.request_id == parts.request_id);
    PROMISE(whole.awaits_reply == parts.awaits_reply);
    PROMISE(whole.may_stream == parts.may_stream);
    PROMISE(whole.reply == parts.reply && whole.is_one == parts.is_one);
    PROMISE(memchr(whole.command, '\0', sizeof whole.command) != NULL);
}

struct outcome replies_try(const uint8_t *input, size_t n)
{
    struct outcome outcome = {0, NULL};
    struct stc_guard g;

    if (n == 0)
        return outcome;
    if (input[0] % N_ASKED == A_REQUEST) {
        try_request(input + 1, n - 1);
        return outcome;
    }
    ask(&g, (enum asked)(input[0] % N_ASKED));
    input++;
    n--;
    while (n >= STC_GUARD_HEADER) {
        uint32_t length;

        outcome.flaw = stc_guard_header(&g, input, &length);
        if (outcome.flaw != NULL)
            break;
        PROMISE(length >= STC_GUARD_HEADER && length <= STC_GUARD_MAX);
        if (length > n) /* a transport would wait for the rest */
            break;
        outcome.flaw = take_copy(&g, input, length);
        if (outcome.flaw != NULL)
            break;
        outcome.n_taken++;
        input += length;
        n -= length;
    }
    return outcome;
}

/* ---- seeds ------------------------------------------------------- */

static void put_request(struct bytes *b)
{
    size_t at = bytes_begin(b, REPLIES_ID, 0, STC_OP_MSG);
    uint8_t id[16] = "0123456789abcde";
    bson_t document, lsid;

    bson_init(&document);
    BSON_APPEND_UTF8(&document, "find", "c");
    BSON_APPEND_DOCUMENT_BEGIN(&document, "lsid", &lsid);
    BSON_APPEND_BINARY(&lsid, "id", BSON_SUBTYPE_UUID, id, sizeof id);
    bson_append_document_end(&document, &lsid);
    bytes_put_int32(b, 0);
    bytes_put(b, "", 1);
    bytes_put(b, bson_get_data(&document), document.len);
    bytes_end(b, at);
    bson_destroy(&document);
}

static void put_query(struct bytes *b, const bson_t *document)
{
    size_t at = bytes_begin(b, REPLIES_ID, 0, STC_OP_QUERY);

    bytes_put_int32(b, 0);
    bytes_put(b, "a.$cmd", 7);
    bytes_put_int32(b, 0);
    bytes_put_int32(b, -1);
    bytes_put(b, bson_get_data(document), document->len);
    bytes_end(b, at);
}

/* A cursor's first batch. */
static void document_batch(bson_t *out)
{
    bson_t cursor, batch, all;

    document_of_all(&all);
    bson_init(out);
    BSON_APPEND_DOCUMENT_BEGIN(out, "cursor", &cursor);
    BSON_APPEND_ARRAY_BEGIN(&cursor, "firstBatch", &batch);
    BSON_APPEND_DOCUMENT(&batch, "0", &all);
    BSON_APPEND_DOCUMENT(&batch, "1", &all);
    bson_append_array_end(&cursor, &batch);
    BSON_APPEND_INT64(&cursor, "id", 0);
    BSON_APPEND_UTF8(&cursor, "ns", "a.b");
    bson_append_document_end(out, &cursor);
    BSON_APPEND_DOUBLE(out, "ok", 1);
    bson_destroy(&all);
}

static void put_stream(struct bytes *b, const bson_t *document)
{
    enum { MORE_TO_COME = 2 };

    reply_msg(b, REPLIES_ID, MORE_TO_COME, document);
    reply_msg(b, REPLIES_ID + 1000, MORE_TO_COME, document); /* as mongod */
    reply_msg(b, REPLIES_ID, 0, document);                   /* as others */
}

static bool put_seed(unsigned i, struct bytes *b, const bson_t *ok,
                     const bson_t *all, const bson_t *batch,
                     const bson_t *deep)
{
    static const uint8_t asked[] = {
        ASKED_MSG,        ASKED_MSG,        ASKED_MSG,        ASKED_MSG,
        ASKED_STREAM,     ASKED_COMMAND,    ASKED_CURSOR,     ASKED_CURSOR,
        ASKED_EXHAUST,    ASKED_COMPRESSED, ASKED_COMPRESSED, ASKED_COMPRESSED,
        ASKED_COMPRESSED, ASKED_COMPRESSED, A_REQUEST,        A_REQUEST};

    if (i >= sizeof asked)
        return false;
    b->n = 0;
    bytes_put(b, &asked[i], 1);
    switch (i) {
    case 0:
    case 9:
        reply_msg(b, REPLIES_ID, 0, ok);
        break;
    case 1:
        reply_msg(b, REPLIES_ID, 0, all);
        break;
    case 2:
    case 10:
    case 11:
    case 12:
    case 13:
        reply_msg(b, REPLIES_ID, 0, batch);
        break;
    case 3:
        reply_msg(b, REPLIES_ID, 0, deep);
        break;
    case 4:
        put_stream(b, ok);
        break;
    case 5:
        reply_reply(b, 8, 0, 1, ok);
        break;
    case 6:
        reply_reply(b, 8, 77, 3, all);
        break;
    case 7:
        reply_reply(b, 1, 0, 0, NULL);
        break;
    case 8:
        reply_reply(b, 8, 77, 2, ok);
        reply_reply(b, 8, 0, 1, all);
        break;
    case 14:
        put_request(b);
        break;
    default:
        put_query(b, ok);
    }
    if (i >= 10 && i <= 13)
        reply_compress(b, b->n - 1, (uint8_t)(i - 10));
    return true;
}

bool replies_seed(unsigned i, struct bytes *out)
{
    bson_t ok, all, batch, deep;
    bool is_one;

    document_ok(&ok);
    document_of_all(&all);
    document_batch(&batch);
    document_deep(&deep, STC_GUARD_LEVELS);
    is_one = put_seed(i, out, &ok, &all, &batch, &deep);
    bson_destroy(&ok);
    bson_destroy(&all);
    bson_destroy(&batch);
    bson_destroy(&deep);
    return is_one;
}

/* ---- changes ----------------------------------------------------- */

static uint32_t draw(uint64_t *random, size_t below)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*random >> 33) % below);
}

/* Lengths are what a reader goes wrong by. */
static void change_length(struct bytes *b, size_t at, uint64_t *random)
{
    static const uint32_t values[] = {
        0,          1,          4,          5,         16,      0x7fffffff,
        0x80000000, 0xffffffff, 0xfffffffb, 47999984u, 48000000u};
    uint32_t value;

    if (at + 4 > b->n)
        return;
    value = stc_get_uint32(b->data + at);
    if (draw(random, 2) == 0)
        value += draw(random, 33) - 16;
    else
        value = values[draw(random, sizeof values / sizeof *values)];
    bytes_set_int32(b, at, (int32_t)value);
}

static void change_type(struct bytes *b, size_t at, uint64_t *random)
{
    static const uint8_t types[] = {0,  1,  2,  3,  4,  5,  6,    7,
                                    8,  9,  10, 11, 12, 13, 14,   15,
                                    16, 17, 18, 19, 20, 127, 0x80, 255};

    b->data[at] = types[draw(random, sizeof types)];
}

static void cut(struct bytes *b, size_t at, uint64_t *random)
{
    size_t n = 1 + draw(random, 8);

    if (n > b->n - at)
        n = b->n - at;
    memmove(b->data + at, b->data + at + n, b->n - at - n);
    b->n -= n;
}

/* Some bytes of it once more. */
static void repeat(struct bytes *b, size_t at, uint64_t *random)
{
    size_t n = 1 + draw(random, 64);

    if (n > b->n - at)
        n = b->n - at;
    if (b->n + n > sizeof b->data)
        return;
    memmove(b->data + at + n, b->data + at, b->n - at);
    b->n += n;
}

/* A length that tells the truth of the change, so that what is further in is
 * looked at: the first message's, and sometimes its document's. */
static void mend(struct bytes *b, uint64_t *random)
{
    if (b->n < 1 + STC_GUARD_HEADER)
        return;
    if (draw(random, 8) != 0)
        bytes_set_int32(b, 1, (int32_t)(b->n - 1));
    if (draw(random, 8) != 0 && b->data[0] % N_ASKED != A_REQUEST)
        bytes_set_int32(b, 9, REPLIES_ID);
    if (draw(random, 2) != 0 && b->n >= 1 + 26 &&
        stc_get_int32(b->data + 13) == STC_OP_MSG)
        bytes_set_int32(b, 1 + 21, (int32_t)(b->n - 1 - 21));
}

void replies_change(struct bytes *b, uint64_t *random)
{
    size_t before = b->n;
    size_t at;

    if (b->n <= 1)
        return;
    at = 1 + draw(random, b->n - 1);
    switch (draw(random, 8)) {
    case 0:
        b->data[at] ^= (uint8_t)(1u << draw(random, 8));
        break;
    case 1:
        b->data[at] = (uint8_t)draw(random, 256);
        break;
    case 2:
    case 3:
        change_length(b, at, random);
        break;
    case 4:
        change_type(b, at, random);
        break;
    case 5:
        cut(b, at, random);
        break;
    case 6:
        repeat(b, at, random);
        break;
    default:
        b->data[at] = 0;
    }
    if (b->n != before || draw(random, 4) == 0)
        mend(b, random);
}
