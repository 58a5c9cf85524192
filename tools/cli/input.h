/* SPDX-License-Identifier: Apache-2.0 */
/* input.h - documents out of a file: JSON lines, a JSON array, CSV. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <bson/bson.h>
#include <stdbool.h>

#include "source.h"

typedef enum {
    INPUT_AUTO,
    INPUT_LINES,
    INPUT_ARRAY,
    INPUT_CSV
} input_format_t;

typedef enum {
    INPUT_DOCUMENT, /* one more; `place` says where it begins */
    INPUT_BAD,      /* `place` and `reason`; the next call goes on after it */
    INPUT_WAIT,     /* nothing here yet: poll input->source.fd */
    INPUT_END,
    INPUT_BROKEN,   /* as BAD, but what follows can not be made sense of */
    INPUT_FAILED    /* reading failed: errno */
} input_result_t;

/* Both from 1; the column counts characters. */
typedef struct place {
    uint64_t line;
    uint64_t column;
} place_t;

struct csv_input;

typedef struct input {
    source_t source;
    input_format_t format;
    bool infer; /* CSV: numbers and booleans by their look */
    bool begun; /* the byte order mark is behind us, the format known */
    place_t place;
    char reason[512];
    /* A JSON array */
    bool in_array, after_array, wants_comma;
    uint64_t elements;
    place_t at;     /* of what is unread */
    size_t scanned; /* of the element at hand */
    int depth;
    bool in_string, escaped;
    /* CSV */
    struct csv_input *csv;
} input_t;

/* `path` "-" is stdin.  INPUT_AUTO goes by the name's ending, then by the
 * first character.  false: errno. */
bool input_open(input_t *input, const char *path, input_format_t format,
                bool infer);
void input_close(input_t *input);

/* `document` must be initialised and empty; it is filled for DOCUMENT. */
input_result_t input_next(input_t *input, bson_t *document);

/* Between the files of the input: set place and reason, give `result`. */
input_result_t input_complain(input_t *input, input_result_t result,
                              uint64_t line, uint64_t column,
                              const char *reason);

/* The formats. */
input_result_t input_next_line(input_t *input, bson_t *document);
input_result_t input_next_element(input_t *input, bson_t *document);
input_result_t input_next_record(input_t *input, bson_t *document);
void input_close_csv(input_t *input);

#endif
