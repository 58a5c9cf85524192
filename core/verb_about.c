/* SPDX-License-Identifier: Apache-2.0 */
/* core/verb_about.c - what a collection, and the deployment, say of
 * themselves. */
#include "core/verb_support.h"

/* ---- of a collection --------------------------------------------- */

/* {name: collection} with the opts, as the driver's own function would. */
static bool ask(struct stc_call *call, const char *name,
                const mongoc_read_prefs_t *prefs)
{
    bson_t command = BSON_INITIALIZER, room, reply;
    const bson_t *opts = stc_timed_opts(call, &room);
    bool ok;

    BSON_APPEND_UTF8(&command, name, call->name);
    ok = mongoc_collection_command_with_opts(call->collection, &command,
                                             prefs, opts, &reply,
                                             &call->result->error);
    bson_destroy(&command);
    bson_destroy(&room);
    return stc_verb_end(call, ok, &reply);
}

static bool validate(struct stc_call *call)
{
    return ask(call, "validate", call->own_read_prefs);
}

static bool stats(struct stc_call *call)
{
    return ask(call, "collStats", call->read_prefs);
}

/* The first of listCollections is the only one of that name. */
static bool first_of(struct stc_call *call, mongoc_cursor_t *cursor)
{
    const bson_t *document = NULL;
    bson_t reply = BSON_INITIALIZER;
    bool ok = true;

    if (!mongoc_cursor_next(cursor, &document))
        ok = !mongoc_cursor_error_document(cursor, &call->result->error,
                                           &document);
    if (document != NULL)
        bson_concat(&reply, document);
    mongoc_cursor_destroy(cursor);
    return stc_verb_end(call, ok, &reply);
}

static bool options(struct stc_call *call)
{
    mongoc_database_t *database =
        mongoc_client_get_database(call->client, call->db);
    bson_t opts = BSON_INITIALIZER, filter;
    bson_iter_t i;
    bool ok;

    bson_copy_to_excluding_noinit(&call->opts, &opts, "filter", NULL);
    BSON_APPEND_DOCUMENT_BEGIN(&opts, "filter", &filter);
    BSON_APPEND_UTF8(&filter, "name", call->name);
    bson_append_document_end(&opts, &filter);
    stc_append_max_time(call, &opts);
    ok = first_of(call, mongoc_database_find_collections_with_opts(database,
                                                                   &opts));
    bson_destroy(&opts);
    mongoc_database_destroy(database);
    if (ok && call->result->has_reply &&
        bson_iter_init_find(&i, &call->result->reply, "options"))
        stc_result_lend_document(call->result, &i);
    return ok;
}

/* ---- of the deployment ------------------------------------------- */

static void describe(const mongoc_server_description_t *server, bson_t *out)
{
    BSON_APPEND_INT64(out, "serverId", mongoc_server_description_id(server));
    BSON_APPEND_UTF8(out, "address",
                     mongoc_server_description_host(server)->host_and_port);
    BSON_APPEND_UTF8(out, "type", mongoc_server_description_type(server));
    BSON_APPEND_INT64(out, "roundTripTimeMS",
                      mongoc_server_description_round_trip_time(server));
    BSON_APPEND_DOCUMENT(out, "helloResponse",
                         mongoc_server_description_hello_response(server));
}

/* {server: {..}}, which becomes the document.  Takes `server`; NULL: the
 * error is there. */
static bool tell(struct stc_call *call, mongoc_server_description_t *server)
{
    bson_t reply = BSON_INITIALIZER, one;
    bson_iter_t i;

    if (server == NULL)
        return stc_verb_end(call, false, &reply);
    BSON_APPEND_DOCUMENT_BEGIN(&reply, "server", &one);
    describe(server, &one);
    bson_append_document_end(&reply, &one);
    mongoc_server_description_destroy(server);
    stc_verb_end(call, true, &reply);
    if (bson_iter_init_find(&i, &call->result->reply, "server"))
        stc_result_lend_document(call->result, &i);
    return true;
}

/* What lib has put into the first argument. */
static int64_t number_of(const struct stc_call *call, const char *key)
{
    bson_iter_t i;

    return bson_iter_init_find(&i, &call->arguments[0], key)
               ? bson_iter_as_int64(&i)
               : 0;
}

static bool select_server(struct stc_call *call)
{
    bool for_writes = number_of(call, "for_writes") != 0;

    return tell(call, mongoc_client_select_server(
                          call->client, for_writes,
                          for_writes ? NULL : call->own_read_prefs,
                          &call->result->error));
}

static bool get_handshake_description(struct stc_call *call)
{
    return tell(call, mongoc_client_get_handshake_description(
                          call->client,
                          (uint32_t)number_of(call, "server_id"), NULL,
                          &call->result->error));
}

static bool get_server_descriptions(struct stc_call *call)
{
    bson_t reply = BSON_INITIALIZER, list, one;
    size_t n = 0;
    mongoc_server_description_t **all =
        mongoc_client_get_server_descriptions(call->client, &n);

    BSON_APPEND_ARRAY_BEGIN(&reply, "servers", &list);
    for (size_t i = 0; i < n; i++) {
        const char *key;
        char room[16];

        bson_uint32_to_string((uint32_t)i, &key, room, sizeof room);
        BSON_APPEND_DOCUMENT_BEGIN(&list, key, &one);
        describe(all[i], &one);
        bson_append_document_end(&list, &one);
    }
    bson_append_array_end(&reply, &list);
    mongoc_server_descriptions_destroy_all(all, n);
    call->result->count = (int64_t)n;
    return stc_verb_end(call, true, &reply);
}

#define VERB(verb)                           \
    const struct stc_verb stc_verb_##verb = { \
        .name = #verb, .run = (verb)}

VERB(validate);
VERB(stats);
VERB(options);
VERB(select_server);
VERB(get_handshake_description);
VERB(get_server_descriptions);
