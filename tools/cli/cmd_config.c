/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_config.c - `stator config`: what is in force, and who says so.
 *
 * It is the library's own word, asked of a client that is made for it; no
 * server is asked. */
#include <mongoc/mongoc.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "redact.h"
#include "session.h"
#include "table.h"

typedef struct config {
    const settings_t *settings;
    bson_t known; /* what the library says of its options */
    table_t table;
} config_t;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = state->input;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is one argument too many", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .parser = parse,
    .doc = "Print the options in force and where each comes from.  No server "
           "is asked; passwords are left out.",
    .children = (const struct argp_child[]){{&settings_argp, 0, 0, 0}, {0}}};

static bool uri_has(const config_t *config, const char *option)
{
    const char *origin;
    mongoc_uri_t *uri = mongoc_uri_new_with_error(
        settings_uri(config->settings, &origin), NULL);
    bool has = uri != NULL && mongoc_uri_has_option(uri, option);

    mongoc_uri_destroy(uri);
    return has;
}

/* To be freed. */
static char *origin_of(const char *option, const char *environment,
                       const char *source)
{
    if (strcmp(source, "opts") == 0)
        return bson_strdup_printf("option --%s", option);
    if (strcmp(source, "uri") == 0)
        return bson_strdup("connection string, maxPoolSize");
    if (strcmp(source, "default") == 0)
        return bson_strdup(source);
    return bson_strdup_printf(
        "%s %s", strcmp(source, environment) == 0 ? "environment" : "file",
        source);
}

/* `key`: the library's {value, source}. */
static void add(config_t *config, const char *option, const char *environment,
                const char *key)
{
    bson_iter_t one, value, source;
    char *origin;

    if (!bson_iter_init_find(&one, &config->known, key) ||
        !bson_iter_recurse(&one, &value) ||
        !bson_iter_find(&value, "value") ||
        !bson_iter_recurse(&one, &source) ||
        !bson_iter_find(&source, "source"))
        return;
    origin = origin_of(option, environment, bson_iter_utf8(&source, NULL));
    table_add(&config->table, option,
              BSON_ITER_HOLDS_UTF8(&value)
                  ? bson_iter_utf8(&value, NULL)
                  : table_number((double)bson_iter_as_int64(&value), 0),
              origin);
    bson_free(origin);
}

/* A document, or null. */
static void add_server_api(config_t *config)
{
    bson_iter_t at, value, source;
    const uint8_t *data;
    uint32_t length;
    bson_t api;
    char *json = NULL, *origin;

    if (!bson_iter_init(&at, &config->known) ||
        !bson_iter_find_descendant(&at, "serverApi.value", &value) ||
        !bson_iter_init(&at, &config->known) ||
        !bson_iter_find_descendant(&at, "serverApi.source", &source))
        return;
    if (BSON_ITER_HOLDS_DOCUMENT(&value)) {
        bson_iter_document(&value, &length, &data);
        if (bson_init_static(&api, data, length))
            json = bson_as_relaxed_extended_json(&api, NULL);
    }
    origin = origin_of("server-api", "STATOR_SERVER_API",
                       bson_iter_utf8(&source, NULL));
    table_add(&config->table, "server-api", json == NULL ? "none" : json,
              origin);
    bson_free(origin);
    bson_free(json);
}

static void add_server(config_t *config, const session_t *session)
{
    const settings_t *s = config->settings;
    const char *origin, *from;
    char *uri = redact_uri(settings_uri(s, &origin));
    char *db = settings_db(s, &from);
    char timeout[32];

    table_add(&config->table, "uri", uri, origin);
    table_add(&config->table, "db", db, from);
    if (session->collection_name != NULL)
        table_add(&config->table, "collection", session->collection_name,
                  "option --collection");
    if (s->timeout_ms > 0) {
        snprintf(timeout, sizeof timeout, "%lld", (long long)s->timeout_ms);
        table_add(&config->table, "timeout-ms", timeout,
                  "option --timeout-ms");
    } else {
        bool by_uri = s->timeout_ms < 0 && uri_has(config, "timeoutMS");

        table_add(&config->table, "timeout-ms",
                  by_uri ? "as the connection string" : "no limit",
                  by_uri              ? "connection string"
                  : s->timeout_ms < 0 ? "default"
                                      : "option --timeout-ms");
    }
    bson_free(uri);
    free(db);
}

static void print(config_t *config, const session_t *session)
{
    table_init(&config->table, "lll");
    table_add(&config->table, "option", "value", "from");
    add_server(config, session);
    add(config, "workers", "STATOR_WORKERS", "workers");
    add(config, "max-connections", "STATOR_MAX_CONNECTIONS",
        "maxConnections");
    add(config, "queue-limit", "STATOR_QUEUE_LIMIT", "queueLimit");
    add(config, "queue-policy", "STATOR_QUEUE_POLICY", "queuePolicy");
    add(config, "watchers", "STATOR_WATCHERS", "watchers");
    add(config, "transport", "STATOR_TRANSPORT", "transport");
    add(config, "abandoned", "STATOR_ABANDONED", "abandoned");
    add(config, "events", "STATOR_EVENTS", "events");
    add(config, "name", "STATOR_NAME", "name");
    add_server_api(config);
    table_print(&config->table, stdout);
}

int cmd_config(settings_t *settings, int argc, char **argv)
{
    config_t config = {.settings = settings};
    session_t session;
    int code;

    settings_parse(settings, &argp, 0, argc, argv, NULL, settings);
    code = session_open(&session, settings, NULL);
    if (code == EX_OK) {
        stator_client_config(session.client, &config.known);
        print(&config, &session);
        bson_destroy(&config.known);
    }
    session_close(&session, true);
    return code;
}
