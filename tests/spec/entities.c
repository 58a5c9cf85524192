/* SPDX-License-Identifier: Apache-2.0 */
/* entities.c - the things that a test has names for. */
#include "tests/spec/entities.h"

#include <string.h>

#include "tests/spec/client.h"
#include "tests/spec/handle.h"
#include "tests/spec/session.h"
#include "tests/spec/value.h"

const char *entity_kind_name(entity_kind_t kind)
{
    static const char *const names[] = {
        "testRunner", "client", "database", "collection",
        "session", "bucket", "cursor", "change stream",
        "clientEncryption", "thread", "value"};

    return names[kind];
}

entity_t *entities_find(const entities_t *entities, const char *id,
                        verdict_t *verdict)
{
    entity_t *entity = entities->first;

    while (entity != NULL && strcmp(entity->id, id) != 0)
        entity = entity->next;
    if (entity == NULL)
        verdict_fail(verdict, "there is no entity \"%s\"", id);
    return entity;
}

entity_t *entities_get(const entities_t *entities, const char *id,
                       entity_kind_t kind, verdict_t *verdict)
{
    entity_t *entity = entities_find(entities, id, verdict);

    if (entity == NULL || entity->kind == kind)
        return entity;
    verdict_fail(verdict, "entity \"%s\" is a %s, not a %s", id,
                 entity_kind_name(entity->kind), entity_kind_name(kind));
    return NULL;
}

entity_t *entity_new(entity_kind_t kind, entity_t *client)
{
    entity_t *entity = value_alloc(sizeof *entity);

    entity->kind = kind;
    entity->client = client;
    bson_init(&entity->value);
    return entity;
}

bool entities_adopt(entities_t *entities, const char *id, entity_t *entity,
                    verdict_t *verdict)
{
    const entity_t *other = entities->first;

    while (other != NULL && strcmp(other->id, id) != 0)
        other = other->next;
    if (other != NULL)
        return verdict_fail(verdict, "there is an entity \"%s\" already", id);
    entity->id = bson_strdup(id);
    entity->next = entities->first;
    entities->first = entity;
    return true;
}

entity_t *entities_add(entities_t *entities, const char *id,
                       entity_kind_t kind, entity_t *client,
                       verdict_t *verdict)
{
    entity_t *entity = entity_new(kind, client);

    if (entities_adopt(entities, id, entity, verdict))
        return entity;
    entity_free(entity, entities->setup);
    return NULL;
}

/* ---- making and the end ---------------------------------------------- */

bool entities_create(entities_t *entities, const bson_t *list,
                     verdict_t *verdict)
{
    bson_iter_t at;

    bson_iter_init(&at, list);
    while (bson_iter_next(&at))
        if (!handle_make(entities, &at, verdict))
            return false;
    return true;
}

static void free_raw(entity_t *entity)
{
    switch (entity->kind) {
    case ENTITY_DATABASE:
        mongoc_database_destroy(entity->raw.database);
        break;
    case ENTITY_COLLECTION:
        mongoc_collection_destroy(entity->raw.collection);
        break;
    case ENTITY_BUCKET:
        mongoc_gridfs_bucket_destroy(entity->raw.bucket);
        break;
    case ENTITY_CURSOR:
        mongoc_cursor_destroy(entity->raw.cursor);
        break;
    case ENTITY_STREAM:
        mongoc_change_stream_destroy(entity->raw.stream);
        break;
    default:
        break;
    }
}

static void free_stator(entity_t *entity)
{
    switch (entity->kind) {
    case ENTITY_DATABASE:
        stator_database_unref(entity->stator.database);
        break;
    case ENTITY_COLLECTION:
        stator_collection_unref(entity->stator.collection);
        break;
    case ENTITY_CURSOR:
        stator_cursor_unref(entity->stator.cursor);
        break;
    case ENTITY_BUCKET:
        stator_gridfs_bucket_unref(entity->stator.bucket);
        break;
    case ENTITY_STREAM:
        stator_change_stream_unref(entity->stator.stream);
        break;
    default:
        break;
    }
}

void entity_free(entity_t *entity, const setup_t *setup)
{
    if (entity->kind == ENTITY_CLIENT)
        client_free(entity);
    else if (entity->kind == ENTITY_SESSION)
        session_end(entity);
    else if (setup->driver == DRIVER_RAW)
        free_raw(entity);
    else
        free_stator(entity);
    bson_destroy(&entity->value);
    bson_free(entity->id);
    bson_free(entity->name);
    bson_free(entity);
}

void entities_stop_listening(entities_t *entities)
{
    entity_t *entity;

    for (entity = entities->first; entity != NULL; entity = entity->next)
        if (entity->kind == ENTITY_CLIENT)
            events_stop(entity->events);
}

void entities_clear(entities_t *entities)
{
    entity_t *entity;

    while ((entity = entities->first) != NULL) {
        entities->first = entity->next;
        entity_free(entity, entities->setup);
    }
}
