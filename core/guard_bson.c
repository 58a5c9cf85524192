/* SPDX-License-Identifier: Apache-2.0 */
/* core/guard_bson.c - is it BSON, all the way down?
 *
 * On the way of every reply, hence one pass, no recursion and one comparison
 * for each element:
 *
 *   document              at          end             ends[level - 1]
 *   │ length │ .... │ type key 0 value │ .... │ 0 │ ....     │ 0 │
 *
 * B1  at < end: the innermost open document ends there, after its zero.
 * B2  end[-1] is 0, so looking for the zero of a key needs no other bound.
 * B3  A value leaves room for that zero: its size is less than end - at.
 *
 * Unlike futures/document.c, which tells a user where his document is wrong
 * and wants UTF-8, this wants no text and knows no place. */
#include "core/guard.h"

#include <string.h>

#include <bson/bson.h>

/* How a value's end is found: up to 17, of a fixed size and that + 1. */
enum shape {
    UNKNOWN,
    EMPTY = 1,
    DOCUMENT = 32,
    STRING,
    BINARY,
    BOOLEAN,
    REGEX,
    POINTER,
    SCOPE
};

static const uint8_t shapes[256] = {
    [0x01] = 8 + 1,    /* double */
    [0x02] = STRING,   /* utf8 */
    [0x03] = DOCUMENT, /* document */
    [0x04] = DOCUMENT, /* array */
    [0x05] = BINARY,   /* binary */
    [0x06] = EMPTY,    /* undefined */
    [0x07] = 12 + 1,   /* ObjectId */
    [0x08] = BOOLEAN,  /* bool */
    [0x09] = 8 + 1,    /* date */
    [0x0a] = EMPTY,    /* null */
    [0x0b] = REGEX,    /* regular expression */
    [0x0c] = POINTER,  /* DBPointer */
    [0x0d] = STRING,   /* code */
    [0x0e] = STRING,   /* symbol */
    [0x0f] = SCOPE,    /* code with scope */
    [0x10] = 4 + 1,    /* int32 */
    [0x11] = 8 + 1,    /* timestamp */
    [0x12] = 8 + 1,    /* int64 */
    [0x13] = 16 + 1,   /* decimal128 */
    [0x7f] = EMPTY,    /* max key */
    [0xff] = EMPTY     /* min key */
};

enum { LENGTH = 4, EMPTY_DOCUMENT = 5, SUBTYPE_OLD = 2 };

static const char corrupt[] = "the reply is corrupt BSON";
static const char too_deep[] = "the reply is nested more than 256 levels deep";

/* A document's length, 0 if it is none within `room` bytes. */
static size_t measure(const uint8_t *at, size_t room)
{
    size_t length = room < EMPTY_DOCUMENT ? 0 : stc_get_uint32(at);

    if (length < EMPTY_DOCUMENT || length > room || at[length - 1] != 0)
        return 0;
    return length;
}

/* A string's bytes with its length and its zero, 0 if it is none. */
static size_t measure_string(const uint8_t *at, size_t room)
{
    size_t length;

    if (room <= LENGTH)
        return 0;
    length = stc_get_uint32(at);
    if (length == 0 || length > room - LENGTH || at[LENGTH + length - 1] != 0)
        return 0;
    return LENGTH + length;
}

/* The older binary has its length once more inside. */
static size_t measure_binary(const uint8_t *at, size_t room)
{
    size_t length;

    if (room <= LENGTH + 1)
        return 0;
    length = stc_get_uint32(at);
    if (length > room - LENGTH - 1)
        return 0;
    if (at[LENGTH] == SUBTYPE_OLD &&
        (length < LENGTH || stc_get_uint32(at + LENGTH + 1) != length - LENGTH))
        return 0;
    return LENGTH + 1 + length;
}

/* Two runs of bytes, each with its zero (B2). */
static size_t measure_regex(const uint8_t *at, size_t room)
{
    size_t pattern;

    if (room == 0)
        return 0;
    pattern = strlen((const char *)at) + 1;
    if (pattern == room)
        return 0;
    return pattern + strlen((const char *)at + pattern) + 1;
}

static size_t measure_pointer(const uint8_t *at, size_t room)
{
    size_t string = measure_string(at, room);

    return string == 0 ? 0 : string + 12;
}

/* A value of no fixed size and with no document in it; 0: it is none. */
static size_t measure_value(enum shape shape, const uint8_t *at, size_t room)
{
    switch (shape) {
    case STRING:
        return measure_string(at, room);
    case BINARY:
        return measure_binary(at, room);
    case BOOLEAN:
        return room > 1 && *at <= 1 ? 1 : 0;
    case REGEX:
        return measure_regex(at, room);
    case POINTER:
        return measure_pointer(at, room);
    default:
        return 0;
    }
}

/* A code with its scope: where the scope begins, which must be there and fill
 * the value to its end. */
static size_t measure_code(const uint8_t *at, size_t room)
{
    size_t length, code, scope;

    if (room <= LENGTH)
        return 0;
    length = stc_get_uint32(at);
    if (length <= LENGTH || length >= room)
        return 0;
    code = LENGTH + measure_string(at + LENGTH, length - LENGTH);
    if (code == LENGTH)
        return 0;
    scope = measure(at + code, length - code);
    return scope == 0 || scope != length - code ? 0 : code;
}

/* Past the zero that ends the key (B2): most keys are shorter than a word. */
static const uint8_t *skip_key(const uint8_t *at, const uint8_t *limit)
{
    const uint64_t ones = 0x0101010101010101u;

    while (limit - at >= 8) {
        uint64_t word, zeros;

        memcpy(&word, at, sizeof word);
        word = BSON_UINT64_FROM_LE(word);
        zeros = (word - ones) & ~word & ones << 7;
        if (zeros != 0)
            return at + __builtin_ctzll(zeros) / 8 + 1;
        at += 8;
    }
    while (*at++ != 0)
        continue;
    return at;
}

const char *stc_guard_bson(const uint8_t *document, size_t room,
                           uint32_t *length, uint32_t *initials)
{
    const uint8_t *ends[STC_GUARD_LEVELS - 1];
    const uint8_t *at, *end, *limit;
    unsigned level = 0;
    size_t size = measure(document, room);

    if (size == 0)
        return corrupt;
    *length = (uint32_t)size;
    *initials = 0;
    at = document + LENGTH;
    end = limit = document + size;
    for (;;) {
        uint8_t type = *at++;
        uint8_t shape = shapes[type];

        if (type == 0) {
            if (at != end)
                return corrupt;
            if (level == 0)
                return NULL;
            end = ends[--level];
            continue;
        }
        if (level == 0)
            *initials |= STC_INITIAL(*at);
        at = skip_key(at, limit);
        room = (size_t)(end - at);
        if (shape >= EMPTY && shape < DOCUMENT) {
            size = shape - 1u;
        } else if (shape == DOCUMENT || shape == SCOPE) {
            size_t code = shape == SCOPE ? measure_code(at, room) : 0;

            if (shape == SCOPE && code == 0)
                return corrupt;
            at += code;
            room -= code;
            size = measure(at, room);
            if (size == 0 || size >= room)
                return corrupt;
            if (level == STC_GUARD_LEVELS - 1)
                return too_deep;
            ends[level++] = end;
            end = at + size;
            at += LENGTH;
            continue;
        } else {
            size = measure_value(shape, at, room);
            if (size == 0)
                return corrupt;
        }
        if (size >= room)
            return corrupt;
        at += size;
    }
}
