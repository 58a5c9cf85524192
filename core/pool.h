/* SPDX-License-Identifier: Apache-2.0 */
/* core/pool.h - the driver's pool, and its clients while they are out.
 *
 *   worker --take--> connection --lend to a cursor--> lease --give back-->
 *     idle, to be taken again
 *
 * P1  At most `max` clients are out, `max` - reserved of them as leases, so
 *     a worker that takes its client always gets one.  try_pop only; no
 *     thread waits for a client: a request for a lease is parked.
 * P2  A connection is used by one thread at a time: its worker's, or that of
 *     the operation which holds the strand of the cursor it is lent to.  The
 *     queue's lock lies between two of them.
 * P3  pool_destroy is called once, when every client is back, on a thread
 *     that may block.
 * P4  A connection and its driver client belong together from the first take
 *     to the pool's end; its transport even until the client's memory goes,
 *     for a canceller may look at it (T7 in transport.h). */
#ifndef STC_POOL_H
#define STC_POOL_H

#include <pthread.h>
#include <stdatomic.h>

#include <mongoc/mongoc.h>
#include <urcu/list.h>

#include "core/reach.h"
#include "core/transport.h"

struct stc_events;
struct stc_op;
struct stc_target;

struct stc_connection {
    mongoc_client_t *client;
    struct stc_transport transport;
    bool is_new; /* its streams are not ours yet */
    struct cds_list_head in_all;  /* the pool's, under its lock */
    struct cds_list_head in_idle; /* likewise */
    /* What was used last stays checked out: fetching it costs as much as a
     * hand-over. */
    struct stc_target *target;
    mongoc_collection_t *collection;
    mongoc_database_t *database;
};

struct stc_pool {
    pthread_mutex_t opening; /* held while the pool is made: can be long */
    pthread_mutex_t lock;    /* for all below; never held for long */
    mongoc_uri_t *uri;       /* NULL: adopted */
    mongoc_client_pool_t *pool;
    struct stc_network network;
    struct stc_reach reach;
    mongoc_server_api_t *server_api; /* owned; NULL: none */
    struct stc_events *events; /* the client's: its callbacks are the pool's */
    bool stops_server; /* killSessions after an operation that was cut */
    int max;
    int reserved;
    struct cds_list_head all;  /* connections */
    struct cds_list_head idle; /* the last one given back comes first */
    struct cds_list_head parked; /* requests for leases, oldest first */
    int64_t n_parked;
    atomic_int leases;
    atomic_int out;
};

/* Takes `uri` and `pool`, one of which is NULL. */
void stc_pool_init(struct stc_pool *p, stator_client_t *client,
                   mongoc_uri_t *uri, mongoc_client_pool_t *pool, int max,
                   int reserved);
/* After the close, with the client's memory. */
/* False: a driver client is still out, and all of it is left as it is. */
bool stc_pool_destroy(struct stc_pool *p);
/* The numbers of a new configuration. */
void stc_pool_resize(struct stc_pool *p, int max, int reserved);

/* A worker's connection: makes the pool if there is none yet, resolving SRV
 * names.  NULL: `error`. */
struct stc_connection *stc_pool_take(struct stc_pool *p,
                                     bson_error_t *error);
/* A further one, so that another can be lent to a cursor; NULL: none free. */
struct stc_connection *stc_pool_take_spare(struct stc_pool *p);
void stc_pool_give_back(struct stc_pool *p, struct stc_connection *c,
                        bool was_lease);

/* One for a lease that `op` asks for.  NULL and no error: there is none, or
 * others wait already, and it is parked, with the caller's reference. */
struct stc_connection *stc_pool_take_spare_or_park(struct stc_pool *p,
                                                   struct stc_op *op,
                                                   bson_error_t *error);
/* Answers whether it was parked: then that reference is the caller's. */
bool stc_pool_unpark(struct stc_pool *p, struct stc_op *op);
/* The oldest, if there is a connection for it now, or (NULL, and `error`) no
 * memory for one. */
struct stc_op *stc_pool_unpark_first(struct stc_pool *p,
                                     struct stc_connection **connection,
                                     bson_error_t *error);
/* The oldest stays parked: a new reference, or NULL. */
struct stc_op *stc_pool_first_parked(struct stc_pool *p);
int64_t stc_pool_count_parked(struct stc_pool *p);

/* Nothing more is wanted from any server: let all that is said end. */
void stc_pool_hang_up(struct stc_pool *p);
/* An operation on `c` was cut: end it on the server too, if that is asked
 * for.  By who uses `c`.  Not for a user's session, which has more in it. */
void stc_pool_stop_server(struct stc_pool *p, struct stc_connection *c);

/* Add to the error of an operation on `c` what the driver does not tell. */
void stc_pool_explain(struct stc_pool *p, const struct stc_connection *c,
                      bson_error_t *error);

/* All are back: destroy.  `quick`, or no server known: without telling the
 * server that its sessions end, which would wait for a dead one. */
void stc_pool_close(struct stc_pool *p, bool quick);

/* Does a server answer on it now?  Without looking for one, which takes as
 * long as the driver likes. */
bool stc_connection_reaches_server(struct stc_connection *c);

/* A server that is reached, that of the name `host` (NULL: any); 0: none. */
uint32_t stc_server_at(mongoc_client_t *client, const char *host);

/* Have `c` at hand for `target`: its collection or database. */
void stc_connection_aim(struct stc_connection *c, struct stc_target *target);

#endif /* STC_POOL_H */
