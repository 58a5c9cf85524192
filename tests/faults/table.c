/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - the table of faults. */
#include "tests/faults/table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/harness/stopwatch.h"

static const struct {
    const char *fault, *expected;
} rows[FAULTS] = {
    {"server killed amid an operation",
     "fails for the network within 1 s, MAYBE_SENT; later ones recover"},
    {"connection refused",
     "fails at serverSelectionTimeoutMS (15/13053), or EXPIRED at its own "
     "deadline; NOT_SENT"},
    {"half-open peer",
     "EXPIRED by timeoutMS + 50 ms; cancelled and its worker free within "
     "5 ms; other workers go on"},
    {"reset amid the reply", "fails for the network and says so, MAYBE_SENT"},
    {"garbage for a reply", "refused with a reason; no crash"},
    {"a document too large",
     "fails before it is sent (8/18), NOT_SENT; no worker is lost"},
    {"a reply that drips", "EXPIRED by timeoutMS + 50 ms; the worker is free"},
    {"a reply for another request",
     "refused, the connection dropped; the next gets its own"},
    {"authentication fails",
     "fails at once (1/11), not at the selection's time-out; no retries"},
    {"TLS: wrong authority, host, date; no TLS at all",
     "refused with an error that says which, bounded"},
    {"a name that does not resolve",
     "fails at serverSelectionTimeoutMS or EXPIRED; a lookup that hangs "
     "holds nobody"},
    {"the primary steps down",
     "one retry, else the error and its label; all is well within a "
     "heartbeat"},
    {"the cursor is not found", "fails (17/43), the cursor is at its end"},
    {"the queue is full", "refused within 1 ms, NOT_SENT, nothing leaks"},
    {"no memory",
     "fails for MEMORY, NOT_SENT; the next works when there is some"},
    {"no thread to be had",
     "no client and an error (REFUSED), no thread stays; resize likewise"},
    {"no descriptor to be had",
     "no dispatcher and an error; the operation fails and says why; then "
     "all recovers"},
    {"the eventfd is full", "stays readable; every continuation runs"},
    {"a fork",
     "FORKED within 1 ms in the child, which ends well; the parent's "
     "operation is untouched"},
    {"signals all the time", "nobody sees EINTR; all results are right"},
    {"a continuation calls back in",
     "submit, attach, cancel, look, free: all legal"},
    {"a continuation frees its future", "legal"},
    {"the client goes with operations in flight",
     "all settle by the close's timeoutMS + 200 ms, each continuation once; "
     "unref within 1 ms"},
    {"cancelled twice", "the second changes nothing; one continuation"},
    {"cancel races completion",
     "one outcome, one continuation; the next gets its own"},
    {"wait where it would hang", "EDEADLK at once"},
    {"submit after close", "CLOSED at once, NOT_SENT, nothing leaks"},
    {"resized under load", "no operation fails; fewer workers remain"},
    {"the loop's thread goes",
     "futures stay good; nothing is written to a descriptor that is "
     "another's by now"},
    {"SIGPIPE", "never raised, plain or TLS, with its default action"},
};

enum state { NOT_RUN, BEGUN, WELL, EXCUSED };

struct told {
    enum state state;
    char injected[240];
    char saw[480];
};

static struct told *table; /* of FAULTS, shared by all processes */
static struct told *current;

void fault_table_new(void)
{
    table = mmap(NULL, FAULTS * sizeof *table, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (table == MAP_FAILED) {
        perror("mmap");
        abort();
    }
}

const char *fault_name(int row)
{
    return rows[row - 1].fault;
}

void fault_begin(int row, const char *injected, ...)
{
    va_list args;

    ck_assert_int_ge(row, 1);
    ck_assert_int_le(row, FAULTS);
    current = &table[row - 1];
    current->state = BEGUN;
    current->saw[0] = '\0';
    va_start(args, injected);
    vsnprintf(current->injected, sizeof current->injected, injected, args);
    va_end(args);
}

void fault_excuse(int row, const char *why)
{
    current = &table[row - 1];
    current->state = EXCUSED;
    snprintf(current->injected, sizeof current->injected, "not here: %s",
             why);
    current->saw[0] = '\0';
}

void fault_saw(const char *format, ...)
{
    size_t n = strlen(current->saw);
    va_list args;

    if (n > 0 && n + 3 < sizeof current->saw) {
        memcpy(current->saw + n, "; ", 3);
        n += 2;
    }
    va_start(args, format);
    vsnprintf(current->saw + n, sizeof current->saw - n, format, args);
    va_end(args);
}

void fault_end(void)
{
    current->state = WELL;
}

/* ---- figures ------------------------------------------------------------ */

void fault_within(const char *what, fault_measure_fn *measure, void *arg,
                  int64_t bound_us)
{
    const char *text = getenv("CK_TIMEOUT_MULTIPLIER");
    double factor = text == NULL ? 1 : strtod(text, NULL);
    double bound = (double)bound_us * (factor < 1 ? 1 : factor);
    char figures[96] = "";

    for (chances_t c = {0}; chances_next(&c);) {
        int64_t us = measure(arg);
        size_t n = strlen(figures);

        snprintf(figures + n, sizeof figures - n, "%s%.2f",
                 n == 0 ? "" : ", ", (double)us / 1000);
        if ((double)us <= bound) {
            fault_saw("%s %s ms", what, figures);
            return;
        }
    }
    fault_saw("%s %s ms, above %.2f each time", what, figures, bound / 1000);
    ck_abort_msg("%s: %s ms, three times above %.2f", what, figures,
                 bound / 1000);
}

/* ---- as text ------------------------------------------------------------ */

enum { COLUMNS = 5 };
static const int widths[COLUMNS] = {22, 28, 34, 44, 6};

/* The next line of `*text` that fits, and on to what follows it. */
static int take_line(const char **text, int width)
{
    const char *from = *text;
    int n = (int)strlen(from), cut = width;

    if (n <= width) {
        *text = from + n;
        return n;
    }
    while (cut > 0 && from[cut] != ' ')
        cut--;
    if (cut == 0)
        cut = width;
    *text = from + cut + (from[cut] == ' ');
    return cut;
}

static void print_cells(FILE *out, const char *label, const char *cells[])
{
    char line[256];
    int left;

    do {
        size_t n = (size_t)snprintf(line, sizeof line, "%3s ", label);

        left = 0;
        for (int i = 0; i < COLUMNS; i++) {
            const char *from = cells[i];
            int taken = take_line(&cells[i], widths[i]);

            n += (size_t)snprintf(line + n, sizeof line - n, " %-*.*s ",
                                  widths[i], taken, from);
            left += *cells[i] != '\0';
        }
        while (n > 0 && line[n - 1] == ' ')
            line[--n] = '\0';
        fprintf(out, "%s\n", line);
        label = "";
    } while (left > 0);
}

static void print_rule(FILE *out)
{
    int n = 4;

    for (int i = 0; i < COLUMNS; i++)
        n += widths[i] + 2;
    while (n-- > 0)
        fputc('-', out);
    fputc('\n', out);
}

static void print_table(FILE *out)
{
    static const char *const verdicts[] = {
        [NOT_RUN] = "NO RUN", [BEGUN] = "ILL", [WELL] = "well",
        [EXCUSED] = "-"};
    int n[EXCUSED + 1] = {0};

    print_cells(out, "",
                (const char *[]){"fault", "injected", "expected", "measured",
                                 "is"});
    print_rule(out);
    for (int i = 0; i < FAULTS; i++) {
        char label[8];

        n[table[i].state]++;
        snprintf(label, sizeof label, "%d", i + 1);
        print_cells(out, label,
                    (const char *[]){rows[i].fault, table[i].injected,
                                     rows[i].expected, table[i].saw,
                                     verdicts[table[i].state]});
    }
    print_rule(out);
    fprintf(out, "%d faults: %d well, %d ill, %d not run, %d not possible "
            "here\n", FAULTS, n[WELL], n[BEGUN], n[NOT_RUN], n[EXCUSED]);
}

void fault_table_print(void)
{
    FILE *file;

    print_table(stdout);
    fflush(stdout);
    mkdir("build", 0777);
    file = fopen("build/faults.txt", "w");
    ck_assert_msg(file != NULL, "build/faults.txt can not be written");
    print_table(file);
    ck_assert_int_eq(fclose(file), 0);
    for (int i = 0; i < FAULTS; i++)
        ck_assert_msg(table[i].state == WELL || table[i].state == EXCUSED,
                      "row %d, %s: %s", i + 1, rows[i].fault,
                      table[i].state == NOT_RUN ? "its test did not run"
                                                : "its test failed");
}
