/* SPDX-License-Identifier: Apache-2.0 */
/* schema.c - one reader, led by tables (schema_tables.h).
 *
 * A shape is a kind of document: its fields, and nothing but its fields.  A
 * field says what its value must be; an array's elements obey the same. */
#include "tests/spec/schema.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/spec/schema_tables.h"
#include "tests/spec/value.h"

typedef struct place {
    verdict_t *verdict;
    char path[400];
} place_t;

static bool check_shape(place_t *place, const shape_t *shape,
                        const bson_t *document);

static bool wrong(place_t *place, const char *what)
{
    return verdict_fail(place->verdict, "not of the format: %s %s",
                        place->path[0] == '\0' ? "the file" : place->path,
                        what);
}

/* Go down to `key`; the answer is what `leave` needs to come back. */
static size_t enter(place_t *place, const char *key)
{
    size_t length = strlen(place->path);

    snprintf(place->path + length, sizeof place->path - length, "%s%s",
             length == 0 ? "" : ".", key);
    return length;
}

static void leave(place_t *place, size_t length)
{
    place->path[length] = '\0';
}

/* Two or three numbers with dots between: "1.0", "4.2.1". */
static bool is_version(const char *word)
{
    int parts = 0;

    for (;;) {
        if (!isdigit((unsigned char)*word))
            return false;
        while (isdigit((unsigned char)*word))
            word++;
        parts++;
        if (*word == '\0')
            return parts == 2 || parts == 3;
        if (*word++ != '.')
            return false;
    }
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

static bool check_word(place_t *place, const field_t *field,
                       const bson_iter_t *at)
{
    const char *word;

    if (!BSON_ITER_HOLDS_UTF8(at))
        return wrong(place, "is no string");
    word = bson_iter_utf8(at, NULL);
    if (field->is == IS_VERSION && !is_version(word))
        return wrong(place, "is no version");
    if (field->is == IS_ENUM && !is_one_of(word, field->words))
        return wrong(place, "is none of the words that may be here");
    return true;
}

static bool check_document(place_t *place, const field_t *field,
                           const bson_iter_t *at)
{
    bson_t view;

    if (!BSON_ITER_HOLDS_DOCUMENT(at) || !value_look(at, &view))
        return wrong(place, "is no document");
    return field->is == IS_DOCUMENT || check_shape(place, field->shape, &view);
}

static bool check_value(place_t *place, const field_t *field,
                        const bson_iter_t *at)
{
    switch (field->is) {
    case IS_ANYTHING:
        return true;
    case IS_UTF8:
    case IS_VERSION:
    case IS_ENUM:
        return check_word(place, field, at);
    case IS_WORD_OR_PLACEHOLDER:
        return BSON_ITER_HOLDS_UTF8(at) ||
               check_document(place, field, at);
    case IS_BOOL:
        return BSON_ITER_HOLDS_BOOL(at) || wrong(place, "is no bool");
    case IS_BOOL_OR_SHAPE:
        return BSON_ITER_HOLDS_BOOL(at) || check_document(place, field, at);
    case IS_TRUE:
        return (BSON_ITER_HOLDS_BOOL(at) && bson_iter_bool(at)) ||
               wrong(place, "is not true");
    case IS_INTEGER:
        return BSON_ITER_HOLDS_INT(at) || wrong(place, "is no integer");
    case IS_DOCUMENT:
    case IS_SHAPE:
        return check_document(place, field, at);
    }
    return false;
}

static bool check_array(place_t *place, const field_t *field,
                        const bson_iter_t *at)
{
    bson_iter_t element;
    bson_t view;
    int n = 0;

    if (!BSON_ITER_HOLDS_ARRAY(at) || !value_look(at, &view))
        return wrong(place, "is no array");
    bson_iter_init(&element, &view);
    for (; bson_iter_next(&element); n++) {
        size_t back = enter(place, bson_iter_key(&element));

        if (!check_value(place, field, &element))
            return false;
        leave(place, back);
    }
    if (n == 0 && field->many == SOME)
        return wrong(place, "is empty");
    return true;
}

/* The providers' names may bear a colon and a name of their own. */
static const field_t *field_of(const shape_t *shape, const char *key)
{
    size_t n = shape->named ? strcspn(key, ":") : strlen(key);
    const field_t *field;

    if (key[n] == ':' && (key[n + 1] == '\0' ||
                          key[n + 1 + strspn(key + n + 1, WORD_LETTERS)]))
        return NULL;
    for (field = shape->fields; field->name != NULL; field++)
        if (strlen(field->name) == n && strncmp(field->name, key, n) == 0)
            return field;
    return NULL;
}

static bool check_field(place_t *place, const shape_t *shape,
                        const bson_iter_t *at)
{
    const field_t *field = field_of(shape, bson_iter_key(at));
    size_t back = enter(place, bson_iter_key(at));
    bool fine;

    if (field == NULL)
        return wrong(place, "may not be here");
    fine = field->many == ONE ? check_value(place, field, at)
                              : check_array(place, field, at);
    if (fine)
        leave(place, back);
    return fine;
}

static bool check_shape(place_t *place, const shape_t *shape,
                        const bson_t *document)
{
    uint32_t n = bson_count_keys(document);
    const field_t *field;
    bson_iter_t at;
    char what[100];

    bson_iter_init(&at, document);
    while (bson_iter_next(&at))
        if (!check_field(place, shape, &at))
            return false;
    for (field = shape->fields; field->name != NULL; field++)
        if (field->required && !value_has(document, field->name)) {
            snprintf(what, sizeof what, "lacks \"%s\"", field->name);
            return wrong(place, what);
        }
    if (n < shape->least)
        return wrong(place, "is empty");
    if (shape->most > 0 && n > shape->most)
        return wrong(place, "has too many fields");
    if (shape->also != NULL) {
        const char *why = shape->also(document);

        if (why != NULL)
            return wrong(place, why);
    }
    return true;
}

bool schema_check(const bson_t *file, verdict_t *verdict)
{
    place_t place = {.verdict = verdict};
    const char *version = value_utf8(file, "schemaVersion", NULL);
    unsigned major, minor;

    if (version == NULL || !is_version(version))
        return verdict_fail(verdict, "not of the format: schemaVersion is "
                                     "no version");
    if (sscanf(version, "%u.%u", &major, &minor) != 2 || major != 1)
        return verdict_fail(verdict, "schemaVersion %s is not supported",
                            version);
    if (minor > SCHEMA_MINOR)
        return verdict_skip(verdict, "schemaVersion %s: 1.%d is the newest "
                                     "that is known",
                            version, SCHEMA_MINOR);
    return check_shape(&place, schema_file(), file);
}
