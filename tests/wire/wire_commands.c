/* SPDX-License-Identifier: Apache-2.0 */
/* wire_commands.c - ordinary answers: the table of commands, and those that
 * have nothing to do with documents. */
#include "tests/wire/wire_commands.h"
#include "tests/wire/wire_server.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    AUTHENTICATION_FAILED = 18,
    COMMAND_NOT_FOUND = 59,
    UNSUPPORTED_OP_QUERY = 352,
    NOT_WRITABLE_PRIMARY = 10107,
};

/* ------------------------------------------------------------------ helpers */

const char *wire_code_name(int code)
{
    static const struct {
        int code;
        const char *name;
    } names[] = {
        {2, "BadValue"},
        {6, "HostUnreachable"},
        {7, "HostNotFound"},
        {9, "FailedToParse"},
        {11, "UserNotFound"},
        {13, "Unauthorized"},
        {18, "AuthenticationFailed"},
        {20, "IllegalOperation"},
        {26, "NamespaceNotFound"},
        {43, "CursorNotFound"},
        {48, "NamespaceExists"},
        {50, "MaxTimeMSExpired"},
        {59, "CommandNotFound"},
        {64, "WriteConcernFailed"},
        {89, "NetworkTimeout"},
        {91, "ShutdownInProgress"},
        {112, "WriteConflict"},
        {189, "PrimarySteppedDown"},
        {251, "NoSuchTransaction"},
        {262, "ExceededTimeLimit"},
        {352, "UnsupportedOpQueryCommand"},
        {10107, "NotWritablePrimary"},
        {11000, "DuplicateKey"},
        {11600, "InterruptedAtShutdown"},
        {11601, "Interrupted"},
        {11602, "InterruptedDueToReplStateChange"},
        {13435, "NotPrimaryNoSecondaryOk"},
        {13436, "NotPrimaryOrSecondary"},
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].code == code)
            return names[i].name;
    }
    return "UnknownError";
}

void wire_reply_error(bson_t *reply, int code, const char *format, ...)
{
    char message[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (!bson_utf8_validate(message, strlen(message), false))
        bson_strncpy(message, "an error (text unreadable)", sizeof message);
    BSON_APPEND_DOUBLE(reply, "ok", 0);
    BSON_APPEND_UTF8(reply, "errmsg", message);
    BSON_APPEND_INT32(reply, "code", code);
    BSON_APPEND_UTF8(reply, "codeName", wire_code_name(code));
}

int64_t wire_get_number(const bson_t *document, const char *key,
                        int64_t otherwise)
{
    bson_iter_t iter;

    if (!bson_iter_init_find(&iter, document, key))
        return otherwise;
    if (BSON_ITER_HOLDS_DOUBLE(&iter)) {
        double value = bson_iter_double(&iter);

        return value > -9e15 && value < 9e15 ? (int64_t)value : otherwise;
    }
    if (!BSON_ITER_HOLDS_INT32(&iter) && !BSON_ITER_HOLDS_INT64(&iter))
        return otherwise;
    return bson_iter_as_int64(&iter);
}

bool wire_get_bool(const bson_t *document, const char *key)
{
    bson_iter_t iter;

    return bson_iter_init_find(&iter, document, key) &&
           bson_iter_as_bool(&iter);
}

bool wire_get_document(const bson_t *document, const char *key, bson_t *out)
{
    bson_iter_t iter;
    const uint8_t *data;
    uint32_t size;

    if (!bson_iter_init_find(&iter, document, key))
        return false;
    if (BSON_ITER_HOLDS_DOCUMENT(&iter))
        bson_iter_document(&iter, &size, &data);
    else if (BSON_ITER_HOLDS_ARRAY(&iter))
        bson_iter_array(&iter, &size, &data);
    else
        return false;
    return bson_init_static(out, data, size);
}

static void append_ok(bson_t *reply)
{
    BSON_APPEND_DOUBLE(reply, "ok", 1);
}

/* --------------------------------------------------------------- the server */

static void answer_ok(wire_request_t *request, bson_t *reply)
{
    (void)request;
    append_ok(reply);
}

static void answer_build_info(wire_request_t *request, bson_t *reply)
{
    bson_t array;

    (void)request;
    BSON_APPEND_UTF8(reply, "version", "6.0.0");
    BSON_APPEND_ARRAY_BEGIN(reply, "versionArray", &array);
    BSON_APPEND_INT32(&array, "0", 6);
    BSON_APPEND_INT32(&array, "1", 0);
    BSON_APPEND_INT32(&array, "2", 0);
    BSON_APPEND_INT32(&array, "3", 0);
    bson_append_array_end(reply, &array);
    BSON_APPEND_INT32(reply, "bits", 64);
    BSON_APPEND_INT32(reply, "maxBsonObjectSize", WIRE_DOCUMENT_MAX);
    append_ok(reply);
}

static void answer_sasl(wire_request_t *request, bson_t *reply)
{
    (void)request;
    wire_reply_error(reply, AUTHENTICATION_FAILED, "Authentication failed.");
}

static void answer_fail_point(wire_request_t *request, bson_t *reply)
{
    wire_server_t *server = request->connection->server;

    if (wire_fail_point_set(&server->script, &request->message.body, reply))
        append_ok(reply);
}

/* killSessions, unlike endSessions, takes the session's cursors with it. */
static void kill_session(wire_server_t *server, const bson_iter_t *iter)
{
    wire_stats_t *stats = &server->stats;
    bson_iter_t id;
    bson_subtype_t subtype;
    const uint8_t *data;
    uint32_t size;

    if (!BSON_ITER_HOLDS_DOCUMENT(iter) || !bson_iter_recurse(iter, &id) ||
        !bson_iter_find(&id, "id") || !BSON_ITER_HOLDS_BINARY(&id))
        return;
    bson_iter_binary(&id, &subtype, &size, &data);
    if (size == 16)
        stats->cursors_open -= wire_cursors_kill_session(&server->cursors,
                                                         data);
}

static void answer_end_sessions(wire_request_t *request, bson_t *reply)
{
    wire_server_t *server = request->connection->server;
    bool kill = strcmp(request->name, "killSessions") == 0;
    bson_iter_t iter;
    bson_t ids;

    if (wire_get_document(&request->message.body, request->name, &ids) &&
        bson_iter_init(&iter, &ids)) {
        while (bson_iter_next(&iter)) {
            if (kill)
                kill_session(server, &iter);
            else
                server->stats.sessions_ended++;
        }
    }
    append_ok(reply);
}

static void answer_start_session(wire_request_t *request, bson_t *reply)
{
    wire_server_t *server = request->connection->server;
    uint64_t uuid[2] = {wire_server_random(server), wire_server_random(server)};
    bson_t id;

    BSON_APPEND_DOCUMENT_BEGIN(reply, "id", &id);
    BSON_APPEND_BINARY(&id, "id", BSON_SUBTYPE_UUID, (const uint8_t *)uuid, 16);
    bson_append_document_end(reply, &id);
    BSON_APPEND_INT32(reply, "timeoutMinutes", 30);
    append_ok(reply);
}

/* --------------------------------------------------------------- the table */

static void answer_hello(wire_request_t *request, bson_t *reply)
{
    wire_member_hello(request, reply);
}

/* Those that a load sends most come first. */
static const struct {
    const char *name;
    wire_answer_fn *answer;
    bool writes;
} commands[] = {
    {"find", wire_answer_find, false},
    {"insert", wire_answer_insert, true},
    {"getMore", wire_cursor_get_more, false},
    {"ping", answer_ok, false},
    {"update", wire_answer_update, true},
    {"delete", wire_answer_delete, true},
    {"aggregate", wire_answer_aggregate, false},
    {"hello", answer_hello, false},
    {"findAndModify", wire_answer_find_and_modify, true},
    {"findandmodify", wire_answer_find_and_modify, true},
    {"count", wire_answer_count, false},
    {"distinct", wire_answer_distinct, false},
    {"killCursors", wire_cursor_kill, false},
    {"endSessions", answer_end_sessions, false},
    {"killSessions", answer_end_sessions, false},
    {"startSession", answer_start_session, false},
    {"refreshSessions", answer_ok, false},
    {"killAllSessions", answer_ok, false},
    {"killOp", answer_ok, false},
    {"buildInfo", answer_build_info, false},
    {"buildinfo", answer_build_info, false},
    {"getParameter", answer_ok, false},
    {"setParameter", answer_ok, false},
    {"configureFailPoint", answer_fail_point, false},
    {"listDatabases", wire_answer_list_databases, false},
    {"listCollections", wire_answer_list_collections, false},
    {"listIndexes", wire_answer_list_indexes, false},
    {"create", answer_ok, true},
    {"createIndexes", wire_answer_create_indexes, true},
    {"dropIndexes", wire_answer_drop_indexes, true},
    {"drop", wire_answer_drop, true},
    {"dropDatabase", wire_answer_drop_database, true},
    {"renameCollection", answer_ok, true},
    {"collMod", answer_ok, true},
    {"commitTransaction", answer_ok, true},
    {"abortTransaction", answer_ok, true},
    {"saslStart", answer_sasl, false},
    {"saslContinue", answer_sasl, false},
    {"logout", answer_ok, false},
};

void wire_answer(wire_request_t *request, bson_t *reply)
{
    wire_role_t role = request->connection->server->member.role;

    if (request->message.legacy && !request->hello) {
        wire_reply_error(reply, UNSUPPORTED_OP_QUERY,
                         "Unsupported OP_QUERY command: %s", request->name);
        return;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, request->name) != 0)
            continue;
        if (commands[i].writes && role != WIRE_STANDALONE &&
            role != WIRE_PRIMARY)
            wire_reply_error(reply, NOT_WRITABLE_PRIMARY, "not primary");
        else
            commands[i].answer(request, reply);
        return;
    }
    wire_reply_error(reply, COMMAND_NOT_FOUND, "no such command: '%s'",
                     request->name);
}
