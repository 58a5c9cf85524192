/* SPDX-License-Identifier: Apache-2.0 */
/* operation.c - look it up, sort its arguments, run it, check what came. */
#include "tests/spec/operation.h"

#include <string.h>

#include "tests/spec/await.h"
#include "tests/spec/options.h"
#include "tests/spec/session.h"
#include "tests/spec/value.h"

static const verb_t *const tables[] = {
    read_verbs, write_verbs, modify_verbs, bulk_verbs, admin_verbs, index_verbs,
    cursor_verbs, stream_verbs, session_verbs, bucket_verbs, runner_verbs};

static const verb_t *find_verb(const char *name, entity_kind_t on)
{
    const verb_t *verb;
    size_t i;

    for (i = 0; i < sizeof tables / sizeof tables[0]; i++)
        for (verb = tables[i]; verb->name != NULL; verb++)
            if (verb->on == on && strcmp(verb->name, name) == 0)
                return verb;
    return NULL;
}

/* ---- arguments ------------------------------------------------------- */

/* The next word of a list; false at its end.  `*list` goes on. */
static bool next_word(const char **list, const char **word, size_t *length)
{
    *word = *list + strspn(*list, " ");
    *length = strcspn(*word, " ");
    *list = *word + *length;
    return *length > 0;
}

typedef enum { IS_UNKNOWN, IS_POSITIONAL, IS_OPTION } place_t;

static place_t place_of(const verb_t *verb, const char *name)
{
    const char *list = verb->arguments, *word;
    place_t place = IS_POSITIONAL;
    size_t length;

    while (next_word(&list, &word, &length)) {
        if (*word == '!') {
            word++;
            length--;
        }
        if (*word == '|')
            place = IS_OPTION;
        else if (strlen(name) == length && strncmp(word, name, length) == 0)
            return place;
    }
    return IS_UNKNOWN;
}

static bool all_needed(const call_t *call)
{
    const char *list = call->verb->arguments, *word;
    char name[60];
    size_t length;

    while (next_word(&list, &word, &length)) {
        if (*word != '!' || length > sizeof name)
            continue;
        memcpy(name, word + 1, length - 1);
        name[length - 1] = '\0';
        if (!value_has(&call->arguments, name))
            return verdict_fail(call->run->verdict, "%s: no argument \"%s\"",
                                call->verb->name, name);
    }
    return true;
}

static bool take_session(call_t *call, const bson_iter_t *at)
{
    verdict_t *verdict = call->run->verdict;

    if (!BSON_ITER_HOLDS_UTF8(at))
        return verdict_fail(verdict, "the argument session is no name");
    call->session = entities_get(&call->run->entities,
                                 bson_iter_utf8(at, NULL), ENTITY_SESSION,
                                 verdict);
    return call->session != NULL &&
           session_append(call->session, &call->opts, verdict);
}

static bool take_prefs(call_t *call, const bson_iter_t *at)
{
    bson_t view;

    value_look(at, &view);
    call->prefs = options_read_prefs(&view, call->run->verdict);
    return call->prefs != NULL;
}

static bool take_argument(call_t *call, const bson_iter_t *at)
{
    const char *name = bson_iter_key(at);

    switch (place_of(call->verb, name)) {
    case IS_POSITIONAL:
        return true;
    case IS_OPTION:
        if (strcmp(name, "session") == 0)
            return take_session(call, at);
        if (strcmp(name, "readPreference") == 0 &&
            call->run->setup->driver == DRIVER_RAW)
            return take_prefs(call, at);
        options_append(&call->opts, at);
        return true;
    case IS_UNKNOWN:
        break;
    }
    if (strcmp(name, "timeoutMS") == 0 || strcmp(name, "timeoutMode") == 0)
        return verdict_skip(call->run->verdict, "libmongoc 1.23 has no %s",
                            name);
    return verdict_fail(call->run->verdict, "%s has no argument \"%s\"",
                        call->verb->name, name);
}

static bool take_arguments(call_t *call)
{
    bson_iter_t at;

    if (!all_needed(call))
        return false;
    bson_iter_init(&at, &call->arguments);
    while (bson_iter_next(&at))
        if (!take_argument(call, &at))
            return false;
    return true;
}

bool call_view(const call_t *call, const char *name, bson_t *view)
{
    return value_view(&call->arguments, name, view);
}

/* ---- running --------------------------------------------------------- */

bool call_fail(call_t *call, const bson_error_t *error)
{
    result_fail(call->result, error);
    return true;
}

static bool take_error(call_t *call, const stator_future_t *future)
{
    const bson_t *reply = stator_future_reply(future);
    bson_error_t error;

    if (reply != NULL) {
        bson_destroy(&call->result->reply);
        bson_copy_to(reply, &call->result->reply);
    }
    if (!stator_future_error(future, &error))
        return true;
    result_fail(call->result, &error);
    if (call->result->by_client ==
        (stator_future_origin(future) == STATOR_ORIGIN_SERVER))
        return verdict_fail(call->run->verdict,
                            "the error's origin is not of its domain %u: %s",
                            error.domain, error.message);
    return true;
}

bool call_settle_by(call_t *call, stator_future_t *future, wait_mode_t mode)
{
    if (await_future(future, mode, call->run->setup->dispatcher,
                     call->run->verdict) &&
        take_error(call, future))
        return true;
    stator_future_unref(future);
    return false;
}

bool call_settle(call_t *call, stator_future_t *future)
{
    return call_settle_by(
        call, future, await_mode(call->run->setup->mode, &call->run->turn));
}

bool call_settle_close(call_t *call, stator_future_t *future)
{
    if (!call_settle(call, future))
        return false;
    call->result->failed = false;
    stator_future_unref(future);
    return true;
}

bool call_drain_raw(call_t *call, mongoc_cursor_t *cursor)
{
    bson_t all = BSON_INITIALIZER;
    const bson_t *document, *reply;
    bson_error_t error;
    uint32_t n = 0;

    while (mongoc_cursor_next(cursor, &document))
        value_push(&all, &n, document);
    result_set_array(call->result, &all);
    if (mongoc_cursor_error_document(cursor, &error, &reply)) {
        call_fail(call, &error);
        if (reply != NULL) {
            bson_destroy(&call->result->reply);
            bson_copy_to(reply, &call->result->reply);
        }
    }
    bson_destroy(&all);
    mongoc_cursor_destroy(cursor);
    return true;
}

/* Stator's cursors have four ways to the same documents; each way of waiting
 * goes one of them, so that the modes together try all. */
typedef struct gathered {
    bson_t all;
    uint32_t n;
} gathered_t;

static bool gather(const bson_t *document, void *arg)
{
    gathered_t *gathered = arg;

    value_push(&gathered->all, &gathered->n, document);
    return true;
}

/* The batch of a future; it takes the reference.  How many there were. */
static size_t gather_batch(gathered_t *gathered, stator_future_t *future)
{
    const bson_t *document;
    size_t i = 0;

    while ((document = stator_future_document_at(future, i)) != NULL) {
        gather(document, gathered);
        i++;
    }
    stator_future_unref(future);
    return i;
}

static bool drain_one_by_one(call_t *call, stator_cursor_t *cursor,
                             wait_mode_t mode, bool batches,
                             gathered_t *gathered)
{
    for (;;) {
        stator_future_t *future = batches ? stator_cursor_next_batch(cursor)
                                          : stator_cursor_next(cursor);

        if (!call_settle_by(call, future, mode))
            return false;
        if (gather_batch(gathered, future) == 0)
            return true;
    }
}

static bool drain(call_t *call, stator_cursor_t *cursor,
                  gathered_t *gathered)
{
    unsigned turn = call->run->turn;
    wait_mode_t mode = await_mode(call->run->setup->mode, &call->run->turn);
    stator_future_t *future;

    switch (mode) {
    case MODE_POLL:
        /* Two ways, by turns. */
        return drain_one_by_one(call, cursor, mode, turn % 2 == 1, gathered);
    case MODE_THEN:
        future = stator_cursor_each(cursor, call->run->setup->dispatcher,
                                    gather, gathered);
        if (!call_settle_by(call, future, mode))
            return false;
        stator_future_unref(future);
        return true;
    default:
        future = stator_cursor_to_list(cursor, 0);
        if (!call_settle_by(call, future, mode))
            return false;
        gather_batch(gathered, future);
        return true;
    }
}

bool call_drain(call_t *call, stator_cursor_t *cursor)
{
    gathered_t gathered = {.all = BSON_INITIALIZER};
    bool fine = drain(call, cursor, &gathered);

    result_set_array(call->result, &gathered.all);
    bson_destroy(&gathered.all);
    stator_cursor_unref(cursor);
    return fine;
}

/* ---- the whole ------------------------------------------------------- */

static bool find_object(call_t *call, const bson_t *operation)
{
    const char *object = value_utf8(operation, "object", "");
    const char *name = value_utf8(operation, "name", "");
    verdict_t *verdict = call->run->verdict;
    entity_kind_t kind = ENTITY_RUNNER;

    if (strcmp(object, "testRunner") != 0) {
        call->object = entities_find(&call->run->entities, object, verdict);
        if (call->object == NULL)
            return false;
        kind = call->object->kind;
    }
    call->verb = find_verb(name, kind);
    return call->verb != NULL ||
           verdict_fail(verdict, "a %s has no operation \"%s\"",
                        entity_kind_name(kind), name);
}

static verb_fn *function_of(const call_t *call)
{
    const verb_t *verb = call->verb;
    bool is_raw = call->run->setup->driver == DRIVER_RAW;
    verb_fn *fn = is_raw ? verb->raw : verb->stator;

    if (fn == NULL && verb->raw == NULL)
        verdict_skip(call->run->verdict, "%s", verb->lacks);
    else if (fn == NULL)
        verdict_skip(call->run->verdict, "Stator has no %s", verb->name);
    return fn;
}

static bool save(call_t *call, const bson_t *operation)
{
    const char *id = value_utf8(operation, "saveResultAsEntity", NULL);
    verdict_t *verdict = call->run->verdict;
    entity_t *entity = call->result->made;
    bson_iter_t at;

    if (id == NULL)
        return true;
    if (entity == NULL) {
        if (!value_find(&call->result->value, "v", &at))
            return verdict_fail(verdict, "%s gave nothing to be saved",
                                call->verb->name);
        entity = entity_new(ENTITY_VALUE, NULL);
        value_put(&entity->value, "v", &at);
        if (entities_adopt(&call->run->entities, id, entity, verdict))
            return true;
        entity_free(entity, call->run->setup);
        return false;
    }
    if (!entities_adopt(&call->run->entities, id, entity, verdict))
        return false;
    call->result->made = NULL;
    return true;
}

static bool run_and_check(call_t *call, const bson_t *operation)
{
    verb_fn *fn;

    if (!find_object(call, operation))
        return false;
    fn = function_of(call);
    if (fn == NULL || !take_arguments(call) || !fn(call))
        return false;
    if (value_bool(operation, "ignoreResultAndError", false))
        return true;
    return result_check(call->result, operation, call->verb->rule,
                        &call->run->entities, call->run->verdict) &&
           save(call, operation);
}

bool operation_run(run_t *run, const bson_t *operation, result_t *propagate)
{
    result_t own;
    call_t call = {.run = run,
                   .opts = BSON_INITIALIZER,
                   .result = propagate != NULL ? propagate : &own};
    bool fine;

    result_init(call.result);
    value_view(operation, "arguments", &call.arguments);
    fine = run_and_check(&call, operation);
    mongoc_read_prefs_destroy(call.prefs);
    bson_destroy(&call.opts);
    if (propagate == NULL)
        result_clear(&own, run->setup);
    return fine;
}
