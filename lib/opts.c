/* SPDX-License-Identifier: Apache-2.0 */
/* lib/opts.c - `opts`, key by key. */
#include "lib/opts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/document.h"

enum { KEYS_MAX = 256 };

#define FAULT(...) (snprintf(problem, STL_PROBLEM_SIZE, __VA_ARGS__), false)

/* ---- readPreference, readConcern, writeConcern ------------------------- */

static bool is_one_of(const bson_iter_t *value, const char *const names[])
{
    if (!BSON_ITER_HOLDS_UTF8(value))
        return false;
    for (; *names != NULL; names++)
        if (strcmp(bson_iter_utf8(value, NULL), *names) == 0)
            return true;
    return false;
}

static bool tags_check(const bson_iter_t *tags, char *problem)
{
    bson_iter_t i;

    if (!BSON_ITER_HOLDS_ARRAY(tags) || !bson_iter_recurse(tags, &i))
        return FAULT("readPreference.tags must be an array of documents, "
                     "is %s", stl_type_name(tags));
    while (bson_iter_next(&i))
        if (!BSON_ITER_HOLDS_DOCUMENT(&i))
            return FAULT("readPreference.tags[%s] must be a document, is %s",
                         bson_iter_key(&i), stl_type_name(&i));
    return true;
}

static bool staleness_check(const bson_iter_t *value, bool *is_there,
                            char *problem)
{
    int64_t n;

    if (!stl_value_as_int64(value, &n) ||
        !(n == -1 || (n > 0 && n <= INT32_MAX)))
        return FAULT("readPreference.maxStalenessSeconds must be a "
                     "positive integer or -1");
    *is_there = n != -1;
    return true;
}

static bool hedge_check(const bson_iter_t *value, bool *is_there,
                        char *problem)
{
    bson_t hedge;

    if (!BSON_ITER_HOLDS_DOCUMENT(value))
        return FAULT("readPreference.hedge must be a document, is %s",
                     stl_type_name(value));
    *is_there = stl_value_as_document(value, &hedge) && !bson_empty(&hedge);
    return true;
}

bool stl_read_preference_check(const bson_iter_t *value, char *problem)
{
    static const char *const modes[] = {
        "primary", "primaryPreferred", "secondary", "secondaryPreferred",
        "nearest", NULL,
    };
    bool has_mode = false, is_primary = false, is_there;
    const char *only_other = NULL; /* a key that "primary" does not go with */
    bson_iter_t i;

    if (!BSON_ITER_HOLDS_DOCUMENT(value) || !bson_iter_recurse(value, &i))
        return FAULT("readPreference must be a document, is %s",
                     stl_type_name(value));
    while (bson_iter_next(&i)) {
        const char *key = bson_iter_key(&i);

        if (strcmp(key, "mode") == 0) {
            if (!is_one_of(&i, modes))
                return FAULT("readPreference.mode must be primary, "
                             "primaryPreferred, secondary, "
                             "secondaryPreferred or nearest, is %s",
                             BSON_ITER_HOLDS_UTF8(&i)
                                 ? bson_iter_utf8(&i, NULL)
                                 : stl_type_name(&i));
            has_mode = true;
            is_primary = strcmp(bson_iter_utf8(&i, NULL), "primary") == 0;
        } else if (strcmp(key, "tags") == 0) {
            bson_t tags;

            if (!tags_check(&i, problem))
                return false;
            if (stl_value_as_document(&i, &tags) && !bson_empty(&tags))
                only_other = "tags";
        } else if (strcmp(key, "maxStalenessSeconds") == 0) {
            if (!staleness_check(&i, &is_there, problem))
                return false;
            if (is_there)
                only_other = "maxStalenessSeconds";
        } else if (strcmp(key, "hedge") == 0) {
            if (!hedge_check(&i, &is_there, problem))
                return false;
            if (is_there)
                only_other = "hedge";
        } else {
            return FAULT("readPreference.%s is unknown", key);
        }
    }
    if (!has_mode)
        return FAULT("readPreference.mode is missing");
    if (is_primary && only_other != NULL)
        return FAULT("readPreference.%s does not go with the mode primary",
                     only_other);
    return true;
}

static bool read_concern_check(const bson_iter_t *value, char *problem)
{
    bool has_level = false;
    bson_iter_t i;

    if (!BSON_ITER_HOLDS_DOCUMENT(value) || !bson_iter_recurse(value, &i))
        return FAULT("readConcern must be a document, is %s",
                     stl_type_name(value));
    while (bson_iter_next(&i)) {
        if (strcmp(bson_iter_key(&i), "level") != 0)
            return FAULT("readConcern.%s is unknown", bson_iter_key(&i));
        if (!BSON_ITER_HOLDS_UTF8(&i))
            return FAULT("readConcern.level must be a string, is %s",
                         stl_type_name(&i));
        has_level = true;
    }
    return has_level || FAULT("readConcern.level is missing");
}

static bool write_concern_check(const bson_iter_t *value, char *problem)
{
    bool is_none = false, is_journaled = false;
    bson_iter_t i;
    int64_t n;

    if (!BSON_ITER_HOLDS_DOCUMENT(value) || !bson_iter_recurse(value, &i))
        return FAULT("writeConcern must be a document, is %s",
                     stl_type_name(value));
    while (bson_iter_next(&i)) {
        const char *key = bson_iter_key(&i);

        if (strcmp(key, "w") == 0) {
            if (BSON_ITER_HOLDS_UTF8(&i)) {
                if (*bson_iter_utf8(&i, NULL) == '\0')
                    return FAULT("writeConcern.w is empty");
            } else if (!stl_value_as_int64(&i, &n) || n < 0 ||
                       n > INT32_MAX) {
                return FAULT("writeConcern.w must be a string or an integer "
                             "of 0 or more");
            } else {
                is_none = n == 0;
            }
        } else if (strcmp(key, "j") == 0) {
            if (!BSON_ITER_HOLDS_BOOL(&i))
                return FAULT("writeConcern.j must be a bool, is %s",
                             stl_type_name(&i));
            is_journaled = bson_iter_bool(&i);
        } else if (strcmp(key, "wtimeout") == 0) {
            if (!stl_value_as_int64(&i, &n) || n < 0)
                return FAULT("writeConcern.wtimeout must be an integer of 0 "
                             "or more");
        } else {
            return FAULT("writeConcern.%s is unknown", key);
        }
    }
    if (is_none && is_journaled)
        return FAULT("writeConcern.j true does not go with w 0");
    return true;
}

/* ---- of an operation --------------------------------------------------- */

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

static bool context_parse(const bson_iter_t *i, struct stl_opts *out,
                          char *problem)
{
    if (!BSON_ITER_HOLDS_INT64(i))
        return FAULT("context must be what stator_context_append puts there");
    out->context = (void *)(intptr_t)bson_iter_int64(i);
    return true;
}

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
static bool keys_check(const bson_t *opts, char *problem)
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
    if (!keys_check(opts, problem) || !bson_iter_init(&i, opts))
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

/* ---- of sessions and transactions -------------------------------------- */

static bool is_of_operations(const char *key)
{
    return strcmp(key, "timeoutMS") == 0 || strcmp(key, "priority") == 0 ||
           strcmp(key, "context") == 0;
}

static bool max_commit_time_check(const bson_iter_t *i, char *problem)
{
    int64_t n;

    return (stl_value_as_int64(i, &n) && n >= 0 && n <= INT32_MAX) ||
           FAULT("maxCommitTimeMS must be an integer of 0 or more");
}

bool stl_transaction_options_check(const bson_t *options, bool is_operation,
                                   char *problem)
{
    bson_iter_t i;

    if (!keys_check(options, problem) || !bson_iter_init(&i, options))
        return false;
    while (bson_iter_next(&i)) {
        const char *key = bson_iter_key(&i);
        bool ok;

        if (strcmp(key, "readConcern") == 0)
            ok = read_concern_check(&i, problem);
        else if (strcmp(key, "writeConcern") == 0)
            ok = write_concern_check(&i, problem);
        else if (strcmp(key, "readPreference") == 0)
            ok = stl_read_preference_check(&i, problem);
        else if (strcmp(key, "maxCommitTimeMS") == 0)
            ok = max_commit_time_check(&i, problem);
        else
            ok = (is_operation && is_of_operations(key)) ||
                 FAULT("%s is unknown; a transaction takes readConcern, "
                       "writeConcern, readPreference and maxCommitTimeMS",
                       key);
        if (!ok)
            return false;
    }
    return true;
}

static bool flag_check(const bson_iter_t *i, char *problem)
{
    return BSON_ITER_HOLDS_BOOL(i) ||
           FAULT("%s must be a bool, is %s", bson_iter_key(i),
                 stl_type_name(i));
}

static bool default_transaction_check(const bson_iter_t *i, char *problem)
{
    char what[STL_PROBLEM_SIZE / 2];
    bson_t options;

    if (!BSON_ITER_HOLDS_DOCUMENT(i) || !stl_value_as_document(i, &options))
        return FAULT("defaultTransactionOptions must be a document, is %s",
                     stl_type_name(i));
    if (stl_transaction_options_check(&options, false, problem))
        return true;
    snprintf(what, sizeof what, "%s", problem);
    return FAULT("defaultTransactionOptions.%s", what);
}

bool stl_session_options_check(const bson_t *options, char *problem)
{
    bool is_causal = false, is_snapshot = false;
    bson_iter_t i;

    if (!keys_check(options, problem) || !bson_iter_init(&i, options))
        return false;
    while (bson_iter_next(&i)) {
        const char *key = bson_iter_key(&i);
        bool ok = true;

        if (strcmp(key, "causalConsistency") == 0) {
            ok = flag_check(&i, problem);
            is_causal = ok && bson_iter_bool(&i);
        } else if (strcmp(key, "snapshot") == 0) {
            ok = flag_check(&i, problem);
            is_snapshot = ok && bson_iter_bool(&i);
        } else if (strcmp(key, "defaultTransactionOptions") == 0) {
            ok = default_transaction_check(&i, problem);
        } else if (strcmp(key, "leaseId") != 0 && !is_of_operations(key)) {
            return FAULT("%s is unknown; a session takes causalConsistency, "
                         "snapshot, defaultTransactionOptions and leaseId",
                         key);
        }
        if (!ok)
            return false;
    }
    return !(is_causal && is_snapshot) ||
           FAULT("causalConsistency and snapshot do not go together");
}

/* ---- of a handle ------------------------------------------------------- */

static bool handle_key_check(const bson_iter_t *i, char *problem)
{
    const char *key = bson_iter_key(i);

    if (strcmp(key, "readPreference") == 0)
        return stl_read_preference_check(i, problem);
    if (strcmp(key, "readConcern") == 0)
        return read_concern_check(i, problem);
    if (strcmp(key, "writeConcern") == 0)
        return write_concern_check(i, problem);
    if (strcmp(key, "context") == 0)
        return context_parse(i, &(struct stl_opts){0}, problem);
    return FAULT("%s is unknown; a handle takes readPreference, readConcern, "
                 "writeConcern and context", key);
}

bool stl_handle_options(const bson_t *old, const bson_t *opts, bson_t *out,
                        char *problem)
{
    bson_iter_t i;

    if (!keys_check(opts, problem))
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
