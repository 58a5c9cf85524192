/* SPDX-License-Identifier: Apache-2.0 */
/* core/verb_search.c - search indexes, by their commands: the driver has no
 * functions for them.
 *
 * As their specification says, the collection's read and write concern are
 * left out, and an index that is not there can be dropped. */
#include "core/verb_support.h"

/* Takes `command`. */
static bool run(struct stc_call *call, bson_t *command, bson_t *reply)
{
    bson_t room;
    const bson_t *opts = stc_timed_opts(call, &room);
    bool ok = mongoc_collection_command_with_opts(
        call->collection, command, NULL, opts, reply, &call->result->error);

    bson_destroy(command);
    bson_destroy(&room);
    return ok;
}

static void append_names(bson_t *reply)
{
    bson_t names = BSON_INITIALIZER;
    bson_iter_t i, index, name;
    uint32_t n = 0;

    if (bson_iter_init_find(&i, reply, "indexesCreated") &&
        bson_iter_recurse(&i, &index))
        while (bson_iter_next(&index)) {
            const char *key;
            char room[16];

            if (!BSON_ITER_HOLDS_DOCUMENT(&index) ||
                !bson_iter_recurse(&index, &name) ||
                !bson_iter_find(&name, "name"))
                continue;
            bson_uint32_to_string(n++, &key, room, sizeof room);
            bson_append_iter(&names, key, -1, &name);
        }
    BSON_APPEND_ARRAY(reply, "names", &names);
    bson_destroy(&names);
}

static bool create_search_indexes(struct stc_call *call)
{
    bson_t command = BSON_INITIALIZER, indexes, reply;
    bool ok;

    BSON_APPEND_UTF8(&command, "createSearchIndexes", call->name);
    BSON_APPEND_ARRAY_BEGIN(&command, "indexes", &indexes);
    for (size_t n = 0; n < call->n_arguments; n++) {
        const char *key;
        char room[16];

        bson_uint32_to_string((uint32_t)n, &key, room, sizeof room);
        BSON_APPEND_DOCUMENT(&indexes, key, &call->arguments[n]);
    }
    bson_append_array_end(&command, &indexes);
    ok = run(call, &command, &reply);
    if (ok)
        append_names(&reply);
    return stc_verb_end(call, ok, &reply);
}

/* {.. : collection, name: .., [definition: ..]} */
static bool update_search_index(struct stc_call *call)
{
    bson_t command = BSON_INITIALIZER, reply;
    bool ok;

    BSON_APPEND_UTF8(&command, "updateSearchIndex", call->name);
    bson_concat(&command, &call->arguments[0]);
    BSON_APPEND_DOCUMENT(&command, "definition", &call->arguments[1]);
    ok = run(call, &command, &reply);
    return stc_verb_end(call, ok, &reply);
}

static bool drop_search_index(struct stc_call *call)
{
    enum { NAMESPACE_NOT_FOUND = 26 };
    bson_error_t *error = &call->result->error;
    bson_t command = BSON_INITIALIZER, reply;
    bool ok;

    BSON_APPEND_UTF8(&command, "dropSearchIndex", call->name);
    bson_concat(&command, &call->arguments[0]);
    ok = run(call, &command, &reply);
    if (!ok && error->domain == MONGOC_ERROR_SERVER &&
        error->code == NAMESPACE_NOT_FOUND) {
        *error = (bson_error_t){0};
        ok = true;
    }
    return stc_verb_end(call, ok, &reply);
}

/* [{$listSearchIndexes: {name}}] is an aggregate without a read concern. */
static bool list_search_indexes_open(struct stc_call *call, bson_t *command,
                                     bson_t *opts)
{
    bson_t pipeline, stage;

    BSON_APPEND_UTF8(command, "aggregate", call->name);
    BSON_APPEND_ARRAY_BEGIN(command, "pipeline", &pipeline);
    BSON_APPEND_DOCUMENT_BEGIN(&pipeline, "0", &stage);
    BSON_APPEND_DOCUMENT(&stage, "$listSearchIndexes", &call->arguments[0]);
    bson_append_document_end(&pipeline, &stage);
    bson_append_array_end(command, &pipeline);
    return stc_open_list(call, command, opts);
}

#define VERB(verb)                           \
    const struct stc_verb stc_verb_##verb = { \
        .name = #verb, .run = (verb)}

VERB(create_search_indexes);
VERB(update_search_index);
VERB(drop_search_index);

const struct stc_verb stc_verb_list_search_indexes = {
    .name = "list_search_indexes",
    .open = list_search_indexes_open,
};
