/* SPDX-License-Identifier: Apache-2.0 */
/* lib/event.c - listeners, events, contexts.  The handles that a user holds are
 * core's own. */
#include <stator/event.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "futures/future.h"
#include "lib/document.h"
#include "lib/opts.h"
#include "lib/problem.h"

enum { LIMIT = 10000, LIMIT_MAX = 1000000, MAX_BYTES = 64 << 20 };

#define MAX_BYTES_MAX (INT64_C(1) << 40)

/* ---- listening --------------------------------------------------------- */

static bool name_parse(const bson_iter_t *i, uint32_t *types, char *problem)
{
    if (!BSON_ITER_HOLDS_UTF8(i))
        return FAULT("events[%s] must be a string, is %s", bson_iter_key(i),
                     stl_type_name(i));
    for (int t = 0; t < STATOR_EVENT_EVENTS_DROPPED; t++)
        if (strcmp(bson_iter_utf8(i, NULL),
                   stc_event_name((stator_event_type_t)t)) == 0) {
            *types |= 1u << t;
            return true;
        }
    return FAULT("events[%s] is \"%.40s\", which is no event",
                 bson_iter_key(i), bson_iter_utf8(i, NULL));
}

static bool names_parse(const bson_iter_t *names, uint32_t *types,
                        char *problem)
{
    bson_iter_t i;

    if (!BSON_ITER_HOLDS_ARRAY(names) || !bson_iter_recurse(names, &i))
        return FAULT("events must be an array, is %s", stl_type_name(names));
    while (bson_iter_next(&i))
        if (!name_parse(&i, types, problem))
            return false;
    return *types != 0 || FAULT("events names none");
}

static bool number_parse(const bson_iter_t *i, int64_t max, int64_t *out,
                         char *problem)
{
    return (stl_value_as_int64(i, out) && *out >= 1 && *out <= max) ||
           FAULT("%s must be an integer from 1 to %" PRId64, bson_iter_key(i),
                 max);
}

static bool key_parse(const bson_iter_t *i, struct stc_listening *how,
                      char *problem)
{
    const char *key = bson_iter_key(i);

    if (strcmp(key, "events") == 0)
        return names_parse(i, &how->types, problem);
    if (strcmp(key, "limit") == 0)
        return number_parse(i, LIMIT_MAX, &how->limit, problem);
    if (strcmp(key, "maxBytes") == 0)
        return number_parse(i, MAX_BYTES_MAX, &how->max_bytes, problem);
    return FAULT("%s is unknown; a listener takes events, limit and "
                 "maxBytes", key);
}

static bool opts_parse(const bson_t *opts, struct stc_listening *how,
                       char *problem)
{
    bson_iter_t i, first;
    const char *flaw;
    size_t offset;

    if (opts == NULL)
        return true;
    flaw = stf_document_flaw(opts, &offset);
    if (flaw != NULL)
        return FAULT("opts %s at offset %zu", flaw, offset);
    if (!bson_iter_init(&i, opts))
        return true;
    while (bson_iter_next(&i)) {
        if (!key_parse(&i, how, problem))
            return false;
        if (bson_iter_init_find(&first, opts, bson_iter_key(&i)) &&
            first.off != i.off)
            return FAULT("%s is given twice", bson_iter_key(&i));
    }
    return true;
}

stator_listener_t *stator_client_listen(stator_client_t *client,
                                        stator_dispatcher_t *dispatcher,
                                        stator_event_fn *fn, void *arg,
                                        const bson_t *opts,
                                        bson_error_t *error)
{
    struct stc_listening how = {.dispatcher = dispatcher,
                                .fn = fn,
                                .arg = arg,
                                .limit = LIMIT,
                                .max_bytes = MAX_BYTES};
    char problem[STL_PROBLEM_SIZE] = "";

    if (client == NULL || dispatcher == NULL || fn == NULL)
        snprintf(problem, sizeof problem, "%s is NULL",
                 client == NULL       ? "client"
                 : dispatcher == NULL ? "dispatcher"
                                      : "fn");
    else if (opts_parse(opts, &how, problem))
        return stc_client_listen(client, &how, error);
    bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                   "client.listen: %s", problem);
    return NULL;
}

stator_listener_t *stator_listener_ref(stator_listener_t *listener)
{
    return listener == NULL ? NULL : stc_listener_ref(listener);
}

void stator_listener_unref(stator_listener_t *listener)
{
    if (listener != NULL)
        stc_listener_unref(listener);
}

/* ---- what an event says ------------------------------------------------ */

stator_event_type_t stator_event_type(const stator_event_t *event)
{
    return event->type;
}

const char *stator_event_name(const stator_event_t *event)
{
    return stc_event_name(event->type);
}

int64_t stator_event_time(const stator_event_t *event)
{
    return event->time_us;
}

const char *stator_event_host(const stator_event_t *event)
{
    return event->host;
}

bool stator_event_error(const stator_event_t *event, bson_error_t *error)
{
    if (event->error == NULL)
        return false;
    if (error != NULL)
        *error = *event->error;
    return true;
}

const bson_t *stator_event_reply(const stator_event_t *event)
{
    return event->reply;
}

int64_t stator_event_duration(const stator_event_t *event)
{
    return event->duration_us;
}

int64_t stator_event_dropped(const stator_event_t *event)
{
    return event->dropped;
}

void *stator_event_context(const stator_event_t *event)
{
    return event->context;
}

const char *stator_event_command_name(const stator_event_t *event)
{
    return event->command_name;
}

const char *stator_event_database(const stator_event_t *event)
{
    return event->database;
}

const bson_t *stator_event_command(const stator_event_t *event)
{
    return event->command;
}

int64_t stator_event_request_id(const stator_event_t *event)
{
    return event->request_id;
}

int64_t stator_event_operation_id(const stator_event_t *event)
{
    return event->operation_id;
}

uint32_t stator_event_server_id(const stator_event_t *event)
{
    return event->server_id;
}

int64_t stator_event_server_connection_id(const stator_event_t *event)
{
    return event->server_connection_id;
}

const bson_oid_t *stator_event_service_id(const stator_event_t *event)
{
    return event->has_service_id ? &event->service_id : NULL;
}

bool stator_event_awaited(const stator_event_t *event)
{
    return event->awaited;
}

const bson_oid_t *stator_event_topology_id(const stator_event_t *event)
{
    return event->has_topology_id ? &event->topology_id : NULL;
}

const bson_t *stator_event_previous_description(const stator_event_t *event)
{
    return event->previous;
}

const bson_t *stator_event_new_description(const stator_event_t *event)
{
    return event->current;
}

/* ---- context ----------------------------------------------------------- */

bool stator_context_append(void *context, bson_t *opts, bson_error_t *error)
{
    const char *problem = NULL;

    if (opts == NULL)
        problem = "opts is NULL";
    else if (bson_has_field(opts, "context"))
        problem = "opts name one already";
    else if (!BSON_APPEND_INT64(opts, "context", (int64_t)(intptr_t)context))
        problem = "opts can hold no more";
    if (problem != NULL)
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                       "context.append: %s", problem);
    return problem == NULL;
}

void *stator_future_context(const stator_future_t *future)
{
    return future == NULL ? NULL : future->context;
}
