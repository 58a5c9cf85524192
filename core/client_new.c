/* SPDX-License-Identifier: Apache-2.0 */
/* core/client_new.c - how a client is made: its URI read or its pool adopted,
 * its parts set up, its threads started.  The rest is in client.c. */
#include "core/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "futures/base.h"

static void init_driver(void)
{
    mongoc_init(); /* counted by nobody: it is never cleaned up */
}

/* Of these two the driver's text repeats what may be a secret. */
static const char *safe_reason(const char *reason)
{
    if (strncmp(reason, "Password \"", 10) == 0)
        return "the password has characters that must be percent-encoded";
    if (strncmp(reason, "Deprecated option '", 19) == 0)
        return "an option is there twice, by its old and its new name";
    return reason;
}

/* The first '@' ends the password for the driver; what is left of it would be
 * looked up, logged and reported as a host. */
static bool has_torn_password(const mongoc_uri_t *uri)
{
    const mongoc_host_list_t *host = mongoc_uri_get_hosts(uri);

    while (host != NULL && strchr(host->host, '@') == NULL)
        host = host->next;
    return host != NULL;
}

static mongoc_uri_t *read_uri(const char *text, int32_t *wait_queue_ms,
                              bson_error_t *error)
{
    bson_error_t reason;
    mongoc_uri_t *uri = mongoc_uri_new_with_error(text, &reason);

    if (uri == NULL) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                       "client: uri: %s", safe_reason(reason.message));
        return NULL;
    }
    if (has_torn_password(uri)) {
        mongoc_uri_destroy(uri);
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                       "client: uri: an \"@\" in the name or the password "
                       "must be written as %%40");
        return NULL;
    }
    *wait_queue_ms = mongoc_uri_get_option_as_int32(
        uri, MONGOC_URI_WAITQUEUETIMEOUTMS, 0);
    /* Kept from the driver: with the one, destroying a pool can crash; the
     * other closes connections instead of keeping them. */
    if (mongoc_uri_has_option(uri, MONGOC_URI_WAITQUEUETIMEOUTMS))
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_WAITQUEUETIMEOUTMS, 0);
    if (mongoc_uri_has_option(uri, MONGOC_URI_MINPOOLSIZE))
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_MINPOOLSIZE, 0);
    return uri;
}

/* Of the user's own pool.  Popping starts the driver's monitor threads, and
 * waits for nothing. */
static int look_at(mongoc_client_pool_t *pool, char **default_db)
{
    const mongoc_uri_t *uri;
    mongoc_client_t *client;
    int size;

    mongoc_client_pool_set_error_api(pool, MONGOC_ERROR_API_VERSION_2);
    client = mongoc_client_pool_try_pop(pool);
    if (client == NULL)
        return 0;
    uri = mongoc_client_get_uri(client);
    size = mongoc_uri_get_option_as_int32(uri, MONGOC_URI_MAXPOOLSIZE, 0);
    *default_db = bson_strdup(mongoc_uri_get_database(uri));
    mongoc_client_pool_push(pool, client);
    return size;
}

static stator_client_t *allocate(bson_error_t *error)
{
    const size_t align = _Alignof(stator_client_t);
    const size_t size = (sizeof(stator_client_t) + align - 1) / align * align;
    stator_client_t *client = aligned_alloc(align, size);

    if (client == NULL) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_MEMORY,
                       "client: no memory for it");
        return NULL;
    }
    memset(client, 0, size);
    atomic_init(&client->refs, 1);
    atomic_init(&client->holds, 1);
    client->generation = stf_generation();
    pthread_mutex_init(&client->lock, NULL);
    CDS_INIT_LIST_HEAD(&client->cursors);
    stc_ties_init(&client->ties, client);
    stc_lane_init(&client->lane);
    CDS_INIT_LIST_HEAD(&client->ended);
    CDS_INIT_LIST_HEAD(&client->closers);
    bson_init(&client->leaked);
    client->cursors_shut_in = -1;
    return client;
}

static void keeper_freed(void *client)
{
    stc_keeper_wake(&((stator_client_t *)client)->keeper);
}

/* NULL: none was asked for. */
static mongoc_server_api_t *server_api_of(const struct stc_config *config)
{
    mongoc_server_api_version_t version;
    mongoc_server_api_t *api;

    if (!mongoc_server_api_version_from_string(config->server_api.version,
                                               &version))
        return NULL;
    api = mongoc_server_api_new(version);
    if (config->server_api.strict >= 0)
        mongoc_server_api_strict(api, config->server_api.strict);
    if (config->server_api.deprecation_errors >= 0)
        mongoc_server_api_deprecation_errors(
            api, config->server_api.deprecation_errors);
    return api;
}

/* Everything but the threads. */
static void set_up(stator_client_t *client, mongoc_uri_t *uri,
                   mongoc_client_pool_t *pool)
{
    const struct stc_config *config = &client->config;

    snprintf(client->note_full, sizeof client->note_full,
             "the queue of client \"%s\" is full (queueLimit %d)",
             config->name, config->number[STC_QUEUE_LIMIT]);
    snprintf(client->note_closed, sizeof client->note_closed,
             "client \"%s\" is closed", config->name);
    stc_network_init(&client->pool.network, client, !config->driver_streams,
                     pool != NULL);
    client->pool.stops_server = config->kill_abandoned;
    client->pool.server_api = server_api_of(config);
    client->pool.events = client->events;
    stc_pool_init(&client->pool, client, uri, pool,
                  config->number[STC_MAX_CONNECTIONS],
                  stc_client_reserved(config, config->number[STC_WORKERS]));
    stc_queue_init(&client->queue, config->number[STC_QUEUE_LIMIT],
                   config->policy_block);
    client->queue.freed = keeper_freed;
    client->queue.owner = client;
    stc_keeper_init(&client->keeper);
}

static bool start(stator_client_t *client, bson_error_t *error)
{
    char name[16];
    int failed;

    snprintf(name, sizeof name, "%.8s/keeper", client->config.name);
    failed = stc_thread_start(NULL, stc_keeper_main, client, name);
    if (failed != 0) {
        client->pool.pool = NULL; /* an adopted one stays the user's */
    } else {
        stc_client_hold(client); /* the keeper's: it goes after a close only */
        pthread_mutex_lock(&client->lock);
        failed = stc_client_start_workers(
            client, client->config.number[STC_WORKERS]);
        pthread_mutex_unlock(&client->lock);
        if (failed != 0) { /* the keeper ends those that run */
            client->pool.pool = NULL;
            stc_close_begin(client, STC_ABORT, 0);
        }
    }
    if (failed != 0)
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_REFUSED,
                       "client: a thread can not be started: %s",
                       strerror(failed));
    return failed == 0;
}

/* Nothing has come of it. */
static void discard(stator_client_t *client)
{
    if (client == NULL)
        return;
    stc_events_release(client->events);
    pthread_mutex_destroy(&client->lock);
    bson_free(client->default_db);
    free(client);
}

static bool make_events(stator_client_t *client, bson_error_t *error)
{
    client->events = stc_events_new((enum stc_telling)client->config.events);
    if (client->events == NULL)
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_MEMORY,
                       "client: no memory for its events");
    return client->events != NULL;
}

static bool found(stator_client_t *client, const mongoc_uri_t *uri,
                  const bson_t *opts, bson_error_t *error)
{
    int size =
        mongoc_uri_get_option_as_int32(uri, MONGOC_URI_MAXPOOLSIZE, 0);

    client->default_db = bson_strdup(mongoc_uri_get_database(uri));
    return stc_config_read(&client->config, opts, false, error) &&
           stc_config_size(&client->config, size, error) &&
           make_events(client, error);
}

static bool refuse_pool(bson_error_t *error, const char *why)
{
    bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_REFUSED,
                   "client: option \"events\": %s", why);
    return false;
}

/* The callbacks come first, since whatever is popped keeps those of then. */
static bool adopt(stator_client_t *client, mongoc_client_pool_t *pool,
                  const bson_t *opts, bson_error_t *error)
{
    struct stc_events *events;

    if (!stc_config_read(&client->config, opts, true, error) ||
        !make_events(client, error))
        return false;
    events = client->events;
    if (client->config.events != STC_TELLS_AUTO) {
        stc_listeners_keep_early(&events->listeners);
        if (!stc_events_install(events, pool))
            return refuse_pool(error, "the pool has callbacks already");
    }
    if (stc_config_size(&client->config, look_at(pool, &client->default_db),
                        error) &&
        (client->config.events == STC_TELLS_AUTO ||
         atomic_load(&events->has_opened) ||
         refuse_pool(error, "the pool has been used already")))
        return true;
    stc_listeners_forget_early(&events->listeners); /* M3: it may stay */
    return false;
}

stator_client_t *stc_client_new(const char *uri_text,
                                mongoc_client_pool_t *pool,
                                const bson_t *opts, bson_error_t *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    mongoc_uri_t *uri = NULL;
    stator_client_t *client;
    int32_t wait_queue_ms = 0;
    bool ok = false;

    pthread_once(&once, init_driver);
    if (pool == NULL) {
        uri = read_uri(uri_text, &wait_queue_ms, error);
        if (uri == NULL)
            return NULL;
    }
    client = allocate(error);
    if (client != NULL)
        ok = pool != NULL ? adopt(client, pool, opts, error)
                          : found(client, uri, opts, error);
    if (!ok) {
        discard(client);
        if (uri != NULL)
            mongoc_uri_destroy(uri);
        return NULL;
    }
    client->wait_queue_ms = wait_queue_ms;
    set_up(client, uri, pool);
    if (start(client, error))
        return client;
    stc_client_release(client);
    return NULL;
}
