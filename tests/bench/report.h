/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what the rounds of one scenario come to. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "tests/bench/bench.h"

/* A workload in one placement, with its rounds. */
typedef struct scenario {
    const bench_workload_t *workload;
    const char *placement; /* "one", "any" */
    bool runs[BENCH_CONTENDERS];
    int rounds;
    bench_section_t *sections[BENCH_CONTENDERS]; /* one a round */
    double others; /* share of the machine that other programs took */
} scenario_t;

/* Where results go. */
typedef struct report {
    FILE *csv;  /* each section */
    FILE *plot; /* medians, for plot.gp */
} report_t;

/* Open results.csv and plot.dat in the folder `out`. */
void report_open(report_t *report, const char *out);
void report_scenario(report_t *report, const scenario_t *scenario);
void report_close(report_t *report);

#endif
