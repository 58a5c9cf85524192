/* SPDX-License-Identifier: Apache-2.0 */
/* test_spec_runner.c - is the judge of the others strict?
 *
 * What is wrong in a test file has to be a failure, with the reason that is
 * meant: a runner that lets things pass would prove nothing. */
#include <bson/bson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/cli/child.h"
#include "tests/harness/suite.h"

#define RUNNER "build/tests/spec_runner"
#define STRICTNESS "../shared/spec/unified-test-format"

static result_t r;

static void setup(void)
{
    memset(&r, 0, sizeof r);
    setenv("STATOR_CLI", RUNNER, 1);
}

static void teardown(void)
{
    unsetenv("STATOR_CLI");
    result_clear(&r);
}

#define NEEDS_SERVER()                                                       \
    do {                                                                     \
        if (getenv("STATOR_TEST_URI") == NULL)                               \
            SKIP("STATOR_TEST_URI is not set");                              \
        if (access(RUNNER, X_OK) != 0)                                       \
            SKIP(RUNNER " was not built");                                   \
        setenv("MONGODB_URI", getenv("STATOR_TEST_URI"), 1);                 \
    } while (0)

#define SAYS(text, part)                                                     \
    ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in: %s", part, text)

/* ---- one file, a test for each way to be wrong ----------------------- */

static const char head[] =
    "{\"description\": \"strict\", \"schemaVersion\": \"1.13\","
    " \"createEntities\": ["
    "  {\"client\": {\"id\": \"client0\","
    "    \"observeEvents\": [\"commandStartedEvent\"]}},"
    "  {\"database\": {\"id\": \"db0\", \"client\": \"client0\","
    "    \"databaseName\": \"spec-runner\"}},"
    "  {\"collection\": {\"id\": \"c0\", \"database\": \"db0\","
    "    \"collectionName\": \"strict\"}},"
    "  {\"session\": {\"id\": \"session0\", \"client\": \"client0\"}}],"
    " \"initialData\": [{\"databaseName\": \"spec-runner\","
    "   \"collectionName\": \"strict\", \"documents\": [{\"_id\": 1}]}],"
    " \"tests\": [";

#define INSERT                                                               \
    "{\"name\": \"insertOne\", \"object\": \"c0\","                          \
    " \"arguments\": {\"document\": {\"_id\": 2}}"
#define FIND                                                                 \
    "{\"name\": \"find\", \"object\": \"c0\","                               \
    " \"arguments\": {\"filter\": {}}"
#define DUPLICATE                                                            \
    "{\"name\": \"insertOne\", \"object\": \"c0\","                          \
    " \"arguments\": {\"document\": {\"_id\": 1}}"
#define IN_SESSION                                                           \
    "{\"name\": \"find\", \"object\": \"c0\","                               \
    " \"arguments\": {\"filter\": {}, \"session\": \"session0\"}}"
#define SESSION(verb)                                                        \
    "{\"name\": \"" verb "\", \"object\": \"session0\"}"
#define ASSERT(verb, rest)                                                   \
    "{\"name\": \"assertSession" verb "\", \"object\": \"testRunner\","      \
    " \"arguments\": {\"session\": \"session0\"" rest "}}"
#define OF_SESSION                                                           \
    EVENTS("{\"commandStartedEvent\": {\"command\": "                        \
           "{\"lsid\": {\"$$sessionLsid\": \"session0\"}}}}")
#define STARTED                                                              \
    "{\"commandStartedEvent\": {\"commandName\": \"insert\"}}"
#define EVENTS(list)                                                         \
    ", \"expectEvents\": [{\"client\": \"client0\", \"events\": [" list "]}]"
#define OUTCOME(list)                                                        \
    ", \"outcome\": [{\"databaseName\": \"spec-runner\","                    \
    " \"collectionName\": \"strict\", \"documents\": [" list "]}]"

static const struct {
    const char *operations; /* of the test, .. */
    const char *rest;       /* .. and what it says beside them */
    const char *why;        /* NULL: it passes */
} wrongs[] = {
    {INSERT "}", EVENTS(STARTED) OUTCOME("{\"_id\": 1}, {\"_id\": 2}"), NULL},
    {FIND ", \"expectResult\": [{\"_id\": 1}]}", "", NULL},
    {DUPLICATE ", \"expectError\": {\"errorCode\": 11000,"
               " \"isClientError\": false}}",
     "", NULL},
    {INSERT "}", OUTCOME("{\"_id\": 1}"), "outcome of strict: one too many"},
    {INSERT "}", OUTCOME("{\"_id\": 1}, {\"_id\": 2}, {\"_id\": 3}"),
     "got nothing"},
    {INSERT "}", OUTCOME("{\"_id\": 1}, {\"_id\": 4}"), "outcome of strict"},
    {INSERT "}", EVENTS(""), "one too many, a commandStartedEvent"},
    {INSERT "}", EVENTS(STARTED ", " STARTED), "got nothing"},
    {INSERT "}",
     EVENTS("{\"commandStartedEvent\": {\"commandName\": \"find\"}}"),
     "commandName: differs"},
    {INSERT "}",
     EVENTS("{\"commandStartedEvent\": {\"command\": {\"documents\": "
            "[{\"_id\": 2, \"x\": 1}]}}}"),
     "command.documents.0.x: is missing"},
    {INSERT "}",
     EVENTS("{\"commandStartedEvent\": {\"command\": {\"documents\": "
            "[{}]}}}"),
     "\"_id\", which is not expected"},
    {INSERT "}",
     EVENTS("{\"commandStartedEvent\": {\"command\": {\"lsid\": "
            "{\"$$exists\": false}}}}"),
     "lsid: $$exists"},
    {INSERT "}",
     EVENTS("{\"commandStartedEvent\": {\"command\": {\"insert\": "
            "{\"$$type\": \"int\"}}}}"),
     "insert: $$type"},
    {FIND ", \"expectResult\": []}", "", "another number of elements"},
    {FIND ", \"expectResult\": [{\"_id\": \"1\"}]}", "", "differs"},
    {FIND ", \"expectResult\": [{\"_id\": {\"$$nonsense\": 1}}]}", "",
     "there is no operator $$nonsense"},
    {FIND ", \"expectError\": {\"isError\": true}}", "",
     "expected an error, and there was none"},
    {DUPLICATE "}", "", "it failed (17/11000)"},
    {DUPLICATE ", \"expectError\": {\"isClientError\": true}}", "",
     "isClientError"},
    {DUPLICATE ", \"expectError\": {\"errorCode\": 12}}", "",
     "errorCode: expected 12"},
    {DUPLICATE ", \"expectError\": {\"errorCodeName\": \"WriteConflict\"}}",
     "", "errorCodeName"},
    {DUPLICATE ", \"expectError\": {\"errorContains\": \"nonsense\"}}", "",
     "errorContains"},
    {DUPLICATE ", \"expectError\": {\"errorLabelsContain\": [\"Odd\"]}}", "",
     "the label Odd"},
    {"{\"name\": \"insertOne\", \"object\": \"c0\"}", "",
     "no argument \"document\""},
    {"{\"name\": \"find\", \"object\": \"c0\","
     " \"arguments\": {\"filter\": {}, \"nonsense\": 1}}",
     "", "has no argument \"nonsense\""},
    {"{\"name\": \"nonsense\", \"object\": \"c0\"}", "",
     "has no operation \"nonsense\""},
    {"{\"name\": \"nonsense\", \"object\": \"testRunner\"}", "",
     "has no operation \"nonsense\""},
    {"{\"name\": \"find\", \"object\": \"c9\"}", "",
     "there is no entity \"c9\""},
    {"{\"name\": \"find\", \"object\": \"c0\","
     " \"arguments\": {\"filter\": {}, \"session\": \"db0\"}}",
     "", "is a database, not a session"},
    {FIND ", \"saveResultAsEntity\": \"db0\"}", "",
     "there is an entity \"db0\" already"},
    {"{\"name\": \"assertCollectionNotExists\", \"object\": \"testRunner\","
     " \"arguments\": {\"databaseName\": \"spec-runner\","
     " \"collectionName\": \"strict\"}}",
     "", "there is a collection strict"},
    {"{\"name\": \"assertEventCount\", \"object\": \"testRunner\","
     " \"arguments\": {\"client\": \"client0\", \"event\": " STARTED
     ", \"count\": 1}}",
     "", "0 such events, not 1"},
    {IN_SESSION ", " ASSERT("NotDirty", "") ", " ASSERT("Unpinned", ""),
     OF_SESSION, NULL},
    {FIND "}", OF_SESSION, "$$sessionLsid"},
    {SESSION("startTransaction") ", " ASSERT("TransactionState",
                                             ", \"state\": \"starting\"")
     ", " SESSION("abortTransaction") ", " SESSION("endSession"),
     "", NULL},
    {ASSERT("TransactionState", ", \"state\": \"starting\""), "",
     "the transaction is none, not starting"},
    {ASSERT("Dirty", ""), "", "the session is not dirty"},
    {ASSERT("Pinned", ""), "", "the session is not pinned"},
    {SESSION("commitTransaction"), "", "it failed ("},
    {SESSION("endSession") ", " IN_SESSION, "", "the session has ended"},
    {"{\"name\": \"withTransaction\", \"object\": \"session0\","
     " \"arguments\": {\"callback\": ["
     ASSERT("TransactionState", ", \"state\": \"aborted\"") "]}}",
     "", "the transaction is starting, not aborted"},
    {"{\"name\": \"withTransaction\", \"object\": \"session0\","
     " \"arguments\": {\"callback\": [" DUPLICATE "}]},"
     " \"expectError\": {\"errorCode\": 11000}}",
     "", "it failed (17/11000)"},
};

enum { WRONGS = sizeof wrongs / sizeof wrongs[0] };

static char *make_file(void)
{
    bson_string_t *text = bson_string_new(head);
    char *path;
    int i;

    for (i = 0; i < WRONGS; i++)
        bson_string_append_printf(
            text, "%s{\"description\": \"test %d.\", \"operations\": [%s]%s}",
            i == 0 ? "" : ",\n", i, wrongs[i].operations, wrongs[i].rest);
    bson_string_append(text, "]}");
    path = child_file("strict.json", text->str, text->len);
    bson_string_free(text, true);
    return path;
}

/* What is said of one test: the rest of its line, or "" if it passed. */
static void line_of(int test, char *line, size_t size)
{
    char name[40];
    const char *at;

    snprintf(name, sizeof name, "FAIL  test %d.: ", test);
    at = strstr(r.out, name);
    line[0] = '\0';
    if (at != NULL)
        snprintf(line, size, "%.*s", (int)strcspn(at, "\n"), at);
}

static const char *const ways[] = {
    "--driver raw", "--mode poll", "--mode wait", "--mode then",
    "--mode mixed --jobs 4"};

START_TEST(each_wrong_is_a_failure_and_its_own)
{
    char sums[80], line[1200];
    int i, passed = 0;
    char *path;

    NEEDS_SERVER();
    path = make_file();
    child_run(&r, NULL, "%s '%s'", ways[_i], path);
    for (i = 0; i < WRONGS; i++) {
        line_of(i, line, sizeof line);
        if (wrongs[i].why != NULL)
            ck_assert_msg(strstr(line, wrongs[i].why) != NULL,
                          "test %d: no \"%s\" in: %s\n%s", i, wrongs[i].why,
                          line, r.out);
        else
            ck_assert_msg(line[0] == '\0', "%s", line);
        passed += wrongs[i].why == NULL;
    }
    snprintf(sums, sizeof sums, "\n%d passed, %d failed, 0 skipped\n", passed,
             WRONGS - passed);
    SAYS(r.out, sums);
    ck_assert_int_eq(r.code, 1);
    child_file_remove(path);
}
END_TEST

/* ---- whole files ----------------------------------------------------- */

static void run_text(const char *text, const char *options)
{
    char *path = child_file("one.json", text, strlen(text));

    child_run(&r, NULL, "%s '%s'", options, path);
    child_file_remove(path);
}

#define TINY(version)                                                        \
    "{\"description\": \"d\", \"schemaVersion\": \"" version "\","           \
    " \"tests\": [{\"description\": \"t\", \"operations\": []}]}"

START_TEST(a_version_that_is_too_new_is_skipped)
{
    NEEDS_SERVER();
    run_text(TINY("1.999"), "");
    ck_assert_int_eq(r.code, 0);
    SAYS(r.out, "\n0 passed, 0 failed, 1 skipped\n");
    SAYS(r.out, "schemaVersion 1.999");
}
END_TEST

START_TEST(another_major_version_fails)
{
    NEEDS_SERVER();
    run_text(TINY("2.0"), "");
    ck_assert_int_eq(r.code, 1);
    SAYS(r.out, "schemaVersion 2.0 is not supported");
}
END_TEST

START_TEST(what_is_no_json_fails)
{
    NEEDS_SERVER();
    run_text("{\"description\": ", "");
    ck_assert_int_eq(r.code, 1);
    SAYS(r.out, "no JSON");
    SAYS(r.out, "\n0 passed, 1 failed, 0 skipped\n");
}
END_TEST

START_TEST(what_is_not_of_the_format_fails)
{
    NEEDS_SERVER();
    run_text("{\"description\": \"d\", \"schemaVersion\": \"1.0\","
             " \"nonsense\": 1, \"tests\": []}",
             "");
    ck_assert_int_eq(r.code, 1);
    SAYS(r.out, "nonsense may not be here");
}
END_TEST

/* Named, it has to be a test file; below a folder it may be anything. */
START_TEST(what_is_of_another_format_is_skipped_where_it_is_found)
{
    const char *text = "{\"tests\": [1, 2, 3]}";
    char *path;

    NEEDS_SERVER();
    path = child_file("other.json", text, strlen(text));
    child_run(&r, NULL, "'%s'", path);
    ck_assert_int_eq(r.code, 1);
    SAYS(r.out, "\n0 passed, 1 failed, 0 skipped\n");
    result_clear(&r);
    child_run(&r, NULL, "'%.*s'", (int)(strrchr(path, '/') - path), path);
    ck_assert_int_eq(r.code, 0);
    SAYS(r.out, "other.json");
    SAYS(r.out, "it has no schemaVersion");
    SAYS(r.out, "\n0 passed, 0 failed, 1 skipped\n");
    child_file_remove(path);
}
END_TEST

/* ---- the list of exclusions ------------------------------------------ */

static void run_excluded(const char *operations, const char *list)
{
    char *exclusions = child_file("list.txt", list, strlen(list));
    char *text = bson_strdup_printf(
        "%s{\"description\": \"t\", \"operations\": [%s]}]}", head,
        operations);
    char *options = bson_strdup_printf("--exclusions '%s'", exclusions);

    run_text(text, options);
    bson_free(options);
    bson_free(text);
    child_file_remove(exclusions);
}

START_TEST(an_excluded_test_that_fails_is_skipped)
{
    NEEDS_SERVER();
    run_excluded(DUPLICATE "}", "driver | one.json | t | so it is\n");
    ck_assert_int_eq(r.code, 0);
    SAYS(r.out, "known to fail (driver): so it is");
    SAYS(r.out, "\n0 passed, 0 failed, 1 skipped\n");
}
END_TEST

START_TEST(an_excluded_test_that_passes_fails)
{
    NEEDS_SERVER();
    run_excluded(FIND "}", "driver | one.json | t | so it is\n");
    ck_assert_int_eq(r.code, 1);
    SAYS(r.out, "take it off the list");
}
END_TEST

START_TEST(an_exclusion_of_nothing_fails)
{
    NEEDS_SERVER();
    run_excluded(FIND "}", "driver | one.json | u | so it is\n");
    ck_assert_int_eq(r.code, 1);
    SAYS(r.out, "there is no such test");
}
END_TEST

START_TEST(a_list_that_can_not_be_read_is_told)
{
    NEEDS_SERVER();
    run_excluded(FIND "}", "# fine\n\nnobody | one.json | t | so it is\n");
    ck_assert_int_eq(r.code, 2);
    SAYS(r.err, "list.txt:3: ");
}
END_TEST

/* ---- use ------------------------------------------------------------- */

static const struct {
    const char *arguments, *says;
} misuses[] = {
    {"--mode often x.json", "\"often\" is none of poll wait then mixed"},
    {"--driver node x.json", "\"node\" is none of stator raw"},
    {"--jobs 0 x.json", "\"0\" is not 1 to 64"},
    {"--jobs 2x x.json", "\"2x\" is not 1 to 64"},
    {"--nonsense", "see --help"},
    {"", "no PATH"},
    {"/nowhere/at/all", "/nowhere/at/all: No such file"},
    {"--exclusions /nowhere x.json", "/nowhere: No such file"},
    {"--uri mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100 Makefile",
     "127.0.0.1:1"},
};

START_TEST(wrong_use_is_told)
{
    NEEDS_SERVER();
    child_run(&r, NULL, "%s", misuses[_i].arguments);
    ck_assert_int_eq(r.code, 2);
    SAYS(r.err, misuses[_i].says);
}
END_TEST

/* ---- the format's own ------------------------------------------------ */

static void sums(int *passed, int *failed, int *skipped)
{
    char *line = r.out + strlen(r.out);

    /* The last line. */
    ck_assert_ptr_ne(line, r.out);
    for (line--; line > r.out && line[-1] != '\n';)
        line--;
    ck_assert_int_eq(sscanf(line, "%d passed, %d failed, %d skipped", passed,
                            failed, skipped),
                     3);
}

static const char *const strictness[] = {STRICTNESS "/valid-fail",
                                         STRICTNESS "/invalid"};

START_TEST(what_must_fail_fails)
{
    int passed, failed, skipped;

    NEEDS_SERVER();
    if (access(strictness[_i], R_OK) != 0)
        SKIP("there is no %s", strictness[_i]);
    child_run(&r, NULL, "%s", strictness[_i]);
    sums(&passed, &failed, &skipped);
    ck_assert_int_eq(r.code, 1);
    ck_assert_int_eq(passed, 0);
    ck_assert_int_gt(failed, 10);
    /* Those of encryption need what is not here. */
    ck_assert_int_le(skipped, _i == 0 ? 4 : 0);
}
END_TEST

SUITE(spec_runner)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, each_wrong_is_a_failure_and_its_own, 0,
                        sizeof ways / sizeof ways[0]);
    tcase_add_test(tc, a_version_that_is_too_new_is_skipped);
    tcase_add_test(tc, another_major_version_fails);
    tcase_add_test(tc, what_is_no_json_fails);
    tcase_add_test(tc, what_is_not_of_the_format_fails);
    tcase_add_test(
        tc, what_is_of_another_format_is_skipped_where_it_is_found);
    tcase_add_test(tc, an_excluded_test_that_fails_is_skipped);
    tcase_add_test(tc, an_excluded_test_that_passes_fails);
    tcase_add_test(tc, an_exclusion_of_nothing_fails);
    tcase_add_test(tc, a_list_that_can_not_be_read_is_told);
    tcase_add_loop_test(tc, wrong_use_is_told, 0,
                        sizeof misuses / sizeof misuses[0]);
    tcase_add_loop_test(tc, what_must_fail_fails, 0, 2);
}
