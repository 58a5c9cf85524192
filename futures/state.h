/* SPDX-License-Identifier: Apache-2.0 */
/* futures/state.h - the state machine of a future, and nothing else.
 *
 *              claim (final)             publish
 *   PENDING ------------------> CLAIMED ---------> DONE, FAILED, CANCELLED
 *                               | final
 *
 *   links:  NULL <- link <- link     attach pushes, until close takes them
 *                                    all and leaves the mark CLOSED
 *
 * S1  One claim succeeds, ever.  Who has it writes the result, then
 *     publishes; nobody else writes to the future.
 * S2  The claim already says how the future will settle, so cancel can
 *     answer without waiting for the publication.
 * S3  publish is a release, every look at the state an acquire: who sees a
 *     final state sees the result.
 * S4  A link is handed out exactly once: by close to the settler if its
 *     attach came before, else attach answers false and the attacher acts
 *     itself.  The state is final before close, so an attacher that is
 *     refused sees the result.
 * S5  Sleepers: `waiters` is raised before the state is looked at and read
 *     after the state was written, both sequentially consistent, so no
 *     sleeper is missed.
 *
 * Progress: claim, publish and close are wait-free, attach is lock-free.
 *
 * The atomics are macros, so that the same text can be compiled as C11 and
 * under a model checker. */
#ifndef STF_STATE_H
#define STF_STATE_H

#ifndef STF_ATOMIC
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define STF_ATOMIC(type) _Atomic(type)
#define STF_INIT(object, value) atomic_init(object, value)
#define STF_LOAD(object, order) \
    atomic_load_explicit(object, memory_order_##order)
#define STF_STORE(object, value, order) \
    atomic_store_explicit(object, value, memory_order_##order)
#define STF_EXCHANGE(object, value, order) \
    atomic_exchange_explicit(object, value, memory_order_##order)
#define STF_ADD(object, value, order) \
    atomic_fetch_add_explicit(object, value, memory_order_##order)
#define STF_SUB(object, value, order) \
    atomic_fetch_sub_explicit(object, value, memory_order_##order)
#define STF_CAS(object, expected, value, order)                 \
    atomic_compare_exchange_strong_explicit(object, expected,   \
                                            value,              \
                                            memory_order_##order, \
                                            memory_order_acquire)
#endif

/* The final values are those of stator_future_state_t. */
enum {
    STF_PENDING = 0,
    STF_FINAL_MASK = 3,
    STF_CLAIMED = 4 /* or-ed to the final value it will be */
};

/* Something to be told, once, when a future has settled.  `settled` runs on
 * the settling (or the attaching) thread: short, no lock held, and no code
 * of a user's. */
struct stf_link {
    struct stf_link *next;
    void (*settled)(struct stf_link *link);
};

struct stf_state {
    STF_ATOMIC(uint32_t) word; /* also what sleepers sleep on */
    STF_ATOMIC(uint32_t) waiters;
    STF_ATOMIC(struct stf_link *) links;
};

#define STF_CLOSED ((struct stf_link *)(uintptr_t)1)

static inline void stf_state_init(struct stf_state *s)
{
    STF_INIT(&s->word, (uint32_t)STF_PENDING);
    STF_INIT(&s->waiters, 0u);
    STF_INIT(&s->links, (struct stf_link *)NULL);
}

static inline bool stf_word_is_final(uint32_t word)
{
    return word != STF_PENDING && (word & STF_CLAIMED) == 0;
}

static inline uint32_t stf_state_word(const struct stf_state *s)
{
    return STF_LOAD(&s->word, acquire);
}

/* Sequentially consistent, for those who publish "about to begin" and then
 * look at the state, while a claimer looks for that after its claim. */
static inline uint32_t stf_state_word_ordered(const struct stf_state *s)
{
    return STF_LOAD(&s->word, seq_cst);
}

static inline bool stf_state_claim(struct stf_state *s, uint32_t final)
{
    uint32_t expected = STF_PENDING;

    return STF_CAS(&s->word, &expected, final | STF_CLAIMED, seq_cst);
}

/* Answers whether somebody sleeps on the word. */
static inline bool stf_state_publish(struct stf_state *s, uint32_t final)
{
    STF_STORE(&s->word, final, seq_cst);
    return STF_LOAD(&s->waiters, seq_cst) != 0;
}

static inline bool stf_state_attach(struct stf_state *s,
                                    struct stf_link *link)
{
    struct stf_link *head = STF_LOAD(&s->links, acquire);

    do {
        if (head == STF_CLOSED)
            return false;
        link->next = head;
    } while (!STF_CAS(&s->links, &head, link, acq_rel));
    return true;
}

/* All links, in the order in which they were attached. */
static inline struct stf_link *stf_state_close(struct stf_state *s)
{
    struct stf_link *link = STF_EXCHANGE(&s->links, STF_CLOSED, acq_rel);
    struct stf_link *first = NULL;

    while (link != NULL) {
        struct stf_link *next = link->next;

        link->next = first;
        first = link;
        link = next;
    }
    return first;
}

#endif /* STF_STATE_H */
