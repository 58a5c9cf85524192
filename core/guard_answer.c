/* SPDX-License-Identifier: Apache-2.0 */
/* core/guard_answer.c - has an answer the shape that the driver counts on?
 *
 * Sound BSON is not enough: the driver asserts that some fields are of their
 * type, or uses a string that is none, and a process has died of each row
 * below.  Any other field, and any that is not there, is the driver's to
 * judge.  What the driver calls an error here it may: these are the replies
 * that it would not live to call anything. */
#include "core/guard.h"

#include <stdlib.h>
#include <string.h>

#include <bson/bson.h>

enum { HOST_MAX = 255 }; /* what the driver has room for */

/* A number that is there and, to the driver, 0. */
static bool is_zero(const bson_iter_t *i)
{
    return BSON_ITER_HOLDS_NUMBER(i) && (uint32_t)bson_iter_as_int64(i) == 0;
}

static bool is_code(const bson_iter_t *i)
{
    return !is_zero(i);
}

static bool is_array_of(const bson_iter_t *i,
                        bool (*is_right)(const bson_iter_t *element))
{
    bson_iter_t each;

    if (!BSON_ITER_HOLDS_ARRAY(i) || !bson_iter_recurse(i, &each))
        return false;
    while (bson_iter_next(&each))
        if (!is_right(&each))
            return false;
    return true;
}

static bool is_string(const bson_iter_t *i)
{
    return BSON_ITER_HOLDS_UTF8(i);
}

static bool is_strings(const bson_iter_t *i)
{
    return is_array_of(i, is_string);
}

static bool is_document(const bson_iter_t *i)
{
    return BSON_ITER_HOLDS_DOCUMENT(i);
}

static bool is_documents(const bson_iter_t *i)
{
    return is_array_of(i, is_document);
}

/* {code, errmsg}: either may be missing. */
static bool is_error(const bson_iter_t *i)
{
    bson_iter_t each;

    if (!BSON_ITER_HOLDS_DOCUMENT(i) || !bson_iter_recurse(i, &each))
        return false;
    while (bson_iter_next(&each)) {
        const char *key = bson_iter_key(&each);

        if (strcmp(key, "code") == 0 && is_zero(&each))
            return false;
        if (strcmp(key, "errmsg") == 0 && !BSON_ITER_HOLDS_UTF8(&each))
            return false;
    }
    return true;
}

static bool is_errors(const bson_iter_t *i)
{
    return is_array_of(i, is_error);
}

/* "db.collection": a getMore asks for what follows the point. */
static bool is_namespace(const bson_iter_t *i)
{
    const char *text, *point;
    uint32_t length;

    if (!BSON_ITER_HOLDS_UTF8(i))
        return false;
    text = bson_iter_utf8(i, &length);
    point = strchr(text, '.'); /* there may be zeros in it */
    return point != NULL && (size_t)(point - text) + 1 < length;
}

/* {id, ns, a batch}.  What is not there stays as it was; but a namespace that
 * is given must be one, unless the cursor is at its end. */
static bool is_cursor(const bson_iter_t *i)
{
    bool is_text = true, is_named = true;
    int64_t id = 1;
    bson_iter_t each;

    if (!BSON_ITER_HOLDS_DOCUMENT(i) || !bson_iter_recurse(i, &each))
        return true;
    while (bson_iter_next(&each)) {
        const char *key = bson_iter_key(&each);

        if (strcmp(key, "id") == 0) {
            id = bson_iter_as_int64(&each);
        } else if (strcmp(key, "ns") == 0) {
            is_text = is_text && is_string(&each);
            is_named = is_namespace(&each);
        }
    }
    return is_text && (id == 0 || is_named);
}

/* A cursor that was opened on no collection learns of one here. */
static bool is_named_cursor(const bson_iter_t *i)
{
    bson_iter_t id, ns, batch;

    if (!BSON_ITER_HOLDS_DOCUMENT(i) || !bson_iter_recurse(i, &id))
        return true;
    ns = batch = id;
    return bson_iter_find(&ns, "ns") || !bson_iter_find(&batch, "firstBatch") ||
           !bson_iter_find(&id, "id") || bson_iter_as_int64(&id) == 0;
}

static bool is_port(const char *text)
{
    size_t n = strspn(text, "0123456789");
    unsigned long port = n > 0 && n <= 5 ? strtoul(text, NULL, 10) : 0;

    return text[n] == '\0' && port > 0 && port <= UINT16_MAX;
}

/* host, host:port, [address] or [address]:port. */
static bool is_host(const bson_iter_t *i)
{
    const char *text, *bracket, *colon;
    size_t n;

    if (!BSON_ITER_HOLDS_UTF8(i))
        return false;
    text = bson_iter_utf8(i, NULL);
    bracket = strchr(text, ']');
    if (bracket != NULL && (*text != '[' || bracket == text + 1))
        return false;
    n = bracket != NULL ? (size_t)(bracket + 1 - text) : strcspn(text, ":");
    colon = text + n;
    return n > 0 && n <= HOST_MAX &&
           (*colon == '\0' || (*colon == ':' && is_port(colon + 1)));
}

static bool is_hosts(const bson_iter_t *i)
{
    return is_array_of(i, is_host);
}

struct field {
    const char *key;
    bool (*is_right)(const bson_iter_t *value);
    const char *flaw;
};

static const struct field of_all[] = {
    {"code", is_code, "the reply has an error code of 0"},
    {"cursor", is_cursor, "the reply's cursor has no namespace"},
    {"errorLabels", is_strings, "the reply's errorLabels are no strings"},
    {"writeErrors", is_errors, "the reply's writeErrors are no errors"},
    {"writeConcernError", is_error,
     "the reply's writeConcernError is no error"},
};

static const struct field of_hello[] = {
    {"hosts", is_hosts, "the reply's hosts are no hosts"},
    {"passives", is_hosts, "the reply's passives are no hosts"},
    {"arbiters", is_hosts, "the reply's arbiters are no hosts"},
    {"compression", is_strings, "the reply's compression is no strings"},
    {"speculativeAuthenticate", is_document,
     "the reply's speculativeAuthenticate is no document"},
};

static const struct field of_databases[] = {
    {"databases", is_documents, "the reply's databases are no documents"},
};

static const struct field of_unnamed[] = {
    {"cursor", is_named_cursor, "the reply's cursor has no namespace"},
};

static const char *look(const struct field *fields, size_t n,
                        const bson_iter_t *i)
{
    const char *key = bson_iter_key(i);

    for (size_t k = 0; k < n; k++)
        if (strcmp(key, fields[k].key) == 0)
            return fields[k].is_right(i) ? NULL : fields[k].flaw;
    return NULL;
}

#define LOOK(fields, i) look(fields, sizeof fields / sizeof *fields, i)

/* Of all those keys: most answers have none of them. */
enum {
    INITIALS = STC_INITIAL('a') | STC_INITIAL('c') | STC_INITIAL('d') |
               STC_INITIAL('e') | STC_INITIAL('h') | STC_INITIAL('p') |
               STC_INITIAL('s') | STC_INITIAL('w')
};

static bool is_command(const struct stc_guard *g, const char *name)
{
    return strcmp(g->command, name) == 0;
}

static const char *look_at_all(const struct stc_guard *g, bson_iter_t *i)
{
    bool is_databases = is_command(g, "listDatabases") ||
                        is_command(g, ""); /* compressed */
    bool is_unnamed = !is_command(g, "find") && !is_command(g, "getMore");

    while (bson_iter_next(i)) {
        const char *flaw;

        if (!(STC_INITIAL(*bson_iter_key(i)) & INITIALS))
            continue;
        flaw = LOOK(of_all, i);
        if (flaw == NULL && !g->is_ours)
            flaw = LOOK(of_hello, i);
        if (flaw == NULL && is_databases)
            flaw = LOOK(of_databases, i);
        if (flaw == NULL && is_unnamed)
            flaw = LOOK(of_unnamed, i);
        if (flaw != NULL)
            return flaw;
    }
    return NULL;
}

const char *stc_guard_answer(const struct stc_guard *g,
                             const uint8_t *document, uint32_t length,
                             uint32_t initials)
{
    bson_iter_t i;

    if (!(initials & INITIALS) ||
        !bson_iter_init_from_data(&i, document, length))
        return NULL;
    return look_at_all(g, &i);
}
