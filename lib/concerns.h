/* SPDX-License-Identifier: Apache-2.0 */
/* lib/concerns.h - readPreference, readConcern, writeConcern: are they sound?
 * Where they stand is for opts.h (operations), session_opts.h and handle.h to
 * say. */
#ifndef STL_CONCERNS_H
#define STL_CONCERNS_H

#include <bson/bson.h>
#include <stdbool.h>

/* Each writes what is wrong into `problem`, of STL_PROBLEM_SIZE bytes. */

/* {mode, tags, maxStalenessSeconds, hedge} */
bool stl_read_preference_check(const bson_iter_t *value, char *problem);
/* {level} */
bool stl_read_concern_check(const bson_iter_t *value, char *problem);
/* {w, j, wtimeout} */
bool stl_write_concern_check(const bson_iter_t *value, char *problem);

#endif /* STL_CONCERNS_H */
