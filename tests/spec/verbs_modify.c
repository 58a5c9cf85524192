/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_modify.c - findOneAndUpdate, findOneAndReplace, findOneAndDelete. */
#include <string.h>
#include <strings.h>

#include "tests/spec/operation.h"
#include "tests/spec/value.h"

/* ---- raw ------------------------------------------------------------- */

/* These the driver takes by functions of their own. */
static bool set_option(mongoc_find_and_modify_opts_t *opts,
                       mongoc_find_and_modify_flags_t *flags,
                       const bson_iter_t *at, bson_t *extra)
{
    const char *key = bson_iter_key(at);
    bson_t view;

    value_look(at, &view);
    if (strcmp(key, "sort") == 0)
        return mongoc_find_and_modify_opts_set_sort(opts, &view);
    if (strcmp(key, "projection") == 0)
        return mongoc_find_and_modify_opts_set_fields(opts, &view);
    if (strcmp(key, "bypassDocumentValidation") == 0)
        return mongoc_find_and_modify_opts_set_bypass_document_validation(
            opts, bson_iter_bool(at));
    if (strcmp(key, "maxTimeMS") == 0)
        return mongoc_find_and_modify_opts_set_max_time_ms(
            opts, (uint32_t)bson_iter_as_int64(at));
    if (strcmp(key, "upsert") == 0 && bson_iter_bool(at))
        *flags |= MONGOC_FIND_AND_MODIFY_UPSERT;
    else if (strcmp(key, "returnDocument") == 0 &&
             strcasecmp(bson_iter_utf8(at, NULL), "after") == 0)
        *flags |= MONGOC_FIND_AND_MODIFY_RETURN_NEW;
    else if (strcmp(key, "upsert") != 0 && strcmp(key, "returnDocument") != 0)
        value_put(extra, key, at);
    return true;
}

static mongoc_find_and_modify_opts_t *
raw_opts(const bson_t *opts, const bson_t *update,
         mongoc_find_and_modify_flags_t flags)
{
    mongoc_find_and_modify_opts_t *made = mongoc_find_and_modify_opts_new();
    bson_t extra = BSON_INITIALIZER;
    bson_iter_t at;

    bson_iter_init(&at, opts);
    while (bson_iter_next(&at))
        set_option(made, &flags, &at, &extra);
    if (update != NULL)
        mongoc_find_and_modify_opts_set_update(made, update);
    mongoc_find_and_modify_opts_set_flags(made, flags);
    mongoc_find_and_modify_opts_append(made, &extra);
    bson_destroy(&extra);
    return made;
}

static bool raw_modify(call_t *call, const bson_t *update,
                       mongoc_find_and_modify_flags_t flags)
{
    mongoc_find_and_modify_opts_t *opts =
        raw_opts(&call->opts, update, flags);
    bson_error_t error;
    bson_iter_t at;
    bson_t filter;

    call_view(call, "filter", &filter);
    bson_destroy(&call->result->reply);
    if (!mongoc_collection_find_and_modify_with_opts(
            call->object->raw.collection, &filter, opts,
            &call->result->reply, &error))
        call_fail(call, &error);
    else if (value_find(&call->result->reply, "value", &at))
        result_set(call->result, &at);
    else
        result_set_document(call->result, NULL);
    mongoc_find_and_modify_opts_destroy(opts);
    return true;
}

/* ---- both ------------------------------------------------------------ */

static bool known_return(call_t *call)
{
    const char *word = value_utf8(&call->arguments, "returnDocument", "after");

    return strcasecmp(word, "after") == 0 || strcasecmp(word, "before") == 0 ||
           verdict_fail(call->run->verdict,
                        "returnDocument is \"%s\": before, or after", word);
}

static bool raw_update(call_t *call)
{
    bson_t update;

    call_view(call, "update", &update);
    return known_return(call) &&
           raw_modify(call, &update, MONGOC_FIND_AND_MODIFY_NONE);
}

static bool raw_replace(call_t *call)
{
    bson_t replacement;

    call_view(call, "replacement", &replacement);
    return known_return(call) &&
           raw_modify(call, &replacement, MONGOC_FIND_AND_MODIFY_NONE);
}

static bool raw_delete(call_t *call)
{
    return raw_modify(call, NULL, MONGOC_FIND_AND_MODIFY_REMOVE);
}

/* Stator's words are in lower case; the format's may be in any. */
static void lower_return(call_t *call, bson_t *opts)
{
    const char *word = value_utf8(&call->opts, "returnDocument", NULL);

    bson_init(opts);
    bson_copy_to_excluding_noinit(&call->opts, opts, "returnDocument", NULL);
    if (word != NULL)
        bson_append_utf8(opts, "returnDocument", -1,
                         strcasecmp(word, "after") == 0 ? "after" : "before",
                         -1);
}

typedef stator_future_t *modify_fn(stator_collection_t *, const bson_t *,
                                   const bson_t *, const bson_t *);

static bool take_document(call_t *call, stator_future_t *future)
{
    if (!call_settle(call, future))
        return false;
    result_set_document(call->result, stator_future_document(future));
    stator_future_unref(future);
    return true;
}

static bool modify(call_t *call, modify_fn *fn, const char *with)
{
    bson_t filter, change, opts;
    stator_future_t *future;

    if (!known_return(call))
        return false;
    call_view(call, "filter", &filter);
    call_view(call, with, &change);
    lower_return(call, &opts);
    future = fn(call->object->stator.collection, &filter, &change, &opts);
    bson_destroy(&opts);
    return take_document(call, future);
}

static bool update(call_t *call)
{
    return modify(call, stator_collection_find_one_and_update, "update");
}

static bool replace(call_t *call)
{
    return modify(call, stator_collection_find_one_and_replace,
                  "replacement");
}

static bool delete_(call_t *call)
{
    bson_t filter;

    call_view(call, "filter", &filter);
    return take_document(call, stator_collection_find_one_and_delete(
                                   call->object->stator.collection, &filter,
                                   &call->opts));
}

#define OPTIONS                                                                \
    "| arrayFilters bypassDocumentValidation collation comment hint let "      \
    "maxTimeMS projection rawData returnDocument session sort upsert "         \
    "writeConcern"

const verb_t modify_verbs[] = {
    {"findOneAndUpdate", ENTITY_COLLECTION, "!filter !update " OPTIONS,
     raw_update, update, NULL, MATCH_ROOT},
    {"findOneAndReplace", ENTITY_COLLECTION, "!filter !replacement " OPTIONS,
     raw_replace, replace, NULL, MATCH_ROOT},
    {"findOneAndDelete", ENTITY_COLLECTION,
     "!filter | collation comment hint let maxTimeMS projection rawData "
     "session sort writeConcern",
     raw_delete, delete_, NULL, MATCH_ROOT},
    {0}};
