/* SPDX-License-Identifier: Apache-2.0 */
/* wire_message.h - framing: OP_MSG both ways, OP_QUERY in, OP_REPLY out. */
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include "tests/wire/wire_buffer.h"

enum {
    WIRE_HEADER_SIZE = 16,
    WIRE_MESSAGE_MAX = 48000000,
    WIRE_DOCUMENT_MAX = 16 * 1024 * 1024,
    WIRE_SEQUENCES_MAX = 4,
};

/* A kind 1 section: documents behind one another. */
typedef struct {
    const char *name;
    const uint8_t *data;
    size_t size;
} wire_sequence_t;

/* One message; everything points into the bytes that were parsed. */
typedef struct {
    int32_t request_id;
    bool legacy; /* OP_QUERY: wants an OP_REPLY */
    bool more_to_come;
    bool may_stream; /* more replies than one are fine */
    const char *query_ns; /* of an OP_QUERY */
    bson_t body;          /* a view: never destroyed */
    wire_sequence_t sequences[WIRE_SEQUENCES_MAX];
    int n_sequences;
} wire_message_t;

/* The length that a header announces; 0 when it is none that a message can
 * have.  `data` holds at least 4 bytes. */
size_t wire_message_length(const uint8_t *data);

/* False when these `size` bytes are no message that a client may send. */
bool wire_message_parse(const uint8_t *data, size_t size, wire_message_t *out);

/* How many whole documents a sequence holds; -1 when it is broken. */
int64_t wire_sequence_count(const wire_sequence_t *sequence);

/* The body with its sequences as arrays: a new document. */
bson_t *wire_message_document(const wire_message_t *message);

/* Append `document` as the reply to `message`. */
void wire_message_reply(const wire_message_t *message, int32_t id,
                        const bson_t *document, wire_buffer_t *out);

#endif /* WIRE_MESSAGE_H */
