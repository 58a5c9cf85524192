/* SPDX-License-Identifier: Apache-2.0 */
/* wire_reply.h - what is answered: the rule's word, or the ordinary answer. */
#ifndef WIRE_REPLY_H
#define WIRE_REPLY_H

#include "tests/wire/wire_connection.h"

/* The document to answer with, for rules that answer with one; `line` may be
 * NULL.  Does what the command does: counts, cursors, fail points. */
void wire_reply_document(wire_request_t *request, const wire_line_t *line,
                         bson_t *reply);

/* The whole reply, cut or rewritten as the rule wants, into `out`, which is
 * empty. */
void wire_reply_make(wire_request_t *request, const wire_line_t *line,
                     wire_buffer_t *out);

#endif /* WIRE_REPLY_H */
