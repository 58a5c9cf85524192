/* SPDX-License-Identifier: Apache-2.0 */
/* source.h - bytes from a file or a pipe, a piece at a time, never waiting. */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest line, or element of an array, that is kept in memory. */
#define SOURCE_PIECE_MAX ((size_t)64 * 1024 * 1024)

typedef enum {
    SOURCE_OK,
    SOURCE_WAIT,     /* nothing here yet: poll `fd` */
    SOURCE_END,      /* nothing will come any more */
    SOURCE_TOO_LONG, /* a line beyond SOURCE_PIECE_MAX; it is skipped */
    SOURCE_FAILED    /* errno */
} source_result_t;

typedef struct source {
    int fd;
    char *buffer;
    size_t size, start, end; /* what is unread: start to end */
    size_t seen;             /* from start: holds no newline */
    bool eof;
    bool skipping;  /* the rest of a line that is too long */
    uint64_t line;  /* of the byte at start, from 1 */
    uint64_t taken; /* bytes consumed, for the progress */
    uint64_t total; /* bytes in all; 0: unknown */
} source_t;

/* "-" is stdin.  false: errno. */
bool source_open(source_t *source, const char *path);
void source_close(source_t *source);

/* Read some more into the buffer: OK, WAIT, END or FAILED. */
source_result_t source_fill(source_t *source);

/* The next line, without its newline; lent until the next call. */
source_result_t source_line(source_t *source, char **line, size_t *length);

/* Consume `n` bytes of the buffer, newlines counted. */
void source_take(source_t *source, size_t n);

#endif
