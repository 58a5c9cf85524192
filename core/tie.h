/* SPDX-License-Identifier: Apache-2.0 */
/* core/tie.h - what leases and sessions have in common: they are counted, and
 * found by a number, which is how the opts of an operation name them.
 *
 *   refs     whoever needs it alive: operations, cursors, results of futures,
 *            and all handles together; with the last one it ends
 *   handles  the user's; while there is one, the client stays open
 *
 * T1  Found is only what is alive: with the last reference it leaves the
 *     client's lists, under the client's lock.
 * T2  The numbers of one client are not those of another one (but for a
 *     chance of one in two thousand millions), so that a foreign one is told
 *     apart. */
#ifndef STC_TIE_H
#define STC_TIE_H

#include <stdatomic.h>

#include <urcu/list.h>

#include "core/core.h"

enum stc_tie_kind { STC_LEASE, STC_SESSION, STC_TIE_KINDS };

struct stc_tie {
    atomic_uint refs;
    enum stc_tie_kind kind;
    stator_client_t *client; /* its memory, held by who embeds this */
    int64_t id;
    int64_t made;     /* when, for the list of what leaked */
    const void *site; /* where, likewise */
    /* Under the client's lock: */
    struct cds_list_head in_all;
    struct cds_list_head in_bucket;
    unsigned round;
    unsigned n_handles;
    bool keeps_open; /* the handles have a reference on the client */
    bool was_named;  /* in that list */
};

enum { STC_TIE_BUCKETS = 64 };

struct stc_ties { /* of a client, under its lock */
    struct cds_list_head all[STC_TIE_KINDS];
    struct cds_list_head buckets[STC_TIE_BUCKETS];
    int64_t last_id;
    int64_t n[STC_TIE_KINDS];
};

void stc_ties_init(struct stc_ties *ties, const stator_client_t *client);

/* One reference, a number; it can be found from now on. */
void stc_tie_enter(struct stc_tie *tie, enum stc_tie_kind kind,
                   stator_client_t *client);
/* The last reference has gone. */
void stc_tie_leave(struct stc_tie *tie);

static inline void stc_tie_ref(struct stc_tie *tie)
{
    atomic_fetch_add_explicit(&tie->refs, 1, memory_order_relaxed);
}

/* Answers whether it was the last one. */
static inline bool stc_tie_unref(struct stc_tie *tie)
{
    return atomic_fetch_sub_explicit(&tie->refs, 1, memory_order_acq_rel) == 1;
}

/* With a reference; NULL: there is none such. */
struct stc_tie *stc_tie_find(stator_client_t *client, enum stc_tie_kind kind,
                             int64_t id);
/* For a walk over all: each once a round, with a reference. */
unsigned stc_ties_new_round(stator_client_t *client);
struct stc_tie *stc_ties_next(stator_client_t *client, enum stc_tie_kind kind,
                              unsigned round);

/* One more handle, by who has a reference or a handle: the first one takes a
 * reference of its own, and one on the client, if that still has any. */
void stc_tie_add_handle(struct stc_tie *tie);
/* Answers whether it was the last one: then the handles' reference is the
 * caller's to drop. */
bool stc_tie_drop_handle(struct stc_tie *tie);
/* The client is closing and the user has not given it back: name it. */
void stc_tie_name(struct stc_tie *tie, const char *what);

#endif /* STC_TIE_H */
