/* SPDX-License-Identifier: Apache-2.0 */
/* test_proxy.c - the proxy, byte by byte, between a bare socket and the wire
 * server. */
#include "tests/proxy/proxy.h"
#include "tests/wire/wire_peer.h"
#include "tests/wire/wire_timers.h"

static proxy_t *proxy;

static void set_up(void)
{
    setup();
    proxy = proxy_new(wire_server_port(server));
    ck_assert_ptr_nonnull(proxy);
}

static void tear_down(void)
{
    proxy_free(proxy);
    teardown();
}

/* A connection through the proxy, or -1 with errno. */
static int try_through(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(proxy_port(proxy)),
    };
    struct timeval patience = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static const char ping[] = "{\"ping\": 1, \"$db\": \"a\"}";

/* A connection that works. */
static int through(void)
{
    int fd = try_through();

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(answer_of(fd, ping, "ok"), 1);
    return fd;
}

/* Bytes until the end; `error` is 0 for FIN. */
static size_t read_all(int fd, int *error)
{
    uint8_t bytes[4096];
    size_t size = 0;

    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);

        if (n <= 0) {
            *error = n < 0 ? errno : 0;
            return size;
        }
        size += (size_t)n;
    }
}

static void ck_ends(int fd, size_t size, int error)
{
    int how;

    ck_assert_uint_eq(read_all(fd, &how), size);
    ck_assert_int_eq(how, error);
    close(fd);
}

static int64_t count_of(size_t offset)
{
    proxy_stats_t stats;

    proxy_stats(proxy, &stats);
    return *(const int64_t *)(const void *)((const char *)&stats + offset);
}
#define STAT(name) count_of(offsetof(proxy_stats_t, name))

static bool is_swallowed(const proxy_stats_t *stats, void *arg)
{
    return stats->swallowed >= *(int64_t *)arg;
}

static bool is_unconnected(const proxy_stats_t *stats, void *arg)
{
    (void)arg;
    return stats->connections_open == 0;
}

START_TEST(bytes_pass_both_ways)
{
    int fd = through();

    ck_assert_int_gt(STAT(to_server), HEADER);
    ck_assert_int_gt(STAT(to_client), HEADER);
    ck_assert_int_eq(STAT(connections_open), 1);
    close(fd);
    ck_assert(proxy_wait_until(proxy, is_unconnected, NULL, WIRE_WAIT));
    ck_assert(wire_wait_connections(server, 0, WIRE_WAIT));
    ck_assert_int_eq(STAT(resets) + STAT(finishes), 0);
}
END_TEST

START_TEST(latency_is_added_each_way)
{
    int fd = through();
    int64_t start;

    proxy_set(proxy, PROXY_ALL, &(proxy_fault_t){.latency_us = 50000});
    start = wire_now_us();
    ck_assert_int_eq(answer_of(fd, ping, "ok"), 1);
    ck_assert_int_ge(wire_now_us() - start, 100000);
    ck_assert_int_eq(STAT(delayed), 2);
    close(fd);
}
END_TEST

START_TEST(jitter_keeps_the_order)
{
    enum { N = 200 };
    int fd = through();

    proxy_set(proxy, PROXY_ALL, &(proxy_fault_t){.latency_us = 3000,
                                                 .jitter_us = 3000});
    for (int32_t i = 1; i <= N; i++)
        ask(fd, i, ping);
    for (int32_t i = 1; i <= N; i++) {
        int32_t opcode, response_to;

        bson_destroy(hear(fd, &opcode, &response_to));
        ck_assert_int_eq(response_to, i);
    }
    close(fd);
}
END_TEST

START_TEST(slices_are_put_together_again)
{
    int fd = through();
    int64_t before = STAT(to_client);

    proxy_set(proxy, PROXY_ALL, &(proxy_fault_t){.slice = 1,
                                                 .slice_gap_us = 100});
    ck_assert_int_eq(answer_of(fd, ping, "ok"), 1);
    ck_assert_int_ge(STAT(slices), 2 * (STAT(to_client) - before));
    close(fd);
}
END_TEST

START_TEST(bandwidth_is_limited)
{
    char text[1200];
    int64_t start;
    int fd = through();

    snprintf(text, sizeof text,
             "{\"ping\": 1, \"fill\": \"%01000d\", \"$db\": \"a\"}", 0);
    proxy_set(proxy, PROXY_ALL,
              &(proxy_fault_t){.way = PROXY_TO_SERVER,
                               .bytes_per_second = 5000});
    start = wire_now_us();
    ck_assert_int_eq(answer_of(fd, text, "ok"), 1);
    ck_assert_int_ge(wire_now_us() - start, 180000);
    close(fd);
}
END_TEST

START_TEST(a_reset_reaches_both_sides)
{
    int fd = through();
    int other = through();

    ck_assert_int_eq(proxy_end(proxy, 1, WIRE_RST), 1);
    ck_ends(fd, 0, ECONNRESET);
    ck_assert(wire_wait_connections(server, 1, WIRE_WAIT));
    ck_assert_int_eq(answer_of(other, ping, "ok"), 1);
    ck_assert_int_eq(proxy_end(proxy, 1, WIRE_RST), 0);
    ck_assert_int_eq(proxy_end(proxy, PROXY_ALL, WIRE_FIN), 1);
    ck_ends(other, 0, 0);
    ck_assert_int_eq(STAT(resets), 1);
    ck_assert_int_eq(STAT(finishes), 1);
}
END_TEST

START_TEST(it_is_cut_after_so_many_bytes)
{
    proxy_fault_t fault = {.way = PROXY_TO_CLIENT, .after = 20,
                           .cut = PROXY_FINISH_AFTER};
    int fd = through();

    proxy_set(proxy, PROXY_ALL, &fault);
    ask(fd, 7, ping);
    ck_ends(fd, 20, 0);
    fault.cut = PROXY_RESET_AFTER;
    proxy_set(proxy, PROXY_ALL, &fault);
    fd = try_through();
    ask(fd, 8, ping);
    ck_ends(fd, 20, ECONNRESET);
    ck_assert(wire_wait_connections(server, 0, WIRE_WAIT));
}
END_TEST

START_TEST(half_a_close_leaves_the_other_half)
{
    int fd = through();

    ck_assert_int_eq(proxy_half_close(proxy, 1, PROXY_TO_CLIENT), 1);
    ask(fd, 9, ping);
    ck_assert(wire_wait_count(server, "ping", 2, WIRE_WAIT));
    ck_ends(fd, 0, 0);
    ck_assert(wire_wait_connections(server, 0, WIRE_WAIT));
    ck_assert_int_eq(STAT(half_closes), 1);
}
END_TEST

START_TEST(a_black_hole_keeps_what_it_got)
{
    int fd = through();
    int64_t some = 1;

    proxy_set(proxy, PROXY_ALL, &(proxy_fault_t){.black_hole = true});
    ask(fd, 10, ping);
    ck_assert(proxy_wait_until(proxy, is_swallowed, &some, WIRE_WAIT));
    proxy_heal(proxy);
    some = STAT(swallowed) + 1;
    ask(fd, 11, ping); /* it has lost a byte: it is lost itself */
    ck_assert(proxy_wait_until(proxy, is_swallowed, &some, WIRE_WAIT));
    ck_assert_int_eq(STAT(holes), 1);
    ck_assert_int_eq(wire_count(server, "ping"), 1);
    close(fd);
    ck_assert(wire_wait_connections(server, 0, WIRE_WAIT));
    close(through());
}
END_TEST

START_TEST(a_black_hole_keeps_the_end_too)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    int fins = through(), resets = through();
    int64_t both;

    proxy_set(proxy, PROXY_ALL, &(proxy_fault_t){.black_hole = true});
    ask(fins, 12, ping);
    ask(resets, 13, ping);
    both = 2 * (int64_t)(HEADER + 5 + 5);
    ck_assert(proxy_wait_until(proxy, is_swallowed, &both, WIRE_WAIT));
    setsockopt(resets, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(resets);
    close(fins);
    ck_assert_int_eq(STAT(holes), 2);
    ck_assert_int_eq(STAT(connections_open), 2);
    proxy_heal(proxy);
    ck_assert(proxy_wait_until(proxy, is_unconnected, NULL, WIRE_WAIT));
    ck_assert(wire_wait_connections(server, 0, WIRE_WAIT));
}
END_TEST

START_TEST(connections_are_refused_for_a_time)
{
    uint16_t port = proxy_port(proxy);
    int fd = through();

    for (int i = 0; i < 20; i++) {
        ck_assert(proxy_refuse(proxy, true));
        ck_assert_int_eq(try_through(), -1);
        ck_assert_int_eq(errno, ECONNREFUSED);
        ck_assert_int_eq(answer_of(fd, ping, "ok"), 1);
        ck_assert(proxy_refuse(proxy, false));
        ck_assert_uint_eq(proxy_port(proxy), port);
        close(through());
    }
    close(fd);
}
END_TEST

START_TEST(stopped_nothing_is_lost)
{
    int64_t passed;
    int fd = through(), late;

    proxy_stop(proxy);
    passed = STAT(to_server);
    ask(fd, 14, ping);
    late = try_through();
    ck_assert_int_ge(late, 0);
    ask(late, 15, ping);
    proxy_set(proxy, PROXY_ALL, &(proxy_fault_t){.slice = 3});
    ck_assert_int_eq(STAT(to_server), passed);
    proxy_resume(proxy);
    ck_assert(wire_wait_count(server, "ping", 3, WIRE_WAIT));
    close(late);
    close(fd);
}
END_TEST

START_TEST(a_server_that_is_not_there_resets)
{
    int how, fd;

    wire_server_down(server, WIRE_RST);
    fd = try_through();
    ck_assert_int_ge(fd, 0);
    ck_assert_uint_eq(read_all(fd, &how), 0);
    ck_assert_int_eq(how, ECONNRESET);
    close(fd);
    ck_assert_int_eq(STAT(unreachable), 1);
    ck_assert(wire_server_up(server));
    close(through());
}
END_TEST

SUITE(proxy)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, bytes_pass_both_ways);
    tcase_add_test(tc, latency_is_added_each_way);
    tcase_add_test(tc, jitter_keeps_the_order);
    tcase_add_test(tc, slices_are_put_together_again);
    tcase_add_test(tc, bandwidth_is_limited);
    tcase_add_test(tc, a_reset_reaches_both_sides);
    tcase_add_test(tc, it_is_cut_after_so_many_bytes);
    tcase_add_test(tc, half_a_close_leaves_the_other_half);
    tcase_add_test(tc, a_black_hole_keeps_what_it_got);
    tcase_add_test(tc, a_black_hole_keeps_the_end_too);
    tcase_add_test(tc, connections_are_refused_for_a_time);
    tcase_add_test(tc, stopped_nothing_is_lost);
    tcase_add_test(tc, a_server_that_is_not_there_resets);
}
