/* SPDX-License-Identifier: Apache-2.0 */
/* core/event.h - an event as a value: one block of memory, with copies of all
 * that it points to.  What makes them is in apm.h, where they wait in
 * event_queue.h, and who gets them in listener.h. */
#ifndef STC_EVENT_H
#define STC_EVENT_H

#include <urcu/list.h>

#include "core/core.h"

/* What is to be copied; all may be NULL. */
struct stc_event_parts {
    const char *host, *command_name, *database;
    const bson_t *views[2];
    const bson_error_t *error;
};

/* Held once; its plain fields are the caller's to fill in.  NULL: no
 * memory. */
struct stator_event *stc_event_new(stator_event_type_t type,
                                   const struct stc_event_parts *parts);
void stc_event_unref(struct stator_event *event); /* NULL is fine */

/* Its place in a queue: a reference. */
struct stc_entry {
    struct cds_list_head node;
    struct stator_event *event;
    int64_t lost; /* events that should stand before it */
};

struct stc_entry *stc_entry_new(struct stator_event *event); /* or NULL */
void stc_entry_free(struct stc_entry *entry);

#endif /* STC_EVENT_H */
