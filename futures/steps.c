/* SPDX-License-Identifier: Apache-2.0 */
/* futures/steps.c - futures that take one step after another, alone or in a
 * line.  The picture and the invariants are in steps.h. */
#include "futures/steps.h"

static bool is_over(const struct stf_steps *s)
{
    return stator_future_poll(&s->future) != STATOR_FUTURE_PENDING;
}

/* True: `s` has been attached to it, and may be elsewhere already (T5).
 * False: it has settled.  Takes no reference. */
static bool await(struct stf_steps *s, stator_future_t *next)
{
    stator_future_unref(
        stf_awaited_swap(&s->awaited, stator_future_ref(next)));
    if (is_over(s)) /* T4 */
        stator_future_cancel(next);
    if (!stf_inherited(next) && stf_state_attach(&next->state, &s->link))
        return true;
    stator_future_unref(stf_awaited_swap(&s->awaited, NULL));
    return false;
}

/* Answers who comes next in its line, or NULL. */
static struct stf_steps *end(struct stf_steps *s)
{
    struct stf_line *line = s->line;
    struct stf_steps *next = NULL;

    if (s->over != NULL)
        s->over(s);
    if (line != NULL) {
        pthread_mutex_lock(&line->lock);
        if (!cds_list_empty(&line->waiting)) {
            next = cds_list_first_entry(&line->waiting, struct stf_steps,
                                        waiting);
            cds_list_del(&next->waiting);
        }
        line->running = next;
        pthread_mutex_unlock(&line->lock);
    }
    stator_future_unref(&s->future);
    return next;
}

/* Takes the reference on `settled`. */
static void run(struct stf_steps *s, stator_future_t *settled)
{
    while (s != NULL) {
        stator_future_t *next = is_over(s) ? NULL : s->step(s, settled);

        stator_future_unref(settled);
        settled = next;
        if (next == NULL) {
            s = end(s);
        } else if (await(s, next)) {
            stator_future_unref(next);
            return;
        }
    }
}

static void settled(struct stf_link *link)
{
    struct stf_steps *s = stf_container_of(link, struct stf_steps, link);

    /* NULL: a cancel has it, so no step will ask for it. */
    run(s, stf_awaited_swap(&s->awaited, NULL));
}

struct stf_steps *stf_steps_new(const struct stf_kind *kind,
                                const char *subject, size_t size,
                                stf_step_fn *step,
                                void (*over)(struct stf_steps *steps))
{
    stator_future_t *f = stf_future_new(kind, subject, size);
    struct stf_steps *s;

    if (f == NULL)
        return NULL;
    s = stf_steps_of(f);
    stf_awaited_init(&s->awaited, NULL);
    s->link.settled = settled;
    s->step = step;
    s->over = over;
    return s;
}

void stf_steps_cancelled(stator_future_t *f)
{
    stf_awaited_cancel(&stf_steps_of(f)->awaited);
}

void stf_steps_destroy(struct stf_steps *s)
{
    stf_awaited_destroy(&s->awaited);
}

void stf_steps_start(struct stf_steps *s, struct stf_line *line)
{
    bool is_first = true;

    stator_future_ref(&s->future); /* T5 */
    s->line = line;
    if (line != NULL) {
        pthread_mutex_lock(&line->lock);
        is_first = line->running == NULL;
        if (is_first)
            line->running = s;
        else
            cds_list_add_tail(&s->waiting, &line->waiting);
        pthread_mutex_unlock(&line->lock);
    }
    if (is_first)
        run(s, NULL);
}

/* ---- the line ---------------------------------------------------- */

void stf_line_init(struct stf_line *line)
{
    pthread_mutex_init(&line->lock, NULL);
    CDS_INIT_LIST_HEAD(&line->waiting);
    line->running = NULL;
}

void stf_line_destroy(struct stf_line *line)
{
    pthread_mutex_destroy(&line->lock);
}

enum { CANCELLED_AT_ONCE = 128 };

/* The last ones that are pending, the very last first, with references. */
static size_t last_pending(struct stf_line *line,
                           stator_future_t *out[CANCELLED_AT_ONCE])
{
    struct cds_list_head *at;
    struct stf_steps *s;
    size_t n = 0;

    pthread_mutex_lock(&line->lock);
    for (at = line->waiting.prev; at != &line->waiting; at = at->prev) {
        s = stf_container_of(at, struct stf_steps, waiting);
        if (n < CANCELLED_AT_ONCE && !is_over(s))
            out[n++] = stator_future_ref(&s->future);
    }
    s = line->running;
    if (n < CANCELLED_AT_ONCE && s != NULL && !is_over(s))
        out[n++] = stator_future_ref(&s->future);
    pthread_mutex_unlock(&line->lock);
    return n;
}

void stf_line_cancel(struct stf_line *line)
{
    stator_future_t *found[CANCELLED_AT_ONCE];
    size_t n;

    do {
        n = last_pending(line, found);
        for (size_t i = 0; i < n; i++) {
            stator_future_cancel(found[i]);
            stator_future_unref(found[i]);
        }
    } while (n == CANCELLED_AT_ONCE);
}

/* ---- a shield ---------------------------------------------------- */

struct shield {
    struct stf_steps steps; /* first */
    stator_future_t *behind;
};

static stator_future_t *shield_step(struct stf_steps *s,
                                    stator_future_t *settled)
{
    struct shield *shield = stf_container_of(s, struct shield, steps);

    if (settled == NULL)
        return stator_future_ref(shield->behind);
    stf_settle_as(&s->future, settled);
    return NULL;
}

static void shield_release(stator_future_t *f)
{
    struct stf_steps *s = stf_steps_of(f);

    stator_future_unref(stf_container_of(s, struct shield, steps)->behind);
    stf_steps_destroy(s);
}

stator_future_t *stf_shield(stator_future_t *f)
{
    /* None is cancelled before it awaits `f`, nor passes a cancel on. */
    static const struct stf_kind kind = {.release = shield_release};
    struct stf_steps *s = stf_steps_new(&kind, f->subject,
                                        sizeof(struct shield), shield_step,
                                        NULL);

    if (s == NULL)
        return stator_future_ref(f);
    stf_container_of(s, struct shield, steps)->behind = stator_future_ref(f);
    stf_steps_start(s, NULL);
    return &s->future;
}
