/* SPDX-License-Identifier: Apache-2.0 */
/* wire_message.c - framing: OP_MSG both ways, OP_QUERY in, OP_REPLY out.
 *
 *   header  int32 length, requestID, responseTo, opCode
 *   OP_MSG  uint32 flags, sections (kind 0: a document; kind 1: int32 size,
 *           cstring name, documents), [uint32 checksum]
 *   OP_QUERY  int32 flags, cstring ns, int32 skip, int32 n, document
 *   OP_REPLY  int32 flags, int64 cursor, int32 from, int32 n, documents */
#include "tests/wire/wire_message.h"

#include <string.h>

enum {
    OP_REPLY = 1,
    OP_QUERY = 2004,
    OP_MSG = 2013,
    CHECKSUM_PRESENT = 1 << 0,
    MORE_TO_COME = 1 << 1,
    REQUIRED_BITS = 0xffff, /* unknown ones among these must be refused */
    EXHAUST_ALLOWED = 1 << 16,
    AWAIT_CAPABLE = 8,
    SMALLEST_DOCUMENT = 5,
};

size_t wire_message_length(const uint8_t *data)
{
    int32_t length = wire_get_int32(data);

    if (length < WIRE_HEADER_SIZE || length > WIRE_MESSAGE_MAX)
        return 0;
    return (size_t)length;
}

/* The document at `data`, of at most `size` bytes; its length, or 0. */
static size_t document_length(const uint8_t *data, size_t size)
{
    int32_t length;

    if (size < SMALLEST_DOCUMENT)
        return 0;
    length = wire_get_int32(data);
    if (length < SMALLEST_DOCUMENT || (size_t)length > size)
        return 0;
    return (size_t)length;
}

static bool parse_body(const uint8_t *data, size_t size, bson_t *out)
{
    return size != 0 && bson_init_static(out, data, size);
}

static bool parse_sequence(const uint8_t *data, size_t size,
                           wire_message_t *out)
{
    wire_sequence_t *sequence;
    const uint8_t *end = memchr(data, 0, size);

    if (end == NULL || out->n_sequences == WIRE_SEQUENCES_MAX)
        return false;
    sequence = &out->sequences[out->n_sequences++];
    sequence->name = (const char *)data;
    sequence->data = end + 1;
    sequence->size = size - (size_t)(end + 1 - data);
    return wire_sequence_count(sequence) >= 0;
}

static bool parse_msg(const uint8_t *data, size_t size, wire_message_t *out)
{
    uint32_t flags;
    bool has_body = false;

    if (size < 4)
        return false;
    flags = (uint32_t)wire_get_int32(data);
    if (flags & REQUIRED_BITS & ~(uint32_t)(CHECKSUM_PRESENT | MORE_TO_COME))
        return false;
    out->more_to_come = (flags & MORE_TO_COME) != 0;
    out->may_stream = (flags & EXHAUST_ALLOWED) != 0;
    data += 4;
    size -= 4;
    if (flags & CHECKSUM_PRESENT) {
        if (size < 4)
            return false;
        size -= 4; /* not verified */
    }

    while (size > 0) {
        uint8_t kind = data[0];
        size_t length;

        data++;
        size--;
        length = document_length(data, size); /* the same for both kinds */
        if (length == 0)
            return false;
        if (kind == 0) {
            if (has_body || !parse_body(data, length, &out->body))
                return false;
            has_body = true;
        } else if (kind == 1) {
            if (!parse_sequence(data + 4, length - 4, out))
                return false;
        } else {
            return false;
        }
        data += length;
        size -= length;
    }
    return has_body;
}

static bool parse_query(const uint8_t *data, size_t size, wire_message_t *out)
{
    const uint8_t *end;
    size_t used;

    out->legacy = true;
    if (size < 4)
        return false;
    end = memchr(data + 4, 0, size - 4);
    if (end == NULL)
        return false;
    out->query_ns = (const char *)data + 4;
    used = (size_t)(end + 1 - data) + 8;
    if (used > size)
        return false;
    return parse_body(data + used, document_length(data + used, size - used),
                      &out->body);
}

bool wire_message_parse(const uint8_t *data, size_t size, wire_message_t *out)
{
    int32_t opcode = wire_get_int32(data + 12);

    out->request_id = wire_get_int32(data + 4);
    out->legacy = false;
    out->more_to_come = false;
    out->may_stream = false;
    out->query_ns = NULL;
    out->n_sequences = 0;
    data += WIRE_HEADER_SIZE;
    size -= WIRE_HEADER_SIZE;
    if (opcode == OP_MSG)
        return parse_msg(data, size, out);
    if (opcode == OP_QUERY)
        return parse_query(data, size, out);
    return false;
}

int64_t wire_sequence_count(const wire_sequence_t *sequence)
{
    const uint8_t *data = sequence->data;
    size_t left = sequence->size;
    int64_t n = 0;

    while (left > 0) {
        size_t length = document_length(data, left);

        if (length == 0)
            return -1;
        data += length;
        left -= length;
        n++;
    }
    return n;
}

static void append_sequence(bson_t *out, const wire_sequence_t *sequence)
{
    const uint8_t *data = sequence->data;
    size_t left = sequence->size;
    uint32_t i = 0;
    bson_t array;

    bson_append_array_begin(out, sequence->name, -1, &array);
    while (left > 0) {
        size_t length = document_length(data, left);
        char buffer[16];
        const char *key;
        size_t key_length = bson_uint32_to_string(i++, &key, buffer,
                                                  sizeof buffer);
        bson_t document;

        if (bson_init_static(&document, data, length))
            bson_append_document(&array, key, (int)key_length, &document);
        data += length;
        left -= length;
    }
    bson_append_array_end(out, &array);
}

bson_t *wire_message_document(const wire_message_t *message)
{
    bson_t *out = bson_copy(&message->body);

    for (int i = 0; i < message->n_sequences; i++)
        append_sequence(out, &message->sequences[i]);
    return out;
}

void wire_message_reply(const wire_message_t *message, int32_t id,
                        const bson_t *document, wire_buffer_t *out)
{
    size_t before = message->legacy ? 20 : 5;
    size_t length = WIRE_HEADER_SIZE + before + document->len;
    uint8_t *data;

    wire_buffer_reserve(out, length);
    data = out->data + out->size;
    out->size += length;
    wire_put_int32(data, (int32_t)length);
    wire_put_int32(data + 4, id);
    wire_put_int32(data + 8, message->request_id);
    wire_put_int32(data + 12, message->legacy ? OP_REPLY : OP_MSG);
    memset(data + WIRE_HEADER_SIZE, 0, before);
    if (message->legacy) {
        wire_put_int32(data + WIRE_HEADER_SIZE, AWAIT_CAPABLE);
        wire_put_int32(data + WIRE_HEADER_SIZE + 16, 1);
    }
    memcpy(data + WIRE_HEADER_SIZE + before, bson_get_data(document),
           document->len);
}
