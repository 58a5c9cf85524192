/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - the wire server, a process of its own. */
#include "tests/bench/server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/work.h"

static void become(const char *program, int output, pid_t parent,
                   int delay_us, int jitter_us)
{
    char documents[16], delay[16], jitter[16];

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) /* which went before the line above */
        _exit(1);
    snprintf(documents, sizeof documents, "%d", WORK_DOCUMENTS);
    snprintf(delay, sizeof delay, "%d", delay_us);
    snprintf(jitter, sizeof jitter, "%d", jitter_us);
    dup2(output, STDOUT_FILENO);
    execl(program, program, "--docs", documents, "--delay-us", delay,
          "--jitter-us", jitter, "--max-seconds", "3600", (char *)NULL);
    fprintf(stderr, "bench: %s: %s\n", program, strerror(errno));
    _exit(127);
}

void server_start(server_t *server, const char *program, int delay_us,
                  int jitter_us)
{
    pid_t parent = getpid();
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        bench_die("pipe: %s", strerror(errno));
    server->pid = fork();
    if (server->pid < 0)
        bench_die("fork: %s", strerror(errno));
    if (server->pid == 0)
        become(program, ends[1], parent, delay_us, jitter_us);
    close(ends[1]);
    server->output = fdopen(ends[0], "r");
    if (server->output == NULL ||
        fscanf(server->output, "listening on 127.0.0.1:%d",
               &server->port) != 1)
        bench_die("%s did not start", program);
}

int64_t server_stop(server_t *server)
{
    int64_t inserted = -1;
    int status;

    kill(server->pid, SIGTERM);
    if (fscanf(server->output,
               " %*d commands, %*d hellos, %*d connections, %" SCNd64,
               &inserted) != 1)
        bench_die("the server did not say what it served");
    fclose(server->output);
    while (waitpid(server->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (status != 0)
        bench_die("the server ended with status %d", status);
    return inserted;
}
