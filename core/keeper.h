/* SPDX-License-Identifier: Apache-2.0 */
/* core/keeper.h - the one thread of a client that never blocks in the
 * driver: it keeps deadlines while all workers are busy, and sees a close
 * through.
 *
 * K1  `deadlines` and the `entered` of its nodes change under `lock`.  Who
 *     enters a deadline gives it a reference on the operation; who takes it
 *     out drops that.
 * K2  The keeper sleeps on `word` until the earliest deadline; whoever
 *     brings a nearer one, or news for a close, changes the word first.
 * K3  It calls no code of a user's. */
#ifndef STC_KEEPER_H
#define STC_KEEPER_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/deadline.h"

struct stc_op;

struct stc_keeper {
    pthread_mutex_t lock;
    struct stc_deadlines deadlines;
    atomic_uint word;
};

void stc_keeper_init(struct stc_keeper *k);
void stc_keeper_destroy(struct stc_keeper *k);
void stc_keeper_watch(struct stc_keeper *k, struct stc_op *op);
void stc_keeper_unwatch(struct stc_keeper *k, struct stc_op *op);
void stc_keeper_wake(struct stc_keeper *k);

/* The thread's function; `arg` is a stator_client_t. */
void *stc_keeper_main(void *arg);

#endif /* STC_KEEPER_H */
