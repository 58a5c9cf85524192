/* SPDX-License-Identifier: Apache-2.0 */
/* core/verb_opts.c - checked documents as the driver's types. */
#include <string.h>

#include "core/verb.h"

mongoc_read_prefs_t *stc_read_prefs_new(const bson_t *view)
{
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
    mongoc_read_prefs_t *prefs;
    const uint8_t *data;
    uint32_t length;
    bson_iter_t i;
    bson_t view_of;

    if (bson_empty(view) || !bson_iter_init(&i, view))
        return NULL;
    prefs = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    while (bson_iter_next(&i)) {
        const char *key = bson_iter_key(&i);

        if (strcmp(key, "mode") == 0) {
            for (size_t m = 0; m < sizeof modes / sizeof *modes; m++)
                if (strcmp(bson_iter_utf8(&i, NULL), modes[m].name) == 0)
                    mongoc_read_prefs_set_mode(prefs, modes[m].mode);
        } else if (strcmp(key, "tags") == 0) {
            bson_iter_array(&i, &length, &data);
            if (bson_init_static(&view_of, data, length))
                mongoc_read_prefs_set_tags(prefs, &view_of);
        } else if (strcmp(key, "hedge") == 0) {
            bson_iter_document(&i, &length, &data);
            if (bson_init_static(&view_of, data, length))
                mongoc_read_prefs_set_hedge(prefs, &view_of);
        } else if (strcmp(key, "maxStalenessSeconds") == 0) {
            mongoc_read_prefs_set_max_staleness_seconds(
                prefs, bson_iter_as_int64(&i));
        }
    }
    return prefs;
}

mongoc_read_concern_t *stc_read_concern_new(const bson_iter_t *document)
{
    mongoc_read_concern_t *concern = mongoc_read_concern_new();
    bson_iter_t i;

    bson_iter_recurse(document, &i);
    while (bson_iter_next(&i))
        mongoc_read_concern_set_level(concern, bson_iter_utf8(&i, NULL));
    return concern;
}

mongoc_write_concern_t *stc_write_concern_new(const bson_iter_t *document)
{
    mongoc_write_concern_t *concern = mongoc_write_concern_new();
    bson_iter_t i;

    bson_iter_recurse(document, &i);
    while (bson_iter_next(&i)) {
        const char *key = bson_iter_key(&i);

        if (strcmp(key, "j") == 0)
            mongoc_write_concern_set_journal(concern, bson_iter_bool(&i));
        else if (strcmp(key, "wtimeout") == 0)
            mongoc_write_concern_set_wtimeout_int64(concern,
                                                    bson_iter_as_int64(&i));
        else if (!BSON_ITER_HOLDS_UTF8(&i))
            mongoc_write_concern_set_w(concern,
                                       (int32_t)bson_iter_as_int64(&i));
        else if (strcmp(bson_iter_utf8(&i, NULL), "majority") == 0)
            mongoc_write_concern_set_w(concern,
                                       MONGOC_WRITE_CONCERN_W_MAJORITY);
        else
            mongoc_write_concern_set_wtag(concern, bson_iter_utf8(&i, NULL));
    }
    return concern;
}

/* The driver's types, NULL where `options` say nothing. */
struct configuration {
    mongoc_read_prefs_t *prefs;
    mongoc_read_concern_t *read;
    mongoc_write_concern_t *write;
};

static void configuration_init(struct configuration *c, const bson_t *options)
{
    const uint8_t *data;
    uint32_t length;
    bson_iter_t i;
    bson_t view;

    *c = (struct configuration){0};
    if (bson_iter_init_find(&i, options, "readPreference")) {
        bson_iter_document(&i, &length, &data);
        if (bson_init_static(&view, data, length))
            c->prefs = stc_read_prefs_new(&view);
    }
    if (bson_iter_init_find(&i, options, "readConcern"))
        c->read = stc_read_concern_new(&i);
    if (bson_iter_init_find(&i, options, "writeConcern"))
        c->write = stc_write_concern_new(&i);
}

static void configuration_destroy(struct configuration *c)
{
    mongoc_read_prefs_destroy(c->prefs);
    mongoc_read_concern_destroy(c->read);
    mongoc_write_concern_destroy(c->write);
}

void stc_collection_configure(mongoc_collection_t *collection,
                              const bson_t *options)
{
    struct configuration c;

    if (bson_empty(options))
        return;
    configuration_init(&c, options);
    if (c.prefs != NULL)
        mongoc_collection_set_read_prefs(collection, c.prefs);
    if (c.read != NULL)
        mongoc_collection_set_read_concern(collection, c.read);
    if (c.write != NULL)
        mongoc_collection_set_write_concern(collection, c.write);
    configuration_destroy(&c);
}

void stc_database_configure(mongoc_database_t *database,
                            const bson_t *options)
{
    struct configuration c;

    if (bson_empty(options))
        return;
    configuration_init(&c, options);
    if (c.prefs != NULL)
        mongoc_database_set_read_prefs(database, c.prefs);
    if (c.read != NULL)
        mongoc_database_set_read_concern(database, c.read);
    if (c.write != NULL)
        mongoc_database_set_write_concern(database, c.write);
    configuration_destroy(&c);
}
