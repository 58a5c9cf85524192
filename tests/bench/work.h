/* SPDX-License-Identifier: Apache-2.0 */
/* work.h - what is asked of the server, and what is a right answer. */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <bson/bson.h>
#include <stdbool.h>
#include <stdint.h>

#define WORK_DB "bench"
#define WORK_FIND "found"
#define WORK_INSERT "inserted"

/* The server has the documents {_id: 0} to {_id: WORK_DOCUMENTS - 1}. */
enum { WORK_DOCUMENTS = 10000 };

typedef struct work {
    uint32_t random;
    int64_t last; /* _id, of the documents inserted */
} work_t;

/* `number` is this source's own: no two insert the same document. */
void work_init(work_t *work, int number);

/* The next _id to ask for; work_filter makes {_id: id} of it. */
int32_t work_next_id(work_t *work);
void work_filter(bson_t *filter, int32_t id);
/* {find: ..., filter: {_id: id}, limit: 1, singleBatch: true} */
void work_command(bson_t *command, int32_t id);
/* The next document to insert, about 100 bytes. */
void work_document(bson_t *document, work_t *work);

/* Is that the document asked for?  NULL is not. */
bool work_is_right(const bson_t *document, int32_t id);
/* The same for the reply of work_command. */
bool work_reply_is_right(const bson_t *reply, int32_t id);

#endif
