/* SPDX-License-Identifier: Apache-2.0 */
/* core/verb_read.c - count_documents, estimated_document_count, distinct.
 *
 * The driver has functions for the two counts.  They are not used: the one
 * aborts the process when a server answers with an open cursor, the other
 * selects a server twice, so it takes twice as long to fail as it should. */
#include <string.h>

#include "core/verb_support.h"

/* Run `command`, taken, with `opts`. */
static bool read_with(struct stc_call *call, bson_t *command,
                      const bson_t *opts)
{
    bson_t reply;
    bool ok;

    stc_append_max_time(call, command);
    ok = mongoc_collection_read_command_with_opts(
        call->collection, command, call->read_prefs, opts, &reply,
        &call->result->error);
    bson_destroy(command);
    return stc_verb_end(call, ok, &reply);
}

static bool has_number(const struct stc_call *call, const char *path,
                       int64_t *number)
{
    bson_iter_t i, found;

    if (!call->result->has_reply ||
        !bson_iter_init(&i, &call->result->reply) ||
        !bson_iter_find_descendant(&i, path, &found) ||
        !BSON_ITER_HOLDS_NUMBER(&found))
        return false;
    *number = bson_iter_as_int64(&found);
    return true;
}

static void append_stage(bson_t *pipeline, unsigned number, const char *name,
                         const bson_value_t *value)
{
    const char *key;
    char room[16];
    bson_t stage;

    bson_uint32_to_string(number, &key, room, sizeof room);
    BSON_APPEND_DOCUMENT_BEGIN(pipeline, key, &stage);
    BSON_APPEND_VALUE(&stage, name, value);
    bson_append_document_end(pipeline, &stage);
}

/* [{$match}, {$skip}, {$limit}, {$group: {_id: 1, n: {$sum: 1}}}] */
static void append_pipeline(const struct stc_call *call, bson_t *command)
{
    const char *key;
    unsigned number = 1;
    char room[16];
    bson_t pipeline, stage, group, sum;
    bson_iter_t i;

    BSON_APPEND_ARRAY_BEGIN(command, "pipeline", &pipeline);
    BSON_APPEND_DOCUMENT_BEGIN(&pipeline, "0", &stage);
    BSON_APPEND_DOCUMENT(&stage, "$match", &call->arguments[0]);
    bson_append_document_end(&pipeline, &stage);
    if (bson_iter_init_find(&i, &call->opts, "skip"))
        append_stage(&pipeline, number++, "$skip", bson_iter_value(&i));
    if (bson_iter_init_find(&i, &call->opts, "limit"))
        append_stage(&pipeline, number++, "$limit", bson_iter_value(&i));
    bson_uint32_to_string(number, &key, room, sizeof room);
    BSON_APPEND_DOCUMENT_BEGIN(&pipeline, key, &stage);
    BSON_APPEND_DOCUMENT_BEGIN(&stage, "$group", &group);
    BSON_APPEND_INT32(&group, "_id", 1);
    BSON_APPEND_DOCUMENT_BEGIN(&group, "n", &sum);
    BSON_APPEND_INT32(&sum, "$sum", 1);
    bson_append_document_end(&group, &sum);
    bson_append_document_end(&stage, &group);
    bson_append_document_end(&pipeline, &stage);
    bson_append_array_end(command, &pipeline);
}

static bool count_documents(struct stc_call *call)
{
    bson_t command = BSON_INITIALIZER, opts = BSON_INITIALIZER, cursor;
    bool ok;

    BSON_APPEND_UTF8(&command, "aggregate", call->name);
    BSON_APPEND_DOCUMENT_BEGIN(&command, "cursor", &cursor);
    bson_append_document_end(&command, &cursor);
    append_pipeline(call, &command);
    bson_copy_to_excluding_noinit(&call->opts, &opts, "skip", "limit", NULL);
    ok = read_with(call, &command, &opts);
    bson_destroy(&opts);
    /* Nothing matched: no group, so no document. */
    if (ok)
        has_number(call, "cursor.firstBatch.0.n", &call->result->count);
    return ok;
}

static bool estimated_document_count(struct stc_call *call)
{
    bson_t command = BSON_INITIALIZER;

    BSON_APPEND_UTF8(&command, "count", call->name);
    if (!read_with(call, &command, &call->opts))
        return false;
    has_number(call, "n", &call->result->count);
    return true;
}

static bool distinct(struct stc_call *call)
{
    bson_t command = BSON_INITIALIZER;
    bson_iter_t i, value;

    if (!bson_iter_init_find(&i, &call->arguments[0], "key"))
        return stc_verb_fault(call, "distinct: key is missing");
    BSON_APPEND_UTF8(&command, "distinct", call->name);
    bson_append_iter(&command, "key", -1, &i);
    BSON_APPEND_DOCUMENT(&command, "query", &call->arguments[1]);
    if (!read_with(call, &command, &call->opts))
        return false;
    if (call->result->has_reply &&
        bson_iter_init_find(&i, &call->result->reply, "values") &&
        bson_iter_recurse(&i, &value))
        while (bson_iter_next(&value))
            call->result->count++;
    return true;
}

const struct stc_verb stc_verb_count_documents = {
    .name = "count_documents",
    .run = count_documents,
};
const struct stc_verb stc_verb_estimated_document_count = {
    .name = "estimated_document_count",
    .run = estimated_document_count,
};
const struct stc_verb stc_verb_distinct = {
    .name = "distinct",
    .run = distinct,
};
