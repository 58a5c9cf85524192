/* SPDX-License-Identifier: Apache-2.0 */
/* lib/opts.c - `opts` of an operation, key by key. */
#include "lib/opts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/concerns.h"
#include "lib/document.h"
#include "lib/problem.h"

enum { KEYS_MAX = 256 };

/* ---- each key's value -------------------------------------------------- */

static bool timeout_parse(const bson_iter_t *i, struct stl_opts *out,
                          char *problem)
{
    if (!stl_value_as_int64(i, &out->timeout_ms))
        return FAULT("timeoutMS must be an integer, is %s", stl_type_name(i));
    if (out->timeout_ms < 0)
        return FAULT("timeoutMS must be 0 or more, is %" PRId64,
                     out->timeout_ms);
    return true;
}

static bool priority_parse(const bson_iter_t *i, struct stl_opts *out,
                           char *problem)
{
    const char *name =
        BSON_ITER_HOLDS_UTF8(i) ? bson_iter_utf8(i, NULL) : stl_type_name(i);

    if (strcmp(name, "high") == 0)
        out->priority = STC_HIGH;
    else if (strcmp(name, "normal") == 0)
        out->priority = STC_NORMAL;
    else if (strcmp(name, "low") == 0)
        out->priority = STC_LOW;
    else
        return FAULT("priority must be high, normal or low, is %s", name);
    return true;
}

static bool read_preference_parse(const bson_iter_t *i, struct stl_opts *out,
                                  char *problem)
{
    return stl_read_preference_check(i, problem) &&
           stl_value_as_document(i, &out->read_preference);
}

static bool timeout_mode_parse(const bson_iter_t *i, struct stl_opts *out,
                               char *problem)
{
    const char *name =
        BSON_ITER_HOLDS_UTF8(i) ? bson_iter_utf8(i, NULL) : stl_type_name(i);

    if (strcmp(name, "cursorLifetime") == 0)
        out->timeout_mode = STC_CURSOR_LIFETIME;
    else if (strcmp(name, "iteration") == 0)
        out->timeout_mode = STC_ITERATION;
    else
        return FAULT("timeoutMode must be cursorLifetime or iteration, is %s",
                     name);
    return true;
}

static bool prefetch_parse(const bson_iter_t *i, struct stl_opts *out,
                           char *problem)
{
    int64_t n;

    if (!stl_value_as_int64(i, &n) || n < 0 || n > 1)
        return FAULT("prefetch must be 0 or 1");
    out->prefetch = (int)n;
    return true;
}

static bool max_bytes_parse(const bson_iter_t *i, struct stl_opts *out,
                            char *problem)
{
    if (!stl_value_as_int64(i, &out->max_bytes) || out->max_bytes < 1)
        return FAULT("maxBytes must be an integer of 1 or more");
    return true;
}

static bool id_parse(const bson_iter_t *i, int64_t *out, char *problem)
{
    if (!BSON_ITER_HOLDS_INT64(i) || bson_iter_int64(i) <= 0)
        return FAULT("%s must be what stator_%s_append puts there",
                     bson_iter_key(i),
                     strcmp(bson_iter_key(i), "leaseId") == 0 ? "lease"
                                                              : "session");
    *out = bson_iter_int64(i);
    return true;
}

static bool lease_id_parse(const bson_iter_t *i, struct stl_opts *out,
                           char *problem)
{
    return id_parse(i, &out->lease_id, problem);
}

static bool session_id_parse(const bson_iter_t *i, struct stl_opts *out,
                             char *problem)
{
    return id_parse(i, &out->session_id, problem);
}

bool stl_context_check(const bson_iter_t *value, char *problem)
{
    return BSON_ITER_HOLDS_INT64(value) ||
           FAULT("context must be what stator_context_append puts there");
}

static bool context_parse(const bson_iter_t *i, struct stl_opts *out,
                          char *problem)
{
    if (!stl_context_check(i, problem))
        return false;
    out->context = (void *)(intptr_t)bson_iter_int64(i);
    return true;
}

/* ---- all of them ------------------------------------------------------- */

static const struct own_key {
    const char *name;
    bool of_cursors;
    bool (*parse)(const bson_iter_t *i, struct stl_opts *out, char *problem);
} own_keys[] = {
    {"timeoutMS", false, timeout_parse},
    {"priority", false, priority_parse},
    {"readPreference", false, read_preference_parse},
    {"timeoutMode", true, timeout_mode_parse},
    {"prefetch", true, prefetch_parse},
    {"maxBytes", true, max_bytes_parse},
    {"leaseId", false, lease_id_parse},
    {"sessionId", false, session_id_parse},
    {"context", false, context_parse},
};

enum { N_OWN_KEYS = sizeof own_keys / sizeof *own_keys };

/* Its place in own_keys, or N_OWN_KEYS: the driver's. */
static unsigned own_key_find(const char *name)
{
    unsigned k = 0;

    while (k < N_OWN_KEYS && strcmp(name, own_keys[k].name) != 0)
        k++;
    return k;
}

/* A key given twice would be a leak in the driver, or a choice of ours. */
bool stl_opts_keys_check(const bson_t *opts, char *problem)
{
    bson_iter_t i, earlier;
    unsigned n = 0;

    if (!bson_iter_init(&i, opts))
        return true;
    while (bson_iter_next(&i)) {
        if (++n > KEYS_MAX)
            return FAULT("opts has more than %d keys", KEYS_MAX);
        bson_iter_init(&earlier, opts);
        while (bson_iter_next(&earlier) && earlier.off < i.off)
            if (strcmp(bson_iter_key(&earlier), bson_iter_key(&i)) == 0)
                return FAULT("%s is given twice", bson_iter_key(&i));
    }
    return true;
}

bool stl_opts_parse(const bson_t *opts, bool is_cursor, struct stl_opts *out,
                    char *problem)
{
    bson_iter_t i;

    out->timeout_ms = 0;
    out->priority = STC_NORMAL;
    out->timeout_mode = STC_CURSOR_LIFETIME;
    out->prefetch = 0;
    out->max_bytes = 0;
    out->lease_id = 0;
    out->session_id = 0;
    out->context = NULL;
    out->has_own = false;
    bson_init(&out->read_preference);
    if (opts == NULL)
        return true;
    if (!stl_opts_keys_check(opts, problem) || !bson_iter_init(&i, opts))
        return false;
    while (bson_iter_next(&i)) {
        unsigned k = own_key_find(bson_iter_key(&i));

        if (k == N_OWN_KEYS)
            continue;
        out->has_own = true;
        if (own_keys[k].of_cursors && !is_cursor)
            return FAULT("%s is an option of cursors only", own_keys[k].name);
        if (!own_keys[k].parse(&i, out, problem))
            return false;
    }
    return true;
}

void stl_opts_copy_driver_part(const bson_t *opts, bson_t *out)
{
    bson_iter_t i;

    bson_init(out);
    if (opts == NULL || !bson_iter_init(&i, opts))
        return;
    while (bson_iter_next(&i))
        if (own_key_find(bson_iter_key(&i)) == N_OWN_KEYS)
            bson_append_iter(out, NULL, -1, &i);
}
