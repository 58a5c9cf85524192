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

struct stf_slice;

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
    void *arg;
};

/* A new future, never NULL.  Takes `request->bytes`, also when it fails. */
stator_future_t *stc_submit(stator_client_t *client,
                            struct stc_request *request);

/* ---- cursor ------------------------------------------------------ */

/* The strand and the documents of one cursor: see cursor.h in core.  lib
 * keeps the handle with the user's references. */
struct stc_cursor;

/* STC_READY takes nothing: DONE when a document is here to be taken (count 1)
 * or there are no more (count 0).  STC_PREFETCH is core's own. */
enum stc_want {
    STC_NEXT,
    STC_BATCH,
    STC_LIST,
    STC_CLOSE,
    STC_READY,
    STC_PREFETCH
};

/* Takes `request->bytes`.  No I/O.  NULL: no memory. */
struct stc_cursor *stc_cursor_new(stator_client_t *client,
                                  struct stc_request *request);
/* `max` is STC_LIST's.  A new future, never NULL. */
stator_future_t *stc_cursor_ask(struct stc_cursor *cursor, enum stc_want want,
                                int64_t max);
/* The next document that is here, one as a slice, whose reference on the
 * batch becomes the caller's.  False: none is, or requests come first. */
bool stc_cursor_take(struct stc_cursor *cursor, struct stf_slice *out);
/* The handle has gone: close when what was asked has settled.  `cursor` is
 * not to be used any more. */
void stc_cursor_leave(struct stc_cursor *cursor);

/* ---- client ------------------------------------------------------ */

enum stc_close_mode { STC_DRAIN, STC_CANCEL, STC_ABORT };

/* One of `uri` and `pool` (taken when it works). */
stator_client_t *stc_client_new(const char *uri, mongoc_client_pool_t *pool,
                                const bson_t *opts, bson_error_t *error);
stator_client_t *stc_client_ref(stator_client_t *client);
void stc_client_unref(stator_client_t *client);
stator_future_t *stc_client_close(stator_client_t *client,
                                  enum stc_close_mode mode,
                                  int64_t timeout_ms);
bool stc_client_resize(stator_client_t *client, int workers,
                       bson_error_t *error);
void stc_client_stats(stator_client_t *client, bson_t *out);
void stc_client_config(stator_client_t *client, bson_t *out);
stator_future_t *stc_client_room(stator_client_t *client);

/* ---- the verbs (core/verb_*.c) ----------------------------------- */

#define STC_VERB(name) extern const struct stc_verb stc_verb_##name;
/* verb: its arguments, documents [2] and on */
STC_VERB(command)       /* command */
STC_VERB(read_command)  /* command */
STC_VERB(write_command) /* command */
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
STC_VERB(run)                    /* none: fn and arg */
/* of cursors: they build the command that opens it */
STC_VERB(find)                   /* filter */
STC_VERB(aggregate)              /* pipeline array */
STC_VERB(list_databases)
STC_VERB(list_collections)
STC_VERB(list_indexes)
#undef STC_VERB

#endif /* STC_CORE_H */
