/* SPDX-License-Identifier: Apache-2.0 */
/* wire_set.h - a replica set of wire servers: who is its primary is the test's
 * to say, and every member tells of it at once.
 *
 *   wire_set_t *set = wire_set_new(3);            member 0 is the primary
 *   wire_set_uri(set, NULL, uri, sizeof uri);
 *   wire_set_down(set, 0, WIRE_RST);              it dies
 *   wire_set_elect(set, 1);                       another one is the primary
 *
 * Each is a server of its own (wire.h) and stores nothing, so what a write did
 * is seen by who counted it.  One thread of the test's at a time. */
#ifndef WIRE_SET_H
#define WIRE_SET_H

#include "tests/wire/wire.h"

enum { WIRE_SET_MAX = 7 };

typedef struct {
    wire_server_t *members[WIRE_SET_MAX];
    bool is_down[WIRE_SET_MAX];
    const char *tags[WIRE_SET_MAX]; /* "dc:east"; told by wire_set_tell() */
    int n;
    int primary; /* -1: none, until an election */
    int election;
    bool polled; /* no member tells news of itself */
} wire_set_t;

/* `documents`: those that each member has in each collection.  NULL with a line
 * on stderr. */
wire_set_t *wire_set_new(int n, int64_t documents) WIRE_MUST_CHECK;
void wire_set_free(wire_set_t *set);

/* "mongodb://127.0.0.1:P0,127.0.0.1:P1,../?replicaSet=rs&EXTRA" */
char *wire_set_uri(const wire_set_t *set, const char *extra, char *out,
                   size_t size);
/* "127.0.0.1:P0" */
char *wire_set_host(const wire_set_t *set, int member, char *out,
                    size_t size);

/* Have the members that are up say what the fields above are. */
void wire_set_tell(wire_set_t *set);

/* `member` becomes the primary, all others secondaries; -1: nobody is. */
void wire_set_elect(wire_set_t *set, int member);

/* It dies: wire_server_down(); the set has no primary if it was that.  Or it is
 * back, as a secondary. */
void wire_set_down(wire_set_t *set, int member, wire_end_t how);
bool wire_set_up(wire_set_t *set, int member) WIRE_MUST_CHECK;

#endif /* WIRE_SET_H */
