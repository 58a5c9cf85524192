/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - a write of at most PIPE_BUF bytes never waits when poll says
 * that there is room, so Ctrl-C is heard however slow the reader is. */
#include "output.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "interrupt.h"

/* Enough for few system calls, and little beside a batch. */
enum { FLUSH_BYTES = 64 * 1024 };

void output_init(output_t *output, session_t *session, bool canonical)
{
    *output = (output_t){.session = session, .canonical = canonical};
}

void output_clear(output_t *output)
{
    free(output->buffer);
    output->buffer = NULL;
}

static bool append(output_t *output, const char *text, size_t length)
{
    if (output->size - output->used < length) {
        size_t size = 2 * (output->used + length);
        char *bigger = realloc(output->buffer, size);

        if (bigger == NULL)
            return false;
        output->buffer = bigger;
        output->size = size;
    }
    memcpy(output->buffer + output->used, text, length);
    output->used += length;
    return true;
}

static size_t piece(size_t left)
{
    struct stat about;

    /* A file never waits. */
    if (fstat(STDOUT_FILENO, &about) == 0 && S_ISREG(about.st_mode))
        return left;
    return left < PIPE_BUF ? left : PIPE_BUF;
}

int output_flush(output_t *output)
{
    size_t done = 0;

    while (done < output->used) {
        ssize_t n;

        if (interrupt_count() > 0)
            return interrupt_exit();
        if (!session_turn(output->session, STDOUT_FILENO, POLLOUT, -1))
            continue;
        n = write(STDOUT_FILENO, output->buffer + done,
                  piece(output->used - done));
        if (n >= 0) {
            done += (size_t)n;
        } else if (errno == EPIPE) {
            return EXIT_PIPE;
        } else if (errno != EINTR && errno != EAGAIN) {
            say_error("stdout: %s", strerror(errno));
            return EX_IOERR;
        }
    }
    output->used = 0;
    return EX_OK;
}

int output_add(output_t *output, const bson_t *document)
{
    size_t length;
    char *json = output->canonical
                     ? bson_as_canonical_extended_json(document, &length)
                     : bson_as_relaxed_extended_json(document, &length);
    bool good = json != NULL && append(output, json, length) &&
                append(output, "\n", 1);

    bson_free(json);
    if (!good) {
        say_error("a document can not be shown: it is corrupt, or memory "
                  "is short");
        return EX_SOFTWARE;
    }
    output->documents++;
    return output->used < FLUSH_BYTES ? EX_OK : output_flush(output);
}

bool output_is_broken(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};

    return poll(&out, 1, 0) > 0 && (out.revents & POLLERR) != 0;
}
