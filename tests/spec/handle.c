/* SPDX-License-Identifier: Apache-2.0 */
/* handle.c - an entity and the driver's handle in it, as the format says. */
#include "tests/spec/handle.h"

#include <string.h>

#include "tests/spec/client.h"
#include "tests/spec/options.h"
#include "tests/spec/session.h"
#include "tests/spec/value.h"

typedef struct maker {
    entities_t *entities;
    verdict_t *verdict;
    const char *id;
} maker_t;

static bool lacks_timeout(const bson_t *options, verdict_t *verdict)
{
    return value_has(options, "timeoutMS") &&
           !verdict_skip(verdict, "libmongoc 1.23 has no timeoutMS");
}

static bool make_client(maker_t *m, const bson_t *from)
{
    entity_t *entity = entity_new(ENTITY_CLIENT, NULL);

    if (client_make(entity, m->entities, from, m->verdict) &&
        entities_adopt(m->entities, m->id, entity, m->verdict))
        return true;
    entity_free(entity, m->entities->setup);
    return false;
}

static void set_raw_database(mongoc_database_t *database,
                             const bson_t *options,
                             const mongoc_read_prefs_t *prefs)
{
    bson_t view;

    if (value_view(options, "readConcern", &view)) {
        mongoc_read_concern_t *concern = options_read_concern(&view);

        mongoc_database_set_read_concern(database, concern);
        mongoc_read_concern_destroy(concern);
    }
    if (value_view(options, "writeConcern", &view)) {
        mongoc_write_concern_t *concern = options_write_concern(&view);

        mongoc_database_set_write_concern(database, concern);
        mongoc_write_concern_destroy(concern);
    }
    if (prefs != NULL)
        mongoc_database_set_read_prefs(database, prefs);
}

static void set_raw_collection(mongoc_collection_t *collection,
                               const bson_t *options,
                               const mongoc_read_prefs_t *prefs)
{
    bson_t view;

    if (value_view(options, "readConcern", &view)) {
        mongoc_read_concern_t *concern = options_read_concern(&view);

        mongoc_collection_set_read_concern(collection, concern);
        mongoc_read_concern_destroy(concern);
    }
    if (value_view(options, "writeConcern", &view)) {
        mongoc_write_concern_t *concern = options_write_concern(&view);

        mongoc_collection_set_write_concern(collection, concern);
        mongoc_write_concern_destroy(concern);
    }
    if (prefs != NULL)
        mongoc_collection_set_read_prefs(collection, prefs);
}

/* False: there is a preference, and it can not be read. */
static bool read_prefs(const bson_t *options, mongoc_read_prefs_t **prefs,
                       verdict_t *verdict)
{
    bson_t view;

    *prefs = NULL;
    if (!value_view(options, "readPreference", &view))
        return true;
    *prefs = options_read_prefs(&view, verdict);
    return *prefs != NULL;
}

static bool set_database(maker_t *m, entity_t *entity, const bson_t *options)
{
    bson_t opts = BSON_INITIALIZER;
    mongoc_read_prefs_t *prefs;
    stator_database_t *other;
    bson_error_t error;

    if (lacks_timeout(options, m->verdict) ||
        !read_prefs(options, &prefs, m->verdict))
        return false;
    if (entity->raw.database != NULL) {
        set_raw_database(entity->raw.database, options, prefs);
    } else if (!bson_empty(options)) {
        options_append_all(&opts, options);
        other = stator_database_with_opts(entity->stator.database, &opts,
                                          &error);
        stator_database_unref(entity->stator.database);
        entity->stator.database = other;
        if (other == NULL)
            verdict_fail(m->verdict, "stator_database_with_opts: %s",
                         error.message);
    }
    mongoc_read_prefs_destroy(prefs);
    bson_destroy(&opts);
    return m->verdict->kind == VERDICT_PASSED;
}

static bool make_database(maker_t *m, const bson_t *from)
{
    entity_t *client = entities_get(m->entities, value_utf8(from, "client", ""),
                                    ENTITY_CLIENT, m->verdict);
    const char *name = value_utf8(from, "databaseName", "");
    entity_t *entity;
    bson_t options;

    if (client == NULL)
        return false;
    entity = entities_add(m->entities, m->id, ENTITY_DATABASE, client,
                          m->verdict);
    if (entity == NULL)
        return false;
    entity->name = bson_strdup(name);
    if (client->raw.client != NULL)
        entity->raw.database =
            mongoc_client_get_database(client->raw.client, name);
    else
        entity->stator.database =
            stator_client_get_database(client->stator.client, name);
    value_view(from, "databaseOptions", &options);
    return set_database(m, entity, &options);
}

static bool set_collection(maker_t *m, entity_t *entity,
                           const bson_t *options)
{
    bson_t opts = BSON_INITIALIZER;
    mongoc_read_prefs_t *prefs;
    stator_collection_t *other;
    bson_error_t error;

    if (lacks_timeout(options, m->verdict) ||
        !read_prefs(options, &prefs, m->verdict))
        return false;
    if (entity->raw.collection != NULL) {
        set_raw_collection(entity->raw.collection, options, prefs);
    } else if (!bson_empty(options)) {
        options_append_all(&opts, options);
        other = stator_collection_with_opts(entity->stator.collection, &opts,
                                            &error);
        stator_collection_unref(entity->stator.collection);
        entity->stator.collection = other;
        if (other == NULL)
            verdict_fail(m->verdict, "stator_collection_with_opts: %s",
                         error.message);
    }
    mongoc_read_prefs_destroy(prefs);
    bson_destroy(&opts);
    return m->verdict->kind == VERDICT_PASSED;
}

static bool make_collection(maker_t *m, const bson_t *from)
{
    entity_t *database =
        entities_get(m->entities, value_utf8(from, "database", ""),
                     ENTITY_DATABASE, m->verdict);
    const char *name = value_utf8(from, "collectionName", "");
    entity_t *entity;
    bson_t options;

    if (database == NULL)
        return false;
    entity = entities_add(m->entities, m->id, ENTITY_COLLECTION,
                          database->client, m->verdict);
    if (entity == NULL)
        return false;
    entity->database = database;
    entity->name = bson_strdup(name);
    if (database->raw.database != NULL)
        entity->raw.collection =
            mongoc_database_get_collection(database->raw.database, name);
    else
        entity->stator.collection =
            stator_database_get_collection(database->stator.database, name);
    value_view(from, "collectionOptions", &options);
    return set_collection(m, entity, &options);
}

static bool make_session(maker_t *m, const bson_t *from)
{
    entity_t *client = entities_get(m->entities, value_utf8(from, "client", ""),
                                    ENTITY_CLIENT, m->verdict);
    entity_t *entity;
    bson_t options;

    if (client == NULL)
        return false;
    entity = entities_add(m->entities, m->id, ENTITY_SESSION, client,
                          m->verdict);
    value_view(from, "sessionOptions", &options);
    return entity != NULL &&
           session_make(entity, m->entities->setup, &options, m->verdict);
}

static bool set_bucket(maker_t *m, entity_t *entity, const bson_t *options)
{
    const entity_t *database = entity->database;
    bson_t opts = BSON_INITIALIZER;
    bson_error_t error;

    if (lacks_timeout(options, m->verdict))
        return false;
    if (database->raw.database != NULL) {
        entity->raw.bucket = mongoc_gridfs_bucket_new(
            database->raw.database, options, NULL, &error);
    } else {
        options_append_all(&opts, options);
        entity->stator.bucket = stator_gridfs_bucket_new(
            database->stator.database, &opts, &error);
    }
    bson_destroy(&opts);
    return entity->raw.bucket != NULL || entity->stator.bucket != NULL ||
           verdict_fail(m->verdict, "gridfs_bucket_new: %s", error.message);
}

static bool make_bucket(maker_t *m, const bson_t *from)
{
    entity_t *database =
        entities_get(m->entities, value_utf8(from, "database", ""),
                     ENTITY_DATABASE, m->verdict);
    entity_t *entity;
    bson_t options;

    if (database == NULL)
        return false;
    entity = entities_add(m->entities, m->id, ENTITY_BUCKET, database->client,
                          m->verdict);
    if (entity == NULL)
        return false;
    entity->database = database;
    value_view(from, "bucketOptions", &options);
    return set_bucket(m, entity, &options);
}

bool handle_make(entities_t *entities, const bson_iter_t *at,
                 verdict_t *verdict)
{
    maker_t m = {.entities = entities, .verdict = verdict};
    bson_iter_t inner;
    const char *kind;
    bson_t from;

    bson_iter_recurse(at, &inner);
    bson_iter_next(&inner);
    kind = bson_iter_key(&inner);
    value_look(&inner, &from);
    m.id = value_utf8(&from, "id", "");
    if (strcmp(kind, "client") == 0)
        return make_client(&m, &from);
    if (strcmp(kind, "database") == 0)
        return make_database(&m, &from);
    if (strcmp(kind, "collection") == 0)
        return make_collection(&m, &from);
    if (strcmp(kind, "session") == 0)
        return make_session(&m, &from);
    if (strcmp(kind, "bucket") == 0)
        return make_bucket(&m, &from);
    return verdict_skip(verdict, "the runner has no %s entities", kind);
}
