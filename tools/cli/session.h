/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - a client, a dispatcher and the loop of one command.
 *
 *   poll: the dispatcher's descriptor, Ctrl-C, and one of the command's own
 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <poll.h>
#include <stator/stator.h>

#include "settings.h"

typedef struct session {
    const settings_t *settings;
    stator_client_t *client;
    stator_dispatcher_t *dispatcher;
    stator_collection_t *collection; /* NULL: none was asked for */
    char *db;
    const char *collection_name;
    bson_t opts; /* what the options of every operation begin with */
} session_t;

/* EX_OK, or an exit code and the reason has been said.  `collection` is the
 * default; without one, and no --collection, it is a usage error, unless
 * NULL: then none is opened. */
int session_open(session_t *session, const settings_t *settings,
                 const char *collection);

/* Drain, unless `now` or after Ctrl-C: then what is under way is given up. */
void session_close(session_t *session, bool now);

/* After a close: does a thread still sit in the driver?  Then exit(3) would
 * take OpenSSL away from under it. */
bool session_leaves_threads(void);

/* Wait until something happens, at most `timeout_ms` (-1: no limit), and run
 * what is ready.  true: `fd` is (-1: none). */
bool session_turn(session_t *session, int fd, short events, int timeout_ms);

/* See to it that a turn ends when `future` settles. */
void session_watch(session_t *session, stator_future_t *future);

/* Turn until `future` has settled: true; false: Ctrl-C, and it has been
 * cancelled. */
bool session_await(session_t *session, stator_future_t *future);

/* As session_await, gives the reference back, and says what went wrong:
 * EX_OK or an exit code. */
int session_finish(session_t *session, const char *what,
                   stator_future_t *future);

/* Say why `future` failed; the exit code that fits. */
int session_explain(const char *what, const stator_future_t *future);

/* The exit code for an error. */
int session_exit_code(const bson_error_t *error);

#endif
