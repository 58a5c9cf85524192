/* SPDX-License-Identifier: Apache-2.0 */
/* core/verb_support.h - what verbs have in common: opts on their way to the
 * driver, replies on their way back. */
#ifndef STC_VERB_SUPPORT_H
#define STC_VERB_SUPPORT_H

#include "core/verb.h"

/* ---- to the driver ----------------------------------------------- */

/* The opts to call with: with maxTimeMS, if the call has a limit and they
 * say none.  `room` is initialised, and to be destroyed afterwards. */
const bson_t *stc_timed_opts(const struct stc_call *call, bson_t *room);
/* maxTimeMS into a command, likewise. */
void stc_append_max_time(const struct stc_call *call, bson_t *command);

/* Is `key` one of `names`, which ends with NULL? */
bool stc_is_one_of(const char *key, const char *const names[]);
/* Of a command that opens a cursor: what of the call's opts the driver reads
 * out of opts goes there; what has its own place, or none, nowhere; the rest,
 * and maxTimeMS, into the command. */
void stc_share_out_opts(const struct stc_call *call,
                        const char *const in_opts[],
                        const char *const elsewhere[], bson_t *command,
                        bson_t *opts);

/* The target's read concern into `opts`, unless they hold one. */
void stc_inherit_read_concern(const struct stc_call *call, bson_t *opts);
void stc_inherit_write_concern(const struct stc_call *call, bson_t *opts);

/* Does no answer come to a write with these opts?  `inherits`: the target's
 * write concern counts when opts have none. */
bool stc_is_unacknowledged(const struct stc_call *call, bool inherits);

/* Does `pipeline` end with $out or $merge?  Then it is a write: it goes to
 * the primary, and its write concern counts. */
bool stc_pipeline_writes(const bson_t *pipeline);

/* cursor: {batchSize} and the options of a command that lists: one that runs
 * on the primary and knows no read concern.  (verb_cursor.c) */
bool stc_open_list(struct stc_call *call, bson_t *command, bson_t *opts);

/* ---- back -------------------------------------------------------- */

/* The end of a verb: the verdict and the reply (taken, initialised; NULL:
 * the driver gives none) into the result.  Answers `ok`. */
bool stc_verb_end(struct stc_call *call, bool ok, bson_t *reply);
/* The same before the driver was called: a fault in the opts. */
bool stc_verb_fault(struct stc_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* An integer of the reply; 0 if there is none. */
int64_t stc_reply_number(const bson_t *reply, const char *key);
/* Make the document that stands at `at` in the result's reply the result's. */
void stc_result_lend_document(struct stf_result *result,
                              const bson_iter_t *at);

#endif /* STC_VERB_SUPPORT_H */
