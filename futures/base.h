/* SPDX-License-Identifier: Apache-2.0 */
/* futures/base.h - the clock, forks and what this thread is: the little that
 * both futures and core stand on. */
#ifndef STF_BASE_H
#define STF_BASE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <stator/dispatcher.h>

#define stf_container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define STF_NO_DEADLINE INT64_MAX

/* Nanoseconds on CLOCK_MONOTONIC. */
static inline int64_t stf_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The instant `timeout_ms` from now; negative, or beyond the clock:
 * STF_NO_DEADLINE. */
int64_t stf_deadline_after_ms(int64_t timeout_ms);

static inline bool stf_is_late(int64_t deadline_ns)
{
    return deadline_ns != STF_NO_DEADLINE && stf_now_ns() >= deadline_ns;
}

/* What is left until `deadline_ns` as milliseconds for poll(2), rounded up;
 * -1 for STF_NO_DEADLINE, 0 when it has passed. */
int stf_poll_timeout(int64_t deadline_ns);

/* ---- forks: a number that a child finds changed ------------------ */

/* How many forks lie between the first process and this one.  A handle
 * keeps the number it was made under; another number now: it is inherited,
 * and nothing of it may be locked, written or waited for. */
uint32_t stf_generation(void);

/* ---- what this thread is: the one thread-local of the library ---- */

struct stf_dispatching { /* on the stack of each dispatch under way */
    const stator_dispatcher_t *dispatcher;
    const struct stf_dispatching *outer;
};

struct stf_thread {
    bool is_ours; /* a worker or a keeper: it must never wait */
    const struct stf_dispatching *dispatching;
    void *context; /* the user's, of the operation that a worker serves */
    stator_future_t *settling; /* see publish in future.c */
    stator_future_t **settling_last;
};

struct stf_thread *stf_thread(void);

/* ---- sleeping on a word ------------------------------------------ */

/* Sleep while `*word` is `value`, until `deadline_ns`.  Can return early. */
void stf_futex_wait(const void *word, uint32_t value, int64_t deadline_ns);
void stf_futex_wake(const void *word, int count);

#endif /* STF_BASE_H */
