/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - runs every registered suite and ends with Check's own summary.
 *
 * One runner, one suite after another in the order of their names, so that a
 * line can be written for each as it ends.  CK_FORK, CK_RUN_SUITE, CK_RUN_CASE,
 * CK_VERBOSITY and CK_TIMEOUT_MULTIPLIER mean what they mean to Check.
 *
 * With CK_FORK, a test is a process of its own: what it skips is told through
 * a page that parent and child share.
 */
#include "tests/harness/suite.h"

#include "tests/harness/stopwatch.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SKIPS_MAX = 256, SKIP_LENGTH = 240 };

typedef struct skips {
    atomic_int count;
    char text[SKIPS_MAX][SKIP_LENGTH];
} skips_t;

static suite_t *suites;
static Suite *current;
static const char *current_name;
static skips_t *skips;

void suite_register(suite_t *suite)
{
    suite_t **at = &suites;

    while (*at != NULL && strcmp((*at)->name, suite->name) <= 0)
        at = &(*at)->next;
    suite->next = *at;
    *at = suite;
}

TCase *suite_case(const char *name)
{
    TCase *tc = tcase_create(name);

    tcase_set_timeout(tc, SUITE_TIMEOUT);
    suite_add_tcase(current, tc);
    return tc;
}

void suite_skip(const char *function, const char *format, ...)
{
    int i = atomic_fetch_add(&skips->count, 1);
    int length = (int)strlen(function);
    char reason[SKIP_LENGTH / 2];
    va_list args;

    if (i >= SKIPS_MAX)
        return;

    /* START_TEST(name) makes a function called name_fn. */
    if (length > 3 && strcmp(function + length - 3, "_fn") == 0)
        length -= 3;

    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    snprintf(skips->text[i], SKIP_LENGTH, "skip: %s:%.*s: %s", current_name,
             length, function, reason);
}

static void print_skips(void)
{
    int n = atomic_load(&skips->count);

    for (int i = 0; i < n && i < SKIPS_MAX; i++)
        printf("%s\n", skips->text[i]);
    if (n > 0)
        printf("%d skipped\n", n);
}

/* What `runner` has learnt since the last call. */
static void print_suite(SRunner *runner, const char *name, double took)
{
    static int ran, failed;
    int all = srunner_ntests_run(runner);
    int bad = srunner_ntests_failed(runner);

    printf("  %-28s %4d run %4d failed %7.2f s\n", name, all - ran,
           bad - failed, took);
    fflush(stdout);
    ran = all;
    failed = bad;
}

static int is_wanted(const suite_t *suite)
{
    const char *only = getenv("CK_RUN_SUITE");

    return only == NULL || *only == '\0' || strcmp(only, suite->name) == 0;
}

static enum print_output verbosity(void)
{
    const char *asked = getenv("CK_VERBOSITY");

    return asked != NULL && strcmp(asked, "verbose") == 0 ? CK_VERBOSE
                                                          : CK_NORMAL;
}

int main(void)
{
    SRunner *runner = srunner_create(NULL);
    int ran, failed;

    skips = mmap(NULL, sizeof *skips, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (skips == MAP_FAILED) {
        perror("mmap");
        return EXIT_FAILURE;
    }

    stopwatch_begin();
    for (suite_t *s = suites; s != NULL; s = s->next) {
        int64_t start = stopwatch_now_us();

        if (!is_wanted(s))
            continue;
        current = suite_create(s->name);
        current_name = s->name;
        s->build(suite_case(s->name));
        srunner_add_suite(runner, current);
        srunner_run(runner, s->name, NULL, CK_SILENT);
        print_suite(runner, s->name,
                    (double)(stopwatch_now_us() - start) / 1e6);
    }

    stopwatch_end();

    ran = srunner_ntests_run(runner);
    failed = srunner_ntests_failed(runner);
    print_skips();
    if (ran == 0)
        printf("no test ran: none bears the name that was asked for\n");
    if (failed > 0 || verbosity() == CK_VERBOSE)
        srunner_print(runner, verbosity());
    srunner_print(runner, CK_MINIMAL);
    fflush(stdout); /* a leak checker may end the process without it */

    srunner_free(runner);
    munmap(skips, sizeof *skips);
    return ran > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
