/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - `stator COMMAND`: finds the command and hands over. */
#include <locale.h>
#include <mongoc/mongoc.h>
#include <stator/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "redact.h"
#include "session.h"

static const struct {
    const char *name;
    command_fn *run;
} commands[] = {{"aggregate", cmd_aggregate}, {"bench", cmd_bench},
                {"config", cmd_config},       {"demo", cmd_demo},
                {"find", cmd_find},           {"load", cmd_load},
                {"ping", cmd_ping}};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static const char doc[] =
    "Talks to a MongoDB server through Stator.\n"
    "\n"
    "  ping       is the server there?\n"
    "  load       insert documents from JSON lines, a JSON array or CSV\n"
    "  find       print the documents that match a filter\n"
    "  aggregate  print the result of a pipeline\n"
    "  bench      measure operations a second, and how long they take\n"
    "  demo       an event loop that queries and never stands still\n"
    "  config     the options in force, and where each comes from\n"
    "\v"
    "`stator COMMAND --help' tells what a command takes.\n"
    "\n"
    "Options of the client come from the command line, else the environment "
    "(STATOR_WORKERS, STATOR_MAX_CONNECTIONS, STATOR_QUEUE_LIMIT, "
    "STATOR_QUEUE_POLICY, STATOR_WATCHERS, STATOR_NAME), else the JSON file "
    "that STATOR_CONFIG names, else a default.\n"
    "\n"
    "Exit status:\n"
    "    0  done\n"
    "   64  wrong usage: an option, an argument, the connection string\n"
    "   65  wrong data: the input, or the server refused what it was given\n"
    "   66  the input can not be opened, or there is none\n"
    "   69  the server can not be reached\n"
    "   70  a mistake of Stator's\n"
    "   71  the system gave no memory or no descriptor\n"
    "   74  reading or writing failed\n"
    "   75  for the moment: the queue is full, or the time is over\n"
    "   77  not allowed: user, password or permission\n"
    "  130  Ctrl-C (129 hung up, 143 terminated)\n"
    "  141  the reader of the output has gone";

typedef struct top {
    settings_t *settings;
    int command; /* its place in argv; 0: none */
} top_t;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    top_t *top = state->input;

    (void)arg;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = top->settings;
        return 0;
    case ARGP_KEY_ARG:
        /* What follows is the command's own. */
        top->command = state->next - 1;
        state->next = state->argc;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_version(FILE *file, struct argp_state *state)
{
    (void)state;
    fprintf(file, "stator %s (libmongoc %s)\n", stator_version(),
            mongoc_get_version());
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters to insert, drop or change to make `a` of `b`. */
static size_t distance(const char *a, const char *b)
{
    size_t row[32], n = strlen(b);

    if (n >= sizeof row / sizeof *row)
        return n;
    for (size_t k = 0; k <= n; k++)
        row[k] = k;
    for (size_t i = 1; *a != '\0'; i++, a++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t k = 1; k <= n; k++) {
            size_t change = diagonal + (*a != b[k - 1]);

            diagonal = row[k];
            row[k] = smaller(change, smaller(row[k], row[k - 1]) + 1);
        }
    }
    return row[n];
}

static int unknown(const char *name)
{
    const char *near = NULL;
    size_t best = 3;

    for (int i = 0; i < N_COMMANDS; i++) {
        size_t d = distance(name, commands[i].name);

        if (d < best) {
            best = d;
            near = commands[i].name;
        }
    }
    if (near != NULL)
        say_error("there is no command \"%s\"; did you mean \"%s\"?", name,
                  near);
    else
        say_error("there is no command \"%s\"; `stator --help' lists them",
                  name);
    return EX_USAGE;
}

static int run(settings_t *settings, int argc, char **argv)
{
    const char *name = argv[0];
    char title[32];

    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            snprintf(title, sizeof title, "stator %s", name);
            argv[0] = title;
            return commands[i].run(settings, argc, argv);
        }
    }
    return unknown(name);
}

/* `stator help load` is `stator load --help`, and so on. */
static void help_first(int argc, char **argv)
{
    static char option[] = "--help";

    if (argc < 2 || strcmp(argv[1], "help") != 0)
        return;
    argv[1] = option;
    if (argc > 2) {
        argv[1] = argv[2];
        argv[2] = option;
    }
}

int main(int argc, char **argv)
{
    static const struct argp_child children[] = {{&settings_argp, 0, 0, 0},
                                                 {0}};
    static const struct argp argp = {.parser = parse,
                                     .args_doc = "COMMAND [ARGUMENT...]",
                                     .doc = doc,
                                     .children = children};
    settings_t settings;
    top_t top = {.settings = &settings};
    char name[] = "stator";
    int code;

    setlocale(LC_CTYPE, "");
    setenv("ARGP_HELP_FMT", "no-dup-args-note", 0);
    argp_program_version_hook = print_version;
    argp_err_exit_status = EX_USAGE;
    settings_init(&settings);
    say_take_driver_log();
    mongoc_init();

    if (argc > 0)
        argv[0] = name;
    help_first(argc, argv);
    settings_parse(&settings, &argp, ARGP_IN_ORDER, argc, argv, NULL, &top);
    if (top.command == 0) {
        fprintf(stderr, "stator: a command is missing; `stator --help' "
                        "lists them\n");
        code = EX_USAGE;
    } else {
        code = run(&settings, argc - top.command, argv + top.command);
    }
    settings_clear(&settings);
    redact_forget();
    if (fflush(stdout) != 0 && code == EX_OK) {
        say_error("writing the output failed");
        code = EX_IOERR;
    }
    if (session_leaves_threads())
        _Exit(code);
    return code;
}
