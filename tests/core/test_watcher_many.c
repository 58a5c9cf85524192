/* SPDX-License-Identifier: Apache-2.0 */
/* test_watcher_many.c - hundreds of streams on four watchers beside short
 * operations: how late an event comes, and what the others notice of it.
 *
 * Asserted is the bound of an event's way to its continuation, when all
 * chances have missed it; the rest is printed. */
#include "tests/core/cut.h"
#include "tests/harness/stopwatch.h"

enum {
    WIRE_STREAMS = 500,
    LIVE_STREAMS = 500,
    SLOW = UNDER_TSAN || UNDER_ASAN ? 4 : 1,
    BOUND_MS = 3000 * SLOW,
    FINDS = 400
};

typedef struct crowd {
    stator_client_t *client;
    stator_collection_t *collection;
    stator_dispatcher_t *dispatcher;
    int n;
    stator_change_stream_t *streams[WIRE_STREAMS];
    stator_future_t *waits[WIRE_STREAMS];
    int seen;
    int64_t began;
    times_t times;
} crowd_t;

static void crowd_sees(stator_future_t *f, void *arg)
{
    crowd_t *c = arg;

    if (stator_future_poll(f) != STATOR_FUTURE_DONE)
        return;
    c->seen++;
    times_add(&c->times, now_us() - c->began);
}

/* Which event stream `i` waits for: not in the order of their turns. */
static int n_of(int i)
{
    return (i * 37 + 211) % WIRE_STREAMS;
}

/* `apart`: each waits for an event of its own. */
static void crowd_begin(crowd_t *c, stator_client_t *client,
                        stator_collection_t *collection, int n, bool apart)
{
    c->client = client;
    c->collection = collection;
    c->dispatcher = stator_dispatcher_new(NULL);
    c->n = n;
    for (int i = 0; i < n; i++) {
        c->streams[i] = stator_collection_watch(
            collection,
            apart ? J("{'0': {'$match': {'n': %d}}}", n_of(i)) : NULL, NULL);
        c->waits[i] = stator_change_stream_open(c->streams[i]);
    }
    for (int i = 0; i < n; i++)
        done(c->waits[i]);
}

static void crowd_waits(crowd_t *c)
{
    for (int i = 0; i < c->n; i++) {
        c->waits[i] = stator_change_stream_next(c->streams[i]);
        ck_assert_int_eq(stator_future_then(c->waits[i], c->dispatcher,
                                            crowd_sees, c),
                         0);
    }
}

/* The event has happened: all continuations run; the last one's time. */
static int64_t crowd_comes(crowd_t *c, int64_t began, const char *what)
{
    int64_t until = now_us() + LIB_PATIENCE_MS * (int64_t)1000;

    c->began = began;
    c->seen = 0;
    c->times.n = 0;
    while (c->seen < c->n && now_us() < until)
        stator_dispatcher_run_once(c->dispatcher, 100);
    ck_assert_int_eq(c->seen, c->n);
    for (int i = 0; i < c->n; i++)
        stator_future_unref(c->waits[i]);
    times_tell(&c->times, what);
    return c->times.us[c->times.n - 1] / 1000;
}

static void crowd_end(crowd_t *c)
{
    stator_future_t **closes = calloc((size_t)c->n, sizeof(void *));

    for (int i = 0; i < c->n; i++)
        closes[i] = stator_change_stream_close(c->streams[i]);
    for (int i = 0; i < c->n; i++) {
        done(closes[i]);
        stator_change_stream_unref(c->streams[i]);
    }
    free(closes);
    stator_dispatcher_unref(c->dispatcher);
}

/* Short finds, one after the other. */
static void finds_take(stator_collection_t *collection, const char *what)
{
    times_t *t = calloc(1, sizeof *t);

    for (int i = 0; i < FINDS; i++) {
        int64_t began = now_us();
        stator_future_t *f =
            stator_collection_find_one(collection, NULL, NULL);

        ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
        ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_DONE);
        times_add(t, now_us() - began);
        stator_future_unref(f);
    }
    times_tell(t, what);
    free(t);
}

START_TEST(five_hundred_streams_on_the_wire)
{
    scene_t *s = scene_new("{'workers': 4, 'watchers': 4}");
    crowd_t *c = calloc(1, sizeof *c);
    int64_t last = INT64_MAX;

    finds_take(s->things, "wire: finds alone");
    crowd_begin(c, s->client, s->things, WIRE_STREAMS, false);
    ck_stat(s->client, "streams", WIRE_STREAMS);
    ck_stat(s->client, "watching", 4);
    for (chances_t ch = {0}; last > BOUND_MS && chances_next(&ch);) {
        int64_t began;

        crowd_waits(c);
        finds_take(s->things, "wire: finds beside 500 waiting streams");
        began = now_us();
        wire_events(s->server, 1);
        last = crowd_comes(c, began, "wire: an event, to 500 continuations");
    }
    printf("wire: the last of 500 after %lld ms (bound %d)\n",
           (long long)last, BOUND_MS);
    ck_assert_int_le(last, BOUND_MS);
    ck_assert_int_le(stat_of(s->client, "connections"), 8);
    crowd_end(c);
    free(c);
    scene_free(s);
}
END_TEST

/* All others have nothing to see, and take their whole turns meanwhile. */
static void one_by_one(crowd_t *c, scene_t *s, int n)
{
    c->times.n = 0;
    for (int i = 0; i < n; i++) {
        c->began = now_us();
        c->seen = 0;
        wire_events(s->server, 1);
        while (c->seen == 0 &&
               now_us() - c->began < LIB_PATIENCE_MS * (int64_t)1000)
            stator_dispatcher_run_once(c->dispatcher, 100);
        ck_assert_int_eq(c->seen, 1);
    }
}

START_TEST(an_event_for_one_of_five_hundred)
{
    enum { EVENTS = 12 };
    int64_t worst = INT64_MAX;

    for (chances_t ch = {0}; worst > BOUND_MS && chances_next(&ch);) {
        scene_t *s = scene_new("{'workers': 4, 'watchers': 4}");
        crowd_t *c = calloc(1, sizeof *c);

        crowd_begin(c, s->client, s->things, WIRE_STREAMS, true);
        crowd_waits(c);
        one_by_one(c, s, EVENTS);
        times_tell(&c->times, "wire: an event for one of 500");
        worst = c->times.us[c->times.n - 1] / 1000;
        finds_take(s->things, "wire: finds meanwhile");
        crowd_end(c);
        for (int i = 0; i < c->n; i++)
            stator_future_unref(c->waits[i]);
        free(c);
        scene_free(s);
    }
    printf("wire: the latest after %lld ms (bound %d)\n", (long long)worst,
           BOUND_MS);
    ck_assert_int_le(worst, BOUND_MS);
}
END_TEST

START_TEST(five_hundred_streams_live)
{
    NEED_SERVER();
    stage_t *stage = stage_new(lib_server(), "{'workers': 4, 'watchers': 4}",
                               true);
    crowd_t *c = calloc(1, sizeof *c);
    int64_t last = INT64_MAX;

    finds_take(stage->collection, "live: finds alone");
    crowd_begin(c, stage->client, stage->collection, LIVE_STREAMS, false);
    for (chances_t ch = {0}; last > BOUND_MS && chances_next(&ch);) {
        int64_t began;

        crowd_waits(c);
        finds_take(stage->collection, "live: finds beside 500 streams");
        began = now_us();
        done(stator_collection_insert_one(stage->collection, J("{'a': 1}"),
                                          NULL));
        last = crowd_comes(c, began, "live: an insert, to 500 continuations");
    }
    printf("live: the last of 500 after %lld ms (bound %d)\n",
           (long long)last, BOUND_MS);
    ck_assert_int_le(last, BOUND_MS);
    crowd_end(c);
    free(c);
    stage_free(stage);
}
END_TEST

SUITE(watcher_many)
{
    tcase_add_test(tc, five_hundred_streams_on_the_wire);
    tcase_add_test(tc, an_event_for_one_of_five_hundred);
    tcase_add_test(tc, five_hundred_streams_live);
}
