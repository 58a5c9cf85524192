/* SPDX-License-Identifier: Apache-2.0 */
/* core/call.h - from an operation's bytes to a verb's call and back. */
#ifndef STC_CALL_H
#define STC_CALL_H

#include "core/pool.h"
#include "core/verb.h"

/* The views of one call, on the worker's stack; more than `few` documents
 * are on the heap. */
struct stc_views {
    struct stc_call call;
    bson_t few[8];
    bson_t *many;
    mongoc_read_prefs_t *own_prefs;
    bool owns_opts;
};

/* Prepare `views->call`, in `session` or NULL, with `result` (lent) to be
 * filled.  False: why is said in result->error. */
bool stc_views_open(struct stc_views *views, struct stc_connection *c,
                    struct stc_target *target, const uint8_t *bytes,
                    uint32_t n_documents, int64_t deadline,
                    struct stc_session *session, struct stf_result *result);
void stc_views_close(struct stc_views *views);

/* What a finished call tells of the operation's effect on the server. */
stator_outcome_t stc_outcome(const struct stc_call *call, bool ok,
                             struct stc_transport *transport);
/* The server has given up by the maxTimeMS that was made of timeoutMS: that
 * is a miss of timeoutMS, and its error is to say so. */
void stc_note_expiry(struct stc_call *call);
/* How far it came. */
stator_phase_t stc_phase(stator_outcome_t outcome);

/* Milliseconds left until `deadline` for maxTimeMS: 0 no limit, else 1 and
 * more. */
int32_t stc_max_time_ms(int64_t deadline);

#endif /* STC_CALL_H */
