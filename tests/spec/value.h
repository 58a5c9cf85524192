/* SPDX-License-Identifier: Apache-2.0 */
/* value.h - looking into BSON and putting it together.
 *
 * A "view" is a bson_t that lends another one's bytes: it is not destroyed,
 * and lives no longer than what it looks into. */
#ifndef TESTS_SPEC_VALUE_H
#define TESTS_SPEC_VALUE_H

#include <bson/bson.h>
#include <stdbool.h>
#include <stdint.h>

/* Zeroed memory for what has a bson_t in it, which libbson wants aligned to
 * 128 bytes; bson_free it. */
void *value_alloc(size_t size);

/* Room for a value in a message. */
typedef struct text {
    char s[400];
} text_t;

/* The value of `key`, if there is one. */
bool value_find(const bson_t *from, const char *key, bson_iter_t *found);

/* Is it there?  Unlike bson_has_field, "a.b" is a key like any other. */
bool value_has(const bson_t *from, const char *key);

/* The value of `key` as a view if it is a document or an array; else false,
 * and `view` is an empty document. */
bool value_view(const bson_t *from, const char *key, bson_t *view);

/* The same of where `at` stands. */
bool value_look(const bson_iter_t *at, bson_t *view);

/* A string, or `otherwise`. */
const char *value_utf8(const bson_t *from, const char *key,
                       const char *otherwise);

/* A bool, or `otherwise`. */
bool value_bool(const bson_t *from, const char *key, bool otherwise);

/* A number of any kind as an integer, or `otherwise`. */
int64_t value_int(const bson_t *from, const char *key, int64_t otherwise);

/* Does an array of strings hold `word`? */
bool value_has_word(const bson_t *array, const char *word);

/* A number of any kind but Decimal128? */
bool value_is_number(const bson_iter_t *at);

/* -1, 0, 1, or 2 when either is no number. */
int value_compare(const bson_iter_t *a, const bson_iter_t *b);

/* As it is, under another key. */
void value_put(bson_t *to, const char *key, const bson_iter_t *value);

/* Append `value` to an array that has `*n` elements. */
void value_push(bson_t *array, uint32_t *n, const bson_t *value);

/* The value as JSON, cut where the room ends; "(nothing)" for NULL. */
const char *value_text(const bson_iter_t *value, text_t *text);
const char *value_json(const bson_t *document, text_t *text);

/* Hexadecimal digits as bytes: malloc'ed; NULL if malformed. */
uint8_t *value_bytes(const char *hex, size_t *length);

/* A copy in which every string that names one of `names`, or a namespace
 * below it, has `suffix` after that name. */
void value_rename(const bson_t *from, bson_t *to, const bson_t *names,
                  const char *suffix);

#endif
