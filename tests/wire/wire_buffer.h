/* SPDX-License-Identifier: Apache-2.0 */
/* wire_buffer.h - a growing run of bytes; the rest of it is in wire.h.
 *
 * Memory comes from libbson's allocator, which aborts when there is none: a
 * test server has nothing better to do. */
#ifndef WIRE_BUFFER_H
#define WIRE_BUFFER_H

#include "tests/wire/wire.h"

struct wire_buffer {
    uint8_t *data;
    size_t size; /* bytes that are there */
    size_t room; /* bytes that fit */
};

/* Make room for `extra` bytes behind those that are there. */
void wire_buffer_reserve(wire_buffer_t *buffer, size_t extra);

/* Remove the first `n` bytes. */
void wire_buffer_consume(wire_buffer_t *buffer, size_t n);

/* Empty it; gives the memory back only if it is a lot. */
void wire_buffer_reset(wire_buffer_t *buffer);

void wire_buffer_clear(wire_buffer_t *buffer);

int32_t wire_get_int32(const uint8_t *data);
void wire_put_int32(uint8_t *data, int32_t value);

#endif /* WIRE_BUFFER_H */
