/* SPDX-License-Identifier: Apache-2.0 */
/* lib/each.c - each and each_async of cursors and change streams: a loop over
 * one that runs on a dispatcher, a piece at a time.
 *
 *          +------------------ again, after 64 ------------------+
 *          v                                                     |
 *   run: document at hand -> fn -> next one buffered? --yes--> fn ..
 *          ^                            | no
 *          |                            v
 *          +---- settles ------ ask the cursor for more
 *          |
 *          +---- settles ------ the future that fn gave (each_async)
 *
 * E1  One continuation, attached to what is awaited: the cursor's word, or
 *     the future that fn gave.  It runs in dispatch only, so fn never runs
 *     twice at a time, and everything but `awaited` is the running thread's.
 * E2  `awaited` is what cancel has to cancel.
 * E3  The continuation holds one reference on this future.  It can be run,
 *     dropped and released by another thread as soon as it is attached, so
 *     nothing of `e` is touched after an attach.
 * E4  Documents are taken out of the cursor one by one: those that fn has
 *     not seen are still there when it stops, whyever it does.  What is
 *     awaited takes none with it. */
#include "futures/awaited.h"
#include "futures/dispatcher.h"
#include "futures/future.h"
#include "lib/cursor.h"

enum { DOCUMENTS_A_RUN = 64 };

struct each {
    struct stator_future future;
    struct stf_continuation continuation;
    struct stf_awaited awaited;
    const stator_dispatcher_t *dispatcher; /* to be compared, not used */
    stator_cursor_t *cursor;
    stator_each_fn *fn; /* one of the two */
    stator_each_async_fn *fn_async;
    void *arg;
    struct stf_result *result; /* made beforehand; NULL: given away */
    int64_t count;
    bool is_paused; /* what settles is fn's future, not the cursor's */
};

static struct each *each_of(stator_future_t *f)
{
    return stf_container_of(f, struct each, future);
}

static void each_cancelled(stator_future_t *f)
{
    stf_awaited_cancel(&each_of(f)->awaited);
}

static struct stf_waits each_waits(stator_future_t *f)
{
    return (struct stf_waits){.n = 1, .dispatcher = each_of(f)->dispatcher};
}

static stator_future_t *each_waits_for(stator_future_t *f, size_t i)
{
    (void)i; /* there is one */
    return stf_awaited_ref(&each_of(f)->awaited);
}

static void each_release(stator_future_t *f)
{
    struct each *e = each_of(f);

    stf_awaited_destroy(&e->awaited);
    stator_cursor_unref(e->cursor);
    stf_result_free(e->result);
}

static const struct stf_kind each_kind = {
    .cancelled = each_cancelled,
    .waits = each_waits,
    .waits_for = each_waits_for,
    .release = each_release,
};

static void finish(struct each *e)
{
    struct stf_result *result = e->result;

    result->count = e->count;
    e->result = NULL; /* whoever sees the future settled may free it */
    if (!stf_settle(&e->future, STATOR_FUTURE_DONE, result, STATOR_ANSWERED))
        stf_result_free(result);
}

static void fail_closed(struct each *e)
{
    stf_settle_code(&e->future, STATOR_FUTURE_FAILED, STATOR_ERROR_CLOSED,
                    "its dispatcher was closed", STATOR_NOT_SENT);
}

/* Nobody will look at `awaited`.  fn's own future is not ours to cancel for
 * want of a loop. */
static void give_up_next(const struct each *e, stator_future_t *awaited)
{
    if (!e->is_paused)
        stator_future_cancel(awaited); /* NULL is fine */
}

static bool is_over(const struct each *e)
{
    return stator_future_poll(&e->future) != STATOR_FUTURE_PENDING;
}

/* Run again when `next` (takes the reference) has settled. */
static void go_on_after(struct each *e, stator_future_t *next,
                        stator_dispatcher_t *dispatcher)
{
    stator_future_t *f = stator_future_ref(&e->future); /* E3 */

    stator_future_unref(stf_awaited_swap(&e->awaited, stator_future_ref(next)));
    /* Cancelled before there was this to be cancelled. */
    if (is_over(e))
        stator_future_cancel(next);
    stator_future_ref(f); /* the continuation's */
    if (stf_continuation_attach(&e->continuation, next, dispatcher) != 0) {
        stator_future_unref(f);
        stf_dispatcher_refuse(dispatcher, f);
        give_up_next(e, next);
    }
    stator_future_unref(next);
    stator_future_unref(f);
}

enum verdict { GO_ON, PAUSE, STOP };

/* Hand over one document.  PAUSE: `*awaited` is what fn gave. */
static enum verdict hand_over(struct each *e, const bson_t *document,
                              stator_future_t **awaited)
{
    stator_future_t *given;

    e->count++;
    if (e->fn != NULL) {
        if (e->fn(document, e->arg))
            return GO_ON;
        finish(e);
        return STOP;
    }
    given = e->fn_async(document, e->arg);
    if (given != NULL && stf_needs(given, NULL, &e->future)) {
        stf_settle_code(&e->future, STATOR_FUTURE_FAILED,
                        STATOR_ERROR_DEADLOCK,
                        "its function returned a future that waits for it",
                        STATOR_NOT_SENT);
        stator_future_unref(given);
        return STOP;
    }
    *awaited = given;
    return given == NULL ? GO_ON : PAUSE;
}

/* The documents that are here already.  GO_ON: there may be more of them. */
static enum verdict hand_over_buffered(struct each *e, int n,
                                       stator_future_t **awaited)
{
    enum verdict verdict = GO_ON;
    struct stf_slice slice;

    while (verdict == GO_ON && n-- > 0) {
        if (is_over(e))
            return STOP;
        if (!stl_cursor_take(e->cursor, &slice)) {
            *awaited = stl_cursor_ready(e->cursor);
            return PAUSE;
        }
        verdict = hand_over(e, &slice.documents->at[slice.first], awaited);
        e->is_paused = verdict == PAUSE;
        stf_documents_unref(slice.documents);
    }
    return verdict;
}

/* What was awaited has settled: there are documents, or fn's own future. */
static enum verdict receive(struct each *e, stator_future_t *settled)
{
    bool is_end = !e->is_paused && stator_future_count(settled) == 0;

    e->is_paused = false;
    if (is_over(e))
        return STOP;
    if (stator_future_poll(settled) != STATOR_FUTURE_DONE) {
        stf_settle_as(&e->future, settled);
        return STOP;
    }
    if (is_end) {
        finish(e);
        return STOP;
    }
    return GO_ON;
}

static void each_run(struct stf_continuation *c)
{
    struct each *e = stf_container_of(c, struct each, continuation);
    stator_future_t *settled = c->future, *awaited = NULL;
    stator_future_t *received = stf_awaited_swap(&e->awaited, NULL);
    enum verdict verdict = GO_ON;

    /* NULL: this is the next piece of what was received before, or it was
     * cancelled meanwhile. */
    if (received != NULL)
        verdict = receive(e, settled);
    stator_future_unref(received);
    if (verdict == GO_ON)
        verdict = hand_over_buffered(e, DOCUMENTS_A_RUN, &awaited);
    if (stf_inherited(&e->future)) { /* fn has forked, this is the child */
        stator_future_unref(awaited);
        verdict = STOP;
    }
    if (verdict == GO_ON && !is_over(e)) {
        if (stf_continuation_again(c) == 0)
            return;
        fail_closed(e);
    }
    if (verdict == PAUSE) {
        go_on_after(e, awaited, c->dispatcher);
        stator_future_unref(settled); /* as release does */
        stator_future_unref(&e->future);
        return;
    }
    c->release(c);
}

static void each_drop(struct stf_continuation *c)
{
    struct each *e = stf_container_of(c, struct each, continuation);
    stator_future_t *awaited = stf_awaited_swap(&e->awaited, NULL);

    fail_closed(e);
    give_up_next(e, awaited);
    stator_future_unref(awaited);
}

static void each_continuation_release(struct stf_continuation *c)
{
    struct each *e = stf_container_of(c, struct each, continuation);

    stator_future_unref(c->future);
    stator_future_unref(&e->future);
}

stator_future_t *stl_cursor_each(const char *subject, stator_cursor_t *cursor,
                                 stator_dispatcher_t *dispatcher,
                                 stator_each_fn *fn,
                                 stator_each_async_fn *fn_async, void *arg)
{
    stator_future_t *f;
    struct each *e;

    if (dispatcher == NULL || (fn == NULL && fn_async == NULL))
        return stf_future_failed(STATOR_ERROR_ARGUMENT, subject, "%s is NULL",
                                 dispatcher == NULL ? "dispatcher" : "fn");
    f = stf_future_new(&each_kind, subject, sizeof *e);
    if (f == NULL)
        return stf_future_no_memory();
    e = each_of(f);
    stf_awaited_init(&e->awaited, NULL);
    e->result = stf_result_new();
    if (e->result == NULL) {
        stator_future_unref(f);
        return stf_future_no_memory();
    }
    e->cursor = stator_cursor_ref(cursor);
    e->dispatcher = dispatcher;
    e->fn = fn;
    e->fn_async = fn_async;
    e->arg = arg;
    e->continuation.run = each_run;
    e->continuation.drop = each_drop;
    e->continuation.release = each_continuation_release;
    go_on_after(e, stl_cursor_ready(cursor), dispatcher);
    return f;
}

stator_future_t *stator_cursor_each(stator_cursor_t *cursor,
                                    stator_dispatcher_t *dispatcher,
                                    stator_each_fn *fn, void *arg)
{
    if (cursor == NULL)
        return stf_future_failed(STATOR_ERROR_ARGUMENT, "cursor.each",
                                 "cursor is NULL");
    return stl_cursor_each("cursor.each", cursor, dispatcher, fn, NULL, arg);
}

stator_future_t *stator_cursor_each_async(stator_cursor_t *cursor,
                                          stator_dispatcher_t *dispatcher,
                                          stator_each_async_fn *fn, void *arg)
{
    if (cursor == NULL)
        return stf_future_failed(STATOR_ERROR_ARGUMENT, "cursor.each_async",
                                 "cursor is NULL");
    return stl_cursor_each("cursor.each_async", cursor, dispatcher, NULL, fn,
                           arg);
}
