/* SPDX-License-Identifier: Apache-2.0 */
/* calls.c - the calls that fail. */
#include "tests/torture/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

extern const char __executable_start;

static atomic_long calls, fail_at, live;
static atomic_bool onward, fired;
static atomic_int kind, way;
static _Atomic(const char *) first; /* the name of the first that failed */
static _Atomic(uintptr_t) place;
static atomic_uint errors[4]; /* the errors of those that failed: bits */
static atomic_bool refuses_atfork, saw_atfork, counts_monitors;

/* Of the threads that the library began. */
static _Thread_local enum { NOT_OURS, OURS, A_MONITORS } mine;

/* ---- whose turn it is --------------------------------------------------- */

void calls_begin(enum calls_kind new_kind, int new_way, long n, bool on)
{
    atomic_store(&fail_at, 0);
    atomic_store(&kind, (int)new_kind);
    atomic_store(&way, new_way);
    atomic_store(&onward, on);
    atomic_store(&fired, false);
    atomic_store(&first, "");
    for (int i = 0; i < 4; i++)
        atomic_store(&errors[i], 0);
    atomic_store(&place, 0);
    atomic_store(&calls, 0);
    atomic_store(&fail_at, n);
}

void calls_count_monitors(bool wanted)
{
    atomic_store(&counts_monitors, wanted);
}

/* They bear the name that the worker had that began them, see core/worker.c:
 * it goes by it for a moment itself. */
bool calls_is_monitor(void)
{
    char name[16] = "";

    if (mine != NOT_OURS || gettid() == getpid())
        return mine == A_MONITORS;
    pthread_getname_np(pthread_self(), name, sizeof name);
    return strstr(name, "/driver") != NULL;
}

bool calls_fired(void)
{
    return atomic_load(&fired);
}

const char *calls_what(void)
{
    static char text[80];

    snprintf(text, sizeof text, "%s, at +0x%lx", atomic_load(&first),
             (unsigned long)atomic_load(&place));
    return text;
}

long calls_live(void)
{
    return atomic_load(&live);
}

static bool fails(enum calls_kind of, const char *name, int error,
                  const void *from)
{
    long at = atomic_load(&fail_at), n;

    if ((int)of != atomic_load(&kind) ||
        calls_is_monitor() != atomic_load(&counts_monitors))
        return false;
    n = atomic_fetch_add(&calls, 1) + 1;
    if (at == 0 || n < at || (n > at && !atomic_load(&onward)))
        return false;
    if (error != 0) /* getaddrinfo's are negative, and small as well */
        atomic_fetch_or(&errors[abs(error) / 32], 1u << abs(error) % 32);
    if (!atomic_exchange(&fired, true)) {
        atomic_store(&first, name);
        atomic_store(&place,
                     (uintptr_t)from - (uintptr_t)&__executable_start);
    }
    errno = error;
    return true;
}

#define FAILS(of, error) \
    fails(of, __func__ + 8, error, __builtin_return_address(0))

/* One of two, by the way. */
static int either(int one, int other)
{
    return atomic_load(&way) == 0 ? one : other;
}

static bool shows(const char *message, int error)
{
    return strstr(message, strerror(error)) != NULL ||
           strstr(message, gai_strerror(-error)) != NULL;
}

bool calls_explain(const char *message)
{
    static const char *const by_us[] = {
        "no memory", "no thread can be started", "the connection was reset",
        "the connection broke", "the server closed the connection",
        "no answer in time",
    };

    for (size_t i = 0; i < sizeof by_us / sizeof by_us[0]; i++)
        if (strstr(message, by_us[i]) != NULL)
            return true;
    for (int error = 1; error < 128; error++)
        if ((atomic_load(&errors[error / 32]) >> error % 32 & 1) != 0 &&
            shows(message, error))
            return true;
    return false;
}

/* Never twice in a row: who is interrupted for ever may try for ever. */
static _Thread_local bool interrupted;

/* ---- memory ------------------------------------------------------------- */

static void *made(void *block)
{
    if (block != NULL)
        atomic_fetch_add(&live, 1);
    return block;
}

void *torture_malloc(size_t size)
{
    return FAILS(CALLS_RESOURCES, ENOMEM) ? NULL : made(malloc(size));
}

void *torture_calloc(size_t n, size_t size)
{
    return FAILS(CALLS_RESOURCES, ENOMEM) ? NULL : made(calloc(n, size));
}

void *torture_aligned_alloc(size_t align, size_t size)
{
    return FAILS(CALLS_RESOURCES, ENOMEM) ? NULL
                                          : made(aligned_alloc(align, size));
}

void *torture_realloc(void *block, size_t size)
{
    bool is_new = block == NULL;
    void *moved;

    if (FAILS(CALLS_RESOURCES, ENOMEM))
        return NULL;
    moved = realloc(block, size);
    return is_new ? made(moved) : moved;
}

void torture_free(void *block)
{
    if (block != NULL)
        atomic_fetch_sub(&live, 1);
    free(block);
}

char *torture_strdup(const char *text);
char *torture_strdup(const char *text)
{
    return FAILS(CALLS_RESOURCES, ENOMEM) ? NULL : made(strdup(text));
}

/* ---- threads, eventfd, fork --------------------------------------------- */

struct start {
    void *(*fn)(void *);
    void *arg;
    bool is_monitors;
};

static void *begin(void *arg)
{
    struct start s = *(struct start *)arg;

    free(arg);
    mine = s.is_monitors ? A_MONITORS : OURS;
    return s.fn(s.arg);
}

int torture_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                           void *(*fn)(void *), void *arg);
int torture_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                           void *(*fn)(void *), void *arg)
{
    struct start *s;
    int failed;

    if (FAILS(CALLS_RESOURCES, EAGAIN))
        return EAGAIN;
    s = malloc(sizeof *s);
    if (s == NULL)
        abort();
    *s = (struct start){fn, arg, calls_is_monitor()};
    failed = pthread_create(thread, attr, begin, s);
    if (failed != 0)
        free(s);
    return failed;
}

int torture_eventfd(unsigned value, int flags);
int torture_eventfd(unsigned value, int flags)
{
    return FAILS(CALLS_RESOURCES, EMFILE) ? -1 : eventfd(value, flags);
}

ssize_t torture_write(int fd, const void *bytes, size_t size);
ssize_t torture_write(int fd, const void *bytes, size_t size)
{
    interrupted = !interrupted && FAILS(CALLS_RESOURCES, EINTR);
    return interrupted ? -1 : write(fd, bytes, size);
}

ssize_t torture_read(int fd, void *bytes, size_t size);
ssize_t torture_read(int fd, void *bytes, size_t size)
{
    interrupted = !interrupted && FAILS(CALLS_RESOURCES, EINTR);
    return interrupted ? -1 : read(fd, bytes, size);
}

void calls_refuse_atfork(void)
{
    atomic_store(&refuses_atfork, true);
}

bool calls_saw_atfork(void)
{
    return atomic_load(&saw_atfork);
}

int torture_pthread_atfork(void (*prepare)(void), void (*parent)(void),
                           void (*child)(void));
int torture_pthread_atfork(void (*prepare)(void), void (*parent)(void),
                           void (*child)(void))
{
    atomic_store(&saw_atfork, true);
    return atomic_load(&refuses_atfork)
               ? ENOMEM
               : pthread_atfork(prepare, parent, child);
}

/* ---- the network: making a connection ----------------------------------- */

int torture_socket(int domain, int type, int protocol);
int torture_socket(int domain, int type, int protocol)
{
    return FAILS(CALLS_NETWORK, either(EMFILE, ENOBUFS))
               ? -1
               : socket(domain, type, protocol);
}

/* Interrupted, it goes on by itself, but to a path. */
int torture_connect(int fd, const struct sockaddr *address, socklen_t size);
int torture_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int answer;

    if (FAILS(CALLS_NETWORK, either(ECONNREFUSED, ENETUNREACH)))
        return -1;
    interrupted = !interrupted && FAILS(CALLS_HICCUPS, EINTR);
    if (interrupted && address->sa_family == AF_UNIX)
        return -1;
    answer = connect(fd, address, size);
    if (interrupted && (answer == 0 || errno == EINPROGRESS)) {
        errno = EINTR;
        return -1;
    }
    return answer;
}

int torture_fcntl(int fd, int command, ...);
int torture_fcntl(int fd, int command, ...)
{
    va_list args;
    int value;

    va_start(args, command);
    value = va_arg(args, int);
    va_end(args);
    return FAILS(CALLS_NETWORK, either(ENOMEM, EACCES))
               ? -1
               : fcntl(fd, command, value);
}

int torture_poll(struct pollfd *p, nfds_t n, int timeout_ms);
int torture_poll(struct pollfd *p, nfds_t n, int timeout_ms)
{
    if (FAILS(CALLS_NETWORK, ENOMEM))
        return -1;
    interrupted = !interrupted && FAILS(CALLS_HICCUPS, EINTR);
    return interrupted ? -1 : poll(p, n, timeout_ms);
}

int torture_getsockopt(int fd, int level, int option, void *value,
                       socklen_t *size);
int torture_getsockopt(int fd, int level, int option, void *value,
                       socklen_t *size)
{
    return FAILS(CALLS_NETWORK, ENOBUFS)
               ? -1
               : getsockopt(fd, level, option, value, size);
}

int torture_setsockopt(int fd, int level, int option, const void *value,
                       socklen_t size);
int torture_setsockopt(int fd, int level, int option, const void *value,
                       socklen_t size)
{
    return FAILS(CALLS_NETWORK, either(ENOPROTOOPT, ENOMEM))
               ? -1
               : setsockopt(fd, level, option, value, size);
}

int torture_getaddrinfo(const char *name, const char *service,
                        const struct addrinfo *hints,
                        struct addrinfo **found);
int torture_getaddrinfo(const char *name, const char *service,
                        const struct addrinfo *hints,
                        struct addrinfo **found)
{
    int failed = either(EAI_MEMORY, EAI_AGAIN);

    if (!FAILS(CALLS_NETWORK, failed))
        failed = getaddrinfo(name, service, hints, found);
    if (failed == 0)
        atomic_fetch_add(&live, 1);
    return failed;
}

void torture_freeaddrinfo(struct addrinfo *found);
void torture_freeaddrinfo(struct addrinfo *found)
{
    atomic_fetch_sub(&live, 1);
    freeaddrinfo(found);
}

/* ---- the network: messages ---------------------------------------------- */

enum { INTERRUPTED, SHORT, EARLY };

/* Is this call to fail for nothing?  The kernel says EAGAIN when a time limit
 * is up; a call that must not block has none. */
static bool has_hiccup(int flags, const char *name, const void *from)
{
    int now = atomic_load(&way);

    if (now == SHORT || (now == EARLY && (flags & MSG_DONTWAIT) != 0))
        return false;
    interrupted = !interrupted &&
                  fails(CALLS_HICCUPS, name, now == EARLY ? EAGAIN : EINTR,
                        from);
    return interrupted;
}

static bool is_short(const char *name, const void *from)
{
    return atomic_load(&way) == SHORT && fails(CALLS_HICCUPS, name, 0, from);
}

ssize_t torture_recv(int fd, void *bytes, size_t size, int flags);
ssize_t torture_recv(int fd, void *bytes, size_t size, int flags)
{
    const void *from = __builtin_return_address(0);

    if (fails(CALLS_NETWORK, "recv", either(ECONNRESET, ENOMEM), from) ||
        has_hiccup(flags, "recv", from))
        return -1;
    return recv(fd, bytes, size > 7 && is_short("recv", from) ? 7 : size,
                flags);
}

ssize_t torture_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t torture_sendmsg(int fd, const struct msghdr *m, int flags)
{
    const void *from = __builtin_return_address(0);
    struct iovec some;
    struct msghdr few;

    if (fails(CALLS_NETWORK, "sendmsg", either(EPIPE, ECONNRESET), from) ||
        has_hiccup(flags, "sendmsg", from))
        return -1;
    some = m->msg_iov[0]; /* four bytes of a header, as a rule */
    if (some.iov_len > 3)
        some.iov_len = 3;
    if (!is_short("sendmsg", from))
        return sendmsg(fd, m, flags);
    few = (struct msghdr){.msg_iov = &some, .msg_iovlen = 1};
    return sendmsg(fd, &few, flags);
}
