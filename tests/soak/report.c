/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - the summary of a soak, for people. */
#include "tests/soak/report.h"

#include <inttypes.h>
#include <string.h>

#include "tests/soak/op.h"

#define N PRId64

static void print_backends(FILE *out, soak_t *soak)
{
    fprintf(out, "\n  %-28s%8s%8s%8s%8s%8s%8s%8s%8s\n", "server", "ops",
            "done", "failed", "cancel.", "expired", "refused", "closed",
            "max ms");
    for (int i = 0; i < soak->n_backends; i++) {
        backend_t *b = &soak->backends[i];

        fprintf(out, "  %-28s%8lld%8lld%8lld%8lld%8lld%8lld%8lld%8lld\n",
                b->name,
                atomic_load(&b->submitted), atomic_load(&b->done),
                atomic_load(&b->failed), atomic_load(&b->cancelled),
                atomic_load(&b->expired), atomic_load(&b->refused),
                atomic_load(&b->closed),
                atomic_load(&b->longest_us) / 1000);
    }
    fputs("  (failed: expired, refused and closed included; max ms: the "
          "longest one without a timeoutMS)\n", out);
}

static void print_faults(FILE *out, soak_t *soak)
{
    fprintf(out, "\n  %-28s%8s%8s%8s%8s%8s%8s%8s%8s\n", "faults", "resets",
            "fins", "half", "holes", "refused", "stops", "slow", "sliced");
    for (int i = 0; i < soak->n_backends; i++) {
        backend_t *b = &soak->backends[i];
        proxy_stats_t p;

        proxy_stats(b->proxy, &p);
        fprintf(out,
                "  %-28s%8" N "%8" N "%8" N "%8" N "%8" N "%8" N "%8" N
                "%8" N "\n",
                b->name, p.resets, p.finishes, p.half_closes, p.holes,
                b->refused_spells, b->stops, b->slow_spells,
                b->sliced_spells);
    }
}

static void print_clients(FILE *out, soak_t *soak)
{
    fprintf(out, "\n  %-28s%8s%8s%8s%8s%8s%8s%8s%8s\n", "clients", "made",
            "drained", "cancel", "abort", "let go", "resized", "leaks",
            "conns");
    for (int i = 0; i < soak->n_backends; i++) {
        backend_t *b = &soak->backends[i];
        proxy_stats_t p;

        proxy_stats(b->proxy, &p);
        fprintf(out,
                "  %-28s%8" N "%8" N "%8" N "%8" N "%8" N "%8" N "%8" N
                "%8" N "\n",
                b->name, b->clients, b->closes[0], b->closes[1],
                b->closes[2], b->closes[3], b->resizes, b->leaks,
                p.connections_total);
    }
    fputs("  (leaks: what a close named as still there when its time was up; "
          "conns: TCP connections,\n  reconnects and monitors included)\n",
          out);
}

static void print_kinds(FILE *out, soak_t *soak)
{
    int column = 0;

    fputs("\n  operations\n", out);
    for (int i = 0; i < OP_KINDS; i++)
        fprintf(out, "  %-16s%9lld%s", op_names[i],
                atomic_load(&soak->by_kind[i]),
                ++column % 4 == 0 ? "\n" : "  ");
    fputs(column % 4 == 0 ? "" : "\n", out);
}

/* Of all clients that have gone. */
static long long stat_of_all(soak_t *soak, const char *path)
{
    long long sum = 0;

    for (int i = 0; i < soak->n_backends; i++)
        for (int k = 0; k < STATS_N; k++)
            if (strcmp(tenant_stats[k], path) == 0)
                sum += soak->backends[i].stats[k];
    return sum;
}

static void print_rest(FILE *out, soak_t *soak, const ledger_sums_t *sums)
{
    int64_t late = 0, zombies = 0;

    for (int i = 0; i < soak->n_backends; i++) {
        if (soak->backends[i].close_late_us > late)
            late = soak->backends[i].close_late_us;
        if (soak->backends[i].zombies_max > zombies)
            zombies = soak->backends[i].zombies_max;
    }
    fprintf(out, "\n  cancels      %lld asked, %lld took; settled as "
                 "CANCELLED: %lld withdrawn, %lld given up running\n",
            atomic_load(&soak->cancels_asked),
            atomic_load(&soak->cancels_took),
            atomic_load(&soak->cancelled_queued),
            atomic_load(&soak->cancelled_running));
    fprintf(out, "  transport    %lld operations cut on the wire, %lld dials "
                 "for %lld driver clients, %lld replies refused\n",
            stat_of_all(soak, "transport.cuts"),
            stat_of_all(soak, "transport.dials"),
            stat_of_all(soak, "connections"),
            stat_of_all(soak, "transport.refusals"));
    fprintf(out, "  deadlines    %lld set, %lld missed; the latest was told "
                 "%.1f ms after its time\n",
            atomic_load(&soak->deadlines), atomic_load(&soak->expired),
            (double)atomic_load(&soak->latest_expiry_us) / 1000);
    fprintf(out, "  inserts      %" N " DONE, each there once; %" N
                 " MAYBE_SENT, of which %" N " are there; %" N
                 " writes sent again by the driver\n"
                 "               %" N " NOT_SENT, none seen by a server\n",
            sums->inserts_done, sums->maybe_sent, sums->maybe_there,
            sums->sent_again, sums->not_sent);
    fprintf(out, "  cursors      %lld, %lld documents in order\n",
            atomic_load(&soak->cursors), atomic_load(&soak->documents));
    fprintf(out, "  errors       %lld of the network, %lld of servers, %lld "
                 "lines in the driver's log\n",
            atomic_load(&soak->errors_network),
            atomic_load(&soak->errors_server),
            atomic_load(&soak->driver_warnings));
    fprintf(out, "  closes       the latest %.0f ms after its time (it has "
                 "200); at most %" N " abandoned workers at once\n",
            (double)late / 1000, zombies);
    fprintf(out, "  waits        %lld\n", atomic_load(&soak->waits));
    for (int i = 0; i < SOAK_LOOPS; i++)
        fprintf(out, "  loop %d       longest stall %.1f ms (a tick is 10 "
                     "ms)\n",
                i, (double)soak->loops[i].longest_gap_us / 1000);
}

void report_print(FILE *out, const soak_options_t *options, soak_t *soak,
                  const ledger_sums_t *sums, const footprint_t *f,
                  int64_t violations)
{
    fprintf(out, "soak: %.0f s, seed %" PRIu64 ": %" N " operations (%.0f a "
                 "second), %" N " done, %" N " failed, %" N " cancelled\n",
            f->seconds, options->seed, sums->submitted,
            (double)sums->submitted / f->seconds, sums->done, sums->failed,
            sums->cancelled);
    print_backends(out, soak);
    print_faults(out, soak);
    print_clients(out, soak);
    print_kinds(out, soak);
    print_rest(out, soak, sums);
    fprintf(out, "\n  descriptors  %d before, %d after\n"
                 "  threads      %d before, %d after\n"
                 "  resident     %" N " KiB before, %" N " warm, %" N
                 " at most, %" N " after; slope %+.0f KiB a minute\n"
                 "  allocated    %" N " KiB before, %" N " warm, %" N
                 " at most, %" N " after; slope %+.0f KiB a minute\n",
            f->fds_before, f->fds_after, f->threads_before,
            f->threads_after, f->rss_before, f->rss_warm, f->rss_most,
            f->rss_after, f->rss_slope, f->heap_before, f->heap_warm,
            f->heap_most, f->heap_after, f->heap_slope);
    fprintf(out, "\nsoak: %" N " rules broken\n", violations);
    fflush(out);
}
