/* SPDX-License-Identifier: Apache-2.0 */
/* core/guard_unpack.c - OP_COMPRESSED, made plain.
 *
 *   header │ original opcode │ size │ compressor │ bytes
 *
 * The driver believes `size`, and ends the process when it was a lie.  Here
 * it bounds what is unpacked, and must be filled exactly. */
#include "core/guard.h"

#include <stdlib.h>
#include <string.h>

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

enum { NOOP, SNAPPY, ZLIB, ZSTD };

enum {
    ORIGINAL = STC_GUARD_HEADER,
    SIZE = ORIGINAL + 4,
    COMPRESSOR = SIZE + 4,
    BYTES = COMPRESSOR + 1
};

static bool fill_zlib(const uint8_t *from, size_t n, uint8_t *to, size_t size)
{
    uLong used = n;
    uLongf filled = size;

    return uncompress2(to, &filled, from, &used) == Z_OK && used == n &&
           filled == size;
}

/* It writes up to the length that its own bytes tell. */
static bool fill_snappy(const uint8_t *from, size_t n, uint8_t *to,
                        size_t size)
{
    size_t filled;

    return snappy_uncompressed_length((const char *)from, n, &filled) ==
               SNAPPY_OK &&
           filled == size &&
           snappy_uncompress((const char *)from, n, (char *)to, &filled) ==
               SNAPPY_OK &&
           filled == size;
}

static bool fill(uint8_t compressor, const uint8_t *from, size_t n,
                 uint8_t *to, size_t size)
{
    switch (compressor) {
    case NOOP:
        if (n != size)
            return false;
        memcpy(to, from, n);
        return true;
    case SNAPPY:
        return fill_snappy(from, n, to, size);
    case ZLIB:
        return fill_zlib(from, n, to, size);
    default: /* an error is a size too: a very large one */
        return ZSTD_decompress(to, size, from, n) == size;
    }
}

/* What it stands for is the same message but for the header's first word. */
static void write_header(uint8_t *plain, uint32_t length,
                         const uint8_t *message)
{
    for (int i = 0; i < 4; i++)
        plain[i] = (uint8_t)(length >> 8 * i);
    memcpy(plain + 4, message + 4, 8); /* its own number, and whose it is */
    memcpy(plain + 12, message + ORIGINAL, 4);
}

const char *stc_guard_unpack(const uint8_t *message, uint32_t length,
                             uint8_t **plain, uint32_t *plain_length)
{
    uint32_t size;
    uint8_t *p;

    *plain = NULL;
    *plain_length = 0;
    if (length < STC_GUARD_HEADER ||
        stc_get_int32(message + 12) != STC_OP_COMPRESSED)
        return NULL;
    if (length <= BYTES)
        return "the reply is compressed, and empty";
    size = stc_get_uint32(message + SIZE);
    if (size == 0 || size > STC_GUARD_MAX - STC_GUARD_HEADER)
        return "the reply unpacks to a size that no message has";
    if (message[COMPRESSOR] > ZSTD)
        return "the reply is compressed in an unknown way";
    p = malloc(STC_GUARD_HEADER + (size_t)size);
    if (p == NULL)
        return "no memory to unpack the reply";
    write_header(p, STC_GUARD_HEADER + size, message);
    if (!fill(message[COMPRESSOR], message + BYTES, length - BYTES,
              p + STC_GUARD_HEADER, size)) {
        free(p);
        return "the reply does not unpack to the size it says";
    }
    *plain = p;
    *plain_length = STC_GUARD_HEADER + size;
    return NULL;
}
