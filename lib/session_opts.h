/* SPDX-License-Identifier: Apache-2.0 */
/* lib/session_opts.h - the options of sessions and of transactions: those that
 * are not of every operation, which are in opts.h. */
#ifndef STL_SESSION_OPTS_H
#define STL_SESSION_OPTS_H

#include <bson/bson.h>
#include <stdbool.h>

/* Each writes what is wrong into `problem`, of STL_PROBLEM_SIZE bytes.
 *
 * {readConcern, writeConcern, readPreference, maxCommitTimeMS}; those keys
 * that are of every operation may be there too if `is_operation`. */
bool stl_transaction_options_check(const bson_t *options, bool is_operation,
                                   char *problem);
/* {causalConsistency, snapshot, defaultTransactionOptions, leaseId, ..} */
bool stl_session_options_check(const bson_t *options, char *problem);

#endif /* STL_SESSION_OPTS_H */
