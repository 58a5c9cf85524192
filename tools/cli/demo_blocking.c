/* SPDX-License-Identifier: Apache-2.0 */
/* demo_blocking.c - the same loop with plain driver calls in it: a call a
 * turn, so that the heartbeat gets its chance after each. */
#include <errno.h>
#include <mongoc/mongoc.h>
#include <string.h>
#include <sys/epoll.h>

#include "cli.h"
#include "demo.h"
#include "interrupt.h"

/* The number of documents, as stator_future_count has it; -1: failed. */
static int64_t drain(mongoc_cursor_t *cursor, bson_error_t *error)
{
    const bson_t *document;
    int64_t n = 0;

    while (mongoc_cursor_next(cursor, &document))
        n++;
    if (mongoc_cursor_error(cursor, error))
        n = -1;
    mongoc_cursor_destroy(cursor);
    return n;
}

static int64_t ask(mongoc_collection_t *collection, const query_t *query,
                   bson_error_t *error)
{
    bson_t one = BSON_INITIALIZER;
    int64_t found;

    switch (query->kind) {
    case QUERY_COUNT:
        return mongoc_collection_count_documents(
            collection, query->document, NULL, NULL, NULL, error);
    case QUERY_AGGREGATE:
        return drain(mongoc_collection_aggregate(collection,
                                                 MONGOC_QUERY_NONE,
                                                 query->document, NULL, NULL),
                     error);
    default:
        BSON_APPEND_INT64(&one, "limit", 1);
        found = drain(mongoc_collection_find_with_opts(
                          collection, query->document, &one, NULL),
                      error);
        bson_destroy(&one);
        return found;
    }
}

/* Whatever is ready, without waiting: a query is always to be done. */
static void turn(demo_t *demo, demo_part_t *part)
{
    struct epoll_event events[4];
    int n = epoll_wait(demo->epfd, events, 4, 0);

    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == &demo->heartbeat)
            heartbeat_tick(&demo->heartbeat);
        else
            interrupt_noted();
    }
    demo_show(demo, part);
}

static bool arm(demo_t *demo, mongoc_client_t *client, int times,
                bson_error_t *error)
{
    bson_t *command = demo_fail_point(demo, times);
    bool good = mongoc_client_command_simple(client, "admin", command, NULL,
                                             NULL, error);

    bson_destroy(command);
    return good;
}

static int run(demo_t *demo, demo_part_t *part, mongoc_client_t *client,
               mongoc_collection_t *collection)
{
    bson_error_t error;

    for (int i = 0; i < demo->n; i++) {
        int times = demo_slow_at(demo, i);
        int64_t found;

        turn(demo, part);
        if (interrupt_count() > 0 || demo_is_over(demo, part))
            break;
        if (times > 0 && !arm(demo, client, times, &error))
            say_warning("%s", error.message);
        found = ask(collection, &demo->queries[i], &error);
        if (found >= 0) {
            demo_answer(part, found);
        } else if (part->failed++ == 0) {
            say_error("query: %s", error.message);
            return session_exit_code(&error);
        }
    }
    turn(demo, part);
    return EX_OK;
}

int demo_blocking(demo_t *demo, demo_part_t *part)
{
    const char *origin;
    mongoc_client_t *client =
        mongoc_client_new(settings_uri(demo->session.settings, &origin));
    mongoc_collection_t *collection;
    bson_error_t error;
    int code;

    if (client == NULL)
        return EX_USAGE;
    mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    collection = mongoc_client_get_collection(
        client, demo->session.db, demo->session.collection_name);
    /* Connected, as the other way's workers are when it begins. */
    arm(demo, client, 0, &error);
    demo_begin(demo, part);
    code = run(demo, part, client, collection);
    demo_end(demo, part);
    mongoc_collection_destroy(collection);
    mongoc_client_destroy(client);
    return interrupt_count() > 0 ? interrupt_exit() : code;
}
