/* SPDX-License-Identifier: Apache-2.0 */
/* work.c - what is asked of the server, and what is a right answer. */
#include "tests/bench/work.h"

void work_init(work_t *work, int number)
{
    work->random = 2463534242u + (uint32_t)number;
    work->last = (int64_t)number << 40;
}

int32_t work_next_id(work_t *work)
{
    /* xorshift: never the same order of _ids as a neighbour. */
    work->random ^= work->random << 13;
    work->random ^= work->random >> 17;
    work->random ^= work->random << 5;
    return (int32_t)(work->random % WORK_DOCUMENTS);
}

void work_filter(bson_t *filter, int32_t id)
{
    bson_init(filter);
    BSON_APPEND_INT32(filter, "_id", id);
}

void work_command(bson_t *command, int32_t id)
{
    bson_t filter;

    bson_init(command);
    BSON_APPEND_UTF8(command, "find", WORK_FIND);
    BSON_APPEND_DOCUMENT_BEGIN(command, "filter", &filter);
    BSON_APPEND_INT32(&filter, "_id", id);
    bson_append_document_end(command, &filter);
    BSON_APPEND_INT64(command, "limit", 1);
    BSON_APPEND_BOOL(command, "singleBatch", true);
}

void work_document(bson_t *document, work_t *work)
{
    bson_init(document);
    BSON_APPEND_INT64(document, "_id", ++work->last);
    BSON_APPEND_UTF8(document, "text",
                     "a line of some text, long enough to bring it all to a "
                     "hundred bytes");
}

bool work_is_right(const bson_t *document, int32_t id)
{
    bson_iter_t iter;

    return document != NULL && bson_iter_init_find(&iter, document, "_id") &&
           BSON_ITER_HOLDS_NUMBER(&iter) && bson_iter_as_int64(&iter) == id;
}

bool work_reply_is_right(const bson_t *reply, int32_t id)
{
    bson_iter_t iter, found;

    return bson_iter_init(&iter, reply) &&
           bson_iter_find_descendant(&iter, "cursor.firstBatch.0._id",
                                     &found) &&
           BSON_ITER_HOLDS_NUMBER(&found) && bson_iter_as_int64(&found) == id;
}
