/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - client entities: a URI, a pool, and one of the drivers on it.
 *
 * Both drivers get a pool made the same way, so that a difference in what
 * they do is theirs. */
#include "tests/spec/client.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tests/spec/listen.h"
#include "tests/spec/monitor.h"
#include "tests/spec/options.h"
#include "tests/spec/value.h"

static bool set_concern(mongoc_uri_t *uri, const bson_iter_t *option)
{
    const char *key = bson_iter_key(option);
    bson_t document = BSON_INITIALIZER;

    if (strcasecmp(key, "readConcernLevel") == 0) {
        mongoc_read_concern_t *concern;

        value_put(&document, "level", option);
        concern = options_read_concern(&document);
        mongoc_uri_set_read_concern(uri, concern);
        mongoc_read_concern_destroy(concern);
    } else if (strcasecmp(key, "w") == 0) {
        mongoc_write_concern_t *concern;

        value_put(&document, "w", option);
        concern = options_write_concern(&document);
        mongoc_uri_set_write_concern(uri, concern);
        mongoc_write_concern_destroy(concern);
    } else {
        return false;
    }
    bson_destroy(&document);
    return true;
}

static bool set_option(mongoc_uri_t *uri, const bson_iter_t *option)
{
    const char *key = bson_iter_key(option);

    if (set_concern(uri, option))
        return true;
    if (BSON_ITER_HOLDS_BOOL(option) && mongoc_uri_option_is_bool(key))
        return mongoc_uri_set_option_as_bool(uri, key, bson_iter_bool(option));
    if (BSON_ITER_HOLDS_INT(option) && mongoc_uri_option_is_int32(key))
        return mongoc_uri_set_option_as_int32(
            uri, key, (int32_t)bson_iter_as_int64(option));
    if (BSON_ITER_HOLDS_UTF8(option) && strcasecmp(key, "appName") == 0)
        return mongoc_uri_set_appname(uri, bson_iter_utf8(option, NULL));
    if (BSON_ITER_HOLDS_UTF8(option) && mongoc_uri_option_is_utf8(key))
        return mongoc_uri_set_option_as_utf8(uri, key,
                                             bson_iter_utf8(option, NULL));
    return false;
}

/* What Stator sizes by itself is not asked of the driver. */
static bool is_stators(const char *key, driver_t driver)
{
    return driver == DRIVER_STATOR && (strcasecmp(key, "maxPoolSize") == 0 ||
                                       strcasecmp(key, "minPoolSize") == 0);
}

static bool set_options(mongoc_uri_t *uri, const bson_t *options,
                        driver_t driver, verdict_t *verdict)
{
    bson_iter_t at;

    bson_iter_init(&at, options);
    while (bson_iter_next(&at))
        if (!is_stators(bson_iter_key(&at), driver) && !set_option(uri, &at))
            return verdict_skip(verdict, "libmongoc 1.23 has no URI option "
                                         "%s of this kind",
                                bson_iter_key(&at));
    return true;
}

static bool set_server_api(mongoc_client_pool_t *pool, const bson_t *from,
                           verdict_t *verdict)
{
    const char *name = value_utf8(from, "version", "");
    mongoc_server_api_version_t version;
    mongoc_server_api_t *api;
    bson_error_t error;
    bson_iter_t at;
    bool fine;

    if (!mongoc_server_api_version_from_string(name, &version))
        return verdict_fail(verdict, "there is no server API \"%s\"", name);
    api = mongoc_server_api_new(version);
    if (value_find(from, "strict", &at))
        mongoc_server_api_strict(api, bson_iter_bool(&at));
    if (value_find(from, "deprecationErrors", &at))
        mongoc_server_api_deprecation_errors(api, bson_iter_bool(&at));
    fine = mongoc_client_pool_set_server_api(pool, api, &error);
    mongoc_server_api_destroy(api);
    return fine || verdict_fail(verdict, "server API: %s", error.message);
}

static mongoc_client_pool_t *make_pool(const entities_t *entities,
                                       const bson_t *from,
                                       verdict_t *verdict)
{
    mongoc_client_pool_t *pool = NULL;
    mongoc_uri_t *uri;
    bson_error_t error;
    bson_t options;

    uri = mongoc_uri_new_with_error(entities->setup->uri, &error);
    if (uri == NULL) {
        verdict_fail(verdict, "--uri: %s", error.message);
        return NULL;
    }
    if (entities->quick_heartbeat)
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_HEARTBEATFREQUENCYMS,
                                       500);
    value_view(from, "uriOptions", &options);
    if (entities->setup->set_name[0] != '\0' &&
        !value_has(&options, "directConnection"))
        mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_REPLICASET,
                                      entities->setup->set_name);
    if (set_options(uri, &options, entities->setup->driver, verdict)) {
        pool = mongoc_client_pool_new_with_error(uri, &error);
        if (pool == NULL)
            verdict_fail(verdict, "client: %s", error.message);
    }
    mongoc_uri_destroy(uri);
    return pool;
}

/* All that matters for TLS is in the URI, so that the streams may be Stator's
 * own, as in a client that it makes itself. */
static bool make_driver(entity_t *entity, const setup_t *setup,
                        verdict_t *verdict)
{
    bson_error_t error;
    bson_t *opts;

    if (setup->driver == DRIVER_RAW) {
        mongoc_client_pool_set_error_api(entity->pool,
                                         MONGOC_ERROR_API_VERSION_2);
        entity->raw.client = mongoc_client_pool_pop(entity->pool);
        return true;
    }
    opts = BCON_NEW("transport", BCON_UTF8(setup->transport));
    if (listen_option(entity->events) != NULL)
        BSON_APPEND_UTF8(opts, "events", listen_option(entity->events));
    entity->stator.client =
        stator_client_new_from_pool(entity->pool, opts, &error);
    bson_destroy(opts);
    if (entity->stator.client == NULL)
        return verdict_fail(verdict, "stator_client_new_from_pool: %s",
                            error.message);
    entity->pool = NULL; /* adopted */
    return listen_begin(entity->events, entity->stator.client, verdict);
}

bool client_make(entity_t *entity, const entities_t *entities,
                 const bson_t *from, verdict_t *verdict)
{
    bson_t api;

    entity->events = value_alloc(sizeof *entity->events);
    events_init(entity->events, from);
    if (value_has(from, "autoEncryptOpts"))
        return verdict_skip(verdict, "encryption needs a server process "
                                     "that is not here");
    entity->pool = make_pool(entities, from, verdict);
    if (entity->pool == NULL)
        return false;
    if (entities->setup->driver == DRIVER_RAW)
        monitor_listen(entity->events, entity->pool);
    if (value_view(from, "serverApi", &api) &&
        !set_server_api(entity->pool, &api, verdict))
        return false;
    return make_driver(entity, entities->setup, verdict);
}

/* ---- the end --------------------------------------------------------- */

enum { CLOSING_MAX = 32 };

/* All clients that are being closed, of all jobs. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t fewer;
    int n, unclean;
} closing = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

/* Until its driver has gone, it may call back to the events. */
typedef struct ending {
    mongoc_client_pool_t *pool;
    stator_client_t *stator;
    events_t *events;
} ending_t;

static bool close_stator(stator_client_t *client)
{
    stator_future_t *closed = stator_client_close(client, NULL);
    const bson_t *reply;
    bson_t leaked;
    text_t text;
    bool clean;

    clean = stator_future_wait(closed, 60 * 1000) == 0 &&
            stator_future_poll(closed) == STATOR_FUTURE_DONE;
    reply = stator_future_reply(closed);
    if (clean && reply != NULL && value_view(reply, "leaked", &leaked))
        clean = bson_empty(&leaked);
    if (!clean)
        fprintf(stderr, "a client did not close cleanly: %s\n",
                value_json(reply, &text));
    stator_future_unref(closed);
    stator_client_unref(client);
    return clean;
}

static void *end(void *arg)
{
    ending_t *ending = arg;
    bool clean = ending->stator == NULL || close_stator(ending->stator);

    if (ending->pool != NULL)
        mongoc_client_pool_destroy(ending->pool);
    events_clear(ending->events);
    bson_free(ending->events);
    bson_free(ending);
    pthread_mutex_lock(&closing.lock);
    closing.n--;
    closing.unclean += !clean;
    pthread_cond_broadcast(&closing.fewer);
    pthread_mutex_unlock(&closing.lock);
    return NULL;
}

static void hand_over(ending_t *ending)
{
    pthread_t thread;

    pthread_mutex_lock(&closing.lock);
    while (closing.n >= CLOSING_MAX)
        pthread_cond_wait(&closing.fewer, &closing.lock);
    closing.n++;
    pthread_mutex_unlock(&closing.lock);
    if (pthread_create(&thread, NULL, end, ending) == 0)
        pthread_detach(thread);
    else
        end(ending);
}

void client_free(entity_t *entity)
{
    ending_t *ending = bson_malloc0(sizeof *ending);

    if (entity->raw.client != NULL)
        mongoc_client_pool_push(entity->pool, entity->raw.client);
    ending->pool = entity->pool;
    ending->stator = entity->stator.client;
    ending->events = entity->events;
    hand_over(ending);
}

int client_wait_all(void)
{
    int unclean;

    pthread_mutex_lock(&closing.lock);
    while (closing.n > 0)
        pthread_cond_wait(&closing.fewer, &closing.lock);
    unclean = closing.unclean;
    pthread_mutex_unlock(&closing.lock);
    return unclean;
}
