/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_config.c - `stator config`: what is in force, and who says so.
 *
 * The values are the library's own, asked of a client that is made for it;
 * no server is asked.  Only who said so is found out here. */
#include <mongoc/mongoc.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "redact.h"
#include "session.h"
#include "table.h"

typedef struct config {
    const settings_t *settings;
    const char *path; /* of the file, or NULL */
    bson_t *file;     /* its content, or NULL */
    bson_t stats;
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

/* The library has read it already and complained if it had to. */
static void read_file(config_t *config)
{
    bson_json_reader_t *reader;

    config->path = getenv("STATOR_CONFIG");
    if (config->path == NULL || *config->path == '\0') {
        config->path = NULL;
        return;
    }
    reader = bson_json_reader_new_from_file(config->path, NULL);
    if (reader == NULL)
        return;
    config->file = bson_new();
    bson_json_reader_read(reader, config->file, NULL);
    bson_json_reader_destroy(reader);
}

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
static char *origin_of(const config_t *config, const char *option,
                       const char *given, const char *environment,
                       const char *key)
{
    const char *value = getenv(environment);

    if (given != NULL)
        return bson_strdup_printf("option %s", option);
    if (value != NULL && *value != '\0')
        return bson_strdup_printf("environment %s", environment);
    if (config->file != NULL && bson_has_field(config->file, key))
        return bson_strdup_printf("file %s", config->path);
    if (strcmp(key, "maxConnections") == 0 && uri_has(config, "maxPoolSize"))
        return bson_strdup("connection string, maxPoolSize");
    return bson_strdup("default");
}

/* The library's value; queuePolicy is not among its figures. */
static const char *value_of(const config_t *config, const char *key,
                            const char *given, const char *environment)
{
    bson_iter_t at;

    if (bson_iter_init_find(&at, &config->stats, key)) {
        if (BSON_ITER_HOLDS_UTF8(&at))
            return bson_iter_utf8(&at, NULL);
        return table_number((double)bson_iter_as_int64(&at), 0);
    }
    if (given != NULL)
        return given;
    given = getenv(environment);
    if (given != NULL && *given != '\0')
        return given;
    if (config->file != NULL &&
        bson_iter_init_find(&at, config->file, key) &&
        BSON_ITER_HOLDS_UTF8(&at))
        return bson_iter_utf8(&at, NULL);
    return "reject";
}

static void add(config_t *config, const char *option, const char *given,
                const char *environment, const char *key)
{
    char *origin = origin_of(config, option, given, environment, key);

    table_add(&config->table, option + 2,
              value_of(config, key, given, environment), origin);
    bson_free(origin);
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
    const settings_t *s = config->settings;

    table_init(&config->table, "lll");
    table_add(&config->table, "option", "value", "from");
    add_server(config, session);
    add(config, "--workers", s->workers, "STATOR_WORKERS", "workers");
    add(config, "--max-connections", s->max_connections,
        "STATOR_MAX_CONNECTIONS", "maxConnections");
    add(config, "--queue-limit", s->queue_limit, "STATOR_QUEUE_LIMIT",
        "queueLimit");
    add(config, "--queue-policy", s->queue_policy, "STATOR_QUEUE_POLICY",
        "queuePolicy");
    add(config, "--watchers", s->watchers, "STATOR_WATCHERS", "watchers");
    add(config, "--name", s->name, "STATOR_NAME", "name");
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
        read_file(&config);
        stator_client_stats(session.client, &config.stats);
        print(&config, &session);
        bson_destroy(&config.stats);
        bson_destroy(config.file);
    }
    session_close(&session, true);
    return code;
}
