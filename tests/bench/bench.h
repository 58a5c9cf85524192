/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h - what the parts of the benchmark tell each other.
 *
 *   bench_facade.c   the rounds: every contender in turn, again and again
 *     raw.c          contender: plain driver threads
 *     facade.c       contender: Stator, one epoll loop
 *     work.c         the documents, and whether an answer is the right one
 *     meter.c        clock, CPU, switches, latency
 *     server.c       the wire server, a process of its own
 *     report.c       medians: the table, results.csv, plot.dat
 *
 * The contenders live in one process, open side by side, and one of them
 * works at a time.  So both meet the same machine, the same server, the same
 * allocator; what the other one costs while it rests (two monitor threads
 * that wake every 10 s) lies below what can be measured. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/meter.h"

enum { BENCH_CONTENDERS = 3, BENCH_MAX_ROUNDS = 101 };

typedef enum { BENCH_FIND_ONE, BENCH_INSERT_ONE } bench_verb_t;

typedef struct bench_workload {
    const char *name;
    const char *title;
    bench_verb_t verb;
    int in_flight; /* submitted, not yet answered; threads have fewer */
    int connections; /* the driver's clients: threads, or workers */
    int delay_us; /* the server's */
    int jitter_us;
} bench_workload_t;

/* One contender's turn in one round. */
typedef struct bench_section {
    int64_t ops;
    int64_t turns; /* of the event loop; 0 without one */
    int64_t elapsed_ns;
    int64_t server_ns; /* the server's CPU time */
    meter_usage_t usage;
    meter_latency_t latency;
} bench_section_t;

typedef struct bench_contender {
    const char *name;
    bool uses_command; /* find by the command, where threads can choose */
    bool is_facade;
    /* The rest ends the program with a message when something fails. */
    void *(*open)(const bench_workload_t *workload, const char *uri,
                  bool uses_command);
    /* Work until the instant `end` has passed, and wait for what is in
     * flight; fills ops, turns and latency. */
    void (*run)(void *self, int64_t end, bench_section_t *section);
    void (*close)(void *self);
} bench_contender_t;

extern const bench_contender_t bench_contenders[BENCH_CONTENDERS];

/* Print it and end the program: a result beside an error is worth nothing. */
void bench_die(const char *format, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/* ---- raw.c, facade.c ---------------------------------------------------- */

void *raw_open(const bench_workload_t *workload, const char *uri,
               bool uses_command);
void raw_run(void *self, int64_t end, bench_section_t *section);
void raw_close(void *self);

void *facade_open(const bench_workload_t *workload, const char *uri,
                  bool uses_command);
void facade_run(void *self, int64_t end, bench_section_t *section);
void facade_close(void *self);

#endif
