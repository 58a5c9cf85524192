/* SPDX-License-Identifier: Apache-2.0 */
/* support.c - what the tests of the verbs share. */
#include "tests/lib/support.h"

#include <mongoc/mongoc.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { KEPT_MAX = 16384 };

static struct kept {
    void (*free)(void *);
    void *what;
} kept[KEPT_MAX];
static size_t n_kept;

static void *keep(void *what, void (*how)(void *))
{
    ck_assert_uint_lt(n_kept, KEPT_MAX);
    kept[n_kept].what = what;
    kept[n_kept++].free = how;
    return what;
}

static void free_bson(void *what)
{
    bson_destroy(what);
}

static void free_future(void *what)
{
    stator_future_unref(what);
}

/* ---- stages ------------------------------------------------------------ */

const char *lib_server(void)
{
    const char *uri = getenv("STATOR_TEST_URI");

    return uri == NULL || *uri == '\0' ? NULL : uri;
}

stage_t *stage_new(const char *uri, const char *opts_json, bool is_live)
{
    static unsigned number;
    stage_t *s = calloc(1, sizeof *s);
    bson_error_t error = {0};

    s->client = stator_client_new(
        uri, opts_json == NULL ? NULL : J("%s", opts_json), &error);
    ck_assert_msg(s->client != NULL, "%s", error.message);
    snprintf(s->db, sizeof s->db, "stator_lib_%d_%u", (int)getpid(),
             number++);
    snprintf(s->name, sizeof s->name, "things");
    s->database = stator_client_get_database(s->client, s->db);
    s->collection = stator_client_get_collection(s->client, s->db, s->name);
    if (!is_live)
        s->db[0] = '\0';
    return s;
}

stage_t *stage_live(void)
{
    return stage_new(lib_server(), NULL, true);
}

stage_t *stage_nowhere(void)
{
    return stage_new("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100",
                     "{'workers': 1}", false);
}

void lib_forget(void)
{
    while (n_kept > 0) {
        n_kept--;
        kept[n_kept].free(kept[n_kept].what);
    }
}

void stage_free(stage_t *s)
{
    stator_future_t *closed;

    if (s->db[0] != '\0')
        done(stator_database_drop(s->database, NULL));
    lib_forget();
    closed = stator_client_close(s->client, NULL);
    ck_assert_int_eq(stator_future_wait(closed, LIB_PATIENCE_MS), 0);
    stator_future_unref(closed);
    stator_collection_unref(s->collection);
    stator_database_unref(s->database);
    stator_client_unref(s->client);
    free(s);
}

/* ---- documents --------------------------------------------------------- */

const bson_t *J(const char *format, ...)
{
    bson_error_t error;
    va_list args;
    char *json;
    bson_t *b;

    va_start(args, format);
    ck_assert_int_ge(vasprintf(&json, format, args), 0);
    va_end(args);
    for (char *c = json; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    b = bson_new_from_json((const uint8_t *)json, -1, &error);
    ck_assert_msg(b != NULL, "%s: %s", json, error.message);
    free(json);
    return keep(b, free_bson);
}

const bson_t *lib_big(int id, size_t n)
{
    char *fill = malloc(n + 1);
    bson_t *b = bson_new();

    memset(fill, 'x', n);
    fill[n] = '\0';
    BSON_APPEND_INT32(b, "_id", id);
    bson_append_utf8(b, "fill", 4, fill, (int)n);
    free(fill);
    return keep(b, free_bson);
}

const bson_t *lib_corrupt(void)
{
    bson_t *b = bson_new();
    uint8_t *bytes;

    BSON_APPEND_UTF8(b, "a", "x");
    bytes = (uint8_t *)bson_get_data(b);
    bytes[7] = 100; /* the string's length */
    return keep(b, free_bson);
}

/* ---- futures ----------------------------------------------------------- */

static void wait_for(stator_future_t *f)
{
    ck_assert_ptr_nonnull(f);
    keep(f, free_future);
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
}

stator_future_t *done(stator_future_t *f)
{
    bson_error_t error = {0};

    wait_for(f);
    stator_future_error(f, &error);
    ck_assert_msg(stator_future_poll(f) == STATOR_FUTURE_DONE,
                  "not done: %u/%u %s", error.domain, error.code,
                  error.message);
    return f;
}

stator_future_t *counts(stator_future_t *f, int64_t count)
{
    done(f);
    ck_assert_int_eq(stator_future_count(f), count);
    return f;
}

stator_future_t *fails(stator_future_t *f, uint32_t domain, uint32_t code,
                       const char *text)
{
    bson_error_t error = {0};

    wait_for(f);
    ck_assert_msg(stator_future_poll(f) == STATOR_FUTURE_FAILED,
                  "state %d instead of a failure with \"%s\"",
                  (int)stator_future_poll(f), text);
    ck_assert(stator_future_error(f, &error));
    ck_assert_msg(error.domain == domain && error.code == code &&
                      strstr(error.message, text) != NULL,
                  "%u/%u \"%s\" instead of %u/%u \"%s\"", error.domain,
                  error.code, error.message, domain, code, text);
    return f;
}

stator_future_t *faulty(stator_future_t *f, const char *text)
{
    fails(f, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT, text);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    return f;
}

void faulty_cursor(stator_cursor_t *cursor, const char *text)
{
    ck_assert_ptr_nonnull(cursor);
    faulty(stator_cursor_next(cursor), text);
    faulty(stator_cursor_to_list(cursor, 0), text);
    done(stator_cursor_close(cursor));
    stator_cursor_unref(cursor);
}

/* ---- values ------------------------------------------------------------ */

const char *at(const bson_t *document, const char *path)
{
    bson_t one = BSON_INITIALIZER;
    bson_iter_t i, found;
    size_t n;
    char *json;

    if (document == NULL || !bson_iter_init(&i, document) ||
        !bson_iter_find_descendant(&i, path, &found)) {
        bson_destroy(&one);
        return "";
    }
    bson_append_iter(&one, "", 0, &found);
    json = keep(bson_as_relaxed_extended_json(&one, &n), bson_free);
    bson_destroy(&one);
    /* { "" : value } */
    json[n - 2] = '\0';
    for (char *c = json; *c != '\0'; c++)
        if (*c == '"')
            *c = '\'';
    return json + 7;
}
