/* SPDX-License-Identifier: Apache-2.0 */
/* core/serve.h - a cursor's buffer, and requests served from it.  All under
 * the cursor's lock. */
#ifndef STC_SERVE_H
#define STC_SERVE_H

#include "core/cursor.h"

void stc_buffer_add(struct stc_cursor *c, struct stc_batch *batch);
void stc_buffer_empty(struct stc_cursor *c);
/* The next document, with a reference on its batch. */
bool stc_buffer_take(struct stc_cursor *c, struct stf_slice *out);

/* Serve `op`, which is first in line, from what is here: it is claimed, here
 * or by who gave it up.  False: the server has to be asked. */
bool stc_serve(struct stc_cursor *c, struct stc_op *op);

#endif /* STC_SERVE_H */
