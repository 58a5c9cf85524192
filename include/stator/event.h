/* SPDX-License-Identifier: Apache-2.0 */
/* event.h - what the driver sees: each command, each change of a server or of
 * the topology, each heartbeat.
 *
 *   driver's threads ── event ──> listener's queue ──> dispatcher ──> your fn
 *
 * These are the driver's own monitoring events (APM, and SDAM monitoring of the
 * drivers' specifications), but as values, and in your loop: `fn` runs inside
 * stator_dispatcher_dispatch only, never on a thread of the driver's.  In one
 * dispatch a listener is given up to 64 events, which count as one
 * continuation.
 *
 *   commandStarted, commandSucceeded, commandFailed
 *   serverOpening, serverDescriptionChanged, serverClosed
 *   topologyOpening, topologyDescriptionChanged, topologyClosed
 *   serverHeartbeatStarted, serverHeartbeatSucceeded, serverHeartbeatFailed
 *   eventsDropped   Stator's own: the listener was too slow, see below
 *
 * A listener gets its events in the order in which they happened.  Nobody waits
 * for a slow one: when `limit` events or `maxBytes` bytes wait for it, further
 * ones are dropped, and eventsDropped takes their place and tells how many.
 *
 * The driver can be asked for command events only before its pool is opened,
 * which the first operation does.  So listen for them before that, or make the
 * client with {"events": "command"} and listen when you like.  Without either
 * they cost nothing.  The others are always there, but on a pool of your own
 * (stator_client_new_from_pool): there Stator leaves the driver's callbacks to
 * you, unless the client's options say {"events": "topology"} or "command".
 * Adopting a pool opens it: what its topology has told since then, up to 1000
 * events, is kept for the first listener.
 * Not told is the ping by which Stator finds out, before it ends a transaction
 * that was left open or closes, whether there is still a server to be told.
 *
 * A context is a pointer of yours that goes with an operation: put into its
 * `opts` by stator_context_append, found again in its future and in each
 * command event that it caused, a cursor's getMore and killCursors, retries and
 * what authenticates its connection included. */
#ifndef STATOR_EVENT_H
#define STATOR_EVENT_H

#include <stator/client.h>
#include <stator/dispatcher.h>
#include <stator/future.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stator_listener stator_listener_t;
typedef struct stator_event stator_event_t;

typedef enum {
    STATOR_EVENT_COMMAND_STARTED,
    STATOR_EVENT_COMMAND_SUCCEEDED,
    STATOR_EVENT_COMMAND_FAILED,
    STATOR_EVENT_SERVER_OPENING,
    STATOR_EVENT_SERVER_DESCRIPTION_CHANGED,
    STATOR_EVENT_SERVER_CLOSED,
    STATOR_EVENT_TOPOLOGY_OPENING,
    STATOR_EVENT_TOPOLOGY_DESCRIPTION_CHANGED,
    STATOR_EVENT_TOPOLOGY_CLOSED,
    STATOR_EVENT_SERVER_HEARTBEAT_STARTED,
    STATOR_EVENT_SERVER_HEARTBEAT_SUCCEEDED,
    STATOR_EVENT_SERVER_HEARTBEAT_FAILED,
    STATOR_EVENT_EVENTS_DROPPED
} stator_event_type_t;

/* An event.  `event` and all that its getters lend is yours for this call
 * only.  Runs as stator_then_fn does: giving back the listener, closing the
 * client or submitting more is legal in here. */
typedef void stator_event_fn(const stator_event_t *event, void *arg);

/* ---- listening ------------------------------------------------------- */

/* Have `fn(event, arg)` called on `dispatcher` for each event from now on.
 * Keys of `opts`:
 *
 *   events    array of names, as above; default: all that this client tells
 *             (command events not, if it is too late for them).  eventsDropped
 *             is always told.
 *   limit     int, 1 to 1000000 events that may wait; default 10000
 *   maxBytes  int, 1 to 2^40 bytes that they may have together; default
 *             67108864.  One event always may wait, however large.
 *
 * The listener keeps neither client nor dispatcher open.  After the client has
 * closed it is still given what there was, topologyClosed last; when the
 * dispatcher goes, it hears no more.
 *
 * Thread: any.
 * Owns: caller gains one reference; copies `opts` (NULL: none); `arg` stays
 *   yours and must live until the listener has ended.
 * Errors: NULL and `error` (may be NULL) filled: STATOR_ERROR_ARGUMENT names
 *   the argument, the key or the event; REFUSED when those events are not to be
 *   had from this client (any more), and how they would be; CLOSED the
 *   dispatcher is closed; MEMORY; FORKED.
 * Source: mongoc_client_pool_set_apm_callbacks. */
STATOR_API STATOR_MUST_CHECK stator_listener_t *
stator_client_listen(stator_client_t *client, stator_dispatcher_t *dispatcher,
                     stator_event_fn *fn, void *arg, const bson_t *opts,
                     bson_error_t *error);

/* One more reference.
 *
 * Thread: any.  Owns: caller gains one; returns `listener`.  Errors: none;
 *   NULL gives NULL. */
STATOR_API stator_listener_t *
stator_listener_ref(stator_listener_t *listener);

/* Give a reference back.  The last one ends the listener: what waits for it is
 * forgotten.  On the dispatching thread `fn` is not called any more from then
 * on; on another one a call that is under way goes on.  Never blocks.
 *
 * Thread: any, `fn` included.  Owns: takes one reference; NULL is fine.
 * Errors: none. */
STATOR_API void stator_listener_unref(stator_listener_t *listener);

/* ---- of every event -------------------------------------------------- */

/* Thread: `fn`'s.  Owns: nothing.  Errors: none. */
STATOR_API stator_event_type_t
stator_event_type(const stator_event_t *event);

/* "commandStarted", and so on.
 *
 * Thread: any.  Owns: lent, for ever.  Errors: none. */
STATOR_API const char *stator_event_name(const stator_event_t *event);

/* When the driver told it, which is earlier than now.
 *
 * Thread: `fn`'s.  Owns: nothing.  Units: microseconds of CLOCK_MONOTONIC.
 * Errors: none. */
STATOR_API int64_t stator_event_time(const stator_event_t *event);

/* "host:port" of the server.
 *
 * Thread: `fn`'s.  Owns: lent.  Errors: NULL for those of the topology, and
 *   for eventsDropped.
 * Source: mongoc_apm_command_started_get_host and its kin. */
STATOR_API const char *stator_event_host(const stator_event_t *event);

/* The error of commandFailed and serverHeartbeatFailed.
 *
 * Thread: `fn`'s.  Owns: copies into `error`, which may be NULL.
 * Errors: false, and `error` untouched: another event.
 * Source: mongoc_apm_command_failed_get_error,
 *   mongoc_apm_server_heartbeat_failed_get_error. */
STATOR_API bool stator_event_error(const stator_event_t *event,
                                   bson_error_t *error);

/* The reply of commandSucceeded, commandFailed (of the server, or {}) and
 * serverHeartbeatSucceeded.
 *
 * Thread: `fn`'s.  Owns: lent.  Errors: NULL for the others.
 * Source: mongoc_apm_command_succeeded_get_reply and its kin. */
STATOR_API const bson_t *stator_event_reply(const stator_event_t *event);

/* How long it took: of commandSucceeded, commandFailed,
 * serverHeartbeatSucceeded and serverHeartbeatFailed.
 *
 * Thread: `fn`'s.  Owns: nothing.  Units: microseconds.
 * Errors: 0 for the others.
 * Source: mongoc_apm_command_succeeded_get_duration and its kin. */
STATOR_API int64_t stator_event_duration(const stator_event_t *event);

/* How many events stood in the place of this eventsDropped.
 *
 * Thread: `fn`'s.  Owns: nothing.  Units: events.  Errors: 0 for the others. */
STATOR_API int64_t stator_event_dropped(const stator_event_t *event);

/* ---- of a command's -------------------------------------------------- */

/* What stator_context_append put into the `opts` of the operation that caused
 * the command.
 *
 * Thread: `fn`'s.  Owns: nothing.  Errors: NULL: there was none, or it is no
 *   command event. */
STATOR_API void *stator_event_context(const stator_event_t *event);

/* Thread: `fn`'s.  Owns: lent.  Errors: NULL: it is no command event.
 * Source: mongoc_apm_command_started_get_command_name and its kin. */
STATOR_API const char *stator_event_command_name(const stator_event_t *event);

/* The database that a commandStarted is sent to.
 *
 * Thread: `fn`'s.  Owns: lent.  Errors: NULL for the others.
 * Source: mongoc_apm_command_started_get_database_name. */
STATOR_API const char *stator_event_database(const stator_event_t *event);

/* The command of a commandStarted; {} where it may not be told, as of those
 * that authenticate.
 *
 * Thread: `fn`'s.  Owns: lent.  Errors: NULL for the others.
 * Source: mongoc_apm_command_started_get_command. */
STATOR_API const bson_t *stator_event_command(const stator_event_t *event);

/* The number of the request, by which started and succeeded or failed belong
 * together.
 *
 * Thread: `fn`'s.  Owns: nothing.  Units: none.  Errors: 0: it is no command
 *   event.
 * Source: mongoc_apm_command_started_get_request_id and its kin. */
STATOR_API int64_t stator_event_request_id(const stator_event_t *event);

/* The driver's number for commands of one operation, a bulk's say.
 *
 * Thread: `fn`'s.  Owns: nothing.  Units: none.  Errors: 0: it is no command
 *   event.
 * Source: mongoc_apm_command_started_get_operation_id and its kin. */
STATOR_API int64_t stator_event_operation_id(const stator_event_t *event);

/* The driver's number for the server, as "serverId" in opts.
 *
 * Thread: `fn`'s.  Owns: nothing.  Units: none.  Errors: 0: it is no command
 *   event.
 * Source: mongoc_apm_command_started_get_server_id and its kin. */
STATOR_API uint32_t stator_event_server_id(const stator_event_t *event);

/* The server's number for the connection.
 *
 * Thread: `fn`'s.  Owns: nothing.  Units: none.  Errors: -1: the server gave
 *   none, or it is no command event.
 * Source: mongoc_apm_command_started_get_server_connection_id and its kin. */
STATOR_API int64_t
stator_event_server_connection_id(const stator_event_t *event);

/* The service behind a load balancer.
 *
 * Thread: `fn`'s.  Owns: lent.  Errors: NULL: there is none, or it is no
 *   command event.
 * Source: mongoc_apm_command_started_get_service_id and its kin. */
STATOR_API const bson_oid_t *
stator_event_service_id(const stator_event_t *event);

/* ---- of servers, the topology, heartbeats ---------------------------- */

/* Was a heartbeat of the kind that the server answers when it has news?
 *
 * Thread: `fn`'s.  Owns: nothing.  Errors: false for what is no heartbeat.
 * Source: mongoc_apm_server_heartbeat_started_get_awaited and its kin. */
STATOR_API bool stator_event_awaited(const stator_event_t *event);

/* The topology, of all that are of a server or of the topology.
 *
 * Thread: `fn`'s.  Owns: lent.  Errors: NULL for the others.
 * Source: mongoc_apm_topology_opening_get_topology_id and its kin. */
STATOR_API const bson_oid_t *
stator_event_topology_id(const stator_event_t *event);

/* What it was before serverDescriptionChanged or topologyDescriptionChanged.
 *
 * A server: {"serverId", "address", "type": "RSPrimary", ..,
 * "roundTripTimeMS", "lastUpdateTimeUS", "helloResponse": {..}}.  The topology:
 * {"type": "ReplicaSetWithPrimary", .., "hasReadableServer",
 * "hasWritableServer", "servers": [those of a known type]}.
 *
 * Thread: `fn`'s.  Owns: lent.  Errors: NULL for the others.
 * Source: mongoc_apm_server_changed_get_previous_description,
 *   mongoc_server_description_type and its kin,
 *   mongoc_apm_topology_changed_get_previous_description,
 *   mongoc_topology_description_type and its kin. */
STATOR_API const bson_t *
stator_event_previous_description(const stator_event_t *event);

/* What it is since then.
 *
 * Thread: `fn`'s.  Owns: lent.  Errors: NULL for the others.
 * Source: mongoc_apm_server_changed_get_new_description,
 *   mongoc_apm_topology_changed_get_new_description. */
STATOR_API const bson_t *
stator_event_new_description(const stator_event_t *event);

/* ---- context --------------------------------------------------------- */

/* Put `context` into `opts`, for operations, cursors, or the operations of a
 * handle (stator_collection_with_opts): an int64 "context".  Stator carries it
 * and never looks at what it points to.
 *
 * Thread: any that owns `opts`.  Owns: `context` stays yours.
 * Errors: false and `error` (may be NULL) filled (STATOR_ERROR_ARGUMENT):
 *   `opts` is NULL, names one already or is full. */
STATOR_API bool stator_context_append(void *context, bson_t *opts,
                                      bson_error_t *error);

/* The context of the operation that `future` stands for, settled or not.
 *
 * Thread: any.  Owns: nothing.  Errors: NULL: there is none, or `future` is
 *   no operation's (composed, a promise's) or NULL. */
STATOR_API void *stator_future_context(const stator_future_t *future);

#ifdef __cplusplus
}
#endif

#endif /* STATOR_EVENT_H */
