/* SPDX-License-Identifier: Apache-2.0 */
/* core/verb.h - what a worker does for an operation: one blocking call.
 *
 * A verb is a function on the worker's thread.  It finds its inputs as views
 * in the call, runs the one driver function, and leaves reply, document and
 * count in the result, which was made beforehand. */
#ifndef STC_VERB_H
#define STC_VERB_H

#include <mongoc/mongoc.h>

#include "core/core.h"
#include "futures/result.h"

struct stc_change_stream;

struct stc_call {
    mongoc_client_t *client;         /* the worker's */
    mongoc_collection_t *collection; /* with the target's options; or NULL */
    mongoc_database_t *database;     /* likewise; or NULL */
    const char *db;                  /* "" when the target is the client */
    const char *name;                /* the collection's, or NULL */
    /* The operation's own, else the target's, else NULL: the client's. */
    const mongoc_read_prefs_t *read_prefs;
    const mongoc_read_prefs_t *own_read_prefs; /* the operation's, or NULL */
    bson_t opts;         /* the driver's part of opts */
    bson_t *arguments;   /* documents [2] and on */
    size_t n_arguments;
    int32_t max_time_ms; /* what is left of timeoutMS, 0: no limit */
    struct stf_result *result; /* reply, document, count; error when false */
    struct stc_session *session; /* that it runs in, or NULL */
    const struct stc_change_stream *stream; /* what is opened, or NULL */
    const char *went_to;         /* "host:port" of the last command, or "" */
    bool in_transaction;         /* which sets concerns and preference */
    bool unacknowledged;       /* out: sent, and no answer will come */
};

/* True: DONE.  False: FAILED with result->error (API version 2), and the
 * reply, if there was one, in the result. */
typedef bool stc_verb_fn(struct stc_call *call);

/* Of a cursor's verb: append the command that opens the cursor to `command`,
 * and to `opts` what the driver's command function wants beside it
 * (readConcern, collation, .., not sessionId and serverId).  False:
 * call->result->error. */
typedef bool stc_open_fn(struct stc_call *call, bson_t *command,
                         bson_t *opts);

struct stc_verb {
    const char *name; /* "insert_one": for messages and statistics */
    stc_verb_fn *run; /* NULL for those of cursors */
    stc_open_fn *open;
};

/* {mode, tags, maxStalenessSeconds, hedge} as the driver's type; NULL: `view` is
 * empty.  The document was checked by lib.  (verb_opts.c) */
mongoc_read_prefs_t *stc_read_prefs_new(const bson_t *view);

/* The driver's types of a checked value; of a session and transactions. */
mongoc_read_concern_t *stc_read_concern_new(const bson_iter_t *document);
mongoc_write_concern_t *stc_write_concern_new(const bson_iter_t *document);

/* Give a collection or a database the target's options: readPreference,
 * readConcern, writeConcern.  (verb_opts.c) */
void stc_collection_configure(mongoc_collection_t *collection,
                              const bson_t *options);
void stc_database_configure(mongoc_database_t *database,
                            const bson_t *options);

#endif /* STC_VERB_H */
