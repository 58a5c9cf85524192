/* SPDX-License-Identifier: Apache-2.0 */
/* schema_tables.h - the documents of the format, as tables. */
#ifndef TESTS_SPEC_SCHEMA_TABLES_H
#define TESTS_SPEC_SCHEMA_TABLES_H

#include <bson/bson.h>
#include <stdbool.h>
#include <stdint.h>

#define WORD_LETTERS                                                           \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

typedef struct shape shape_t;

typedef struct field {
    const char *name; /* NULL: the end of the table */
    enum {
        IS_ANYTHING,
        IS_UTF8,
        IS_VERSION,
        IS_ENUM,
        IS_BOOL,
        IS_TRUE,
        IS_INTEGER,
        IS_DOCUMENT,
        IS_SHAPE,
        IS_BOOL_OR_SHAPE,
        IS_WORD_OR_PLACEHOLDER
    } is;
    enum { ONE, ANY, SOME } many; /* a value, an array, one that is not empty */
    bool required;
    const shape_t *shape;
    const char *const *words;
} field_t;

struct shape {
    const field_t *fields;
    uint32_t least, most; /* fields; most 0: no limit */
    bool named;           /* "name:other" counts as "name" */
    const char *(*also)(const bson_t *document); /* NULL, or what is wrong */
};

const shape_t *schema_file(void);

#endif
