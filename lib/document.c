/* SPDX-License-Identifier: Apache-2.0 */
/* lib/document.c - is it BSON, and what kind?
 *
 * libbson's own validation calls itself once for each level and has no
 * limit, so a deep enough document would run a caller's stack out; and it
 * lets a document pass that ends without its terminator. */
#include "lib/document.h"

#include <stdio.h>
#include <string.h>

enum { LEVELS_MAX = 200 }; /* what a server takes */

static const char corrupt[] = "is corrupt BSON";
static const char too_deep[] = "is nested more than 200 levels deep";

static const char *walk(const uint8_t *data, size_t length, unsigned level,
                        size_t *offset);

/* The document `inner`, a part of `data`. */
static const char *walk_inner(const uint8_t *data, const uint8_t *inner,
                              size_t length, unsigned level, size_t *offset)
{
    const char *flaw = walk(inner, length, level + 1, offset);

    *offset += (size_t)(inner - data);
    return flaw;
}

static const char *walk_value(const uint8_t *data, const bson_iter_t *i,
                              unsigned level, size_t *offset)
{
    const uint8_t *inner = NULL;
    const char *text = NULL;
    uint32_t length = 0, inner_length = 0;

    switch (bson_iter_type(i)) {
    case BSON_TYPE_DOCUMENT:
        bson_iter_document(i, &inner_length, &inner);
        return walk_inner(data, inner, inner_length, level, offset);
    case BSON_TYPE_ARRAY:
        bson_iter_array(i, &inner_length, &inner);
        return walk_inner(data, inner, inner_length, level, offset);
    case BSON_TYPE_CODEWSCOPE:
        text = bson_iter_codewscope(i, &length, &inner_length, &inner);
        if (!bson_utf8_validate(text, length, true))
            break;
        return walk_inner(data, inner, inner_length, level, offset);
    case BSON_TYPE_UTF8:
        text = bson_iter_utf8(i, &length);
        break;
    case BSON_TYPE_CODE:
        text = bson_iter_code(i, &length);
        break;
    case BSON_TYPE_SYMBOL:
        text = bson_iter_symbol(i, &length);
        break;
    default:
        return NULL;
    }
    if (bson_utf8_validate(text, length, true))
        return NULL;
    *offset = (size_t)((const uint8_t *)text - data);
    return corrupt;
}

static const char *walk(const uint8_t *data, size_t length, unsigned level,
                        size_t *offset)
{
    const char *flaw;
    bson_iter_t i;
    size_t end = 4; /* of the last element */

    *offset = 0;
    if (level > LEVELS_MAX)
        return too_deep;
    if (data == NULL || !bson_iter_init_from_data(&i, data, length))
        return corrupt;
    while (bson_iter_next(&i)) {
        end = i.next_off;
        if (!bson_utf8_validate(bson_iter_key(&i), bson_iter_key_len(&i),
                                false)) {
            *offset = i.off;
            return corrupt;
        }
        flaw = walk_value(data, &i, level, offset);
        if (flaw != NULL)
            return flaw;
    }
    *offset = i.err_off != 0 ? i.err_off : end;
    return i.err_off != 0 || end + 1 != length ? corrupt : NULL;
}

const char *stl_document_flaw(const bson_t *document, size_t *offset)
{
    return walk(bson_get_data(document), document->len, 1, offset);
}

bool stl_document_is_array(const bson_t *document)
{
    bson_iter_t i;
    unsigned n = 0;

    if (!bson_iter_init(&i, document))
        return false;
    while (bson_iter_next(&i)) {
        char key[16];

        snprintf(key, sizeof key, "%u", n++);
        if (strcmp(bson_iter_key(&i), key) != 0 ||
            !BSON_ITER_HOLDS_DOCUMENT(&i))
            return false;
    }
    return true;
}

bool stl_document_is_pipeline(const bson_t *document)
{
    bson_iter_t i, stage;

    if (bson_empty(document) || !stl_document_is_array(document) ||
        !bson_iter_init(&i, document))
        return false;
    while (bson_iter_next(&i))
        if (!bson_iter_recurse(&i, &stage) || !bson_iter_next(&stage) ||
            bson_iter_key(&stage)[0] != '$')
            return false;
    return true;
}

bool stl_value_as_int64(const bson_iter_t *value, int64_t *out)
{
    const double most = 9007199254740992.0; /* 2^53: no counts beyond */
    double number;

    if (BSON_ITER_HOLDS_INT(value)) {
        *out = bson_iter_as_int64(value);
        return true;
    }
    if (!BSON_ITER_HOLDS_DOUBLE(value))
        return false;
    number = bson_iter_double(value);
    if (!(number > -most && number < most))
        return false; /* NaN included */
    *out = (int64_t)number;
    return (double)*out == number;
}

bool stl_value_as_document(const bson_iter_t *value, bson_t *view)
{
    const uint8_t *data = NULL;
    uint32_t length = 0;

    if (BSON_ITER_HOLDS_DOCUMENT(value))
        bson_iter_document(value, &length, &data);
    else if (BSON_ITER_HOLDS_ARRAY(value))
        bson_iter_array(value, &length, &data);
    return data != NULL && bson_init_static(view, data, length);
}

const char *stl_type_name(const bson_iter_t *value)
{
    switch (bson_iter_type(value)) {
    case BSON_TYPE_DOUBLE:
        return "a double";
    case BSON_TYPE_UTF8:
        return "a string";
    case BSON_TYPE_DOCUMENT:
        return "a document";
    case BSON_TYPE_ARRAY:
        return "an array";
    case BSON_TYPE_BOOL:
        return "a bool";
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
        return "an integer";
    case BSON_TYPE_NULL:
        return "null";
    default:
        return "of another type";
    }
}
