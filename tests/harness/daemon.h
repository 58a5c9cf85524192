/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.h - an embedded server of the test's own, to be stopped and killed:
 * what the wire server plays, the kernel does here.
 *
 * Its files are in a folder below build/, and stay until daemon_end; it dies
 * with the test at the latest. */
#ifndef STATOR_TESTS_DAEMON_H
#define STATOR_TESTS_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct own_daemon {
    pid_t pid; /* 0: it does not run */
    int port;
    char folder[64]; /* "" before the first start */
} own_daemon_t;

/* Is there an embedded server to be had? */
bool daemon_is_here(void);
#define NEED_OWN_DAEMON()                                      \
    do {                                                       \
        if (!daemon_is_here())                                 \
            SKIP("there is no embedded server in build/venv"); \
    } while (0)

/* The folder, if there is none yet. */
void daemon_prepare(own_daemon_t *daemon);
/* Options, to which more may be appended. */
#define DAEMON_IN_MEMORY "--storage-path :memory: --enable-test-commands "
#define DAEMON_ON_DISK "--storage-path db --enable-test-commands "

/* On `port` (0: any), with these options and what an earlier start has left
 * in the folder.  It listens when this returns; answers its port. */
int daemon_start(own_daemon_t *daemon, int port, const char *options);
/* SIGSTOP, SIGCONT; SIGKILL and SIGTERM wait for its end. */
void daemon_signal(own_daemon_t *daemon, int signal);
/* Kill it, if it still runs; take its files away. */
void daemon_end(own_daemon_t *daemon);

#endif /* STATOR_TESTS_DAEMON_H */
