/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard_answer.c - the fields of an answer that the driver counts on. */
#include "tests/harness/suite.h"

#include <string.h>
#include <strings.h>

#include "tests/fuzz/replies.h"

static const char code[] = "the reply has an error code of 0";
static const char cursor[] = "the reply's cursor has no namespace";
static const char labels[] = "the reply's errorLabels are no strings";
static const char errors[] = "the reply's writeErrors are no errors";
static const char concern[] = "the reply's writeConcernError is no error";
static const char hosts[] = "the reply's hosts are no hosts";
static const char passives[] = "the reply's passives are no hosts";
static const char arbiters[] = "the reply's arbiters are no hosts";
static const char compression[] = "the reply's compression is no strings";
static const char speculative[] =
    "the reply's speculativeAuthenticate is no document";
static const char databases[] = "the reply's databases are no documents";

/* `flaw` NULL: it is taken. */
static const struct {
    const char *command; /* "" compressed */
    const char *answer;
    const char *flaw;
} cases[] = {
    {"find", "{'ok': 1}", NULL},
    {"find", "{}", NULL},
    /* The driver asserts that an error's code is not 0. */
    {"find", "{'ok': 0, 'code': 43, 'errmsg': 'no'}", NULL},
    {"find", "{'ok': 0, 'code': 'x'}", NULL},
    {"find", "{'ok': 0, 'code': null}", NULL},
    {"find", "{'ok': 0, 'code': 0}", code},
    {"find", "{'ok': 0, 'code': 0.5}", code},
    {"find", "{'ok': 0, 'code': 4294967296}", code},
    {"find", "{'ok': 1, 'code': 0}", code},
    {"find", "{'ok': 1, 'document': {'code': 0}}", NULL},
    /* It keeps the namespace, to ask for more. */
    {"find", "{'cursor': {'id': 7, 'ns': 'a.b', 'firstBatch': []}}", NULL},
    {"find", "{'cursor': {'id': 7, 'ns': 'a.b.c'}}", NULL},
    {"find", "{'cursor': {'id': 0, 'ns': 'a'}}", NULL},
    {"find", "{'cursor': {'id': 0, 'ns': ''}}", NULL},
    {"find", "{'cursor': {'id': 0}}", NULL},
    {"find", "{'cursor': {}}", NULL},
    {"find", "{'cursor': 1}", NULL},
    {"find", "{'cursor': {'id': 0, 'ns': 1}}", cursor},
    {"find", "{'cursor': {'id': 0, 'ns': 1, 'ns': 'a.b'}}", cursor},
    {"find", "{'cursor': {'id': 7, 'firstBatch': []}}", NULL},
    {"getMore", "{'cursor': {'id': 7, 'nextBatch': []}}", NULL},
    {"", "{'cursor': {'id': 7, 'nextBatch': []}}", NULL},
    {"aggregate", "{'cursor': {'id': 0, 'firstBatch': []}}", NULL},
    {"aggregate", "{'cursor': {'firstBatch': []}}", NULL},
    {"aggregate", "{'cursor': {'id': 7, 'firstBatch': []}}", cursor},
    {"listCollections", "{'cursor': {'id': 7, 'firstBatch': []}}", cursor},
    {"", "{'cursor': {'id': 7, 'firstBatch': []}}", cursor},
    {"find", "{'cursor': {'id': 7, 'ns': ''}}", cursor},
    {"find", "{'cursor': {'id': 7, 'ns': 'a'}}", cursor},
    {"find", "{'cursor': {'id': 7, 'ns': 'a.'}}", cursor},
    {"find", "{'cursor': {'id': 7, 'ns': 'a\\u0000.b'}}", cursor},
    {"getMore", "{'cursor': {'ns': 'a', 'id': true}}", cursor},
    {"getMore", "{'cursor': {'ns': 'a', 'nextBatch': []}}", cursor},
    /* It compares the labels as strings. */
    {"insert", "{'errorLabels': ['RetryableWriteError']}", NULL},
    {"insert", "{'errorLabels': []}", NULL},
    {"insert", "{'errorLabels': 'RetryableWriteError'}", labels},
    {"insert", "{'errorLabels': {'0': 'RetryableWriteError'}}", labels},
    {"insert", "{'errorLabels': null}", labels},
    {"insert", "{'errorLabels': ['a', 1]}", labels},
    /* It joins the messages. */
    {"insert", "{'writeErrors': [{'code': 11000, 'errmsg': 'x'}]}", NULL},
    {"insert", "{'writeErrors': [{}]}", NULL},
    {"insert", "{'writeErrors': []}", NULL},
    {"insert", "{'writeErrors': [{'code': 11000, 'errmsg': 1}]}", errors},
    {"insert", "{'writeErrors': [{'code': 1}, {'errmsg': null}]}", errors},
    {"insert", "{'writeErrors': [{'code': 0}]}", errors},
    {"insert", "{'writeErrors': [1]}", errors},
    {"insert", "{'writeErrors': 1}", errors},
    {"insert", "{'writeConcernError': {'code': 64, 'errmsg': 'x'}}", NULL},
    {"insert", "{'writeConcernError': {}}", NULL},
    {"insert", "{'writeConcernError': {'code': 0}}", concern},
    {"insert", "{'writeConcernError': {'code': 64, 'errmsg': []}}", concern},
    {"insert", "{'writeConcernError': 1}", concern},
    {"insert", "{'writeConcernError': null}", concern},
    /* It looks the members of a set up by their names. */
    {"hello", "{'hosts': ['a', 'a:1', 'a.b:65535']}", NULL},
    {"isMaster", "{'hosts': ['127.0.0.1:1', '[::1]', '[::1]:1']}", NULL},
    {"hello", "{'hosts': ['/tmp/mongodb-1.sock'], 'passives': []}", NULL},
    {"hello", "{'hosts': 1}", hosts},
    {"hello", "{'hosts': [1]}", hosts},
    {"hello", "{'hosts': ['']}", hosts},
    {"hello", "{'hosts': ['a:1', ':1']}", hosts},
    {"hello", "{'hosts': ['a:']}", hosts},
    {"hello", "{'hosts': ['a:0']}", hosts},
    {"hello", "{'hosts': ['a:65536']}", hosts},
    {"hello", "{'hosts': ['a:000001']}", hosts},
    {"hello", "{'hosts': ['a:1x']}", hosts},
    {"hello", "{'hosts': ['a:-1']}", hosts},
    {"hello", "{'hosts': ['[]:1']}", hosts},
    {"hello", "{'hosts': ['::1]:1']}", hosts},
    {"hello", "{'hosts': ['[::1]1']}", hosts},
    {"ismaster", "{'passives': [null]}", passives},
    {"hello", "{'arbiters': ['']}", arbiters},
    {"hello", "{'compression': ['zlib', 'other']}", NULL},
    {"hello", "{'compression': [1]}", compression},
    {"hello", "{'compression': ['zlib', null]}", compression},
    {"hello", "{'speculativeAuthenticate': {}}", NULL},
    {"hello", "{'speculativeAuthenticate': 1}", speculative},
    /* .. which of another command is nobody's concern. */
    {"find", "{'hosts': 1, 'compression': 1, 'databases': 1}", NULL},
    {"", "{'hosts': 1, 'compression': 1}", NULL},
    /* It hands each out as a document. */
    {"listDatabases", "{'databases': [{'name': 'a'}]}", NULL},
    {"listDatabases", "{'databases': [{'name': 'a'}, 1]}", databases},
    {"listDatabases", "{'databases': 1}", databases},
    {"", "{'databases': ['a']}", databases},
};

static bson_t *answer_of(const char *text)
{
    char json[256];
    bson_t *answer;

    ck_assert_uint_lt(strlen(text), sizeof json);
    for (size_t i = 0; i <= strlen(text); i++)
        json[i] = text[i] == '\'' ? '"' : text[i];
    answer = bson_new_from_json((const uint8_t *)json, -1, NULL);
    ck_assert_ptr_nonnull(answer);
    return answer;
}

static const char *judge(enum asked asked, const char *command,
                         const struct bytes *b)
{
    struct stc_guard g;

    ask(&g, asked);
    bson_strncpy(g.command, command, sizeof g.command);
    g.is_ours = strcasecmp(command, "hello") != 0 &&
                strcasecmp(command, "ismaster") != 0;
    return stc_guard_reply(&g, b->data, (uint32_t)b->n);
}

static void ck_flaw(int i, const char *found)
{
    const char *flaw = cases[i].flaw;

    if (flaw == NULL)
        ck_assert_msg(found == NULL, "%s: %s", cases[i].answer, found);
    else
        ck_assert_msg(found != NULL && strcmp(found, flaw) == 0, "%s: %s",
                      cases[i].answer, found != NULL ? found : "taken");
}

START_TEST(an_answer)
{
    bson_t *answer = answer_of(cases[_i].answer);
    struct bytes b = {0, {0}};

    reply_msg(&b, REPLIES_ID, 0, answer);
    ck_flaw(_i, judge(ASKED_MSG, cases[_i].command, &b));
    b.n = 0;
    reply_reply(&b, 8, 0, 1, answer);
    ck_flaw(_i, judge(ASKED_COMMAND, cases[_i].command, &b));
    bson_destroy(answer);
}
END_TEST

/* As long as the driver has room for, and longer. */
START_TEST(a_host_of_any_length)
{
    for (int n = 255; n <= 256; n++) {
        struct bytes b = {0, {0}};
        bson_t answer, array;
        char host[300];

        memset(host, 'h', (size_t)n);
        memcpy(host + n, ":1", 3);
        bson_init(&answer);
        BSON_APPEND_ARRAY_BEGIN(&answer, "hosts", &array);
        BSON_APPEND_UTF8(&array, "0", host);
        bson_append_array_end(&answer, &array);
        reply_msg(&b, REPLIES_ID, 0, &answer);
        bson_destroy(&answer);
        if (n == 255)
            ck_assert_ptr_null(judge(ASKED_MSG, "hello", &b));
        else
            ck_assert_str_eq(judge(ASKED_MSG, "hello", &b), hosts);
    }
}
END_TEST

/* What a cursor of an old server holds is a user's, whatever it is called. */
START_TEST(a_document_is_no_answer)
{
    bson_t *document = answer_of("{'code': 0, 'errorLabels': 1}");
    struct bytes b = {0, {0}};

    reply_reply(&b, 8, 77, 2, document);
    ck_assert_ptr_null(judge(ASKED_CURSOR, "", &b));
    bson_destroy(document);
}
END_TEST

SUITE(guard_answer)
{
    enum { N_CASES = sizeof cases / sizeof *cases };

    tcase_add_loop_test(tc, an_answer, 0, N_CASES);
    tcase_add_test(tc, a_host_of_any_length);
    tcase_add_test(tc, a_document_is_no_answer);
}
