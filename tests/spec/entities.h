/* SPDX-License-Identifier: Apache-2.0 */
/* entities.h - the things that a test has names for.
 *
 * Each has the handle of the driver under test, raw or Stator's.  They are
 * freed last made first, so that nothing outlives what it was made from. */
#ifndef TESTS_SPEC_ENTITIES_H
#define TESTS_SPEC_ENTITIES_H

#include <mongoc/mongoc.h>
#include <stator/stator.h>
#include <stdbool.h>

#include "tests/spec/events.h"
#include "tests/spec/setup.h"
#include "tests/spec/verdict.h"

typedef enum {
    ENTITY_RUNNER, /* "testRunner": no entity, but what operations act on */
    ENTITY_CLIENT,
    ENTITY_DATABASE,
    ENTITY_COLLECTION,
    ENTITY_SESSION,
    ENTITY_BUCKET,
    ENTITY_CURSOR, /* of find or of a command */
    ENTITY_STREAM, /* a change stream */
    ENTITY_ENCRYPTION,
    ENTITY_THREAD,
    ENTITY_VALUE /* what an operation gave */
} entity_kind_t;

typedef struct entity {
    struct entity *next;
    entity_kind_t kind;
    char *id;
    struct entity *client;   /* that it belongs to; NULL: itself a client */
    struct entity *database; /* of a collection or bucket */
    char *name;              /* database's, collection's */

    /* The raw driver's. */
    mongoc_client_pool_t *pool;
    union {
        mongoc_client_t *client;
        mongoc_database_t *database;
        mongoc_collection_t *collection;
        mongoc_client_session_t *session;
        mongoc_gridfs_bucket_t *bucket;
        mongoc_cursor_t *cursor;
        mongoc_change_stream_t *stream;
        void *any;
    } raw;

    /* Stator's. */
    union {
        stator_client_t *client;
        stator_database_t *database;
        stator_collection_t *collection;
        stator_session_t *session;
        stator_cursor_t *cursor;
        stator_gridfs_bucket_t *bucket;
        stator_change_stream_t *stream;
        void *any;
    } stator;

    events_t *events; /* of a client */
    bson_t value;    /* of a session its lsid; of a value {"v": value}; of a
                        cursor {"v": what it was primed with} */
    bool has_value;
} entity_t;

typedef struct entities {
    const setup_t *setup;
    entity_t *first;
    bool quick_heartbeat; /* the test breaks connections */
} entities_t;

/* Both complain of what is not there, or is of another kind. */
entity_t *entities_find(const entities_t *entities, const char *id,
                        verdict_t *verdict);
entity_t *entities_get(const entities_t *entities, const char *id,
                       entity_kind_t kind, verdict_t *verdict);

/* Make those of a "createEntities" array. */
bool entities_create(entities_t *entities, const bson_t *list,
                     verdict_t *verdict);

/* A new one; NULL if there is one of that name. */
entity_t *entities_add(entities_t *entities, const char *id,
                       entity_kind_t kind, entity_t *client,
                       verdict_t *verdict);

/* Name an entity that an operation has made, or a value. */
bool entities_adopt(entities_t *entities, const char *id, entity_t *entity,
                    verdict_t *verdict);

/* One that has no name yet. */
entity_t *entity_new(entity_kind_t kind, entity_t *client);
void entity_free(entity_t *entity, const setup_t *setup);

const char *entity_kind_name(entity_kind_t kind);

void entities_stop_listening(entities_t *entities);
void entities_clear(entities_t *entities);

#endif
