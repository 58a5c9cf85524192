/* SPDX-License-Identifier: Apache-2.0 */
/* source.c - a growing buffer in front of a descriptor. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_SIZE = 256 * 1024 };

bool source_open(source_t *source, const char *path)
{
    struct stat about;

    *source = (source_t){.line = 1};
    if (strcmp(path, "-") == 0)
        source->fd = STDIN_FILENO;
    else
        source->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (source->fd < 0)
        return false;
    if (fstat(source->fd, &about) == 0) {
        if (S_ISREG(about.st_mode)) {
            source->total = (uint64_t)about.st_size;
        } else if (S_ISDIR(about.st_mode)) {
            source_close(source);
            errno = EISDIR;
            return false;
        }
    }
    return true;
}

void source_close(source_t *source)
{
    if (source->fd > STDIN_FILENO)
        close(source->fd);
    source->fd = -1;
    free(source->buffer);
    source->buffer = NULL;
}

/* Room for one more read: move what is unread to the front, or grow. */
static bool make_room(source_t *source)
{
    char *bigger;
    size_t size = source->size;

    if (source->start > 0) {
        memmove(source->buffer, source->buffer + source->start,
                source->end - source->start);
        source->end -= source->start;
        source->start = 0;
    }
    if (size - source->end >= READ_SIZE)
        return true;
    size = size == 0 ? (size_t)2 * READ_SIZE : 2 * size;
    bigger = realloc(source->buffer, size);
    if (bigger == NULL)
        return false;
    source->buffer = bigger;
    source->size = size;
    return true;
}

source_result_t source_fill(source_t *source)
{
    struct pollfd ready = {.fd = source->fd, .events = POLLIN};
    ssize_t n;

    if (source->eof)
        return SOURCE_END;
    if (source->size - source->end < READ_SIZE && !make_room(source))
        return SOURCE_FAILED;
    if (poll(&ready, 1, 0) == 0)
        return SOURCE_WAIT;
    n = read(source->fd, source->buffer + source->end, READ_SIZE);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? SOURCE_WAIT
                                                 : SOURCE_FAILED;
    if (n == 0)
        source->eof = true;
    source->end += (size_t)n;
    return n == 0 ? SOURCE_END : SOURCE_OK;
}

void source_take(source_t *source, size_t n)
{
    const char *at = source->buffer + source->start;
    const char *end = at + n;

    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        source->line++;
        at++;
    }
    source->start += n;
    source->taken += n;
    source->seen = 0;
}

/* Throw away what is here of a line that is too long. */
static source_result_t skip_line(source_t *source)
{
    char *from = source->buffer + source->start;
    char *newline = memchr(from, '\n', source->end - source->start);

    if (newline == NULL) {
        source_take(source, source->end - source->start);
        return SOURCE_OK;
    }
    source_take(source, (size_t)(newline - from) + 1);
    source->skipping = false;
    return SOURCE_OK;
}

source_result_t source_line(source_t *source, char **line, size_t *length)
{
    for (;;) {
        size_t here = source->end - source->start;
        char *from, *newline = NULL;
        source_result_t filled;

        if (here > 0 && source->skipping) {
            skip_line(source);
            continue;
        }
        if (here > source->seen) {
            from = source->buffer + source->start;
            newline = memchr(from + source->seen, '\n', here - source->seen);
        }
        if (newline != NULL || (source->eof && here > 0)) {
            *line = from = source->buffer + source->start;
            *length = newline != NULL ? (size_t)(newline - from) : here;
            source_take(source, *length + (newline != NULL));
            return SOURCE_OK;
        }
        source->seen = here;
        if (here > SOURCE_PIECE_MAX) {
            source->skipping = true;
            return SOURCE_TOO_LONG;
        }
        filled = source_fill(source);
        if (filled != SOURCE_OK && !(filled == SOURCE_END && here > 0))
            return filled;
    }
}
