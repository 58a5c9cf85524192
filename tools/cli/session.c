/* SPDX-License-Identifier: Apache-2.0 */
/* session.c - opens, turns and closes; maps failures to exit codes. */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "interrupt.h"
#include "redact.h"

enum {
    CLOSE_MS = 5000,
    /* Server codes: authentication and authorisation. */
    SERVER_UNAUTHORIZED = 13,
    SERVER_AUTHENTICATION_FAILED = 18,
    SERVER_DOMAIN = 17
};

int session_exit_code(const bson_error_t *error)
{
    if (error->domain == STATOR_ERROR_DOMAIN) {
        switch (error->code) {
        case STATOR_ERROR_ARGUMENT:
            return EX_USAGE;
        case STATOR_ERROR_REFUSED:
        case STATOR_ERROR_EXPIRED:
            return EX_TEMPFAIL;
        case STATOR_ERROR_MEMORY:
            return EX_OSERR;
        default:
            return EX_SOFTWARE;
        }
    }
    if (error->domain == SERVER_DOMAIN)
        return error->code == SERVER_UNAUTHORIZED ||
                       error->code == SERVER_AUTHENTICATION_FAILED
                   ? EX_NOPERM
                   : EX_DATAERR;
    if (error->domain == MONGOC_ERROR_CLIENT &&
        error->code == MONGOC_ERROR_CLIENT_AUTHENTICATE)
        return EX_NOPERM;
    /* Server selection wraps the refusal of a handshake in its own error. */
    if (strcasestr(error->message, "authentication failed") != NULL)
        return EX_NOPERM;
    if (error->domain == MONGOC_ERROR_STREAM ||
        error->domain == MONGOC_ERROR_SERVER_SELECTION ||
        error->domain == MONGOC_ERROR_CLIENT)
        return EX_UNAVAILABLE;
    return EX_DATAERR;
}

static const char *outcome(const stator_future_t *future)
{
    switch (stator_future_outcome(future)) {
    case STATOR_NOT_SENT:
        return "the server has not seen it";
    case STATOR_MAYBE_SENT:
        return "the server may have done it";
    default:
        return "the server's answer";
    }
}

int session_explain(const char *what, const stator_future_t *future)
{
    bson_error_t error;

    if (!stator_future_error(future, &error))
        return EX_OK;
    say_error("%s: %s", what, error.message);
    say_detail("(domain %u, code %u; %s)", error.domain, error.code,
               outcome(future));
    return session_exit_code(&error);
}

static int open_client(session_t *session)
{
    bson_t opts = BSON_INITIALIZER;
    bson_error_t error;
    const char *origin;
    const char *uri = settings_uri(session->settings, &origin);

    settings_client_opts(session->settings, &opts);
    session->client = stator_client_new(uri, &opts, &error);
    bson_destroy(&opts);
    if (session->client != NULL)
        return EX_OK;
    if (strcmp(origin, "default") != 0) {
        char *safe = redact_uri(uri);

        say_error("%s", error.message);
        say_error("the connection string is \"%s\", by %s", safe, origin);
        bson_free(safe);
    } else {
        say_error("%s", error.message);
    }
    return session_exit_code(&error);
}

int session_open(session_t *session, const settings_t *settings,
                 const char *collection)
{
    bson_error_t error;
    const char *origin;
    int code;

    *session = (session_t){.settings = settings};
    bson_init(&session->opts);
    session->collection_name =
        settings->collection != NULL ? settings->collection : collection;
    if (session->collection_name != NULL &&
        *session->collection_name == '\0') {
        say_error("which collection?  --collection NAME is missing");
        return EX_USAGE;
    }
    if (!interrupt_install()) {
        say_error("eventfd: %s", strerror(errno));
        return EX_OSERR;
    }
    settings_operation_opts(settings, &session->opts);
    session->dispatcher = stator_dispatcher_new(&error);
    if (session->dispatcher == NULL) {
        say_error("%s", error.message);
        return EX_OSERR;
    }
    code = open_client(session);
    if (code != EX_OK)
        return code;
    session->db = settings_db(settings, &origin);
    if (session->collection_name != NULL)
        session->collection = stator_client_get_collection(
            session->client, session->db, session->collection_name);
    return EX_OK;
}

static bool leaves_threads;

bool session_leaves_threads(void)
{
    return leaves_threads;
}

/* {"leaked": [..]}: what still sits in the driver. */
static bool is_clean(const stator_future_t *closed)
{
    const bson_t *reply = stator_future_reply(closed);
    bson_iter_t at, leaked;

    return stator_future_poll(closed) == STATOR_FUTURE_DONE &&
           (reply == NULL || !bson_iter_init_find(&at, reply, "leaked") ||
            !bson_iter_recurse(&at, &leaked) || !bson_iter_next(&leaked));
}

void session_close(session_t *session, bool now)
{
    bson_t opts = BSON_INITIALIZER;

    now = now || interrupt_count() > 0;
    stator_collection_unref(session->collection);
    if (session->client != NULL) {
        stator_future_t *closed;

        BSON_APPEND_UTF8(&opts, "mode", now ? "abort" : "drain");
        BSON_APPEND_INT32(&opts, "timeoutMS", now ? 0 : CLOSE_MS);
        closed = stator_client_close(session->client, &opts);
        stator_dispatcher_run_until(session->dispatcher, closed,
                                    CLOSE_MS + 1000);
        leaves_threads = !is_clean(closed);
        stator_future_unref(closed);
        stator_client_unref(session->client);
    }
    stator_dispatcher_unref(session->dispatcher);
    bson_destroy(&opts);
    bson_destroy(&session->opts);
    free(session->db);
}

bool session_turn(session_t *session, int fd, short events, int timeout_ms)
{
    struct pollfd wanted[] = {
        {.fd = stator_dispatcher_fd(session->dispatcher), .events = POLLIN},
        {.fd = fd, .events = events},
        {.fd = interrupt_fd(), .events = POLLIN}};

    if (poll(wanted, sizeof wanted / sizeof *wanted, timeout_ms) <= 0)
        return false;
    if (wanted[2].revents != 0)
        interrupt_noted();
    if (wanted[0].revents != 0)
        stator_dispatcher_dispatch(session->dispatcher, 0);
    return wanted[1].revents != 0;
}

/* Only a continuation makes the dispatcher's descriptor readable. */
static void wake(stator_future_t *future, void *arg)
{
    (void)future;
    (void)arg;
}

void session_watch(session_t *session, stator_future_t *future)
{
    int failed =
        stator_future_then(future, session->dispatcher, wake, NULL);

    if (failed != 0) {
        say_error("a continuation can not be attached: %s", strerror(failed));
        exit(EX_OSERR);
    }
}

bool session_await(session_t *session, stator_future_t *future)
{
    session_watch(session, future);
    while (stator_future_poll(future) == STATOR_FUTURE_PENDING) {
        if (interrupt_count() > 0) {
            stator_future_cancel(future);
            return false;
        }
        session_turn(session, -1, 0, -1);
    }
    return true;
}

int session_finish(session_t *session, const char *what,
                   stator_future_t *future)
{
    int code;

    if (session_await(session, future))
        code = session_explain(what, future);
    else
        code = interrupt_exit();
    stator_future_unref(future);
    return code;
}
