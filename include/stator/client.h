/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - a pool of driver clients, a fixed set of workers, one queue.
 *
 *   submit -> queue -> worker -> libmongoc -> future
 *
 * A client is a mongoc_client_pool_t and the threads that block in it: the
 * workers, and one keeper that looks after deadlines and closing.  Any
 * thread may use it; a process may have any number.  Nothing here does I/O
 * on the caller's thread, the constructors and every unref included.
 *
 * Options of a client: as `opts` of stator_client_new, over the environment,
 * over the JSON file that STATOR_CONFIG names (same keys), over defaults.
 *
 *   key             environment             default     range, unit
 *   workers         STATOR_WORKERS          4           1 to 1024 threads
 *   maxConnections  STATOR_MAX_CONNECTIONS  see below   1 to 100000
 *   queueLimit      STATOR_QUEUE_LIMIT      100000      1 to 10000000
 *                                           operations accepted and not yet
 *                                           taken by a worker
 *   queuePolicy     STATOR_QUEUE_POLICY     "reject"    "reject", "block"
 *   watchers        STATOR_WATCHERS         4           0 to 1024 threads
 *   name            STATOR_NAME             "stator"    1 to 64 bytes; the
 *                                           threads bear its first 8
 *   transport       STATOR_TRANSPORT        "stator"    "stator", "driver"
 *   abandoned       STATOR_ABANDONED        "leave"     "leave", "kill"
 *   serverApi       STATOR_SERVER_API       none        {version: "1", strict:
 *                                           bool, deprecationErrors: bool}
 *   events          STATOR_EVENTS           "auto"      "auto", "topology",
 *                                           "command": see event.h
 *
 * maxConnections is, unless given, the URI's maxPoolSize if that is given,
 * else the larger of 100 and 2 * (workers + watchers) + 1; below workers +
 * watchers + 1 it is an error that names both.
 *
 * `transport` "stator": connections go through sockets of Stator's own, below
 * the driver's TLS.  There an operation that is cancelled or runs out of time
 * while the server works on it is cut, which frees its worker and disturbs no
 * other; one deadline holds for a command and its whole reply; and a reply
 * that is corrupt, or another's, fails its operation before the driver sees
 * it.  "driver": the driver's own streams, where a worker stays with such an
 * operation until the server answers or socketTimeoutMS strikes.  That is the
 * default of stator_client_new_from_pool, since a pool's TLS settings can not
 * be read back: "stator" there states that all of them are in the URI.  It
 * also applies where the driver leaves no choice: GSSAPI,
 * tlsDisableOCSPEndpointCheck, tlsDisableCertificateRevocationCheck.
 *
 * The driver tells its log "Using custom stream initiator." (DEBUG) once for
 * each of its clients that has Stator's transport; its default handler prints
 * on stdout, so set one of yours by mongoc_log_set_handler.
 *
 * `abandoned`: what becomes, on the server, of a command that was cut.
 * "leave": what the server does when a client disconnects.  "kill": the
 * worker sends killSessions for the command's session, unless that is one of
 * yours (session.h), to the server that has it, if that is still reached; it
 * waits for each step of that for 2 s at most.
 *
 * `serverApi`: the versioned API that every command declares; in the
 * environment it is JSON.  A pool of your own has it by
 * mongoc_client_pool_set_server_api; there the option is an error.
 *
 * An unknown key or a wrong type is an error that names it.
 * Operations never wait for a connection; a request for a lease does (lease.h,
 * session.h), and waitQueueTimeoutMS of the URI bounds that.
 * `watchers` are threads for long waits, those of change streams
 * (change_stream.h) and of awaiting cursors (cursor.h), started when they are
 * needed, each with one connection, which is set aside for it.  What waits
 * there has places of its own, queueLimit of them, and none in the queue.
 *
 * Options of every operation, beside the driver's own keys, which go to the
 * driver unchanged:
 *
 *   timeoutMS       int, 0 or more, milliseconds from this call on; the
 *                   future settles by then, FAILED (STATOR_ERROR_EXPIRED),
 *                   whatever the workers do.  0 or absent: no limit.
 *   priority        "high", "normal" (default), "low": which is taken from
 *                   the queue first.  Nothing starves: of 65 taken while
 *                   lower ones wait, one at least is a lower one.
 *   leaseId, sessionId
 *                   numbers that stator_lease_append and stator_session_append
 *                   put there: where it is to run, in which session
 *   context         what stator_context_append puts there (event.h)
 *   readPreference  {mode: "primary", "primaryPreferred", "secondary",
 *                   "secondaryPreferred" or "nearest", tags: [{..}],
 *                   maxStalenessSeconds: int, hedge: {enabled: bool}}
 */
#ifndef STATOR_CLIENT_H
#define STATOR_CLIENT_H

#include <mongoc/mongoc.h>

#include <stator/collection.h>
#include <stator/cursor.h>
#include <stator/database.h>
#include <stator/future.h>
#include <stator/promise.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Your own blocking code, on a worker.  `client` is the worker's, for this
 * call only.  Settle `promise`, or keep a reference on it and settle it
 * later; left unsettled and unreferenced, it fails by itself.  Ask
 * stator_promise_cancelled in long work.  Waiting for a future in here
 * answers EDEADLK. */
typedef void stator_work_fn(mongoc_client_t *client,
                            stator_promise_t *promise, void *arg);

/* A client for `uri`.  Starts the threads; the first worker makes the
 * driver's pool, so that no I/O and no DNS happens here.
 *
 * Thread: any.
 * Owns: caller gains one reference; copies `uri` and `opts` (NULL: none).
 * Errors: NULL and `error` (may be NULL) filled: STATOR_ERROR_ARGUMENT names
 *   the option or the part of the URI, STATOR_ERROR_MEMORY, or
 *   STATOR_ERROR_REFUSED when a thread can not be started.
 * Source: mongoc_uri_new_with_error, mongoc_client_pool_new_with_error. */
STATOR_API STATOR_MUST_CHECK stator_client_t *
stator_client_new(const char *uri, const bson_t *opts, bson_error_t *error);

/* A client on a pool that you have set up the driver's own way (TLS, APM,
 * encryption).  No client of it may be out, and nobody may pop from it any
 * more.  Its error API is set to version 2.  It keeps the driver's own
 * streams, unless `opts` say {"transport": "stator"}, which holds for the
 * connections that it has not made yet.  With the driver's streams a running
 * operation that is cancelled settles at once, but its worker is free only
 * when the server has answered, or socketTimeoutMS has struck.  With the option
 * `events` "topology" or "command" its callbacks are Stator's (event.h): it must
 * have none, and no client may have been popped from it before.
 *
 * Thread: any.
 * Owns: takes `pool`, unless it fails; copies `opts` (NULL: none).
 * Errors: as stator_client_new; then `pool` stays yours.
 * Source: mongoc_client_pool_t. */
STATOR_API STATOR_MUST_CHECK stator_client_t *
stator_client_new_from_pool(mongoc_client_pool_t *pool, const bson_t *opts,
                            bson_error_t *error);

/* Stop.  From this call on every other one gives a failed future
 * (STATOR_ERROR_CLOSED).  `opts`: {"mode": m, "timeoutMS": n}; NULL: drain,
 * 30 000 ms.
 *
 *   "drain"   accepted operations finish; idle cursors are closed at once
 *   "cancel"  queued ones are withdrawn, running ones are given up
 *   "abort"   as cancel, and nothing is said to the server
 *
 * All accepted futures settle by timeoutMS + 200 ms, then the one returned
 * here: DONE, with {"leaked": [{kind, what, ageMS, site}, ..]} as its reply,
 * which names cursors that were open, promises of stator_client_run that were
 * never settled, and whatever still sits in the driver; `site` (if known) is
 * where the call was made, as "program+0x1234" for addr2line(1).
 * A second close settles too; a stricter mode or a shorter time is taken
 * over.
 *
 * Thread: any.  Never blocks.
 * Owns: a new reference, never NULL; copies `opts`.
 * Units: timeoutMS, milliseconds, 0 or more.
 * Errors: through the future: ARGUMENT (nothing is closed then), MEMORY,
 *   FORKED.
 * Source: mongoc_client_pool_destroy. */
STATOR_API stator_future_t *stator_client_close(stator_client_t *client,
                                                const bson_t *opts);

/* One more reference.
 *
 * Thread: any.  Owns: caller gains one; returns `client`.  Errors: none;
 *   NULL gives NULL. */
STATOR_API stator_client_t *stator_client_ref(stator_client_t *client);

/* Give a reference back.  Databases, collections and cursors hold one,
 * futures do not.  After the last one without a close the client drains for
 * 4 s, then aborts.  Never blocks.
 *
 * Thread: any.  Owns: takes one reference; NULL is fine.  Errors: none. */
STATOR_API void stator_client_unref(stator_client_t *client);

/* More or fewer workers.  Surplus ones end after the operation they are at;
 * one whose driver client is shared by open cursors (see "sharing" below)
 * serves these to their end.
 *
 * Thread: any.
 * Owns: nothing.
 * Units: workers, 1 to 1024 threads.
 * Errors: false and `error` (may be NULL) filled: ARGUMENT out of range or
 *   above what maxConnections allows, naming both; REFUSED no thread to be
 *   had (those started stay), or open cursors keep too many connections;
 *   CLOSED; FORKED. */
STATOR_API bool stator_client_resize(stator_client_t *client, int workers,
                                     bson_error_t *error);

/* How the client is doing, now.  Never blocks for longer than a lock held
 * for a few instructions.  Keys, int64 but where said:
 *
 *   name (utf8), workers, watchers, maxConnections, queueLimit
 *   queued      operations accepted, not yet taken by a worker
 *   oldestMS    how long the oldest of these waits, milliseconds
 *   running     operations in a worker's hands that are not settled
 *   busy        workers that are not idle
 *   zombies     workers that still run an abandoned operation: one that can
 *               not be cut is bounded by serverSelectionTimeoutMS,
 *               connectTimeoutMS, socketTimeoutMS
 *   leases      driver clients kept by open cursors, leases and sessions
 *   sessions    sessions that have not ended
 *   parked      requests for a lease that wait for one; counted in queued, too
 *   sharing     open cursors that share a worker's client for want of one
 *   watching    watchers that were started; they count in none of the above
 *   streams     change streams and awaiting cursors that they serve
 *   turns       getMores that have waited for these, ever
 *   resumes     change streams that were opened again, ever
 *   connections driver clients taken out of the pool, in all
 *   closing     (bool)
 *   transport   {kind (utf8): "stator" or "driver"; dials: connections begun;
 *               lookups: names being looked up now; cuts: operations cut
 *               while on the wire; refusals: replies that were refused}
 *   events      {listeners; waiting: events that they have not been given
 *               yet; dropped: events that one of them has missed}
 *   submitted, done, failed, cancelled, expired, refused
 *               operations since the start, by how they settled
 *   phases      {queued, checkout, sent, total}: each {count, meanUS, p50US,
 *               p99US, maxUS} in microseconds; the percentiles are upper
 *               bounds of histogram classes a quarter of an octave wide
 *
 * Thread: any.
 * Owns: `out` is initialised here; bson_destroy it.
 * Errors: an empty document for NULL and in a child after fork. */
STATOR_API void stator_client_stats(stator_client_t *client, bson_t *out);

/* The options in effect and where each comes from: {workers: {value: 4,
 * source: s}, ..} for every key of the table above; s is "opts", "uri",
 * "default", or the name of the environment variable, or the path of the
 * file.
 *
 * Thread: any.
 * Owns: `out` is initialised here; bson_destroy it.
 * Errors: an empty document for NULL and in a child after fork. */
STATOR_API void stator_client_config(stator_client_t *client, bson_t *out);

/* Settles as DONE when the queue is below half of queueLimit: back-pressure
 * for a loop.
 *
 * Thread: any.  Owns: a new reference, never NULL.
 * Errors: through the future: CLOSED, ARGUMENT, MEMORY, FORKED. */
STATOR_API stator_future_t *stator_client_room(stator_client_t *client);

/* ---- commands --------------------------------------------------------
 * For all of these: Thread any; a new future, never NULL, and inputs are
 * copied before the call returns; errors come through the future. */

/* Run `command` on database `db`.  The reply is stator_future_reply.
 *
 * Thread: any.  Owns: a new reference, never NULL; copies its arguments.
 * Errors: through the future.
 * Source: mongoc_client_command_with_opts. */
STATOR_API stator_future_t *
stator_client_command(stator_client_t *client, const char *db,
                      const bson_t *command, const bson_t *opts);

/* As stator_client_command, with the client's read concern and preference,
 * and the driver's retryable reads.
 *
 * Thread: any.  Owns: as stator_client_command.  Errors: likewise.
 * Source: mongoc_client_read_command_with_opts. */
STATOR_API stator_future_t *
stator_client_read_command(stator_client_t *client, const char *db,
                           const bson_t *command, const bson_t *opts);

/* As stator_client_command, with the client's write concern.
 *
 * Thread: any.  Owns: as stator_client_command.  Errors: likewise.
 * Source: mongoc_client_write_command_with_opts. */
STATOR_API stator_future_t *
stator_client_write_command(stator_client_t *client, const char *db,
                            const bson_t *command, const bson_t *opts);

/* As stator_client_command, with the client's read and write concern, on the
 * primary: for commands that do both.  A read preference is not used.
 *
 * Thread: any.  Owns: as stator_client_command.  Errors: likewise.
 * Source: mongoc_client_read_write_command_with_opts. */
STATOR_API stator_future_t *
stator_client_read_write_command(stator_client_t *client, const char *db,
                                 const bson_t *command, const bson_t *opts);

/* Is the server there?  {ping: 1} on "admin".
 *
 * Thread: any.  Owns: as stator_client_command.  Errors: likewise.
 * Source: mongoc_client_command_with_opts. */
STATOR_API stator_future_t *stator_client_ping(stator_client_t *client,
                                               const bson_t *opts);

/* The databases, a document each.
 *
 * Thread: any.  Owns: a new cursor, never NULL; copies `opts`.  Errors:
 *   through the first future of the cursor.
 * Source: mongoc_client_find_databases_with_opts. */
STATOR_API stator_cursor_t *
stator_client_list_databases(stator_client_t *client, const bson_t *opts);

/* The databases' names: the reply holds the array "names", the count is its
 * length.
 *
 * Thread: any.  Owns: as stator_client_command.  Errors: likewise.
 * Source: mongoc_client_get_database_names_with_opts. */
STATOR_API stator_future_t *
stator_client_list_database_names(stator_client_t *client,
                                  const bson_t *opts);

/* Drop the database `db`.
 *
 * Thread: any.  Owns: as stator_client_command.  Errors: likewise.
 * Source: mongoc_database_drop_with_opts. */
STATOR_API stator_future_t *
stator_client_drop_database(stator_client_t *client, const char *db,
                            const bson_t *opts);

/* Which server would an operation go to?  Waits until there is one, for
 * serverSelectionTimeoutMS at most.  The document is {serverId, address,
 * type, roundTripTimeMS, helloResponse}; `opts` of commands take serverId.
 * readPreference counts unless `for_writes`.
 *
 * Thread: any.  Owns: as stator_client_command.  Errors: likewise.
 * Source: mongoc_client_select_server. */
STATOR_API stator_future_t *
stator_client_select_server(stator_client_t *client, bool for_writes,
                            const bson_t *opts);

/* All servers that are known now; no server is asked.  The reply holds the
 * array "servers" of documents as select_server's, the count is its length.
 *
 * Thread: any.  Owns: as stator_client_command.  Errors: likewise.
 * Source: mongoc_client_get_server_descriptions. */
STATOR_API stator_future_t *
stator_client_get_server_descriptions(stator_client_t *client,
                                      const bson_t *opts);

/* What the server `server_id` said when a worker's connection to it was made,
 * which it makes if there is none; a document as select_server's.
 *
 * Thread: any.  Owns: as stator_client_command.  Errors: likewise.
 * Units: server_id, the serverId of such a document.
 * Source: mongoc_client_get_handshake_description. */
STATOR_API stator_future_t *
stator_client_get_handshake_description(stator_client_t *client,
                                        uint32_t server_id,
                                        const bson_t *opts);

/* Run `fn` on a worker.
 *
 * Thread: any.
 * Owns: a new reference, never NULL; `arg` stays yours and must live until
 *   the future has settled and, if it was cancelled or expired while
 *   running, until `fn` has returned.
 * Errors: through the future.  When it settles before `fn` was begun, `fn`
 *   never runs (outcome NOT_SENT).  Once it runs, what it sends is never cut
 *   by a cancel or by timeoutMS, only by the end of a close: ask
 *   stator_promise_cancelled. */
STATOR_API stator_future_t *stator_client_run(stator_client_t *client,
                                              stator_work_fn *fn, void *arg,
                                              const bson_t *opts);

/* A handle of a collection.  No I/O.
 *
 * Thread: any.  Owns: a new reference, never NULL; copies the names.
 * Errors: a NULL or empty name makes a handle whose operations all fail
 *   (STATOR_ERROR_ARGUMENT).
 * Source: mongoc_client_get_collection. */
STATOR_API stator_collection_t *
stator_client_get_collection(stator_client_t *client, const char *db,
                             const char *name);

/* A handle of a database.  No I/O.
 *
 * Thread: any.  Owns: a new reference, never NULL; copies the name.
 * Errors: as stator_client_get_collection.
 * Source: mongoc_client_get_database. */
STATOR_API stator_database_t *
stator_client_get_database(stator_client_t *client, const char *db);

/* A handle of the database that the URI names.  No I/O.
 *
 * Thread: any.  Owns: a new reference, never NULL.
 * Errors: as stator_client_get_collection, also when the URI names none.
 * Source: mongoc_client_get_default_database. */
STATOR_API stator_database_t *
stator_client_get_default_database(stator_client_t *client);

#ifdef __cplusplus
}
#endif

#endif /* STATOR_CLIENT_H */
