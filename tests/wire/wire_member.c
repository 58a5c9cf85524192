/* SPDX-License-Identifier: Apache-2.0 */
/* wire_member.c - what the server says of itself: the reply to hello. */
#include "tests/wire/wire_member.h"
#include "tests/wire/wire_server.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SESSION_MINUTES = 30, BATCH_MAX = 100000, ADDRESS_SIZE = 32 };

void wire_member_copy(wire_member_t *to, const wire_member_t *from)
{
    *to = *from;
    to->set_name = bson_strdup(from->set_name ? from->set_name : "rs");
    to->hosts = bson_strdup(from->hosts);
    to->primary = bson_strdup(from->primary);
    to->tags = bson_strdup(from->tags);
    if (to->set_version == 0)
        to->set_version = 1;
}

void wire_member_clear(wire_member_t *member)
{
    bson_free((char *)member->set_name);
    bson_free((char *)member->hosts);
    bson_free((char *)member->primary);
    bson_free((char *)member->tags);
    memset(member, 0, sizeof *member);
}

static void append_hosts(const char *hosts, bson_t *reply)
{
    bson_t array;
    uint32_t i = 0;

    BSON_APPEND_ARRAY_BEGIN(reply, "hosts", &array);
    while (*(hosts += strspn(hosts, ", ")) != '\0') {
        size_t n = strcspn(hosts, ", ");
        char buffer[16];
        const char *key;

        bson_uint32_to_string(i++, &key, buffer, sizeof buffer);
        bson_append_utf8(&array, key, -1, hosts, (int)n);
        hosts += n;
    }
    bson_append_array_end(reply, &array);
}

/* "dc:east,rack:1" as {dc: "east", rack: "1"} */
static void append_tags(const char *tags, bson_t *reply)
{
    bson_t document;

    BSON_APPEND_DOCUMENT_BEGIN(reply, "tags", &document);
    while (*(tags += strspn(tags, ", ")) != '\0') {
        size_t key = strcspn(tags, ":"), n;

        n = strcspn(tags + key + 1, ", ");
        bson_append_utf8(&document, tags, (int)key, tags + key + 1, (int)n);
        tags += key + 1 + n;
    }
    bson_append_document_end(reply, &document);
}

/* {processId, counter}: the counter grows whenever the member is set anew. */
static void append_version(const wire_server_t *server, bson_t *reply)
{
    uint8_t bytes[12] = {0x70};
    bson_oid_t process;
    bson_t version;

    bytes[10] = (uint8_t)(server->port >> 8);
    bytes[11] = (uint8_t)server->port;
    bson_oid_init_from_data(&process, bytes);
    BSON_APPEND_DOCUMENT_BEGIN(reply, "topologyVersion", &version);
    BSON_APPEND_OID(&version, "processId", &process);
    BSON_APPEND_INT64(&version, "counter", server->member_version);
    bson_append_document_end(reply, &version);
}

int64_t wire_member_known(const wire_request_t *request)
{
    bson_iter_t i, at;

    if (bson_iter_init(&i, &request->message.body) &&
        bson_iter_find_descendant(&i, "topologyVersion.counter", &at))
        return bson_iter_as_int64(&at);
    return -1;
}

int64_t wire_member_patience(const wire_request_t *request, int64_t known)
{
    const wire_server_t *server = request->connection->server;
    bson_iter_t i;

    if (!request->hello || !server->member.awaitable ||
        known != server->member_version ||
        !bson_iter_init_find(&i, &request->message.body, "maxAwaitTimeMS"))
        return 0;
    return bson_iter_as_int64(&i) * 1000;
}

/* A later election must have the greater id. */
static void append_election(int election, bson_t *reply)
{
    uint8_t bytes[12] = {0x7f, 0xff, 0xff, 0xff};
    bson_oid_t id;

    bytes[8] = (uint8_t)(election >> 24);
    bytes[9] = (uint8_t)(election >> 16);
    bytes[10] = (uint8_t)(election >> 8);
    bytes[11] = (uint8_t)election;
    bson_oid_init_from_data(&id, bytes);
    BSON_APPEND_OID(reply, "electionId", &id);
}

/* What staleness is reckoned from: nobody is behind. */
static void append_last_write(bson_t *reply)
{
    bson_t write;

    BSON_APPEND_DOCUMENT_BEGIN(reply, "lastWrite", &write);
    BSON_APPEND_DATE_TIME(&write, "lastWriteDate",
                          (int64_t)time(NULL) * 1000);
    bson_append_document_end(reply, &write);
}

static void append_set(const wire_server_t *server, bson_t *reply)
{
    const wire_member_t *member = &server->member;
    const char *primary = member->primary;
    char me[ADDRESS_SIZE];

    snprintf(me, sizeof me, "127.0.0.1:%u", server->port);
    if (primary == NULL && member->role == WIRE_PRIMARY)
        primary = me;
    BSON_APPEND_UTF8(reply, "setName", member->set_name);
    BSON_APPEND_INT32(reply, "setVersion", member->set_version);
    BSON_APPEND_BOOL(reply, "secondary", member->role == WIRE_SECONDARY);
    append_hosts(member->hosts ? member->hosts : me, reply);
    BSON_APPEND_UTF8(reply, "me", me);
    if (primary != NULL)
        BSON_APPEND_UTF8(reply, "primary", primary);
    if (member->role == WIRE_PRIMARY)
        append_election(member->election, reply);
    if (member->awaitable)
        append_last_write(reply);
    if (member->tags != NULL)
        append_tags(member->tags, reply);
}

/* Asked before a client authenticates; nobody can, here. */
static void append_mechanisms(bson_t *reply)
{
    bson_t array;

    BSON_APPEND_ARRAY_BEGIN(reply, "saslSupportedMechs", &array);
    BSON_APPEND_UTF8(&array, "0", "SCRAM-SHA-256");
    BSON_APPEND_UTF8(&array, "1", "SCRAM-SHA-1");
    bson_append_array_end(reply, &array);
}

void wire_member_hello(const wire_request_t *request, bson_t *reply)
{
    const wire_server_t *server = request->connection->server;
    wire_role_t role = server->member.role;
    bool writable = role == WIRE_STANDALONE || role == WIRE_PRIMARY;

    BSON_APPEND_BOOL(reply, "helloOk", true);
    BSON_APPEND_BOOL(reply, "ismaster", writable);
    BSON_APPEND_BOOL(reply, "isWritablePrimary", writable);
    if (role != WIRE_STANDALONE)
        append_set(server, reply);
    BSON_APPEND_INT32(reply, "maxBsonObjectSize", WIRE_DOCUMENT_MAX);
    BSON_APPEND_INT32(reply, "maxMessageSizeBytes", WIRE_MESSAGE_MAX);
    BSON_APPEND_INT32(reply, "maxWriteBatchSize", BATCH_MAX);
    BSON_APPEND_DATE_TIME(reply, "localTime", (int64_t)time(NULL) * 1000);
    BSON_APPEND_INT32(reply, "logicalSessionTimeoutMinutes", SESSION_MINUTES);
    BSON_APPEND_INT32(reply, "connectionId",
                      (int32_t)request->connection->id);
    BSON_APPEND_INT32(reply, "minWireVersion", 0);
    BSON_APPEND_INT32(reply, "maxWireVersion", server->max_wire_version);
    BSON_APPEND_BOOL(reply, "readOnly", false);
    if (server->member.awaitable)
        append_version(server, reply);
    if (bson_has_field(&request->message.body, "saslSupportedMechs"))
        append_mechanisms(reply);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
}
