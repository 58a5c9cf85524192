/* SPDX-License-Identifier: Apache-2.0 */
/* wire_reply.c - what is answered: the rule's word, or the ordinary answer. */
#include "tests/wire/wire_reply.h"
#include "tests/wire/wire_server.h"

#include <string.h>

static void append_labels(bson_t *reply, const char *labels)
{
    bson_t array;
    uint32_t i = 0;

    if (labels == NULL)
        return;
    BSON_APPEND_ARRAY_BEGIN(reply, "errorLabels", &array);
    while (*(labels += strspn(labels, " ")) != '\0') {
        size_t n = strcspn(labels, " ");
        char buffer[16];
        const char *key;

        bson_uint32_to_string(i++, &key, buffer, sizeof buffer);
        bson_append_utf8(&array, key, -1, labels, (int)n);
        labels += n;
    }
    bson_append_array_end(reply, &array);
}

/* What mongod adds by itself to an error that a client may retry a write on. */
static const char *natural_labels(const wire_request_t *request,
                                  const wire_line_t *line)
{
    static const int retryable[] = {6,     7,     89,    91,    189,  262, 9001,
                                    10107, 11600, 11602, 13435, 13436};

    if (line->rule.labels != NULL || !line->fail_point ||
        !bson_has_field(&request->message.body, "txnNumber"))
        return line->rule.labels;
    for (size_t i = 0; i < sizeof retryable / sizeof *retryable; i++) {
        if (retryable[i] == line->rule.code)
            return "RetryableWriteError";
    }
    return NULL;
}

static void append_write_error(wire_request_t *request,
                               const wire_rule_t *rule, bson_t *reply)
{
    bool ordered = !bson_has_field(&request->message.body, "ordered") ||
                   wire_get_bool(&request->message.body, "ordered");
    const char *key = strcmp(request->name, "update") == 0   ? "updates"
                      : strcmp(request->name, "delete") == 0 ? "deletes"
                                                             : "documents";
    int64_t n = wire_each_statement(request, key, NULL, NULL);
    bson_t errors, error;

    n = ordered || n == 0 ? rule->index : n - 1;
    if (strcmp(request->name, "insert") == 0)
        request->connection->server->stats.inserted += n;
    BSON_APPEND_INT32(reply, "n", (int32_t)n);
    if (strcmp(request->name, "update") == 0)
        BSON_APPEND_INT32(reply, "nModified", (int32_t)n);
    BSON_APPEND_ARRAY_BEGIN(reply, "writeErrors", &errors);
    BSON_APPEND_DOCUMENT_BEGIN(&errors, "0", &error);
    BSON_APPEND_INT32(&error, "index", rule->index);
    BSON_APPEND_INT32(&error, "code", rule->code);
    BSON_APPEND_UTF8(&error, "errmsg", rule->message);
    bson_append_document_end(&errors, &error);
    bson_append_array_end(reply, &errors);
    append_labels(reply, rule->labels);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
}

static void append_concern_error(const wire_rule_t *rule, bson_t *reply)
{
    bson_t error;

    BSON_APPEND_DOCUMENT_BEGIN(reply, "writeConcernError", &error);
    BSON_APPEND_INT32(&error, "code", rule->code);
    BSON_APPEND_UTF8(&error, "codeName", wire_code_name(rule->code));
    BSON_APPEND_UTF8(&error, "errmsg", rule->message);
    bson_append_document_end(reply, &error);
}

void wire_reply_document(wire_request_t *request, const wire_line_t *line,
                         bson_t *reply)
{
    const wire_rule_t *rule = line ? &line->rule : NULL;

    switch (rule ? rule->action : WIRE_ANSWER) {
    case WIRE_REPLY:
        bson_concat(reply, rule->reply);
        break;
    case WIRE_ERROR:
        wire_reply_error(reply, rule->code, "%s", rule->message);
        append_labels(reply, natural_labels(request, line));
        break;
    case WIRE_WRITE_ERROR:
        append_write_error(request, rule, reply);
        break;
    case WIRE_CONCERN_ERROR:
        wire_answer(request, reply);
        append_concern_error(rule, reply);
        append_labels(reply, natural_labels(request, line));
        break;
    default:
        wire_answer(request, reply);
    }
}

void wire_reply_make(wire_request_t *request, const wire_line_t *line,
                     wire_buffer_t *out)
{
    wire_server_t *server = request->connection->server;
    bson_t reply = BSON_INITIALIZER;
    wire_command_t command;
    size_t cut;

    wire_reply_document(request, line, &reply);
    wire_message_reply(&request->message, ++server->next_reply_id, &reply, out);
    bson_destroy(&reply);
    if (line == NULL)
        return;
    if (line->rule.action == WIRE_CUT) {
        cut = line->rule.cut ? line->rule.cut : out->size / 2;
        wire_buffer_resize(out, cut < out->size ? cut : out->size);
    } else if (line->rule.action == WIRE_REWRITE) {
        wire_request_describe(request, &command);
        line->rule.rewrite(&command, out, line->rule.arg);
        wire_command_clear(&command);
    }
}
