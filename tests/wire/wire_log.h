/* SPDX-License-Identifier: Apache-2.0 */
/* wire_log.h - what the server was asked: counts by name, the last commands,
 * and which sessions there were. */
#ifndef WIRE_LOG_H
#define WIRE_LOG_H

#include "tests/wire/wire.h"

typedef struct {
    char name[64];
    int64_t n;
} wire_tally_t;

typedef struct {
    wire_tally_t *tallies;
    size_t n_tallies;
    wire_command_t *entries; /* a ring of `limit` */
    size_t first;
    size_t size;
    size_t room;
    size_t limit;
    size_t bytes; /* of their documents */
    uint8_t (*sessions)[16]; /* an open hash set; all zero: a free place */
    size_t n_sessions;
    size_t session_room;
} wire_log_t;

void wire_log_init(wire_log_t *log, size_t limit);
void wire_log_free(wire_log_t *log);

void wire_log_count(wire_log_t *log, const char *name);
int64_t wire_log_counted(const wire_log_t *log, const char *name);

/* True when the session was not known before. */
bool wire_log_session(wire_log_t *log, const uint8_t *lsid);

/* Remember `command`, whose document is copied. */
void wire_log_append(wire_log_t *log, const wire_command_t *command);

#endif /* WIRE_LOG_H */
