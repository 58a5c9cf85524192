/* SPDX-License-Identifier: Apache-2.0 */
/* wire_driver.h - what the tests that see the wire server through the driver
 * have in common: a server, a client, and short words for both.  Each test
 * file that includes it has its own. */
#ifndef WIRE_DRIVER_H
#define WIRE_DRIVER_H

#include "tests/harness/suite.h"
#include "tests/wire/wire.h"

#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

/* A wait that cannot run out before the test does. */
enum { FOR_EVER_MS = 600000, AT_ONCE_MS = 1 };

static wire_server_t *server;
static mongoc_client_t *client;

static inline mongoc_client_t *new_client(const char *extra)
{
    char uri[WIRE_URI_SIZE];
    mongoc_client_t *made =
        mongoc_client_new(wire_server_uri(server, extra, uri, sizeof uri));

    ck_assert_ptr_nonnull(made);
    mongoc_client_set_error_api(made, MONGOC_ERROR_API_VERSION_2);
    return made;
}

static inline void start(const wire_options_t *options)
{
    mongoc_init();
    server = wire_server_new(options);
    ck_assert_ptr_nonnull(server);
    client = new_client("retryReads=false&serverSelectionTimeoutMS=60000");
}

static inline void setup(void)
{
    start(NULL);
}

static inline void teardown(void)
{
    mongoc_client_destroy(client);
    wire_server_free(server);
}

static inline bson_t *json(const char *text)
{
    bson_error_t error;
    bson_t *made = bson_new_from_json((const uint8_t *)text, -1, &error);

    ck_assert_msg(made != NULL, "%s: %s", text, error.message);
    return made;
}

/* Run a command given as JSON; the reply is the caller's. */
static inline bool run(mongoc_client_t *on, const char *text,
                       const bson_t *opts, bson_t *reply, bson_error_t *error)
{
    bson_t *command = json(text);
    bool ok = mongoc_client_command_with_opts(on, "db", command, NULL, opts,
                                              reply, error);

    bson_destroy(command);
    return ok;
}

/* The command works; one number of its reply. */
static inline int64_t number_of(const char *text, const char *path)
{
    bson_t reply;
    bson_error_t error;
    bson_iter_t iter, at;
    int64_t number;

    ck_assert_msg(run(client, text, NULL, &reply, &error), "%s: %s", text,
                  error.message);
    ck_assert(bson_iter_init(&iter, &reply));
    ck_assert_msg(bson_iter_find_descendant(&iter, path, &at), "%s: no %s",
                  text, path);
    number = bson_iter_as_int64(&at);
    bson_destroy(&reply);
    return number;
}

/* The command fails; with which code. */
static inline uint32_t failure_of(mongoc_client_t *on, const char *text,
                           const bson_t *opts, bson_error_t *error)
{
    bson_t reply;

    ck_assert_msg(!run(on, text, opts, &reply, error), "%s worked", text);
    bson_destroy(&reply);
    return error->code;
}

static inline void succeeds(mongoc_client_t *on, const char *text)
{
    bson_error_t error;
    bson_t reply;

    ck_assert_msg(run(on, text, NULL, &reply, &error), "%s: %s", text,
                  error.message);
    bson_destroy(&reply);
}

/* A command that runs on a thread of its own, with a client of its own. */
typedef struct {
    pthread_t thread;
    mongoc_client_t *client;
    const char *text;
    bson_error_t error;
    bool ok;
    atomic_bool over;
} running_t;

static inline void *run_it(void *arg)
{
    running_t *running = arg;
    bson_t reply;

    running->ok = run(running->client, running->text, NULL, &reply,
                      &running->error);
    bson_destroy(&reply);
    atomic_store(&running->over, true);
    return NULL;
}

static inline void begin(running_t *running, const char *text)
{
    memset(running, 0, sizeof *running);
    running->client = new_client("retryReads=false");
    running->text = text;
    ck_assert_int_eq(
        pthread_create(&running->thread, NULL, run_it, running), 0);
}

static inline bool ends_well(running_t *running)
{
    pthread_join(running->thread, NULL);
    mongoc_client_destroy(running->client);
    return running->ok;
}

static inline int64_t stat_cursors(void)
{
    wire_stats_t stats;

    wire_stats(server, &stats);
    return stats.cursors_open;
}

static inline int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Insert `n` documents by insert_many. */
static inline bool insert(int n, const char *options, bson_error_t *error)
{
    mongoc_collection_t *collection =
        mongoc_client_get_collection(client, "db", "c");
    bson_t *document = json("{\"text\": \"some\"}");
    bson_t *opts = json(options);
    const bson_t *documents[10];
    bool ok;

    for (int i = 0; i < n; i++)
        documents[i] = document;
    ok = mongoc_collection_insert_many(collection, documents, (size_t)n, opts,
                                       NULL, error);
    bson_destroy(opts);
    bson_destroy(document);
    mongoc_collection_destroy(collection);
    return ok;
}

static inline int64_t inserted(void)
{
    wire_stats_t stats;

    wire_stats(server, &stats);
    return stats.inserted;
}

#endif /* WIRE_DRIVER_H */
