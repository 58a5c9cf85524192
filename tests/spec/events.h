/* SPDX-License-Identifier: Apache-2.0 */
/* events.h - what a client's monitor saw, and what a test expects of it.
 *
 * The driver calls from whatever thread runs the command; the list is behind
 * a lock.  An event is a document with the fields that the format names. */
#ifndef TESTS_SPEC_EVENTS_H
#define TESTS_SPEC_EVENTS_H

#include <mongoc/mongoc.h>
#include <pthread.h>
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
