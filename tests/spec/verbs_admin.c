/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_admin.c - commands, collections, databases. */
#include <string.h>

#include "tests/spec/operation.h"
#include "tests/spec/value.h"

/* ---- what both share ------------------------------------------------- */

/* A future whose reply is all that is wanted of it. */
static bool settle(call_t *call, stator_future_t *future)
{
    if (!call_settle(call, future))
        return false;
    stator_future_unref(future);
    return true;
}

static bool take_reply(call_t *call)
{
    if (!call->result->failed)
        result_set_document(call->result, &call->result->reply);
    return true;
}

static bool take_names(call_t *call)
{
    bson_iter_t at;

    if (!call->result->failed && value_find(&call->result->reply, "names", &at))
        result_set(call->result, &at);
    return true;
}

static bool take_raw_names(call_t *call, char **names,
                           const bson_error_t *error)
{
    bson_t list = BSON_INITIALIZER;
    uint32_t n;

    if (names == NULL)
        return call_fail(call, error);
    for (n = 0; names[n] != NULL; n++) {
        char room[16];
        const char *key;

        bson_uint32_to_string(n, &key, room, sizeof room);
        bson_append_utf8(&list, key, -1, names[n], -1);
    }
    result_set_array(call->result, &list);
    bson_destroy(&list);
    bson_strfreev(names);
    return true;
}

/* ---- commands -------------------------------------------------------- */

static bool raw_run_command(call_t *call)
{
    bson_error_t error;
    bson_t command;

    call_view(call, "command", &command);
    bson_destroy(&call->result->reply);
    if (!mongoc_database_command_with_opts(
            call->object->raw.database, &command, call->prefs, &call->opts,
            &call->result->reply, &error))
        return call_fail(call, &error);
    return take_reply(call);
}

static bool run_command(call_t *call)
{
    bson_t command;

    call_view(call, "command", &command);
    return settle(call, stator_database_command(call->object->stator.database,
                                                &command, &call->opts)) &&
           take_reply(call);
}

/* {collMod: name, ..}: no driver has a helper of it. */
static void coll_mod(const call_t *call, bson_t *command)
{
    bson_init(command);
    bson_append_utf8(command, "collMod", -1,
                     value_utf8(&call->arguments, "collection", ""), -1);
    bson_copy_to_excluding_noinit(&call->arguments, command, "collection",
                                  "session", "writeConcern", NULL);
}

static bool raw_modify_collection(call_t *call)
{
    bson_error_t error;
    bson_t command;

    coll_mod(call, &command);
    bson_destroy(&call->result->reply);
    if (!mongoc_database_write_command_with_opts(
            call->object->raw.database, &command, &call->opts,
            &call->result->reply, &error))
        call_fail(call, &error);
    bson_destroy(&command);
    return take_reply(call);
}

static bool modify_collection(call_t *call)
{
    stator_future_t *future;
    bson_t command;

    coll_mod(call, &command);
    future = stator_database_write_command(call->object->stator.database,
                                           &command, &call->opts);
    bson_destroy(&command);
    return settle(call, future) && take_reply(call);
}

/* ---- collections ----------------------------------------------------- */

static const char *named(const call_t *call, const char *argument)
{
    return value_utf8(&call->arguments, argument, "");
}

/* What was created can be named, like one of createEntities. */
static entity_t *created(call_t *call)
{
    entity_t *entity = entity_new(ENTITY_COLLECTION, call->object->client);

    entity->database = call->object;
    entity->name = bson_strdup(named(call, "collection"));
    call->result->made = entity;
    return entity;
}

static bool raw_create_collection(call_t *call)
{
    mongoc_collection_t *made;
    bson_error_t error;

    made = mongoc_database_create_collection(call->object->raw.database,
                                             named(call, "collection"),
                                             &call->opts, &error);
    if (made == NULL)
        return call_fail(call, &error);
    created(call)->raw.collection = made;
    return true;
}

static bool create_collection(call_t *call)
{
    stator_database_t *database = call->object->stator.database;
    const char *name = named(call, "collection");

    if (!settle(call, stator_database_create_collection(database, name,
                                                        &call->opts)))
        return false;
    if (!call->result->failed)
        created(call)->stator.collection =
            stator_database_get_collection(database, name);
    return true;
}

static bool raw_drop_collection(call_t *call)
{
    mongoc_collection_t *collection = mongoc_database_get_collection(
        call->object->raw.database, named(call, "collection"));
    bson_error_t error;

    if (!mongoc_collection_drop_with_opts(collection, &call->opts, &error))
        call_fail(call, &error);
    mongoc_collection_destroy(collection);
    return true;
}

static bool drop_collection(call_t *call)
{
    stator_collection_t *collection = stator_database_get_collection(
        call->object->stator.database, named(call, "collection"));
    stator_future_t *future = stator_collection_drop(collection, &call->opts);

    stator_collection_unref(collection);
    return settle(call, future);
}

static bool raw_list_collections(call_t *call)
{
    return call_drain_raw(call,
                          mongoc_database_find_collections_with_opts(
                              call->object->raw.database, &call->opts));
}

static bool list_collections(call_t *call)
{
    return call_drain(call, stator_database_list_collections(
                                call->object->stator.database, &call->opts));
}

static bool raw_list_collection_names(call_t *call)
{
    bson_error_t error;

    return take_raw_names(call,
                          mongoc_database_get_collection_names_with_opts(
                              call->object->raw.database, &call->opts,
                              &error),
                          &error);
}

static bool list_collection_names(call_t *call)
{
    return settle(call, stator_database_list_collection_names(
                            call->object->stator.database, &call->opts)) &&
           take_names(call);
}

static bool raw_rename(call_t *call)
{
    bson_error_t error;

    if (!mongoc_collection_rename_with_opts(
            call->object->raw.collection, call->object->database->name,
            named(call, "to"),
            value_bool(&call->arguments, "dropTarget", false), &call->opts,
            &error))
        call_fail(call, &error);
    return true;
}

static bool rename_(call_t *call)
{
    return settle(call, stator_collection_rename(
                            call->object->stator.collection,
                            call->object->database->name, named(call, "to"),
                            value_bool(&call->arguments, "dropTarget", false),
                            &call->opts));
}

/* ---- databases ------------------------------------------------------- */

static bool raw_list_databases(call_t *call)
{
    return call_drain_raw(call,
                          mongoc_client_find_databases_with_opts(
                              call->object->raw.client, &call->opts));
}

static bool list_databases(call_t *call)
{
    return call_drain(call, stator_client_list_databases(
                                call->object->stator.client, &call->opts));
}

static bool raw_list_database_names(call_t *call)
{
    bson_error_t error;

    return take_raw_names(call,
                          mongoc_client_get_database_names_with_opts(
                              call->object->raw.client, &call->opts, &error),
                          &error);
}

static bool list_database_names(call_t *call)
{
    return settle(call,
                  stator_client_list_database_names(
                      call->object->stator.client, &call->opts)) &&
           take_names(call);
}

static bool raw_drop_database(call_t *call)
{
    mongoc_database_t *database = mongoc_client_get_database(
        call->object->raw.client, named(call, "database"));
    bson_error_t error;

    if (!mongoc_database_drop_with_opts(database, &call->opts, &error))
        call_fail(call, &error);
    mongoc_database_destroy(database);
    return true;
}

static bool drop_database(call_t *call)
{
    return settle(call, stator_client_drop_database(
                            call->object->stator.client,
                            named(call, "database"), &call->opts));
}

#define LIST_OPTIONS                                                           \
    "| authorizedCollections batchSize comment filter maxTimeMS nameOnly "     \
    "rawData session"

const verb_t admin_verbs[] = {
    {"runCommand", ENTITY_DATABASE,
     "!command commandName | readConcern readPreference session writeConcern",
     raw_run_command, run_command, NULL, MATCH_ROOT},
    {"modifyCollection", ENTITY_DATABASE,
     "!collection index validator validationLevel validationAction viewOn "
     "pipeline changeStreamPreAndPostImages expireAfterSeconds timeseries | "
     "session writeConcern",
     raw_modify_collection, modify_collection, NULL, MATCH_ROOT},
    {"createCollection", ENTITY_DATABASE,
     "!collection | capped changeStreamPreAndPostImages clusteredIndex "
     "collation comment encryptedFields expireAfterSeconds "
     "indexOptionDefaults max maxTimeMS pipeline session size storageEngine "
     "timeseries validationAction validationLevel validator viewOn "
     "writeConcern",
     raw_create_collection, create_collection, NULL, MATCH_ROOT},
    {"dropCollection", ENTITY_DATABASE,
     "!collection | comment encryptedFields maxTimeMS session writeConcern",
     raw_drop_collection, drop_collection, NULL, MATCH_ROOT},
    {"listCollections", ENTITY_DATABASE, LIST_OPTIONS, raw_list_collections,
     list_collections, NULL, MATCH_ROOT_LIST},
    {"listCollectionNames", ENTITY_DATABASE, LIST_OPTIONS,
     raw_list_collection_names, list_collection_names, NULL, MATCH_ROOT},
    {.name = "listCollectionObjects",
     .on = ENTITY_DATABASE,
     .lacks = "libmongoc has no listCollectionObjects"},
    {"rename", ENTITY_COLLECTION,
     "!to dropTarget | comment maxTimeMS session writeConcern", raw_rename,
     rename_, NULL, MATCH_ROOT},
    {"listDatabases", ENTITY_CLIENT,
     "| authorizedDatabases comment filter maxTimeMS nameOnly session",
     raw_list_databases, list_databases, NULL, MATCH_ROOT_LIST},
    {"listDatabaseNames", ENTITY_CLIENT,
     "| authorizedDatabases comment filter maxTimeMS session",
     raw_list_database_names, list_database_names, NULL, MATCH_ROOT},
    {"dropDatabase", ENTITY_CLIENT, "!database | comment session writeConcern",
     raw_drop_database, drop_database, NULL, MATCH_ROOT},
    {.name = "listDatabaseObjects",
     .on = ENTITY_CLIENT,
     .lacks = "libmongoc has no listDatabaseObjects"},
    {0}};
