/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the wire server as a program of its own, for benchmarks. */
#include "tests/wire/wire.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/harness/argument.h"

enum { EX_USAGE = 64, EX_UNAVAILABLE = 69, DEFAULT_SECONDS = 600 };

typedef struct {
    wire_options_t server;
    int64_t max_seconds;
    bool quiet;
} arguments_t;

static const char usage[] =
    "usage: wire-server [options]\n"
    "A server that answers like MongoDB and stores nothing, on 127.0.0.1.\n"
    "\n"
    "  -p, --port N          listen on this port (0: any free one; default)\n"
    "  -d, --delay-us MEAN   every answer waits so many microseconds\n"
    "  -j, --jitter-us J     give or take so many, evenly spread\n"
    "  -n, --docs N          documents {_id: 0..N-1} in each collection\n"
    "                        (default 10000)\n"
    "  -s, --max-seconds S   end after that (default 600)\n"
    "  -q, --quiet           print nothing but the first line\n"
    "  -h, --help            this text\n"
    "\n"
    "The first line is \"listening on 127.0.0.1:PORT\".  Ends on SIGTERM and\n"
    "SIGINT, and then prints what it served.\n";

static const struct option options[] = {
    {"port", required_argument, NULL, 'p'},
    {"delay-us", required_argument, NULL, 'd'},
    {"jitter-us", required_argument, NULL, 'j'},
    {"docs", required_argument, NULL, 'n'},
    {"max-seconds", required_argument, NULL, 's'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void parse(int argc, char **argv, arguments_t *out)
{
    int c;

    out->server = (wire_options_t){.documents = 10000, .no_log = true};
    out->max_seconds = DEFAULT_SECONDS;
    out->quiet = false;
    while ((c = getopt_long(argc, argv, "p:d:j:n:s:qh", options, NULL)) != -1) {
        switch (c) {
        case 'p':
            out->server.port = (uint16_t)argument_number("port", optarg,
                                                         0, UINT16_MAX);
            break;
        case 'd':
            out->server.delay_us =
                argument_number("delay-us", optarg, 0, 60000000);
            break;
        case 'j':
            out->server.jitter_us =
                argument_number("jitter-us", optarg, 0, 60000000);
            break;
        case 'n':
            out->server.documents =
                argument_number("docs", optarg, 0, INT32_MAX);
            break;
        case 's':
            out->max_seconds = argument_number("max-seconds", optarg, 1, 86400);
            break;
        case 'q':
            out->quiet = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(EXIT_SUCCESS);
        default:
            fputs("Try 'wire-server --help'.\n", stderr);
            exit(EX_USAGE);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "wire-server: '%s' is not understood\n", argv[optind]);
        exit(EX_USAGE);
    }
    if (out->server.jitter_us > out->server.delay_us) {
        fputs("wire-server: --jitter-us is greater than --delay-us\n", stderr);
        exit(EX_USAGE);
    }
}

/* Sleep until SIGINT, SIGTERM (both blocked) or the end of the time. */
static void wait_for_end(const sigset_t *signals, int64_t seconds)
{
    struct timespec start, now, left;

    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;;) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        left.tv_sec = seconds - (now.tv_sec - start.tv_sec);
        left.tv_nsec = 0;
        if (left.tv_sec <= 0)
            return;
        if (sigtimedwait(signals, NULL, &left) > 0)
            return;
    }
}

int main(int argc, char **argv)
{
    wire_server_t *server;
    arguments_t arguments;
    wire_stats_t stats;
    sigset_t signals;

    parse(argc, argv, &arguments);
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);

    server = wire_server_new(&arguments.server);
    if (server == NULL)
        return EX_UNAVAILABLE;
    printf("listening on 127.0.0.1:%u\n", wire_server_port(server));
    fflush(stdout);
    wait_for_end(&signals, arguments.max_seconds);

    wire_stats(server, &stats);
    wire_server_free(server);
    if (!arguments.quiet)
        printf("%" PRId64 " commands, %" PRId64 " hellos, %" PRId64
               " connections, %" PRId64 " documents inserted\n",
               stats.commands, stats.hellos, stats.connections_total,
               stats.inserted);
    return EXIT_SUCCESS;
}
