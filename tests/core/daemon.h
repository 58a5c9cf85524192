/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.h - an embedded server of the test's own, to be stopped and killed:
 * what the wire server plays, the kernel does here. */
#ifndef STATOR_TESTS_CORE_DAEMON_H
#define STATOR_TESTS_CORE_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct own_daemon {
    pid_t pid; /* 0: it has ended */
    int port;
    char folder[64];
} own_daemon_t;

/* Is there an embedded server to be had? */
bool daemon_is_here(void);
#define NEED_OWN_DAEMON()                                      \
    do {                                                       \
        if (!daemon_is_here())                                 \
            SKIP("there is no embedded server in build/venv"); \
    } while (0)

/* It listens when this returns, and dies with the test at the latest. */
void daemon_start(own_daemon_t *daemon);
/* SIGSTOP, SIGCONT, SIGKILL (then it is waited for). */
void daemon_signal(own_daemon_t *daemon, int signal);
/* Kill it, if it still runs; take its files away. */
void daemon_end(own_daemon_t *daemon);

#endif /* STATOR_TESTS_CORE_DAEMON_H */
