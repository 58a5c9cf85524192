/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - columns as wide as their widest cell. */
#include "table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"

void table_init(table_t *table, const char *align)
{
    memset(table, 0, sizeof *table);
    table->align = align;
    table->columns = (int)strlen(align);
}

void table_add(table_t *table, ...)
{
    va_list args;

    if (table->rows == TABLE_ROWS)
        return;
    va_start(args, table);
    for (int i = 0; i < table->columns; i++)
        table->cells[table->rows][i] = strdup(va_arg(args, const char *));
    va_end(args);
    table->rows++;
}

/* Characters, not bytes; wide ones are not told apart. */
static int width(const char *text)
{
    int n = 0;

    for (; text != NULL && *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void print_row(const table_t *table, int row, const int *widths,
                      FILE *file)
{
    fprintf(file, "%s ", row == 0 ? say_style(file, STYLE_BOLD) : "");
    for (int i = 0; i < table->columns; i++) {
        const char *cell = table->cells[row][i];
        int pad = widths[i] - width(cell);

        if (table->align[i] == 'r')
            fprintf(file, " %*s%s", pad, "", cell);
        else if (i + 1 < table->columns)
            fprintf(file, " %s%*s", cell, pad, "");
        else
            fprintf(file, " %s", cell);
        if (i + 1 < table->columns)
            fputc(' ', file);
    }
    fprintf(file, "%s\n", row == 0 ? say_plain(file) : "");
}

void table_print(table_t *table, FILE *file)
{
    int widths[TABLE_COLUMNS] = {0};

    for (int row = 0; row < table->rows; row++) {
        for (int i = 0; i < table->columns; i++) {
            int w = width(table->cells[row][i]);

            if (w > widths[i])
                widths[i] = w;
        }
    }
    for (int row = 0; row < table->rows; row++) {
        print_row(table, row, widths, file);
        for (int i = 0; i < table->columns; i++)
            free(table->cells[row][i]);
    }
    fflush(file);
    table->rows = 0;
}

static char *buffer(size_t *size)
{
    static char buffers[16][48];
    static unsigned next;

    *size = sizeof *buffers;
    return buffers[next++ % 16];
}

const char *table_number(double number, int decimals)
{
    char plain[48];
    size_t size, out = 0;
    char *text = buffer(&size);
    int whole;

    snprintf(plain, sizeof plain, "%.*f", decimals, number);
    whole = (int)strcspn(plain, ".");
    for (int i = 0; plain[i] != '\0' && out + 2 < size; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0 && plain[i - 1] != '-')
            text[out++] = ' ';
        text[out++] = plain[i];
    }
    text[out] = '\0';
    return text;
}

const char *table_ms(int64_t microseconds)
{
    double ms = (double)microseconds / 1000;
    size_t size;
    char *text = buffer(&size);

    snprintf(text, size, "%s ms",
             table_number(ms, ms < 10 ? 2 : ms < 100 ? 1 : 0));
    return text;
}
