/* SPDX-License-Identifier: Apache-2.0 */
/* lib/cursor.h - the handle of a cursor, or of a change stream, which is one:
 * counted by the user's references; what it does is core's. */
#ifndef STL_CURSOR_H
#define STL_CURSOR_H

#include <stdatomic.h>

#include "core/core.h"
#include "futures/documents.h"

#include <stator/cursor.h>

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

/* What the verbs of cursors and change streams ask for. */
stator_future_t *stl_cursor_ask(stator_cursor_t *cursor, enum stc_want want,
                                int64_t max);
stator_future_t *stl_cursor_close(stator_cursor_t *cursor);
stator_future_t *stl_cursor_each(const char *subject, stator_cursor_t *cursor,
                                 stator_dispatcher_t *dispatcher,
                                 stator_each_fn *fn,
                                 stator_each_async_fn *fn_async, void *arg);
/* DONE when a document is here to be taken (count 1), or at the end (0). */
stator_future_t *stl_cursor_ready(stator_cursor_t *cursor);
/* The next document that is here, as stc_cursor_take. */
bool stl_cursor_take(stator_cursor_t *cursor, struct stf_slice *out);

#endif /* STL_CURSOR_H */
