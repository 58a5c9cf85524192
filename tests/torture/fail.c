/* SPDX-License-Identifier: Apache-2.0 */
/* fail.c - lets the n-th call fail, n = 1, 2, .., and takes stock after. */
#include "tests/torture/fail.h"

#include <dirent.h>
#include <errno.h>
#include <mongoc/mongoc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    CALLS_MAX = 20000, /* a scenario with more is endless */
    DRY_RUNS = 3,      /* threads take turns: one run without n is no proof */
    RUN_SECONDS = 2 * TORTURE_PATIENCE_MS / 1000
};

static enum calls_kind kind;
static int way;
static bool onward;
static long at;
static atomic_bool broke;
static const char *subject = "";
static int patience = 1, stride = 1;

/* ---- the sweep ---------------------------------------------------------- */

/* Hiccups are no reason. */
bool torture_fired(void)
{
    return calls_fired() && kind != CALLS_HICCUPS;
}

bool torture_is_spent(void)
{
    return calls_fired() && (!onward || kind == CALLS_HICCUPS);
}

bool torture_broke_a_connection(void)
{
    return atomic_load(&broke) || (calls_fired() && kind == CALLS_NETWORK);
}

const char *torture_where(void)
{
    static const char *const kinds[] = {"", "network ", "hiccup "};
    static char text[300];

    snprintf(text, sizeof text, "%s: %scall %ld%s, way %d, %s%s", subject,
             kinds[kind], at, onward ? " onward" : "", way,
             calls_fired() ? "failed: " : "not reached",
             calls_fired() ? calls_what() : "");
    return text;
}

static void tell(int number)
{
    const char *text = torture_where();

    if (write(STDERR_FILENO, text, strlen(text)) < 0 ||
        write(STDERR_FILENO, number == SIGALRM ? ": hangs\n" : ": crash\n",
              8) < 0)
        _exit(3);
    signal(number, SIG_DFL);
    raise(number == SIGALRM ? SIGABRT : number);
}

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

/* A client's threads free what is left after the last unref. */
static void await_blocks(long before)
{
    const struct timespec nap = {.tv_nsec = 200000};

    for (int i = 0; calls_live() != before; i++) {
        ck_assert_msg(i < 2 * TORTURE_PATIENCE_MS * patience,
                      "%ld blocks leaked; %s", calls_live() - before,
                      torture_where());
        nanosleep(&nap, NULL);
    }
}

/* The wire server hears of the last client's end when it gets round to it. */
static void await_fds(int before)
{
    const struct timespec nap = {.tv_nsec = 1000000};

    for (int i = 0; count_fds() > before; i++) {
        ck_assert_msg(i < TORTURE_PATIENCE_MS * patience,
                      "%s: %d descriptors before, %d after", subject, before,
                      count_fds());
        nanosleep(&nap, NULL);
    }
}

/* Answers whether the n-th call was reached. */
static bool try(torture_fn *scenario, long n)
{
    long before = calls_live();

    at = n;
    atomic_store(&broke, false);
    calls_begin(kind, way, n, onward);
    alarm((unsigned)(RUN_SECONDS * patience));
    scenario();
    await_blocks(before);
    alarm(0);
    return calls_fired();
}

/* Hiccups for ever: a reply may come in any number of pieces. */
static long after(long n)
{
    if (kind == CALLS_HICCUPS && onward)
        return 2 * n;
    return n + (kind == CALLS_RESOURCES ? 1 : stride);
}

static long sweep(torture_fn *scenario)
{
    long reached = 0;

    for (int on = 0; on < 2; on++) {
        long dry = 0;

        onward = on == 1;
        for (long n = 1 + (way + on) % stride; dry < DRY_RUNS; n = after(n)) {
            ck_assert_msg(n < CALLS_MAX, "%s: endless", subject);
            if (try(scenario, n)) {
                reached++;
                dry = 0;
            } else {
                dry++;
            }
        }
    }
    return reached;
}

static int one_or_more(const char *variable)
{
    const char *value = getenv(variable);
    int number = value == NULL ? 1 : (int)strtol(value, NULL, 10);

    return number < 1 ? 1 : number;
}

static void get_ready(const char *name)
{
    subject = name;
    patience = one_or_more("CK_TIMEOUT_MULTIPLIER");
    stride = one_or_more("TORTURE_STRIDE");
    signal(SIGALRM, tell);
#ifndef __SANITIZE_ADDRESS__
    signal(SIGSEGV, tell);
    signal(SIGABRT, tell);
#endif
}

static void sweep_all(const char *name, torture_fn *scenario, bool network)
{
    static const int ways[] = {1, 2, CALLS_WAYS};
    long runs[CALLS_HICCUPS + 1] = {0};
    int fds;

    get_ready(name);
    kind = network ? CALLS_NETWORK : CALLS_RESOURCES;
    try(scenario, 0); /* all works, and what is made once is there */
    fds = count_fds();
    do {
        for (way = 0; way < ways[kind]; way++)
            runs[kind] += sweep(scenario);
        ck_assert_msg(runs[kind] > 0, "%s: no call was counted", name);
    } while (network && ++kind <= CALLS_HICCUPS);
    kind = CALLS_RESOURCES;
    calls_begin(kind, 0, 0, false);
    await_fds(fds);
    if (network)
        printf("    torture: %-24s %5ld network calls failed, %5ld hiccups\n",
               name, runs[CALLS_NETWORK], runs[CALLS_HICCUPS]);
    else
        printf("    torture: %-24s %5ld calls failed\n", name, runs[kind]);
    fflush(stdout);
}

void torture_sweep_named(const char *name, torture_fn *scenario)
{
    sweep_all(name, scenario, false);
}

void torture_sweep_network_named(const char *name, torture_fn *scenario)
{
    sweep_all(name, scenario, true);
}

/* ---- what must come of it ----------------------------------------------- */

static bool judge(stator_future_t *f)
{
    bson_error_t error = {0};

    if (stator_future_poll(f) == STATOR_FUTURE_DONE)
        return true;
    OK(stator_future_error(f, &error));
    ck_assert_msg(torture_fired(), "%s; %s", error.message, torture_where());
    OK(stator_future_poll(f) == STATOR_FUTURE_FAILED);
    if (error.domain == STATOR_ERROR_DOMAIN &&
        error.code == STATOR_ERROR_MEMORY) {
        OK(stator_future_origin(f) == STATOR_ORIGIN_STATOR);
        return false;
    }
    if (error.domain == STATOR_ERROR_DOMAIN &&
        error.code == STATOR_ERROR_REFUSED) { /* a watcher's thread */
        OK(calls_explain(error.message));
        return false;
    }
    atomic_store(&broke, true);
    ck_assert_msg((error.domain == MONGOC_ERROR_STREAM ||
                   error.domain == MONGOC_ERROR_SERVER_SELECTION) &&
                      calls_explain(error.message),
                  "%u/%u %s; %s", error.domain, error.code, error.message,
                  torture_where());
    return false;
}

bool settles(stator_future_t *f)
{
    OK(f != NULL);
    OK(stator_future_wait(f, (int64_t)TORTURE_PATIENCE_MS * patience) == 0);
    return judge(f);
}

bool settles_take(stator_future_t *f)
{
    bool is_done = settles(f);

    stator_future_unref(f);
    return is_done;
}

bool settles_on(stator_dispatcher_t *d, stator_future_t *f)
{
    int answer = stator_dispatcher_run_until(
        d, f, (int64_t)TORTURE_PATIENCE_MS * patience);

    if (answer == -ENOMEM) { /* the other way: any turn will do */
        OK(torture_fired());
        while (stator_future_poll(f) == STATOR_FUTURE_PENDING)
            OK(stator_dispatcher_run_once(d, 1) >= 0);
    } else {
        OK(answer == 0);
    }
    return judge(f);
}

stator_dispatcher_t *dispatcher_or_null(void)
{
    bson_error_t error = {0};
    stator_dispatcher_t *d = stator_dispatcher_new(&error);

    if (d != NULL)
        return d;
    OK(torture_fired());
    OK(error.domain == STATOR_ERROR_DOMAIN);
    OK(error.code == STATOR_ERROR_MEMORY ||
       (error.code == STATOR_ERROR_REFUSED &&
        strstr(error.message, strerror(EMFILE)) != NULL));
    return NULL;
}
