/* SPDX-License-Identifier: Apache-2.0 */
/* wire_catalogue.c - ordinary answers about databases, collections, indexes:
 * there are those that the test has described. */
#include "tests/wire/wire_commands.h"
#include "tests/wire/wire_server.h"

#include <stdio.h>
#include <string.h>

enum { NAMESPACE_NOT_FOUND = 26 };

/* A reply with a cursor whose documents are listed already. */
static void append_listed(bson_t *reply, const bson_t *documents,
                          const char *db, const char *name)
{
    char ns[512];
    bson_t cursor;

    snprintf(ns, sizeof ns, "%s.%s", db, name);
    BSON_APPEND_DOCUMENT_BEGIN(reply, "cursor", &cursor);
    BSON_APPEND_INT64(&cursor, "id", 0);
    BSON_APPEND_UTF8(&cursor, "ns", ns);
    BSON_APPEND_ARRAY(&cursor, "firstBatch", documents);
    bson_append_document_end(reply, &cursor);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
}

static void list_one(bson_t *array, uint32_t n, bson_t *document)
{
    char buffer[16];
    const char *key;

    bson_uint32_to_string(n, &key, buffer, sizeof buffer);
    bson_append_document(array, key, -1, document);
    bson_destroy(document);
}

static bool is_listed(const bson_t *array, const char *name)
{
    bson_iter_t iter, inner;

    if (!bson_iter_init(&iter, array))
        return false;
    while (bson_iter_next(&iter)) {
        if (bson_iter_recurse(&iter, &inner) &&
            bson_iter_find(&inner, "name") &&
            strcmp(bson_iter_utf8(&inner, NULL), name) == 0)
            return true;
    }
    return false;
}

void wire_answer_list_databases(wire_request_t *request, bson_t *reply)
{
    const wire_collections_t *all =
        &request->connection->server->collections;
    bson_t array = BSON_INITIALIZER;
    uint32_t n = 0;

    for (size_t i = 0; i < all->size; i++) {
        char name[64];
        size_t length = strcspn(all->list[i].ns, ".");
        bson_t database;

        snprintf(name, sizeof name, "%.*s", (int)length, all->list[i].ns);
        if (is_listed(&array, name))
            continue;
        bson_init(&database);
        BSON_APPEND_UTF8(&database, "name", name);
        BSON_APPEND_INT64(&database, "sizeOnDisk", 4096);
        BSON_APPEND_BOOL(&database, "empty", false);
        list_one(&array, n++, &database);
    }
    BSON_APPEND_ARRAY(reply, "databases", &array);
    BSON_APPEND_INT64(reply, "totalSize", 4096 * (int64_t)n);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
    bson_destroy(&array);
}

/* Only {name: "..."} of a filter is looked at. */
static bool filter_wants(const bson_t *body, const char *name)
{
    bson_t filter;
    bson_iter_t iter;

    if (!wire_get_document(body, "filter", &filter) ||
        !bson_iter_init_find(&iter, &filter, "name") ||
        !BSON_ITER_HOLDS_UTF8(&iter))
        return true;
    return strcmp(bson_iter_utf8(&iter, NULL), name) == 0;
}

void wire_answer_list_collections(wire_request_t *request, bson_t *reply)
{
    const wire_collections_t *all =
        &request->connection->server->collections;
    size_t length = strlen(request->db);
    bson_t array = BSON_INITIALIZER;
    uint32_t n = 0;

    for (size_t i = 0; i < all->size; i++) {
        const char *ns = all->list[i].ns;
        bson_t collection;

        if (strncmp(ns, request->db, length) != 0 || ns[length] != '.' ||
            !filter_wants(&request->message.body, ns + length + 1))
            continue;
        bson_init(&collection);
        BSON_APPEND_UTF8(&collection, "name", ns + length + 1);
        BSON_APPEND_UTF8(&collection, "type", "collection");
        list_one(&array, n++, &collection);
    }
    append_listed(reply, &array, request->db, "$cmd.listCollections");
    bson_destroy(&array);
}

/* Described by the test, or there by default. */
static bool collection_exists(const wire_request_t *request)
{
    const wire_collections_t *all =
        &request->connection->server->collections;
    wire_content_t content;

    return wire_collections_get(all, request->db, request->collection,
                                &content) ||
           content.n > 0;
}

void wire_answer_list_indexes(wire_request_t *request, bson_t *reply)
{
    bson_t array = BSON_INITIALIZER;
    bson_t index = BSON_INITIALIZER;
    bson_t key;

    if (!collection_exists(request)) {
        wire_reply_error(reply, NAMESPACE_NOT_FOUND,
                         "ns does not exist: %s.%s", request->db,
                         request->collection);
    } else {
        BSON_APPEND_INT32(&index, "v", 2);
        BSON_APPEND_DOCUMENT_BEGIN(&index, "key", &key);
        BSON_APPEND_INT32(&key, "_id", 1);
        bson_append_document_end(&index, &key);
        BSON_APPEND_UTF8(&index, "name", "_id_");
        bson_append_document(&array, "0", -1, &index);
        append_listed(reply, &array, request->db, request->collection);
    }
    bson_destroy(&index);
    bson_destroy(&array);
}

void wire_answer_create_indexes(wire_request_t *request, bson_t *reply)
{
    bson_t indexes;
    int32_t n = 0;

    if (wire_get_document(&request->message.body, "indexes", &indexes))
        n = (int32_t)bson_count_keys(&indexes);
    BSON_APPEND_INT32(reply, "numIndexesBefore", 1);
    BSON_APPEND_INT32(reply, "numIndexesAfter", 1 + n);
    BSON_APPEND_BOOL(reply, "createdCollectionAutomatically", false);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
}

void wire_answer_drop_indexes(wire_request_t *request, bson_t *reply)
{
    (void)request;
    BSON_APPEND_INT32(reply, "nIndexesWas", 2);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
}

void wire_answer_drop(wire_request_t *request, bson_t *reply)
{
    wire_collections_t *all = &request->connection->server->collections;

    if (!collection_exists(request)) {
        wire_reply_error(reply, NAMESPACE_NOT_FOUND, "ns not found");
        return;
    }
    wire_collections_drop(all, request->db, request->collection);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
}

void wire_answer_drop_database(wire_request_t *request, bson_t *reply)
{
    wire_collections_drop(&request->connection->server->collections,
                          request->db, NULL);
    BSON_APPEND_UTF8(reply, "dropped", request->db);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
}
