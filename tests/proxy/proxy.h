/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.h - a TCP proxy for tests that does to a connection what networks do.
 *
 *   driver ---> proxy ---> server          (all on 127.0.0.1)
 *           TO_SERVER -->
 *           <-- TO_CLIENT
 *
 *   proxy_t *proxy = proxy_new(wire_server_port(server));
 *   char uri[WIRE_URI_SIZE];
 *
 *   proxy_uri(proxy, "retryReads=false", uri, sizeof uri);
 *   proxy_set(proxy, PROXY_ALL, &(proxy_fault_t){.latency_us = 20000});
 *   ...
 *   proxy_end(proxy, PROXY_ALL, WIRE_RST);
 *   proxy_free(proxy);
 *
 * It understands no protocol: it moves bytes.  One thread of its own runs one
 * epoll loop; any function may be called from any thread, at any time, and
 * none but proxy_wait_until() blocks. */
#ifndef STATOR_TESTS_PROXY_H
#define STATOR_TESTS_PROXY_H

#include "tests/wire/wire.h"

typedef struct proxy proxy_t;

/* Instead of the number of a connection: all, also those yet to come. */
enum { PROXY_ALL = 0 };

typedef enum {
    PROXY_BOTH,
    PROXY_TO_SERVER,
    PROXY_TO_CLIENT,
} proxy_way_t;

typedef enum {
    PROXY_RESET_AFTER,  /* a reset to both sides */
    PROXY_FINISH_AFTER, /* an orderly close of both */
    PROXY_HALF_AFTER,   /* FIN this way only; the other way goes on */
} proxy_cut_t;

/* What happens to the bytes that go one way.  All zero: nothing. */
typedef struct {
    proxy_way_t way;          /* which it is about; the other stays as it is */
    int64_t latency_us;       /* each run of bytes is so late ... */
    int64_t jitter_us;        /* ... give or take so much; never reordered */
    int64_t bytes_per_second; /* 0: as fast as they come */
    size_t slice;             /* in pieces of so many bytes ... */
    int64_t slice_gap_us;     /* ... with so much time between them */
    bool black_hole;          /* swallowed, FIN and RST too.  Who has lost a
                               * byte gets none any more, even if this ends */
    size_t after;             /* when so many more have passed: `cut`; 0: never.
                               * Then the rest of them is not passed on */
    proxy_cut_t cut;
} proxy_fault_t;

/* To 127.0.0.1:`upstream`; it listens when this returns.  NULL with a line on
 * stderr when there is no socket or thread to be had. */
proxy_t *proxy_new(uint16_t upstream) WIRE_MUST_CHECK;

/* End the thread, close everything.  NULL is fine. */
void proxy_free(proxy_t *proxy);

/* 127.0.0.1, and this port for life. */
uint16_t proxy_port(const proxy_t *proxy);

/* "mongodb://127.0.0.1:PORT/?EXTRA" into `out`, which it returns. */
char *proxy_uri(const proxy_t *proxy, const char *extra, char *out,
                size_t size);

/* The fault of one connection, or of all, from the bytes that come next on;
 * it takes the place of the one before.  How many connections it is for. */
int proxy_set(proxy_t *proxy, int64_t connection, const proxy_fault_t *fault);

/* No faults any more: PROXY_ALL with nothing in it, both ways. */
void proxy_heal(proxy_t *proxy);

/* End one connection or all that are open, now; how many they were. */
int proxy_end(proxy_t *proxy, int64_t connection, wire_end_t how);

/* FIN now, that way only; the other way goes on.  How many. */
int proxy_half_close(proxy_t *proxy, int64_t connection, proxy_way_t way);

/* New connections are refused by the kernel; those that are there go on.
 * False: nobody listens, since there is no socket to be had. */
bool proxy_refuse(proxy_t *proxy, bool refused);

/* Nothing moves: bytes and new connections wait in the kernel, as with a
 * process that is stopped.  Nothing is lost. */
void proxy_stop(proxy_t *proxy);
void proxy_resume(proxy_t *proxy);

/* Since it was made. */
typedef struct {
    int64_t connections_open;
    int64_t connections_total; /* the driver's monitors included */
    int64_t to_server;         /* bytes passed on */
    int64_t to_client;
    int64_t swallowed;         /* bytes, by black holes */
    int64_t delayed;           /* runs of bytes that were made to wait */
    int64_t slices;            /* sends that were cut short by `slice` */
    int64_t resets;            /* connections reset: by proxy_end, by `after` */
    int64_t finishes;          /* closed so, likewise */
    int64_t half_closes;
    int64_t holes;             /* connections that have lost a byte */
    int64_t unreachable;       /* the server was not there */
} proxy_stats_t;

void proxy_stats(proxy_t *proxy, proxy_stats_t *out);

/* The number of an open connection, the (`random` modulo how many there
 * are)-th; 0: there is none. */
int64_t proxy_pick(proxy_t *proxy, uint64_t random);

/* Wait until `until`, which is asked after every turn of the loop, with the
 * lock held; true when it was met.  `timeout_ms` may be WIRE_WAIT. */
typedef bool proxy_until_fn(const proxy_stats_t *stats, void *arg);
bool proxy_wait_until(proxy_t *proxy, proxy_until_fn *until, void *arg,
                      int64_t timeout_ms) WIRE_MUST_CHECK;

#endif /* STATOR_TESTS_PROXY_H */
