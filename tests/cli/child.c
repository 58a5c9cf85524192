/* SPDX-License-Identifier: Apache-2.0 */
/* child.c - pipes, fork and exec; a child dies with its test. */
#include "tests/cli/child.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program(void)
{
    const char *path = getenv("STATOR_CLI");

    return path != NULL && *path != '\0' ? path : "build/stator";
}

static void become(const char *line, int in, int out, int err)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

static pid_t spawn(const char *arguments, va_list args, int in, int out,
                   int err)
{
    char line[4096];
    int n = snprintf(line, sizeof line, "exec %s ", program());
    pid_t pid;

    vsnprintf(line + n, sizeof line - (size_t)n, arguments, args);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        become(line, in, out, err);
    return pid;
}

static int wait_for(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static char *content(FILE *file)
{
    long size;
    char *text;

    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    text = calloc(1, (size_t)size + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(fread(text, 1, (size_t)size, file), (size_t)size);
    fclose(file);
    return text;
}

void child_run(result_t *result, const char *input, const char *arguments,
               ...)
{
    FILE *in = tmpfile(), *out = tmpfile(), *err = tmpfile();
    va_list args;
    pid_t pid;

    ck_assert(in != NULL && out != NULL && err != NULL);
    if (input != NULL)
        fputs(input, in);
    rewind(in);
    va_start(args, arguments);
    pid = spawn(arguments, args, fileno(in), fileno(out), fileno(err));
    va_end(args);
    result->code = wait_for(pid);
    result->out = content(out);
    result->err = content(err);
    fclose(in);
}

void result_clear(result_t *result)
{
    free(result->out);
    free(result->err);
}

void child_start(child_t *child, const char *arguments, ...)
{
    int in[2], out[2], err[2];
    va_list args;

    ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);
    signal(SIGPIPE, SIG_IGN);
    va_start(args, arguments);
    child->pid = spawn(arguments, args, in[0], out[1], err[1]);
    va_end(args);
    close(in[0]);
    close(out[1]);
    close(err[1]);
    child->in = in[1];
    child->out = out[0];
    child->err = err[0];
}

void child_write(child_t *child, const char *text)
{
    ck_assert_int_eq(write(child->in, text, strlen(text)),
                     (ssize_t)strlen(text));
}

bool child_await(child_t *child, const char *text, char *seen, size_t size)
{
    size_t used = 0;

    seen[0] = '\0';
    while (strstr(seen, text) == NULL && used + 1 < size) {
        ssize_t n = read(child->err, seen + used, size - used - 1);

        if (n <= 0)
            return false;
        used += (size_t)n;
        seen[used] = '\0';
    }
    return strstr(seen, text) != NULL;
}

/* Read both to their ends, whichever has something. */
static void read_all(child_t *child, FILE *out, FILE *err)
{
    struct pollfd fds[] = {{.fd = child->out, .events = POLLIN},
                           {.fd = child->err, .events = POLLIN}};
    FILE *files[] = {out, err};
    char buffer[4096];

    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        poll(fds, 2, -1);
        for (int i = 0; i < 2; i++) {
            ssize_t n;

            if (fds[i].fd < 0 || fds[i].revents == 0)
                continue;
            n = read(fds[i].fd, buffer, sizeof buffer);
            if (n > 0) {
                fwrite(buffer, 1, (size_t)n, files[i]);
            } else {
                close(fds[i].fd);
                fds[i].fd = -1;
            }
        }
    }
}

void child_wait(child_t *child, result_t *result)
{
    FILE *out = tmpfile(), *err = tmpfile();

    ck_assert(out != NULL && err != NULL);
    if (child->in >= 0)
        close(child->in);
    read_all(child, out, err);
    result->code = wait_for(child->pid);
    result->out = content(out);
    result->err = content(err);
}

char *child_file(const char *name, const char *text, size_t length)
{
    char folder[] = "/tmp/stator-cli-XXXXXX";
    char *path;
    FILE *file;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_gt(asprintf(&path, "%s/%s", folder, name), 0);
    file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

void child_file_remove(char *path)
{
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
    free(path);
}
