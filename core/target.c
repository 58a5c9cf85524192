/* SPDX-License-Identifier: Apache-2.0 */
/* core/target.c - names and options of a database or a collection. */
#include "core/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stc_target *stc_target_new(const char *db, const char *name,
                                  const bson_t *options, const char *fault)
{
    bson_t none = BSON_INITIALIZER;
    const bson_t *from = options == NULL ? &none : options;
    size_t n_db = strlen(db) + 1, n_name = name == NULL ? 0 : strlen(name) + 1;
    struct stc_target *t = malloc(sizeof *t + from->len + n_db + n_name);
    uint8_t *bytes;

    if (t == NULL)
        return NULL;
    bytes = (uint8_t *)(t + 1);
    memcpy(bytes, bson_get_data(from), from->len);
    memcpy(bytes + from->len, db, n_db);
    if (name != NULL)
        memcpy(bytes + from->len + n_db, name, n_name);

    atomic_init(&t->refs, 1);
    t->fault = fault;
    t->options = bytes;
    t->options_length = from->len;
    t->db = (const char *)bytes + from->len;
    t->name = name == NULL ? NULL : t->db + n_db;
    return t;
}

struct stc_target *stc_target_ref(struct stc_target *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void stc_target_unref(struct stc_target *t)
{
    if (t != NULL && atomic_fetch_sub_explicit(&t->refs, 1,
                                               memory_order_acq_rel) == 1)
        free(t);
}

const char *stc_target_db(const struct stc_target *t)
{
    return t->db;
}

const char *stc_target_name(const struct stc_target *t)
{
    return t->name;
}

void stc_target_options(const struct stc_target *t, bson_t *view)
{
    bson_init_static(view, t->options, t->options_length);
}

const char *stc_target_fault(const struct stc_target *t)
{
    return t->fault;
}

void stc_target_describe(const struct stc_target *t, const char *verb,
                         char *text, size_t size)
{
    snprintf(text, size, "%s on %s%s%s", verb, t->db,
             t->name == NULL ? "" : ".", t->name == NULL ? "" : t->name);
}

bool stc_target_is_same(const struct stc_target *a,
                        const struct stc_target *b)
{
    if (a == b)
        return true;
    return (a->name == NULL) == (b->name == NULL) &&
           strcmp(a->db, b->db) == 0 &&
           (a->name == NULL || strcmp(a->name, b->name) == 0) &&
           a->options_length == b->options_length &&
           memcmp(a->options, b->options, a->options_length) == 0;
}
