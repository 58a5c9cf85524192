/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_ping.c - `stator ping`: is the server there, and what is it? */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "clock.h"
#include "interrupt.h"
#include "redact.h"
#include "session.h"
#include "table.h"

enum { KEY_COUNT = 'n' };

typedef struct ping_args {
    settings_t *settings;
    int64_t count;
} ping_args_t;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    ping_args_t *args = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = args->settings;
        return 0;
    case KEY_COUNT:
        args->count = settings_number(state, "--count", arg, 1, 1000000);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is one argument too many", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = (const struct argp_option[]){
        {"count", KEY_COUNT, "N", 0, "Ask so many times (1)", 1}, {0}},
    .parser = parse,
    .doc = "Ask the server whether it is there.\v"
           "Exit status 0: it is; 69: it can not be reached; 77: it does not "
           "let this user in.",
    .children = (const struct argp_child[]){{&settings_argp, 0, 0, 0}, {0}}};

static const char *server_version(const stator_future_t *future)
{
    const bson_t *reply = stator_future_reply(future);
    bson_iter_t at;

    if (reply != NULL && bson_iter_init_find(&at, reply, "version") &&
        BSON_ITER_HOLDS_UTF8(&at))
        return bson_iter_utf8(&at, NULL);
    return "of unknown version";
}

static int ping_once(session_t *session, const char *where)
{
    int64_t start = clock_us();
    int code = session_finish(session, where,
                              stator_client_ping(session->client,
                                                 &session->opts));

    if (code == EX_OK && !session->settings->quiet) {
        printf("%s answers in %s\n", where, table_ms(clock_us() - start));
        fflush(stdout);
    }
    return code;
}

/* Who it is; a server that does not say is no failure. */
static void print_server(session_t *session)
{
    bson_t command = BSON_INITIALIZER;
    stator_future_t *future;

    BSON_APPEND_INT32(&command, "buildInfo", 1);
    future = stator_client_command(session->client, "admin", &command,
                                   &session->opts);
    bson_destroy(&command);
    if (session_await(session, future) &&
        stator_future_poll(future) == STATOR_FUTURE_DONE)
        printf("server %s\n", server_version(future));
    stator_future_unref(future);
}

int cmd_ping(settings_t *settings, int argc, char **argv)
{
    ping_args_t args = {settings, 1};
    session_t session;
    const char *origin;
    char *where;
    int code;

    settings_parse(settings, &argp, 0, argc, argv, NULL, &args);
    where = redact_uri(settings_uri(settings, &origin));
    code = session_open(&session, settings, NULL);
    for (int64_t i = 0; i < args.count && code == EX_OK; i++)
        code = ping_once(&session, where);
    if (code == EX_OK && !settings->quiet)
        print_server(&session);
    session_close(&session, code != EX_OK);
    bson_free(where);
    return code;
}
