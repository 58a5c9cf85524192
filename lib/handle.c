/* SPDX-License-Identifier: Apache-2.0 */
/* lib/handle.c - databases and collections: made, counted, given options. */
#include "lib/handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/concerns.h"
#include "lib/document.h"
#include "lib/opts.h"
#include "lib/problem.h"

static struct stl_handle no_memory = {.refs = 1, .is_immortal = true};

const char *stl_name_fault(enum stl_named what, const char *name)
{
    static const char *const faults[][3] = {
        [STL_DATABASE] = {"the database's name is NULL",
                          "the database's name is empty",
                          "the database's name is not valid UTF-8"},
        [STL_COLLECTION] = {"the collection's name is NULL",
                            "the collection's name is empty",
                            "the collection's name is not valid UTF-8"},
    };

    if (name == NULL)
        return faults[what][0];
    if (*name == '\0')
        return faults[what][1];
    return bson_utf8_validate(name, strlen(name), false) ? NULL
                                                         : faults[what][2];
}

static struct stl_handle *handle_new(stator_client_t *client, const char *db,
                                     const char *name, const bson_t *options,
                                     const char *fault)
{
    struct stl_handle *h = malloc(sizeof *h);

    if (h == NULL)
        return NULL;
    h->target = stc_target_new(db, name, options, fault);
    if (h->target == NULL) {
        free(h);
        return NULL;
    }
    atomic_init(&h->refs, 1);
    h->is_immortal = false;
    h->client = client == NULL ? NULL : stc_client_ref(client);
    return h;
}

struct stl_handle *stl_handle_new(stator_client_t *client, const char *db,
                                  const char *name, const bson_t *options,
                                  const char *fault)
{
    struct stl_handle *h =
        handle_new(client, db == NULL ? "" : db, name, options, fault);

    return h == NULL ? &no_memory : h;
}

struct stl_handle *stl_handle_ref(struct stl_handle *h)
{
    if (h != NULL && !h->is_immortal)
        atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
    return h;
}

void stl_handle_unref(struct stl_handle *h)
{
    if (h == NULL || h->is_immortal ||
        atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) != 1)
        return;
    stc_target_unref(h->target);
    if (h->client != NULL)
        stc_client_unref(h->client);
    free(h);
}

/* ---- given options ----------------------------------------------------- */

static bool handle_key_check(const bson_iter_t *i, char *problem)
{
    const char *key = bson_iter_key(i);

    if (strcmp(key, "readPreference") == 0)
        return stl_read_preference_check(i, problem);
    if (strcmp(key, "readConcern") == 0)
        return stl_read_concern_check(i, problem);
    if (strcmp(key, "writeConcern") == 0)
        return stl_write_concern_check(i, problem);
    if (strcmp(key, "context") == 0)
        return stl_context_check(i, problem);
    return FAULT("%s is unknown; a handle takes readPreference, readConcern, "
                 "writeConcern and context", key);
}

bool stl_handle_options(const bson_t *old, const bson_t *opts, bson_t *out,
                        char *problem)
{
    bson_iter_t i;

    if (!stl_opts_keys_check(opts, problem))
        return false;
    if (bson_iter_init(&i, opts))
        while (bson_iter_next(&i))
            if (!handle_key_check(&i, problem))
                return false;
    bson_init(out);
    if (bson_iter_init(&i, old))
        while (bson_iter_next(&i))
            if (!bson_has_field(opts, bson_iter_key(&i)))
                bson_append_iter(out, NULL, -1, &i);
    if (bson_iter_init(&i, opts))
        while (bson_iter_next(&i))
            bson_append_iter(out, NULL, -1, &i);
    return true;
}

struct stl_handle *stl_handle_with_opts(struct stl_handle *h,
                                        const char *subject,
                                        const bson_t *opts,
                                        bson_error_t *error)
{
    char problem[STL_PROBLEM_SIZE];
    const char *flaw;
    bson_t none = BSON_INITIALIZER, old, new;
    struct stl_handle *made = NULL;
    size_t offset;

    if (h == NULL) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                       "%s: the handle is NULL", subject);
        return NULL;
    }
    if (h->target == NULL)
        goto no_memory;
    if (opts == NULL)
        opts = &none;
    flaw = stf_document_flaw(opts, &offset);
    if (flaw != NULL) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                       "%s: opts %s at offset %zu", subject, flaw, offset);
        return NULL;
    }
    stc_target_options(h->target, &old);
    if (!stl_handle_options(&old, opts, &new, problem)) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                       "%s: %s", subject, problem);
        return NULL;
    }
    made = handle_new(h->client, stc_target_db(h->target),
                      stc_target_name(h->target), &new,
                      stc_target_fault(h->target));
    bson_destroy(&new);
    if (made != NULL)
        return made;
no_memory:
    bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_MEMORY,
                   "%s: no memory", subject);
    return NULL;
}
