/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - concerns and preferences. */
#include "tests/spec/options.h"

#include <string.h>
#include <strings.h>

#include "tests/spec/value.h"

mongoc_read_concern_t *options_read_concern(const bson_t *from)
{
    mongoc_read_concern_t *concern = mongoc_read_concern_new();
    const char *level = value_utf8(from, "level", NULL);

    if (level != NULL)
        mongoc_read_concern_set_level(concern, level);
    return concern;
}

mongoc_write_concern_t *options_write_concern(const bson_t *from)
{
    mongoc_write_concern_t *concern = mongoc_write_concern_new();
    const char *tag = value_utf8(from, "w", NULL);
    bson_iter_t at;

    if (tag != NULL && strcmp(tag, "majority") == 0)
        mongoc_write_concern_set_w(concern, MONGOC_WRITE_CONCERN_W_MAJORITY);
    else if (tag != NULL)
        mongoc_write_concern_set_wtag(concern, tag);
    else if (value_find(from, "w", &at))
        mongoc_write_concern_set_w(concern,
                                   (int32_t)value_int(from, "w", 0));
    if (value_find(from, "journal", &at))
        mongoc_write_concern_set_journal(concern, bson_iter_as_bool(&at));
    if (value_find(from, "wtimeoutMS", &at))
        mongoc_write_concern_set_wtimeout_int64(
            concern, value_int(from, "wtimeoutMS", 0));
    return concern;
}

static const struct {
    const char *name;
    mongoc_read_mode_t mode;
} modes[] = {
    {"primary", MONGOC_READ_PRIMARY},
    {"primaryPreferred", MONGOC_READ_PRIMARY_PREFERRED},
    {"secondary", MONGOC_READ_SECONDARY},
    {"secondaryPreferred", MONGOC_READ_SECONDARY_PREFERRED},
    {"nearest", MONGOC_READ_NEAREST},
};

mongoc_read_prefs_t *options_read_prefs(const bson_t *from,
                                        verdict_t *verdict)
{
    const char *mode = value_utf8(from, "mode", "primary");
    mongoc_read_prefs_t *prefs = NULL;
    bson_iter_t at;
    bson_t tags;
    size_t i;

    for (i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcasecmp(modes[i].name, mode) == 0)
            prefs = mongoc_read_prefs_new(modes[i].mode);
    if (prefs == NULL) {
        verdict_fail(verdict, "there is no read preference \"%s\"", mode);
        return NULL;
    }
    if (value_view(from, "tagSets", &tags))
        mongoc_read_prefs_set_tags(prefs, &tags);
    if (value_find(from, "maxStalenessSeconds", &at))
        mongoc_read_prefs_set_max_staleness_seconds(prefs,
                                                    bson_iter_as_int64(&at));
    return prefs;
}

static const char *driver_name(const char *name)
{
    if (strcmp(name, "journal") == 0)
        return "j";
    if (strcmp(name, "wtimeoutMS") == 0)
        return "wtimeout";
    return strcmp(name, "tagSets") == 0 ? "tags" : name;
}

void options_append(bson_t *opts, const bson_iter_t *argument)
{
    const char *key = bson_iter_key(argument);
    bson_t from, to;
    bson_iter_t at;

    if ((strcmp(key, "writeConcern") != 0 &&
         strcmp(key, "readPreference") != 0) ||
        !value_look(argument, &from)) {
        value_put(opts, key, argument);
        return;
    }
    bson_append_document_begin(opts, key, -1, &to);
    bson_iter_init(&at, &from);
    while (bson_iter_next(&at))
        value_put(&to, driver_name(bson_iter_key(&at)), &at);
    bson_append_document_end(opts, &to);
}

void options_append_all(bson_t *opts, const bson_t *from)
{
    bson_iter_t at;

    bson_iter_init(&at, from);
    while (bson_iter_next(&at))
        options_append(opts, &at);
}
