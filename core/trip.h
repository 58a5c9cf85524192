/* SPDX-License-Identifier: Apache-2.0 */
/* core/trip.h - one trip of a cursor's to its server: ask it, keep or give
 * back the connection.
 *
 *   open -- more to come --> keep: a lease, or shared with the worker; or
 *                            borrowed from the lease that it was opened on
 *   more -- the last ------> let go
 *   close -----------------> kill, let go
 *   a change stream's failure ─> lost, to be opened again by the next trip
 *
 * Made while the cursor is busy, so on one thread at a time (R2), and without
 * its lock; what it brought is put into the cursor by strand.c. */
#ifndef STC_TRIP_H
#define STC_TRIP_H

#include "core/cursor.h"

/* What one trip to the server brought. */
struct stc_trip {
    bool made; /* false: the request was given up before anything was sent */
    bool ok;
    bool is_turn; /* a getMore, that has waited */
    bool is_lost; /* not ok, and the next one opens it again */
    size_t n;     /* of the documents, to be handed out */
    stator_outcome_t outcome;
    struct stf_documents *documents;
};

/* `c->failure_room` is there, and says why if it is not `ok`. */
struct stc_trip stc_trip_make(struct stc_worker *w, struct stc_cursor *c,
                              struct stc_op *op);
/* The last: the server is told, if it still has the cursor. */
void stc_trip_end(struct stc_worker *w, struct stc_cursor *c);

#endif /* STC_TRIP_H */
