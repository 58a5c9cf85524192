/* SPDX-License-Identifier: Apache-2.0 */
/* data.c - the collections before a test, and after it. */
#include "tests/spec/data.h"

#include <string.h>

#include "tests/spec/match.h"
#include "tests/spec/value.h"

enum { NAMESPACE_NOT_FOUND = 26 }; /* the server's code */

static mongoc_collection_t *collection_of(mongoc_client_t *internal,
                                          const bson_t *data)
{
    return mongoc_client_get_collection(
        internal, value_utf8(data, "databaseName", ""),
        value_utf8(data, "collectionName", ""));
}

static void append_majority(bson_t *opts)
{
    mongoc_write_concern_t *concern = mongoc_write_concern_new();

    mongoc_write_concern_set_w(concern, MONGOC_WRITE_CONCERN_W_MAJORITY);
    mongoc_write_concern_append(concern, opts);
    mongoc_write_concern_destroy(concern);
}

static bool drop(mongoc_collection_t *collection, const bson_t *opts,
                 bson_error_t *error)
{
    return mongoc_collection_drop_with_opts(collection, opts, error) ||
           error->code == NAMESPACE_NOT_FOUND ||
           strcmp(error->message, "ns not found") == 0;
}

static bool create(mongoc_client_t *internal, const bson_t *data,
                   const bson_t *majority, bson_error_t *error)
{
    bson_t opts = BSON_INITIALIZER, wanted;
    mongoc_database_t *database;
    mongoc_collection_t *made;

    value_view(data, "createOptions", &wanted);
    bson_concat(&opts, &wanted);
    bson_concat(&opts, majority);
    database = mongoc_client_get_database(
        internal, value_utf8(data, "databaseName", ""));
    made = mongoc_database_create_collection(
        database, value_utf8(data, "collectionName", ""), &opts, error);
    if (made != NULL)
        mongoc_collection_destroy(made);
    mongoc_database_destroy(database);
    bson_destroy(&opts);
    return made != NULL;
}

static bool insert(mongoc_collection_t *collection, const bson_t *documents,
                   const bson_t *opts, bson_error_t *error)
{
    mongoc_bulk_operation_t *bulk =
        mongoc_collection_create_bulk_operation_with_opts(collection, opts);
    bson_iter_t at;
    bson_t view;
    bool fine = true;

    bson_iter_init(&at, documents);
    while (fine && bson_iter_next(&at)) {
        value_look(&at, &view);
        fine = mongoc_bulk_operation_insert_with_opts(bulk, &view, NULL,
                                                      error);
    }
    fine = fine && mongoc_bulk_operation_execute(bulk, NULL, error) != 0;
    mongoc_bulk_operation_destroy(bulk);
    return fine;
}

static bool prepare(mongoc_client_t *internal, const bson_t *data,
                    verdict_t *verdict)
{
    mongoc_collection_t *collection = collection_of(internal, data);
    bson_t majority = BSON_INITIALIZER, documents;
    bson_error_t error = {0};
    bool fine;

    append_majority(&majority);
    value_view(data, "documents", &documents);
    fine = drop(collection, &majority, &error);
    if (fine &&
        (bson_empty(&documents) || value_has(data, "createOptions")))
        fine = create(internal, data, &majority, &error);
    if (fine && !bson_empty(&documents))
        fine = insert(collection, &documents, &majority, &error);
    mongoc_collection_destroy(collection);
    bson_destroy(&majority);
    return fine || verdict_fail(verdict, "initialData of %s: %s",
                                value_utf8(data, "collectionName", "?"),
                                error.message);
}

/* Of a list: all, until one is not fine. */
static bool each(mongoc_client_t *internal, const bson_t *list,
                 verdict_t *verdict,
                 bool (*fn)(mongoc_client_t *internal, const bson_t *data,
                            verdict_t *verdict))
{
    bson_iter_t at;
    bson_t view;

    bson_iter_init(&at, list);
    while (bson_iter_next(&at)) {
        value_look(&at, &view);
        if (!fn(internal, &view, verdict))
            return false;
    }
    return true;
}

bool data_prepare(mongoc_client_t *internal, const bson_t *list,
                  verdict_t *verdict)
{
    return each(internal, list, verdict, prepare);
}

/* The name of the database with this id. */
static const char *database_of(const bson_t *entities, const char *id)
{
    bson_t view, database;
    bson_iter_t at;

    bson_iter_init(&at, entities);
    while (bson_iter_next(&at))
        if (value_look(&at, &view) &&
            value_view(&view, "database", &database) &&
            strcmp(value_utf8(&database, "id", ""), id) == 0)
            return value_utf8(&database, "databaseName", "");
    return "";
}

bool data_clear(mongoc_client_t *internal, const bson_t *entities,
                verdict_t *verdict)
{
    bson_t view, collection;
    bson_error_t error;
    bson_iter_t at;

    bson_iter_init(&at, entities);
    while (bson_iter_next(&at)) {
        mongoc_collection_t *handle;
        const char *name;
        bool fine;

        if (!value_look(&at, &view) ||
            !value_view(&view, "collection", &collection))
            continue;
        name = database_of(entities, value_utf8(&collection, "database", ""));
        if (*name == '\0' || strcmp(name, "admin") == 0)
            continue;
        handle = mongoc_client_get_collection(
            internal, name, value_utf8(&collection, "collectionName", ""));
        fine = drop(handle, NULL, &error);
        mongoc_collection_destroy(handle);
        if (!fine)
            return verdict_fail(verdict, "drop: %s", error.message);
    }
    return true;
}

/* ---- after ----------------------------------------------------------- */

static mongoc_cursor_t *all_of(mongoc_collection_t *collection)
{
    mongoc_read_prefs_t *prefs = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    bson_t all = BSON_INITIALIZER, *opts;
    mongoc_cursor_t *cursor;

    opts = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}", "readConcern",
                    "{", "level", "local", "}");
    cursor = mongoc_collection_find_with_opts(collection, &all, opts, prefs);
    mongoc_read_prefs_destroy(prefs);
    bson_destroy(opts);
    return cursor;
}

static bool compare(mongoc_cursor_t *cursor, const bson_t *expected,
                    const char *name, verdict_t *verdict)
{
    const bson_t *document;
    bson_error_t error;
    bson_iter_t at;
    bson_t want;
    text_t a, b;

    bson_iter_init(&at, expected);
    while (mongoc_cursor_next(cursor, &document)) {
        if (!bson_iter_next(&at))
            return verdict_fail(verdict, "outcome of %s: one too many: %s",
                                name, value_json(document, &b));
        value_look(&at, &want);
        if (!match_same(&want, document))
            return verdict_fail(verdict, "outcome of %s: expected %s, got %s",
                                name, value_json(&want, &a),
                                value_json(document, &b));
    }
    if (mongoc_cursor_error(cursor, &error))
        return verdict_fail(verdict, "outcome of %s: %s", name,
                            error.message);
    return !bson_iter_next(&at) ||
           verdict_fail(verdict, "outcome of %s: expected %s, got nothing",
                        name, value_text(&at, &a));
}

static bool check(mongoc_client_t *internal, const bson_t *data,
                  verdict_t *verdict)
{
    mongoc_collection_t *collection = collection_of(internal, data);
    mongoc_cursor_t *cursor = all_of(collection);
    bson_t documents;
    bool fine;

    value_view(data, "documents", &documents);
    fine = compare(cursor, &documents,
                   value_utf8(data, "collectionName", "?"), verdict);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    return fine;
}

bool data_check(mongoc_client_t *internal, const bson_t *list,
                verdict_t *verdict)
{
    return each(internal, list, verdict, check);
}
