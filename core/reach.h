/* SPDX-License-Identifier: Apache-2.0 */
/* core/reach.h - why a server is not reached: what the driver's monitors said
 * last.
 *
 * The driver keeps its monitors' errors to itself until a server selection
 * has timed out, and drops some.  An operation whose own time is up before
 * that would only know that it was never sent.
 *
 * The monitors' threads write, workers and the keeper read; both under
 * `lock`, which is a leaf. */
#ifndef STC_REACH_H
#define STC_REACH_H

#include <pthread.h>

#include <mongoc/mongoc.h>

#include "core/core.h"

struct stc_reach {
    stator_client_t *client;
    pthread_mutex_t lock;
    bool wants_tls;
    /* The last greeting that failed, and its server; "" when one there has
     * gone well since. */
    char host[BSON_HOST_NAME_MAX + 7];
    char message[320];
    /* Asked without TLS, once until a greeting goes well there. */
    char probed[BSON_HOST_NAME_MAX + 7];
    bool is_plain; /* and it answered */
};

void stc_reach_init(struct stc_reach *r, stator_client_t *client);
void stc_reach_destroy(struct stc_reach *r);
/* A monitor's greeting failed, or went well.  The first can take half a
 * second. */
void stc_reach_failed(struct stc_reach *r, const mongoc_host_list_t *host,
                      const bson_error_t *error);
void stc_reach_succeeded(struct stc_reach *r, const char *host);
/* Add the reason to an error that lacks it; nothing when a server answers. */
void stc_reach_explain(struct stc_reach *r, bson_error_t *error);
/* Is there one?  Then `error` tells it after `what`. */
bool stc_reach_why(struct stc_reach *r, const char *what,
                   bson_error_t *error);

#endif /* STC_REACH_H */
