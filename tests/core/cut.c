/* SPDX-License-Identifier: Apache-2.0 */
/* cut.c - what the tests of the transport share. */
#include "tests/core/cut.h"

#include <time.h>

#include "core/client.h"

const char *const cut_commands[CUT_KINDS] = {"find", "insert", "getMore"};

scene_t *cut_scene(const char *opts, const char *extra)
{
    const wire_options_t primary = {.documents = 1,
                                    .member = {.role = WIRE_PRIMARY}};
    static const wire_rule_t held[] = {
        {.command = "find", .collection = "held"},
        {.command = "insert", .collection = "held"},
        {.command = "getMore", .collection = "paged"},
    };
    scene_t *s = calloc(1, sizeof *s);
    bson_error_t error = {0};

    s->server = wire_server_new(&primary);
    ck_assert_ptr_nonnull(s->server);
    wire_server_uri(s->server, extra, s->uri, sizeof s->uri);
    wire_collection(s->server, "core.paged", 1000, NULL, NULL);
    s->gate = wire_gate_new(s->server);
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        wire_rule_t rule = held[i];

        rule.gate = s->gate;
        ck_assert_int_gt(wire_rule_add(s->server, &rule), 0);
    }
    s->client = stator_client_new(s->uri, J("%s", opts), &error);
    ck_assert_msg(s->client != NULL, "%s", error.message);
    s->things = stator_client_get_collection(s->client, "core", "things");
    s->held = stator_client_get_collection(s->client, "core", "held");
    return s;
}

/* ---- what hangs --------------------------------------------------------- */

cut_t *cut_start(scene_t *s, cut_kind_t kind, const char *opts)
{
    const bson_t *with = opts == NULL ? NULL : J("%s", opts);
    cut_t *c = calloc(1, sizeof *c);
    stator_collection_t *paged;

    c->kind = kind;
    c->since = now_us();
    if (kind == CUT_FIND) {
        c->future = stator_collection_find_one(s->held, NULL, with);
    } else if (kind == CUT_INSERT) {
        c->future = stator_collection_insert_one(s->held, J("{'a': 1}"),
                                                 with);
    } else {
        paged = stator_client_get_collection(s->client, "core", "paged");
        c->cursor = stator_collection_find(
            paged, NULL, with == NULL ? J("{'batchSize': 2}") : with);
        stator_collection_unref(paged);
        for (int i = 0; i < 2; i++) {
            stator_future_t *f;

            c->since = now_us();
            f = stator_cursor_next(c->cursor);
            ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
            if (stator_future_poll(f) != STATOR_FUTURE_DONE) {
                c->future = f; /* it was given too little time */
                return c;
            }
            stator_future_unref(f);
        }
        c->since = now_us();
        c->future = stator_cursor_next(c->cursor);
    }
    return c;
}

cut_t *cut_hang(scene_t *s, cut_kind_t kind)
{
    cut_t *c;

    /* The server may yet have to see that the last one has gone. */
    ck_assert(wire_gate_wait_empty(s->gate, WIRE_WAIT));
    c = cut_start(s, kind, NULL);
    ck_assert(wire_gate_wait_held(s->gate, 1, WIRE_WAIT));
    return c;
}

void cut_free(cut_t *c)
{
    ck_assert_int_eq(stator_future_wait(c->future, LIB_PATIENCE_MS), 0);
    stator_future_unref(c->future);
    if (c->cursor != NULL)
        stator_cursor_unref(c->cursor);
    free(c);
}

/* ---- times -------------------------------------------------------------- */

void times_add(times_t *t, int64_t us)
{
    ck_assert_int_lt(t->n, TIMES_MAX);
    t->us[t->n++] = us;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

int64_t times_tell(times_t *t, const char *what)
{
    int64_t p99;

    ck_assert_int_gt(t->n, 0);
    qsort(t->us, (size_t)t->n, sizeof t->us[0], by_size);
    p99 = t->us[(t->n * 99 - 1) / 100];
    printf("  %-28s p50 %6" PRId64 "  p99 %6" PRId64 "  max %6" PRId64 " us\n",
           what, t->us[(t->n - 1) / 2], p99, t->us[t->n - 1]);
    return p99;
}

static void short_nap(void)
{
    const struct timespec t = {.tv_nsec = 50000};

    nanosleep(&t, NULL);
}

int64_t await_idle(stator_client_t *client)
{
    int64_t begin = now_us();
    int64_t until = begin + LIB_PATIENCE_MS * (int64_t)1000;

    while (stat_of(client, "busy") != 0) {
        ck_assert_msg(now_us() < until, "a worker stays busy");
        short_nap();
    }
    return now_us() - begin;
}

static bool is_armed(stator_client_t *client)
{
    struct stc_pool *p = &client->pool;
    struct stc_connection *c;
    bool armed = false;

    pthread_mutex_lock(&p->lock);
    cds_list_for_each_entry(c, &p->all, in_all)
    {
        pthread_mutex_lock(&c->transport.lock);
        armed = armed || c->transport.fd >= 0;
        pthread_mutex_unlock(&c->transport.lock);
    }
    pthread_mutex_unlock(&p->lock);
    return armed;
}

void await_armed(stator_client_t *client, bool armed)
{
    int64_t until = now_us() + LIB_PATIENCE_MS * (int64_t)1000;

    while (is_armed(client) != armed) {
        ck_assert_msg(now_us() < until, "%s is on the wire",
                      armed ? "nothing" : "something");
        short_nap();
    }
}

int64_t us_until_settled(stator_future_t *f, int64_t since)
{
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    return now_us() - since;
}

/* ---- what is told ------------------------------------------------------- */

void ck_kind(stator_client_t *client, const char *text)
{
    bson_t stats;

    stator_client_stats(client, &stats);
    ck_at(&stats, "transport.kind", text);
    bson_destroy(&stats);
}

void ck_says(stator_future_t *f, const char *text)
{
    bson_error_t error = {0};

    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert(stator_future_error(f, &error));
    ck_assert_msg(strstr(error.message, text) != NULL,
                  "\"%s\" is not in: %s", text, error.message);
}
