/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - a test file: read, checked, and all its tests run. */
#include "tests/spec/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/spec/run.h"
#include "tests/spec/schema.h"
#include "tests/spec/value.h"

/* ---- reading --------------------------------------------------------- */

/* The whole file as text: malloc'ed; NULL with errno. */
static char *slurp(const char *path)
{
    FILE *in = fopen(path, "r");
    char *text = NULL;
    size_t room = 0, n = 0, got;

    if (in == NULL)
        return NULL;
    do {
        room += 64 * 1024;
        text = bson_realloc(text, room + 1);
        got = fread(text + n, 1, room - n, in);
        n += got;
    } while (n == room);
    text[n] = '\0';
    fclose(in);
    return text;
}

/* Folders hold others, too: data of other formats' tests. */
static bool is_foreign(const file_t *file, const char *text)
{
    return file->was_found && !file->must_fail &&
           strstr(text, "\"schemaVersion\"") == NULL;
}

static bson_t *parse(const file_t *file, verdict_t *verdict)
{
    char *text = slurp(file->path);
    bson_error_t error;
    bson_t *document;

    if (text == NULL) {
        verdict_fail(verdict, "%s", strerror(errno));
        return NULL;
    }
    if (is_foreign(file, text)) {
        verdict_skip(verdict, "not of the format: it has no schemaVersion");
        bson_free(text);
        return NULL;
    }
    document = bson_new_from_json((const uint8_t *)text, -1, &error);
    if (document == NULL)
        verdict_fail(verdict, "no JSON: %s", error.message);
    bson_free(text);
    return document;
}

/* The names of the databases that the file makes for itself. */
static void gather(const bson_t *list, const char *wrapper, bson_t *names)
{
    bson_t view, inner;
    bson_iter_t at;

    bson_iter_init(&at, list);
    while (bson_iter_next(&at)) {
        const char *name;

        value_look(&at, &view);
        if (wrapper != NULL && value_view(&view, wrapper, &inner))
            name = value_utf8(&inner, "databaseName", NULL);
        else
            name = value_utf8(&view, "databaseName", NULL);
        if (name != NULL && strcmp(name, "admin") != 0 &&
            strcmp(name, "config") != 0 && !value_has_word(names, name))
            bson_append_utf8(names, name, -1, name, -1);
    }
}

static bson_t *renamed(bson_t *document, const char *suffix)
{
    bson_t names = BSON_INITIALIZER, list, *copy = bson_new();

    value_view(document, "createEntities", &list);
    gather(&list, "database", &names);
    value_view(document, "initialData", &list);
    gather(&list, NULL, &names);
    value_rename(document, copy, &names, suffix);
    bson_destroy(document);
    bson_destroy(&names);
    return copy;
}

/* ---- telling --------------------------------------------------------- */

static void tell(file_t *file, const char *test, const verdict_t *verdict)
{
    told_t *told;

    switch (verdict->kind) {
    case VERDICT_PASSED:
        file->passed++;
        return;
    case VERDICT_FAILED:
        file->failed++;
        break;
    case VERDICT_SKIPPED:
        file->skipped++;
        break;
    }
    told = bson_malloc0(sizeof *told);
    told->test = test == NULL ? NULL : bson_strdup(test);
    told->verdict = *verdict;
    *file->end = told;
    file->end = &told->next;
}

/* A failure where one is due is as it should be, and the other way round. */
static void turn_round(verdict_t *verdict)
{
    if (verdict->kind == VERDICT_FAILED) {
        verdict->kind = VERDICT_PASSED;
    } else if (verdict->kind == VERDICT_PASSED) {
        verdict_fail(verdict, "it must fail, and has passed");
    }
}

static void excuse(verdict_t *verdict, const exclusion_t *exclusion)
{
    if (verdict->kind == VERDICT_FAILED) {
        verdict->kind = VERDICT_PASSED;
        verdict_skip(verdict, "known to fail (%s): %s", exclusion->who,
                     exclusion->reason);
    } else if (verdict->kind == VERDICT_PASSED) {
        verdict_fail(verdict, "is excluded (%s), and passes: take it off the "
                              "list",
                     exclusion->reason);
    }
}

/* ---- running --------------------------------------------------------- */

static void run_one(file_t *file, const setup_t *setup,
                    const server_t *server, mongoc_client_t *internal,
                    exclusions_t *exclusions, const bson_t *document,
                    const bson_t *test)
{
    const char *name = value_utf8(test, "description", "?");
    verdict_t verdict = {.kind = VERDICT_PASSED};
    exclusion_t *exclusion =
        exclusions_find(exclusions, setup, server, file->path, name);

    if (exclusion != NULL)
        exclusion->met = true;
    if (exclusion != NULL && strcmp(exclusion->who, "crash") == 0)
        verdict_skip(&verdict, "not run: %s", exclusion->reason);
    else
        run_test(setup, server, internal, document, test, &verdict);
    if (file->must_fail)
        turn_round(&verdict);
    else if (exclusion != NULL)
        excuse(&verdict, exclusion);
    tell(file, name, &verdict);
}

static void find_stale(file_t *file, const setup_t *setup,
                       const server_t *server, const exclusions_t *exclusions)
{
    size_t i;

    for (i = 0; i < exclusions->n; i++) {
        const exclusion_t *e = &exclusions->list[i];
        verdict_t verdict = {.kind = VERDICT_PASSED};

        if (!exclusions_concern(e, setup, server, file->path) || e->met)
            continue;
        verdict_fail(&verdict, "is excluded, and there is no such test");
        tell(file, e->test, &verdict);
    }
}

void file_run(file_t *file, const setup_t *setup, const server_t *server,
              mongoc_client_t *internal, exclusions_t *exclusions,
              const char *suffix)
{
    verdict_t verdict = {.kind = VERDICT_PASSED};
    bson_t *document, tests, test;
    bson_iter_t at;

    file->end = &file->told;
    document = parse(file, &verdict);
    if (document == NULL || !schema_check(document, &verdict)) {
        if (file->must_fail)
            turn_round(&verdict);
        tell(file, NULL, &verdict);
        if (document != NULL)
            bson_destroy(document);
        return;
    }
    if (suffix != NULL)
        document = renamed(document, suffix);
    value_view(document, "tests", &tests);
    bson_iter_init(&at, &tests);
    while (bson_iter_next(&at)) {
        value_look(&at, &test);
        run_one(file, setup, server, internal, exclusions, document, &test);
    }
    find_stale(file, setup, server, exclusions);
    bson_destroy(document);
}

bool file_is_selfish(const file_t *file)
{
    char *text = slurp(file->path);
    bool selfish = text != NULL && (strstr(text, "ailPoint") != NULL ||
                                    strstr(text, "killAllSessions") != NULL);

    bson_free(text);
    return selfish;
}

void file_clear(file_t *file)
{
    told_t *told, *next;

    for (told = file->told; told != NULL; told = next) {
        next = told->next;
        bson_free(told->test);
        bson_free(told);
    }
    bson_free(file->path);
}
