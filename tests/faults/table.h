/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - the table of faults, told by the tests that inject them.
 *
 *     fault_begin(4, "20 bytes of the answer, then a reset");
 *     ...                                  checks; the first that fails ends it
 *     fault_saw("%d of %d said reset", n, 3);
 *     fault_end();                         only now the row is well
 *
 * A test is a process of its own: rows are kept in memory that all share, made
 * before the first test.  The last test of the suite prints the table, writes
 * it to build/faults.txt, and fails for every row that is not well. */
#ifndef STATOR_TESTS_FAULTS_TABLE_H
#define STATOR_TESTS_FAULTS_TABLE_H

#include <stdint.h>

#include "tests/harness/suite.h"

enum { FAULTS = 30 };

/* When the suite is built. */
void fault_table_new(void);
/* The rows that tests told of, and how they went. */
void fault_table_print(void);

/* Row `row`, counted from 1: how the fault is injected here. */
void fault_begin(int row, const char *injected, ...)
    __attribute__((format(printf, 2, 3)));
/* It can not be injected here: the row says why, and is not counted as ill. */
void fault_excuse(int row, const char *why);
/* More of what was measured. */
void fault_saw(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fault_end(void);

/* What it is called and what must come of it. */
const char *fault_name(int row);

/* Measure up to three times; all figures are told.  It fails only when all
 * three are above `bound_us` (times CK_TIMEOUT_MULTIPLIER, for slow tools). */
typedef int64_t fault_measure_fn(void *arg);
void fault_within(const char *what, fault_measure_fn *measure, void *arg,
                  int64_t bound_us);

#define EXCUSE(row, why)        \
    do {                        \
        fault_excuse(row, why); \
        SKIP("%s", why);        \
    } while (0)

#endif /* STATOR_TESTS_FAULTS_TABLE_H */
