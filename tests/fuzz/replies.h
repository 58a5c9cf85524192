/* SPDX-License-Identifier: Apache-2.0 */
/* replies.h - replies, right ones and such as no server should send.
 *
 *   input:  request │ reply ... reply       what follows an enum asked
 *
 * The same text serves a fuzzer that is led by coverage and a test of a
 * million small changes that are the same in every run. */
#ifndef STATOR_TESTS_FUZZ_REPLIES_H
#define STATOR_TESTS_FUZZ_REPLIES_H

#include <bson/bson.h>

#include "core/guard.h"

enum { REPLIES_ROOM = 8192, REPLIES_ID = 7 };

/* An input's first byte: what the replies are held against.  A_REQUEST: what
 * follows is no reply but the request itself. */
enum asked {
    ASKED_MSG,
    ASKED_STREAM,
    ASKED_COMMAND,
    ASKED_CURSOR,
    ASKED_EXHAUST,
    ASKED_COMPRESSED,
    ASKED_NOTHING,
    A_REQUEST,
    N_ASKED
};

struct bytes {
    size_t n;
    uint8_t data[REPLIES_ROOM];
};

/* ---- made -------------------------------------------------------- */

void bytes_put(struct bytes *b, const void *data, size_t n);
void bytes_put_int32(struct bytes *b, int32_t value);
void bytes_set_int32(struct bytes *b, size_t at, int32_t value);
/* Begins a message at the end of `b`; answers where. */
size_t bytes_begin(struct bytes *b, int32_t request_id, int32_t response_to,
                   enum stc_opcode opcode);
/* Gives the message that began at `at` its length. */
void bytes_end(struct bytes *b, size_t at);

/* An OP_MSG with one document. */
void reply_msg(struct bytes *b, int32_t response_to, uint32_t flags,
               const bson_t *document);
/* An OP_REPLY with `n` of it. */
void reply_reply(struct bytes *b, uint32_t flags, int64_t cursor, uint32_t n,
                 const bson_t *document);
/* The last `n` bytes of `b`, a plain message, compressed. */
void reply_compress(struct bytes *b, size_t n, uint8_t compressor);

/* {ok: 1} */
void document_ok(bson_t *out);
/* An element of every type, empty and not. */
void document_of_all(bson_t *out);
/* `levels` documents in all, one in the other. */
void document_deep(bson_t *out, unsigned levels);

/* ---- asked ------------------------------------------------------- */

void ask(struct stc_guard *g, enum asked asked);

/* Is it BSON, by libbson's own iterator?  What stc_guard_bson is held
 * against: what libbson reads to its end, and nothing else. */
bool is_bson(const uint8_t *data, size_t room);

/* ---- fuzzed ------------------------------------------------------ */

/* What came of an input; one that breaks a promise ends the process with a
 * word on what it was. */
struct outcome {
    unsigned n_taken; /* replies */
    const char *flaw; /* why the next one was not, or NULL */
};
struct outcome replies_try(const uint8_t *input, size_t n);

/* The input number `i`, all of it right.  False: there are no more. */
bool replies_seed(unsigned i, struct bytes *out);

/* One small change, mostly such that the header still passes. */
void replies_change(struct bytes *b, uint64_t *random);

#endif
