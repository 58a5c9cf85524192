/* SPDX-License-Identifier: Apache-2.0 */
/* test_server_api.c - the versioned API: a client's option that every command
 * declares. */
#include <mongoc/mongoc.h>

#include "tests/lib/support.h"
#include "tests/wire/wire.h"

static wire_server_t *server_new(char *uri, size_t size)
{
    wire_options_t options = {
        .documents = 10, .log_hello = true, .member = {.role = WIRE_PRIMARY}};
    wire_server_t *server = wire_server_new(&options);

    ck_assert_ptr_nonnull(server);
    wire_server_uri(server, NULL, uri, size);
    return server;
}

/* All commands but the greetings that come before the option is known to be
 * there: there are none. */
static void ck_all_declare(wire_server_t *server, const char *strict,
                           const char *deprecation)
{
    size_t n = wire_log_size(server), hellos = 0;

    for (size_t i = 0; i < n; i++) {
        wire_command_t c = {0};

        ck_assert(wire_log_at(server, i, &c));
        ck_assert_msg(strcmp(at(c.document, "apiVersion"), "'1'") == 0,
                      "%s has the apiVersion %s", c.name,
                      at(c.document, "apiVersion"));
        ck_at(c.document, "apiStrict", strict);
        ck_at(c.document, "apiDeprecationErrors", deprecation);
        hellos += strcmp(c.name, "hello") == 0;
        wire_command_clear(&c);
    }
    ck_assert_uint_gt(hellos, 0);
}

static void use(stage_t *s)
{
    const bson_t *x = J("{}");
    stator_cursor_t *cursor;
    stator_session_t *session;
    bson_t opts = BSON_INITIALIZER;

    done(stator_collection_insert_one(s->collection, x, NULL));
    done(stator_client_ping(s->client, NULL));
    cursor = stator_collection_find(s->collection, x, J("{'batchSize': 2}"));
    done(stator_cursor_to_list(cursor, 0));
    stator_cursor_unref(cursor);
    cursor = stator_collection_find(s->collection, x, J("{'batchSize': 2}"));
    done(stator_cursor_next(cursor));
    done(stator_cursor_close(cursor));
    stator_cursor_unref(cursor);

    session = stator_future_session(
        done(stator_client_start_session(s->client, NULL)));
    ck_assert(stator_session_append(session, &opts, NULL));
    done(stator_session_start_transaction(session, NULL));
    done(stator_collection_insert_one(s->collection, x, &opts));
    done(stator_collection_find_one(s->collection, x, &opts));
    done(stator_session_commit_transaction(session, NULL));
    done(stator_session_start_transaction(session, NULL));
    done(stator_collection_insert_one(s->collection, x, &opts));
    done(stator_session_abort_transaction(session, NULL));
    stator_session_unref(session);
    bson_destroy(&opts);
}

START_TEST(every_command_declares_it)
{
    static const struct {
        const char *opts, *strict, *deprecation;
    } ways[] = {
        {"{'serverApi': {'version': '1'}}", "", ""},
        {"{'serverApi': {'version': '1', 'strict': true, "
         "'deprecationErrors': false}}",
         "true", "false"},
        {"{'serverApi': {'deprecationErrors': true, 'version': '1'}, "
         "'transport': 'driver'}",
         "", "true"},
    };
    char uri[WIRE_URI_SIZE];
    wire_server_t *server = server_new(uri, sizeof uri);
    stage_t *s = stage_new(uri, ways[_i].opts, false);

    use(s);
    ck_assert_int_gt(wire_count(server, "getMore"), 0);
    ck_assert_int_gt(wire_count(server, "killCursors"), 0);
    ck_assert_int_gt(wire_count(server, "commitTransaction"), 0);
    ck_assert_int_gt(wire_count(server, "abortTransaction"), 0);
    stage_free(s);
    ck_assert_int_gt(wire_count(server, "endSessions"), 0);
    ck_all_declare(server, ways[_i].strict, ways[_i].deprecation);
    wire_server_free(server);
}
END_TEST

START_TEST(without_the_option_none_does)
{
    char uri[WIRE_URI_SIZE];
    wire_server_t *server = server_new(uri, sizeof uri);
    stage_t *s = stage_new(uri, NULL, false);

    use(s);
    stage_free(s);
    for (size_t i = 0; i < wire_log_size(server); i++) {
        wire_command_t c = {0};

        ck_assert(wire_log_at(server, i, &c));
        ck_at(c.document, "apiVersion", "");
        wire_command_clear(&c);
    }
    wire_server_free(server);
}
END_TEST

static void refuses(const char *opts, const char *text)
{
    bson_error_t error = {0};

    ck_assert_ptr_null(
        stator_client_new("mongodb://127.0.0.1:1", J("%s", opts), &error));
    ck_assert_uint_eq(error.domain, STATOR_ERROR_DOMAIN);
    ck_assert_uint_eq(error.code, STATOR_ERROR_ARGUMENT);
    ck_assert_msg(strstr(error.message, text) != NULL, "%s", error.message);
}

START_TEST(bad_values_are_named)
{
    refuses("{'serverApi': 1}", "option \"serverApi\" is not a document");
    refuses("{'serverApi': '1'}", "option \"serverApi\" is not a document");
    refuses("{'serverApi': {}}", "\"serverApi.version\" is missing");
    refuses("{'serverApi': {'strict': true}}",
            "\"serverApi.version\" is missing");
    refuses("{'serverApi': {'version': 1}}",
            "\"serverApi.version\" is not a string");
    refuses("{'serverApi': {'version': '2'}}",
            "\"serverApi.version\" is \"2\", which is not: 1");
    refuses("{'serverApi': {'version': '1', 'strict': 1}}",
            "\"serverApi.strict\" is not a bool");
    refuses("{'serverApi': {'version': '1', 'deprecationErrors': 'no'}}",
            "\"serverApi.deprecationErrors\" is not a bool");
    refuses("{'serverApi': {'version': '1', 'Strict': true}}",
            "has the key \"Strict\"");
    ck_assert_int_eq(setenv("STATOR_SERVER_API", "1", 1), 0);
    refuses("{}", "STATOR_SERVER_API: option \"serverApi\" is not a JSON "
                  "document");
    ck_assert_int_eq(setenv("STATOR_SERVER_API", "{\"version\": \"x\"}", 1),
                     0);
    refuses("{}", "STATOR_SERVER_API: option \"serverApi.version\"");
    ck_assert_int_eq(unsetenv("STATOR_SERVER_API"), 0);
    lib_forget();
}
END_TEST

START_TEST(the_environment_has_it_as_json)
{
    stage_t *s;
    bson_t config;

    ck_assert_int_eq(setenv("STATOR_SERVER_API",
                            "{\"version\": \"1\", \"strict\": true}", 1),
                     0);
    s = stage_nowhere();
    ck_assert_int_eq(unsetenv("STATOR_SERVER_API"), 0);
    stator_client_config(s->client, &config);
    ck_at(&config, "serverApi.value.version", "'1'");
    ck_at(&config, "serverApi.value.strict", "true");
    ck_at(&config, "serverApi.value.deprecationErrors", "");
    ck_at(&config, "serverApi.source", "'STATOR_SERVER_API'");
    bson_destroy(&config);
    stage_free(s);
}
END_TEST

START_TEST(a_pool_that_is_there_has_its_own)
{
    char uri[WIRE_URI_SIZE];
    wire_server_t *server = server_new(uri, sizeof uri);
    mongoc_uri_t *parsed = mongoc_uri_new(uri);
    mongoc_client_pool_t *pool = mongoc_client_pool_new(parsed);
    mongoc_server_api_t *api = mongoc_server_api_new(MONGOC_SERVER_API_V1);
    bson_error_t error;
    stator_client_t *client;
    stator_future_t *closed;

    ck_assert(mongoc_client_pool_set_server_api(pool, api, &error));
    ck_assert_ptr_null(stator_client_new_from_pool(
        pool, J("{'serverApi': {'version': '1'}}"), &error));
    ck_assert_uint_eq(error.code, STATOR_ERROR_ARGUMENT);
    ck_assert_msg(strstr(error.message,
                         "mongoc_client_pool_set_server_api") != NULL,
                  "%s", error.message);

    client = stator_client_new_from_pool(pool, NULL, &error);
    ck_assert_ptr_nonnull(client);
    done(stator_client_ping(client, NULL));
    closed = stator_client_close(client, NULL);
    ck_assert_int_eq(stator_future_wait(closed, LIB_PATIENCE_MS), 0);
    stator_future_unref(closed);
    stator_client_unref(client);
    ck_all_declare(server, "", "");
    lib_forget();
    mongoc_server_api_destroy(api);
    mongoc_uri_destroy(parsed);
    wire_server_free(server);
}
END_TEST

SUITE(server_api)
{
    tcase_add_loop_test(tc, every_command_declares_it, 0, 3);
    tcase_add_test(tc, without_the_option_none_does);
    tcase_add_test(tc, bad_values_are_named);
    tcase_add_test(tc, the_environment_has_it_as_json);
    tcase_add_test(tc, a_pool_that_is_there_has_its_own);
}
