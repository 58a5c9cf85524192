/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - one document of extended JSON, or where its mistake is. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <bson/bson.h>
#include <stdbool.h>
#include <stddef.h>

/* What a server takes in one document. */
#define JSON_DOCUMENT_MAX (16 * 1024 * 1024)

typedef enum {
    JSON_OBJECT, /* must begin with '{' */
    JSON_ANY     /* an array too, as {"0": .., "1": ..} */
} json_kind_t;

typedef struct json_problem {
    size_t offset; /* bytes from the start of the text */
    size_t column; /* characters, from 1 */
    char reason[512];
} json_problem_t;

/* Parse `text`.  true: `document` holds it, which must be initialised.
 * false: `problem` says why. */
bool json_parse(const char *text, size_t length, json_kind_t kind,
                bson_t *document, json_problem_t *problem);

/* Where `text` stops being UTF-8 or holds a NUL; `length` if nowhere. */
size_t json_invalid_utf8(const char *text, size_t length);

/* The column of the byte at `offset`: characters, from 1. */
size_t json_column(const char *text, size_t offset);

#endif
