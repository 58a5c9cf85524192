/* SPDX-License-Identifier: Apache-2.0 */
/* core/apm_command.c - the driver's callbacks of commands.  The invariants
 * are in apm.h. */
#include "core/apm.h"

#include "core/event.h"
#include "futures/base.h"

/* What this thread sends on Stator's own account is nobody's event. */
static _Thread_local bool is_hushed;

void stc_events_hush(bool hush)
{
    is_hushed = hush;
}

static bool is_command_wanted(struct stc_events *e, stator_event_type_t type)
{
    return !is_hushed && stc_events_want(e, type);
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
    struct stc_event_parts p = COMMAND_PARTS(started);
    struct stator_event *copy;

    if (!is_command_wanted(e, type))
        return;
    p.database = mongoc_apm_command_started_get_database_name(event);
    p.views[0] = mongoc_apm_command_started_get_command(event);
    copy = stc_event_new(type, &p);
    if (copy != NULL) {
        COMMAND_NUMBERS(started, copy);
        copy->command = &copy->views[0];
    }
    stc_events_deliver(e, type, copy);
}

static void on_succeeded(const mongoc_apm_command_succeeded_t *event)
{
    const stator_event_type_t type = STATOR_EVENT_COMMAND_SUCCEEDED;
    struct stc_events *e = mongoc_apm_command_succeeded_get_context(event);
    struct stc_event_parts p = COMMAND_PARTS(succeeded);
    struct stator_event *copy;

    if (!is_command_wanted(e, type))
        return;
    p.views[0] = mongoc_apm_command_succeeded_get_reply(event);
    copy = stc_event_new(type, &p);
    if (copy != NULL) {
        COMMAND_NUMBERS(succeeded, copy);
        copy->duration_us = mongoc_apm_command_succeeded_get_duration(event);
        copy->reply = &copy->views[0];
    }
    stc_events_deliver(e, type, copy);
}

static void on_failed(const mongoc_apm_command_failed_t *event)
{
    const stator_event_type_t type = STATOR_EVENT_COMMAND_FAILED;
    struct stc_events *e = mongoc_apm_command_failed_get_context(event);
    struct stc_event_parts p = COMMAND_PARTS(failed);
    struct stator_event *copy;
    bson_error_t error;

    if (!is_command_wanted(e, type))
        return;
    mongoc_apm_command_failed_get_error(event, &error);
    p.error = &error;
    p.views[0] = mongoc_apm_command_failed_get_reply(event);
    copy = stc_event_new(type, &p);
    if (copy != NULL) {
        COMMAND_NUMBERS(failed, copy);
        copy->duration_us = mongoc_apm_command_failed_get_duration(event);
        copy->reply = &copy->views[0];
    }
    stc_events_deliver(e, type, copy);
}

void stc_apm_set_command(mongoc_apm_callbacks_t *callbacks)
{
    mongoc_apm_set_command_started_cb(callbacks, on_started);
    mongoc_apm_set_command_succeeded_cb(callbacks, on_succeeded);
    mongoc_apm_set_command_failed_cb(callbacks, on_failed);
}
