/* SPDX-License-Identifier: Apache-2.0 */
/* core/event.c - an event: made by copying, counted, freed. */
#include "core/event.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "futures/base.h"

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

struct stator_event *stc_event_new(stator_event_type_t type,
                                   const struct stc_event_parts *p)
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
