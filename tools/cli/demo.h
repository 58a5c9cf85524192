/* SPDX-License-Identifier: Apache-2.0 */
/* demo.h - the same queries on the same loop, twice.
 *
 *   demo_futures   submitted all at once; answers come as continuations
 *   demo_blocking  one driver call a turn of the loop, as a first attempt
 */
#ifndef CLI_DEMO_H
#define CLI_DEMO_H

#include <bson/bson.h>

#include "heartbeat.h"
#include "latency.h"
#include "session.h"

typedef enum { QUERY_FIND_ONE, QUERY_COUNT, QUERY_AGGREGATE } query_kind_t;

typedef struct query {
    query_kind_t kind;
    bson_t *document; /* filter or pipeline */
} query_t;

/* What one of the two ways came to. */
typedef struct demo_part {
    const char *title;
    int64_t began, took; /* microseconds */
    int64_t shown;
    int answered;
    int failed;
    int64_t found; /* documents: the same work gives the same number */
    int64_t longest, ticks;
    latency_t latency; /* from request to answer */
} demo_part_t;

typedef struct demo {
    session_t session;
    int epfd;
    heartbeat_t heartbeat;
    query_t *queries;
    int n;
    int slow;       /* queries to slow down; 0: the server will not */
    bool armed;     /* the fail point has been set */
    int slow_every; /* the fail point is set again every so many */
    int slow_ms;
    int seconds; /* limit of each part */
} demo_t;

enum { SLOW_AT_ONCE = 5 };

/* demo_work.c: what is asked.  EX_OK or an exit code. */
int demo_prepare(demo_t *demo);
void demo_tidy(demo_t *demo);

/* {configureFailPoint: "failCommand", ..}: slow down the next `times`
 * queries; 0 switches it off.  To be destroyed. */
bson_t *demo_fail_point(demo_t *demo, int times);

/* How many queries to slow down from query `i` on; 0: none. */
int demo_slow_at(const demo_t *demo, int i);

/* The two ways.  EX_OK or an exit code. */
int demo_futures(demo_t *demo, demo_part_t *part);
int demo_blocking(demo_t *demo, demo_part_t *part);

/* cmd_demo.c: what both ways share. */
void demo_begin(demo_t *demo, demo_part_t *part);
void demo_end(demo_t *demo, demo_part_t *part);
void demo_answer(demo_part_t *part, int64_t found);
void demo_show(demo_t *demo, demo_part_t *part);
bool demo_is_over(const demo_t *demo, const demo_part_t *part);

#endif
