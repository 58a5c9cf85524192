/* SPDX-License-Identifier: Apache-2.0 */
/* tests/verify/future.cpp - complete x cancel x attach x free x wait.
 *
 *   claims   some settle, one looks: one claim; a loser knows how it ends;
 *            who sees a final state sees the result (S1 to S3)
 *   links    some settle, some attach: each link is told once, after the
 *            result, those of one thread in their order (S4)
 *   sleep    one settles, some wait: nobody sleeps for ever (S5)
 *   timed    the same, but one wait can run out
 *   life     all of it at once, on the heap: freed once, by the last, and
 *            not touched afterwards */
#include "tests/verify/relacy.h"

enum { DONE = 1, FAILED = 2, CANCELLED = 3 };

/* What stator_future is to its state machine. */
struct future {
    struct stf_state state;
    STF_ATOMIC(uint32_t) refs;
    rl::var<uint32_t> result; /* a plain field: who has the claim writes it */
    int claims;               /* seen from outside: */
    uint32_t final;
    int told;
    int freed;

    future() : result(0u), claims(0), final(0), told(0), freed(0)
    {
        stf_state_init(&state);
        STF_INIT(&refs, 1u);
    }
};

struct link {
    struct stf_link link; /* first */
    struct future *f;
    rl::var<int> payload;
    int told; /* how often */
    int turn; /* as which */
};

static bool settle(struct future *f, uint32_t final)
{
    struct stf_link *link;
    bool won =
        stf_state_claim(&f->state, (uint32_t)final); // = futures/future.c

    if (!won)
        return false;
    f->claims++;
    f->final = final;
    f->result($) = final;
    if (stf_state_publish(&f->state, (uint32_t)final)) // = futures/future.c
        futex_wake(&f->state.word);
    link = stf_state_close(&f->state);
    while (link != NULL) { // = futures/future.c
        struct stf_link *next = link->next; // = futures/future.c

        link->settled(link); // = futures/future.c
        link = next; // = futures/future.c
    }
    return true;
}

/* Of somebody who sees it settled. */
static void see(struct future *f)
{
    uint32_t word = stf_state_word(&f->state);

    RL_ASSERT(stf_word_is_final(word));
    RL_ASSERT(word == f->final);
    RL_ASSERT(f->result($) == word);
}

static void told(struct stf_link *of)
{
    struct link *l = (struct link *)(void *)of;

    see(l->f);
    RL_ASSERT(l->payload($) == 7);
    l->turn = l->f->told++;
    l->told++;
}

static bool attach(struct future *f, struct link *l)
{
    l->f = f;
    l->link.settled = told;
    l->told = 0;
    l->payload($) = 7;
    if (stf_state_attach(&f->state, &l->link))
        return true;
    l->link.settled(&l->link);
    return false;
}

static bool wait(struct future *f, bool timed)
{
    bool late = false;
    uint32_t word;

    STF_ADD(&f->state.waiters, 1u, seq_cst); // = futures/wait.c
    for (;;) {
        word = stf_state_word_ordered(&f->state); // = futures/wait.c
        if (stf_word_is_final(word)) // = futures/wait.c
            break;
        if (late)
            break;
        late = futex_wait(&f->state.word, word, timed);
    }
    STF_SUB(&f->state.waiters, 1u, relaxed); // = futures/wait.c
    return stf_word_is_final(word);
}

static struct future *ref(struct future *f)
{
    STF_ADD(&f->refs, 1u, relaxed); // = futures/future.c
    return f;
}

static void unref(struct future *f, int *freed)
{
    bool others =
        STF_SUB(&f->refs, 1u, acq_rel) != 1; // = futures/future.c

    if (others)
        return;
    f->result($) = 99; /* as free does: a race with who reads it still */
    (*freed)++;
    delete f;
}

/* ---- models ------------------------------------------------------ */

template <int settlers>
struct claims : rl::test_suite<claims<settlers>, settlers + 1> {
    struct future f;

    void thread(unsigned i)
    {
        uint32_t word;

        if (i < settlers) {
            bool won = settle(&f, i + 1);

            word = stf_state_word(&f.state);
            RL_ASSERT(word != STF_PENDING);
            RL_ASSERT((word & STF_FINAL_MASK) == f.final);
            RL_ASSERT(won == (f.final == i + 1));
        } else {
            word = stf_state_word(&f.state);
        }
        if (stf_word_is_final(word))
            see(&f);
    }

    void after()
    {
        RL_ASSERT(f.claims == 1);
        see(&f);
    }
};

/* The threads attach two, settle, attach one, settle. */
template <int n>
struct links : rl::test_suite<links<n>, n> {
    struct future f;
    struct link a, b, c;
    bool a_attached, b_attached;

    void thread(unsigned i)
    {
        switch (i) {
        case 0:
            a_attached = attach(&f, &a);
            b_attached = attach(&f, &b);
            break;
        case 1:
            settle(&f, DONE);
            break;
        case 2:
            attach(&f, &c);
            break;
        default:
            settle(&f, CANCELLED);
            break;
        }
    }

    void after()
    {
        RL_ASSERT(f.claims == 1);
        RL_ASSERT(a.told == 1 && b.told == 1);
        RL_ASSERT(n < 3 || c.told == 1);
        RL_ASSERT(a_attached || !b_attached);
        if (b_attached)
            RL_ASSERT(a.turn < b.turn);
        RL_ASSERT(STF_LOAD(&f.state.links, acquire) == STF_CLOSED);
    }
};

template <int sleepers>
struct sleeping : rl::test_suite<sleeping<sleepers>, sleepers + 1> {
    struct future f;

    void thread(unsigned i)
    {
        if (i == 0) {
            settle(&f, DONE);
        } else {
            RL_ASSERT(wait(&f, UNTIMED));
            see(&f);
        }
    }

    void after()
    {
        RL_ASSERT(STF_LOAD(&f.state.waiters, acquire) == 0);
    }
};

struct timed : rl::test_suite<timed, 3> {
    struct future f;

    void thread(unsigned i)
    {
        if (i == 0)
            settle(&f, FAILED);
        else if (wait(&f, i == 2 ? TIMED : UNTIMED))
            see(&f);
        else
            RL_ASSERT(i == 2);
    }

    void after()
    {
        RL_ASSERT(STF_LOAD(&f.state.waiters, acquire) == 0);
    }
};

struct life : rl::test_suite<life, 5> {
    struct future *f;
    int freed;
    int continued;

    struct held { /* a continuation: it holds a reference, and is freed */
        struct stf_link link;
        struct life *life;
        rl::var<int> payload;
    };

    static void continued_(struct stf_link *of)
    {
        struct held *h = (struct held *)(void *)of;
        struct life *l = h->life;

        see(l->f);
        RL_ASSERT(h->payload($) == 7);
        l->continued++;
        delete h;
        unref(l->f, &l->freed);
    }

    void before()
    {
        freed = continued = 0;
        f = new struct future;
        for (int i = 1; i < 5; i++)
            ref(f);
    }

    void thread(unsigned i)
    {
        struct held *h;

        switch (i) {
        case 0:
            settle(f, DONE);
            break;
        case 1:
            settle(f, CANCELLED);
            break;
        case 2:
            h = new struct held;
            h->life = this;
            h->link.settled = continued_;
            h->payload($) = 7;
            ref(f);
            if (!stf_state_attach(&f->state, &h->link))
                h->link.settled(&h->link);
            break;
        case 3:
            RL_ASSERT(wait(f, UNTIMED));
            see(f);
            break;
        default: /* only lets go */
            if (stf_word_is_final(stf_state_word(&f->state)))
                see(f);
            break;
        }
        unref(f, &freed);
    }

    void after()
    {
        RL_ASSERT(freed == 1);
        RL_ASSERT(continued == 1);
    }
};

static const struct model models[] = {
    {"claims", rl::simulate<claims<2> >, 3, rl::sched_full, 0, 0},
    {"claims", rl::simulate<claims<3> >, 4, rl::sched_bound, 4, 0},
    {"claims", rl::simulate<claims<3> >, 4, rl::sched_random, 0, 500000},
    {"links", rl::simulate<links<2> >, 2, rl::sched_full, 0, 0},
    {"links", rl::simulate<links<4> >, 4, rl::sched_bound, 4, 0},
    {"links", rl::simulate<links<4> >, 4, rl::sched_random, 0, 500000},
    {"sleep", rl::simulate<sleeping<1> >, 2, rl::sched_full, 0, 0},
    {"sleep", rl::simulate<sleeping<2> >, 3, rl::sched_bound, 6, 0},
    {"sleep", rl::simulate<sleeping<2> >, 3, rl::sched_random, 0, 500000},
    {"timed", rl::simulate<timed>, 3, rl::sched_bound, 4, 0},
    {"timed", rl::simulate<timed>, 3, rl::sched_random, 0, 500000},
    {"life", rl::simulate<life>, 5, rl::sched_bound, 2, 0},
    {"life", rl::simulate<life>, 5, rl::sched_random, 0, 1000000},
};

static const struct mutant mutants[] = {
    {"claim-in-two-steps", "CAS &s->word", TWO_STEPS, rl::mo_relaxed,
     "claims"},
    {"publish-relaxed", "STORE &s->word", WEAKEN, rl::mo_relaxed, "claims"},
    {"look-relaxed", "LOAD &s->word", WEAKEN, rl::mo_relaxed, "claims"},
    {"attach-blind", "CAS &s->links", BLIND, rl::mo_relaxed, "links"},
    {"attach-relaxed", "CAS &s->links", WEAKEN, rl::mo_relaxed, "links"},
    {"close-in-two-steps", "EXCHANGE &s->links", TWO_STEPS, rl::mo_relaxed,
     "links"},
    {"close-relaxed", "EXCHANGE &s->links", WEAKEN, rl::mo_relaxed, "links"},
    {"publish-release", "STORE &s->word", WEAKEN, rl::mo_release, "sleep"},
    {"waiters-acquire", "LOAD &s->waiters", WEAKEN, rl::mo_acquire, "sleep"},
    {"waiters-read-early", "STORE &s->word", EARLY, rl::mo_relaxed, "sleep"},
    {"sleeper-relaxed", "ADD &f->state.waiters", WEAKEN, rl::mo_relaxed,
     "sleep"},
    {"unref-relaxed", "SUB &f->refs", WEAKEN, rl::mo_relaxed, "life"},
    {"unref-in-two-steps", "SUB &f->refs", TWO_STEPS, rl::mo_relaxed, "life"},
};

int main(int argc, char **argv)
{
    return verify(models, COUNT(models), mutants, COUNT(mutants),
                  argc > 1 ? argv[1] : "/dev/null");
}
