/* SPDX-License-Identifier: Apache-2.0 */
/* futures/wait.c - sleeping until a future settles, and seeing beforehand
 * that it never could.
 *
 * The search: from the future that is waited for along "can only settle if"
 * to a dispatch that this very thread is in.  It is bounded, and blind for
 * what other threads will do later: what it answers is certain at the time,
 * what it overlooks is said in future.h. */
#include <errno.h>

#include "futures/base.h"
#include "futures/future.h"

enum { WALK_VISITS = 1000000, WALK_DEPTH = 1000 };

bool stf_needs(stator_future_t *f, struct stf_walk *walk)
{
    bool answer = false;

    if (walk->depth == WALK_DEPTH)
        return false;
    walk->depth++;
    stator_future_ref(f);
    while (f != NULL && !answer) {
        stator_future_t *next = NULL;

        if (f == walk->future)
            answer = true;
        else if (f->kind != NULL && f->kind->needs != NULL &&
                 stator_future_poll(f) == STATOR_FUTURE_PENDING &&
                 walk->visits++ < WALK_VISITS)
            answer = f->kind->needs(f, walk, &next);
        stator_future_unref(f);
        f = next;
    }
    stator_future_unref(f);
    walk->depth--;
    return answer;
}

static bool would_deadlock(stator_future_t *f)
{
    const struct stf_thread *thread = stf_thread();

    if (thread->is_ours)
        return true;
    for (const struct stf_dispatching *d = thread->dispatching; d != NULL;
         d = d->outer) {
        struct stf_walk walk = {.dispatcher = d->dispatcher};

        if (stf_needs(f, &walk))
            return true;
    }
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
    if (would_deadlock(f))
        return EDEADLK;
    if (timeout_ms == 0)
        return ETIMEDOUT;
    deadline = stf_deadline_after_ms(timeout_ms);

    STF_ADD(&f->state.waiters, 1u, seq_cst);
    for (;;) {
        word = stf_state_word_ordered(&f->state);
        if (stf_word_is_final(word))
            break;
        if (deadline != STF_NO_DEADLINE && stf_now_ns() >= deadline)
            break;
        stf_futex_wait(&f->state.word, word, deadline);
    }
    STF_SUB(&f->state.waiters, 1u, relaxed);
    return stf_word_is_final(word) ? 0 : ETIMEDOUT;
}
