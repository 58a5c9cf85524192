/* SPDX-License-Identifier: Apache-2.0 */
/* bench_facade.c - what the facade costs beside plain driver threads.
 *
 *   for each placement, for each workload:
 *     server up, contenders open, a short turn for each to get warm
 *     round 1:  threads | threads, find as command | Stator
 *     round 2:  threads | threads, find as command | Stator
 *     ...
 *     contenders closed, server down, its count compared with theirs
 *
 * A placement is either one processor, for this program and the server
 * together, or wherever the kernel puts the threads.  Threads and the server
 * inherit it, so it is set before they are made. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <mongoc/mongoc.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/report.h"
#include "tests/bench/server.h"

enum { EX_USAGE = 64, WARM_UP_MS = 200 };

typedef struct arguments {
    int rounds;
    int section_ms;
    const char *workload;  /* NULL: all */
    const char *placement; /* likewise */
    const char *server;
    const char *out;
} arguments_t;

const bench_contender_t bench_contenders[BENCH_CONTENDERS] = {
    {"threads", false, false, raw_open, raw_run, raw_close},
    {"threads, command", true, false, raw_open, raw_run, raw_close},
    {"Stator", false, true, facade_open, facade_run, facade_close},
};

static const bench_workload_t workloads[] = {
    {"find_one", "find_one by _id, 64 in flight, 4 connections",
     BENCH_FIND_ONE, 64, 4, 0, 0},
    {"insert_one", "insert_one of 100 bytes, 64 in flight, 4 connections",
     BENCH_INSERT_ONE, 64, 4, 0, 0},
    {"latency", "find_one, the server takes 1000 +- 200 us, 100 in flight, "
     "32 connections",
     BENCH_FIND_ONE, 100, 32, 1000, 200},
    {"single", "find_one, one in flight, 4 connections", BENCH_FIND_ONE, 1, 4,
     0, 0},
};

static const char *const placements[] = {"one", "any"};

enum { WORKLOADS = sizeof workloads / sizeof workloads[0] };

void bench_die(const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fputs("bench: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    /* The other threads may be in the middle of anything. */
    _Exit(EXIT_FAILURE);
}

/* The driver's own handler writes to stdout, among the results. */
static void log_to_stderr(mongoc_log_level_t level, const char *domain,
                          const char *message, void *arg)
{
    (void)arg;
    if (level >= MONGOC_LOG_LEVEL_DEBUG) /* one line for each connection */
        return;
    fprintf(stderr, "%s: %s: %s\n", mongoc_log_level_str(level), domain,
            message);
}

/* ---- arguments ---------------------------------------------------------- */

static const char usage[] =
    "usage: bench_facade [options]\n"
    "Stator beside plain driver threads, in turn, on the wire server.\n"
    "\n"
    "  -r, --rounds N       rounds of every scenario (default 9)\n"
    "  -t, --section-ms T   a contender's turn in a round (default 500)\n"
    "  -w, --workload W     only find_one, insert_one, latency or single\n"
    "  -p, --placement P    only one (CPU for all) or any\n"
    "  -o, --out FOLDER     for results.csv, plot.dat (default build/bench)\n"
    "  -s, --server FILE    default build/tests/wire-server\n"
    "  -h, --help           this text\n";

static const struct option options[] = {
    {"rounds", required_argument, NULL, 'r'},
    {"section-ms", required_argument, NULL, 't'},
    {"workload", required_argument, NULL, 'w'},
    {"placement", required_argument, NULL, 'p'},
    {"out", required_argument, NULL, 'o'},
    {"server", required_argument, NULL, 's'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void refuse(const char *option, const char *text, const char *wanted)
{
    fprintf(stderr, "bench_facade: --%s: '%s' is not %s\n", option, text,
            wanted);
    exit(EX_USAGE);
}

static int number(const char *option, const char *text, int least, int most)
{
    char wanted[64], *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least ||
        value > most) {
        snprintf(wanted, sizeof wanted, "a number from %d to %d", least,
                 most);
        refuse(option, text, wanted);
    }
    return (int)value;
}

static bool is_chosen(const char *choice, const char *name)
{
    return choice == NULL || strcmp(choice, name) == 0;
}

static void check_choices(const arguments_t *arguments)
{
    bool known = false;

    for (int i = 0; i < WORKLOADS; i++)
        known = known || is_chosen(arguments->workload, workloads[i].name);
    if (!known)
        refuse("workload", arguments->workload,
               "find_one, insert_one, latency or single");
    if (!is_chosen(arguments->placement, placements[0]) &&
        !is_chosen(arguments->placement, placements[1]))
        refuse("placement", arguments->placement, "one or any");
}

static void parse(int argc, char **argv, arguments_t *out)
{
    int c;

    *out = (arguments_t){.rounds = 9,
                         .section_ms = 500,
                         .server = "build/tests/wire-server",
                         .out = "build/bench"};
    while ((c = getopt_long(argc, argv, "r:t:w:p:o:s:h", options, NULL)) !=
           -1) {
        switch (c) {
        case 'r':
            out->rounds = number("rounds", optarg, 1, BENCH_MAX_ROUNDS);
            break;
        case 't':
            out->section_ms = number("section-ms", optarg, 10, 60000);
            break;
        case 'w':
            out->workload = optarg;
            break;
        case 'p':
            out->placement = optarg;
            break;
        case 'o':
            out->out = optarg;
            break;
        case 's':
            out->server = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(EXIT_SUCCESS);
        default:
            fputs("Try 'bench_facade --help'.\n", stderr);
            exit(EX_USAGE);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "bench_facade: '%s' is not understood\n",
                argv[optind]);
        exit(EX_USAGE);
    }
    check_choices(out);
}

/* ---- placement ---------------------------------------------------------- */

/* The last one of those allowed: the first serves most interrupts. */
static void stay_on_one(const cpu_set_t *allowed)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    for (int i = CPU_SETSIZE - 1; i >= 0; i--) {
        if (CPU_ISSET(i, allowed)) {
            CPU_SET(i, &one);
            break;
        }
    }
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        bench_die("sched_setaffinity: %s", strerror(errno));
}

/* ---- rounds ------------------------------------------------------------- */

static void measure(const bench_contender_t *contender, void *self,
                    int64_t ms, const server_t *server,
                    bench_section_t *section)
{
    meter_usage_t before;
    int64_t server_before, begun;

    memset(section, 0, sizeof *section);
    server_before = meter_process_cpu(server->pid);
    before = meter_usage_now();
    begun = meter_now();
    contender->run(self, begun + ms * 1000000, section);
    section->elapsed_ns = meter_now() - begun;
    section->usage = meter_usage_now();
    section->usage.cpu_ns -= before.cpu_ns;
    section->usage.switches -= before.switches;
    section->server_ns = meter_process_cpu(server->pid) - server_before;
}

/* Everybody in turn, so often; answers how many operations that were. */
static int64_t run_rounds(scenario_t *s, void **selves, int64_t ms,
                          const server_t *server)
{
    bench_section_t *warm_up = malloc(sizeof *warm_up);
    int64_t ops = 0;

    if (warm_up == NULL)
        bench_die("no memory");
    for (int round = -1; round < s->rounds; round++) {
        for (int c = 0; c < BENCH_CONTENDERS; c++) {
            bench_section_t *section =
                round < 0 ? warm_up : &s->sections[c][round];

            if (!s->runs[c])
                continue;
            measure(&bench_contenders[c], selves[c],
                    round < 0 ? WARM_UP_MS : ms, server, section);
            ops += section->ops;
        }
    }
    free(warm_up);
    return ops;
}

/* What neither this program nor the server used, as a share of the machine. */
static double share_of_others(int64_t busy, const server_t *server,
                              int64_t begun, int64_t own)
{
    int64_t all = (meter_now() - begun) * sysconf(_SC_NPROCESSORS_ONLN);
    double share;

    busy = meter_machine_cpu() - busy - (meter_usage_now().cpu_ns - own) -
           meter_process_cpu(server->pid);
    share = (double)busy / (double)all;
    return share < 0 ? 0 : share;
}

static void run_scenario(const arguments_t *arguments, scenario_t *s)
{
    int64_t begun = meter_now(), busy = meter_machine_cpu();
    int64_t own = meter_usage_now().cpu_ns, ops, inserted;
    void *selves[BENCH_CONTENDERS];
    server_t server;
    char uri[128];

    server_start(&server, arguments->server, s->workload->delay_us,
                 s->workload->jitter_us);
    snprintf(uri, sizeof uri,
             "mongodb://127.0.0.1:%d/?serverSelectionTimeoutMS=5000"
             "&connectTimeoutMS=5000&socketTimeoutMS=10000",
             server.port);
    for (int c = 0; c < BENCH_CONTENDERS; c++)
        if (s->runs[c])
            selves[c] = bench_contenders[c].open(
                s->workload, uri, bench_contenders[c].uses_command);
    ops = run_rounds(s, selves, arguments->section_ms, &server);
    s->others = share_of_others(busy, &server, begun, own);
    for (int c = 0; c < BENCH_CONTENDERS; c++)
        if (s->runs[c])
            bench_contenders[c].close(selves[c]);
    inserted = server_stop(&server);
    if (s->workload->verb == BENCH_INSERT_ONE && inserted != ops)
        bench_die("%" PRId64 " documents were sent, %" PRId64 " came", ops,
                  inserted);
}

static void scenario_init(scenario_t *s, const bench_workload_t *workload,
                          const char *placement, int rounds)
{
    *s = (scenario_t){
        .workload = workload, .placement = placement, .rounds = rounds};
    for (int c = 0; c < BENCH_CONTENDERS; c++) {
        /* There is but one way to insert. */
        s->runs[c] = workload->verb == BENCH_FIND_ONE ||
                     !bench_contenders[c].uses_command;
        s->sections[c] = calloc((size_t)rounds, sizeof *s->sections[c]);
        if (s->sections[c] == NULL)
            bench_die("no memory");
    }
}

static void run_placement(const arguments_t *arguments, const char *placement,
                          report_t *report)
{
    for (int i = 0; i < WORKLOADS; i++) {
        scenario_t s;

        if (!is_chosen(arguments->workload, workloads[i].name))
            continue;
        scenario_init(&s, &workloads[i], placement, arguments->rounds);
        run_scenario(arguments, &s);
        report_scenario(report, &s);
        for (int c = 0; c < BENCH_CONTENDERS; c++)
            free(s.sections[c]);
    }
}

int main(int argc, char **argv)
{
    arguments_t arguments;
    cpu_set_t allowed;
    report_t report;

    parse(argc, argv, &arguments);
    mongoc_init();
    mongoc_log_set_handler(log_to_stderr, NULL);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        bench_die("sched_getaffinity: %s", strerror(errno));
    report_open(&report, arguments.out);
    printf("%d rounds, %d ms for each contender; %d CPUs.  x: multiple of "
           "the first row's, median of the rounds (least-most).\n"
           "CPU us, switches (voluntary), turns (of the event loop): of one "
           "operation, without the server's.\n"
           "threads: each with a driver client of its own, find through a "
           "cursor; \"command\": by the find command, as Stator does.\n",
           arguments.rounds, arguments.section_ms, CPU_COUNT(&allowed));
    for (int i = 0; i < 2; i++) {
        if (!is_chosen(arguments.placement, placements[i]))
            continue;
        if (i == 0)
            stay_on_one(&allowed);
        else if (sched_setaffinity(0, sizeof allowed, &allowed) != 0)
            bench_die("sched_setaffinity: %s", strerror(errno));
        run_placement(&arguments, placements[i], &report);
    }
    report_close(&report);
    return EXIT_SUCCESS;
}
