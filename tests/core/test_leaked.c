/* SPDX-License-Identifier: Apache-2.0 */
/* test_leaked.c - what a close found open is named: kind, what, how old, and
 * where in the user's program it was made. */
#include "tests/core/support.h"
#include "tests/harness/stopwatch.h"

#include <dlfcn.h>

#include "core/op.h"

/* Calls of a user's, in a function of their own, which is not a long one. */
enum { CALLS_SIZE = 4096 };

__attribute__((noinline)) static void calls(scene_t *s, stator_future_t **f,
                                            stator_cursor_t **cursor)
{
    const bson_t *one = J("{'a': 1}"), *set = J("{'$set': {'a': 1}}");
    const bson_t *index = J("{'key': {'a': 1}}");
    stator_database_t *d = stator_client_get_database(s->client, "core");
    stator_collection_t *c = s->things;

    *cursor = stator_collection_find(c, NULL, J("{'batchSize': 2}"));
    *f++ = stator_client_ping(s->client, NULL);
    *f++ = stator_client_command(s->client, "core", one, NULL);
    *f++ = stator_database_command(d, one, NULL);
    *f++ = stator_database_drop(d, NULL);
    *f++ = stator_database_create_collection(d, "x", NULL);
    *f++ = stator_database_list_collection_names(d, NULL);
    *f++ = stator_collection_insert_one(c, one, NULL);
    *f++ = stator_collection_find_one(c, NULL, NULL);
    *f++ = stator_collection_update_one(c, one, set, NULL);
    *f++ = stator_collection_find_one_and_update(c, one, set, NULL);
    *f++ = stator_collection_replace_one(c, one, one, NULL);
    *f++ = stator_collection_delete_many(c, one, NULL);
    *f++ = stator_collection_create_index(c, index, NULL);
    *f++ = stator_collection_create_indexes(c, &index, 1, NULL);
    *f++ = stator_collection_drop_index(c, "a_1", NULL);
    *f++ = stator_collection_drop_indexes(c, NULL);
    *f++ = stator_collection_count_documents(c, one, NULL);
    *f++ = stator_collection_rename(c, "d", "n", false, NULL);
    *f++ = stator_cursor_next(*cursor);
    *f = NULL;
    stator_database_unref(d);
}

__attribute__((noinline)) static stator_cursor_t *leave_open(scene_t *s)
{
    stator_cursor_t *cursor =
        stator_collection_find(s->things, NULL, J("{'batchSize': 2}"));

    done(stator_cursor_next(cursor));
    return cursor;
}

static bool is_in(const void *site, uintptr_t function)
{
    const char *start = (const char *)function;

    return (const char *)site > start &&
           (const char *)site < start + CALLS_SIZE;
}

START_TEST(an_operation_knows_where_it_was_submitted)
{
    scene_t *s = scene_new(NULL);
    stator_future_t *f[32];
    stator_cursor_t *cursor;
    int n = 0;

    hold_worker(s);
    calls(s, f, &cursor);
    for (; f[n] != NULL; n++)
        ck_assert_msg(is_in(stc_op_of(f[n])->site, (uintptr_t)calls),
                      "call %d", n);
    ck_assert_int_eq(n, 19);
    wire_gate_open(s->gate);
    for (int i = 0; i < n; i++) {
        stator_future_wait(f[i], LIB_PATIENCE_MS);
        stator_future_unref(f[i]);
    }
    stator_cursor_unref(cursor);
    scene_free(s);
}
END_TEST

/* "program+0x1234": back to an address. */
static const void *address_of(const char *site)
{
    Dl_info self;

    ck_assert_int_ne(dladdr((const void *)(uintptr_t)calls, &self), 0);
    ck_assert_msg(strstr(site, "check_stator+0x") != NULL, "\"%s\"", site);
    return (const char *)self.dli_fbase +
           strtoull(strstr(site, "+0x") + 1, NULL, 16);
}

START_TEST(a_cursor_left_open_is_named_with_its_place)
{
    scene_t *s = scene_new(NULL);
    const bson_t *reply;
    stator_cursor_t *cursor;

    scene_fill(s, 10);
    cursor = leave_open(s);
    reply = stator_future_reply(close_with(s, NULL));
    ck_at(reply, "leaked.0.kind", "'cursor'");
    ck_at(reply, "leaked.0.what", "'find on core.things'");
    ck_assert_str_ne(at(reply, "leaked.0.ageMS"), "");
    printf("leaked: %s\n", at(reply, "leaked.0"));
    ck_assert(is_in(address_of(at(reply, "leaked.0.site")),
                    (uintptr_t)leave_open));
    ck_at(reply, "leaked.1", "");
    stator_cursor_unref(cursor);
    scene_free(s);
}
END_TEST

static void keep_promise(mongoc_client_t *client, stator_promise_t *promise,
                         void *arg)
{
    (void)client;
    *(stator_promise_t **)arg = stator_promise_ref(promise);
}

START_TEST(a_promise_that_nobody_settles_is_named)
{
    scene_t *s = scene_new(NULL);
    stator_promise_t *kept = NULL;
    stator_future_t *f =
        lend(stator_client_run(s->client, keep_promise, &kept, NULL));
    const bson_t *reply;
    stopwatch_t watch;

    ck_done(ask_one(s, NULL)); /* the one worker has come back from it */
    watch = stopwatch_start();
    reply = stator_future_reply(close_with(s, "{'timeoutMS': 100}"));
    ck_cancelled(f, STATOR_MAYBE_SENT);
    ck_at(reply, "leaked.0.kind", "'promise'");
    ck_at(reply, "leaked.0.what", "'run'");
    ck_assert_ptr_nonnull(strstr(at(reply, "leaked.0.site"), "+0x"));
    if (stopwatch_stalled_us(&watch) == 0) /* else its worker, too */
        ck_at(reply, "leaked.1", "");
    stator_promise_unref(kept);
    scene_free(s);
}
END_TEST

SUITE(core_leaked)
{
    tcase_add_test(tc, an_operation_knows_where_it_was_submitted);
    tcase_add_test(tc, a_cursor_left_open_is_named_with_its_place);
    tcase_add_test(tc, a_promise_that_nobody_settles_is_named);
}
