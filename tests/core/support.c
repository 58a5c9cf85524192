/* SPDX-License-Identifier: Apache-2.0 */
/* support.c - what the tests of core share. */
#include "tests/core/support.h"

#include <dirent.h>
#include <time.h>
#include <unistd.h>

#include "core/client.h"
#include "tests/harness/stopwatch.h"

static void nap(void)
{
    struct timespec t = {.tv_nsec = 1000000};

    nanosleep(&t, NULL);
}

/* ---- scenes ------------------------------------------------------------- */

scene_t *scene_with_uri(const char *opts, const char *extra)
{
    scene_t *s = calloc(1, sizeof *s);
    bson_error_t error = {0};
    char all[256];

    s->server = wire_server_new(&(wire_options_t){.documents = 1});
    ck_assert_ptr_nonnull(s->server);
    snprintf(all, sizeof all, "retryReads=false&retryWrites=false%s%s",
             extra == NULL ? "" : "&", extra == NULL ? "" : extra);
    wire_server_uri(s->server, all, s->uri, sizeof s->uri);
    s->gate = wire_gate_new(s->server);
    wire_rule_add(s->server, &(wire_rule_t){.command = "find",
                                            .collection = "held",
                                            .gate = s->gate});
    s->client = stator_client_new(
        s->uri, J("%s", opts == NULL ? "{'workers': 1}" : opts), &error);
    ck_assert_msg(s->client != NULL, "%s", error.message);
    s->things = stator_client_get_collection(s->client, "core", "things");
    s->held = stator_client_get_collection(s->client, "core", "held");
    return s;
}

scene_t *scene_new(const char *opts)
{
    return scene_with_uri(opts, NULL);
}

/* The close may have been told before the last thread came home; a process
 * must not end beside one that is still in the driver. */
static void await_the_end(scene_t *s)
{
    int64_t until = now_us() + LIB_PATIENCE_MS * (int64_t)1000;
    bool is_over = false;

    while (!is_over && now_us() < until) {
        pthread_mutex_lock(&s->client->lock);
        is_over = s->client->closed;
        pthread_mutex_unlock(&s->client->lock);
        if (!is_over)
            nap();
    }
    ck_assert_msg(is_over, "threads are still in the driver");
}

void scene_free(scene_t *s)
{
    wire_gate_open(s->gate);
    if (!s->is_closed)
        close_with(s, NULL);
    await_the_end(s);
    lib_forget();
    give_back_lent();
    stator_collection_unref(s->things);
    stator_collection_unref(s->held);
    stator_client_unref(s->client);
    wire_server_free(s->server);
    free(s);
}

void scene_fill(scene_t *s, int64_t n)
{
    wire_collection(s->server, "core.things", n, NULL, NULL);
}

stator_future_t *close_with(scene_t *s, const char *opts)
{
    s->is_closed = true;
    return done(stator_client_close(s->client,
                                    opts == NULL ? NULL : J("%s", opts)));
}

/* ---- operations --------------------------------------------------------- */

enum { LENT_MAX = 4096 };
static stator_future_t *lent[LENT_MAX];
static size_t n_lent;

stator_future_t *lend(stator_future_t *f)
{
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_lt(n_lent, LENT_MAX);
    lent[n_lent++] = f;
    return f;
}

void give_back_lent(void)
{
    while (n_lent > 0)
        stator_future_unref(lent[--n_lent]);
}

stator_future_t *ck_done(stator_future_t *f)
{
    return done(stator_future_ref(f));
}

stator_future_t *hold_worker(scene_t *s)
{
    int64_t held = wire_gate_held(s->gate);
    stator_future_t *f =
        lend(stator_collection_find_one(s->held, NULL, NULL));

    ck_assert(wire_gate_wait_held(s->gate, held + 1, WIRE_WAIT));
    return f;
}

void hold_workers(scene_t *s, int n)
{
    while (n-- > 0)
        hold_worker(s);
}

stator_future_t *ask_one(scene_t *s, const char *opts)
{
    return lend(stator_collection_find_one(
        s->things, NULL, opts == NULL ? NULL : J("%s", opts)));
}

stator_cursor_t *open_cursor(scene_t *s, const char *opts)
{
    return stator_collection_find(s->things, NULL,
                                  opts == NULL ? NULL : J("%s", opts));
}

stator_cursor_t *open_and_read(scene_t *s, const char *opts)
{
    stator_cursor_t *cursor = open_cursor(s, opts);

    ck_assert_ptr_nonnull(
        stator_future_document(done(stator_cursor_next(cursor))));
    return cursor;
}

int64_t read_all(stator_cursor_t *cursor)
{
    int64_t n = 0;

    for (;;) {
        stator_future_t *f = stator_cursor_next(cursor);
        bool is_document;

        ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
        ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_DONE);
        is_document = stator_future_document(f) != NULL;
        stator_future_unref(f);
        if (!is_document)
            return n;
        n++;
    }
}

static void ck_settled(stator_future_t *f, stator_future_state_t state,
                       uint32_t code)
{
    bson_error_t error = {0};

    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    stator_future_error(f, &error);
    ck_assert_msg(stator_future_poll(f) == state &&
                      error.domain == STATOR_ERROR_DOMAIN &&
                      error.code == code,
                  "state %d, %u/%u \"%s\"", (int)stator_future_poll(f),
                  error.domain, error.code, error.message);
    ck_assert_int_eq(stator_future_origin(f), STATOR_ORIGIN_STATOR);
}

void ck_cancelled(stator_future_t *f, stator_outcome_t outcome)
{
    ck_settled(f, STATOR_FUTURE_CANCELLED, STATOR_ERROR_CANCELLED);
    ck_assert_int_eq(stator_future_outcome(f), outcome);
}

void ck_expired(stator_future_t *f)
{
    ck_settled(f, STATOR_FUTURE_FAILED, STATOR_ERROR_EXPIRED);
}

void ck_closed(stator_future_t *f)
{
    ck_settled(f, STATOR_FUTURE_FAILED, STATOR_ERROR_CLOSED);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
}

/* ---- statistics --------------------------------------------------------- */

int64_t stat_of(stator_client_t *client, const char *path)
{
    bson_iter_t i, found;
    bson_t stats;
    int64_t value;

    stator_client_stats(client, &stats);
    ck_assert_msg(bson_iter_init(&i, &stats) &&
                      bson_iter_find_descendant(&i, path, &found),
                  "the statistics have no %s", path);
    value = bson_iter_as_int64(&found);
    bson_destroy(&stats);
    return value;
}

int64_t now_us(void)
{
    return stopwatch_now_us();
}

void await_stat(stator_client_t *client, const char *path, int64_t value)
{
    int64_t until = now_us() + LIB_PATIENCE_MS * (int64_t)1000;

    while (stat_of(client, path) != value && now_us() < until)
        nap();
    ck_assert_msg(stat_of(client, path) == value,
                  "%s is %" PRId64 " and not %" PRId64, path,
                  stat_of(client, path), value);
}

void best_of_three(const char *what, int64_t (*measure)(void), int64_t bound,
                   const char *unit)
{
    int64_t figure = 0;

    for (chances_t c = {0}; chances_next(&c);) {
        figure = measure();
        printf("%s: %" PRId64 " %s (bound %" PRId64 ")\n", what, figure, unit,
               bound);
        if (figure <= bound)
            return;
    }
    ck_abort_msg("%s: %" PRId64 " %s, three times above %" PRId64, what,
                 figure, unit, bound);
}

/* ---- the process -------------------------------------------------------- */

static bool read_text(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t n;

    if (file == NULL)
        return false;
    n = fread(text, 1, size - 1, file);
    text[n] = '\0';
    fclose(file);
    return true;
}

int threads_named(const char *prefix)
{
    DIR *all = opendir("/proc/self/task");
    struct dirent *one;
    char path[512], name[32];
    int n = 0;

    while ((one = readdir(all)) != NULL) {
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", one->d_name);
        if (one->d_name[0] != '.' && read_text(path, name, sizeof name))
            n += strncmp(name, prefix, strlen(prefix)) == 0;
    }
    closedir(all);
    return n;
}

void await_threads(const char *prefix, int n)
{
    int64_t until = now_us() + LIB_PATIENCE_MS * (int64_t)1000;

    while (threads_named(prefix) != n && now_us() < until)
        nap();
    ck_assert_int_eq(threads_named(prefix), n);
}

int count_fds(void)
{
    DIR *all = opendir("/proc/self/fd");
    struct dirent *one;
    int n = -1; /* the directory's own */

    while ((one = readdir(all)) != NULL)
        n += one->d_name[0] != '.';
    closedir(all);
    return n;
}

int64_t resident_kib(void)
{
    char text[256];
    long pages = 0;

    if (!read_text("/proc/self/statm", text, sizeof text) ||
        sscanf(text, "%*d %ld", &pages) != 1)
        return -1;
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}
