/* SPDX-License-Identifier: Apache-2.0 */
/* core/change_stream.h - what a change stream is beside a cursor: its place
 * among the events, and how it goes on there when its cursor is lost.
 *
 *   aggregate ── events ──> buffer ── handed out ──> user
 *      ^           |                       |
 *      |      `resume`: what was      `token`: what the
 *      |       received                user has
 *      +── lost, and resumable ── opened again after `resume`
 *
 * K1  `token` changes under the cursor's lock, all else on the strand (R2 in
 *     cursor.h).
 * K2  `resume` is the place after all that is in the buffer, so what a new
 *     cursor brings follows it: nothing is lost, nothing comes twice.
 * K3  There is no limit to that, as with the driver; but who is lost again and
 *     again takes a short rest before it is opened.
 * K4  As the change streams specification has it, the place is an event's
 *     _id, and after a batch's last event its postBatchResumeToken, if the
 *     server gives one; before any, it is the time of the aggregate. */
#ifndef STC_CHANGE_STREAM_H
#define STC_CHANGE_STREAM_H

#include "core/call.h"
#include "futures/documents.h"

struct stc_server_cursor;

struct stc_change_stream {
    bson_t token;  /* {}: none yet */
    bson_t resume; /* likewise */
    bson_t start_at; /* {startAtOperationTime: ..}, or {} */
    bool starts_at;  /* the user says where */
    bool starts_after;
    bool has_received; /* an event */
    bool is_resumed;   /* the next aggregate is not the first */
    int n_in_a_row;    /* lost, and no getMore has gone well since */
};

/* `bytes`: the request's, which begin with its options.  NULL: no memory. */
struct stc_change_stream *stc_change_stream_new(const uint8_t *bytes);
void stc_change_stream_free(struct stc_change_stream *s); /* NULL is fine */

/* Under the cursor's lock. */
bool stc_change_stream_token(const struct stc_change_stream *s, bson_t *out);
/* Events were handed out, up to `last`; `end` NULL: or the place after the
 * batch, as BSON. */
void stc_change_stream_hand_out(struct stc_change_stream *s,
                                const bson_t *last, const uint8_t *end);
/* Nothing came, and all that came before has been handed out. */
void stc_change_stream_skip(struct stc_change_stream *s, const bson_t *end);

/* On the strand.  What an aggregate or a getMore has brought: how many of
 * the events can be handed out; fewer than there are: `error` says why. */
size_t stc_change_stream_receive(struct stc_change_stream *s,
                                 const struct stc_server_cursor *server,
                                 const struct stf_documents *documents,
                                 bson_error_t *error);
/* A view of the batch's postBatchResumeToken.  False: it has none. */
bool stc_change_stream_end_of(const struct stf_documents *documents,
                              bson_t *view);
/* Is the failure of a getMore one after which it goes on elsewhere? */
bool stc_change_stream_may_resume(const struct stc_server_cursor *server,
                                  const struct stf_result *result);

#endif /* STC_CHANGE_STREAM_H */
