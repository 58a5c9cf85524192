/* SPDX-License-Identifier: Apache-2.0 */
/* core/tie.c - leases and sessions: counted, numbered, found. */
#include "core/tie.h"

#include "core/client.h"
#include "futures/base.h"

static uint64_t mixed(uint64_t x)
{
    x ^= x >> 31;
    x *= 0x7fb5d329728ea185u;
    x ^= x >> 27;
    x *= 0x81dadef4bc2dd44du;
    return x ^ x >> 33;
}

void stc_ties_init(struct stc_ties *ties, const stator_client_t *client)
{
    uint64_t where = (uint64_t)(uintptr_t)client;

    for (int i = 0; i < STC_TIE_KINDS; i++)
        CDS_INIT_LIST_HEAD(&ties->all[i]);
    for (int i = 0; i < STC_TIE_BUCKETS; i++)
        CDS_INIT_LIST_HEAD(&ties->buckets[i]);
    /* T2: 31 bits of the client, then a counter.  No number is one of the
     * driver's, which have 32 bits. */
    ties->last_id = (int64_t)(mixed(where ^ (uint64_t)stf_now_ns()) >> 33 |
                              1) << 32;
}

static struct cds_list_head *bucket(stator_client_t *client, int64_t id)
{
    return &client->ties.buckets[(uint64_t)id % STC_TIE_BUCKETS];
}

void stc_tie_enter(struct stc_tie *tie, enum stc_tie_kind kind,
                   stator_client_t *client)
{
    atomic_init(&tie->refs, 1);
    tie->kind = kind;
    tie->client = client;
    tie->made = stf_now_ns();
    pthread_mutex_lock(&client->lock);
    tie->id = ++client->ties.last_id;
    tie->round = client->round;
    cds_list_add_tail(&tie->in_all, &client->ties.all[kind]);
    cds_list_add(&tie->in_bucket, bucket(client, tie->id));
    client->ties.n[kind]++;
    pthread_mutex_unlock(&client->lock);
}

void stc_tie_leave(struct stc_tie *tie)
{
    stator_client_t *client = tie->client;

    pthread_mutex_lock(&client->lock);
    cds_list_del(&tie->in_all);
    cds_list_del(&tie->in_bucket);
    client->ties.n[tie->kind]--;
    pthread_mutex_unlock(&client->lock);
}

static bool ref_if_alive(struct stc_tie *tie)
{
    unsigned refs = atomic_load(&tie->refs);

    while (refs != 0)
        if (atomic_compare_exchange_weak(&tie->refs, &refs, refs + 1))
            return true;
    return false;
}

struct stc_tie *stc_tie_find(stator_client_t *client, enum stc_tie_kind kind,
                             int64_t id)
{
    struct stc_tie *tie, *found = NULL;

    pthread_mutex_lock(&client->lock);
    cds_list_for_each_entry(tie, bucket(client, id), in_bucket)
        if (tie->id == id && tie->kind == kind && ref_if_alive(tie)) {
            found = tie;
            break;
        }
    pthread_mutex_unlock(&client->lock);
    return found;
}

unsigned stc_ties_new_round(stator_client_t *client)
{
    unsigned round;

    pthread_mutex_lock(&client->lock);
    round = ++client->round;
    pthread_mutex_unlock(&client->lock);
    return round;
}

/* Who was met goes to the end, so the walk is over at the first such. */
struct stc_tie *stc_ties_next(stator_client_t *client, enum stc_tie_kind kind,
                              unsigned round)
{
    struct stc_tie *tie, *found = NULL;

    pthread_mutex_lock(&client->lock);
    cds_list_for_each_entry(tie, &client->ties.all[kind], in_all)
    {
        if (tie->round == round)
            break;
        if (ref_if_alive(tie)) {
            found = tie;
            break;
        }
    }
    if (found != NULL) {
        found->round = round;
        cds_list_del(&found->in_all);
        cds_list_add_tail(&found->in_all, &client->ties.all[kind]);
    }
    pthread_mutex_unlock(&client->lock);
    return found;
}

/* ---- handles ----------------------------------------------------- */

void stc_tie_add_handle(struct stc_tie *tie)
{
    stator_client_t *client = tie->client;

    if (stc_client_is_inherited(client))
        return; /* the handles are the parent's */
    pthread_mutex_lock(&client->lock);
    if (tie->n_handles++ == 0) {
        stc_tie_ref(tie);
        tie->keeps_open = stc_client_ref_if_open(client);
    }
    pthread_mutex_unlock(&client->lock);
}

bool stc_tie_drop_handle(struct stc_tie *tie)
{
    stator_client_t *client = tie->client;
    bool is_last, kept_open;

    if (stc_client_is_inherited(client))
        return false;
    pthread_mutex_lock(&client->lock);
    is_last = --tie->n_handles == 0;
    kept_open = is_last && tie->keeps_open;
    pthread_mutex_unlock(&client->lock);
    if (kept_open)
        stc_client_unref(client); /* its memory is held by the tie */
    return is_last;
}

void stc_tie_name(struct stc_tie *tie, const char *what)
{
    stator_client_t *client = tie->client;
    bool names;

    pthread_mutex_lock(&client->lock);
    names = tie->n_handles > 0 && !tie->was_named;
    tie->was_named = tie->was_named || names;
    pthread_mutex_unlock(&client->lock);
    if (names)
        stc_close_leaked(client, tie->kind == STC_LEASE ? "lease" : "session",
                         what, tie->made, tie->site);
}
