/* SPDX-License-Identifier: Apache-2.0 */
/* test_watcher.c - the lane of long waits, on the wire server's feed: who
 * waits, who is cut and who is not, and that no short operation minds. */
#include <errno.h>
#include <pthread.h>

#include "tests/core/support.h"
#include "tests/harness/stopwatch.h"

enum { LONG_MS = 60000, AT_ONCE_MS = 250 };

#define LONG_TURN "{'maxAwaitTimeMS': 60000}"

/* A stream that watches core.things. */
static stator_change_stream_t *watch(scene_t *s, const char *opts)
{
    stator_change_stream_t *stream = stator_collection_watch(
        s->things, NULL, opts == NULL ? NULL : J("%s", opts));

    done(stator_change_stream_open(stream));
    return stream;
}

static stator_future_t *ask_next(stator_change_stream_t *stream)
{
    return lend(stator_change_stream_next(stream));
}

/* The future's event must be that one. */
static void ck_event(stator_future_t *f, int n)
{
    char text[16];

    snprintf(text, sizeof text, "%d", n);
    ck_at(stator_future_document(ck_done(f)), "n", text);
}

static void await_more(scene_t *s, int64_t n)
{
    ck_assert(wire_wait_count(s->server, "getMore", n, WIRE_WAIT));
}

/* ---- events ------------------------------------------------------------- */

START_TEST(next_stays_pending_until_there_is_an_event)
{
    scene_t *s = scene_new(NULL);
    stator_change_stream_t *stream = watch(s, NULL);
    stator_future_t *f = ask_next(stream);

    ck_assert_int_eq(wire_count(s->server, "aggregate"), 1);
    ck_assert_int_eq(stator_future_wait(f, 700), ETIMEDOUT);
    ck_pending(f);
    await_more(s, 2); /* turns */
    wire_events(s->server, 2);
    ck_event(f, 0);
    ck_event(ask_next(stream), 1);
    ck_stat(s->client, "streams", 1);
    ck_stat(s->client, "watching", 1);
    ck_assert_int_ge(stat_of(s->client, "turns"), 2);
    ck_stat(s->client, "busy", 0);
    done(stator_change_stream_close(stream));
    await_stat(s->client, "streams", 0);
    ck_assert_int_eq(wire_count(s->server, "killCursors"), 1);
    stator_change_stream_unref(stream);
    scene_free(s);
}
END_TEST

START_TEST(opened_means_that_what_happens_now_is_seen)
{
    scene_t *s = scene_new(NULL);
    stator_change_stream_t *stream;

    wire_events(s->server, 3); /* before */
    stream = watch(s, NULL);
    done(stator_change_stream_open(stream)); /* again */
    ck_assert_int_eq(wire_count(s->server, "aggregate"), 1);
    wire_events(s->server, 1);
    ck_event(ask_next(stream), 3);
    stator_change_stream_unref(stream);
    scene_free(s);
}
END_TEST

START_TEST(open_does_not_wait_behind_who_waits_for_an_event)
{
    scene_t *s = scene_new(NULL);
    stator_change_stream_t *stream =
        stator_collection_watch(s->things, NULL, NULL);
    stator_future_t *next = ask_next(stream);

    done(stator_change_stream_open(stream));
    done(stator_change_stream_open(stream));
    ck_pending(next);
    wire_events(s->server, 1);
    ck_event(next, 0);
    stator_change_stream_unref(stream);
    scene_free(s);
}
END_TEST

START_TEST(try_next_answers_after_one_turn)
{
    scene_t *s = scene_new(NULL);
    stator_change_stream_t *stream =
        stator_collection_watch(s->things, NULL, NULL);
    stator_future_t *f = done(stator_change_stream_try_next(stream));

    ck_assert_ptr_null(stator_future_document(f));
    ck_assert_int_eq(wire_count(s->server, "getMore"), 1);
    wire_events(s->server, 1);
    ck_event(lend(stator_change_stream_try_next(stream)), 0);
    stator_change_stream_unref(stream);
    scene_free(s);
}
END_TEST

START_TEST(idle_streams_take_no_turns)
{
    scene_t *s = scene_new(NULL);
    stator_change_stream_t *stream = watch(s, NULL);

    wire_events(s->server, 1);
    ck_event(ask_next(stream), 0);
    ck_stat(s->client, "turns", 1);
    ck_assert_int_eq(stator_future_wait(ask_one(s, NULL), -1), 0);
    ck_assert_int_eq(wire_count(s->server, "getMore"), 1);
    stator_change_stream_unref(stream);
    scene_free(s);
}
END_TEST

/* ---- given up, closed ----------------------------------------------------- */

START_TEST(a_cancelled_next_cuts_nothing_and_loses_nothing)
{
    scene_t *s = scene_new("{'workers': 1, 'watchers': 1}");
    stator_change_stream_t *stream = watch(s, LONG_TURN);
    stator_future_t *first = ask_next(stream), *second;

    await_more(s, 1);
    ck_assert(stator_future_cancel(first));
    ck_cancelled(first, STATOR_MAYBE_SENT);
    second = ask_next(stream);
    wire_events(s->server, 2);
    ck_event(second, 0);
    ck_event(ask_next(stream), 1);
    ck_assert_int_eq(wire_count(s->server, "getMore"), 1);
    ck_stat(s->client, "transport.cuts", 0);
    stator_change_stream_unref(stream);
    scene_free(s);
}
END_TEST

START_TEST(timeout_ms_is_of_each_next_and_ends_nothing)
{
    scene_t *s = scene_new(NULL);
    stator_change_stream_t *stream =
        watch(s, "{'maxAwaitTimeMS': 60000, 'timeoutMS': 200}");

    ck_expired(ask_next(stream));
    ck_expired(ask_next(stream)); /* while the turn of the first goes on */
    wire_events(s->server, 1);
    ck_event(ask_next(stream), 0);
    ck_stat(s->client, "transport.cuts", 0);
    stator_change_stream_unref(stream);
    scene_free(s);
}
END_TEST

/* Milliseconds from close until who waits is told, with a turn of a minute
 * under way; `cancelled`: nobody waits any more, and close itself counts. */
static int64_t close_takes(bool cancelled)
{
    scene_t *s = scene_new("{'workers': 1, 'watchers': 1}");
    stator_change_stream_t *stream = watch(s, LONG_TURN);
    stator_change_stream_t *other = watch(s, NULL);
    stator_future_t *next = ask_next(stream), *closing;
    int64_t began, took;

    await_more(s, 1);
    if (cancelled)
        ck_assert(stator_future_cancel(next));
    began = now_us();
    closing = stator_change_stream_close(stream);
    if (!cancelled)
        ck_assert_int_eq(stator_future_wait(next, LONG_MS / 2), 0);
    else
        ck_assert_int_eq(stator_future_wait(closing, LONG_MS / 2), 0);
    took = (now_us() - began) / 1000;
    ck_cancelled(next, STATOR_MAYBE_SENT);
    done(closing);
    ck_assert_int_eq(wire_count(s->server, "killCursors"), 1);
    ck_closed(ask_next(stream));
    /* The other one has not been disturbed. */
    wire_events(s->server, 1);
    ck_event(ask_next(other), 0);
    ck_stat(s->client, "resumes", 0);
    stator_change_stream_unref(stream);
    stator_change_stream_unref(other);
    scene_free(s);
    return took;
}

static int64_t close_with_who_waits(void)
{
    return close_takes(false);
}

static int64_t close_with_nobody(void)
{
    return close_takes(true);
}

START_TEST(close_wakes_a_waiting_stream_at_once)
{
    best_of_three("close: until a waiting next is told", close_with_who_waits,
                  AT_ONCE_MS, "ms");
}
END_TEST

START_TEST(close_cuts_the_turn_that_nobody_waits_for)
{
    best_of_three("close: after a cancelled next", close_with_nobody,
                  AT_ONCE_MS, "ms");
}
END_TEST

static int64_t client_close_takes(void)
{
    scene_t *s = scene_new("{'workers': 1, 'watchers': 2}");
    stator_change_stream_t *streams[5];
    stator_future_t *next[5];
    int64_t began, took;

    for (int i = 0; i < 5; i++) /* all before the first long turn */
        streams[i] = watch(s, LONG_TURN);
    for (int i = 0; i < 5; i++)
        next[i] = ask_next(streams[i]);
    await_more(s, 2);
    began = now_us();
    ck_at(stator_future_reply(close_with(s, NULL)), "leaked.0.kind",
          "'change stream'");
    took = (now_us() - began) / 1000;
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(stator_future_wait(next[i], 0), 0);
        ck_assert_int_eq(stator_future_poll(next[i]), STATOR_FUTURE_CANCELLED);
        stator_change_stream_unref(streams[i]);
    }
    ck_assert_int_eq(wire_count(s->server, "killCursors"), 5);
    scene_free(s);
    return took;
}

START_TEST(a_client_that_drains_closes_its_streams_at_once)
{
    best_of_three("client.close: five streams in turns of a minute",
                  client_close_takes, 1000, "ms");
}
END_TEST

START_TEST(an_abort_asks_no_server)
{
    scene_t *s = scene_new("{'workers': 1, 'watchers': 1}");
    stator_change_stream_t *stream = watch(s, LONG_TURN);
    stator_future_t *next = ask_next(stream);

    await_more(s, 1);
    close_with(s, "{'mode': 'abort', 'timeoutMS': 2000}");
    ck_cancelled(next, STATOR_MAYBE_SENT);
    ck_assert_int_eq(wire_count(s->server, "killCursors"), 0);
    stator_change_stream_unref(stream);
    scene_free(s);
}
END_TEST

START_TEST(unref_leaves_who_waits_and_closes_after)
{
    scene_t *s = scene_new("{'workers': 1, 'watchers': 1}");
    stator_change_stream_t *stream = watch(s, LONG_TURN);
    stator_future_t *next = ask_next(stream);
    stopwatch_t watch;

    await_more(s, 1);
    watch = stopwatch_start();
    stator_change_stream_unref(stream);
    ck_assert_int_lt(stopwatch_us(&watch), LONG_MS * 1000 / 2);
    wire_events(s->server, 1);
    ck_event(next, 0);
    ck_assert(wire_wait_count(s->server, "killCursors", 1, WIRE_WAIT));
    await_stat(s->client, "streams", 0);
    scene_free(s);
}
END_TEST

START_TEST(unref_cuts_the_turn_that_nobody_waits_for)
{
    scene_t *s = scene_new("{'workers': 1, 'watchers': 1}");
    stator_change_stream_t *stream = watch(s, LONG_TURN);
    stator_future_t *next = ask_next(stream);

    await_more(s, 1);
    if (_i == 0) { /* in either order */
        stator_change_stream_unref(stream);
        ck_assert(stator_future_cancel(next));
    } else {
        ck_assert(stator_future_cancel(next));
        stator_change_stream_unref(stream);
    }
    ck_assert(wire_wait_count(s->server, "killCursors", 1, WIRE_WAIT));
    await_stat(s->client, "streams", 0);
    scene_free(s);
}
END_TEST

/* ---- the lane ------------------------------------------------------------- */

START_TEST(many_streams_of_one_watcher_all_get_their_turn)
{
    enum { N = 60 };
    scene_t *s = scene_new("{'workers': 1, 'watchers': 1}");
    stator_change_stream_t *streams[N];
    stator_future_t *next[N];

    for (int i = 0; i < N; i++) {
        streams[i] = watch(s, NULL);
        next[i] = ask_next(streams[i]);
    }
    ck_stat(s->client, "streams", N);
    ck_stat(s->client, "watching", 1);
    ck_stat(s->client, "connections", 1);
    wire_events(s->server, 1);
    for (int i = 0; i < N; i++)
        ck_event(next[i], 0);
    for (int i = 0; i < N; i++)
        stator_change_stream_unref(streams[i]);
    await_stat(s->client, "streams", 0);
    ck_assert_int_eq(wire_count(s->server, "killCursors"), N);
    scene_free(s);
}
END_TEST

START_TEST(streams_sit_where_there_are_fewest)
{
    scene_t *s = scene_new("{'workers': 1, 'watchers': 3}");
    stator_change_stream_t *streams[6];

    for (int i = 0; i < 6; i++) {
        streams[i] = watch(s, NULL);
        ck_stat(s->client, "watching", i < 3 ? i + 1 : 3);
    }
    for (int i = 0; i < 6; i++)
        stator_change_stream_unref(streams[i]);
    await_stat(s->client, "streams", 0);
    streams[0] = watch(s, NULL); /* a seat that has become free */
    ck_stat(s->client, "watching", 3);
    stator_change_stream_unref(streams[0]);
    scene_free(s);
}
END_TEST

/* With one worker, a queue of one place, and no connection to spare. */
START_TEST(what_waits_takes_nothing_from_short_operations)
{
    enum { N = 8 };
    scene_t *s = scene_new("{'workers': 1, 'watchers': 1, 'queueLimit': 8, "
                           "'maxConnections': 3}");
    stator_change_stream_t *streams[N];
    stator_future_t *f[64];

    for (int i = 0; i < N; i++) {
        streams[i] = watch(s, NULL);
        ask_next(streams[i]);
    }
    for (int round = 0; round < 5; round++) {
        ck_stat(s->client, "queued", 0);
        for (int i = 0; i < 8; i++)
            f[i] = ask_one(s, NULL);
        for (int i = 0; i < 8; i++)
            ck_done(f[i]);
    }
    ck_done(lend(stator_client_room(s->client)));
    /* The lane is bounded, too. */
    for (int i = 0; i < 64; i++)
        f[i] = ask_next(streams[0]);
    fails(stator_future_ref(f[63]), STATOR_ERROR_DOMAIN, STATOR_ERROR_REFUSED,
          "full");
    for (int i = 0; i < N; i++) {
        done(stator_change_stream_close(streams[i]));
        stator_change_stream_unref(streams[i]);
    }
    scene_free(s);
}
END_TEST

START_TEST(without_watchers_it_is_refused)
{
    scene_t *s = scene_new("{'workers': 1, 'watchers': 0}");
    stator_change_stream_t *stream =
        stator_collection_watch(s->things, NULL, NULL);
    stator_cursor_t *cursor;

    fails(stator_change_stream_open(stream), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_REFUSED, "watchers");
    fails(stator_change_stream_next(stream), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_REFUSED, "watchers");
    done(stator_change_stream_close(stream));
    stator_change_stream_unref(stream);
    cursor = open_cursor(s, "{'tailable': true, 'awaitData': true}");
    fails(stator_cursor_next(cursor), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_REFUSED, "watchers");
    stator_cursor_unref(cursor);
    ck_assert_int_eq(wire_count(s->server, "aggregate find"), 0);
    scene_free(s);
}
END_TEST

/* ---- tailable ------------------------------------------------------------- */

START_TEST(an_awaiting_cursor_waits_for_documents)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *cursor;
    stator_future_t *f;

    wire_events(s->server, 1);
    cursor = open_cursor(s, "{'tailable': true, 'awaitData': true}");
    counts(stator_cursor_next(cursor), 1);
    f = lend(stator_cursor_next(cursor));
    ck_assert_int_eq(stator_future_wait(f, 600), ETIMEDOUT);
    wire_events(s->server, 1);
    ck_at(stator_future_document(ck_done(f)), "_id", "1");
    f = lend(stator_cursor_to_list(cursor, 3));
    wire_events(s->server, 1);
    await_more(s, wire_count(s->server, "getMore") + 1);
    wire_events(s->server, 2);
    counts(stator_future_ref(f), 3);
    f = lend(stator_cursor_next(cursor));
    done(stator_cursor_close(cursor));
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_CANCELLED);
    stator_cursor_unref(cursor);
    scene_free(s);
}
END_TEST

START_TEST(an_awaiting_cursor_on_nothing_is_dead)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *cursor =
        open_cursor(s, "{'tailable': true, 'awaitData': true}");

    counts(stator_cursor_next(cursor), 0);
    counts(stator_cursor_next_batch(cursor), 0);
    stator_cursor_unref(cursor);
    scene_free(s);
}
END_TEST

START_TEST(a_cursor_that_is_only_tailable_does_not_wait)
{
    scene_t *s = scene_new(NULL);
    stator_cursor_t *cursor;

    wire_events(s->server, 1);
    wire_rule_add(s->server,
                  &(wire_rule_t){.command = "getMore",
                                 .action = WIRE_REPLY,
                                 .times = 1,
                                 .reply_json =
                                     "{\"ok\": 1, \"cursor\": {\"id\": 5, "
                                     "\"ns\": \"core.things\", "
                                     "\"nextBatch\": []}}"});
    cursor = open_cursor(s, "{'tailable': true}");
    counts(stator_cursor_next(cursor), 1);
    counts(stator_cursor_next(cursor), 0); /* for now */
    ck_stat(s->client, "watching", 0);
    stator_cursor_unref(cursor);
    scene_free(s);
}
END_TEST

/* ---- leases --------------------------------------------------------------- */

START_TEST(on_a_lease_turns_and_operations_take_turns)
{
    scene_t *s = scene_new("{'workers': 2, 'watchers': 1}");
    stator_future_t *leased = lend(stator_client_lease(s->client, NULL));
    stator_lease_t *lease = stator_future_lease(ck_done(leased));
    bson_t opts = BSON_INITIALIZER;
    stator_change_stream_t *stream;
    stator_future_t *next;

    ck_assert(stator_lease_append(lease, &opts, NULL));
    stream = stator_collection_watch(s->things, NULL, &opts);
    done(stator_change_stream_open(stream));
    next = ask_next(stream);
    for (int i = 0; i < 5; i++)
        done(stator_collection_find_one(s->things, NULL, &opts));
    ck_pending(next);
    ck_stat(s->client, "connections", 2); /* the watcher has no need of one */
    wire_events(s->server, 1);
    ck_event(next, 0);
    done(stator_change_stream_close(stream));
    stator_change_stream_unref(stream);
    stator_lease_unref(lease);
    bson_destroy(&opts);
    scene_free(s);
}
END_TEST

/* While the only watcher is in another stream's turn of a minute. */
START_TEST(a_lease_is_free_until_its_stream_has_a_watcher)
{
    scene_t *s = scene_new("{'workers': 2, 'watchers': 1}");
    stator_future_t *leased = lend(stator_client_lease(s->client, NULL));
    stator_lease_t *lease = stator_future_lease(ck_done(leased));
    stator_change_stream_t *other = watch(s, LONG_TURN), *stream;
    bson_t opts = BSON_INITIALIZER;
    stator_future_t *next, *others;

    ck_assert(stator_lease_append(lease, &opts, NULL));
    stream = stator_collection_watch(s->things, NULL, &opts);
    done(stator_change_stream_open(stream));
    others = ask_next(other);
    await_more(s, 1);
    next = ask_next(stream);
    for (int i = 0; i < 3; i++)
        done(stator_collection_find_one(s->things, NULL, &opts));
    ck_pending(others);
    wire_events(s->server, 1);
    ck_event(others, 0);
    ck_event(next, 0);
    done(stator_change_stream_close(stream));
    stator_change_stream_unref(stream);
    stator_change_stream_unref(other);
    stator_lease_unref(lease);
    bson_destroy(&opts);
    scene_free(s);
}
END_TEST

/* Its close is in the lease's line, behind what does not end, when the time of
 * the client's close is up. */
START_TEST(a_stream_behind_what_hangs_ends_with_the_client)
{
    scene_t *s = scene_new("{'workers': 2, 'watchers': 1}");
    stator_future_t *leased = lend(stator_client_lease(s->client, NULL));
    stator_lease_t *lease = stator_future_lease(ck_done(leased));
    bson_t opts = BSON_INITIALIZER;
    stator_change_stream_t *stream;
    stator_future_t *held;

    ck_assert(stator_lease_append(lease, &opts, NULL));
    stream = stator_collection_watch(s->things, NULL, &opts);
    done(stator_change_stream_open(stream));
    held = lend(stator_collection_find_one(s->held, NULL, &opts));
    ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
    close_with(s, "{'timeoutMS': 300}");
    ck_cancelled(held, STATOR_MAYBE_SENT);
    stator_change_stream_unref(stream);
    stator_lease_unref(lease);
    bson_destroy(&opts);
    scene_free(s);
}
END_TEST

START_TEST(a_lease_and_its_stream_end_with_the_client)
{
    scene_t *s = scene_new("{'workers': 2, 'watchers': 1}");
    stator_future_t *leased = lend(stator_client_lease(s->client, NULL));
    stator_lease_t *lease = stator_future_lease(ck_done(leased));
    bson_t opts = BSON_INITIALIZER;
    stator_change_stream_t *stream;
    stator_future_t *next;

    BSON_APPEND_INT32(&opts, "maxAwaitTimeMS", LONG_MS);
    ck_assert(stator_lease_append(lease, &opts, NULL));
    stream = stator_collection_watch(s->things, NULL, &opts);
    done(stator_change_stream_open(stream));
    next = ask_next(stream);
    await_more(s, 1);
    close_with(s, NULL);
    ck_cancelled(next, STATOR_MAYBE_SENT);
    ck_assert_int_eq(wire_count(s->server, "killCursors"), 1);
    stator_change_stream_unref(stream);
    stator_lease_unref(lease);
    bson_destroy(&opts);
    scene_free(s);
}
END_TEST

/* ---- all at once ---------------------------------------------------------- */

typedef struct rush {
    stator_change_stream_t *streams[3];
    unsigned seed;
    bool closes;
} rush_t;

static unsigned draw(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % n;
}

static void *rush(void *arg)
{
    rush_t *r = arg;
    stator_change_stream_t *s;
    stator_future_t *f;
    bson_t token;

    for (int i = 0; i < 200; i++) {
        s = stator_change_stream_ref(r->streams[draw(&r->seed, 3)]);
        switch (draw(&r->seed, r->closes && i > 150 ? 6 : 5)) {
        case 0:
            f = stator_change_stream_open(s);
            break;
        case 1:
            f = stator_change_stream_try_next(s);
            break;
        case 5:
            f = stator_change_stream_close(s);
            break;
        default:
            f = stator_change_stream_next(s);
            stator_future_wait(f, (int)draw(&r->seed, 3));
            stator_future_cancel(f);
        }
        if (stator_change_stream_resume_token(s, &token))
            bson_destroy(&token);
        stator_future_unref(f);
        stator_change_stream_unref(s);
    }
    return NULL;
}

/* From several threads, while events come and connections break. */
START_TEST(anything_may_be_asked_at_any_time)
{
    enum { THREADS = 3, ROUNDS = 6 };
    scene_t *s = scene_new("{'workers': 1, 'watchers': 2}");
    pthread_t threads[THREADS];
    rush_t rushes[THREADS];

    for (int round = 0; round < ROUNDS; round++) {
        stator_change_stream_t *streams[3];

        for (int i = 0; i < 3; i++)
            streams[i] = stator_collection_watch(
                s->things, NULL,
                i == 0 ? J(LONG_TURN) : J("{'batchSize': 1}"));
        for (int i = 0; i < THREADS; i++) {
            rushes[i] = (rush_t){
                .streams = {streams[0], streams[1], streams[2]},
                .seed = (unsigned)(round * THREADS + i),
                .closes = round % 2 == 0};
            ck_assert_int_eq(
                pthread_create(&threads[i], NULL, rush, &rushes[i]), 0);
        }
        for (int i = 0; i < 30; i++) {
            wire_events(s->server, 2);
            if (i % 10 == 5)
                wire_server_hang_up(s->server, WIRE_RST);
            stator_future_wait(ask_one(s, NULL), -1);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < 3; i++) {
            if (round % 3 == 2)
                done(stator_change_stream_close(streams[i]));
            stator_change_stream_unref(streams[i]);
        }
        wire_events(s->server, 1); /* for who still waits */
    }
    await_stat(s->client, "streams", 0);
    scene_free(s);
}
END_TEST

SUITE(watcher)
{
    TCase *lane = suite_case("watcher_lane");
    TCase *tail = suite_case("watcher_tailable");

    tcase_add_test(tc, next_stays_pending_until_there_is_an_event);
    tcase_add_test(tc, opened_means_that_what_happens_now_is_seen);
    tcase_add_test(tc, open_does_not_wait_behind_who_waits_for_an_event);
    tcase_add_test(tc, try_next_answers_after_one_turn);
    tcase_add_test(tc, idle_streams_take_no_turns);
    tcase_add_test(tc, a_cancelled_next_cuts_nothing_and_loses_nothing);
    tcase_add_test(tc, timeout_ms_is_of_each_next_and_ends_nothing);
    tcase_add_test(tc, close_wakes_a_waiting_stream_at_once);
    tcase_add_test(tc, close_cuts_the_turn_that_nobody_waits_for);
    tcase_add_test(tc, a_client_that_drains_closes_its_streams_at_once);
    tcase_add_test(tc, an_abort_asks_no_server);
    tcase_add_test(tc, unref_leaves_who_waits_and_closes_after);
    tcase_add_loop_test(tc, unref_cuts_the_turn_that_nobody_waits_for, 0, 2);
    tcase_add_test(lane, many_streams_of_one_watcher_all_get_their_turn);
    tcase_add_test(lane, streams_sit_where_there_are_fewest);
    tcase_add_test(lane, what_waits_takes_nothing_from_short_operations);
    tcase_add_test(lane, without_watchers_it_is_refused);
    tcase_add_test(lane, on_a_lease_turns_and_operations_take_turns);
    tcase_add_test(lane, a_lease_is_free_until_its_stream_has_a_watcher);
    tcase_add_loop_test(
        lane, a_stream_behind_what_hangs_ends_with_the_client, 0, 10);
    tcase_add_test(lane, a_lease_and_its_stream_end_with_the_client);
    tcase_add_test(lane, anything_may_be_asked_at_any_time);
    tcase_add_test(tail, an_awaiting_cursor_waits_for_documents);
    tcase_add_test(tail, an_awaiting_cursor_on_nothing_is_dead);
    tcase_add_test(tail, a_cursor_that_is_only_tailable_does_not_wait);
}
