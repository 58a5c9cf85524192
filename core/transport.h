/* SPDX-License-Identifier: Apache-2.0 */
/* core/transport.h - how the streams of one driver client are cut short.
 *
 *   worker     begin ─── the driver ──────────────────────────── end
 *                          | writes a command        reads its reply
 *   stream.h             arm ── bytes ──> ... ── bytes ──> disarm
 *                                  |
 *   canceller,        cut: shutdown(2), or, when nothing is armed,
 *   keeper                 the next arm is refused
 *
 * T1  `lock` guards what stands below it.  It is held for a few instructions
 *     and shutdown(2), which does not block.
 * T2  `op` is set from begin to end, by the thread that uses the driver
 *     client.  A cut for another operation does nothing: a late one can not
 *     hit the next.
 * T3  Armed is `fd`, from just before the first byte of an operation's
 *     command until its whole reply is here.  What the driver says on its own
 *     account (hello, saslStart ..) is never armed: to end that makes every
 *     client of the pool reconnect.
 * T4  After a cut nothing more of the operation is written: the driver's own
 *     retry may greet the server again, its command is refused before a byte.
 * T5  What was cut looks like a time-out to the driver, which disturbs no
 *     other client.
 * T6  A descriptor is closed under `lock`, after it has left `fd` and
 *     `streams`: no shutdown can reach a number that is another's by now.
 * T7  A transport lives as long as the client's memory, so a canceller may
 *     hold on to one whose operation has ended.
 * T8  The driver's monitors have streams of ours as well, so that no greeting
 *     reaches it unread.  They share one transport, which never has an
 *     operation; of that they touch only what stands below `lock`. */
#ifndef STC_TRANSPORT_H
#define STC_TRANSPORT_H

#include <pthread.h>
#include <stdatomic.h>

#include <mongoc/mongoc.h>
#include <urcu/list.h>

#include "core/core.h"

struct stc_network;
struct stc_op;
struct stc_stream;

struct stc_transport {
    struct stc_network *network;
    pthread_mutex_t lock;
    const struct stc_op *op;
    bool is_cut;
    bool was_sent;   /* a command of `op`, or some of it */
    bool is_hung_up; /* for good */
    int fd;          /* armed; or -1 */
    struct cds_list_head streams;
    /* Of the thread that uses the driver client: */
    const char *flaw; /* why the last read or write failed, or NULL */
    bool is_refusal;  /* the flaw is a reply's: a text of guard.h */
    bool has_lsid;    /* the session of a command without an answer */
    uint8_t lsid[16];
    char lsid_host[BSON_HOST_NAME_MAX + 7]; /* and where it, or the last one
                                             * with an answer, went */
};

/* What all transports of a client share. */
struct stc_network {
    stator_client_t *client;
    atomic_bool is_ours; /* false: the driver's own streams are used */
    bool is_adopted;     /* clients may have connections from before */
    bool use_tls;
    mongoc_ssl_opt_t tls; /* its strings are the URI's */
    int32_t connect_ms;
    struct stc_transport watch; /* of all the driver's monitors: T8 */
    atomic_llong dials;    /* attempts to connect */
    atomic_llong cuts;     /* operations cut while on the wire */
    atomic_llong refusals; /* replies that could not be trusted */
};

void stc_network_init(struct stc_network *n, stator_client_t *client,
                      bool wanted, bool is_adopted);
void stc_network_destroy(struct stc_network *n);
/* Before the first connection: the options of `uri`, which must outlive the
 * last. */
void stc_network_read(struct stc_network *n, const mongoc_uri_t *uri);

void stc_transport_init(struct stc_transport *t, struct stc_network *n);
void stc_transport_destroy(struct stc_transport *t);
/* Let all new connections of `client` be ours.  Before its first use. */
void stc_transport_install(struct stc_transport *t, mongoc_client_t *client);
/* Likewise those of the pool's monitors.  Before its first client. */
void stc_network_install(struct stc_network *n, mongoc_client_pool_t *pool);

/* ---- an operation ------------------------------------------------ */

void stc_transport_begin(struct stc_transport *t, struct stc_op *op);
/* Answers whether it was cut. */
bool stc_transport_end(struct stc_transport *t, struct stc_op *op);
/* Whoever has the claim of `op`: nobody waits for it any more.  False: not a
 * byte of a command was written, nor will be. */
bool stc_transport_cut(struct stc_transport *t, const struct stc_op *op);
/* Between begin and end: of the operation's commands. */
enum stc_sent { STC_SENT_UNKNOWN, STC_SENT_NOTHING, STC_SENT_SOMETHING };
enum stc_sent stc_transport_sent(struct stc_transport *t);
/* Nothing more is wanted from here: whatever is said ends. */
void stc_transport_hang_up(struct stc_transport *t);
/* Add to the driver's error what it does not know. */
void stc_transport_explain(const struct stc_transport *t,
                           bson_error_t *error);

/* ---- for its streams --------------------------------------------- */

/* False: refused, see T4. */
bool stc_transport_arm(struct stc_transport *t, int fd);
/* False: it has been cut meanwhile, and the connection is of no more use. */
bool stc_transport_disarm(struct stc_transport *t);
void stc_transport_enter(struct stc_transport *t, struct stc_stream *s);
void stc_transport_leave(struct stc_transport *t, struct stc_stream *s);
bool stc_transport_is_hung_up(struct stc_transport *t);
/* Must a failure look like a time-out? */
bool stc_transport_is_cut(struct stc_transport *t);
/* Is it the monitors'? */
static inline bool stc_transport_is_watch(const struct stc_transport *t)
{
    return t == &t->network->watch;
}
/* Does anybody wait for what is said now: an operation that has not been
 * cut, or a monitor? */
bool stc_transport_is_attended(struct stc_transport *t);

#endif /* STC_TRANSPORT_H */
