/* SPDX-License-Identifier: Apache-2.0 */
/* own_server.c - an embedded server of the test's own. */
#include "tests/faults/own_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/suite.h"

#define DAEMON "build/venv/bin/secantusd-py"

static char folder[64];
static pid_t pid;

bool own_server_is_there(void)
{
    return access(DAEMON, X_OK) == 0;
}

static void make_folder(void)
{
    if (folder[0] != '\0')
        return;
    /* A test that failed could not clean up. */
    ck_assert_int_eq(system("for d in build/tests/faults-*; do "
                            "kill -0 ${d##*-} 2>/dev/null || rm -rf \"$d\"; "
                            "done"), 0);
    snprintf(folder, sizeof folder, "build/tests/faults-%d", (int)getpid());
    ck_assert_int_eq(mkdir(folder, 0700), 0);
}

static void become(int port, const char *options)
{
    char line[1024];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* A configuration of its own, or it would read the user's. */
    snprintf(line, sizeof line,
             "d=$PWD/" DAEMON "; cd '%s' && : >daemon.toml && "
             "TMPDIR=$PWD exec \"$d\" --config daemon.toml --host 127.0.0.1 "
             "--port %d --storage-path db --enable-test-commands %s "
             ">daemon.log 2>&1 </dev/null", folder, port, options);
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

static int listening_port(void)
{
    char path[128], line[512];
    int port = 0;
    FILE *file;

    snprintf(path, sizeof path, "%s/daemon.log", folder);
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

int own_server_start(int port, const char *options)
{
    const struct timespec pause = {0, 20000000};
    char path[128];

    ck_assert_int_eq(pid, 0);
    make_folder();
    snprintf(path, sizeof path, "%s/daemon.log", folder);
    unlink(path);
    fflush(NULL);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        become(port, options);
    port = 0;
    for (int i = 0; port == 0 && i < 2000; i++) {
        ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
        nanosleep(&pause, NULL);
        port = listening_port();
    }
    ck_assert_msg(port != 0, "the server does not listen");
    return port;
}

void own_server_signal(int signal)
{
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(kill(pid, signal), 0);
    if (signal != SIGKILL && signal != SIGTERM)
        return;
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    pid = 0;
}

void own_server_free(void)
{
    char line[128];

    if (pid != 0)
        own_server_signal(SIGKILL);
    snprintf(line, sizeof line, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(line), 0);
}
