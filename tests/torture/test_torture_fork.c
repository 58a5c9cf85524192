/* SPDX-License-Identifier: Apache-2.0 */
/* test_torture_fork.c - no memory for the handler of pthread_atfork: forks are
 * noticed all the same. */
#include <errno.h>
#include <stator/stator.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/torture/fail.h"
#include "tests/wire/wire.h"

static bool is_forked(stator_future_t *f)
{
    bson_error_t error = {0};
    bool is_so = stator_future_error(f, &error) &&
                 error.domain == STATOR_ERROR_DOMAIN &&
                 error.code == STATOR_ERROR_FORKED;

    stator_future_unref(f);
    return is_so;
}

static int in_child(stator_client_t *client, stator_future_t *pending)
{
    if (!is_forked(stator_client_ping(client, NULL)))
        return 1;
    if (stator_future_wait(pending, TORTURE_PATIENCE_MS) == ETIMEDOUT)
        return 2;
    if (!is_forked(pending))
        return 3;
    stator_client_unref(client);
    return 0;
}

START_TEST(forks_are_noticed)
{
    wire_server_t *server;
    wire_gate_t *gate;
    char uri[WIRE_URI_SIZE];
    bson_error_t error = {0};
    stator_client_t *client;
    stator_future_t *f;
    int status = -1;
    pid_t child;

    if (calls_saw_atfork())
        SKIP("the handler is there already: this needs CK_FORK");
    calls_refuse_atfork();
    server = wire_server_new(NULL);
    gate = wire_gate_new(server);
    wire_rule_add(server, &(wire_rule_t){.command = "ping", .gate = gate});
    wire_server_uri(server, NULL, uri, sizeof uri);
    client = stator_client_new(uri, NULL, &error);
    ck_assert_msg(client != NULL, "%s", error.message);
    ck_assert(calls_saw_atfork());
    f = stator_client_ping(client, NULL);
    ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));
    child = fork();
    if (child == 0)
        _exit(in_child(client, f));
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    wire_gate_open(gate);
    ck_assert_int_eq(stator_future_wait(f, TORTURE_PATIENCE_MS), 0);
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_DONE);
    stator_future_unref(f);
    f = stator_client_close(client, NULL);
    ck_assert_int_eq(stator_future_wait(f, TORTURE_PATIENCE_MS), 0);
    stator_future_unref(f);
    stator_client_unref(client);
    wire_server_free(server);
}
END_TEST

SUITE(torture_fork)
{
    tcase_add_test(tc, forks_are_noticed);
}
