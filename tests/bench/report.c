/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - what the rounds of one scenario come to.
 *
 * A ratio is taken round by round, between neighbours in time, and its median
 * is given: a machine that is slower for a while is so for both of them. */
#include "tests/bench/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- one number of one section ------------------------------------------ */

typedef double value_fn(const bench_section_t *section);

static double rate(const bench_section_t *s)
{
    return (double)s->ops * 1e9 / (double)s->elapsed_ns;
}

static double cpu(const bench_section_t *s)
{
    return (double)s->usage.cpu_ns / 1e3 / (double)s->ops;
}

static double server_cpu(const bench_section_t *s)
{
    return (double)s->server_ns / 1e3 / (double)s->ops;
}

static double switches(const bench_section_t *s)
{
    return (double)s->usage.switches / (double)s->ops;
}

static double turns(const bench_section_t *s)
{
    return (double)s->turns / (double)s->ops;
}

static double p50(const bench_section_t *s)
{
    return meter_percentile(&s->latency, 50);
}

static double p99(const bench_section_t *s)
{
    return meter_percentile(&s->latency, 99);
}

/* ---- over the rounds ---------------------------------------------------- */

typedef struct summary {
    double median, least, most;
} summary_t;

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static summary_t summarize(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    return (summary_t){
        .median = n % 2 != 0 ? values[n / 2]
                             : (values[n / 2 - 1] + values[n / 2]) / 2,
        .least = values[0],
        .most = values[n - 1],
    };
}

static summary_t of(const scenario_t *s, int contender, value_fn *value)
{
    double values[BENCH_MAX_ROUNDS] = {0};

    for (int i = 0; i < s->rounds; i++)
        values[i] = value(&s->sections[contender][i]);
    return summarize(values, s->rounds);
}

static summary_t ratio(const scenario_t *s, int contender, int to,
                       value_fn *value)
{
    double values[BENCH_MAX_ROUNDS] = {0};

    for (int i = 0; i < s->rounds; i++)
        values[i] = value(&s->sections[contender][i]) /
                    value(&s->sections[to][i]);
    return summarize(values, s->rounds);
}

static summary_t added(const scenario_t *s, int contender, int to,
                       value_fn *value)
{
    double values[BENCH_MAX_ROUNDS] = {0};

    for (int i = 0; i < s->rounds; i++)
        values[i] = value(&s->sections[contender][i]) -
                    value(&s->sections[to][i]);
    return summarize(values, s->rounds);
}

/* ---- the files ---------------------------------------------------------- */

static FILE *create(const char *folder, const char *name)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "we");
    if (file == NULL)
        bench_die("%s: %s", path, strerror(errno));
    return file;
}

void report_open(report_t *report, const char *out)
{
    report->csv = create(out, "results.csv");
    report->plot = create(out, "plot.dat");
    fputs("placement,workload,contender,round,operations,seconds,"
          "ops_per_second,cpu_us_per_op,server_cpu_us_per_op,"
          "voluntary_switches_per_op,loop_turns_per_op,p50_us,p99_us\n",
          report->csv);
    fputs("# scenario; then for each contender: ops/s as a multiple of the "
          "first's (median, least, most), CPU us an operation, switches an "
          "operation, p50 us, p99 us\n",
          report->plot);
}

static void finish(FILE *file)
{
    bool failed = ferror(file) != 0;

    if (fclose(file) != 0 || failed)
        bench_die("the results can not be written: %s", strerror(errno));
}

void report_close(report_t *report)
{
    finish(report->csv);
    finish(report->plot);
}

static void write_csv(FILE *csv, const scenario_t *s)
{
    for (int round = 0; round < s->rounds; round++) {
        for (int c = 0; c < BENCH_CONTENDERS; c++) {
            const bench_section_t *x = &s->sections[c][round];

            if (!s->runs[c])
                continue;
            fprintf(csv,
                    "%s,%s,\"%s\",%d,%" PRId64
                    ",%.6f,%.1f,%.3f,%.3f,%.4f,%.4f,%.2f,%.2f\n",
                    s->placement, s->workload->name, bench_contenders[c].name,
                    round + 1, x->ops, (double)x->elapsed_ns / 1e9, rate(x),
                    cpu(x), server_cpu(x), switches(x), turns(x), p50(x),
                    p99(x));
        }
    }
}

static void write_plot(FILE *plot, const scenario_t *s)
{
    fprintf(plot, "\"%s\\n%s\"", s->workload->name,
            strcmp(s->placement, "one") == 0 ? "one CPU" : "any CPU");
    for (int c = 0; c < BENCH_CONTENDERS; c++) {
        summary_t x;

        if (!s->runs[c]) {
            fputs(" ? ? ? ? ? ? ?", plot);
            continue;
        }
        x = ratio(s, c, 0, rate);
        fprintf(plot, " %.4f %.4f %.4f %.3f %.3f %.2f %.2f", x.median,
                x.least, x.most, of(s, c, cpu).median,
                of(s, c, switches).median, of(s, c, p50).median,
                of(s, c, p99).median);
    }
    fputc('\n', plot);
}

/* ---- the table ---------------------------------------------------------- */

static void print_row(const scenario_t *s, int c)
{
    summary_t x = ratio(s, c, 0, rate);
    char range[24] = "", by_turns[16] = "-";

    if (c != 0)
        snprintf(range, sizeof range, "(%.2f-%.2f)", x.least, x.most);
    if (bench_contenders[c].is_facade)
        snprintf(by_turns, sizeof by_turns, "%.2f", of(s, c, turns).median);
    printf("  %-16s %7.0f %6.2f %-11s %6.1f %6.2f %8.1f %8.1f %9.2f %6s\n",
           bench_contenders[c].name, of(s, c, rate).median, x.median, range,
           of(s, c, cpu).median, ratio(s, c, 0, cpu).median,
           of(s, c, p50).median, of(s, c, p99).median,
           of(s, c, switches).median, by_turns);
}

/* The facade against threads: what it adds where one operation is in flight
 * and nothing queues; else the ratio, where the row has not said it. */
static void print_comparison(const scenario_t *s, int facade, int to)
{
    summary_t x = ratio(s, facade, to, rate);
    summary_t y = ratio(s, facade, to, cpu);
    const char *name = bench_contenders[to].name;

    if (s->workload->in_flight > 1) {
        if (to != 0)
            printf("  beside \"%s\": x %.2f (%.2f-%.2f), CPU x %.2f\n",
                   name, x.median, x.least, x.most, y.median);
        return;
    }
    x = added(s, facade, to, p50);
    y = added(s, facade, to, p99);
    printf("  added to \"%s\": p50 %+.1f us (%+.1f to %+.1f), "
           "p99 %+.1f us (%+.1f to %+.1f)\n",
           name, x.median, x.least, x.most, y.median, y.least, y.most);
}

static void print_table(const scenario_t *s)
{
    printf("\n%s; on %s CPU; other programs took %.0f %% of the machine\n",
           s->workload->title, s->placement, 100 * s->others);
    printf("  %-16s %7s %6s %-11s %6s %6s %8s %8s %9s %6s\n", "", "ops/s",
           "x", "", "CPU us", "x", "p50 us", "p99 us", "switches", "turns");
    for (int c = 0; c < BENCH_CONTENDERS; c++)
        if (s->runs[c])
            print_row(s, c);
    for (int c = 0; c < BENCH_CONTENDERS; c++)
        for (int to = 0; bench_contenders[c].is_facade && to < c; to++)
            if (s->runs[to])
                print_comparison(s, c, to);
    fflush(stdout);
}

void report_scenario(report_t *report, const scenario_t *scenario)
{
    write_csv(report->csv, scenario);
    write_plot(report->plot, scenario);
    print_table(scenario);
}
