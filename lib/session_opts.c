/* SPDX-License-Identifier: Apache-2.0 */
/* lib/session_opts.c - the options of sessions and of transactions, checked. */
#include "lib/session_opts.h"

#include <stdio.h>
#include <string.h>

#include "lib/concerns.h"
#include "lib/document.h"
#include "lib/opts.h"
#include "lib/problem.h"

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

    if (!stl_opts_keys_check(options, problem) || !bson_iter_init(&i, options))
        return false;
    while (bson_iter_next(&i)) {
        const char *key = bson_iter_key(&i);
        bool ok;

        if (strcmp(key, "readConcern") == 0)
            ok = stl_read_concern_check(&i, problem);
        else if (strcmp(key, "writeConcern") == 0)
            ok = stl_write_concern_check(&i, problem);
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

    if (!stl_opts_keys_check(options, problem) || !bson_iter_init(&i, options))
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
