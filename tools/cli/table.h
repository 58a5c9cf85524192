/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - a small table for people. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdint.h>
#include <stdio.h>

enum { TABLE_COLUMNS = 6, TABLE_ROWS = 32 };

typedef struct table {
    char *cells[TABLE_ROWS][TABLE_COLUMNS];
    int rows;
    int columns;
    const char *align; /* a character a column: 'l' or 'r' */
} table_t;

/* `align` has a character for each column. */
void table_init(table_t *table, const char *align);

/* One more row, of as many strings as there are columns, copied; the first
 * row is the head. */
void table_add(table_t *table, ...);

/* Print and empty it. */
void table_print(table_t *table, FILE *file);

/* A number with thousands apart: 25 000.  In one of a few static buffers. */
const char *table_number(double number, int decimals);

/* Microseconds as milliseconds, for people: "0.41 ms", "1 203 ms". */
const char *table_ms(int64_t microseconds);

#endif
