/* SPDX-License-Identifier: Apache-2.0 */
/* exclusions.c - tests that are known to fail, and why. */
#include "tests/spec/exclusions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The field before the next bar, without the blanks around it; NULL: there is
 * none. */
static char *cut(char **rest, bool last)
{
    char *begin = *rest, *end;

    if (begin == NULL)
        return NULL;
    end = last ? NULL : strstr(begin, " | ");
    *rest = end == NULL ? NULL : end + 3;
    if (end == NULL)
        end = begin + strlen(begin);
    while (*begin == ' ')
        begin++;
    while (end > begin && (end[-1] == ' ' || end[-1] == '\n'))
        end--;
    return end == begin ? NULL : bson_strndup(begin, (size_t)(end - begin));
}

static bool known(const char *who)
{
    return who != NULL &&
           (strcmp(who, "driver") == 0 || strcmp(who, "server") == 0 ||
            strcmp(who, "stator") == 0 || strcmp(who, "crash") == 0);
}

static bool read_line(exclusions_t *exclusions, char *line)
{
    exclusion_t e = {0};

    if (*line == '#' || line[strspn(line, " \n")] == '\0')
        return true;
    e.who = cut(&line, false);
    e.file = cut(&line, false);
    e.test = cut(&line, false);
    e.reason = cut(&line, true);
    exclusions->list = bson_realloc(
        exclusions->list, (exclusions->n + 1) * sizeof exclusions->list[0]);
    exclusions->list[exclusions->n++] = e;
    return known(e.who) && e.reason != NULL;
}

bool exclusions_read(exclusions_t *exclusions, const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    int n = 0;
    bool fine = true;

    memset(exclusions, 0, sizeof *exclusions);
    if (file == NULL) {
        perror(path);
        return false;
    }
    while (fine && getline(&line, &room, file) >= 0) {
        n++;
        fine = read_line(exclusions, line);
    }
    if (!fine)
        fprintf(stderr, "%s:%d: not \"who | file | test | reason\"\n", path,
                n);
    free(line);
    fclose(file);
    return fine;
}

void exclusions_clear(exclusions_t *exclusions)
{
    size_t i;

    for (i = 0; i < exclusions->n; i++) {
        bson_free(exclusions->list[i].who);
        bson_free(exclusions->list[i].file);
        bson_free(exclusions->list[i].test);
        bson_free(exclusions->list[i].reason);
    }
    bson_free(exclusions->list);
}

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);

    return n >= m && strcmp(path + n - m, end) == 0 &&
           (n == m || path[n - m - 1] == '/');
}

static bool holds(const exclusion_t *e, const setup_t *setup,
                  const server_t *server)
{
    if (strcmp(e->who, "stator") == 0)
        return setup->driver == DRIVER_STATOR;
    return strcmp(e->who, "driver") == 0 || server->embedded;
}

bool exclusions_concern(const exclusion_t *exclusion, const setup_t *setup,
                        const server_t *server, const char *file)
{
    return ends_with(file, exclusion->file) &&
           holds(exclusion, setup, server);
}

exclusion_t *exclusions_find(exclusions_t *exclusions, const setup_t *setup,
                             const server_t *server, const char *file,
                             const char *test)
{
    size_t i;

    for (i = 0; i < exclusions->n; i++) {
        exclusion_t *e = &exclusions->list[i];

        if (exclusions_concern(e, setup, server, file) &&
            (strcmp(e->test, "*") == 0 || strcmp(e->test, test) == 0))
            return e;
    }
    return NULL;
}
