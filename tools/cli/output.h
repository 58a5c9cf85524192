/* SPDX-License-Identifier: Apache-2.0 */
/* output.h - documents to stdout as JSON lines, as fast as the reader. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <bson/bson.h>
#include <stdbool.h>

#include "session.h"

typedef struct output {
    session_t *session;
    bool canonical;
    uint64_t documents;
    char *buffer;
    size_t used, size;
} output_t;

void output_init(output_t *output, session_t *session, bool canonical);
void output_clear(output_t *output);

/* Add one document; it may wait in memory until output_flush.  EX_OK or an
 * exit code. */
int output_add(output_t *output, const bson_t *document);

/* Write all that waits, no faster than it is read.  EX_OK or an exit code,
 * EXIT_PIPE when the reader has gone. */
int output_flush(output_t *output);

/* Has the reader gone?  Asked while there is nothing to write. */
bool output_is_broken(void);

#endif
