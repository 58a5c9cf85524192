/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - the summary of a soak, for people. */
#ifndef STATOR_TESTS_SOAK_REPORT_H
#define STATOR_TESTS_SOAK_REPORT_H

#include <stdio.h>

#include "tests/soak/lane.h"
#include "tests/soak/soak.h"

/* What the process had, before, at the end of the warm-up, and at last. */
typedef struct {
    int fds_before, fds_after;
    int threads_before, threads_after;
    int64_t rss_before, rss_warm, rss_most, rss_after; /* KiB */
    int64_t heap_before, heap_warm, heap_most, heap_after; /* KiB in use */
    double rss_slope, heap_slope; /* KiB a minute, after the warm-up */
    double seconds;
} footprint_t;

void report_print(FILE *out, const soak_options_t *options, soak_t *soak,
                  const ledger_sums_t *sums, const footprint_t *footprint,
                  int64_t violations);

#endif /* STATOR_TESTS_SOAK_REPORT_H */
