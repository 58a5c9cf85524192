/* SPDX-License-Identifier: Apache-2.0 */
/* stage.h - a wire server, and a client on it for each run of a sweep. */
#ifndef STATOR_TESTS_TORTURE_STAGE_H
#define STATOR_TESTS_TORTURE_STAGE_H

#include <stator/stator.h>
#include <stdint.h>

#include "tests/torture/fail.h"

/* torture.things has STAGE_DOCUMENTS; finds on torture.held wait at a gate;
 * what torture.packed answers is compressed. */
enum { STAGE_DOCUMENTS = 10 };

typedef void stage_fn(stator_client_t *client);

typedef struct stage {
    const char *name;
    stage_fn *scenario;
    const char *opts;  /* of the client, as JSON; NULL: two workers */
    const char *query; /* of the URI, further options */
    bool by_name;      /* the server's host is a name to be looked up */
    bool is_deaf;      /* the server can not be talked to as the query says */
    bool at_monitors;  /* the calls of the driver's monitors fail */
    bool from_pool;    /* the client adopts a pool */
    bool is_offline;   /* few calls of the network's are reached, or none */
    bool leaks;        /* a cursor, for the close to name */
    bool leaves_open;  /* a cursor, at the server */
} stage_t;

/* Sweep it: make a client, run the scenario, see that the client has taken no
 * harm, close it: it names what leaked, so nothing, or what was left open.  No
 * client: see that it was for the right reason. */
void stage_perform(const stage_t *stage);
/* The same, while the network fails; nothing for one that is offline. */
void stage_perform_network(const stage_t *stage);

/* Both as tests, of each in the array `stages`; for tcase_add_loop_test. */
#define STAGE_TESTS                             \
    START_TEST(under_torture)                   \
    {                                           \
        stage_perform(&stages[_i]);             \
    }                                           \
    END_TEST                                    \
    START_TEST(on_a_failing_network)            \
    {                                           \
        stage_perform_network(&stages[_i]);     \
    }                                           \
    END_TEST

/* Until that find is at the gate, or has settled for want of memory. */
void stage_wait_held_or_settled(stator_future_t *find);
void stage_let_go(void);

/* How many commands of that name have come in. */
int64_t stage_count(const char *command);

/* torture.`name` */
stator_collection_t *stage_collection(stator_client_t *client,
                                      const char *name);
stator_future_t *stage_find_one(stator_client_t *client, const char *name);

#endif /* STATOR_TESTS_TORTURE_STAGE_H */
