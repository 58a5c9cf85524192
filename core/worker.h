/* SPDX-License-Identifier: Apache-2.0 */
/* core/worker.h - one thread that blocks in the driver: a worker, or one of
 * the lane's watchers (watcher.h), which differs in where it takes from. */
#ifndef STC_WORKER_H
#define STC_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include <urcu/list.h>

#include "core/core.h"

struct stc_op;
struct stc_connection;

struct stc_worker {
    stator_client_t *client;
    pthread_t thread;
    unsigned number;
    struct cds_list_head node; /* the queue's workers; then the ended ones */
    bool is_watcher;
    /* Under the queue's lock: */
    struct cds_list_head inbox; /* for its connection and no other */
    struct cds_list_head urgent; /* a watcher's: before the inbox */
    struct stc_op *op;          /* in its hands, with a reference */
    bool retiring;
    bool ending; /* has been told that it is to end */
    bool served_inbox;
    atomic_uint word; /* what a watcher sleeps on */
    /* A watcher's, under the client's lock: */
    struct cds_list_head in_lane;
    int n_streams; /* that have a seat at it */
    /* Its own: */
    struct stc_connection *connection; /* NULL until the first operation */
    int n_sharing; /* cursors that live on `connection` */
};

/* A thread with a worker.  0 or an errno value.  Under the client's lock. */
int stc_worker_start(stator_client_t *client);
/* Likewise a watcher, which is the caller's to keep in the lane. */
int stc_watcher_start(stator_client_t *client, struct stc_worker **watcher);

/* The worker's connection, fetched if it has none.  NULL: `error`. */
struct stc_connection *stc_worker_connection(struct stc_worker *worker,
                                             bson_error_t *error);

#endif /* STC_WORKER_H */
