/* SPDX-License-Identifier: Apache-2.0 */
/* core/event_queue.c - events that wait, in order and bounded. */
#include "core/event_queue.h"

void stc_entries_free(struct cds_list_head *entries)
{
    struct stc_entry *e, *next;

    cds_list_for_each_entry_safe(e, next, entries, node)
        stc_entry_free(e);
}

void stc_event_queue_init(struct stc_event_queue *q, int64_t limit,
                          int64_t max_bytes)
{
    CDS_INIT_LIST_HEAD(&q->entries);
    q->n = q->bytes = q->lost = 0;
    q->limit = limit;
    q->max_bytes = max_bytes;
}

static bool has_room(const struct stc_event_queue *q,
                     const struct stator_event *event)
{
    return q->n < q->limit &&
           (q->n == 0 || q->bytes + event->size <= q->max_bytes);
}

bool stc_event_queue_add(struct stc_event_queue *q,
                         struct stator_event *event)
{
    struct stc_entry *entry = NULL;

    if (event != NULL && has_room(q, event))
        entry = stc_entry_new(event);
    if (entry == NULL) {
        q->lost++;
        return false;
    }
    entry->lost = q->lost;
    q->lost = 0;
    q->n++;
    q->bytes += event->size;
    cds_list_add_tail(&entry->node, &q->entries);
    return true;
}

/* Of a queue that is not empty. */
static struct stc_entry *first_of(struct stc_event_queue *q)
{
    /* What is freed has left the list: not seen through liburcu's macros.
     * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    return cds_list_first_entry(&q->entries, struct stc_entry, node);
}

/* The gap before the first entry, or the entry. */
static void take_first(struct stc_event_queue *q, struct stc_entry **entry,
                       int64_t *lost)
{
    struct stc_entry *first = first_of(q);

    *lost = first->lost;
    first->lost = 0;
    if (*lost > 0)
        return;
    cds_list_del(&first->node);
    q->n--;
    q->bytes -= first->event->size;
    *entry = first;
}

bool stc_event_queue_take(struct stc_event_queue *q, struct stc_entry **entry,
                          int64_t *lost)
{
    *entry = NULL;
    *lost = 0;
    if (!cds_list_empty(&q->entries)) {
        take_first(q, entry, lost);
        return true;
    }
    *lost = q->lost;
    q->lost = 0;
    return *lost > 0;
}

void stc_event_queue_empty(struct stc_event_queue *q,
                           struct cds_list_head *entries)
{
    cds_list_splice(&q->entries, entries);
    CDS_INIT_LIST_HEAD(&q->entries);
    q->n = q->bytes = q->lost = 0;
}
