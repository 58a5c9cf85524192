/* SPDX-License-Identifier: Apache-2.0 */
/* wire_buffer.c - a growing run of bytes. */
#include "tests/wire/wire_buffer.h"

#include <string.h>

enum { SMALLEST = 4096, WORTH_KEEPING = 1 << 20 };

void wire_buffer_reserve(wire_buffer_t *buffer, size_t extra)
{
    size_t need = buffer->size + extra;
    size_t room = buffer->room < SMALLEST ? SMALLEST : buffer->room;

    if (need <= buffer->room)
        return;
    while (room < need)
        room *= 2;
    buffer->data = bson_realloc(buffer->data, room);
    buffer->room = room;
}

void wire_buffer_consume(wire_buffer_t *buffer, size_t n)
{
    if (n == buffer->size) {
        wire_buffer_reset(buffer);
        return;
    }
    memmove(buffer->data, buffer->data + n, buffer->size - n);
    buffer->size -= n;
}

void wire_buffer_reset(wire_buffer_t *buffer)
{
    if (buffer->room > WORTH_KEEPING)
        wire_buffer_clear(buffer);
    buffer->size = 0;
}

void wire_buffer_clear(wire_buffer_t *buffer)
{
    bson_free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}

int32_t wire_get_int32(const uint8_t *data)
{
    uint32_t value = (uint32_t)data[0] | (uint32_t)data[1] << 8 |
                     (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;

    return (int32_t)value;
}

void wire_put_int32(uint8_t *data, int32_t value)
{
    uint32_t bits = (uint32_t)value;

    data[0] = (uint8_t)bits;
    data[1] = (uint8_t)(bits >> 8);
    data[2] = (uint8_t)(bits >> 16);
    data[3] = (uint8_t)(bits >> 24);
}

uint8_t *wire_buffer_data(wire_buffer_t *buffer)
{
    return buffer->data;
}

size_t wire_buffer_size(const wire_buffer_t *buffer)
{
    return buffer->size;
}

void wire_buffer_resize(wire_buffer_t *buffer, size_t size)
{
    if (size > buffer->size) {
        wire_buffer_reserve(buffer, size - buffer->size);
        memset(buffer->data + buffer->size, 0, size - buffer->size);
    }
    buffer->size = size;
}

void wire_buffer_append(wire_buffer_t *buffer, const void *data, size_t size)
{
    if (size == 0)
        return;
    wire_buffer_reserve(buffer, size);
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

/* Outside of the buffer there is nothing to read and nowhere to write: a test
 * that aims past the end gets 0 and changes nothing. */
int32_t wire_buffer_get_int32(const wire_buffer_t *buffer, size_t at)
{
    if (buffer->size < 4 || at > buffer->size - 4)
        return 0;
    return wire_get_int32(buffer->data + at);
}

void wire_buffer_set_int32(wire_buffer_t *buffer, size_t at, int32_t value)
{
    if (buffer->size < 4 || at > buffer->size - 4)
        return;
    wire_put_int32(buffer->data + at, value);
}
