/* SPDX-License-Identifier: Apache-2.0 */
/* match.c - the rules of "Evaluating Matches".
 *
 * A document whose only key begins with $$ is an operator.  $$exists and
 * $$unsetOrMatches may be answered by a value that is not there; all others
 * want one. */
#include "tests/spec/match.h"

#include <stdio.h>
#include <string.h>

#include "tests/spec/entities.h"
#include "tests/spec/value.h"

typedef struct matcher {
    entities_t *entities;
    verdict_t *verdict;
    char path[300];
} matcher_t;

static bool match(matcher_t *m, const bson_iter_t *expected,
                  const bson_iter_t *actual, match_rule_t rule);

static bool differs(matcher_t *m, const char *what,
                    const bson_iter_t *expected, const bson_iter_t *actual)
{
    text_t a, b;

    return verdict_fail(m->verdict, "%s: %s: expected %s, got %s", m->path,
                        what, value_text(expected, &a),
                        value_text(actual, &b));
}

static size_t enter(matcher_t *m, const char *key)
{
    size_t length = strlen(m->path);

    snprintf(m->path + length, sizeof m->path - length, ".%s", key);
    return length;
}

/* ---- operators ------------------------------------------------------- */

/* The aliases of the server's $type. */
static const struct {
    const char *name;
    bson_type_t type;
} types[] = {
    {"double", BSON_TYPE_DOUBLE},
    {"string", BSON_TYPE_UTF8},
    {"object", BSON_TYPE_DOCUMENT},
    {"array", BSON_TYPE_ARRAY},
    {"binData", BSON_TYPE_BINARY},
    {"undefined", BSON_TYPE_UNDEFINED},
    {"objectId", BSON_TYPE_OID},
    {"bool", BSON_TYPE_BOOL},
    {"date", BSON_TYPE_DATE_TIME},
    {"null", BSON_TYPE_NULL},
    {"regex", BSON_TYPE_REGEX},
    {"dbPointer", BSON_TYPE_DBPOINTER},
    {"javascript", BSON_TYPE_CODE},
    {"symbol", BSON_TYPE_SYMBOL},
    {"javascriptWithScope", BSON_TYPE_CODEWSCOPE},
    {"int", BSON_TYPE_INT32},
    {"timestamp", BSON_TYPE_TIMESTAMP},
    {"long", BSON_TYPE_INT64},
    {"decimal", BSON_TYPE_DECIMAL128},
    {"minKey", BSON_TYPE_MINKEY},
    {"maxKey", BSON_TYPE_MAXKEY},
};

static bool is_of_type(matcher_t *m, const char *name,
                       const bson_iter_t *actual)
{
    size_t i;

    if (strcmp(name, "number") == 0)
        return value_is_number(actual) || BSON_ITER_HOLDS_DECIMAL128(actual);
    for (i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0)
            return bson_iter_type(actual) == types[i].type;
    return verdict_fail(m->verdict, "%s: $$type knows no \"%s\"", m->path,
                        name);
}

static bool match_type(matcher_t *m, const bson_iter_t *names,
                       const bson_iter_t *actual)
{
    bson_iter_t at;
    bson_t view;

    if (BSON_ITER_HOLDS_UTF8(names))
        return is_of_type(m, bson_iter_utf8(names, NULL), actual) ||
               differs(m, "$$type", names, actual);
    if (!value_look(names, &view))
        return verdict_fail(m->verdict, "%s: $$type of no name", m->path);
    bson_iter_init(&at, &view);
    while (bson_iter_next(&at))
        if (BSON_ITER_HOLDS_UTF8(&at) &&
            is_of_type(m, bson_iter_utf8(&at, NULL), actual))
            return true;
    return differs(m, "$$type", names, actual);
}

static bool match_exists(matcher_t *m, const bson_iter_t *wanted,
                         const bson_iter_t *actual)
{
    if (!BSON_ITER_HOLDS_BOOL(wanted))
        return verdict_fail(m->verdict, "%s: $$exists of no bool", m->path);
    return bson_iter_bool(wanted) == (actual != NULL) ||
           differs(m, "$$exists", wanted, actual);
}

static bool match_entity(matcher_t *m, const bson_iter_t *name,
                         const bson_iter_t *actual, match_rule_t rule)
{
    entity_t *entity;
    bson_iter_t value;

    if (!BSON_ITER_HOLDS_UTF8(name))
        return verdict_fail(m->verdict, "%s: $$matchesEntity of no name",
                            m->path);
    entity = entities_get(m->entities, bson_iter_utf8(name, NULL),
                          ENTITY_VALUE, m->verdict);
    return entity != NULL && value_find(&entity->value, "v", &value) &&
           match(m, &value, actual, rule);
}

static bool match_lsid(matcher_t *m, const bson_iter_t *name,
                       const bson_iter_t *actual)
{
    entity_t *entity;
    bson_t view;

    if (!BSON_ITER_HOLDS_UTF8(name))
        return verdict_fail(m->verdict, "%s: $$sessionLsid of no name",
                            m->path);
    entity = entities_get(m->entities, bson_iter_utf8(name, NULL),
                          ENTITY_SESSION, m->verdict);
    if (entity == NULL)
        return false;
    return (value_look(actual, &view) && match_same(&entity->value, &view)) ||
           differs(m, "$$sessionLsid", name, actual);
}

static bool match_bytes(matcher_t *m, const bson_iter_t *hex,
                        const bson_iter_t *actual)
{
    const uint8_t *got = NULL;
    uint32_t got_length = 0;
    bson_subtype_t subtype;
    uint8_t *bytes = NULL;
    size_t length;
    bool same;

    if (BSON_ITER_HOLDS_UTF8(hex))
        bytes = value_bytes(bson_iter_utf8(hex, NULL), &length);
    if (bytes == NULL)
        return verdict_fail(m->verdict, "%s: $$matchesHexBytes of no bytes",
                            m->path);
    if (BSON_ITER_HOLDS_BINARY(actual))
        bson_iter_binary(actual, &subtype, &got_length, &got);
    same = got != NULL && got_length == length &&
           memcmp(got, bytes, length) == 0;
    bson_free(bytes);
    return same || differs(m, "$$matchesHexBytes", hex, actual);
}

static bool match_lte(matcher_t *m, const bson_iter_t *most,
                      const bson_iter_t *actual)
{
    int order = value_compare(actual, most);

    return order == 0 || order == -1 || differs(m, "$$lte", most, actual);
}

static bool match_as_document(matcher_t *m, const bson_iter_t *expected,
                              const bson_iter_t *actual)
{
    bson_t parsed, holder = BSON_INITIALIZER;
    bson_iter_t at;
    bool fits;

    if (!BSON_ITER_HOLDS_UTF8(actual) ||
        bson_iter_utf8(actual, NULL)[strspn(bson_iter_utf8(actual, NULL),
                                            " \t\r\n")] != '{' ||
        !bson_init_from_json(&parsed, bson_iter_utf8(actual, NULL), -1,
                             NULL)) {
        bson_destroy(&holder);
        return differs(m, "$$matchAsDocument", expected, actual);
    }
    bson_append_document(&holder, "v", -1, &parsed);
    fits = value_find(&holder, "v", &at) &&
           match(m, expected, &at, MATCH_NESTED);
    bson_destroy(&parsed);
    bson_destroy(&holder);
    return fits;
}

/* Where the only key of a document begins with $$: that key. */
static bool is_operator(const bson_iter_t *expected, bson_iter_t *operator_)
{
    return BSON_ITER_HOLDS_DOCUMENT(expected) &&
           bson_iter_recurse(expected, operator_) &&
           bson_iter_next(operator_) &&
           strncmp(bson_iter_key(operator_), "$$", 2) == 0;
}

static bool match_operator(matcher_t *m, const bson_iter_t *expected,
                           const bson_iter_t *operand,
                           const bson_iter_t *actual, match_rule_t rule)
{
    const char *name = bson_iter_key(operand);
    bson_iter_t rest = *operand;

    if (bson_iter_next(&rest))
        return verdict_fail(m->verdict, "%s: %s is not the only key", m->path,
                            name);
    if (strcmp(name, "$$exists") == 0)
        return match_exists(m, operand, actual);
    if (strcmp(name, "$$unsetOrMatches") == 0)
        return actual == NULL || match(m, operand, actual, rule);
    if (actual == NULL)
        return differs(m, "is missing", expected, NULL);
    if (strcmp(name, "$$type") == 0)
        return match_type(m, operand, actual);
    if (strcmp(name, "$$matchesEntity") == 0)
        return match_entity(m, operand, actual, rule);
    if (strcmp(name, "$$sessionLsid") == 0)
        return match_lsid(m, operand, actual);
    if (strcmp(name, "$$matchesHexBytes") == 0)
        return match_bytes(m, operand, actual);
    if (strcmp(name, "$$lte") == 0)
        return match_lte(m, operand, actual);
    if (strcmp(name, "$$matchAsDocument") == 0)
        return match_as_document(m, operand, actual);
    if (strcmp(name, "$$matchAsRoot") == 0)
        return match(m, operand, actual, MATCH_ROOT);
    return verdict_fail(m->verdict, "%s: there is no operator %s", m->path,
                        name);
}

/* ---- values ---------------------------------------------------------- */

static bool match_fields(matcher_t *m, const bson_iter_t *expected,
                         const bson_iter_t *actual, match_rule_t rule)
{
    bson_t want, got;
    bson_iter_t at, found;

    if (!BSON_ITER_HOLDS_DOCUMENT(actual))
        return differs(m, "no document", expected, actual);
    value_look(expected, &want);
    value_look(actual, &got);
    bson_iter_init(&at, &want);
    while (bson_iter_next(&at)) {
        const char *key = bson_iter_key(&at);
        size_t back = enter(m, key);

        if (!match(m, &at, value_find(&got, key, &found) ? &found : NULL,
                   MATCH_NESTED))
            return false;
        m->path[back] = '\0';
    }
    if (rule == MATCH_ROOT)
        return true;
    bson_iter_init(&at, &got);
    while (bson_iter_next(&at))
        if (!value_has(&want, bson_iter_key(&at)))
            return verdict_fail(m->verdict, "%s has \"%s\", which is not "
                                            "expected",
                                m->path, bson_iter_key(&at));
    return true;
}

static bool match_elements(matcher_t *m, const bson_iter_t *expected,
                           const bson_iter_t *actual, match_rule_t rule)
{
    match_rule_t inner = rule == MATCH_ROOT_LIST ? MATCH_ROOT : MATCH_NESTED;
    bson_t want, got;
    bson_iter_t a, b;

    if (!BSON_ITER_HOLDS_ARRAY(actual))
        return differs(m, "no array", expected, actual);
    value_look(expected, &want);
    value_look(actual, &got);
    if (bson_count_keys(&want) != bson_count_keys(&got))
        return differs(m, "another number of elements", expected, actual);
    bson_iter_init(&a, &want);
    bson_iter_init(&b, &got);
    while (bson_iter_next(&a) && bson_iter_next(&b)) {
        size_t back = enter(m, bson_iter_key(&a));

        if (!match(m, &a, &b, inner))
            return false;
        m->path[back] = '\0';
    }
    return true;
}

static bool same_bytes(const bson_iter_t *a, const bson_iter_t *b)
{
    bson_t x = BSON_INITIALIZER, y = BSON_INITIALIZER;
    bool same;

    value_put(&x, "", a);
    value_put(&y, "", b);
    same = bson_equal(&x, &y);
    bson_destroy(&x);
    bson_destroy(&y);
    return same;
}

static bool match(matcher_t *m, const bson_iter_t *expected,
                  const bson_iter_t *actual, match_rule_t rule)
{
    bson_iter_t operand;

    if (is_operator(expected, &operand))
        return match_operator(m, expected, &operand, actual, rule);
    if (actual == NULL)
        return differs(m, "is missing", expected, NULL);
    if (BSON_ITER_HOLDS_DOCUMENT(expected))
        return match_fields(m, expected, actual, rule);
    if (BSON_ITER_HOLDS_ARRAY(expected))
        return match_elements(m, expected, actual, rule);
    return value_compare(expected, actual) == 0 ||
           same_bytes(expected, actual) ||
           differs(m, "differs", expected, actual);
}

bool match_value(const char *what, const bson_iter_t *expected,
                 const bson_iter_t *actual, match_rule_t rule,
                 entities_t *entities, verdict_t *verdict)
{
    matcher_t m = {.entities = entities, .verdict = verdict};

    snprintf(m.path, sizeof m.path, "%s", what);
    /* A verdict that was there before would hide what is found now. */
    return match(&m, expected, actual, rule) &&
           verdict->kind == VERDICT_PASSED;
}

bool match_document(const char *what, const bson_t *expected,
                    const bson_t *actual, entities_t *entities,
                    verdict_t *verdict)
{
    bson_t a = BSON_INITIALIZER, b = BSON_INITIALIZER;
    bson_iter_t x, y;
    bool fits;

    bson_append_document(&a, "v", -1, expected);
    if (actual != NULL)
        bson_append_document(&b, "v", -1, actual);
    fits = value_find(&a, "v", &x) &&
           match_value(what, &x, value_find(&b, "v", &y) ? &y : NULL,
                       MATCH_ROOT, entities, verdict);
    bson_destroy(&a);
    bson_destroy(&b);
    return fits;
}

static bool same_value(const bson_iter_t *a, const bson_iter_t *b)
{
    bson_t x, y;

    if (bson_iter_type(a) != bson_iter_type(b))
        return value_compare(a, b) == 0;
    if (value_look(a, &x) && value_look(b, &y))
        return match_same(&x, &y);
    return same_bytes(a, b);
}

bool match_same(const bson_t *a, const bson_t *b)
{
    bson_iter_t at, other;

    if (bson_count_keys(a) != bson_count_keys(b))
        return false;
    bson_iter_init(&at, a);
    while (bson_iter_next(&at))
        if (!value_find(b, bson_iter_key(&at), &other) ||
            !same_value(&at, &other))
            return false;
    return true;
}
