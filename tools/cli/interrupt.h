/* SPDX-License-Identifier: Apache-2.0 */
/* interrupt.h - Ctrl-C: the first time finish in order, the second at once.
 *
 * SIGINT, SIGTERM and SIGHUP are treated alike; SIGPIPE is ignored, so that
 * a write says EPIPE. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

/* Start watching.  The library's threads have all signals blocked, so they
 * arrive at the main thread.  false: errno. */
bool interrupt_install(void);

/* Readable after a signal, until it is noted. */
int interrupt_fd(void);
void interrupt_noted(void);

/* How many signals came. */
int interrupt_count(void);

/* 128 + the first signal's number, the exit code by convention. */
int interrupt_exit(void);

/* The second signal ends the process in the handler, unless `yes`: then the
 * command sees to it and the third one does. */
void interrupt_has_plan(bool yes);

#endif
