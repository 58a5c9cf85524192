/* SPDX-License-Identifier: Apache-2.0 */
/* core/apm_topology.c - the driver's callbacks of the topology, its servers and
 * their heartbeats.  The invariants are in apm.h. */
#include "core/apm.h"

#include "core/event.h"

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
    const struct stc_event_parts p = {.host = host,
                                      .views = {previous, current}};
    struct stator_event *copy = stc_event_new(type, &p);

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

    if (!stc_events_want(e, type))
        return;
    mongoc_apm_server_changed_get_topology_id(event, &id);
    append_server(&previous,
                  mongoc_apm_server_changed_get_previous_description(event));
    append_server(&current,
                  mongoc_apm_server_changed_get_new_description(event));
    stc_events_deliver(e, type,
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

    if (!stc_events_want(e, type))
        return;
    mongoc_apm_topology_changed_get_topology_id(event, &id);
    append_topology(
        &previous,
        mongoc_apm_topology_changed_get_previous_description(event));
    append_topology(&current,
                    mongoc_apm_topology_changed_get_new_description(event));
    stc_events_deliver(e, type,
                       changed_new(type, NULL, &previous, &current, &id));
    bson_destroy(&previous);
    bson_destroy(&current);
}

/* ---- openings and closings ---------------------------------------- */

static void tell_of(struct stc_events *e, stator_event_type_t type,
                    const mongoc_host_list_t *host, const bson_oid_t *id)
{
    if (stc_events_want(e, type))
        stc_events_deliver(e, type,
                           changed_new(type,
                                       host == NULL ? NULL
                                                    : host->host_and_port,
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
    const struct stc_event_parts p = {
        .host = mongoc_apm_server_heartbeat_started_get_host(event)
                    ->host_and_port};
    struct stator_event *copy;

    if (!stc_events_want(e, type))
        return;
    copy = stc_event_new(type, &p);
    if (copy != NULL)
        copy->awaited =
            mongoc_apm_server_heartbeat_started_get_awaited(event);
    stc_events_deliver(e, type, copy);
}

static void
on_heartbeat_succeeded(const mongoc_apm_server_heartbeat_succeeded_t *event)
{
    const stator_event_type_t type = STATOR_EVENT_SERVER_HEARTBEAT_SUCCEEDED;
    struct stc_events *e =
        mongoc_apm_server_heartbeat_succeeded_get_context(event);
    const struct stc_event_parts p = {
        .host = mongoc_apm_server_heartbeat_succeeded_get_host(event)
                    ->host_and_port,
        .views = {mongoc_apm_server_heartbeat_succeeded_get_reply(event)}};
    struct stator_event *copy;

    if (e->reach != NULL)
        stc_reach_succeeded(e->reach, p.host);
    if (!stc_events_want(e, type))
        return;
    copy = stc_event_new(type, &p);
    if (copy != NULL) {
        copy->reply = &copy->views[0];
        copy->duration_us =
            mongoc_apm_server_heartbeat_succeeded_get_duration(event);
        copy->awaited =
            mongoc_apm_server_heartbeat_succeeded_get_awaited(event);
    }
    stc_events_deliver(e, type, copy);
}

static void
on_heartbeat_failed(const mongoc_apm_server_heartbeat_failed_t *event)
{
    const stator_event_type_t type = STATOR_EVENT_SERVER_HEARTBEAT_FAILED;
    struct stc_events *e =
        mongoc_apm_server_heartbeat_failed_get_context(event);
    const mongoc_host_list_t *host =
        mongoc_apm_server_heartbeat_failed_get_host(event);
    struct stc_event_parts p = {.host = host->host_and_port};
    struct stator_event *copy;
    bson_error_t error;

    mongoc_apm_server_heartbeat_failed_get_error(event, &error);
    if (stc_events_want(e, type)) {
        p.error = &error;
        copy = stc_event_new(type, &p);
        if (copy != NULL) {
            copy->duration_us =
                mongoc_apm_server_heartbeat_failed_get_duration(event);
            copy->awaited =
                mongoc_apm_server_heartbeat_failed_get_awaited(event);
        }
        stc_events_deliver(e, type, copy);
    }
    if (e->reach != NULL)
        stc_reach_failed(e->reach, host, &error); /* can take long */
}

/* ---- set ---------------------------------------------------------- */

void stc_apm_set_topology(mongoc_apm_callbacks_t *callbacks)
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
