/* SPDX-License-Identifier: Apache-2.0 */
/* stage.c - what the heartbeat's scenes have in common. */
#include "tests/heartbeat/stage.h"

#include <check.h>

void stage_on_settled(stator_future_t *future, void *arg)
{
    stage_t *stage = arg;

    stage->arrived++;
    stage->done += stator_future_poll(future) == STATOR_FUTURE_DONE;
}

static void on_closed(stator_future_t *future, void *arg)
{
    ck_assert_int_eq(stator_future_poll(future), STATOR_FUTURE_DONE);
    ((stage_t *)arg)->closed = true;
}

void stage_on_dropped(void *arg)
{
    ((stage_t *)arg)->dropped++;
}

void stage_attach(stage_t *stage, stator_future_t *future,
                  stator_then_fn *fn)
{
    ck_assert_int_eq(stator_future_then(future, stage->dispatcher, fn, stage),
                     0);
    stator_future_unref(future);
}

void stage_open_client(stage_t *stage)
{
    bson_t *opts = BCON_NEW("workers", BCON_INT32(STAGE_WORKERS));
    bson_error_t error = {0};

    stage->client = stator_client_new(stage->uri, opts, &error);
    ck_assert_msg(stage->client != NULL, "%s", error.message);
    stage->collection =
        stator_client_get_collection(stage->client, "heart", "beat");
    bson_destroy(opts);
}

void stage_release(stage_t *stage)
{
    stator_collection_unref(stage->collection);
    stator_client_unref(stage->client);
    stage->collection = NULL;
    stage->client = NULL;
}

void stage_close_client(stage_t *stage, const char *mode, int timeout_ms)
{
    bson_t *opts = BCON_NEW("mode", BCON_UTF8(mode), "timeoutMS",
                            BCON_INT32(timeout_ms));

    stage_attach(stage, stator_client_close(stage->client, opts), on_closed);
    stage->closing = true;
    bson_destroy(opts);
}

bool stage_is_closed(stage_t *stage, const char *mode, int timeout_ms)
{
    if (!stage->closing)
        stage_close_client(stage, mode, timeout_ms);
    if (stage->closed && stage->client != NULL)
        stage_release(stage);
    return stage->closed;
}

void stage_ping(stage_t *stage, int n)
{
    bson_t *opts = BCON_NEW("timeoutMS", BCON_INT32(500));

    for (int i = 0; i < n; i++)
        stage_attach(stage, stator_client_ping(stage->client, opts),
                     stage_on_settled);
    bson_destroy(opts);
}

void stage_find(stage_t *stage, int n)
{
    bson_t all = BSON_INITIALIZER;

    for (int i = 0; i < n; i++)
        stage_attach(
            stage, stator_collection_find_one(stage->collection, &all, NULL),
            stage_on_settled);
}

void stage_start_server(stage_t *stage, const wire_options_t *options,
                        const char *extra)
{
    stage->server = wire_server_new(options);
    ck_assert_ptr_nonnull(stage->server);
    wire_server_uri(stage->server, extra, stage->uri, sizeof stage->uri);
}

void stage_gate_server(stage_t *stage)
{
    stage_start_server(stage, &(wire_options_t){.documents = 1}, NULL);
    stage->gate = wire_gate_new(stage->server);
    wire_rule_add(stage->server, &(wire_rule_t){
                                     .command = "find",
                                     .gate = stage->gate,
                                 });
}
