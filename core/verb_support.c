/* SPDX-License-Identifier: Apache-2.0 */
/* core/verb_support.c - what verbs have in common. */
#include "core/verb_support.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- to the driver ----------------------------------------------- */

static bool has(const bson_t *document, const char *key)
{
    bson_iter_t i;

    return bson_iter_init_find(&i, document, key);
}

void stc_append_max_time(const struct stc_call *call, bson_t *command)
{
    if (call->max_time_ms > 0 && !has(&call->opts, "maxTimeMS") &&
        !has(command, "maxTimeMS"))
        BSON_APPEND_INT32(command, "maxTimeMS", call->max_time_ms);
}

bool stc_is_one_of(const char *key, const char *const names[])
{
    for (; *names != NULL; names++)
        if (strcmp(key, *names) == 0)
            return true;
    return false;
}

void stc_share_out_opts(const struct stc_call *call,
                        const char *const in_opts[],
                        const char *const elsewhere[], bson_t *command,
                        bson_t *opts)
{
    bson_iter_t i;

    if (bson_iter_init(&i, &call->opts))
        while (bson_iter_next(&i)) {
            const char *key = bson_iter_key(&i);

            if (stc_is_one_of(key, in_opts))
                bson_append_iter(opts, NULL, -1, &i);
            else if (!stc_is_one_of(key, elsewhere))
                bson_append_iter(command, NULL, -1, &i);
        }
    stc_append_max_time(call, command);
}

const bson_t *stc_timed_opts(const struct stc_call *call, bson_t *room)
{
    if (call->max_time_ms == 0 || has(&call->opts, "maxTimeMS")) {
        bson_init(room);
        return &call->opts;
    }
    bson_copy_to(&call->opts, room);
    stc_append_max_time(call, room);
    return room;
}

void stc_inherit_read_concern(const struct stc_call *call, bson_t *opts)
{
    const mongoc_read_concern_t *concern;
    const char *level;
    bson_t child;

    if (has(opts, "readConcern") || call->in_transaction)
        return;
    if (call->collection != NULL)
        concern = mongoc_collection_get_read_concern(call->collection);
    else if (call->database != NULL)
        concern = mongoc_database_get_read_concern(call->database);
    else
        concern = mongoc_client_get_read_concern(call->client);
    level = mongoc_read_concern_get_level(concern);
    if (level == NULL)
        return;
    BSON_APPEND_DOCUMENT_BEGIN(opts, "readConcern", &child);
    BSON_APPEND_UTF8(&child, "level", level);
    bson_append_document_end(opts, &child);
}

static const mongoc_write_concern_t *
inherited_write_concern(const struct stc_call *call)
{
    if (call->collection != NULL)
        return mongoc_collection_get_write_concern(call->collection);
    if (call->database != NULL)
        return mongoc_database_get_write_concern(call->database);
    return mongoc_client_get_write_concern(call->client);
}

void stc_inherit_write_concern(const struct stc_call *call, bson_t *opts)
{
    mongoc_write_concern_t *concern;

    if (has(opts, "writeConcern") || call->in_transaction ||
        mongoc_write_concern_is_default(inherited_write_concern(call)))
        return;
    /* The driver's function wants one that it may compile. */
    concern = mongoc_write_concern_copy(inherited_write_concern(call));
    mongoc_write_concern_append(concern, opts);
    mongoc_write_concern_destroy(concern);
}

bool stc_is_unacknowledged(const struct stc_call *call, bool inherits)
{
    bool is_none = false;
    bson_iter_t i, field;

    if (!bson_iter_init_find(&i, &call->opts, "writeConcern"))
        return inherits && !mongoc_write_concern_is_acknowledged(
                               inherited_write_concern(call));
    if (!BSON_ITER_HOLDS_DOCUMENT(&i) || !bson_iter_recurse(&i, &field))
        return false;
    while (bson_iter_next(&field)) {
        const char *key = bson_iter_key(&field);

        if (strcmp(key, "w") == 0 && BSON_ITER_HOLDS_INT32(&field))
            is_none = bson_iter_int32(&field) == 0 ||
                      bson_iter_int32(&field) == -1;
        else if ((strcmp(key, "j") == 0 || strcmp(key, "fsync") == 0) &&
                 bson_iter_as_bool(&field))
            return false;
    }
    return is_none;
}

bool stc_pipeline_writes(const bson_t *pipeline)
{
    bool writes = false;
    bson_iter_t i, stage;

    if (!bson_iter_init(&i, pipeline))
        return false;
    while (bson_iter_next(&i))
        writes = bson_iter_recurse(&i, &stage) && bson_iter_next(&stage) &&
                 (strcmp(bson_iter_key(&stage), "$out") == 0 ||
                  strcmp(bson_iter_key(&stage), "$merge") == 0);
    return writes;
}

/* ---- back -------------------------------------------------------- */

bool stc_verb_end(struct stc_call *call, bool ok, bson_t *reply)
{
    bson_error_t *error = &call->result->error;

    if (!ok && error->domain == 0 && error->code == 0)
        bson_set_error(error, MONGOC_ERROR_COMMAND,
                       MONGOC_ERROR_COMMAND_INVALID_ARG,
                       "the driver gave no reason");
    if (reply == NULL)
        return ok;
    if (bson_empty(reply))
        bson_destroy(reply);
    else
        stf_result_take_reply(call->result, reply);
    return ok;
}

bool stc_verb_fault(struct stc_call *call, const char *format, ...)
{
    bson_error_t *error = &call->result->error;
    va_list args;

    error->domain = STATOR_ERROR_DOMAIN;
    error->code = STATOR_ERROR_ARGUMENT;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    return false;
}

int64_t stc_reply_number(const bson_t *reply, const char *key)
{
    bson_iter_t i;

    return bson_iter_init_find(&i, reply, key) ? bson_iter_as_int64(&i) : 0;
}

void stc_result_lend_document(struct stf_result *result,
                              const bson_iter_t *at)
{
    const uint8_t *data;
    uint32_t length;

    if (!BSON_ITER_HOLDS_DOCUMENT(at))
        return;
    bson_iter_document(at, &length, &data);
    if (!bson_init_static(&result->own_document, data, length))
        return;
    result->document = &result->own_document;
    result->count = 1;
}
