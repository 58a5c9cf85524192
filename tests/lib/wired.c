/* SPDX-License-Identifier: Apache-2.0 */
/* wired.c - a stage on a wire server of its own, and what came there. */
#include "tests/lib/wired.h"

wired_t *wired_new(const char *extra, wire_role_t role)
{
    wire_options_t options = {.documents = 10, .member = {.role = role}};
    wired_t *t = calloc(1, sizeof *t);
    char uri[WIRE_URI_SIZE];

    t->server = wire_server_new(&options);
    ck_assert_ptr_nonnull(t->server);
    t->stage = stage_new(wire_server_uri(t->server, extra, uri, sizeof uri),
                         NULL, false);
    return t;
}

void wired_free(wired_t *t)
{
    wire_command_clear(&t->command);
    stage_free(t->stage);
    wire_server_free(t->server);
    free(t);
}

const bson_t *sent_to(wire_server_t *server, const char *name,
                      wire_command_t *command)
{
    int64_t n = wire_count(server, name);

    ck_assert_msg(n > 0, "no %s came", name);
    wire_command_clear(command);
    memset(command, 0, sizeof *command);
    ck_assert(wire_log_find(server, name, (size_t)(n - 1), command));
    ck_assert_ptr_nonnull(command->document);
    return command->document;
}

const bson_t *sent(wired_t *t, const char *name)
{
    return sent_to(t->server, name, &t->command);
}
