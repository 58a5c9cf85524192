/* SPDX-License-Identifier: Apache-2.0 */
/* wire_fail_point.c - configureFailPoint: a client writes a line of script. */
#include "tests/wire/wire_server.h"

#include <string.h>

enum { FAILED_TO_PARSE = 9 };

/* {configureFailPoint: ..., mode: M}; false when M is not understood. */
static bool parse_mode(const bson_t *command, wire_rule_t *rule, bool *off)
{
    bson_iter_t iter;
    bson_t mode;
    const char *word;

    *off = false;
    if (bson_iter_init_find(&iter, command, "mode") &&
        BSON_ITER_HOLDS_UTF8(&iter)) {
        word = bson_iter_utf8(&iter, NULL);
        *off = strcmp(word, "off") == 0;
        return *off || strcmp(word, "alwaysOn") == 0;
    }
    if (!wire_get_document(command, "mode", &mode))
        return false;
    if (bson_has_field(&mode, "times")) {
        rule->times = (int)wire_get_number(&mode, "times", 0);
        return rule->times > 0;
    }
    if (bson_has_field(&mode, "skip")) {
        rule->skip = (int)wire_get_number(&mode, "skip", 0);
        return rule->skip >= 0;
    }
    return false;
}

/* The strings of the array `key`, spaced; NULL when there is no such array. */
static char *join(const bson_t *data, const char *key)
{
    bson_string_t *out;
    bson_iter_t iter;
    bson_t array;

    if (!wire_get_document(data, key, &array))
        return NULL;
    out = bson_string_new(NULL);
    if (bson_iter_init(&iter, &array)) {
        while (bson_iter_next(&iter)) {
            if (BSON_ITER_HOLDS_UTF8(&iter))
                bson_string_append_printf(out, "%s%s", out->len ? " " : "",
                                          bson_iter_utf8(&iter, NULL));
        }
    }
    return bson_string_free(out, false);
}

static void parse_concern(const bson_t *data, wire_rule_t *rule)
{
    bson_t concern;
    bson_iter_t iter;

    if (!wire_get_document(data, "writeConcernError", &concern))
        return;
    rule->action = WIRE_CONCERN_ERROR;
    rule->code = (int)wire_get_number(&concern, "code", 0);
    if (bson_iter_init_find(&iter, &concern, "errmsg") &&
        BSON_ITER_HOLDS_UTF8(&iter))
        rule->message = bson_iter_utf8(&iter, NULL);
}

static void parse_data(const bson_t *data, wire_rule_t *rule)
{
    rule->message = "Failing command via 'failCommand' failpoint";
    parse_concern(data, rule);
    if (bson_has_field(data, "errorCode")) {
        rule->action = WIRE_ERROR;
        rule->code = (int)wire_get_number(data, "errorCode", 0);
    }
    if (wire_get_bool(data, "closeConnection"))
        rule->action = WIRE_CLOSE;
    if (wire_get_bool(data, "blockConnection"))
        rule->delay_ms = wire_get_number(data, "blockTimeMS", 0);
}

bool wire_fail_point_set(wire_script_t *script, const bson_t *command,
                         bson_t *reply)
{
    wire_rule_t rule = {0};
    wire_line_t *line = NULL;
    const char *reason = "mode is not understood";
    char *commands = NULL;
    char *labels = NULL;
    bool off;
    bson_t data;

    if (!parse_mode(command, &rule, &off))
        goto refuse;
    if (!off) {
        reason = "data.failCommands is missing";
        if (!wire_get_document(command, "data", &data))
            goto refuse;
        commands = join(&data, "failCommands");
        labels = join(&data, "errorLabels");
        if (commands == NULL)
            goto refuse;
        rule.command = commands;
        rule.labels = labels;
        parse_data(&data, &rule);
        line = wire_line_new(&rule, &reason);
        if (line == NULL)
            goto refuse;
        line->fail_point = true;
    }
    wire_line_unref(script->fail_point);
    script->fail_point = line;
    bson_free(commands);
    bson_free(labels);
    return true;

refuse:
    wire_reply_error(reply, FAILED_TO_PARSE, "configureFailPoint: %s", reason);
    bson_free(commands);
    bson_free(labels);
    return false;
}
