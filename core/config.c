/* SPDX-License-Identifier: Apache-2.0 */
/* core/config.c - the options of a client. */
#include "core/config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stator/error.h>

static const struct {
    const char *key;
    const char *variable;
    int low, high;        /* of a number */
    int default_number;   /* 0: computed */
    const char *words;    /* that it may be, or NULL for any */
} options[STC_N_OPTIONS] = {
    [STC_WORKERS] = {"workers", "STATOR_WORKERS", 1, STC_WORKERS_MAX, 4, NULL},
    [STC_MAX_CONNECTIONS] = {"maxConnections", "STATOR_MAX_CONNECTIONS", 1,
                             100000, 0, NULL},
    [STC_QUEUE_LIMIT] = {"queueLimit", "STATOR_QUEUE_LIMIT", 1, 10000000,
                         100000, NULL},
    [STC_WATCHERS] = {"watchers", "STATOR_WATCHERS", 0, STC_WORKERS_MAX, 4,
                      NULL},
    [STC_QUEUE_POLICY] = {"queuePolicy", "STATOR_QUEUE_POLICY", 0, 0, 0,
                          "reject block"},
    [STC_TRANSPORT] = {"transport", "STATOR_TRANSPORT", 0, 0, 0,
                       "stator driver"},
    [STC_ABANDONED] = {"abandoned", "STATOR_ABANDONED", 0, 0, 0,
                       "leave kill"},
    [STC_EVENTS] = {"events", "STATOR_EVENTS", 0, 0, 0,
                    "auto topology command"},
    [STC_NAME] = {"name", "STATOR_NAME", 0, 0, 0, NULL},
    [STC_SERVER_API] = {"serverApi", "STATOR_SERVER_API", 0, 0, 0, NULL},
};

/* Compared as a pointer: a file can be called so, too. */
static const char by_default[] = "default";

static bool is_number(int option)
{
    return option < STC_QUEUE_POLICY;
}

static bool bad(bson_error_t *error, const char *source, const char *key,
                const char *why)
{
    bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                   "%s: option \"%s\" %s", source, key, why);
    return false;
}

static bool set_number(struct stc_config *config, int option, int64_t value,
                       const char *source, bson_error_t *error)
{
    char why[80];

    if (value < options[option].low || value > options[option].high) {
        snprintf(why, sizeof why, "is %lld, which is not from %d to %d",
                 (long long)value, options[option].low, options[option].high);
        return bad(error, source, options[option].key, why);
    }
    config->number[option] = (int)value;
    config->source[option] = source;
    return true;
}

static bool is_one_of(const char *word, const char *words)
{
    size_t n = strlen(word);
    const char *at = words;

    if (strchr(word, ' ') != NULL)
        return false;
    while (n > 0 && (at = strstr(at, word)) != NULL) {
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
        at += n;
    }
    return false;
}

static bool set_word(struct stc_config *config, int option, const char *word,
                     const char *source, bson_error_t *error)
{
    const char *words = options[option].words;
    char why[160];

    if (words != NULL && !is_one_of(word, words)) {
        snprintf(why, sizeof why, "is \"%.40s\", which is not one of: %s",
                 word, words);
        return bad(error, source, options[option].key, why);
    }
    if (option == STC_NAME) {
        size_t n = strlen(word);

        if (n == 0 || n > STC_NAME_MAX || !bson_utf8_validate(word, n, false))
            return bad(error, source, "name",
                       "is not of 1 to 64 bytes of UTF-8");
        snprintf(config->name, sizeof config->name, "%s", word);
    } else if (option == STC_QUEUE_POLICY) {
        config->policy_block = strcmp(word, "block") == 0;
    } else if (option == STC_TRANSPORT) {
        config->driver_streams = strcmp(word, "driver") == 0;
    } else if (option == STC_ABANDONED) {
        config->kill_abandoned = strcmp(word, "kill") == 0;
    } else if (option == STC_EVENTS) {
        config->events = (uint8_t)(strcmp(word, "command") == 0
                                       ? STC_TELLS_COMMANDS
                                   : strcmp(word, "topology") == 0
                                       ? STC_TELLS_TOPOLOGY
                                       : STC_TELLS_AUTO);
    }
    config->source[option] = source;
    return true;
}

/* ---- serverApi --------------------------------------------------- */

static bool set_flag(const bson_iter_t *i, signed char *out)
{
    *out = BSON_ITER_HOLDS_BOOL(i) && bson_iter_bool(i);
    return BSON_ITER_HOLDS_BOOL(i);
}

/* {version, strict, deprecationErrors} */
static bool set_server_api(struct stc_config *config, const bson_iter_t *value,
                           const char *source, bson_error_t *error)
{
    static const char known[] = "1"; /* all that there is */
    bson_iter_t i;
    char why[160];

    config->server_api.version[0] = '\0';
    config->server_api.strict = config->server_api.deprecation_errors = -1;
    if (!BSON_ITER_HOLDS_DOCUMENT(value) || !bson_iter_recurse(value, &i))
        return bad(error, source, "serverApi", "is not a document");
    while (bson_iter_next(&i)) {
        const char *key = bson_iter_key(&i);

        if (strcmp(key, "version") == 0) {
            if (!BSON_ITER_HOLDS_UTF8(&i))
                return bad(error, source, "serverApi.version",
                           "is not a string");
            if (strcmp(bson_iter_utf8(&i, NULL), known) != 0) {
                snprintf(why, sizeof why, "is \"%.40s\", which is not: %s",
                         bson_iter_utf8(&i, NULL), known);
                return bad(error, source, "serverApi.version", why);
            }
            snprintf(config->server_api.version,
                     sizeof config->server_api.version, "%s", known);
        } else if (strcmp(key, "strict") == 0) {
            if (!set_flag(&i, &config->server_api.strict))
                return bad(error, source, "serverApi.strict",
                           "is not a bool");
        } else if (strcmp(key, "deprecationErrors") == 0) {
            if (!set_flag(&i, &config->server_api.deprecation_errors))
                return bad(error, source, "serverApi.deprecationErrors",
                           "is not a bool");
        } else {
            snprintf(why, sizeof why, "has the key \"%.40s\", which is not "
                     "one of: version strict deprecationErrors", key);
            return bad(error, source, "serverApi", why);
        }
    }
    if (config->server_api.version[0] == '\0')
        return bad(error, source, "serverApi.version", "is missing");
    config->source[STC_SERVER_API] = source;
    return true;
}

/* A variable holds it as JSON. */
static bool set_server_api_from_text(struct stc_config *config,
                                     const char *text, const char *source,
                                     bson_error_t *error)
{
    bson_t *value, wrapped = BSON_INITIALIZER;
    bson_error_t reason;
    bson_iter_t i;
    bool ok;

    value = bson_new_from_json((const uint8_t *)text, -1, &reason);
    if (value == NULL)
        return bad(error, source, "serverApi", "is not a JSON document");
    bson_append_document(&wrapped, "serverApi", -1, value);
    ok = bson_iter_init_find(&i, &wrapped, "serverApi") &&
         set_server_api(config, &i, source, error);
    bson_destroy(&wrapped);
    bson_destroy(value);
    return ok;
}

static void append_server_api(const struct stc_config *config, bson_t *out)
{
    bson_t api;

    if (config->server_api.version[0] == '\0') {
        bson_append_null(out, "value", -1);
        return;
    }
    bson_append_document_begin(out, "value", -1, &api);
    bson_append_utf8(&api, "version", -1, config->server_api.version, -1);
    if (config->server_api.strict >= 0)
        bson_append_bool(&api, "strict", -1, config->server_api.strict);
    if (config->server_api.deprecation_errors >= 0)
        bson_append_bool(&api, "deprecationErrors", -1,
                         config->server_api.deprecation_errors);
    bson_append_document_end(out, &api);
}

/* ---- where options come from ------------------------------------- */

static bool set_from_bson(struct stc_config *config, const bson_iter_t *i,
                          const char *source,
                          bson_error_t *error)
{
    const char *key = bson_iter_key(i);
    int option = 0;

    while (option < STC_N_OPTIONS && strcmp(key, options[option].key) != 0)
        option++;
    if (option == STC_N_OPTIONS)
        return bad(error, source, key, "is not known");
    if (option == STC_SERVER_API)
        return set_server_api(config, i, source, error);
    if (!is_number(option))
        return BSON_ITER_HOLDS_UTF8(i)
                   ? set_word(config, option, bson_iter_utf8(i, NULL), source,
                              error)
                   : bad(error, source, key, "is not a string");
    if (!BSON_ITER_HOLDS_INT(i) &&
        !(BSON_ITER_HOLDS_DOUBLE(i) &&
          bson_iter_double(i) > -9e15 && bson_iter_double(i) < 9e15 &&
          bson_iter_double(i) == (double)(int64_t)bson_iter_double(i)))
        return bad(error, source, key, "is not a whole number");
    return set_number(config, option, bson_iter_as_int64(i), source, error);
}

static bool read_bson(struct stc_config *config, const bson_t *from,
                      const char *source, bson_error_t *error)
{
    bson_iter_t i;

    if (!bson_validate(from, BSON_VALIDATE_UTF8, NULL) ||
        !bson_iter_init(&i, from))
        return bad(error, source, "?", "can not be read: corrupt BSON");
    while (bson_iter_next(&i))
        if (!set_from_bson(config, &i, source, error))
            return false;
    return true;
}

static bool is_at_end(bson_json_reader_t *reader, bson_error_t *reason)
{
    bson_t more = BSON_INITIALIZER;
    int n = bson_json_reader_read(reader, &more, reason);

    bson_destroy(&more);
    if (n > 0)
        bson_set_error(reason, 0, 0, "it holds more than one document");
    return n == 0;
}

static bool read_file(struct stc_config *config, bson_error_t *error)
{
    const char *path = getenv("STATOR_CONFIG");
    bson_json_reader_t *reader;
    bson_error_t reason;
    bson_t document = BSON_INITIALIZER;
    int n = -1;
    bool ok, alone;

    if (path == NULL || path[0] == '\0')
        return true;
    snprintf(config->file, sizeof config->file, "%s", path);
    reader = bson_json_reader_new_from_file(path, &reason);
    if (reader != NULL)
        n = bson_json_reader_read(reader, &document, &reason);
    if (n == 0)
        bson_set_error(&reason, 0, 0, "the file is empty");
    alone = n == 1 && is_at_end(reader, &reason);
    if (alone) {
        ok = read_bson(config, &document, config->file, error);
    } else {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                       "STATOR_CONFIG: %s: %s", config->file, reason.message);
        ok = false;
    }
    bson_destroy(&document);
    if (reader != NULL)
        bson_json_reader_destroy(reader);
    return ok;
}

static bool read_environment(struct stc_config *config, bson_error_t *error)
{
    for (int option = 0; option < STC_N_OPTIONS; option++) {
        const char *variable = options[option].variable;
        const char *value = getenv(variable);
        char *end;
        long long number;

        if (value == NULL)
            continue;
        if (option == STC_SERVER_API) {
            if (!set_server_api_from_text(config, value, variable, error))
                return false;
            continue;
        }
        if (!is_number(option)) {
            if (!set_word(config, option, value, variable, error))
                return false;
            continue;
        }
        errno = 0;
        number = strtoll(value, &end, 10);
        if (end == value || *end != '\0' || errno != 0)
            return bad(error, variable, options[option].key,
                       "is not a whole number");
        if (!set_number(config, option, number, variable, error))
            return false;
    }
    return true;
}

static int least_connections(const struct stc_config *config, int workers)
{
    return workers + config->number[STC_WATCHERS] + 1;
}

static int default_connections(const struct stc_config *config, int workers)
{
    int twice = 2 * (workers + config->number[STC_WATCHERS]) + 1;

    return twice > 100 ? twice : 100;
}

bool stc_config_allow(struct stc_config *config, int workers,
                      bson_error_t *error)
{
    int least = least_connections(config, workers);
    int *max = &config->number[STC_MAX_CONNECTIONS];

    if (workers < 1 || workers > STC_WORKERS_MAX) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                       "workers is %d, which is not from 1 to %d", workers,
                       STC_WORKERS_MAX);
        return false;
    }
    if (config->source[STC_MAX_CONNECTIONS] == by_default) {
        if (*max < least)
            *max = default_connections(config, workers);
        return true;
    }
    if (*max >= least)
        return true;
    bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                   "maxConnections (%d, from %s) is below workers (%d) + "
                   "watchers (%d) + 1",
                   *max, config->source[STC_MAX_CONNECTIONS], workers,
                   config->number[STC_WATCHERS]);
    return false;
}

bool stc_config_size(struct stc_config *config, int uri_max_pool_size,
                     bson_error_t *error)
{
    if (uri_max_pool_size > options[STC_MAX_CONNECTIONS].high)
        return bad(error, "uri", "maxPoolSize", "is above 100000");
    if (uri_max_pool_size > 0 &&
        config->source[STC_MAX_CONNECTIONS] == by_default &&
        !set_number(config, STC_MAX_CONNECTIONS, uri_max_pool_size, "uri",
                    error))
        return false;
    return stc_config_allow(config, config->number[STC_WORKERS], error);
}

bool stc_config_read(struct stc_config *config, const bson_t *opts,
                     bool adopted, bson_error_t *error)
{
    memset(config, 0, sizeof *config);
    config->driver_streams = adopted;
    for (int option = 0; option < STC_N_OPTIONS; option++) {
        if (is_number(option))
            config->number[option] = options[option].default_number;
        config->source[option] = by_default;
    }
    snprintf(config->name, sizeof config->name, "stator");
    if (!read_file(config, error) || !read_environment(config, error))
        return false;
    if (opts != NULL && !read_bson(config, opts, "opts", error))
        return false;
    if (adopted && config->server_api.version[0] != '\0')
        return bad(error, config->source[STC_SERVER_API], "serverApi",
                   "can not be given to a pool that is there already: call "
                   "mongoc_client_pool_set_server_api on it first");
    return stc_config_allow(config, config->number[STC_WORKERS], error);
}

static const char *word_of(const struct stc_config *config, int option)
{
    switch (option) {
    case STC_QUEUE_POLICY:
        return config->policy_block ? "block" : "reject";
    case STC_TRANSPORT:
        return config->driver_streams ? "driver" : "stator";
    case STC_ABANDONED:
        return config->kill_abandoned ? "kill" : "leave";
    case STC_EVENTS:
        return config->events == STC_TELLS_COMMANDS   ? "command"
               : config->events == STC_TELLS_TOPOLOGY ? "topology"
                                                      : "auto";
    default:
        return config->name;
    }
}

void stc_config_append(const struct stc_config *config, bson_t *out)
{
    for (int option = 0; option < STC_N_OPTIONS; option++) {
        bson_t one;

        bson_append_document_begin(out, options[option].key, -1, &one);
        if (is_number(option))
            bson_append_int32(&one, "value", -1, config->number[option]);
        else if (option == STC_SERVER_API)
            append_server_api(config, &one);
        else
            bson_append_utf8(&one, "value", -1, word_of(config, option), -1);
        bson_append_utf8(&one, "source", -1, config->source[option], -1);
        bson_append_document_end(out, &one);
    }
}
