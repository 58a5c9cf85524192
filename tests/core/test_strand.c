/* SPDX-License-Identifier: Apache-2.0 */
/* test_strand.c - a cursor's requests: one at a time, in order, on its own
 * session, whoever runs them. */
#include "tests/core/support.h"

#include <pthread.h>

/* The _id of a document. */
static int64_t id_of(const bson_t *document)
{
    bson_iter_t i;

    ck_assert_ptr_nonnull(document);
    ck_assert(bson_iter_init_find(&i, document, "_id"));
    return bson_iter_as_int64(&i);
}

static int64_t next_id(stator_cursor_t *c)
{
    return id_of(stator_future_document(done(stator_cursor_next(c))));
}

/* A rule that holds every getMore at the scene's gate. */
static void hold_get_more(scene_t *s, int times)
{
    wire_rule_add(s->server, &(wire_rule_t){.command = "getMore",
                                            .times = times,
                                            .gate = s->gate});
}

/* A next that waits at the gate. */
static stator_future_t *next_at_gate(scene_t *s, stator_cursor_t *c)
{
    stator_future_t *f = lend(stator_cursor_next(c));

    ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
    return f;
}

/* ---- the session -------------------------------------------------------- */

START_TEST(many_batches_come_in_one_session)
{
    scene_t *s = scene_new("{'workers': 3}");
    stator_cursor_t *c;
    wire_command_t find, more;

    scene_fill(s, 500);
    c = open_cursor(s, "{'batchSize': 7}");
    for (int64_t i = 0; i < 500; i++) {
        if (i % 50 == 0) /* others change the workers' order */
            done(stator_client_ping(s->client, NULL));
        ck_assert_int_eq(next_id(c), i);
    }
    ck_assert_ptr_null(
        stator_future_document(done(stator_cursor_next(c))));
    ck_assert(wire_log_find(s->server, "find", 0, &find));
    ck_assert(find.has_lsid);
    for (size_t i = 0; wire_log_find(s->server, "getMore", i, &more); i++) {
        ck_assert_mem_eq(find.lsid, more.lsid, 16);
        wire_command_clear(&more);
    }
    wire_command_clear(&find);
    ck_assert_int_ge(wire_count(s->server, "getMore"), 500 / 7);
    ck_assert_int_eq(wire_count(s->server, "killCursors"), 0);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

/* The server that the test above relies on does refuse a stranger. */
START_TEST(a_foreign_get_more_is_refused)
{
    scene_t *s = scene_new(NULL);
    mongoc_client_t *stranger = mongoc_client_new(s->uri);
    bson_t reply, *command;
    const bson_t *found;
    bson_error_t error;
    bson_iter_t i, id;

    scene_fill(s, 10);
    ck_assert(mongoc_client_command_simple(
        stranger, "core", J("{'find': 'things', 'batchSize': 2}"), NULL,
        &reply, &error));
    found = &reply;
    ck_assert(bson_iter_init(&i, found) &&
              bson_iter_find_descendant(&i, "cursor.id", &id));
    command = BCON_NEW("getMore", BCON_INT64(bson_iter_as_int64(&id)),
                       "collection", "things");
    bson_destroy(&reply);
    fails(stator_client_command(s->client, "core", command, NULL),
          MONGOC_ERROR_SERVER, 50738, "");
    bson_destroy(command);
    mongoc_client_destroy(stranger);
    scene_free(s);
}
END_TEST

START_TEST(it_ends_with_every_batch_size)
{
    scene_t *s = scene_new("{'workers': 2}");

    scene_fill(s, 12);
    for (int size = 1; size <= 13; size++) {
        stator_cursor_t *c = stator_collection_find(
            s->things, NULL, J("{'batchSize': %d}", size));

        ck_assert_int_eq(read_all(c), 12);
        ck_assert_int_eq(read_all(c), 0); /* and stays at the end */
        stator_cursor_unref(c);
    }
    ck_assert(wire_wait_cursors(s->server, 0, WIRE_WAIT));
    ck_stat(s->client, "leases", 0);
    ck_stat(s->client, "sharing", 0);
    scene_free(s);
}
END_TEST

START_TEST(a_limit_ends_it)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;

    scene_fill(s, 100);
    c = open_cursor(s, "{'batchSize': 3, 'limit': 10}");
    ck_assert_int_eq(read_all(c), 10);
    stator_cursor_unref(c);
    ck_assert(wire_wait_cursors(s->server, 0, WIRE_WAIT));
    ck_assert_int_eq(wire_count(s->server, "killCursors"), 0);
    scene_free(s);
}
END_TEST

/* ---- requests in a line ------------------------------------------------- */

START_TEST(requests_are_served_in_the_order_of_the_calls)
{
    scene_t *s = scene_new("{'workers': 3}");
    stator_future_t *f[40];
    stator_cursor_t *c;

    scene_fill(s, 30);
    c = open_cursor(s, "{'batchSize': 4}");
    for (int i = 0; i < 40; i++)
        f[i] = lend(stator_cursor_next(c));
    for (int i = 0; i < 30; i++)
        ck_assert_int_eq(id_of(stator_future_document(ck_done(f[i]))), i);
    for (int i = 30; i < 40; i++)
        ck_assert_ptr_null(stator_future_document(ck_done(f[i])));
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(nexts_batches_and_lists_mix)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_cursor_t *c;
    stator_future_t *f[5];

    scene_fill(s, 20);
    c = open_cursor(s, "{'batchSize': 5}");
    f[0] = lend(stator_cursor_next(c));
    f[1] = lend(stator_cursor_next_batch(c)); /* what is left of the first */
    f[2] = lend(stator_cursor_to_list(c, 7));
    f[3] = lend(stator_cursor_next_batch(c));
    f[4] = lend(stator_cursor_to_list(c, 0));
    ck_assert_int_eq(id_of(stator_future_document(ck_done(f[0]))), 0);
    ck_assert_int_eq(stator_future_count(ck_done(f[1])), 4);
    ck_assert_int_eq(stator_future_count(ck_done(f[2])), 7);
    ck_assert_int_eq(id_of(stator_future_document_at(f[2], 0)), 5);
    ck_assert_int_eq(id_of(stator_future_document_at(f[2], 6)), 11);
    ck_assert_ptr_null(stator_future_document_at(f[2], 7));
    ck_assert_int_eq(stator_future_count(ck_done(f[3])), 3);
    ck_assert_int_eq(id_of(stator_future_document_at(f[3], 0)), 12);
    ck_assert_int_eq(stator_future_count(ck_done(f[4])), 5);
    ck_assert_int_eq(id_of(stator_future_document_at(f[4], 4)), 19);
    counts(stator_cursor_next_batch(c), 0);
    counts(stator_cursor_to_list(c, 0), 0);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(an_empty_result_is_an_end)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;

    scene_fill(s, 0);
    c = open_cursor(s, NULL);
    counts(stator_cursor_next_batch(c), 0);
    counts(stator_cursor_to_list(c, 0), 0);
    ck_assert_ptr_null(
        stator_future_document(done(stator_cursor_next(c))));
    ck_assert_int_eq(wire_count(s->server, "find"), 1);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(empty_batches_in_the_middle_are_no_end)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;

    scene_fill(s, 6);
    c = open_cursor(s, "{'batchSize': 0}"); /* the first one is empty */
    ck_assert_int_eq(read_all(c), 6);
    ck_stat(s->client, "queued", 0);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(nothing_is_sent_before_it_is_asked_for)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;

    scene_fill(s, 10);
    c = open_cursor(s, "{'batchSize': 2}");
    done(stator_client_ping(s->client, NULL));
    ck_assert_int_eq(wire_count(s->server, "find"), 0);
    ck_assert_int_eq(next_id(c), 0);
    ck_assert_int_eq(next_id(c), 1);
    done(stator_client_ping(s->client, NULL));
    ck_assert_int_eq(wire_count(s->server, "getMore"), 0);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

/* ---- cancel ------------------------------------------------------------- */

START_TEST(a_cancelled_next_in_line_changes_nothing)
{
    scene_t *s = scene_new("{'workers': 1, 'queueLimit': 3}");
    stator_future_t *f[3];
    stator_cursor_t *c;

    scene_fill(s, 10);
    hold_worker(s);
    c = open_cursor(s, "{'batchSize': 2}");
    for (int i = 0; i < 3; i++)
        f[i] = lend(stator_cursor_next(c));
    ck_stat(s->client, "queued", 3);
    ck_assert(stator_future_cancel(f[0])); /* its head, in the queue */
    ck_assert(stator_future_cancel(f[1])); /* now that one */
    ck_cancelled(f[0], STATOR_NOT_SENT);
    ck_cancelled(f[1], STATOR_NOT_SENT);
    ck_stat(s->client, "queued", 1);
    wire_gate_open(s->gate);
    ck_assert_int_eq(id_of(stator_future_document(ck_done(f[2]))), 0);
    ck_assert_int_eq(read_all(c), 9);
    ck_stat(s->client, "queued", 0);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(a_cancelled_running_next_keeps_the_documents)
{
    scene_t *s = scene_new("{'workers': 1, 'transport': 'driver'}");
    stator_cursor_t *c;
    stator_future_t *f;

    scene_fill(s, 6);
    hold_get_more(s, 1);
    c = open_and_read(s, "{'batchSize': 1}");
    f = next_at_gate(s, c);
    ck_assert(stator_future_cancel(f));
    ck_cancelled(f, STATOR_MAYBE_SENT);
    wire_gate_open(s->gate);
    for (int64_t i = 1; i < 6; i++)
        ck_assert_int_eq(next_id(c), i);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(a_cancelled_first_next_keeps_them_too)
{
    scene_t *s = scene_new("{'workers': 1, 'transport': 'driver'}");
    stator_cursor_t *c = stator_collection_find(s->held, NULL, NULL);
    stator_future_t *f;

    wire_collection(s->server, "core.held", 3, NULL, NULL);
    f = next_at_gate(s, c);
    ck_assert(stator_future_cancel(f));
    wire_gate_open(s->gate);
    ck_assert_int_eq(read_all(c), 3);
    ck_assert_int_eq(wire_count(s->server, "find"), 1);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

/* ---- close and unref ---------------------------------------------------- */

/* The one killCursors that was sent is in the session of the find. */
static void ck_killed_rightly(scene_t *s)
{
    wire_command_t find, kill;

    ck_assert(wire_wait_count(s->server, "killCursors", 1, WIRE_WAIT));
    ck_assert(wire_wait_cursors(s->server, 0, WIRE_WAIT));
    ck_assert(wire_log_find(s->server, "find", 0, &find));
    ck_assert(wire_log_find(s->server, "killCursors", 0, &kill));
    ck_assert(find.has_lsid && kill.has_lsid);
    ck_assert_mem_eq(find.lsid, kill.lsid, 16);
    ck_assert_int_eq(wire_count(s->server, "killCursors"), 1);
    wire_command_clear(&find);
    wire_command_clear(&kill);
}

START_TEST(unref_midway_kills_on_the_right_session)
{
    scene_t *s = scene_new("{'workers': 2}");

    scene_fill(s, 10);
    stator_cursor_unref(open_and_read(s, "{'batchSize': 2}"));
    ck_killed_rightly(s);
    await_stat(s->client, "leases", 0);
    await_stat(s->client, "queued", 0);
    scene_free(s);
}
END_TEST

START_TEST(unref_does_not_cancel_what_was_asked)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *f[3];
    stator_cursor_t *c;

    scene_fill(s, 10);
    hold_get_more(s, 1);
    c = open_and_read(s, "{'batchSize': 1}");
    f[0] = next_at_gate(s, c);
    f[1] = lend(stator_cursor_next(c));
    f[2] = lend(stator_cursor_next(c));
    stator_cursor_unref(c);
    wire_gate_open(s->gate);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(id_of(stator_future_document(ck_done(f[i]))),
                         i + 1);
    ck_killed_rightly(s);
    scene_free(s);
}
END_TEST

START_TEST(close_cancels_what_waits_and_kills)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *f[3], *closed;
    stator_cursor_t *c;

    scene_fill(s, 10);
    hold_get_more(s, 1);
    c = open_and_read(s, "{'batchSize': 1}");
    f[0] = next_at_gate(s, c);
    f[1] = lend(stator_cursor_next(c));
    f[2] = lend(stator_cursor_to_list(c, 0));
    closed = lend(stator_cursor_close(c));
    ck_cancelled(f[0], STATOR_MAYBE_SENT);
    ck_cancelled(f[1], STATOR_NOT_SENT);
    ck_cancelled(f[2], STATOR_NOT_SENT);
    ck_closed(lend(stator_cursor_next(c)));
    ck_done(closed);
    ck_killed_rightly(s);
    ck_closed(lend(stator_cursor_next(c)));
    ck_closed(lend(stator_cursor_next_batch(c)));
    ck_closed(lend(stator_cursor_to_list(c, 0)));
    done(stator_cursor_close(c));
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(close_before_anything_asks_no_server)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c = open_cursor(s, NULL);

    done(stator_cursor_close(c));
    ck_closed(lend(stator_cursor_next(c)));
    stator_cursor_unref(c);
    c = open_cursor(s, NULL);
    ck_assert_int_eq(read_all(c), 1);
    done(stator_cursor_close(c)); /* it has nothing left */
    stator_cursor_unref(c);
    close_with(s, NULL);
    ck_assert_int_eq(wire_count(s->server, "killCursors"), 0);
    scene_free(s);
}
END_TEST

START_TEST(close_drops_what_is_buffered)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;
    bson_t out;

    scene_fill(s, 10);
    c = open_and_read(s, "{'batchSize': 5}");
    done(stator_cursor_close(c));
    ck_assert(!stator_cursor_try_buffered(c, &out));
    ck_closed(lend(stator_cursor_next(c)));
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(close_passes_a_full_queue)
{
    scene_t *s = scene_new("{'workers': 1, 'queueLimit': 1}");
    stator_future_t *closed;
    stator_cursor_t *c;

    scene_fill(s, 10);
    c = open_and_read(s, "{'batchSize': 1}");
    hold_worker(s);
    ask_one(s, NULL);
    fails(stator_cursor_next(c), STATOR_ERROR_DOMAIN, STATOR_ERROR_REFUSED,
          "full");
    closed = lend(stator_cursor_close(c));
    ck_pending(closed);
    wire_gate_open(s->gate);
    ck_done(closed);
    ck_assert(wire_wait_cursors(s->server, 0, WIRE_WAIT));
    await_stat(s->client, "queued", 0);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

/* ---- failures ----------------------------------------------------------- */

START_TEST(a_failed_get_more_fails_all_that_follows)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;
    bson_error_t first, later;
    stator_future_t *f;

    scene_fill(s, 10);
    wire_rule_add(s->server,
                  &(wire_rule_t){.command = "getMore", .times = 1,
                                 .action = WIRE_ERROR, .code = 43,
                                 .message = "cursor went away",
                                 .labels = "NonResumable"});
    c = open_and_read(s, "{'batchSize': 1}");
    f = fails(stator_cursor_next(c), MONGOC_ERROR_SERVER, 43,
              "cursor went away");
    ck_assert(stator_future_error(f, &first));
    ck_assert(stator_future_has_error_label(f, "NonResumable"));
    ck_assert_int_eq(stator_future_outcome(f), STATOR_ANSWERED);
    for (int i = 0; i < 3; i++) {
        f = lend(i == 0   ? stator_cursor_next(c)
                 : i == 1 ? stator_cursor_next_batch(c)
                          : stator_cursor_to_list(c, 0));
        ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
        ck_assert(stator_future_error(f, &later));
        ck_assert_uint_eq(later.code, first.code);
        ck_assert_str_eq(later.message, first.message);
        ck_assert(stator_future_has_error_label(f, "NonResumable"));
    }
    ck_assert_int_eq(wire_count(s->server, "getMore"), 1);
    stator_cursor_unref(c);
    await_stat(s->client, "leases", 0);
    scene_free(s);
}
END_TEST

START_TEST(a_cut_get_more_fails_it_and_nothing_else)
{
    scene_t *s = scene_new("{'workers': 2}");
    stator_cursor_t *c, *other;
    stator_future_t *f;

    scene_fill(s, 10);
    wire_rule_add(s->server, &(wire_rule_t){.command = "getMore", .times = 1,
                                            .action = WIRE_CLOSE,
                                            .end = WIRE_RST});
    c = open_and_read(s, "{'batchSize': 1}");
    f = lend(stator_cursor_next(c));
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_FAILED);
    ck_assert_int_eq(stator_future_origin(f), STATOR_ORIGIN_DRIVER);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_MAYBE_SENT);
    other = open_cursor(s, "{'batchSize': 3}");
    ck_assert_int_eq(read_all(other), 10);
    stator_cursor_unref(other);
    done(stator_cursor_close(c));
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(documents_before_a_failure_are_not_lost)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;

    scene_fill(s, 10);
    wire_rule_add(s->server, &(wire_rule_t){.command = "getMore",
                                            .action = WIRE_ERROR, .code = 96});
    c = open_cursor(s, "{'batchSize': 4}");
    fails(stator_cursor_to_list(c, 0), MONGOC_ERROR_SERVER, 96, "");
    for (int64_t i = 0; i < 4; i++)
        ck_assert_int_eq(next_id(c), i);
    fails(stator_cursor_next(c), MONGOC_ERROR_SERVER, 96, "");
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

/* ---- max_bytes, buffered, prefetch -------------------------------------- */

START_TEST(max_bytes_bounds_a_list_and_loses_nothing)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;
    int64_t n;

    scene_fill(s, 100); /* {_id: int32} is 14 bytes */
    c = open_cursor(s, "{'batchSize': 10, 'maxBytes': 300}");
    fails(stator_cursor_to_list(c, 0), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_REFUSED, "maxBytes");
    n = wire_count(s->server, "getMore");
    ck_assert_int_le(n, 3); /* not all of it was fetched */
    counts(stator_cursor_to_list(c, 20), 20);
    ck_assert_int_eq(next_id(c), 20);
    ck_assert_int_eq(read_all(c), 79);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(buffered_documents_come_without_a_future)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;
    bson_t out;

    scene_fill(s, 6);
    c = open_cursor(s, "{'batchSize': 3}");
    ck_assert(!stator_cursor_try_buffered(c, &out));
    ck_assert_int_eq(next_id(c), 0);
    for (int64_t i = 1; i < 3; i++) {
        ck_assert(stator_cursor_try_buffered(c, &out));
        ck_assert_int_eq(id_of(&out), i);
        bson_destroy(&out);
    }
    ck_assert(!stator_cursor_try_buffered(c, &out));
    ck_assert_int_eq(wire_count(s->server, "getMore"), 0);
    ck_assert_int_eq(next_id(c), 3);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(prefetch_asks_for_one_batch_ahead)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;

    scene_fill(s, 30);
    c = open_and_read(s, "{'batchSize': 5, 'prefetch': 1}");
    ck_assert(wire_wait_count(s->server, "getMore", 1, WIRE_WAIT));
    await_stat(s->client, "busy", 0);
    done(stator_client_ping(s->client, NULL));
    ck_assert_int_eq(wire_count(s->server, "getMore"), 1);
    ck_assert_int_eq(read_all(c), 29);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(what_is_here_does_not_wait_for_the_prefetch)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;
    stator_future_t *f;
    bson_t out;

    scene_fill(s, 9);
    hold_get_more(s, 1);
    c = open_and_read(s, "{'batchSize': 3, 'prefetch': 1}");
    ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
    ck_assert_int_eq(next_id(c), 1);
    ck_assert(stator_cursor_try_buffered(c, &out));
    ck_assert_int_eq(id_of(&out), 2);
    bson_destroy(&out);
    f = lend(stator_cursor_next(c));
    ck_pending(f);
    wire_gate_open(s->gate);
    ck_assert_int_eq(id_of(stator_future_document(ck_done(f))), 3);
    ck_assert_int_eq(read_all(c), 5);
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(a_full_queue_only_skips_the_prefetch)
{
    scene_t *s = scene_new("{'workers': 1, 'queueLimit': 1}");
    stator_cursor_t *c;

    scene_fill(s, 20);
    c = open_cursor(s, "{'batchSize': 2, 'prefetch': 1}");
    for (int64_t i = 0; i < 20; i++) {
        stator_future_t *f = stator_cursor_next(c);

        /* A prefetch may have the only place; then the user's is refused. */
        if (stator_future_wait(f, LIB_PATIENCE_MS) != 0)
            ck_abort_msg("number %d hangs", (int)i);
        if (stator_future_poll(f) != STATOR_FUTURE_DONE)
            i--;
        else
            ck_assert_int_eq(id_of(stator_future_document(f)), i);
        stator_future_unref(f);
    }
    stator_cursor_unref(c);
    scene_free(s);
}
END_TEST

START_TEST(unref_during_a_prefetch_kills)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *c;

    scene_fill(s, 30);
    hold_get_more(s, 1);
    c = open_and_read(s, "{'batchSize': 3, 'prefetch': 1}");
    ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
    stator_cursor_unref(c);
    wire_gate_open(s->gate);
    ck_killed_rightly(s);
    scene_free(s);
}
END_TEST

/* ---- threads ------------------------------------------------------------ */

enum { ASKERS = 4, IDS = 2000 };

struct asker {
    stator_cursor_t *cursor;
    pthread_t thread;
    uint8_t seen[IDS];
    int64_t last;
};

static void *ask_often(void *arg)
{
    struct asker *a = arg;

    a->last = -1;
    for (;;) {
        stator_future_t *f = stator_cursor_next(a->cursor);
        const bson_t *document;
        bson_iter_t i;

        if (stator_future_wait(f, LIB_PATIENCE_MS) != 0)
            abort();
        document = stator_future_document(f);
        if (document == NULL || !bson_iter_init_find(&i, document, "_id")) {
            stator_future_unref(f);
            return NULL;
        }
        if (bson_iter_as_int64(&i) <= a->last)
            abort();
        a->last = bson_iter_as_int64(&i);
        a->seen[a->last]++;
        stator_future_unref(f);
    }
}

static void read_by_many(scene_t *s, const char *opts)
{
    static struct asker a[ASKERS];
    stator_cursor_t *c = open_cursor(s, opts);

    memset(a, 0, sizeof a);
    for (int i = 0; i < ASKERS; i++) {
        a[i].cursor = c;
        ck_assert_int_eq(pthread_create(&a[i].thread, NULL, ask_often, &a[i]),
                         0);
    }
    for (int i = 0; i < ASKERS; i++)
        pthread_join(a[i].thread, NULL);
    for (int id = 0; id < IDS; id++)
        ck_assert_int_eq(a[0].seen[id] + a[1].seen[id] + a[2].seen[id] +
                             a[3].seen[id],
                         1);
    stator_cursor_unref(c);
}

START_TEST(four_threads_share_one_cursor)
{
    scene_t *s = scene_new("{'workers': 3}");

    scene_fill(s, IDS);
    read_by_many(s, "{'batchSize': 5}");
    read_by_many(s, "{'batchSize': 3, 'prefetch': 1}");
    scene_free(s);
}
END_TEST

START_TEST(and_one_that_shares_the_workers_connection)
{
    scene_t *s = scene_new(
        "{'workers': 2, 'watchers': 0, 'maxConnections': 3}");
    stator_cursor_t *lease;

    scene_fill(s, IDS);
    lease = open_and_read(s, "{'batchSize': 1}");
    read_by_many(s, "{'batchSize': 5}");
    read_by_many(s, "{'batchSize': 3, 'prefetch': 1}");
    stator_cursor_unref(lease);
    scene_free(s);
}
END_TEST

SUITE(core_strand)
{
    tcase_add_test(tc, many_batches_come_in_one_session);
    tcase_add_test(tc, a_foreign_get_more_is_refused);
    tcase_add_test(tc, it_ends_with_every_batch_size);
    tcase_add_test(tc, a_limit_ends_it);
    tcase_add_test(tc, requests_are_served_in_the_order_of_the_calls);
    tcase_add_test(tc, nexts_batches_and_lists_mix);
    tcase_add_test(tc, an_empty_result_is_an_end);
    tcase_add_test(tc, empty_batches_in_the_middle_are_no_end);
    tcase_add_test(tc, nothing_is_sent_before_it_is_asked_for);
    tcase_add_test(tc, a_cancelled_next_in_line_changes_nothing);
    tcase_add_test(tc, a_cancelled_running_next_keeps_the_documents);
    tcase_add_test(tc, a_cancelled_first_next_keeps_them_too);
    tcase_add_test(tc, unref_midway_kills_on_the_right_session);
    tcase_add_test(tc, unref_does_not_cancel_what_was_asked);
    tcase_add_test(tc, close_cancels_what_waits_and_kills);
    tcase_add_test(tc, close_before_anything_asks_no_server);
    tcase_add_test(tc, close_drops_what_is_buffered);
    tcase_add_test(tc, close_passes_a_full_queue);
    tcase_add_test(tc, a_failed_get_more_fails_all_that_follows);
    tcase_add_test(tc, a_cut_get_more_fails_it_and_nothing_else);
    tcase_add_test(tc, documents_before_a_failure_are_not_lost);
    tcase_add_test(tc, max_bytes_bounds_a_list_and_loses_nothing);
    tcase_add_test(tc, buffered_documents_come_without_a_future);
    tcase_add_test(tc, prefetch_asks_for_one_batch_ahead);
    tcase_add_test(tc, what_is_here_does_not_wait_for_the_prefetch);
    tcase_add_test(tc, a_full_queue_only_skips_the_prefetch);
    tcase_add_test(tc, unref_during_a_prefetch_kills);
    tcase_add_test(tc, four_threads_share_one_cursor);
    tcase_add_test(tc, and_one_that_shares_the_workers_connection);
}
