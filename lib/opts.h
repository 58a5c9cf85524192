/* SPDX-License-Identifier: Apache-2.0 */
/* lib/opts.h - `opts` of an operation: Stator's own keys, and the driver's.
 *
 *   opts ──┬─> timeoutMS, priority, timeoutMode, prefetch, maxBytes
 *          ├─> leaseId, sessionId: numbers of ours
 *          ├─> context: a pointer of the user's
 *          ├─> readPreference
 *          └─> every other key, unchanged: the driver's part
 *
 * Those of sessions and transactions are in session_opts.h, those of handles in
 * handle.h; what readPreference and the like may be, in concerns.h. */
#ifndef STL_OPTS_H
#define STL_OPTS_H

#include "core/core.h"
#include "lib/problem.h"

struct stl_opts {
    int64_t timeout_ms; /* 0: none */
    enum stc_priority priority;
    enum stc_timeout_mode timeout_mode;
    int prefetch;
    int64_t max_bytes; /* 0: none */
    int64_t lease_id;  /* likewise */
    int64_t session_id;
    void *context;
    bson_t read_preference; /* a view into opts, or {} */
    bool has_own; /* some keys are not the driver's */
};

/* Each writes what is wrong into `problem`, of STL_PROBLEM_SIZE bytes.
 *
 * Sort out the keys of `opts`, which is sound BSON.  `is_cursor`: the keys
 * of cursors are allowed.  False: `problem` names the key. */
bool stl_opts_parse(const bson_t *opts, bool is_cursor, struct stl_opts *out,
                    char *problem);
/* The driver's part, as a new document. */
void stl_opts_copy_driver_part(const bson_t *opts, bson_t *out);

/* Of any options: no key is given twice, and there are not too many. */
bool stl_opts_keys_check(const bson_t *opts, char *problem);
/* A pointer, as stator_context_append puts it. */
bool stl_context_check(const bson_iter_t *value, char *problem);

#endif /* STL_OPTS_H */
