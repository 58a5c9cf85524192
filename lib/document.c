/* SPDX-License-Identifier: Apache-2.0 */
/* lib/document.c - what kind of BSON is it? */
#include "lib/document.h"

#include <stdio.h>
#include <string.h>

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
