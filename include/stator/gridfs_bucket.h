/* SPDX-License-Identifier: Apache-2.0 */
/* gridfs_bucket.h - files of any size, in chunks, in two collections.
 *
 *   open_upload_stream ─> write, write, .. ─> close      <bucket>.chunks
 *                                 └─> abort              <bucket>.files
 *   open_download_stream ─> open ─> read, seek, .. ─> close
 *
 * No call here does I/O on the caller's thread, and no thread belongs to a
 * stream: its operations are ordinary ones, that any worker serves.  Two that
 * read or write a descriptor borrow a worker for a piece at a time.
 *
 * The requests of one stream are served one at a time, in the order of the
 * calls, so none need be waited for before the next is made.  What a stream
 * sends passes a full queue: it is at most four chunks at a time.  `opts` of a
 * stream hold for each of its requests; beside those named below: timeoutMS (of
 * each request as a whole), priority, leaseId, sessionId, context.
 *
 * A bucket asks no more than other programs that keep to the format do, and
 * reads and writes the same files.  It makes the two indexes before the first
 * chunk that it writes, if there is no file yet.
 *
 * When the client drains, accepted requests are served to their end; when it
 * is closed, all others fail (CLOSED), and the chunks of an upload that is
 * neither closed nor aborted stay. */
#ifndef STATOR_GRIDFS_BUCKET_H
#define STATOR_GRIDFS_BUCKET_H

#include <stator/cursor.h>
#include <stator/database.h>
#include <stator/future.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stator_gridfs_bucket stator_gridfs_bucket_t;
typedef struct stator_gridfs_upload_stream stator_gridfs_upload_stream_t;
typedef struct stator_gridfs_download_stream stator_gridfs_download_stream_t;

/* ---- the bucket ------------------------------------------------------ */

/* A handle of a bucket.  No I/O.  `opts`: bucketName ("fs"), chunkSizeBytes
 * (261120), readConcern, writeConcern, readPreference, context (those of
 * `database`).
 *
 * Thread: any.
 * Owns: a new reference; copies `opts` (NULL: none); keeps the client open.
 * Units: chunkSizeBytes, bytes, 1 to 16 MiB less 16 KiB.
 * Errors: NULL and `error` (may be NULL) filled: ARGUMENT names the bad key,
 *   MEMORY.
 * Source: mongoc_gridfs_bucket_new. */
STATOR_API STATOR_MUST_CHECK stator_gridfs_bucket_t *
stator_gridfs_bucket_new(stator_database_t *database, const bson_t *opts,
                         bson_error_t *error);

/* One more reference.
 *
 * Thread: any.  Owns: caller gains one; returns `bucket`.  Errors: none; NULL
 *   gives NULL. */
STATOR_API stator_gridfs_bucket_t *
stator_gridfs_bucket_ref(stator_gridfs_bucket_t *bucket);

/* Give a reference back.  Streams hold one.
 *
 * Thread: any.  Owns: takes one reference; NULL is fine.  Errors: none.
 * Source: mongoc_gridfs_bucket_destroy. */
STATOR_API void stator_gridfs_bucket_unref(stator_gridfs_bucket_t *bucket);

/* A cursor over the documents of the bucket's files.  `filter` (NULL: all),
 * `opts`: as stator_collection_find.
 *
 * Thread: any.  Owns: a new cursor, never NULL.  Errors: through the first
 *   future of the cursor.
 * Source: mongoc_gridfs_bucket_find. */
STATOR_API stator_cursor_t *
stator_gridfs_bucket_find(stator_gridfs_bucket_t *bucket,
                          const bson_t *filter, const bson_t *opts);

/* The document of the first file that matches, as stator_collection_find_one.
 *
 * Thread: any.  Owns: a new reference, never NULL.  Errors: through the
 *   future. */
STATOR_API stator_future_t *
stator_gridfs_bucket_find_one(stator_gridfs_bucket_t *bucket,
                              const bson_t *filter, const bson_t *opts);

/* Delete a file and its chunks.  `opts`: timeoutMS, priority, leaseId,
 * sessionId, context.
 *
 * Thread: any.
 * Owns: a new reference, never NULL; copies its arguments.
 * Errors: through the future: MONGOC_ERROR_GRIDFS_BUCKET_FILE_NOT_FOUND when
 *   there is none; chunks without a file go all the same.
 * Source: mongoc_gridfs_bucket_delete_by_id. */
STATOR_API stator_future_t *
stator_gridfs_bucket_delete_by_id(stator_gridfs_bucket_t *bucket,
                                  const bson_value_t *id,
                                  const bson_t *opts);

/* Delete all revisions of a file: the count is how many there were.
 *
 * Thread: any.  Owns: as stator_gridfs_bucket_delete_by_id.  Errors:
 *   likewise. */
STATOR_API stator_future_t *
stator_gridfs_bucket_delete_by_name(stator_gridfs_bucket_t *bucket,
                                    const char *filename,
                                    const bson_t *opts);

/* Give a file another name.  `opts` as of delete_by_id.
 *
 * Thread: any.  Owns: as stator_gridfs_bucket_delete_by_id.  Errors:
 *   likewise. */
STATOR_API stator_future_t *
stator_gridfs_bucket_rename(stator_gridfs_bucket_t *bucket,
                            const bson_value_t *id, const char *new_filename,
                            const bson_t *opts);

/* Give all revisions of a file another name: the count is how many there
 * were.
 *
 * Thread: any.  Owns: as stator_gridfs_bucket_delete_by_id.  Errors:
 *   likewise. */
STATOR_API stator_future_t *
stator_gridfs_bucket_rename_by_name(stator_gridfs_bucket_t *bucket,
                                    const char *filename,
                                    const char *new_filename,
                                    const bson_t *opts);

/* Drop both collections.  DONE also when there are none.  `opts` as of
 * delete_by_id.
 *
 * Thread: any.  Owns: a new reference, never NULL; copies `opts`.  Errors:
 *   through the future. */
STATOR_API stator_future_t *
stator_gridfs_bucket_drop(stator_gridfs_bucket_t *bucket, const bson_t *opts);

/* ---- whole files ----------------------------------------------------- */

/* Upload `size` bytes: write and close of a stream of its own.  What of it was
 * sent goes when it fails or is cancelled.  DONE with the file's document:
 * stator_future_document.  `opts` as of open_upload_stream.
 *
 * Thread: any.
 * Owns: a new reference, never NULL; copies its arguments.
 * Units: size, bytes.
 * Errors: through the future. */
STATOR_API stator_future_t *
stator_gridfs_bucket_upload_from_buffer(stator_gridfs_bucket_t *bucket,
                                        const char *filename,
                                        const void *bytes, size_t size,
                                        const bson_t *opts);

/* The same of all that `fd` gives until its end; see
 * stator_gridfs_upload_stream_from_fd.
 *
 * Thread: any.
 * Owns: a new reference, never NULL; copies `filename` and `opts`; duplicates
 *   `fd`.
 * Units: fd, a descriptor, 0 or more.
 * Errors: through the future.
 * Source: mongoc_gridfs_bucket_upload_from_stream. */
STATOR_API stator_future_t *
stator_gridfs_bucket_upload_from_fd(stator_gridfs_bucket_t *bucket,
                                    const char *filename, int fd,
                                    const bson_t *opts);

/* Download a file: stator_future_bytes.  `opts` as of open_download_stream.
 *
 * Thread: any.
 * Owns: a new reference, never NULL; copies its arguments.
 * Errors: through the future. */
STATOR_API stator_future_t *
stator_gridfs_bucket_download_to_buffer(stator_gridfs_bucket_t *bucket,
                                        const bson_value_t *id,
                                        const bson_t *opts);

/* The same into `fd`; see stator_gridfs_download_stream_to_fd.
 *
 * Thread: any.
 * Owns: a new reference, never NULL; copies `id` and `opts`; duplicates `fd`.
 * Units: fd, a descriptor, 0 or more; of the count, bytes.
 * Errors: through the future.
 * Source: mongoc_gridfs_bucket_download_to_stream. */
STATOR_API stator_future_t *
stator_gridfs_bucket_download_to_fd(stator_gridfs_bucket_t *bucket,
                                    const bson_value_t *id, int fd,
                                    const bson_t *opts);

/* ---- upload ---------------------------------------------------------- */

/* A stream into a new file, which has an ObjectId.  No I/O.  `opts`:
 * chunkSizeBytes (the bucket's), metadata (a document).
 *
 * Thread: any.
 * Owns: a new reference, never NULL; copies its arguments.
 * Units: chunkSizeBytes, bytes, as of stator_gridfs_bucket_new.
 * Errors: through each future of the stream.
 * Source: mongoc_gridfs_bucket_open_upload_stream. */
STATOR_API stator_gridfs_upload_stream_t *
stator_gridfs_bucket_open_upload_stream(stator_gridfs_bucket_t *bucket,
                                        const char *filename,
                                        const bson_t *opts);

/* The same with an _id of your own, that no file has.
 *
 * Thread: any.
 * Owns: as stator_gridfs_bucket_open_upload_stream.
 * Errors: likewise; the server's 11000 when a file has it.
 * Source: mongoc_gridfs_bucket_open_upload_stream_with_id. */
STATOR_API stator_gridfs_upload_stream_t *
stator_gridfs_bucket_open_upload_stream_with_id(
    stator_gridfs_bucket_t *bucket,
    const bson_value_t *id,
    const char *filename,
    const bson_t *opts);

/* Append bytes.  Settles when they have been taken and there is room for more:
 * when fewer than four chunks are on their way.  Who waits for it before the
 * next write has that many in memory, and what this call brings.
 *
 * After a failure, and after a cancel (the bytes that it leaves out would be
 * missing), the stream has FAILED: so do all its requests, abort excepted.
 *
 * Thread: any.
 * Owns: a new reference, never NULL; copies `bytes`.
 * Units: size, bytes; 0 is fine.
 * Errors: through the future: the server's, CLOSED after close or abort.
 * Source: mongoc_stream_write. */
STATOR_API stator_future_t *
stator_gridfs_upload_stream_write(stator_gridfs_upload_stream_t *upload,
                                  const void *bytes, size_t size);

/* Append all that `fd` gives until its end; the count is its bytes.  A worker
 * reads, up to a chunk at a time and only what is there, so at most 5 ms are
 * spent in a wait for a descriptor that does not give (a regular file gives
 * always, however slow its disk is).  One that never gives has to be cancelled,
 * or bounded by timeoutMS.
 *
 * Thread: any.
 * Owns: a new reference, never NULL; duplicates `fd`, so yours may be closed.
 * Units: fd, a descriptor, 0 or more; of the count, bytes.
 * Errors: through the future: ARGUMENT or REFUSED when `fd` can not be
 *   duplicated; MONGOC_ERROR_GRIDFS_BUCKET_STREAM with the text of errno; as of
 *   write. */
STATOR_API stator_future_t *
stator_gridfs_upload_stream_from_fd(stator_gridfs_upload_stream_t *upload,
                                    int fd);

/* Send what is left, then the file's document: now there is a file.  DONE with
 * that document, when it was closed before too.
 *
 * Thread: any.  Owns: a new reference, never NULL; the handle is still to be
 *   given back.
 * Errors: through the future: as of write; when it is not known whether the
 *   document was written (MAYBE_SENT), abort makes sure that there is no file.
 * Source: mongoc_stream_close. */
STATOR_API stator_future_t *
stator_gridfs_upload_stream_close(stator_gridfs_upload_stream_t *upload);

/* Cancel what waits on the stream, and delete the chunks that were sent.
 *
 * Thread: any.  Owns: a new reference, never NULL.
 * Errors: through the future: CLOSED when it was closed; after a failure it
 *   can be asked again.
 * Source: mongoc_gridfs_bucket_abort_upload. */
STATOR_API stator_future_t *
stator_gridfs_upload_stream_abort(stator_gridfs_upload_stream_t *upload);

/* The file's _id.
 *
 * Thread: any.  Owns: lent, as long as the stream lives.  Errors: NULL for a
 *   stream that was made of wrong arguments. */
STATOR_API const bson_value_t *
stator_gridfs_upload_stream_id(const stator_gridfs_upload_stream_t *upload);

/* How far it has come: bytes that the server has confirmed.
 *
 * Thread: any.  Owns: nothing.  Units: bytes.  Errors: 0 for NULL. */
STATOR_API int64_t
stator_gridfs_upload_stream_tell(const stator_gridfs_upload_stream_t *upload);

/* One more reference.
 *
 * Thread: any.  Owns: caller gains one; returns `upload`.  Errors: none; NULL
 *   gives NULL. */
STATOR_API stator_gridfs_upload_stream_t *
stator_gridfs_upload_stream_ref(stator_gridfs_upload_stream_t *upload);

/* Give a reference back.  With the last one, a stream whose close was not asked
 * for is aborted, and one whose close fails; a worker sees to that.  Never
 * blocks.
 *
 * Thread: any.  Owns: takes one reference; NULL is fine.  Errors: none.
 * Source: mongoc_stream_destroy. */
STATOR_API void
stator_gridfs_upload_stream_unref(stator_gridfs_upload_stream_t *upload);

/* ---- download -------------------------------------------------------- */

/* A stream out of a file.  No I/O.
 *
 * Thread: any.
 * Owns: a new reference, never NULL; copies its arguments.
 * Errors: through each future of the stream.
 * Source: mongoc_gridfs_bucket_open_download_stream. */
STATOR_API stator_gridfs_download_stream_t *
stator_gridfs_bucket_open_download_stream(stator_gridfs_bucket_t *bucket,
                                          const bson_value_t *id,
                                          const bson_t *opts);

/* The same of a file that is known by its name.  `opts`: revision, 0 for the
 * first file of that name, 1 for the second, ..; -1 (default) for the latest,
 * -2 for the one before, ...
 *
 * Thread: any.  Owns: as stator_gridfs_bucket_open_download_stream.  Errors:
 *   likewise. */
STATOR_API stator_gridfs_download_stream_t *
stator_gridfs_bucket_open_download_stream_by_name(
    stator_gridfs_bucket_t *bucket,
    const char *filename,
    const bson_t *opts);

/* Find the file: DONE with its document, stator_future_document.  Every other
 * request does so first, if need be; one that did not find it is tried again.
 *
 * Thread: any.
 * Owns: a new reference, never NULL.
 * Errors: through the future: MONGOC_ERROR_GRIDFS_BUCKET_FILE_NOT_FOUND. */
STATOR_API stator_future_t *
stator_gridfs_download_stream_open(stator_gridfs_download_stream_t *download);

/* The next `max` bytes, fewer only at the file's end: stator_future_bytes.
 * 0: those that are left of the chunk at hand, else of the next one.  Chunks
 * are fetched in batches of about 1 MiB, when they are needed.
 *
 * One that fails or is cancelled moves nothing: the bytes are there for the
 * next.
 *
 * Thread: any.
 * Owns: a new reference, never NULL.
 * Units: max, bytes; a large one is cut to what is left.
 * Errors: through the future: MONGOC_ERROR_GRIDFS_CHUNK_MISSING,
 *   MONGOC_ERROR_GRIDFS_CORRUPT for a chunk of a wrong size, or one too many;
 *   CLOSED after close.
 * Source: mongoc_stream_read. */
STATOR_API stator_future_t *
stator_gridfs_download_stream_read(stator_gridfs_download_stream_t *download,
                                   size_t max);

/* Put all that is left into `fd`; the count is how many bytes went there.  A
 * worker writes, as much as there is room for, and waits 5 ms at most for a
 * descriptor that takes nothing; one that never does has to be cancelled, or
 * bounded by timeoutMS.  What `fd` took before a failure has been read: see
 * tell.
 *
 * Thread: any.
 * Owns: a new reference, never NULL; duplicates `fd`, so yours may be closed.
 * Units: fd, a descriptor, 0 or more; of the count, bytes.
 * Errors: through the future: ARGUMENT or REFUSED when `fd` can not be
 *   duplicated; MONGOC_ERROR_GRIDFS_BUCKET_STREAM with the text of errno; as of
 *   read. */
STATOR_API stator_future_t *
stator_gridfs_download_stream_to_fd(stator_gridfs_download_stream_t *download,
                                    int fd);

/* Go to `offset`, for the next read.  The count is where it stands then.
 *
 * Thread: any.
 * Owns: a new reference, never NULL.
 * Units: offset, bytes, 0 to the file's length.
 * Errors: through the future: ARGUMENT when it is outside of the file. */
STATOR_API stator_future_t *
stator_gridfs_download_stream_seek(stator_gridfs_download_stream_t *download,
                                   int64_t offset);

/* Where the next read begins, when all that was asked has settled.
 *
 * Thread: any.  Owns: nothing.  Units: bytes.  Errors: 0 for NULL. */
STATOR_API int64_t stator_gridfs_download_stream_tell(
    const stator_gridfs_download_stream_t *download);

/* The file's length.
 *
 * Thread: any.  Owns: nothing.  Units: bytes.  Errors: -1 before it is open. */
STATOR_API int64_t stator_gridfs_download_stream_length(
    const stator_gridfs_download_stream_t *download);

/* Cancel what waits on the stream, and let go of what was fetched.
 *
 * Thread: any.  Owns: a new reference, never NULL; the handle is still to be
 *   given back.
 * Errors: through the future: when it can not be made, CLOSED when the client
 *   is.
 * Source: mongoc_stream_close. */
STATOR_API stator_future_t *
stator_gridfs_download_stream_close(stator_gridfs_download_stream_t *download);

/* One more reference.
 *
 * Thread: any.  Owns: caller gains one; returns `download`.  Errors: none; NULL
 *   gives NULL. */
STATOR_API stator_gridfs_download_stream_t *
stator_gridfs_download_stream_ref(stator_gridfs_download_stream_t *download);

/* Give a reference back.  What was asked of the stream is served all the same.
 *
 * Thread: any.  Owns: takes one reference; NULL is fine.  Errors: none.
 * Source: mongoc_stream_destroy. */
STATOR_API void stator_gridfs_download_stream_unref(
    stator_gridfs_download_stream_t *download);

/* What a read, or a download_to_buffer, has brought.
 *
 * Thread: any.
 * Owns: lent, as long as `future` lives.
 * Units: `*size` (may be NULL), bytes; 0 at the file's end.
 * Errors: NULL, and 0 in `*size`, unless `future` is DONE and was a read. */
STATOR_API const uint8_t *stator_future_bytes(const stator_future_t *future,
                                              size_t *size);

#ifdef __cplusplus
}
#endif

#endif /* STATOR_GRIDFS_BUCKET_H */
