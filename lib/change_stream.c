/* SPDX-License-Identifier: Apache-2.0 */
/* lib/change_stream.c - change streams: a cursor's handle under another name,
 * whose requests wait. */
#include <stator/change_stream.h>

#include "futures/future.h"
#include "lib/cursor.h"
#include "lib/document.h"
#include "lib/models.h"
#include "lib/request.h"

static stator_cursor_t *cursor_of(stator_change_stream_t *stream)
{
    return (stator_cursor_t *)(void *)stream;
}

/* ---- watching ---------------------------------------------------------- */

static bool is_utf8(const bson_iter_t *i)
{
    return BSON_ITER_HOLDS_UTF8(i);
}

static bool is_bool(const bson_iter_t *i)
{
    return BSON_ITER_HOLDS_BOOL(i);
}

static bool is_document(const bson_iter_t *i)
{
    return BSON_ITER_HOLDS_DOCUMENT(i);
}

static bool is_timestamp(const bson_iter_t *i)
{
    return BSON_ITER_HOLDS_TIMESTAMP(i);
}

static bool is_size(const bson_iter_t *i)
{
    int64_t n;

    return stl_value_as_int64(i, &n) && n >= 0 && n <= INT32_MAX;
}

static bool is_time(const bson_iter_t *i)
{
    int64_t n;

    return stl_value_as_int64(i, &n) && n >= 1 && n <= INT32_MAX;
}

static void check_opts(struct stl_request *r, const bson_t *opts)
{
    static const struct {
        const char *key;
        bool (*is_right)(const bson_iter_t *value);
        const char *what;
    } keys[] = {
        {"fullDocument", is_utf8, "a string"},
        {"fullDocumentBeforeChange", is_utf8, "a string"},
        {"showExpandedEvents", is_bool, "a bool"},
        {"resumeAfter", is_document, "a document"},
        {"startAfter", is_document, "a document"},
        {"startAtOperationTime", is_timestamp, "a timestamp"},
        {"batchSize", is_size, "an integer of 0 or more"},
        {"maxAwaitTimeMS", is_time, "an integer of 1 or more"},
    };
    bson_iter_t i;

    if (opts == NULL || !stl_request_is_sound(r))
        return;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        if (bson_iter_init_find(&i, opts, keys[k].key) &&
            !keys[k].is_right(&i))
            stl_request_fail(r, STATOR_ERROR_ARGUMENT,
                             "opts: %s must be %s, is %s", keys[k].key,
                             keys[k].what, stl_type_name(&i));
}

STL_PART stator_change_stream_t *watch(struct stl_request *r,
                                       const bson_t *pipeline,
                                       const bson_t *opts, bool all)
{
    bson_t more = BSON_INITIALIZER, none = BSON_INITIALIZER;

    check_opts(r, opts);
    stl_request_pipeline(r, pipeline == NULL ? &none : pipeline);
    if (all)
        BSON_APPEND_BOOL(&more, "allChangesForCluster", true);
    if (stl_request_is_sound(r))
        stl_request_copy(r, &more);
    r->core.timeout_mode = STC_ITERATION;
    bson_destroy(&more);
    return (stator_change_stream_t *)(void *)stl_request_open(r);
}

stator_change_stream_t *
stator_collection_watch(stator_collection_t *collection,
                        const bson_t *pipeline, const bson_t *opts)
{
    struct stl_request r;

    stl_request_begin(&r, "collection.watch", &stc_verb_watch,
                      collection == NULL ? NULL : &collection->handle, opts,
                      STL_OPERATION);
    return watch(&r, pipeline, opts, false);
}

stator_change_stream_t *stator_database_watch(stator_database_t *database,
                                              const bson_t *pipeline,
                                              const bson_t *opts)
{
    struct stl_request r;

    stl_request_begin(&r, "database.watch", &stc_verb_watch,
                      database == NULL ? NULL : &database->handle, opts,
                      STL_OPERATION);
    return watch(&r, pipeline, opts, false);
}

stator_change_stream_t *stator_client_watch(stator_client_t *client,
                                            const bson_t *pipeline,
                                            const bson_t *opts)
{
    struct stl_request r;

    stl_request_begin_on_client(&r, "client.watch", &stc_verb_watch, client,
                                "admin", opts, STL_OPERATION);
    return watch(&r, pipeline, opts, true);
}

/* ---- events ------------------------------------------------------------ */

static stator_future_t *ask(stator_change_stream_t *stream,
                            const char *subject, enum stc_want want)
{
    if (stream == NULL)
        return stl_null_handle(subject, "change stream");
    return stl_cursor_ask(cursor_of(stream), want, 0);
}

stator_future_t *stator_change_stream_open(stator_change_stream_t *stream)
{
    return ask(stream, "change_stream.open", STC_OPEN);
}

stator_future_t *stator_change_stream_next(stator_change_stream_t *stream)
{
    return ask(stream, "change_stream.next", STC_NEXT);
}

stator_future_t *
stator_change_stream_try_next(stator_change_stream_t *stream)
{
    return ask(stream, "change_stream.try_next", STC_TRY);
}

stator_future_t *
stator_change_stream_each(stator_change_stream_t *stream,
                          stator_dispatcher_t *dispatcher,
                          stator_each_fn *fn, void *arg)
{
    if (stream == NULL)
        return stl_null_handle("change_stream.each", "change stream");
    return stl_cursor_each("change_stream.each", cursor_of(stream),
                           dispatcher, fn, NULL, arg);
}

stator_future_t *
stator_change_stream_each_async(stator_change_stream_t *stream,
                                stator_dispatcher_t *dispatcher,
                                stator_each_async_fn *fn, void *arg)
{
    if (stream == NULL)
        return stl_null_handle("change_stream.each_async", "change stream");
    return stl_cursor_each("change_stream.each_async", cursor_of(stream),
                           dispatcher, NULL, fn, arg);
}

bool stator_change_stream_resume_token(stator_change_stream_t *stream,
                                       bson_t *out)
{
    return stream != NULL && out != NULL &&
           cursor_of(stream)->core != NULL &&
           stc_cursor_resume_token(cursor_of(stream)->core, out);
}

/* ---- the handle -------------------------------------------------------- */

stator_future_t *stator_change_stream_close(stator_change_stream_t *stream)
{
    if (stream == NULL)
        return stl_null_handle("change_stream.close", "change stream");
    return stl_cursor_close(cursor_of(stream));
}

stator_change_stream_t *
stator_change_stream_ref(stator_change_stream_t *stream)
{
    stator_cursor_ref(cursor_of(stream));
    return stream;
}

void stator_change_stream_unref(stator_change_stream_t *stream)
{
    stator_cursor_unref(cursor_of(stream));
}
