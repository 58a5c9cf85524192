/* SPDX-License-Identifier: Apache-2.0 */
/* child.h - runs the command line as its users do: as a process. */
#ifndef TESTS_CLI_CHILD_H
#define TESTS_CLI_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What a finished child left. */
typedef struct result {
    int code; /* exit code, or 128 + the signal that killed it */
    char *out;
    char *err;
} result_t;

/* A child that runs. */
typedef struct child {
    pid_t pid;
    int in;  /* write end of its stdin; -1: closed */
    int out; /* read end of its stdout; -1: closed */
    int err; /* read end of its stderr */
} child_t;

/* Run `arguments`, which a shell splits ("load -c x 'a file'"), with `input`
 * as stdin (NULL: empty), and wait for its end.  `result` is overwritten:
 * result_clear it. */
void child_run(result_t *result, const char *input, const char *arguments,
               ...) __attribute__((format(printf, 3, 4)));
void result_clear(result_t *result);

/* Start it; stdin, stdout and stderr are pipes. */
void child_start(child_t *child, const char *arguments, ...)
    __attribute__((format(printf, 2, 3)));

void child_write(child_t *child, const char *text);

/* Read stderr until `text` has come; it is kept for child_wait.  false: the
 * child closed it before. */
bool child_await(child_t *child, const char *text, char *seen, size_t size);

/* Close its stdin, read what is left, and wait for its end. */
void child_wait(child_t *child, result_t *result);

/* A file with `text` in it, in a folder of its own.  child_file_remove takes
 * both away and frees the path. */
char *child_file(const char *name, const char *text, size_t length);
void child_file_remove(char *path);

#endif
