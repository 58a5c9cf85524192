/* SPDX-License-Identifier: Apache-2.0 */
/* input.c - opens an input and finds out what it is. */
#include "input.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static input_format_t format_of_name(const char *path)
{
    static const struct {
        const char *ending;
        input_format_t format;
    } endings[] = {{".jsonl", INPUT_LINES},
                   {".ndjson", INPUT_LINES},
                   {".csv", INPUT_CSV}};
    size_t length = strlen(path);

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i].ending);

        if (length >= n &&
            strcasecmp(path + length - n, endings[i].ending) == 0)
            return endings[i].format;
    }
    return INPUT_AUTO; /* .json may be lines or an array */
}

bool input_open(input_t *input, const char *path, input_format_t format,
                bool infer)
{
    memset(input, 0, sizeof *input);
    if (!source_open(&input->source, path))
        return false;
    input->infer = infer;
    input->at = (place_t){1, 1};
    input->format = format != INPUT_AUTO ? format : format_of_name(path);
    return true;
}

void input_close(input_t *input)
{
    input_close_csv(input);
    source_close(&input->source);
}

input_result_t input_complain(input_t *input, input_result_t result,
                              uint64_t line, uint64_t column,
                              const char *reason)
{
    input->place = (place_t){line, column};
    if (reason != input->reason)
        bson_strncpy(input->reason, reason, sizeof input->reason);
    return result;
}

static input_result_t not_yet(source_result_t result)
{
    if (result == SOURCE_WAIT)
        return INPUT_WAIT;
    return result == SOURCE_END ? INPUT_END : INPUT_FAILED;
}

/* Step over the byte order mark, and look at the first character where the
 * name does not tell the format.  DOCUMENT: go on. */
static input_result_t begin(input_t *input)
{
    source_t *source = &input->source;
    const char *at, *end;
    source_result_t filled = SOURCE_OK;

    while (source->end - source->start < 3 && filled == SOURCE_OK)
        filled = source_fill(source);
    if (source->end - source->start < 3 && filled != SOURCE_END)
        return not_yet(filled);
    at = source->buffer + source->start;
    if (source->taken == 0 && source->end - source->start >= 3 &&
        memcmp(at, "\xef\xbb\xbf", 3) == 0)
        source_take(source, 3);

    for (;;) {
        at = source->buffer + source->start;
        end = source->buffer + source->end;
        while (at < end && strchr(" \t\r\n", *at) != NULL && *at != '\0')
            at++;
        if (at < end || source->eof)
            break;
        filled = source_fill(source);
        if (filled != SOURCE_OK && filled != SOURCE_END)
            return not_yet(filled);
    }
    if (input->format == INPUT_AUTO) {
        input->format = INPUT_CSV;
        if (at == end || *at == '{')
            input->format = INPUT_LINES;
        else if (*at == '[')
            input->format = INPUT_ARRAY;
    }
    input->begun = true;
    return INPUT_DOCUMENT;
}

input_result_t input_next(input_t *input, bson_t *document)
{
    if (!input->begun) {
        input_result_t result = begin(input);

        if (result != INPUT_DOCUMENT)
            return result;
    }
    if (input->format == INPUT_LINES)
        return input_next_line(input, document);
    if (input->format == INPUT_ARRAY)
        return input_next_element(input, document);
    return input_next_record(input, document);
}
