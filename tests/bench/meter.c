/* SPDX-License-Identifier: Apache-2.0 */
/* meter.c - clock, CPU time, context switches, latency. */
#include "tests/bench/meter.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int64_t ns_of(const struct timespec *t)
{
    return t->tv_sec * INT64_C(1000000000) + t->tv_nsec;
}

int64_t meter_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return ns_of(&now);
}

/* ---- latency ------------------------------------------------------------ */

static unsigned class_of(uint64_t ns)
{
    unsigned shift, class;

    if (ns < 2 * METER_SUB)
        return (unsigned)ns;
    shift = 63 - 7 - (unsigned)__builtin_clzll(ns); /* 2^7 is METER_SUB */
    class = shift * METER_SUB + (unsigned)(ns >> shift);
    return class < METER_CLASSES ? class : METER_CLASSES - 1;
}

static double middle_of(unsigned class)
{
    unsigned shift = class / METER_SUB;

    if (shift < 2)
        return class;
    shift -= 1;
    return ((double)(class - shift * METER_SUB) + 0.5) *
           (double)(UINT64_C(1) << shift);
}

void meter_add(meter_latency_t *latency, int64_t ns)
{
    latency->classes[class_of(ns < 0 ? 0 : (uint64_t)ns)]++;
    latency->count++;
}

void meter_merge(meter_latency_t *latency, const meter_latency_t *other)
{
    for (int i = 0; i < METER_CLASSES; i++)
        latency->classes[i] += other->classes[i];
    latency->count += other->count;
}

double meter_percentile(const meter_latency_t *latency, double percent)
{
    int64_t wanted = (int64_t)((double)latency->count * percent / 100);
    int64_t seen = 0;

    for (unsigned i = 0; i < METER_CLASSES; i++) {
        seen += latency->classes[i];
        if (seen > wanted)
            return middle_of(i) / 1000;
    }
    return 0;
}

/* ---- processor ---------------------------------------------------------- */

static int64_t ns_of_timeval(const struct timeval *t)
{
    return t->tv_sec * INT64_C(1000000000) + t->tv_usec * INT64_C(1000);
}

meter_usage_t meter_usage_now(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (meter_usage_t){
        .cpu_ns =
            ns_of_timeval(&usage.ru_utime) + ns_of_timeval(&usage.ru_stime),
        .switches = usage.ru_nvcsw,
    };
}

int64_t meter_process_cpu(pid_t pid)
{
    struct timespec used;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 ||
        clock_gettime(clock, &used) != 0)
        return 0;
    return ns_of(&used);
}

int64_t meter_machine_cpu(void)
{
    long long user, nice, system, idle, iowait, irq, softirq;
    FILE *file = fopen("/proc/stat", "re");
    int64_t busy = 0;

    if (file == NULL)
        return 0;
    if (fscanf(file, "cpu %lld %lld %lld %lld %lld %lld %lld", &user, &nice,
               &system, &idle, &iowait, &irq, &softirq) == 7)
        busy = (user + nice + system + irq + softirq) *
               (INT64_C(1000000000) / sysconf(_SC_CLK_TCK));
    fclose(file);
    return busy;
}
