/* SPDX-License-Identifier: Apache-2.0 */
/* progress.h - how far a load is: a bar on a terminal, else plain lines. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct progress {
    const char *name;
    uint64_t total; /* bytes; 0: unknown */
    int64_t start, shown; /* microseconds */
    bool is_terminal;
    bool quiet;
} progress_t;

void progress_start(progress_t *progress, const char *name, uint64_t total);

/* Show where it is, unless that was done a moment ago. */
void progress_update(progress_t *progress, uint64_t bytes, uint64_t written);

/* The last state, which stays on the screen. */
void progress_end(progress_t *progress, uint64_t bytes, uint64_t written);

/* Milliseconds until progress_update has something to do. */
int progress_timeout(const progress_t *progress);

double progress_seconds(const progress_t *progress);

#endif
