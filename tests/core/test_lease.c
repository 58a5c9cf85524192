/* SPDX-License-Identifier: Apache-2.0 */
/* test_lease.c - who keeps which connection: leases, sharing, and neither. */
#include "tests/core/support.h"

#define LEAST "{'workers': 2, 'watchers': 0, 'maxConnections': 3}"

START_TEST(one_batch_needs_no_lease)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;

    scene_fill(s, 50);
    c = open_and_read(s, NULL);
    ck_stat(s->client, "leases", 0);
    ck_stat(s->client, "sharing", 0);
    ck_stat(s->client, "connections", 1);
    ck_assert_int_eq(read_all(c), 49);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(more_than_one_batch_keeps_one)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c, *other;

    scene_fill(s, 50);
    c = open_and_read(s, "{'batchSize': 10}");
    ck_stat(s->client, "leases", 1);
    ck_stat(s->client, "connections", 2);
    other = open_and_read(s, "{'batchSize': 10}");
    ck_stat(s->client, "leases", 2);
    ck_stat(s->client, "sharing", 0);
    ck_assert_int_eq(read_all(c), 49);
    ck_stat(s->client, "leases", 1); /* gone with the last batch */
    stator_cursor_unref(c);
    stator_cursor_unref(other);
    await_stat(s->client, "leases", 0);
    await_stat(s->client, "connections", 1);
    scene_free(s);
}
END_TEST

START_TEST(the_worker_is_free_while_a_lease_is_idle)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;

    scene_fill(s, 50);
    c = open_and_read(s, "{'batchSize': 10}");
    for (int i = 0; i < 10; i++)
        done(stator_client_ping(s->client, NULL));
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(without_a_spare_they_share)
{
    scene_t *s = scene_new(LEAST);
    stator_cursor_t *c[4];

    scene_fill(s, 50);
    for (int i = 0; i < 4; i++)
        c[i] = open_and_read(s, "{'batchSize': 10}");
    ck_stat(s->client, "leases", 1);
    ck_stat(s->client, "sharing", 3);
    ck_assert_int_le(stat_of(s->client, "connections"), 3);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(read_all(c[i]), 49);
        stator_cursor_unref(c[i]);
    }
    await_stat(s->client, "leases", 0);
    await_stat(s->client, "sharing", 0);
    scene_free(s);
}
END_TEST

START_TEST(ten_open_cursors_at_the_least_end_all)
{
    enum { N = 10, DOCUMENTS = 101 };
    scene_t *s = scene_new(LEAST);
    stator_cursor_t *c[N];
    int64_t read[N] = {0};

    scene_fill(s, DOCUMENTS);
    for (int i = 0; i < N; i++)
        c[i] = open_and_read(s, "{'batchSize': 3}");
    ck_assert_int_eq(stat_of(s->client, "leases") +
                         stat_of(s->client, "sharing"),
                     N);
    for (int round = 1; round <= DOCUMENTS; round++) {
        stator_future_t *f[N];

        for (int i = 0; i < N; i++)
            f[i] = stator_cursor_next(c[i]);
        done(stator_client_ping(s->client, NULL)); /* short ones go on */
        for (int i = 0; i < N; i++) {
            ck_assert_int_eq(stator_future_wait(f[i], LIB_PATIENCE_MS), 0);
            ck_assert_int_eq(stator_future_poll(f[i]), STATOR_FUTURE_DONE);
            read[i] += stator_future_document(f[i]) != NULL;
            stator_future_unref(f[i]);
        }
    }
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(read[i], DOCUMENTS - 1);
        stator_cursor_unref(c[i]);
    }
    await_stat(s->client, "sharing", 0);
    ck_assert(wire_wait_cursors(s->server, 0, WIRE_WAIT));
    scene_free(s);
}
END_TEST

START_TEST(shared_ones_are_killed_rightly)
{
    scene_t *s = scene_new(LEAST);
    stator_cursor_t *c[6];

    scene_fill(s, 50);
    for (int i = 0; i < 6; i++)
        c[i] = open_and_read(s, "{'batchSize': 10}");
    for (int i = 0; i < 6; i++)
        stator_cursor_unref(c[i]);
    ck_assert(wire_wait_cursors(s->server, 0, WIRE_WAIT));
    ck_assert(wire_wait_count(s->server, "killCursors", 6, WIRE_WAIT));
    await_stat(s->client, "sharing", 0);
    await_stat(s->client, "leases", 0);
    scene_free(s);
}
END_TEST

START_TEST(a_shared_one_waits_for_its_worker_only)
{
    scene_t *s = scene_new(
        "{'workers': 1, 'watchers': 0, 'maxConnections': 2}");
    stator_cursor_t *lease, *shared;
    stator_future_t *f;

    scene_fill(s, 50);
    lease = open_and_read(s, "{'batchSize': 1}");
    shared = open_and_read(s, "{'batchSize': 1}");
    ck_stat(s->client, "sharing", 1);
    hold_worker(s);
    f = lend(stator_cursor_next(shared));
    ck_pending(f);
    ck_stat(s->client, "queued", 1);
    ck_assert(stator_future_cancel(f)); /* out of the worker's inbox */
    ck_cancelled(f, STATOR_NOT_SENT);
    ck_stat(s->client, "queued", 0);
    f = lend(stator_cursor_next(shared));
    wire_gate_open(s->gate);
    ck_assert_ptr_nonnull(stator_future_document(ck_done(f)));
    ck_assert_int_eq(read_all(shared), 48);
    ck_assert_int_eq(read_all(lease), 49);
    stator_cursor_unref(lease);
    stator_cursor_unref(shared);
    scene_free(s);
}
END_TEST

START_TEST(connections_never_pass_the_bound)
{
    scene_t *s = scene_new(
        "{'workers': 2, 'watchers': 0, 'maxConnections': 5}");
    stator_cursor_t *c[20];
    wire_stats_t stats;

    scene_fill(s, 50);
    hold_workers(s, 2);
    wire_gate_open(s->gate);
    for (int i = 0; i < 20; i++) {
        c[i] = open_and_read(s, "{'batchSize': 5}");
        ck_assert_int_le(stat_of(s->client, "connections"), 5);
        ck_assert_int_le(stat_of(s->client, "leases"), 3);
    }
    wire_stats(s->server, &stats);
    ck_assert_int_le(stats.clients_open, 5);
    for (int i = 0; i < 20; i++)
        stator_cursor_unref(c[i]);
    scene_free(s);
}
END_TEST

SUITE(core_lease)
{
    tcase_add_test(tc, one_batch_needs_no_lease);
    tcase_add_test(tc, more_than_one_batch_keeps_one);
    tcase_add_test(tc, the_worker_is_free_while_a_lease_is_idle);
    tcase_add_test(tc, without_a_spare_they_share);
    tcase_add_test(tc, ten_open_cursors_at_the_least_end_all);
    tcase_add_test(tc, shared_ones_are_killed_rightly);
    tcase_add_test(tc, a_shared_one_waits_for_its_worker_only);
    tcase_add_test(tc, connections_never_pass_the_bound);
}
