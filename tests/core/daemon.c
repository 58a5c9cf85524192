/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.c - an embedded server of the test's own, to be stopped and killed. */
#include "tests/core/daemon.h"

#include "tests/harness/suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM "build/venv/bin/secantusd-py"

bool daemon_is_here(void)
{
    return access(PROGRAM, X_OK) == 0;
}

static void become(const char *folder)
{
    char line[512];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* A configuration of its own, or it would read the user's. */
    snprintf(line, sizeof line,
             "d=$PWD/" PROGRAM "; cd '%s' && : >daemon.toml && "
             "TMPDIR=$PWD exec \"$d\" --config daemon.toml "
             "--host 127.0.0.1 --port 0 --storage-path :memory: "
             "--enable-test-commands >daemon.log 2>&1 </dev/null",
             folder);
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

static int port_in_log(const own_daemon_t *daemon)
{
    char path[128], line[512];
    int port = 0;
    FILE *file;

    snprintf(path, sizeof path, "%s/daemon.log", daemon->folder);
    file = fopen(path, "r");
    while (port == 0 && file != NULL && fgets(line, sizeof line, file)) {
        const char *at = strstr(line, "listening on 127.0.0.1:");

        if (at != NULL && strchr(at, '\n') != NULL)
            port = (int)strtol(strchr(at, ':') + 1, NULL, 10);
    }
    if (file != NULL)
        fclose(file);
    return port;
}

void daemon_start(own_daemon_t *daemon)
{
    const struct timespec pause = {0, 20000000};

    *daemon = (own_daemon_t){0};
    mkdir("build/tests", 0777);
    snprintf(daemon->folder, sizeof daemon->folder, "build/tests/daemon-%d",
             (int)getpid());
    ck_assert_int_eq(mkdir(daemon->folder, 0700), 0);
    daemon->pid = fork();
    ck_assert_int_ge(daemon->pid, 0);
    if (daemon->pid == 0)
        become(daemon->folder);
    for (int i = 0; daemon->port == 0 && i < 2000; i++) {
        ck_assert_int_eq(waitpid(daemon->pid, NULL, WNOHANG), 0);
        nanosleep(&pause, NULL);
        daemon->port = port_in_log(daemon);
    }
    ck_assert_msg(daemon->port != 0, "the server does not listen");
}

void daemon_signal(own_daemon_t *daemon, int signal)
{
    ck_assert_int_gt(daemon->pid, 0);
    ck_assert_int_eq(kill(daemon->pid, signal), 0);
    if (signal != SIGKILL)
        return;
    ck_assert_int_eq(waitpid(daemon->pid, NULL, 0), daemon->pid);
    daemon->pid = 0;
}

void daemon_end(own_daemon_t *daemon)
{
    char line[128];

    if (daemon->pid > 0)
        daemon_signal(daemon, SIGKILL);
    snprintf(line, sizeof line, "rm -rf '%s'", daemon->folder);
    ck_assert_int_eq(system(line), 0);
}
