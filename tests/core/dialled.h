/* SPDX-License-Identifier: Apache-2.0 */
/* dialled.h - what the tests of core/dial.h share: to dial, and whom nobody
 * answers at. */
#ifndef STATOR_TESTS_CORE_DIALLED_H
#define STATOR_TESTS_CORE_DIALLED_H

#include <sys/socket.h>

#include "tests/core/cut.h"

/* To host:port, or to a path, as URIs have it.  A descriptor, or -1 and
 * `error`. */
int dial_to(scene_t *s, const char *where, int timeout_ms,
            bson_error_t *error);

/* It is connected as it must be, and closed again. */
void ck_dials(scene_t *s, const char *where);

/* A socket that listens, whose queue is full: who connects is not answered. */
enum { HOLE_MAX = 16 };

typedef struct hole {
    int listener;
    int fillers[HOLE_MAX];
    int n;
    char where[32];
} hole_t;

/* At a port of 127.0.0.1: `where`. */
void hole_open(hole_t *h);
/* Fill the queue of `listener`, which is at this address. */
void hole_fill(hole_t *h, const struct sockaddr *address, socklen_t size);
void hole_close(hole_t *h);

#endif /* STATOR_TESTS_CORE_DIALLED_H */
