/* SPDX-License-Identifier: Apache-2.0 */
/* core/change_stream.c - a change stream's place, and the command that opens
 * it there. */
#include "core/change_stream.h"

#include <stdlib.h>
#include <string.h>

#include "core/server_cursor.h"
#include "core/verb_support.h"

/* ---- made, freed ------------------------------------------------- */

static void copy(bson_t *to, const bson_t *from)
{
    bson_destroy(to);
    bson_copy_to(from, to);
}

static bool find_document(const bson_t *in, const char *key, bson_t *view)
{
    const uint8_t *data;
    uint32_t length;
    bson_iter_t i;

    if (!bson_iter_init_find(&i, in, key) || !BSON_ITER_HOLDS_DOCUMENT(&i))
        return false;
    bson_iter_document(&i, &length, &data);
    return bson_init_static(view, data, length);
}

struct stc_change_stream *stc_change_stream_new(const uint8_t *bytes)
{
    const size_t align = _Alignof(struct stc_change_stream);
    const size_t size = (sizeof(struct stc_change_stream) + align - 1) /
                        align * align;
    struct stc_change_stream *s = aligned_alloc(align, size);
    bson_t opts, view;
    uint32_t length;
    bson_iter_t i;

    if (s == NULL)
        return NULL;
    memset(s, 0, size);
    bson_init(&s->token);
    bson_init(&s->resume);
    bson_init(&s->start_at);
    memcpy(&length, bytes, sizeof length);
    bson_init_static(&opts, bytes, BSON_UINT32_FROM_LE(length));
    if (find_document(&opts, "resumeAfter", &view)) {
        copy(&s->resume, &view);
        s->starts_at = true;
    }
    if (find_document(&opts, "startAfter", &view)) {
        copy(&s->resume, &view);
        s->starts_at = s->starts_after = true;
    }
    if (bson_iter_init_find(&i, &opts, "startAtOperationTime")) {
        bson_append_iter(&s->start_at, NULL, -1, &i);
        s->starts_at = true;
    }
    copy(&s->token, &s->resume);
    return s;
}

void stc_change_stream_free(struct stc_change_stream *s)
{
    if (s == NULL)
        return;
    bson_destroy(&s->token);
    bson_destroy(&s->resume);
    bson_destroy(&s->start_at);
    free(s);
}

/* ---- what the user has ------------------------------------------- */

bool stc_change_stream_token(const struct stc_change_stream *s, bson_t *out)
{
    if (bson_empty(&s->token))
        return false;
    bson_copy_to(&s->token, out);
    return true;
}

void stc_change_stream_skip(struct stc_change_stream *s, const bson_t *end)
{
    copy(&s->token, end);
}

void stc_change_stream_hand_out(struct stc_change_stream *s,
                                const bson_t *last, const uint8_t *end)
{
    uint32_t length;
    bson_t view;

    if (end != NULL) {
        memcpy(&length, end, sizeof length);
        if (bson_init_static(&view, end, BSON_UINT32_FROM_LE(length)))
            copy(&s->token, &view);
    } else if (find_document(last, "_id", &view)) {
        copy(&s->token, &view);
    }
}

/* ---- what has come ----------------------------------------------- */

bool stc_change_stream_end_of(const struct stf_documents *documents,
                              bson_t *view)
{
    bson_t cursor;

    return find_document(&documents->owner, "cursor", &cursor) &&
           find_document(&cursor, "postBatchResumeToken", view) &&
           !bson_empty(view);
}

/* The aggregate's own time is where to go on from, if there is no other. */
static void note_time(struct stc_change_stream *s,
                      const struct stc_server_cursor *server,
                      const struct stf_documents *documents)
{
    enum { WIRE_VERSION_4_0 = 7 };
    uint32_t seconds, increment;
    bson_iter_t i;

    if (s->starts_at || !bson_empty(&s->start_at) ||
        !bson_empty(&s->resume) || server->wire_version < WIRE_VERSION_4_0 ||
        !bson_iter_init_find(&i, &documents->owner, "operationTime") ||
        !BSON_ITER_HOLDS_TIMESTAMP(&i))
        return;
    bson_iter_timestamp(&i, &seconds, &increment);
    bson_append_timestamp(&s->start_at, "startAtOperationTime", -1, seconds,
                          increment);
}

size_t stc_change_stream_receive(struct stc_change_stream *s,
                                 const struct stc_server_cursor *server,
                                 const struct stf_documents *documents,
                                 bson_error_t *error)
{
    bson_t view;
    size_t n = 0;

    while (n < documents->n && find_document(&documents->at[n], "_id", &view))
        n++;
    if (n > 0) {
        find_document(&documents->at[n - 1], "_id", &view);
        copy(&s->resume, &view);
        s->has_received = true;
    }
    if (n < documents->n) {
        bson_set_error(error, MONGOC_ERROR_CURSOR,
                       MONGOC_ERROR_CHANGE_STREAM_NO_RESUME_TOKEN,
                       "change stream: an event has no _id, which is its "
                       "resume token: does the pipeline take it away?");
        return n;
    }
    if (stc_change_stream_end_of(documents, &view))
        copy(&s->resume, &view);
    if (n == 0)
        note_time(s, server, documents);
    return n;
}

/* Before 4.4, which says so itself by a label. */
static bool is_resumable_code(uint32_t code)
{
    static const uint32_t codes[] = {
        6,     /* HostUnreachable */
        7,     /* HostNotFound */
        63,    /* StaleShardVersion */
        89,    /* NetworkTimeout */
        91,    /* ShutdownInProgress */
        133,   /* FailedToSatisfyReadPreference */
        150,   /* StaleEpoch */
        189,   /* PrimarySteppedDown */
        234,   /* RetryChangeStream */
        262,   /* ExceededTimeLimit */
        9001,  /* SocketException */
        10107, /* NotWritablePrimary */
        11600, /* InterruptedAtShutdown */
        11602, /* InterruptedDueToReplStateChange */
        13388, /* StaleConfig */
        13435, /* NotPrimaryNoSecondaryOk */
        13436  /* NotPrimaryOrSecondary */
    };

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i] == code)
            return true;
    return false;
}

bool stc_change_stream_may_resume(const struct stc_server_cursor *server,
                                  const struct stf_result *result)
{
    enum { CURSOR_NOT_FOUND = 43, WIRE_VERSION_4_4 = 9 };
    const bson_error_t *error = &result->error;

    if (error->domain == STATOR_ERROR_DOMAIN || server->has_answered)
        return false;
    if (!result->has_reply || bson_empty(&result->reply))
        return true; /* no server's error: the network's */
    if (error->code == CURSOR_NOT_FOUND)
        return true;
    if (server->wire_version >= WIRE_VERSION_4_4)
        return stf_result_has_label(result, "ResumableChangeStreamError");
    return is_resumable_code(error->code);
}

/* ---- what is sent ------------------------------------------------ */

/* Those of the opts that say how events look. */
static void append_look(const bson_t *opts, bson_t *stage)
{
    static const char *const keys[] = {
        "fullDocument",
        "fullDocumentBeforeChange",
        "showExpandedEvents",
        NULL,
    };
    bson_iter_t i;

    if (bson_iter_init(&i, opts))
        while (bson_iter_next(&i))
            if (stc_is_one_of(bson_iter_key(&i), keys))
                bson_append_iter(stage, NULL, -1, &i);
}

/* Where to begin: the first time what the user says, be it a contradiction;
 * that is for the server to refuse. */
static void append_first_place(const bson_t *opts, bson_t *stage)
{
    static const char *const keys[] = {
        "resumeAfter",
        "startAfter",
        "startAtOperationTime",
        NULL,
    };

    for (int k = 0; keys[k] != NULL; k++) {
        bson_iter_t i;

        if (bson_iter_init_find(&i, opts, keys[k]))
            bson_append_iter(stage, NULL, -1, &i);
    }
}

static void append_place(const struct stc_change_stream *s, bson_t *stage)
{
    if (!bson_empty(&s->resume))
        bson_append_document(
            stage,
            s->starts_after && !s->has_received ? "startAfter" : "resumeAfter",
            -1, &s->resume);
    else
        bson_concat(stage, &s->start_at);
}

static void append_pipeline(struct stc_call *call, bson_t *command)
{
    bson_t pipeline, stage, change;
    char room[16];
    const char *key;
    uint32_t n = 1;
    bson_iter_t i;

    BSON_APPEND_ARRAY_BEGIN(command, "pipeline", &pipeline);
    BSON_APPEND_DOCUMENT_BEGIN(&pipeline, "0", &stage);
    BSON_APPEND_DOCUMENT_BEGIN(&stage, "$changeStream", &change);
    append_look(&call->opts, &change);
    if (call->stream->is_resumed)
        append_place(call->stream, &change);
    else
        append_first_place(&call->opts, &change);
    bson_concat(&change, &call->arguments[1]);
    bson_append_document_end(&stage, &change);
    bson_append_document_end(&pipeline, &stage);
    if (bson_iter_init(&i, &call->arguments[0]))
        while (bson_iter_next(&i)) {
            bson_uint32_to_string(n++, &key, room, sizeof room);
            bson_append_iter(&pipeline, key, -1, &i);
        }
    bson_append_array_end(command, &pipeline);
}

static void append_options(struct stc_call *call, bson_t *command,
                           bson_t *opts)
{
    static const char *const in_opts[] = {
        "readConcern", "collation", "sessionId", "serverId", NULL,
    };
    static const char *const used[] = {
        "fullDocument", "fullDocumentBeforeChange", "showExpandedEvents",
        "resumeAfter",  "startAfter",               "startAtOperationTime",
        "batchSize",    "maxAwaitTimeMS",           NULL,
    };

    stc_share_out_opts(call, in_opts, used, command, opts);
}

static bool watch_open(struct stc_call *call, bson_t *command, bson_t *opts)
{
    bson_t cursor;
    bson_iter_t i;

    if (call->name != NULL)
        BSON_APPEND_UTF8(command, "aggregate", call->name);
    else
        BSON_APPEND_INT32(command, "aggregate", 1);
    append_pipeline(call, command);
    BSON_APPEND_DOCUMENT_BEGIN(command, "cursor", &cursor);
    if (bson_iter_init_find(&i, &call->opts, "batchSize") &&
        bson_iter_as_int64(&i) > 0)
        BSON_APPEND_INT32(&cursor, "batchSize",
                          (int32_t)bson_iter_as_int64(&i));
    bson_append_document_end(command, &cursor);
    append_options(call, command, opts);
    stc_inherit_read_concern(call, opts);
    return true;
}

const struct stc_verb stc_verb_watch = {.name = "watch", .open = watch_open};
