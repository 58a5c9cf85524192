/* SPDX-License-Identifier: Apache-2.0 */
/* backend.c - the servers of a soak, and what has reached them. */
#include "tests/soak/backend.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>


enum { REAL_DOCUMENTS = 2000, MOST = 120, REAL_MOST = 40 };

static const char settings[] =
    "socketTimeoutMS=1500&connectTimeoutMS=1000&serverSelectionTimeoutMS=1500"
    "&heartbeatFrequencyMS=500";

/* Without the driver's second try: a server that gets it while it is still at
 * the first may take them for two.  Ours keeps them apart. */
static const char settings_of_others[] = "&retryWrites=false";

/* -------------------------------------------------------------- arrivals */

static uint16_t transaction_of(const wire_command_t *command)
{
    bson_iter_t number;
    uint32_t hash = 2166136261u;

    if (!command->has_lsid ||
        !bson_iter_init_find(&number, command->document, "txnNumber"))
        return 0;
    for (size_t i = 0; i < sizeof command->lsid; i++)
        hash = (hash ^ command->lsid[i]) * 16777619u;
    hash = (hash ^ (uint32_t)bson_iter_as_int64(&number)) * 16777619u;
    return (uint16_t)((hash ^ hash >> 16) | 1);
}

static void note(backend_t *backend, const bson_t *document,
                 const char *path, uint16_t transaction)
{
    bson_iter_t iter, id;

    if (bson_iter_init(&iter, document) &&
        bson_iter_find_descendant(&iter, path, &id) &&
        BSON_ITER_HOLDS_NUMBER(&id))
        ledger_arrive(backend->ledger, bson_iter_as_int64(&id), transaction);
}

static void note_each(backend_t *backend, const bson_t *document,
                      const char *key, const char *path, uint16_t transaction)
{
    bson_iter_t iter, child;
    const uint8_t *data;
    uint32_t size;
    bson_t one;

    if (!bson_iter_init_find(&iter, document, key) ||
        !bson_iter_recurse(&iter, &child))
        return;
    while (bson_iter_next(&child)) {
        bson_iter_document(&child, &size, &data);
        if (bson_init_static(&one, data, size))
            note(backend, &one, path, transaction);
    }
}

/* A predicate that is never met: it only looks. */
static bool look(const wire_command_t *command, void *arg)
{
    uint16_t transaction = transaction_of(command);
    backend_t *backend = arg;

    if (strcmp(command->collection, "writes") != 0)
        return false;
    note_each(backend, command->document, "documents", "_id", transaction);
    note_each(backend, command->document, "updates", "q._id", transaction);
    note_each(backend, command->document, "deletes", "q._id", transaction);
    return false;
}

/* A server of somebody else's tells only at the end. */
static bool collect(backend_t *backend, mongoc_client_t *client)
{
    mongoc_collection_t *writes =
        mongoc_client_get_collection(client, backend->db, "writes");
    bson_t all = BSON_INITIALIZER;
    mongoc_cursor_t *cursor =
        mongoc_collection_find_with_opts(writes, &all, NULL, NULL);
    const bson_t *document;
    bson_error_t error;
    bool ok;

    while (mongoc_cursor_next(cursor, &document))
        note(backend, document, "_id", 0);
    ok = !mongoc_cursor_error(cursor, &error);
    if (!ok)
        fprintf(stderr, "soak: %s: %s\n", backend->real_uri, error.message);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(writes);
    bson_destroy(&all);
    return ok;
}

static bool drop(backend_t *backend, mongoc_client_t *client,
                 bson_error_t *error)
{
    mongoc_database_t *db = mongoc_client_get_database(client, backend->db);
    bool ok = mongoc_database_drop(db, error);

    mongoc_database_destroy(db);
    return ok;
}

bool backend_collect(backend_t *backend)
{
    mongoc_client_t *client;
    bool ok;

    if (backend->real_uri == NULL)
        return true;
    client = mongoc_client_new(backend->real_uri);
    ok = collect(backend, client);
    drop(backend, client, NULL);
    mongoc_client_destroy(client);
    return ok;
}

/* ------------------------------------------------------------------ life */

char *backend_db(char *out)
{
    snprintf(out, BACKEND_NAME_SIZE, "soak_%ld", (long)getpid());
    return out;
}

static bool finish_start(backend_t *backend, uint16_t upstream)
{
    pthread_mutex_init(&backend->lock, NULL);
    backend->proxy = proxy_new(upstream);
    return backend->proxy != NULL;
}

static void make_uri(backend_t *backend, const char *more)
{
    char all[256];

    snprintf(all, sizeof all, "%s%s", settings, more);
    proxy_uri(backend->proxy, all, backend->uri, sizeof backend->uri);
}

bool backend_start(backend_t *backend, wire_role_t role, const char *name,
                   int share)
{
    wire_options_t options = {.member.role = role,
                              .documents = INT32_MAX,
                              .no_log = true,
                              .delay_us = 300,
                              .jitter_us = 200};
    wire_member_t member = {.role = role};
    char host[64], ns[64];

    backend->name = name;
    backend->share = share;
    backend->documents = INT32_MAX;
    backend->most = MOST;
    backend_db(backend->db);
    backend->server = wire_server_new(&options);
    if (backend->server == NULL ||
        !finish_start(backend, wire_server_port(backend->server)))
        return false;
    snprintf(ns, sizeof ns, "%s.writes", backend->db);
    wire_collection(backend->server, ns, 0, NULL, NULL);
    if (wire_rule_add(backend->server,
                      &(wire_rule_t){.command = "insert update delete",
                                     .predicate = look,
                                     .arg = backend}) == 0)
        return false;
    if (role == WIRE_PRIMARY) { /* the driver goes where the set says it is */
        snprintf(host, sizeof host, "127.0.0.1:%u",
                 proxy_port(backend->proxy));
        member.hosts = member.primary = host;
        wire_server_set_member(backend->server, &member);
    }
    make_uri(backend, role == WIRE_PRIMARY ? "&replicaSet=rs" : "");
    return true;
}

/* Fill things anew. */
static bool fill(backend_t *backend, mongoc_client_t *client,
                 bson_error_t *error)
{
    mongoc_collection_t *things =
        mongoc_client_get_collection(client, backend->db, "things");
    mongoc_bulk_operation_t *bulk =
        mongoc_collection_create_bulk_operation_with_opts(things, NULL);
    bool ok;

    for (int i = 0; i < REAL_DOCUMENTS; i++) {
        bson_t *document = BCON_NEW("_id", BCON_INT32(i));

        mongoc_bulk_operation_insert(bulk, document);
        bson_destroy(document);
    }
    ok = mongoc_bulk_operation_execute(bulk, NULL, error) != 0;
    mongoc_bulk_operation_destroy(bulk);
    mongoc_collection_destroy(things);
    return ok;
}

bool backend_start_real(backend_t *backend, const char *text, int share)
{
    bson_error_t error = {0};
    mongoc_uri_t *uri = mongoc_uri_new_with_error(text, &error);
    const mongoc_host_list_t *host;
    mongoc_client_t *client;
    bool ok;

    if (uri == NULL) {
        fprintf(stderr, "soak: %s: %s\n", text, error.message);
        return false;
    }
    backend->name = "the server of MONGODB_URI";
    backend->real_uri = text;
    backend->share = share;
    backend->documents = REAL_DOCUMENTS;
    backend->most = REAL_MOST;
    backend_db(backend->db);
    host = mongoc_uri_get_hosts(uri);
    client = mongoc_client_new_from_uri(uri);
    ok = strcmp(host->host, "127.0.0.1") == 0 ||
         strcmp(host->host, "localhost") == 0;
    if (!ok)
        bson_set_error(&error, 0, 0, "the proxy is for 127.0.0.1");
    ok = ok && drop(backend, client, &error) &&
         fill(backend, client, &error) && finish_start(backend, host->port);
    if (ok)
        make_uri(backend, settings_of_others);
    else
        fprintf(stderr, "soak: %s: %s\n", text, error.message);
    mongoc_client_destroy(client);
    mongoc_uri_destroy(uri);
    return ok;
}

void backend_free(backend_t *backend)
{
    proxy_free(backend->proxy);
    wire_server_free(backend->server);
    if (backend->proxy != NULL)
        pthread_mutex_destroy(&backend->lock);
}
