/* SPDX-License-Identifier: Apache-2.0 */
/* tests/verify/relacy.h - futures/state.h, the very text, over the atomics of
 * the model checker Relacy; and the mutants, which change one place of it.
 *
 *   model      threads that do with a state what the library does with it,
 *              and what has to hold then
 *   mutant     one atomic operation, weaker or in two steps; the model named
 *              with it has to notice
 *
 * A place is named by the operation and its operand as they are written:
 * "CAS &s->word" is the claim.  A line that ends in "// = file" stands in
 * that file too, in a line of it: tests/verify/run compares them. */
#ifndef VERIFY_RELACY_H
#define VERIFY_RELACY_H

#include <fstream>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <relacy/relacy.hpp>

/* ---- mutants ----------------------------------------------------- */

enum how {
    WEAKEN,    /* another memory order */
    TWO_STEPS, /* a load and a store for one atomic operation */
    BLIND,     /* a compare-exchange that does not compare */
    EARLY      /* what is to be read afterwards is read before */
};

struct mutant {
    const char *name;
    const char *place;
    enum how how;
    rl::memory_order order; /* of WEAKEN */
    const char *model;
};

static const struct mutant *mutant; /* the one in force, or NULL */

static inline bool mutated(const char *place, enum how how)
{
    return mutant != NULL && mutant->how == how &&
           strcmp(mutant->place, place) == 0;
}

static inline rl::memory_order order_at(const char *place,
                                        rl::memory_order order)
{
    return mutated(place, WEAKEN) ? mutant->order : order;
}

/* ---- the atomics ------------------------------------------------- */

static uint32_t early[8]; /* of each thread, for EARLY at the word */
static uint32_t waiters_beside(const rl::atomic<uint32_t> *word);

static inline void read_early(const rl::atomic<uint32_t> *word)
{
    early[rl::thread_index()] = waiters_beside(word);
}

template <class T>
static T load_at(const char *place, const rl::atomic<T> *object,
                 rl::memory_order order, rl::debug_info_param info)
{
    if (mutated("STORE &s->word", EARLY) &&
        strcmp(place, "LOAD &s->waiters") == 0)
        return (T)(uintptr_t)early[rl::thread_index()];
    return object->load(order_at(place, order), info);
}

template <class T>
static void store_at(const char *place, rl::atomic<T> *object, T value,
                     rl::memory_order order, rl::debug_info_param info)
{
    if (mutated(place, EARLY) && strcmp(place, "STORE &s->word") == 0)
        read_early(object);
    object->store(value, order_at(place, order), info);
}

template <class T>
static T exchange_at(const char *place, rl::atomic<T> *object, T value,
                     rl::memory_order order, rl::debug_info_param info)
{
    if (mutated(place, TWO_STEPS)) {
        T old = object->load(rl::mo_acquire, info);

        object->store(value, rl::mo_release, info);
        return old;
    }
    return object->exchange(value, order_at(place, order), info);
}

template <class T>
static T add_at(const char *place, rl::atomic<T> *object, T value,
                rl::memory_order order, rl::debug_info_param info)
{
    return object->fetch_add(value, order_at(place, order), info);
}

template <class T>
static T sub_at(const char *place, rl::atomic<T> *object, T value,
                rl::memory_order order, rl::debug_info_param info)
{
    if (mutated(place, TWO_STEPS)) {
        T old = object->load(rl::mo_acquire, info);

        object->store(old - value, rl::mo_release, info);
        return old;
    }
    return object->fetch_sub(value, order_at(place, order), info);
}

template <class T>
static bool cas_at(const char *place, rl::atomic<T> *object, T *expected,
                   T value, rl::memory_order order, rl::debug_info_param info)
{
    if (mutated(place, BLIND)) {
        object->store(value, rl::mo_release, info);
        return true;
    }
    if (mutated(place, TWO_STEPS)) {
        T old = object->load(rl::mo_seq_cst, info);

        if (old != *expected) {
            *expected = old;
            return false;
        }
        object->store(value, rl::mo_seq_cst, info);
        return true;
    }
    order = order_at(place, order);
    return object->compare_exchange_strong(
        *expected, value, order, info,
        order == rl::mo_relaxed || order == rl::mo_release ? rl::mo_relaxed
                                                           : rl::mo_acquire,
        info);
}

#define STF_ATOMIC(type) rl::atomic<type>
#define STF_INIT(object, value) (object)->store(value, rl::mo_relaxed, $)
#define STF_LOAD(object, order) \
    load_at("LOAD " #object, object, rl::mo_##order, $)
#define STF_STORE(object, value, order) \
    store_at("STORE " #object, object, value, rl::mo_##order, $)
#define STF_EXCHANGE(object, value, order) \
    exchange_at("EXCHANGE " #object, object, value, rl::mo_##order, $)
#define STF_ADD(object, value, order) \
    add_at("ADD " #object, object, value, rl::mo_##order, $)
#define STF_SUB(object, value, order) \
    sub_at("SUB " #object, object, value, rl::mo_##order, $)
#define STF_CAS(object, expected, value, order) \
    cas_at("CAS " #object, object, expected, value, rl::mo_##order, $)

#include "futures/state.h"

static uint32_t waiters_beside(const rl::atomic<uint32_t> *word)
{
    /* The word is the first member of a state. */
    const struct stf_state *s = (const struct stf_state *)(const void *)word;

    return s->waiters.load(rl::mo_seq_cst, $);
}

/* ---- the futex ---------------------------------------------------- */

enum { UNTIMED = 0, TIMED = 1 };

/* The kernel compares and goes to sleep in one step.  Its look is ordered as
 * any other: what is in another core's store buffer it does not see.
 * Answers whether the time ran out. */
static inline bool futex_wait(rl::atomic<uint32_t> *word, uint32_t value,
                              bool timed)
{
    rl::context &c = rl::ctx();

    /* Relacy switches threads before a load, and not before a wait. */
    if (word->load(rl::mo_seq_cst, $) != value)
        return false;
    return word->wait(c, timed, c.is_random_sched(), $) ==
           rl::unpark_reason_timeout;
}

static inline void futex_wake(rl::atomic<uint32_t> *word)
{
    rl::context &c = rl::ctx();

    c.sched();
    word->wake(c, 8, $);
}

/* ---- running ----------------------------------------------------- */

struct model {
    const char *name;
    bool (*simulate)(rl::test_params &);
    int threads;
    rl::scheduler_type_e search;
    unsigned bound;  /* of involuntary switches, when bound */
    unsigned random; /* iterations, when random */
};

static inline rl::test_result_e simulate(const struct model *m,
                                         rl::test_params &params,
                                         std::ostream &log)
{
    static std::ostream nowhere(NULL);

    params.search_type = m->search;
    params.context_bound = m->bound;
    params.iteration_count = m->random;
    params.output_stream = &log;
    params.progress_stream = &nowhere;
    m->simulate(params);
    log.flush();
    return params.test_result;
}

static inline const char *name_of(const struct model *m)
{
    static char bound[32];

    switch (m->search) {
    case rl::sched_full:
        return "all";
    case rl::sched_bound:
        snprintf(bound, sizeof bound, "<= %u switches", m->bound);
        return bound;
    default:
        return "random";
    }
}

/* All models hold, and each mutant is found by the models of its name.  The
 * histories go into `path`. */
static inline int verify(const struct model *models, size_t n_models,
                         const struct mutant *mutants, size_t n_mutants,
                         const char *path)
{
    std::ofstream log(path);
    int bad = 0;

    for (size_t i = 0; i < n_models; i++) {
        rl::test_params params;
        rl::test_result_e result = simulate(&models[i], params, log);
        bool ok = result == rl::test_result_success;

        printf("  %-5s %-12s %d threads  %-14s %9llu runs  %s\n",
               ok ? "ok" : "FAIL", models[i].name, models[i].threads,
               name_of(&models[i]), (unsigned long long)params.stop_iteration,
               ok ? "holds" : rl::test_result_str(result));
        fflush(stdout);
        bad += !ok;
    }
    for (size_t i = 0; i < n_mutants; i++) {
        rl::test_result_e result = rl::test_result_success;
        unsigned long long runs = 0;

        mutant = &mutants[i];
        for (size_t k = 0; k < n_models; k++) {
            rl::test_params params;

            if (strcmp(models[k].name, mutant->model) != 0)
                continue;
            result = simulate(&models[k], params, log);
            runs += params.stop_iteration;
            if (result != rl::test_result_success)
                break;
        }
        printf("  %-5s %-20s %-12s %10llu runs  %s\n",
               result == rl::test_result_success ? "FAIL" : "ok",
               mutant->name, mutant->model, runs,
               result == rl::test_result_success
                   ? "SURVIVES"
                   : rl::test_result_str(result));
        fflush(stdout);
        bad += result == rl::test_result_success;
    }
    mutant = NULL;
    if (bad != 0)
        printf("  %d of it wrong; the histories: %s\n", bad, path);
    return bad != 0;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif /* VERIFY_RELACY_H */
