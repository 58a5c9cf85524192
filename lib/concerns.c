/* SPDX-License-Identifier: Apache-2.0 */
/* lib/concerns.c - readPreference, readConcern, writeConcern: key by key. */
#include "lib/concerns.h"

#include <stdio.h>
#include <string.h>

#include "lib/document.h"
#include "lib/problem.h"

static bool is_one_of(const bson_iter_t *value, const char *const names[])
{
    if (!BSON_ITER_HOLDS_UTF8(value))
        return false;
    for (; *names != NULL; names++)
        if (strcmp(bson_iter_utf8(value, NULL), *names) == 0)
            return true;
    return false;
}

static bool tags_check(const bson_iter_t *tags, char *problem)
{
    bson_iter_t i;

    if (!BSON_ITER_HOLDS_ARRAY(tags) || !bson_iter_recurse(tags, &i))
        return FAULT("readPreference.tags must be an array of documents, "
                     "is %s", stl_type_name(tags));
    while (bson_iter_next(&i))
        if (!BSON_ITER_HOLDS_DOCUMENT(&i))
            return FAULT("readPreference.tags[%s] must be a document, is %s",
                         bson_iter_key(&i), stl_type_name(&i));
    return true;
}

static bool staleness_check(const bson_iter_t *value, bool *is_there,
                            char *problem)
{
    int64_t n;

    if (!stl_value_as_int64(value, &n) ||
        !(n == -1 || (n > 0 && n <= INT32_MAX)))
        return FAULT("readPreference.maxStalenessSeconds must be a "
                     "positive integer or -1");
    *is_there = n != -1;
    return true;
}

static bool hedge_check(const bson_iter_t *value, bool *is_there,
                        char *problem)
{
    bson_t hedge;

    if (!BSON_ITER_HOLDS_DOCUMENT(value))
        return FAULT("readPreference.hedge must be a document, is %s",
                     stl_type_name(value));
    *is_there = stl_value_as_document(value, &hedge) && !bson_empty(&hedge);
    return true;
}

bool stl_read_preference_check(const bson_iter_t *value, char *problem)
{
    static const char *const modes[] = {
        "primary", "primaryPreferred", "secondary", "secondaryPreferred",
        "nearest", NULL,
    };
    bool has_mode = false, is_primary = false, is_there;
    const char *only_other = NULL; /* a key that "primary" does not go with */
    bson_iter_t i;

    if (!BSON_ITER_HOLDS_DOCUMENT(value) || !bson_iter_recurse(value, &i))
        return FAULT("readPreference must be a document, is %s",
                     stl_type_name(value));
    while (bson_iter_next(&i)) {
        const char *key = bson_iter_key(&i);

        if (strcmp(key, "mode") == 0) {
            if (!is_one_of(&i, modes))
                return FAULT("readPreference.mode must be primary, "
                             "primaryPreferred, secondary, "
                             "secondaryPreferred or nearest, is %s",
                             BSON_ITER_HOLDS_UTF8(&i)
                                 ? bson_iter_utf8(&i, NULL)
                                 : stl_type_name(&i));
            has_mode = true;
            is_primary = strcmp(bson_iter_utf8(&i, NULL), "primary") == 0;
        } else if (strcmp(key, "tags") == 0) {
            bson_t tags;

            if (!tags_check(&i, problem))
                return false;
            if (stl_value_as_document(&i, &tags) && !bson_empty(&tags))
                only_other = "tags";
        } else if (strcmp(key, "maxStalenessSeconds") == 0) {
            if (!staleness_check(&i, &is_there, problem))
                return false;
            if (is_there)
                only_other = "maxStalenessSeconds";
        } else if (strcmp(key, "hedge") == 0) {
            if (!hedge_check(&i, &is_there, problem))
                return false;
            if (is_there)
                only_other = "hedge";
        } else {
            return FAULT("readPreference.%s is unknown", key);
        }
    }
    if (!has_mode)
        return FAULT("readPreference.mode is missing");
    if (is_primary && only_other != NULL)
        return FAULT("readPreference.%s does not go with the mode primary",
                     only_other);
    return true;
}

bool stl_read_concern_check(const bson_iter_t *value, char *problem)
{
    bool has_level = false;
    bson_iter_t i;

    if (!BSON_ITER_HOLDS_DOCUMENT(value) || !bson_iter_recurse(value, &i))
        return FAULT("readConcern must be a document, is %s",
                     stl_type_name(value));
    while (bson_iter_next(&i)) {
        if (strcmp(bson_iter_key(&i), "level") != 0)
            return FAULT("readConcern.%s is unknown", bson_iter_key(&i));
        if (!BSON_ITER_HOLDS_UTF8(&i))
            return FAULT("readConcern.level must be a string, is %s",
                         stl_type_name(&i));
        has_level = true;
    }
    return has_level || FAULT("readConcern.level is missing");
}

bool stl_write_concern_check(const bson_iter_t *value, char *problem)
{
    bool is_none = false, is_journaled = false;
    bson_iter_t i;
    int64_t n;

    if (!BSON_ITER_HOLDS_DOCUMENT(value) || !bson_iter_recurse(value, &i))
        return FAULT("writeConcern must be a document, is %s",
                     stl_type_name(value));
    while (bson_iter_next(&i)) {
        const char *key = bson_iter_key(&i);

        if (strcmp(key, "w") == 0) {
            if (BSON_ITER_HOLDS_UTF8(&i)) {
                if (*bson_iter_utf8(&i, NULL) == '\0')
                    return FAULT("writeConcern.w is empty");
            } else if (!stl_value_as_int64(&i, &n) || n < 0 ||
                       n > INT32_MAX) {
                return FAULT("writeConcern.w must be a string or an integer "
                             "of 0 or more");
            } else {
                is_none = n == 0;
            }
        } else if (strcmp(key, "j") == 0) {
            if (!BSON_ITER_HOLDS_BOOL(&i))
                return FAULT("writeConcern.j must be a bool, is %s",
                             stl_type_name(&i));
            is_journaled = bson_iter_bool(&i);
        } else if (strcmp(key, "wtimeout") == 0) {
            if (!stl_value_as_int64(&i, &n) || n < 0)
                return FAULT("writeConcern.wtimeout must be an integer of 0 "
                             "or more");
        } else {
            return FAULT("writeConcern.%s is unknown", key);
        }
    }
    if (is_none && is_journaled)
        return FAULT("writeConcern.j true does not go with w 0");
    return true;
}
