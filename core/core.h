/* SPDX-License-Identifier: Apache-2.0 */
/* core/core.h - the door: all that lib may see of where it blocks.
 *
 *   lib ── stc_submit ──> queue -> worker -> verb -> libmongoc
 *                                              |
 *   future <── settled ────────────────────────+
 *
 * lib checks and copies; what is given here is sound.  Everything here may
 * be called by any thread, blocks never (but see stc_submit for the policy
 * "block"), and answers in a child after fork with a FAILED future. */
#ifndef STC_CORE_H
#define STC_CORE_H

#include <bson/bson.h>

#include <stator/client.h>
#include <stator/event.h>
#include <stator/session.h>

struct stf_slice;
struct stc_lease;
struct stc_session;

/* ---- target: what a handle stands for ---------------------------- */

/* A database, or a collection with its options: immutable, counted, with no
 * reference on the client, so an operation under way can keep it without
 * keeping the client open. */
struct stc_target;

/* `name` NULL: the database itself.  `options` holds readPreference,
 * readConcern, writeConcern, checked by lib; NULL: none.  `fault` (static or
 * NULL): what is wrong with it, for operations to fail with.  NULL: no
 * memory. */
struct stc_target *stc_target_new(const char *db, const char *name,
                                  const bson_t *options, const char *fault);
struct stc_target *stc_target_ref(struct stc_target *target);
void stc_target_unref(struct stc_target *target); /* NULL is fine */
const char *stc_target_db(const struct stc_target *target);
const char *stc_target_name(const struct stc_target *target); /* or NULL */
void stc_target_options(const struct stc_target *target, bson_t *view);
const char *stc_target_fault(const struct stc_target *target);

/* ---- request: an operation about to be submitted ----------------- */

/* What a worker does for it: see verb.h. */
struct stc_verb;

enum stc_priority { STC_HIGH, STC_NORMAL, STC_LOW };

enum stc_timeout_mode { STC_CURSOR_LIFETIME, STC_ITERATION };

/* `bytes` is one malloc'ed run of BSON documents, each beginning with its
 * length as BSON does:
 *   [0] the driver's part of opts, [1] readPreference of opts or {},
 *   [2] .. the arguments, as the verb wants them. */
struct stc_request {
    const struct stc_verb *verb;
    struct stc_target *target; /* borrowed */
    const void *site;          /* where the user called from */
    uint8_t *bytes;            /* taken */
    size_t n_bytes;
    uint32_t n_documents; /* in all, 2 and more */
    int64_t timeout_ms;   /* 0: none */
    enum stc_priority priority;
    enum stc_timeout_mode timeout_mode; /* cursors */
    int prefetch;                       /* cursors */
    int64_t max_bytes;                  /* cursors; 0: none */
    stator_work_fn *fn;                 /* stator_client_run */
    stator_session_work_fn *fn_session; /* stator_session_run */
    void *arg;
    void (*free_arg)(void *arg); /* when no worker can need it; or NULL */
    int64_t lease_id;            /* 0: none; see stc_request_bind */
    int64_t session_id;          /* likewise */
    bool passes; /* a full queue, as part of a call of several operations */
    struct stc_lease *lease;     /* taken */
    struct stc_session *session; /* taken */
    void *context;               /* the user's, for futures and events */
};

/* Find the lease and the session that a request names.  False: `problem`, of
 * `size` bytes, says what is wrong with them. */
bool stc_request_bind(stator_client_t *client, struct stc_request *request,
                      char *problem, size_t size);
/* Of one that is not submitted: give back what would have been taken. */
void stc_request_drop(struct stc_request *request);

/* A new future, never NULL.  Takes what the request has to be taken, also
 * when it fails. */
stator_future_t *stc_submit(stator_client_t *client,
                            struct stc_request *request);

/* ---- cursor ------------------------------------------------------ */

/* The strand and the documents of one cursor: see cursor.h in core.  lib
 * keeps the handle with the user's references. */
struct stc_cursor;

/* STC_READY takes nothing: DONE when a document is here to be taken (count 1)
 * or there are no more (count 0).  STC_TRY is STC_NEXT, but DONE with nothing
 * when one turn of the lane has brought nothing; STC_OPEN is DONE when the
 * server has the cursor.  STC_PREFETCH is core's own. */
enum stc_want {
    STC_NEXT,
    STC_BATCH,
    STC_LIST,
    STC_CLOSE,
    STC_READY,
    STC_TRY,
    STC_OPEN,
    STC_PREFETCH
};

/* Takes what the request has to be taken.  No I/O.  NULL: no memory. */
struct stc_cursor *stc_cursor_new(stator_client_t *client,
                                  struct stc_request *request);
/* The request that it was made of, with the numbers of lease and session, to
 * be bound anew.  False: no memory. */
bool stc_cursor_request_again(const struct stc_cursor *cursor,
                              struct stc_request *out);
/* `max` is STC_LIST's.  A new future, never NULL. */
stator_future_t *stc_cursor_ask(struct stc_cursor *cursor, enum stc_want want,
                                int64_t max);
/* The next document that is here, one as a slice, whose reference on the
 * batch becomes the caller's.  False: none is, or requests come first. */
bool stc_cursor_take(struct stc_cursor *cursor, struct stf_slice *out);
/* A change stream's place, as of the events that were handed out, into `out`.
 * False: it has none yet. */
bool stc_cursor_resume_token(struct stc_cursor *cursor, bson_t *out);
/* The handle has gone: close when what was asked has settled.  `cursor` is
 * not to be used any more. */
void stc_cursor_leave(struct stc_cursor *cursor);

/* ---- leases and sessions ----------------------------------------- */

/* What a settled future brought: a new handle; NULL: nothing of the kind. */
struct stc_lease *stc_future_lease(const stator_future_t *future);
struct stc_session *stc_future_session(const stator_future_t *future);
void stc_lease_add_handle(struct stc_lease *lease);
void stc_lease_drop_handle(struct stc_lease *lease);
stator_client_t *stc_lease_client(const struct stc_lease *lease);
int64_t stc_lease_id(const struct stc_lease *lease);
void stc_session_add_handle(struct stc_session *session);
void stc_session_drop_handle(struct stc_session *session);
stator_client_t *stc_session_client(const struct stc_session *session);
int64_t stc_session_id(const struct stc_session *session);

struct stc_session_look { /* as after its last operation */
    bool is_inherited;    /* by a child after fork: nothing else is known */
    stator_transaction_state_t state;
    bool is_dirty;
    bson_t lsid, cluster_time; /* {} if unknown; to be destroyed */
    uint32_t seconds, increment;
};

void stc_session_look(struct stc_session *session,
                      struct stc_session_look *out);
/* Known from the next operation on; what is earlier changes nothing.  Not in
 * a child after fork. */
void stc_session_advance_cluster_time(struct stc_session *session,
                                      const bson_t *document);
void stc_session_advance_operation_time(struct stc_session *session,
                                        uint32_t seconds,
                                        uint32_t increment);

/* ---- events: see event.h, apm.h and listener.h in core ------------ */

enum { STC_EVENT_TYPES = STATOR_EVENT_EVENTS_DROPPED + 1 };

/* One block of memory, never changed: what it points to lies behind it. */
struct stator_event {
    _Atomic(unsigned) refs;
    stator_event_type_t type;
    int64_t size; /* of the block */
    int64_t time_us;
    int64_t request_id, operation_id, duration_us, dropped;
    int64_t server_connection_id; /* -1: none */
    uint32_t server_id;
    bool awaited, has_topology_id, has_service_id;
    bson_oid_t topology_id, service_id;
    void *context;
    const bson_error_t *error; /* or NULL, as all of these */
    const char *host, *command_name, *database;
    const bson_t *command, *reply, *previous, *current; /* of `views` */
    bson_t views[2];
};

const char *stc_event_name(stator_event_type_t type);

struct stc_listening {
    stator_dispatcher_t *dispatcher;
    stator_event_fn *fn;
    void *arg;
    uint32_t types;   /* a bit each; 0: all that there are */
    int64_t limit, max_bytes;
};

stator_listener_t *stc_client_listen(stator_client_t *client,
                                     const struct stc_listening *how,
                                     bson_error_t *error);
stator_listener_t *stc_listener_ref(stator_listener_t *listener);
void stc_listener_unref(stator_listener_t *listener);

/* ---- client ------------------------------------------------------ */

enum stc_close_mode { STC_DRAIN, STC_CANCEL, STC_ABORT };

/* One of `uri` and `pool` (taken when it works). */
stator_client_t *stc_client_new(const char *uri, mongoc_client_pool_t *pool,
                                const bson_t *opts, bson_error_t *error);
stator_client_t *stc_client_ref(stator_client_t *client);
void stc_client_unref(stator_client_t *client);
/* That the URI names; NULL: none. */
const char *stc_client_default_db(const stator_client_t *client);
bool stc_client_is_inherited(const stator_client_t *client);
stator_future_t *stc_client_close(stator_client_t *client,
                                  enum stc_close_mode mode,
                                  int64_t timeout_ms);
bool stc_client_resize(stator_client_t *client, int workers,
                       bson_error_t *error);
void stc_client_stats(stator_client_t *client, bson_t *out);
void stc_client_config(stator_client_t *client, bson_t *out);
stator_future_t *stc_client_room(stator_client_t *client);
/* A call of several operations begins: a client that drains waits for its
 * end.  False: the client is closed, or closing. */
bool stc_client_begin_call(stator_client_t *client);
void stc_client_end_call(stator_client_t *client);
/* What a call is told then; lent, while the client is held. */
const char *stc_client_note_closed(const stator_client_t *client);

/* ---- the verbs (core/verb_*.c) ----------------------------------- */

#define STC_VERB(name) extern const struct stc_verb stc_verb_##name;
/* verb: its arguments, documents [2] and on */
STC_VERB(command)       /* command */
STC_VERB(read_command)  /* command */
STC_VERB(write_command) /* command */
STC_VERB(read_write_command) /* command */
STC_VERB(list_database_names)
STC_VERB(create_collection) /* {name: utf8}; opts hold the options */
STC_VERB(list_collection_names)
STC_VERB(has_collection) /* {name: utf8} */
STC_VERB(drop_database)
STC_VERB(insert_one)  /* document, with an _id */
STC_VERB(insert_many) /* documents, with _ids */
STC_VERB(find_one)    /* filter */
STC_VERB(update_one)  /* selector, update or pipeline array */
STC_VERB(update_many)
STC_VERB(replace_one)            /* selector, replacement */
STC_VERB(delete_one)             /* selector */
STC_VERB(delete_many)            /* selector */
STC_VERB(find_one_and_update)    /* selector, update or pipeline array */
STC_VERB(find_one_and_replace)   /* selector, replacement */
STC_VERB(find_one_and_delete)    /* selector */
STC_VERB(bulk_write)             /* models, insertOne's with an _id */
STC_VERB(count_documents)        /* filter */
STC_VERB(estimated_document_count)
STC_VERB(distinct)               /* {key: utf8}, filter */
STC_VERB(create_indexes)         /* models, each with key and name */
STC_VERB(drop_index)             /* {name: utf8} */
STC_VERB(rename)                 /* {db: utf8, name: utf8, drop: bool} */
STC_VERB(drop_collection)
STC_VERB(validate)
STC_VERB(stats)
STC_VERB(options)
STC_VERB(create_search_indexes)  /* models */
STC_VERB(update_search_index)    /* {name: utf8}, definition */
STC_VERB(drop_search_index)      /* {name: utf8} */
STC_VERB(select_server)             /* {for_writes: bool} */
STC_VERB(get_server_descriptions)
STC_VERB(get_handshake_description) /* {server_id: int64} */
STC_VERB(run)                    /* none: fn and arg */
STC_VERB(session_run)            /* none: fn_session and arg */
STC_VERB(lease)                  /* none */
STC_VERB(start_session)          /* none: opts hold the options */
STC_VERB(start_transaction)      /* likewise */
STC_VERB(commit_transaction)     /* none */
STC_VERB(abort_transaction)      /* none */
/* of cursors: they build the command that opens it */
STC_VERB(find)                   /* filter */
STC_VERB(aggregate)              /* pipeline array */
STC_VERB(watch)                  /* pipeline array, more of $changeStream */
STC_VERB(list_databases)
STC_VERB(list_collections)
STC_VERB(list_indexes)
STC_VERB(list_search_indexes)    /* {name: utf8} or {} */
STC_VERB(run_cursor_command)     /* command */
#undef STC_VERB

#endif /* STC_CORE_H */
