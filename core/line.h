/* SPDX-License-Identifier: Apache-2.0 */
/* core/line.h - a cursor's requests, waiting in line. */
#ifndef STC_LINE_H
#define STC_LINE_H

#include "core/cursor.h"

/* (R2: a request that no user waits for, prefetch, may be at the server while
 * those behind it are served from the buffer.) */
struct stc_finish { /* what is to be done when the lock has been dropped */
    struct cds_list_head claimed;
    struct stc_op *next; /* to be queued, for `home` if that is set */
    struct stc_worker *home;
    bool leaves; /* the user's lease is used no more at present */
    bool unties; /* nor ever again */
    struct stc_worker *seat; /* likewise the lane's */
    bool prefetch;
};

/* Under lock: serve whoever can be served. */
void stc_line_advance(struct stc_cursor *c, struct stc_finish *out);
/* Without it: finish the claimed, queue the next. */
void stc_line_finish(struct stc_cursor *c, struct stc_finish *out);

/* Under lock, all three.  Takes the caller's reference on `op`. */
void stc_line_join(struct stc_cursor *c, struct stc_op *op);
/* Nobody waits, and nothing is under way. */
bool stc_line_is_idle(struct stc_cursor *c);
/* Nobody comes before a request that is made now. */
bool stc_line_is_free(struct stc_cursor *c);

#endif /* STC_LINE_H */
