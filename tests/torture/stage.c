/* SPDX-License-Identifier: Apache-2.0 */
/* stage.c - a wire server, and a client on it for each run of a sweep. */
#include "tests/torture/stage.h"

#include <string.h>

#include "tests/torture/fail.h"
#include "tests/wire/wire.h"

static wire_server_t *server;
static wire_gate_t *gate;
static char uri[WIRE_URI_SIZE];

void stage_open(void)
{
    server = wire_server_new(
        &(wire_options_t){.documents = STAGE_DOCUMENTS, .no_log = true});
    ck_assert_ptr_nonnull(server);
    wire_server_uri(server, "retryReads=false&retryWrites=false", uri,
                    sizeof uri);
    gate = wire_gate_new(server);
    wire_rule_add(server, &(wire_rule_t){.command = "find",
                                         .collection = "held",
                                         .gate = gate});
}

void stage_shut(void)
{
    ck_assert(wire_wait_clients(server, 0, WIRE_WAIT));
    wire_server_free(server);
    server = NULL;
}

static stator_client_t *client_or_null(void)
{
    bson_t *opts = BCON_NEW("workers", BCON_INT32(2));
    bson_error_t error = {0};
    stator_client_t *client = stator_client_new(uri, opts, &error);

    bson_destroy(opts);
    if (client != NULL)
        return client;
    OK(torture_fired());
    OK(error.domain == STATOR_ERROR_DOMAIN);
    OK(error.code == STATOR_ERROR_MEMORY ||
       (error.code == STATOR_ERROR_REFUSED &&
        strstr(error.message, "thread") != NULL));
    return NULL;
}

static bool is_closed(stator_client_t *client)
{
    stator_future_t *f = stator_client_ping(client, NULL);
    bson_error_t error = {0};
    bool closed;

    OK(stator_future_wait(f, 20000) == 0);
    closed = stator_future_error(f, &error) &&
             error.code == STATOR_ERROR_CLOSED;
    stator_future_unref(f);
    return closed;
}

/* Nothing fails any more: all must work as if nothing had. */
static void has_taken_no_harm(stator_client_t *client)
{
    stator_collection_t *c =
        stator_client_get_collection(client, "torture", "things");
    bson_t *opts = BCON_NEW("batchSize", BCON_INT32(3));
    stator_cursor_t *cursor = stator_collection_find(c, NULL, opts);
    stator_future_t *all = stator_cursor_to_list(cursor, 0);
    bson_error_t error = {0};

    OK(stator_future_wait(all, 20000) == 0);
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

void stage_client(stage_fn *scenario, bool leaves_a_cursor)
{
    stator_client_t *client;
    stator_future_t *over;

    wire_gate_shut(gate);
    client = client_or_null();
    if (client == NULL)
        return;
    scenario(client);
    if (torture_is_spent() && !is_closed(client))
        has_taken_no_harm(client);
    over = stator_client_close(client, NULL);
    if (settles(over) && !leaves_a_cursor)
        is_empty(over);
    stator_future_unref(over);
    stator_client_unref(client);
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

void stage_wait_no_cursors(void)
{
    ck_assert_msg(wire_wait_cursors(server, 0, WIRE_WAIT),
                  "the server still has a cursor; %s", torture_where());
}

int64_t stage_count(const char *command)
{
    return wire_count(server, command);
}
