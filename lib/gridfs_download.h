/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_download.h - a stream out of a file: a line of calls, and a batch
 * of chunks.
 *
 *   any request ─> the file's document, once ─> position
 *   read ─> chunk at hand? ─yes─> bytes
 *              └─no─> a batch, from that chunk on ─┘
 *
 * D1  `id` and all below is the running call's (T1 in steps.h); no lock.  What
 *     the getters tell is atomic.
 * D2  A batch is one find, with a limit: between two of them the server holds
 *     nothing, so a stream can rest, be sought and be left at no cost.
 * D3  It asks for one chunk more than there should be, which must not be
 *     there, or be empty.
 * D4  `position` moves with a read that is DONE, and what a descriptor took. */
#ifndef STL_GRIDFS_DOWNLOAD_H
#define STL_GRIDFS_DOWNLOAD_H

#include "lib/gridfs_stream.h"

struct stator_gridfs_download_stream {
    struct stl_stream base; /* first */
    char *filename; /* by name; then `id` is known when it is open */
    int32_t revision;
    atomic_bool is_closed;
    atomic_llong length; /* -1: not open yet */
    atomic_llong position;
    bson_value_t id;
    bson_t *file; /* its document, or NULL */
    int64_t chunk_size, n_chunks;
    stator_future_t *batch; /* chunks, or NULL */
    int64_t batch_first;    /* n of the first of them */
};

typedef struct stator_gridfs_download_stream download_t;

/* A call on a stream. */
struct stl_download_call {
    struct stl_call call; /* first */
    download_t *stream;   /* a hold */
    enum { STL_NO_MORE, STL_A_FILE, STL_A_BATCH } awaits;
};

static inline struct stl_download_call *
stl_download_call_of(struct stf_steps *s)
{
    return stf_container_of(s, struct stl_download_call, call.steps);
}

/* A call, or NULL and `*refusal`.  `download` may be NULL. */
struct stl_download_call *
stl_download_call_new(const struct stf_kind *kind, const char *subject,
                      size_t size, stf_step_fn *step, download_t *download,
                      const void *site, stator_future_t **refusal);
void stl_download_call_destroy(struct stl_download_call *d);

/* Take `settled` in (NULL: nothing was awaited), then see to it that the file
 * is known.  Answers what to await; NULL: it is so, or the call has been
 * settled. */
stator_future_t *stl_download_prepare(struct stl_download_call *d,
                                      stator_future_t *settled);
/* What is at `position`: `*bytes`, `*size` of them to the chunk's end.  Answers
 * what to await for that; NULL: it is here, or the call has been settled. */
stator_future_t *stl_download_look(struct stl_download_call *d,
                                   int64_t position, const uint8_t **bytes,
                                   size_t *size);

#endif /* STL_GRIDFS_DOWNLOAD_H */
