/* SPDX-License-Identifier: Apache-2.0 */
/* input_csv.c - CSV with a header, by libcsv.
 *
 * libcsv is fed a line at a time, so that a record's line is known and at
 * most one record ends in one call.  Only LF ends a line; a CR before it is
 * given to libcsv as white space, which it strips outside of quotes. */
#include <csv.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "json.h"

typedef struct fields {
    char **text; /* NULL: empty and not quoted */
    size_t *length;
    size_t count, room;
} fields_t;

struct csv_input {
    struct csv_parser parser;
    fields_t header;
    fields_t record;
    uint64_t record_line; /* where the record at hand begins; 0: none does */
    bool has_header;
    bool record_done;
    bool no_memory;
};

static const char not_closed[] = "a quote in the record that begins here is "
                                 "not closed";

static int is_carriage_return(unsigned char c)
{
    return c == CSV_CR;
}

static int is_newline(unsigned char c)
{
    return c == CSV_LF;
}

static void clear(fields_t *fields)
{
    for (size_t i = 0; i < fields->count; i++)
        free(fields->text[i]);
    fields->count = 0;
}

static void destroy(fields_t *fields)
{
    clear(fields);
    free(fields->text);
    free(fields->length);
}

static bool grow(fields_t *fields)
{
    size_t room = fields->room == 0 ? 16 : 2 * fields->room;
    char **text = realloc(fields->text, room * sizeof *text);
    size_t *length;

    if (text == NULL)
        return false;
    fields->text = text;
    length = realloc(fields->length, room * sizeof *length);
    if (length == NULL)
        return false;
    fields->length = length;
    fields->room = room;
    return true;
}

static void on_field(void *text, size_t length, void *arg)
{
    struct csv_input *csv = arg;
    fields_t *record = &csv->record;
    char *copy = NULL;

    if (record->count == record->room && !grow(record)) {
        csv->no_memory = true;
        return;
    }
    if (text != NULL) {
        copy = malloc(length + 1);
        if (copy == NULL) {
            csv->no_memory = true;
            return;
        }
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    record->text[record->count] = copy;
    record->length[record->count++] = length;
}

static void on_record(int newline, void *arg)
{
    struct csv_input *csv = arg;

    (void)newline;
    csv->record_done = true;
}

static bool start_parser(struct csv_input *csv)
{
    if (csv_init(&csv->parser, CSV_STRICT | CSV_STRICT_FINI |
                                   CSV_EMPTY_IS_NULL) != 0)
        return false;
    csv_set_space_func(&csv->parser, is_carriage_return);
    csv_set_term_func(&csv->parser, is_newline);
    return true;
}

/* After a mistake libcsv's state means nothing: begin anew, on a new line. */
static void restart(struct csv_input *csv)
{
    csv_free(&csv->parser);
    start_parser(csv);
    clear(&csv->record);
    csv->record_line = 0;
    csv->record_done = false;
}

static struct csv_input *csv_of(input_t *input)
{
    if (input->csv == NULL) {
        input->csv = calloc(1, sizeof *input->csv);
        if (input->csv != NULL && !start_parser(input->csv)) {
            free(input->csv);
            input->csv = NULL;
        }
    }
    return input->csv;
}

void input_close_csv(input_t *input)
{
    if (input->csv == NULL)
        return;
    csv_free(&input->csv->parser);
    destroy(&input->csv->header);
    destroy(&input->csv->record);
    free(input->csv);
    input->csv = NULL;
}

/* [+-]digits, without a leading zero: those are codes, not numbers. */
static bool looks_integer(const char *text)
{
    text += *text == '-' || *text == '+';
    if (*text == '0')
        return text[1] == '\0';
    return *text != '\0' && strspn(text, "0123456789") == strlen(text);
}

/* As above, with a fraction or an exponent. */
static bool looks_decimal(const char *text)
{
    size_t whole, fraction = 0;

    text += *text == '-' || *text == '+';
    whole = strspn(text, "0123456789");
    if (whole > 1 && *text == '0')
        return false;
    text += whole;
    if (*text == '.') {
        fraction = strspn(text + 1, "0123456789");
        text += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '-' || *text == '+';
        return *text != '\0' && strspn(text, "0123456789") == strlen(text);
    }
    return *text == '\0';
}

/* A value by its look.  What a number can not hold exactly, by size, stays
 * a string: nothing is lost silently. */
static bool append_inferred(bson_t *document, const char *key, int key_length,
                            const char *text)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return bson_append_bool(document, key, key_length, *text == 't');
    if (looks_integer(text)) {
        long long n;

        errno = 0;
        n = strtoll(text, NULL, 10);
        if (errno == 0 && n >= INT32_MIN && n <= INT32_MAX)
            return bson_append_int32(document, key, key_length, (int)n);
        if (errno == 0)
            return bson_append_int64(document, key, key_length, n);
    } else if (looks_decimal(text)) {
        double d = strtod(text, NULL);

        if (isfinite(d))
            return bson_append_double(document, key, key_length, d);
    }
    return bson_append_utf8(document, key, key_length, text, -1);
}

static bool build(input_t *input, bson_t *document)
{
    struct csv_input *csv = input->csv;
    bool good = true;

    for (size_t i = 0; good && i < csv->record.count; i++) {
        const char *key = csv->header.text[i];
        int key_length = (int)csv->header.length[i];
        const char *text = csv->record.text[i];

        if (!input->infer)
            good = bson_append_utf8(document, key, key_length,
                                    text == NULL ? "" : text, -1);
        else if (text == NULL)
            good = bson_append_null(document, key, key_length);
        else
            good = append_inferred(document, key, key_length, text);
    }
    return good && document->len <= JSON_DOCUMENT_MAX;
}

static input_result_t complain(input_t *input, input_result_t result,
                               uint64_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static input_result_t complain(input_t *input, input_result_t result,
                               uint64_t line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(input->reason, sizeof input->reason, format, args);
    va_end(args);
    return input_complain(input, result, line, 1, input->reason);
}

/* The record at hand is the header.  DOCUMENT: it is good. */
static input_result_t take_header(input_t *input, uint64_t line)
{
    struct csv_input *csv = input->csv;
    fields_t swap = csv->header;

    csv->header = csv->record;
    csv->record = swap;
    csv->has_header = true;
    for (size_t i = 0; i < csv->header.count; i++) {
        const char *name = csv->header.text[i];

        if (name == NULL || *name == '\0')
            return complain(input, INPUT_BROKEN, line,
                            "column %zu of the header has no name", i + 1);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(name, csv->header.text[k]) == 0)
                return complain(input, INPUT_BROKEN, line,
                                "the columns %zu and %zu of the header are "
                                "both named \"%s\"", k + 1, i + 1, name);
        }
    }
    return INPUT_DOCUMENT;
}

static input_result_t take_record(input_t *input, bson_t *document)
{
    struct csv_input *csv = input->csv;
    uint64_t line = csv->record_line;
    size_t count = csv->record.count;
    bool good;

    csv->record_line = 0;
    csv->record_done = false;
    if (csv->no_memory)
        return complain(input, INPUT_BROKEN, line, "out of memory");
    if (!csv->has_header)
        return take_header(input, line);
    if (count != csv->header.count) {
        clear(&csv->record);
        return complain(input, INPUT_BAD, line,
                        "%zu field%s, but the header has %zu", count,
                        count == 1 ? "" : "s", csv->header.count);
    }
    good = build(input, document);
    clear(&csv->record);
    if (!good)
        return complain(input, INPUT_BAD, line,
                        "the record has more bytes of BSON than the %d that "
                        "a server takes", JSON_DOCUMENT_MAX);
    input->place = (place_t){line, 1};
    return INPUT_DOCUMENT;
}

static input_result_t finish(input_t *input)
{
    struct csv_input *csv = input->csv;
    uint64_t line = csv->record_line;

    csv->record_line = 0;
    if (csv_fini(&csv->parser, on_field, on_record, csv) == 0)
        return INPUT_END;
    return complain(input, INPUT_BROKEN, line, "%s", not_closed);
}

/* Feed one line.  DOCUMENT: go on; the record may be done or not. */
static input_result_t feed(input_t *input, const char *line, size_t length,
                           uint64_t number)
{
    struct csv_input *csv = input->csv;
    size_t bad = json_invalid_utf8(line, length), used;
    uint64_t began;
    input_result_t result;
    const char *reason = "text after a closing quote, or a quote in a field "
                         "that does not begin with one";

    if (csv->record_line == 0)
        csv->record_line = number;
    used = bad;
    if (bad < length)
        reason = line[bad] == '\0' ? "a NUL byte" : "invalid UTF-8";
    else
        used = csv_parse(&csv->parser, line, length, on_field, on_record,
                         csv);
    if (used == length)
        csv_parse(&csv->parser, "\n", 1, on_field, on_record, csv);
    began = csv->record_line;
    if (csv->parser.entry_pos > SOURCE_PIECE_MAX)
        return complain(input, INPUT_BROKEN, began, "%s", not_closed);
    if (used == length && csv->parser.status == CSV_SUCCESS)
        return INPUT_DOCUMENT;
    restart(csv);
    result = csv->has_header ? INPUT_BAD : INPUT_BROKEN;
    complain(input, result, number, "%s", reason);
    if (began != number)
        complain(input, result, number,
                 "%s; the record begins in line %" PRIu64, reason, began);
    input->place.column = json_column(line, used);
    return result;
}

input_result_t input_next_record(input_t *input, bson_t *document)
{
    source_t *source = &input->source;
    struct csv_input *csv = csv_of(input);
    uint64_t number;
    char *line;
    size_t length;

    if (csv == NULL)
        return INPUT_FAILED;
    for (;;) {
        source_result_t got;
        input_result_t result;
        bool was_header;

        number = source->line;
        got = source_line(source, &line, &length);
        if (got == SOURCE_WAIT)
            return INPUT_WAIT;
        if (got == SOURCE_FAILED)
            return INPUT_FAILED;
        if (got == SOURCE_END)
            return csv->record_line != 0 ? finish(input) : INPUT_END;
        if (got == SOURCE_TOO_LONG) {
            restart(csv);
            return input_complain(input, INPUT_BAD, number, 1,
                                  "longer than 64 MiB");
        }
        result = feed(input, line, length, number);
        if (result != INPUT_DOCUMENT)
            return result;
        if (!csv->record_done) {
            if (csv->record.count == 0 && !csv->parser.quoted)
                csv->record_line = 0; /* an empty line */
            continue;
        }
        was_header = !csv->has_header;
        result = take_record(input, document);
        if (result != INPUT_DOCUMENT || !was_header)
            return result;
    }
}
