/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_upload.h - a stream into a file: a line of calls, and a window of
 * chunks that are on their way.
 *
 *   write ─> bytes ─> tail ─full─> flight[0..3] ─> server
 *                      │                │
 *   close ─────────────┴─ sent, awaited ┴─> the file's document
 *   abort, or the handle goes: flight awaited ─> chunks deleted
 *
 *   OPEN ──close──> CLOSED
 *    │ └─failure, cancel─> FAILED ──abort──> ABORTED
 *    └──────────────abort──────────────────────^
 *
 * U1  `state` and all below is the running call's (T1 in steps.h); no lock.
 * U2  A chunk leaves the window from its old end: that one is awaited.  So at
 *     most LIMIT are in memory and on their way, and a failure is found when
 *     the chunk is taken in, at the latest by close.
 * U3  The deadlines of chunks do not decrease, as those of the calls that send
 *     them do not: who waits for the oldest waits no longer than its own.
 * U4  Who keeps it, and how long: S1 and S2 in gridfs_stream.h.
 * U5  What was sent is never cut by a cancel, only left behind: cut, it could
 *     arrive after what an abort sends to take it away.  So an abort awaits
 *     all of it first.
 * U6  Bytes that were refused before they came into the line would be missing:
 *     the next request finds that, so that no close makes a file without them. */
#ifndef STL_GRIDFS_UPLOAD_H
#define STL_GRIDFS_UPLOAD_H

#include "lib/gridfs_index.h"
#include "lib/gridfs_stream.h"

enum { STL_FLIGHT_MAX = 4 };

enum stl_upload_state { STL_OPEN, STL_CLOSED, STL_FAILED, STL_ABORTED };

struct stator_gridfs_upload_stream {
    struct stl_stream base; /* first */
    bson_value_t id;
    char *filename;
    bson_t *metadata; /* NULL: none */
    int32_t chunk_size;
    bool is_own_id; /* an ObjectId that was made here */
    atomic_bool is_closing;     /* close was asked for */
    atomic_bool is_aborting;    /* abort was, so all before it is cancelled */
    atomic_bool is_over;        /* closed or aborted */
    atomic_int refused;         /* U6: a stator_error_code_t, or 0 */
    atomic_llong n_confirmed;
    enum stl_upload_state state;
    stator_future_t *failure;   /* with FAILED */
    struct stl_index index;
    enum { STL_NOTHING, STL_THE_INDEX, STL_A_CHUNK } awaits;
    uint8_t *tail; /* chunk_size bytes, or NULL */
    int32_t n_tail;
    int64_t length; /* of all full chunks */
    int32_t n_sent; /* chunks */
    bson_oid_t first_ids[STL_FLIGHT_MAX];
    struct {
        stator_future_t *future;
        int32_t size;
    } flight[STL_FLIGHT_MAX];
    unsigned oldest, n_flight;
    int64_t upload_date;
    stator_future_t *filing; /* its document was sent; or NULL */
    bson_t *document;  /* with CLOSED */
};

typedef struct stator_gridfs_upload_stream upload_t;

void stl_upload_unhold(upload_t *upload);

/* A call on a stream. */
struct stl_upload_call {
    struct stl_call call; /* first */
    upload_t *stream;     /* a hold */
};

static inline struct stl_upload_call *
stl_upload_call_of(struct stf_steps *s)
{
    return stf_container_of(s, struct stl_upload_call, call.steps);
}

/* A call, or NULL and `*refusal`.  `upload` may be NULL. */
struct stl_upload_call *
stl_upload_call_new(const struct stf_kind *kind, const char *subject,
                    size_t size, stf_step_fn *step, upload_t *upload,
                    const void *site, stator_future_t **refusal);
void stl_upload_call_destroy(struct stl_upload_call *u);
/* For `over` of what may not be left undone. */
void stl_upload_call_over(struct stl_call *call);

/* Bytes for the stream were refused: U6.  Answers `refusal`. */
stator_future_t *stl_upload_refused(upload_t *upload,
                                    stator_future_t *refusal);

/* Take `settled` in (NULL: nothing was awaited), then await until at most
 * `most` are on their way and, if `indexed`, the indexes are there.  NULL: it
 * is so, or the call has been settled. */
stator_future_t *stl_upload_settle_down(struct stl_upload_call *u,
                                        stator_future_t *settled,
                                        unsigned most, bool indexed);
/* The same, but for whatever state it is in, of all that are on their way. */
stator_future_t *stl_upload_drain(upload_t *upload, stator_future_t *settled);
/* From OPEN to FAILED. */
void stl_upload_fail(upload_t *upload, stator_future_t *why);
/* It is not OPEN: settle the call for that. */
stator_future_t *stl_upload_refuse(struct stl_upload_call *u);
/* Put bytes into the tail, and send it when it is full; at most one chunk.
 * Answers how many were taken.  There is room in the window. */
size_t stl_upload_take(struct stl_upload_call *u, const uint8_t *bytes,
                       size_t size);
/* Send the tail, as it is. */
void stl_upload_send(struct stl_upload_call *u);

#endif /* STL_GRIDFS_UPLOAD_H */
