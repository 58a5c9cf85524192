/* SPDX-License-Identifier: Apache-2.0 */
/* collection.h - an immutable, counted handle of one collection.
 *
 * Same nouns, verbs, argument order and `opts` keys as in the driver: its
 * manual is the manual.  For every call that returns a future or a cursor:
 * the result is a new reference and never NULL, inputs are copied before the
 * call returns, nothing blocks, and all errors come through the future.  The
 * options common to all operations are in client.h.
 *
 * An unacknowledged write (writeConcern {w: 0}) is DONE with the outcome
 * STATOR_MAYBE_SENT and a count of 0: sent, not confirmed. */
#ifndef STATOR_COLLECTION_H
#define STATOR_COLLECTION_H

#include <stator/cursor.h>
#include <stator/database.h>
#include <stator/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The same collection with other options: readPreference, readConcern
 * {level: ..}, writeConcern {w:, j:, wtimeout:}, context (event.h).  They are
 * what every operation of this handle begins with.
 *
 * Thread: any.
 * Owns: a new reference; copies `opts`.
 * Errors: NULL and `error` (may be NULL) filled: ARGUMENT names the bad key,
 *   MEMORY.
 * Source: mongoc_collection_set_read_prefs, _set_read_concern,
 *   _set_write_concern. */
STATOR_API STATOR_MUST_CHECK stator_collection_t *
stator_collection_with_opts(stator_collection_t *collection,
                            const bson_t *opts, bson_error_t *error);

/* The collection's name.
 *
 * Thread: any.  Owns: lent, as long as the handle lives.  Errors: "" for a
 *   handle that was made with none.
 * Source: mongoc_collection_get_name. */
STATOR_API const char *
stator_collection_get_name(const stator_collection_t *collection);

/* Insert one document.  Without an _id it is given one, in front, as the
 * driver does.  The reply holds "insertedCount" and, which the driver does
 * not have, "insertedId"; the count is 1.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_insert_one. */
STATOR_API stator_future_t *
stator_collection_insert_one(
    stator_collection_t *collection,
    const bson_t *document,
    const bson_t *opts);

/* Insert `n` documents, in as many messages as they need; `ordered` false
 * goes on after an error.  The reply holds "insertedCount", "insertedIds"
 * ({"0": id, ..}, of all that were sent) and "writeErrors"; the count is
 * what was inserted, of a failed one too.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Units: n, documents, 1 or more.
 * Source: mongoc_collection_insert_many. */
STATOR_API stator_future_t *
stator_collection_insert_many(
    stator_collection_t *collection,
    const bson_t **documents,
    size_t n,
    const bson_t *opts);

/* The first document that matches: stator_future_document.  A miss is DONE
 * with none.  `opts` as for find.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_find_with_opts with limit 1. */
STATOR_API stator_future_t *
stator_collection_find_one(
    stator_collection_t *collection,
    const bson_t *filter,
    const bson_t *opts);

/* A cursor over the documents that match `filter` (NULL: all).  No I/O
 * until it is asked for documents.  `opts` is the driver's: projection,
 * sort, skip, limit, batchSize, hint, .., and Stator's (cursor.h).
 *
 * Thread: any.  Owns: a new cursor, never NULL.  Errors: through the first
 *   future of the cursor.
 * Source: mongoc_collection_find_with_opts. */
STATOR_API stator_cursor_t *
stator_collection_find(
    stator_collection_t *collection,
    const bson_t *filter,
    const bson_t *opts);

/* A cursor over the result of `pipeline`: an array, or {"pipeline": [..]}.
 * $out and $merge run with the first future, where reads go if that server
 * has wire version 13 (5.0), else on the primary, and give
 * no document.
 *
 * Thread: any.  Owns: a new cursor, never NULL.  Errors: through the first
 *   future of the cursor.
 * Source: mongoc_collection_aggregate. */
STATOR_API stator_cursor_t *
stator_collection_aggregate(
    stator_collection_t *collection,
    const bson_t *pipeline,
    const bson_t *opts);

/* Update the first document that matches; `update` is a document of
 * operators or a pipeline.  The reply holds "matchedCount",
 * "modifiedCount" and "upsertedId"; the count is matchedCount.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_update_one. */
STATOR_API stator_future_t *
stator_collection_update_one(
    stator_collection_t *collection,
    const bson_t *selector,
    const bson_t *update,
    const bson_t *opts);

/* Update all documents that match; as update_one.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_update_many. */
STATOR_API stator_future_t *
stator_collection_update_many(
    stator_collection_t *collection,
    const bson_t *selector,
    const bson_t *update,
    const bson_t *opts);

/* Replace the first document that matches; as update_one.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_replace_one. */
STATOR_API stator_future_t *
stator_collection_replace_one(
    stator_collection_t *collection,
    const bson_t *selector,
    const bson_t *replacement,
    const bson_t *opts);

/* Delete the first document that matches.  The reply holds
 * "deletedCount", which is also the count.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_delete_one. */
STATOR_API stator_future_t *
stator_collection_delete_one(
    stator_collection_t *collection,
    const bson_t *selector,
    const bson_t *opts);

/* Delete all documents that match; as delete_one.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_delete_many. */
STATOR_API stator_future_t *
stator_collection_delete_many(
    stator_collection_t *collection,
    const bson_t *selector,
    const bson_t *opts);

/* Update one document and give it as stator_future_document, as it was or,
 * with returnDocument: "after", as it is.  Also in `opts`: sort,
 * projection, upsert, arrayFilters, bypassDocumentValidation, and what the
 * server's findAndModify takes.  A miss is DONE with none.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_find_and_modify_with_opts, and the CRUD
 *   specification for the names. */
STATOR_API stator_future_t *
stator_collection_find_one_and_update(
    stator_collection_t *collection,
    const bson_t *selector,
    const bson_t *update,
    const bson_t *opts);

/* As find_one_and_update, with a whole document.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_find_and_modify_with_opts, and the CRUD
 *   specification for the names. */
STATOR_API stator_future_t *
stator_collection_find_one_and_replace(
    stator_collection_t *collection,
    const bson_t *selector,
    const bson_t *replacement,
    const bson_t *opts);

/* Delete one document and give it as it was; as find_one_and_update.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_find_and_modify_with_opts, and the CRUD
 *   specification for the names. */
STATOR_API stator_future_t *
stator_collection_find_one_and_delete(
    stator_collection_t *collection,
    const bson_t *selector,
    const bson_t *opts);

/* Many writes in few messages.  A model is {"insertOne": {document}},
 * {"updateOne": {filter, update, upsert, arrayFilters, collation, hint}},
 * updateMany, {"replaceOne": {filter, replacement, ..}}, {"deleteOne":
 * {filter, collation, hint}} or deleteMany.  `ordered` (default true) false
 * goes on after an error; `serverId` names the server, as
 * mongoc_bulk_operation_set_hint.  The reply is the driver's: nInserted,
 * nMatched, nModified, nRemoved, nUpserted, upserted, writeErrors (index, code,
 * errmsg), writeConcernErrors; and insertedIds.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Units: n, models, 1 or more.
 * Source: mongoc_collection_create_bulk_operation_with_opts,
 *   mongoc_bulk_operation_execute, and the CRUD specification for the keys. */
STATOR_API stator_future_t *
stator_collection_bulk_write(
    stator_collection_t *collection,
    const bson_t **models,
    size_t n,
    const bson_t *opts);

/* How many match: the count.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_count_documents. */
STATOR_API stator_future_t *
stator_collection_count_documents(
    stator_collection_t *collection,
    const bson_t *filter,
    const bson_t *opts);

/* How many there are, by the collection's metadata: the count.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_estimated_document_count. */
STATOR_API stator_future_t *
stator_collection_estimated_document_count(
    stator_collection_t *collection,
    const bson_t *opts);

/* The distinct values of `key`: the reply holds the array "values", the
 * count is its length.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: the server's "distinct", by
 *   mongoc_collection_read_command_with_opts. */
STATOR_API stator_future_t *
stator_collection_distinct(
    stator_collection_t *collection,
    const char *key,
    const bson_t *filter,
    const bson_t *opts);

/* Make one index; `model` as in create_indexes.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: the server's "createIndexes", by
 *   mongoc_collection_write_command_with_opts. */
STATOR_API stator_future_t *
stator_collection_create_index(
    stator_collection_t *collection,
    const bson_t *model,
    const bson_t *opts);

/* Make indexes.  A model is an element of the command's "indexes": {key:
 * {..}, name: made of the key if missing, unique: .., ..}.  The reply holds
 * "names".
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Units: n, models, 1 or more.
 * Source: the server's "createIndexes", by
 *   mongoc_collection_write_command_with_opts. */
STATOR_API stator_future_t *
stator_collection_create_indexes(
    stator_collection_t *collection,
    const bson_t **models,
    size_t n,
    const bson_t *opts);

/* The indexes, a document each.
 *
 * Thread: any.  Owns: a new cursor, never NULL.  Errors: through the first
 *   future of the cursor.
 * Source: mongoc_collection_find_indexes_with_opts. */
STATOR_API stator_cursor_t *
stator_collection_list_indexes(
    stator_collection_t *collection,
    const bson_t *opts);

/* Drop the index `name`.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_drop_index_with_opts. */
STATOR_API stator_future_t *
stator_collection_drop_index(
    stator_collection_t *collection,
    const char *name,
    const bson_t *opts);

/* Drop all indexes but that on _id.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_drop_index_with_opts with "*". */
STATOR_API stator_future_t *
stator_collection_drop_indexes(
    stator_collection_t *collection,
    const bson_t *opts);

/* Rename the collection.  This handle keeps the old name.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_rename_with_opts. */
STATOR_API stator_future_t *
stator_collection_rename(
    stator_collection_t *collection,
    const char *new_db,
    const char *new_name,
    bool drop_target,
    const bson_t *opts);

/* Drop the collection.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_drop_with_opts. */
STATOR_API stator_future_t *
stator_collection_drop(
    stator_collection_t *collection,
    const bson_t *opts);

/* ---- commands, on the collection's database, with this handle's options -- */

/* Run `command`.  The reply is stator_future_reply.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_command_with_opts. */
STATOR_API stator_future_t *
stator_collection_command(
    stator_collection_t *collection,
    const bson_t *command,
    const bson_t *opts);

/* As stator_collection_command, with the handle's read concern and
 * preference, and the driver's retryable reads.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_read_command_with_opts. */
STATOR_API stator_future_t *
stator_collection_read_command(
    stator_collection_t *collection,
    const bson_t *command,
    const bson_t *opts);

/* As stator_collection_command, with the handle's write concern.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_write_command_with_opts. */
STATOR_API stator_future_t *
stator_collection_write_command(
    stator_collection_t *collection,
    const bson_t *command,
    const bson_t *opts);

/* As stator_collection_command, with the handle's read and write concern, on
 * the primary: for commands that do both.  A read preference is not used.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_read_write_command_with_opts. */
STATOR_API stator_future_t *
stator_collection_read_write_command(
    stator_collection_t *collection,
    const bson_t *command,
    const bson_t *opts);

/* ---- what it says of itself -------------------------------------- */

/* Is it sound?  The reply is the server's; `opts` may hold full, repair,
 * metadata.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_validate. */
STATOR_API stator_future_t *
stator_collection_validate(
    stator_collection_t *collection,
    const bson_t *opts);

/* Its sizes and counts, as the reply; `opts` may hold a scale.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_collection_stats. */
STATOR_API stator_future_t *
stator_collection_stats(
    stator_collection_t *collection,
    const bson_t *opts);

/* The options that it was made with, as stator_future_document; none: there
 * is no such collection.  The reply is its element of list_collections.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: mongoc_database_find_collections_with_opts. */
STATOR_API stator_future_t *
stator_collection_options(
    stator_collection_t *collection,
    const bson_t *opts);

/* ---- search indexes ----------------------------------------------
 * For servers that have them.  These have returned when the server has taken
 * the request, and it goes on by itself: what came of it list_search_indexes
 * tells.  The handle's concerns are not sent. */

/* Make one search index; `model` as in create_search_indexes.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: the server's "createSearchIndexes", by
 *   mongoc_collection_command_with_opts. */
STATOR_API stator_future_t *
stator_collection_create_search_index(
    stator_collection_t *collection,
    const bson_t *model,
    const bson_t *opts);

/* Make search indexes.  A model is {definition: {..}, name: .., type: ..};
 * the server calls one without a name "default".  The reply holds "names".
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Units: n, models, 0 or more.
 * Source: the server's "createSearchIndexes", by
 *   mongoc_collection_command_with_opts. */
STATOR_API stator_future_t *
stator_collection_create_search_indexes(
    stator_collection_t *collection,
    const bson_t **models,
    size_t n,
    const bson_t *opts);

/* Give the search index `name` another definition.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: the server's "updateSearchIndex", by
 *   mongoc_collection_command_with_opts. */
STATOR_API stator_future_t *
stator_collection_update_search_index(
    stator_collection_t *collection,
    const char *name,
    const bson_t *definition,
    const bson_t *opts);

/* Drop the search index `name`.  A collection that is not there is no error.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future.
 * Source: the server's "dropSearchIndex", by
 *   mongoc_collection_command_with_opts. */
STATOR_API stator_future_t *
stator_collection_drop_search_index(
    stator_collection_t *collection,
    const char *name,
    const bson_t *opts);

/* The search indexes, a document each; `name` NULL: all.
 *
 * Thread: any.  Owns: a new cursor, never NULL.  Errors: through the first
 *   future of the cursor.
 * Source: the stage "$listSearchIndexes". */
STATOR_API stator_cursor_t *
stator_collection_list_search_indexes(
    stator_collection_t *collection,
    const char *name,
    const bson_t *opts);

/* One more reference.
 *
 * Thread: any.  Owns: caller gains one; returns `collection`.  Errors: none;
 *   NULL gives NULL. */
STATOR_API stator_collection_t *
stator_collection_ref(stator_collection_t *collection);

/* Give a reference back.  Operations under way go on.  Never blocks.
 *
 * Thread: any.  Owns: takes one reference; NULL is fine.  Errors: none. */
STATOR_API void stator_collection_unref(stator_collection_t *collection);

#ifdef __cplusplus
}
#endif

#endif /* STATOR_COLLECTION_H */
