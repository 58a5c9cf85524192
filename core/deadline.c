/* SPDX-License-Identifier: Apache-2.0 */
/* core/deadline.c - a pairing heap. */
#include "core/deadline.h"

/* Both are roots, with no siblings; either may be NULL. */
static struct stc_deadline *merge(struct stc_deadline *a,
                                  struct stc_deadline *b)
{
    struct stc_deadline *swap;

    if (a == NULL || b == NULL)
        return a == NULL ? b : a;
    if (b->at < a->at) {
        swap = a;
        a = b;
        b = swap;
    }
    b->next = a->child;
    b->previous = a;
    if (a->child != NULL)
        a->child->previous = b;
    a->child = b;
    return a;
}

/* The children of a removed node: pairs from the left, then all pairs from
 * the right.  A loop and not a recursion: there can be very many. */
static struct stc_deadline *merge_siblings(struct stc_deadline *first)
{
    struct stc_deadline *pairs = NULL, *root = NULL;

    while (first != NULL) {
        struct stc_deadline *a = first, *b = a->next, *pair;

        first = b == NULL ? NULL : b->next;
        a->next = a->previous = NULL;
        if (b != NULL)
            b->next = b->previous = NULL;
        pair = merge(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    while (pairs != NULL) {
        struct stc_deadline *pair = pairs;

        pairs = pair->next;
        pair->next = NULL;
        root = merge(root, pair);
    }
    return root;
}

bool stc_deadline_enter(struct stc_deadlines *all, struct stc_deadline *d)
{
    d->child = d->next = d->previous = NULL;
    d->entered = true;
    all->first = merge(all->first, d);
    return all->first == d;
}

bool stc_deadline_remove(struct stc_deadlines *all, struct stc_deadline *d)
{
    struct stc_deadline *children;

    if (!d->entered)
        return false;
    d->entered = false;
    if (d != all->first) {
        if (d->previous->child == d)
            d->previous->child = d->next;
        else
            d->previous->next = d->next;
        if (d->next != NULL)
            d->next->previous = d->previous;
    }
    children = merge_siblings(d->child);
    all->first = d == all->first ? children : merge(all->first, children);
    d->child = d->next = d->previous = NULL;
    return true;
}
