/* SPDX-License-Identifier: Apache-2.0 */
/* lib/cursor.h - the handle of a cursor: counted by the user's references;
 * what it does is core's. */
#ifndef STL_CURSOR_H
#define STL_CURSOR_H

#include <stdatomic.h>

#include "core/core.h"
#include "futures/documents.h"

struct stator_cursor {
    atomic_uint refs;
    bool is_immortal; /* the static one: no memory */
    stator_client_t *client;
    struct stc_cursor *core; /* NULL: every request is `fault` */
    stator_future_t *fault;
};

/* Never NULL.  Takes `request->bytes`. */
stator_cursor_t *stl_cursor_new(stator_client_t *client,
                                struct stc_request *request);
/* A cursor with wrong arguments: all that is asked of it fails so. */
stator_cursor_t *stl_cursor_new_failed(stator_future_t *fault);

/* DONE when a document is here to be taken (count 1), or at the end (0). */
stator_future_t *stl_cursor_ready(stator_cursor_t *cursor);
/* The next document that is here, as stc_cursor_take. */
bool stl_cursor_take(stator_cursor_t *cursor, struct stf_slice *out);

#endif /* STL_CURSOR_H */
