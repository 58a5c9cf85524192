/* SPDX-License-Identifier: Apache-2.0 */
/* rows_server.c - 1, 6, 12, 13: what a server does. */
#include <sched.h>
#include <signal.h>

#include "tests/harness/daemon.h"
#include "tests/faults/rows.h"

static own_daemon_t own_server;

/* ---- 1 ------------------------------------------------------------------ */

struct killed {
    int port;
    stator_client_t *client;
    stator_collection_t *things;
    int64_t recovered_us;
};

static void block(stator_client_t *client, const char *command, int ms)
{
    done(stator_client_command(
        client, "admin",
        J("{'configureFailPoint': 'failCommand', 'mode': 'alwaysOn', 'data':"
          " {'failCommands': [%s], 'blockConnection': true,"
          " 'blockTimeMS': %d}}", command, ms),
        NULL));
}

/* Two at once, so that both workers have a connection. */
static void warm_up(struct killed *k)
{
    stator_future_t *f[2];

    block(k->client, "'ping'", 200);
    for (int i = 0; i < 2; i++)
        f[i] = stator_client_ping(k->client, NULL);
    for (int i = 0; i < 2; i++)
        done(f[i]);
}

static void recover(struct killed *k)
{
    int64_t start;

    ck_assert_int_eq(daemon_start(&own_server, k->port, DAEMON_ON_DISK), k->port);
    start = now_us();
    done(stator_collection_insert_one(k->things, J("{}"), NULL));
    k->recovered_us = now_us() - start;
}

static int64_t kill_it(void *arg)
{
    struct killed *k = arg;
    stator_future_t *find, *insert;
    int64_t start;

    warm_up(k);
    block(k->client, "'find', 'insert'", 60000);
    find = lend(stator_collection_find_one(k->things, NULL, NULL));
    insert = lend(stator_collection_insert_one(k->things, J("{}"), NULL));
    while (stator_future_phase(find) != STATOR_PHASE_SENT ||
           stator_future_phase(insert) != STATOR_PHASE_SENT)
        sched_yield();
    start = now_us();
    daemon_signal(&own_server, SIGKILL);
    ck_assert_int_eq(stator_future_wait(find, LIB_PATIENCE_MS), 0);
    ck_assert_int_eq(stator_future_wait(insert, LIB_PATIENCE_MS), 0);
    start = now_us() - start;
    ck_fails(find, MONGOC_ERROR_STREAM, 0, "");
    ck_fails(insert, MONGOC_ERROR_STREAM, 0, "");
    ck_assert_int_eq(stator_future_outcome(insert), STATOR_MAYBE_SENT);
    recover(k);
    return start;
}

START_TEST(row_1_server_killed)
{
    struct killed k = {0};
    char uri[128];

    if (!daemon_is_here())
        EXCUSE(1, "there is no embedded server in build/venv");
    fault_begin(1, "SIGKILL of an embedded server with a find and an insert "
                "in it; started again on its port and disk");
    k.port = daemon_start(&own_server, 0, DAEMON_ON_DISK);
    snprintf(uri, sizeof uri,
             "mongodb://127.0.0.1:%d/?retryReads=false&retryWrites=false",
             k.port);
    k.client = new_client(uri, "{'workers': 2}");
    k.things = stator_client_get_collection(k.client, "faults", "things");
    fault_within("both failed", kill_it, &k, 1000000);
    fault_saw("the insert MAYBE_SENT; the first after it listened again took "
              "%.0f ms", (double)k.recovered_us / 1000);
    give_back_lent();
    lib_forget();
    stator_collection_unref(k.things);
    end_client(k.client);
    daemon_end(&own_server);
    fault_end();
}
END_TEST

/* ---- 6 ------------------------------------------------------------------ */

START_TEST(row_6_a_document_too_large)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_future_t *f;
    bson_error_t error;

    fault_begin(6, "insert_one of 17 MiB, once for each of two workers and "
                "more");
    scene_fill(s, 10);
    for (int i = 0; i < 4; i++) {
        f = lend(stator_collection_insert_one(s->things,
                                              lib_big(i, 17 << 20), NULL));
        ck_fails(f, MONGOC_ERROR_BSON, MONGOC_ERROR_BSON_INVALID, "");
        ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    }
    ck_assert_int_eq(wire_count(s->server, "insert"), 0);
    stator_future_error(f, &error);
    fault_saw("4 of 4: %u/%u \"%s\", 0 sent", error.domain, error.code,
              error.message);
    hold_workers(s, 2); /* both are there */
    wire_gate_open(s->gate);
    ck_reads(s->things, 7);
    scene_free(s);
    fault_end();
}
END_TEST

/* ---- 12 ----------------------------------------------------------------- */

enum { HEARTBEAT_MS = 500 };

/* Two members of one set: the first is the primary, then the second. */
struct set {
    wire_server_t *member[2];
    char hosts[64];
    stator_client_t *client;
    stator_collection_t *things;
};

static void set_up(struct set *set)
{
    char uri[256];

    for (int i = 0; i < 2; i++) {
        set->member[i] = wire_server_new(&(wire_options_t){.documents = 10});
        ck_assert_ptr_nonnull(set->member[i]);
    }
    snprintf(set->hosts, sizeof set->hosts, "127.0.0.1:%d,127.0.0.1:%d",
             wire_server_port(set->member[0]),
             wire_server_port(set->member[1]));
    snprintf(uri, sizeof uri,
             "mongodb://%s/?replicaSet=rs&heartbeatFrequencyMS=%d",
             set->hosts, HEARTBEAT_MS);
    set->client = new_client(uri, "{'workers': 2}");
    set->things = stator_client_get_collection(set->client, "core", "things");
}

/* `primary` is elected, for the `election`-th time.  The other refuses to
 * write, with the label that mongod adds. */
static void elect(struct set *set, int primary, int election)
{
    wire_rule_t refuses = {.command = "insert",
                           .action = WIRE_ERROR,
                           .code = 10107,
                           .labels = "RetryableWriteError"};

    for (int i = 0; i < 2; i++) {
        bool is_primary = i == primary;

        wire_rule_remove_all(set->member[i]);
        if (!is_primary)
            wire_rule_add(set->member[i], &refuses);
        wire_server_set_member(
            set->member[i],
            &(wire_member_t){.role = is_primary ? WIRE_PRIMARY
                                                : WIRE_SECONDARY,
                             .hosts = set->hosts,
                             .election = is_primary ? election : 0});
    }
}

static int64_t both(struct set *set, const char *name)
{
    return wire_count(set->member[0], name) +
           wire_count(set->member[1], name);
}

static int64_t step_down(void *arg)
{
    static int election = 1;
    struct set *set = arg;
    int64_t inserts = both(set, "insert"), start;

    election++;
    elect(set, (election + 1) % 2, election);
    start = now_us();
    /* Retried once by the driver, on the new primary. */
    done(stator_collection_insert_one(set->things, J("{}"), NULL));
    ck_assert_int_le(both(set, "insert"), inserts + 2);
    return now_us() - start;
}

START_TEST(row_12_the_primary_steps_down)
{
    static const int codes[] = {10107, 11600, 91};
    struct set set;
    stator_future_t *f;

    fault_begin(12, "the other of two members becomes the primary; 10107, "
                "11600, 91 for a find; twice for an insert");
    set_up(&set);
    elect(&set, 0, 1);
    done(stator_collection_insert_one(set.things, J("{}"), NULL));
    fault_within("an insert, retried on the new primary,", step_down, &set,
                 2 * HEARTBEAT_MS * 1000);
    for (int i = 0; i < 3; i++) {
        int64_t finds = both(&set, "find");

        for (int k = 0; k < 2; k++)
            wire_rule_add(set.member[k], &(wire_rule_t){.command = "find",
                                                        .times = 1,
                                                        .action = WIRE_ERROR,
                                                        .code = codes[i]});
        f = lend(stator_collection_find_one(set.things, NULL, NULL));
        ck_done(f);
        ck_assert_int_eq(both(&set, "find"), finds + 2);
        for (int k = 0; k < 2; k++)
            wire_rule_remove_all(set.member[k]);
    }
    for (int k = 0; k < 2; k++)
        wire_rule_add(set.member[k],
                      &(wire_rule_t){.command = "insert",
                                     .action = WIRE_ERROR,
                                     .code = 11600,
                                     .labels = "RetryableWriteError"});
    f = lend(stator_collection_insert_one(set.things, J("{}"), NULL));
    ck_fails(f, MONGOC_ERROR_SERVER, 11600, "");
    ck_assert(stator_future_has_error_label(f, "RetryableWriteError"));
    ck_assert_int_eq(stator_future_outcome(f), STATOR_ANSWERED);
    fault_saw("finds done after 1 retry; failed twice: the label is there");
    give_back_lent();
    lib_forget();
    stator_collection_unref(set.things);
    end_client(set.client);
    wire_server_free(set.member[0]);
    wire_server_free(set.member[1]);
    fault_end();
}
END_TEST

/* ---- 13 ----------------------------------------------------------------- */

/* The reply of a find goes out as it is, but its cursor is noted. */
static void note_cursor(const wire_command_t *command, wire_buffer_t *reply,
                        void *arg)
{
    bson_iter_t i, id;
    bson_t document;

    (void)command;
    if (bson_init_static(&document, wire_buffer_data(reply) + 21,
                         wire_buffer_size(reply) - 21) &&
        bson_iter_init(&i, &document) &&
        bson_iter_find_descendant(&i, "cursor.id", &id))
        *(int64_t *)arg = bson_iter_as_int64(&id);
}

START_TEST(row_13_the_cursor_is_not_found)
{
    scene_t *s = scene_new(NULL);
    stator_client_t *other = new_client(s->uri, "{'workers': 1}");
    stator_cursor_t *c;
    stator_future_t *f;
    int64_t id = 0;
    bson_t none;

    fault_begin(13, "killCursors from a second client");
    scene_fill(s, 10);
    wire_rule_add(s->server, &(wire_rule_t){.command = "find",
                                            .collection = "things",
                                            .times = 1,
                                            .action = WIRE_REWRITE,
                                            .rewrite = note_cursor,
                                            .arg = &id});
    c = open_and_read(s, "{'batchSize': 1}");
    ck_assert_int_ne(id, 0);
    done(stator_client_command(
        other, "core",
        J("{'killCursors': 'things', 'cursors': [{'$numberLong': '%" PRId64
          "'}]}", id), NULL));
    ck_assert(wire_wait_cursors(s->server, 0, WIRE_WAIT));
    f = lend(stator_cursor_next(c));
    fault_saw("%s", ck_fails(f, MONGOC_ERROR_SERVER, 43, ""));
    ck_assert_int_eq(stator_future_outcome(f), STATOR_ANSWERED);
    for (int i = 0; i < 3; i++)
        ck_fails(lend(stator_cursor_next(c)), MONGOC_ERROR_SERVER, 43, "");
    ck_assert(!stator_cursor_try_buffered(c, &none));
    ck_assert_int_eq(wire_count(s->server, "getMore"), 1);
    fault_saw("17/43, 3 of 3 later ones the same, 1 getMore");
    stator_cursor_unref(c);
    ck_reads(s->things, 7);
    end_client(other);
    scene_free(s);
    fault_end();
}
END_TEST

void add_server_faults(TCase *tc)
{
    tcase_add_test(tc, row_1_server_killed);
    tcase_add_test(tc, row_6_a_document_too_large);
    tcase_add_test(tc, row_12_the_primary_steps_down);
    tcase_add_test(tc, row_13_the_cursor_is_not_found);
}
