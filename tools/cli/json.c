/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - libbson's parser, with the three things it does not do:
 *
 *   the place of a mistake as a number (it has it in its message only);
 *   integers beyond 64 bits (it lets them wrap around, some silently);
 *   text after the document (it would take it for the next one). */
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The names that libbson's scanner gives its errors, in plain words. */
static const struct {
    const char *name;
    const char *words;
} scanner_errors[] = {
    {"VALUE_EXPECTED", "a value is missing here"},
    {"BRACKET_MISMATCH", "this bracket does not match"},
    {"CANT_INSERT", "a ',' or ':' is missing before this"},
    {"SPECIAL_EXPECTED", "a string in double quotes, a number, true, false, "
                         "null, '{' or '[' is expected here"},
    {"SPECIAL_INCOMPLETE", "true, false or null is expected here"},
    {"TRAILING_COMMA", "a ',' with nothing after it"},
    {"MISSING_COMMA", "a ',' is missing before this"},
    {"STRAY_TOKEN", "this does not belong here"},
    {"HKEY_EXPECTED", "a key is missing here"},
    {"OBJKEY_STRING", "a key must be a string in double quotes"},
    {"KEY_EXPECTED", "a key is missing here"},
    {"WEIRD_WHITESPACE", "a control character in a string: write it as an "
                         "escape sequence"},
    {"ESCAPE_INVALID", "an unknown escape sequence"},
    {"INVALID_NUMBER", "not a number"},
    {"INVALID_CODEPOINT", "an escape sequence that is no character"},
    {"PERCENT_BADHEX", "an escape sequence that is not hexadecimal"},
    {"LEVELS_EXCEEDED", "nested deeper than 100 levels"},
    {"GARBAGE_TRAILING", "text after the document"}};

static size_t sequence_length(unsigned char c)
{
    if (c < 0x80)
        return c != 0;
    if (c >= 0xc2 && c <= 0xdf)
        return 2;
    if (c >= 0xe0 && c <= 0xef)
        return 3;
    return c >= 0xf0 && c <= 0xf4 ? 4 : 0;
}

static bool is_sequence(const char *text, size_t n)
{
    return n > 0 && bson_utf8_validate(text, n, false);
}

size_t json_invalid_utf8(const char *text, size_t length)
{
    size_t i = 0;

    if (bson_utf8_validate(text, length, false))
        return length;
    while (i < length) {
        size_t n = sequence_length((unsigned char)text[i]);

        if (n > length - i || !is_sequence(text + i, n))
            return i;
        i += n;
    }
    return length;
}

size_t json_column(const char *text, size_t offset)
{
    size_t column = 1;

    for (size_t i = 0; i < offset; i++)
        column += ((unsigned char)text[i] & 0xc0) != 0x80;
    return column;
}

static bool fail(json_problem_t *problem, const char *text, size_t offset,
                 const char *reason)
{
    problem->offset = offset;
    problem->column = json_column(text, offset);
    bson_strncpy(problem->reason, reason, sizeof problem->reason);
    return false;
}

/* Where an integer of more than 19 digits is, or `length`: 2^64 and more
 * wrap around in libbson. */
static size_t find_huge_integer(const char *text, size_t length)
{
    bool in_string = false;

    for (size_t i = 0; i < length; i++) {
        size_t from = i;

        if (in_string) {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"')
                in_string = false;
            continue;
        }
        in_string = text[i] == '"';
        if (text[i] < '0' || text[i] > '9')
            continue;
        while (i < length && text[i] >= '0' && text[i] <= '9')
            i++;
        if (i - from > 19 &&
            (i == length ||
             (text[i] != '.' && text[i] != 'e' && text[i] != 'E')))
            return from;
        while (i < length && text[i] != '\0' &&
               strchr("0123456789+-.eE", text[i]) != NULL)
            i++;
        i--;
    }
    return length;
}

static bool explain(const char *text, size_t length, const bson_error_t *why,
                    json_problem_t *problem)
{
    const char *position = strstr(why->message, "position ");
    size_t offset = position == NULL ? 0 : strtoul(position + 9, NULL, 10);

    if (strcmp(why->message, "Incomplete JSON") == 0)
        return fail(problem, text, length,
                    "the document ends too early: a bracket or a quote is "
                    "not closed");
    if (position == NULL || offset > length)
        return fail(problem, text, 0, why->message);
    for (size_t i = 0; i < sizeof scanner_errors / sizeof *scanner_errors;
         i++) {
        const char *name = scanner_errors[i].name;
        const char *at = strstr(position, name);

        if (at != NULL && at > position && at[-1] == '"' &&
            at[strlen(name)] == '"')
            return fail(problem, text, offset, scanner_errors[i].words);
    }
    return fail(problem, text, offset, why->message);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool json_parse(const char *text, size_t length, json_kind_t kind,
                bson_t *document, json_problem_t *problem)
{
    bson_json_reader_t *reader;
    bson_error_t error;
    size_t start = 0, at;
    bson_t second = BSON_INITIALIZER;
    int more = 0, got;

    at = json_invalid_utf8(text, length);
    if (at < length)
        return fail(problem, text, at,
                    text[at] == '\0' ? "a NUL byte" : "invalid UTF-8");
    while (start < length && is_space(text[start]))
        start++;
    if (start == length)
        return fail(problem, text, 0, "no JSON here");
    if (text[start] != '{' && (kind == JSON_OBJECT || text[start] != '['))
        return fail(problem, text, start,
                    kind == JSON_OBJECT ? "a document must begin with '{'"
                                        : "'{' or '[' is expected here");
    at = find_huge_integer(text, length);
    if (at < length)
        return fail(problem, text, at, "an integer beyond 64 bits");

    /* The reader copies in pieces of this size; the text is here already. */
    reader = bson_json_data_reader_new(true, (size_t)16 * 1024);
    bson_json_data_reader_ingest(reader, (const uint8_t *)text, length);
    memset(&error, 0, sizeof error);
    got = bson_json_reader_read(reader, document, &error);
    if (got == 1)
        more = bson_json_reader_read(reader, &second, &error);
    bson_json_reader_destroy(reader);
    bson_destroy(&second);

    if (got == 1 && more == 0) {
        if (document->len <= JSON_DOCUMENT_MAX)
            return true;
        snprintf(error.message, sizeof error.message,
                 "the document has %u bytes of BSON; a server takes %d",
                 document->len, JSON_DOCUMENT_MAX);
        return fail(problem, text, 0, error.message);
    }
    if (got == 1 && more == 1)
        return fail(problem, text, length, "a second document on this line");
    if (got == 0)
        return fail(problem, text, length, "no JSON here");
    return explain(text, length, &error, problem);
}
