/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - parses the options that all commands share. */
#include "settings.h"

#include <errno.h>
#include <mongoc/mongoc.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "redact.h"

enum {
    KEY_URI = 0x400,
    KEY_WORKERS,
    KEY_MAX_CONNECTIONS,
    KEY_QUEUE_LIMIT,
    KEY_QUEUE_POLICY,
    KEY_WATCHERS,
    KEY_TRANSPORT,
    KEY_ABANDONED,
    KEY_NAME,
    KEY_TIMEOUT_MS,
    KEY_COLOR
};

static const struct argp_option options[] = {
    {.doc = "Server:", .group = 10},
    {"uri", KEY_URI, "URI", 0,
     "Connection string (MONGODB_URI, else " SETTINGS_DEFAULT_URI ")", 10},
    {"db", 'd', "NAME", 0, "Database (the URI's, else \"test\")", 10},
    {"collection", 'c', "NAME", 0, "Collection", 10},
    {"timeout-ms", KEY_TIMEOUT_MS, "MS", 0,
     "Limit of each operation, its time in the queue included (none)", 10},
    {.doc = "Workers and queue:", .group = 11},
    {"workers", KEY_WORKERS, "N", 0, "Threads that wait for the server", 11},
    {"max-connections", KEY_MAX_CONNECTIONS, "N", 0,
     "Driver clients at the most", 11},
    {"queue-limit", KEY_QUEUE_LIMIT, "N", 0,
     "Operations that may wait for a worker", 11},
    {"queue-policy", KEY_QUEUE_POLICY, "reject|block", 0,
     "What happens to one more", 11},
    {"watchers", KEY_WATCHERS, "N", 0, "Connections set aside for long waits", 11},
    {"transport", KEY_TRANSPORT, "stator|driver", 0,
     "Whose sockets: only Stator's can be cut", 11},
    {"abandoned", KEY_ABANDONED, "leave|kill", 0,
     "What becomes on the server of what was cut", 11},
    {"name", KEY_NAME, "NAME", 0, "Name of the client and its threads", 11},
    {.doc = "Output:", .group = 12},
    {"color", KEY_COLOR, "auto|always|never", 0,
     "Colour (auto: on a terminal, unless NO_COLOR is set)", 12},
    {"quiet", 'q', 0, 0, "Errors only", 12},
    {"verbose", 'v', 0, 0, "More, the driver's debug log included", 12},
    {.doc = "Help:", .group = -1},
    {.key = 'h', .flags = OPTION_HIDDEN, .group = -1},
    {0}};

int64_t settings_number(const struct argp_state *state, const char *what,
                        const char *text, int64_t low, int64_t high)
{
    char *end;
    long long n;

    errno = 0;
    n = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n < low || n > high)
        argp_error(state, "%s: \"%s\" is not a whole number from %lld to "
                   "%lld", what, text, (long long)low, (long long)high);
    return n;
}

bson_t *settings_json(const struct argp_state *state, const char *what,
                      const char *text)
{
    json_problem_t problem;
    bson_t *document = bson_new();

    if (json_parse(text, strlen(text), JSON_ANY, document, &problem))
        return document;
    bson_destroy(document);
    argp_error(state, "%s: column %zu: %s", what, problem.column,
               problem.reason);
    return NULL;
}

static void take_uri(settings_t *settings, char *text)
{
    free(settings->uri);
    settings->uri = strdup(text);
    redact_learn(text);
    redact_scrub(text);
}

static say_color_t color(const struct argp_state *state, const char *text)
{
    if (strcmp(text, "auto") == 0)
        return COLOR_AUTO;
    if (strcmp(text, "always") == 0)
        return COLOR_ALWAYS;
    if (strcmp(text, "never") != 0)
        argp_error(state, "--color: \"%s\" is not auto, always or never",
                   text);
    return COLOR_NEVER;
}

static const char *number(const struct argp_state *state, const char *what,
                          const char *text)
{
    /* The library knows the ranges. */
    settings_number(state, what, text, INT32_MIN, INT32_MAX);
    return text;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    settings_t *s = state->input;

    switch (key) {
    case 'h':
        argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
        break;
    case KEY_URI:
        take_uri(s, arg);
        break;
    case 'd':
        s->db = arg;
        break;
    case 'c':
        s->collection = arg;
        break;
    case KEY_TIMEOUT_MS:
        s->timeout_ms = settings_number(state, "--timeout-ms", arg, 0,
                                        INT32_MAX);
        break;
    case KEY_WORKERS:
        s->workers = number(state, "--workers", arg);
        break;
    case KEY_MAX_CONNECTIONS:
        s->max_connections = number(state, "--max-connections", arg);
        break;
    case KEY_QUEUE_LIMIT:
        s->queue_limit = number(state, "--queue-limit", arg);
        break;
    case KEY_QUEUE_POLICY:
        s->queue_policy = arg;
        break;
    case KEY_WATCHERS:
        s->watchers = number(state, "--watchers", arg);
        break;
    case KEY_TRANSPORT:
        s->transport = arg;
        break;
    case KEY_ABANDONED:
        s->abandoned = arg;
        break;
    case KEY_NAME:
        s->name = arg;
        break;
    case KEY_COLOR:
        s->color = color(state, arg);
        break;
    case 'q':
        s->quiet = true;
        break;
    case 'v':
        s->verbose = true;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

const struct argp settings_argp = {.options = options, .parser = parse};

void settings_init(settings_t *settings)
{
    *settings = (settings_t){.timeout_ms = -1};
}

void settings_clear(settings_t *settings)
{
    free(settings->uri);
    settings->uri = NULL;
}

void settings_parse(settings_t *settings, const struct argp *argp,
                    unsigned flags, int argc, char **argv, int *rest,
                    void *input)
{
    error_t failed = argp_parse(argp, argc, argv, flags, rest, input);
    const char *environment = getenv("MONGODB_URI");

    if (failed != 0) {
        fprintf(stderr, "%s: %s\n", argv[0], strerror(failed));
        exit(argp_err_exit_status);
    }
    say_setup(argv[0], settings->color, settings->quiet, settings->verbose);
    if (environment != NULL)
        redact_learn(environment);
}

const char *settings_uri(const settings_t *settings, const char **origin)
{
    const char *environment = getenv("MONGODB_URI");

    if (settings->uri != NULL) {
        *origin = "option --uri";
        return settings->uri;
    }
    if (environment != NULL && *environment != '\0') {
        *origin = "environment MONGODB_URI";
        return environment;
    }
    *origin = "default";
    return SETTINGS_DEFAULT_URI;
}

char *settings_db(const settings_t *settings, const char **origin)
{
    const char *from, *name = NULL;
    mongoc_uri_t *uri;
    char *db;

    *origin = "option --db";
    if (settings->db != NULL)
        return strdup(settings->db);
    uri = mongoc_uri_new_with_error(settings_uri(settings, &from), NULL);
    if (uri != NULL)
        name = mongoc_uri_get_database(uri);
    *origin = name != NULL ? "connection string" : "default";
    db = strdup(name != NULL ? name : "test");
    mongoc_uri_destroy(uri);
    return db;
}

static void append_number(bson_t *opts, const char *key, const char *text)
{
    if (text != NULL)
        BSON_APPEND_INT32(opts, key, (int32_t)strtol(text, NULL, 10));
}

static void append_text(bson_t *opts, const char *key, const char *text)
{
    if (text != NULL)
        BSON_APPEND_UTF8(opts, key, text);
}

void settings_client_opts(const settings_t *settings, bson_t *opts)
{
    append_number(opts, "workers", settings->workers);
    append_number(opts, "maxConnections", settings->max_connections);
    append_number(opts, "queueLimit", settings->queue_limit);
    append_text(opts, "queuePolicy", settings->queue_policy);
    append_number(opts, "watchers", settings->watchers);
    append_text(opts, "transport", settings->transport);
    append_text(opts, "abandoned", settings->abandoned);
    append_text(opts, "name", settings->name);
}

void settings_operation_opts(const settings_t *settings, bson_t *opts)
{
    if (settings->timeout_ms >= 0)
        BSON_APPEND_INT32(opts, "timeoutMS", (int32_t)settings->timeout_ms);
}
