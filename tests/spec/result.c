/* SPDX-License-Identifier: Apache-2.0 */
/* result.c - what an operation came to: a value or an error. */
#include "tests/spec/result.h"

#include <string.h>

#include "tests/spec/value.h"

void result_init(result_t *result)
{
    memset(result, 0, sizeof *result);
    bson_init(&result->reply);
    bson_init(&result->value);
}

void result_clear(result_t *result, const setup_t *setup)
{
    if (result->made != NULL)
        entity_free(result->made, setup);
    bson_destroy(&result->reply);
    bson_destroy(&result->value);
}

void result_set(result_t *result, const bson_iter_t *value)
{
    bson_reinit(&result->value);
    value_put(&result->value, "v", value);
}

void result_set_document(result_t *result, const bson_t *document)
{
    bson_reinit(&result->value);
    if (document == NULL)
        bson_append_null(&result->value, "v", -1);
    else
        bson_append_document(&result->value, "v", -1, document);
}

void result_set_array(result_t *result, const bson_t *array)
{
    bson_reinit(&result->value);
    bson_append_array(&result->value, "v", -1, array);
}

void result_set_int(result_t *result, int64_t value)
{
    bson_reinit(&result->value);
    bson_append_int64(&result->value, "v", -1, value);
}

void result_set_utf8(result_t *result, const char *value)
{
    bson_reinit(&result->value);
    bson_append_utf8(&result->value, "v", -1, value, -1);
}

void result_fail(result_t *result, const bson_error_t *error)
{
    result->failed = true;
    result->error = *error;
    result->by_client = error->domain != MONGOC_ERROR_SERVER &&
                        error->domain != MONGOC_ERROR_WRITE_CONCERN;
}

/* ---- expectError ----------------------------------------------------- */

/* The documents of a reply that may bear a code: itself, each write error,
 * each write concern error.  `fits` ends the search. */
typedef bool fits_fn(const bson_t *document, const void *arg);

static bool any_of_list(const bson_t *reply, const char *key, fits_fn *fits,
                        const void *arg)
{
    bson_t list, view;
    bson_iter_t at;

    value_view(reply, key, &list);
    bson_iter_init(&at, &list);
    while (bson_iter_next(&at))
        if (value_look(&at, &view) && fits(&view, arg))
            return true;
    return false;
}

static bool any_of(const bson_t *reply, fits_fn *fits, const void *arg)
{
    bson_t view;

    return fits(reply, arg) || any_of_list(reply, "writeErrors", fits, arg) ||
           any_of_list(reply, "writeConcernErrors", fits, arg) ||
           (value_view(reply, "writeConcernError", &view) && fits(&view, arg));
}

static bool has_code(const bson_t *document, const void *arg)
{
    return value_int(document, "code", -1) == *(const int64_t *)arg;
}

/* A write error bears no name. */
static const struct {
    int64_t code;
    const char *name;
} codes[] = {
    {8, "UnknownError"},
    {11, "UserNotFound"},
    {13, "Unauthorized"},
    {26, "NamespaceNotFound"},
    {43, "CursorNotFound"},
    {50, "MaxTimeMSExpired"},
    {59, "CommandNotFound"},
    {64, "WriteConcernFailed"},
    {72, "InvalidOptions"},
    {79, "UnknownReplWriteConcern"},
    {91, "ShutdownInProgress"},
    {100, "UnsatisfiableWriteConcern"},
    {112, "WriteConflict"},
    {121, "DocumentValidationFailure"},
    {189, "PrimarySteppedDown"},
    {244, "TransactionTooOld"},
    {251, "NoSuchTransaction"},
    {263, "OperationNotSupportedInTransaction"},
    {280, "ChangeStreamFatalError"},
    {286, "ChangeStreamHistoryLost"},
    {322, "APIVersionError"},
    {323, "APIStrictError"},
    {324, "APIDeprecationError"},
    {10107, "NotWritablePrimary"},
    {11000, "DuplicateKey"},
    {11600, "InterruptedAtShutdown"},
    {11602, "InterruptedDueToReplStateChange"},
    {13436, "NotPrimaryOrSecondary"},
};

static bool is_called(int64_t code, const char *name)
{
    size_t i;

    for (i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].code == code && strcmp(codes[i].name, name) == 0)
            return true;
    return false;
}

static bool has_code_name(const bson_t *document, const void *arg)
{
    return strcmp(value_utf8(document, "codeName", ""), arg) == 0 ||
           is_called(value_int(document, "code", -1), arg);
}

static bool has_text(const bson_t *document, const void *arg)
{
    return strcasestr(value_utf8(document, "errmsg", ""), arg) != NULL;
}

static bool has_labels(const result_t *result, const bson_t *labels,
                       bool wanted, verdict_t *verdict)
{
    bson_iter_t at;

    bson_iter_init(&at, labels);
    while (bson_iter_next(&at)) {
        const char *label = bson_iter_utf8(&at, NULL);

        if (mongoc_error_has_label(&result->reply, label) != wanted)
            return verdict_fail(verdict, "the error has%s the label %s: %s",
                                wanted ? " not" : "", label,
                                result->error.message);
    }
    return true;
}

static bool check_origin(const result_t *result, const bson_t *expected,
                         verdict_t *verdict)
{
    if (value_has(expected, "isTimeoutError"))
        return verdict_skip(verdict, "libmongoc 1.23 has no timeoutMS");
    if (value_has(expected, "isClientError") &&
        value_bool(expected, "isClientError", false) != result->by_client)
        return verdict_fail(verdict, "isClientError: expected %s: %s (%u/%u)",
                            result->by_client ? "the server's" : "a client's",
                            result->error.message, result->error.domain,
                            result->error.code);
    return true;
}

static bool check_codes(const result_t *result, const bson_t *expected,
                        verdict_t *verdict)
{
    const char *name = value_utf8(expected, "errorCodeName", NULL);
    const char *text = value_utf8(expected, "errorContains", NULL);
    int64_t code = value_int(expected, "errorCode", -1);

    if (code >= 0 && code != result->error.code &&
        !any_of(&result->reply, has_code, &code))
        return verdict_fail(verdict, "errorCode: expected %d, got %u: %s",
                            (int)code, result->error.code,
                            result->error.message);
    if (name != NULL && !any_of(&result->reply, has_code_name, name) &&
        (result->by_client || !is_called(result->error.code, name)))
        return verdict_fail(verdict, "errorCodeName: expected %s: %s", name,
                            result->error.message);
    if (text != NULL && strcasestr(result->error.message, text) == NULL &&
        !any_of(&result->reply, has_text, text))
        return verdict_fail(verdict, "errorContains: expected \"%s\": %s",
                            text, result->error.message);
    return true;
}

static bool check_error(const result_t *result, const bson_t *expected,
                        entities_t *entities, verdict_t *verdict)
{
    bson_iter_t want, got;
    bson_t view;

    if (!result->failed)
        return verdict_fail(verdict, "expected an error, and there was none");
    if (value_has(expected, "writeErrors") ||
        value_has(expected, "writeConcernErrors"))
        return verdict_skip(verdict, "libmongoc 1.23 has no clientBulkWrite");
    if (!check_origin(result, expected, verdict) ||
        !check_codes(result, expected, verdict))
        return false;
    value_view(expected, "errorLabelsContain", &view);
    if (!has_labels(result, &view, true, verdict))
        return false;
    value_view(expected, "errorLabelsOmit", &view);
    if (!has_labels(result, &view, false, verdict))
        return false;
    if (value_view(expected, "errorResponse", &view) &&
        !match_document("errorResponse", &view, &result->reply, entities,
                        verdict))
        return false;
    return !value_find(expected, "expectResult", &want) ||
           match_value("expectError.expectResult", &want,
                       value_find(&result->value, "v", &got) ? &got : NULL,
                       MATCH_ROOT, entities, verdict);
}

bool result_check(const result_t *result, const bson_t *operation,
                  match_rule_t rule, entities_t *entities,
                  verdict_t *verdict)
{
    bson_iter_t want, got;
    bson_t view;

    if (value_view(operation, "expectError", &view))
        return check_error(result, &view, entities, verdict);
    if (result->failed)
        return verdict_fail(verdict, "it failed (%u/%u): %s",
                            result->error.domain, result->error.code,
                            result->error.message);
    return !value_find(operation, "expectResult", &want) ||
           match_value("expectResult", &want,
                       value_find(&result->value, "v", &got) ? &got : NULL,
                       rule, entities, verdict);
}
