/* SPDX-License-Identifier: Apache-2.0 */
/* wire_script.h - the rules of the test and the client's fail point: which one
 * applies to a command. */
#ifndef WIRE_SCRIPT_H
#define WIRE_SCRIPT_H

#include "tests/wire/wire.h"

#include <sys/queue.h>

struct wire_request;

/* A rule in force.  Counted: the script holds one reference while it is in
 * there, each command that it was applied to one until that is answered. */
typedef struct wire_line {
    TAILQ_ENTRY(wire_line) link;
    wire_rule_t rule; /* what it points to is owned, but gate and arg */
    int refs;
    int number;
    int64_t skipped;
    int64_t hits;
    bool fail_point; /* made by a client */
} wire_line_t;

typedef struct {
    TAILQ_HEAD(wire_line_list, wire_line) lines;
    wire_line_t *fail_point;
    int64_t *hits; /* of rule i + 1, also when that is gone */
    int n_rules;
} wire_script_t;

void wire_script_init(wire_script_t *script);
void wire_script_free(wire_script_t *script);

/* The rule that applies now, counted as hit; a reference, or NULL. */
wire_line_t *wire_script_pick(wire_script_t *script,
                              struct wire_request *request);
void wire_line_unref(wire_line_t *line);

/* A copy of `rule` with its defaults filled in, one reference; NULL with a
 * reason when it makes no sense. */
wire_line_t *wire_line_new(const wire_rule_t *rule, const char **reason);

/* configureFailPoint: true, or false and the error is in `reply`. */
bool wire_fail_point_set(wire_script_t *script, const bson_t *command,
                         bson_t *reply);

#endif /* WIRE_SCRIPT_H */
