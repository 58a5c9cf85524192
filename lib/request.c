/* SPDX-License-Identifier: Apache-2.0 */
/* lib/request.c - arguments checked, copied, and handed to core. */
#include "lib/request.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "futures/future.h"
#include "lib/cursor.h"
#include "lib/document.h"

void stl_request_fail(struct stl_request *r, stator_error_code_t code,
                      const char *format, ...)
{
    va_list args;

    if (r->code != 0)
        return;
    r->code = code;
    va_start(args, format);
    vsnprintf(r->problem, sizeof r->problem, format, args);
    va_end(args);
}

/* ---- checks ------------------------------------------------------------ */

bool stl_request_check(struct stl_request *r, struct stl_label label,
                       const bson_t *document)
{
    const char *flaw = "is NULL";
    char index[32] = "";
    size_t offset = 0;

    if (!stl_request_is_sound(r))
        return false;
    if (document != NULL)
        flaw = stf_document_flaw(document, &offset);
    if (flaw == NULL)
        return true;
    if (label.index >= 0)
        snprintf(index, sizeof index, "[%" PRId64 "]", label.index);
    if (document == NULL)
        stl_request_fail(r, STATOR_ERROR_ARGUMENT, "%s%s is NULL",
                         label.name, index);
    else
        stl_request_fail(r, STATOR_ERROR_ARGUMENT, "%s%s %s at offset %zu",
                         label.name, index, flaw, offset);
    return false;
}

bool stl_request_check_text(struct stl_request *r, const char *name,
                            const char *text)
{
    if (!stl_request_is_sound(r))
        return false;
    if (text != NULL && *text != '\0' &&
        bson_utf8_validate(text, strlen(text), false))
        return true;
    stl_request_fail(r, STATOR_ERROR_ARGUMENT, "%s is %s", name,
                     text == NULL    ? "NULL"
                     : *text == '\0' ? "empty"
                                     : "not valid UTF-8");
    return false;
}

bool stl_request_check_array(struct stl_request *r, const char *name,
                             const bson_t **members, size_t n)
{
    if (!stl_request_is_sound(r))
        return false;
    if (n == 0)
        stl_request_fail(r, STATOR_ERROR_ARGUMENT, "n is 0");
    else if (n > INT32_MAX)
        stl_request_fail(r, STATOR_ERROR_ARGUMENT, "n is %zu, at most %d",
                         n, INT32_MAX);
    else if (members == NULL)
        stl_request_fail(r, STATOR_ERROR_ARGUMENT, "%s is NULL", name);
    return stl_request_is_sound(r);
}

/* ---- the run of bytes -------------------------------------------------- */

enum { BYTES_MIN = 64 }; /* for opts and a small document at one go */

void stl_request_reserve(struct stl_request *r, size_t size)
{
    size_t wanted = r->core.n_bytes + size;
    uint8_t *bytes;

    if (!stl_request_is_sound(r) || wanted <= r->capacity)
        return;
    if (wanted < BYTES_MIN)
        wanted = BYTES_MIN;
    /* At least half as much again, so that n steps copy O(n). */
    if (r->capacity != 0 && wanted < r->capacity + r->capacity / 2)
        wanted = r->capacity + r->capacity / 2;
    bytes = wanted > UINT32_MAX ? NULL : realloc(r->core.bytes, wanted);
    if (wanted > UINT32_MAX)
        stl_request_fail(r, STATOR_ERROR_ARGUMENT,
                         "more than 4 GiB in one call");
    else if (bytes == NULL)
        stl_request_fail(r, STATOR_ERROR_MEMORY, "no memory for its copies");
    if (bytes == NULL)
        return;
    r->core.bytes = bytes;
    r->capacity = wanted;
}

uint8_t *stl_request_room(struct stl_request *r, size_t size)
{
    uint8_t *room;

    stl_request_reserve(r, size);
    if (!stl_request_is_sound(r))
        return NULL;
    room = r->core.bytes + r->core.n_bytes;
    r->core.n_bytes += size;
    r->core.n_documents++;
    return room;
}

void stl_request_copy(struct stl_request *r, const bson_t *document)
{
    uint8_t *room = stl_request_room(r, document->len);

    if (room != NULL)
        memcpy(room, bson_get_data(document), document->len);
}

static bool has_id(const bson_t *document)
{
    bson_iter_t i;

    return bson_iter_init_find(&i, document, "_id");
}

enum { ID_SIZE = 1 + sizeof "_id" + 12 }; /* type, key, value */

size_t stl_document_size_with_id(const bson_t *document)
{
    return document->len + (has_id(document) ? 0 : ID_SIZE);
}

uint8_t *stl_document_write_with_id(uint8_t *to, const bson_t *document)
{
    const uint8_t *from = bson_get_data(document);
    uint32_t length = document->len + ID_SIZE;
    uint32_t length_le = BSON_UINT32_TO_LE(length);
    bson_oid_t id;

    if (has_id(document)) {
        memcpy(to, from, document->len);
        return to + document->len;
    }
    bson_oid_init(&id, NULL);
    memcpy(to, &length_le, 4);
    to[4] = BSON_TYPE_OID;
    memcpy(to + 5, "_id", 4);
    memcpy(to + 9, id.bytes, 12);
    memcpy(to + 21, from + 4, document->len - 4);
    return to + length;
}

void stl_request_copy_with_id(struct stl_request *r, const bson_t *document)
{
    uint8_t *room = stl_request_room(r, stl_document_size_with_id(document));

    if (room != NULL)
        stl_document_write_with_id(room, document);
}

void stl_request_document(struct stl_request *r, const char *name,
                          const bson_t *document)
{
    if (stl_request_check(r, STL_LABEL(name), document))
        stl_request_copy(r, document);
}

void stl_request_command(struct stl_request *r, const bson_t *command)
{
    stl_request_document(r, "command", command);
    if (command != NULL && bson_empty(command))
        stl_request_fail(r, STATOR_ERROR_ARGUMENT, "command is empty");
}

void stl_request_filter(struct stl_request *r, const bson_t *filter)
{
    bson_t all = BSON_INITIALIZER;

    stl_request_document(r, "filter", filter == NULL ? &all : filter);
}

void stl_request_text(struct stl_request *r, const char *key,
                      const char *name, const char *text)
{
    bson_t document = BSON_INITIALIZER;

    if (stl_request_check_text(r, name, text)) {
        BSON_APPEND_UTF8(&document, key, text);
        stl_request_copy(r, &document);
    }
    bson_destroy(&document);
}

/* ---- begin ------------------------------------------------------------- */

static void take_opts(struct stl_request *r, const bson_t *opts,
                      enum stl_shape shape)
{
    const bson_t none = BSON_INITIALIZER;
    struct stl_opts parsed;
    bson_t rest;

    if (opts == NULL)
        opts = &none;
    if (!stl_request_check(r, STL_LABEL("opts"), opts))
        return;
    if (!stl_opts_parse(opts, shape == STL_CURSOR, &parsed, r->problem)) {
        r->code = STATOR_ERROR_ARGUMENT;
        return;
    }
    r->core.timeout_ms = parsed.timeout_ms;
    r->core.priority = parsed.priority;
    r->core.timeout_mode = parsed.timeout_mode;
    r->core.prefetch = parsed.prefetch;
    r->core.max_bytes = parsed.max_bytes;
    r->core.lease_id = parsed.lease_id;
    r->core.session_id = parsed.session_id;
    r->core.context = parsed.context;
    if (parsed.has_own) {
        stl_opts_copy_driver_part(opts, &rest);
        stl_request_copy(r, &rest);
        bson_destroy(&rest);
    } else {
        stl_request_copy(r, opts);
    }
    stl_request_copy(r, &parsed.read_preference);
}

static void begin(struct stl_request *r, const char *subject,
                  const struct stc_verb *verb)
{
    r->core = (struct stc_request){.verb = verb};
    r->capacity = 0;
    r->subject = subject;
    r->client = NULL;
    r->target = NULL;
    r->code = 0;
}

/* What the handle begins with. */
static void take_context(struct stl_request *r)
{
    bson_t options;
    bson_iter_t i;

    stc_target_options(r->target, &options);
    if (r->core.context == NULL &&
        bson_iter_init_find(&i, &options, "context"))
        r->core.context = (void *)(intptr_t)bson_iter_int64(&i);
}

void stl_request_begin(struct stl_request *r, const char *subject,
                       const struct stc_verb *verb, struct stl_handle *handle,
                       const bson_t *opts, enum stl_shape shape)
{
    begin(r, subject, verb);
    if (handle == NULL) {
        stl_request_fail(r, STATOR_ERROR_ARGUMENT, "the handle is NULL");
        return;
    }
    if (handle->target == NULL) {
        stl_request_fail(r, STATOR_ERROR_MEMORY,
                         "there was no memory for its handle");
        return;
    }
    if (stc_target_fault(handle->target) != NULL) {
        stl_request_fail(r, STATOR_ERROR_ARGUMENT, "%s",
                         stc_target_fault(handle->target));
        return;
    }
    r->client = handle->client;
    r->target = stc_target_ref(handle->target);
    take_opts(r, opts, shape);
    take_context(r);
}

void stl_request_begin_on_client(struct stl_request *r, const char *subject,
                                 const struct stc_verb *verb,
                                 stator_client_t *client, const char *db,
                                 const bson_t *opts, enum stl_shape shape)
{
    begin(r, subject, verb);
    if (client == NULL) {
        stl_request_fail(r, STATOR_ERROR_ARGUMENT, "the client is NULL");
        return;
    }
    r->client = client;
    r->target = stc_target_new(db, NULL, NULL, NULL);
    if (r->target == NULL) {
        stl_request_fail(r, STATOR_ERROR_MEMORY, "no memory");
        return;
    }
    take_opts(r, opts, shape);
}

/* ---- leases and sessions ----------------------------------------------- */

static void stand_on(struct stl_request *r, const char *key, int64_t *given,
                     int64_t id)
{
    if (*given != 0 && *given != id)
        stl_request_fail(r, STATOR_ERROR_ARGUMENT,
                         "opts: %s names another one", key);
    *given = id;
}

void stl_request_on_lease(struct stl_request *r, struct stc_lease *lease)
{
    if (stl_request_is_sound(r))
        stand_on(r, "leaseId", &r->core.lease_id, stc_lease_id(lease));
}

void stl_request_on_session(struct stl_request *r,
                            struct stc_session *session)
{
    if (stl_request_is_sound(r))
        stand_on(r, "sessionId", &r->core.session_id,
                 stc_session_id(session));
}

stator_future_t *stl_null_handle(const char *subject, const char *what)
{
    return stf_future_failed(STATOR_ERROR_ARGUMENT, subject,
                             "the %s is NULL", what);
}

bool stl_append_id(stator_client_t *client, const char *what, const char *key,
                   int64_t id, bson_t *opts, bson_error_t *error)
{
    stator_error_code_t code = STATOR_ERROR_ARGUMENT;
    const char *problem = NULL;

    if (client == NULL)
        problem = "the handle is NULL";
    else if (opts == NULL)
        problem = "opts is NULL";
    else if (bson_has_field(opts, key))
        problem = "opts name one already";
    else if (stc_client_is_inherited(client)) {
        problem = "the client is from before the fork";
        code = STATOR_ERROR_FORKED;
    } else if (!bson_append_int64(opts, key, -1, id)) {
        problem = "opts can hold no more";
    }
    if (problem != NULL)
        bson_set_error(error, STATOR_ERROR_DOMAIN, code, "%s.append: %s",
                       what, problem);
    return problem == NULL;
}

/* The last thing that can be wrong. */
static void bind_strand(struct stl_request *r)
{
    if (stl_request_is_sound(r) &&
        !stc_request_bind(r->client, &r->core, r->problem,
                          sizeof r->problem))
        r->code = STATOR_ERROR_ARGUMENT;
}

/* ---- the end of it ----------------------------------------------------- */

static stator_future_t *failure(const struct stl_request *r)
{
    stator_future_t *f;

    if (r->code == STATOR_ERROR_MEMORY)
        return stf_future_no_memory();
    f = stf_future_failed(r->code, r->subject, "%s", r->problem);
    if (!f->immortal)
        f->context = r->core.context;
    return f;
}

stator_future_t *stl_request_submit_from(struct stl_request *r,
                                         const void *site)
{
    stator_future_t *future;

    bind_strand(r);
    if (stl_request_is_sound(r)) {
        r->core.target = r->target;
        r->core.site = site;
        future = stc_submit(r->client, &r->core); /* takes the bytes */
    } else {
        future = failure(r);
        if (r->core.free_arg != NULL)
            r->core.free_arg(r->core.arg);
        free(r->core.bytes);
    }
    stc_target_unref(r->target);
    return future;
}

stator_cursor_t *stl_request_open_from(struct stl_request *r,
                                       const void *site)
{
    stator_cursor_t *cursor;
    stator_future_t *fault;

    bind_strand(r);
    if (stl_request_is_sound(r)) {
        r->core.target = r->target;
        r->core.site = site;
        cursor = stl_cursor_new(r->client, &r->core);
    } else {
        fault = failure(r);
        free(r->core.bytes);
        cursor = stl_cursor_new_failed(fault);
        stator_future_unref(fault);
    }
    stc_target_unref(r->target);
    return cursor;
}
