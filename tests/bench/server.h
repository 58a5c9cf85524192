/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - the wire server, a process of its own. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

typedef struct server {
    pid_t pid;
    int port;
    FILE *output;
} server_t;

/* Start `program`; it inherits the processors this thread may use, and ends
 * with this process.  Ends the program when that fails. */
void server_start(server_t *server, const char *program, int delay_us,
                  int jitter_us);

/* End it and wait for it.  The documents inserted, as it counted them. */
int64_t server_stop(server_t *server);

#endif
