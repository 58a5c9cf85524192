/* SPDX-License-Identifier: Apache-2.0 */
/* ears.h - a listener that remembers what it was told, for tests. */
#ifndef STATOR_TESTS_CORE_EARS_H
#define STATOR_TESTS_CORE_EARS_H

#include "tests/core/support.h"

typedef struct {
    stator_event_type_t type;
    char name[40], host[64], command_name[40], database[40];
    int64_t time, request_id, operation_id, duration, dropped;
    int64_t server_connection_id;
    uint32_t server_id;
    bool awaited, has_error, has_topology_id;
    bson_oid_t topology_id;
    void *context;
    bson_error_t error;
    /* Copies, {} when there was none. */
    bson_t *command, *reply, *previous, *current;
} heard_t;

enum { HEARD_MAX = 4096 };

typedef struct ears {
    stator_dispatcher_t *dispatcher;
    stator_listener_t *listener;
    int64_t thread;  /* that dispatches */
    bool stray;      /* fn ran on another one */
    int stop_at;     /* give the listener back in that call; 0: never */
    int n;
    heard_t heard[HEARD_MAX];
} ears_t;

/* `opts` in the manner of J (), or NULL.  It must work. */
ears_t *ears_new(stator_client_t *client, const char *opts);
/* Its dispatcher only, to listen with ears_hear. */
ears_t *ears_deaf(void);
stator_event_fn ears_hear;
void ears_free(ears_t *e);

/* Dispatch what is there. */
void ears_listen(ears_t *e);
/* Dispatch until the `n`-th event of that name (from 0) has come, and give it;
 * it must. */
const heard_t *ears_await(ears_t *e, const char *name, int n);
/* The same, for one whose `path` in `field` ("current", "command") is `text`,
 * as at () says it; `from` is where to begin. */
const heard_t *ears_await_that(ears_t *e, const char *name, const char *path,
                               const char *text);
/* The `n`-th of that name, among those of `command` (NULL: any); or NULL. */
const heard_t *ears_find(const ears_t *e, const char *name,
                         const char *command, int n);
int ears_count(const ears_t *e, const char *name, const char *command);

#endif /* STATOR_TESTS_CORE_EARS_H */
