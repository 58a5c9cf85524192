/* SPDX-License-Identifier: Apache-2.0 */
/* value.c - looking into BSON and putting it together. */
#include "tests/spec/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *value_alloc(size_t size)
{
    size_t rounded = (size + 127) / 128 * 128;
    void *made = aligned_alloc(128, rounded);

    if (made == NULL)
        abort(); /* as libbson does */
    return memset(made, 0, rounded);
}

bool value_find(const bson_t *from, const char *key, bson_iter_t *found)
{
    return bson_iter_init_find(found, from, key);
}

bool value_has(const bson_t *from, const char *key)
{
    bson_iter_t at;

    return value_find(from, key, &at);
}

bool value_look(const bson_iter_t *at, bson_t *view)
{
    const uint8_t *bytes = NULL;
    uint32_t length = 0;

    if (BSON_ITER_HOLDS_DOCUMENT(at))
        bson_iter_document(at, &length, &bytes);
    else if (BSON_ITER_HOLDS_ARRAY(at))
        bson_iter_array(at, &length, &bytes);
    if (bytes != NULL && bson_init_static(view, bytes, length))
        return true;
    bson_init(view);
    return false;
}

bool value_view(const bson_t *from, const char *key, bson_t *view)
{
    bson_iter_t at;

    if (value_find(from, key, &at))
        return value_look(&at, view);
    bson_init(view);
    return false;
}

const char *value_utf8(const bson_t *from, const char *key,
                       const char *otherwise)
{
    bson_iter_t at;

    if (!value_find(from, key, &at) || !BSON_ITER_HOLDS_UTF8(&at))
        return otherwise;
    return bson_iter_utf8(&at, NULL);
}

bool value_bool(const bson_t *from, const char *key, bool otherwise)
{
    bson_iter_t at;

    if (!value_find(from, key, &at) || !BSON_ITER_HOLDS_BOOL(&at))
        return otherwise;
    return bson_iter_bool(&at);
}

int64_t value_int(const bson_t *from, const char *key, int64_t otherwise)
{
    bson_iter_t at;

    if (!value_find(from, key, &at) || !value_is_number(&at))
        return otherwise;
    return bson_iter_as_int64(&at);
}

bool value_has_word(const bson_t *array, const char *word)
{
    bson_iter_t at;

    bson_iter_init(&at, array);
    while (bson_iter_next(&at))
        if (BSON_ITER_HOLDS_UTF8(&at) &&
            strcmp(bson_iter_utf8(&at, NULL), word) == 0)
            return true;
    return false;
}

bool value_is_number(const bson_iter_t *at)
{
    return BSON_ITER_HOLDS_INT32(at) || BSON_ITER_HOLDS_INT64(at) ||
           BSON_ITER_HOLDS_DOUBLE(at);
}

int value_compare(const bson_iter_t *a, const bson_iter_t *b)
{
    if (!value_is_number(a) || !value_is_number(b))
        return 2;
    if (BSON_ITER_HOLDS_DOUBLE(a) || BSON_ITER_HOLDS_DOUBLE(b)) {
        double x = bson_iter_as_double(a), y = bson_iter_as_double(b);

        /* A NaN is equal to a NaN here, and to nothing else. */
        if (x != x || y != y)
            return x != x && y != y ? 0 : 2;
        return (x > y) - (x < y);
    }
    return (bson_iter_as_int64(a) > bson_iter_as_int64(b)) -
           (bson_iter_as_int64(a) < bson_iter_as_int64(b));
}

void value_put(bson_t *to, const char *key, const bson_iter_t *value)
{
    bson_append_iter(to, key, -1, value);
}

void value_push(bson_t *array, uint32_t *n, const bson_t *value)
{
    char room[16];
    const char *key;

    bson_uint32_to_string((*n)++, &key, room, sizeof room);
    bson_append_document(array, key, -1, value);
}

static const char *cut(char *json, text_t *text)
{
    snprintf(text->s, sizeof text->s, "%s", json == NULL ? "?" : json);
    bson_free(json);
    return text->s;
}

const char *value_json(const bson_t *document, text_t *text)
{
    if (document == NULL)
        return "(nothing)";
    return cut(bson_as_relaxed_extended_json(document, NULL), text);
}

const char *value_text(const bson_iter_t *value, text_t *text)
{
    bson_t holder = BSON_INITIALIZER;

    if (value == NULL)
        return "(nothing)";
    value_put(&holder, "", value);
    value_json(&holder, text);
    bson_destroy(&holder);
    return text->s;
}

uint8_t *value_bytes(const char *hex, size_t *length)
{
    size_t digits = strlen(hex), i;
    uint8_t *bytes;

    if (digits % 2 != 0 || strspn(hex, "0123456789abcdefABCDEF") != digits)
        return NULL;
    bytes = bson_malloc(digits / 2 + 1);
    for (i = 0; i < digits / 2; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    *length = digits / 2;
    return bytes;
}

/* Where `names` names the beginning of `word`, up to its end or a dot. */
static size_t named(const char *word, const bson_t *names)
{
    bson_iter_t at;

    bson_iter_init(&at, names);
    while (bson_iter_next(&at)) {
        uint32_t length;
        const char *name = bson_iter_utf8(&at, &length);

        if (strncmp(word, name, length) == 0 &&
            (word[length] == '\0' || word[length] == '.'))
            return length;
    }
    return 0;
}

void value_rename(const bson_t *from, bson_t *to, const bson_t *names,
                  const char *suffix)
{
    bson_iter_t at;
    bson_t view, copy;
    size_t n;

    bson_iter_init(&at, from);
    while (bson_iter_next(&at)) {
        const char *key = bson_iter_key(&at);

        if (value_look(&at, &view)) {
            bson_init(&copy);
            value_rename(&view, &copy, names, suffix);
            if (BSON_ITER_HOLDS_ARRAY(&at))
                bson_append_array(to, key, -1, &copy);
            else
                bson_append_document(to, key, -1, &copy);
            bson_destroy(&copy);
        } else if (BSON_ITER_HOLDS_UTF8(&at) &&
                   (n = named(bson_iter_utf8(&at, NULL), names)) > 0) {
            const char *word = bson_iter_utf8(&at, NULL);
            char *longer = bson_strdup_printf("%.*s%s%s", (int)n, word,
                                              suffix, word + n);

            bson_append_utf8(to, key, -1, longer, -1);
            bson_free(longer);
        } else {
            value_put(to, key, &at);
        }
    }
}
