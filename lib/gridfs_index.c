/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_index.c - making sure of a bucket's indexes.  The picture is in
 * gridfs_index.h. */
#include "lib/gridfs_index.h"

#include <string.h>

#include "lib/document.h"
#include "lib/models.h"

enum { NAMESPACE_NOT_FOUND = 26 }; /* an error of the server's */

static const char *const keys_of[2][2] = {
    {"filename", "uploadDate"},
    {"files_id", "n"},
};

static struct stl_handle *collection(const struct stl_index *x,
                                     const struct stl_call *c)
{
    return x->of_chunks ? c->bucket->chunks : c->bucket->files;
}

static stator_future_t *look(struct stl_call *c)
{
    bson_t more = BSON_INITIALIZER, part, all = BSON_INITIALIZER;
    struct stl_request r;

    BSON_APPEND_DOCUMENT_BEGIN(&more, "projection", &part);
    BSON_APPEND_INT32(&part, "_id", 1);
    bson_append_document_end(&more, &part);
    BSON_APPEND_DOCUMENT_BEGIN(&more, "readPreference", &part);
    BSON_APPEND_UTF8(&part, "mode", "primary");
    bson_append_document_end(&more, &part);
    stl_call_begin(c, &r, &stc_verb_find_one, c->bucket->files, &more,
                   STL_OPERATION);
    stl_request_copy(&r, &all);
    bson_destroy(&more);
    return stl_call_submit(c, &r);
}

static stator_future_t *list(struct stl_index *x, struct stl_call *c)
{
    struct stl_request r;

    stl_call_begin(c, &r, &stc_verb_list_indexes, collection(x, c), NULL,
                   STL_CURSOR);
    return stl_call_fetch(c, &r);
}

static stator_future_t *make(struct stl_index *x, struct stl_call *c)
{
    bson_t model = BSON_INITIALIZER, key;
    struct stl_request r;

    BSON_APPEND_DOCUMENT_BEGIN(&model, "key", &key);
    BSON_APPEND_INT32(&key, keys_of[x->of_chunks][0], 1);
    BSON_APPEND_INT32(&key, keys_of[x->of_chunks][1], 1);
    bson_append_document_end(&model, &key);
    if (x->of_chunks)
        BSON_APPEND_BOOL(&model, "unique", true);
    stl_call_begin(c, &r, &stc_verb_create_indexes, collection(x, c), NULL,
                   STL_OPERATION);
    stl_request_index_model(&r, &model, 0);
    bson_destroy(&model);
    return stl_call_submit(c, &r);
}

/* {filename: 1, uploadDate: 1}, of whatever numbers. */
static bool is_ours(const bson_t *document, const char *const *keys)
{
    bson_iter_t i, key;
    unsigned n = 0;
    int64_t order;

    if (!bson_iter_init_find(&i, document, "key") ||
        !BSON_ITER_HOLDS_DOCUMENT(&i) || !bson_iter_recurse(&i, &key))
        return false;
    while (bson_iter_next(&key)) {
        if (n == 2 || strcmp(bson_iter_key(&key), keys[n++]) != 0 ||
            !stl_value_as_int64(&key, &order) || order != 1)
            return false;
    }
    return n == 2;
}

static bool is_there(const struct stl_index *x, const stator_future_t *listed)
{
    int64_t n = stator_future_count(listed);

    for (int64_t i = 0; i < n; i++)
        if (is_ours(stator_future_document_at(listed, (size_t)i),
                    keys_of[x->of_chunks]))
            return true;
    return false;
}

static stator_future_t *next_list(struct stl_index *x, struct stl_call *c)
{
    if (x->of_chunks) {
        x->step = STL_INDEX_MADE;
        return NULL;
    }
    x->of_chunks = true;
    x->step = STL_INDEX_LIST;
    return list(x, c);
}

stator_future_t *stl_index_next(struct stl_index *x, struct stl_call *c,
                                stator_future_t *settled, bool *failed)
{
    bool is_missing = x->step == STL_INDEX_LIST &&
                      stl_server_code(settled) == NAMESPACE_NOT_FOUND;

    *failed = x->step != STL_INDEX_START && !is_missing &&
              !stl_is_done(settled);
    if (*failed)
        return NULL;
    switch (x->step) {
    case STL_INDEX_START:
        x->of_chunks = false;
        x->step = STL_INDEX_LOOK;
        return look(c);
    case STL_INDEX_LOOK:
        x->step = STL_INDEX_MADE;
        if (stator_future_document(settled) != NULL)
            return NULL;
        x->step = STL_INDEX_LIST;
        return list(x, c);
    case STL_INDEX_LIST:
        if (!is_missing && is_there(x, settled))
            return next_list(x, c);
        x->step = STL_INDEX_MAKE;
        return make(x, c);
    default:
        return next_list(x, c);
    }
}
