/* SPDX-License-Identifier: Apache-2.0 */
/* error.h - why an operation failed, and what is known of its effect.
 *
 * A failure is a bson_error_t, as in the driver: domain, code, message.
 *
 *   domain                      who says so                 origin
 *   STATOR_ERROR_DOMAIN         Stator, codes below         STATOR
 *   1 to 20, not 16 or 17       the driver, its own codes   DRIVER
 *   16 (write concern),
 *   17 (server)                 the server, server codes    SERVER
 *
 * The driver always runs with its error API version 2, so the two kinds of
 * code can not be taken for each other. */
#ifndef STATOR_ERROR_H
#define STATOR_ERROR_H

#include <stator/export.h>

/* The domain of Stator's own errors; "ST" in ASCII.  The driver's are below
 * 21. */
#define STATOR_ERROR_DOMAIN 0x5354

/* The codes of STATOR_ERROR_DOMAIN. */
typedef enum {
    /* The queue is full, or the operation can not be waited for here. */
    STATOR_ERROR_REFUSED = 1,
    /* The operation's timeoutMS ran out. */
    STATOR_ERROR_EXPIRED,
    /* stator_future_cancel, or a close in the mode "cancel" or "abort". */
    STATOR_ERROR_CANCELLED,
    /* The client, cursor or dispatcher was closed; or a promise's last
     * reference went while it was unsettled. */
    STATOR_ERROR_CLOSED,
    /* An argument or an option is wrong; the message names it. */
    STATOR_ERROR_ARGUMENT,
    /* The handle is from before a fork and this is the child. */
    STATOR_ERROR_FORKED,
    /* Going on would deadlock. */
    STATOR_ERROR_DEADLOCK,
    /* malloc failed. */
    STATOR_ERROR_MEMORY
} stator_error_code_t;

/* What is known of an operation's effect on the server.  An operation that
 * is DONE is STATOR_ANSWERED, but for an unacknowledged write, which is
 * STATOR_MAYBE_SENT. */
typedef enum {
    /* The server never saw it: doing it again is safe. */
    STATOR_NOT_SENT,
    /* It may have reached the server, and no answer came: a write may have
     * happened or may yet happen. */
    STATOR_MAYBE_SENT,
    /* The server has answered. */
    STATOR_ANSWERED
} stator_outcome_t;

/* Who found the failure. */
typedef enum {
    STATOR_ORIGIN_NONE,   /* no failure, or still pending */
    STATOR_ORIGIN_STATOR, /* Stator itself: queue, deadline, cancel, close */
    STATOR_ORIGIN_DRIVER, /* libmongoc: network, server selection, argument */
    STATOR_ORIGIN_SERVER, /* the server's own answer */
    STATOR_ORIGIN_USER    /* stator_promise_fail with a domain not above */
} stator_origin_t;

/* How far an operation came. */
typedef enum {
    STATOR_PHASE_QUEUED,   /* waits for a worker */
    STATOR_PHASE_CHECKOUT, /* a worker has it: pool, server, connection */
    STATOR_PHASE_SENT,     /* given to the driver to send */
    STATOR_PHASE_DONE      /* answered */
} stator_phase_t;

#endif /* STATOR_ERROR_H */
