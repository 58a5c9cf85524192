/* SPDX-License-Identifier: Apache-2.0 */
/* wire_collection.c - what the test says there is to be found. */
#include "tests/wire/wire_collection.h"
#include "tests/wire/wire_server.h"

#include <string.h>

static void remove_at(wire_collections_t *collections, size_t i)
{
    bson_free(collections->list[i].ns);
    collections->list[i] = collections->list[--collections->size];
}

void wire_collections_free(wire_collections_t *collections)
{
    while (collections->size > 0)
        remove_at(collections, collections->size - 1);
    bson_free(collections->list);
}

/* Is `ns` `db`.`name`?  NULL `name`: any of that database. */
static bool is_called(const char *ns, const char *db, const char *name)
{
    size_t length = strlen(db);

    return strncmp(ns, db, length) == 0 && ns[length] == '.' &&
           (name == NULL || strcmp(ns + length + 1, name) == 0);
}

bool wire_collections_get(const wire_collections_t *collections,
                          const char *db, const char *name,
                          wire_content_t *out)
{
    for (size_t i = 0; i < collections->size; i++) {
        if (is_called(collections->list[i].ns, db, name)) {
            *out = collections->list[i].content;
            return true;
        }
    }
    memset(out, 0, sizeof *out);
    out->n = collections->documents;
    return false;
}

int wire_collections_drop(wire_collections_t *collections, const char *db,
                          const char *name)
{
    int dropped = 0;

    for (size_t i = collections->size; i > 0; i--) {
        if (is_called(collections->list[i - 1].ns, db, name)) {
            remove_at(collections, i - 1);
            dropped++;
        }
    }
    return dropped;
}

void wire_content_make(const wire_content_t *content, int64_t i, bson_t *out)
{
    bson_init(out);
    if (content->make != NULL)
        content->make(i, out, content->arg);
    else
        BSON_APPEND_INT32(out, "_id", (int32_t)i);
}

bool wire_filter_id(const bson_t *filter, bson_iter_t *id)
{
    bson_iter_t inner;

    if (filter == NULL || !bson_iter_init_find(id, filter, "_id"))
        return false;
    if (BSON_ITER_HOLDS_REGEX(id))
        return false;
    if (BSON_ITER_HOLDS_DOCUMENT(id) && bson_iter_recurse(id, &inner) &&
        bson_iter_next(&inner) && bson_iter_key(&inner)[0] == '$')
        return false; /* an operator: ignored */
    return true;
}

static bool is_number(const bson_iter_t *iter)
{
    return BSON_ITER_HOLDS_INT32(iter) || BSON_ITER_HOLDS_INT64(iter) ||
           BSON_ITER_HOLDS_DOUBLE(iter);
}

static bool same_value(bson_iter_t *a, bson_iter_t *b)
{
    bson_t left = BSON_INITIALIZER;
    bson_t right = BSON_INITIALIZER;
    bool same;

    if (is_number(a) && is_number(b))
        return bson_iter_as_double(a) == bson_iter_as_double(b);
    bson_append_iter(&left, "", 0, a);
    bson_append_iter(&right, "", 0, b);
    same = bson_equal(&left, &right);
    bson_destroy(&left);
    bson_destroy(&right);
    return same;
}

static bool has_id(const wire_content_t *content, int64_t i, bson_iter_t *id)
{
    bson_t document;
    bson_iter_t iter;
    bool has;

    wire_content_make(content, i, &document);
    has = bson_iter_init_find(&iter, &document, "_id") && same_value(&iter, id);
    bson_destroy(&document);
    return has;
}

void wire_content_select(const wire_content_t *content, const bson_t *filter,
                         int64_t *first, int64_t *end)
{
    bson_iter_t id;
    int64_t i;

    *first = 0;
    *end = content->n;
    if (!wire_filter_id(filter, &id))
        return;
    /* Where document i likely has the _id i, look there first. */
    i = is_number(&id) ? bson_iter_as_int64(&id) : 0;
    if (i < 0 || i >= content->n || !has_id(content, i, &id)) {
        if (content->make == NULL)
            i = content->n;
        else
            for (i = 0; i < content->n && !has_id(content, i, &id); i++)
                continue;
    }
    *first = i;
    *end = i < content->n ? i + 1 : i;
}

/* -------------------------------------------------- what the tests may call */

void wire_collection(wire_server_t *server, const char *ns, int64_t n,
                     wire_make_fn *make, void *arg)
{
    wire_collections_t *collections = &server->collections;
    wire_collection_t *found = NULL;

    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < collections->size; i++) {
        if (strcmp(collections->list[i].ns, ns) == 0)
            found = &collections->list[i];
    }
    if (found == NULL) {
        collections->list =
            bson_realloc(collections->list,
                         (collections->size + 1) * sizeof *found);
        found = &collections->list[collections->size++];
        found->ns = bson_strdup(ns);
    }
    found->content.n = n;
    found->content.make = make;
    found->content.arg = arg;
    pthread_mutex_unlock(&server->lock);
}
