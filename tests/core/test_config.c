/* SPDX-License-Identifier: Apache-2.0 */
/* test_config.c - the options of a client: where they come from, which wins,
 * and what is no option.  A test is a process of its own, so that it may
 * change the environment; without that it puts it back. */
#include "tests/core/support.h"

#include <unistd.h>

static const char *const variables[] = {
    "STATOR_WORKERS",      "STATOR_MAX_CONNECTIONS", "STATOR_QUEUE_LIMIT",
    "STATOR_QUEUE_POLICY", "STATOR_WATCHERS",        "STATOR_NAME",
    "STATOR_CONFIG",
};

static char file[64];

static void clear(void)
{
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    if (file[0] != '\0')
        unlink(file);
    file[0] = '\0';
}

static void clear_all(void)
{
    clear();
    lib_forget();
}

/* STATOR_CONFIG names a file with that text. */
static void set_file(const char *text)
{
    FILE *f;
    int fd;

    clear();
    snprintf(file, sizeof file, "/tmp/stator_config_XXXXXX");
    fd = mkstemp(file);
    ck_assert_int_ge(fd, 0);
    f = fdopen(fd, "w");
    fputs(text, f);
    fclose(f);
    setenv("STATOR_CONFIG", file, 1);
}

static const char *uri = "mongodb://127.0.0.1:1/";

/* "value source" of an option of a client with `opts`. */
static const char *option_of(const char *opts, const char *key)
{
    static char text[256];
    bson_error_t error = {0};
    stator_client_t *c = stator_client_new(
        uri, opts == NULL ? NULL : J("%s", opts), &error);
    char path[64];
    bson_t config;

    ck_assert_msg(c != NULL, "%s", error.message);
    stator_client_config(c, &config);
    snprintf(path, sizeof path, "%s.value", key);
    snprintf(text, sizeof text, "%s ", at(&config, path));
    snprintf(path, sizeof path, "%s.source", key);
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s",
             at(&config, path));
    bson_destroy(&config);
    stator_client_unref(c);
    return text;
}
#define ck_option(opts, key, text) \
    ck_assert_str_eq(option_of(opts, key), text)

/* No client; all of `words` (until NULL) are in the message. */
static void ck_no_client(const char *opts, const char *const words[])
{
    bson_error_t error = {0};
    stator_client_t *c = stator_client_new(
        uri, opts == NULL ? NULL : J("%s", opts), &error);

    ck_assert_msg(c == NULL, "a client, in spite of \"%s\"", words[0]);
    ck_assert_uint_eq(error.domain, STATOR_ERROR_DOMAIN);
    ck_assert_uint_eq(error.code, STATOR_ERROR_ARGUMENT);
    for (; *words != NULL; words++)
        ck_assert_msg(strstr(error.message, *words) != NULL,
                      "\"%s\" is not in \"%s\"", *words, error.message);
}
#define ck_no(opts, ...) \
    ck_no_client(opts, (const char *const[]){__VA_ARGS__, NULL})

/* ---- where they come from ----------------------------------------------- */

START_TEST(the_defaults)
{
    ck_option(NULL, "workers", "4 'default'");
    ck_option(NULL, "watchers", "4 'default'");
    ck_option(NULL, "queueLimit", "100000 'default'");
    ck_option(NULL, "queuePolicy", "'reject' 'default'");
    ck_option(NULL, "name", "'stator' 'default'");
    ck_option(NULL, "maxConnections", "100 'default'");
}
END_TEST

START_TEST(max_connections_grows_with_the_workers)
{
    ck_option("{'workers': 60, 'watchers': 4}", "maxConnections",
              "129 'default'");
    ck_option("{'workers': 45, 'watchers': 4}", "maxConnections",
              "100 'default'");
}
END_TEST

static const struct option {
    const char *key, *variable, *opts, *text, *value;
} options[] = {
    {"workers", "STATOR_WORKERS", "3", "3", "3"},
    {"maxConnections", "STATOR_MAX_CONNECTIONS", "50", "50", "50"},
    {"queueLimit", "STATOR_QUEUE_LIMIT", "17", "17", "17"},
    {"queuePolicy", "STATOR_QUEUE_POLICY", "'block'", "block", "'block'"},
    {"watchers", "STATOR_WATCHERS", "0", "0", "0"},
    {"name", "STATOR_NAME", "'till 7'", "till 7", "'till 7'"},
};
enum { N_OPTIONS = sizeof options / sizeof *options };

START_TEST(each_from_opts_environment_and_file)
{
    const struct option *o = &options[_i];
    char text[128], json[128], expected[192];

    snprintf(json, sizeof json, "{'%s': %s}", o->key, o->opts);
    snprintf(expected, sizeof expected, "%s 'opts'", o->value);
    ck_option(json, o->key, expected);

    setenv(o->variable, o->text, 1);
    snprintf(expected, sizeof expected, "%s '%s'", o->value, o->variable);
    ck_option(NULL, o->key, expected);
    ck_option("{}", o->key, expected);

    snprintf(text, sizeof text, "%s", json);
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    set_file(text);
    snprintf(expected, sizeof expected, "%s '%s'", o->value, file);
    ck_option(NULL, o->key, expected);
}
END_TEST

START_TEST(opts_over_environment_over_file_over_default)
{
    char expected[128];

    set_file("{\"workers\": 5, \"queueLimit\": 50, \"name\": \"filed\"}");
    setenv("STATOR_WORKERS", "6", 1);
    setenv("STATOR_NAME", "environed", 1);
    ck_option("{'workers': 7}", "workers", "7 'opts'");
    ck_option("{'workers': 7}", "name", "'environed' 'STATOR_NAME'");
    snprintf(expected, sizeof expected, "50 '%s'", file);
    ck_option("{'workers': 7}", "queueLimit", expected);
    ck_option("{'workers': 7}", "watchers", "4 'default'");
    ck_option(NULL, "workers", "6 'STATOR_WORKERS'");
}
END_TEST

START_TEST(max_pool_size_of_the_uri_is_a_default_to_be_overridden)
{
    uri = "mongodb://127.0.0.1:1/?maxPoolSize=33";
    ck_option(NULL, "maxConnections", "33 'uri'");
    ck_option("{'maxConnections': 40}", "maxConnections", "40 'opts'");
    setenv("STATOR_MAX_CONNECTIONS", "41", 1);
    ck_option(NULL, "maxConnections", "41 'STATOR_MAX_CONNECTIONS'");
    clear();
    uri = "mongodb://127.0.0.1:1/?maxPoolSize=3";
    ck_no(NULL, "maxConnections (3", "uri", "workers (4)", "watchers (4)");
    ck_option("{'workers': 1, 'watchers': 1}", "maxConnections", "3 'uri'");
}
END_TEST

START_TEST(whole_doubles_are_numbers)
{
    ck_option("{'workers': 3.0}", "workers", "3 'opts'");
    ck_option("{'workers': {'$numberLong': '3'}}", "workers", "3 'opts'");
    ck_no("{'workers': 3.5}", "workers", "whole number");
    ck_no("{'workers': {'$numberDouble': 'NaN'}}", "workers");
    ck_no("{'workers': {'$numberDouble': 'Infinity'}}", "workers");
}
END_TEST

START_TEST(an_empty_config_variable_is_none)
{
    setenv("STATOR_CONFIG", "", 1);
    ck_option(NULL, "workers", "4 'default'");
}
END_TEST

/* ---- what is wrong ------------------------------------------------------ */

START_TEST(numbers_out_of_range_are_named)
{
    ck_no("{'workers': 0}", "opts", "\"workers\"", "0", "1 to 1024");
    ck_no("{'workers': -1}", "\"workers\"", "-1");
    ck_no("{'workers': 1000000}", "\"workers\"", "1000000");
    ck_no("{'workers': {'$numberLong': '4294967297'}}", "4294967297");
    ck_no("{'queueLimit': 0}", "\"queueLimit\"", "1 to 10000000");
    ck_no("{'queueLimit': 10000001}", "\"queueLimit\"");
    ck_no("{'watchers': -1}", "\"watchers\"", "0 to 1024");
    ck_no("{'maxConnections': 0}", "\"maxConnections\"");
    ck_no("{'maxConnections': 100001}", "\"maxConnections\"");
}
END_TEST

START_TEST(wrong_types_are_named)
{
    ck_no("{'workers': 'four'}", "\"workers\"", "whole number");
    ck_no("{'workers': null}", "\"workers\"");
    ck_no("{'workers': true}", "\"workers\"");
    ck_no("{'workers': {}}", "\"workers\"");
    ck_no("{'queuePolicy': 1}", "\"queuePolicy\"", "string");
    ck_no("{'name': 7}", "\"name\"", "string");
}
END_TEST

START_TEST(wrong_words_are_named)
{
    ck_no("{'queuePolicy': 'rej'}", "\"queuePolicy\"", "\"rej\"", "block");
    ck_no("{'queuePolicy': 'ject'}", "\"queuePolicy\"");
    ck_no("{'queuePolicy': ''}", "\"queuePolicy\"");
    ck_no("{'queuePolicy': 'reject block'}", "\"queuePolicy\"");
    ck_no("{'name': ''}", "\"name\"", "64");
    ck_no("{'name': '0123456789012345678901234567890123456789012345678901"
          "2345678901234'}",
          "\"name\"", "64");
}
END_TEST

START_TEST(an_unknown_key_is_named)
{
    ck_no("{'worker': 4}", "opts", "\"worker\"", "not known");
    ck_no("{'Workers': 4}", "\"Workers\"");
    ck_no("{'': 4}", "\"\"");
    ck_no("{'timeoutMS': 4}", "\"timeoutMS\"");
}
END_TEST

START_TEST(bad_variables_are_named)
{
    static const char *const bad[] = {"four", "", "4x", "0", "-1", "1e2",
                                      "99999999999999999999"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("STATOR_WORKERS", bad[i], 1);
        ck_no(NULL, "STATOR_WORKERS", "workers");
        ck_no("{'workers': 2}", "STATOR_WORKERS"); /* even if overridden */
    }
    clear();
    setenv("STATOR_QUEUE_POLICY", "maybe", 1);
    ck_no(NULL, "STATOR_QUEUE_POLICY", "maybe", "reject");
    clear();
    setenv("STATOR_NAME", "\xff\xfe", 1);
    ck_no(NULL, "STATOR_NAME", "name");
}
END_TEST

START_TEST(a_bad_file_is_named)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"{\"workers\": ", ""},        {"", "empty"},
        {"{\"colour\": \"red\"}", "\"colour\""},
        {"{\"workers\": \"four\"}", "\"workers\""},
        {"{\"workers\": 0}", "1 to 1024"},
        {"[1, 2]", ""},                {"workers = 4", ""},
        {"{\"workers\": 2} {\"workers\": 3}", ""},
        {"{\"workers\": 2} and so on", ""},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        set_file(bad[i].text);
        ck_no(NULL, file, bad[i].why);
    }
    clear();
    setenv("STATOR_CONFIG", "/nowhere/at/all.json", 1);
    ck_no(NULL, "STATOR_CONFIG", "/nowhere/at/all.json");
    setenv("STATOR_CONFIG", "/tmp", 1); /* a folder */
    ck_no(NULL, "/tmp");
}
END_TEST

START_TEST(too_few_connections_name_both)
{
    ck_no("{'workers': 4, 'watchers': 2, 'maxConnections': 6}",
          "maxConnections (6", "opts", "workers (4)", "watchers (2)");
    ck_option("{'workers': 4, 'watchers': 2, 'maxConnections': 7}",
              "maxConnections", "7 'opts'");
    setenv("STATOR_MAX_CONNECTIONS", "5", 1);
    ck_no(NULL, "maxConnections (5", "STATOR_MAX_CONNECTIONS", "workers (4)");
    set_file("{\"maxConnections\": 5}");
    ck_no(NULL, "maxConnections (5", file, "workers (4)");
}
END_TEST

START_TEST(no_thread_is_started_for_a_bad_one)
{
    int before = threads_named("");

    for (int i = 0; i < 100; i++)
        ck_no("{'workers': 0}", "workers");
    ck_assert_int_eq(threads_named(""), before);
}
END_TEST

SUITE(core_config)
{
    tcase_add_checked_fixture(tc, clear, clear_all);
    tcase_add_test(tc, the_defaults);
    tcase_add_test(tc, max_connections_grows_with_the_workers);
    tcase_add_loop_test(tc, each_from_opts_environment_and_file, 0,
                        N_OPTIONS);
    tcase_add_test(tc, opts_over_environment_over_file_over_default);
    tcase_add_test(tc, max_pool_size_of_the_uri_is_a_default_to_be_overridden);
    tcase_add_test(tc, whole_doubles_are_numbers);
    tcase_add_test(tc, an_empty_config_variable_is_none);
    tcase_add_test(tc, numbers_out_of_range_are_named);
    tcase_add_test(tc, wrong_types_are_named);
    tcase_add_test(tc, wrong_words_are_named);
    tcase_add_test(tc, an_unknown_key_is_named);
    tcase_add_test(tc, bad_variables_are_named);
    tcase_add_test(tc, a_bad_file_is_named);
    tcase_add_test(tc, too_few_connections_name_both);
    tcase_add_test(tc, no_thread_is_started_for_a_bad_one);
}
