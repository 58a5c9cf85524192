/* SPDX-License-Identifier: Apache-2.0 */
/* dialled.c - what the tests of core/dial.h share. */
#include "tests/core/dialled.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "core/dial.h"
#include "futures/base.h"

int dial_to(scene_t *s, const char *where, int timeout_ms,
            bson_error_t *error)
{
    mongoc_uri_t *uri;
    const mongoc_host_list_t *host;
    char text[256];
    int fd;

    snprintf(text, sizeof text, "mongodb://%s/", where);
    uri = mongoc_uri_new(text);
    ck_assert_ptr_nonnull(uri);
    host = mongoc_uri_get_hosts(uri);
    memset(error, 0, sizeof *error);
    fd = stc_dial(s->client, host, stf_deadline_after_ms(timeout_ms), error);
    mongoc_uri_destroy(uri);
    return fd;
}

void ck_dials(scene_t *s, const char *where)
{
    bson_error_t error;
    int fd = dial_to(s, where, LIB_PATIENCE_MS, &error);

    ck_assert_msg(fd >= 0, "%s", error.message);
    /* As it must be: blocking, and not for a child's eyes. */
    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    close(fd);
}

/* True: it was taken in, so there may be room for one more. */
static bool fill_one(hole_t *h, const struct sockaddr *address, socklen_t size)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    struct sockaddr_storage peer;
    socklen_t n = sizeof peer;
    int fd = socket(address->sa_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_lt(h->n, HOLE_MAX);
    h->fillers[h->n++] = fd;
    (void)connect(fd, address, size);
    nanosleep(&pause, NULL);
    return getpeername(fd, (struct sockaddr *)&peer, &n) == 0;
}

void hole_fill(hole_t *h, const struct sockaddr *address, socklen_t size)
{
    while (fill_one(h, address, size))
        continue;
}

void hole_open(hole_t *h)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t size = sizeof a;

    memset(h, 0, sizeof *h);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    h->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(h->listener, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(listen(h->listener, 0), 0);
    getsockname(h->listener, (struct sockaddr *)&a, &size);
    snprintf(h->where, sizeof h->where, "127.0.0.1:%d", ntohs(a.sin_port));
    hole_fill(h, (struct sockaddr *)&a, sizeof a);
}

void hole_close(hole_t *h)
{
    while (h->n > 0)
        close(h->fillers[--h->n]);
    close(h->listener);
}
