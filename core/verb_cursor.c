/* SPDX-License-Identifier: Apache-2.0 */
/* core/verb_cursor.c - the commands that open cursors, but for find:
 * aggregate and the lists. */
#include <string.h>

#include "core/verb_support.h"

/* cursor: {batchSize}; `ignores_zero`: $out and $merge give none. */
static bool append_cursor(struct stc_call *call, bool ignores_zero,
                          bson_t *command)
{
    int64_t size = 0;
    bson_t cursor;
    bson_iter_t i;
    bool has_size = bson_iter_init_find(&i, &call->opts, "batchSize");

    if (has_size) {
        size = bson_iter_as_int64(&i);
        if (!BSON_ITER_HOLDS_NUMBER(&i) || size < 0 || size > INT32_MAX)
            return stc_verb_fault(call, "opts: batchSize must be an integer "
                                        "of 0 or more");
    }
    BSON_APPEND_DOCUMENT_BEGIN(command, "cursor", &cursor);
    if (has_size && !(ignores_zero && size == 0))
        BSON_APPEND_INT32(&cursor, "batchSize", (int32_t)size);
    bson_append_document_end(command, &cursor);
    return true;
}

static void append_options(struct stc_call *call, bson_t *command,
                           bson_t *opts)
{
    static const char *const in_opts[] = {
        "readConcern", "writeConcern", "collation",
        "sessionId",   "serverId",     NULL,
    };
    static const char *const nowhere[] = {
        "batchSize", "tailable", "maxAwaitTimeMS", "exhaust", NULL,
    };

    stc_share_out_opts(call, in_opts, nowhere, command, opts);
}

static bool aggregate_open(struct stc_call *call, bson_t *command,
                           bson_t *opts)
{
    const bson_t *pipeline = &call->arguments[0];
    bool writes = stc_pipeline_writes(pipeline);

    if (call->name != NULL)
        BSON_APPEND_UTF8(command, "aggregate", call->name);
    else
        BSON_APPEND_INT32(command, "aggregate", 1);
    BSON_APPEND_ARRAY(command, "pipeline", pipeline);
    if (!append_cursor(call, writes, command))
        return false;
    append_options(call, command, opts);
    stc_inherit_read_concern(call, opts);
    if (writes)
        stc_inherit_write_concern(call, opts);
    return true;
}

/* The lists run on the primary and know no read concern. */

bool stc_open_list(struct stc_call *call, bson_t *command, bson_t *opts)
{
    if (!append_cursor(call, false, command))
        return false;
    append_options(call, command, opts);
    return true;
}

static bool list_databases_open(struct stc_call *call, bson_t *command,
                                bson_t *opts)
{
    bson_iter_t i;

    BSON_APPEND_INT32(command, "listDatabases", 1);
    append_options(call, command, opts);
    if (bson_iter_init_find(&i, &call->opts, "batchSize"))
        bson_append_iter(command, NULL, -1, &i); /* for the server to refuse */
    return true;
}

static bool list_collections_open(struct stc_call *call, bson_t *command,
                                  bson_t *opts)
{
    BSON_APPEND_INT32(command, "listCollections", 1);
    if (bson_has_field(&call->opts, "batchSize"))
        return stc_open_list(call, command, opts);
    append_options(call, command, opts);
    return true;
}

static bool list_indexes_open(struct stc_call *call, bson_t *command,
                              bson_t *opts)
{
    BSON_APPEND_UTF8(command, "listIndexes", call->name);
    return stc_open_list(call, command, opts);
}

#define OPEN(verb) \
    const struct stc_verb stc_verb_##verb = {.name = #verb, \
                                             .open = verb##_open}

OPEN(aggregate);
OPEN(list_databases);
OPEN(list_collections);
OPEN(list_indexes);
