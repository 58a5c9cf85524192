/* SPDX-License-Identifier: Apache-2.0 */
/* soak.c - the director: begins, breaks things, ends, and looks around. */
#include "tests/soak/soak.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/core/support.h"
#include "tests/proxy/random.h"
#include "tests/soak/lane.h"
#include "tests/soak/report.h"
#include "tests/soak/tenant.h"
#include "tests/wire/wire_server.h"

enum {
    TICK_US = 10000,
    SECONDS_MAX = 86400,
    ENTRIES_PER_SECOND = 12000,
    SETTLE_MS = 60000, /* for what is in flight at the end */
    GONE_MS = 60000,   /* for threads and descriptors */
    CLOSE_LATE = 33,   /* us for a ms of patience: 2 s, ten times what it has */
    SAMPLES_MAX = 4096,
    /* KiB.  What the allocator does not give back, over as many arenas as
     * there were threads at once; what the servers in this process remember
     * of sessions and of cursors that nobody closed. */
    RESIDENT_SLACK = 32 * 1024,
    HEAP_SLACK = 512,
    HEAP_A_SECOND = 4,
};

typedef struct {
    int64_t at_us[SAMPLES_MAX];
    int64_t rss[SAMPLES_MAX];
    int64_t heap[SAMPLES_MAX];
    int n;
} samples_t;

static atomic_llong driver_lines;

/* Faults are what this is about: the driver's warnings are only counted. */
static void count_log(mongoc_log_level_t level, const char *domain,
                      const char *message, void *arg)
{
    (void)level;
    (void)domain;
    (void)message;
    (void)arg;
    atomic_fetch_add(&driver_lines, 1);
}

static void nap(void)
{
    struct timespec t = {.tv_nsec = TICK_US * 1000L};

    nanosleep(&t, NULL);
}

int soak_seconds(int otherwise)
{
    const char *text = getenv("SOAK_SECONDS");
    char *end;
    long seconds;

    if (text == NULL || *text == '\0')
        return otherwise;
    seconds = strtol(text, &end, 10);
    if (*end == '\0' && seconds >= 1 && seconds <= SECONDS_MAX)
        return (int)seconds;
    fprintf(stderr, "soak: SOAK_SECONDS: '%s' is no number from 1 to %d; it "
                    "takes %d s\n", text, SECONDS_MAX, otherwise);
    return otherwise;
}

/* ------------------------------------------------------------- the begin */

static bool start_backends(soak_t *soak, const soak_options_t *options)
{
    backend_t *backends = soak->backends;
    uint64_t seed = options->seed;

    for (int i = 0; i < SOAK_BACKENDS; i++) {
        backends[i].ledger = soak->ledger;
        backends[i].random = random_next(&seed);
    }
    soak->n_backends = 2;
    if (!backend_start(&backends[0], WIRE_STANDALONE, "standalone", 45) ||
        !backend_start(&backends[1], WIRE_PRIMARY, "replica set", 45))
        return false;
    if (options->uri == NULL)
        return true;
    soak->n_backends = 3;
    return backend_start_real(&backends[2], options->uri, 10);
}

static void tick_all(soak_t *soak, bool is_calm)
{
    int64_t now = now_us();

    for (int i = 0; i < soak->n_backends; i++)
        tenants_tick(&soak->backends[i], now, is_calm);
}

/* ------------------------------------------------------------ the middle */

/* Of all arenas; 0 where another allocator has taken over. */
static int64_t heap_kib(void)
{
    return (int64_t)(mallinfo2().uordblks / 1024);
}

static void sample(samples_t *samples, int64_t now)
{
    if (samples->n == SAMPLES_MAX)
        return;
    samples->at_us[samples->n] = now;
    samples->rss[samples->n] = resident_kib();
    samples->heap[samples->n++] = heap_kib();
}

/* KiB a minute, by least squares over the samples after the warm-up. */
static double slope_of(const samples_t *samples, const int64_t *values,
                       int64_t *warm, int64_t *most)
{
    int first = samples->n / 4;
    double n = samples->n - first, t = 0, v = 0, tt = 0, tv = 0;

    if (n < 2)
        return 0;
    *warm = *most = values[first];
    for (int i = first; i < samples->n; i++) {
        double at = (double)(samples->at_us[i] - samples->at_us[first]) / 6e7;
        double value = (double)values[i];

        t += at;
        v += value;
        tt += at * at;
        tv += at * value;
        *most = values[i] > *most ? values[i] : *most;
    }
    return (n * tv - t * v) / (n * tt - t * t);
}

static void endure(soak_t *soak, int seconds, footprint_t *footprint)
{
    samples_t *samples = calloc(1, sizeof *samples);
    int64_t start = now_us(), end = start + seconds * INT64_C(1000000);
    int64_t next = start, now;

    while ((now = now_us()) < end) {
        tick_all(soak, false);
        if (now >= next) {
            sample(samples, now);
            next += 1000000;
        }
        nap();
    }
    footprint->seconds = (double)(now - start) / 1e6;
    footprint->rss_slope = slope_of(samples, samples->rss,
                                    &footprint->rss_warm,
                                    &footprint->rss_most);
    footprint->heap_slope = slope_of(samples, samples->heap,
                                     &footprint->heap_warm,
                                     &footprint->heap_most);
    free(samples);
}

/* --------------------------------------------------------------- the end */

static bool all_closed(soak_t *soak)
{
    for (int i = 0; i < soak->n_backends; i++)
        if (!tenants_are_gone(&soak->backends[i]))
            return false;
    return true;
}

/* No more faults, nothing new: what is in flight settles, clients close. */
static void calm_down(soak_t *soak)
{
    int64_t until = now_us() + wire_patience_ms(SETTLE_MS) * 1000;
    int left;

    atomic_store(&soak->is_ending, true);
    while ((left = lanes_in_flight(soak)) > 0 && now_us() < until) {
        tick_all(soak, true);
        nap();
    }
    if (left > 0)
        ledger_blame(soak->ledger, "%d operations have not settled", left);
    for (int i = 0; i < soak->n_backends; i++)
        tenants_close(&soak->backends[i]);
    until = now_us() + wire_patience_ms(SETTLE_MS) * 1000;
    while (!all_closed(soak) && now_us() < until) {
        tick_all(soak, true);
        nap();
    }
    if (!all_closed(soak))
        ledger_blame(soak->ledger, "a close has not ended");
    for (int i = 0; i < soak->n_backends; i++)
        if (soak->backends[i].close_late_us >
            wire_patience_ms(WIRE_WAIT) * CLOSE_LATE)
            ledger_blame(soak->ledger, "a close was %" PRId64 " ms late",
                         soak->backends[i].close_late_us / 1000);
}

static void look_around(soak_t *soak, footprint_t *f)
{
    int64_t until = now_us() + wire_patience_ms(GONE_MS) * 1000;

    do {
        f->threads_after = threads_named("");
        f->fds_after = count_fds();
        nap();
    } while ((f->threads_after > f->threads_before ||
              f->fds_after > f->fds_before) &&
             now_us() < until);
    malloc_trim(0);
    f->rss_after = resident_kib();
    f->heap_after = heap_kib();
    if (f->threads_after != f->threads_before)
        ledger_blame(soak->ledger, "%d threads, there were %d",
                     f->threads_after, f->threads_before);
    if (f->fds_after != f->fds_before)
        ledger_blame(soak->ledger, "%d descriptors, there were %d",
                     f->fds_after, f->fds_before);
    if (UNDER_ASAN || UNDER_TSAN)
        return; /* memory is theirs */
    if (f->rss_after > f->rss_before + RESIDENT_SLACK)
        ledger_blame(soak->ledger,
                     "%" PRId64 " KiB resident, there were %" PRId64,
                     f->rss_after, f->rss_before);
    if (f->heap_after > f->heap_before + HEAP_SLACK +
                            (int64_t)f->seconds * HEAP_A_SECOND)
        ledger_blame(soak->ledger,
                     "%" PRId64 " KiB allocated, there were %" PRId64,
                     f->heap_after, f->heap_before);
}

static int64_t finish(soak_t *soak, const soak_options_t *options,
                      footprint_t *footprint, FILE *out)
{
    ledger_sums_t sums;
    int64_t violations;

    lanes_end(soak);
    look_around(soak, footprint);
    for (int i = 0; i < soak->n_backends; i++)
        if (!backend_collect(&soak->backends[i]))
            ledger_blame(soak->ledger, "the server can not be read");
    violations = ledger_audit(soak->ledger, &sums);
    atomic_store(&soak->driver_warnings, atomic_load(&driver_lines));
    report_print(out, options, soak, &sums, footprint, violations);
    return violations;
}

int64_t soak_run(const soak_options_t *options, FILE *out)
{
    int64_t room = options->seconds * (int64_t)ENTRIES_PER_SECOND + 100000;
    soak_t *soak = calloc(1, sizeof *soak);
    footprint_t footprint = {0};
    int64_t violations = -1;

    mongoc_init();
    mongoc_log_set_handler(count_log, NULL);
    pthread_mutex_init(&soak->lock, NULL);
    soak->ledger = ledger_new(room);
    if (soak->ledger != NULL && start_backends(soak, options)) {
        footprint.fds_before = count_fds();
        footprint.threads_before = threads_named("");
        footprint.rss_before = resident_kib();
        footprint.heap_before = heap_kib();
        tick_all(soak, false);
        if (lanes_start(soak, options->seed)) {
            endure(soak, options->seconds, &footprint);
            calm_down(soak);
            violations = finish(soak, options, &footprint, out);
        }
    }
    for (int i = 0; i < soak->n_backends; i++)
        backend_free(&soak->backends[i]);
    ledger_free(soak->ledger);
    pthread_mutex_destroy(&soak->lock);
    free(soak);
    return violations;
}
