/* SPDX-License-Identifier: Apache-2.0 */
/* futures/awaited.c - the one future that another waits for. */
#include "futures/awaited.h"

void stf_awaited_init(struct stf_awaited *a, stator_future_t *future)
{
    pthread_mutex_init(&a->lock, NULL);
    a->future = future;
}

void stf_awaited_destroy(struct stf_awaited *a)
{
    stator_future_unref(a->future);
    pthread_mutex_destroy(&a->lock);
}

stator_future_t *stf_awaited_swap(struct stf_awaited *a,
                                  stator_future_t *next)
{
    stator_future_t *before;

    pthread_mutex_lock(&a->lock);
    before = a->future;
    a->future = next;
    pthread_mutex_unlock(&a->lock);
    return before;
}

stator_future_t *stf_awaited_ref(struct stf_awaited *a)
{
    stator_future_t *f;

    pthread_mutex_lock(&a->lock);
    f = stator_future_ref(a->future);
    pthread_mutex_unlock(&a->lock);
    return f;
}

void stf_awaited_cancel(struct stf_awaited *a)
{
    stator_future_t *f = stf_awaited_swap(a, NULL);

    stator_future_cancel(f);
    stator_future_unref(f);
}
