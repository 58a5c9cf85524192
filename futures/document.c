/* SPDX-License-Identifier: Apache-2.0 */
/* futures/document.c - is it BSON?
 *
 * libbson's own validation calls itself once for each level and has no
 * limit, so a deep enough document would run a caller's stack out; and it
 * lets a document pass that ends without its terminator, or whose own length
 * is not that of its bson_t. */
#include "futures/document.h"

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

const char *stf_document_flaw(const bson_t *document, size_t *offset)
{
    *offset = 0;
    if (document->len < 5) /* it may have no bytes at all */
        return corrupt;
    return walk(bson_get_data(document), document->len, 1, offset);
}
