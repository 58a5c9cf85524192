/* SPDX-License-Identifier: Apache-2.0 */
/* latency.c - classes as wide as a 32nd of their octave. */
#include "latency.h"

static int class_of(int64_t value)
{
    int shift = 0;

    if (value < 0)
        value = 0;
    while (value >> shift >= 2L * LATENCY_SUB)
        shift++;
    /* value >> shift is below 2 * SUB, and from SUB on if shift > 0. */
    shift = shift * LATENCY_SUB + (int)(value >> shift);
    return shift < LATENCY_CLASSES ? shift : LATENCY_CLASSES - 1;
}

/* The largest value of a class. */
static int64_t top_of(int class)
{
    int shift = class / LATENCY_SUB - 1;

    if (shift <= 0)
        return class;
    return ((int64_t)(class - shift * LATENCY_SUB + 1) << shift) - 1;
}

void latency_add(latency_t *latency, int64_t microseconds)
{
    latency->classes[class_of(microseconds)]++;
    latency->count++;
    if (microseconds > latency->max)
        latency->max = microseconds;
}

int64_t latency_percentile(const latency_t *latency, double percent)
{
    int64_t wanted = (int64_t)((double)latency->count * percent / 100);
    int64_t seen = 0;

    if (latency->count == 0)
        return 0;
    for (int i = 0; i < LATENCY_CLASSES; i++) {
        seen += latency->classes[i];
        if (seen > wanted || seen == latency->count)
            return top_of(i) < latency->max ? top_of(i) : latency->max;
    }
    return latency->max;
}
