/* SPDX-License-Identifier: Apache-2.0 */
/* meter.h - clock, CPU time, context switches, latency. */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stdint.h>
#include <sys/types.h>

/* Classes as wide as a 128th of their octave: off by 0.4 % at the most. */
enum { METER_SUB = 128, METER_CLASSES = 28 * METER_SUB };

typedef struct meter_latency {
    int64_t count;
    uint32_t classes[METER_CLASSES];
} meter_latency_t;

typedef struct meter_usage {
    int64_t cpu_ns;   /* user and system, all threads */
    int64_t switches; /* voluntary: somebody went to sleep, and was woken */
} meter_usage_t;

/* CLOCK_MONOTONIC, nanoseconds. */
int64_t meter_now(void);

void meter_add(meter_latency_t *latency, int64_t ns);
void meter_merge(meter_latency_t *latency, const meter_latency_t *other);
/* Microseconds. */
double meter_percentile(const meter_latency_t *latency, double percent);

/* This process, as getrusage(2) knows it. */
meter_usage_t meter_usage_now(void);
/* CPU time of the process `pid`, nanoseconds; 0 if it can not be told. */
int64_t meter_process_cpu(pid_t pid);
/* Time that all processors were busy, nanoseconds; 0 likewise. */
int64_t meter_machine_cpu(void);

#endif
