/* SPDX-License-Identifier: Apache-2.0 */
/* secure.h - what the tests of security share: a server of the test's own,
 * certificates, and a client that is asked once and told all over.
 *
 * Every secret in these tests holds the word SECRET, so that one search finds
 * whatever leaks.  All files are in one folder below build/, which goes with
 * the test; the server dies with it. */
#ifndef STATOR_TESTS_SECURE_H
#define STATOR_TESTS_SECURE_H

#include "tests/harness/suite.h"

#include <stdlib.h>
#include <string.h>

#include <stator/stator.h>

enum { SECURE_PATIENCE_MS = 90000 }; /* for what must come anyway */

#define SECRET "sesame"

/* Everything that a client tells of itself and of one ping. */
typedef struct told {
    stator_future_state_t state;
    stator_origin_t origin;
    stator_outcome_t outcome;
    bson_error_t error;
    char *all; /* error, reply, stats, config and the driver's log */
} told_t;

/* The folder, made by secure_setup and taken away by secure_teardown, which
 * ends the server too. */
extern char secure_folder[64];
void secure_setup(void);
void secure_teardown(void);

/* Why there can be no server here, or NULL. */
const char *secure_lacks(void);
#define NEED_DAEMON()                   \
    do {                                \
        if (secure_lacks() != NULL)     \
            SKIP("%s", secure_lacks()); \
    } while (0)

/* Run a shell's command line in the folder; true if it succeeds. */
bool secure_shell(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Start a server with these options in the folder; returns its port when it
 * listens.  One at a time; secure_stop ends it, and what it stored stays. */
int secure_start(const char *options);
void secure_stop(void);

/* NAME.pem and NAME.key: an authority, and what it signs for `alt_name`
 * ("IP:127.0.0.1"); `days` below 0: it has expired. */
void secure_authority(const char *name);
void secure_certificate(const char *name, const char *authority,
                        const char *alt_name, int days);

/* A client for the URI (printf), pinged once with `timeout_ms` (0: none) and
 * closed.  Overwrites `told`: told_clear it. */
void told_ask(told_t *told, int timeout_ms, const char *uri, ...)
    __attribute__((format(printf, 3, 4)));
/* The client of this URI is refused; `told` has the error alone. */
void told_no_client(told_t *told, const char *uri);
void told_clear(told_t *told);

/* Nothing secret is in it. */
void ck_no_secret(const char *text);

#endif /* STATOR_TESTS_SECURE_H */
