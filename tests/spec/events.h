/* SPDX-License-Identifier: Apache-2.0 */
/* events.h - what a client's monitor saw, and what a test expects of it.
 *
 * An event is a document with the fields that the format names.  The raw driver
 * calls from whatever thread runs the command (monitor.h): the list is behind a
 * lock.  Stator's come by a dispatcher (listen.h), the client's own, which
 * whoever looks at the list dispatches before. */
#ifndef TESTS_SPEC_EVENTS_H
#define TESTS_SPEC_EVENTS_H

#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stator/stator.h>
#include <stdbool.h>

#include "tests/spec/match.h"
#include "tests/spec/verdict.h"

typedef struct event {
    struct event *next;
    const char *kind; /* "commandStartedEvent", .. */
    bson_t fields;
} event_t;

typedef struct events {
    pthread_mutex_t lock;
    event_t *first, **end;
    struct listening *listening_to; /* of Stator's client; NULL: raw's */
    bool listening;
    bool sensitive; /* observeSensitiveCommands */
    bson_t observed; /* array of the kinds */
    bson_t ignored;  /* array of commands' names */
} events_t;

/* What a client entity says of its events.  Those that the driver has not are
 * not missed before a test asks for them. */
void events_init(events_t *events, const bson_t *client);
void events_clear(events_t *events);

/* One more, if its kind is observed.  Takes what is in `fields`. */
void events_add(events_t *events, const char *kind, bson_t *fields);

/* A command's, with its fields as they are told; `body` NULL: it has none. */
typedef struct command_event {
    const char *kind, *name, *database;
    const char *body_key; /* NULL: the body is not kept */
    const bson_t *body;
    bool has_service_id, has_connection_id;
} command_event_t;

void events_add_command(events_t *events, const command_event_t *event);

/* What comes from now on does not count. */
void events_stop(events_t *events);

/* One object of expectEvents. */
bool events_match(events_t *events, const bson_t *expected,
                  entities_t *entities, verdict_t *verdict);

/* How many events fit {"commandStartedEvent": {..}}; -1: the driver has none
 * of this kind, see `verdict`. */
int events_count(events_t *events, const bson_t *expected,
                 entities_t *entities, verdict_t *verdict);

/* The lsids of the last two commands that were started: 1 the same, 0 not,
 * -1 there are no two. */
int events_same_lsid(events_t *events);

#endif
