/* SPDX-License-Identifier: Apache-2.0 */
/* core/event.c - the driver's callbacks: what they tell, copied. */
#include "core/event.h"

#include <stdlib.h>
#include <string.h>

#include "core/client.h"
#include "futures/base.h"
#include "futures/dispatcher.h"

const char *stc_event_name(stator_event_type_t type)
{
    static const char *const names[STC_EVENT_TYPES] = {
        "commandStarted",           "commandSucceeded",
        "commandFailed",            "serverOpening",
        "serverDescriptionChanged", "serverClosed",
        "topologyOpening",          "topologyDescriptionChanged",
        "topologyClosed",           "serverHeartbeatStarted",
        "serverHeartbeatSucceeded", "serverHeartbeatFailed",
        "eventsDropped",
    };

    return (unsigned)type < STC_EVENT_TYPES ? names[type] : "";
}

/* ---- the block ---------------------------------------------------- */

/* What is to be copied; all may be NULL. */
struct parts {
    const char *host, *command_name, *database;
    const bson_t *views[2];
    const bson_error_t *error;
};

static size_t length_of(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

static const char *copy_text(uint8_t **at, const char *text)
{
    uint8_t *to = *at;

    if (text == NULL)
        return NULL;
    memcpy(to, text, length_of(text));
    *at += length_of(text);
    return (const char *)to;
}

static struct stator_event *event_new(stator_event_type_t type,
                                      const struct parts *p)
{
    const size_t align = _Alignof(struct stator_event);
    size_t size = sizeof(struct stator_event);
    struct stator_event *event;
    uint8_t *at;

    size += p->error == NULL ? 0 : sizeof *p->error;
    size += length_of(p->host) + length_of(p->command_name) +
            length_of(p->database);
    for (int i = 0; i < 2; i++)
        size += p->views[i] == NULL ? 0 : p->views[i]->len;
    size = (size + align - 1) / align * align;
    event = aligned_alloc(align, size);
    if (event == NULL)
        return NULL;
    memset(event, 0, sizeof *event);
    atomic_init(&event->refs, 1);
    event->type = type;
    event->size = (int64_t)size;
    event->time_us = stf_now_ns() / 1000;
    event->server_connection_id = -1;
    at = (uint8_t *)(event + 1);
    if (p->error != NULL) {
        memcpy(at, p->error, sizeof *p->error);
        event->error = (const bson_error_t *)(const void *)at;
        at += sizeof *p->error;
    }
    for (int i = 0; i < 2; i++)
        if (p->views[i] != NULL) {
            memcpy(at, bson_get_data(p->views[i]), p->views[i]->len);
            (void)bson_init_static(&event->views[i], at, p->views[i]->len);
            at += p->views[i]->len;
        }
    event->host = copy_text(&at, p->host);
    event->command_name = copy_text(&at, p->command_name);
    event->database = copy_text(&at, p->database);
    return event;
}

void stc_event_unref(struct stator_event *event)
{
    if (event != NULL &&
        atomic_fetch_sub_explicit(&event->refs, 1, memory_order_acq_rel) == 1)
        free(event);
}

struct stc_entry *stc_entry_new(struct stator_event *event)
{
    struct stc_entry *entry = malloc(sizeof *entry);

    if (entry == NULL)
        return NULL;
    entry->event = event;
    entry->lost = 0;
    atomic_fetch_add_explicit(&event->refs, 1, memory_order_relaxed);
    return entry;
}

void stc_entry_free(struct stc_entry *entry)
{
    stc_event_unref(entry->event);
    free(entry);
}

/* What this thread sends on Stator's own account is nobody's event. */
static _Thread_local bool is_hushed;

void stc_events_hush(bool hush)
{
    is_hushed = hush;
}

static void deliver(struct stc_events *e, stator_event_type_t type,
                    struct stator_event *event)
{
    stc_listeners_deliver(&e->listeners, type, event);
}

static bool is_wanted(struct stc_events *e, stator_event_type_t type)
{
    return stc_listeners_want(&e->listeners, type);
}

/* ---- commands ----------------------------------------------------- */

static bool is_command_wanted(struct stc_events *e, stator_event_type_t type)
{
    return !is_hushed && is_wanted(e, type);
}

static void set_service(struct stator_event *event, const bson_oid_t *id)
{
    event->has_service_id = id != NULL;
    if (id != NULL)
        bson_oid_copy(id, &event->service_id);
}

/* The getters of the three have the same names but for one word. */
#define COMMAND_PARTS(kind)                                              \
    {                                                                    \
        .host = mongoc_apm_command_##kind##_get_host(event)->host_and_port, \
        .command_name = mongoc_apm_command_##kind##_get_command_name(event) \
    }
#define COMMAND_NUMBERS(kind, copy)                                      \
    do {                                                                 \
        (copy)->request_id =                                             \
            mongoc_apm_command_##kind##_get_request_id(event);           \
        (copy)->operation_id =                                           \
            mongoc_apm_command_##kind##_get_operation_id(event);         \
        (copy)->server_id =                                              \
            mongoc_apm_command_##kind##_get_server_id(event);            \
        (copy)->server_connection_id =                                   \
            mongoc_apm_command_##kind##_get_server_connection_id(event); \
        (copy)->context = stf_thread()->context; /* M2 */                \
        set_service((copy),                                              \
                    mongoc_apm_command_##kind##_get_service_id(event));  \
    } while (0)

static void on_started(const mongoc_apm_command_started_t *event)
{
    const stator_event_type_t type = STATOR_EVENT_COMMAND_STARTED;
    struct stc_events *e = mongoc_apm_command_started_get_context(event);
    struct parts p = COMMAND_PARTS(started);
    struct stator_event *copy;

    if (!is_command_wanted(e, type))
        return;
    p.database = mongoc_apm_command_started_get_database_name(event);
    p.views[0] = mongoc_apm_command_started_get_command(event);
    copy = event_new(type, &p);
    if (copy != NULL) {
        COMMAND_NUMBERS(started, copy);
        copy->command = &copy->views[0];
    }
    deliver(e, type, copy);
}

static void on_succeeded(const mongoc_apm_command_succeeded_t *event)
{
    const stator_event_type_t type = STATOR_EVENT_COMMAND_SUCCEEDED;
    struct stc_events *e = mongoc_apm_command_succeeded_get_context(event);
    struct parts p = COMMAND_PARTS(succeeded);
    struct stator_event *copy;

    if (!is_command_wanted(e, type))
        return;
    p.views[0] = mongoc_apm_command_succeeded_get_reply(event);
    copy = event_new(type, &p);
    if (copy != NULL) {
        COMMAND_NUMBERS(succeeded, copy);
        copy->duration_us = mongoc_apm_command_succeeded_get_duration(event);
        copy->reply = &copy->views[0];
    }
    deliver(e, type, copy);
}

static void on_failed(const mongoc_apm_command_failed_t *event)
{
    const stator_event_type_t type = STATOR_EVENT_COMMAND_FAILED;
    struct stc_events *e = mongoc_apm_command_failed_get_context(event);
    struct parts p = COMMAND_PARTS(failed);
    struct stator_event *copy;
    bson_error_t error;

    if (!is_command_wanted(e, type))
        return;
    mongoc_apm_command_failed_get_error(event, &error);
    p.error = &error;
    p.views[0] = mongoc_apm_command_failed_get_reply(event);
    copy = event_new(type, &p);
    if (copy != NULL) {
        COMMAND_NUMBERS(failed, copy);
        copy->duration_us = mongoc_apm_command_failed_get_duration(event);
        copy->reply = &copy->views[0];
    }
    deliver(e, type, copy);
}

/* ---- descriptions ------------------------------------------------- */

/* M1: these read fields. */
static void append_server(bson_t *out, const mongoc_server_description_t *sd)
{
    BSON_APPEND_INT64(out, "serverId", mongoc_server_description_id(sd));
    BSON_APPEND_UTF8(out, "address",
                     mongoc_server_description_host(sd)->host_and_port);
    BSON_APPEND_UTF8(out, "type", mongoc_server_description_type(sd));
    BSON_APPEND_INT64(out, "roundTripTimeMS",
                      mongoc_server_description_round_trip_time(sd));
    BSON_APPEND_INT64(out, "lastUpdateTimeUS",
                      mongoc_server_description_last_update_time(sd));
    BSON_APPEND_INT32(out, "compressorId",
                      mongoc_server_description_compressor_id(sd));
    BSON_APPEND_DOCUMENT(out, "helloResponse",
                         mongoc_server_description_hello_response(sd));
}

static void append_topology(bson_t *out,
                            const mongoc_topology_description_t *td)
{
    size_t n = 0;
    mongoc_server_description_t **servers =
        mongoc_topology_description_get_servers(td, &n);
    bson_t array, one;
    char key[16];

    BSON_APPEND_UTF8(out, "type", mongoc_topology_description_type(td));
    BSON_APPEND_BOOL(
        out, "hasReadableServer",
        mongoc_topology_description_has_readable_server(td, NULL));
    BSON_APPEND_BOOL(out, "hasWritableServer",
                     mongoc_topology_description_has_writable_server(td));
    BSON_APPEND_ARRAY_BEGIN(out, "servers", &array);
    for (size_t i = 0; i < n; i++) {
        bson_snprintf(key, sizeof key, "%zu", i);
        bson_append_document_begin(&array, key, -1, &one);
        append_server(&one, servers[i]);
        bson_append_document_end(&array, &one);
    }
    bson_append_array_end(out, &array);
    mongoc_server_descriptions_destroy_all(servers, n);
}

static struct stator_event *changed_new(stator_event_type_t type,
                                        const char *host,
                                        const bson_t *previous,
                                        const bson_t *current,
                                        const bson_oid_t *topology)
{
    const struct parts p = {.host = host, .views = {previous, current}};
    struct stator_event *copy = event_new(type, &p);

    if (copy == NULL)
        return NULL;
    copy->has_topology_id = true;
    copy->topology_id = *topology;
    if (previous != NULL) {
        copy->previous = &copy->views[0];
        copy->current = &copy->views[1];
    }
    return copy;
}

static void on_server_changed(const mongoc_apm_server_changed_t *event)
{
    const stator_event_type_t type = STATOR_EVENT_SERVER_DESCRIPTION_CHANGED;
    struct stc_events *e = mongoc_apm_server_changed_get_context(event);
    bson_t previous = BSON_INITIALIZER, current = BSON_INITIALIZER;
    bson_oid_t id;

    if (!is_wanted(e, type))
        return;
    mongoc_apm_server_changed_get_topology_id(event, &id);
    append_server(&previous,
                  mongoc_apm_server_changed_get_previous_description(event));
    append_server(&current,
                  mongoc_apm_server_changed_get_new_description(event));
    deliver(e, type,
            changed_new(type,
                        mongoc_apm_server_changed_get_host(event)
                            ->host_and_port,
                        &previous, &current, &id));
    bson_destroy(&previous);
    bson_destroy(&current);
}

static void on_topology_changed(const mongoc_apm_topology_changed_t *event)
{
    const stator_event_type_t type =
        STATOR_EVENT_TOPOLOGY_DESCRIPTION_CHANGED;
    struct stc_events *e = mongoc_apm_topology_changed_get_context(event);
    bson_t previous = BSON_INITIALIZER, current = BSON_INITIALIZER;
    bson_oid_t id;

    if (!is_wanted(e, type))
        return;
    mongoc_apm_topology_changed_get_topology_id(event, &id);
    append_topology(
        &previous,
        mongoc_apm_topology_changed_get_previous_description(event));
    append_topology(&current,
                    mongoc_apm_topology_changed_get_new_description(event));
    deliver(e, type, changed_new(type, NULL, &previous, &current, &id));
    bson_destroy(&previous);
    bson_destroy(&current);
}

/* ---- openings and closings ---------------------------------------- */

static void tell_of(struct stc_events *e, stator_event_type_t type,
                    const mongoc_host_list_t *host, const bson_oid_t *id)
{
    if (is_wanted(e, type))
        deliver(e, type,
                changed_new(type, host == NULL ? NULL : host->host_and_port,
                            NULL, NULL, id));
}

static void on_server_opening(const mongoc_apm_server_opening_t *event)
{
    bson_oid_t id;

    mongoc_apm_server_opening_get_topology_id(event, &id);
    tell_of(mongoc_apm_server_opening_get_context(event),
            STATOR_EVENT_SERVER_OPENING,
            mongoc_apm_server_opening_get_host(event), &id);
}

static void on_server_closed(const mongoc_apm_server_closed_t *event)
{
    bson_oid_t id;

    mongoc_apm_server_closed_get_topology_id(event, &id);
    tell_of(mongoc_apm_server_closed_get_context(event),
            STATOR_EVENT_SERVER_CLOSED,
            mongoc_apm_server_closed_get_host(event), &id);
}

static void on_topology_opening(const mongoc_apm_topology_opening_t *event)
{
    struct stc_events *e = mongoc_apm_topology_opening_get_context(event);
    bson_oid_t id;

    atomic_store(&e->has_opened, true);
    mongoc_apm_topology_opening_get_topology_id(event, &id);
    tell_of(e, STATOR_EVENT_TOPOLOGY_OPENING, NULL, &id);
}

static void on_topology_closed(const mongoc_apm_topology_closed_t *event)
{
    struct stc_events *e = mongoc_apm_topology_closed_get_context(event);
    bson_oid_t id;

    mongoc_apm_topology_closed_get_topology_id(event, &id);
    tell_of(e, STATOR_EVENT_TOPOLOGY_CLOSED, NULL, &id);
    stc_events_release(e);
}

/* ---- heartbeats --------------------------------------------------- */

static void
on_heartbeat_started(const mongoc_apm_server_heartbeat_started_t *event)
{
    const stator_event_type_t type = STATOR_EVENT_SERVER_HEARTBEAT_STARTED;
    struct stc_events *e =
        mongoc_apm_server_heartbeat_started_get_context(event);
    const struct parts p = {
        .host = mongoc_apm_server_heartbeat_started_get_host(event)
                    ->host_and_port};
    struct stator_event *copy;

    if (!is_wanted(e, type))
        return;
    copy = event_new(type, &p);
    if (copy != NULL)
        copy->awaited =
            mongoc_apm_server_heartbeat_started_get_awaited(event);
    deliver(e, type, copy);
}

static void
on_heartbeat_succeeded(const mongoc_apm_server_heartbeat_succeeded_t *event)
{
    const stator_event_type_t type = STATOR_EVENT_SERVER_HEARTBEAT_SUCCEEDED;
    struct stc_events *e =
        mongoc_apm_server_heartbeat_succeeded_get_context(event);
    const struct parts p = {
        .host = mongoc_apm_server_heartbeat_succeeded_get_host(event)
                    ->host_and_port,
        .views = {mongoc_apm_server_heartbeat_succeeded_get_reply(event)}};
    struct stator_event *copy;

    if (e->reach != NULL)
        stc_reach_succeeded(e->reach, p.host);
    if (!is_wanted(e, type))
        return;
    copy = event_new(type, &p);
    if (copy != NULL) {
        copy->reply = &copy->views[0];
        copy->duration_us =
            mongoc_apm_server_heartbeat_succeeded_get_duration(event);
        copy->awaited =
            mongoc_apm_server_heartbeat_succeeded_get_awaited(event);
    }
    deliver(e, type, copy);
}

static void
on_heartbeat_failed(const mongoc_apm_server_heartbeat_failed_t *event)
{
    const stator_event_type_t type = STATOR_EVENT_SERVER_HEARTBEAT_FAILED;
    struct stc_events *e =
        mongoc_apm_server_heartbeat_failed_get_context(event);
    const mongoc_host_list_t *host =
        mongoc_apm_server_heartbeat_failed_get_host(event);
    struct parts p = {.host = host->host_and_port};
    struct stator_event *copy;
    bson_error_t error;

    mongoc_apm_server_heartbeat_failed_get_error(event, &error);
    if (is_wanted(e, type)) {
        p.error = &error;
        copy = event_new(type, &p);
        if (copy != NULL) {
            copy->duration_us =
                mongoc_apm_server_heartbeat_failed_get_duration(event);
            copy->awaited =
                mongoc_apm_server_heartbeat_failed_get_awaited(event);
        }
        deliver(e, type, copy);
    }
    if (e->reach != NULL)
        stc_reach_failed(e->reach, host, &error); /* can take long */
}

/* ---- installed ---------------------------------------------------- */

static void set_topology(mongoc_apm_callbacks_t *callbacks)
{
    mongoc_apm_set_server_opening_cb(callbacks, on_server_opening);
    mongoc_apm_set_server_changed_cb(callbacks, on_server_changed);
    mongoc_apm_set_server_closed_cb(callbacks, on_server_closed);
    mongoc_apm_set_topology_opening_cb(callbacks, on_topology_opening);
    mongoc_apm_set_topology_changed_cb(callbacks, on_topology_changed);
    mongoc_apm_set_topology_closed_cb(callbacks, on_topology_closed);
    mongoc_apm_set_server_heartbeat_started_cb(callbacks,
                                               on_heartbeat_started);
    mongoc_apm_set_server_heartbeat_succeeded_cb(callbacks,
                                                 on_heartbeat_succeeded);
    mongoc_apm_set_server_heartbeat_failed_cb(callbacks, on_heartbeat_failed);
}

bool stc_events_install(struct stc_events *e, mongoc_client_pool_t *pool)
{
    mongoc_apm_callbacks_t *callbacks = mongoc_apm_callbacks_new();
    bool has_commands, ok;

    pthread_mutex_lock(&e->lock);
    has_commands = e->has_commands = e->wants_commands;
    e->is_installed = true;
    pthread_mutex_unlock(&e->lock);
    set_topology(callbacks);
    if (has_commands) {
        mongoc_apm_set_command_started_cb(callbacks, on_started);
        mongoc_apm_set_command_succeeded_cb(callbacks, on_succeeded);
        mongoc_apm_set_command_failed_cb(callbacks, on_failed);
    }
    atomic_fetch_add(&e->holders, 1);
    ok = mongoc_client_pool_set_apm_callbacks(pool, callbacks, e);
    mongoc_apm_callbacks_destroy(callbacks);
    if (!ok)
        stc_events_release(e);
    return ok;
}

struct stc_events *stc_events_new(enum stc_telling telling)
{
    struct stc_events *e = calloc(1, sizeof *e);

    if (e == NULL)
        return NULL;
    stc_listeners_init(&e->listeners);
    pthread_mutex_init(&e->lock, NULL);
    e->wants_commands = telling == STC_TELLS_COMMANDS;
    atomic_init(&e->holders, 1);
    return e;
}

void stc_events_release(struct stc_events *e)
{
    if (e == NULL || atomic_fetch_sub(&e->holders, 1) != 1)
        return;
    stc_listeners_destroy(&e->listeners);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

/* ---- asked for ---------------------------------------------------- */

enum {
    COMMANDS = 1u << STATOR_EVENT_COMMAND_STARTED |
               1u << STATOR_EVENT_COMMAND_SUCCEEDED |
               1u << STATOR_EVENT_COMMAND_FAILED,
    EVERYTHING = (1u << STATOR_EVENT_EVENTS_DROPPED) - 1
};

/* Are there such, from now on?  `*types` 0 becomes all that there are. */
static bool agree(struct stc_events *e, bool is_adopted, uint32_t *types,
                  const char **problem)
{
    uint32_t wanted = *types == 0 ? EVERYTHING : *types;
    bool may_have, is_told;

    pthread_mutex_lock(&e->lock);
    is_told = e->is_installed || !is_adopted;
    may_have = is_told && (e->has_commands || !e->is_installed);
    if (!may_have && *types == 0)
        wanted &= ~(uint32_t)COMMANDS;
    if (may_have && (wanted & COMMANDS) != 0)
        e->wants_commands = true;
    pthread_mutex_unlock(&e->lock);
    *types = wanted;
    if (!is_told)
        *problem = "the pool is a user's own, and so are its callbacks, unless "
                   "the client's option \"events\" says otherwise";
    else if ((wanted & COMMANDS) != 0 && !may_have)
        *problem = "command events have to be asked for before the first "
                   "operation, or by the client's option \"events\": "
                   "\"command\"";
    return *problem == NULL;
}

stator_listener_t *stc_client_listen(stator_client_t *client,
                                     const struct stc_listening *how,
                                     bson_error_t *error)
{
    const stator_dispatcher_t *d = how->dispatcher;
    struct stc_listening agreed = *how;
    stator_error_code_t code = STATOR_ERROR_REFUSED;
    const char *problem = NULL;

    if (stc_client_is_inherited(client) ||
        d->generation != stf_generation()) {
        code = STATOR_ERROR_FORKED;
        problem = "the client or the dispatcher is from before the fork";
    } else if (stf_dispatcher_is_closed(how->dispatcher)) {
        code = STATOR_ERROR_CLOSED;
        problem = "the dispatcher is closed";
    } else if (agree(client->events, client->pool.uri == NULL,
                     &agreed.types, &problem)) {
        return stc_listener_new(client, &agreed, error);
    }
    bson_set_error(error, STATOR_ERROR_DOMAIN, code, "client.listen: %s",
                   problem);
    return NULL;
}
