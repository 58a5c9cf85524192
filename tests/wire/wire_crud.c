/* SPDX-License-Identifier: Apache-2.0 */
/* wire_crud.c - ordinary answers to commands on documents.
 *
 * Nothing that is written is kept: a statement that could have worked on what
 * the collection holds is answered as if it had. */
#include "tests/wire/wire_commands.h"
#include "tests/wire/wire_feed.h"
#include "tests/wire/wire_server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    BAD_VALUE = 2,
    FIRST_BATCH = 101,
    DISTINCT_MAX = 1000,
};

static void content_of(const wire_request_t *request, wire_content_t *out)
{
    wire_collections_get(&request->connection->server->collections,
                         request->db, request->collection, out);
}

/* Narrow [*first, *end) down by skip and limit. */
static bool narrow(int64_t skip, int64_t limit, int64_t *first, int64_t *end)
{
    if (skip > 0)
        *first = skip < *end - *first ? *first + skip : *end;
    if (limit > 0 && limit < *end - *first) {
        *end = *first + limit;
        return true;
    }
    return limit > 0 && limit == *end - *first;
}

/* -------------------------------------------------------------------- reads */

void wire_answer_find(wire_request_t *request, bson_t *reply)
{
    const bson_t *body = &request->message.body;
    int64_t limit = wire_get_number(body, "limit", 0);
    int64_t batch = wire_get_number(body, "batchSize", FIRST_BATCH);
    wire_cursor_t query = {0};
    bool filtered;
    bson_t filter;
    bson_iter_t id;

    if (batch < 0 || limit < 0) {
        wire_reply_error(reply, BAD_VALUE,
                         "limit and batchSize must not be negative");
        return;
    }
    filtered = wire_get_document(body, "filter", &filter);
    content_of(request, &query.content);
    wire_content_select(&query.content, filtered ? &filter : NULL, &query.next,
                        &query.end);
    query.bounded = narrow(wire_get_number(body, "skip", 0), limit,
                           &query.next, &query.end) ||
                    (filtered && wire_filter_id(&filter, &id));
    wire_feed_opens(request, &query);
    wire_cursor_reply_first(request, &query, request->db, request->collection,
                            batch, reply);
}

/* What a pipeline does to the documents, as far as it is understood. */
typedef struct {
    bson_t match;
    bool has_match;
    bool counts; /* {$group: {_id: ..., n: {$sum: 1}}} or {$count: "n"} */
    const char *count_name;
    bool writes; /* $out, $merge: no documents come back */
    int64_t skip;
    int64_t limit;
} pipeline_t;

static void read_stage(const bson_t *stage, pipeline_t *out)
{
    bson_iter_t iter;
    bson_t group;

    if (!bson_iter_init(&iter, stage) || !bson_iter_next(&iter))
        return;
    if (strcmp(bson_iter_key(&iter), "$match") == 0) {
        out->has_match = wire_get_document(stage, "$match", &out->match);
    } else if (strcmp(bson_iter_key(&iter), "$skip") == 0) {
        out->skip = wire_get_number(stage, "$skip", 0);
    } else if (strcmp(bson_iter_key(&iter), "$limit") == 0) {
        out->limit = wire_get_number(stage, "$limit", 0);
    } else if (strcmp(bson_iter_key(&iter), "$count") == 0) {
        out->counts = BSON_ITER_HOLDS_UTF8(&iter);
        out->count_name = out->counts ? bson_iter_utf8(&iter, NULL) : NULL;
    } else if (wire_get_document(stage, "$group", &group)) {
        out->counts = bson_has_field(&group, "n");
        out->count_name = "n";
    } else if (bson_has_field(stage, "$out") ||
               bson_has_field(stage, "$merge")) {
        out->writes = true;
    }
}

static void read_pipeline(const bson_t *body, pipeline_t *out)
{
    bson_t stages, stage;
    bson_iter_t iter;
    const uint8_t *data;
    uint32_t size;

    memset(out, 0, sizeof *out);
    if (!wire_get_document(body, "pipeline", &stages) ||
        !bson_iter_init(&iter, &stages))
        return;
    while (bson_iter_next(&iter)) {
        if (!BSON_ITER_HOLDS_DOCUMENT(&iter))
            continue;
        bson_iter_document(&iter, &size, &data);
        if (bson_init_static(&stage, data, size))
            read_stage(&stage, out);
    }
}

typedef struct {
    const char *name;
    int64_t n;
} counted_t;

static void make_counted(int64_t i, bson_t *out, void *arg)
{
    const counted_t *counted = arg;

    (void)i;
    BSON_APPEND_INT32(out, "_id", 1);
    BSON_APPEND_INT64(out, counted->name, counted->n);
}

void wire_answer_aggregate(wire_request_t *request, bson_t *reply)
{
    const bson_t *body = &request->message.body;
    bool whole_db = *request->collection == '\0';
    wire_cursor_t query = {0};
    int64_t batch = FIRST_BATCH;
    pipeline_t pipeline;
    counted_t counted;
    bson_t options;
    bson_iter_t id;

    if (whole_db)
        request->collection = "$cmd.aggregate";
    read_pipeline(body, &pipeline);
    if (wire_get_document(body, "cursor", &options))
        batch = wire_get_number(&options, "batchSize", FIRST_BATCH);
    if (batch < 0) {
        wire_reply_error(reply, BAD_VALUE, "batchSize must not be negative");
        return;
    }
    content_of(request, &query.content);
    wire_content_select(&query.content,
                        pipeline.has_match ? &pipeline.match : NULL,
                        &query.next, &query.end);
    query.bounded = narrow(pipeline.skip, pipeline.limit, &query.next,
                           &query.end) ||
                    (pipeline.has_match && wire_filter_id(&pipeline.match,
                                                          &id));
    if (wire_feed_opens(request, &query)) {
        query.bounded = false;
    } else if (pipeline.writes) {
        query.next = query.end;
    } else if (pipeline.counts) {
        counted.name = pipeline.count_name;
        counted.n = query.end - query.next;
        query.content.make = make_counted;
        query.content.arg = &counted; /* read before this returns: */
        query.next = 0;
        query.end = counted.n > 0; /* one document, in the first batch, */
        query.bounded = true;      /* which is all */
        batch = batch > 0 ? batch : 1;
    }
    wire_cursor_reply_first(request, &query, request->db, request->collection,
                            batch, reply);
}

void wire_answer_count(wire_request_t *request, bson_t *reply)
{
    const bson_t *body = &request->message.body;
    wire_content_t content;
    int64_t first, end;
    bson_t query;
    bool has_query = wire_get_document(body, "query", &query);

    content_of(request, &content);
    wire_content_select(&content, has_query ? &query : NULL, &first, &end);
    narrow(wire_get_number(body, "skip", 0), wire_get_number(body, "limit", 0),
           &first, &end);
    BSON_APPEND_INT64(reply, "n", end - first);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
}

/* The values of the first documents; that they differ is up to these. */
void wire_answer_distinct(wire_request_t *request, bson_t *reply)
{
    const bson_t *body = &request->message.body;
    wire_content_t content;
    bson_iter_t key, iter;
    int64_t first, end;
    uint32_t n = 0;
    bson_t query, values;
    bool has_query = wire_get_document(body, "query", &query);

    if (!bson_iter_init_find(&key, body, "key") ||
        !BSON_ITER_HOLDS_UTF8(&key)) {
        wire_reply_error(reply, BAD_VALUE, "distinct without a key");
        return;
    }
    content_of(request, &content);
    wire_content_select(&content, has_query ? &query : NULL, &first, &end);
    BSON_APPEND_ARRAY_BEGIN(reply, "values", &values);
    for (; first < end && n < DISTINCT_MAX; first++) {
        char buffer[16];
        const char *name;
        bson_t document;

        wire_content_make(&content, first, &document);
        if (bson_iter_init_find(&iter, &document,
                                bson_iter_utf8(&key, NULL))) {
            bson_uint32_to_string(n++, &name, buffer, sizeof buffer);
            bson_append_iter(&values, name, -1, &iter);
        }
        bson_destroy(&document);
    }
    bson_append_array_end(reply, &values);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
}

/* ------------------------------------------------------------------- writes */

static int64_t each_in_sequence(const wire_sequence_t *sequence,
                                wire_each_fn *fn, void *arg)
{
    const uint8_t *data = sequence->data;
    const uint8_t *end = data + sequence->size;
    int64_t n = 0;
    bson_t statement;

    for (; data < end; data += wire_get_int32(data), n++) {
        if (fn != NULL &&
            bson_init_static(&statement, data, (size_t)wire_get_int32(data)))
            fn(n, &statement, arg);
    }
    return n;
}

int64_t wire_each_statement(const wire_request_t *request, const char *key,
                            wire_each_fn *fn, void *arg)
{
    const wire_message_t *message = &request->message;
    bson_t array, statement;
    bson_iter_t iter;
    const uint8_t *data;
    uint32_t size;
    int64_t n = 0;

    for (int i = 0; i < message->n_sequences; i++) {
        if (strcmp(message->sequences[i].name, key) == 0)
            return each_in_sequence(&message->sequences[i], fn, arg);
    }
    if (!wire_get_document(&message->body, key, &array) ||
        !bson_iter_init(&iter, &array))
        return 0;
    for (; bson_iter_next(&iter); n++) {
        if (fn == NULL || !BSON_ITER_HOLDS_DOCUMENT(&iter))
            continue;
        bson_iter_document(&iter, &size, &data);
        if (bson_init_static(&statement, data, size))
            fn(n, &statement, arg);
    }
    return n;
}

void wire_answer_insert(wire_request_t *request, bson_t *reply)
{
    int64_t n = wire_each_statement(request, "documents", NULL, NULL);

    request->connection->server->stats.inserted += n;
    BSON_APPEND_INT32(reply, "n", (int32_t)n);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
}

typedef struct {
    wire_content_t content;
    int64_t matched;
    int64_t upserts;
    bson_t upserted;
} write_t;

static int64_t matches_of(const wire_content_t *content, const bson_t *update)
{
    int64_t first, end;
    bson_t q;
    bool has_q = wire_get_document(update, "q", &q);

    wire_content_select(content, has_q ? &q : NULL, &first, &end);
    return end - first;
}

/* The _id that was asked for, or a new one. */
static void append_new_id(bson_t *out, const bson_t *update, const char *key)
{
    bson_iter_t id;
    bson_oid_t oid;
    bson_t q;

    if (wire_get_document(update, key, &q) && wire_filter_id(&q, &id)) {
        bson_append_iter(out, "_id", -1, &id);
        return;
    }
    bson_oid_init(&oid, NULL);
    BSON_APPEND_OID(out, "_id", &oid);
}

static void update_one(int64_t i, const bson_t *update, void *arg)
{
    write_t *write = arg;
    int64_t n = matches_of(&write->content, update);
    char buffer[16];
    const char *key;
    bson_t entry;

    if (n == 0 && wire_get_bool(update, "upsert")) {
        bson_uint32_to_string((uint32_t)write->upserts++, &key, buffer,
                              sizeof buffer);
        BSON_APPEND_DOCUMENT_BEGIN(&write->upserted, key, &entry);
        BSON_APPEND_INT32(&entry, "index", (int32_t)i);
        append_new_id(&entry, update, "q");
        bson_append_document_end(&write->upserted, &entry);
    }
    write->matched += n > 1 && !wire_get_bool(update, "multi") ? 1 : n;
}

void wire_answer_update(wire_request_t *request, bson_t *reply)
{
    write_t write = {.upserted = BSON_INITIALIZER};

    content_of(request, &write.content);
    wire_each_statement(request, "updates", update_one, &write);
    BSON_APPEND_INT32(reply, "n", (int32_t)(write.matched + write.upserts));
    BSON_APPEND_INT32(reply, "nModified", (int32_t)write.matched);
    if (write.upserts > 0)
        BSON_APPEND_ARRAY(reply, "upserted", &write.upserted);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
    bson_destroy(&write.upserted);
}

static void delete_one(int64_t i, const bson_t *statement, void *arg)
{
    write_t *write = arg;
    int64_t n = matches_of(&write->content, statement);

    (void)i;
    write->matched += n > 1 && wire_get_number(statement, "limit", 0) ? 1 : n;
}

void wire_answer_delete(wire_request_t *request, bson_t *reply)
{
    write_t write = {0};

    content_of(request, &write.content);
    wire_each_statement(request, "deletes", delete_one, &write);
    BSON_APPEND_INT32(reply, "n", (int32_t)write.matched);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
}

void wire_answer_find_and_modify(wire_request_t *request, bson_t *reply)
{
    const bson_t *body = &request->message.body;
    bool upsert = wire_get_bool(body, "upsert");
    bool removes = wire_get_bool(body, "remove");
    wire_content_t content;
    int64_t first, end;
    bson_t query, last, document;
    bool has_query = wire_get_document(body, "query", &query);

    content_of(request, &content);
    wire_content_select(&content, has_query ? &query : NULL, &first, &end);
    BSON_APPEND_DOCUMENT_BEGIN(reply, "lastErrorObject", &last);
    BSON_APPEND_INT32(&last, "n", first < end || upsert);
    if (!removes)
        BSON_APPEND_BOOL(&last, "updatedExisting", first < end);
    bson_append_document_end(reply, &last);
    if (first < end) {
        wire_content_make(&content, first, &document);
        BSON_APPEND_DOCUMENT(reply, "value", &document);
        bson_destroy(&document);
    } else if (upsert && wire_get_bool(body, "new")) {
        BSON_APPEND_DOCUMENT_BEGIN(reply, "value", &document);
        append_new_id(&document, body, "query");
        bson_append_document_end(reply, &document);
    } else {
        BSON_APPEND_NULL(reply, "value");
    }
    BSON_APPEND_DOUBLE(reply, "ok", 1);
}
