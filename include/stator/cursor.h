/* SPDX-License-Identifier: Apache-2.0 */
/* cursor.h - documents, pulled: nothing is fetched that nobody asked for.
 *
 * The first request for documents sends the find (or aggregate, ..), later
 * ones send a getMore when the batch at hand is used up.  Requests on one
 * cursor are served one at a time, in the order of the calls.  A result that
 * fits one batch costs one round trip and keeps no connection; a longer one
 * keeps its driver client (a lease, see stator_client_stats) until the last
 * batch has come or the cursor is closed.
 *
 * Options of find and aggregate that are Stator's own, beside those common
 * to all operations (client.h):
 *
 *   timeoutMode  with timeoutMS: "cursorLifetime" (default; counted from the
 *                first request for documents) or "iteration" (each request
 *                anew)
 *   prefetch     int, 0 (default) or 1: ask for the next batch as soon as
 *                one has come
 *   maxBytes     int64, bytes of BSON: the most that one to_list may gather
 *
 * A find with {tailable: true, awaitData: true} is an awaiting cursor: it is
 * served by the watchers, as change streams are (change_stream.h says how they
 * take turns, and what maxAwaitTimeMS does).  Its requests stay pending until
 * a document comes, and `prefetch` does nothing; DONE with none says that the
 * cursor is dead, which it is at once on a collection without documents.
 * Cancelling cuts nothing there.  Of a cursor that is only tailable a request
 * does not wait: see stator_cursor_next.
 *
 * When the server or the network fails, the request fails, and from then on
 * all later ones, with the same error.  Cancelling a request that waits
 * changes nothing on the cursor; of one that is being fetched, the documents
 * stay for the next request. */
#ifndef STATOR_CURSOR_H
#define STATOR_CURSOR_H

#include <stator/dispatcher.h>
#include <stator/future.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stator_cursor stator_cursor_t;

/* What each calls for a document, on the dispatching thread.  `document` is
 * lent for the call.  false stops: the future is then DONE. */
typedef bool stator_each_fn(const bson_t *document, void *arg);

/* As stator_each_fn; NULL goes on; a future, whose reference becomes
 * Stator's, pauses until it settles: its failure stops with that error. */
typedef stator_future_t *stator_each_async_fn(const bson_t *document,
                                              void *arg);

/* A new cursor over the same, with the same options, not yet begun; in the
 * session or on the lease of the first one.
 *
 * Thread: any.  Owns: a new cursor, never NULL.  Errors: through the first
 *   future of the cursor; ARGUMENT when the session or the lease has ended.
 * Source: mongoc_cursor_clone. */
STATOR_API stator_cursor_t *stator_cursor_clone(stator_cursor_t *cursor);

/* The next document: stator_future_document.  DONE with none at the end; a
 * tailable cursor has reached it for now whenever the server has nothing new,
 * and can be asked again.
 *
 * Thread: any.  Owns: a new reference, never NULL.
 * Errors: through the future: CLOSED after close.
 * Source: mongoc_cursor_next. */
STATOR_API stator_future_t *stator_cursor_next(stator_cursor_t *cursor);

/* What is left of the batch at hand, else the whole next one of the server:
 * stator_future_document_at.  DONE with count 0 at the end.
 *
 * Thread: any.  Owns: a new reference, never NULL.
 * Errors: as stator_cursor_next. */
STATOR_API stator_future_t *
stator_cursor_next_batch(stator_cursor_t *cursor);

/* All that is left, or `max` documents: stator_future_document_at.  When the
 * cursor's maxBytes would be exceeded it is FAILED (STATOR_ERROR_REFUSED);
 * what was fetched stays, and the cursor goes on.
 *
 * Thread: any.
 * Owns: a new reference, never NULL.
 * Units: max, documents; 0: no limit.  Negative: FAILED (ARGUMENT).
 * Errors: as stator_cursor_next. */
STATOR_API stator_future_t *stator_cursor_to_list(stator_cursor_t *cursor,
                                                  int64_t max);

/* Hand every document to `fn`, on `dispatcher`, in order.  DONE at the end or
 * when `fn` answers false; the count is how many were handed over.
 * Cancelling it stops after the document at hand.  What `fn` has not seen
 * stays in the cursor.
 *
 * Thread: any; `fn` on the dispatching thread.
 * Owns: a new reference, never NULL; `arg` stays yours and must live until
 *   the future has settled.  Keeps the cursor.
 * Errors: as stator_cursor_next; CLOSED also when the dispatcher has gone.
 * Units: at most 64 documents count as one continuation of the dispatch. */
STATOR_API stator_future_t *
stator_cursor_each(stator_cursor_t *cursor, stator_dispatcher_t *dispatcher,
                   stator_each_fn *fn, void *arg);

/* As stator_cursor_each, with a callback that can pause.
 *
 * Thread: any; `fn` on the dispatching thread.
 * Owns: as stator_cursor_each.
 * Errors: as stator_cursor_each, or that of the future that `fn` gave. */
STATOR_API stator_future_t *
stator_cursor_each_async(stator_cursor_t *cursor,
                         stator_dispatcher_t *dispatcher,
                         stator_each_async_fn *fn, void *arg);

/* The next document if it is here already.  No I/O, no future.
 *
 * Thread: any.
 * Owns: on true `out` is initialised with a copy: bson_destroy it; on false
 *   it is not touched.
 * Errors: false: nothing is buffered, or requests are waiting and come
 *   first. */
STATOR_API bool stator_cursor_try_buffered(stator_cursor_t *cursor,
                                           bson_t *out);

/* Close: what waits on the cursor is CANCELLED, then killCursors is sent
 * where the server still has one.  DONE also when it was closed before.
 *
 * Thread: any.  Owns: a new reference, never NULL; the handle is still to be
 *   given back.
 * Errors: through the future.
 * Source: mongoc_cursor_destroy. */
STATOR_API stator_future_t *stator_cursor_close(stator_cursor_t *cursor);

/* One more reference.
 *
 * Thread: any.  Owns: caller gains one; returns `cursor`.  Errors: none;
 *   NULL gives NULL. */
STATOR_API stator_cursor_t *stator_cursor_ref(stator_cursor_t *cursor);

/* Give a reference back.  The last one closes the cursor as soon as what was
 * asked of it has settled.  Never blocks.
 *
 * Thread: any.  Owns: takes one reference; NULL is fine.  Errors: none. */
STATOR_API void stator_cursor_unref(stator_cursor_t *cursor);

#ifdef __cplusplus
}
#endif

#endif /* STATOR_CURSOR_H */
