/* SPDX-License-Identifier: Apache-2.0 */
/* core/stats.h - counters and time histograms: written by any thread with
 * relaxed atomics, read at any time.
 *
 * A histogram's classes are a quarter of an octave wide: 4 classes between a
 * power of two of microseconds and the next. */
#ifndef STC_STATS_H
#define STC_STATS_H

#include <stdatomic.h>

#include <stator/future.h>

enum { STC_HISTOGRAM_CLASSES = 4 * 40 };

struct stc_histogram {
    atomic_ullong n[STC_HISTOGRAM_CLASSES];
    atomic_ullong sum_ns;
    atomic_ullong max_ns;
};

struct stc_stats {
    atomic_llong submitted, done, failed, cancelled, expired, refused;
    struct stc_histogram queued, checkout, sent, total;
};

void stc_histogram_add(struct stc_histogram *h, int64_t ns);
void stc_stats_submitted(struct stc_stats *stats);
/* By who has the claim of `f`; `total_ns` since it was submitted. */
void stc_stats_settled(struct stc_stats *stats, const stator_future_t *f,
                       stator_future_state_t final, int64_t total_ns);
/* The counters and {"phases": ..}. */
void stc_stats_append(struct stc_stats *stats, bson_t *out);

#endif /* STC_STATS_H */
