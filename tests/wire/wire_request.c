/* SPDX-License-Identifier: Apache-2.0 */
/* wire_request.c - what a message asks for. */
#include "tests/wire/wire_server.h"

#include <string.h>

const char *wire_canonical_name(const char *name)
{
    if (strcmp(name, "isMaster") == 0 || strcmp(name, "ismaster") == 0)
        return "hello";
    return name;
}

/* {lsid: {id: <UUID>}} at `iter`; NULL when it is something else. */
static const uint8_t *read_lsid(const bson_iter_t *iter)
{
    bson_iter_t id;
    bson_subtype_t subtype;
    uint32_t size;
    const uint8_t *data;

    if (!BSON_ITER_HOLDS_DOCUMENT(iter) || !bson_iter_recurse(iter, &id) ||
        !bson_iter_find(&id, "id") || !BSON_ITER_HOLDS_BINARY(&id))
        return NULL;
    bson_iter_binary(&id, &subtype, &size, &data);
    return size == 16 ? data : NULL;
}

/* An old client wraps its command: {$query: {isMaster: 1}}. */
static void unwrap(bson_t *body)
{
    bson_t inner;

    /* Not by assignment: a bson_t may point into itself. */
    if (wire_get_document(body, "$query", &inner))
        (void)bson_init_static(body, bson_get_data(&inner), inner.len);
}

bool wire_request_parse(wire_connection_t *connection, const uint8_t *data,
                        size_t size, wire_request_t *out)
{
    bson_t *body = &out->message.body;
    bson_iter_t iter;
    bool get_more;

    if (!wire_message_parse(data, size, &out->message))
        return false;
    if (out->message.legacy)
        unwrap(body);
    if (!bson_iter_init(&iter, body) || !bson_iter_next(&iter))
        return false;

    out->connection = connection;
    out->name = wire_canonical_name(bson_iter_key(&iter));
    out->hello = strcmp(out->name, "hello") == 0;
    out->db = out->message.legacy ? "admin" : "";
    out->collection = "";
    out->lsid = NULL;
    if (BSON_ITER_HOLDS_UTF8(&iter))
        out->collection = bson_iter_utf8(&iter, NULL);
    get_more = strcmp(out->name, "getMore") == 0;

    while (bson_iter_next(&iter)) {
        const char *key = bson_iter_key(&iter);

        if (strcmp(key, "$db") == 0 && BSON_ITER_HOLDS_UTF8(&iter))
            out->db = bson_iter_utf8(&iter, NULL);
        else if (strcmp(key, "lsid") == 0 && out->lsid == NULL)
            out->lsid = read_lsid(&iter);
        else if (get_more && strcmp(key, "collection") == 0 &&
                 BSON_ITER_HOLDS_UTF8(&iter))
            out->collection = bson_iter_utf8(&iter, NULL);
    }
    return iter.err_off == 0; /* else it stopped at what is no BSON */
}

void wire_request_describe(const wire_request_t *request, wire_command_t *out)
{
    const wire_stats_t *stats = &request->connection->server->stats;

    memset(out, 0, sizeof *out);
    out->sequence = stats->commands + stats->hellos;
    out->connection = request->connection->id;
    out->request_id = request->message.request_id;
    bson_strncpy(out->name, request->name, sizeof out->name);
    bson_strncpy(out->db, request->db, sizeof out->db);
    bson_strncpy(out->collection, request->collection, sizeof out->collection);
    out->has_lsid = request->lsid != NULL;
    if (out->has_lsid)
        memcpy(out->lsid, request->lsid, sizeof out->lsid);
    out->unacknowledged = request->message.more_to_come;
    out->document = wire_message_document(&request->message);
}
