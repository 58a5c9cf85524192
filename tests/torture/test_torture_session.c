/* SPDX-License-Identifier: Apache-2.0 */
/* test_torture_session.c - leases, sessions and transactions, while calls of
 * the library fail: each future settles, each connection comes back. */
#include <errno.h>
#include <stator/stator.h>

#include "tests/torture/stage.h"

static stator_lease_t *lease_or_null(stator_client_t *client)
{
    stator_future_t *f = stator_client_lease(client, NULL);
    stator_lease_t *lease = NULL;

    if (settles(f)) {
        lease = stator_future_lease(f);
        OK(lease != NULL);
    }
    stator_future_unref(f);
    return lease;
}

static stator_session_t *session_or_null(stator_client_t *client,
                                         const bson_t *opts)
{
    stator_future_t *f = stator_client_start_session(client, opts);
    stator_session_t *session = NULL;

    if (settles(f)) {
        session = stator_future_session(f);
        OK(session != NULL);
    }
    stator_future_unref(f);
    return session;
}

static void leases(stator_client_t *client)
{
    stator_lease_t *lease = lease_or_null(client);
    bson_t opts = BSON_INITIALIZER;
    stator_collection_t *c;
    stator_cursor_t *cursor;

    if (lease == NULL)
        return;
    OK(stator_lease_append(lease, &opts, NULL));
    settles_take(stator_client_ping(client, &opts));
    BSON_APPEND_INT32(&opts, "batchSize", 3);
    c = stator_client_get_collection(client, "torture", "things");
    cursor = stator_collection_find(c, NULL, &opts);
    settles_take(stator_cursor_next(cursor));
    settles_take(stator_cursor_to_list(cursor, 5));
    stator_cursor_unref(cursor); /* with its server's half open */
    stator_collection_unref(c);
    stator_lease_unref(lease);
    bson_destroy(&opts);
}

static void transactions(stator_client_t *client)
{
    stator_session_t *session = session_or_null(client, NULL);
    bson_t opts = BSON_INITIALIZER;

    if (session == NULL)
        return;
    OK(stator_session_append(session, &opts, NULL));
    if (settles_take(stator_session_start_transaction(session, NULL))) {
        settles_take(stator_client_ping(client, &opts));
        settles_take(stator_session_commit_transaction(session, NULL));
    }
    stator_session_unref(session);
    bson_destroy(&opts);
}

static void sessions_on_a_lease(stator_client_t *client)
{
    stator_lease_t *lease = lease_or_null(client);
    bson_t on = BSON_INITIALIZER, in = BSON_INITIALIZER;
    stator_session_t *a, *b;

    if (lease == NULL)
        return;
    OK(stator_lease_append(lease, &on, NULL));
    a = session_or_null(client, &on);
    b = session_or_null(client, &on);
    stator_lease_unref(lease);
    if (b != NULL) {
        OK(stator_session_append(b, &in, NULL));
        settles_take(stator_client_ping(client, &in));
    }
    stator_session_unref(a);
    stator_session_unref(b);
    bson_destroy(&on);
    bson_destroy(&in);
}

static stator_future_t *ping(stator_session_t *session, void *client)
{
    bson_t opts = BSON_INITIALIZER;
    stator_future_t *f;

    OK(stator_session_append(session, &opts, NULL));
    f = stator_client_ping(client, &opts);
    bson_destroy(&opts);
    return f;
}

static void loops(stator_client_t *client)
{
    stator_dispatcher_t *d = dispatcher_or_null();
    stator_session_t *session;
    stator_future_t *f;

    if (d == NULL)
        return;
    session = session_or_null(client, NULL);
    if (session != NULL) {
        f = stator_session_with_transaction(session, d, ping, client, NULL);
        settles_on(d, f);
        (void)stator_dispatcher_dispatch(d, 0); /* what waited for it */
        stator_future_unref(f);
        stator_session_unref(session);
    }
    stator_dispatcher_unref(d);
}

static const stage_t stages[] = {
    {.name = "leases", leases},
    {.name = "transactions", transactions},
    {.name = "sessions on a lease", sessions_on_a_lease},
    {.name = "with_transaction", loops},
};

STAGE_TESTS

SUITE(torture_session)
{
    enum { N = sizeof stages / sizeof stages[0] };

    tcase_add_loop_test(tc, under_torture, 0, N);
    tcase_add_loop_test(tc, on_a_failing_network, 0, N);
}
