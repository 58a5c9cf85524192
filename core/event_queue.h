/* SPDX-License-Identifier: Apache-2.0 */
/* core/event_queue.h - events that wait, in order and bounded.  What finds no
 * room is counted where it is missing: in the entry behind the gap, or, while
 * there is none, in the queue.
 *
 * No lock: all of it is under its owner's, but for freeing what has left. */
#ifndef STC_EVENT_QUEUE_H
#define STC_EVENT_QUEUE_H

#include <urcu/list.h>

#include "core/event.h"

struct stc_event_queue {
    struct cds_list_head entries;
    int64_t n, bytes;
    int64_t limit, max_bytes; /* of these; one event always has room */
    int64_t lost;             /* behind the last entry */
};

void stc_event_queue_init(struct stc_event_queue *q, int64_t limit,
                          int64_t max_bytes);

/* At its end, with a reference of its own.  False: it is lost, and NULL always
 * is. */
bool stc_event_queue_add(struct stc_event_queue *q,
                         struct stator_event *event);
/* What is next: an entry, or NULL and how many were lost.  False: nothing. */
bool stc_event_queue_take(struct stc_event_queue *q, struct stc_entry **entry,
                          int64_t *lost);
/* All entries, to a list that is empty; and nothing was lost. */
void stc_event_queue_empty(struct stc_event_queue *q,
                           struct cds_list_head *entries);

void stc_entries_free(struct cds_list_head *entries);

#endif /* STC_EVENT_QUEUE_H */
