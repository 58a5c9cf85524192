/* SPDX-License-Identifier: Apache-2.0 */
/* test_verbs_opts.c - opts reach the server as the driver's own function sends
 * them.
 *
 *   each verb x each key x two kinds of handle:
 *       the driver's function ──> wire server's log ──┐
 *       Stator's verb ──────────> wire server's log ──┴─ the same commands?
 *
 * What the driver refuses, Stator must refuse, and send as much.  Two
 * commands are the same when their fields are, in any order, but for what
 * tells sessions and transactions apart. */
#include <mongoc/mongoc.h>

#include "tests/lib/support.h"
#include "tests/wire/wire.h"

/* ---- both drivers on one server ------------------------------------------ */

typedef struct pair {
    wire_server_t *server;
    stage_t *stage;
    stator_session_t *session;
    stator_database_t *database; /* with the options of the round */
    stator_collection_t *collection;
    mongoc_client_t *client; /* the raw one */
    mongoc_client_session_t *raw_session;
    mongoc_database_t *raw_database;
    mongoc_collection_t *raw_collection;
} pair_t;

/* What one call is given. */
typedef struct given {
    pair_t *p;
    bson_t opts;                /* sessionId included, readPreference not */
    mongoc_read_prefs_t *prefs; /* the driver's; NULL: none */
    bson_t stator;              /* the same for Stator */
} given_t;

typedef bool raw_fn(const given_t *g);
typedef stator_future_t *verb_fn(const given_t *g);
typedef stator_cursor_t *cursor_fn(const given_t *g);

static void start_sessions(pair_t *p)
{
    mongoc_session_opt_t *how = mongoc_session_opts_new();
    bson_error_t error;
    stator_future_t *future;

    mongoc_session_opts_set_causal_consistency(how, false);
    p->raw_session = mongoc_client_start_session(p->client, how, &error);
    ck_assert_ptr_nonnull(p->raw_session);
    mongoc_session_opts_destroy(how);
    future = done(stator_client_start_session(
        p->stage->client, J("{'causalConsistency': false}")));
    p->session = stator_future_session(future);
    ck_assert_ptr_nonnull(p->session);
}

static pair_t *pair_new(void)
{
    wire_options_t options = {.documents = 3,
                              .member = {.role = WIRE_PRIMARY}};
    pair_t *p = calloc(1, sizeof *p);
    char uri[WIRE_URI_SIZE];
    bson_error_t error;

    p->server = wire_server_new(&options);
    ck_assert_ptr_nonnull(p->server);
    wire_server_uri(p->server, NULL, uri, sizeof uri);
    p->stage = stage_new(uri, NULL, false);
    p->client = mongoc_client_new(uri);
    mongoc_client_set_error_api(p->client, MONGOC_ERROR_API_VERSION_2);
    ck_assert(mongoc_client_command_simple(
        p->client, "admin", J("{'ping': 1}"), NULL, NULL, &error));
    start_sessions(p);
    return p;
}

static void pair_free(pair_t *p)
{
    stator_session_unref(p->session);
    mongoc_client_session_destroy(p->raw_session);
    mongoc_client_destroy(p->client);
    stage_free(p->stage);
    wire_server_free(p->server);
    free(p);
}

/* The handles of one round: with concerns of their own, or without. */
static void open_handles(pair_t *p, bool with_own)
{
    const bson_t *options =
        with_own ? J("{'readConcern': {'level': 'majority'}, "
                     "'writeConcern': {'w': 2, 'wtimeout': 77}, "
                     "'readPreference': {'mode': 'secondaryPreferred'}}")
                 : J("{}");
    mongoc_read_prefs_t *prefs =
        mongoc_read_prefs_new(MONGOC_READ_SECONDARY_PREFERRED);
    mongoc_read_concern_t *read = mongoc_read_concern_new();
    mongoc_write_concern_t *write = mongoc_write_concern_new();
    const char *name;

    p->database =
        stator_database_with_opts(p->stage->database, options, NULL);
    p->collection =
        stator_collection_with_opts(p->stage->collection, options, NULL);
    name = stator_database_get_name(p->database);
    p->raw_database = mongoc_client_get_database(p->client, name);
    p->raw_collection =
        mongoc_client_get_collection(p->client, name, p->stage->name);
    mongoc_read_concern_set_level(read, "majority");
    mongoc_write_concern_set_w(write, 2);
    mongoc_write_concern_set_wtimeout_int64(write, 77);
    if (with_own) {
        mongoc_database_set_read_concern(p->raw_database, read);
        mongoc_database_set_write_concern(p->raw_database, write);
        mongoc_database_set_read_prefs(p->raw_database, prefs);
        mongoc_collection_set_read_concern(p->raw_collection, read);
        mongoc_collection_set_write_concern(p->raw_collection, write);
        mongoc_collection_set_read_prefs(p->raw_collection, prefs);
    }
    mongoc_read_concern_destroy(read);
    mongoc_write_concern_destroy(write);
    mongoc_read_prefs_destroy(prefs);
}

static void close_handles(pair_t *p)
{
    stator_database_unref(p->database);
    stator_collection_unref(p->collection);
    mongoc_database_destroy(p->raw_database);
    mongoc_collection_destroy(p->raw_collection);
}

/* ---- what is compared ---------------------------------------------------- */

/* A command as text, its fields in order of name. */
static char *normal(const wire_command_t *command)
{
    static const char *const private[] = {"lsid", "$clusterTime",
                                          "txnNumber"};
    bson_string_t *text = bson_string_new(command->name);
    const char *keys[64];
    size_t n = 0;
    bson_iter_t i;

    bson_iter_init(&i, command->document);
    while (bson_iter_next(&i) && n < 64) {
        bool skip = false;
        size_t at = n;

        for (size_t k = 0; k < sizeof private / sizeof *private; k++)
            skip = skip || strcmp(bson_iter_key(&i), private[k]) == 0;
        if (skip)
            continue;
        while (at > 0 && strcmp(keys[at - 1], bson_iter_key(&i)) > 0) {
            keys[at] = keys[at - 1];
            at--;
        }
        keys[at] = bson_iter_key(&i);
        n++;
    }
    for (size_t k = 0; k < n; k++) /* a cursor's id is the server's choice */
        bson_string_append_printf(text, " %s=%s", keys[k],
                                  strcmp(keys[k], "getMore") == 0
                                      ? "id"
                                      : at(command->document, keys[k]));
    return bson_string_free(text, false);
}

/* All that came since the log was cleared, a line each. */
static char *take_log(pair_t *p)
{
    bson_string_t *text = bson_string_new("");
    size_t n = wire_log_size(p->server);

    for (size_t i = 0; i < n; i++) {
        wire_command_t command = {0};
        char *line;

        if (!wire_log_at(p->server, i, &command))
            continue;
        line = normal(&command);
        if (strcmp(command.name, "endSessions") != 0)
            bson_string_append_printf(text, "%s\n", line);
        bson_free(line);
        wire_command_clear(&command);
    }
    wire_log_clear(p->server);
    return bson_string_free(text, false);
}

/* ---- the driver's verbs -------------------------------------------------- */

static const bson_t *doc(void)
{
    return J("{'_id': 1, 'a': 1}");
}

static bool drain(mongoc_cursor_t *cursor)
{
    const bson_t *document;
    bson_error_t error;
    bool ok;

    while (mongoc_cursor_next(cursor, &document))
        ;
    ok = !mongoc_cursor_error(cursor, &error);
    mongoc_cursor_destroy(cursor);
    return ok;
}

#define RAW(name) static bool raw_##name(const given_t *g)
#define C g->p->raw_collection
#define D g->p->raw_database
/* Not all of them touch the reply when they refuse. */
#define SIMPLE(name, call)               \
    RAW(name)                            \
    {                                    \
        bson_error_t error;              \
        bson_t reply = BSON_INITIALIZER; \
        bool ok = call;                  \
                                         \
        bson_destroy(&reply);            \
        return ok;                       \
    }
#define BARE(name, call)    \
    RAW(name)               \
    {                       \
        bson_error_t error; \
                            \
        return call;        \
    }

#define DRAIN(name, cursor)  \
    RAW(name)                \
    {                        \
        return drain(cursor); \
    }

SIMPLE(insert_one, mongoc_collection_insert_one(C, doc(), &g->opts, &reply,
                                                &error))
SIMPLE(update_one,
       mongoc_collection_update_one(C, doc(), J("{'$set': {'b': 1}}"),
                                    &g->opts, &reply, &error))
SIMPLE(update_many,
       mongoc_collection_update_many(C, doc(), J("{'$set': {'b': 1}}"),
                                     &g->opts, &reply, &error))
SIMPLE(replace_one,
       mongoc_collection_replace_one(C, doc(), J("{'b': 1}"), &g->opts,
                                     &reply, &error))
SIMPLE(delete_one, mongoc_collection_delete_one(C, doc(), &g->opts, &reply,
                                                &error))
SIMPLE(delete_many, mongoc_collection_delete_many(C, doc(), &g->opts, &reply,
                                                  &error))
SIMPLE(estimated,
       mongoc_collection_estimated_document_count(C, &g->opts, g->prefs,
                                                  &reply, &error) >= 0)
SIMPLE(count, mongoc_collection_count_documents(C, doc(), &g->opts, g->prefs,
                                                &reply, &error) >= 0)
SIMPLE(command, mongoc_database_command_with_opts(
                    D, J("{'count': 'x'}"), g->prefs, &g->opts, &reply,
                    &error))
SIMPLE(read_command, mongoc_database_read_command_with_opts(
                         D, J("{'count': 'x'}"), g->prefs, &g->opts, &reply,
                         &error))
SIMPLE(write_command,
       mongoc_database_write_command_with_opts(D, J("{'create': 'x'}"),
                                               &g->opts, &reply, &error))
SIMPLE(read_write_command, mongoc_database_read_write_command_with_opts(
                               D, J("{'create': 'x'}"), g->prefs, &g->opts,
                               &reply, &error))
SIMPLE(on_collection, mongoc_collection_command_with_opts(
                          C, J("{'count': 'x'}"), g->prefs, &g->opts, &reply,
                          &error))
SIMPLE(read_on_collection, mongoc_collection_read_command_with_opts(
                               C, J("{'count': 'x'}"), g->prefs, &g->opts,
                               &reply, &error))
SIMPLE(write_on_collection,
       mongoc_collection_write_command_with_opts(C, J("{'create': 'x'}"),
                                                 &g->opts, &reply, &error))
SIMPLE(rw_on_collection, mongoc_collection_read_write_command_with_opts(
                             C, J("{'create': 'x'}"), g->prefs, &g->opts,
                             &reply, &error))
SIMPLE(on_client, mongoc_client_command_with_opts(
                      g->p->client, "d", J("{'count': 'x'}"), g->prefs,
                      &g->opts, &reply, &error))
SIMPLE(read_on_client, mongoc_client_read_command_with_opts(
                           g->p->client, "d", J("{'count': 'x'}"), g->prefs,
                           &g->opts, &reply, &error))
SIMPLE(write_on_client, mongoc_client_write_command_with_opts(
                            g->p->client, "d", J("{'create': 'x'}"),
                            &g->opts, &reply, &error))
SIMPLE(rw_on_client, mongoc_client_read_write_command_with_opts(
                         g->p->client, "d", J("{'create': 'x'}"), g->prefs,
                         &g->opts, &reply, &error))
BARE(drop_index, mongoc_collection_drop_index_with_opts(C, "a_1", &g->opts,
                                                        &error))
BARE(drop, mongoc_collection_drop_with_opts(C, &g->opts, &error))
BARE(drop_database, mongoc_database_drop_with_opts(D, &g->opts, &error))
DRAIN(find,
      mongoc_collection_find_with_opts(C, doc(), &g->opts, g->prefs))
DRAIN(aggregate,
      mongoc_collection_aggregate(C, MONGOC_QUERY_NONE,
                                  J("{'0': {'$match': {}}}"), &g->opts,
                                  g->prefs))
DRAIN(merge,
      mongoc_collection_aggregate(C, MONGOC_QUERY_NONE,
                                  J("{'0': {'$merge': {'into': 'o'}}}"),
                                  &g->opts, g->prefs))
DRAIN(database_aggregate,
      mongoc_database_aggregate(D, J("{'0': {'$currentOp': {}}}"), &g->opts,
                                g->prefs))
DRAIN(list_indexes, mongoc_collection_find_indexes_with_opts(C, &g->opts))
DRAIN(list_collections,
      mongoc_database_find_collections_with_opts(D, &g->opts))
DRAIN(list_databases,
      mongoc_client_find_databases_with_opts(g->p->client, &g->opts))

SIMPLE(distinct,
       mongoc_collection_read_command_with_opts(
           C, J("{'distinct': 'things', 'key': 'a', 'query': {}}"), g->prefs,
           &g->opts, &reply, &error))
SIMPLE(create_index,
       mongoc_collection_write_command_with_opts(
           C, J("{'createIndexes': 'things', 'indexes': [{'key': {'a': 1}, "
                "'name': 'a_1'}]}"),
           &g->opts, &reply, &error))

/* The driver has none: this is how its manual does it. */
RAW(find_one)
{
    bson_t opts;
    bool ok;

    bson_copy_to(&g->opts, &opts);
    BSON_APPEND_INT64(&opts, "limit", 1);
    BSON_APPEND_BOOL(&opts, "singleBatch", true);
    ok = drain(
        mongoc_collection_find_with_opts(C, doc(), &opts, g->prefs));
    bson_destroy(&opts);
    return ok;
}

RAW(insert_many)
{
    const bson_t *documents[] = {doc(), J("{'_id': 2}")};
    bson_error_t error;
    bson_t reply = BSON_INITIALIZER;
    bool ok = mongoc_collection_insert_many(C, documents, 2, &g->opts, &reply,
                                            &error);

    bson_destroy(&reply);
    return ok;
}

RAW(find_one_and_update)
{
    mongoc_find_and_modify_opts_t *opts = mongoc_find_and_modify_opts_new();
    bson_error_t error;
    bson_t reply = BSON_INITIALIZER;
    bool ok;

    mongoc_find_and_modify_opts_set_update(opts, J("{'$set': {'b': 1}}"));
    mongoc_find_and_modify_opts_append(opts, &g->opts);
    ok = mongoc_collection_find_and_modify_with_opts(C, doc(), opts, &reply,
                                                     &error);
    mongoc_find_and_modify_opts_destroy(opts);
    bson_destroy(&reply);
    return ok;
}

RAW(find_one_and_delete)
{
    mongoc_find_and_modify_opts_t *opts = mongoc_find_and_modify_opts_new();
    bson_error_t error;
    bson_t reply = BSON_INITIALIZER;
    bool ok;

    mongoc_find_and_modify_opts_set_flags(opts,
                                          MONGOC_FIND_AND_MODIFY_REMOVE);
    mongoc_find_and_modify_opts_append(opts, &g->opts);
    ok = mongoc_collection_find_and_modify_with_opts(C, doc(), opts, &reply,
                                                     &error);
    mongoc_find_and_modify_opts_destroy(opts);
    bson_destroy(&reply);
    return ok;
}

RAW(bulk_write)
{
    mongoc_bulk_operation_t *bulk =
        mongoc_collection_create_bulk_operation_with_opts(C, &g->opts);
    bson_error_t error;
    bson_t reply = BSON_INITIALIZER;
    bool ok = mongoc_bulk_operation_insert_with_opts(bulk, doc(), NULL,
                                                     &error) &&
              mongoc_bulk_operation_update_one_with_opts(
                  bulk, doc(), J("{'$set': {'b': 1}}"), NULL, &error) &&
              mongoc_bulk_operation_remove_one_with_opts(bulk, doc(), NULL,
                                                         &error);

    if (ok) {
        ok = mongoc_bulk_operation_execute(bulk, &reply, &error) != 0;
        bson_destroy(&reply);
    }
    mongoc_bulk_operation_destroy(bulk);
    return ok;
}

RAW(create_collection)
{
    bson_error_t error;
    mongoc_collection_t *made =
        mongoc_database_create_collection(D, "n", &g->opts, &error);
    bool ok = made != NULL;

    mongoc_collection_destroy(made);
    return ok;
}

RAW(rename)
{
    mongoc_collection_t *copy = mongoc_collection_copy(C);
    bson_error_t error;
    bool ok = mongoc_collection_rename_with_opts(copy, "d", "n", true,
                                                 &g->opts, &error);

    mongoc_collection_destroy(copy);
    return ok;
}

RAW(collection_names)
{
    bson_error_t error;
    char **names = mongoc_database_get_collection_names_with_opts(
        D, &g->opts, &error);

    bson_strfreev(names);
    return names != NULL;
}

RAW(database_names)
{
    bson_error_t error;
    char **names = mongoc_client_get_database_names_with_opts(
        g->p->client, &g->opts, &error);

    bson_strfreev(names);
    return names != NULL;
}

#undef C
#undef D

/* ---- Stator's ------------------------------------------------------------ */

#define C g->p->collection
#define D g->p->database
#define O &g->stator
#define VERB(name, call)                                \
    static stator_future_t *our_##name(const given_t *g) \
    {                                                   \
        return call;                                    \
    }
#define CURSOR(name, call)                              \
    static stator_cursor_t *our_##name(const given_t *g) \
    {                                                   \
        return call;                                    \
    }

VERB(insert_one, stator_collection_insert_one(C, doc(), O))
VERB(update_one, stator_collection_update_one(C, doc(),
                                              J("{'$set': {'b': 1}}"), O))
VERB(update_many, stator_collection_update_many(C, doc(),
                                                J("{'$set': {'b': 1}}"), O))
VERB(replace_one, stator_collection_replace_one(C, doc(), J("{'b': 1}"), O))
VERB(delete_one, stator_collection_delete_one(C, doc(), O))
VERB(delete_many, stator_collection_delete_many(C, doc(), O))
VERB(estimated, stator_collection_estimated_document_count(C, O))
VERB(count, stator_collection_count_documents(C, doc(), O))
VERB(command, stator_database_command(D, J("{'count': 'x'}"), O))
VERB(read_command, stator_database_read_command(D, J("{'count': 'x'}"), O))
VERB(write_command, stator_database_write_command(D, J("{'create': 'x'}"), O))
VERB(read_write_command,
     stator_database_read_write_command(D, J("{'create': 'x'}"), O))
VERB(on_collection, stator_collection_command(C, J("{'count': 'x'}"), O))
VERB(read_on_collection,
     stator_collection_read_command(C, J("{'count': 'x'}"), O))
VERB(write_on_collection,
     stator_collection_write_command(C, J("{'create': 'x'}"), O))
VERB(rw_on_collection,
     stator_collection_read_write_command(C, J("{'create': 'x'}"), O))
VERB(on_client,
     stator_client_command(g->p->stage->client, "d", J("{'count': 'x'}"), O))
VERB(read_on_client, stator_client_read_command(g->p->stage->client, "d",
                                                J("{'count': 'x'}"), O))
VERB(write_on_client, stator_client_write_command(g->p->stage->client, "d",
                                                  J("{'create': 'x'}"), O))
VERB(rw_on_client, stator_client_read_write_command(g->p->stage->client, "d",
                                                    J("{'create': 'x'}"), O))
VERB(drop_index, stator_collection_drop_index(C, "a_1", O))
VERB(drop, stator_collection_drop(C, O))
VERB(drop_database, stator_database_drop(D, O))
VERB(find_one_and_update, stator_collection_find_one_and_update(
                              C, doc(), J("{'$set': {'b': 1}}"), O))
VERB(find_one_and_delete, stator_collection_find_one_and_delete(C, doc(), O))
VERB(create_collection, stator_database_create_collection(D, "n", O))
VERB(rename, stator_collection_rename(C, "d", "n", true, O))
VERB(collection_names, stator_database_list_collection_names(D, O))
VERB(database_names,
     stator_client_list_database_names(g->p->stage->client, O))
VERB(distinct, stator_collection_distinct(C, "a", NULL, O))
VERB(create_index,
     stator_collection_create_index(C, J("{'key': {'a': 1}}"), O))
VERB(find_one, stator_collection_find_one(C, doc(), O))
CURSOR(find, stator_collection_find(C, doc(), O))
CURSOR(aggregate,
       stator_collection_aggregate(C, J("{'0': {'$match': {}}}"), O))
CURSOR(merge, stator_collection_aggregate(
                  C, J("{'0': {'$merge': {'into': 'o'}}}"), O))
CURSOR(database_aggregate,
       stator_database_aggregate(D, J("{'0': {'$currentOp': {}}}"), O))
CURSOR(list_indexes, stator_collection_list_indexes(C, O))
CURSOR(list_collections, stator_database_list_collections(D, O))
CURSOR(list_databases,
       stator_client_list_databases(g->p->stage->client, O))

static stator_future_t *our_insert_many(const given_t *g)
{
    const bson_t *documents[] = {doc(), J("{'_id': 2}")};

    return stator_collection_insert_many(C, documents, 2, O);
}

static stator_future_t *our_bulk_write(const given_t *g)
{
    const bson_t *models[] = {
        J("{'insertOne': {'document': {'_id': 1, 'a': 1}}}"),
        J("{'updateOne': {'filter': {'_id': 1, 'a': 1}, "
          "'update': {'$set': {'b': 1}}}}"),
        J("{'deleteOne': {'filter': {'_id': 1, 'a': 1}}}")};

    return stator_collection_bulk_write(C, models, 3, O);
}

#undef C
#undef D
#undef O

#define FUTURE_ROW(name) {#name, raw_##name, our_##name, NULL}
#define CURSOR_ROW(name) {#name, raw_##name, NULL, our_##name}

static const struct row {
    const char *name;
    raw_fn *raw;
    verb_fn *verb;
    cursor_fn *cursor;
} rows[] = {
    FUTURE_ROW(insert_one),          FUTURE_ROW(insert_many),
    FUTURE_ROW(update_one),          FUTURE_ROW(update_many),
    FUTURE_ROW(replace_one),         FUTURE_ROW(delete_one),
    FUTURE_ROW(delete_many),         FUTURE_ROW(estimated),
    FUTURE_ROW(count),               FUTURE_ROW(command),
    FUTURE_ROW(read_command),        FUTURE_ROW(write_command),
    FUTURE_ROW(read_write_command),  FUTURE_ROW(on_collection),
    FUTURE_ROW(read_on_collection),  FUTURE_ROW(write_on_collection),
    FUTURE_ROW(rw_on_collection),    FUTURE_ROW(on_client),
    FUTURE_ROW(read_on_client),      FUTURE_ROW(write_on_client),
    FUTURE_ROW(rw_on_client),        FUTURE_ROW(drop_index),
    FUTURE_ROW(drop),                FUTURE_ROW(drop_database),
    FUTURE_ROW(find_one_and_update), FUTURE_ROW(find_one_and_delete),
    FUTURE_ROW(bulk_write),          FUTURE_ROW(create_collection),
    FUTURE_ROW(rename),              FUTURE_ROW(collection_names),
    FUTURE_ROW(distinct),            FUTURE_ROW(create_index),
    FUTURE_ROW(find_one),
    FUTURE_ROW(database_names),      CURSOR_ROW(find),
    CURSOR_ROW(aggregate),           CURSOR_ROW(merge),
    CURSOR_ROW(database_aggregate),  CURSOR_ROW(list_indexes),
    CURSOR_ROW(list_collections),    CURSOR_ROW(list_databases),
};

enum { N_ROWS = sizeof rows / sizeof *rows };

/* ---- keys of opts -------------------------------------------------------- */

#define SEVERAL                                                      \
    "{'readConcern': {'level': 'local'}, 'writeConcern': {'w': 1}, " \
    "'comment': 'why', 'sessionId': 1}"

static const char *const keys[] = {
    "{}",
    "{'readConcern': {'level': 'local'}}",
    "{'writeConcern': {'w': 'majority'}}",
    "{'writeConcern': {'w': 1, 'j': true}}",
    "{'readPreference': {'mode': 'nearest'}}",
    "{'readPreference': {'mode': 'nearest', 'hedge': {'enabled': true}}}",
    "{'collation': {'locale': 'en'}}",
    "{'hint': 'a_1'}",
    "{'hint': {'a': 1}}",
    "{'let': {'x': 1}}",
    "{'comment': 'why'}",
    "{'comment': {'why': 1}}",
    "{'sessionId': 1}",
    "{'maxTimeMS': 1234}",
    "{'aKeyOfTheFuture': {'a': [1, 2]}}",
    "{'serverId': 1}",
    "{'bypassDocumentValidation': true}",
    "{'batchSize': 2}",
    "{'writeConcern': 1}",
    "{'readConcern': 1}",
    "{'collation': 1}",
    "{'serverId': 0}",
    SEVERAL,
};

enum { N_KEYS = sizeof keys / sizeof *keys };

/* Where they differ, and why. */
static const struct known {
    const char *name, *key;
} known[] = {
    /* The driver takes no session here, the server does. */
    {"estimated", "{'sessionId': 1}"},
    {"estimated", SEVERAL},
    /* The driver has a function for each instead. */
    {"bulk_write", "{'bypassDocumentValidation': true}"},
    {"bulk_write", "{'serverId': 1}"},
    /* The driver does not ask for batches of that size. */
    {"list_indexes", "{'batchSize': 2}"},
    {"list_collections", "{'batchSize': 2}"},
    /* One document is one batch. */
    {"find_one", "{'batchSize': 2}"},
    /* The driver leaves it to the server to refuse that. */
    {"find_one", "{'collation': 1}"},
    {"find", "{'collation': 1}"},
    {"list_indexes", "{'collation': 1}"},
    {"list_collections", "{'collation': 1}"},
    {"list_databases", "{'collation': 1}"},
};

static bool is_known(const struct row *row, const char *key)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, row->name) == 0 &&
            strcmp(known[i].key, key) == 0)
            return true;
    return false;
}

static mongoc_read_prefs_t *prefs_of(const bson_t *opts)
{
    mongoc_read_prefs_t *prefs;

    if (!bson_has_field(opts, "readPreference"))
        return NULL;
    prefs = mongoc_read_prefs_new(MONGOC_READ_NEAREST);
    if (bson_has_field(opts, "readPreference.hedge"))
        mongoc_read_prefs_set_hedge(prefs, J("{'enabled': true}"));
    return prefs;
}

static void give(pair_t *p, const bson_t *opts, given_t *g)
{
    bool in_session = bson_has_field(opts, "sessionId");
    bson_error_t error;

    g->p = p;
    g->prefs = prefs_of(opts);
    bson_init(&g->opts);
    bson_init(&g->stator);
    bson_copy_to_excluding_noinit(opts, &g->opts, "readPreference",
                                  "sessionId", NULL);
    bson_copy_to_excluding_noinit(opts, &g->stator, "sessionId", NULL);
    if (in_session) {
        ck_assert(mongoc_client_session_append(p->raw_session, &g->opts,
                                               &error));
        ck_assert(stator_session_append(p->session, &g->stator, &error));
    }
}

static void take_back(given_t *g)
{
    mongoc_read_prefs_destroy(g->prefs);
    bson_destroy(&g->opts);
    bson_destroy(&g->stator);
}

static bool settle(const struct row *row, const given_t *g, char *why,
                   size_t size)
{
    stator_cursor_t *cursor = row->cursor == NULL ? NULL : row->cursor(g);
    stator_future_t *future =
        cursor == NULL ? row->verb(g) : stator_cursor_to_list(cursor, 0);
    bson_error_t error = {0};
    bool ok;

    ck_assert_int_eq(stator_future_wait(future, LIB_PATIENCE_MS), 0);
    ok = stator_future_poll(future) == STATOR_FUTURE_DONE;
    stator_future_error(future, &error);
    snprintf(why, size, "%s", error.message);
    stator_future_unref(future);
    stator_cursor_unref(cursor);
    return ok;
}

/* 1: they differ and should not, or the other way round. */
static int compare(pair_t *p, const struct row *row, const char *key)
{
    char *raw_log, *log, why[600];
    bool raw_ok, ok;
    int differ;
    given_t g;

    give(p, J("%s", key), &g);
    wire_log_clear(p->server);
    raw_ok = row->raw(&g);
    raw_log = take_log(p);
    ok = settle(row, &g, why, sizeof why);
    log = take_log(p);
    differ = raw_ok != ok || strcmp(raw_log, log) != 0;
    differ = differ != is_known(row, key);
    if (differ)
        fprintf(stderr, "%s with %s:\n  driver (%s):\n%s  Stator (%s %s):\n%s",
               row->name, key, raw_ok ? "ok" : "failed", raw_log,
               ok ? "ok" : "failed", why, log);
    bson_free(raw_log);
    bson_free(log);
    take_back(&g);
    lib_forget();
    return differ;
}

START_TEST(every_verb_sends_what_the_driver_sends)
{
    pair_t *p = pair_new();
    int differ = 0;

    open_handles(p, _i == 1);
    for (size_t r = 0; r < N_ROWS; r++)
        for (size_t k = 0; k < N_KEYS; k++)
            differ += compare(p, &rows[r], keys[k]);
    close_handles(p);
    ck_assert_int_eq(differ, 0);
    pair_free(p);
}
END_TEST

SUITE(verbs_opts)
{
    tcase_add_loop_test(tc, every_verb_sends_what_the_driver_sends, 0, 2);
}
