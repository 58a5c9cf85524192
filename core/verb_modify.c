/* SPDX-License-Identifier: Apache-2.0 */
/* core/verb_modify.c - find_one_and_update, _replace and _delete.
 *
 * The options have the names of the CRUD specification; the server's
 * findAndModify has others.  Through the driver's own function it is
 * retried, as a plain command it would not be. */
#include <string.h>

#include "core/verb_support.h"

static bool as_document(struct stc_call *call, const bson_iter_t *i,
                        bson_t *view)
{
    const uint8_t *data;
    uint32_t length;

    if (!BSON_ITER_HOLDS_DOCUMENT(i))
        return stc_verb_fault(call, "opts: %s must be a document",
                              bson_iter_key(i));
    bson_iter_document(i, &length, &data);
    return bson_init_static(view, data, length);
}

/* One option that has a place of its own; the rest gathers in `extra`. */
static bool take_option(struct stc_call *call, const bson_iter_t *i,
                        mongoc_find_and_modify_opts_t *opts,
                        mongoc_find_and_modify_flags_t *flags, bson_t *extra)
{
    const char *key = bson_iter_key(i);
    bson_t view;

    if (strcmp(key, "sort") == 0)
        return as_document(call, i, &view) &&
               mongoc_find_and_modify_opts_set_sort(opts, &view);
    if (strcmp(key, "projection") == 0 || strcmp(key, "fields") == 0)
        return as_document(call, i, &view) &&
               mongoc_find_and_modify_opts_set_fields(opts, &view);
    if (strcmp(key, "returnDocument") == 0) {
        const char *which =
            BSON_ITER_HOLDS_UTF8(i) ? bson_iter_utf8(i, NULL) : "";

        if (strcmp(which, "after") == 0)
            *flags |= MONGOC_FIND_AND_MODIFY_RETURN_NEW;
        else if (strcmp(which, "before") != 0)
            return stc_verb_fault(call, "opts: returnDocument must be "
                                        "\"before\" or \"after\"");
        return true;
    }
    if (strcmp(key, "upsert") == 0) {
        if (!BSON_ITER_HOLDS_BOOL(i))
            return stc_verb_fault(call, "opts: upsert must be a bool");
        if (bson_iter_bool(i))
            *flags |= MONGOC_FIND_AND_MODIFY_UPSERT;
        return true;
    }
    if (strcmp(key, "bypassDocumentValidation") == 0) {
        if (!BSON_ITER_HOLDS_BOOL(i))
            return stc_verb_fault(call, "opts: %s must be a bool", key);
        return mongoc_find_and_modify_opts_set_bypass_document_validation(
            opts, bson_iter_bool(i));
    }
    return bson_append_iter(extra, NULL, -1, i);
}

static bool modify(struct stc_call *call,
                   mongoc_find_and_modify_flags_t flags)
{
    mongoc_find_and_modify_opts_t *opts = mongoc_find_and_modify_opts_new();
    bson_t extra = BSON_INITIALIZER, reply;
    bool ok = true;
    bson_iter_t i;

    if (bson_iter_init(&i, &call->opts))
        while (ok && bson_iter_next(&i))
            ok = take_option(call, &i, opts, &flags, &extra);
    if (ok) {
        stc_append_max_time(call, &extra);
        mongoc_find_and_modify_opts_append(opts, &extra);
        mongoc_find_and_modify_opts_set_flags(opts, flags);
        if (call->n_arguments > 1)
            mongoc_find_and_modify_opts_set_update(opts,
                                                   &call->arguments[1]);
        ok = mongoc_collection_find_and_modify_with_opts(
            call->collection, &call->arguments[0], opts, &reply,
            &call->result->error);
        call->unacknowledged = ok && stc_is_unacknowledged(call, true);
        stc_verb_end(call, ok, &reply);
    }
    mongoc_find_and_modify_opts_destroy(opts);
    bson_destroy(&extra);
    if (ok && call->result->has_reply &&
        bson_iter_init_find(&i, &call->result->reply, "value"))
        stc_result_lend_document(call->result, &i);
    return ok;
}

static bool find_one_and_change(struct stc_call *call)
{
    return modify(call, MONGOC_FIND_AND_MODIFY_NONE);
}

static bool find_one_and_delete(struct stc_call *call)
{
    return modify(call, MONGOC_FIND_AND_MODIFY_REMOVE);
}

const struct stc_verb stc_verb_find_one_and_update = {
    .name = "find_one_and_update",
    .run = find_one_and_change,
};
const struct stc_verb stc_verb_find_one_and_replace = {
    .name = "find_one_and_replace",
    .run = find_one_and_change,
};
const struct stc_verb stc_verb_find_one_and_delete = {
    .name = "find_one_and_delete",
    .run = find_one_and_delete,
};
