/* SPDX-License-Identifier: Apache-2.0 */
/* futures/deadlock.c - does a future hang on a dispatch, or on another
 * future?
 *
 * A search through what each pending future waits for: all and settled hang
 * if one of theirs does, any and race if all of theirs do.  It goes as deep
 * as the graph does, so it keeps its path and its answers on the heap and
 * looks at each future once; without memory it finds nothing, which is what
 * it answers.  Others may settle futures meanwhile: then the answer is that
 * of an instant in between. */
#include <stdlib.h>
#include <string.h>

#include "futures/future.h"

struct step { /* a future on the path, with a reference */
    stator_future_t *future;
    struct stf_waits waits;
    size_t next; /* of its futures to be looked at */
    bool is_waiting; /* for one of them at least */
};

struct answer {
    const stator_future_t *future; /* NULL: free */
    bool hangs;
};

struct search {
    const stator_dispatcher_t *dispatcher;
    const stator_future_t *target;
    struct step *path;
    size_t depth, path_size;
    struct answer *answers; /* open addressing, at most half full */
    size_t n_answers, answers_size;
    bool out_of_memory;
};

/* ---- the answers found so far ------------------------------------ */

static struct answer *slot(struct answer *table, size_t size,
                           const stator_future_t *f)
{
    size_t i = ((uintptr_t)f >> 4) * 0x9e3779b97f4a7c15u % size;

    while (table[i].future != NULL && table[i].future != f)
        i = (i + 1) % size;
    return &table[i];
}

static void remember(struct search *s, const stator_future_t *f, bool hangs)
{
    if (2 * s->n_answers >= s->answers_size) {
        size_t size = s->answers_size == 0 ? 64 : 2 * s->answers_size;
        struct answer *table = calloc(size, sizeof *table);

        if (table == NULL) {
            s->out_of_memory = true;
            return;
        }
        for (size_t i = 0; i < s->answers_size; i++)
            if (s->answers[i].future != NULL)
                *slot(table, size, s->answers[i].future) = s->answers[i];
        free(s->answers);
        s->answers = table;
        s->answers_size = size;
    }
    *slot(s->answers, s->answers_size, f) = (struct answer){f, hangs};
    s->n_answers++;
}

/* Is the answer for `f` known, without looking at what it waits for? */
static bool is_known(struct search *s, const stator_future_t *f, bool *hangs)
{
    *hangs = f == s->target;
    if (*hangs || f->kind == NULL || f->kind->waits == NULL ||
        stator_future_poll(f) != STATOR_FUTURE_PENDING)
        return true;
    if (s->answers_size != 0) {
        const struct answer *a = slot(s->answers, s->answers_size, f);

        *hangs = a->hangs;
        return a->future != NULL;
    }
    return false;
}

/* ---- the path ---------------------------------------------------- */

/* Takes the reference. */
static void step_into(struct search *s, stator_future_t *f)
{
    if (s->depth == s->path_size) {
        size_t size = s->path_size == 0 ? 32 : 2 * s->path_size;
        struct step *path = realloc(s->path, size * sizeof *path);

        if (path == NULL) {
            s->out_of_memory = true;
            stator_future_unref(f);
            return;
        }
        s->path = path;
        s->path_size = size;
    }
    /* A circle that does not go through the target is none of ours. */
    remember(s, f, false);
    s->path[s->depth++] = (struct step){f, f->kind->waits(f), 0, false};
}

/* The last of the path is answered; the one before it may be, too. */
static bool step_out(struct search *s, bool hangs)
{
    for (;;) {
        struct step *last = &s->path[--s->depth];

        if (s->answers_size != 0)
            slot(s->answers, s->answers_size, last->future)->hangs = hangs;
        stator_future_unref(last->future);
        if (s->depth == 0 || hangs == s->path[s->depth - 1].waits.any)
            return hangs;
    }
}

/* Look at one more future of the last on the path.  Answers whether the
 * answer for the first of the path is found, in `*hangs`. */
static bool step_on(struct search *s, bool *hangs)
{
    struct step *last = &s->path[s->depth - 1];
    stator_future_t *f;
    bool known;

    if (last->waits.dispatcher != NULL &&
        last->waits.dispatcher == s->dispatcher) {
        *hangs = step_out(s, true);
    } else if (last->next == last->waits.n) {
        *hangs = step_out(s, last->waits.any && last->is_waiting);
    } else {
        f = last->future->kind->waits_for(last->future, last->next++);
        if (f == NULL)
            return false;
        last->is_waiting = true;
        known = is_known(s, f, hangs);
        if (!known) {
            step_into(s, f);
            return false;
        }
        stator_future_unref(f);
        if (*hangs == last->waits.any)
            return false; /* it decides nothing */
        *hangs = step_out(s, *hangs);
    }
    return s->depth == 0;
}

bool stf_needs(stator_future_t *f, const stator_dispatcher_t *dispatcher,
               const stator_future_t *target)
{
    struct search s = {.dispatcher = dispatcher, .target = target};
    bool hangs, found = is_known(&s, f, &hangs);

    if (found)
        return hangs;
    step_into(&s, stator_future_ref(f));
    while (!found && !s.out_of_memory)
        found = step_on(&s, &hangs);
    while (s.depth > 0)
        stator_future_unref(s.path[--s.depth].future);
    free(s.path);
    free(s.answers);
    return found && hangs;
}
