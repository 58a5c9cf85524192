/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - what a client's monitor saw, and what a test expects of it. */
#include "tests/spec/events.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tests/spec/listen.h"
#include "tests/spec/value.h"

static const char *const supported[] = {
    "commandStartedEvent", "commandSucceededEvent", "commandFailedEvent",
    "serverDescriptionChangedEvent", "topologyDescriptionChangedEvent",
    "serverHeartbeatStartedEvent", "serverHeartbeatSucceededEvent",
    "serverHeartbeatFailedEvent", "topologyOpeningEvent",
    "topologyClosedEvent", NULL};

static bool among(const char *word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcasecmp(word, *words) == 0)
            return true;
    return false;
}

void events_add(events_t *events, const char *kind, bson_t *fields)
{
    event_t *event = value_alloc(sizeof *event);

    event->kind = kind;
    bson_steal(&event->fields, fields);
    pthread_mutex_lock(&events->lock);
    if (events->listening && value_has_word(&events->observed, kind)) {
        *events->end = event;
        events->end = &event->next;
        event = NULL;
    }
    pthread_mutex_unlock(&events->lock);
    if (event != NULL) {
        bson_destroy(&event->fields);
        bson_free(event);
    }
}

static const char *const sensitive[] = {
    "authenticate", "saslStart", "saslContinue", "getnonce", "createUser",
    "updateUser", "copydbgetnonce", "copydbsaslstart", "copydb", NULL};

/* A greeting is sensitive when it bears credentials, and is empty then. */
static bool is_sensitive(const char *command, const bson_t *body)
{
    if (among(command, sensitive))
        return true;
    return body != NULL && bson_empty(body) &&
           (strcasecmp(command, "hello") == 0 ||
            strcasecmp(command, "isMaster") == 0);
}

static bool wanted(const events_t *events, const char *command,
                   const bson_t *body)
{
    return strcmp(command, "configureFailPoint") != 0 &&
           !value_has_word(&events->ignored, command) &&
           (events->sensitive || !is_sensitive(command, body));
}

void events_add_command(events_t *events, const command_event_t *event)
{
    bson_t fields = BSON_INITIALIZER;

    if (!wanted(events, event->name, event->body))
        return;
    bson_append_utf8(&fields, "commandName", -1, event->name, -1);
    bson_append_utf8(&fields, "databaseName", -1, event->database, -1);
    if (event->body_key != NULL)
        bson_append_document(&fields, event->body_key, -1, event->body);
    bson_append_bool(&fields, "hasServiceId", -1, event->has_service_id);
    bson_append_bool(&fields, "hasServerConnectionId", -1,
                     event->has_connection_id);
    events_add(events, event->kind, &fields);
}

/* ---- life ------------------------------------------------------------ */

void events_init(events_t *events, const bson_t *client)
{
    bson_t view;

    memset(events, 0, sizeof *events);
    pthread_mutex_init(&events->lock, NULL);
    events->end = &events->first;
    events->listening = true;
    events->sensitive = value_bool(client, "observeSensitiveCommands", false);
    value_view(client, "observeEvents", &view);
    bson_copy_to(&view, &events->observed);
    value_view(client, "ignoreCommandMonitoringEvents", &view);
    bson_copy_to(&view, &events->ignored);
}

void events_stop(events_t *events)
{
    listen_collect(events);
    pthread_mutex_lock(&events->lock);
    events->listening = false;
    pthread_mutex_unlock(&events->lock);
}

void events_clear(events_t *events)
{
    event_t *event = events->first, *next;

    listen_end(events);
    for (; event != NULL; event = next) {
        next = event->next;
        bson_destroy(&event->fields);
        bson_free(event);
    }
    bson_destroy(&events->observed);
    bson_destroy(&events->ignored);
    pthread_mutex_destroy(&events->lock);
}

/* ---- comparing ------------------------------------------------------- */

static bool match_event(const event_t *event, const bson_iter_t *expected,
                        const char *place, entities_t *entities,
                        verdict_t *verdict)
{
    bson_t wrapper, want;
    bson_iter_t inner, at, found;
    char what[120];

    value_look(expected, &wrapper);
    bson_iter_init(&inner, &wrapper);
    bson_iter_next(&inner);
    if (strcmp(bson_iter_key(&inner), event->kind) != 0) {
        text_t text;

        return verdict_fail(verdict, "%s: expected a %s, got a %s: %s", place,
                            bson_iter_key(&inner), event->kind,
                            value_json(&event->fields, &text));
    }
    value_look(&inner, &want);
    bson_iter_init(&at, &want);
    while (bson_iter_next(&at)) {
        const char *key = bson_iter_key(&at);

        snprintf(what, sizeof what, "%s.%s", place, key);
        if (!match_value(what, &at,
                         value_find(&event->fields, key, &found) ? &found
                                                                 : NULL,
                         MATCH_ROOT, entities, verdict))
            return false;
    }
    return true;
}

static const char *const command_kinds[] = {
    "commandStartedEvent", "commandSucceededEvent", "commandFailedEvent",
    NULL};

static const event_t *of_kind(const event_t *event, bool commands)
{
    while (event != NULL && among(event->kind, command_kinds) != commands)
        event = event->next;
    return event;
}

static bool match_list(const event_t *event, const bson_t *expected,
                       bool commands, entities_t *entities,
                       verdict_t *verdict)
{
    const char *client = value_utf8(expected, "client", "?");
    bson_iter_t at;
    bson_t list;
    char place[100];
    text_t text;

    value_view(expected, "events", &list);
    bson_iter_init(&at, &list);
    for (event = of_kind(event, commands); bson_iter_next(&at);
         event = of_kind(event->next, commands)) {
        snprintf(place, sizeof place, "events of %s, %s", client,
                 bson_iter_key(&at));
        if (event == NULL)
            return verdict_fail(verdict, "%s: expected %s, got nothing",
                                place, value_text(&at, &text));
        if (!match_event(event, &at, place, entities, verdict))
            return false;
    }
    if (event != NULL && !value_bool(expected, "ignoreExtraEvents", false))
        return verdict_fail(verdict, "events of %s: one too many, a %s: %s",
                            client, event->kind,
                            value_json(&event->fields, &text));
    return true;
}

bool events_match(events_t *events, const bson_t *expected,
                  entities_t *entities, verdict_t *verdict)
{
    const char *type = value_utf8(expected, "eventType", "command");
    bool fits;

    if (strcmp(type, "cmap") == 0)
        return verdict_skip(verdict, "libmongoc 1.23 has no cmap events");
    listen_collect(events);
    pthread_mutex_lock(&events->lock);
    fits = match_list(events->first, expected, strcmp(type, "command") == 0,
                      entities, verdict);
    pthread_mutex_unlock(&events->lock);
    return fits;
}

int events_count(events_t *events, const bson_t *expected,
                 entities_t *entities, verdict_t *verdict)
{
    bson_t holder = BSON_INITIALIZER;
    const event_t *event;
    bson_iter_t at;
    int n = 0;

    if (!bson_iter_init(&at, expected) || !bson_iter_next(&at) ||
        !among(bson_iter_key(&at), supported)) {
        verdict_skip(verdict, "libmongoc 1.23 has no such event");
        return -1;
    }
    bson_append_document(&holder, "v", -1, expected);
    value_find(&holder, "v", &at);
    listen_collect(events);
    pthread_mutex_lock(&events->lock);
    for (event = events->first; event != NULL; event = event->next) {
        verdict_t quiet = {.kind = VERDICT_PASSED};

        n += match_event(event, &at, "", entities, &quiet);
    }
    pthread_mutex_unlock(&events->lock);
    bson_destroy(&holder);
    return n;
}

int events_same_lsid(events_t *events)
{
    const event_t *event, *last[2] = {NULL, NULL};
    bson_t command[2], lsid[2];
    int i, same = -1;

    listen_collect(events);
    pthread_mutex_lock(&events->lock);
    for (event = events->first; event != NULL; event = event->next)
        if (strcmp(event->kind, "commandStartedEvent") == 0) {
            last[0] = last[1];
            last[1] = event;
        }
    for (i = 0; i < 2 && last[0] != NULL; i++) {
        value_view(&last[i]->fields, "command", &command[i]);
        if (!value_view(&command[i], "lsid", &lsid[i]))
            break;
    }
    if (i == 2)
        same = match_same(&lsid[0], &lsid[1]);
    pthread_mutex_unlock(&events->lock);
    return same;
}
