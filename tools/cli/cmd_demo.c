/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_demo.c - `stator demo`: a loop that queries and never stands still,
 * beside one that does; then a table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cli.h"
#include "clock.h"
#include "demo.h"
#include "interrupt.h"
#include "table.h"

enum { KEY_QUERIES = 0x500, KEY_SLOW, KEY_SLOW_MS, KEY_SECONDS };

enum { TERMINAL_US = 50 * 1000, PLAIN_US = 1000 * 1000 };

typedef struct demo_args {
    settings_t *settings;
    int queries, slow, slow_ms, seconds;
} demo_args_t;

static int number(const struct argp_state *state, const char *what,
                  const char *text, int low, int high)
{
    return (int)settings_number(state, what, text, low, high);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    demo_args_t *args = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = args->settings;
        return 0;
    case KEY_QUERIES:
        args->queries = number(state, "--queries", arg, 1, 100000);
        return 0;
    case KEY_SLOW:
        args->slow = number(state, "--slow", arg, 0, 100000);
        return 0;
    case KEY_SLOW_MS:
        args->slow_ms = number(state, "--slow-ms", arg, 1, 10000);
        return 0;
    case KEY_SECONDS:
        args->seconds = number(state, "--seconds", arg, 1, 600);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is one argument too many", arg);
        return 0;
    case ARGP_KEY_END:
        if (args->slow > args->queries)
            argp_error(state, "--slow: %d is more than the %d queries",
                       args->slow, args->queries);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = (const struct argp_option[]){
        {"queries", KEY_QUERIES, "N", 0, "How many are asked (800)", 1},
        {"slow", KEY_SLOW, "N", 0,
         "How many of them the server is told to slow down (60)", 1},
        {"slow-ms", KEY_SLOW_MS, "MS", 0, "By how much (150)", 1},
        {"seconds", KEY_SECONDS, "N", 0, "Limit of each part (14)", 1},
        {0}},
    .parser = parse,
    .doc = "Run some hundred queries from an event loop that has a heartbeat "
           "every 10 ms: first through futures, then by blocking the loop.  "
           "A table compares them.\v"
           "Uses the database \"stator_demo\" and the collection \"cities\" "
           "unless told otherwise, which must hold documents and is given "
           "indexes on \"name\" and \"country\".  Queries are slowed down "
           "by the server's failCommand fail point, where the "
           "server allows that.\n"
           "\n"
           "The heartbeat on the terminal: . on time, o later than 20 ms, "
           "O than 50 ms, # than 100 ms; then the longest so far, and how many "
           "queries are answered.",
    .children = (const struct argp_child[]){{&settings_argp, 0, 0, 0}, {0}}};

void demo_begin(demo_t *demo, demo_part_t *part)
{
    heartbeat_start(&demo->heartbeat);
    part->began = part->shown = clock_us();
}

void demo_end(demo_t *demo, demo_part_t *part)
{
    part->took = clock_us() - part->began;
    heartbeat_stop(&demo->heartbeat);
    part->longest = demo->heartbeat.longest;
    part->ticks = demo->heartbeat.ticks;
    part->shown = 0; /* whatever the time, show the end */
    demo_show(demo, part);
    say_status_done();
}

void demo_answer(demo_part_t *part, int64_t found)
{
    if (part->took != 0)
        return; /* too late for this part's figures */
    part->answered++;
    part->found += found;
    /* All were asked for at the beginning. */
    latency_add(&part->latency, clock_us() - part->began);
}

bool demo_is_over(const demo_t *demo, const demo_part_t *part)
{
    return clock_us() - part->began > (int64_t)demo->seconds * 1000000;
}

void demo_show(demo_t *demo, demo_part_t *part)
{
    bool is_terminal = isatty(STDERR_FILENO) == 1;
    int64_t now = clock_us();
    char line[256];

    if (say_is_quiet() ||
        now - part->shown < (is_terminal ? TERMINAL_US : PLAIN_US))
        return;
    part->shown = now;
    snprintf(line, sizeof line,
             "%-14s %5.1f s  [%s] longest %-8s %d of %d",
             part->title, (double)(now - part->began) / 1e6,
             demo->heartbeat.trace, table_ms(demo->heartbeat.longest),
             part->answered, demo->n);
    if (is_terminal)
        say_status(line);
    else
        say_note("%s", line);
}

static const char *seconds(int64_t microseconds)
{
    return table_number((double)microseconds / 1e6, 1);
}

static void print_table(const demo_t *demo, const demo_part_t parts[2])
{
    const demo_part_t *a = &parts[0], *b = &parts[1];
    char done[2][32], took[2][32], rate[2][32];
    table_t table;

    for (int i = 0; i < 2; i++) {
        const demo_part_t *p = &parts[i];

        snprintf(done[i], sizeof *done, "%d of %d", p->answered, demo->n);
        snprintf(took[i], sizeof *took, "%s s", seconds(p->took));
        snprintf(rate[i], sizeof *rate, "%s",
                 table_number((double)p->answered /
                                  ((double)p->took / 1e6), 0));
    }
    table_init(&table, "lrr");
    table_add(&table, "", a->title, b->title);
    table_add(&table, "queries answered", done[0], done[1]);
    table_add(&table, "  documents found or counted",
              table_number((double)a->found, 0),
              table_number((double)b->found, 0));
    table_add(&table, "time", took[0], took[1]);
    table_add(&table, "queries a second", rate[0], rate[1]);
    table_add(&table, "from request to answer, p50",
              table_ms(latency_percentile(&a->latency, 50)),
              table_ms(latency_percentile(&b->latency, 50)));
    table_add(&table, "  p99", table_ms(latency_percentile(&a->latency, 99)),
              table_ms(latency_percentile(&b->latency, 99)));
    table_add(&table, "heartbeats", table_number((double)a->ticks, 0),
              table_number((double)b->ticks, 0));
    table_add(&table, "  longest wait for one, of 10 ms",
              table_ms(a->longest), table_ms(b->longest));
    putchar('\n');
    table_print(&table, stdout);
}

static void print_conclusion(const demo_part_t parts[2])
{
    const demo_part_t *a = &parts[0], *b = &parts[1];
    double wait = (double)b->longest / (double)a->longest;
    double rate = ((double)a->answered / (double)a->took) /
                  ((double)b->answered / (double)b->took);

    putchar('\n');
    if (wait < 1.5) {
        printf("This time the heartbeat waited up to %s with futures\n"
               "and up to %s with blocking calls: no great difference;\n"
               "the machine is busy, or the queries are quick.\n",
               table_ms(a->longest), table_ms(b->longest));
        return;
    }
    printf("%sWith futures the heartbeat never waited longer than %s;\n"
           "with blocking calls in the loop it waited up to %s, %s times as "
           "long",
           say_style(stdout, STYLE_BOLD), table_ms(a->longest),
           table_ms(b->longest), table_number(wait, wait < 10 ? 1 : 0));
    if (rate >= 1.05)
        printf(",\nand the queries were answered at %.1f times the rate.",
               rate);
    else
        printf(";\nthe queries went at %.0f %% of the rate.", rate * 100);
    printf("%s\n", say_plain(stdout));
}

static bool watch(demo_t *demo, int fd, void *ptr)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = ptr};

    return epoll_ctl(demo->epfd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool open_loop(demo_t *demo)
{
    demo->epfd = epoll_create1(EPOLL_CLOEXEC);
    if (demo->epfd >= 0 && heartbeat_open(&demo->heartbeat) &&
        watch(demo, demo->heartbeat.fd, &demo->heartbeat) &&
        watch(demo, interrupt_fd(), NULL))
        return true;
    say_error("epoll, timerfd: %s", strerror(errno));
    return false;
}

static int64_t workers(const demo_t *demo)
{
    bson_t stats;
    bson_iter_t at;
    int64_t n = 0;

    stator_client_stats(demo->session.client, &stats);
    if (bson_iter_init_find(&at, &stats, "workers"))
        n = bson_iter_as_int64(&at);
    bson_destroy(&stats);
    return n;
}

static int run(demo_t *demo, demo_part_t parts[2])
{
    int code;

    if (!open_loop(demo))
        return EX_OSERR;
    code = demo_prepare(demo);
    if (code != EX_OK)
        return code;
    say_note("%d queries of %s.%s at once, %d of them slowed down by %d ms; "
             "%lld workers; one loop with a heartbeat every %d ms", demo->n,
             demo->session.db, demo->session.collection_name, demo->slow,
             demo->slow_ms, (long long)workers(demo), HEARTBEAT_MS);
    parts[0].title = "futures";
    parts[1].title = "blocking calls";
    code = demo_futures(demo, &parts[0]);
    if (code == EX_OK)
        code = demo_blocking(demo, &parts[1]);
    if (code == EX_OK) {
        print_table(demo, parts);
        print_conclusion(parts);
    }
    return code;
}

int cmd_demo(settings_t *settings, int argc, char **argv)
{
    demo_args_t args = {settings, 800, 60, 150, 14};
    demo_part_t *parts = calloc(2, sizeof *parts);
    demo_t demo = {.epfd = -1, .heartbeat.fd = -1};
    int code;

    settings_parse(settings, &argp, 0, argc, argv, NULL, &args);
    if (parts == NULL)
        return EX_OSERR;
    if (settings->db == NULL)
        settings->db = "stator_demo";
    demo.n = args.queries;
    demo.slow = args.slow;
    demo.slow_ms = args.slow_ms;
    demo.seconds = args.seconds;
    /* Even a hasty user must not leave a server with a fail point set. */
    interrupt_has_plan(true);
    code = session_open(&demo.session, settings, "cities");
    if (code == EX_OK) {
        code = run(&demo, parts);
        demo_tidy(&demo);
    }
    heartbeat_close(&demo.heartbeat);
    session_close(&demo.session, code != EX_OK);
    if (demo.epfd >= 0)
        close(demo.epfd);
    free(parts);
    return code;
}
