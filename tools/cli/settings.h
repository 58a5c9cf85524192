/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - the options that all commands share.
 *
 *   command line > environment > the file STATOR_CONFIG names > default
 *
 * The last three are the library's own business; the tool hands over what
 * was given on the command line, and only `config` looks at the others. */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <argp.h>
#include <bson/bson.h>
#include <stdbool.h>
#include <stdint.h>

#include "say.h"

#define SETTINGS_DEFAULT_URI "mongodb://127.0.0.1:27017"

typedef struct settings {
    char *uri; /* as given, or NULL */
    const char *db;
    const char *collection;
    const char *workers;
    const char *max_connections;
    const char *queue_limit;
    const char *queue_policy;
    const char *watchers;
    const char *transport;
    const char *abandoned;
    const char *name;
    int64_t timeout_ms; /* -1: not given */
    say_color_t color;
    bool quiet;
    bool verbose;
} settings_t;

void settings_init(settings_t *settings);
void settings_clear(settings_t *settings);

/* A child for the argp of every command; its input is a settings_t. */
extern const struct argp settings_argp;

/* Parse with `argp`; argv[0] is what the command is called in messages. */
void settings_parse(settings_t *settings, const struct argp *argp,
                    unsigned flags, int argc, char **argv, int *rest,
                    void *input);

/* The connection string that is in force, and who says so. */
const char *settings_uri(const settings_t *settings, const char **origin);

/* The database: --db, the connection string's, "test".  To be freed. */
char *settings_db(const settings_t *settings, const char **origin);

/* The `opts` of stator_client_new that were given here. */
void settings_client_opts(const settings_t *settings, bson_t *opts);

/* The `opts` every operation begins with. */
void settings_operation_opts(const settings_t *settings, bson_t *opts);

/* A whole number from `low` to `high`, or a usage error that names `what`. */
int64_t settings_number(const struct argp_state *state, const char *what,
                        const char *text, int64_t low, int64_t high);

/* A JSON document, or a usage error that names `what` and the column. */
bson_t *settings_json(const struct argp_state *state, const char *what,
                      const char *text);

#endif
