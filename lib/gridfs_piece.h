/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_piece.h - some bytes on their way out of a descriptor, or into
 * it: a worker moves what it can at once, or waits a moment.
 *
 *   new ─> move ─> a worker ─> settled: done grew, or not; error; is_end
 *            ^                    │
 *            └────────────────────┘
 *
 * P1  Two can hold it: the call that has made it, and the operation, whose
 *     function can outlast a future that was given up.  The last one frees it.
 * P2  Between move and settled the worker's; a call whose future was given up
 *     does not look at it again.
 * P3  The descriptor is a duplicate, so the user may close the one that was
 *     given at any time.  It is closed when the call is over and no worker is at
 *     it: `users` counts these; `refs` counts who may look at that.
 * P4  One that has waited in vain comes behind all that others ask: of many
 *     that do not give, an operation meets one at most. */
#ifndef STL_GRIDFS_PIECE_H
#define STL_GRIDFS_PIECE_H

#include <stdatomic.h>

#include "lib/gridfs_call.h"

struct stl_descriptor { /* P3 */
    atomic_uint refs;
    atomic_uint users;
    int fd;
    int given; /* for messages */
};

struct stl_piece {
    atomic_uint refs;
    struct stl_descriptor *descriptor;
    bool is_write;
    const uint8_t *from;     /* into the descriptor, or */
    stator_future_t *keeper; /* what lends them */
    uint8_t *into;           /* out of it */
    size_t size, done;
    int error;   /* errno */
    bool is_end; /* out: there is no more */
    bool waited; /* and nothing came of it */
};

/* A duplicate of `fd`.  NULL, and `*refusal`: it can not be had. */
struct stl_descriptor *stl_descriptor_new(int fd, const char *subject,
                                          stator_future_t **refusal);
/* The call is over; NULL is fine. */
void stl_descriptor_let_go(struct stl_descriptor *d);

/* Room for `size` bytes out of `from`.  NULL: no memory. */
struct stl_piece *stl_piece_new_read(struct stl_descriptor *from, size_t size);
/* `size` bytes that `keeper` lends, into `into`. */
struct stl_piece *stl_piece_new_write(struct stl_descriptor *into,
                                      const uint8_t *bytes, size_t size,
                                      stator_future_t *keeper);
void stl_piece_unref(struct stl_piece *piece); /* NULL is fine */
stator_future_t *stl_piece_move(struct stl_piece *piece, struct stl_call *call);
/* What `moved`, of stl_piece_move, has come to.  False: the call has been
 * settled as failed. */
bool stl_piece_check(const struct stl_piece *piece, struct stl_call *call,
                     stator_future_t *moved);

#endif /* STL_GRIDFS_PIECE_H */
