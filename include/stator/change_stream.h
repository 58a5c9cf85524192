/* SPDX-License-Identifier: Apache-2.0 */
/* change_stream.h - what changes in a collection, a database or a deployment,
 * event by event.
 *
 *   watch ─> stream ─open─> "now watching" ─next─> event ─next─> event ..
 *                                           close settles who still waits
 *
 * Needs a replica set or a sharded cluster.  The first request sends the
 * aggregate; with stator_change_stream_open one knows when the server has
 * answered it: what happens from then on will be seen.  Requests on one stream
 * are served one at a time, in the order of the calls, as a cursor's are.
 *
 * Streams have a lane of their own (watchers in client.h): a watcher's streams
 * share its one connection and take turns, each a getMore that waits at the
 * server until an event comes or the turn is over.  How long a turn is is
 * Stator's to choose: all on one watcher have had theirs in about a second, and
 * none is longer than half of one; with more than 200 streams on a watcher it
 * takes longer.  A maxAwaitTimeMS of yours is kept, and is one turn; the other
 * streams of that watcher wait for it, also to be opened or closed.  Only
 * streams with a request waiting take turns.  Short operations wait for none of
 * this, but for those on a stream's own lease or session.
 *
 * A stream goes on by itself after a failure of the network, and after those of
 * the server that the change streams specification calls resumable: it is
 * opened again behind the last event that has come, and no event is lost or
 * comes twice.  When that fails, or for another failure, the request fails, and
 * all later ones with the same error.  An invalidate event ends a stream: DONE
 * with no document from then on.
 *
 * Every event has its resume token as its _id; a pipeline that takes that away
 * fails the stream.  Cancelling a request, or its timeoutMS, cuts nothing: an
 * event that comes all the same stays for the next request. */
#ifndef STATOR_CHANGE_STREAM_H
#define STATOR_CHANGE_STREAM_H

#include <stator/client.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stator_change_stream stator_change_stream_t;

/* Watch one collection.  No I/O: wrong arguments fail the first future.
 *
 * `pipeline`: stages behind $changeStream, an array or {"pipeline": [..]};
 * NULL: none.  `opts`, all of them optional:
 *
 *   fullDocument, fullDocumentBeforeChange (utf8), showExpandedEvents (bool)
 *   resumeAfter, startAfter (document: a resume token), startAtOperationTime
 *   (timestamp)
 *   batchSize (int), maxAwaitTimeMS (int of 1 and more, milliseconds)
 *   collation, comment, readConcern, readPreference; what is not known goes
 *   into the aggregate
 *   leaseId, sessionId: the stream runs there: its turns, of a tenth of a
 *   second at most, and the other operations there wait for each other
 *   timeoutMS: of each request anew
 *
 * Thread: any.  Owns: a new stream, never NULL; copies its arguments.
 * Errors: through the first future: ARGUMENT names the key; REFUSED there are
 *   no watchers.
 * Source: mongoc_collection_watch. */
STATOR_API stator_change_stream_t *
stator_collection_watch(stator_collection_t *collection,
                        const bson_t *pipeline, const bson_t *opts);

/* Watch all collections of a database.
 *
 * Thread: any.  Owns: as stator_collection_watch.  Errors: likewise.
 * Source: mongoc_database_watch. */
STATOR_API stator_change_stream_t *
stator_database_watch(stator_database_t *database, const bson_t *pipeline,
                      const bson_t *opts);

/* Watch all databases.
 *
 * Thread: any.  Owns: as stator_collection_watch.  Errors: likewise.
 * Source: mongoc_client_watch. */
STATOR_API stator_change_stream_t *
stator_client_watch(stator_client_t *client, const bson_t *pipeline,
                    const bson_t *opts);

/* DONE: now watching.  Again is fine, and so is asking for an event first: it
 * does not wait for that.
 *
 * Thread: any.  Owns: a new reference, never NULL.
 * Errors: through the future: the driver's; CLOSED after close; REFUSED a
 *   thread can not be started. */
STATOR_API stator_future_t *
stator_change_stream_open(stator_change_stream_t *stream);

/* The next event: stator_future_document.  Pending until there is one; close
 * settles it.  DONE with none after an invalidate.
 *
 * Thread: any.  Owns: a new reference, never NULL.
 * Errors: through the future: as open; EXPIRED after timeoutMS, and the stream
 *   goes on.
 * Source: mongoc_change_stream_next. */
STATOR_API stator_future_t *
stator_change_stream_next(stator_change_stream_t *stream);

/* The next event, or DONE with no document when one turn has brought none.
 *
 * Thread: any.  Owns: a new reference, never NULL.
 * Errors: as stator_change_stream_next.
 * Source: mongoc_change_stream_next. */
STATOR_API stator_future_t *
stator_change_stream_try_next(stator_change_stream_t *stream);

/* Hand every event to `fn`, on `dispatcher`, in order, until `fn` answers
 * false, or the stream ends: DONE, the count is how many were handed over.
 * Cancelling it stops after the event at hand.  What `fn` has not seen stays
 * in the stream.
 *
 * Thread: any; `fn` on the dispatching thread.
 * Owns: a new reference, never NULL; `arg` stays yours and must live until
 *   the future has settled.  Keeps the stream.
 * Errors: as stator_change_stream_next; CLOSED also when the dispatcher has
 *   gone.
 * Units: at most 64 events count as one continuation of the dispatch. */
STATOR_API stator_future_t *
stator_change_stream_each(stator_change_stream_t *stream,
                          stator_dispatcher_t *dispatcher,
                          stator_each_fn *fn, void *arg);

/* As stator_change_stream_each, with a callback that can pause.
 *
 * Thread: any; `fn` on the dispatching thread.
 * Owns: as stator_change_stream_each.
 * Errors: as stator_change_stream_each, or that of the future that `fn`
 *   gave. */
STATOR_API stator_future_t *
stator_change_stream_each_async(stator_change_stream_t *stream,
                                stator_dispatcher_t *dispatcher,
                                stator_each_async_fn *fn, void *arg);

/* Where the stream is, as of the events that were handed out: for resumeAfter
 * of another one.  After a batch's last event it is the server's own place,
 * which can be later than that event.  Of a certain event, take its _id.
 *
 * Thread: any.
 * Owns: on true `out` is initialised with a copy: bson_destroy it; on false it
 *   is not touched.
 * Errors: false: the server has told none yet; NULL; in a child after fork.
 * Source: mongoc_change_stream_get_resume_token. */
STATOR_API bool
stator_change_stream_resume_token(stator_change_stream_t *stream,
                                  bson_t *out);

/* Close: what waits is CANCELLED at once, then killCursors is sent.  DONE also
 * when it was closed before.  With transport "driver" (client.h) the turn
 * under way can not be cut, and the future waits for its end.
 *
 * Thread: any.  Owns: a new reference, never NULL; the handle is still to be
 *   given back.
 * Errors: through the future.
 * Source: mongoc_change_stream_destroy. */
STATOR_API stator_future_t *
stator_change_stream_close(stator_change_stream_t *stream);

/* One more reference.
 *
 * Thread: any.  Owns: caller gains one; returns `stream`.  Errors: none;
 *   NULL gives NULL. */
STATOR_API stator_change_stream_t *
stator_change_stream_ref(stator_change_stream_t *stream);

/* Give a reference back.  The last one closes the stream as soon as what was
 * asked of it has settled: cancel or close what must not wait on.  Never
 * blocks.
 *
 * Thread: any.  Owns: takes one reference; NULL is fine.  Errors: none. */
STATOR_API void stator_change_stream_unref(stator_change_stream_t *stream);

#ifdef __cplusplus
}
#endif

#endif /* STATOR_CHANGE_STREAM_H */
