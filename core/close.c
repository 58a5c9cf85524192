/* SPDX-License-Identifier: Apache-2.0 */
/* core/close.c - how a client ends: steps of the keeper's.
 *
 *   begin: the queue admits no more            (any thread)
 *   step:  idle cursors, sessions and leases are closed, who waits for a
 *          lease is told
 *          nothing left to settle?   -> stop the workers
 *          the time is up, or cancel -> give everything up, then stop
 *          all workers have ended    -> tell the closers, end
 *          a worker does not come    -> tell the closers, name it, wait on
 *
 * E1  The last worker to end destroys the driver's pool, for that may block
 *     and the keeper may not.
 * E2  The closers are told once: when all is over, or GRACE after the
 *     deadline. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/client.h"
#include "core/cursor.h"
#include "core/lease.h"
#include "core/op.h"
#include "core/target.h"
#include "core/verb.h"
#include "core/worker.h"

/* Nanoseconds between the deadline and telling what is stuck. */
#define GRACE 100000000

struct closer {
    struct cds_list_head node;
    stator_promise_t *promise;
};

void stc_close_begin(stator_client_t *client, enum stc_close_mode mode,
                     int64_t timeout_ms)
{
    int64_t deadline = stf_deadline_after_ms(timeout_ms);

    pthread_mutex_lock(&client->lock);
    if (!atomic_load(&client->closing)) {
        client->mode = mode;
        client->close_deadline = deadline;
    }
    if (mode > client->mode)
        client->mode = mode;
    if (deadline < client->close_deadline)
        client->close_deadline = deadline;
    atomic_store(&client->closing, true);
    pthread_mutex_unlock(&client->lock);
    stc_queue_shut(&client->queue);
    stc_keeper_wake(&client->keeper);
}

bool stc_close_is_quick(stator_client_t *client)
{
    bool quick;

    pthread_mutex_lock(&client->lock);
    quick = client->mode == STC_ABORT;
    pthread_mutex_unlock(&client->lock);
    return quick;
}

/* As addr2line(1) wants it: "program+0x1234", and the function's name where
 * the program has one to tell. */
static void describe_site(const void *site, char *text, size_t size)
{
    const char *call, *file;
    Dl_info in;

    text[0] = '\0';
    if (site == NULL)
        return;
    call = (const char *)site - 1; /* a return address: behind the call */
    if (dladdr(call, &in) == 0 || in.dli_fname == NULL)
        return;
    file = strrchr(in.dli_fname, '/');
    snprintf(text, size, "%s+0x%zx%s%s%s",
             file == NULL ? in.dli_fname : file + 1,
             (size_t)(call - (const char *)in.dli_fbase),
             in.dli_sname == NULL ? "" : " (",
             in.dli_sname == NULL ? "" : in.dli_sname,
             in.dli_sname == NULL ? "" : ")");
}

void stc_close_leaked(stator_client_t *client, const char *kind,
                      const char *what, int64_t since_ns, const void *site)
{
    char key[16], at[400];
    bson_t one;

    describe_site(site, at, sizeof at);
    pthread_mutex_lock(&client->lock);
    snprintf(key, sizeof key, "%u", client->n_leaked++);
    bson_append_document_begin(&client->leaked, key, -1, &one);
    BSON_APPEND_UTF8(&one, "kind", kind);
    BSON_APPEND_UTF8(&one, "what", what);
    BSON_APPEND_INT64(&one, "ageMS", (stf_now_ns() - since_ns) / 1000000);
    if (at[0] != '\0')
        BSON_APPEND_UTF8(&one, "site", at);
    bson_append_document_end(&client->leaked, &one);
    pthread_mutex_unlock(&client->lock);
}

static void tell_closers(stator_client_t *client, bool is_over)
{
    struct closer *closer, *next;
    bson_t reply = BSON_INITIALIZER;
    CDS_LIST_HEAD(closers);

    pthread_mutex_lock(&client->lock);
    client->told = true;
    client->closed = is_over;
    cds_list_splice(&client->closers, &closers);
    CDS_INIT_LIST_HEAD(&client->closers);
    BSON_APPEND_ARRAY(&reply, "leaked", &client->leaked);
    pthread_mutex_unlock(&client->lock);
    cds_list_for_each_entry_safe(closer, next, &closers, node)
    {
        stator_promise_resolve(closer->promise, NULL, &reply);
        stator_promise_unref(closer->promise);
        free(closer);
    }
    bson_destroy(&reply);
}

stator_future_t *stc_client_close(stator_client_t *client,
                                  enum stc_close_mode mode,
                                  int64_t timeout_ms)
{
    struct closer *closer;
    stator_promise_t *promise;
    stator_future_t *future;
    bool is_over;

    if (stc_client_is_inherited(client))
        return stc_forked("client.close");
    closer = malloc(sizeof *closer);
    promise = stator_promise_new();
    future = stator_promise_future(promise);
    if (closer == NULL || future == stf_future_no_memory()) {
        free(closer);
        stator_promise_unref(promise);
        stator_future_unref(future);
        return stf_future_no_memory();
    }
    closer->promise = promise;
    pthread_mutex_lock(&client->lock);
    is_over = client->closed;
    cds_list_add_tail(&closer->node, &client->closers);
    pthread_mutex_unlock(&client->lock);
    if (is_over)
        tell_closers(client, true); /* the keeper has ended */
    else
        stc_close_begin(client, mode, timeout_ms);
    return future;
}

/* ---- calls of several operations --------------------------------- */

bool stc_client_begin_call(stator_client_t *client)
{
    /* As try_admit does: who shuts the queue looks at the count after. */
    atomic_fetch_add(&client->calls, 1);
    if (!atomic_load(&client->queue.closed))
        return true;
    stc_client_end_call(client);
    return false;
}

void stc_client_end_call(stator_client_t *client)
{
    atomic_fetch_sub(&client->calls, 1);
    if (atomic_load(&client->queue.closed))
        stc_keeper_wake(&client->keeper);
}

const char *stc_client_note_closed(const stator_client_t *client)
{
    return client->note_closed;
}

/* ---- steps ------------------------------------------------------- */

static void join_ended(stator_client_t *client)
{
    for (;;) {
        struct stc_worker *w = NULL;

        pthread_mutex_lock(&client->lock);
        if (!cds_list_empty(&client->ended)) {
            w = cds_list_first_entry(&client->ended, struct stc_worker, node);
            cds_list_del(&w->node);
            client->n_threads--;
        }
        pthread_mutex_unlock(&client->lock);
        if (w == NULL)
            return;
        pthread_join(w->thread, NULL);
        if (!w->is_watcher) /* Z6 */
            free(w);
    }
}

/* Each cursor once a round, with a reference; NULL when all were met.  Who
 * was met goes to the end, so the search is over at the first such. */
static struct stc_cursor *next_cursor(stator_client_t *client,
                                      unsigned round)
{
    struct stc_cursor *c, *found = NULL;

    pthread_mutex_lock(&client->lock);
    cds_list_for_each_entry(c, &client->cursors, node)
    {
        if (c->round == round)
            break;
        if (stc_cursor_ref_if_alive(c)) {
            found = c;
            break;
        }
    }
    if (found != NULL) {
        found->round = round;
        cds_list_del(&found->node);
        cds_list_add_tail(&found->node, &client->cursors);
    }
    pthread_mutex_unlock(&client->lock);
    return found;
}

static void for_cursors(stator_client_t *client,
                        void (*fn)(struct stc_cursor *cursor))
{
    struct stc_cursor *c;
    unsigned round;

    pthread_mutex_lock(&client->lock);
    round = ++client->round;
    pthread_mutex_unlock(&client->lock);
    while ((c = next_cursor(client, round)) != NULL) {
        fn(c);
        stc_cursor_unref(c);
    }
}

/* Of a function of stator_client_run, which its user never settled. */
static void name_promise(stator_client_t *client, const struct stc_op *op)
{
    stc_close_leaked(client, "promise", op->verb->name, op->submitted,
                     op->site);
}

static void give_up_all(stator_client_t *client, bool is_late)
{
    struct stc_op *op;

    for_cursors(client, stc_cursor_give_up_waiting);
    stc_leases_give_up_waiting(client);
    while ((op = stc_queue_any(&client->queue)) != NULL) {
        if (is_late && stc_op_where(op) == STC_LOOSE)
            name_promise(client, op);
        stc_op_give_up(op, STC_BY_CLOSE);
        stc_op_unref(op);
    }
}

static bool nothing_left(stator_client_t *client)
{
    struct stc_op *op;

    if (atomic_load(&client->queue.queued) != 0 ||
        atomic_load(&client->queue.waiting) != 0 ||
        atomic_load(&client->granted) != 0 ||
        atomic_load(&client->calls) != 0)
        return false;
    op = stc_queue_any(&client->queue);
    if (op == NULL)
        return true;
    stc_op_unref(op);
    return false;
}

struct stuck {
    char what[300];
    int64_t since;
    const void *site;
};

/* Collected first, noted down after: two locks are never held in this order
 * (L1 in client.h). */
static void name_stuck_workers(stator_client_t *client)
{
    enum { MOST = 16 };
    struct stuck found[MOST];
    struct stc_worker *w;
    int n = 0;

    pthread_mutex_lock(&client->queue.lock);
    cds_list_for_each_entry(w, &client->queue.workers, node)
    {
        struct stuck *s = &found[n];

        if (n == MOST)
            break;
        if (w->is_watcher && w->op == NULL) /* waits for another */
            continue;
        n++;
        s->since = stf_now_ns();
        s->site = NULL;
        snprintf(s->what, sizeof s->what, "between two operations");
        if (w->op == NULL)
            continue;
        s->since = w->op->submitted;
        s->site = w->op->site;
        stc_target_describe(w->op->target, w->op->verb->name, s->what,
                            sizeof s->what);
    }
    pthread_mutex_unlock(&client->queue.lock);
    for (int i = 0; i < n; i++)
        stc_close_leaked(client, "worker", found[i].what, found[i].since,
                         found[i].site);
    if (n == 0) /* E1 */
        stc_close_leaked(client, "pool", "mongoc_client_pool_destroy",
                         stf_now_ns(), NULL);
}

bool stc_close_step(stator_client_t *client, int64_t *next)
{
    int64_t deadline, now = stf_now_ns();
    enum stc_close_mode mode;
    bool told, ended, shut, named;

    join_ended(client);
    if (!atomic_load(&client->closing))
        return false;
    pthread_mutex_lock(&client->lock);
    deadline = client->close_deadline;
    if (now >= deadline)
        client->mode = STC_ABORT;
    mode = client->mode;
    shut = client->cursors_shut_in == (int)mode;
    client->cursors_shut_in = (int)mode;
    told = client->told && cds_list_empty(&client->closers);
    ended = client->n_threads == 0;
    pthread_mutex_unlock(&client->lock);

    if (ended && !nothing_left(client)) {
        /* Somebody was admitted, and pushes only now. */
        give_up_all(client, false);
        stc_leases_abandon(client);
        if (now >= deadline + GRACE && !told)
            tell_closers(client, false);
        *next = now + 1000000;
        return false;
    }
    if (ended) {
        if (client->n_started == 0) /* so nobody has: see E1 */
            stc_pool_close(&client->pool, true);
        tell_closers(client, true);
        return true;
    }
    stc_lease_give_up_parked(client);
    if (!shut) { /* those that are at work now see to it themselves */
        for_cursors(client, stc_cursor_shut);
        stc_leases_shut(client);
    }
    if (mode != STC_DRAIN)
        give_up_all(client, now >= deadline);
    if (mode == STC_ABORT)
        stc_pool_hang_up(&client->pool);
    if (nothing_left(client) || now >= deadline)
        stc_queue_stop(&client->queue);

    if (now < deadline) {
        *next = deadline;
    } else if (now < deadline + GRACE) {
        *next = deadline + GRACE;
    } else if (!told) {
        pthread_mutex_lock(&client->lock);
        named = client->stuck_named;
        client->stuck_named = true;
        pthread_mutex_unlock(&client->lock);
        if (!named)
            name_stuck_workers(client);
        tell_closers(client, false);
    }
    return false;
}
