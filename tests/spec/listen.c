/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c - a client's events as Stator tells them, as the format's documents.
 */
#include "tests/spec/listen.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "tests/spec/value.h"

/* A command that was started: its end does not say its database. */
typedef struct started {
    struct started *next;
    int64_t request, connection;
    char database[130];
} started_t;

typedef struct listening {
    stator_client_t *client;
    stator_dispatcher_t *dispatcher;
    stator_listener_t *listener;
    started_t *started;
} listening_t;

/* ---- commands -------------------------------------------------------- */

static void remember(listening_t *of, const stator_event_t *event)
{
    started_t *started = bson_malloc0(sizeof *started);

    started->request = stator_event_request_id(event);
    started->connection = stator_event_server_connection_id(event);
    snprintf(started->database, sizeof started->database, "%s",
             stator_event_database(event));
    started->next = of->started;
    of->started = started;
}

/* The one that has ended; NULL: it was started before anybody listened. */
static started_t *recall(listening_t *of, const stator_event_t *event)
{
    int64_t connection = stator_event_server_connection_id(event);
    started_t **at = &of->started, *found;

    while (*at != NULL && ((*at)->request != stator_event_request_id(event) ||
                           (*at)->connection != connection))
        at = &(*at)->next;
    found = *at;
    if (found != NULL)
        *at = found->next;
    return found;
}

static void add_command(events_t *events, const stator_event_t *event,
                        const char *kind)
{
    listening_t *of = events->listening_to;
    command_event_t told = {
        .kind = kind,
        .name = stator_event_command_name(event),
        .has_service_id = stator_event_service_id(event) != NULL,
        .has_connection_id = stator_event_server_connection_id(event) > 0,
    };
    started_t *started;

    if (stator_event_type(event) == STATOR_EVENT_COMMAND_STARTED) {
        told.body_key = "command";
        told.body = stator_event_command(event);
        told.database = stator_event_database(event);
        remember(of, event);
        events_add_command(events, &told);
        return;
    }
    if (stator_event_type(event) == STATOR_EVENT_COMMAND_SUCCEEDED)
        told.body_key = "reply";
    told.body = stator_event_reply(event);
    started = recall(of, event);
    told.database = started == NULL ? "" : started->database;
    events_add_command(events, &told);
    bson_free(started);
}

/* ---- the others ------------------------------------------------------ */

static void append_type(bson_t *fields, const char *key, const bson_t *of)
{
    bson_t inner;

    if (of == NULL)
        return;
    bson_append_document_begin(fields, key, -1, &inner);
    bson_append_utf8(&inner, "type", -1, value_utf8(of, "type", "?"), -1);
    bson_append_document_end(fields, &inner);
}

static void add_other(events_t *events, const stator_event_t *event,
                      const char *kind)
{
    bson_t fields = BSON_INITIALIZER;

    append_type(&fields, "previousDescription",
                stator_event_previous_description(event));
    append_type(&fields, "newDescription",
                stator_event_new_description(event));
    if (strncmp(kind, "serverHeartbeat", 15) == 0)
        bson_append_bool(&fields, "awaited", -1, stator_event_awaited(event));
    events_add(events, kind, &fields);
}

/* "commandStartedEvent" is Stator's "commandStarted". */
static const struct {
    stator_event_type_t type;
    const char *kind;
} kinds[] = {
    {STATOR_EVENT_COMMAND_STARTED, "commandStartedEvent"},
    {STATOR_EVENT_COMMAND_SUCCEEDED, "commandSucceededEvent"},
    {STATOR_EVENT_COMMAND_FAILED, "commandFailedEvent"},
    {STATOR_EVENT_SERVER_DESCRIPTION_CHANGED,
     "serverDescriptionChangedEvent"},
    {STATOR_EVENT_TOPOLOGY_OPENING, "topologyOpeningEvent"},
    {STATOR_EVENT_TOPOLOGY_DESCRIPTION_CHANGED,
     "topologyDescriptionChangedEvent"},
    {STATOR_EVENT_TOPOLOGY_CLOSED, "topologyClosedEvent"},
    {STATOR_EVENT_SERVER_HEARTBEAT_STARTED, "serverHeartbeatStartedEvent"},
    {STATOR_EVENT_SERVER_HEARTBEAT_SUCCEEDED, "serverHeartbeatSucceededEvent"},
    {STATOR_EVENT_SERVER_HEARTBEAT_FAILED, "serverHeartbeatFailedEvent"},
    /* Fits nothing that is expected. */
    {STATOR_EVENT_EVENTS_DROPPED, "commandStartedEvent"},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] - 1 };

static bool is_command(stator_event_type_t type)
{
    return type <= STATOR_EVENT_COMMAND_FAILED;
}

static void on_event(const stator_event_t *event, void *arg)
{
    stator_event_type_t type = stator_event_type(event);
    events_t *events = arg;
    int i = 0;

    while (i < KINDS && kinds[i].type != type)
        i++;
    if (is_command(type))
        add_command(events, event, kinds[i].kind);
    else
        add_other(events, event, kinds[i].kind);
}

/* ---- from beginning to end ------------------------------------------- */

/* The start of a command is needed for its end. */
static bool observes(const events_t *events, int i)
{
    return value_has_word(&events->observed, kinds[i].kind) ||
           (kinds[i].type == STATOR_EVENT_COMMAND_STARTED &&
            (observes(events, i + 1) || observes(events, i + 2)));
}

const char *listen_option(const events_t *events)
{
    int i = KINDS;

    while (i > 0 && !observes(events, i - 1))
        i--;
    if (i == 0)
        return NULL;
    for (i = 0; i < KINDS; i++)
        if (is_command(kinds[i].type) && observes(events, i))
            return "command";
    return "topology";
}

static void append_names(const events_t *events, bson_t *opts)
{
    uint32_t n = 0;
    char name[50];
    bson_t list;
    int i;

    bson_append_array_begin(opts, "events", -1, &list);
    for (i = 0; i < KINDS; i++) {
        const char *key;
        char room[16];

        if (!observes(events, i))
            continue;
        snprintf(name, sizeof name, "%.*s",
                 (int)(strlen(kinds[i].kind) - strlen("Event")),
                 kinds[i].kind);
        bson_uint32_to_string(n++, &key, room, sizeof room);
        bson_append_utf8(&list, key, -1, name, -1);
    }
    bson_append_array_end(opts, &list);
    bson_append_int32(opts, "limit", -1, 1000000);
    bson_append_int64(opts, "maxBytes", -1, 1LL << 32);
}

bool listen_begin(events_t *events, stator_client_t *client,
                  verdict_t *verdict)
{
    listening_t *of;
    bson_t opts = BSON_INITIALIZER;
    bson_error_t error = {0};

    if (listen_option(events) == NULL)
        return true;
    of = bson_malloc0(sizeof *of);
    events->listening_to = of;
    of->client = client;
    of->dispatcher = stator_dispatcher_new(&error);
    append_names(events, &opts);
    if (of->dispatcher != NULL)
        of->listener = stator_client_listen(client, of->dispatcher, on_event,
                                            events, &opts, &error);
    bson_destroy(&opts);
    return of->listener != NULL ||
           verdict_fail(verdict, "stator_client_listen: %s", error.message);
}

/* Events that a thread has put into the queue, and is about to wake us for. */
static bool any_waits(const listening_t *of)
{
    bson_t stats, events;
    bool any;

    stator_client_stats(of->client, &stats);
    any = value_view(&stats, "events", &events) &&
          value_int(&events, "waiting", 0) > 0;
    bson_destroy(&stats);
    return any;
}

void listen_collect(events_t *events)
{
    listening_t *of = events->listening_to;

    if (of == NULL || of->listener == NULL)
        return;
    do {
        while (stator_dispatcher_dispatch(of->dispatcher, 0) > 0)
            ;
    } while (any_waits(of) && sched_yield() == 0);
}

void listen_end(events_t *events)
{
    listening_t *of = events->listening_to;
    started_t *started;

    if (of == NULL)
        return;
    events->listening_to = NULL;
    stator_listener_unref(of->listener);
    stator_dispatcher_unref(of->dispatcher);
    while ((started = of->started) != NULL) {
        of->started = started->next;
        bson_free(started);
    }
    bson_free(of);
}
