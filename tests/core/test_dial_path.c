/* SPDX-License-Identifier: Apache-2.0 */
/* test_dial_path.c - servers that listen at a path of the file system. */
#include "tests/core/dialled.h"
#include "tests/harness/stopwatch.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_at(struct sockaddr_un *a, int backlog)
{
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    snprintf(a->sun_path, sizeof a->sun_path, "/tmp/stator-%d.sock",
             (int)getpid());
    unlink(a->sun_path);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)a, sizeof *a), 0);
    ck_assert_int_eq(listen(listener, backlog), 0);
    return listener;
}

/* As a URI has it. */
static void escape(const char *path, char *out, size_t room)
{
    for (; *path != '\0'; path++) {
        int n = snprintf(out, room, *path == '/' ? "%%2F" : "%c", *path);

        out += n;
        room -= (size_t)n;
    }
}

typedef struct forward {
    int from, to;
} forward_t;

static void *forward_main(void *arg)
{
    forward_t *f = arg;
    char bytes[65536];
    ssize_t n;

    while ((n = recv(f->from, bytes, sizeof bytes, 0)) > 0)
        if (send(f->to, bytes, (size_t)n, MSG_NOSIGNAL) != n)
            break;
    shutdown(f->to, SHUT_WR);
    return NULL;
}

typedef struct bridge {
    int listener, port;
    pthread_t thread;
} bridge_t;

enum { BRIDGED_MAX = 16 };

/* Each connection to the path goes on to the server's port. */
static void *bridge_main(void *arg)
{
    bridge_t *b = arg;
    static forward_t ways[2 * BRIDGED_MAX];
    pthread_t threads[2 * BRIDGED_MAX];
    int n = 0;

    for (int fd; n < 2 * BRIDGED_MAX &&
                 (fd = accept(b->listener, NULL, NULL)) >= 0;
         n += 2) {
        struct sockaddr_in a = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)b->port)};
        int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(to, (struct sockaddr *)&a, sizeof a) != 0)
            abort();
        ways[n] = (forward_t){fd, to};
        ways[n + 1] = (forward_t){to, fd};
        for (int i = n; i < n + 2; i++)
            pthread_create(&threads[i], NULL, forward_main, &ways[i]);
    }
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < n; i++)
        close(ways[i].from);
    return NULL;
}

START_TEST(a_path_works)
{
    scene_t *s = scene_new(NULL);
    struct sockaddr_un a;
    bridge_t b = {.port = wire_server_port(s->server)};
    char path[256], uri[512];
    bson_error_t error = {0};
    stator_client_t *client;

    b.listener = listen_at(&a, 16);
    ck_assert_int_eq(pthread_create(&b.thread, NULL, bridge_main, &b), 0);
    escape(a.sun_path, path, sizeof path);
    ck_dials(s, path);
    snprintf(uri, sizeof uri, "mongodb://%s/?serverSelectionTimeoutMS=60000",
             path);
    client = stator_client_new(uri, NULL, &error);
    ck_assert_msg(client != NULL, "%s", error.message);
    done(stator_client_ping(client, NULL));
    ck_kind(client, "'stator'");
    done(stator_client_close(client, NULL));
    stator_client_unref(client);
    shutdown(b.listener, SHUT_RDWR);
    pthread_join(b.thread, NULL);
    close(b.listener);
    unlink(a.sun_path);
    scene_free(s);
}
END_TEST

static void ck_no_path(scene_t *s, const char *path, int ms, const char *why)
{
    bson_error_t error;
    char escaped[1024];
    stopwatch_t watch = stopwatch_start();

    escape(path, escaped, sizeof escaped);
    ck_assert_int_eq(dial_to(s, escaped, ms, &error), -1);
    ck_assert_int_lt(stopwatch_us(&watch), 2000000);
    ck_assert_uint_eq(error.domain, MONGOC_ERROR_STREAM);
    ck_assert_uint_eq(error.code, MONGOC_ERROR_STREAM_CONNECT);
    ck_assert_msg(strstr(error.message, why) != NULL &&
                      strstr(error.message, path) != NULL,
                  "%s", error.message);
}

START_TEST(a_path_that_does_not)
{
    scene_t *s = scene_new(NULL);
    struct sockaddr_un a;
    char deep[200] = "/tmp/";
    hole_t h = {.listener = listen_at(&a, 0)};

    hole_fill(&h, (struct sockaddr *)&a, sizeof a);
    ck_no_path(s, a.sun_path, 300, "Connection timed out");
    hole_close(&h);
    ck_no_path(s, a.sun_path, LIB_PATIENCE_MS, "Connection refused");
    unlink(a.sun_path);
    ck_no_path(s, a.sun_path, LIB_PATIENCE_MS, "No such file");
    memset(deep + 5, 'd', 150);
    snprintf(deep + 155, sizeof deep - 155, ".sock");
    ck_no_path(s, deep, LIB_PATIENCE_MS, "the path is too long");
    scene_free(s);
}
END_TEST

SUITE(core_dial_path)
{
    tcase_add_test(tc, a_path_works);
    tcase_add_test(tc, a_path_that_does_not);
}
