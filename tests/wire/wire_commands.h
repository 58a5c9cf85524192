/* SPDX-License-Identifier: Apache-2.0 */
/* wire_commands.h - ordinary answers to commands. */
#ifndef WIRE_COMMANDS_H
#define WIRE_COMMANDS_H

#include "tests/wire/wire_connection.h"

/* Append the answer to `reply`, which is empty. */
typedef void wire_answer_fn(wire_request_t *request, bson_t *reply);

wire_answer_fn wire_answer;

/* Commands on data: wire_crud.c. */
wire_answer_fn wire_answer_find, wire_answer_insert, wire_answer_update,
    wire_answer_delete, wire_answer_find_and_modify, wire_answer_count,
    wire_answer_distinct, wire_answer_aggregate;

/* Commands on what there is: wire_catalogue.c. */
wire_answer_fn wire_answer_list_databases, wire_answer_list_collections,
    wire_answer_list_indexes, wire_answer_create_indexes,
    wire_answer_drop_indexes, wire_answer_drop, wire_answer_drop_database;

/* {ok: 0, errmsg, code, codeName}; the reply must still be empty. */
void wire_reply_error(bson_t *reply, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *wire_code_name(int code);

/* "hello" for isMaster and its kin, else `name` itself. */
const char *wire_canonical_name(const char *name);

/* The number at `key`, of whatever type; `otherwise` when there is none. */
int64_t wire_get_number(const bson_t *document, const char *key,
                        int64_t otherwise);
bool wire_get_bool(const bson_t *document, const char *key);

/* A view of the document or array at `key`. */
bool wire_get_document(const bson_t *document, const char *key, bson_t *out);

/* Call `fn` with each statement of a write: the documents of the array `key`
 * or of the document sequence of that name.  Returns how many there are. */
typedef void wire_each_fn(int64_t i, const bson_t *statement, void *arg);
int64_t wire_each_statement(const wire_request_t *request, const char *key,
                            wire_each_fn *fn, void *arg);

#endif /* WIRE_COMMANDS_H */
