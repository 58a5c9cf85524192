/* SPDX-License-Identifier: Apache-2.0 */
/* test_dial.c - names, addresses and connections, in bounded time.
 *
 * Names that end in .test are looked up in here: getaddrinfo is this file's,
 * for the whole program, and knows of
 *
 *   hangs.test     no answer until the test says so; but 127.0.0.1 for the
 *                  driver's monitors, so that a server is known
 *   two.test       127.0.0.1, then 127.0.0.2
 *   nowhere.test   no such name */
#include "tests/core/dialled.h"
#include "tests/harness/stopwatch.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- names -------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int waiting;
    bool open;
} lookups = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false};

/* A monitor bears the name of the worker that began it, see worker.c. */
static void hang(void)
{
    char name[16] = "";

    pthread_getname_np(pthread_self(), name, sizeof name);
    if (strstr(name, "/driver") != NULL)
        return;
    pthread_mutex_lock(&lookups.lock);
    lookups.waiting++;
    pthread_cond_broadcast(&lookups.changed);
    while (!lookups.open)
        pthread_cond_wait(&lookups.changed, &lookups.lock);
    lookups.waiting--;
    pthread_mutex_unlock(&lookups.lock);
}

static void let_lookups_go(void)
{
    pthread_mutex_lock(&lookups.lock);
    lookups.open = true;
    pthread_cond_broadcast(&lookups.changed);
    pthread_mutex_unlock(&lookups.lock);
}

typedef int lookup_fn(const char *, const char *, const struct addrinfo *,
                      struct addrinfo **);

/* The driver's too. */
__attribute__((visibility("default"))) int
getaddrinfo(const char *name, const char *service,
            const struct addrinfo *hints, struct addrinfo **found)
{
    lookup_fn *real = NULL;
    struct addrinfo *more;
    int failed;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (name == NULL || strstr(name, ".test") == NULL ||
        (hints != NULL && (hints->ai_flags & AI_NUMERICHOST) != 0))
        return real(name, service, hints, found);
    if (strcmp(name, "nowhere.test") == 0)
        return EAI_NONAME;
    if (strcmp(name, "hangs.test") == 0)
        hang();
    failed = real("127.0.0.1", service, hints, found);
    if (failed != 0 || strcmp(name, "two.test") != 0)
        return failed;
    if (real("127.0.0.2", service, hints, &more) == 0)
        (*found)->ai_next = more;
    return 0;
}

/* ---- what fails --------------------------------------------------------- */

/* It must fail so, within `most_ms`. */
static void ck_no_dial(scene_t *s, const char *where, int timeout_ms,
                       int most_ms, int code, const char *why)
{
    bson_error_t error;
    stopwatch_t watch = stopwatch_start();
    int fds = count_fds(), fd = dial_to(s, where, timeout_ms, &error);
    int64_t us = now_us() - watch.since;

    ck_assert_int_eq(fd, -1);
    ck_assert_msg(error.domain == MONGOC_ERROR_STREAM &&
                      (int)error.code == code &&
                      strstr(error.message, why) != NULL &&
                      strstr(error.message, where) != NULL,
                  "%u/%u %s", error.domain, error.code, error.message);
    if (us > most_ms * (int64_t)1000)
        us = stopwatch_us(&watch);
    ck_assert_msg(us <= most_ms * (int64_t)1000, "%" PRId64 " us", us);
    ck_assert_int_eq(count_fds(), fds);
}

/* ---- addresses ---------------------------------------------------------- */

START_TEST(an_address_is_dialled)
{
    scene_t *s = scene_new(NULL);
    char where[64];

    snprintf(where, sizeof where, "127.0.0.1:%d",
             wire_server_port(s->server));
    ck_dials(s, where);
    snprintf(where, sizeof where, "two.test:%d", wire_server_port(s->server));
    ck_dials(s, where);
    ck_stat(s->client, "transport.lookups", 0);
    scene_free(s);
}
END_TEST

START_TEST(nobody_listens_there)
{
    scene_t *s = scene_new(NULL);

    ck_no_dial(s, "127.0.0.1:1", LIB_PATIENCE_MS, 1000,
               MONGOC_ERROR_STREAM_CONNECT, "Connection refused");
    ck_no_dial(s, "two.test:1", LIB_PATIENCE_MS, 1000,
               MONGOC_ERROR_STREAM_CONNECT, "Connection refused");
    scene_free(s);
}
END_TEST

START_TEST(nobody_answers_there)
{
    scene_t *s = scene_new(NULL);
    int64_t since;
    hole_t h;

    hole_open(&h);
    since = now_us();
    ck_no_dial(s, h.where, 300, 1000, MONGOC_ERROR_STREAM_CONNECT,
               "Connection timed out");
    ck_assert_int_ge(now_us() - since, 300000);
    ck_no_dial(s, h.where, 0, 200, MONGOC_ERROR_STREAM_CONNECT,
               "Connection timed out");
    hole_close(&h);
    scene_free(s);
}
END_TEST

/* The first one gets its share of the time, not all of it. */
START_TEST(a_second_address_has_its_turn)
{
    scene_t *s = scene_new(NULL);
    struct sockaddr_in a = {.sin_family = AF_INET};
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bson_error_t error;
    char where[32];
    stopwatch_t watch;
    hole_t h;
    int fd = -1;

    hole_open(&h);
    snprintf(where, sizeof where, "two.test%s", strchr(h.where, ':'));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    a.sin_port = htons((uint16_t)strtol(strchr(h.where, ':') + 1, NULL, 10));
    ck_assert_int_eq(bind(other, (struct sockaddr *)&a, sizeof a), 0);
    ck_no_dial(s, where, 300, 1000, MONGOC_ERROR_STREAM_CONNECT,
               "Connection refused");
    ck_assert_int_eq(listen(other, 8), 0);
    for (chances_t c = {0}; fd < 0 && chances_next(&c);) {
        watch = stopwatch_start();
        fd = dial_to(s, where, 3000, &error);
    }
    ck_assert_msg(fd >= 0, "%s", error.message);
    ck_assert_int_lt(stopwatch_us(&watch), 2700000);
    close(fd);
    close(other);
    hole_close(&h);
    scene_free(s);
}
END_TEST

START_TEST(the_sixth_version)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6,
                             .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t size = sizeof a;
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char where[64];
    scene_t *s;

    if (listener < 0 ||
        bind(listener, (struct sockaddr *)&a, sizeof a) != 0) {
        close(listener);
        SKIP("there is no ::1 here");
    }
    s = scene_new(NULL);
    ck_assert_int_eq(listen(listener, 8), 0);
    getsockname(listener, (struct sockaddr *)&a, &size);
    snprintf(where, sizeof where, "[::1]:%d", ntohs(a.sin6_port));
    ck_dials(s, where);
    close(listener);
    ck_no_dial(s, where, LIB_PATIENCE_MS, 1000, MONGOC_ERROR_STREAM_CONNECT,
               "Connection refused");
    scene_free(s);
}
END_TEST

/* ---- names -------------------------------------------------------------- */

START_TEST(no_such_name)
{
    scene_t *s = scene_new(NULL);

    ck_no_dial(s, "nowhere.test:27017", LIB_PATIENCE_MS, 1000,
               MONGOC_ERROR_STREAM_NAME_RESOLUTION, "not known");
    ck_stat(s->client, "transport.lookups", 0);
    await_threads("stator/lookup", 0);
    scene_free(s);
}
END_TEST

START_TEST(a_name_that_hangs)
{
    scene_t *s = scene_new(NULL);
    char where[32];

    snprintf(where, sizeof where, "hangs.test:%d",
             wire_server_port(s->server));
    ck_no_dial(s, where, 200, 1000, MONGOC_ERROR_STREAM_NAME_RESOLUTION,
               "no answer within connectTimeoutMS");
    ck_stat(s->client, "transport.lookups", 1);
    ck_assert_int_eq(threads_named("stator/lookup"), 1);
    let_lookups_go();
    await_threads("stator/lookup", 0);
    ck_stat(s->client, "transport.lookups", 0);
    ck_dials(s, where);
    scene_free(s);
}
END_TEST

/* A client's worker meets it, its close does not wait for it, and it holds
 * what it needs when everything else has gone. */
START_TEST(a_client_goes_while_a_name_hangs)
{
    scene_t *s = scene_new(NULL);
    bson_error_t error = {0};
    stator_client_t *client;
    stator_future_t *f;
    char uri[256];

    snprintf(uri, sizeof uri,
             "mongodb://hangs.test:%d/?connectTimeoutMS=200&"
             "serverSelectionTimeoutMS=2000&retryReads=false",
             wire_server_port(s->server));
    client = stator_client_new(uri, J("{'workers': 1}"), &error);
    ck_assert_msg(client != NULL, "%s", error.message);
    f = lend(stator_client_ping(client, NULL));
    ck_says(f, "Failed to resolve hangs.test");
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    ck_assert_int_ge(stat_of(client, "transport.lookups"), 1);
    done(stator_client_close(client, J("{'mode': 'abort'}")));
    stator_client_unref(client);
    ck_assert_int_ge(threads_named("stator/lookup"), 1);
    let_lookups_go();
    await_threads("stator/lookup", 0);
    scene_free(s);
}
END_TEST

START_TEST(lookups_that_hang_are_bounded)
{
    enum { MOST = 64 };
    scene_t *s = scene_new(NULL);

    for (int i = 0; i < MOST; i++)
        ck_no_dial(s, "hangs.test:27017", 1, 1000,
                   MONGOC_ERROR_STREAM_NAME_RESOLUTION,
                   "no answer within connectTimeoutMS");
    ck_stat(s->client, "transport.lookups", MOST);
    ck_no_dial(s, "hangs.test:27017", 1, 1000,
               MONGOC_ERROR_STREAM_NAME_RESOLUTION,
               "too many lookups hang already");
    ck_stat(s->client, "transport.lookups", MOST);
    let_lookups_go();
    await_threads("stator/lookup", 0);
    await_stat(s->client, "transport.lookups", 0);
    ck_no_dial(s, "two.test:1", LIB_PATIENCE_MS, 1000,
               MONGOC_ERROR_STREAM_CONNECT, "Connection refused");
    scene_free(s);
}
END_TEST

/* ---- no descriptors ----------------------------------------------------- */

START_TEST(no_descriptor_is_an_error_and_passes)
{
    scene_t *s = scene_with_uri("{'workers': 2}", "connectTimeoutMS=2000");
    struct rlimit limit, none;
    char where[64];

    snprintf(where, sizeof where, "127.0.0.1:%d",
             wire_server_port(s->server));
    hold_worker(s);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 3; /* those that are open stay so */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    {
        bson_error_t error;
        int fd = dial_to(s, where, 1000, &error);
        stator_future_t *f = lend(stator_client_ping(s->client, NULL));

        ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        ck_assert_int_eq(fd, -1);
        ck_assert_uint_eq(error.code, MONGOC_ERROR_STREAM_CONNECT);
        ck_assert_ptr_nonnull(strstr(error.message, "Too many open files"));
        ck_says(f, "Too many open files");
        ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    }
    ck_dials(s, where);
    done(stator_client_ping(s->client, NULL));
    scene_free(s);
}
END_TEST

SUITE(core_dial)
{
    tcase_add_test(tc, an_address_is_dialled);
    tcase_add_test(tc, nobody_listens_there);
    tcase_add_test(tc, nobody_answers_there);
    tcase_add_test(tc, a_second_address_has_its_turn);
    tcase_add_test(tc, the_sixth_version);
    tcase_add_test(tc, no_such_name);
    tcase_add_test(tc, a_name_that_hangs);
    tcase_add_test(tc, a_client_goes_while_a_name_hangs);
    tcase_add_test(tc, lookups_that_hang_are_bounded);
    tcase_add_test(tc, no_descriptor_is_an_error_and_passes);
}
