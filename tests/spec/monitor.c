/* SPDX-License-Identifier: Apache-2.0 */
/* monitor.c - the driver's events, as the format's documents. */
#include "tests/spec/monitor.h"

#include <stdio.h>

#include "tests/spec/value.h"

/* A success does not say its database; it is told where its start was. */
static _Thread_local char database[130];

static void add_command(events_t *events, const char *kind,
                        const char *command, const char *body_key,
                        const bson_t *body, bool has_service,
                        bool has_connection)
{
    const command_event_t event = {
        .kind = kind,
        .name = command,
        .database = database,
        .body_key = body_key,
        .body = body,
        .has_service_id = has_service,
        .has_connection_id = has_connection,
    };

    events_add_command(events, &event);
}

static void on_started(const mongoc_apm_command_started_t *event)
{
    snprintf(database, sizeof database, "%s",
             mongoc_apm_command_started_get_database_name(event));
    add_command(mongoc_apm_command_started_get_context(event),
                "commandStartedEvent",
                mongoc_apm_command_started_get_command_name(event), "command",
                mongoc_apm_command_started_get_command(event),
                mongoc_apm_command_started_get_service_id(event) != NULL,
                mongoc_apm_command_started_get_server_connection_id(event) >
                    0);
}

static void on_succeeded(const mongoc_apm_command_succeeded_t *event)
{
    add_command(mongoc_apm_command_succeeded_get_context(event),
                "commandSucceededEvent",
                mongoc_apm_command_succeeded_get_command_name(event), "reply",
                mongoc_apm_command_succeeded_get_reply(event),
                mongoc_apm_command_succeeded_get_service_id(event) != NULL,
                mongoc_apm_command_succeeded_get_server_connection_id(event) >
                    0);
}

static void on_failed(const mongoc_apm_command_failed_t *event)
{
    add_command(mongoc_apm_command_failed_get_context(event),
                "commandFailedEvent",
                mongoc_apm_command_failed_get_command_name(event), NULL,
                mongoc_apm_command_failed_get_reply(event),
                mongoc_apm_command_failed_get_service_id(event) != NULL,
                mongoc_apm_command_failed_get_server_connection_id(event) >
                    0);
}

static void append_type(bson_t *fields, const char *key, const char *type)
{
    bson_t inner;

    bson_append_document_begin(fields, key, -1, &inner);
    bson_append_utf8(&inner, "type", -1, type, -1);
    bson_append_document_end(fields, &inner);
}

static void add_change(events_t *events, const char *kind, const char *before,
                       const char *after)
{
    bson_t fields = BSON_INITIALIZER;

    append_type(&fields, "previousDescription", before);
    append_type(&fields, "newDescription", after);
    events_add(events, kind, &fields);
}

static void on_server_changed(const mongoc_apm_server_changed_t *event)
{
    add_change(mongoc_apm_server_changed_get_context(event),
               "serverDescriptionChangedEvent",
               mongoc_server_description_type(
                   mongoc_apm_server_changed_get_previous_description(event)),
               mongoc_server_description_type(
                   mongoc_apm_server_changed_get_new_description(event)));
}

static void on_topology_changed(const mongoc_apm_topology_changed_t *event)
{
    add_change(
        mongoc_apm_topology_changed_get_context(event),
        "topologyDescriptionChangedEvent",
        mongoc_topology_description_type(
            mongoc_apm_topology_changed_get_previous_description(event)),
        mongoc_topology_description_type(
            mongoc_apm_topology_changed_get_new_description(event)));
}

static void add_bare(events_t *events, const char *kind)
{
    bson_t fields = BSON_INITIALIZER;

    events_add(events, kind, &fields);
}

static void on_opening(const mongoc_apm_topology_opening_t *event)
{
    add_bare(mongoc_apm_topology_opening_get_context(event),
             "topologyOpeningEvent");
}

static void on_closed(const mongoc_apm_topology_closed_t *event)
{
    add_bare(mongoc_apm_topology_closed_get_context(event),
             "topologyClosedEvent");
}

static void add_beat(events_t *events, const char *kind, bool awaited)
{
    bson_t fields = BSON_INITIALIZER;

    bson_append_bool(&fields, "awaited", -1, awaited);
    events_add(events, kind, &fields);
}

static void on_beat(const mongoc_apm_server_heartbeat_started_t *event)
{
    add_beat(mongoc_apm_server_heartbeat_started_get_context(event),
             "serverHeartbeatStartedEvent",
             mongoc_apm_server_heartbeat_started_get_awaited(event));
}

static void on_beaten(const mongoc_apm_server_heartbeat_succeeded_t *event)
{
    add_beat(mongoc_apm_server_heartbeat_succeeded_get_context(event),
             "serverHeartbeatSucceededEvent",
             mongoc_apm_server_heartbeat_succeeded_get_awaited(event));
}

static void on_beat_lost(const mongoc_apm_server_heartbeat_failed_t *event)
{
    add_beat(mongoc_apm_server_heartbeat_failed_get_context(event),
             "serverHeartbeatFailedEvent",
             mongoc_apm_server_heartbeat_failed_get_awaited(event));
}

void monitor_listen(events_t *events, mongoc_client_pool_t *pool)
{
    mongoc_apm_callbacks_t *callbacks;

    if (bson_empty(&events->observed))
        return;
    callbacks = mongoc_apm_callbacks_new();
    mongoc_apm_set_command_started_cb(callbacks, on_started);
    mongoc_apm_set_command_succeeded_cb(callbacks, on_succeeded);
    mongoc_apm_set_command_failed_cb(callbacks, on_failed);
    mongoc_apm_set_server_changed_cb(callbacks, on_server_changed);
    mongoc_apm_set_topology_changed_cb(callbacks, on_topology_changed);
    mongoc_apm_set_topology_opening_cb(callbacks, on_opening);
    mongoc_apm_set_topology_closed_cb(callbacks, on_closed);
    mongoc_apm_set_server_heartbeat_started_cb(callbacks, on_beat);
    mongoc_apm_set_server_heartbeat_succeeded_cb(callbacks, on_beaten);
    mongoc_apm_set_server_heartbeat_failed_cb(callbacks, on_beat_lost);
    mongoc_client_pool_set_apm_callbacks(pool, callbacks, events);
    mongoc_apm_callbacks_destroy(callbacks);
}
