/* SPDX-License-Identifier: Apache-2.0 */
/* futures/handover.h - liburcu's wait-free queue, as Stator uses it.
 *
 * Any thread enqueues, wait-free; one consumer at a time takes everything
 * out (splice) into a queue of its own and dequeues from that one.  The
 * library's functions are called, not inlined, and the non-blocking forms
 * only: the blocking ones can sleep 10 ms.
 *
 * liburcu's atomics are assembly, which ThreadSanitizer can not see; the
 * hand-over of a node is told to it here and nowhere else. */
#ifndef STF_HANDOVER_H
#define STF_HANDOVER_H

#include <stdbool.h>

#include <urcu/wfcqueue.h>

#if defined(__SANITIZE_THREAD__)
#define STF_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STF_TSAN 1
#endif
#endif

#ifdef STF_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#else
static inline void __tsan_acquire(void *address)
{
    (void)address;
}
static inline void __tsan_release(void *address)
{
    (void)address;
}
#endif

struct stf_handover {
    struct __cds_wfcq_head head;
    struct cds_wfcq_tail tail;
};

static inline void stf_handover_init(struct stf_handover *q)
{
    __cds_wfcq_init(&q->head, &q->tail);
}

/* Any thread.  True when the queue was empty: the one push that has to wake
 * the consumer. */
static inline bool stf_handover_push(struct stf_handover *q,
                                     struct cds_wfcq_node *node)
{
    cds_wfcq_node_init(node);
    __tsan_release(node);
    return !cds_wfcq_enqueue(&q->head, &q->tail, node);
}

static inline bool stf_handover_is_empty(struct stf_handover *q)
{
    return cds_wfcq_empty(&q->head, &q->tail);
}

/* Consumer: move all of `from` behind `to`.  False when a push is half done
 * and has to be come back for. */
static inline bool stf_handover_splice(struct stf_handover *to,
                                       struct stf_handover *from)
{
    return __cds_wfcq_splice_nonblocking(&to->head, &to->tail, &from->head,
                                         &from->tail) !=
           CDS_WFCQ_RET_WOULDBLOCK;
}

/* Consumer.  NULL: empty.  `half_done` (set, never cleared): not empty, but
 * a push is half done and has to be come back for. */
static inline struct cds_wfcq_node *
stf_handover_pop(struct stf_handover *q, bool *half_done)
{
    struct cds_wfcq_node *node =
        __cds_wfcq_dequeue_nonblocking(&q->head, &q->tail);

    if (node == CDS_WFCQ_WOULDBLOCK) {
        *half_done = true;
        return NULL;
    }
    if (node != NULL)
        __tsan_acquire(node);
    return node;
}

#endif /* STF_HANDOVER_H */
