/* SPDX-License-Identifier: Apache-2.0 */
/* core/config.h - the options of a client: from opts, the environment, a
 * file and defaults, checked together. */
#ifndef STC_CONFIG_H
#define STC_CONFIG_H

#include <bson/bson.h>

enum { STC_NAME_MAX = 64, STC_WORKERS_MAX = 1024 };

enum stc_option {
    STC_WORKERS,
    STC_MAX_CONNECTIONS,
    STC_QUEUE_LIMIT,
    STC_WATCHERS,
    STC_QUEUE_POLICY, /* from here on: words */
    STC_TRANSPORT,
    STC_ABANDONED,
    STC_EVENTS,
    STC_NAME,
    STC_SERVER_API, /* a document */
    STC_N_OPTIONS
};

/* What the driver is asked to tell of itself: see events in client.h. */
enum stc_telling { STC_TELLS_AUTO, STC_TELLS_TOPOLOGY, STC_TELLS_COMMANDS };

struct stc_config {
    int number[STC_QUEUE_POLICY]; /* by enum stc_option */
    bool policy_block;
    bool driver_streams;
    bool kill_abandoned;
    uint8_t events; /* enum stc_telling */
    char name[STC_NAME_MAX + 1];
    struct {
        char version[8]; /* "": none was asked for */
        signed char strict, deprecation_errors; /* 0, 1, or -1: not said */
    } server_api;
    /* "opts", "uri", "default", a variable's name, or `file`. */
    const char *source[STC_N_OPTIONS];
    char file[256];
};

/* All but what the URI says.  `adopted`: the pool is the user's.  False:
 * `error` names the option and where it stands. */
bool stc_config_read(struct stc_config *config, const bson_t *opts,
                     bool adopted, bson_error_t *error);

/* After that: the URI's maxPoolSize (0: it has none), which is maxConnections
 * where nothing else says what that is.  False: as above. */
bool stc_config_size(struct stc_config *config, int uri_max_pool_size,
                     bson_error_t *error);

/* May there be so many workers?  False: `error` names both options.  Raises
 * maxConnections if it is a default. */
bool stc_config_allow(struct stc_config *config, int workers,
                      bson_error_t *error);

/* {key: {value, source}}, for every option. */
void stc_config_append(const struct stc_config *config, bson_t *out);

#endif /* STC_CONFIG_H */
