/* SPDX-License-Identifier: Apache-2.0 */
/* input_json.c - JSON lines, and the elements of one JSON array.
 *
 * An array is cut into its elements here, by brackets and quotes alone, so
 * that it need not fit in memory; libbson then reads each. */
#include <stdio.h>
#include <string.h>

#include "input.h"
#include "json.h"

static const char too_long[] = "longer than 64 MiB";

static input_result_t not_yet(source_result_t result)
{
    if (result == SOURCE_WAIT)
        return INPUT_WAIT;
    return result == SOURCE_END ? INPUT_END : INPUT_FAILED;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_blank(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!is_space(text[i]))
            return false;
    }
    return true;
}

input_result_t input_next_line(input_t *input, bson_t *document)
{
    source_t *source = &input->source;
    json_problem_t problem;
    source_result_t got;
    uint64_t number;
    char *line;
    size_t length;

    do {
        number = source->line;
        got = source_line(source, &line, &length);
        if (got == SOURCE_TOO_LONG)
            return input_complain(input, INPUT_BAD, number, 1, too_long);
        if (got != SOURCE_OK)
            return not_yet(got);
        if (length > 0 && line[length - 1] == '\r')
            length--;
    } while (is_blank(line, length));

    if (!json_parse(line, length, JSON_OBJECT, document, &problem))
        return input_complain(input, INPUT_BAD, number, problem.column,
                              problem.reason);
    input->place = (place_t){number, 1};
    while (is_space(line[input->place.column - 1]))
        input->place.column++;
    return INPUT_DOCUMENT;
}

/* The column of the byte at `offset` behind the start of the buffer.  What
 * came before on the same line is gone, so it counts from `base`. */
static place_t place_of(const char *text, size_t offset, place_t base)
{
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            base.line++;
            base.column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            base.column++;
        }
    }
    return base;
}

/* Consume `n` bytes; input->at follows. */
static void take(input_t *input, size_t n)
{
    source_t *source = &input->source;

    input->at = place_of(source->buffer + source->start, n, input->at);
    source_take(source, n);
}

static input_result_t broken(input_t *input, const char *reason)
{
    return input_complain(input, INPUT_BROKEN, input->at.line,
                          input->at.column, reason);
}

/* The first character that is no white space; '\0' and `result` if it is not
 * here. */
static char peek(input_t *input, input_result_t *result)
{
    source_t *source = &input->source;

    for (;;) {
        const char *at = source->buffer + source->start;
        size_t here = source->end - source->start, n = 0;
        source_result_t got;

        while (n < here && is_space(at[n]))
            n++;
        take(input, n);
        if (n < here) {
            *result = INPUT_DOCUMENT;
            return at[n];
        }
        got = source_fill(source);
        if (got != SOURCE_OK) {
            *result = not_yet(got);
            return '\0';
        }
    }
}

/* Scan the element at hand.  true: its length. */
static bool scan(input_t *input, size_t *length)
{
    source_t *source = &input->source;
    const char *at = source->buffer + source->start;
    size_t here = source->end - source->start, i;

    for (i = input->scanned; i < here; i++) {
        char c = at[i];

        if (input->in_string) {
            if (input->escaped)
                input->escaped = false;
            else if (c == '\\')
                input->escaped = true;
            else if (c == '"')
                input->in_string = false;
        } else if (c == '"') {
            input->in_string = true;
        } else if (c == '{' || c == '[') {
            input->depth++;
        } else if (input->depth == 0 && (c == ',' || c == ']')) {
            break;
        } else if (c == '}' || c == ']') {
            if (--input->depth <= 0) {
                i++;
                break;
            }
        }
    }
    input->scanned = i;
    *length = i;
    return i < here || (i > 0 && input->depth == 0 && !input->in_string &&
                        (at[i - 1] == '}' || at[i - 1] == ']'));
}

static input_result_t element(input_t *input, bson_t *document)
{
    source_t *source = &input->source;
    json_problem_t problem;
    size_t length;
    place_t place = input->at;
    const char *text;
    bool good;

    while (!scan(input, &length)) {
        source_result_t got = source_fill(source);

        if (got == SOURCE_END)
            return broken(input, "this element is not finished when the "
                                 "input ends");
        if (got != SOURCE_OK)
            return not_yet(got);
        if (source->end - source->start > SOURCE_PIECE_MAX)
            return broken(input, too_long);
    }
    input->scanned = 0;
    input->depth = 0;
    text = source->buffer + source->start;
    good = json_parse(text, length, JSON_OBJECT, document, &problem);
    if (!good)
        place = place_of(text, problem.offset, place);
    take(input, length);
    input->wants_comma = true;
    input->elements++;
    if (!good)
        return input_complain(input, INPUT_BAD, place.line, place.column,
                              problem.reason);
    input->place = place;
    return INPUT_DOCUMENT;
}

input_result_t input_next_element(input_t *input, bson_t *document)
{
    input_result_t result;
    char c;

    for (;;) {
        if (input->scanned > 0) /* in the middle of one */
            return element(input, document);
        c = peek(input, &result);
        if (result == INPUT_END)
            return input->after_array || !input->in_array
                       ? INPUT_END
                       : broken(input, "the array is not closed: ']' is "
                                       "missing");
        if (result != INPUT_DOCUMENT)
            return result;
        if (input->after_array)
            return broken(input, "text after the array");
        if (!input->in_array) {
            if (c != '[')
                return broken(input, "an array must begin with '['");
            input->in_array = true;
        } else if (c == ']') {
            if (input->elements > 0 && !input->wants_comma)
                return broken(input, "a ',' with nothing after it");
            input->after_array = true;
        } else if (input->wants_comma) {
            if (c != ',')
                return broken(input, "',' or ']' is expected here");
            input->wants_comma = false;
        } else {
            return element(input, document);
        }
        take(input, 1);
    }
}
