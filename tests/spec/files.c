/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - the test files below some paths, in order of name. */
#include "tests/spec/files.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>

/* Below a folder that may hold other things: one of the tests of strictness,
 * even if it was named, holds nothing but tests. */
static bool was_found(const FTSENT *entry)
{
    return entry->fts_level > FTS_ROOTLEVEL &&
           strstr(entry->fts_path, "/valid-fail/") == NULL &&
           strstr(entry->fts_path, "/invalid/") == NULL;
}

static void add(files_t *files, const FTSENT *entry, bool must_fail)
{
    file_t *file;

    files->list = bson_realloc(files->list,
                               (files->n + 1) * sizeof files->list[0]);
    file = &files->list[files->n++];
    memset(file, 0, sizeof *file);
    file->path = bson_strdup(entry->fts_path);
    file->was_found = was_found(entry);
    file->must_fail = must_fail;
}

static bool is_test(const char *name)
{
    size_t n = strlen(name);

    return n > 5 && strcmp(name + n - 5, ".json") == 0;
}

static bool is_strictness(const char *folder)
{
    return strcmp(folder, "valid-fail") == 0 || strcmp(folder, "invalid") == 0;
}

/* Is this one of those that must fail, and was not asked for by name? */
static bool must_fail(const FTSENT *entry)
{
    const FTSENT *up;

    if (entry->fts_level == FTS_ROOTLEVEL)
        return false;
    if (strncmp(entry->fts_name, "invalid-", 8) == 0 &&
        strcmp(entry->fts_parent->fts_name, "unified-test-format") == 0)
        return true;
    for (up = entry->fts_parent; up->fts_level > FTS_ROOTLEVEL;
         up = up->fts_parent)
        if (is_strictness(up->fts_name))
            return true;
    return false;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

bool files_find(files_t *files, const char *path)
{
    char *paths[] = {(char *)path, NULL};
    FTS *tree = fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    size_t before = files->n;
    FTSENT *entry;
    int error = 0;

    while (tree != NULL && (entry = fts_read(tree)) != NULL) {
        if (entry->fts_info == FTS_F &&
            (is_test(entry->fts_name) || entry->fts_level == FTS_ROOTLEVEL))
            add(files, entry, must_fail(entry));
        else if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS ||
                 entry->fts_info == FTS_DNR)
            error = entry->fts_errno;
    }
    if (tree != NULL)
        fts_close(tree);
    if (error != 0 || files->n == before) {
        fprintf(stderr, "spec_runner: %s: %s\n", path,
                error != 0 ? strerror(error) : "no test file is there");
        return false;
    }
    return true;
}

void files_clear(files_t *files)
{
    size_t i;

    for (i = 0; i < files->n; i++)
        file_clear(&files->list[i]);
    bson_free(files->list);
}
