/* SPDX-License-Identifier: Apache-2.0 */
/* core/server_cursor.h - the server's side of a cursor: the command that
 * opens it, getMore, killCursors.
 *
 * find, aggregate and the lists run as commands, under a session made for
 * them: the server accepts a getMore only from the session, and hence the
 * driver client, of its find.  A reply that is the last one leaves nothing
 * behind; else session, server and connection are kept for the next.
 *
 * Used by one thread at a time: see R2 in cursor.h. */
#ifndef STC_SERVER_CURSOR_H
#define STC_SERVER_CURSOR_H

#include "core/call.h"

struct stc_server_cursor {
    int64_t id; /* 0: the server has nothing left */
    char ns[256]; /* "db.collection" to ask for more; no server's is longer */
    uint32_t server_id;
    bool has_answered; /* the server, to the command sent last */
    bool is_orphan;    /* it has the cursor, but its reply can not be used */
    bool is_lost; /* it has none: to be opened again, in the same session */
    int wire_version; /* its, if it is a change stream or has a comment */
    bool tailable;
    int64_t batch_size;        /* 0: the server's */
    int64_t max_await_time_ms; /* 0: none */
    uint8_t *comment;          /* {comment: ..} as BSON bytes, or NULL */
    mongoc_read_prefs_t *prefs; /* of a find not on the primary, or NULL */
    mongoc_client_session_t *session;
    bool is_users; /* the session is */
    struct stc_connection *connection; /* NULL: nothing is kept */
};

/* Both leave the batch's documents in `*documents`, or false and why in
 * `result`, whose room was made before.  `id` says whether there is more.
 * (server_cursor_open.c has the first alone.) */
bool stc_server_cursor_open(struct stc_server_cursor *s,
                            struct stc_call *call,
                            const struct stc_verb *verb,
                            struct stf_documents **documents);
/* `turn_ms`: how long the server may wait for documents; 0: not at all. */
bool stc_server_cursor_more(struct stc_server_cursor *s,
                            mongoc_client_t *client, int64_t turn_ms,
                            struct stf_result *result,
                            struct stf_documents **documents);
/* Of both: the documents of a reply that is no error.  Takes its contents when
 * it works. */
bool stc_server_cursor_take_reply(struct stc_server_cursor *s, bson_t *reply,
                                  struct stf_result *result,
                                  struct stf_documents **documents);
/* Tell the server that nobody wants the rest.  Its answer is of no use. */
void stc_server_cursor_kill(struct stc_server_cursor *s,
                            mongoc_client_t *client);
/* It is lost: forget all of it but the session.  `kills`: the server answers,
 * and may still have it. */
void stc_server_cursor_lose(struct stc_server_cursor *s,
                            mongoc_client_t *client, bool kills);
/* Forget the session, and what only an open cursor needs. */
void stc_server_cursor_end(struct stc_server_cursor *s);

#endif /* STC_SERVER_CURSOR_H */
