/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_index.h - the two indexes of a bucket, made before its first
 * chunk:
 *
 *   is there a file? ─yes─> nothing to do
 *         └─ no: for files, then chunks: is it among the indexes? else make it
 */
#ifndef STL_GRIDFS_INDEX_H
#define STL_GRIDFS_INDEX_H

#include "lib/gridfs_call.h"

enum stl_index_step {
    STL_INDEX_START,
    STL_INDEX_LOOK,  /* for a file */
    STL_INDEX_LIST,  /* of files, of chunks */
    STL_INDEX_MAKE,
    STL_INDEX_MADE
};

struct stl_index {
    enum stl_index_step step;
    bool of_chunks;
};

/* What comes after `settled` (NULL at the beginning): to be awaited, or NULL
 * when all is done, or, with `*failed` set, when `settled` failed. */
stator_future_t *stl_index_next(struct stl_index *x, struct stl_call *call,
                                stator_future_t *settled, bool *failed);

#endif /* STL_GRIDFS_INDEX_H */
