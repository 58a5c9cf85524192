/* SPDX-License-Identifier: Apache-2.0 */
/* test_torture_dial.c - what is off the way of an ordinary connection: a path
 * for a host, the monitors, a server that does not speak TLS. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/client.h"
#include "core/dial.h"
#include "core/reach.h"
#include "futures/base.h"
#include "tests/torture/stage.h"

static const mongoc_host_list_t *host;

static void dials(void)
{
    bson_error_t error = {0};
    int fd = stc_dial(NULL, host, stf_deadline_after_ms(TORTURE_PATIENCE_MS),
                      &error);

    if (fd >= 0) {
        close(fd);
        return;
    }
    ck_assert_msg(torture_fired() && error.domain == MONGOC_ERROR_STREAM &&
                      calls_explain(error.message),
                  "%s; %s", error.message, torture_where());
}

/* Its queue is long enough for those that were, and are no more. */
static int listen_at(struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof address->sun_path,
             "/tmp/stator-torture-%ld.sock", (long)getpid());
    unlink(address->sun_path);
    ck_assert_int_eq(
        bind(fd, (struct sockaddr *)address, sizeof *address), 0);
    ck_assert_int_eq(listen(fd, 1000), 0);
    return fd;
}

START_TEST(a_path)
{
    struct sockaddr_un address = {0};
    int listener = listen_at(&address);
    char text[200];
    mongoc_uri_t *uri;

    snprintf(text, sizeof text, "mongodb://%%2Ftmp%%2F%s",
             address.sun_path + strlen("/tmp/"));
    uri = mongoc_uri_new(text);
    ck_assert_ptr_nonnull(uri);
    host = mongoc_uri_get_hosts(uri);
    torture_sweep_network_named("a path", dials);
    mongoc_uri_destroy(uri);
    close(listener);
    unlink(address.sun_path);
}
END_TEST

/* What a monitor finds out in its own time. */
static void is_told(stator_client_t *client)
{
    const struct timespec nap = {.tv_nsec = 500000};
    stator_future_t *f = stator_client_ping(client, NULL);
    bson_error_t error = {0};

    OK(stator_future_wait(f, TORTURE_PATIENCE_MS) == 0);
    OK(stator_future_poll(f) == STATOR_FUTURE_FAILED);
    stator_future_unref(f);
    for (int i = 0; !calls_fired(); i++) {
        if (stc_reach_why(&client->pool.reach, "ping", &error) &&
            strstr(error.message, "the server speaks no TLS") != NULL)
            break;
        ck_assert_msg(i < 100000, "\"%s\"; %s", error.message,
                      torture_where());
        nanosleep(&nap, NULL);
    }
}

/* No server is known until one of them has come through. */
static void asks(stator_client_t *client)
{
    for (int i = 0; i < 2; i++)
        settles_take(stator_client_ping(client, NULL));
}

static const stage_t stages[] = {
    {.name = "monitors", asks, .at_monitors = true,
     .query = "&serverSelectionTimeoutMS=200"},
    {.name = "no TLS", is_told, .is_deaf = true, .at_monitors = true,
     .query = "&tls=true&tlsInsecure=true&connectTimeoutMS=5&"
              "serverSelectionTimeoutMS=10"},
};

STAGE_TESTS

SUITE(torture_dial)
{
    tcase_add_test(tc, a_path);
    tcase_add_loop_test(tc, under_torture, 0, 2);
    tcase_add_loop_test(tc, on_a_failing_network, 0, 2);
}
