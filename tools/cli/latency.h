/* SPDX-License-Identifier: Apache-2.0 */
/* latency.h - how long things took: a histogram, to 3 % exact. */
#ifndef CLI_LATENCY_H
#define CLI_LATENCY_H

#include <stdint.h>

/* 32 classes an octave: up to 2^38 us, three days. */
enum { LATENCY_SUB = 32, LATENCY_CLASSES = LATENCY_SUB * 34 };

typedef struct latency {
    int64_t count;
    int64_t max; /* exact */
    int64_t classes[LATENCY_CLASSES];
} latency_t;

void latency_add(latency_t *latency, int64_t microseconds);

/* The value that `percent` of all do not exceed, microseconds; 0 of none. */
int64_t latency_percentile(const latency_t *latency, double percent);

#endif
