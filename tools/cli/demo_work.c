/* SPDX-License-Identifier: Apache-2.0 */
/* demo_work.c - what is asked: made of a sample of the collection.
 *
 * Of ten queries six look for a name, two for an _id, one counts the cities
 * of a country, and one sums up their people. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "demo.h"
#include "interrupt.h"

enum { SAMPLE = 200 };

bson_t *demo_fail_point(demo_t *demo, int times)
{
    if (times == 0)
        return BCON_NEW("configureFailPoint", "failCommand", "mode", "off");
    demo->armed = true;
    return BCON_NEW("configureFailPoint", "failCommand", "mode", "{",
                    "times", BCON_INT32(times), "}", "data", "{",
                    "failCommands", "[", "find", "aggregate", "]",
                    "blockConnection", BCON_BOOL(true), "blockTimeMS",
                    BCON_INT32(demo->slow_ms), "}");
}

int demo_slow_at(const demo_t *demo, int i)
{
    int left;

    if (demo->slow == 0 || i % demo->slow_every != 0)
        return 0;
    left = demo->slow - i / demo->slow_every * SLOW_AT_ONCE;
    if (left <= 0)
        return 0;
    return left < SLOW_AT_ONCE ? left : SLOW_AT_ONCE;
}

/* Will the server slow down what it is asked to? */
static int try_fail_point(demo_t *demo)
{
    bson_t *off = demo_fail_point(demo, 0);
    stator_future_t *future = stator_client_command(
        demo->session.client, "admin", off, &demo->session.opts);
    bson_error_t error;
    int code = EX_OK;

    bson_destroy(off);
    if (!session_await(&demo->session, future)) {
        code = interrupt_exit();
    } else if (stator_future_error(future, &error)) {
        code = session_exit_code(&error);
        if (stator_future_origin(future) == STATOR_ORIGIN_SERVER) {
            say_warning("the server does not let itself be slowed down (%s): "
                        "all queries go at its own speed", error.message);
            demo->slow = 0;
            code = EX_OK;
        } else {
            say_error("%s", error.message);
        }
    }
    stator_future_unref(future);
    return code;
}

static bson_t *equals(const bson_t *document, const char *key)
{
    bson_t *filter = bson_new();
    bson_iter_t at;

    if (bson_iter_init_find(&at, document, key))
        bson_append_iter(filter, key, -1, &at);
    return filter;
}

static const char *text_of(const bson_t *document, const char *key)
{
    bson_iter_t at;

    return bson_iter_init_find(&at, document, key) && BSON_ITER_HOLDS_UTF8(&at)
               ? bson_iter_utf8(&at, NULL)
               : NULL;
}

static query_t make(const bson_t *document, int i)
{
    const char *country = text_of(document, "country");

    if (i % 10 == 9 && country != NULL)
        return (query_t){
            QUERY_AGGREGATE,
            BCON_NEW("pipeline", "[", "{", "$match", "{", "country",
                     BCON_UTF8(country), "}", "}", "{", "$group", "{", "_id",
                     "$country", "cities", "{", "$sum", BCON_INT32(1), "}",
                     "people", "{", "$sum", "$population", "}", "}", "}",
                     "]")};
    if (i % 10 == 8 && country != NULL)
        return (query_t){QUERY_COUNT,
                         BCON_NEW("country", BCON_UTF8(country))};
    if (i % 10 < 6 && text_of(document, "name") != NULL)
        return (query_t){QUERY_FIND_ONE, equals(document, "name")};
    return (query_t){QUERY_FIND_ONE, equals(document, "_id")};
}

static int sample(demo_t *demo)
{
    bson_t *opts = bson_copy(&demo->session.opts);
    bson_t all = BSON_INITIALIZER;
    stator_cursor_t *cursor;
    stator_future_t *future;
    int64_t count;
    int code;

    BSON_APPEND_INT64(opts, "limit", SAMPLE);
    cursor = stator_collection_find(demo->session.collection, &all, opts);
    future = stator_cursor_to_list(cursor, 0);
    stator_cursor_unref(cursor);
    bson_destroy(opts);
    bson_destroy(&all);

    stator_future_ref(future);
    code = session_finish(&demo->session, "demo", future);
    count = stator_future_count(future);
    if (code == EX_OK && count == 0) {
        say_error("%s.%s is empty; fill it: stator load --db %s --collection "
                  "%s FILE", demo->session.db, demo->session.collection_name,
                  demo->session.db, demo->session.collection_name);
        code = EX_NOINPUT;
    }
    for (int i = 0; code == EX_OK && i < demo->n; i++) {
        size_t at = (size_t)((int64_t)i * 7 % count);

        demo->queries[i] = make(stator_future_document_at(future, at), i);
    }
    stator_future_unref(future);
    return code;
}

/* Without them the embedded server and mongod alike read all for each. */
static int make_indexes(demo_t *demo)
{
    bson_t *models[] = {
        BCON_NEW("key", "{", "name", BCON_INT32(1), "}"),
        BCON_NEW("key", "{", "country", BCON_INT32(1), "}")};
    stator_future_t *future = stator_collection_create_indexes(
        demo->session.collection, (const bson_t **)models, 2,
        &demo->session.opts);

    bson_destroy(models[0]);
    bson_destroy(models[1]);
    return session_finish(&demo->session, "demo: indexes", future);
}

int demo_prepare(demo_t *demo)
{
    int code;

    demo->queries = calloc((size_t)demo->n, sizeof *demo->queries);
    if (demo->queries == NULL)
        return EX_OSERR;
    demo->slow_every = demo->slow == 0
                           ? 1
                           : demo->n * SLOW_AT_ONCE / demo->slow;
    if (demo->slow_every < 1)
        demo->slow_every = 1;
    code = sample(demo);
    if (code == EX_OK)
        code = make_indexes(demo);
    if (code == EX_OK && demo->slow > 0)
        code = try_fail_point(demo);
    return code;
}

void demo_tidy(demo_t *demo)
{
    bson_t *off = demo_fail_point(demo, 0);

    if (demo->armed) {
        stator_future_t *future = stator_client_command(
            demo->session.client, "admin", off, NULL);

        stator_dispatcher_run_until(demo->session.dispatcher, future, 2000);
        if (stator_future_poll(future) != STATOR_FUTURE_DONE)
            say_warning("the server's fail point could not be switched off; "
                        "it ends by itself after %d queries", SLOW_AT_ONCE);
        stator_future_unref(future);
    }
    bson_destroy(off);
    for (int i = 0; demo->queries != NULL && i < demo->n; i++) {
        if (demo->queries[i].document != NULL)
            bson_destroy(demo->queries[i].document);
    }
    free(demo->queries);
}
