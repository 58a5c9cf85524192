/* SPDX-License-Identifier: Apache-2.0 */
/* bench_interrupt.c - two ways to end a read from another thread, and what
 * each costs while nobody wants to.
 *
 *   shutdown   recv(2) that blocks; another thread shuts the socket down
 *   poll       poll(2) of the socket and an eventfd, then recv(2); another
 *              thread writes to the eventfd
 *
 * Round trips of a small message over loopback TCP, in sections that take
 * turns, so that both meet the same machine; then how long it takes from the
 * interrupter's call until the reader is back. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

enum { SECTIONS = 21, TRIPS = 5000, INTERRUPTS = 1000, MESSAGE = 128 };

enum way { SHUTDOWN, POLL, WAYS };
static const char *const names[WAYS] = {"shutdown", "poll"};

struct line {
    int near, far;
    int wake; /* an eventfd */
};

/* End the program with what the system says of `what`. */
static void check(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static struct line line_open(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t size = sizeof a;
    const struct timeval minute = {.tv_sec = 60};
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct line l;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(bind(listener, (struct sockaddr *)&a, sizeof a) == 0, "bind");
    check(listen(listener, 1) == 0, "listen");
    check(getsockname(listener, (struct sockaddr *)&a, &size) == 0, "name");
    l.near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(connect(l.near, (struct sockaddr *)&a, sizeof a) == 0, "connect");
    l.far = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    check(l.far >= 0, "accept");
    close(listener);
    setsockopt(l.near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(l.far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(l.near, SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof minute);
    l.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    check(l.wake >= 0, "eventfd");
    return l;
}

static void line_close(struct line *l)
{
    close(l->near);
    close(l->far);
    close(l->wake);
}

/* Bytes, or 0 when interrupted. */
static ssize_t receive(const struct line *l, enum way way, char *bytes)
{
    struct pollfd p[2] = {{.fd = l->near, .events = POLLIN},
                          {.fd = l->wake, .events = POLLIN}};

    if (way == SHUTDOWN)
        return recv(l->near, bytes, MESSAGE, 0);
    if (poll(p, 2, 60000) <= 0 || p[1].revents != 0)
        return 0;
    return recv(l->near, bytes, MESSAGE, MSG_DONTWAIT);
}

static void interrupt(const struct line *l, enum way way)
{
    const uint64_t one = 1;

    if (way == SHUTDOWN)
        check(shutdown(l->near, SHUT_RDWR) == 0, "shutdown");
    else
        check(write(l->wake, &one, sizeof one) == sizeof one, "write");
}

/* ---- round trips --------------------------------------------------------- */

static void *echo(void *arg)
{
    int fd = *(int *)arg;
    char bytes[MESSAGE];
    ssize_t n;

    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        check(send(fd, bytes, (size_t)n, MSG_NOSIGNAL) == n, "echo");
    return NULL;
}

struct figures {
    double us, cpu_us; /* of a round trip; CPU of this thread */
};

static int64_t cpu_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct figures travel(const struct line *l, enum way way)
{
    int64_t begin = meter_now(), cpu = cpu_now();
    char bytes[MESSAGE] = "";

    for (int i = 0; i < TRIPS; i++) {
        check(send(l->near, bytes, MESSAGE, MSG_NOSIGNAL) == MESSAGE, "send");
        check(receive(l, way, bytes) == MESSAGE, "receive");
    }
    return (struct figures){(double)(meter_now() - begin) / 1000 / TRIPS,
                            (double)(cpu_now() - cpu) / 1000 / TRIPS};
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *all)
{
    qsort(all, SECTIONS, sizeof *all, by_size);
    return all[SECTIONS / 2];
}

static void measure_trips(struct figures *out)
{
    static double us[WAYS][SECTIONS], cpu[WAYS][SECTIONS];
    struct line l = line_open();
    pthread_t thread;

    check(pthread_create(&thread, NULL, echo, &l.far) == 0, "thread");
    for (int i = 0; i < SECTIONS; i++)
        for (int j = 0; j < WAYS; j++) {
            enum way way = (enum way)((i + j) % WAYS);
            struct figures f = travel(&l, way);

            us[way][i] = f.us;
            cpu[way][i] = f.cpu_us;
        }
    shutdown(l.near, SHUT_RDWR);
    pthread_join(thread, NULL);
    line_close(&l);
    for (int way = 0; way < WAYS; way++)
        out[way] = (struct figures){median(us[way]), median(cpu[way])};
}

/* ---- interrupts ---------------------------------------------------------- */

struct reader {
    struct line line;
    enum way way;
    sem_t ready;
    int64_t back;
};

static void *read_once(void *arg)
{
    struct reader *r = arg;
    char bytes[MESSAGE];

    sem_post(&r->ready);
    check(receive(&r->line, r->way, bytes) == 0, "interrupted");
    r->back = meter_now();
    return NULL;
}

static void interrupt_one(enum way way, meter_latency_t *latency)
{
    const struct timespec asleep = {.tv_nsec = 200000};
    struct reader r = {.line = line_open(), .way = way};
    pthread_t thread;
    int64_t begin;

    sem_init(&r.ready, 0, 0);
    check(pthread_create(&thread, NULL, read_once, &r) == 0, "thread");
    sem_wait(&r.ready);
    nanosleep(&asleep, NULL);
    begin = meter_now();
    interrupt(&r.line, way);
    pthread_join(thread, NULL);
    meter_add(latency, r.back - begin);
    sem_destroy(&r.ready);
    line_close(&r.line);
}

int main(void)
{
    static meter_latency_t latency[WAYS];
    struct figures trip[WAYS];

    measure_trips(trip);
    for (int i = 0; i < INTERRUPTS; i++)
        for (int way = 0; way < WAYS; way++)
            interrupt_one((enum way)way, &latency[way]);
    printf("            round trip       CPU   interrupt p50       p99\n");
    for (int way = 0; way < WAYS; way++)
        printf("%-10s %8.2f us %6.2f us %12.1f us %6.1f us\n", names[way],
               trip[way].us, trip[way].cpu_us,
               meter_percentile(&latency[way], 50),
               meter_percentile(&latency[way], 99));
    printf("%-10s %8.2f    %6.2f    %12.2f    %6.2f\n", "ratio",
           trip[POLL].us / trip[SHUTDOWN].us,
           trip[POLL].cpu_us / trip[SHUTDOWN].cpu_us,
           meter_percentile(&latency[POLL], 50) /
               meter_percentile(&latency[SHUTDOWN], 50),
           meter_percentile(&latency[POLL], 99) /
               meter_percentile(&latency[SHUTDOWN], 99));
    return 0;
}
