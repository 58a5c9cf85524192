/* SPDX-License-Identifier: Apache-2.0 */
/* wire_script.c - which rule applies to a command.
 *
 * R1  The first line that matches and has done its skipping applies, alone.
 * R2  A line that has applied `times` times leaves the script at once; what it
 *     was applied to keeps it alive until answered.
 * R3  The fail point is asked last: the test's own rules have their way. */
#include "tests/wire/wire_script.h"
#include "tests/wire/wire_server.h"

#include <stdio.h>
#include <string.h>

enum { DEFAULT_CODE = 8000, DUPLICATE_KEY = 11000, CONCERN_FAILED = 64 };

void wire_script_init(wire_script_t *script)
{
    memset(script, 0, sizeof *script);
    TAILQ_INIT(&script->lines);
}

void wire_line_unref(wire_line_t *line)
{
    wire_rule_t *rule;

    if (line == NULL || --line->refs > 0)
        return;
    rule = &line->rule;
    bson_free((char *)rule->command);
    bson_free((char *)rule->db);
    bson_free((char *)rule->collection);
    bson_free((char *)rule->message);
    bson_free((char *)rule->labels);
    bson_free((void *)rule->raw);
    if (rule->reply != NULL)
        bson_destroy((bson_t *)rule->reply);
    bson_free(line);
}

static void remove_line(wire_script_t *script, wire_line_t *line)
{
    TAILQ_REMOVE(&script->lines, line, link);
    wire_line_unref(line);
}

static void remove_all(wire_script_t *script)
{
    while (!TAILQ_EMPTY(&script->lines))
        remove_line(script, TAILQ_FIRST(&script->lines));
}

void wire_script_free(wire_script_t *script)
{
    remove_all(script);
    wire_line_unref(script->fail_point);
    bson_free(script->hits);
}

/* Why a rule cannot work; NULL: it can. */
static const char *objection(const wire_rule_t *rule)
{
    if ((unsigned)rule->action > WIRE_SILENCE)
        return "no such action";
    if (rule->skip < 0 || rule->times < 0)
        return "skip or times is negative";
    if (rule->delay_ms < 0 || rule->drip_ms < 0)
        return "delay_ms or drip_ms is negative";
    if (rule->command != NULL && rule->command[strspn(rule->command, " ")] == 0)
        return "command names none";
    if (rule->action == WIRE_REPLY && !rule->reply && !rule->reply_json)
        return "REPLY without reply or reply_json";
    if (rule->action == WIRE_RAW && (!rule->raw || rule->raw_size == 0))
        return "RAW without raw and raw_size";
    if (rule->action == WIRE_REWRITE && rule->rewrite == NULL)
        return "REWRITE without rewrite";
    return NULL;
}

/* "isMaster  find" becomes "hello find". */
static char *canonical_names(const char *names)
{
    bson_string_t *out = bson_string_new(NULL);
    char *copy = bson_strdup(names);
    char *rest = copy;
    char *name;

    while ((name = strtok_r(rest, " ", &rest)) != NULL) {
        if (out->len > 0)
            bson_string_append(out, " ");
        bson_string_append(out, wire_canonical_name(name));
    }
    bson_free(copy);
    return bson_string_free(out, false);
}

static int default_code(wire_action_t action)
{
    switch (action) {
    case WIRE_WRITE_ERROR:
        return DUPLICATE_KEY;
    case WIRE_CONCERN_ERROR:
        return CONCERN_FAILED;
    default:
        return DEFAULT_CODE;
    }
}

wire_line_t *wire_line_new(const wire_rule_t *rule, const char **reason)
{
    wire_line_t *line;
    bson_t *reply = NULL;

    *reason = objection(rule);
    if (*reason != NULL)
        return NULL;
    if (rule->reply != NULL) {
        reply = bson_copy(rule->reply);
    } else if (rule->reply_json != NULL) {
        reply = bson_new_from_json((const uint8_t *)rule->reply_json, -1, NULL);
        if (reply == NULL) {
            *reason = "reply_json is not JSON";
            return NULL;
        }
    }
    line = bson_malloc0(sizeof *line);
    line->refs = 1;
    line->rule = *rule;
    line->rule.reply = reply;
    line->rule.reply_json = NULL;
    line->rule.command = rule->command ? canonical_names(rule->command) : NULL;
    line->rule.db = bson_strdup(rule->db);
    line->rule.collection = bson_strdup(rule->collection);
    line->rule.message = bson_strdup(rule->message ? rule->message
                                                   : "scripted failure");
    line->rule.labels = bson_strdup(rule->labels);
    line->rule.raw = NULL;
    if (rule->raw_size > 0 && rule->raw != NULL) {
        line->rule.raw = bson_malloc(rule->raw_size);
        memcpy((void *)line->rule.raw, rule->raw, rule->raw_size);
    }
    if (rule->code == 0)
        line->rule.code = default_code(rule->action);
    return line;
}

/* Is `name` one of the spaced `names`? */
static bool is_among(const char *names, const char *name)
{
    size_t length = strlen(name);

    while (*names != '\0') {
        size_t n = strcspn(names, " ");

        if (n == length && strncmp(names, name, n) == 0)
            return true;
        names += n;
        names += strspn(names, " ");
    }
    return false;
}

static bool predicate_agrees(const wire_rule_t *rule,
                             const wire_request_t *request)
{
    wire_command_t command;
    bool agrees;

    if (rule->predicate == NULL)
        return true;
    wire_request_describe(request, &command);
    agrees = rule->predicate(&command, rule->arg);
    wire_command_clear(&command);
    return agrees;
}

static bool matches(const wire_rule_t *rule, const wire_request_t *request)
{
    if (rule->command == NULL) {
        if (request->hello)
            return false;
    } else if (strcmp(rule->command, "*") != 0 &&
               !is_among(rule->command, request->name)) {
        return false;
    }
    if (rule->db != NULL && strcmp(rule->db, request->db) != 0)
        return false;
    if (rule->collection != NULL &&
        strcmp(rule->collection, request->collection) != 0)
        return false;
    if (rule->connection != 0 && rule->connection != request->connection->id)
        return false;
    return predicate_agrees(rule, request);
}

/* Does the line, which matches, apply this time? */
static bool hit(wire_line_t *line)
{
    if (line->skipped < line->rule.skip) {
        line->skipped++;
        return false;
    }
    line->hits++;
    return true;
}

static bool used_up(const wire_line_t *line)
{
    return line->rule.times > 0 && line->hits >= line->rule.times;
}

wire_line_t *wire_script_pick(wire_script_t *script, wire_request_t *request)
{
    wire_line_t *line;

    TAILQ_FOREACH(line, &script->lines, link)
    {
        if (!matches(&line->rule, request) || !hit(line))
            continue;
        script->hits[line->number - 1]++;
        line->refs++;
        if (used_up(line))
            remove_line(script, line);
        return line;
    }
    line = script->fail_point;
    if (line == NULL || !matches(&line->rule, request) || !hit(line))
        return NULL;
    line->refs++;
    if (used_up(line)) {
        script->fail_point = NULL;
        wire_line_unref(line);
    }
    return line;
}

/* -------------------------------------------------- what the tests may call */

int wire_rule_add(wire_server_t *server, const wire_rule_t *rule)
{
    wire_script_t *script = &server->script;
    const char *reason;
    wire_line_t *line = wire_line_new(rule, &reason);
    int number;

    if (line == NULL) {
        fprintf(stderr, "wire: rule refused: %s\n", reason);
        return 0;
    }
    pthread_mutex_lock(&server->lock);
    number = line->number = ++script->n_rules;
    script->hits = bson_realloc(script->hits,
                                (size_t)number * sizeof *script->hits);
    script->hits[number - 1] = 0;
    TAILQ_INSERT_TAIL(&script->lines, line, link);
    pthread_mutex_unlock(&server->lock);
    return number;
}

void wire_rule_remove(wire_server_t *server, int rule)
{
    wire_line_t *line;

    pthread_mutex_lock(&server->lock);
    TAILQ_FOREACH(line, &server->script.lines, link)
    {
        if (line->number == rule) {
            remove_line(&server->script, line);
            break;
        }
    }
    pthread_mutex_unlock(&server->lock);
}

void wire_rule_remove_all(wire_server_t *server)
{
    pthread_mutex_lock(&server->lock);
    remove_all(&server->script);
    wire_line_unref(server->script.fail_point);
    server->script.fail_point = NULL;
    pthread_mutex_unlock(&server->lock);
}

int64_t wire_rule_hits(wire_server_t *server, int rule)
{
    int64_t hits = 0;

    pthread_mutex_lock(&server->lock);
    if (rule > 0 && rule <= server->script.n_rules)
        hits = server->script.hits[rule - 1];
    pthread_mutex_unlock(&server->lock);
    return hits;
}
