/* SPDX-License-Identifier: Apache-2.0 */
/* test_cut_tls.c - an operation is cut below TLS: how fast, and what of it
 * the next one sees.
 *
 * The server is one of the test's own; failCommand lets it hold what is
 * asked.  Bounds of time are the best of three tries. */
#include "tests/security/secure.h"

#include <stdio.h>

#include "tests/core/cut.h"

enum { ROUNDS = 200, RELEASED_US = 15000, HELD_MS = 400 };

#ifdef MONGOC_ENABLE_SSL_OPENSSL
#define NEED_TLS() NEED_DAEMON()
#else
#define NEED_TLS() SKIP("the driver has no TLS, or not OpenSSL's")
#endif

static struct {
    stator_client_t *client; /* with one worker */
    stator_client_t *control;
    stator_collection_t *things;
} tls;

static stator_client_t *connect_to(int port, const char *opts)
{
    bson_error_t error = {0};
    char uri[512];
    stator_client_t *client;

    snprintf(uri, sizeof uri,
             "mongodb://127.0.0.1:%d/?tls=true&tlsCAFile=%s/ca.pem&"
             "directConnection=true&" NO_RETRIES,
             port, secure_folder);
    client = stator_client_new(uri, J("%s", opts), &error);
    ck_assert_msg(client != NULL, "%s", error.message);
    done(stator_client_ping(client, NULL));
    return client;
}

static void open_tls(const char *opts)
{
    int port;

    secure_authority("ca");
    secure_certificate("server", "ca", "IP:127.0.0.1", 2);
    port = secure_start("--storage-path :memory: --tls-cert-file server.pem "
                        "--tls-key-file server.key --enable-test-commands");
    tls.client = connect_to(port, opts);
    tls.control = connect_to(port, "{'workers': 1}");
    tls.things = stator_client_get_collection(tls.client, "core", "things");
    for (int i = 0; i < 10; i++)
        done(stator_collection_insert_one(tls.things, J("{'_id': %d}", i),
                                          NULL));
}

static void close_one(stator_client_t *client)
{
    done(stator_client_close(client, NULL));
    stator_client_unref(client);
}

static void close_tls(void)
{
    close_one(tls.client);
    close_one(tls.control);
    stator_collection_unref(tls.things);
    lib_forget();
}

static void hold(const char *command)
{
    done(stator_client_command(
        tls.control, "admin",
        J("{'configureFailPoint': 'failCommand', 'mode': 'alwaysOn', 'data': "
          "{'failCommands': ['%s'], 'blockConnection': true, "
          "'blockTimeMS': %d}}", command, HELD_MS),
        NULL));
}

static void hold_nothing(void)
{
    done(stator_client_command(
        tls.control, "admin",
        J("{'configureFailPoint': 'failCommand', 'mode': 'off'}"), NULL));
}

static cut_kind_t kind;

/* Of that kind, and its command is on the wire. */
static stator_future_t *start(stator_cursor_t **cursor)
{
    stator_future_t *f;

    *cursor = NULL;
    if (kind == CUT_FIND)
        return stator_collection_find_one(tls.things, NULL, NULL);
    if (kind == CUT_INSERT)
        return stator_collection_insert_one(tls.things, J("{'b': 1}"), NULL);
    *cursor = stator_collection_find(tls.things, NULL, J("{'batchSize': 1}"));
    f = stator_cursor_next(*cursor);
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert_ptr_nonnull(stator_future_document(f));
    stator_future_unref(f);
    return stator_cursor_next(*cursor);
}

static int64_t released_p99;

/* Released is the worker when it waits no more.  After a find or an insert it
 * is free; after a getMore it connects again and tells the server to forget
 * the cursor, which takes as long as the server does. */

static void measure(void)
{
    times_t settled = {0}, released = {0}, freed = {0}, next = {0};

    hold(cut_commands[kind]);
    for (int i = 0; i < ROUNDS; i++) {
        stator_cursor_t *cursor;
        stator_future_t *f = start(&cursor);
        int64_t since;

        await_armed(tls.client, true);
        since = now_us();
        ck_assert(stator_future_cancel(f));
        times_add(&settled, now_us() - since);
        await_armed(tls.client, false);
        times_add(&released, now_us() - since);
        await_idle(tls.client);
        times_add(&freed, now_us() - since);
        ck_cancelled(f, STATOR_MAYBE_SENT);
        stator_future_unref(f);
        if (cursor != NULL)
            stator_cursor_unref(cursor);
        since = now_us();
        f = stator_client_ping(tls.client, NULL);
        times_add(&next, us_until_settled(f, since));
        ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_DONE);
        stator_future_unref(f);
    }
    hold_nothing();
    printf("over TLS, %s\n", cut_commands[kind]);
    times_tell(&settled, "cancel to settled");
    released_p99 = times_tell(&released, "cancel to worker released");
    if (kind != CUT_MORE)
        released_p99 = times_tell(&freed, "cancel to worker free");
    else
        times_tell(&freed, "cancel to worker free");
    times_tell(&next, "the next one, connecting");
}

static int64_t measure_released(void)
{
    measure();
    return released_p99;
}

START_TEST(a_cut_is_quick_over_tls)
{
    NEED_TLS();
    kind = (cut_kind_t)_i;
    open_tls("{'workers': 1}");
    if (UNDER_TSAN || UNDER_ASAN)
        measure();
    else
        best_of_three("TLS: worker released after a cancel, p99",
                      measure_released, RELEASED_US, "us");
    ck_assert_int_ge(stat_of(tls.client, "transport.cuts"), ROUNDS);
    close_tls();
}
END_TEST

/* The greeting and TLS's own are not cut; nor is what another worker is at. */
START_TEST(others_go_on_over_tls)
{
    enum { FEW = 30 };
    int64_t dials, cuts = 0;
    stator_cursor_t *cursor;

    NEED_TLS();
    open_tls("{'workers': 3}");
    kind = CUT_INSERT;
    hold(cut_commands[kind]);
    for (int i = 0; i < FEW; i++) { /* all three are connected */
        stator_future_t *f[3];

        for (int j = 0; j < 3; j++)
            f[j] = stator_client_ping(tls.client, NULL);
        for (int j = 0; j < 3; j++)
            done(f[j]);
    }
    dials = stat_of(tls.client, "transport.dials");
    for (int i = 0; i < FEW; i++) {
        stator_future_t *f = start(&cursor), *other;

        await_armed(tls.client, true);
        other = stator_collection_find_one(tls.things, J("{'_id': %d}", i % 10),
                                           NULL);
        ck_assert(stator_future_cancel(f));
        cuts++;
        ck_at(stator_future_document(done(other)), "_id",
              ((const char *[]){"0", "1", "2", "3", "4", "5", "6", "7", "8",
                                "9"})[i % 10]);
        stator_future_unref(f);
        await_idle(tls.client); /* what was cut is armed until then */
    }
    hold_nothing();
    ck_stat(tls.client, "transport.cuts", cuts);
    ck_assert_int_le(stat_of(tls.client, "transport.dials"), dials + cuts + 2);
    close_tls();
}
END_TEST

SUITE(security_cut_tls)
{
    tcase_add_checked_fixture(tc, secure_setup, secure_teardown);
    tcase_add_loop_test(tc, a_cut_is_quick_over_tls, 0, CUT_KINDS);
    tcase_add_test(tc, others_go_on_over_tls);
}
