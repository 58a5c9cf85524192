/* SPDX-License-Identifier: Apache-2.0 */
/* core/stats.c - counters and time histograms. */
#include "core/stats.h"

#include "futures/future.h"

static unsigned class_of(uint64_t us)
{
    unsigned octave;
    uint64_t in_octave;

    if (us < 4)
        return (unsigned)us;
    octave = 63 - (unsigned)__builtin_clzll(us); /* 2 and more */
    in_octave = (us >> (octave - 2)) & 3;
    octave = 4 * (octave - 1) + (unsigned)in_octave;
    return octave < STC_HISTOGRAM_CLASSES ? octave
                                          : STC_HISTOGRAM_CLASSES - 1;
}

/* The largest number of microseconds of a class. */
static uint64_t top_of(unsigned class)
{
    unsigned octave;

    if (class < 4)
        return class;
    octave = class / 4 + 1;
    return ((4 + (uint64_t)(class % 4) + 1) << (octave - 2)) - 1;
}

void stc_histogram_add(struct stc_histogram *h, int64_t ns)
{
    uint64_t value = ns < 0 ? 0 : (uint64_t)ns;
    unsigned long long max =
        atomic_load_explicit(&h->max_ns, memory_order_relaxed);

    atomic_fetch_add_explicit(&h->n[class_of(value / 1000)], 1,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_ns, value, memory_order_relaxed);
    while (value > max &&
           !atomic_compare_exchange_weak_explicit(&h->max_ns, &max, value,
                                                  memory_order_relaxed,
                                                  memory_order_relaxed))
        continue;
}

static void count(atomic_llong *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void stc_stats_submitted(struct stc_stats *stats)
{
    count(&stats->submitted);
}

void stc_stats_settled(struct stc_stats *stats, const stator_future_t *f,
                       stator_future_state_t final, int64_t total_ns)
{
    const stator_future_t *as = f->alias != NULL ? f->alias : f;
    uint32_t code = as->code;

    if (as->result != NULL && as->result->has_error)
        code = as->result->error.domain == STATOR_ERROR_DOMAIN
                   ? as->result->error.code
                   : 0;
    stc_histogram_add(&stats->total, total_ns);
    if (final == STATOR_FUTURE_DONE)
        count(&stats->done);
    else if (final == STATOR_FUTURE_CANCELLED)
        count(&stats->cancelled);
    else if (code == STATOR_ERROR_EXPIRED)
        count(&stats->expired);
    else if (code == STATOR_ERROR_REFUSED || code == STATOR_ERROR_CLOSED)
        count(&stats->refused);
    else
        count(&stats->failed);
}

static void append(bson_t *out, const char *key, int64_t value)
{
    bson_append_int64(out, key, -1, value);
}

static void append_histogram(bson_t *out, const char *key,
                             struct stc_histogram *h)
{
    uint64_t n[STC_HISTOGRAM_CLASSES], all = 0, seen = 0;
    uint64_t p50 = 0, p99 = 0, max, sum;
    bool has_p50 = false;
    bson_t one;

    for (int i = 0; i < STC_HISTOGRAM_CLASSES; i++) {
        n[i] = atomic_load_explicit(&h->n[i], memory_order_relaxed);
        all += n[i];
    }
    for (unsigned i = 0; i < STC_HISTOGRAM_CLASSES && all > 0; i++) {
        seen += n[i];
        if (!has_p50 && 2 * seen >= all) {
            p50 = top_of(i);
            has_p50 = true;
        }
        if (100 * seen >= 99 * all) {
            p99 = top_of(i);
            break;
        }
    }
    max = atomic_load_explicit(&h->max_ns, memory_order_relaxed) / 1000;
    sum = atomic_load_explicit(&h->sum_ns, memory_order_relaxed);
    bson_append_document_begin(out, key, -1, &one);
    append(&one, "count", (int64_t)all);
    append(&one, "meanUS", all == 0 ? 0 : (int64_t)(sum / all / 1000));
    append(&one, "p50US", (int64_t)(p50 < max ? p50 : max));
    append(&one, "p99US", (int64_t)(p99 < max ? p99 : max));
    append(&one, "maxUS", (int64_t)max);
    bson_append_document_end(out, &one);
}

void stc_stats_append(struct stc_stats *stats, bson_t *out)
{
    const struct {
        const char *key;
        atomic_llong *value;
    } counters[] = {
        {"submitted", &stats->submitted}, {"done", &stats->done},
        {"failed", &stats->failed},       {"cancelled", &stats->cancelled},
        {"expired", &stats->expired},     {"refused", &stats->refused},
    };
    bson_t phases;

    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        append(out, counters[i].key,
               atomic_load_explicit(counters[i].value,
                                    memory_order_relaxed));
    bson_append_document_begin(out, "phases", -1, &phases);
    append_histogram(&phases, "queued", &stats->queued);
    append_histogram(&phases, "checkout", &stats->checkout);
    append_histogram(&phases, "sent", &stats->sent);
    append_histogram(&phases, "total", &stats->total);
    bson_append_document_end(out, &phases);
}
