/* SPDX-License-Identifier: Apache-2.0 */
/* database.h - an immutable, counted handle of one database.
 *
 * For every call that returns a future or a cursor: the result is a new
 * reference and never NULL, inputs are copied before the call returns,
 * nothing blocks, and all errors come through the future.  The options
 * common to all operations are in client.h. */
#ifndef STATOR_DATABASE_H
#define STATOR_DATABASE_H

#include <stator/cursor.h>
#include <stator/future.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stator_client stator_client_t;
typedef struct stator_database stator_database_t;
typedef struct stator_collection stator_collection_t;

/* The same database with other options: readPreference, readConcern
 * {level: ..}, writeConcern {w:, j:, wtimeout:}, context (event.h).  They are
 * what every operation of this handle, and of collections made from it, begins
 * with.
 *
 * Thread: any.
 * Owns: a new reference; copies `opts`.
 * Errors: NULL and `error` (may be NULL) filled: ARGUMENT names the bad key,
 *   MEMORY.
 * Source: mongoc_database_set_read_prefs, _set_read_concern,
 *   _set_write_concern. */
STATOR_API STATOR_MUST_CHECK stator_database_t *
stator_database_with_opts(stator_database_t *database, const bson_t *opts,
                          bson_error_t *error);

/* A collection of this database, with this handle's options.
 *
 * Thread: any.  Owns: a new reference, never NULL; copies `name`.
 * Errors: as stator_client_get_collection.
 * Source: mongoc_database_get_collection. */
STATOR_API stator_collection_t *
stator_database_get_collection(stator_database_t *database,
                               const char *name);

/* The database's name.
 *
 * Thread: any.  Owns: lent, as long as the handle lives.  Errors: "" for a
 *   handle that was made with none.
 * Source: mongoc_database_get_name. */
STATOR_API const char *
stator_database_get_name(const stator_database_t *database);

/* Run `command`.  The reply is stator_future_reply.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_database_command_with_opts. */
STATOR_API stator_future_t *
stator_database_command(stator_database_t *database, const bson_t *command,
                        const bson_t *opts);

/* As stator_database_command, with the handle's read concern and preference,
 * and the driver's retryable reads.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_database_read_command_with_opts. */
STATOR_API stator_future_t *
stator_database_read_command(stator_database_t *database,
                             const bson_t *command, const bson_t *opts);

/* As stator_database_command, with the handle's write concern.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_database_write_command_with_opts. */
STATOR_API stator_future_t *
stator_database_write_command(stator_database_t *database,
                              const bson_t *command, const bson_t *opts);

/* As stator_database_command, with the handle's read and write concern, on
 * the primary: for commands that do both.  A read preference is not used.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_database_read_write_command_with_opts. */
STATOR_API stator_future_t *
stator_database_read_write_command(stator_database_t *database,
                                   const bson_t *command,
                                   const bson_t *opts);

/* A cursor over what `command` finds: any command whose reply holds a
 * {cursor: {id, ns, firstBatch}}.  It is sent as stator_database_command
 * sends it, by the first future, and not retried.  These of `opts` are for
 * the batches that follow, and not sent with the command: batchSize, comment,
 * maxAwaitTimeMS, tailable, awaitData.
 *
 * Thread: any.  Owns: a new cursor, never NULL.  Errors: through the first
 *   future of the cursor; a reply without a cursor is one.
 * Source: mongoc_database_command_with_opts and
 *   mongoc_cursor_new_from_command_reply_with_opts. */
STATOR_API stator_cursor_t *
stator_database_run_cursor_command(stator_database_t *database,
                                   const bson_t *command,
                                   const bson_t *opts);

/* Aggregate on the database itself ($currentOp, $listLocalSessions, ..).
 *
 * Thread: any.  Owns: a new cursor, never NULL.  Errors: through the first
 *   future of the cursor.
 * Source: mongoc_database_aggregate. */
STATOR_API stator_cursor_t *
stator_database_aggregate(stator_database_t *database,
                          const bson_t *pipeline, const bson_t *opts);

/* Make the collection `name`; `opts` may hold what the server's "create"
 * takes: capped, size, validator, viewOn and pipeline, clusteredIndex,
 * timeseries, ..; of encryptedFields see encryption.md.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_database_create_collection. */
STATOR_API stator_future_t *
stator_database_create_collection(stator_database_t *database,
                                  const char *name, const bson_t *opts);

/* The collections, a document each; `opts` may hold a "filter".
 *
 * Thread: any.  Owns: a new cursor, never NULL.  Errors: through the first
 *   future of the cursor.
 * Source: mongoc_database_find_collections_with_opts. */
STATOR_API stator_cursor_t *
stator_database_list_collections(stator_database_t *database,
                                 const bson_t *opts);

/* The collections' names: the reply holds the array "names", the count is
 * its length.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_database_get_collection_names_with_opts. */
STATOR_API stator_future_t *
stator_database_list_collection_names(stator_database_t *database,
                                      const bson_t *opts);

/* Is there a collection `name`?  DONE with count 1 or 0.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_database_has_collection. */
STATOR_API stator_future_t *
stator_database_has_collection(stator_database_t *database,
                               const char *name, const bson_t *opts);

/* Drop the database.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_database_drop_with_opts. */
STATOR_API stator_future_t *stator_database_drop(stator_database_t *database,
                                                 const bson_t *opts);

/* One more reference.
 *
 * Thread: any.  Owns: caller gains one; returns `database`.  Errors: none;
 *   NULL gives NULL. */
STATOR_API stator_database_t *
stator_database_ref(stator_database_t *database);

/* Give a reference back.  Operations under way go on.  Never blocks.
 *
 * Thread: any.  Owns: takes one reference; NULL is fine.  Errors: none. */
STATOR_API void stator_database_unref(stator_database_t *database);

#ifdef __cplusplus
}
#endif

#endif /* STATOR_DATABASE_H */
