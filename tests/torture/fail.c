/* SPDX-License-Identifier: Apache-2.0 */
/* fail.c - counts the fallible calls, fails the n-th, takes stock after. */
#include "tests/torture/fail.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    CALLS_MAX = 20000, /* a scenario with more is endless */
    DRY_RUNS = 3,      /* threads take turns: one run without n is no proof */
    RUN_SECONDS = 30,
    PATIENCE_MS = 20000
};

extern const char __executable_start;

static atomic_long calls, fail_at, live;
static atomic_bool onward, fired;
static _Atomic(uintptr_t) place; /* of the first call that failed */
static const char *subject = "";
static int patience = 1;

/* ---- what fails --------------------------------------------------------- */

static bool fails(const void *from)
{
    long at = atomic_load(&fail_at);
    long n = atomic_fetch_add(&calls, 1) + 1;

    if (at == 0 || n < at || (n > at && !atomic_load(&onward)))
        return false;
    if (!atomic_exchange(&fired, true))
        atomic_store(&place,
                     (uintptr_t)from - (uintptr_t)&__executable_start);
    return true;
}

#define FAILS() fails(__builtin_return_address(0))

static void *made(void *block)
{
    if (block != NULL)
        atomic_fetch_add(&live, 1);
    return block;
}

static void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

void *torture_malloc(size_t size)
{
    return FAILS() ? no_memory() : made(malloc(size));
}

void *torture_calloc(size_t n, size_t size)
{
    return FAILS() ? no_memory() : made(calloc(n, size));
}

void *torture_aligned_alloc(size_t align, size_t size)
{
    return FAILS() ? no_memory() : made(aligned_alloc(align, size));
}

void *torture_realloc(void *block, size_t size)
{
    bool is_new = block == NULL;
    void *moved;

    if (FAILS())
        return no_memory();
    moved = realloc(block, size);
    return is_new ? made(moved) : moved;
}

void torture_free(void *block)
{
    if (block != NULL)
        atomic_fetch_sub(&live, 1);
    free(block);
}

char *torture_strdup(const char *text);
int torture_eventfd(unsigned value, int flags);
ssize_t torture_write(int fd, const void *bytes, size_t size);
int torture_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                           void *(*fn)(void *), void *arg);

char *torture_strdup(const char *text)
{
    return FAILS() ? no_memory() : made(strdup(text));
}

int torture_eventfd(unsigned value, int flags)
{
    if (FAILS()) {
        errno = EMFILE;
        return -1;
    }
    return eventfd(value, flags);
}

/* Never twice in a row: who is interrupted for ever may try for ever. */
ssize_t torture_write(int fd, const void *bytes, size_t size)
{
    static _Thread_local bool interrupted;

    if (!interrupted && FAILS()) {
        interrupted = true;
        errno = EINTR;
        return -1;
    }
    interrupted = false;
    return write(fd, bytes, size);
}

int torture_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                           void *(*fn)(void *), void *arg)
{
    return FAILS() ? EAGAIN : pthread_create(thread, attr, fn, arg);
}

/* ---- the sweep ---------------------------------------------------------- */

bool torture_fired(void)
{
    return atomic_load(&fired);
}

bool torture_is_spent(void)
{
    return torture_fired() && !atomic_load(&onward);
}

const char *torture_where(void)
{
    static char text[200];

    snprintf(text, sizeof text, "%s: call %ld%s %s, at +0x%lx", subject,
             atomic_load(&fail_at), atomic_load(&onward) ? " onward" : "",
             torture_fired() ? "failed" : "not reached",
             (unsigned long)atomic_load(&place));
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

    for (int i = 0; atomic_load(&live) != before; i++) {
        ck_assert_msg(i < 5 * PATIENCE_MS * patience,
                      "%ld blocks leaked; %s", atomic_load(&live) - before,
                      torture_where());
        nanosleep(&nap, NULL);
    }
}

/* The wire server hears of the last client's end when it gets round to it. */
static void await_fds(int before)
{
    const struct timespec nap = {.tv_nsec = 1000000};

    for (int i = 0; count_fds() > before; i++) {
        ck_assert_msg(i < PATIENCE_MS * patience,
                      "%s: %d descriptors before, %d after", subject, before,
                      count_fds());
        nanosleep(&nap, NULL);
    }
}

/* Answers whether the n-th call was reached. */
static bool try(torture_fn *scenario, long n)
{
    long before = atomic_load(&live);

    atomic_store(&fired, false);
    atomic_store(&place, 0);
    atomic_store(&calls, 0);
    atomic_store(&fail_at, n);
    alarm((unsigned)(RUN_SECONDS * patience));
    scenario();
    await_blocks(before);
    alarm(0);
    return torture_fired();
}

static long sweep(torture_fn *scenario)
{
    long n = 1, last = 0;

    for (int dry = 0; dry < DRY_RUNS; n++) {
        ck_assert_msg(n < CALLS_MAX, "%s: endless", subject);
        if (try(scenario, n)) {
            last = n;
            dry = 0;
        } else {
            dry++;
        }
    }
    return last;
}

static void get_ready(const char *name)
{
    const char *factor = getenv("CK_TIMEOUT_MULTIPLIER");

    subject = name;
    patience = factor == NULL ? 1 : (int)strtol(factor, NULL, 10);
    if (patience < 1)
        patience = 1;
    signal(SIGALRM, tell);
#ifndef __SANITIZE_ADDRESS__
    signal(SIGSEGV, tell);
    signal(SIGABRT, tell);
#endif
}

void torture_sweep_named(const char *name, torture_fn *scenario)
{
    int fds;
    long once;

    get_ready(name);
    try(scenario, 0); /* all works, and what is made once is there */
    fds = count_fds();
    atomic_store(&onward, false);
    once = sweep(scenario);
    ck_assert_msg(once > 0, "%s: no call of the library was counted", name);
    atomic_store(&onward, true);
    printf("    torture: %-24s %4ld calls failed once, %4ld onward\n", name,
           once, sweep(scenario));
    fflush(stdout);
    atomic_store(&onward, false);
    atomic_store(&fail_at, 0);
    await_fds(fds);
}

/* ---- what must come of it ----------------------------------------------- */

static bool judge(stator_future_t *f)
{
    bson_error_t error = {0};

    if (stator_future_poll(f) == STATOR_FUTURE_DONE)
        return true;
    OK(stator_future_error(f, &error));
    ck_assert_msg(torture_fired(), "%s; %s", error.message, torture_where());
    ck_assert_msg(error.domain == STATOR_ERROR_DOMAIN &&
                      error.code == STATOR_ERROR_MEMORY,
                  "%u/%u %s; %s", error.domain, error.code, error.message,
                  torture_where());
    OK(stator_future_poll(f) == STATOR_FUTURE_FAILED);
    OK(stator_future_origin(f) == STATOR_ORIGIN_STATOR);
    return false;
}

bool settles(stator_future_t *f)
{
    OK(f != NULL);
    OK(stator_future_wait(f, (int64_t)PATIENCE_MS * patience) == 0);
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
        d, f, (int64_t)PATIENCE_MS * patience);

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
