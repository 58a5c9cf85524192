/* SPDX-License-Identifier: Apache-2.0 */
/* tests/verify/operation.cpp - claim x phase of an operation, O3 of core/op.h.
 *
 *   give_up   claims, then looks at the phase
 *   worker    enters SENT, then looks at the claim
 *
 * So what was sent is never reported as not sent.  The queue, and what it
 * withdraws under its lock, is not part of this. */
#include "tests/verify/relacy.h"

enum { DONE = 1, FAILED = 2, CANCELLED = 3 };
enum { QUEUED, CHECKOUT, SENT, ANSWERED_ };
enum { NOT_SENT = 1, MAYBE_SENT = 2, ANSWERED = 3 };

struct op {
    struct stf_state state;
    STF_ATOMIC(uint32_t) phase;
    rl::var<int> outcome; /* plain, as the result is */
    int claims;           /* seen from outside: */
    bool sent;

    op() : outcome(0), claims(0), sent(false)
    {
        stf_state_init(&state);
        STF_INIT(&phase, (uint32_t)QUEUED);
    }
};

static void enter_phase(struct op *f, int phase)
{
    STF_STORE(&f->phase, (uint32_t)phase, seq_cst); // = futures/future.h
}

static uint32_t phase_of(struct op *f)
{
    uint32_t phase =
        STF_LOAD(&f->phase, seq_cst); // = futures/future.h

    return phase;
}

static bool is_settled(struct op *f)
{
    return stf_state_word_ordered(&f->state) != STF_PENDING;
}

static void finish(struct op *f, uint32_t final, int outcome)
{
    f->claims++;
    f->outcome($) = outcome;
    if (final == DONE)
        enter_phase(f, ANSWERED_);
    if (stf_state_publish(&f->state, final))
        futex_wake(&f->state.word);
}

/* Nothing to withdraw: a worker has it. */
static void give_up(struct op *f, uint32_t final)
{
    bool too_soon = mutated("LOAD &f->phase", EARLY);
    uint32_t phase = too_soon ? phase_of(f) : 0;

    if (!stf_state_claim(&f->state, final))
        return;
    if (!too_soon)
        phase = phase_of(f);
    finish(f, final, phase < SENT ? NOT_SENT : MAYBE_SENT);
}

static void work(struct op *f)
{
    bool too_soon = mutated("STORE &f->phase", EARLY);
    bool settled = false;

    enter_phase(f, CHECKOUT);
    if (is_settled(f))
        return;
    if (too_soon)
        settled = is_settled(f);
    enter_phase(f, SENT);
    if (!too_soon)
        settled = is_settled(f);
    if (!settled)
        f->sent = true;
    else
        enter_phase(f, CHECKOUT);
    if (stf_state_claim(&f->state, DONE))
        finish(f, DONE, ANSWERED);
}

template <int n>
struct phases : rl::test_suite<phases<n>, n> {
    struct op f;

    void thread(unsigned i)
    {
        switch (i) {
        case 0:
            work(&f);
            break;
        case 1:
            give_up(&f, CANCELLED); /* the user */
            break;
        case 2:
            give_up(&f, FAILED); /* the deadline */
            break;
        default:
            if (stf_word_is_final(stf_state_word(&f.state)))
                RL_ASSERT(f.outcome($) != 0);
            break;
        }
    }

    void after()
    {
        int outcome = f.outcome($);

        RL_ASSERT(f.claims == 1);
        if (f.sent)
            RL_ASSERT(outcome != NOT_SENT);
        else
            RL_ASSERT(outcome != ANSWERED);
    }
};

static const struct model models[] = {
    {"phases", rl::simulate<phases<2> >, 2, rl::sched_full, 0, 0},
    {"phases", rl::simulate<phases<3> >, 3, rl::sched_full, 0, 0},
    {"phases", rl::simulate<phases<4> >, 4, rl::sched_bound, 4, 0},
    {"phases", rl::simulate<phases<4> >, 4, rl::sched_random, 0, 500000},
};

static const struct mutant mutants[] = {
    {"claim-acq-rel", "CAS &s->word", WEAKEN, rl::mo_acq_rel, "phases"},
    {"claim-seen-acquire", "LOAD &s->word", WEAKEN, rl::mo_acquire,
     "phases"},
    {"phase-release", "STORE &f->phase", WEAKEN, rl::mo_release, "phases"},
    {"phase-acquire", "LOAD &f->phase", WEAKEN, rl::mo_acquire, "phases"},
    {"phase-read-early", "LOAD &f->phase", EARLY, rl::mo_relaxed, "phases"},
    {"claim-read-early", "STORE &f->phase", EARLY, rl::mo_relaxed, "phases"},
};

int main(int argc, char **argv)
{
    return verify(models, COUNT(models), mutants, COUNT(mutants),
                  argc > 1 ? argv[1] : "/dev/null");
}
