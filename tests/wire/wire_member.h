/* SPDX-License-Identifier: Apache-2.0 */
/* wire_member.h - what the server says of itself: the reply to hello. */
#ifndef WIRE_MEMBER_H
#define WIRE_MEMBER_H

#include "tests/wire/wire.h"

/* A copy with strings of its own; `to` is overwritten, not freed. */
void wire_member_copy(wire_member_t *to, const wire_member_t *from);
void wire_member_clear(wire_member_t *member);

struct wire_request;
void wire_member_hello(const struct wire_request *request, bson_t *reply);

/* How long an answer may wait for news, in microseconds, if the client knows
 * the state of that number; 0: not at all. */
int64_t wire_member_patience(const struct wire_request *request,
                             int64_t known);
/* The number of the state that the client says it knows; -1: it does not. */
int64_t wire_member_known(const struct wire_request *request);

#endif /* WIRE_MEMBER_H */
