/* SPDX-License-Identifier: Apache-2.0 */
/* core/room.c - the queue's places: admitting, and being told of room.
 *
 * A future of stator_client_room sits in `waiting_for_room`, under
 * `room_lock`, with a reference of the list's; whoever takes it out of the
 * list settles it. */
#include "core/client.h"
#include "futures/base.h"
#include "futures/future.h"

#include <limits.h>

struct room {
    struct stator_future future;
    struct stc_queue *queue;
    struct cds_list_head node;
    bool listed;
};

static struct room *room_of(stator_future_t *f)
{
    return stf_container_of(f, struct room, future);
}

static void room_cancel(stator_future_t *f)
{
    struct room *r = room_of(f);
    struct stc_queue *q = r->queue;
    bool was_listed;

    pthread_mutex_lock(&q->room_lock);
    was_listed = r->listed;
    if (was_listed) {
        cds_list_del(&r->node);
        atomic_fetch_sub(&q->n_waiting_for_room, 1);
        r->listed = false;
    }
    pthread_mutex_unlock(&q->room_lock);
    if (was_listed) {
        stf_settle_code(f, STATOR_FUTURE_CANCELLED, STATOR_ERROR_CANCELLED,
                        "cancelled", STATOR_NOT_SENT);
        stator_future_unref(f);
    }
}

static void room_release(stator_future_t *f)
{
    stc_client_release(room_of(f)->queue->owner);
}

static const struct stf_kind room_kind = {
    .cancel = room_cancel,
    .release = room_release,
};

static bool has_room(struct stc_queue *q)
{
    return 2 * atomic_load(&q->queued) < q->limit;
}

static void settle_room(struct stc_queue *q, stator_future_state_t final)
{
    struct room *r, *next;
    CDS_LIST_HEAD(out);

    pthread_mutex_lock(&q->room_lock);
    cds_list_splice(&q->waiting_for_room, &out);
    CDS_INIT_LIST_HEAD(&q->waiting_for_room);
    cds_list_for_each_entry(r, &out, node)
    {
        r->listed = false;
        atomic_fetch_sub(&q->n_waiting_for_room, 1);
    }
    pthread_mutex_unlock(&q->room_lock);
    cds_list_for_each_entry_safe(r, next, &out, node)
    {
        if (final == STATOR_FUTURE_DONE)
            stf_settle_code(&r->future, final, 0, NULL, STATOR_ANSWERED);
        else
            stf_settle_code(&r->future, final, STATOR_ERROR_CLOSED,
                            "the client is closed", STATOR_NOT_SENT);
        stator_future_unref(&r->future);
    }
}

stator_future_t *stc_queue_room(struct stc_queue *q)
{
    stator_future_t *f =
        stf_future_new(&room_kind, "client.room", sizeof(struct room));
    struct room *r;

    if (f == NULL)
        return stf_future_no_memory();
    r = room_of(f);
    r->queue = q;
    stc_client_hold(q->owner); /* whose part the queue is */
    r->listed = true;
    stator_future_ref(f);
    pthread_mutex_lock(&q->room_lock);
    cds_list_add_tail(&r->node, &q->waiting_for_room);
    atomic_fetch_add(&q->n_waiting_for_room, 1);
    pthread_mutex_unlock(&q->room_lock);
    /* Looked at after it was entered, as a freed place looks for entries
     * after it was freed. */
    if (atomic_load(&q->closed))
        settle_room(q, STATOR_FUTURE_FAILED);
    else if (has_room(q))
        settle_room(q, STATOR_FUTURE_DONE);
    return f;
}

static void freed(struct stc_queue *q)
{
    if (atomic_load(&q->blocked) != 0) {
        atomic_fetch_add(&q->room_word, 1);
        stf_futex_wake(&q->room_word, 1);
    }
    if (atomic_load(&q->n_waiting_for_room) != 0 && has_room(q))
        settle_room(q, STATOR_FUTURE_DONE);
    if (atomic_load(&q->closed))
        q->freed(q->owner);
}

static bool take_place(atomic_llong *places, int64_t limit)
{
    long long n = atomic_load(places);

    do {
        if (n >= limit)
            return false;
    } while (!atomic_compare_exchange_weak(places, &n, n + 1));
    return true;
}

static enum stc_admission try_admit(struct stc_queue *q)
{
    bool placed = take_place(&q->queued, q->limit);

    /* Counted first, `closed` looked at after: who shuts the queue looks at
     * the count after it has set `closed`. */
    if (!atomic_load(&q->closed))
        return placed ? STC_ADMITTED : STC_FULL;
    if (placed)
        stc_queue_discharge(q);
    return STC_SHUT;
}

enum stc_admission stc_queue_admit(struct stc_queue *q, int64_t deadline)
{
    enum stc_admission answer = try_admit(q);
    const struct stf_thread *thread = stf_thread();

    if (answer != STC_FULL || !q->policy_block || thread->is_ours ||
        thread->dispatching != NULL)
        return answer;
    atomic_fetch_add(&q->blocked, 1);
    for (;;) {
        uint32_t word = atomic_load(&q->room_word);

        answer = try_admit(q);
        if (answer != STC_FULL)
            break;
        if (stf_is_late(deadline)) {
            answer = STC_TOO_LATE;
            break;
        }
        stf_futex_wait(&q->room_word, word, deadline);
    }
    atomic_fetch_sub(&q->blocked, 1);
    /* The wake-up may have been meant for another, too. */
    if (answer != STC_ADMITTED && atomic_load(&q->blocked) != 0)
        stf_futex_wake(&q->room_word, 1);
    return answer;
}

void stc_queue_admit_always(struct stc_queue *q)
{
    atomic_fetch_add(&q->queued, 1);
}

void stc_queue_discharge(struct stc_queue *q)
{
    atomic_fetch_sub(&q->queued, 1);
    freed(q);
}

enum stc_admission stc_queue_admit_to_lane(struct stc_queue *q)
{
    bool placed = take_place(&q->waiting, q->limit);

    if (!atomic_load(&q->closed)) /* as try_admit */
        return placed ? STC_ADMITTED : STC_FULL;
    if (placed)
        stc_queue_discharge_from_lane(q);
    return STC_SHUT;
}

void stc_queue_admit_to_lane_always(struct stc_queue *q)
{
    atomic_fetch_add(&q->waiting, 1);
}

void stc_queue_discharge_from_lane(struct stc_queue *q)
{
    atomic_fetch_sub(&q->waiting, 1);
    if (atomic_load(&q->closed))
        q->freed(q->owner);
}

void stc_queue_shut(struct stc_queue *q)
{
    atomic_store(&q->closed, true);
    atomic_fetch_add(&q->room_word, 1);
    stf_futex_wake(&q->room_word, INT_MAX);
    settle_room(q, STATOR_FUTURE_FAILED);
}
