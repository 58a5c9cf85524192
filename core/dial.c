/* SPDX-License-Identifier: Apache-2.0 */
/* core/dial.c - from a host's name to a connected socket, in bounded time.
 *
 *   caller --starts--> lookup thread: getaddrinfo
 *     sleeps on `done` <--wakes-- |
 *     takes `found`               frees what nobody waits for any more
 *
 * D1  A lookup has two owners, the caller and the thread; the last one frees
 *     it. */
#include "core/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/client.h"
#include "futures/base.h"

/* Name servers that do not answer hold a thread for half a minute or so. */
enum { LOOKUPS_MAX = 64 };

static int fail(bson_error_t *error, mongoc_error_code_t code,
                const mongoc_host_list_t *host, const char *what,
                const char *why)
{
    bson_set_error(error, MONGOC_ERROR_STREAM, code, "%s %s: %s", what,
                   host->host_and_port, why);
    return -1;
}

/* ---- the name ---------------------------------------------------- */

struct lookup {
    atomic_int owners; /* D1 */
    atomic_uint done;
    int answer; /* getaddrinfo's */
    struct addrinfo hints;
    struct addrinfo *found;
    stator_client_t *client; /* its memory: held while the thread runs */
    char port[8];
    char name[BSON_HOST_NAME_MAX + 1];
};

static void lookup_unref(struct lookup *l)
{
    if (atomic_fetch_sub(&l->owners, 1) != 1)
        return;
    if (l->found != NULL)
        freeaddrinfo(l->found);
    free(l);
}

static void *look_up(void *arg)
{
    struct lookup *l = arg;
    struct addrinfo *found = NULL;

    l->answer = getaddrinfo(l->name, l->port, &l->hints, &found);
    l->found = l->answer == 0 ? found : NULL;
    atomic_fetch_sub(&l->client->lookups, 1);
    stc_client_release(l->client);
    atomic_store(&l->done, 1);
    stf_futex_wake(&l->done, 1);
    lookup_unref(l);
    return NULL;
}

static struct lookup *lookup_new(stator_client_t *client,
                                 const mongoc_host_list_t *host)
{
    struct lookup *l = calloc(1, sizeof *l);

    if (l == NULL)
        return NULL;
    atomic_init(&l->owners, 1);
    l->hints.ai_family = host->family;
    l->hints.ai_socktype = SOCK_STREAM;
    l->client = client;
    snprintf(l->port, sizeof l->port, "%u", (unsigned)host->port);
    snprintf(l->name, sizeof l->name, "%s", host->host);
    return l;
}

/* On a thread of its own.  NULL, or why not. */
static const char *look_up_aside(struct lookup *l, int64_t deadline)
{
    stator_client_t *client = l->client;

    if (atomic_fetch_add(&client->lookups, 1) >= LOOKUPS_MAX) {
        atomic_fetch_sub(&client->lookups, 1);
        return "too many lookups hang already";
    }
    atomic_fetch_add(&l->owners, 1);
    stc_client_hold(client);
    if (stc_thread_start(NULL, look_up, l, "stator/lookup") != 0) {
        stc_client_release(client);
        atomic_fetch_sub(&client->lookups, 1);
        atomic_fetch_sub(&l->owners, 1);
        return "no thread can be started for the lookup";
    }
    while (atomic_load(&l->done) == 0) {
        if (stf_is_late(deadline))
            return "no answer within connectTimeoutMS";
        stf_futex_wait(&l->done, 0, deadline);
    }
    return l->answer == 0 ? NULL : gai_strerror(l->answer);
}

/* NULL, or why not.  An address needs no thread. */
static const char *resolve(struct lookup *l, int64_t deadline)
{
    l->hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    if (getaddrinfo(l->name, l->port, &l->hints, &l->found) == 0)
        return NULL;
    l->found = NULL;
    l->hints.ai_flags = AI_NUMERICSERV;
    return look_up_aside(l, deadline);
}

/* ---- the connection ---------------------------------------------- */

static int wait_connected(int fd, int64_t deadline)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    socklen_t size = sizeof(int);
    int failed = 0, n;

    do {
        n = poll(&p, 1, stf_poll_timeout(deadline));
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n == 0 ? ETIMEDOUT : errno;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) != 0)
        return errno;
    return failed;
}

/* As the driver's own sockets are. */
static void set_options(int fd)
{
    static const struct {
        int option, value;
    } of_tcp[] = {{TCP_NODELAY, 1},
                  {TCP_KEEPIDLE, 120},
                  {TCP_KEEPINTVL, 10},
                  {TCP_KEEPCNT, 9}};
    const int on = 1;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    for (size_t i = 0; i < sizeof of_tcp / sizeof of_tcp[0]; i++)
        setsockopt(fd, IPPROTO_TCP, of_tcp[i].option, &of_tcp[i].value,
                   sizeof of_tcp[i].value);
}

/* A descriptor, or -1 and errno. */
static int connect_to(int family, const struct sockaddr *address,
                      socklen_t size, int64_t deadline)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int failed = 0;

    if (fd < 0)
        return -1;
    set_options(fd);
    if (connect(fd, address, size) != 0)
        failed = errno;
    if (failed == EINPROGRESS || failed == EINTR)
        failed = wait_connected(fd, deadline);
    if (failed == 0 && fcntl(fd, F_SETFL, 0) != 0)
        failed = errno;
    if (failed == 0)
        return fd;
    close(fd);
    errno = failed;
    return -1;
}

/* The same for a path.  When its queue is full there is nothing to poll for:
 * the kernel waits, if it may block. */
static int connect_to_path(const struct sockaddr_un *address,
                           int64_t deadline)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed;

    if (fd < 0)
        return -1;
    do {
        int ms = stf_poll_timeout(deadline);
        struct timeval most = {.tv_sec = ms / 1000,
                               .tv_usec = ms % 1000 * 1000 + (ms == 0)};

        if (ms >= 0)
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
        failed = 0;
        if (connect(fd, (const struct sockaddr *)address, sizeof *address) !=
            0)
            failed = errno;
    } while (failed == EINTR && !stf_is_late(deadline));
    if (failed == 0)
        return fd;
    close(fd);
    /* After EINTR it would have been tried again, had there been time. */
    errno = failed == EAGAIN || failed == EINTR ? ETIMEDOUT : failed;
    return -1;
}

static int64_t share_of(int64_t deadline, const struct addrinfo *left)
{
    int64_t now = stf_now_ns(), n = 0;

    for (; left != NULL; left = left->ai_next)
        n++;
    return deadline <= now ? now : now + (deadline - now) / n;
}

static int fail_to_connect(const mongoc_host_list_t *host, int failed,
                           bson_error_t *error)
{
    char text[128];

    return fail(error, MONGOC_ERROR_STREAM_CONNECT, host,
                "Failed to connect to",
                bson_strerror_r(failed, text, sizeof text));
}

static int dial_tcp(stator_client_t *client, const mongoc_host_list_t *host,
                    int64_t deadline, bson_error_t *error)
{
    struct lookup *l = lookup_new(client, host);
    const char *why;
    int fd = -1, failed = ENOENT;

    if (l == NULL)
        return fail(error, MONGOC_ERROR_STREAM_CONNECT, host,
                    "Failed to connect to", "no memory");
    why = resolve(l, deadline);
    if (why != NULL) {
        fail(error, MONGOC_ERROR_STREAM_NAME_RESOLUTION, host,
             "Failed to resolve", why);
        lookup_unref(l);
        return -1;
    }
    for (const struct addrinfo *a = l->found; a != NULL && fd < 0;
         a = a->ai_next) {
        fd = connect_to(a->ai_family, a->ai_addr, a->ai_addrlen,
                        share_of(deadline, a));
        failed = errno;
    }
    lookup_unref(l);
    return fd < 0 ? fail_to_connect(host, failed, error) : fd;
}

static int dial_unix(const mongoc_host_list_t *host, int64_t deadline,
                     bson_error_t *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(host->host) >= sizeof address.sun_path)
        return fail(error, MONGOC_ERROR_STREAM_CONNECT, host,
                    "Failed to connect to", "the path is too long");
    memcpy(address.sun_path, host->host, strlen(host->host) + 1);
    fd = connect_to_path(&address, deadline);
    return fd < 0 ? fail_to_connect(host, errno, error) : fd;
}

int stc_dial(stator_client_t *client, const mongoc_host_list_t *host,
             int64_t deadline, bson_error_t *error)
{
    return host->family == AF_UNIX
               ? dial_unix(host, deadline, error)
               : dial_tcp(client, host, deadline, error);
}
