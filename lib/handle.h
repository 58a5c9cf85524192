/* SPDX-License-Identifier: Apache-2.0 */
/* lib/handle.h - what a database and a collection have in common: a counted,
 * immutable pair of a client and a target.
 *
 * The client is a user's reference: while the handle lives, the client is
 * open unless it is closed by name.  The target is shared with operations. */
#ifndef STL_HANDLE_H
#define STL_HANDLE_H

#include <stdatomic.h>

#include "core/core.h"

struct stl_handle {
    atomic_uint refs;
    bool is_immortal;       /* the static one: no memory */
    stator_client_t *client; /* NULL: the target has a fault */
    struct stc_target *target;
};

/* The public types are this one, under names that the compiler keeps
 * apart. */
struct stator_database {
    struct stl_handle handle;
};
struct stator_collection {
    struct stl_handle handle;
};

static inline stator_database_t *stl_database_of(struct stl_handle *handle)
{
    return (stator_database_t *)(void *)handle;
}

static inline stator_collection_t *stl_collection_of(struct stl_handle *handle)
{
    return (stator_collection_t *)(void *)handle;
}

/* What is wrong with a name, as a static text that begins with `what` it is
 * the name of; NULL: nothing. */
enum stl_named { STL_DATABASE, STL_COLLECTION };
const char *stl_name_fault(enum stl_named what, const char *name);

/* `db` and `name` NULL are kept as "" if there is a fault; `name` NULL
 * without: a database.  `options` NULL: none.  Never NULL: without memory,
 * the static one. */
struct stl_handle *stl_handle_new(stator_client_t *client, const char *db,
                                  const char *name, const bson_t *options,
                                  const char *fault);
struct stl_handle *stl_handle_ref(struct stl_handle *handle);
void stl_handle_unref(struct stl_handle *handle);
/* Its options, which are readPreference, readConcern, writeConcern, context:
 * `old` with those of `opts` in their place.  False: `out` is not touched,
 * `problem` (of STL_PROBLEM_SIZE bytes) says what is wrong. */
bool stl_handle_options(const bson_t *old, const bson_t *opts, bson_t *out,
                        char *problem);
/* The same handle with other options; NULL and `error`. */
struct stl_handle *stl_handle_with_opts(struct stl_handle *handle,
                                        const char *subject,
                                        const bson_t *opts,
                                        bson_error_t *error);

#endif /* STL_HANDLE_H */
