/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - the server under the tests, and the runner's own way to it. */
#ifndef TESTS_SPEC_SERVER_H
#define TESTS_SPEC_SERVER_H

#include <mongoc/mongoc.h>
#include <stdbool.h>

#include "tests/spec/verdict.h"

typedef struct server {
    char version[40];
    const char *topology; /* "single", "replicaset", "sharded", .. */
    bool auth;            /* the URI has a user */
    bool embedded;        /* the project's stand-in for a mongod */
    char set_name[128];   /* of a replica set that the URI does not name */
} server_t;

/* A client of the runner's own; NULL: `error` says why. */
mongoc_client_t *server_client(const char *uri, bson_error_t *error);

/* Ask.  False: `error` says why it does not answer. */
bool server_ask(server_t *server, const char *uri, mongoc_client_t *internal,
                bson_error_t *error);

/* A runOnRequirements array: one of them is enough.  False: skipped, with the
 * reason of the last one. */
bool server_meets(const server_t *server, mongoc_client_t *internal,
                  const bson_t *requirements, verdict_t *verdict);

/* End all transactions that somebody left open; or those of one session. */
void server_kill_sessions(mongoc_client_t *internal);
void server_kill_session(mongoc_client_t *internal, const bson_t *lsid);

#endif
