/* SPDX-License-Identifier: Apache-2.0 */
/* core/queue.c - operations on their way to a worker.  The picture and the
 * invariants are in queue.h, the places in room.c. */
#include "core/queue.h"

#include <limits.h>
#include <sched.h>

#include "core/op.h"
#include "core/worker.h"
#include "futures/base.h"

/* How often in a row a lower priority may be passed over. */
enum { PATIENCE = 64 };

void stc_queue_init(struct stc_queue *q, int limit, bool policy_block)
{
    stf_handover_init(&q->intake);
    stf_handover_init(&q->arriving);
    q->limit = limit;
    q->policy_block = policy_block;
    pthread_mutex_init(&q->lock, NULL);
    pthread_mutex_init(&q->room_lock, NULL);
    for (int i = 0; i < 3; i++)
        CDS_INIT_LIST_HEAD(&q->listed[i]);
    CDS_INIT_LIST_HEAD(&q->workers);
    CDS_INIT_LIST_HEAD(&q->loose);
    CDS_INIT_LIST_HEAD(&q->withdrawn);
    CDS_INIT_LIST_HEAD(&q->waiting_for_room);
}

void stc_queue_destroy(struct stc_queue *q)
{
    pthread_mutex_destroy(&q->lock);
    pthread_mutex_destroy(&q->room_lock);
}

/* ---- waking ------------------------------------------------------ */

static void wake_one(struct stc_queue *q)
{
    if (atomic_load(&q->idle) == 0 || atomic_exchange(&q->waking, true))
        return;
    atomic_fetch_add(&q->wake_word, 1);
    stf_futex_wake(&q->wake_word, 1);
}

static void wake_all(struct stc_queue *q)
{
    atomic_fetch_add(&q->wake_word, 1);
    stf_futex_wake(&q->wake_word, INT_MAX);
    atomic_fetch_add(&q->inbox_word, 1);
    stf_futex_wake(&q->inbox_word, INT_MAX);
}

static void wake_watcher(struct stc_worker *w)
{
    atomic_fetch_add(&w->word, 1);
    stf_futex_wake(&w->word, 1);
}

/* ---- in ---------------------------------------------------------- */

void stc_queue_push(struct stc_queue *q, struct stc_op *op)
{
    stc_op_move(op, STC_IN_INTAKE);
    stf_handover_push(&q->intake, &op->intake);
    atomic_thread_fence(memory_order_seq_cst); /* Q4 */
    wake_one(q);
}

void stc_queue_push_to(struct stc_queue *q, struct stc_worker *worker,
                       struct stc_op *op)
{
    bool is_watcher = worker->is_watcher; /* another one can be gone soon */

    pthread_mutex_lock(&q->lock);
    stc_op_move(op, STC_LISTED);
    cds_list_add_tail(&op->listed, is_watcher && op->is_urgent
                                       ? &worker->urgent
                                       : &worker->inbox);
    pthread_mutex_unlock(&q->lock);
    if (is_watcher)
        wake_watcher(worker);
    else
        wake_all(q); /* they share one word, and only one of them will do */
}

/* Under lock, after sorting. */
static void take_withdrawn(struct stc_queue *q, struct cds_list_head *out)
{
    CDS_INIT_LIST_HEAD(out);
    cds_list_splice(&q->withdrawn, out);
    CDS_INIT_LIST_HEAD(&q->withdrawn);
}

/* Without lock: let go what was withdrawn while it was still in the intake.
 * (Not while sorting: a last reference can take other locks.) */
static void drop_withdrawn(struct cds_list_head *from)
{
    struct stc_op *op, *next;

    cds_list_for_each_entry_safe(op, next, from, listed)
        stc_op_unref(op);
}

bool stc_queue_sort(struct stc_queue *q)
{
    bool half_done = !stf_handover_splice(&q->arriving, &q->intake);
    struct cds_wfcq_node *node;

    while ((node = stf_handover_pop(&q->arriving, &half_done)) != NULL) {
        struct stc_op *op = stf_container_of(node, struct stc_op, intake);

        struct cds_list_head *list = &q->listed[op->priority];

        if (stc_op_where(op) == STC_WITHDRAWN)
            list = &q->withdrawn;
        else
            stc_op_move(op, STC_LISTED);
        cds_list_add_tail(&op->listed, list);
    }
    return !half_done;
}

/* ---- out --------------------------------------------------------- */

static struct stc_op *first_of(struct cds_list_head *list)
{
    return cds_list_empty(list)
               ? NULL
               : cds_list_first_entry(list, struct stc_op, listed);
}

static struct stc_op *next_by_priority(struct stc_queue *q)
{
    int chosen = -1;

    for (int i = 0; i < 3; i++) {
        if (cds_list_empty(&q->listed[i])) {
            q->passed_over[i] = 0;
            continue;
        }
        if (chosen < 0 || q->passed_over[i]++ >= PATIENCE)
            chosen = i;
    }
    if (chosen < 0)
        return NULL;
    q->passed_over[chosen] = 0;
    return first_of(&q->listed[chosen]);
}

/* What shares the worker's client, and what anybody may take, in turn. */
static struct stc_op *pick(struct stc_queue *q, struct stc_worker *w)
{
    struct stc_op *own = first_of(&w->inbox);
    struct stc_op *op = NULL;

    if (!w->retiring && (own == NULL || w->served_inbox))
        op = next_by_priority(q);
    w->served_inbox = op == NULL && own != NULL;
    if (op == NULL)
        op = own;
    if (op != NULL) {
        cds_list_del(&op->listed);
        stc_op_move(op, STC_OUTSIDE);
    }
    return op;
}

static bool anything_listed(struct stc_queue *q)
{
    for (int i = 0; i < 3; i++)
        if (!cds_list_empty(&q->listed[i]))
            return true;
    return false;
}

/* What the worker has finished goes, and what was withdrawn; taken out under
 * lock, dropped without it. */
struct gone {
    struct stc_op *finished;
    struct cds_list_head withdrawn;
};

static void let_go(struct gone *gone)
{
    if (gone->finished != NULL)
        stc_op_unref(gone->finished);
    drop_withdrawn(&gone->withdrawn);
}

/* One look, under lock. */
struct look {
    struct stc_op *op; /* taken */
    bool sorted;
    bool more; /* left for others */
    bool ends; /* the worker is to */
};

static struct look look(struct stc_queue *q, struct stc_worker *w)
{
    struct look seen;

    atomic_exchange(&q->waking, false); /* Q5: looking now */
    seen.sorted = stc_queue_sort(q);
    seen.op = pick(q, w);
    seen.more = anything_listed(q);
    seen.ends = seen.op == NULL && seen.sorted &&
                (q->stopped || (w->retiring && w->n_sharing == 0));
    w->op = seen.op;
    w->ending = seen.ends;
    return seen;
}

/* A watcher's.  (Q7) */
static struct stc_op *take_own(struct stc_queue *q, struct stc_worker *w)
{
    struct stc_op *op, *finished;
    bool ends;

    for (;;) {
        uint32_t word = atomic_load(&w->word);

        pthread_mutex_lock(&q->lock);
        finished = w->op;
        op = first_of(&w->urgent);
        if (op == NULL)
            op = first_of(&w->inbox);
        if (op != NULL) {
            cds_list_del(&op->listed);
            stc_op_move(op, STC_OUTSIDE);
        }
        ends = op == NULL && q->stopped && atomic_load(&q->waiting) == 0;
        w->op = op;
        w->ending = ends;
        pthread_mutex_unlock(&q->lock);
        if (finished != NULL)
            stc_op_unref(finished);
        if (op != NULL || ends)
            break;
        stf_futex_wait(&w->word, word, STF_NO_DEADLINE);
    }
    if (op != NULL)
        stc_queue_discharge_from_lane(q);
    return op;
}

static struct stc_op *take_any(struct stc_queue *q, struct stc_worker *w)
{
    bool is_idle = false;
    uint32_t word = 0;
    struct look seen;

    for (;;) {
        const atomic_uint *sleeps_on = &q->wake_word;
        struct gone gone;
        bool looks_again;

        pthread_mutex_lock(&q->lock);
        gone.finished = w->op;
        seen = look(q, w);
        take_withdrawn(q, &gone.withdrawn);
        looks_again = !is_idle && !w->retiring; /* Q4 */
        if (w->retiring && is_idle) { /* since it looked before */
            atomic_fetch_sub(&q->idle, 1);
            is_idle = false;
        }
        if (w->retiring) { /* Q6 */
            sleeps_on = &q->inbox_word;
            word = atomic_load(sleeps_on);
        } else if (looks_again && seen.op == NULL && !seen.ends) {
            word = atomic_load(sleeps_on);
            atomic_fetch_add(&q->idle, 1);
            is_idle = true;
        }
        pthread_mutex_unlock(&q->lock);
        let_go(&gone);
        if (seen.op != NULL || seen.ends)
            break;
        if (looks_again)
            continue;
        if (seen.more)
            wake_one(q);
        if (seen.sorted)
            stf_futex_wait(sleeps_on, word, STF_NO_DEADLINE);
        else
            sched_yield();
        if (is_idle)
            atomic_fetch_sub(&q->idle, 1);
        is_idle = false;
    }
    if (is_idle)
        atomic_fetch_sub(&q->idle, 1);
    if (seen.more)
        wake_one(q);
    if (seen.op != NULL)
        stc_queue_discharge(q);
    return seen.op;
}

struct stc_op *stc_queue_take(struct stc_queue *q, struct stc_worker *w)
{
    return w->is_watcher ? take_own(q, w) : take_any(q, w);
}

size_t stc_queue_count_inbox(struct stc_queue *q, struct stc_worker *w,
                             size_t most)
{
    struct cds_list_head *at;
    size_t n = 0;

    pthread_mutex_lock(&q->lock);
    cds_list_for_each(at, &w->inbox)
        if (n++ == most)
            break;
    pthread_mutex_unlock(&q->lock);
    return n;
}

bool stc_queue_withdraw(struct stc_queue *q, struct stc_op *op)
{
    bool withdrawn = true, drop = false;

    pthread_mutex_lock(&q->lock);
    if (stc_op_where(op) == STC_IN_INTAKE)
        stc_queue_sort(q);
    switch (stc_op_where(op)) {
    case STC_LISTED:
        cds_list_del(&op->listed);
        stc_op_move(op, STC_OUTSIDE);
        drop = true;
        break;
    case STC_IN_INTAKE: /* behind a push that is half done */
        stc_op_move(op, STC_WITHDRAWN);
        break;
    default:
        withdrawn = false;
    }
    pthread_mutex_unlock(&q->lock);
    if (drop)
        stc_op_unref(op);
    return withdrawn;
}

static struct stc_op *first_of_users(struct cds_list_head *list)
{
    struct stc_op *op;

    cds_list_for_each_entry(op, list, listed)
        if (!op->internal && !stc_op_is_settled(op))
            return op;
    return NULL;
}

struct stc_op *stc_queue_any(struct stc_queue *q)
{
    struct stc_op *op = NULL;
    struct stc_worker *w;
    struct cds_list_head withdrawn;

    pthread_mutex_lock(&q->lock);
    stc_queue_sort(q);
    take_withdrawn(q, &withdrawn);
    for (int i = 0; i < 3 && op == NULL; i++)
        op = first_of_users(&q->listed[i]);
    if (op == NULL)
        op = first_of_users(&q->loose);
    cds_list_for_each_entry(w, &q->workers, node)
    {
        if (op == NULL)
            op = first_of_users(&w->inbox);
        if (op == NULL)
            op = first_of_users(&w->urgent);
        if (op == NULL && w->op != NULL && !w->op->internal &&
            !stc_op_is_settled(w->op))
            op = w->op;
    }
    if (op != NULL)
        stc_op_ref(op);
    pthread_mutex_unlock(&q->lock);
    drop_withdrawn(&withdrawn);
    return op;
}

void stc_queue_keep_loose(struct stc_queue *q, struct stc_op *op)
{
    pthread_mutex_lock(&q->lock);
    cds_list_add_tail(&op->listed, &q->loose);
    /* Seen by who claims it later, as its claim is by who looks later. */
    STF_STORE(&op->where, (uint32_t)STC_LOOSE, seq_cst);
    pthread_mutex_unlock(&q->lock);
}

void stc_queue_forget_loose(struct stc_queue *q, struct stc_op *op)
{
    pthread_mutex_lock(&q->lock);
    if (stc_op_where(op) == STC_LOOSE) {
        cds_list_del(&op->listed);
        stc_op_move(op, STC_OUTSIDE);
    }
    pthread_mutex_unlock(&q->lock);
}

void stc_queue_stop(struct stc_queue *q)
{
    struct stc_worker *w;

    pthread_mutex_lock(&q->lock);
    q->stopped = true;
    cds_list_for_each_entry(w, &q->workers, node)
        if (w->is_watcher)
            wake_watcher(w);
    pthread_mutex_unlock(&q->lock);
    wake_all(q);
}

void stc_queue_wake_all(struct stc_queue *q)
{
    wake_all(q);
}
