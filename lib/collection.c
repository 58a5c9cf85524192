/* SPDX-License-Identifier: Apache-2.0 */
/* lib/collection.c - the verbs of a collection: check, copy, submit. */
#include <stator/collection.h>

#include "lib/handle.h"
#include "lib/models.h"
#include "lib/request.h"

static void begin(struct stl_request *r, const char *subject,
                  const struct stc_verb *verb,
                  stator_collection_t *collection, const bson_t *opts)
{
    stl_request_begin(r, subject, verb,
                      collection == NULL ? NULL : &collection->handle, opts,
                      STL_OPERATION);
}

static void begin_cursor(struct stl_request *r, const char *subject,
                         const struct stc_verb *verb,
                         stator_collection_t *collection, const bson_t *opts)
{
    stl_request_begin(r, subject, verb,
                      collection == NULL ? NULL : &collection->handle, opts,
                      STL_CURSOR);
}

/* ---- the handle -------------------------------------------------------- */

stator_collection_t *stator_collection_ref(stator_collection_t *collection)
{
    if (collection != NULL)
        stl_handle_ref(&collection->handle);
    return collection;
}

void stator_collection_unref(stator_collection_t *collection)
{
    if (collection != NULL)
        stl_handle_unref(&collection->handle);
}

stator_collection_t *
stator_collection_with_opts(stator_collection_t *collection,
                            const bson_t *opts, bson_error_t *error)
{
    struct stl_handle *h = stl_handle_with_opts(
        collection == NULL ? NULL : &collection->handle,
        "collection.with_opts", opts, error);

    return stl_collection_of(h);
}

const char *stator_collection_get_name(const stator_collection_t *collection)
{
    const char *name = NULL;

    if (collection != NULL && collection->handle.target != NULL)
        name = stc_target_name(collection->handle.target);
    return name == NULL ? "" : name;
}

/* ---- writes ------------------------------------------------------------ */

stator_future_t *stator_collection_insert_one(stator_collection_t *collection,
                                              const bson_t *document,
                                              const bson_t *opts)
{
    struct stl_request r;

    begin(&r, "collection.insert_one", &stc_verb_insert_one, collection,
          opts);
    if (stl_request_check(&r, STL_LABEL("document"), document))
        stl_request_copy_with_id(&r, document);
    return stl_request_submit(&r);
}

stator_future_t *
stator_collection_insert_many(stator_collection_t *collection,
                              const bson_t **documents, size_t n,
                              const bson_t *opts)
{
    struct stl_request r;
    size_t size = 0;

    begin(&r, "collection.insert_many", &stc_verb_insert_many, collection,
          opts);
    if (!stl_request_check_array(&r, "documents", documents, n))
        return stl_request_submit(&r);
    for (size_t i = 0; i < n; i++) {
        if (!stl_request_check(
                &r, (struct stl_label){"documents", (int64_t)i},
                documents[i]))
            return stl_request_submit(&r);
        size += stl_document_size_with_id(documents[i]);
    }
    stl_request_reserve(&r, size);
    for (size_t i = 0; i < n; i++)
        stl_request_copy_with_id(&r, documents[i]);
    return stl_request_submit(&r);
}

STL_PART stator_future_t *update(stator_collection_t *collection,
                                 const char *subject,
                                 const struct stc_verb *verb,
                                 const bson_t *selector, const bson_t *update,
                                 const bson_t *opts)
{
    struct stl_request r;

    begin(&r, subject, verb, collection, opts);
    stl_request_document(&r, "selector", selector);
    stl_request_update(&r, update);
    return stl_request_submit(&r);
}

stator_future_t *stator_collection_update_one(stator_collection_t *collection,
                                              const bson_t *selector,
                                              const bson_t *u,
                                              const bson_t *opts)
{
    return update(collection, "collection.update_one", &stc_verb_update_one,
                  selector, u, opts);
}

stator_future_t *
stator_collection_update_many(stator_collection_t *collection,
                              const bson_t *selector, const bson_t *u,
                              const bson_t *opts)
{
    return update(collection, "collection.update_many", &stc_verb_update_many,
                  selector, u, opts);
}

stator_future_t *
stator_collection_find_one_and_update(stator_collection_t *collection,
                                      const bson_t *selector, const bson_t *u,
                                      const bson_t *opts)
{
    return update(collection, "collection.find_one_and_update",
                  &stc_verb_find_one_and_update, selector, u, opts);
}

STL_PART stator_future_t *replace(stator_collection_t *collection,
                                  const char *subject,
                                  const struct stc_verb *verb,
                                  const bson_t *selector,
                                  const bson_t *replacement, const bson_t *opts)
{
    struct stl_request r;

    begin(&r, subject, verb, collection, opts);
    stl_request_document(&r, "selector", selector);
    stl_request_replacement(&r, replacement);
    return stl_request_submit(&r);
}

stator_future_t *
stator_collection_replace_one(stator_collection_t *collection,
                              const bson_t *selector,
                              const bson_t *replacement, const bson_t *opts)
{
    return replace(collection, "collection.replace_one",
                   &stc_verb_replace_one, selector, replacement, opts);
}

stator_future_t *
stator_collection_find_one_and_replace(stator_collection_t *collection,
                                       const bson_t *selector,
                                       const bson_t *replacement,
                                       const bson_t *opts)
{
    return replace(collection, "collection.find_one_and_replace",
                   &stc_verb_find_one_and_replace, selector, replacement,
                   opts);
}

STL_PART stator_future_t *remove_by(stator_collection_t *collection,
                                    const char *subject,
                                    const struct stc_verb *verb,
                                    const bson_t *selector,
                                    const bson_t *opts)
{
    struct stl_request r;

    begin(&r, subject, verb, collection, opts);
    stl_request_document(&r, "selector", selector);
    return stl_request_submit(&r);
}

stator_future_t *stator_collection_delete_one(stator_collection_t *collection,
                                              const bson_t *selector,
                                              const bson_t *opts)
{
    return remove_by(collection, "collection.delete_one", &stc_verb_delete_one,
                   selector, opts);
}

stator_future_t *
stator_collection_delete_many(stator_collection_t *collection,
                              const bson_t *selector, const bson_t *opts)
{
    return remove_by(collection, "collection.delete_many",
                   &stc_verb_delete_many, selector, opts);
}

stator_future_t *
stator_collection_find_one_and_delete(stator_collection_t *collection,
                                      const bson_t *selector,
                                      const bson_t *opts)
{
    return remove_by(collection, "collection.find_one_and_delete",
                   &stc_verb_find_one_and_delete, selector, opts);
}

stator_future_t *stator_collection_bulk_write(stator_collection_t *collection,
                                              const bson_t **models, size_t n,
                                              const bson_t *opts)
{
    struct stl_request r;

    begin(&r, "collection.bulk_write", &stc_verb_bulk_write, collection,
          opts);
    if (stl_request_check_array(&r, "models", models, n))
        for (size_t i = 0; i < n && stl_request_is_sound(&r); i++)
            stl_request_write_model(&r, models[i], i);
    return stl_request_submit(&r);
}

/* ---- reads ------------------------------------------------------------- */

stator_future_t *stator_collection_find_one(stator_collection_t *collection,
                                            const bson_t *filter,
                                            const bson_t *opts)
{
    struct stl_request r;

    begin(&r, "collection.find_one", &stc_verb_find_one, collection, opts);
    stl_request_filter(&r, filter);
    return stl_request_submit(&r);
}

stator_cursor_t *stator_collection_find(stator_collection_t *collection,
                                        const bson_t *filter,
                                        const bson_t *opts)
{
    struct stl_request r;

    begin_cursor(&r, "collection.find", &stc_verb_find, collection, opts);
    stl_request_filter(&r, filter);
    return stl_request_open(&r);
}

stator_cursor_t *stator_collection_aggregate(stator_collection_t *collection,
                                             const bson_t *pipeline,
                                             const bson_t *opts)
{
    struct stl_request r;

    begin_cursor(&r, "collection.aggregate", &stc_verb_aggregate, collection,
                 opts);
    stl_request_pipeline(&r, pipeline);
    return stl_request_open(&r);
}

stator_future_t *
stator_collection_count_documents(stator_collection_t *collection,
                                  const bson_t *filter, const bson_t *opts)
{
    struct stl_request r;

    begin(&r, "collection.count_documents", &stc_verb_count_documents,
          collection, opts);
    stl_request_filter(&r, filter);
    return stl_request_submit(&r);
}

stator_future_t *
stator_collection_estimated_document_count(stator_collection_t *collection,
                                           const bson_t *opts)
{
    struct stl_request r;

    begin(&r, "collection.estimated_document_count",
          &stc_verb_estimated_document_count, collection, opts);
    return stl_request_submit(&r);
}

stator_future_t *stator_collection_distinct(stator_collection_t *collection,
                                            const char *key,
                                            const bson_t *filter,
                                            const bson_t *opts)
{
    struct stl_request r;

    begin(&r, "collection.distinct", &stc_verb_distinct, collection, opts);
    stl_request_text(&r, "key", "key", key);
    stl_request_filter(&r, filter);
    return stl_request_submit(&r);
}

/* ---- indexes, and the collection itself -------------------------------- */

STL_PART stator_future_t *create_indexes(stator_collection_t *collection,
                                         const char *subject,
                                         const bson_t **models, size_t n,
                                         const bson_t *opts)
{
    struct stl_request r;

    begin(&r, subject, &stc_verb_create_indexes, collection, opts);
    if (stl_request_check_array(&r, "models", models, n))
        for (size_t i = 0; i < n && stl_request_is_sound(&r); i++)
            stl_request_index_model(&r, models[i], i);
    return stl_request_submit(&r);
}

stator_future_t *
stator_collection_create_index(stator_collection_t *collection,
                               const bson_t *model, const bson_t *opts)
{
    return create_indexes(collection, "collection.create_index", &model, 1,
                          opts);
}

stator_future_t *
stator_collection_create_indexes(stator_collection_t *collection,
                                 const bson_t **models, size_t n,
                                 const bson_t *opts)
{
    return create_indexes(collection, "collection.create_indexes", models, n,
                          opts);
}

stator_cursor_t *
stator_collection_list_indexes(stator_collection_t *collection,
                               const bson_t *opts)
{
    struct stl_request r;

    begin_cursor(&r, "collection.list_indexes", &stc_verb_list_indexes,
                 collection, opts);
    return stl_request_open(&r);
}

STL_PART stator_future_t *drop_index(stator_collection_t *collection,
                                     const char *subject, const char *name,
                                     const bson_t *opts)
{
    struct stl_request r;

    begin(&r, subject, &stc_verb_drop_index, collection, opts);
    stl_request_text(&r, "name", "name", name);
    return stl_request_submit(&r);
}

stator_future_t *stator_collection_drop_index(stator_collection_t *collection,
                                              const char *name,
                                              const bson_t *opts)
{
    return drop_index(collection, "collection.drop_index", name, opts);
}

stator_future_t *
stator_collection_drop_indexes(stator_collection_t *collection,
                               const bson_t *opts)
{
    return drop_index(collection, "collection.drop_indexes", "*", opts);
}

stator_future_t *stator_collection_rename(stator_collection_t *collection,
                                          const char *new_db,
                                          const char *new_name,
                                          bool drop_target,
                                          const bson_t *opts)
{
    bson_t to = BSON_INITIALIZER;
    struct stl_request r;

    begin(&r, "collection.rename", &stc_verb_rename, collection, opts);
    if (new_db == NULL && stl_request_is_sound(&r)) /* as in the driver */
        new_db = stc_target_db(r.target);
    if (stl_request_check_text(&r, "new_db", new_db) &&
        stl_request_check_text(&r, "new_name", new_name)) {
        bson_append_utf8(&to, "db", -1, new_db, -1);
        bson_append_utf8(&to, "name", -1, new_name, -1);
        BSON_APPEND_BOOL(&to, "drop", drop_target);
        stl_request_copy(&r, &to);
    }
    bson_destroy(&to);
    return stl_request_submit(&r);
}

stator_future_t *stator_collection_drop(stator_collection_t *collection,
                                        const bson_t *opts)
{
    struct stl_request r;

    begin(&r, "collection.drop", &stc_verb_drop_collection, collection, opts);
    return stl_request_submit(&r);
}
