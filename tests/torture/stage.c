/* SPDX-License-Identifier: Apache-2.0 */
/* stage.c - a wire server, and a client on it for each run of a sweep. */
#include "tests/torture/stage.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/wire/wire.h"

static const stage_t *stage;
static wire_server_t *server;
static wire_gate_t *gate;
static char uri[WIRE_URI_SIZE];

/* ---- the server --------------------------------------------------------- */

/* As OP_COMPRESSED by the compressor that does nothing. */
static void pack(const wire_command_t *command, wire_buffer_t *reply,
                 void *arg)
{
    enum { HEADER = 16, EXTRA = 9, PACKED = 2012 };
    size_t body = wire_buffer_size(reply) - HEADER;
    int32_t opcode = wire_buffer_get_int32(reply, 12);
    uint8_t *data;

    (void)command;
    (void)arg;
    wire_buffer_resize(reply, HEADER + EXTRA + body);
    data = wire_buffer_data(reply);
    memmove(data + HEADER + EXTRA, data + HEADER, body);
    data[HEADER + EXTRA - 1] = 0;
    wire_buffer_set_int32(reply, 0, (int32_t)wire_buffer_size(reply));
    wire_buffer_set_int32(reply, 12, PACKED);
    wire_buffer_set_int32(reply, HEADER, opcode);
    wire_buffer_set_int32(reply, HEADER + 4, (int32_t)body);
}

static void hush(mongoc_log_level_t level, const char *domain,
                 const char *message, void *arg)
{
    (void)level;
    (void)domain;
    (void)message;
    (void)arg;
}

static void open_server(void)
{
    char extra[200];

    snprintf(extra, sizeof extra, "retryReads=false&retryWrites=false%s",
             stage->query != NULL ? stage->query : "");
    mongoc_log_set_handler(hush, NULL); /* it tells of every connection */
    server = wire_server_new(
        &(wire_options_t){.documents = STAGE_DOCUMENTS, .no_log = true});
    ck_assert_ptr_nonnull(server);
    if (stage->by_name)
        snprintf(uri, sizeof uri, "mongodb://localhost:%u/?%s",
                 (unsigned)wire_server_port(server), extra);
    else
        wire_server_uri(server, extra, uri, sizeof uri);
    gate = wire_gate_new(server);
    wire_rule_add(server, &(wire_rule_t){.command = "find",
                                         .collection = "held",
                                         .gate = gate});
    wire_rule_add(server, &(wire_rule_t){.command = "find",
                                         .collection = "packed",
                                         .action = WIRE_REWRITE,
                                         .rewrite = pack});
}

static void shut_server(void)
{
    ck_assert(wire_wait_clients(server, 0, WIRE_WAIT));
    wire_server_free(server);
    server = NULL;
}

void stage_wait_held_or_settled(stator_future_t *find)
{
    while (stator_future_poll(find) == STATOR_FUTURE_PENDING &&
           !wire_gate_wait_held(gate, 1, 1))
        continue;
}

void stage_let_go(void)
{
    wire_gate_open(gate); /* for what is still on its way, too */
}

int64_t stage_count(const char *command)
{
    return wire_count(server, command);
}

/* Nobody closes a cursor of a connection that was lost, or in an abort: the
 * next run finds a server that knows of none. */
static void ck_no_cursors(void)
{
    wire_stats_t stats;

    if (!stage->leaves_open && !torture_broke_a_connection()) {
        ck_assert_msg(wire_wait_cursors(server, 0, WIRE_WAIT),
                      "the server still has a cursor; %s", torture_where());
        return;
    }
    wire_stats(server, &stats);
    if (stats.cursors_open > 0) {
        wire_server_down(server, WIRE_RST);
        ck_assert(wire_server_up(server));
    }
}

/* ---- a client ----------------------------------------------------------- */

static mongoc_client_pool_t *pool_new(void)
{
    mongoc_uri_t *of = mongoc_uri_new(uri);
    mongoc_client_pool_t *pool = mongoc_client_pool_new(of);

    mongoc_uri_destroy(of);
    OK(pool != NULL);
    return pool;
}

/* It must still work, and be fit to be destroyed. */
static void is_users_still(mongoc_client_pool_t *pool)
{
    mongoc_client_t *client = mongoc_client_pool_pop(pool);
    bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
    bson_error_t error = {0};
    bool ok = mongoc_client_command_simple(client, "admin", ping, NULL, NULL,
                                           &error);

    ck_assert_msg(ok, "%s; %s", error.message, torture_where());
    bson_destroy(ping);
    mongoc_client_pool_push(pool, client);
    mongoc_client_pool_destroy(pool);
}

static stator_client_t *client_or_null(void)
{
    const char *json = stage->opts != NULL ? stage->opts : "{\"workers\": 2}";
    bson_error_t error = {0};
    bson_t *opts = bson_new_from_json((const uint8_t *)json, -1, &error);
    mongoc_client_pool_t *pool = stage->from_pool ? pool_new() : NULL;
    stator_client_t *client;

    ck_assert_msg(opts != NULL, "%s", error.message);
    /* The pool's monitors begin here and inherit it: see calls.c. */
    pthread_setname_np(pthread_self(), "torture/driver");
    client = pool != NULL ? stator_client_new_from_pool(pool, opts, &error)
                          : stator_client_new(uri, opts, &error);
    pthread_setname_np(pthread_self(), "torture");
    bson_destroy(opts);
    if (client != NULL)
        return client;
    OK(torture_fired());
    OK(error.domain == STATOR_ERROR_DOMAIN);
    OK(error.code == STATOR_ERROR_MEMORY ||
       (error.code == STATOR_ERROR_REFUSED &&
        strstr(error.message, "thread") != NULL));
    if (pool != NULL)
        is_users_still(pool);
    return NULL;
}

stator_collection_t *stage_collection(stator_client_t *client,
                                      const char *name)
{
    return stator_client_get_collection(client, "torture", name);
}

stator_future_t *stage_find_one(stator_client_t *client, const char *name)
{
    stator_collection_t *c = stage_collection(client, name);
    stator_future_t *f = stator_collection_find_one(c, NULL, NULL);

    stator_collection_unref(c);
    return f;
}

/* ---- a run -------------------------------------------------------------- */

static bool is_closed(stator_client_t *client)
{
    stator_future_t *f = stator_client_ping(client, NULL);
    bson_error_t error = {0};
    bool closed;

    OK(stator_future_wait(f, TORTURE_PATIENCE_MS) == 0);
    closed = stator_future_error(f, &error) &&
             error.code == STATOR_ERROR_CLOSED;
    stator_future_unref(f);
    return closed;
}

/* Nothing fails any more: all must work as if nothing had. */
static void has_taken_no_harm(stator_client_t *client)
{
    stator_collection_t *c = stage_collection(client, "things");
    bson_t *opts = BCON_NEW("batchSize", BCON_INT32(3));
    stator_cursor_t *cursor = stator_collection_find(c, NULL, opts);
    stator_future_t *all = stator_cursor_to_list(cursor, 0);
    bson_error_t error = {0};

    OK(stator_future_wait(all, TORTURE_PATIENCE_MS) == 0);
    (void)stator_future_error(all, &error);
    ck_assert_msg(stator_future_count(all) == STAGE_DOCUMENTS, "%s; %s",
                  error.message, torture_where());
    stator_future_unref(all);
    stator_cursor_unref(cursor);
    stator_collection_unref(c);
    bson_destroy(opts);
}

static void is_empty(stator_future_t *over)
{
    char *all = bson_as_canonical_extended_json(stator_future_reply(over),
                                                NULL);

    ck_assert_msg(strcmp(all, "{ \"leaked\" : [  ] }") == 0, "%s; %s", all,
                  torture_where());
    bson_free(all);
}

static void run(void)
{
    stator_client_t *client;
    stator_future_t *over;

    wire_gate_shut(gate);
    client = client_or_null();
    if (client == NULL)
        return;
    stage->scenario(client);
    if (torture_is_spent() && !stage->is_deaf && !is_closed(client))
        has_taken_no_harm(client);
    over = stator_client_close(client, NULL);
    if (settles(over) && !stage->leaks)
        is_empty(over);
    stator_future_unref(over);
    stator_client_unref(client);
    ck_no_cursors();
}

void stage_perform(const stage_t *of)
{
    stage = of;
    calls_count_monitors(of->at_monitors);
    open_server();
    torture_sweep_named(stage->name, run);
    shut_server();
}

void stage_perform_network(const stage_t *of)
{
    if (of->is_offline)
        return;
    stage = of;
    calls_count_monitors(of->at_monitors);
    open_server();
    torture_sweep_network_named(stage->name, run);
    shut_server();
}
