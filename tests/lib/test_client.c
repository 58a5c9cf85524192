/* SPDX-License-Identifier: Apache-2.0 */
/* test_client.c - the verbs of a client, and its arguments. */
#include <mongoc/mongoc.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/support.h"

START_TEST(ping_and_commands)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_future_t *f;

    done(stator_client_ping(s->client, NULL));
    done(stator_client_ping(s->client, J("{'timeoutMS': 600000, "
                                         "'priority': 'high'}")));
    f = done(stator_client_command(s->client, "admin", J("{'hello': 1}"),
                                   NULL));
    ck_assert_str_ne(at(stator_future_reply(f), "maxWireVersion"), "");
    done(stator_client_write_command(
        s->client, s->db, J("{'insert': 'c', 'documents': [{'a': 1}]}"),
        J("{'writeConcern': {'w': 1}}")));
    f = done(stator_client_read_command(s->client, s->db, J("{'count': 'c'}"),
                                        J("{'readPreference': "
                                          "{'mode': 'nearest'}}")));
    ck_at(stator_future_reply(f), "n", "1");
    stage_free(s);
}
END_TEST

START_TEST(databases_are_listed_and_dropped)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_cursor_t *cursor;
    stator_future_t *f;
    bool found = false;

    done(stator_collection_insert_one(s->collection, J("{}"), NULL));
    f = done(stator_client_list_database_names(s->client, NULL));
    ck_assert_int_ge(stator_future_count(f), 1);
    ck_assert_str_ne(at(stator_future_reply(f), "names.0"), "");
    cursor = stator_client_list_databases(s->client, NULL);
    f = done(stator_cursor_to_list(cursor, 0));
    for (int64_t i = 0; i < stator_future_count(f); i++) {
        bson_iter_t name;

        ck_assert(bson_iter_init_find(
            &name, stator_future_document_at(f, (size_t)i), "name"));
        found |= strcmp(bson_iter_utf8(&name, NULL), s->db) == 0;
    }
    ck_assert(found);
    stator_cursor_unref(cursor);
    done(stator_client_drop_database(s->client, s->db, NULL));
    counts(stator_collection_count_documents(s->collection, NULL, NULL), 0);
    stage_free(s);
}
END_TEST

static void work(mongoc_client_t *client, stator_promise_t *promise,
                 void *arg)
{
    bson_t ping = BSON_INITIALIZER, reply;
    bson_error_t error;

    BSON_APPEND_INT32(&ping, "ping", 1);
    if (mongoc_client_command_simple(client, "admin", &ping, NULL, &reply,
                                     &error))
        stator_promise_resolve(promise, arg, &reply);
    else
        stator_promise_fail(promise, &error, &reply);
    bson_destroy(&reply);
    bson_destroy(&ping);
}

static void no_work(mongoc_client_t *client, stator_promise_t *promise,
                    void *arg)
{
    (void)client;
    (void)promise;
    *(bool *)arg = true;
}

START_TEST(run_lends_a_workers_client)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    bool ran = false;
    stator_future_t *f;

    f = done(stator_client_run(s->client, work, (void *)J("{'x': 1}"),
                               NULL));
    ck_at(stator_future_document(f), "x", "1");
    ck_assert_str_ne(at(stator_future_reply(f), "ok"), "");
    fails(stator_client_run(s->client, no_work, &ran, NULL),
          STATOR_ERROR_DOMAIN, STATOR_ERROR_CLOSED, "");
    ck_assert(ran);
    faulty(stator_client_run(s->client, NULL, NULL, NULL),
           "client.run: fn is NULL");
    stage_free(s);
}
END_TEST

START_TEST(arguments_of_commands_are_named)
{
    stage_t *s = stage_nowhere();
    stator_client_t *c = s->client;
    const bson_t *ping = J("{'ping': 1}");

    faulty(stator_client_command(c, NULL, ping, NULL),
           "client.command: the database's name is NULL");
    faulty(stator_client_command(c, "", ping, NULL), "name is empty");
    faulty(stator_client_command(c, "\xff", ping, NULL),
           "name is not valid UTF-8");
    faulty(stator_client_read_command(c, "d", NULL, NULL),
           "client.read_command: command is NULL");
    faulty(stator_client_write_command(c, "d", J("{}"), NULL),
           "client.write_command: command is empty");
    faulty(stator_client_drop_database(c, NULL, NULL),
           "client.drop_database: the database's name is NULL");
    stage_free(s);
}
END_TEST

START_TEST(a_null_client_fails_every_call)
{
    stator_collection_t *c = stator_client_get_collection(NULL, "d", "c");
    stator_database_t *d = stator_client_get_database(NULL, "d");
    const char *t = "the client is NULL";
    bson_error_t error;
    bson_t out;

    faulty(stator_client_ping(NULL, NULL), t);
    faulty(stator_client_command(NULL, "d", J("{'ping': 1}"), NULL), t);
    faulty(stator_client_close(NULL, NULL), t);
    faulty(stator_client_room(NULL), t);
    faulty(stator_client_run(NULL, no_work, NULL, NULL), t);
    faulty(stator_client_list_database_names(NULL, NULL), t);
    faulty_cursor(stator_client_list_databases(NULL, NULL), t);
    faulty(stator_collection_find_one(c, NULL, NULL), t);
    faulty(stator_database_drop(d, NULL), t);
    ck_assert(!stator_client_resize(NULL, 1, &error));
    ck_assert_uint_eq(error.code, STATOR_ERROR_ARGUMENT);
    stator_client_stats(NULL, &out);
    ck_assert(bson_empty(&out));
    bson_destroy(&out);
    stator_client_config(NULL, &out);
    ck_assert(bson_empty(&out));
    bson_destroy(&out);
    stator_client_stats(NULL, NULL);
    ck_assert_ptr_null(stator_client_ref(NULL));
    stator_client_unref(NULL);
    stator_collection_unref(c);
    stator_database_unref(d);
    lib_forget();
}
END_TEST

/* No client, and why. */
static void no_client(const char *uri, const bson_t *opts, const char *text)
{
    bson_error_t error = {0};
    stator_client_t *c = stator_client_new(uri, opts, &error);

    ck_assert_msg(c == NULL, "a client for %s", uri == NULL ? "NULL" : uri);
    ck_assert_uint_eq(error.domain, STATOR_ERROR_DOMAIN);
    ck_assert_uint_eq(error.code, STATOR_ERROR_ARGUMENT);
    ck_assert_msg(strstr(error.message, text) != NULL, "%s", error.message);
    c = stator_client_new(uri, opts, NULL);
    ck_assert_ptr_null(c);
}

START_TEST(a_client_needs_a_uri_and_sound_opts)
{
    const char *good = "mongodb://127.0.0.1:1/";
    bson_error_t error = {0};
    stator_client_t *c;

    no_client(NULL, NULL, "uri is NULL");
    no_client("", NULL, "uri is empty");
    no_client("http://x", NULL, "");
    no_client(good, lib_corrupt(), "opts is corrupt BSON at offset 7");
    no_client(good, J("{'workers': 0}"), "workers");
    no_client(good, J("{'workers': -1}"), "workers");
    no_client(good, J("{'workers': 1000000}"), "workers");
    no_client(good, J("{'workers': 'four'}"), "workers");
    no_client(good, J("{'colour': 'red'}"), "colour");
    no_client(good, J("{'queuePolicy': 'maybe'}"), "queuePolicy");
    no_client(good, J("{'workers': 4, 'maxConnections': 3}"),
              "maxConnections");
    c = stator_client_new_from_pool(NULL, NULL, &error);
    ck_assert_ptr_null(c);
    ck_assert_ptr_nonnull(strstr(error.message, "pool is NULL"));
    lib_forget();
}
END_TEST

START_TEST(a_wrong_close_closes_nothing)
{
    static const struct {
        const char *json, *text;
    } wrong[] = {
        {"{'mode': 'gently'}", "mode must be drain, cancel or abort"},
        {"{'mode': 1}", "mode must be"},
        {"{'timeoutMS': -1}", "timeoutMS must be an integer of 0 or more"},
        {"{'timeoutMS': 'x'}", "timeoutMS"},
        {"{'now': true}", "now is unknown"},
    };
    NEED_SERVER();
    stage_t *s = stage_live();

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        faulty(stator_client_close(s->client, J("%s", wrong[i].json)),
               wrong[i].text);
    faulty(stator_client_close(s->client, lib_corrupt()), "opts is corrupt");
    done(stator_client_ping(s->client, NULL));
    stage_free(s);
}
END_TEST

START_TEST(after_close_every_call_fails)
{
    stage_t *s = stage_nowhere();
    stator_cursor_t *cursor;
    stator_future_t *f;

    f = stator_client_close(s->client,
                            J("{'mode': 'cancel', 'timeoutMS': 1000}"));
    done(f);
    fails(stator_client_ping(s->client, NULL), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_CLOSED, "");
    fails(stator_collection_insert_one(s->collection, J("{}"), NULL),
          STATOR_ERROR_DOMAIN, STATOR_ERROR_CLOSED, "");
    cursor = stator_collection_find(s->collection, NULL, NULL);
    fails(stator_cursor_next(cursor), STATOR_ERROR_DOMAIN,
          STATOR_ERROR_CLOSED, "");
    stator_cursor_unref(cursor);
    stage_free(s);
}
END_TEST

/* What a child does with what it has inherited; 0: all is well. */
static int child_of(stage_t *s, stator_cursor_t *cursor)
{
    stator_future_t *f = stator_client_ping(s->client, NULL);
    bson_error_t error = {0};

    if (stator_future_wait(f, 1000) != 0 || !stator_future_error(f, &error) ||
        error.code != STATOR_ERROR_FORKED)
        return 1;
    stator_future_unref(f);
    f = stator_cursor_next(cursor);
    if (stator_future_wait(f, 1000) != 0 || !stator_future_error(f, &error) ||
        error.code != STATOR_ERROR_FORKED)
        return 2;
    stator_future_unref(f);
    stator_cursor_unref(cursor);
    stator_collection_unref(s->collection);
    stator_database_unref(s->database);
    stator_client_unref(s->client);
    return 0;
}

START_TEST(a_child_gets_errors_and_may_give_everything_back)
{
    NEED_SERVER();
    stage_t *s = stage_live();
    stator_cursor_t *cursor;
    int status;
    pid_t child;

    done(stator_collection_insert_one(s->collection, J("{}"), NULL));
    cursor = stator_collection_find(s->collection, NULL, NULL);
    child = fork();
    if (child == 0) {
        alarm(120); /* a hang is a failure */
        _exit(child_of(s, cursor));
    }
    ck_assert_int_gt(child, 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    counts(stator_cursor_to_list(cursor, 0), 1);
    stator_cursor_unref(cursor);
    stage_free(s);
}
END_TEST

START_TEST(the_version_is_that_of_the_headers)
{
    ck_assert_str_eq(stator_version(), STATOR_VERSION_STRING);
    ck_assert(STATOR_CHECK_VERSION(0, 1, 0));
    ck_assert(!STATOR_CHECK_VERSION(99, 0, 0));
}
END_TEST

SUITE(client)
{
    tcase_add_test(tc, ping_and_commands);
    tcase_add_test(tc, databases_are_listed_and_dropped);
    tcase_add_test(tc, run_lends_a_workers_client);
    tcase_add_test(tc, arguments_of_commands_are_named);
    tcase_add_test(tc, a_null_client_fails_every_call);
    tcase_add_test(tc, a_client_needs_a_uri_and_sound_opts);
    tcase_add_test(tc, a_wrong_close_closes_nothing);
    tcase_add_test(tc, after_close_every_call_fails);
    tcase_add_test(tc, a_child_gets_errors_and_may_give_everything_back);
    tcase_add_test(tc, the_version_is_that_of_the_headers);
}
