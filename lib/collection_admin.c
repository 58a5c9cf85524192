/* SPDX-License-Identifier: Apache-2.0 */
/* lib/collection_admin.c - a collection's commands, its search indexes, and
 * what it says of itself: check, copy, submit. */
#include <stator/collection.h>

#include "lib/handle.h"
#include "lib/models.h"
#include "lib/request.h"

static void begin(struct stl_request *r, const char *subject,
                  const struct stc_verb *verb,
                  stator_collection_t *collection, const bson_t *opts,
                  enum stl_shape shape)
{
    stl_request_begin(r, subject, verb,
                      collection == NULL ? NULL : &collection->handle, opts,
                      shape);
}

STL_PART stator_future_t *plain(stator_collection_t *collection,
                                const char *subject,
                                const struct stc_verb *verb,
                                const bson_t *opts)
{
    struct stl_request r;

    begin(&r, subject, verb, collection, opts, STL_OPERATION);
    return stl_request_submit(&r);
}

/* ---- commands ---------------------------------------------------------- */

STL_PART stator_future_t *command(stator_collection_t *collection,
                                  const char *subject,
                                  const struct stc_verb *verb,
                                  const bson_t *command, const bson_t *opts)
{
    struct stl_request r;

    begin(&r, subject, verb, collection, opts, STL_OPERATION);
    stl_request_command(&r, command);
    return stl_request_submit(&r);
}

stator_future_t *stator_collection_command(stator_collection_t *collection,
                                           const bson_t *c,
                                           const bson_t *opts)
{
    return command(collection, "collection.command", &stc_verb_command, c,
                   opts);
}

stator_future_t *
stator_collection_read_command(stator_collection_t *collection,
                               const bson_t *c, const bson_t *opts)
{
    return command(collection, "collection.read_command",
                   &stc_verb_read_command, c, opts);
}

stator_future_t *
stator_collection_write_command(stator_collection_t *collection,
                                const bson_t *c, const bson_t *opts)
{
    return command(collection, "collection.write_command",
                   &stc_verb_write_command, c, opts);
}

stator_future_t *
stator_collection_read_write_command(stator_collection_t *collection,
                                     const bson_t *c, const bson_t *opts)
{
    return command(collection, "collection.read_write_command",
                   &stc_verb_read_write_command, c, opts);
}

/* ---- of itself --------------------------------------------------------- */

stator_future_t *stator_collection_validate(stator_collection_t *collection,
                                            const bson_t *opts)
{
    return plain(collection, "collection.validate", &stc_verb_validate, opts);
}

stator_future_t *stator_collection_stats(stator_collection_t *collection,
                                         const bson_t *opts)
{
    return plain(collection, "collection.stats", &stc_verb_stats, opts);
}

stator_future_t *stator_collection_options(stator_collection_t *collection,
                                           const bson_t *opts)
{
    return plain(collection, "collection.options", &stc_verb_options, opts);
}

/* ---- search indexes ---------------------------------------------------- */

STL_PART stator_future_t *create(stator_collection_t *collection,
                                 const char *subject, const bson_t **models,
                                 size_t n, const bson_t *opts)
{
    struct stl_request r;

    begin(&r, subject, &stc_verb_create_search_indexes, collection, opts,
          STL_OPERATION);
    /* What an empty list is worth the server says, as for the drivers. */
    if (n > 0 && stl_request_check_array(&r, "models", models, n))
        for (size_t i = 0; i < n && stl_request_is_sound(&r); i++)
            stl_request_search_index_model(&r, models[i], i);
    return stl_request_submit(&r);
}

stator_future_t *
stator_collection_create_search_index(stator_collection_t *collection,
                                      const bson_t *model,
                                      const bson_t *opts)
{
    return create(collection, "collection.create_search_index", &model, 1,
                  opts);
}

stator_future_t *
stator_collection_create_search_indexes(stator_collection_t *collection,
                                        const bson_t **models, size_t n,
                                        const bson_t *opts)
{
    return create(collection, "collection.create_search_indexes", models, n,
                  opts);
}

stator_future_t *
stator_collection_update_search_index(stator_collection_t *collection,
                                      const char *name,
                                      const bson_t *definition,
                                      const bson_t *opts)
{
    struct stl_request r;

    begin(&r, "collection.update_search_index",
          &stc_verb_update_search_index, collection, opts, STL_OPERATION);
    stl_request_text(&r, "name", "name", name);
    stl_request_document(&r, "definition", definition);
    return stl_request_submit(&r);
}

stator_future_t *
stator_collection_drop_search_index(stator_collection_t *collection,
                                    const char *name, const bson_t *opts)
{
    struct stl_request r;

    begin(&r, "collection.drop_search_index", &stc_verb_drop_search_index,
          collection, opts, STL_OPERATION);
    stl_request_text(&r, "name", "name", name);
    return stl_request_submit(&r);
}

stator_cursor_t *
stator_collection_list_search_indexes(stator_collection_t *collection,
                                      const char *name, const bson_t *opts)
{
    const bson_t all = BSON_INITIALIZER;
    struct stl_request r;

    begin(&r, "collection.list_search_indexes",
          &stc_verb_list_search_indexes, collection, opts, STL_CURSOR);
    if (name == NULL)
        stl_request_document(&r, "name", &all);
    else
        stl_request_text(&r, "name", "name", name);
    return stl_request_open(&r);
}
