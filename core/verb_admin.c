/* SPDX-License-Identifier: Apache-2.0 */
/* core/verb_admin.c - databases, collections and indexes made, named and
 * dropped. */
#include "core/verb_support.h"

/* ---- names ------------------------------------------------------- */

/* {names: [..]} out of the documents' "name", and how many. */
static bool names_of(struct stc_call *call, mongoc_cursor_t *cursor)
{
    bson_t reply = BSON_INITIALIZER, names;
    const bson_t *document;
    uint32_t n = 0;
    bson_iter_t i;
    bool ok;

    BSON_APPEND_ARRAY_BEGIN(&reply, "names", &names);
    while (mongoc_cursor_next(cursor, &document)) {
        const char *key;
        char room[16];

        if (!bson_iter_init_find(&i, document, "name"))
            continue;
        bson_uint32_to_string(n++, &key, room, sizeof room);
        bson_append_iter(&names, key, -1, &i);
    }
    bson_append_array_end(&reply, &names);
    ok = !mongoc_cursor_error_document(cursor, &call->result->error,
                                       &document);
    if (ok) {
        call->result->count = n;
    } else {
        bson_destroy(&reply);
        if (document == NULL)
            bson_init(&reply);
        else
            bson_copy_to(document, &reply);
    }
    mongoc_cursor_destroy(cursor);
    return stc_verb_end(call, ok, &reply);
}

static bool list_database_names(struct stc_call *call)
{
    bson_t opts = BSON_INITIALIZER;
    bool ok;

    bson_copy_to_excluding_noinit(&call->opts, &opts, "nameOnly", NULL);
    BSON_APPEND_BOOL(&opts, "nameOnly", true);
    stc_append_max_time(call, &opts);
    ok = names_of(call, mongoc_client_find_databases_with_opts(call->client,
                                                               &opts));
    bson_destroy(&opts);
    return ok;
}

static bool list_collection_names(struct stc_call *call)
{
    bson_t opts = BSON_INITIALIZER;
    bool ok;

    bson_copy_to_excluding_noinit(&call->opts, &opts, "nameOnly", NULL);
    BSON_APPEND_BOOL(&opts, "nameOnly", true);
    stc_append_max_time(call, &opts);
    ok = names_of(call, mongoc_database_find_collections_with_opts(
                            call->database, &opts));
    bson_destroy(&opts);
    return ok;
}

/* The text that lib has put into the first argument. */
static const char *text_of(const struct stc_call *call, const char *key)
{
    bson_iter_t i;

    return bson_iter_init_find(&i, &call->arguments[0], key)
               ? bson_iter_utf8(&i, NULL)
               : "";
}

static bool has_collection(struct stc_call *call)
{
    bson_t opts = BSON_INITIALIZER, filter;
    bool ok;

    bson_copy_to_excluding_noinit(&call->opts, &opts, "nameOnly", "filter",
                                  NULL);
    BSON_APPEND_DOCUMENT_BEGIN(&opts, "filter", &filter);
    BSON_APPEND_UTF8(&filter, "name", text_of(call, "name"));
    bson_append_document_end(&opts, &filter);
    BSON_APPEND_BOOL(&opts, "nameOnly", true);
    stc_append_max_time(call, &opts);
    ok = names_of(call, mongoc_database_find_collections_with_opts(
                            call->database, &opts));
    bson_destroy(&opts);
    if (call->result->count > 1)
        call->result->count = 1;
    return ok;
}

/* ---- made and dropped -------------------------------------------- */

/* The end of a driver's function that gives no reply. */
static bool end(struct stc_call *call, bool ok, bson_t *room)
{
    bson_destroy(room);
    call->unacknowledged = ok && stc_is_unacknowledged(call, true);
    return stc_verb_end(call, ok, NULL);
}

static bool create_collection(struct stc_call *call)
{
    bson_t room;
    const bson_t *opts = stc_timed_opts(call, &room);
    mongoc_collection_t *made = mongoc_database_create_collection(
        call->database, text_of(call, "name"), opts, &call->result->error);
    bool ok = made != NULL;

    mongoc_collection_destroy(made);
    return end(call, ok, &room);
}

static bool drop_database(struct stc_call *call)
{
    bson_t room;
    const bson_t *opts = stc_timed_opts(call, &room);
    bool ok = mongoc_database_drop_with_opts(call->database, opts,
                                             &call->result->error);

    return end(call, ok, &room);
}

static bool drop_collection(struct stc_call *call)
{
    bson_t room;
    const bson_t *opts = stc_timed_opts(call, &room);
    bool ok = mongoc_collection_drop_with_opts(call->collection, opts,
                                               &call->result->error);

    return end(call, ok, &room);
}

static bool drop_index(struct stc_call *call)
{
    bson_t room;
    const bson_t *opts = stc_timed_opts(call, &room);
    bool ok = mongoc_collection_drop_index_with_opts(
        call->collection, text_of(call, "name"), opts, &call->result->error);

    return end(call, ok, &room);
}

static bool rename_collection(struct stc_call *call)
{
    /* The driver gives its handle the new name, but ours keeps the old. */
    mongoc_collection_t *copy = mongoc_collection_copy(call->collection);
    bson_t room;
    const bson_t *opts = stc_timed_opts(call, &room);
    bson_iter_t i;
    bool drop = bson_iter_init_find(&i, &call->arguments[0], "drop") &&
                bson_iter_as_bool(&i);
    bool ok = mongoc_collection_rename_with_opts(
        copy, text_of(call, "db"), text_of(call, "name"), drop, opts,
        &call->result->error);

    mongoc_collection_destroy(copy);
    return end(call, ok, &room);
}

static bool create_indexes(struct stc_call *call)
{
    bson_t make = BSON_INITIALIZER, indexes, names, room, reply;
    const bson_t *opts = stc_timed_opts(call, &room);
    const char *key;
    char number[16];
    bson_iter_t i;
    bool ok;

    BSON_APPEND_UTF8(&make, "createIndexes", call->name);
    BSON_APPEND_ARRAY_BEGIN(&make, "indexes", &indexes);
    for (size_t n = 0; n < call->n_arguments; n++) {
        bson_uint32_to_string((uint32_t)n, &key, number, sizeof number);
        BSON_APPEND_DOCUMENT(&indexes, key, &call->arguments[n]);
    }
    bson_append_array_end(&make, &indexes);
    ok = mongoc_collection_write_command_with_opts(
        call->collection, &make, opts, &reply, &call->result->error);
    bson_destroy(&make);
    bson_destroy(&room);
    if (ok) {
        call->unacknowledged = stc_is_unacknowledged(call, true);
        BSON_APPEND_ARRAY_BEGIN(&reply, "names", &names);
        for (size_t n = 0; n < call->n_arguments; n++) {
            bson_uint32_to_string((uint32_t)n, &key, number, sizeof number);
            if (bson_iter_init_find(&i, &call->arguments[n], "name"))
                bson_append_iter(&names, key, -1, &i);
        }
        bson_append_array_end(&reply, &names);
    }
    return stc_verb_end(call, ok, &reply);
}

/* ---- what they are called ---------------------------------------- */

#define VERB(verb, fn)                       \
    const struct stc_verb stc_verb_##verb = { \
        .name = #verb, .run = (fn)}

VERB(list_database_names, list_database_names);
VERB(list_collection_names, list_collection_names);
VERB(has_collection, has_collection);
VERB(create_collection, create_collection);
VERB(drop_database, drop_database);
VERB(drop_collection, drop_collection);
VERB(drop_index, drop_index);
VERB(rename, rename_collection);
VERB(create_indexes, create_indexes);

/* The worker calls the user's function itself. */
VERB(run, NULL);
