/* SPDX-License-Identifier: Apache-2.0 */
/* core/keeper.c - deadlines, and seeing a close through. */
#include "core/keeper.h"

#include "core/client.h"
#include "core/op.h"

void stc_keeper_init(struct stc_keeper *k)
{
    pthread_mutex_init(&k->lock, NULL);
}

void stc_keeper_destroy(struct stc_keeper *k)
{
    pthread_mutex_destroy(&k->lock);
}

void stc_keeper_wake(struct stc_keeper *k)
{
    atomic_fetch_add(&k->word, 1);
    stf_futex_wake(&k->word, 1);
}

void stc_keeper_watch(struct stc_keeper *k, struct stc_op *op)
{
    bool is_earliest;

    stc_op_ref(op); /* K1 */
    pthread_mutex_lock(&k->lock);
    is_earliest = stc_deadline_enter(&k->deadlines, &op->deadline);
    pthread_mutex_unlock(&k->lock);
    if (is_earliest)
        stc_keeper_wake(k);
}

void stc_keeper_unwatch(struct stc_keeper *k, struct stc_op *op)
{
    bool was_entered;

    pthread_mutex_lock(&k->lock);
    was_entered = stc_deadline_remove(&k->deadlines, &op->deadline);
    pthread_mutex_unlock(&k->lock);
    if (was_entered)
        stc_op_unref(op);
}

/* The earliest, if its time has come, with the reference of K1; else NULL
 * and `*next` is when to look again. */
static struct stc_op *take_expired(struct stc_keeper *k, int64_t *next)
{
    struct stc_deadline *first;
    struct stc_op *op = NULL;

    pthread_mutex_lock(&k->lock);
    first = k->deadlines.first;
    if (first == NULL) {
        *next = STF_NO_DEADLINE;
    } else if (first->at > stf_now_ns()) {
        *next = first->at;
    } else {
        stc_deadline_remove(&k->deadlines, first);
        op = stf_container_of(first, struct stc_op, deadline);
    }
    pthread_mutex_unlock(&k->lock);
    return op;
}

static int64_t keep_deadlines(struct stc_keeper *k)
{
    struct stc_op *op;
    int64_t next = STF_NO_DEADLINE;

    while ((op = take_expired(k, &next)) != NULL) {
        stc_op_give_up(op, STC_BY_DEADLINE);
        stc_op_unref(op);
    }
    return next;
}

void *stc_keeper_main(void *arg)
{
    stator_client_t *client = arg;
    struct stc_keeper *k = &client->keeper;

    stf_thread()->is_ours = true;
    for (;;) {
        uint32_t word = atomic_load(&k->word); /* K2: before looking */
        int64_t next = keep_deadlines(k);
        int64_t next_of_close = STF_NO_DEADLINE;

        if (stc_close_step(client, &next_of_close))
            break;
        stf_futex_wait(&k->word, word,
                       next < next_of_close ? next : next_of_close);
    }
    stc_client_release(client);
    return NULL;
}
