/* SPDX-License-Identifier: Apache-2.0 */
/* futures/wait.c - sleeping until a future settles. */
#include <errno.h>

#include "futures/base.h"
#include "futures/future.h"

bool stf_would_deadlock(stator_future_t *f,
                        const struct stf_dispatching *within)
{
    if (stf_thread()->is_ours)
        return true;
    for (const struct stf_dispatching *d = within; d != NULL; d = d->outer)
        if (stf_needs(f, d->dispatcher, NULL))
            return true;
    return false;
}

int stator_future_wait(stator_future_t *f, int64_t timeout_ms)
{
    int64_t deadline;
    uint32_t word;

    if (f == NULL)
        return EINVAL;
    if (stator_future_poll(f) != STATOR_FUTURE_PENDING)
        return 0;
    if (stf_would_deadlock(f, stf_thread()->dispatching))
        return EDEADLK;
    if (timeout_ms == 0)
        return ETIMEDOUT;
    deadline = stf_deadline_after_ms(timeout_ms);

    STF_ADD(&f->state.waiters, 1u, seq_cst);
    for (;;) {
        word = stf_state_word_ordered(&f->state);
        if (stf_word_is_final(word))
            break;
        if (stf_is_late(deadline))
            break;
        stf_futex_wait(&f->state.word, word, deadline);
    }
    STF_SUB(&f->state.waiters, 1u, relaxed);
    return stf_word_is_final(word) ? 0 : ETIMEDOUT;
}
