/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the soak as a program of its own. */
#include "tests/soak/soak.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/harness/argument.h"
#include "tests/harness/stopwatch.h"

enum { EX_USAGE = 64, EX_UNAVAILABLE = 69, DEFAULT_SECONDS = 600 };

static const char usage[] =
    "usage: soak [options]\n"
    "A mixed load through proxies that break connections; see soak.h.\n"
    "\n"
    "  -s, --seconds N  how long (SOAK_SECONDS, else 600)\n"
    "  -u, --uri URI    one more server, on 127.0.0.1 (MONGODB_URI)\n"
    "  -r, --seed N     of the load and the faults (by the clock)\n"
    "  -h, --help       this text\n"
    "\n"
    "Ends with 0 when no rule was broken, else with 1.\n";

static const struct option options[] = {
    {"seconds", required_argument, NULL, 's'},
    {"uri", required_argument, NULL, 'u'},
    {"seed", required_argument, NULL, 'r'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void parse(int argc, char **argv, soak_options_t *out)
{
    int c;

    while ((c = getopt_long(argc, argv, "s:u:r:h", options, NULL)) != -1) {
        switch (c) {
        case 's':
            out->seconds = (int)argument_number("seconds", optarg, 1, 86400);
            break;
        case 'u':
            out->uri = optarg;
            break;
        case 'r':
            out->seed = (uint64_t)argument_number("seed", optarg, 0, INT64_MAX);
            break;
        case 'h':
            fputs(usage, stdout);
            exit(EXIT_SUCCESS);
        default:
            fputs("Try 'soak --help'.\n", stderr);
            exit(EX_USAGE);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "soak: '%s' is not understood\n", argv[optind]);
        exit(EX_USAGE);
    }
}

int main(int argc, char **argv)
{
    soak_options_t wanted = {
        .seconds = soak_seconds(DEFAULT_SECONDS),
        .seed = (uint64_t)time(NULL),
        .uri = getenv("MONGODB_URI"),
    };
    int64_t violations;

    parse(argc, argv, &wanted);
    stopwatch_begin();
    violations = soak_run(&wanted, stdout);
    stopwatch_end();
    if (violations < 0)
        return EX_UNAVAILABLE;
    return violations == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
