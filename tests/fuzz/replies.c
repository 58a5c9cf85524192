/* SPDX-License-Identifier: Apache-2.0 */
/* replies.c - messages built by hand. */
#include "tests/fuzz/replies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

/* ---- made -------------------------------------------------------- */

void bytes_put(struct bytes *b, const void *data, size_t n)
{
    if (n > sizeof b->data - b->n) {
        fprintf(stderr, "replies.c: a message of more than %zu bytes\n",
                sizeof b->data);
        abort();
    }
    memcpy(b->data + b->n, data, n);
    b->n += n;
}

void bytes_set_int32(struct bytes *b, size_t at, int32_t value)
{
    for (int i = 0; i < 4; i++)
        b->data[at + i] = (uint8_t)((uint32_t)value >> 8 * i);
}

void bytes_put_int32(struct bytes *b, int32_t value)
{
    bytes_put(b, "\0\0\0", 4);
    bytes_set_int32(b, b->n - 4, value);
}

size_t bytes_begin(struct bytes *b, int32_t request_id, int32_t response_to,
                   enum stc_opcode opcode)
{
    size_t at = b->n;

    bytes_put_int32(b, 0);
    bytes_put_int32(b, request_id);
    bytes_put_int32(b, response_to);
    bytes_put_int32(b, opcode);
    return at;
}

void bytes_end(struct bytes *b, size_t at)
{
    bytes_set_int32(b, at, (int32_t)(b->n - at));
}

static void put_document(struct bytes *b, const bson_t *document)
{
    bytes_put(b, bson_get_data(document), document->len);
}

void reply_msg(struct bytes *b, int32_t response_to, uint32_t flags,
               const bson_t *document)
{
    size_t at = bytes_begin(b, response_to + 1000, response_to, STC_OP_MSG);

    bytes_put_int32(b, (int32_t)flags);
    bytes_put(b, "", 1);
    put_document(b, document);
    bytes_end(b, at);
}

void reply_reply(struct bytes *b, uint32_t flags, int64_t cursor, uint32_t n,
                 const bson_t *document)
{
    size_t at = bytes_begin(b, REPLIES_ID + 1000, REPLIES_ID, STC_OP_REPLY);

    bytes_put_int32(b, (int32_t)flags);
    bytes_put_int32(b, (int32_t)cursor);
    bytes_put_int32(b, (int32_t)(cursor >> 32));
    bytes_put_int32(b, 0);
    bytes_put_int32(b, (int32_t)n);
    while (n-- > 0)
        put_document(b, document);
    bytes_end(b, at);
}

static size_t compress_(uint8_t compressor, const uint8_t *from, size_t n,
                        uint8_t *to, size_t room)
{
    uLongf length = room;

    switch (compressor) {
    case 0:
        memcpy(to, from, n);
        return n;
    case 1:
        return snappy_compress((const char *)from, n, (char *)to, &room) ==
                       SNAPPY_OK
                   ? room
                   : 0;
    case 2:
        return compress(to, &length, from, n) == Z_OK ? length : 0;
    default:
        return ZSTD_compress(to, room, from, n, 1);
    }
}

void reply_compress(struct bytes *b, size_t n, uint8_t compressor)
{
    static const size_t room = 2 * REPLIES_ROOM;
    uint8_t *packed = malloc(room);
    uint8_t plain[REPLIES_ROOM];
    size_t at = b->n - n;

    memcpy(plain, b->data + at, n);
    b->n = at;
    bytes_put(b, plain, 12);
    bytes_put_int32(b, STC_OP_COMPRESSED);
    bytes_put(b, plain + 12, 4);
    bytes_put_int32(b, (int32_t)(n - 16));
    bytes_put(b, &compressor, 1);
    bytes_put(b, packed,
              compress_(compressor, plain + 16, n - 16, packed, room));
    bytes_end(b, at);
    free(packed);
}

void document_ok(bson_t *out)
{
    bson_init(out);
    BSON_APPEND_DOUBLE(out, "ok", 1);
}

void document_of_all(bson_t *out)
{
    bson_decimal128_t decimal = {1, 2};
    bson_oid_t oid;
    bson_t inner, scope;

    memset(&oid, 1, sizeof oid);
    document_ok(&scope);
    bson_init(out);
    BSON_APPEND_DOUBLE(out, "double", 1.5);
    BSON_APPEND_UTF8(out, "utf8", "text");
    BSON_APPEND_UTF8(out, "", "");
    BSON_APPEND_DOCUMENT(out, "document", &scope);
    BSON_APPEND_ARRAY_BEGIN(out, "array", &inner);
    BSON_APPEND_INT32(&inner, "0", 1);
    BSON_APPEND_NULL(&inner, "1");
    bson_append_array_end(out, &inner);
    BSON_APPEND_ARRAY_BEGIN(out, "none", &inner);
    bson_append_array_end(out, &inner);
    BSON_APPEND_BINARY(out, "binary", BSON_SUBTYPE_BINARY,
                       (const uint8_t *)"bin", 3);
    BSON_APPEND_BINARY(out, "older", BSON_SUBTYPE_BINARY_DEPRECATED,
                       (const uint8_t *)"bin", 3);
    BSON_APPEND_BINARY(out, "b", BSON_SUBTYPE_USER, (const uint8_t *)"", 0);
    BSON_APPEND_UNDEFINED(out, "undefined");
    BSON_APPEND_OID(out, "oid", &oid);
    BSON_APPEND_BOOL(out, "bool", true);
    BSON_APPEND_DATE_TIME(out, "date", 1);
    BSON_APPEND_NULL(out, "null");
    BSON_APPEND_REGEX(out, "regex", "^a", "i");
    BSON_APPEND_REGEX(out, "r", "", "");
    BSON_APPEND_DBPOINTER(out, "pointer", "db.c", &oid);
    BSON_APPEND_CODE(out, "code", "f()");
    BSON_APPEND_SYMBOL(out, "symbol", "s");
    BSON_APPEND_CODE_WITH_SCOPE(out, "scope", "g()", &scope);
    BSON_APPEND_INT32(out, "int32", 1);
    BSON_APPEND_TIMESTAMP(out, "timestamp", 1, 2);
    BSON_APPEND_INT64(out, "int64", 1);
    BSON_APPEND_DECIMAL128(out, "a key of more than a word", &decimal);
    BSON_APPEND_MAXKEY(out, "max");
    BSON_APPEND_MINKEY(out, "min");
    bson_destroy(&scope);
}

/* By hand: libbson nests a hundred levels of append_begin at most. */
void document_deep(bson_t *out, unsigned levels)
{
    bson_t inner;

    bson_init(out);
    while (levels-- > 1) {
        bson_copy_to(out, &inner);
        bson_reinit(out);
        BSON_APPEND_DOCUMENT(out, "d", &inner);
        bson_destroy(&inner);
    }
}

/* ---- asked ------------------------------------------------------- */

void ask(struct stc_guard *g, enum asked asked)
{
    memset(g, 0, sizeof *g);
    g->request_id = REPLIES_ID;
    g->reply = asked == ASKED_COMMAND || asked == ASKED_CURSOR ||
                       asked == ASKED_EXHAUST
                   ? STC_OP_REPLY
                   : STC_OP_MSG;
    g->opcode = asked == ASKED_COMPRESSED     ? STC_OP_COMPRESSED
                : g->reply == STC_OP_REPLY ? STC_OP_QUERY
                                           : STC_OP_MSG;
    g->awaits_reply = asked != ASKED_NOTHING;
    g->may_stream = asked == ASKED_STREAM || asked == ASKED_EXHAUST;
    g->is_one = asked == ASKED_COMMAND;
    g->is_ours = true;
}

/* ---- by libbson -------------------------------------------------- */

static bool is_whole(const uint8_t *data, size_t n, unsigned level);

static bool is_inner_whole(const bson_iter_t *i, unsigned level)
{
    const uint8_t *inner = NULL;
    const char *code;
    uint32_t n = 0, length;

    switch (bson_iter_type(i)) {
    case BSON_TYPE_DOCUMENT:
        bson_iter_document(i, &n, &inner);
        break;
    case BSON_TYPE_ARRAY:
        bson_iter_array(i, &n, &inner);
        break;
    case BSON_TYPE_CODEWSCOPE: /* libbson looks for no end of the code */
        code = bson_iter_codewscope(i, &length, &n, &inner);
        if (code[length] != '\0')
            return false;
        break;
    default:
        return true;
    }
    return inner != NULL && is_whole(inner, n, level + 1);
}

static bool is_whole(const uint8_t *data, size_t n, unsigned level)
{
    size_t end = 4;
    bson_iter_t i;

    if (level > STC_GUARD_LEVELS || n < 5 || stc_get_uint32(data) != n ||
        data[n - 1] != 0 || !bson_iter_init_from_data(&i, data, n))
        return false;
    while (bson_iter_next(&i)) {
        end = i.next_off;
        if (!is_inner_whole(&i, level))
            return false;
    }
    return i.err_off == 0 && end + 1 == n;
}

bool is_bson(const uint8_t *data, size_t room)
{
    size_t n = room < 5 ? 0 : stc_get_uint32(data);

    return n <= room && is_whole(data, n, 1);
}
